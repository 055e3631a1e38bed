//! Records as `tracing` events.

use std::io;

use super::{AuditRecord, AuditSink};

/// Emits each record as an event with the target `egress_guard`, at `WARN` for a denial and `INFO` otherwise.
///
/// # What this loses
///
/// The event passes through the application's subscriber and its filter, so a log level can drop it. It is a bridge to
/// existing telemetry; the audit itself belongs in [`JsonLines`](super::JsonLines).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TracingSink;

impl TracingSink {
    /// A sink that emits to the current subscriber.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl AuditSink for TracingSink {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        macro_rules! event {
            ($level:expr) => {
                ::tracing::event!(
                    target: "egress_guard",
                    $level,
                    request_id = record.request_id,
                    event_type = record.event_type.as_str(),
                    schema = record.schema,
                    seq = record.seq,
                    exchange_id = record.exchange_id,
                    action = record.action,
                    reason = record.reason,
                    rule_id = record.rule_id,
                    policy_id = record.policy_id,
                    mode = record.mode,
                    rule_count = record.rule_count,
                    boundary = record.boundary,
                    client = record.client,
                    stage = record.stage,
                    method = record.method,
                    scheme = record.scheme,
                    host = record.host.map(::tracing::field::display),
                    port = record.port,
                    path = record.path,
                    path_truncated = record.path_truncated,
                    peer_ip = record.peer_ip.as_ref().map(::tracing::field::display),
                    peer_port = record.peer_port,
                    local_port = record.local_port,
                    hop = record.hop,
                    outcome = record.outcome,
                    status = record.status,
                    bytes_sent = record.bytes_sent,
                    bytes_received = record.bytes_received,
                    duration_ms = record.duration_ms,
                    function_name = record.function_name,
                    function_version = record.function_version,
                    function_arn = record.function_arn,
                    xray_trace_id = record.xray_trace_id,
                    context_source = record.context_source,
                    "{}", record.message
                )
            };
        }
        if record.level == "WARN" {
            event!(::tracing::Level::WARN);
        } else {
            event!(::tracing::Level::INFO);
        }
        Ok(())
    }
}
