//! Host patterns with values, found by name in a time that does not depend on how many there are.
//!
//! * Exact names stand in one hash table: one lookup.
//! * `*.example.com` stands in a second one under `example.com`: one lookup for each suffix of the name that has as many
//!   labels as some such pattern. A bit mask says which numbers of labels occur.
//! * Patterns with a `*` further in are grouped by *shape*: how many labels, which of them are wild, and how many
//!   characters a wild label fixes in front of and behind its `*`. A name is folded to the shape (`ec2.eu-west-1.x.com`
//!   becomes `ec2.*.x.com`) and looked up once for each shape. Ten thousand buckets are few shapes.
//!
//! Decisions are made with the [index](super::index) that is made of such a map.

use arrayvec::{ArrayString, ArrayVec};
use hashbrown::HashMap;

use super::pattern::{HostPattern, Reach};

/// Host patterns with values, found by name in a time that does not depend on how many there are.
///
/// ```
/// use egress_guard::draft::{HostMap, HostPattern};
///
/// let mut map = HostMap::<Vec<&str>>::default();
/// for pattern in ["*.example.com", "api.*.example.com", "api.example.org"] {
///     map.update(&pattern.parse::<HostPattern>()?, |texts| texts.push(pattern));
/// }
/// let mut found: Vec<&str> = Vec::new();
/// map.visit("api.eu.example.com", |texts| found.extend(texts));
/// assert_eq!(found, ["*.example.com", "api.*.example.com"]);
/// # Ok::<(), egress_guard::PolicyFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostMap<V> {
    pub(super) exact: HashMap<Box<str>, V>,
    pub(super) below: HashMap<Box<str>, V>,
    /// Bit n is set if some key of `below` has n labels; a name of 253 characters has 127 at most.
    pub(super) below_depths: u128,
    pub(super) shapes: Shapes<V>,
}

impl<V> Default for HostMap<V> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new(), below_depths: 0, shapes: Shapes(Vec::new()) }
    }
}

impl<V: Default> HostMap<V> {
    /// Calls `update` with each value that a pattern stands for, new where there was none.
    pub fn update(&mut self, pattern: &HostPattern, mut update: impl FnMut(&mut V)) {
        let (exact, below) = match pattern.reach {
            Reach::Exact => (true, false),
            Reach::Below => (false, true),
            Reach::ApexAndBelow => (true, true),
        };
        for (wanted, is_below) in [(exact, false), (below, true)] {
            if wanted {
                let table = self.table(&pattern.labels, is_below);
                update(table.entry(pattern.labels.clone()).or_default());
            }
        }
    }

    fn table(&mut self, labels: &str, below: bool) -> &mut HashMap<Box<str>, V> {
        if !labels.contains('*') {
            if !below {
                return &mut self.exact;
            }
            self.below_depths |= 1 << depth(labels);
            return &mut self.below;
        }
        self.shapes.table(Shape::of(labels, below))
    }
}

impl<V> HostMap<V> {
    /// Calls `visit` with the value of every pattern that matches a name in normal form.
    pub fn visit<'v>(&'v self, name: &str, mut visit: impl FnMut(&'v V)) {
        if let Some(value) = self.exact.get(name) {
            visit(value);
        }
        for start in suffix_starts(name, self.below_depths) {
            if let Some(value) = name.get(start..).and_then(|suffix| self.below.get(suffix)) {
                visit(value);
            }
        }
        self.shapes.visit(name, visit);
    }

    /// Calls `visit` with the value of every pattern that [covers](HostPattern::covers) another one, and of some that do
    /// not. A value may be visited twice.
    pub fn visit_around<'v>(&'v self, pattern: &HostPattern, visit: impl FnMut(&'v V)) {
        // No name has a `*`: a pattern that matches it as if it were a character matches any label in its place.
        let lead = if pattern.reach == Reach::Below { "*." } else { "" };
        self.visit(&format!("{lead}{}", pattern.labels), visit);
    }
}

/// Where the suffixes of a name begin that have as many labels as some bit of `depths` says, the shortest first.
#[inline]
pub(super) fn suffix_starts(name: &str, depths: u128) -> ArrayVec<usize, 127> {
    let (mut depths, mut starts) = (depths >> 1, ArrayVec::new());
    for (at, byte) in name.bytes().enumerate().rev() {
        if depths == 0 {
            break;
        }
        if byte == b'.' {
            if depths & 1 == 1 {
                // There is room for each bit.
                let _ = starts.try_push(at + 1);
            }
            depths >>= 1;
        }
    }
    starts
}

/// How many labels a name has.
fn depth(labels: &str) -> usize {
    1 + labels.bytes().filter(|byte| *byte == b'.').count()
}

/// The values of patterns with a `*` further in, by shape and by the name folded to it.
#[derive(Clone, Debug)]
pub(super) struct Shapes<V>(Vec<(Shape, HashMap<Box<str>, V>)>);

impl<V> Shapes<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of one shape.
    fn table(&mut self, shape: Shape) -> &mut HashMap<Box<str>, V> {
        let known = self.0.iter().position(|(other, _)| *other == shape);
        let at = known.unwrap_or_else(|| {
            self.0.push((shape, HashMap::new()));
            self.0.len() - 1
        });
        #[allow(clippy::indexing_slicing, reason = "the index was found or made in the statement before")]
        &mut self.0[at].1
    }

    pub(super) fn visit<'v>(&'v self, name: &str, mut visit: impl FnMut(&'v V)) {
        let mut folded = Folded::new();
        for (shape, table) in &self.0 {
            if shape.fold(name, &mut folded)
                && let Some(value) = table.get(folded.as_str())
            {
                visit(value);
            }
        }
    }
}

/// A name as a shape folds it.
type Folded = ArrayString<256>;

/// What patterns with the same hash key layout have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    /// Whether one or more labels must stand in front.
    below: bool,
    labels: Box<[Label]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Literal,
    /// How many characters stand before and behind the `*`.
    Wild {
        before: usize,
        behind: usize,
    },
}

impl Shape {
    fn of(labels: &str, below: bool) -> Self {
        let label = |text: &str| match text.split_once('*') {
            Some((before, behind)) => Label::Wild { before: before.len(), behind: behind.len() },
            None => Label::Literal,
        };
        Self { below, labels: labels.split('.').map(label).collect() }
    }

    /// Writes the key under which a pattern of this shape that matches `name` would stand; false if none can match.
    fn fold(&self, name: &str, key: &mut Folded) -> bool {
        key.clear();
        let Some(skipped) = depth(name).checked_sub(self.labels.len()) else { return false };
        if self.below != (skipped > 0) {
            return false;
        }
        let mut push = |text: &str| key.try_push_str(text).is_ok();
        let mut labels = self.labels.iter().zip(name.split('.').skip(skipped)).enumerate();
        labels.all(|(number, (label, text))| {
            let dot = number == 0 || push(".");
            dot && match label {
                Label::Literal => push(text),
                Label::Wild { before, behind } => {
                    let tail = text.len().checked_sub(*behind).filter(|tail| tail >= before);
                    let parts = tail.and_then(|tail| text.get(..*before).zip(text.get(tail..)));
                    parts.is_some_and(|(head, tail)| push(head) && push("*") && push(tail))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::index::HostIndex;
    use crate::policy::rule::Effect;

    /// What a pattern means, said as simply as possible: label by label.
    fn matches(pattern: &str, name: &str) -> bool {
        let (min_extra, max_extra, rest) = match (pattern.strip_prefix("*."), pattern.strip_prefix('.')) {
            (Some(rest), _) => (1, usize::MAX, rest),
            (None, Some(rest)) => (0, usize::MAX, rest),
            (None, None) => (0, 0, pattern),
        };
        let (pattern, name): (Vec<_>, Vec<_>) = (rest.split('.').collect(), name.split('.').collect());
        let Some(extra) = name.len().checked_sub(pattern.len()) else { return false };
        (min_extra..=max_extra).contains(&extra)
            && pattern.iter().zip(&name[extra..]).all(|(pattern, label)| match pattern.split_once('*') {
                Some((before, behind)) => {
                    label.len() >= before.len() + behind.len() && label.starts_with(before) && label.ends_with(behind)
                }
                None => pattern == label,
            })
    }

    fn label() -> impl Strategy<Value = String> {
        "[ab]{1,3}"
    }

    fn name() -> impl Strategy<Value = String> {
        prop::collection::vec(label(), 1..6).prop_map(|labels| labels.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let label = prop_oneof![3 => label(), 1 => Just("*".to_owned()), 1 => "[ab]{0,2}\\*[ab]{0,2}"];
        let lead = prop_oneof![Just(""), Just("*."), Just(".")];
        (lead, prop::collection::vec(label, 0..4), "[ab]{1,2}\\.[ab]{1,2}").prop_map(|(lead, labels, end)| {
            labels.iter().map(|label| format!("{label}.")).fold(lead.to_owned(), |all, label| all + &label) + &end
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_walk_over_all_patterns_finds(
            patterns in prop::collection::vec(pattern(), 0..20),
            names in prop::collection::vec(name(), 1..20),
        ) {
            let mut map = HostMap::<Vec<usize>>::default();
            for (number, pattern) in patterns.iter().enumerate() {
                map.update(&HostPattern::parse(pattern, Effect::Allow).unwrap(), |numbers| numbers.push(number));
            }
            let index = HostIndex::from(map.clone());
            let map_again = index.to_map();
            let listed = patterns.iter().filter(|pattern| !pattern.contains('*') && !pattern.starts_with('.'));
            for name in listed.chain(&names) {
                let walked: Vec<usize> =
                    (0..patterns.len()).filter(|number| matches(&patterns[*number], name)).collect();
                let (mut in_map, mut in_index, mut in_map_again): (Vec<usize>, Vec<usize>, Vec<usize>) = Default::default();
                map.visit(name, |numbers| in_map.extend(numbers));
                index.visit(name, |numbers| in_index.extend(numbers));
                map_again.visit(name, |numbers| in_map_again.extend(numbers));
                for mut found in [in_map, in_index, in_map_again] {
                    found.sort_unstable();
                    prop_assert_eq!(&found, &walked, "{} in {:?}", name, patterns);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_every_pattern_that_covers_another(patterns in prop::collection::vec(pattern(), 1..20)) {
            let patterns: Vec<_> =
                patterns.iter().map(|text| HostPattern::parse(text, Effect::Allow).unwrap()).collect();
            let mut index = HostMap::<Vec<usize>>::default();
            for (number, pattern) in patterns.iter().enumerate() {
                index.update(pattern, |numbers| numbers.push(number));
            }
            for pattern in &patterns {
                let mut found = Vec::new();
                index.visit_around(pattern, |numbers| found.extend(numbers));
                for (number, other) in patterns.iter().enumerate() {
                    prop_assert!(!other.covers(pattern) || found.contains(&number), "{other} covers {pattern}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_pattern_that_covers_another_matches_all_its_names(
            one in pattern(), other in pattern(), names in prop::collection::vec(name(), 1..60),
        ) {
            let parse = |text: &str| HostPattern::parse(text, Effect::Allow).unwrap();
            let covers = parse(&one).covers(&parse(&other));
            let stray = names.iter().find(|name| matches(&other, name) && !matches(&one, name));
            prop_assert!(!(covers && stray.is_some()), "{one} covers {other}, but not {stray:?}");
        }
    }

    #[test]
    fn which_patterns_cover_which() {
        let cases = [
            ("a.example.com", "a.example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "*.b.example.com", true),
            ("*.example.com", ".b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            (".example.com", "*.example.com", true),
            (".*.example.com", "*.example.com", true),
            ("*.*.example.com", "*.example.com", false),
            ("ec2.*.amazonaws.com", "ec2.eu-west-1.amazonaws.com", true),
            ("ec2.*.amazonaws.com", "*.amazonaws.com", false),
            ("b-*.s3.amazonaws.com", "b-x-*.s3.amazonaws.com", true),
            ("b-x-*.s3.amazonaws.com", "b-*.s3.amazonaws.com", false),
            ("a*a.example.com", "a.example.com", false),
            ("a.example.com", "*.example.com", false),
        ];
        for (one, other, expected) in cases {
            let parse = |text: &str| HostPattern::parse(text, Effect::Allow).unwrap();
            assert_eq!(parse(one).covers(&parse(other)), expected, "{one} covers {other}");
        }
    }

    #[test]
    fn names_of_any_shape_are_looked_up_without_a_panic() {
        let mut index = HostMap::<()>::default();
        for pattern in ["*.example.com", "a-*-b.example.com", "*.x.*.example.com"] {
            index.update(&HostPattern::parse(pattern, Effect::Allow).unwrap(), |()| ());
        }
        for name in ["", ".", "..", "a-b.example.com", "\u{e9}.example.com", &".".repeat(300)] {
            index.visit(name, |()| ());
        }
    }
}
