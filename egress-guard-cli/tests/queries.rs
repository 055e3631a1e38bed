//! The queries that `egress-guard queries` prints answer what `egress-guard report` does, with the same numbers.
//!
//! Athena's run on `DuckDB`, by `tests/queries/run.py`, which needs what `.ci/log-tools` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::string_slice, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use egress_guard_tests::log_tools;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};

/// The report's own sample, with torn lines and the platform's.
static SAMPLE: LazyLock<String> = LazyLock::new(|| {
    let compressed = include_bytes!("report/sample.log.gz").as_slice();
    io::read_to_string(MultiGzDecoder::new(compressed)).unwrap()
});

/// Whole, and counted.
const LINE: &str = r#"{"timestamp":"2026-11-23T10:45:59.434Z","level":"INFO","message":"allowed","event_type":"egress_decision","schema":"egress-guard/1","environment_id":1,"seq":1,"action":"allowed","rule_id":"r","policy_id":"p","mode":"enforce","boundary":"external","client":"reqwest","stage":"request","host":"a.example","port":443,"context_source":"none"}"#;

fn command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_egress-guard")).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Athena's queries, in their order.
const ATHENA: [&str; 9] =
    ["table", "view", "functions", "destinations", "denials", "would_deny", "rules", "outcomes", "timeline"];

fn athena() -> Vec<(String, String)> {
    ATHENA.map(|name| (name.to_owned(), command(&["queries", "athena", name]).1)).into()
}

/// What plays the prefix of a bucket: a folder, with folders for days.
struct Bucket(tempfile::TempDir);

impl Bucket {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, day: &str, file: &str, log: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(day).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, log).unwrap();
        self
    }

    /// What the queries answer, but for the table and the view.
    fn ask(&self, queries: &[(String, String)]) -> Result<Map<String, Value>, String> {
        let queries: Map<_, _> = queries.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
        let mut python = Command::new(log_tools().unwrap())
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/queries/run.py"))
            .arg(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(Value::Object(queries).to_string().as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Err(String::from_utf8(output.stderr).unwrap())
        }
    }

    fn report(&self, below: &str) -> Value {
        let folder = self.0.path().join(below);
        let (status, report, errors) = command(&["report", "--format", "json", folder.to_str().unwrap()]);
        assert_eq!(status, Some(0), "{errors}");
        serde_json::from_str(&report).unwrap()
    }
}

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The log as CloudWatch Logs exports it.
fn exported(log: &str) -> String {
    log.lines().map(|line| format!("2026-11-23T10:45:59.434Z {line}\n")).collect()
}

/// What a report says beside what the queries ask.
const NOT_ASKED: [&str; 3] = ["new_destinations", "environments", "quarantined_environments"];

/// A row of either side in one form, so that rows can be compared as texts.
fn row(row: &Value) -> String {
    let mut keys = BTreeMap::new();
    for (key, value) in row.as_object().unwrap() {
        let key = if key == "function_name" { "function" } else { key };
        match value {
            Value::Null => {}
            _ if NOT_ASKED.contains(&key) => {}
            // Sums of the same numbers in another order.
            Value::Number(number) if key.ends_with("_ms") => {
                keys.insert(key, json!(format!("{:.6}", number.as_f64().unwrap())));
            }
            value => {
                keys.insert(key, value.clone());
            }
        }
    }
    serde_json::to_string(&keys).unwrap()
}

fn rows(rows: &Value) -> Vec<String> {
    let mut rows: Vec<String> = rows.as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

/// The counts of each hour, or of each longer bucket, that has any.
fn timeline(rows: &Value, bucket_seconds: i64) -> BTreeMap<i64, BTreeMap<String, u64>> {
    let mut buckets = BTreeMap::<i64, BTreeMap<String, u64>>::new();
    for row in rows.as_array().unwrap() {
        let start: jiff::Timestamp = row["start"].as_str().unwrap().parse().unwrap();
        let counts = row.as_object().unwrap().iter().filter_map(|(key, value)| Some((key, value.as_u64()?)));
        for (key, count) in counts.filter(|(_, count)| *count > 0) {
            let bucket = buckets.entry(start.as_second().div_euclid(bucket_seconds.max(3600))).or_default();
            *bucket.entry(key.clone()).or_default() += count;
        }
    }
    buckets
}

#[track_caller]
fn assert_same(answers: &Map<String, Value>, report: &Value) {
    for table in ["functions", "destinations", "denials", "would_deny", "rules", "outcomes"] {
        assert_eq!(rows(&answers[table]), rows(&report[table]["rows"]), "{table}");
    }
    let seconds = report["timeline"]["bucket_seconds"].as_i64().unwrap();
    assert_eq!(timeline(&answers["timeline"], seconds), timeline(&report["timeline"]["buckets"], seconds));
}

#[test]
fn each_query_is_printed_with_its_name() {
    for (engine, mark, question) in [("athena", "--", "egress_audit"), ("insights", "#", "filter ")] {
        let (status, all, errors) = command(&["queries", engine]);
        assert_eq!((status, errors.as_str()), (Some(0), ""));
        let (status, none, names) = command(&["queries", engine, "nonsense"]);
        assert_eq!((status, none.as_str()), (Some(2), ""));
        let names = names.trim_end().split_once("no query \"nonsense\", expected one of ").unwrap().1;
        let of_each = names.split(", ").map(|name| {
            let (_, text, _) = command(&["queries", engine, name]);
            assert!(text.starts_with(mark) && text.contains(question) && text.ends_with('\n'), "{text}");
            format!("{mark} {name}\n{text}")
        });
        assert_eq!(of_each.collect::<Vec<_>>().join("\n"), all);
        assert!(engine != "athena" || names == ATHENA.join(", "), "{names}");
    }
    let (status, _, errors) = command(&["queries", "redshift"]);
    assert!(status == Some(2) && errors.contains("athena, insights"), "{errors}");
}

#[test]
fn what_athena_would_not_take_is_found() {
    if log_tools().is_none() {
        return;
    }
    let bucket = Bucket::new().with("2026/11/23", "log", LINE);
    let cases = [
        ("denials", "no table", "FROM egress_audit", "FROM", "ParseError"),
        ("denials", "two statements", "FROM egress_audit", "; SELECT 1", "semicolon"),
        ("denials", "a semicolon in a comment", "-- What", "-- What; all", "semicolon"),
        ("denials", "a reserved name", "AS first_seen", "AS first", "first is reserved"),
        ("denials", "a column that is not there", "stage,", "stages,", "stages"),
        ("denials", "a function that is not there", "min(", "least_of(", "least_of"),
        ("view", "a function that is not there", "json_format(", "json_text(", "json_text"),
        ("view", "a parenthesis too many", "try(", "try((", "ParseError"),
        ("table", "a reserved name", "day string", "date string", "date is reserved"),
        ("table", "no type", "line string", "line", "AssertionError"),
    ];
    for (query, name, from, to, expected) in cases {
        let mut queries = athena();
        let (_, text) = queries.iter_mut().find(|(known, _)| known == query).unwrap();
        assert!(text.contains(from), "{name}");
        *text = text.replace(from, to);
        let error = bucket.ask(&queries).expect_err(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    bucket.ask(&athena()).unwrap();
}

#[test]
fn the_numbers_are_those_of_the_report() {
    if log_tools().is_none() {
        return;
    }
    let half = SAMPLE.match_indices('\n').nth(SAMPLE.lines().count() / 2).unwrap().0 + 1;
    let (first, second) = SAMPLE.split_at(half);
    let buckets = [
        ("plain", Bucket::new().with("2026/11/23", "log", &*SAMPLE)),
        ("exported", Bucket::new().with("2026/11/23/task/stream", "000000.gz", gz(&exported(&SAMPLE)))),
        (
            "over two days and hours",
            Bucket::new().with("2026/11/23/10", "a.gz", gz(first)).with("2026/11/24/00", "b", second),
        ),
    ];
    for (name, bucket) in buckets {
        let mut queries = athena();
        queries.push(("lines".to_owned(), "SELECT count(*) AS lines FROM egress_audit;".to_owned()));
        let (answers, report) = (bucket.ask(&queries).unwrap(), bucket.report(""));
        assert_same(&answers, &report);
        assert_eq!(answers["lines"][0]["lines"], report["read"]["audit_lines"], "{name}");
        let counts: Vec<_> = answers["denials"].as_array().unwrap().iter().map(|row| row["count"].as_u64()).collect();
        assert!(counts.is_sorted_by(|count, next| count >= next), "{name}: {counts:?}");
        for (table, rows) in &answers {
            assert!(table == "lines" || rows.as_array().unwrap().len() > 1, "{name}: nothing in {table}");
        }
    }
}

/// Lines that anybody could print, and whether the report counts them. None may end a query, or count on one side only.
#[test]
fn forged_and_torn_lines_count_where_the_report_counts_them() {
    if log_tools().is_none() {
        return;
    }
    let with = |from: &str, to: &str| {
        assert!(LINE.contains(from), "{from}");
        LINE.replace(from, to)
    };
    let mut cases: Vec<(&str, String, bool)> = vec![
        ("as it should be", LINE.to_owned(), true),
        ("after a time", exported(LINE), true),
        ("with a carriage return", format!("{LINE}\r\n"), true),
        ("with space", format!("  {}  ", LINE.replace("\":", "\" : ")), true),
        ("torn at its end", LINE[..LINE.len() - 1].to_owned(), false),
        ("torn in its middle", LINE[..LINE.len() / 2].to_owned(), false),
        ("torn at its beginning", LINE[20..].to_owned(), false),
        ("with words behind", format!("{LINE} words"), false),
        ("with words before", format!("words {LINE}"), true),
        ("in a list", format!("[{LINE}]"), false),
        ("in a text", serde_json::to_string(LINE).unwrap(), false),
        ("as part of another", format!("{{\"schema\":\"egress-guard/1\",\"line\":{LINE}}}"), false),
        ("with single quotes", LINE.replace('"', "'"), false),
        ("with an object more", with("\"host\"", "\"_aws\":{\"a\":[1,\"2\"]},\"host\""), true),
        ("with a key in a text", with("\"message\":\"", r#""message":"\"port\":\"x\",\"port\":1.5,"#), true),
        ("with a key in a key", with("\"message\"", r#""a,\"port":"x","message""#), true),
        ("with controls in a text", with("allowed\",\"event", "al\u{1}lo\\u0000wed\",\"event"), false),
        ("with escaped controls", with("a.example", "a\\u0000\\u0001\\n.example"), true),
        ("with other scripts", with("a.example", "\u{fc}\u{1f600}.example"), true),
        ("empty", String::new(), false),
        ("an empty object", "{}".to_owned(), false),
        (
            "of the platform",
            r#"{"time":"2026-11-23T10:45:59.434Z","type":"platform.start","record":{}}"#.to_owned(),
            false,
        ),
        ("of the application", r#"{"level":"INFO","message":"\"egress_decision\""}"#.to_owned(), false),
        ("another schema", with("egress-guard/1", "egress-guard/2"), false),
        ("no schema", with("\"schema\":\"egress-guard/1\",", ""), false),
        ("another event", with("egress_decision", "egress_surprise"), true),
        ("the event is null", with("\"egress_decision\"", "null,\"x\":\"egress_decision\""), false),
        ("the time is a number", with("\"2026-11-23T10:45:59.434Z\"", "1795430759434"), false),
        ("the time is none", with("2026-11-23T10:45:59.434Z", "yesterday"), false),
        ("the time cannot be", with("2026-11-23T10", "2026-13-23T10"), false),
        ("the number is negative", with("\"seq\":1", "\"seq\":-1"), false),
        ("the number is a fraction", with("\"seq\":1", "\"seq\":1.0"), false),
        ("the number is great", with("\"seq\":1", "\"seq\":18446744073709551615"), true),
        ("the number is too great", with("\"seq\":1", "\"seq\":100000000000000000000"), false),
        ("the number is a text", with("\"seq\":1", "\"seq\":\"1\""), false),
        ("no number", with("\"seq\":1,", ""), false),
        ("no policy", with("\"policy_id\":\"p\",", ""), false),
        ("no mode", with("\"mode\":\"enforce\",", ""), false),
    ];
    for port in ["\"443\"", "443.0", "443.5", "4e2", "-1", "65536", "5000000000", "[443]", "true", "NaN"] {
        cases.push(("another port", with("443", port), false));
    }
    for port in ["0", "65535", "null"] {
        cases.push(("a port", with("443", port), true));
    }
    for would_deny in ["\"true\"", "1", "{}"] {
        cases.push(("would_deny", with("\"host\"", &format!("\"would_deny\":{would_deny},\"host\"")), false));
    }
    for (would_deny, outcome) in [("true", ""), ("false", ""), ("null", ""), ("true", "\"outcome\":\"x\",")] {
        cases.push(("would_deny", with("\"host\"", &format!("{outcome}\"would_deny\":{would_deny},\"host\"")), true));
    }
    for text in ["action", "stage", "boundary", "host", "rule_id"] {
        let at = LINE.find(&format!("\"{text}\":\"")).unwrap() + text.len() + 3;
        let end = at + 1 + LINE[at + 1..].find('"').unwrap() + 1;
        let with = |value: &str| format!("{}{value}{}", &LINE[..at], &LINE[end..]);
        for (value, is_counted) in [("1", false), ("true", false), ("{\"a\":1}", false), ("[]", false), ("null", true)]
        {
            cases.push((text, with(value), is_counted));
        }
        cases.push((text, with("\"\""), true));
    }
    let outcome = |keys: &str| with("egress_decision\",", &format!("egress_outcome\",{keys},"));
    for (keys, is_counted) in [
        ("\"bytes_sent\":18446744073709551615,\"bytes_received\":9223372036854775808", true),
        ("\"bytes_sent\":1e3", false),
        ("\"bytes_sent\":-1", false),
        ("\"bytes_received\":\"1\"", false),
        ("\"duration_ms\":12", true),
        ("\"duration_ms\":1.5e3", true),
        ("\"duration_ms\":\"12\"", false),
        ("\"duration_ms\":Infinity", false),
        ("\"status\":99", true),
        ("\"status\":1234", true),
        ("\"status\":70000", false),
        ("\"status\":\"200\"", false),
        ("\"outcome\":\"complete\",\"status\":200", true),
    ] {
        cases.push(("an outcome", outcome(keys), is_counted));
    }

    // A folder for each case, among the years.
    let day = |number: usize| format!("{:04}/01/01", 1000 + number);
    let bucket = cases.iter().enumerate().fold(Bucket::new(), |bucket, (number, (_, line, _))| {
        bucket.with(&day(number), "log", format!("START RequestId: {{1}}\n{line}\nREPORT\n"))
    });
    let mut queries = athena();
    queries.push(("days".to_owned(), "SELECT day, count(*) AS lines FROM egress_audit GROUP BY day;".to_owned()));
    let answers = bucket.ask(&queries).unwrap();
    let counted: BTreeMap<&str, u64> = answers["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["day"].as_str().unwrap(), row["lines"].as_u64().unwrap()))
        .collect();
    for (number, (name, line, is_counted)) in cases.iter().enumerate() {
        let lines = counted.get(day(number).as_str()).copied().unwrap_or_default();
        assert_eq!(
            bucket.report(&day(number))["read"]["audit_lines"],
            u64::from(*is_counted),
            "report, {name}: {line}"
        );
        assert_eq!(lines, u64::from(*is_counted), "{name}: {line}");
    }
    assert_same(&answers, &bucket.report(""));
}

/// Where an application's print and an audit line have come into one event.
#[test]
fn behind_another_object_the_report_alone_finds_lines() {
    if log_tools().is_none() {
        return;
    }
    for (event, found) in [(format!("{LINE}{LINE}"), 2), (format!("{{}} {LINE}"), 1), (format!("{{\"cut\": {LINE}"), 1)]
    {
        let bucket = Bucket::new().with("2026/11/23", "log", format!("{event}\n"));
        assert_eq!(bucket.report("")["read"]["audit_lines"], found, "{event}");
        assert_eq!(bucket.ask(&athena()).unwrap()["functions"], json!([]), "{event}");
    }
}

#[test]
fn sums_that_no_64_bits_hold_do_not_end_a_query() {
    if log_tools().is_none() {
        return;
    }
    let most = LINE.replace("egress_decision\",", &format!("egress_outcome\",\"bytes_sent\":{},", u64::MAX));
    let answers = Bucket::new().with("2026/11/23", "log", format!("{most}\n{most}\n")).ask(&athena()).unwrap();
    for table in ["functions", "destinations", "outcomes"] {
        assert_eq!(answers[table][0]["bytes_sent"].as_f64(), Some(2.0 * u64::MAX as f64), "{table}");
    }
}

/// The queries, with a line that is written as a comment brought into force.
fn with_line(begins: &str) -> Vec<(String, String)> {
    let mut queries = athena();
    let lines = queries.iter().map(|(_, text)| text.matches(begins).count());
    assert!(lines.sum::<usize>() > 0, "{begins}");
    for (_, text) in &mut queries {
        *text = text.replace(begins, begins.strip_prefix("-- ").unwrap());
    }
    queries
}

#[test]
fn a_question_can_be_asked_of_some_days() {
    if log_tools().is_none() {
        return;
    }
    let (asked, others) = ("2026/11", ["2026/10/31", "2026/12/01"]);
    let bucket = Bucket::new().with("2026/11/01", "log", &*SAMPLE).with("2026/11/30", "log", &*SAMPLE);
    let bucket = others.iter().fold(bucket, |bucket, day| bucket.with(day, "log", &*SAMPLE));
    assert_same(&bucket.ask(&with_line("-- AND day")).unwrap(), &bucket.report(asked));
    assert_same(&bucket.ask(&athena()).unwrap(), &bucket.report(""));
}

#[test]
fn what_was_delivered_twice_can_count_once() {
    if log_tools().is_none() {
        return;
    }
    let bucket = Bucket::new().with("2026/11/23", "a", &*SAMPLE).with("2026/11/23", "b.gz", gz(&exported(&SAMPLE)));
    let once = Bucket::new().with("2026/11/23", "a", &*SAMPLE).report("");
    assert_same(&bucket.ask(&with_line("-- GROUP BY")).unwrap(), &once);
    assert_same(&bucket.ask(&athena()).unwrap(), &bucket.report(""));
}

/// Nothing here says how fast, only that it ends, and right.
#[test]
fn a_hundred_thousand_lines_are_counted() {
    if log_tools().is_none() {
        return;
    }
    let times = 100_000 / SAMPLE.lines().count();
    let bucket = Bucket::new().with("2026/11/23", "log.gz", gz(&SAMPLE.repeat(times)));
    assert_same(&bucket.ask(&athena()).unwrap(), &bucket.report(""));
}
