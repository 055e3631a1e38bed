//! What `egress-guard report` counts, held against a plain count of the same lines, and what it prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::string_slice, unreachable_pub, reason = "a test")]

#[path = "report/generator.rs"]
mod generator;
#[path = "report/plain_count.rs"]
mod plain_count;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jsonschema::Validator;
use serde_json::{Value, json};

use generator::{Plan, generate};
use plain_count::{Filter, plain_count};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/sample.log.gz");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    command.arg("report").args(arguments);
    command
}

fn run(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The report of a log, which is as its schema says.
fn report(arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--format", "json"].iter().chain(arguments).copied().collect();
    let report = serde_json::from_str(&run(&arguments)).unwrap();
    let schema = serde_json::from_str(include_str!("../schema/report.schema.json")).unwrap();
    let faults: Vec<_> = validator(&schema).iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    report
}

fn validator(schema: &Value) -> Validator {
    jsonschema::validator_for(schema).unwrap()
}

fn generated(plan: &Plan) -> String {
    let mut log = Vec::new();
    generate(plan, &mut log).unwrap();
    String::from_utf8(log).unwrap()
}

fn gz(log: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(log.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_sample_is_what_is_generated_and_every_whole_line_of_it_is_of_the_schema() {
    let mut sample = String::new();
    GzDecoder::new(fs::File::open(SAMPLE).unwrap()).read_to_string(&mut sample).unwrap();
    assert!(sample == generated(&Plan::sample()), "write it anew: cargo run --example audit-log | gzip -9n");

    let validator = validator(&serde_json::from_str(egress_guard::AUDIT_SCHEMA).unwrap());
    let lines = sample.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line.get("schema").is_some()).collect();
    assert!(lines.len() > 2900);
    for line in &lines {
        let faults: Vec<_> = validator.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{line}\n{faults:#?}");
    }
}

/// The same log in parts, each as another way of storing it has it.
fn in_every_format(log: &str, folder: &Path) {
    let lines: Vec<&str> = log.lines().collect();
    let parts: Vec<&[&str]> = lines.chunks(lines.len().div_ceil(5)).collect();
    let whole = |part: &[&str]| part.iter().map(|line| format!("{line}\n")).collect::<String>();
    fs::write(folder.join("plain.log"), whole(parts[0])).unwrap();
    fs::write(folder.join("packed.gz"), gz(&whole(parts[1]))).unwrap();
    let exported = |line: &&str| format!("2026-11-23T10:45:59.434Z {line}\n");
    fs::create_dir_all(folder.join("export/0a1b-[$LATEST]")).unwrap();
    fs::write(folder.join("export/0a1b-[$LATEST]/000000.gz"), gz(&parts[2].iter().map(exported).collect::<String>()))
        .unwrap();
    let tailed = |line: &&str| format!("2026-11-23T10:45:59.434000+00:00 2026/11/23/[$LATEST]0a1b {line}\r\n");
    fs::write(folder.join("tailed.log"), parts[3].iter().map(tailed).collect::<String>()).unwrap();
    let events: Vec<Value> = parts[4].iter().map(|line| json!({"id": "1", "timestamp": 1, "message": line})).collect();
    let document = |events: &[Value]| {
        let events = json!(events);
        format!(r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":{events}}}"#)
    };
    fs::write(folder.join("subscription"), events.chunks(100).map(document).collect::<String>()).unwrap();
}

/// Tables, without their order.
fn in_order(mut report: Value) -> Value {
    for table in report.as_object_mut().unwrap().values_mut() {
        if let Some(rows) = table.get_mut("rows").and_then(Value::as_array_mut) {
            rows.sort_by_key(Value::to_string);
        }
    }
    report
}

/// Every number of the two is the same; durations but for the order of their sum.
fn assert_same(got: &Value, expected: &Value, place: &str) {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            assert!(got.keys().eq(expected.keys()), "{place}: {got:?}\n{expected:?}");
            got.iter().for_each(|(key, value)| assert_same(value, &expected[key], &format!("{place}/{key}")));
        }
        (Value::Array(got), Value::Array(expected)) => {
            assert_eq!(got.len(), expected.len(), "{place}");
            got.iter()
                .zip(expected)
                .enumerate()
                .for_each(|(at, (got, expected))| assert_same(got, expected, &format!("{place}/{at}")));
        }
        (Value::Number(got), Value::Number(expected)) if got.is_f64() => {
            let (got, expected) = (got.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!((got - expected).abs() < 1e-6 * expected, "{place}: {got} {expected}");
        }
        (got, expected) => assert_eq!(got, expected, "{place}"),
    }
}

#[test]
fn every_number_is_that_of_a_plain_count_in_whatever_format_the_log_is() {
    let plan = Plan { seed: 7, lines: 14_000, days: 3, workers: 9, ..Plan::sample() };
    let log = generated(&plan);
    let folder = tempfile::tempdir().unwrap();
    in_every_format(&log, folder.path());
    let logs = folder.path().to_str().unwrap();
    let cases: [(&[&str], Filter); 4] = [
        (&[], Filter::default()),
        (&["--function", "orders"], Filter { functions: &["orders"], ..Filter::default() }),
        (
            &[
                "--function",
                "worker-004",
                "--function",
                "thumbnails",
                "--since",
                "2026-11-24",
                "--until",
                "2026-11-25T12:00:00Z",
            ],
            Filter {
                functions: &["worker-004", "thumbnails"],
                since: "2026-11-24T00:00:00.000Z",
                until: "2026-11-25T12:00:00.000Z",
            },
        ),
        (&["--since", "2026-11-24T23:20:00Z"], Filter { since: "2026-11-24T23:20:00.000Z", ..Filter::default() }),
    ];
    for (arguments, filter) in cases {
        let arguments: Vec<&str> = arguments.iter().chain(&[logs]).copied().collect();
        let mut report = report(&arguments);
        let read = report["read"].as_object_mut().unwrap();
        let first = read.remove("first_unreadable").unwrap();
        assert!(first["error"].as_str().unwrap().contains("EOF"), "{first}");
        assert!(!first["place"].as_str().unwrap().is_empty(), "{first}");
        assert!(report["denials"]["rows"].as_array().unwrap().len() > 2, "{arguments:?}");
        report.as_object_mut().unwrap().remove("filter");
        assert_same(&in_order(report), &in_order(plain_count(&log, &filter)), &format!("{arguments:?}"));
    }
}

/// An audit line with the keys that all have, and these.
fn audit_line(environment: u64, seq: u64, event: &str, more: &Value) -> String {
    let mut line = json!({
        "timestamp": format!("2026-11-23T10:45:{:02}.000Z", seq % 60), "event_type": event, "schema": "egress-guard/1",
        "environment_id": environment, "seq": seq, "policy_id": format!("policy-{environment}"), "mode": "enforce",
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("{line}\n")
}

fn log(lines: &[String]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.concat().as_bytes()).unwrap();
    file
}

#[test]
fn of_a_function_is_what_its_environments_do_outside_of_invocations_too() {
    let denied =
        json!({"action": "denied", "stage": "request", "host": "h.example", "port": 443, "reason": "host-not-allowed"});
    let asked = |environment: u64, seq, function: &str| {
        let more = json!({"action": "allowed", "stage": "request", "host": "a.example", "port": 443, "function_name": function});
        audit_line(environment, seq, "egress_decision", &more)
    };
    let posture = |environment: u64, variables: &str| {
        let more = json!({
            "suspicious_environment": variables, "rejected_policy_sha256": format!("rejected-{environment}"),
            "policy_sha256": format!("hash-{environment}"),
        });
        audit_line(environment, 1, "egress_posture", &more)
    };
    let file = log(&[
        posture(1, "HTTPS_PROXY"),
        posture(2, "SSL_CERT_FILE"),
        posture(3, "LD_PRELOAD"),
        audit_line(1, 2, "egress_decision", &denied),
        audit_line(2, 2, "egress_decision", &denied),
        asked(2, 3, "billing"),
        asked(1, 3, "orders"),
        audit_line(1, 4, "egress_decision", &denied),
        audit_line(2, 4, "egress_decision", &denied),
        asked(4, 1, "orders"),
    ]);
    let path = file.path().to_str().unwrap();
    let report = report(&["--function", "orders", path]);
    let column = |table: &str, key: &str| -> Vec<String> {
        let rows = report[table]["rows"].as_array().unwrap();
        rows.iter().map(|row| row[key].as_str().unwrap_or("none").to_owned()).collect()
    };
    assert_eq!(column("suspicious_environments", "variables"), ["HTTPS_PROXY"]);
    assert_eq!(column("rejected_policies", "rejected_policy_sha256"), ["rejected-1"]);
    assert_eq!(column("policies", "policy_sha256"), ["none", "hash-1", "none"]);
    assert_eq!(
        (column("denials", "function"), &report["denials"]["rows"][0]["count"]),
        (vec!["none".into()], &json!(2))
    );
    assert_eq!((&report["totals"]["lines"], &report["totals"]["environments"]), (&json!(5), &json!(2)));
    // Of the third nobody knows whose it was.
    assert_eq!(report["read"]["lines_of_unknown_function"], 1);
    let text = run(&["--function", "orders", path]);
    assert!(text.contains("1 line left out that name"), "{text}");
}

#[test]
fn a_line_that_is_read_twice_hides_no_lost_one() {
    let mut sample = String::new();
    GzDecoder::new(fs::File::open(SAMPLE).unwrap()).read_to_string(&mut sample).unwrap();
    let once = report(&[SAMPLE]);
    assert_eq!((&once["read"]["lost_lines"], &once["read"]["environments_with_loss"]), (&json!(6), &json!(4)));
    let lines: Vec<String> = sample.lines().map(|line| format!("{line}\n")).collect();
    let (first, second) = (log(&lines[..2500]), log(&lines[1500..]));
    let in_both = lines[1500..2500]
        .iter()
        .filter(|line| serde_json::from_str::<Value>(line.trim_end()).is_ok_and(|line| line.get("seq").is_some()));
    let in_both = in_both.count() as u64;
    let paths = [first.path().to_str().unwrap(), second.path().to_str().unwrap()];
    let backwards = log(&lines.iter().rev().cloned().collect::<Vec<_>>());
    for (name, logs, repeated) in [
        ("twice", vec![SAMPLE, SAMPLE], once["read"]["audit_lines"].as_u64().unwrap()),
        ("in two halves that overlap", paths.to_vec(), in_both),
        ("the second half first", vec![paths[1], paths[0]], in_both),
        ("backwards", vec![backwards.path().to_str().unwrap()], 0),
    ] {
        let read = &report(&logs)["read"];
        assert_eq!(
            [
                &read["lost_lines"],
                &read["environments_with_loss"],
                &read["repeated_lines"],
                &read["environments_exact"]
            ],
            [&json!(6), &json!(4), &json!(repeated), &json!(true)],
            "{name}"
        );
    }
}

#[test]
fn rows_that_are_not_shown_are_added_up() {
    let (all, first) = (report(&[SAMPLE]), report(&["--top", "2", SAMPLE]));
    for table in ["denials", "functions", "destinations", "rules", "outcomes", "policies"] {
        let (all, first) = (&all[table]["rows"].as_array().unwrap(), &first[table]);
        assert_eq!(first["rows"].as_array().unwrap()[..], all[..2], "{table}");
        let others = first["others"].as_object().unwrap();
        assert_eq!(others["rows"], all.len() - 2, "{table}");
        for (key, sum) in others.iter().filter(|(key, _)| *key != "rows" && *key != "duration_ms") {
            let expected: u64 = all[2..].iter().map(|row| row[key].as_u64().unwrap()).sum();
            assert_eq!(sum, expected, "{table}: {key}");
        }
    }
    assert_eq!(all["totals"], first["totals"]);
}

#[test]
fn the_sample_is_reported_as_it_was() {
    let expected: Value = serde_json::from_str(include_str!("report/sample.report.json")).unwrap();
    let mut report = report(&[SAMPLE]);
    report["read"]["first_unreadable"]["place"] = json!("sample.log.gz:895");
    assert_eq!(report, expected);
}

#[test]
fn each_session_prints_what_is_written_down() {
    trycmd::TestCases::new().case("tests/report/*.md");
}

/// Whoever can write to a log can write anything.
#[test]
fn what_a_log_says_cannot_steer_the_terminal() {
    let hostile = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{200b}\r\n\u{0}";
    let mut lines = Vec::new();
    for (event, action) in [
        ("egress_decision", "denied"),
        ("egress_decision", "allowed"),
        ("egress_outcome", "allowed"),
        ("egress_posture", "allowed"),
    ] {
        lines.push(json!({
            "timestamp": "2026-11-23T10:45:59.434Z", "event_type": event, "schema": "egress-guard/1",
            "environment_id": 1, "seq": 1, "action": action, "would_deny": action == "allowed",
            "policy_id": hostile, "policy_sha256": hostile, "mode": "report-only", "reason": hostile, "rule_id": hostile,
            "rejected_policy_sha256": hostile, "suspicious_environment": hostile, "boundary": hostile, "stage": hostile,
            "host": format!("{hostile}{}", "h".repeat(100_000)), "port": 1, "outcome": hostile, "status": 65535,
            "function_name": hostile,
        }));
    }
    let torn = format!("{{\"event_type\":\"egress_{}\n", hostile.replace('\n', ""));
    let log = lines.iter().map(|line| format!("{line}\n")).chain([torn]).collect::<String>();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a\u{1b}[2J.log");
    fs::write(&path, log).unwrap();
    let path = path.to_str().unwrap();
    for format in ["text", "json"] {
        let printed = run(&["--format", format, path]);
        let steers =
            |character: char| (character.is_control() && character != '\n') || "\u{202e}\u{200b}".contains(character);
        assert!(!printed.contains(steers), "{printed:?}");
        assert!(printed.len() < 20_000, "{}", printed.len());
    }
    assert_eq!(report(&[path])["denials"]["rows"].as_array().unwrap().len(), 1);
}

#[test]
fn lines_that_say_impossible_things_are_no_harm() {
    let line = |keys: &str| {
        format!(
            r#"{{"timestamp":"2026-11-23T10:45:59.434Z","event_type":"egress_outcome","schema":"egress-guard/1","environment_id":1,"policy_id":"p","mode":"enforce",{keys}}}"#
        )
    };
    let log = [
        line(r#""seq":18446744073709551615,"bytes_sent":18446744073709551615,"duration_ms":1e308"#),
        line(r#""seq":0,"bytes_sent":18446744073709551615,"duration_ms":1e308"#),
        line(r#""seq":1,"rule_id":null"#).replace("outcome", "decision"),
        line(r#""seq":1"#).replace("2026-11-23T", "9999-12-30T").replace("outcome", "decision"),
        line(r#""seq":1"#).replace("2026-11-23T", "-009998-01-01T").replace("outcome", "decision"),
        line(r#""seq":1"#).replace("2026-11-23T", "yesterday"),
        line(r#""seq":1,"port":70000"#),
        line(r#""seq":1,"host":"\ud800""#),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged.log");
    fs::write(&path, log.join("\n")).unwrap();
    let path = path.to_str().unwrap();
    let report = report(&[path]);
    assert_eq!(
        (&report["read"]["audit_lines"], &report["read"]["unreadable_lines"]),
        (&json!(4), &json!(4)),
        "{report}"
    );
    assert_eq!(report["totals"]["bytes_sent"], u64::MAX);
    assert!(report["timeline"]["buckets"].as_array().unwrap().len() <= 401);
    run(&[path]);
}

#[test]
fn a_log_without_lines_is_reported_as_such() {
    let mut child = command(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"START RequestId: 1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "no audit line among 1 line\n");
    let nobody = run(&["--function", "nobody", SAMPLE]);
    assert!(nobody.starts_with("no audit line is selected of 4,049 lines\n"), "{nobody}");
    assert!(report(&["--function", "nobody", SAMPLE]).get("span").is_none());
}

#[test]
fn what_cannot_be_read_exits_with_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let torn = folder.path().join("torn.gz");
    let whole = fs::read(SAMPLE).unwrap();
    fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
    let torn = torn.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["nowhere.log"], "egress-guard: nowhere.log: No such file or directory\n"),
        (&[SAMPLE, torn], "ends in the middle of its compressed data"),
        (&["--since", "yesterday", SAMPLE], "write a day"),
        (&["--since", "2026-11-24", "--until", "2026-11-23", SAMPLE], "--until"),
        (&["--format", "xml", SAMPLE], "text, json"),
    ];
    for (arguments, expected) in cases {
        let output = command(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
