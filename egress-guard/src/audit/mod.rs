//! The audit: one record for every decision and every outcome, and the sinks that keep them.

pub mod chain;
mod invocation;
mod json_lines;
#[cfg_attr(not(feature = "lambda"), allow(dead_code, reason = "only the Lambda layer begins an invocation"))]
mod ledger;
mod line;
mod log_level;
mod memory;
mod metrics;
mod ocsf;
mod output;
mod record;
mod timestamp;
#[cfg(feature = "tracing")]
mod tracing;
mod visible;

use std::io;
use std::sync::Arc;

pub use chain::key::{ChainKey, InvalidChainKey};
pub use json_lines::JsonLines;
pub use memory::MemorySink;
pub use ocsf::OcsfLines;
pub(crate) use record::LineNumber;
pub use record::{AUDIT_SCHEMA, AuditEvent, AuditRecord};
pub(crate) use visible::bounded;

#[cfg(feature = "tracing")]
pub use self::tracing::TracingSink;

pub(crate) use invocation::Context;
pub(crate) use invocation::Invocation;
#[cfg(feature = "lambda")]
pub(crate) use invocation::OnlyInvocation;
#[cfg(feature = "hyper-util")]
pub(crate) use invocation::outside_of_invocations;
#[cfg(feature = "lambda")]
pub use invocation::{InInvocation, in_current_invocation};
#[cfg(feature = "lambda")]
pub(crate) use ledger::{Ledger, Limits};

/// Keeps audit records.
///
/// A sink observes: it is handed a decision that has been made and cannot change it. What it can do is fail, and a
/// request whose decision could not be recorded is not sent.
///
/// [`record`](Self::record) is called on the request path, before the request leaves. It must not block for long, and
/// must not return before the record is out of the process if it is to survive the process. It must not panic: an
/// outcome is recorded even while another panic unwinds.
///
/// ```
/// use std::io;
/// use egress_guard::{AuditRecord, AuditSink, Guard, JsonLines, Policy};
///
/// /// Counts denials.
/// #[derive(Default)]
/// struct Denials(std::sync::atomic::AtomicU64);
///
/// impl AuditSink for Denials {
///     fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
///         if record.action == Some("denied") {
///             self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         }
///         Ok(())
///     }
/// }
///
/// let policy = Policy::builder("orders").build()?;
/// let guard = Guard::new(policy, (JsonLines::stdout(), Denials::default()));
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
pub trait AuditSink: Send + Sync + 'static {
    /// Keeps one record.
    ///
    /// # Errors
    ///
    /// When the record could not be kept.
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()>;
}

impl<S: AuditSink + ?Sized> AuditSink for Arc<S> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        (**self).record(record)
    }
}

impl<S: AuditSink + ?Sized> AuditSink for Box<S> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        (**self).record(record)
    }
}

/// Both sinks, one after the other; the second hears of it even if the first fails.
impl<A: AuditSink, B: AuditSink> AuditSink for (A, B) {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        let first = self.0.record(record);
        let second = self.1.record(record);
        first.and(second)
    }
}
