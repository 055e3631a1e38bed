//! What was measured, as it is kept between runs.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) decision: Option<Section<Vec<Point>>>,
    pub(crate) networks: Option<Section<Vec<Point>>>,
    pub(crate) load: Option<Section<Vec<Point>>>,
    pub(crate) audit: Option<Section<Vec<Point>>>,
    pub(crate) memory: Option<Section<Memory>>,
    pub(crate) clients: Option<Section<Clients>>,
    pub(crate) cold_start: Option<Section<ColdStart>>,
}

/// Results, and where and when they were had.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Section<T> {
    pub(crate) machine: Machine,
    pub(crate) of: T,
}

impl<T> Section<T> {
    pub(crate) fn new(machine: Machine, of: T) -> Self {
        Self { machine, of }
    }
}

/// What criterion measured: the median of one benchmark, with its confidence interval.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Point {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) size: Option<usize>,
    pub(crate) nanos: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// As `bench-memory` prints it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Memory {
    pub(crate) decisions: Vec<Allocations>,
    pub(crate) lines: Lines,
    pub(crate) patterns: Vec<Kept>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Allocations {
    pub(crate) what: String,
    pub(crate) query: String,
    pub(crate) allocations: f64,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Lines {
    pub(crate) line: f64,
    pub(crate) guarded_request: f64,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Kept {
    pub(crate) what: String,
    pub(crate) hosts: usize,
    pub(crate) bytes: f64,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Clients {
    pub(crate) rounds: usize,
    /// Squid's version, if it is installed.
    pub(crate) squid: Option<String>,
    pub(crate) settings: Vec<Setting>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Setting {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
    pub(crate) clients: Vec<Client>,
    pub(crate) comparisons: Vec<Comparison>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) requests_per_second: Spread,
    pub(crate) latency_micros: Spread,
    pub(crate) cpu_micros: Spread,
}

/// One client against another, round by round.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Comparison {
    pub(crate) name: String,
    pub(crate) base: String,
    /// Ratio of requests per second.
    pub(crate) throughput: Spread,
    /// Ratio of median latencies.
    pub(crate) latency: Spread,
    /// Microseconds of CPU time more for each request.
    pub(crate) cpu_more_micros: Spread,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ColdStart {
    pub(crate) starts: usize,
    pub(crate) rules: usize,
    pub(crate) plain: Function,
    pub(crate) guarded: Function,
    /// Milliseconds later, start by start.
    pub(crate) ready_later: Spread,
    pub(crate) request_later: Spread,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Function {
    /// Milliseconds from the start of the process until it asks for its first invocation.
    pub(crate) ready: Spread,
    /// Until its first request arrives where it was sent.
    pub(crate) request: Spread,
    pub(crate) bytes: u64,
    pub(crate) crates: usize,
}

/// Several measurements of the same.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) quartiles: (f64, f64),
    pub(crate) extremes: (f64, f64),
}

impl Spread {
    /// Of nothing there is none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values.get(values.len().saturating_sub(1) * quarter / 4).copied();
        Some(Self { median: at(2)?, quartiles: (at(1)?, at(3)?), extremes: (at(0)?, at(4)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_and_the_ends() {
        let spread = Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.median, spread.quartiles, spread.extremes), (3.0, (2.0, 4.0), (1.0, 5.0)));
        assert!(Spread::of([]).is_none());
    }
}
