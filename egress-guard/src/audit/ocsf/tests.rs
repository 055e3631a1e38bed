//! Whatever a record says, its event is what the schema says.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::json_lines::tests::Writes;
use crate::audit::{AuditEvent, Context, LineNumber};
use crate::destination::Host;
use crate::policy::Policy;

/// Of a class, its uid and its JSON Schema, in which nothing deprecated is left.
static SCHEMAS: LazyLock<[(u64, Validator); 2]> = LazyLock::new(|| {
    let schema = |text: &str| {
        let mut schema: Value = serde_json::from_str(text).unwrap();
        remove_deprecated(&mut schema);
        jsonschema::validator_for(&schema).unwrap()
    };
    [
        (4002, schema(include_str!("../../../../tests/data/ocsf/http_activity.json"))),
        (4001, schema(include_str!("../../../../tests/data/ocsf/network_activity.json"))),
    ]
});

fn remove_deprecated(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|_, member| member["deprecated"] != true);
            members.values_mut().for_each(remove_deprecated);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_deprecated),
        _ => {}
    }
}

/// The event of a line, if it is whole, bounded and as the schema says.
fn checked(line: &[u8]) -> Result<Value, TestCaseError> {
    prop_assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
    let is_one_line = line.ends_with(b"\n") && line.iter().filter(|byte| **byte == b'\n').count() == 1;
    prop_assert!(is_one_line);
    let event: Value = serde_json::from_slice(line).unwrap();
    let class = event["class_uid"].as_u64().unwrap();
    let (_, schema) = SCHEMAS.iter().find(|(uid, _)| *uid == class).unwrap();
    let faults: Vec<String> =
        schema.iter_errors(&event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    prop_assert!(faults.is_empty(), "{faults:#?} in {event}");
    prop_assert_eq!(&event["type_uid"], &json!(class * 100 + event["activity_id"].as_u64().unwrap()));
    Ok(event)
}

fn record<'a>(event_type: AuditEvent, now: SystemTime, policy: &'a Policy, message: String) -> AuditRecord<'a> {
    static OUTSIDE: LazyLock<Context> = LazyLock::new(|| Context::Unknown);
    AuditRecord::new(event_type, LineNumber { environment: 71, seq: 72 }, now, policy, &OUTSIDE, message)
}

fn policy() -> Policy {
    Policy::builder("a-policy").build().unwrap()
}

fn event_of(record: &AuditRecord<'_>) -> Value {
    checked(&line_of(record).unwrap().unwrap()).unwrap()
}

/// Text that takes at most so many bytes in a line, some of which are escaped.
fn text(max: usize) -> impl Strategy<Value = String> {
    let letters =
        prop_oneof!["[ -~]{0,800}", "[\\x00-\\x20\"\\\\\u{e9}\u{202e}\u{1f512}]{0,800}", "[\\x00-\\x1f]{800}"];
    letters.prop_map(move |text| bounded(&text, max).to_owned())
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9._-]{1,64}", "[A-Za-z0-9._-]{64}"]
}

fn host() -> impl Strategy<Value = Host> {
    let name = prop_oneof!["[a-z][a-z0-9-]{0,10}(\\.[a-z]{1,8}){0,3}", "([a-z]{61}\\.){3}[a-z]{61}"];
    prop_oneof![any::<IpAddr>().prop_map(Host::Ip), name.prop_map(|name| name.parse().unwrap())]
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(texts))
}

const STAGES: &[&str] = &["request", "redirect", "name", "connection"];
const METHODS: &[&str] = &["GET", "get", "PROPFIND", "CONNECT", "PATCH", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"];
const OUTCOMES: &[&str] = &["complete", "aborted", "cancelled", "denied", "failed", "redirected"];
const ARN: &str = "arn:aws-cn:lambda:cn-north-1:123456789012:function:orders:live";

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_event_of_any_record_is_valid_and_bounded(
        is_outcome in any::<bool>(),
        millis in -60_000_000_000_000_i64..4_000_000_000_000,
        (message, path, baseline) in (text(768), text(768), "[a-z/]{0,512}"),
        identity in prop::array::uniform4(prop::option::of(prop_oneof![text(192), Just(ARN.to_owned())])),
        xray in prop::option::of(prop_oneof![text(192), "Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1"]),
        ids in (id(), prop::option::of(id()), prop::option::of(id())),
        (stage, method, outcome) in (one_of(STAGES), one_of(METHODS), one_of(OUTCOMES)),
        (scheme, boundary) in (one_of(&["http", "https"]), one_of(&["internal", "external"])),
        (action, reason) in (one_of(&["allowed", "denied"]), one_of(&["resolver-override", "transfer-encoding-header"])),
        (host, peer_ip) in (prop::option::of(host()), any::<Option<IpAddr>>()),
        ports in any::<(Option<u16>, Option<u16>, Option<u16>)>(),
        flags in any::<(bool, bool, bool, bool)>(),
        numbers in any::<(u64, Option<u64>, Option<u32>, Option<u64>, Option<u64>)>(),
        (status, duration_ms) in (prop::option::of(100..1000_u16), any::<Option<f64>>()),
    ) {
        let from_epoch = Duration::from_millis(millis.unsigned_abs());
        let now = if millis < 0 { UNIX_EPOCH.checked_sub(from_epoch) } else { UNIX_EPOCH.checked_add(from_epoch) };
        let policy = Policy::builder(ids.0).build().unwrap();
        let event_type = if is_outcome { AuditEvent::Outcome } else { AuditEvent::Decision };
        let hash = "f".repeat(64);
        let [request_id, function_name, function_version, function_arn] = &identity;
        let record = AuditRecord {
            environment_id: numbers.0,
            seq: numbers.0,
            exchange_id: numbers.1,
            request_id: request_id.as_deref(),
            function_name: function_name.as_deref(),
            function_version: function_version.as_deref(),
            function_arn: function_arn.as_deref(),
            xray_trace_id: xray.as_deref(),
            action,
            reason,
            rule_id: ids.1.as_deref(),
            denied_by: ids.2.as_deref(),
            baseline_rule_id: Some(&baseline),
            policy_sha256: Some(&hash),
            would_deny: flags.0.then_some(true),
            quarantined: flags.1.then_some(true),
            boundary,
            client: Some("reqwest"),
            stage,
            method,
            scheme,
            host: host.as_ref(),
            port: ports.0,
            path: flags.2.then_some(&*path),
            peer_ip,
            peer_is_proxy: flags.3.then_some(true),
            peer_port: ports.1,
            local_port: ports.2,
            hop: numbers.2,
            attempt: numbers.2,
            outcome,
            status,
            bytes_sent: numbers.3,
            bytes_received: numbers.4,
            duration_ms,
            ..record(event_type, now.unwrap(), &policy, message)
        };
        let event = checked(&line_of(&record).unwrap().unwrap())?;
        prop_assert_eq!(&event["time"], &json!(millis));
    }
}

#[test]
fn nothing_that_a_decision_or_an_outcome_says_is_left_out() {
    let (policy, hash) = (policy(), "0123456789abcdef".repeat(4));
    let host: Host = "a-host.example".parse().unwrap();
    let whole = AuditRecord {
        exchange_id: Some(73),
        request_id: Some("a-request"),
        action: Some("denied"),
        reason: Some("host-not-allowed"),
        rule_id: Some("a-rule"),
        baseline_rule_id: Some("a-baseline"),
        would_deny: Some(true),
        denied_by: Some("a-layer"),
        policy_sha256: Some(&hash),
        quarantined: Some(true),
        boundary: Some("internal"),
        client: Some("tower"),
        stage: Some("request"),
        method: Some("PATCH"),
        scheme: Some("https"),
        host: Some(&host),
        port: Some(2443),
        path: Some("/a-path"),
        peer_ip: Some("192.0.2.74".parse().unwrap()),
        peer_port: Some(2075),
        local_port: Some(2076),
        hop: Some(77),
        attempt: Some(78),
        outcome: Some("aborted"),
        status: Some(279),
        bytes_sent: Some(280),
        bytes_received: Some(281),
        duration_ms: Some(282.0),
        function_name: Some("a-function"),
        function_version: Some("a-version"),
        function_arn: Some("arn:aws:lambda:eu-west-1:123456789012:function:a-function"),
        xray_trace_id: Some("Root=1-00000000-000000000000000000000000;Sampled=0"),
        ..record(AuditEvent::Outcome, UNIX_EPOCH + Duration::from_millis(1_234_567), &policy, "a message".to_owned())
    };
    let without_method = AuditRecord { method: Some("A-METHOD"), stage: Some("redirect"), ..whole.clone() };
    let connection =
        AuditRecord { method: None, path: None, exchange_id: None, stage: Some("connection"), ..whole.clone() };
    let connection = AuditRecord { status: None, hop: None, attempt: None, outcome: None, ..connection };
    for record in [whole, without_method, connection] {
        let (line, event) = (serde_json::to_value(&record).unwrap(), event_of(&record));
        let said = leaves(&event);
        for (key, value) in line.as_object().unwrap() {
            let expected = match (key.as_str(), value) {
                ("timestamp", _) => "1234567".to_owned(),
                ("duration_ms", _) => "282".to_owned(),
                ("exchange_id", _) => "71-73".to_owned(),
                ("event_type", _) => "outcome".to_owned(),
                ("action", _) => "Denied".to_owned(),
                ("boundary", _) => "Internal".to_owned(),
                (_, Value::String(text)) => text.clone(),
                (_, value) => value.to_string(),
            };
            assert!(said.contains(&expected), "{key} {expected} is not in {event:#}");
        }
    }
}

/// All texts, numbers and truth values, as texts.
fn leaves(value: &Value) -> HashSet<String> {
    match value {
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => HashSet::from([text.clone()]),
        value => HashSet::from([value.to_string()]),
    }
}

#[test]
fn what_is_no_activity_leaves_no_line() {
    let (policy, now) = (policy(), UNIX_EPOCH);
    for event_type in [AuditEvent::Posture, AuditEvent::Summary] {
        assert!(line_of(&record(event_type, now, &policy, String::new())).unwrap().is_none(), "{event_type:?}");
    }
}

#[test]
fn a_long_line_keeps_the_beginning_of_its_texts_and_says_so() {
    let (policy, message, path) = (policy(), "m".repeat(768), "/\"".repeat(384));
    let host: Host = format!("{}example", "long-label.".repeat(22)).parse().unwrap();
    let request = AuditRecord {
        stage: Some("request"),
        scheme: Some("https"),
        host: Some(&host),
        port: Some(443),
        path: Some(&path),
        ..record(AuditEvent::Decision, UNIX_EPOCH, &policy, message.clone())
    };
    let event = event_of(&request);
    assert_eq!((&event["message"], &event["metadata"]["is_truncated"]), (&json!("m".repeat(128)), &json!(true)));
    assert_eq!(event["http_request"]["url"]["path"], "/\"".repeat(21) + "/");
    assert_eq!(event["http_request"]["url"].get("url_string"), None);
    assert_eq!(event["dst_endpoint"]["hostname"], host.to_string());

    let event = event_of(&AuditRecord { path: Some("/"), ..request });
    assert_eq!((&event["message"], event["metadata"].get("is_truncated")), (&json!(message), None));
}

#[test]
fn the_longest_texts_of_all_leave_a_line_that_fits() {
    let host: Host = [&*"a".repeat(63); 4].join(".").get(..253).unwrap().parse().unwrap();
    for letter in ["x", "\"", "\u{1}"] {
        let (policy, identity, trace) =
            (Policy::builder("p".repeat(64)).build().unwrap(), letter.repeat(192), letter.repeat(187));
        let (trace, path, id, hash) = (format!("Root={trace}"), letter.repeat(768), "i".repeat(64), "f".repeat(64));
        let longest = AuditRecord {
            environment_id: u64::MAX,
            seq: u64::MAX,
            exchange_id: Some(u64::MAX),
            request_id: Some(&identity),
            action: Some("allowed"),
            reason: Some("transfer-encoding-header"),
            rule_id: Some(&id),
            baseline_rule_id: Some(&path),
            would_deny: Some(true),
            denied_by: Some(&id),
            policy_sha256: Some(&hash),
            quarantined: Some(true),
            boundary: Some("external"),
            client: Some("aws_sdk"),
            stage: Some("request"),
            method: hash.get(..32),
            scheme: Some("https"),
            host: Some(&host),
            port: Some(65534),
            path: Some(&path),
            peer_ip: Some("1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap()),
            peer_is_proxy: Some(true),
            peer_port: Some(65535),
            local_port: Some(65535),
            hop: Some(u32::MAX),
            attempt: Some(u32::MAX),
            outcome: Some("cancelled"),
            status: Some(999),
            bytes_sent: Some(u64::MAX),
            bytes_received: Some(u64::MAX),
            duration_ms: Some(f64::MAX),
            function_name: Some(&identity),
            function_version: Some(&identity),
            function_arn: Some(&identity),
            xray_trace_id: Some(&trace),
            ..record(AuditEvent::Outcome, UNIX_EPOCH, &policy, letter.repeat(768))
        };
        let line = line_of(&longest).unwrap().unwrap();
        let event = checked(&line).unwrap();
        assert_eq!(event["metadata"]["is_truncated"], true);
        let is_whole = event["metadata"]["correlation_uid"] == *identity;
        assert_eq!(is_whole, letter == "x", "{event:#}");
    }
}

#[test]
fn a_line_is_one_write_and_a_posture_is_none() {
    let (writes, policy) = (Writes::default(), policy());
    let sink = OcsfLines::new(writes.clone());
    for event_type in [AuditEvent::Posture, AuditEvent::Decision] {
        sink.record(&record(event_type, UNIX_EPOCH, &policy, String::new())).unwrap();
    }
    let written = writes.0.lock().unwrap().clone();
    assert_eq!(written.len(), 1);
    assert_eq!(checked(&written[0]).unwrap()["metadata"]["event_code"], "decision");
}
