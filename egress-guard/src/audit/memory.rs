//! Records kept in memory, for tests.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{AuditRecord, AuditSink};

/// Keeps records in memory, so that a test can look at them. Clones share what they keep.
///
/// ```
/// use egress_guard::{Guard, MemorySink, Policy};
///
/// let audit = MemorySink::new();
/// let guard = Guard::new(Policy::builder("orders").build()?, audit.clone());
/// assert_eq!(audit.lines()[0]["event_type"], "egress_posture");
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    lines: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl MemorySink {
    /// An empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The records so far, as they would stand in the audit, the oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AuditSink for MemorySink {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        let line = serde_json::to_value(record)?;
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }
}
