//! The line that sums up an invocation.

use std::sync::Arc;

use super::{Guard, Moment};
use crate::audit::{AuditEvent, AuditRecord, Context, Invocation};

impl Guard {
    /// Begins anew, as a snapshot does that was restored.
    pub(crate) fn begin_environment(&self) {
        self.inner.environment.begin_anew();
        self.record_posture(&self.moment(), None);
    }

    /// Records what an invocation has sent, as it ends.
    pub(crate) fn record_summary(&self, invocation: &Arc<Invocation>) {
        let moment = Moment { context: Context::Task(Arc::clone(invocation)), ..self.moment() };
        let summary = invocation.ledger.summary();
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let message = format!(
            "egress of the invocation: {} request{} to {} destination{}, {} denied",
            summary.allowed,
            plural(summary.allowed),
            summary.destinations,
            plural(summary.destinations),
            summary.denied
        );
        let record = AuditRecord {
            level: if summary.denied + summary.would_deny > 0 { "WARN" } else { "INFO" },
            allowed_count: Some(summary.allowed),
            would_deny_count: Some(summary.would_deny),
            denied_count: Some(summary.denied),
            destination_count: Some(summary.destinations),
            bytes_sent: Some(summary.bytes_sent),
            bytes_received: Some(summary.bytes_received),
            duration_ms: Some(summary.busy.as_secs_f64() * 1000.0),
            ..self.record(AuditEvent::Summary, &moment, message)
        };
        // The invocation is over; there is nothing left to refuse.
        let _ = self.inner.sink.record(&record);
    }
}
