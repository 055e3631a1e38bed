//! One layer of a policy: what one owner has written, ready to be asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

use super::address::{network_opens, reachable_through};
use super::date::Day;
use super::index::HostIndex;
use super::network::NetworkMap;
use super::rule::CompiledRule;
use super::{Boundary, Mode, pattern};
use crate::destination::{Destination, Host};

#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) name: Arc<str>,
    pub(crate) owner: Option<Box<str>>,
    pub(crate) report_only_until: Option<Day>,
    /// Through which everything goes.
    pub(crate) proxy: Option<Destination>,
    /// Of the text that it was read from, in hexadecimal digits.
    pub(crate) sha256: Option<Box<str>>,
    /// Where it was read.
    pub(crate) source: Box<str>,
    pub(crate) rules: Vec<CompiledRule>,
    pub(super) index: Index,
    pub(super) internal: Internal,
}

/// Which rules a host or an address could be matched by, as numbers into the layer's rules, in rising order.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) hosts: HostIndex<Numbers>,
    pub(super) networks: NetworkMap<Numbers>,
    pub(super) deny_any_host: Numbers,
    pub(super) allow_any_host: Numbers,
}

/// Most patterns stand in one rule.
pub(super) type Numbers = SmallVec<[u32; 2]>;

/// What `[internal]` states: the hosts and networks that the layer's owner owns or manages.
#[derive(Clone, Debug, Default)]
pub(super) struct Internal {
    pub(super) hosts: HostIndex<()>,
    pub(super) networks: NetworkMap<()>,
}

impl Internal {
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.networks.is_empty()
    }
}

impl Layer {
    pub(crate) fn mode(&self, now: SystemTime) -> Mode {
        match self.report_only_until {
            Some(day) if !day.has_begun(now) => Mode::ReportOnly,
            _ => Mode::Enforce,
        }
    }

    pub(super) fn states_what_is_internal(&self) -> bool {
        !self.internal.is_empty()
    }

    /// On which side a request lies; nothing where it cannot be told yet. `peer` is the host's address, where it is
    /// known, and `via` the proxy.
    pub(crate) fn boundary(&self, host: &Host, peer: Option<IpAddr>, via: Option<&Host>) -> Option<Boundary> {
        let Some(proxy) = via else { return self.side_of(host, peer) };
        // What the proxy connects to is never known, so that only what is named as internal is.
        let internal = [host, proxy].iter().all(|leg| self.side_of(leg, None) == Some(Boundary::Internal));
        Some(if internal { Boundary::Internal } else { Boundary::External })
    }

    fn side_of(&self, host: &Host, peer: Option<IpAddr>) -> Option<Boundary> {
        let mut internal = false;
        let address = match host {
            Host::Name(name) => {
                self.internal.hosts.visit(name, |()| internal = true);
                peer
            }
            Host::Ip(ip) => Some(*ip),
        };
        internal |= address.is_some_and(|ip| self.internal.networks.around(ip).next().is_some());
        match address {
            _ if internal => Some(Boundary::Internal),
            None if !self.internal.networks.is_empty() => None,
            _ => Some(Boundary::External),
        }
    }

    /// Calls `visit` with every rule that the host or the peer address puts in question, deny rules before allow
    /// rules within each list. A rule may be visited twice.
    pub(crate) fn visit_candidates<'p>(
        &'p self,
        host: &Host,
        peer: Option<IpAddr>,
        mut visit: impl FnMut(u32, &'p CompiledRule, Subject),
    ) {
        self.visit_lists(host, peer, |numbers, subject| {
            for number in numbers {
                if let Some(rule) = self.rules.get(*number as usize) {
                    visit(*number, rule, subject);
                }
            }
        });
    }

    fn visit_lists<'p>(&'p self, host: &Host, peer: Option<IpAddr>, mut visit: impl FnMut(&'p Numbers, Subject)) {
        let Index { hosts, networks, deny_any_host, allow_any_host } = &self.index;
        let (name, literal) = match host {
            Host::Name(name) => (Some(name), None),
            Host::Ip(ip) => (None, Some(*ip)),
        };
        if !deny_any_host.is_empty() {
            visit(deny_any_host, Subject::Host);
        }
        if !allow_any_host.is_empty() && !name.is_some_and(|name| pattern::is_local(name)) {
            visit(allow_any_host, Subject::Host);
        }
        if let Some(name) = name {
            hosts.visit(name, |numbers| visit(numbers, Subject::Host));
        }
        if !networks.is_empty() {
            visit_networks(networks, literal, peer, visit);
        }
    }
}

/// Apart, because most policies have none.
#[inline(never)]
fn visit_networks<'p>(
    networks: &'p NetworkMap<Numbers>,
    literal: Option<IpAddr>,
    peer: Option<IpAddr>,
    mut visit: impl FnMut(&'p Numbers, Subject),
) {
    for ip in [literal, peer].into_iter().flatten() {
        for reachable in reachable_through(ip) {
            for (network, numbers) in networks.around(reachable) {
                let opens = literal == Some(ip) && network_opens(network, ip);
                visit(numbers, if opens { Subject::Literal } else { Subject::Address });
            }
        }
    }
}

/// What put a rule in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One of its hosts.
    Host,
    /// One of its networks, which [opens](super::address::network_opens) the IP literal that was asked for.
    Literal,
    /// One of its networks, around an address that it cannot allow: the name's, or one that it does not open. Deny
    /// rules match it all the same.
    Address,
}
