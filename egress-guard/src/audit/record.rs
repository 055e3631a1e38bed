//! What is recorded.

use std::net::IpAddr;
use std::time::SystemTime;

use serde::Serialize;

use super::invocation::Context;
use super::timestamp::timestamp;
use super::visible::bounded;
use crate::denied::shortened;
use crate::destination::Host;
use crate::policy::Policy;

/// The JSON Schema (2020-12) of an audit line.
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(egress_guard::AUDIT_SCHEMA)?;
/// assert_eq!(schema["title"], "egress-guard audit line");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const AUDIT_SCHEMA: &str = include_str!("../../schema/audit.schema.json");

/// One audit record: flat, and absent rather than null where something does not apply or is not known.
///
/// The fields are those of the audit line, under the same names, and are explained in its [schema](AUDIT_SCHEMA). No
/// field ever holds a query, user information, a header or a body.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the schema explains each field, and a test keeps the two together")]
pub struct AuditRecord<'a> {
    /// What `timestamp` says, for formats that write times differently.
    #[serde(skip)]
    pub(crate) time: SystemTime,
    pub timestamp: String,
    pub level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    pub message: String,
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    pub event_type: AuditEvent,
    pub schema: &'static str,
    pub environment_id: u64,
    pub seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_rule_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_deny: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<&'a str>,
    pub policy_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_policy_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_policy_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_count: Option<usize>,
    pub mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_only_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapters: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicious_environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_log_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_levels: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boundary: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a Host>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_is_proxy: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hop: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_deny_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xray_trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_source: Option<&'static str>,
}

/// Which line it is, of those of an environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineNumber {
    pub(crate) environment: u64,
    pub(crate) seq: u64,
}

impl<'a> AuditRecord<'a> {
    /// What every line has.
    pub(crate) fn new(
        event_type: AuditEvent,
        LineNumber { environment, seq }: LineNumber,
        now: SystemTime,
        policy: &'a Policy,
        context: &'a Context,
        mut message: String,
    ) -> Self {
        let invocation = context.invocation();
        let end = shortened(&message, 768).len();
        message.truncate(end);
        Self {
            time: now,
            timestamp: timestamp(now),
            level: "INFO",
            severity: None,
            message,
            request_id: invocation.map(|invocation| &*invocation.request_id),
            event_type,
            schema: "egress-guard/1",
            environment_id: environment,
            seq,
            exchange_id: None,
            action: None,
            reason: None,
            rule_id: None,
            baseline_rule_id: None,
            would_deny: None,
            denied_by: None,
            policy_id: policy.name(),
            policy_sha256: policy.sha256(),
            previous_policy_sha256: None,
            rejected_policy_sha256: None,
            policy_source: None,
            layer: None,
            layer_count: None,
            mode: policy.mode(now).as_str(),
            quarantined: None,
            report_only_until: None,
            rule_count: None,
            adapters: None,
            suspicious_environment: None,
            platform_log_level: None,
            dropped_levels: None,
            boundary: None,
            client: None,
            stage: None,
            method: None,
            scheme: None,
            host: None,
            port: None,
            path: None,
            path_truncated: None,
            peer_ip: None,
            peer_is_proxy: None,
            peer_port: None,
            local_port: None,
            hop: None,
            attempt: None,
            outcome: None,
            status: None,
            allowed_count: None,
            would_deny_count: None,
            denied_count: None,
            destination_count: None,
            bytes_sent: None,
            bytes_received: None,
            duration_ms: None,
            function_name: invocation.map(|invocation| &*invocation.function_name),
            function_version: invocation.map(|invocation| &*invocation.function_version),
            function_arn: invocation.map(|invocation| &*invocation.function_arn),
            xray_trace_id: invocation.and_then(|invocation| invocation.xray_trace_id.as_deref()),
            context_source: Some(context.source()),
        }
    }
}

impl AuditRecord<'_> {
    /// The same with only the beginning of its longest texts. The others are bounded where they come from.
    pub(crate) fn abridged(&self) -> Self {
        let path = self.path.map(|path| bounded(path, 64));
        let path_truncated = self.path_truncated.or((path != self.path).then_some(true));
        Self { message: bounded(&self.message, 64).to_owned(), path, path_truncated, ..self.clone() }
    }
}

/// What an audit record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// `egress_posture`: a guard was made, and this is what is in force.
    Posture,
    /// `egress_decision`: a request, name or connection was allowed or denied.
    Decision,
    /// `egress_outcome`: what became of an allowed request.
    Outcome,
    /// `egress_summary`: what an invocation has sent.
    Summary,
}

impl AuditEvent {
    /// The `event_type` of the audit line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Posture => "egress_posture",
            Self::Decision => "egress_decision",
            Self::Outcome => "egress_outcome",
            Self::Summary => "egress_summary",
        }
    }
}

impl Serialize for AuditEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
