//! What a rule is about, cut into areas that can be taken from one another.
//!
//! An area is one host pattern or network with a grid of schemes, ports and methods, and with the paths, addresses and
//! boundary of its rule. Only the grid can be cut; the rest of an area is covered by another one's as a whole, or not at
//! all. So what is left of an area may be too much, and is never too little.

use std::collections::BTreeSet;
use std::fmt;

use egress_guard::draft::{HostPattern, Network, PolicyDraft, RuleDraft, Text};

/// The part of a policy's text that decides, of one rule and one of its hosts or networks.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) rule: String,
    pub(super) subject: Subject,
    pub(super) grid: Vec<Cell>,
    /// Path patterns; none for any path.
    paths: Option<BTreeSet<String>>,
    /// What names may resolve to, with `internal` written out; none where nothing is said of it: in a deny rule, and of literals.
    addresses: Option<BTreeSet<String>>,
    /// The same as the policy writes it: what is written in two ways is not known to be the same.
    written: BTreeSet<String>,
    boundary: Option<String>,
    /// Whether only connections are meant that a deny rule denies by their address: by a network, or by a boundary whose
    /// side nothing else tells.
    pub(super) by_address: bool,
    /// What the boundary depends on, where there is one.
    internal: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    AnyHost,
    Host(HostPattern),
    Network(Network),
}

/// One scheme, a range of ports, and methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    https: bool,
    ports: (u16, u16),
    methods: Methods,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Methods {
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Area {
    /// The areas of a rule that has no faults. What it leaves out is any in a deny rule, and the narrow default in an allow rule.
    pub(super) fn of(policy: &PolicyDraft, rule: &RuleDraft, is_deny: bool) -> Vec<Self> {
        let texts = |list: &Option<Vec<Text>>| -> Option<BTreeSet<String>> {
            Some(list.as_ref()?.iter().map(|text| text.text.clone()).collect())
        };
        let any_host = rule.any_host || texts(&rule.hosts).is_some_and(|hosts| hosts.contains("*"));
        let hosts = texts(&rule.hosts).unwrap_or_default();
        let hosts = hosts.iter().filter_map(|host| host.parse().ok().map(Subject::Host));
        let networks = texts(&rule.networks).unwrap_or_default();
        let networks = networks.iter().filter_map(|network| network.parse().ok().map(Subject::Network));
        let subjects = any_host.then_some(Subject::AnyHost).into_iter().chain(hosts).chain(networks);

        let written = texts(&rule.addresses).unwrap_or_else(|| BTreeSet::from(["public".to_owned()]));
        let mut addresses = written.clone();
        if addresses.remove("internal") {
            addresses.extend(policy.internal_networks.iter().map(|network| network.text.clone()));
        }
        let boundary = rule.boundary.as_ref().map(|boundary| boundary.text.clone());
        let internal = policy.internal_hosts.iter().chain(&policy.internal_networks).chain(&policy.proxy);
        let internal = internal.map(|text| text.text.clone());
        let area = Self {
            rule: rule.id.as_ref().map(|id| id.text.clone()).unwrap_or_default(),
            subject: Subject::AnyHost,
            grid: grid(rule, is_deny),
            paths: texts(&rule.paths),
            addresses: (!is_deny).then_some(addresses),
            written,
            internal: boundary.as_ref().map(|_| internal.collect()).unwrap_or_default(),
            boundary,
            by_address: false,
        };
        let boundary_is_by_address = area.boundary.is_some() && !policy.internal_networks.is_empty();
        let mut areas = Vec::new();
        for subject in subjects {
            let is_network = matches!(subject, Subject::Network(_));
            let area = Self { subject, addresses: area.addresses.clone().filter(|_| !is_network), ..area.clone() };
            let denies_by_address = is_deny && (is_network || boundary_is_by_address);
            let connections = denies_by_address.then(|| area.connections()).flatten();
            areas.push(area);
            areas.extend(connections);
        }
        areas
    }

    /// The connections that a deny rule denies by their address, whatever it says of methods and paths. Nothing if they
    /// are no more than its requests.
    fn connections(&self) -> Option<Self> {
        let any = Methods::AllBut(BTreeSet::new());
        let grid = self.grid.iter().map(|cell| Cell { methods: any.clone(), ..*cell }).collect();
        let connections = Self { grid, paths: None, by_address: true, ..self.clone() };
        (connections.grid != self.grid || self.paths.is_some()).then_some(connections)
    }

    /// Whether all of it but its grid lies within another area.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        let paths = match (&self.paths, &other.paths) {
            // A path rule denies paths that are read in two ways, so that even `/**` is less than any path.
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.iter().all(|path| theirs.iter().any(|other| path_covers(other, path))),
        };
        let boundary = match (&self.boundary, &other.boundary) {
            (_, None) => true,
            (mine, theirs) => mine == theirs && self.internal == other.internal,
        };
        let addresses = match (&self.addresses, &other.addresses) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.is_subset(theirs),
        };
        // Of a name that [internal] lists the side is known, and its requests are denied by their methods and paths.
        let connections = self.by_address || !other.by_address;
        other.subject.covers(&self.subject) && paths && boundary && addresses && connections
    }

    /// Takes the grid of another area away.
    pub(super) fn subtract(&mut self, other: &Self) {
        for theirs in &other.grid {
            self.grid = self.grid.iter().flat_map(|mine| mine.without(theirs)).collect();
        }
    }

    /// Whether a connection for the one could serve the other, and lead to another address.
    pub(super) fn conflicts_with(&self, other: &Self) -> bool {
        // A literal is its own address.
        if self.is_network() || other.is_network() {
            return false;
        }
        let same_place = self.grid.iter().any(|mine| other.grid.iter().any(|theirs| mine.meets_port_of(theirs)));
        same_place && !self.opens_the_same_as(other) && self.subject.may_meet(&other.subject)
    }

    /// As a decision compares it: `internal` is not the same as the networks that it stands for.
    pub(super) fn opens_the_same_as(&self, other: &Self) -> bool {
        (&self.written, &self.boundary) == (&other.written, &other.boundary)
    }

    /// Whether it is about both sides of the boundary.
    pub(super) fn is_on_both_sides(&self) -> bool {
        self.boundary.is_none()
    }

    pub(super) fn is_network(&self) -> bool {
        matches!(self.subject, Subject::Network(_))
    }

    /// Whether these are the connections of a network, and the other no more than requests on them, by the same rule.
    pub(super) fn says_all_of(&self, other: &Self) -> bool {
        let is_same = (&self.rule, &self.subject) == (&other.rule, &other.subject);
        self.by_address && !other.by_address && self.is_network() && is_same && {
            let mut rest = other.clone();
            rest.subtract(self);
            rest.grid.is_empty()
        }
    }

    /// Whether some scheme, port and method is in both.
    pub(super) fn meets_grid_of(&self, other: &Self) -> bool {
        self.grid.iter().any(|mine| other.grid.iter().any(|theirs| mine.without(theirs) != [mine.clone()]))
    }

    /// The same text for areas that mean the same.
    pub(super) fn meaning(&self) -> String {
        let Self { rule: _, subject, grid, paths, addresses, written, boundary, by_address, internal } = self;
        format!("{subject} {grid:?} {paths:?} {addresses:?} {written:?} {boundary:?} {by_address} {internal:?}")
    }
}

impl Subject {
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AnyHost, Self::AnyHost) => true,
            (Self::AnyHost, Self::Host(pattern)) => pattern.is_within_any_host(),
            (Self::Host(mine), Self::Host(theirs)) => mine.covers(theirs),
            (Self::Network(mine), Self::Network(theirs)) => mine.covers(theirs),
            _ => false,
        }
    }

    /// Whether some host may be meant by both; too often rather than too seldom.
    pub(super) fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Network(_), Self::Host(_)) | (Self::Host(_), Self::Network(_)) => false,
            (Self::Host(mine), Self::Host(theirs)) => {
                mine.covers(theirs) || theirs.covers(mine) || mine.is_wildcard() && theirs.is_wildcard()
            }
            _ => true,
        }
    }
}

fn grid(rule: &RuleDraft, is_deny: bool) -> Vec<Cell> {
    let methods = match &rule.methods {
        Some(methods) => Methods::Only(methods.iter().map(|method| method.text.clone()).collect()),
        None => Methods::AllBut(BTreeSet::new()),
    };
    let mut grid = Vec::new();
    for https in [true, false] {
        let is_meant = match &rule.schemes {
            Some(schemes) => schemes.iter().any(|scheme| (scheme.text == "https") == https),
            None => is_deny || https,
        };
        let default = if https { (443, 443) } else { (80, 80) };
        let mut ports = match &rule.ports {
            Some(ports) => ports.iter().filter_map(|text| range(&text.text)).collect(),
            None if is_deny => vec![(1, u16::MAX)],
            None => vec![default],
        };
        ports.retain(|_| is_meant);
        grid.extend(ports.into_iter().map(|ports| Cell { https, ports, methods: methods.clone() }));
    }
    grid
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

impl Cell {
    fn meets_port_of(&self, other: &Self) -> bool {
        self.https == other.https && self.ports.0 <= other.ports.1 && other.ports.0 <= self.ports.1
    }

    fn without(&self, other: &Self) -> Vec<Self> {
        let ((first, last), (from, to)) = (self.ports, other.ports);
        if !self.meets_port_of(other) {
            return vec![self.clone()];
        }
        let mut left = Vec::new();
        let mut keep = |ports: (u16, u16), methods: Methods| left.push(Self { ports, methods, ..*self });
        if first < from {
            keep((first, from.saturating_sub(1)), self.methods.clone());
        }
        if to < last {
            keep((to.saturating_add(1), last), self.methods.clone());
        }
        if let Some(methods) = self.methods.without(&other.methods) {
            keep((first.max(from), last.min(to)), methods);
        }
        left
    }
}

impl Methods {
    fn without(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Only(mine), Self::Only(theirs)) => Self::only(mine - theirs),
            (Self::Only(mine), Self::AllBut(theirs)) => Self::only(mine & theirs),
            (Self::AllBut(mine), Self::Only(theirs)) => Some(Self::AllBut(mine | theirs)),
            (Self::AllBut(mine), Self::AllBut(theirs)) => Self::only(theirs - mine),
        }
    }

    fn only(methods: BTreeSet<String>) -> Option<Self> {
        (!methods.is_empty()).then_some(Self::Only(methods))
    }
}

/// Whether a path pattern surely matches all that another one matches.
fn path_covers(one: &str, other: &str) -> bool {
    let below = one.strip_suffix("/**").filter(|start| !start.contains(['*', '?', '[', '{', '\\']));
    one == other || below.is_some_and(|start| other.strip_prefix(start).is_some_and(|rest| rest.starts_with('/')))
}

/// In words: methods, scheme and host, ports, paths.
impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, cell) in self.grid.iter().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{} to {}://{}{}", cell.methods, cell.scheme(), self.subject, cell.port())?;
        }
        let list = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if let Some(paths) = &self.paths {
            write!(f, ", paths {}", list(paths))?;
        }
        if let Some(addresses) = self.addresses.as_ref().filter(|addresses| !is_public(addresses)) {
            write!(f, ", at addresses {}", list(addresses))?;
        }
        match &self.boundary {
            Some(boundary) if self.by_address && !self.is_network() => write!(f, ", only {boundary} by its address"),
            Some(boundary) => write!(f, ", only {boundary}"),
            None => Ok(()),
        }
    }
}

fn is_public(addresses: &BTreeSet<String>) -> bool {
    addresses.len() == 1 && addresses.contains("public")
}

impl Cell {
    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    fn port(&self) -> String {
        let default = if self.https { 443 } else { 80 };
        match self.ports {
            (1, u16::MAX) => ", any port".to_owned(),
            (first, last) if first == last && first == default => String::new(),
            (first, last) if first == last => format!(":{first}"),
            (first, last) => format!(":{first}-{last}"),
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |methods: &BTreeSet<String>| methods.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match self {
            Self::Only(methods) => f.write_str(&list(methods)),
            Self::AllBut(methods) if methods.is_empty() => f.write_str("any method"),
            Self::AllBut(methods) => write!(f, "any method but {}", list(methods)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyHost => f.write_str("any host"),
            Self::Host(pattern) => pattern.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
impl Area {
    /// Whether a request may be meant, its path aside.
    pub(super) fn is_about(
        &self,
        method: &http::Method,
        destination: &egress_guard::Destination,
        peer: Option<std::net::IpAddr>,
    ) -> bool {
        use egress_guard::{Host, Scheme};
        let holds = |network: &Network, ip: std::net::IpAddr| {
            let network: ipnet::IpNet = network.to_string().parse().unwrap();
            // What a NAT64 address carries is also meant.
            let embedded = match ip {
                std::net::IpAddr::V6(ip) => std::net::Ipv4Addr::from_bits((ip.to_bits() & 0xffff_ffff) as u32).into(),
                ip @ std::net::IpAddr::V4(_) => ip,
            };
            network.contains(&ip.to_canonical()) || network.contains(&embedded)
        };
        let host = match (destination.host(), &self.subject) {
            (Host::Name(name), Subject::Host(pattern)) => {
                name.parse::<HostPattern>().is_ok_and(|name| pattern.covers(&name))
            }
            (Host::Name(_), Subject::Network(network)) => peer.is_some_and(|ip| holds(network, ip)),
            (Host::Ip(ip), Subject::Network(network)) => holds(network, *ip),
            (_, Subject::AnyHost) => true,
            _ => false,
        };
        host && self.grid.iter().any(|cell| {
            cell.https == (destination.scheme() == Scheme::Https)
                && (cell.ports.0..=cell.ports.1).contains(&destination.port())
                && match &cell.methods {
                    Methods::Only(methods) => methods.contains(&method.as_str().to_ascii_uppercase()),
                    Methods::AllBut(methods) => !methods.contains(method.as_str()),
                }
        })
    }
}
