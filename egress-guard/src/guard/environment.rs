//! What is unique to one execution environment.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::audit::LineNumber;

/// Numbers the audit lines and the requests of an environment.
///
/// A snapshot (Lambda's `SnapStart`) is restored many times over, and all that begin from it would number alike: each
/// [begins anew](Self::begin_anew).
#[derive(Debug)]
pub(super) struct Environment {
    id: AtomicU64,
    lines: AtomicU64,
    requests: AtomicU64,
}

impl Environment {
    pub(super) fn new() -> Self {
        Self { id: AtomicU64::new(random_id()), lines: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }

    #[cfg(feature = "lambda")]
    pub(super) fn begin_anew(&self) {
        self.id.store(random_id(), Ordering::Relaxed);
        self.lines.store(0, Ordering::Relaxed);
        self.requests.store(0, Ordering::Relaxed);
    }

    /// The number of the next audit line.
    pub(super) fn next_line(&self) -> LineNumber {
        LineNumber { environment: self.id.load(Ordering::Relaxed), seq: self.lines.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// The number of the next request, which ties its outcome to its decision.
    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// From the system, which a restored snapshot asks anew: no generator of this process would do. Of 53 bits, which every
/// reader of JSON keeps; 0 where the system has none.
fn random_id() -> u64 {
    getrandom::u64().map_or(0, |random| random >> 11)
}
