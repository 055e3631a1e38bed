//! Records as `tracing` events.

use std::io;

use super::{AuditRecord, AuditSink};

/// Emits each record as an event with the target `egress_guard`, with the level of its record.
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
                    severity = record.severity,
                    request_id = record.request_id,
                    event_type = record.event_type.as_str(),
                    schema = record.schema,
                    environment_id = record.environment_id,
                    seq = record.seq,
                    exchange_id = record.exchange_id,
                    action = record.action,
                    reason = record.reason,
                    rule_id = record.rule_id,
                    baseline_rule_id = record.baseline_rule_id,
                    would_deny = record.would_deny,
                    denied_by = record.denied_by,
                    policy_id = record.policy_id,
                    policy_sha256 = record.policy_sha256,
                    previous_policy_sha256 = record.previous_policy_sha256,
                    rejected_policy_sha256 = record.rejected_policy_sha256,
                    policy_source = record.policy_source,
                    layer = record.layer,
                    layer_count = record.layer_count,
                    mode = record.mode,
                    quarantined = record.quarantined,
                    report_only_until = record.report_only_until,
                    rule_count = record.rule_count,
                    adapters = record.adapters,
                    suspicious_environment = record.suspicious_environment,
                    platform_log_level = record.platform_log_level,
                    dropped_levels = record.dropped_levels,
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
                    peer_is_proxy = record.peer_is_proxy,
                    peer_port = record.peer_port,
                    local_port = record.local_port,
                    hop = record.hop,
                    attempt = record.attempt,
                    outcome = record.outcome,
                    status = record.status,
                    allowed_count = record.allowed_count,
                    would_deny_count = record.would_deny_count,
                    denied_count = record.denied_count,
                    destination_count = record.destination_count,
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
