//! Which numbers of a row there are.

use std::collections::BTreeMap;

/// Where a line stands: the number of its file, and its own within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) number: u64,
}

/// A set of numbers, kept as runs: what is whole takes no room, in whatever order it comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// By their first number.
    runs: BTreeMap<u64, Run>,
    /// Whether there were so many runs that numbers had to be left out.
    pub(super) is_incomplete: bool,
}

/// Numbers without a gap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) first_at: At,
    pub(super) last_at: At,
}

impl Run {
    /// Both, which overlap or follow on one another.
    fn with(self, other: Self) -> Self {
        let (first, first_at) = (self.first, self.first_at).min((other.first, other.first_at));
        let (last, last_at) = (self.last, self.last_at).max((other.last, other.last_at));
        Self { first, last, first_at, last_at }
    }
}

impl Places {
    /// Adds a number; false if it is there already.
    pub(super) fn insert(&mut self, number: u64, at: At) -> bool {
        let is_new = !self.contains(number);
        if is_new {
            self.cover(Run { first: number, last: number, first_at: at, last_at: at });
        }
        is_new
    }

    /// Adds all numbers of a run.
    pub(super) fn cover(&mut self, run: Run) {
        let mut whole = run;
        let before = self.runs.range(..run.first).next_back().map(|(_, run)| *run);
        if let Some(before) = before.filter(|before| before.last.saturating_add(1) >= run.first) {
            self.runs.remove(&before.first);
            whole = whole.with(before);
        }
        while let Some(after) = self.runs.range(run.first..).next().map(|(_, run)| *run)
            && after.first <= whole.last.saturating_add(1)
        {
            self.runs.remove(&after.first);
            whole = whole.with(after);
        }
        if self.runs.len() >= MOST_RUNS {
            self.is_incomplete = true;
        } else {
            self.runs.insert(whole.first, whole);
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, run)| run.last >= number)
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        self.runs.values().copied()
    }

    /// How many runs there are.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, run)| run.last)
    }

    /// What is missing of all from 1 to the last; each gap stands where the run behind it begins.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Run> {
        let mut next = 1;
        self.runs().filter_map(move |run| {
            let (first, at) = (next, run.first_at);
            next = run.last.saturating_add(1);
            (first < run.first).then(|| Run { first, last: run.first - 1, first_at: at, last_at: at })
        })
    }
}

/// A chain with more is no longer whole in any sense; this many take about 5 MB.
pub(super) const MOST_RUNS: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn at(number: u64) -> At {
        At { file: 0, number }
    }

    proptest! {
        #[test]
        fn runs_are_the_numbers_in_whatever_order_they_come(
            numbers in prop::collection::vec(1..40_u64, 0..60),
            run in (1..40_u64, 0..10_u64),
        ) {
            let (mut places, mut expected) = (Places::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(places.insert(number, at(number)), expected.insert(number));
            }
            let (first, last) = (run.0, run.0 + run.1);
            places.cover(Run { first, last, first_at: at(first), last_at: at(last) });
            expected.extend(first..=last);
            for number in 0..60 {
                prop_assert_eq!(places.contains(number), expected.contains(&number), "{}", number);
            }
            let missing: Vec<u64> = places.gaps().flat_map(|gap| gap.first..=gap.last).collect();
            let last = expected.last().copied().unwrap_or(0);
            prop_assert_eq!(missing, (1..last).filter(|number| !expected.contains(number)).collect::<Vec<_>>());
            for run in places.runs() {
                prop_assert_eq!((run.first_at.number, run.last_at.number), (run.first, run.last));
            }
        }
    }

    #[test]
    fn so_many_runs_as_no_log_has_take_no_more_room() {
        let mut places = Places::default();
        for number in 0..MOST_RUNS as u64 + 10 {
            places.insert(1 + 2 * number, at(number));
        }
        assert!(places.is_incomplete);
        assert_eq!(places.runs().count(), MOST_RUNS);
    }
}
