//! Whatever a URL, a method, a policy or the platform holds, each record is one valid, bounded line that hides nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use egress_guard::{ChainKey, ClientOptions, Guard, JsonLines, MemorySink, OcsfLines, Policy, PolicyError, Rule};
use egress_guard_tests::{ValidatedAudit, Written};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use lambda_runtime::{Config, Context, Error, LambdaInvocation};
use proptest::prelude::*;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

/// A policy of many layers with the longest names, and with this text wherever it is taken.
fn policy(text: &str) -> Policy {
    let layer = |number: usize| -> Policy {
        let rule = |kind: &str| Rule::new(format!("{kind}{number}{}", "r".repeat(62 - number.to_string().len())));
        let allow = |told: &str| rule("a").hosts([".test"]).schemes(["http"]).reason(told).owner(told);
        let deny = |told: &str| rule("d").hosts(["denied.test"]).reason(told).owner(told);
        let built = |told: &str| -> Result<Policy, PolicyError> {
            Policy::builder("p".repeat(64)).owner(told).allow(allow(told)).deny(deny(told)).build()
        };
        built(text).or_else(|_| built("nobody")).unwrap()
    };
    let file = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let name: String = text.chars().filter(|char| !matches!(char, '/' | '\0')).take(60).collect();
        let path = folder.path().join(format!("{name}.toml"));
        std::fs::write(
            &path,
            "version = 1\nname = \"file\"\n[[allow]]\nid = \"any\"\nhosts = [\".test\"]\nschemes = [\"http\"]\n",
        )
        .unwrap();
        Policy::from_file(&path).unwrap()
    };
    (1..12).fold(file(text), |policy, number| policy.narrowed_by(layer(number)))
}

/// An invocation whose identity consists of this text, as far as the runtime would take it.
fn context(text: &str) -> Context {
    let mut context = Context::default();
    context.request_id = text.to_owned();
    context.invoked_function_arn = text.to_owned();
    context.xray_trace_id = Some(text.to_owned());
    let config = Config { function_name: text.to_owned(), version: text.to_owned(), ..Config::default() };
    context.env_config = Arc::new(config);
    context
}

/// Requests with this text in host, path, query and method, as far as clients take it.
fn requests(text: &str) -> Vec<Request<Full<Bytes>>> {
    let mut encoded = reqwest::Url::parse("http://allowed.test/").unwrap();
    encoded.set_path(text);
    let raw = |parts: &[&str]| Uri::try_from(parts.concat().into_bytes()).ok();
    let uris = [
        encoded.as_str().parse().ok(),
        raw(&["http://allowed.test/", text]),
        raw(&["http://denied.test/", text]),
        raw(&["http://", text, ".test/"]),
        raw(&["http://allowed.test/?", text]),
        raw(&[text, "://allowed.test/"]),
        raw(&["http://", text, "@allowed.test/"]),
    ];
    let method = Method::from_bytes(text.as_bytes()).unwrap_or(Method::GET);
    let request = |uri: Uri| Request::builder().method(method.clone()).uri(uri).body(Full::default()).unwrap();
    uris.into_iter().flatten().map(request).collect()
}

/// Puts a text wherever one is taken, and holds every line against what is promised.
async fn everywhere(text: &str) {
    let (output, chained, events, records) =
        (Written::default(), Written::default(), Written::default(), MemorySink::new());
    let lines = |output: &Written| JsonLines::new(output.clone()).with_metrics();
    let key = ChainKey::from_bytes(b"a key of the tests, and no secret").unwrap();
    let lines = (lines(&output), lines(&chained).chained(key));
    let guard = Guard::new(policy(text), ((lines, OcsfLines::new(events.clone())), records.clone()));
    let http =
        guard.client(ClientOptions::from(reqwest::Client::builder().tls_certs_only([])).max_redirects(0)).unwrap();
    let answering =
        guard.layer().layer(service_fn(async |_: Request<Full<Bytes>>| Ok::<_, Error>(Response::new(String::new()))));
    let requests = requests(text);
    let handler = service_fn(async |_: LambdaInvocation| {
        for request in &requests {
            let _ = answering.clone().oneshot(request.clone()).await;
        }
        for url in
            [["http://denied.test/", text], ["http://evil.example/", text], ["http://", text], [text, "://x.test/"]]
        {
            http.get(url.concat()).send().await.unwrap_err();
        }
        Ok::<(), Error>(())
    });
    let (parts, ()) = Response::new(()).into_parts();
    let invocation = LambdaInvocation { parts, body: Bytes::new(), context: context(text) };
    guard.lambda_layer().layer(handler).oneshot(invocation).await.unwrap();

    let records = records.lines();
    assert!(records.len() >= 15, "{records:#?}");
    for output in [output, chained] {
        for line in lines_of(&output, records.len()) {
            ValidatedAudit::validate(&is_as_promised(&line));
        }
    }
    let is_activity =
        |record: &&Value| record["event_type"] != "egress_posture" && record["event_type"] != "egress_summary";
    for event in lines_of(&events, records.iter().filter(is_activity).count()) {
        assert!(is_as_promised(&event)["class_uid"].is_u64());
    }
}

/// As many lines as records.
fn lines_of(written: &Written, records: usize) -> Vec<String> {
    let text = written.text();
    assert!(text.ends_with('\n'));
    assert_eq!(text.matches('\n').count(), records, "{text}");
    text.split_terminator('\n').map(str::to_owned).collect()
}

fn is_as_promised(line: &str) -> Value {
    assert!(line.len() < 4096, "{} bytes: {line}", line.len());
    let steers = |char: char| {
        char.is_control()
            || matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    assert!(!line.contains(steers), "{line:?}");
    serde_json::from_str(line).unwrap()
}

#[tokio::test]
async fn no_text_forges_a_line_or_steers_its_reader() {
    for (name, text) in [
        ("plain", "a".to_owned()),
        ("nothing", String::new()),
        ("a new line", "a\n{\"event_type\":\"egress_decision\",\"action\":\"allowed\"}".to_owned()),
        ("a carriage return", "a\r{\"level\":\"INFO\"}\r\n".to_owned()),
        ("the end of the text and another key", "a\",\"action\":\"allowed\",\"x\":\"".to_owned()),
        ("a backslash at the end", "a\\".to_owned()),
        ("escapes of a terminal", "\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}[31m".to_owned()),
        ("the same in one byte", "\u{9b}2J\u{9d}0;title\u{9c}".to_owned()),
        ("backspaces and deletes", "denied\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{7f}allowed".to_owned()),
        ("overrides", "a\u{202e}dewolla\u{202c}".to_owned()),
        ("isolates", "a\u{2066}b\u{2067}c\u{2068}d\u{2069}".to_owned()),
        ("next line", "a\u{85}b".to_owned()),
        ("line and paragraph separators", "a\u{2028}b\u{2029}c".to_owned()),
        ("no width", "a\u{200b}b\u{200d}c\u{feff}d\u{2060}e".to_owned()),
        ("nulls", "a\0b\0".to_owned()),
        ("percent sequences", "%0a%0d%1b%00%e2%80%ae%ff%zz%%%u000a%".to_owned()),
        ("other scripts", "b\u{fc}cher.\u{30cd}\u{30c3}\u{30c8}.\u{1f512}".to_owned()),
        ("dots and slashes", "../..//;a\\..%2f%2e%2e/".to_owned()),
        ("100 kB", "a".repeat(100_000)),
        ("100 kB of quotes", "\"".repeat(100_000)),
        ("100 kB of new lines", "\n".repeat(100_000)),
        ("100 kB of nulls", "\0".repeat(100_000)),
        ("100 kB of overrides", "\u{202e}".repeat(33_000)),
        ("100 kB of tags", "\u{e0041}".repeat(25_000)),
        ("100 kB of emoji", "\u{1f512}".repeat(25_000)),
        ("200 characters, as an owner may have", "\u{202e}".repeat(200)),
    ] {
        eprintln!("{name}");
        everywhere(&text).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_does_any_other(
        parts in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                "[\\x00-\\x1f\"\\\\\u{7f}-\u{9f}\u{200b}-\u{202e}\u{2060}-\u{206f}\u{feff}\u{e0041}]{1,40}",
                "[%0-9a-fu./:@?#-]{1,40}",
            ],
            0..6,
        ),
        times in prop_oneof![Just(1_usize), 1..400_usize],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(everywhere(&parts.concat().repeat(times)));
    }
}

/// Names of variables that begin as one that can lead requests elsewhere.
#[test]
fn no_variable_of_the_environment_does() {
    let hostile = ["\n{\"action\":\"allowed\"}", "\r\u{1b}[2J", "\u{9b}2J\u{202e}\u{2028}", "\u{1}\u{e0041}\"\\"];
    let names = (0..40)
        .flat_map(|number| hostile.map(|text| format!("AWS_ENDPOINT_URL{number}{}", text.repeat(1 + number * 30))));
    let requester = Command::new(env!("CARGO_BIN_EXE_requester"))
        .envs(names.map(|name| (name, "S3CRET")))
        .env("PORT", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8(requester.stdout).unwrap();
    assert!(
        output.lines().count() == 1 && output.contains("AWS_ENDPOINT_URL") && !output.contains("S3CRET"),
        "{output}"
    );
    is_as_promised(output.strip_suffix('\n').unwrap());
}
