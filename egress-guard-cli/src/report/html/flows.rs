//! Who talked to whom: functions on the left, destinations on the right, and between them ribbons.

use std::collections::{BTreeMap, HashMap};

use super::ribbons::{Ribbon, ribbons};
use super::words::{function, place};
use crate::report::model::{Counts, Destination, Report};

const MOST_FUNCTIONS: usize = 8;
const MOST_DESTINATIONS: usize = 12;
/// The height of a name, with its figures; the style sheet has the same.
const PITCH: f64 = 46.0;

pub(super) struct Flows<'a> {
    pub(super) functions: Vec<Node<'a>>,
    pub(super) destinations: Vec<Node<'a>>,
    pub(super) ribbons: Vec<Ribbon>,
    pub(super) links: Vec<Link>,
    pub(super) height: f64,
}

pub(super) struct Node<'a> {
    pub(super) name: String,
    pub(super) boundary: Option<&'a str>,
    pub(super) weight: Weight,
    /// Its row in the table, if it is there.
    pub(super) anchor: Option<String>,
    /// The middle.
    pub(super) y: f64,
}

/// What went along a link, each number shown in a colour of its own.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) allowed: u64,
    pub(super) would_deny: u64,
    pub(super) denied: u64,
}

/// Between a function and a destination, by their places.
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) weight: Weight,
}

impl Weight {
    fn of(counts: &Counts) -> Self {
        // An ordinary client is seen by its connections alone.
        let allowed = counts.requests.max(counts.connections).saturating_sub(counts.would_deny);
        Self { allowed, would_deny: counts.would_deny, denied: counts.denied }
    }

    fn add(&mut self, other: Self) {
        self.allowed = self.allowed.saturating_add(other.allowed);
        self.would_deny = self.would_deny.saturating_add(other.would_deny);
        self.denied = self.denied.saturating_add(other.denied);
    }

    fn all(self) -> u64 {
        self.allowed.saturating_add(self.would_deny).saturating_add(self.denied)
    }

    fn stopped(self) -> u64 {
        self.would_deny.saturating_add(self.denied)
    }
}

type Place<'a> = (Option<&'a str>, Option<u16>, Option<&'a str>);

fn place_of(row: &Destination) -> Place<'_> {
    (row.host.as_deref(), row.port, row.boundary.as_deref())
}

impl<'a> Flows<'a> {
    pub(super) fn of(report: &'a Report, top: usize) -> Self {
        let rows = &report.destinations.rows;
        let functions =
            chosen(rows.iter().map(|row| (row.function.as_deref(), Weight::of(&row.counts))), MOST_FUNCTIONS);
        let mut places = chosen(rows.iter().map(|row| (place_of(row), Weight::of(&row.counts))), MOST_DESTINATIONS);
        sort_places(&mut places, &functions, rows);
        let at = |place: Option<usize>, all: usize| place.unwrap_or(all);
        let mut links: BTreeMap<(usize, usize), Weight> = BTreeMap::new();
        let mut add = |from, to, weight| links.entry((from, to)).or_default().add(weight);
        for row in rows {
            let from = functions.iter().position(|name| *name == row.function.as_deref());
            let to = places.iter().position(|place| *place == place_of(row));
            add(at(from, functions.len()), at(to, places.len()), Weight::of(&row.counts));
        }
        if let Some(others) = &report.destinations.others {
            add(functions.len(), places.len(), Weight::of(&others.sum.counts));
        }
        let links = links.into_iter().filter(|(_, weight)| weight.all() > 0);
        let links: Vec<Link> = links.map(|((from, to), weight)| Link { from, to, weight }).collect();
        Self::drawn(report, top, &functions, &places, links)
    }

    fn drawn(
        report: &'a Report,
        top: usize,
        functions: &[Option<&'a str>],
        places: &[Place<'a>],
        links: Vec<Link>,
    ) -> Self {
        let weight = |pick: &dyn Fn(&Link) -> bool| {
            links.iter().filter(|link| pick(link)).fold(Weight::default(), |mut sum, link| {
                sum.add(link.weight);
                sum
            })
        };
        let row = |number: Option<usize>, id: &str| number.filter(|n| *n < top).map(|n| format!("{id}-{}", n + 1));
        let mut left: Vec<Node<'_>> = functions
            .iter()
            .enumerate()
            .map(|(n, name)| Node {
                name: function(*name).to_owned(),
                boundary: None,
                weight: weight(&|link| link.from == n),
                anchor: row(report.functions.rows.iter().position(|row| row.name.as_deref() == *name), "functions"),
                y: 0.0,
            })
            .collect();
        let mut right: Vec<Node<'_>> = places
            .iter()
            .enumerate()
            .map(|(n, key)| Node {
                name: place(key.0, key.1),
                boundary: key.2,
                weight: weight(&|link| link.to == n),
                anchor: row(report.destinations.rows.iter().position(|row| place_of(row) == *key), "destinations"),
                y: 0.0,
            })
            .collect();
        let others = |weight: Weight| Node { name: "others".into(), boundary: None, weight, anchor: None, y: 0.0 };
        for (nodes, rest) in [
            (&mut left, weight(&|link| link.from == functions.len())),
            (&mut right, weight(&|link| link.to == places.len())),
        ] {
            if rest.all() > 0 {
                nodes.push(others(rest));
            }
        }
        let height = left.len().max(right.len()) as f64 * PITCH;
        for nodes in [&mut left, &mut right] {
            let above = (height - nodes.len() as f64 * PITCH) / 2.0;
            for (n, node) in nodes.iter_mut().enumerate() {
                node.y = above + (n as f64 + 0.5) * PITCH;
            }
        }
        let ribbons = ribbons(&links, &left, &right);
        Self { functions: left, destinations: right, ribbons, links, height }
    }
}

/// The names that are shown: half for what was or would be denied, the others for what there was most of.
fn chosen<K: Copy + Eq + std::hash::Hash + Ord>(weights: impl Iterator<Item = (K, Weight)>, most: usize) -> Vec<K> {
    let mut sums: HashMap<K, Weight> = HashMap::new();
    weights.for_each(|(key, weight)| sums.entry(key).or_default().add(weight));
    let mut all: Vec<(K, Weight)> = sums.into_iter().collect();
    all.sort_by(|(key, weight), (other_key, other)| other.stopped().cmp(&weight.stopped()).then(key.cmp(other_key)));
    let stopped = all.iter().take(most / 2).filter(|(_, weight)| weight.stopped() > 0).count();
    let (first, rest) = all.split_at_mut(stopped);
    rest.sort_by(|(key, weight), (other_key, other)| other.all().cmp(&weight.all()).then(key.cmp(other_key)));
    let mut chosen: Vec<_> = first.iter().chain(rest.iter()).take(most).copied().collect();
    chosen.sort_by(|(key, weight), (other_key, other)| other.all().cmp(&weight.all()).then(key.cmp(other_key)));
    chosen.into_iter().map(|(key, _)| key).collect()
}

/// What is outside first; within that near to who talks to it, so that ribbons cross little.
fn sort_places(places: &mut [Place<'_>], functions: &[Option<&str>], rows: &[Destination]) {
    places.sort_by_cached_key(|place| {
        let (mut weight, mut sum) = (0.0, 0.0);
        for row in rows.iter().filter(|row| place_of(row) == *place) {
            let from = functions.iter().position(|name| *name == row.function.as_deref()).unwrap_or(functions.len());
            let thickness = (Weight::of(&row.counts).all() as f64).sqrt();
            weight += thickness;
            sum += thickness * from as f64;
        }
        (place.2 == Some("internal"), (sum / f64::max(weight, 1.0) * 1000.0) as u64)
    });
}
