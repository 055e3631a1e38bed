//! What Lambda and CloudWatch make of the lines of a function: which of them reach the log, and which numbers in them
//! become metrics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;

use egress_guard::{ClientOptions, Guard, JsonLines, Policy, Rule};
use egress_guard_tests::{Answer, Names, Server, TestFunction};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// Whether Lambda would put a line into the log of a function whose log format is JSON: a line without a valid
/// timestamp or level counts as INFO.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
fn reaches_the_log(line: &Value, log_level: &str) -> bool {
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    let timestamp = line["timestamp"].as_str().filter(|time| time.len() == 24 && time.ends_with('Z'));
    let level = timestamp.and(line["level"].as_str()).and_then(rank).or(rank("INFO"));
    level >= rank(log_level)
}

/// The lines of an invocation with one allowed and one denied request.
async fn lines_of_a_function(environment: &[(&str, &str)]) -> Vec<Value> {
    let server = Server::http("server", "127.0.0.1").await;
    let mut environment: Vec<_> = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    environment.push(("SERVER", format!("http://api.test:{}/", server.port())));
    let function = TestFunction::start("the_function", &environment).await;
    let Answer::Response(answer) = function.invoke("request-1", json!({})).await else { panic!() };
    assert_eq!(answer, "host-not-allowed");
    function.lines_once(1, |line| line["event_type"] == "egress_summary").await;
    function.lines()
}

/// Event types, actions and levels, in order.
fn told(lines: &[Value]) -> Vec<String> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let told = lines.iter().map(|line| {
        let what = text(line, "event_type").replace("egress_", "");
        format!("{what} {} {} {}", text(line, "action"), text(line, "level"), text(line, "severity"))
    });
    told.collect()
}

/// Without the posture, whose level depends on what is set where the tests run.
const ALL: [&str; 5] = [
    "decision allowed INFO -",
    "decision allowed INFO -",
    "outcome allowed INFO -",
    "decision denied WARN -",
    "summary - WARN -",
];

#[tokio::test]
async fn in_text_format_nothing_is_dropped_and_nothing_is_said() {
    let lines = lines_of_a_function(&[("AWS_LAMBDA_LOG_FORMAT", "Text"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")]).await;
    assert_eq!(told(&lines)[1..], ALL);
    assert!(lines.iter().all(|line| line.get("platform_log_level").is_none()));
}

#[tokio::test]
async fn at_info_everything_reaches_the_log_and_the_posture_names_the_level() {
    let lines = lines_of_a_function(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "INFO")]).await;
    assert_eq!(told(&lines)[1..], ALL);
    assert!(lines.iter().all(|line| reaches_the_log(line, "INFO")));
    assert_eq!(lines[0]["platform_log_level"], "INFO");
    assert!(lines[0].get("dropped_levels").is_none());
}

#[tokio::test]
async fn a_posture_that_says_what_is_dropped_is_not_dropped_itself() {
    for (level, dropped, left) in [
        ("WARN", "INFO", &["posture - WARN WARN", "decision denied WARN -", "summary - WARN -"][..]),
        ("ERROR", "INFO,WARN", &["posture - ERROR WARN"]),
        ("FATAL", "INFO,WARN", &["posture - FATAL WARN"]),
    ] {
        let lines = lines_of_a_function(&[("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", level)]).await;
        let lines: Vec<_> = lines.into_iter().filter(|line| reaches_the_log(line, level)).collect();
        assert_eq!(told(&lines), left);
        assert_eq!((&lines[0]["platform_log_level"], &lines[0]["dropped_levels"]), (&json!(level), &json!(dropped)));
        let message = lines[0]["message"].as_str().unwrap();
        let advice =
            format!("because the function's log level is {level}: set it to INFO, or use JsonLines::raising_levels");
        assert!(message.starts_with("egress policy `orders` in force") && message.ends_with(&advice), "{message}");
    }
}

#[tokio::test]
async fn raised_lines_all_reach_the_log_and_keep_their_own_level() {
    for level in ["WARN", "ERROR", "FATAL"] {
        let json_format = ("AWS_LAMBDA_LOG_FORMAT", "JSON");
        let lines = lines_of_a_function(&[json_format, ("AWS_LAMBDA_LOG_LEVEL", level), ("RAISING", "1")]).await;
        assert_eq!(lines.len(), 1 + ALL.len());
        assert!(lines.iter().all(|line| reaches_the_log(line, level)), "{lines:#?}");
        let own = |line: &Value| line.get("severity").unwrap_or(&line["level"]).as_str().unwrap().to_owned();
        assert_eq!(lines[1..].iter().map(own).collect::<Vec<_>>(), ["INFO", "INFO", "INFO", "WARN", "WARN"]);
        assert!(lines[0].get("dropped_levels").is_none());
    }
}

#[tokio::test]
async fn the_summary_is_a_document_of_embedded_metrics_if_asked_for() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/emf.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::draft7::new(&schema).unwrap();

    let lines = lines_of_a_function(&[("METRICS", "1")]).await;
    let (summary, others) = lines.split_last().unwrap();
    assert!(others.iter().all(|line| line.get("_aws").is_none() && !schema.is_valid(line)));
    assert!(schema.is_valid(summary), "{summary}");
    assert!(!schema.is_valid(&{
        let mut broken = summary.clone();
        broken["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = json!("Counts");
        broken
    }));

    // What the schema cannot say: what is named stands in the line, as a number or a text.
    let [directive] = &summary["_aws"]["CloudWatchMetrics"].as_array().unwrap()[..] else { panic!("{summary}") };
    assert_eq!(
        (&directive["Namespace"], &directive["Dimensions"]),
        (&json!("EgressGuard"), &json!([["function_name"]]))
    );
    assert_eq!(summary["function_name"], "orders");
    let names = directive["Metrics"].as_array().unwrap().iter().map(|metric| metric["Name"].as_str().unwrap());
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names.len(), 7);
    assert!(names.iter().all(|name| summary[name].is_number()), "{summary}");
    assert_eq!((&summary["allowed_count"], &summary["denied_count"]), (&json!(1), &json!(1)));

    // The time is that of the line, within what CloudWatch takes.
    let text = summary["timestamp"].as_str().unwrap();
    let milliseconds = summary["_aws"]["Timestamp"].as_i64().unwrap();
    let at = jiff::Timestamp::from_millisecond(milliseconds).unwrap();
    assert_eq!(format!("{at:.3}"), text);
}

#[tokio::test]
async fn no_line_is_a_document_of_embedded_metrics_unasked() {
    let lines = lines_of_a_function(&[]).await;
    assert!(lines.iter().all(|line| line.get("_aws").is_none()));
}

// ----- the function -----

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other tests, in a process of its own"]
async fn the_function() {
    let is_set = |name| std::env::var_os(name).is_some();
    let mut lines = JsonLines::stdout();
    if is_set("RAISING") {
        lines = lines.raising_levels();
    }
    if is_set("METRICS") {
        lines = lines.with_metrics();
    }
    let rule = Rule::new("api").hosts(["api.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let guard = Guard::new(Policy::builder("orders").allow(rule).build().unwrap(), lines);
    let names = Names::new().with("api.test", &["127.0.0.1"]);
    let http = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names)).unwrap();
    let handler = service_fn(move |_: LambdaEvent<Value>| {
        let http = http.clone();
        async move {
            http.get(std::env::var("SERVER")?).send().await?.bytes().await?;
            let error = http.get("https://evil.test/").send().await.unwrap_err();
            Ok::<_, Error>(json!(error.denied().map(|denied| denied.reason().as_str())))
        }
    });
    Runtime::new(handler).layer(guard.lambda_layer()).run().await.unwrap();
}
