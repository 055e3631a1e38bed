//! Metrics of CloudWatch within the line that sums up an invocation.
//!
//! Source: the [Embedded Metric Format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).

use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::{AuditEvent, AuditRecord};

/// Makes metrics of the numbers in a line, if it sums up an invocation of a function that has a name.
pub(super) fn append_to(line: &mut Vec<u8>, record: &AuditRecord<'_>) -> serde_json::Result<()> {
    let is_summary = record.event_type == AuditEvent::Summary;
    if !is_summary || record.function_name.is_none_or(str::is_empty) || !line.ends_with(b"}\n") {
        return Ok(());
    }
    let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let metadata =
        Metadata { timestamp: u64::try_from(since.as_millis()).unwrap_or_default(), directives: [DIRECTIVE] };
    line.truncate(line.len() - 2);
    line.extend_from_slice(b",\"_aws\":");
    serde_json::to_writer(&mut *line, &metadata)?;
    line.extend_from_slice(b"}\n");
    Ok(())
}

#[derive(Serialize)]
struct Metadata {
    /// Milliseconds since 1970.
    #[serde(rename = "Timestamp")]
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: &'static [Metric],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

/// Every combination of dimensions is a metric of its own, to be paid for: only the function is one.
const DIRECTIVE: Directive = Directive {
    namespace: "EgressGuard",
    dimensions: &[&["function_name"]],
    metrics: &[
        Metric { name: "allowed_count", unit: "Count" },
        Metric { name: "would_deny_count", unit: "Count" },
        Metric { name: "denied_count", unit: "Count" },
        Metric { name: "destination_count", unit: "Count" },
        Metric { name: "bytes_sent", unit: "Bytes" },
        Metric { name: "bytes_received", unit: "Bytes" },
        Metric { name: "duration_ms", unit: "Milliseconds" },
    ],
};
