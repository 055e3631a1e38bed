//! Which rules share connections.
//!
//! Clients keep connections by host and port. Where rules for one host open different addresses, a request is denied
//! that might travel over another rule's connection: there a rule is never useless, because removing it removes the
//! conflict too.

use std::collections::{HashMap, HashSet};

use egress_guard::draft::HostPattern;

use super::list::{Item, What};
use super::scope::Connections;

/// The connections of the rules of a policy, by the ends of the names that they are for.
#[derive(Debug, Default)]
pub(super) struct Sharing<'d> {
    all: HashSet<Connections<'d>>,
    any_host: HashSet<Connections<'d>>,
    /// Those of patterns with exactly this end.
    ends: HashMap<String, HashSet<Connections<'d>>>,
    /// Those of patterns whose end is longer than this label.
    below: HashMap<String, HashSet<Connections<'d>>>,
}

impl<'d> Sharing<'d> {
    pub(super) fn new<'r>(rules: impl Iterator<Item = (&'r Connections<'d>, &'r [Item])>) -> Self
    where
        'd: 'r,
    {
        let mut sharing = Self::default();
        for (connections, items) in rules {
            for Item { what, .. } in items {
                match what {
                    What::Host(pattern) => {
                        let (top, end) = end(pattern);
                        insert(&mut sharing.ends, end, connections);
                        if end != top {
                            insert(&mut sharing.below, top, connections);
                        }
                    }
                    What::AnyHost => {
                        remember(&mut sharing.any_host, connections);
                    }
                    // Addresses do not share: none is ever resolved to another.
                    What::Network(..) => continue,
                }
                remember(&mut sharing.all, connections);
            }
        }
        sharing
    }

    /// Whether every rule for names that an item could match uses these connections.
    pub(super) fn is_undisturbed(&self, what: &What, connections: &Connections<'_>) -> bool {
        let alone =
            |set: Option<&HashSet<Connections<'d>>>| set.is_none_or(|set| set.iter().all(|other| other == connections));
        match what {
            What::Network(..) => true,
            What::AnyHost => alone(Some(&self.all)),
            What::Host(pattern) => {
                let (top, end) = end(pattern);
                let below = if end == top { self.below.get(top) } else { self.ends.get(top) };
                alone(Some(&self.any_host)) && alone(self.ends.get(end)) && alone(below)
            }
        }
    }
}

/// The last label of a pattern's names, and the last two where both are written out: names with different ends differ.
fn end(pattern: &HostPattern) -> (&str, &str) {
    let labels = pattern.labels();
    let mut dots = labels.rmatch_indices('.').map(|(at, _)| at + 1);
    let from = |at: usize| labels.get(at..).unwrap_or_default();
    let Some(last) = dots.next() else { return (labels, labels) };
    let two = from(dots.next().unwrap_or(0));
    (from(last), if two.contains('*') { from(last) } else { two })
}

fn insert<'d>(map: &mut HashMap<String, HashSet<Connections<'d>>>, end: &str, connections: &Connections<'d>) {
    match map.get_mut(end) {
        Some(set) => remember(set, connections),
        None => {
            map.insert(end.to_owned(), HashSet::from([connections.clone()]));
        }
    }
}

fn remember<'d>(set: &mut HashSet<Connections<'d>>, connections: &Connections<'d>) {
    if !set.contains(connections) {
        set.insert(connections.clone());
    }
}
