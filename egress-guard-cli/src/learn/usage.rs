//! How often something was seen, when, and by which functions.

use std::collections::BTreeSet;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(super) use crate::output::{counted, with_commas};

/// More names are counted and not kept: they are for a comment.
const NAMED: usize = 5;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) count: u64,
    period: Option<(Timestamp, Timestamp)>,
    functions: BTreeSet<Rc<str>>,
    /// Whether there are functions beyond those.
    more_functions: bool,
}

impl Usage {
    pub(super) fn add(&mut self, at: Timestamp, function: Option<&Rc<str>>) {
        let once = Self { count: 1, period: Some((at, at)), ..Self::default() };
        self.merge(&once);
        if let Some(function) = function {
            self.name(function);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.period = match (self.period, other.period) {
            (Some((first, last)), Some((earliest, latest))) => Some((first.min(earliest), last.max(latest))),
            (one, another) => one.or(another),
        };
        self.more_functions |= other.more_functions;
        other.functions.iter().for_each(|function| self.name(function));
    }

    /// Keeps the first names by the alphabet, so that their order of coming makes no difference.
    fn name(&mut self, function: &Rc<str>) {
        self.functions.insert(Rc::clone(function));
        if self.functions.len() > NAMED {
            self.functions.pop_last();
            self.more_functions = true;
        }
    }

    /// The first and the last day, as `2026-11-01..2026-11-24`.
    pub(super) fn days(&self) -> String {
        let (first, last) = self.period.unwrap_or_default();
        format!("{}..{}", day(first), day(last))
    }

    /// Who it was, as in `, by orders, refunds and others`; nothing where no function is known.
    pub(super) fn by(&self) -> String {
        let names: Vec<&str> = self.functions.iter().map(|function| &**function).collect();
        if names.is_empty() {
            return String::new();
        }
        format!(", by {}{}", names.join(", "), if self.more_functions { " and others" } else { "" })
    }
}

fn day(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_put_together_whatever_their_order() {
        let names: Vec<Rc<str>> = ["f", "e", "d", "c", "b", "a"].map(Rc::from).to_vec();
        let at = |day: &str| format!("{day}T10:00:00Z").parse::<Timestamp>().unwrap();
        let (mut forth, mut back) = (Usage::default(), Usage::default());
        for (number, name) in names.iter().enumerate() {
            forth.add(at(&format!("2026-11-0{}", number + 1)), Some(name));
        }
        for (number, name) in names.iter().enumerate().rev() {
            back.add(at(&format!("2026-11-0{}", number + 1)), Some(name));
        }
        assert_eq!(forth, back);
        assert_eq!((forth.count, forth.days().as_str()), (6, "2026-11-01..2026-11-06"));
        assert_eq!(forth.by(), ", by a, b, c, d, e and others");
        assert_eq!((Usage::default().by().as_str(), counted(1, "request").as_str()), ("", "1 request"));
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0, 999, 1000, 1_234_567].map(with_commas).each_ref().map(String::as_str)
        );
    }
}
