//! `egress-guard cloudwatch` as its user runs it, held against what CloudWatch takes, and asked about real audit lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::string_slice, clippy::cast_precision_loss, clippy::cast_possible_wrap, reason = "a test")]

mod alarms;
mod contributor;
mod dashboard;
mod fields;
mod filter_pattern;
mod insights;
mod insights_run;
mod lines;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use egress_guard_tests::ValidatedAudit;
use filter_pattern::Pattern;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use template::{STACK, Stack};

const ONE: &[&str] = &["--function", "orders"];
const TWO: &[&str] = &["--function", "orders", "--function", "billing", "--log-group", "/shop/functions"];
/// Each choice at least once.
const CHOICES: &[&[&str]] = &[
    ONE,
    TWO,
    &["--function", "orders", "--log-group", "/shop/functions"],
    &["--function", "orders", "--no-summaries"],
    &["--function", "orders", "--managed-instances"],
    &["--function", "orders", "--function", "billing", "--log-group", "a", "--managed-instances"],
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

// ----- what is printed -----

#[test]
fn a_template_looks_like_this() {
    insta::assert_snapshot!("one", template::print(ONE));
    insta::assert_snapshot!("two", template::print(TWO));
}

#[test]
fn what_cannot_be_watched_is_an_error_that_says_what_to_write() {
    let many: Vec<String> = (0..30).flat_map(|number| ["--function".to_owned(), format!("f{number}")]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["--log-group", "a"]).collect();
    let cases: &[(&[&str], &str)] = &[
        (&[], "--function <NAME>"),
        (&["--function", "orders:live"], "write its name alone: orders"),
        (&["--function", "a\"b"], "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
        (&["--function", "orders", "--log-group", "/aws/lambda/*"], "a log group's name is 1 to 512 of"),
        (
            &["--function", "a", "--function", "b"],
            "several functions, and no --log-group: name the one that they write to",
        ),
        (&["--function", "a", "--function", "a", "--log-group", "g"], "a function is there twice: name each once"),
        (&["--function", "a", "--function", "b", "--log-group", "g", "--no-summaries"], "print a template for each"),
        (&["--function", "a", "--no-summaries", "--managed-instances"], "cannot be used with"),
        (&many, "CloudFormation takes 51200 from a file: print one for some of them, and one for the others"),
    ];
    for (arguments, said) in cases {
        let output =
            Command::new(env!("CARGO_BIN_EXE_egress-guard")).arg("cloudwatch").args(*arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

/// `.ci/aws-local` installs the linter.
#[test]
fn the_linter_of_cloudformation_finds_nothing_and_would() {
    let installed = root().join("target/aws-local/python/bin/cfn-lint");
    let linter = std::env::var_os("CFN_LINT").map_or(installed, PathBuf::from);
    if !linter.exists() {
        assert!(
            egress_guard_tests::may_skip(),
            "cfn-lint is not at {}: install it with `.ci/aws-local`",
            linter.display()
        );
        eprintln!("skipped: there is no cfn-lint at {}", linter.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let lint = |paths: &[PathBuf]| {
        let mut command = Command::new(&linter);
        command.args([
            "--include-checks",
            "I",
            "--regions",
            "us-east-1",
            "eu-west-1",
            "ap-northeast-1",
            "us-gov-west-1",
            "cn-north-1",
            "--",
        ]);
        let output = command.args(paths).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let templates = CHOICES.iter().enumerate();
    let templates: Vec<_> =
        templates.map(|(number, choice)| write(format!("{number}.yaml"), &template::print(choice))).collect();
    assert_eq!(lint(&templates), (true, String::new()));
    for (from, to) in
        [("Statistic: Sum", "Statistic: Total"), ("!Ref TopicArn]", "!Ref Topic]"), ("Unit: Count", "Unit: Counts")]
    {
        let broken = template::print(ONE);
        assert!(broken.contains(from), "{from}");
        assert!(!lint(&[write("broken.yaml".to_owned(), &broken.replacen(from, to, 1))]).0, "{to}");
    }
}

// ----- what CloudWatch takes -----

#[test]
fn every_choice_is_taken_by_cloudwatch() {
    for choice in CHOICES {
        let stack = Stack::printed_by(choice);
        let metrics = stack.metric_names();
        assert_eq!(metrics.iter().collect::<BTreeSet<_>>().len(), metrics.len(), "{metrics:?}");
        for (name, filter) in stack.of_type("AWS::Logs::MetricFilter") {
            let pattern = Pattern::parse(filter["FilterPattern"].as_str().unwrap());
            pattern.unwrap_or_else(|error| panic!("{name}: {error}"));
            let [made] = &filter["MetricTransformations"].as_array().unwrap()[..] else { panic!("{filter}") };
            // A dimension would rule out the default value, and lose lines without its field.
            let keys: Vec<_> = made.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["DefaultValue", "MetricName", "MetricNamespace", "MetricValue", "Unit"], "{name}");
            assert_eq!((&made["DefaultValue"], &made["MetricValue"]), (&json!(0), &json!("1")), "{name}");
            assert!(!made["MetricName"].as_str().unwrap().contains([':', '*', '$']), "{name}");
        }
        let alarms = stack.of_type("AWS::CloudWatch::Alarm");
        for (name, alarm) in &alarms {
            alarms::check(alarm, &metrics).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(alarm.get("AlarmActions").is_none(), "{name}: nobody is to be told");
        }
        let log_group = &stack.of_type("AWS::Logs::MetricFilter")[0].1["LogGroupName"];
        let [(_, rule)] = stack.of_type("AWS::CloudWatch::InsightRule")[..] else { panic!() };
        let parsed = contributor::Rule::parse(rule["RuleBody"].as_str().unwrap()).unwrap();
        assert_eq!(json!(parsed.log_group_names), json!([log_group]));
        let [(_, dashboard)] = stack.of_type("AWS::CloudWatch::Dashboard")[..] else { panic!() };
        let shown = dashboard::Shown {
            metrics,
            alarms: alarms.iter().map(|(name, _)| format!("arn-of-{name}")).collect(),
            rule: rule["RuleName"].as_str().unwrap().to_owned(),
            log_group: log_group.as_str().unwrap().to_owned(),
        };
        dashboard::check(dashboard["DashboardBody"].as_str().unwrap(), &shown)
            .unwrap_or_else(|error| panic!("{error}"));
        let mut names = BTreeSet::new();
        for (name, query) in stack.of_type("AWS::Logs::QueryDefinition") {
            insights::parse(query["QueryString"].as_str().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(query["LogGroupNames"], json!([log_group]), "{name}");
            assert!(names.insert(query["Name"].as_str().unwrap()), "{name}");
        }
        // Roles, policies and permissions would need a reason.
        let expected = ["AWS::Logs::MetricFilter", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::InsightRule"];
        let expected = expected.into_iter().chain(["AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition"]);
        assert_eq!(stack.types().into_iter().collect::<BTreeSet<_>>(), expected.collect());
    }
}

#[test]
fn a_topic_is_told_of_every_alarm() {
    let topic = "arn:aws:sns:eu-west-1:111122223333:security";
    let stack = Stack::with_parameters(&template::print(ONE), &[("TopicArn", topic)]);
    for (name, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["AlarmActions"], json!([topic]), "{name}");
    }
}

#[test]
fn parameters_take_the_place_of_what_was_asked_for() {
    let parameters = [("FunctionName", "orders-prod"), ("LogGroupName", "/prod"), ("DenialThreshold", "7")];
    let stack = Stack::with_parameters(&template::print(ONE), &parameters);
    let all = json!(stack.of_type("AWS::Logs::MetricFilter")).to_string()
        + &json!(stack.of_type("AWS::CloudWatch::Alarm")).to_string()
        + &json!(stack.of_type("AWS::CloudWatch::Dashboard")).to_string();
    assert!(!all.contains("\"orders\"") && !all.contains("/aws/lambda"), "{all}");
    assert!(all.contains(r#"($.function_name = \"orders-prod\")"#), "{all}");
}

/// The query files are all there, and each begins by saying what it is for.
#[test]
fn every_query_file_is_saved_with_the_template() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloudwatch/insights");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeMap<String, String> = files
        .map(|path| {
            (format!("{STACK}/{}", path.file_stem().unwrap().to_str().unwrap()), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    let stack = Stack::printed_by(ONE);
    let saved = stack.of_type("AWS::Logs::QueryDefinition").into_iter();
    let text = |query: &Value, key: &str| query[key].as_str().unwrap().to_owned();
    let saved: BTreeMap<String, String> =
        saved.map(|(_, query)| (text(query, "Name"), text(query, "QueryString"))).collect();
    assert_eq!(saved, files);
    assert!(files.values().all(|query| query.starts_with("# ")));
}

#[test]
fn the_page_explains_every_alarm_metric_query_parameter_and_option() {
    let page = std::fs::read_to_string(root().join("docs/cloudwatch.md")).unwrap();
    let stack = Stack::printed_by(ONE);
    let alarms = stack.of_type("AWS::CloudWatch::Alarm").into_iter().map(|(name, _)| name.to_owned());
    let metrics = stack.of_type("AWS::Logs::MetricFilter").into_iter().map(|(name, _)| name.to_owned());
    let queries = stack.of_type("AWS::Logs::QueryDefinition").into_iter();
    let queries = queries.map(|(_, query)| query["Name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    let others = ["TopicArn", "DenialThreshold", "--function NAME", "--log-group NAME", "--no-summaries"];
    let others = others.into_iter().chain(["--managed-instances"]).map(str::to_owned);
    for name in alarms.chain(metrics).chain(queries).chain(others) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

// ----- what they make of real lines -----

/// The lines of two functions, and the same postures where nothing needs a look.
async fn audit() -> Vec<Value> {
    let mut lines = lines::of_two_functions().await;
    let clean: Vec<Value> = lines
        .iter()
        .filter(|line| line["event_type"] == "egress_posture" && line.get("quarantined").is_none())
        .filter(|line| line.get("dropped_levels").is_none())
        .map(|line| {
            let mut line = line.clone();
            line.as_object_mut().unwrap().remove("suspicious_environment");
            match line.get("severity") {
                Some(_) => line["severity"] = "INFO".into(),
                None => line["level"] = "INFO".into(),
            }
            ValidatedAudit::validate(&line);
            line
        })
        .collect();
    assert!(clean.iter().any(|line| line["level"] == "ERROR"), "one was raised");
    lines.extend(clean);
    lines
}

fn is(line: &Value, key: &str, value: &str) -> bool {
    line[key] == value
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_counts_the_lines_that_it_should_and_no_other() {
    type Expected = fn(&Value) -> bool;
    let expected: &[(&str, Expected)] = &[
        ("Denials", |line| is(line, "event_type", "egress_decision") && is(line, "action", "denied")),
        ("WouldBeDenied", |line| is(line, "event_type", "egress_decision") && line.get("would_deny").is_some()),
        ("Postures", |line| is(line, "event_type", "egress_posture")),
        ("PostureWarnings", |line| {
            let needs_a_look = ["suspicious_environment", "dropped_levels"].iter().any(|key| line.get(key).is_some());
            is(line, "event_type", "egress_posture") && needs_a_look && line.get("quarantined").is_none()
        }),
        ("Quarantines", |line| is(line, "event_type", "egress_posture") && line.get("quarantined").is_some()),
        ("AuditFailures", |line| is(line, "reason", "audit-failed")),
        ("Summaries1", |line| is(line, "event_type", "egress_summary") && is(line, "function_name", "orders")),
        ("Summaries2", |line| is(line, "event_type", "egress_summary") && is(line, "function_name", "billing")),
    ];
    let lines = audit().await;
    let stack = Stack::printed_by(TWO);
    let filters = stack.of_type("AWS::Logs::MetricFilter");
    assert_eq!(
        filters.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(),
        expected.iter().map(|(name, _)| *name).collect()
    );
    for (name, should) in expected {
        let (_, filter) = filters.iter().find(|(filter, _)| filter == name).unwrap();
        let pattern = Pattern::parse(filter["FilterPattern"].as_str().unwrap()).unwrap();
        let mut counted = 0;
        for line in &lines {
            let text = line.to_string();
            assert_eq!(pattern.matches(&text), should(line), "{name}: {text}");
            counted += usize::from(should(line));
        }
        assert!(counted > 0 && counted < lines.len(), "{name} counts {counted} of {}", lines.len());
        for other in lines::OTHERS {
            assert!(!pattern.matches(other), "{name}: {other}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contributors_are_the_destinations_that_were_denied() {
    let lines = audit().await;
    let mut expected: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for line in lines.iter().filter(|line| is(line, "action", "denied")) {
        if let (Some(host), Some(reason)) = (line["host"].as_str(), line["reason"].as_str()) {
            *expected.entry(vec![host.to_owned(), reason.to_owned()]).or_default() += 1;
        }
    }
    let stack = Stack::printed_by(ONE);
    let rule = stack.of_type("AWS::CloudWatch::InsightRule")[0].1["RuleBody"].as_str().unwrap();
    let others = lines::OTHERS.iter().map(|line| (*line).to_owned());
    let all: Vec<String> = lines.iter().map(Value::to_string).chain(others).collect();
    assert_eq!(contributor::Rule::parse(rule).unwrap().counts(&all), expected);
    assert!(expected.len() >= 3, "{expected:?}");
}

/// How the report and the SQL count, too.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    requests: u64,
    connections: u64,
    would_be_denied: u64,
    denied: u64,
}

/// By these keys of a line, as they are.
fn counts(lines: &[Value], keys: &[&str]) -> BTreeMap<String, Counts> {
    let mut groups: BTreeMap<String, Counts> = BTreeMap::new();
    for line in lines.iter().filter(|line| is(line, "event_type", "egress_decision")) {
        let counts = groups.entry(group(line, keys)).or_default();
        let allowed = is(line, "action", "allowed");
        let is_request = is(line, "stage", "request") || is(line, "stage", "redirect");
        counts.requests += u64::from(allowed && is_request);
        counts.connections += u64::from(allowed && is(line, "stage", "connection"));
        counts.would_be_denied += u64::from(line["would_deny"] == true);
        counts.denied += u64::from(is(line, "action", "denied"));
    }
    groups
}

fn group(line: &Value, keys: &[&str]) -> String {
    keys.iter().map(|key| format!("{}={} ", key, line[key])).collect()
}

fn ask(query: &str, lines: &[Value]) -> Vec<insights_run::Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cloudwatch/insights").join(query).with_extension("txt");
    insights_run::run(&insights::parse(&std::fs::read_to_string(path).unwrap()).unwrap(), lines)
}

fn number(row: &insights_run::Row, key: &str) -> u64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} in {row:?}")) as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_count_as_they_say() {
    let lines = lines::of_two_functions().await;
    for stage in ["request", "redirect", "name", "connection"] {
        assert!(lines.iter().any(|line| is(line, "stage", stage)), "{stage}");
    }
    for (query, keys) in [
        ("functions", &["function_name"][..]),
        ("destinations", &["function_name", "host", "port", "boundary"]),
        ("rules", &["policy_id", "rule_id"]),
    ] {
        let given = ask(query, &lines).into_iter().map(|row| {
            let [requests, connections, would_be_denied, denied] =
                ["requests", "connections", "would_be_denied", "denied"].map(|key| number(&row, key));
            (group(&row.into(), keys), Counts { requests, connections, would_be_denied, denied })
        });
        let (given, expected) = (given.collect::<BTreeMap<_, _>>(), counts(&lines, keys));
        assert_eq!(given, expected, "{query}");
        assert!(given.len() >= 3, "{given:?}");
    }
    for row in ask("functions", &lines) {
        let function = row.get("function_name").cloned().unwrap_or_default();
        let of_it =
            lines.iter().filter(|line| is(line, "event_type", "egress_decision") && line["function_name"] == function);
        let of_it = of_it.filter(|line| line.get("host").is_some() && line.get("port").is_some());
        let distinct: BTreeSet<String> = of_it.map(|line| group(line, &["host", "port"])).collect();
        assert_eq!(number(&row, "destinations"), distinct.len() as u64, "{row:?}");
    }
    // Hour by hour, they all are there.
    let timeline = ask("timeline", &lines);
    for key in ["requests", "connections", "would_be_denied", "denied"] {
        let sum = |rows: &[insights_run::Row]| rows.iter().map(|row| number(row, key)).sum::<u64>();
        assert_eq!(sum(&timeline), sum(&ask("functions", &lines)), "{key}");
    }
    assert!(timeline.iter().all(|row| number(row, "hour").is_multiple_of(3600)), "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_denials_and_outcomes_give_what_the_lines_say() {
    let lines = lines::of_two_functions().await;
    let times = |lines: &[&Value]| {
        let mut times: Vec<String> = lines.iter().map(|line| line["timestamp"].as_str().unwrap().to_owned()).collect();
        times.sort();
        (times[0].clone(), times[times.len() - 1].clone())
    };
    let keys = ["function_name", "host", "port", "stage", "reason", "rule_id"];
    for (query, count, key, value) in [
        ("denials", "denied", "action", json!("denied")),
        ("would-be-denied", "would_be_denied", "would_deny", json!(true)),
    ] {
        let rows = ask(query, &lines);
        let mut total = 0;
        let mut last = u64::MAX;
        for row in &rows {
            let same = lines.iter().filter(|line| {
                is(line, "event_type", "egress_decision")
                    && line[key] == value
                    && group(line, &keys) == group(&json!(row), &keys)
            });
            let same: Vec<&Value> = same.collect();
            assert_eq!(number(row, count), same.len() as u64, "{row:?}");
            let (first_seen, last_seen) = times(&same);
            assert_eq!((&row["first_seen"], &row["last_seen"]), (&json!(first_seen), &json!(last_seen)));
            assert!(number(row, count) <= last, "the most frequent first");
            (total, last) = (total + same.len(), number(row, count));
        }
        let all = lines.iter().filter(|line| is(line, "event_type", "egress_decision") && line[key] == value).count();
        assert_eq!(total, all, "{query}");
    }

    let outcomes = lines.iter().filter(|line| is(line, "event_type", "egress_outcome"));
    let outcomes: Vec<&Value> = outcomes.collect();
    let rows = ask("outcomes", &lines);
    assert_eq!(rows.iter().map(|row| number(row, "exchanges")).sum::<u64>(), outcomes.len() as u64);
    let complete = outcomes.iter().filter(|line| is(line, "outcome", "complete") && is(line, "host", "also.test"));
    let given = rows.iter().filter(|row| row["outcome"] == "complete" && row["host"] == "also.test");
    let given: Vec<_> = given.collect();
    assert!(given.iter().all(|row| number(row, "status_class") == 2), "{given:?}");
    assert_eq!(given.iter().map(|row| number(row, "exchanges")).sum::<u64>(), complete.count() as u64);
    for key in ["bytes_sent", "bytes_received"] {
        let rows = ask("traffic", &lines);
        let given: u64 = rows.iter().map(|row| number(row, key.trim_start_matches("bytes_"))).sum();
        let expected: u64 = outcomes.iter().filter_map(|line| line[key].as_u64()).sum();
        assert!(given == expected && given > 0, "{key}: {given}, {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_investigation_finds_the_first_denial_and_what_came_after() {
    let lines = lines::of_a_function(&[]).await;
    let text = |query: &str| {
        std::fs::read_to_string(root().join("egress-guard-cli/src/cloudwatch/insights").join(query)).unwrap()
    };
    let run = |text: String| insights_run::run(&insights::parse(&text).unwrap(), &lines);

    let first = ask("first-denials", &lines);
    let careful = lines.iter().find(|line| is(line, "policy_id", "careful") && is(line, "action", "denied")).unwrap();
    let row = first.iter().find(|row| row["environment_id"] == careful["environment_id"]).unwrap();
    assert_eq!(
        (number(row, "first_seq"), &row["first_message"]),
        (careful["seq"].as_u64().unwrap(), &careful["message"])
    );

    // As its comment says, the two zeros are written over.
    let after =
        text("after-denial.txt").replace("environment_id = 0", &format!("environment_id = {}", row["environment_id"]));
    let after = run(after.replace("seq >= 0", &format!("seq >= {}", number(row, "first_seq"))));
    let told: Vec<_> =
        after.iter().take(3).map(|row| (row["event_type"].as_str().unwrap(), row.get("reason"))).collect();
    let (host, quarantined) = (json!("host-not-allowed"), json!("quarantined"));
    assert_eq!(
        told,
        [("egress_decision", Some(&host)), ("egress_posture", None), ("egress_decision", Some(&quarantined))]
    );

    let of_request = run(text("request.txt").replace("REQUEST-ID", "request-2"));
    let expected = lines.iter().filter(|line| is(line, "requestId", "request-2")).count();
    assert!(of_request.len() == expected && expected > 10, "{expected}");

    // One guard of the function could not write the line of a connection, twice.
    let losing = lines.iter().find(|line| is(line, "policy_id", "losing")).unwrap();
    let [gap] = &ask("lost-lines", &lines)[..] else { panic!("one has a gap") };
    assert_eq!((&gap["environment_id"], number(gap, "lost")), (&losing["environment_id"], 2));
    let orders = lines.iter().filter(|line| is(line, "policy_id", "orders") && line["seq"] != 3);
    let gaps = ask("lost-lines", &orders.cloned().collect::<Vec<_>>());
    assert_eq!(gaps.iter().map(|row| number(row, "lost")).collect::<Vec<_>>(), [1]);
    // A line that was delivered twice hides none.
    let twice: Vec<_> = lines.iter().chain(&lines).cloned().collect();
    assert_eq!(number(&ask("lost-lines", &twice)[0], "lost"), 2);

    let in_force = ask("in-force", &lines);
    let policies: BTreeSet<_> = in_force.iter().map(|row| row["policy_id"].as_str().unwrap()).collect();
    assert_eq!(policies, ["careful", "early", "layered", "losing", "network", "orders", "reporting"].into());
}

// ----- functions with and without a guard -----

/// Runs a property as often as is reasonable here.
fn holds<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, property: impl Fn(T) -> Result<(), TestCaseError>) {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, property).unwrap_or_else(|error| panic!("{error}"));
}

fn alarm(name: &str) -> Value {
    let stack = Stack::printed_by(ONE);
    stack.of_type("AWS::CloudWatch::Alarm").into_iter().find(|(alarm, _)| *alarm == name).unwrap().1.clone()
}

/// Invocations as they begin, by the minute, how long they take, and whether they fail.
fn invocations(minutes: i64) -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
    prop::collection::vec((0..minutes, 0_i64..=15, prop::bool::weighted(0.1)), 1..40)
}

#[test]
fn a_guarded_function_never_raises_the_alarm_for_missing_summaries() {
    let alarm = alarm("UnguardedAlarm");
    holds((invocations(1200), 0_i64..10), |(invocations, late)| {
        let mut told = alarms::Told::default();
        for (begins, takes, fails) in invocations {
            told.invocations.push(begins);
            // One that is ended at its deadline leaves no summary.
            if fails { told.errors.push(begins) } else { told.lines.push(begins + takes) }
        }
        prop_assert!(!alarms::is_ever_raised(&alarm, &told, late));
        Ok(())
    });
}

#[test]
fn a_new_stack_raises_nothing_for_a_guarded_function() {
    let missing_summaries = alarm("UnguardedAlarm");
    let busy = |deployed| alarms::Told {
        invocations: (0..1000).collect(),
        lines: (1..1001).collect(),
        deployed,
        ..Default::default()
    };
    assert!(!alarms::is_ever_raised(&missing_summaries, &busy(Some(500)), 9));
    let mut unready = missing_summaries.clone();
    unready["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"] = 0.into();
    assert!(alarms::is_ever_raised(&unready, &busy(Some(500)), 9));
    holds((invocations(1200), 0_i64..1200), |(invocations, deployed)| {
        let lines = invocations.iter().map(|(begins, takes, _)| begins + takes).collect();
        let invocations = invocations.iter().map(|(begins, ..)| *begins).collect();
        let told = alarms::Told { invocations, lines, deployed: Some(deployed), ..Default::default() };
        prop_assert!(!alarms::is_ever_raised(&missing_summaries, &told, 9));
        Ok(())
    });
    let missing_postures = alarm("PostureMissingAlarm");
    holds((environments(), 0_i64..10_000), |(environments, deployed)| {
        let told = alarms::Told { deployed: Some(deployed), ..told_by(environments) };
        prop_assert!(!alarms::is_ever_raised(&missing_postures, &told, 0));
        Ok(())
    });
}

#[test]
fn a_function_without_a_guard_raises_it_if_it_is_invoked_in_two_hours_running() {
    let alarm = alarm("UnguardedAlarm");
    holds((0_i64..60, 1_i64..=60, 0_i64..300), |(first, apart, guarded)| {
        let mut told = alarms::Told::default();
        for number in 0..200 / apart + 2 {
            told.invocations.push(guarded + first + number * apart);
        }
        // Its guard was taken out.
        told.lines.extend((0..guarded).step_by(7));
        told.invocations.extend((0..guarded).step_by(7));
        prop_assert!(alarms::is_ever_raised(&alarm, &told, 2));
        Ok(())
    });
    // Once a day is too seldom for it: that is what the other alarm is for.
    let daily = alarms::Told { invocations: (0..5).map(|day| day * 1440 + 30).collect(), ..Default::default() };
    assert!(!alarms::is_ever_raised(&alarm, &daily, 2));
    assert!(alarms::is_ever_raised(&self::alarm("PostureMissingAlarm"), &daily, 2));
}

/// An environment: when it begins, how long it lives, below a day, and when it is invoked in that time.
type Environment = (i64, i64, Vec<f64>);

fn environments() -> impl Strategy<Value = Vec<Environment>> {
    prop::collection::vec((0_i64..10_000, 1_i64..1440, prop::collection::vec(0.0..1.0, 1..6)), 1..8)
}

fn told_by(environments: Vec<Environment>) -> alarms::Told {
    let mut told = alarms::Told::default();
    for (begins, lives, invoked) in environments {
        told.lines.push(begins);
        told.invocations.extend(invoked.into_iter().map(|part| begins + (part * lives as f64) as i64));
    }
    told
}

#[test]
fn a_function_that_begins_environments_never_raises_the_alarm_for_missing_postures() {
    let alarm = alarm("PostureMissingAlarm");
    holds((environments(), 0_i64..10), |(environments, late)| {
        let told = told_by(environments);
        prop_assert!(!alarms::is_ever_raised(&alarm, &told, late));
        Ok(())
    });
}

#[test]
fn with_less_patience_the_alarms_would_be_raised_by_healthy_functions() {
    // One invocation over the turn of an hour; one that fails again and again; an environment of yesterday, and a new one
    // whose first line is late.
    let over_the_hour = alarms::Told { invocations: vec![100], lines: vec![110], ..Default::default() };
    let failing = alarms::Told { invocations: vec![10, 100], errors: vec![10, 100], ..Default::default() };
    let late = alarms::Told { invocations: vec![2484, 4558], lines: vec![1686, 4558], ..Default::default() };
    let periods = |count: u64| {
        move |alarm: &mut Value| {
            alarm["EvaluationPeriods"] = count.into();
            alarm["DatapointsToAlarm"] = count.into();
        }
    };
    let errors_count = |alarm: &mut Value| {
        let expression = alarm["Metrics"][0]["Expression"].as_str().unwrap().replace("> FILL(errors, 0)", "> 0");
        alarm["Metrics"][0]["Expression"] = expression.into();
    };
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, &alarms::Told, Change<'_>); 3] = [
        ("UnguardedAlarm", &over_the_hour, &periods(1)),
        ("UnguardedAlarm", &failing, &errors_count),
        ("PostureMissingAlarm", &late, &periods(2)),
    ];
    for (name, told, change) in cases {
        let mut alarm = alarm(name);
        assert!(!alarms::is_ever_raised(&alarm, told, 9), "{name}");
        change(&mut alarm);
        assert!(alarms::is_ever_raised(&alarm, told, 9), "{name}");
    }
}
