//! How the rows of each table are added up and ordered.

use super::model::{
    Counts, Denial, Destination, DroppedLevels, Function, Lines, NewDestination, Others, Outcome, Policy,
    RejectedPolicy, Row, Rule, Seen, SuspiciousEnvironment, Table, Time, Transfer,
};
use crate::output::{counted, with_commas};

impl<R: Row> Table<R> {
    /// The first rows, and what all others come to.
    pub(super) fn first(&self, top: usize) -> (&[R], Option<Others<R::Sum>>) {
        let (first, more) = self.rows.split_at(top.min(self.rows.len()));
        let (rows, mut sum) = match &self.others {
            Some(others) => (others.rows, others.sum),
            None => (0, R::Sum::default()),
        };
        more.iter().for_each(|row| row.add_to(&mut sum));
        let rows = rows + more.len() as u64;
        (first, (rows > 0).then_some(Others { rows, sum }))
    }
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.connections += other.connections;
        self.would_deny += other.would_deny;
        self.denied += other.denied;
    }

    fn in_words(&self) -> String {
        let Self { requests, connections, would_deny, denied } = *self;
        let figures =
            [(requests, "requests"), (connections, "connections"), (would_deny, "would be denied"), (denied, "denied")];
        let figures = figures.into_iter().filter(|(number, _)| *number > 0);
        figures.map(|(number, of)| format!("{} {of}", with_commas(number))).collect::<Vec<_>>().join(", ")
    }

    fn order(&self) -> [u64; 3] {
        [self.denied, self.would_deny, self.requests + self.connections]
    }

    /// What was denied has a table of its own.
    fn weight(&self) -> [u64; 2] {
        [self.requests + self.connections, self.denied]
    }
}

impl Seen {
    pub(super) fn at(time: Time) -> Self {
        Self { first_seen: time, last_seen: time }
    }

    pub(super) fn add(&mut self, time: Time) {
        self.merge(Self::at(time));
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// Counts of decisions, with the bytes of what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Traffic {
    #[serde(flatten)]
    pub(super) counts: Counts,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
}

impl Traffic {
    fn add(&mut self, counts: &Counts, sent: u64, received: u64) {
        self.counts.add(counts);
        self.bytes_sent = self.bytes_sent.saturating_add(sent);
        self.bytes_received = self.bytes_received.saturating_add(received);
    }
}

impl Row for Function {
    type Sum = Traffic;

    fn add_to(&self, sum: &mut Traffic) {
        sum.add(&self.counts, self.bytes_sent, self.bytes_received);
    }

    fn in_words(sum: &Traffic) -> String {
        sum.counts.in_words()
    }

    fn order(&self) -> [u64; 3] {
        self.counts.order()
    }

    fn weight(&self) -> [u64; 2] {
        self.counts.weight()
    }
}

impl Row for Destination {
    type Sum = Traffic;

    fn add_to(&self, sum: &mut Traffic) {
        sum.add(&self.counts, self.bytes_sent, self.bytes_received);
    }

    fn in_words(sum: &Traffic) -> String {
        sum.counts.in_words()
    }

    fn group(&self) -> Option<&str> {
        self.function.as_deref()
    }

    /// What was reached comes first: what was not could hide it, and has a table of its own.
    fn order(&self) -> [u64; 3] {
        let Counts { requests, connections, would_deny, denied } = self.counts;
        [requests + connections, would_deny, denied]
    }

    fn weight(&self) -> [u64; 2] {
        self.counts.weight()
    }
}

impl Row for NewDestination {
    type Sum = Counts;

    fn add_to(&self, sum: &mut Counts) {
        sum.add(&self.counts);
    }

    fn in_words(sum: &Counts) -> String {
        sum.in_words()
    }

    fn order(&self) -> [u64; 3] {
        [self.counts.requests + self.counts.connections, self.counts.denied, 0]
    }

    fn weight(&self) -> [u64; 2] {
        self.counts.weight()
    }
}

/// How often.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Count {
    pub(super) count: u64,
}

impl Row for Denial {
    type Sum = Count;

    fn add_to(&self, sum: &mut Count) {
        sum.count += self.count;
    }

    fn in_words(sum: &Count) -> String {
        with_commas(sum.count)
    }

    fn group(&self) -> Option<&str> {
        self.function.as_deref()
    }

    fn order(&self) -> [u64; 3] {
        [self.count, 0, 0]
    }

    fn weight(&self) -> [u64; 2] {
        [self.count, 0]
    }
}

impl Row for Rule {
    type Sum = Counts;

    fn add_to(&self, sum: &mut Counts) {
        sum.add(&self.counts);
    }

    fn in_words(sum: &Counts) -> String {
        sum.in_words()
    }

    fn group(&self) -> Option<&str> {
        Some(&self.policy_id)
    }

    fn order(&self) -> [u64; 3] {
        self.counts.order()
    }

    fn weight(&self) -> [u64; 2] {
        self.counts.weight()
    }
}

impl Row for Outcome {
    type Sum = Transfer;

    fn add_to(&self, sum: &mut Transfer) {
        sum.add(&self.transfer);
    }

    fn in_words(sum: &Transfer) -> String {
        with_commas(sum.count)
    }

    fn group(&self) -> Option<&str> {
        self.function.as_deref()
    }

    fn order(&self) -> [u64; 3] {
        [self.transfer.count, 0, 0]
    }

    fn weight(&self) -> [u64; 2] {
        [self.transfer.count, 0]
    }
}

impl Transfer {
    pub(super) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes_sent = self.bytes_sent.saturating_add(other.bytes_sent);
        self.bytes_received = self.bytes_received.saturating_add(other.bytes_received);
        // JSON has no infinity.
        self.duration_ms = (self.duration_ms + other.duration_ms).min(f64::MAX);
    }
}

/// Rows that only count lines.
macro_rules! count_lines {
    ($($row:ty),*) => {$(
        impl Row for $row {
            type Sum = Lines;

            fn in_words(sum: &Lines) -> String {
                counted(sum.lines, "line")
            }

            fn add_to(&self, sum: &mut Lines) {
                sum.lines += self.lines.lines;
            }

            fn order(&self) -> [u64; 3] {
                [self.lines.lines, 0, 0]
            }

            fn weight(&self) -> [u64; 2] {
                [self.lines.lines, 0]
            }
        }
    )*};
}

count_lines!(Policy, RejectedPolicy, SuspiciousEnvironment, DroppedLevels);
