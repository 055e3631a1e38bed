//! The audit: one record for every decision and every outcome, and the sinks that keep them.

mod invocation;
mod json_lines;
mod memory;
mod record;
#[cfg(feature = "tracing")]
mod tracing;

use std::io;
use std::sync::Arc;

pub use json_lines::JsonLines;
pub use memory::MemorySink;
pub use record::{AUDIT_SCHEMA, AuditEvent, AuditRecord};

#[cfg(feature = "tracing")]
pub use self::tracing::TracingSink;

pub(crate) use invocation::Context;
#[cfg(feature = "lambda")]
pub use invocation::{InInvocation, in_current_invocation};
#[cfg(feature = "lambda")]
pub(crate) use invocation::{Invocation, OnlyInvocation};

/// Keeps audit records.
///
/// A sink observes: it is handed a decision that has been made and cannot change it. What it can do is fail, and a
/// request whose decision could not be recorded is not sent.
///
/// [`record`](Self::record) is called on the request path, before the request leaves. It must not block for long, and
/// must not return before the record is out of the process if it is to survive the process.
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
