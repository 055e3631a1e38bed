//! The environments, and the numbers of their lines.

use std::collections::HashMap;

use super::numbers::Numbers;
use super::table::cut;

/// As many as are followed; those of a busy month.
const MOST: usize = 1 << 18;
/// As many runs of numbers are kept beside the one that each environment has; some 60 MB.
const MOST_RUNS: usize = 1 << 20;
/// As many functions as environments are known of.
const MOST_FUNCTIONS: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Environments {
    known: HashMap<u64, Environment>,
    functions: HashMap<Box<str>, u32>,
    /// What the numbers of all take of their room.
    runs: usize,
    were_too_many: bool,
}

#[derive(Debug)]
struct Environment {
    /// Nothing, if there was no room for them.
    numbers: Option<Numbers>,
    function: Option<u32>,
    is_selected: bool,
    is_quarantined: bool,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number {
    pub(super) environments: u64,
    pub(super) quarantined: u64,
}

/// What the numbers of the lines tell.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    pub(super) lost: u64,
    pub(super) environments: u64,
    pub(super) repeated: u64,
}

impl Environments {
    /// Takes note of a line, whether it is selected or not.
    pub(super) fn read(&mut self, id: u64, seq: u64) {
        if let Some(known) = self.known.get_mut(&id) {
            let Some(numbers) = &mut known.numbers else { return };
            self.runs -= numbers.room();
            numbers.insert(seq);
            if numbers.is_incomplete() || self.runs + numbers.room() > MOST_RUNS {
                known.numbers = None;
                self.were_too_many = true;
            } else {
                self.runs += numbers.room();
            }
        } else if self.known.len() < MOST {
            let numbers = Some(Numbers::of(seq));
            let new = Environment { numbers, function: None, is_selected: false, is_quarantined: false };
            self.known.insert(id, new);
        } else {
            self.were_too_many = true;
        }
    }

    /// Takes note that a line of it is selected.
    pub(super) fn select(&mut self, id: u64, function: Option<&str>, is_quarantined: bool) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.is_selected = true;
        known.is_quarantined |= is_quarantined;
        if let (None, Some(function)) = (known.function, function.map(cut)) {
            known.function = self.functions.get(function).copied().or_else(|| {
                let number =
                    u32::try_from(self.functions.len()).ok().filter(|_| self.functions.len() < MOST_FUNCTIONS)?;
                self.functions.insert(function.into(), number);
                Some(number)
            });
        }
    }

    pub(super) fn is_exact(&self) -> bool {
        !self.were_too_many
    }

    pub(super) fn gaps(&self) -> Gaps {
        let mut gaps = Gaps::default();
        for numbers in self.known.values().filter_map(|known| known.numbers.as_ref()) {
            let lost = numbers.lost();
            gaps.lost = gaps.lost.saturating_add(lost);
            gaps.environments += u64::from(lost > 0);
            gaps.repeated = gaps.repeated.saturating_add(numbers.repeated);
        }
        gaps
    }

    /// The selected ones in all, and by their functions.
    pub(super) fn numbers(&self) -> (Number, HashMap<&str, Number>) {
        let mut all = Number::default();
        let mut of: HashMap<u32, Number> = HashMap::new();
        for known in self.known.values().filter(|known| known.is_selected) {
            let function = known.function.map(|function| of.entry(function).or_default());
            for number in function.into_iter().chain([&mut all]) {
                number.environments += 1;
                number.quarantined += u64::from(known.is_quarantined);
            }
        }
        let number = |number: &u32| of.get(number).copied().unwrap_or_default();
        (all, self.functions.iter().map(|(name, function)| (&**name, number(function))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_without_end_fill_no_memory_and_hide_no_others() {
        let mut environments = Environments::default();
        [1, 2, 5, 5].iter().for_each(|seq| environments.read(0, *seq));
        assert!(environments.is_exact());
        // More gaps than one may have, then more than all may.
        (0..70_000).for_each(|seq| environments.read(1, seq * 2));
        assert!(!environments.is_exact() && environments.runs <= 11);
        (2..120_000).for_each(|id| [1, 3].iter().for_each(|seq| environments.read(id, *seq)));
        assert!((MOST_RUNS - 11..=MOST_RUNS).contains(&environments.runs), "{}", environments.runs);
        let Gaps { lost, environments, repeated } = environments.gaps();
        assert_eq!((lost, environments, repeated), (2 + 95_324, 95_325, 1));
    }
}
