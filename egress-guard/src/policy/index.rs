//! Which values of host patterns a name stands under: one probe for a name that is listed.
//!
//! * Exact names stand in one hash table, and what `*.example.com` says in a second one, under the suffix `example.com`.
//! * Every name and suffix knows the nearest suffix above it. So of all that stands around a name only the first is
//!   looked up, and the rest is a walk along links that were made when the policy was compiled.
//! * A name that is not listed is looked up by its suffixes, the longest first, until one is listed. A bit mask says
//!   which numbers of labels occur, and other suffixes are not looked up.
//! * Patterns with a `*` further in stand under their [shapes](super::hosts), which no link leads to: each is tried.
//!
//! The hash function is a fast one. Whoever writes the policy writes all keys, and a name that is looked up adds none, so
//! nobody can fill a bucket.

use hashbrown::HashMap;

use super::hosts::{HostMap, Shapes, suffix_starts};

/// A [`HostMap`] that no longer changes.
#[derive(Clone, Debug)]
pub(super) struct HostIndex<V> {
    names: HashMap<Box<str>, Linked<V>>,
    suffix_numbers: HashMap<Box<str>, u32>,
    /// Bit n is set if some suffix has n labels; a name of 253 characters has 127 at most.
    depths: u128,
    suffixes: Vec<Linked<V>>,
    shapes: Shapes<V>,
}

#[derive(Clone, Debug)]
struct Linked<V> {
    value: V,
    /// The number of the nearest suffix above, or [`NONE`].
    above: u32,
}

/// No suffix has this number.
const NONE: u32 = u32::MAX;

impl<V> Default for HostIndex<V> {
    fn default() -> Self {
        Self::from(HostMap::default())
    }
}

impl<V> From<HostMap<V>> for HostIndex<V> {
    fn from(HostMap { exact, below, below_depths, shapes }: HostMap<V>) -> Self {
        let mut index = Self {
            names: HashMap::with_capacity(exact.len()),
            suffix_numbers: HashMap::with_capacity(below.len()),
            depths: below_depths,
            suffixes: Vec::with_capacity(below.len()),
            shapes,
        };
        for (number, (suffix, value)) in (0..NONE).zip(below) {
            index.suffix_numbers.insert(suffix, number);
            index.suffixes.push(Linked { value, above: NONE });
        }
        for (suffix, number) in &index.suffix_numbers {
            let above = index.nearest_suffix(suffix);
            if let Some(linked) = index.suffixes.get_mut(*number as usize) {
                linked.above = above;
            }
        }
        for (name, value) in exact {
            let above = index.nearest_suffix(&name);
            index.names.insert(name, Linked { value, above });
        }
        index
    }
}

impl<V> HostIndex<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.suffixes.is_empty() && self.shapes.is_empty()
    }

    /// Calls `visit` with the value of every pattern that matches a name in normal form.
    pub(super) fn visit<'v>(&'v self, name: &str, mut visit: impl FnMut(&'v V)) {
        let mut above = match self.names.get(name) {
            Some(Linked { value, above }) => {
                visit(value);
                *above
            }
            None => self.nearest_suffix(name),
        };
        while let Some(suffix) = self.suffixes.get(above as usize) {
            visit(&suffix.value);
            above = suffix.above;
        }
        if !self.shapes.is_empty() {
            self.shapes.visit(name, visit);
        }
    }

    /// The number of the longest listed suffix with fewer labels than the name.
    fn nearest_suffix(&self, name: &str) -> u32 {
        let starts = suffix_starts(name, self.depths);
        let suffixes = starts.iter().rev().filter_map(|start| name.get(*start..));
        suffixes.filter_map(|suffix| self.suffix_numbers.get(suffix)).next().copied().unwrap_or(NONE)
    }
}

impl<V: Clone> HostIndex<V> {
    /// The map that the index was made of.
    pub(super) fn to_map(&self) -> HostMap<V> {
        let value = |number: &u32| self.suffixes.get(*number as usize).map(|suffix| suffix.value.clone());
        let below = self.suffix_numbers.iter();
        HostMap {
            exact: self.names.iter().map(|(name, linked)| (name.clone(), linked.value.clone())).collect(),
            below: below.filter_map(|(suffix, number)| Some((suffix.clone(), value(number)?))).collect(),
            below_depths: self.depths,
            shapes: self.shapes.clone(),
        }
    }
}
