//! The allow rules or the deny rules of a policy, indexed so that what covers a host or network is found without a walk
//! over all of them.

use std::collections::{HashMap, HashSet};
use std::iter::successors;
use std::rc::Rc;

use egress_guard::Effect;
use egress_guard::draft::{HostMap, HostPattern, Network, RuleDraft, Text};
use ipnet::IpNet;

use super::super::super::finding::{place, texts};
use super::connections::Sharing;
use super::scope::{Scope, Subject};

#[derive(Debug)]
pub(super) struct List<'d> {
    effect: Effect,
    pub(super) rules: Vec<Rule<'d>>,
    hosts: HostMap<Vec<At>>,
    networks: HashMap<IpNet, Vec<At>>,
    any_host: Vec<At>,
    sharing: Sharing<'d>,
}

#[derive(Debug)]
pub(super) struct Rule<'d> {
    pub(super) draft: &'d RuleDraft,
    scope: Rc<Scope<'d>>,
    pub(super) items: Vec<Item>,
}

/// A host or a network of a rule.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) offset: Option<usize>,
    /// The service or bucket that it was made from.
    pub(super) origin: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum What {
    Host(HostPattern),
    Network(IpNet, Network),
    AnyHost,
}

/// The number of a rule, and of an item in it.
pub(super) type At = (usize, usize);

/// How many rules with different scopes are remembered for one host pattern or network. Of more, the most open ones are
/// compared, so that a thousand rules for one host are not compared each with each.
const REMEMBERED: usize = 64;

impl<'d> List<'d> {
    pub(super) fn new(effect: Effect, drafts: impl IntoIterator<Item = &'d RuleDraft>) -> Self {
        let mut scopes = HashSet::new();
        let rules = drafts.into_iter().map(|draft| {
            let scope = Rc::new(Scope::new(effect, draft));
            let scope = scopes.get(&scope).map_or_else(|| Rc::clone(&scope), Rc::clone);
            scopes.insert(Rc::clone(&scope));
            Rule { draft, scope, items: items(effect, draft) }
        });
        let rules: Vec<_> = rules.collect();
        let mut list = Self {
            effect,
            hosts: HostMap::default(),
            networks: HashMap::new(),
            any_host: Vec::new(),
            sharing: Sharing::new(rules.iter().map(|rule| (&rule.scope.connections, rule.items.as_slice()))),
            rules,
        };
        list.index();
        list
    }

    fn index(&mut self) {
        let mut order: Vec<usize> = (0..self.rules.len()).collect();
        order.sort_by_key(|number| self.rules.get(*number).map(|rule| rule.scope.stated()));
        let Self { rules, hosts, networks, any_host, .. } = self;
        for number in order {
            let items = rules.get(number).map_or(&[][..], |rule| &rule.items);
            for (item, Item { what, .. }) in items.iter().enumerate() {
                let remember = |entries: &mut Vec<At>| remember(rules, entries, (number, item));
                match what {
                    What::Host(pattern) => hosts.update(pattern, remember),
                    What::Network(network, _) => remember(networks.entry(*network).or_default()),
                    What::AnyHost => remember(any_host),
                }
            }
        }
    }

    /// What makes an item useless: of several the first. Of two that cover each other, the later is useless.
    pub(super) fn cover_of(&self, at: At) -> Option<At> {
        let (rule, item) = get(&self.rules, at)?;
        if self.effect == Effect::Allow && !self.sharing.is_undisturbed(&item.what, &rule.scope.connections) {
            return None;
        }
        let makes_useless =
            |other: At| other != at && self.covers(other, at) && (other < at || !self.covers(at, other));
        self.around(&item.what).into_iter().filter(|other| makes_useless(*other)).min()
    }

    /// The first item, whatever the rest of its rule says, that is about all that another list's item is about.
    pub(super) fn is_about(&self, what: &What) -> Option<At> {
        let about_all = |at: &At| get(&self.rules, *at).is_some_and(|(_, item)| self.is_about_all(&item.what, what));
        self.around(what).into_iter().filter(about_all).min()
    }

    /// Every remembered item that could cover another.
    fn around(&self, what: &What) -> Vec<At> {
        let mut found = self.any_host.clone();
        match what {
            What::Host(pattern) => self.hosts.visit_around(pattern, |entries| found.extend(entries)),
            What::Network(network, _) => {
                let networks = successors(Some(*network), IpNet::supernet);
                found.extend(networks.filter_map(|network| self.networks.get(&network)).flatten());
            }
            What::AnyHost => {}
        }
        found
    }

    fn covers(&self, one: At, other: At) -> bool {
        let (Some((my_rule, mine)), Some((their_rule, theirs))) = (get(&self.rules, one), get(&self.rules, other))
        else {
            return false;
        };
        let subject = if matches!(theirs.what, What::Network(..)) { Subject::Networks } else { Subject::Hosts };
        let sees_addresses = mine.what != What::AnyHost || subject == Subject::Hosts;
        self.is_about_all(&mine.what, &theirs.what)
            && my_rule.scope.covers(&their_rule.scope, subject)
            && (sees_addresses || my_rule.scope.is_any_method_and_path())
    }

    fn is_about_all(&self, mine: &What, theirs: &What) -> bool {
        match (mine, theirs) {
            (What::Host(mine), What::Host(theirs)) => mine.covers(theirs),
            (What::Network(mine, opened), What::Network(theirs, theirs_opened)) => match self.effect {
                Effect::Allow => opened.covers(theirs_opened),
                Effect::Deny => mine.contains(theirs),
            },
            (What::AnyHost, What::AnyHost) => true,
            (What::AnyHost, What::Host(theirs)) => self.effect == Effect::Deny || theirs.is_within_any_host(),
            (What::AnyHost, What::Network(..)) => self.effect == Effect::Deny,
            _ => false,
        }
    }
}

pub(super) fn get<'r, 'd>(rules: &'r [Rule<'d>], (rule, item): At) -> Option<(&'r Rule<'d>, &'r Item)> {
    let rule = rules.get(rule)?;
    Some((rule, rule.items.get(item)?))
}

/// One item of each scope is enough, and the first.
fn remember(rules: &[Rule<'_>], entries: &mut Vec<At>, at: At) {
    let is_like = |other: &At| match (get(rules, *other), get(rules, at)) {
        (Some((one, mine)), Some((other, theirs))) => Rc::ptr_eq(&one.scope, &other.scope) && mine.what == theirs.what,
        _ => false,
    };
    if entries.len() < REMEMBERED && !entries.iter().any(is_like) {
        entries.push(at);
    }
}

fn items(effect: Effect, draft: &RuleDraft) -> Vec<Item> {
    let host = |host: &Text| {
        let any = effect == Effect::Deny && host.text == "*";
        let what = if any { What::AnyHost } else { What::Host(host.text.parse().ok()?) };
        let origin = draft.origin(host).map(|(key, entry)| format!("{} `{}`", key.trim_end_matches('s'), entry.text));
        Some(Item { what, offset: host.offset, origin })
    };
    let network = |network: &Text| {
        let what = What::Network(network.text.parse().ok()?, network.text.parse().ok()?);
        Some(Item { what, offset: network.offset, origin: None })
    };
    let any = draft.any_host.then(|| Item { what: What::AnyHost, offset: place(draft), origin: None });
    let hosts = texts(&draft.hosts).iter().filter_map(host);
    any.into_iter().chain(hosts).chain(texts(&draft.networks).iter().filter_map(network)).collect()
}
