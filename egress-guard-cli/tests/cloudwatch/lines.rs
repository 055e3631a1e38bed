//! Audit lines of a real function, and what else stands in its log.

use std::io;

use egress_guard::{AuditRecord, AuditSink, ClientOptions, Guard, JsonLines, Policy, Rule};
use egress_guard_tests::{Answer, Names, Server, TestFunction};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, json};

/// What a function writes of two invocations, with every kind of line, as read again.
pub(crate) async fn of_a_function(environment: &[(&str, &str)]) -> Vec<Value> {
    let server = Server::http("server", "127.0.0.1").await;
    let mut environment: Vec<_> = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    environment.push(("PORT", server.port().to_string()));
    let function = TestFunction::start("lines::the_function", &environment).await;
    for request_id in ["request-1", "request-2"] {
        let answer = function.invoke(request_id, json!({})).await;
        assert!(matches!(answer, Answer::Response(_)), "{answer:?}");
    }
    function.lines_once(2, |line| line["event_type"] == "egress_summary").await;
    function.lines()
}

/// Lines of two functions in one log group, the second at another log level, and with metrics.
pub(crate) async fn of_two_functions() -> Vec<Value> {
    let mut lines = of_a_function(&[]).await;
    let json_at_error = [("AWS_LAMBDA_LOG_FORMAT", "JSON"), ("AWS_LAMBDA_LOG_LEVEL", "ERROR")];
    for more in [&[("RAISING", "1"), ("METRICS", "1")][..], &[]] {
        let billing = of_a_function(&[&json_at_error[..], more].concat()).await;
        lines.extend(billing.into_iter().map(|mut line| {
            if line.get("function_name").is_some() {
                line["function_name"] = "billing".into();
            }
            line
        }));
    }
    lines
}

/// What an application, its logger, and Lambda write beside: nothing of it is an audit line.
pub(crate) const OTHERS: &[&str] = &[
    "",
    "egress_decision denied",
    "START RequestId: 8a8e Version: $LATEST",
    "INIT_START Runtime Version: provided:al2023.v1",
    "{",
    "[]",
    r#""egress_posture""#,
    r#"{"level":"WARN","timestamp":"2026-11-23T10:45:59.434Z","message":"egress_posture"}"#,
    r#"{"level":"WARN","event_type":"order","action":"denied","reason":"audit-failed","would_deny":true,"quarantined":true}"#,
    r#"{"event_type":["egress_posture"],"severity":"WARN"}"#,
    r#"{"event_type":{"x":"egress_decision"},"action":"denied"}"#,
    r#"{"event_type":"EGRESS_DECISION","action":"denied"}"#,
    r#"{"event_type":"egress_decision","action":"allowed","would_deny":false}"#,
    r#"{"event_type":"egress_decision","action":"allowed","would_deny":"true"}"#,
    // As a subscriber of `tracing` writes what it is told.
    r#"{"level":"WARN","fields":{"event_type":"egress_decision","action":"denied"}}"#,
    r#"{"time":"2026-11-23T10:45:59.434Z","type":"platform.report","record":{"requestId":"8a8e","status":"success"}}"#,
];

/// Does not take the lines of connections.
struct LosesConnections(JsonLines<Box<dyn io::Write + Send>>);

impl AuditSink for LosesConnections {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        match record.stage {
            Some("connection") => Err(io::ErrorKind::StorageFull.into()),
            _ => self.0.record(record),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other tests, in a process of its own"]
async fn the_function() {
    let is_set = |name| std::env::var_os(name).is_some();
    let output = || {
        let mut lines = JsonLines::stdout();
        if is_set("RAISING") {
            lines = lines.raising_levels();
        }
        if is_set("METRICS") {
            lines = lines.with_metrics();
        }
        lines
    };
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let rule = |id: &str| Rule::new(id).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let policy = |name: &str| Policy::builder(name).allow(rule("api").hosts(["api.test", "also.test"]));
    let names = Names::new().with("api.test", &["127.0.0.1"]).with("also.test", &["127.0.0.1"]);
    let names = names.with("rogue.test", &["127.0.0.1"]);
    let options = move || ClientOptions::from(reqwest::Client::builder()).resolver(names.clone());

    let guard = Guard::new(policy("orders").build().unwrap(), output());
    let http = guard.client(options()).unwrap();
    let plain = guard.reqwest(options()).unwrap();
    let reporting = Guard::new(policy("reporting").report_only_until("2999-12-31").build().unwrap(), output());
    let reporting = reporting.client(options()).unwrap();
    let quarantining = Guard::quarantining(policy("careful").build().unwrap(), output());
    let quarantining = quarantining.client(options()).unwrap();
    let layered =
        Guard::new(policy("network").build().unwrap().narrowed_by(policy("layered").build().unwrap()), output());
    let layered = layered.client(options()).unwrap();
    let losing = Guard::new(policy("losing").build().unwrap(), LosesConnections(output())).client(options()).unwrap();

    let handler = service_fn(move |_: LambdaEvent<Value>| {
        let url = move |host: &str| format!("http://{host}:{port}/v1");
        let (http, plain, reporting) = (http.clone(), plain.clone(), reporting.clone());
        let (quarantining, layered, losing) = (quarantining.clone(), layered.clone(), losing.clone());
        async move {
            for host in ["api.test", "api.test", "also.test"] {
                http.post(url(host)).body("a body").send().await?.bytes().await?;
            }
            let redirect = format!("http://api.test:{port}/redirect/302?http://also.test:{port}/v1");
            plain.get(redirect).send().await?.bytes().await?;
            reporting.get(url("rogue.test")).send().await?.bytes().await?;
            reporting.get(url("api.test")).send().await?.bytes().await?;
            layered.get(url("api.test")).send().await?.bytes().await?;
            assert!(http.get("http://api.test:1/").send().await.is_err(), "nobody listens there");
            assert!(http.get(url("rogue.test")).send().await.is_err());
            assert!(http.get(url("rogue.test")).send().await.is_err());
            assert!(http.get("http://user@api.test/").send().await.is_err());
            assert!(plain.get(url("rogue.test")).send().await.is_err());
            assert!(plain.get(url("127.0.0.1")).send().await.is_err());
            assert!(quarantining.get(url("rogue.test")).send().await.is_err());
            assert!(quarantining.get(url("api.test")).send().await.is_err());
            assert!(losing.get(url("api.test")).send().await.is_err());
            Ok::<_, Error>(())
        }
    });
    // Outside of any invocation.
    let early = Guard::new(policy("early").build().unwrap(), output()).client(options()).unwrap();
    assert!(early.get("http://rogue.test/").send().await.is_err());
    Runtime::new(handler).layer(guard.lambda_layer()).run().await.unwrap();
}
