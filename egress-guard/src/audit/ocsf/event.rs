//! A record as an event.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::class::{Class, Coded, HTTP_ACTIVITY, OTHER, activity, control, status};
use super::objects::{
    Account, Cloud, ConnectionInfo, Endpoint, HttpRequest, HttpResponse, Metadata, Named, Product, Source, Trace,
    Traffic, Unmapped, Url,
};
use crate::audit::AuditRecord;
use crate::destination::{Host, Scheme};

/// An event, its attributes under the names of OCSF 1.8.0.
#[derive(Serialize)]
pub(super) struct Event<'a> {
    class_uid: u32,
    class_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    activity_id: u32,
    activity_name: &'a str,
    type_uid: u32,
    type_name: String,
    time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<i64>,
    message: &'a str,
    severity_id: u32,
    severity: &'static str,
    status_id: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<&'static str>,
    action_id: u32,
    action: &'static str,
    disposition_id: u32,
    disposition: &'static str,
    is_alert: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    firewall_rule: Option<Named<'a>>,
    policy: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_protocol_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_request: Option<HttpRequest<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_response: Option<HttpResponse>,
    src_endpoint: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy_endpoint: Option<Endpoint<'a>>,
    connection_info: ConnectionInfo,
    observation_point_id: u32,
    observation_point: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
    cloud: Cloud<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace<'a>>,
    metadata: Metadata<'a>,
    unmapped: Unmapped<'a>,
}

impl<'a> Event<'a> {
    /// None for what is no activity.
    pub(super) fn of(record: &'a AuditRecord<'a>) -> Option<Self> {
        let (class, activity) = activity(record)?;
        let is_http = *class == HTTP_ACTIVITY;
        let (control, status) = (control(record), status(record));
        let time = milliseconds(record);
        #[allow(clippy::cast_possible_truncation, reason = "whole milliseconds; what is too long is the longest")]
        let duration = record.duration_ms.map(|duration| duration.round() as i64);
        let via = record.peer_ip.filter(|_| record.peer_is_proxy == Some(true));
        Some(Self {
            class_uid: class.uid,
            class_name: class.name,
            category_uid: 4,
            category_name: "Network Activity",
            activity_id: activity.0,
            activity_name: record.method.filter(|_| activity == OTHER).unwrap_or(activity.1),
            type_uid: class.uid * 100 + activity.0,
            type_name: format!("{}: {}", class.name, activity.1),
            time,
            start_time: duration.map(|duration| time.saturating_sub(duration)),
            end_time: duration.map(|_| time),
            duration,
            message: &record.message,
            severity_id: control.severity.0,
            severity: control.severity.1,
            status_id: status.0,
            status: record.outcome.filter(|_| status == OTHER).unwrap_or(status.1),
            status_code: record.reason.or(record.outcome),
            action_id: control.action.0,
            action: control.action.1,
            disposition_id: control.disposition.0,
            disposition: control.disposition.1,
            is_alert: control.is_alert,
            firewall_rule: record.rule_id.map(|rule| Named { uid: rule, name: rule, version: None }),
            policy: Named { uid: record.policy_id, name: record.policy_id, version: record.policy_sha256 },
            app_protocol_name: record.scheme.filter(|_| !is_http),
            http_request: is_http.then(|| http_request(record, activity)),
            http_response: record.status.filter(|_| is_http).map(|code| HttpResponse { code }),
            src_endpoint: Source {
                type_id: OTHER.0,
                type_name: "Lambda function",
                uid: record.function_arn,
                name: record.function_name,
                instance_uid: record.environment_id.to_string(),
                port: record.local_port,
            },
            dst_endpoint: record.host.map(|host| destination(record, host, via)),
            proxy_endpoint: via.map(|ip| Endpoint { hostname: None, ip: Some(ip), port: record.peer_port }),
            connection_info: connection_info(record),
            observation_point_id: 1,
            observation_point: "Source",
            traffic: traffic(record),
            cloud: cloud(record.function_arn),
            trace: record.xray_trace_id.filter(|_| is_http).and_then(trace),
            metadata: metadata(record, class),
            unmapped: unmapped(record, via),
        })
    }
}

fn milliseconds(record: &AuditRecord<'_>) -> i64 {
    let to_number = |milliseconds: u128| i64::try_from(milliseconds).unwrap_or(i64::MAX);
    match record.time.duration_since(UNIX_EPOCH) {
        Ok(since) => to_number(since.as_millis()),
        Err(before) => -to_number(before.duration().as_millis()),
    }
}

fn http_request<'a>(record: &'a AuditRecord<'a>, activity: Coded) -> HttpRequest<'a> {
    let url = record.host.zip(record.path).map(|(host, path)| Url {
        scheme: record.scheme,
        hostname: name_of(host),
        port: record.port,
        path,
        // With a part of the path it would be another place's.
        url_string: record.path_truncated.is_none().then(|| url_string(record, host, path)).flatten(),
    });
    HttpRequest {
        uid: record.exchange_id.map(|exchange| format!("{}-{exchange}", record.environment_id)),
        // Its enumeration has no `Other`.
        http_method: record.method.filter(|_| activity != OTHER),
        url,
    }
}

fn url_string(record: &AuditRecord<'_>, host: &Host, path: &str) -> Option<String> {
    let scheme: Scheme = record.scheme?.parse().ok()?;
    let mut url = match host {
        Host::Ip(ip) if ip.is_ipv6() => format!("{}://[{ip}]", scheme.as_str()),
        host => format!("{}://{host}", scheme.as_str()),
    };
    if let Some(port) = record.port.filter(|port| *port != scheme.default_port()) {
        // A `String` takes everything.
        let _ = write!(url, ":{port}");
    }
    url.push_str(path);
    Some(url)
}

fn name_of(host: &Host) -> Option<&str> {
    match host {
        Host::Name(name) => Some(name),
        Host::Ip(_) => None,
    }
}

/// `via` is the proxy's address, behind which the destination's own is not known.
fn destination<'a>(record: &AuditRecord<'a>, host: &'a Host, via: Option<IpAddr>) -> Endpoint<'a> {
    let port = record.peer_port.filter(|_| via.is_none()).or(record.port);
    let ip = match host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(_) => record.peer_ip.filter(|_| via.is_none()),
    };
    Endpoint { hostname: name_of(host), ip, port }
}

fn connection_info(record: &AuditRecord<'_>) -> ConnectionInfo {
    let boundary = match record.boundary {
        Some("internal") => Some((2, "Internal")),
        Some("external") => Some((3, "External")),
        _ => None,
    };
    // The ports are known only of connections, and these are TCP's.
    let protocol = record.peer_port.map(|_| (6, "tcp"));
    ConnectionInfo {
        direction_id: 2,
        direction: "Outbound",
        boundary_id: boundary.map(|(id, _)| id),
        boundary: boundary.map(|(_, caption)| caption),
        protocol_num: protocol.map(|(number, _)| number),
        protocol_name: protocol.map(|(_, name)| name),
    }
}

fn traffic(record: &AuditRecord<'_>) -> Option<Traffic> {
    let (bytes_in, bytes_out) = (record.bytes_received, record.bytes_sent);
    bytes_in.or(bytes_out)?;
    let bytes = bytes_in.unwrap_or(0).saturating_add(bytes_out.unwrap_or(0));
    Some(Traffic { bytes_in, bytes_out, bytes })
}

/// The places that a function's ARN names: `arn:aws:lambda:eu-west-1:123456789012:function:orders`.
fn cloud(arn: Option<&str>) -> Cloud<'_> {
    let parts: Vec<&str> = arn.unwrap_or_default().splitn(6, ':').collect();
    let stated = |part: &&str| !part.is_empty();
    let (partition, region, account) = match parts.as_slice() {
        ["arn", partition, "lambda", region, account, _] => (Some(*partition), Some(*region), Some(*account)),
        _ => (None, None, None),
    };
    Cloud {
        provider: "AWS",
        cloud_partition: partition.filter(stated),
        region: region.filter(stated),
        account: account.filter(stated).map(|uid| Account { uid, type_id: 10, type_name: "AWS Account" }),
    }
}

/// The id in a trace header: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
fn trace(header: &str) -> Option<Trace<'_>> {
    let uid = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    Some(Trace { uid })
}

fn metadata<'a>(record: &AuditRecord<'a>, class: &Class) -> Metadata<'a> {
    Metadata {
        version: "1.8.0",
        profiles: class.profiles,
        product: Product {
            name: env!("CARGO_PKG_NAME"),
            vendor_name: env!("CARGO_PKG_AUTHORS"),
            version: env!("CARGO_PKG_VERSION"),
        },
        uid: format!("{}-{}", record.environment_id, record.seq),
        sequence: record.seq,
        correlation_uid: record.request_id,
        // Readers of audit lines look for `"egress_`.
        event_code: record.event_type.as_str().trim_start_matches("egress_"),
        log_name: "egress",
        log_level: record.level,
        log_version: record.schema,
        is_truncated: record.path_truncated,
    }
}

fn unmapped<'a>(record: &AuditRecord<'a>, via: Option<IpAddr>) -> Unmapped<'a> {
    let is_another = |port: &u16| via.is_none() && record.peer_port.is_some_and(|connected| connected != *port);
    Unmapped {
        stage: record.stage,
        client: record.client,
        mode: record.mode,
        outcome: record.outcome,
        would_deny: record.would_deny,
        denied_by: record.denied_by,
        baseline_rule_id: record.baseline_rule_id,
        quarantined: record.quarantined,
        port: record.port.filter(is_another),
        hop: record.hop,
        attempt: record.attempt,
        function_version: record.function_version,
        xray_trace_id: record.xray_trace_id,
        context_source: record.context_source,
    }
}
