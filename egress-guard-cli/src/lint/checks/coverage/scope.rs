//! What a rule says of a request beside its hosts and networks, so that rules can be compared.

use std::collections::BTreeSet;

use egress_guard::Effect;
use egress_guard::draft::{RuleDraft, Text};
use jiff::civil::Date;

use super::super::super::finding::texts;
use super::super::super::ports::{self, Ports};

/// The other dimensions of a rule. Absent ones are any.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope<'d> {
    effect: Effect,
    /// Of an allow rule never absent.
    schemes: Option<BTreeSet<&'d str>>,
    /// Of an allow rule, absent ones are each scheme's own.
    ports: Option<Ports>,
    methods: Option<BTreeSet<&'d str>>,
    /// Patterns, which are only compared as texts.
    paths: Option<BTreeSet<&'d str>>,
    pub(super) connections: Connections<'d>,
    /// The day from which an allow rule allows nothing, or a deny rule denies instead of reporting; absent, never.
    turns: Option<Date>,
}

/// Which connections an allow rule may use. Rules that share hosts and differ in this disturb each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Connections<'d> {
    addresses: BTreeSet<&'d str>,
    boundary: Option<&'d str>,
}

impl<'d> Scope<'d> {
    pub(super) fn new(effect: Effect, rule: &'d RuleDraft) -> Self {
        let default = |text: &'static str| Some(BTreeSet::from([text]));
        let expires = rule.expires.as_ref().and_then(|day| day.text.parse().ok());
        let schemes = set(&rule.schemes);
        let only_reports = rule.mode.as_ref().is_some_and(|mode| mode.text == "report-only");
        let (schemes, turns) = match effect {
            Effect::Allow => (schemes.or_else(|| default("https")), expires),
            Effect::Deny if only_reports => (schemes, expires),
            Effect::Deny => (schemes, Some(Date::MIN)),
        };
        let ports = rule.ports.as_ref().map(|list| Ports::of(list.iter().filter_map(|port| ports::parse(&port.text))));
        let connections = Connections {
            addresses: set(&rule.addresses).or_else(|| default("public")).unwrap_or_default(),
            boundary: rule.boundary.as_ref().map(|boundary| boundary.text.as_str()),
        };
        Self { effect, schemes, ports, methods: set(&rule.methods), paths: set(&rule.paths), connections, turns }
    }

    /// How much it leaves open: the fewer dimensions it states, the more it can cover.
    pub(super) fn stated(&self) -> usize {
        let Self { schemes, ports, methods, paths, .. } = self;
        [schemes.is_some(), ports.is_some(), methods.is_some(), paths.is_some()]
            .iter()
            .filter(|stated| **stated)
            .count()
    }

    /// Whether it says nothing at all of a request, so that a deny rule denies whatever it is about.
    pub(super) fn is_unconditional(&self) -> bool {
        self.stated() == 0 && self.connections.boundary.is_none() && self.turns == Some(Date::MIN)
    }

    /// Whether a rule, as far as its hosts or networks reach, does to every request what one with the other scope does,
    /// on every day.
    ///
    /// Part of a request may be unknown: what a deny rule states does not match what is not known, so even a list of
    /// everything covers less than an absent one.
    pub(super) fn covers(&self, other: &Self, subject: Subject) -> bool {
        self == other
            || contains_all(&self.methods, &other.methods)
                && contains_all(&self.paths, &other.paths)
                && match self.effect {
                    Effect::Allow => self.allows_all_of(other, subject),
                    Effect::Deny => self.denies_all_of(other),
                }
    }

    fn allows_all_of(&self, other: &Self, subject: Subject) -> bool {
        let schemes = [("http", 80), ("https", 443)];
        let serves = schemes.into_iter().all(|scheme| match (self.ports_for(scheme), other.ports_for(scheme)) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.contains_all(&theirs),
        });
        let connects = match subject {
            // `Sharing` has made sure that they are the same.
            Subject::Hosts => true,
            Subject::Networks => [None, other.connections.boundary].contains(&self.connections.boundary),
        };
        let lasts = self.turns.is_none() || self.turns >= other.turns && other.turns.is_some();
        serves && connects && lasts
    }

    /// The ports that an allow rule allows for a scheme, given with its own port.
    fn ports_for(&self, (scheme, own): (&str, u16)) -> Option<Ports> {
        let is_listed = self.schemes.as_ref().is_some_and(|schemes| schemes.contains(scheme));
        is_listed.then(|| self.ports.clone().unwrap_or_else(|| Ports::of([own..=own])))
    }

    fn denies_all_of(&self, other: &Self) -> bool {
        let ports = match (&self.ports, &other.ports) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => mine.contains_all(theirs),
        };
        // A rule about one side of the boundary denies a connection before its method and path are known.
        let boundary = self.connections.boundary == other.connections.boundary
            || self.connections.boundary.is_none() && self.methods.is_none() && self.paths.is_none();
        let enforces = other.turns.is_none() || self.turns.is_some() && self.turns <= other.turns;
        contains_all(&self.schemes, &other.schemes) && ports && boundary && enforces
    }

    /// Whether a deny rule for any host denies what another one denies for networks: their addresses are denied before
    /// method and path are known, any host is not.
    pub(super) fn is_any_method_and_path(&self) -> bool {
        self.methods.is_none() && self.paths.is_none()
    }
}

/// What of two rules is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Hosts,
    Networks,
}

fn set(list: &Option<Vec<Text>>) -> Option<BTreeSet<&str>> {
    list.is_some().then(|| texts(list).iter().map(|text| text.text.as_str()).collect())
}

fn contains_all(mine: &Option<BTreeSet<&str>>, theirs: &Option<BTreeSet<&str>>) -> bool {
    match (mine, theirs) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mine), Some(theirs)) => mine.is_superset(theirs),
    }
}
