//! Which numbers the lines of an environment have.

use crate::places::{At, Places, Run};

/// The numbers that were read, as runs: one as long as nothing is missing, which takes no room of its own.
#[derive(Debug)]
pub(super) struct Numbers {
    /// The run to which the last line belongs.
    first: u64,
    last: u64,
    /// All others.
    others: Option<Box<Places>>,
    /// Lines with a number that another had before.
    pub(super) repeated: u64,
}

impl Numbers {
    pub(super) fn of(number: u64) -> Self {
        Self { first: number, last: number, others: None, repeated: 0 }
    }

    /// How much room the other runs take, in runs.
    pub(super) fn room(&self) -> usize {
        // A map has room for eleven at once.
        self.others.as_ref().map_or(0, |others| others.len().max(11))
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.others.as_ref().is_some_and(|others| others.is_incomplete)
    }

    pub(super) fn insert(&mut self, number: u64) {
        let is_known = (self.first..=self.last).contains(&number)
            || self.others.as_ref().is_some_and(|others| others.contains(number));
        if is_known {
            self.repeated = self.repeated.saturating_add(1);
        } else if self.last.checked_add(1) == Some(number) {
            self.last = number;
            self.join();
        } else if number.checked_add(1) == Some(self.first) {
            self.first = number;
            self.join();
        } else {
            self.others.get_or_insert_default().cover(run(self.first, self.last));
            (self.first, self.last) = (number, number);
            self.join();
        }
    }

    /// Makes one run of two, if those are all.
    fn join(&mut self) {
        let Some(others) = self.others.as_deref().filter(|others| others.len() == 1) else { return };
        let Some(other) = others.runs().next() else { return };
        let is_next = |low: u64, high: u64| low.checked_add(1) == Some(high);
        if is_next(other.last, self.first) || is_next(self.last, other.first) {
            (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
            self.others = None;
        }
    }

    /// How many are missing between the first and the last.
    pub(super) fn lost(&self) -> u64 {
        let runs = || self.others.iter().flat_map(|others| others.runs()).chain([run(self.first, self.last)]);
        let first = runs().map(|run| run.first).min().unwrap_or_default();
        let last = runs().map(|run| run.last).max().unwrap_or_default();
        // No log has so many lines that the sum is too great, and each run is a part of what is between.
        let there: u64 = runs().map(|run| run.last - run.first).sum();
        (last - first).saturating_sub(there).saturating_sub(runs().count() as u64 - 1)
    }
}

fn run(first: u64, last: u64) -> Run {
    Run { first, last, first_at: At::default(), last_at: At::default() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[u64]) -> Numbers {
        let mut of = Numbers::of(numbers[0]);
        numbers[1..].iter().for_each(|number| of.insert(*number));
        of
    }

    proptest! {
        #[test]
        fn lost_and_repeated_are_exact_in_whatever_order_lines_come(numbers in prop::collection::vec(0..40_u64, 1..80)) {
            let there: BTreeSet<u64> = numbers.iter().copied().collect();
            let missing = (there.first().unwrap() + 1..*there.last().unwrap()).filter(|number| !there.contains(number));
            let of = of(&numbers);
            prop_assert_eq!((of.lost(), of.repeated), (missing.count() as u64, (numbers.len() - there.len()) as u64));
        }
    }

    #[test]
    fn what_is_whole_takes_no_room() {
        for numbers in [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [2, 1, 3, 4, 5], [1, 3, 2, 4, 5], [1, 2, 4, 5, 3]] {
            assert_eq!((of(&numbers).room(), of(&numbers).lost()), (0, 0), "{numbers:?}");
        }
        let ends = of(&[u64::MAX, 0, u64::MAX - 1, 1]);
        assert_eq!((ends.lost(), ends.repeated), (u64::MAX - 3, 0));
    }
}
