//! What hosts are called in rules: by a service of AWS, a `*` over several, or their own name.

use std::collections::{BTreeMap, BTreeSet};

use egress_guard::draft::HostPattern;
use egress_guard::{Host, Scheme};
use ipnet::IpNet;
use psl::{List, Psl};

use super::{Access, Beside, Endpoint, Limits, Reach, Shape, Uses, Who};
use crate::learn::aws;
use crate::learn::paths::Methods;
use crate::lint::shared;

type Opened<'t> = (&'t Endpoint, &'t Uses, Access);

/// How an endpoint of a host is used: hosts where all are the same are used alike.
type Likeness = BTreeSet<(Scheme, u16, Access, BTreeMap<Methods, BTreeSet<String>>)>;

#[derive(Debug, Default)]
pub(super) struct Named {
    services: BTreeMap<String, aws::Name>,
    /// The names below which all that are used alike are one.
    parents: BTreeMap<String, String>,
}

impl Named {
    pub(super) fn of(opened: &[Opened<'_>], reach: &Reach, beside: &Beside<'_>) -> Self {
        let mut named = Self::default();
        if reach.lists_names {
            return named;
        }
        named.find_services(opened, reach, beside);
        if reach.wildcard_from > 0 {
            named.find_parents(opened, reach, beside);
        }
        named
    }

    pub(super) fn who(&self, text: &str, host: &Host) -> Who {
        if let Host::Ip(ip) = host {
            return Who::Network(IpNet::from(ip.to_canonical()));
        }
        let service = || self.services.get(text).cloned().map(Who::Service);
        let below = || self.parents.get(text).cloned().map(Who::Below);
        service().or_else(below).unwrap_or_else(|| Who::Name(text.to_owned()))
    }

    /// Names of one service whose connections may lead to different addresses stay apart, as rules for all its names
    /// would share them.
    fn find_services(&mut self, opened: &[Opened<'_>], reach: &Reach, beside: &Beside<'_>) {
        let mut names = aws::Names::default();
        let mut known: BTreeMap<aws::Name, (BTreeSet<&Access>, BTreeSet<&str>)> = BTreeMap::new();
        let named = opened.iter().filter(|(_, uses, _)| matches!(uses.host, Host::Name(_)));
        for (endpoint, _, access) in named {
            if let Some(name) = names.find(&endpoint.host) {
                let (accesses, hosts) = known.entry(name).or_default();
                accesses.insert(access);
                hosts.insert(&endpoint.host);
            }
        }
        for (name, (accesses, hosts)) in known {
            let patterns = aws::Names::patterns(&name);
            let is_other = |exact: &&String| !hosts.contains(exact.as_str());
            let mut exact = reach.exact.iter().filter(is_other).filter_map(|exact| exact.parse::<HostPattern>().ok());
            let is_exact = exact.any(|exact| patterns.iter().any(|pattern| pattern.covers(&exact)));
            let has_room = accesses.iter().all(|access| beside.leave_room_for(&patterns, access));
            if accesses.len() == 1 && has_room && !is_exact {
                self.services.extend(hosts.into_iter().map(|host| (host.to_owned(), name.clone())));
            }
        }
    }

    fn find_parents(&mut self, opened: &[Opened<'_>], reach: &Reach, beside: &Beside<'_>) {
        let mut by_host: BTreeMap<&str, Vec<&Opened<'_>>> = BTreeMap::new();
        for it in opened.iter().filter(|(_, uses, _)| matches!(uses.host, Host::Name(_))) {
            by_host.entry(&it.0.host).or_default().push(it);
        }
        let mut alike: BTreeMap<(&str, Likeness), Vec<&str>> = BTreeMap::new();
        for (host, uses) in &by_host {
            let Some((_, parent)) = host.split_once('.') else { continue };
            // Of an ordinary client neither methods nor paths are known, and a `*` with any of both is too much.
            let is_seen_whole = uses.iter().all(|(_, uses, _)| !uses.is_connections());
            let is_exact = reach.exact.iter().any(|exact| is_below(exact, parent));
            if is_seen_whole && !is_exact && is_of_one_owner(parent) {
                alike.entry((parent, likeness(uses, reach))).or_default().push(host);
            }
        }
        for ((parent, likeness), hosts) in alike {
            let pattern: Vec<HostPattern> = format!("*.{parent}").parse().into_iter().collect();
            let has_room = likeness.iter().all(|(_, _, access, _)| beside.leave_room_for(&pattern, access));
            if hosts.len() >= reach.wildcard_from && has_room && shares_addresses(parent, &hosts, &by_host) {
                self.parents.extend(hosts.into_iter().map(|host| (host.to_owned(), parent.to_owned())));
            }
        }
    }
}

/// Whether all names below a name belong to one owner, as far as the Public Suffix List, and this command, know.
fn is_of_one_owner(parent: &str) -> bool {
    let pattern = format!("*.{parent}").parse::<HostPattern>();
    domain(parent).is_some()
        && pattern.is_ok_and(|pattern| !pattern.is_local() && shared(&pattern).is_none())
        && !aws::is_of_aws(parent)
}

/// Whether names below a name are known to belong to many, so that its paths may too.
pub(super) fn is_shared(host: &str) -> bool {
    format!("*.{host}").parse::<HostPattern>().is_ok_and(|pattern| shared(&pattern).is_some())
}

fn likeness(uses: &[&Opened<'_>], reach: &Reach) -> Likeness {
    let limits = Limits { patterns: reach.most_paths, first_from: 1, is_exact: false };
    let likeness = uses.iter().map(|(endpoint, uses, access)| {
        let patterns = Shape::with_ids(&uses.paths, limits).patterns();
        (endpoint.scheme, endpoint.port, access.clone(), patterns)
    });
    likeness.collect()
}

/// Whether every name that a `*` would reach, and that was asked for, leads to the same addresses by the same ports: rules
/// that share connections must.
fn shares_addresses(parent: &str, hosts: &[&str], by_host: &BTreeMap<&str, Vec<&Opened<'_>>>) -> bool {
    let accesses = |host: &&str| {
        by_host.get(*host).into_iter().flatten().map(|(endpoint, _, access)| ((endpoint.scheme, endpoint.port), access))
    };
    let of_the_wildcard: BTreeMap<_, _> = hosts.iter().flat_map(accesses).collect();
    let mut others = by_host.keys().filter(|host| is_below(host, parent)).flat_map(accesses);
    others.all(|(at, access)| of_the_wildcard.get(&at).is_none_or(|wanted| *wanted == access))
}

fn is_below(host: &str, parent: &str) -> bool {
    host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
}

/// The registrable domain of a name, or the name itself where there is none.
pub(super) fn owner(name: &str) -> String {
    domain(name).unwrap_or(name).to_owned()
}

fn domain(name: &str) -> Option<&str> {
    let length = List.domain(name.as_bytes())?.as_bytes().len();
    name.get(name.len() - length..)
}
