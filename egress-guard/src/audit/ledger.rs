//! What an invocation has sent, and how much it may.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::Invocation;
use crate::decision::Reason;
use crate::denied::Denied;
use crate::destination::Destination;

/// How much one invocation may send.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) requests: Option<u64>,
    pub(crate) bytes: Option<u64>,
    /// From then on nothing is begun.
    pub(crate) until: Option<SystemTime>,
}

/// The account of one invocation.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    limits: Limits,
    /// The same invocation as a layer around this one's has it: what happens is entered there too.
    around: Option<Arc<Invocation>>,
    requests: AtomicU64,
    bytes: AtomicU64,
    allowed: AtomicU64,
    would_deny: AtomicU64,
    denied: AtomicU64,
    first_denial: OnceLock<Denied>,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    egress: Mutex<Egress>,
}

#[derive(Debug, Default)]
struct Egress {
    /// Hashes of host and port.
    destinations: HashSet<u64>,
    under_way: u64,
    since: Option<Instant>,
    busy: Duration,
}

/// What an account says at the end.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) allowed: u64,
    pub(crate) would_deny: u64,
    pub(crate) denied: u64,
    pub(crate) destinations: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// For how long at least one request was under way.
    pub(crate) busy: Duration,
}

impl Ledger {
    pub(crate) fn new(limits: Limits, around: Option<Arc<Invocation>>) -> Self {
        Self { limits, around, ..Self::default() }
    }

    fn around(&self) -> Option<&Self> {
        self.around.as_ref().map(|invocation| &invocation.ledger)
    }

    /// Takes one more request into account, or says which limit it would exceed. What has no length exceeds any.
    pub(crate) fn take(&self, now: SystemTime, body_length: Option<u64>) -> Result<(), Reason> {
        if self.is_too_late(now) {
            return Err(Reason::DeadlineNear);
        }
        if let Some(most) = self.limits.bytes {
            let add = |sum: u64| sum.checked_add(body_length?).filter(|sum| *sum <= most);
            self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Reason::ByteLimit)?;
        }
        if let Some(most) = self.limits.requests {
            let add = |sum: u64| Some(sum + 1).filter(|sum| *sum <= most);
            self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).map_err(|_| Reason::RequestLimit)?;
        }
        self.around().map_or(Ok(()), |around| around.take(now, body_length))
    }

    pub(crate) fn is_too_late(&self, now: SystemTime) -> bool {
        self.limits.until.is_some_and(|until| now >= until) || self.around().is_some_and(|it| it.is_too_late(now))
    }

    pub(crate) fn note_denied(&self, denied: &Denied) {
        if let Some(around) = self.around() {
            around.note_denied(denied);
        }
        self.denied.fetch_add(1, Ordering::Relaxed);
        self.first_denial.get_or_init(|| denied.clone());
    }

    /// The denial that came first, of those that were enforced.
    pub(crate) fn first_denial(&self) -> Option<&Denied> {
        self.first_denial.get()
    }

    /// A request has been allowed, and begins.
    pub(crate) fn begin(&self, destination: &Destination, would_deny: bool) {
        if let Some(around) = self.around() {
            around.begin(destination, would_deny);
        }
        self.allowed.fetch_add(1, Ordering::Relaxed);
        self.would_deny.fetch_add(u64::from(would_deny), Ordering::Relaxed);
        let mut hasher = DefaultHasher::new();
        (destination.host(), destination.port()).hash(&mut hasher);
        let mut egress = self.egress.lock().unwrap_or_else(PoisonError::into_inner);
        egress.destinations.insert(hasher.finish());
        egress.under_way += 1;
        egress.since.get_or_insert_with(Instant::now);
    }

    /// An allowed request is over.
    pub(crate) fn end(&self, bytes_sent: Option<u64>, bytes_received: Option<u64>) {
        if let Some(around) = self.around() {
            around.end(bytes_sent, bytes_received);
        }
        self.bytes_sent.fetch_add(bytes_sent.unwrap_or(0), Ordering::Relaxed);
        self.bytes_received.fetch_add(bytes_received.unwrap_or(0), Ordering::Relaxed);
        let mut egress = self.egress.lock().unwrap_or_else(PoisonError::into_inner);
        egress.under_way = egress.under_way.saturating_sub(1);
        if egress.under_way == 0
            && let Some(since) = egress.since.take()
        {
            egress.busy += since.elapsed();
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let egress = self.egress.lock().unwrap_or_else(PoisonError::into_inner);
        Summary {
            allowed: count(&self.allowed),
            would_deny: count(&self.would_deny),
            denied: count(&self.denied),
            destinations: egress.destinations.len() as u64,
            bytes_sent: count(&self.bytes_sent),
            bytes_received: count(&self.bytes_received),
            busy: egress.busy + egress.since.map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn a_limit_is_reached_and_never_exceeded() {
        let ledger = Ledger::new(Limits { requests: Some(3), bytes: Some(100), until: None }, None);
        let cases = [
            (Some(60), Ok(())),
            (Some(41), Err(Reason::ByteLimit)),
            (None, Err(Reason::ByteLimit)),
            (Some(u64::MAX), Err(Reason::ByteLimit)),
            (Some(40), Ok(())),
            (Some(0), Ok(())),
            (Some(0), Err(Reason::RequestLimit)),
        ];
        for (number, (length, expected)) in cases.into_iter().enumerate() {
            assert_eq!(ledger.take(NOW, length), expected, "request {number} of {length:?} bytes");
        }
    }

    #[test]
    fn nothing_is_begun_once_it_is_too_late() {
        let ledger = Ledger::new(Limits { until: Some(NOW + Duration::from_secs(1)), ..Limits::default() }, None);
        assert_eq!(ledger.take(NOW, None), Ok(()));
        assert_eq!(ledger.take(NOW + Duration::from_secs(1), None), Err(Reason::DeadlineNear));
    }

    #[test]
    fn time_in_which_requests_overlap_counts_once() {
        let ledger = Ledger::default();
        let (one, other) = ("https://a.example/".parse().unwrap(), "https://a.example/x".parse().unwrap());
        let started = Instant::now();
        ledger.begin(&one, false);
        ledger.begin(&other, true);
        std::thread::sleep(Duration::from_millis(20));
        ledger.end(Some(3), Some(5));
        ledger.end(None, Some(7));
        let elapsed = started.elapsed();
        std::thread::sleep(Duration::from_millis(20));
        let summary = ledger.summary();
        assert!(summary.busy >= Duration::from_millis(20) && summary.busy <= elapsed, "{summary:?}");
        assert_eq!((summary.allowed, summary.would_deny, summary.destinations), (2, 1, 1));
        assert_eq!((summary.bytes_sent, summary.bytes_received), (3, 12));
    }
}
