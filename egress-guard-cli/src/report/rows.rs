//! How the rows of each table are added up and ordered.

use super::model::{
    Counts, Denial, Destination, Function, Lines, Outcome, Policy, RejectedPolicy, Row, Rule, Seen,
    SuspiciousEnvironment, Time, Transfer,
};

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.connections += other.connections;
        self.would_deny += other.would_deny;
        self.denied += other.denied;
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
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
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

    fn group(&self) -> Option<&str> {
        self.function.as_deref()
    }

    fn order(&self) -> [u64; 3] {
        self.counts.order()
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
        self.duration_ms += other.duration_ms;
    }
}

/// Rows that only count lines.
macro_rules! count_lines {
    ($($row:ty),*) => {$(
        impl Row for $row {
            type Sum = Lines;

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

count_lines!(Policy, RejectedPolicy, SuspiciousEnvironment);
