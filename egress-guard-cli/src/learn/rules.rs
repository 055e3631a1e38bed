//! From what was sent to the rules that allow it.

mod hosts;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use egress_guard::draft::{HostPattern, RuleDraft, Text};
use egress_guard::{AddressClass, Host, Scheme};
use ipnet::IpNet;

use super::aws;
use super::paths::{Limits, Paths, Shape};
use super::traffic::{Endpoint, Traffic, Uses};

/// How far a rule may go beyond what was sent.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// For how many names that are used alike, and first segments of paths, one `*` is written; 0 for none.
    pub(super) wildcard_from: usize,
    /// How many paths of an endpoint are listed.
    pub(super) most_paths: usize,
    /// Hosts of which nothing is generalised.
    pub(super) exact: BTreeSet<String>,
    /// Whether nothing is of any.
    pub(super) is_exact: bool,
    /// Whether every name is listed as it is.
    pub(super) lists_names: bool,
}

/// The rules that are there already.
pub(super) struct Beside<'b> {
    /// What those that share the connections of an endpoint open, if there are any: a further one must open the same.
    pub(super) access: &'b dyn Fn(&Endpoint, &Uses) -> Option<Access>,
    /// What each name that they list opens.
    pub(super) listed: &'b [(HostPattern, Access)],
}

impl Beside<'_> {
    /// Whether a rule for all names of some patterns would share connections only with rules that open the same.
    fn leave_room_for(&self, patterns: &[HostPattern], access: &Access) -> bool {
        let overlaps = |listed: &HostPattern| patterns.iter().any(|other| listed.covers(other) || other.covers(listed));
        self.listed.iter().all(|(listed, opened)| opened == access || !overlaps(listed))
    }
}

/// A rule, without its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub(super) subject: Subject,
    pub(super) conditions: Conditions,
    pub(super) ports: Ports,
    pub(super) schemes: BTreeSet<Scheme>,
}

/// None for the schemes' own.
type Ports = Option<BTreeSet<u16>>;

/// What rules are about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Names and `*.` patterns, all of one owner.
    Hosts(BTreeSet<String>),
    Service(aws::Name),
    Network(IpNet),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conditions {
    /// None for any.
    pub(super) methods: Option<BTreeSet<String>>,
    pub(super) paths: Option<BTreeSet<String>>,
    pub(super) access: Access,
}

/// What keys decide which addresses the connections of a host may lead to; rules that share connections have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    /// None for public ones.
    pub(super) addresses: Option<Vec<String>>,
    pub(super) boundary: Option<String>,
}

/// What a place is called in a rule. Wildcards come first: what they stand for needs no other rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Below(String),
    Name(String),
    Service(aws::Name),
    Network(IpNet),
}

/// What was sent to a place.
struct Place<'t> {
    paths: Vec<&'t Paths>,
    access: Access,
    limits: Limits,
}

/// The rules that allow what was sent.
pub(super) fn rules(traffic: &Traffic, reach: &Reach, beside: &Beside<'_>) -> Vec<Rule> {
    let access = |endpoint: &Endpoint, uses: &Uses| (beside.access)(endpoint, uses).unwrap_or_else(|| Access::to(uses));
    let used = || traffic.endpoints.iter().filter(|(_, uses)| uses.is_used());
    let opened: Vec<_> = used().map(|(endpoint, uses)| (endpoint, uses, access(endpoint, uses))).collect();
    let named = hosts::Named::of(&opened, reach, beside);
    let mut places: BTreeMap<(Who, Scheme, u16), Place<'_>> = BTreeMap::new();
    for (endpoint, uses, access) in opened {
        let who = named.who(&endpoint.host, &uses.host);
        let is_shared = aws::is_of_aws(&endpoint.host) || hosts::is_shared(&endpoint.host);
        let first_from = if is_shared { 0 } else { reach.wildcard_from };
        let limits = Limits { patterns: reach.most_paths, first_from, is_exact: reach.is_exact };
        let place = || Place { paths: Vec::new(), access, limits };
        let place = places.entry((who, endpoint.scheme, endpoint.port)).or_insert_with(place);
        place.paths.push(&uses.paths);
        place.limits.is_exact |= reach.exact.contains(&*endpoint.host);
    }
    put_together(places)
}

fn put_together(places: BTreeMap<(Who, Scheme, u16), Place<'_>>) -> Vec<Rule> {
    // One scheme's ports, where all else is the same, so that a rule is about nothing that was not asked for.
    let mut by_port: BTreeMap<(Who, Scheme, Conditions), BTreeSet<u16>> = BTreeMap::new();
    for ((who, scheme, port), place) in places {
        for conditions in place.conditions() {
            by_port.entry((who.clone(), scheme, conditions)).or_default().insert(port);
        }
    }
    let mut by_scheme: BTreeSet<(Who, Conditions, Ports, BTreeSet<Scheme>)> = BTreeSet::new();
    for ((who, scheme, conditions), ports) in by_port {
        let is_own = ports.iter().eq([&scheme.default_port()]);
        let http = (who.clone(), conditions.clone(), None, BTreeSet::from([Scheme::Http]));
        let schemes = if is_own && by_scheme.remove(&http) {
            BTreeSet::from([Scheme::Http, Scheme::Https])
        } else {
            BTreeSet::from([scheme])
        };
        by_scheme.insert((who, conditions, (!is_own).then_some(ports), schemes));
    }
    let mut owners: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let mut rules = Vec::new();
    for (who, conditions, ports, schemes) in by_scheme {
        let subject = match who {
            Who::Below(parent) => Err((hosts::owner(&parent), format!("*.{parent}"))),
            Who::Name(name) => Err((hosts::owner(&name), name)),
            Who::Service(name) => Ok(Subject::Service(name)),
            Who::Network(network) => Ok(Subject::Network(network)),
        };
        match subject {
            Ok(subject) => rules.push(Rule { subject, conditions, ports, schemes }),
            Err((owner, host)) => {
                owners.entry((owner, conditions, ports, schemes)).or_default().insert(host);
            }
        }
    }
    rules.extend(owners.into_iter().map(|((_, conditions, ports, schemes), hosts)| Rule {
        subject: Subject::Hosts(hosts),
        conditions,
        ports,
        schemes,
    }));
    rules.sort_by_cached_key(|rule| (rule.subject.owner(), rule.subject.is_exact(), rule.clone()));
    rules
}

impl Place<'_> {
    fn conditions(&self) -> Vec<Conditions> {
        let any = Conditions { methods: None, paths: None, access: self.access.clone() };
        if self.paths.iter().all(|paths| paths.is_empty()) {
            return vec![any];
        }
        let patterns = Shape::of(&self.paths, self.limits).patterns();
        let conditions = patterns.into_iter().map(|(methods, paths)| Conditions {
            // One that is not known may be any.
            methods: methods.into_iter().collect(),
            paths: Some(paths),
            ..any.clone()
        });
        conditions.collect()
    }
}

impl Access {
    /// What a rule states.
    pub(super) fn of(rule: &RuleDraft) -> Self {
        let texts = |texts: &Vec<Text>| texts.iter().map(|text| text.text.clone()).collect();
        let addresses = rule.addresses.as_ref().map(texts).filter(|texts: &Vec<String>| texts != &["public"]);
        Self { addresses, boundary: rule.boundary.as_ref().map(|side| side.text.clone()) }
    }

    /// The addresses that were connected to, and no others.
    fn to(uses: &Uses) -> Self {
        let is_public = |ip: &&IpAddr| AddressClass::of(**ip) == AddressClass::Public;
        let special: Vec<IpNet> = uses.peers.iter().filter(|ip| !is_public(ip)).map(|ip| IpNet::from(*ip)).collect();
        if special.is_empty() || matches!(uses.host, Host::Ip(_)) {
            return Self::default();
        }
        let public = uses.peers.iter().find(is_public).map(|_| "public".to_owned());
        let special = special.iter().map(ToString::to_string);
        Self { addresses: Some(public.into_iter().chain(special).collect()), boundary: None }
    }
}

impl Subject {
    /// By which rules of one owner stand together.
    fn owner(&self) -> String {
        match self {
            Self::Hosts(hosts) => {
                hosts.first().map(|host| hosts::owner(host.trim_start_matches("*."))).unwrap_or_default()
            }
            Self::Service(name) => format!("amazonaws.com {} {}", name.service, name.region),
            Self::Network(network) => network.to_string(),
        }
    }

    fn is_exact(&self) -> bool {
        !matches!(self, Self::Hosts(hosts) if hosts.iter().any(|host| host.starts_with("*.")))
    }
}
