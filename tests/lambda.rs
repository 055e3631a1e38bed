//! A function on the real runtime, in a process of its own: whatever its handler does, the audit lines on its standard
//! output are complete and name the invocation they belong to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress_guard::{Client, ClientOptions, Guard, JsonLines, Policy, Rule, in_current_invocation};
use egress_guard_tests::{Answer, Names, RuntimeApi, Server, TestFunction};
use futures_util::stream;
use lambda_runtime::{Error, FunctionResponse, LambdaEvent, Runtime, StreamResponse, service_fn};
use serde_json::{Value, json};

/// A function, and the server that it calls.
struct Fixture {
    function: TestFunction,
    server: Server,
}

impl Fixture {
    async fn start(concurrency: u32) -> Self {
        let server = Server::http("server", "127.0.0.1").await;
        let mut environment = vec![
            ("http_proxy", "http://user:S3CRET@127.0.0.9:1".to_owned()),
            ("SERVER", format!("http://api.test:{}", server.port())),
        ];
        if concurrency > 1 {
            environment.push(("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string()));
        }
        Self { function: TestFunction::start("the_function", &environment).await, server }
    }

    async fn invoke(&self, request_id: &str, what: &str) -> Answer {
        self.function.invoke(request_id, json!({ "do": what })).await
    }

    /// The lines of an invocation's requests, once there are as many as expected.
    async fn lines_of(&self, request_id: &str, count: usize) -> Vec<Value> {
        // A connection belongs to the invocation that made it, but serves others too.
        let of_it = |line: &Value| line["requestId"] == request_id && line["stage"] == "request";
        self.function.lines_once(count, of_it).await
    }
}

/// What a decision and its outcome have in common, checked; gives the outcome and how the invocation was known.
fn pair(lines: &[Value]) -> (&str, &str) {
    let [decision, outcome] = lines else { panic!("{lines:#?}") };
    assert_eq!(decision["event_type"], "egress_decision");
    assert_eq!(outcome["event_type"], "egress_outcome");
    assert_eq!(decision["exchange_id"], outcome["exchange_id"]);
    for line in lines {
        assert_eq!(line["function_name"], "orders");
        assert_eq!(line["function_version"], "$LATEST");
        assert_eq!(line["function_arn"], RuntimeApi::ARN);
        assert!(line["xray_trace_id"].as_str().unwrap().starts_with("Root=1-"));
    }
    (outcome["outcome"].as_str().unwrap(), outcome["context_source"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_call_out_leaves_its_lines() {
    let fixture = Fixture::start(1).await;
    for (what, outcome, source) in [
        ("call", "complete", "task"),
        ("call-before-the-future", "complete", "task"),
        ("spawn", "complete", "process"),
        ("spawn-carried", "complete", "task"),
        ("stream-the-answer", "complete", "task"),
        ("read-a-part", "aborted", "task"),
        ("give-up", "cancelled", "task"),
        ("panic", "cancelled", "task"),
        ("call", "complete", "task"),
    ] {
        let request_id = format!("{what}-{}", fixture.function.lines().len());
        let answer = fixture.invoke(&request_id, what).await;
        assert_eq!(matches!(answer, Answer::Error(_)), what == "panic", "{answer:?}");
        assert_eq!(pair(&fixture.lines_of(&request_id, 2).await), (outcome, source), "{what}");
    }
    let posture = &fixture.function.lines()[0];
    assert_eq!((&posture["event_type"], &posture["seq"]), (&json!("egress_posture"), &json!(1)));
    let suspicious = posture["suspicious_environment"].as_str().unwrap();
    assert!(suspicious.split(',').any(|name| name == "http_proxy") && posture["level"] == "WARN", "{posture}");
    assert!(!posture.to_string().contains("S3CRET"), "{posture}");
    let sequence: Vec<u64> = fixture.function.lines().iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(sequence.iter().zip(1..).all(|(seq, expected)| *seq == expected), "no line is missing: {sequence:?}");
    assert_eq!(fixture.server.seen().len(), 9, "each request was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_identity_and_path_leave_lines_under_4_kb() {
    let fixture = Fixture::start(1).await;
    let request_id = "r".repeat(300);
    fixture.invoke(&request_id, "call-far").await;
    let lines = fixture.lines_of(&"r".repeat(192), 2).await;
    assert_eq!(pair(&lines), ("complete", "task"));
    assert_eq!(lines[0]["path"].as_str().unwrap().len(), 768);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_names_its_invocation() {
    let fixture = Fixture::start(1).await;
    let Answer::Response(answer) = fixture.invoke("denied-1", "call-elsewhere").await else { panic!() };
    assert_eq!(answer, "host-not-allowed");
    let lines = fixture.lines_of("denied-1", 1).await;
    assert_eq!((&lines[0]["action"], &lines[0]["level"]), (&json!("denied"), &json!("WARN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_invocations_never_mix_their_lines() {
    let fixture = Arc::new(Fixture::start(4).await);
    let invocations = (0..60).map(|number| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let what = ["call", "spawn-carried", "spawn"][number % 3];
            fixture.invoke(&format!("{what}-{number}"), what).await
        })
    });
    for invocation in invocations.collect::<Vec<_>>() {
        assert!(matches!(invocation.await.unwrap(), Answer::Response(_)));
    }
    for number in 0..60 {
        let what = ["call", "spawn-carried", "spawn"][number % 3];
        let request_id = format!("{what}-{number}");
        if what == "spawn" {
            continue;
        }
        let lines = fixture.lines_of(&request_id, 2).await;
        assert_eq!(pair(&lines), ("complete", "task"));
        assert!(lines.iter().all(|line| line["path"] == format!("/{request_id}")), "{lines:#?}");
    }
    // A bare task cannot know which of several invocations it belongs to, and says so instead of guessing.
    let lines = fixture.function.lines();
    let bare: Vec<_> = lines
        .iter()
        .filter(|line| {
            line["path"].as_str().is_some_and(|path| path.starts_with("/spawn-") && !path.contains("carried"))
        })
        .collect();
    assert_eq!(bare.len(), 40);
    assert!(bare.iter().all(|line| line["context_source"] == "none" && line.get("requestId").is_none()));
}

// ----- the function -----

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other tests, in a process of its own"]
async fn the_function() {
    let rule = Rule::new("api").hosts(["api.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let policy = Policy::builder("orders").allow(rule).build().unwrap();
    let guard = Guard::new(policy, JsonLines::stdout());
    let options =
        ClientOptions::from(reqwest::Client::builder()).resolver(Names::new().with("api.test", &["127.0.0.1"]));
    let http = guard.client(options).unwrap();
    let server = std::env::var("SERVER").unwrap();
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (http, url) = (http.clone(), format!("{server}/{}", event.context.request_id));
        let what = event.payload["do"].as_str().unwrap().to_owned();
        // Made here, in the handler's synchronous part.
        let early = (what == "call-before-the-future")
            .then(|| tokio::spawn(in_current_invocation(call(http.clone(), url.clone()))));
        async move {
            match early {
                Some(early) => buffered(early.await??),
                None => handle(http, url, &what).await,
            }
        }
    });
    let runtime = Runtime::new(handler).layer(guard.lambda_layer());
    if std::env::var_os("AWS_LAMBDA_MAX_CONCURRENCY").is_some() {
        runtime.run_concurrent().await.unwrap();
    } else {
        runtime.run().await.unwrap();
    }
}

type Chunks = Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, Error>> + Send>>;
type Response = FunctionResponse<Value, Chunks>;

async fn handle(http: Client, url: String, what: &str) -> Result<Response, Error> {
    match what {
        "call" => buffered(call(http, url).await?),
        "call-far" => buffered(call(http, format!("{}/{}", origin(&url), "p".repeat(5000))).await?),
        "call-elsewhere" => {
            let error = http.get("https://evil.test/").send().await.unwrap_err();
            buffered(json!(error.denied().map(|denied| denied.reason().as_str())))
        }
        "spawn" => buffered(tokio::spawn(call(http, url)).await??),
        "spawn-carried" => buffered(tokio::spawn(in_current_invocation(call(http, url))).await??),
        "stream-the-answer" => {
            let call = in_current_invocation(call(http, url));
            let chunks: Chunks = Box::pin(stream::once(async { Ok(Bytes::from(call.await?.to_string())) }));
            Ok(FunctionResponse::StreamingResponse(StreamResponse::from(chunks)))
        }
        "read-a-part" => {
            let mut response = http.get(origin(&url) + "/endless").send().await?;
            response.chunk().await?;
            buffered(Value::Null)
        }
        "give-up" => {
            let call = http.get(origin(&url) + "/slow").send();
            tokio::time::timeout(Duration::from_millis(100), call).await.unwrap_err();
            buffered(Value::Null)
        }
        "panic" => {
            let call = http.get(origin(&url) + "/slow").send();
            tokio::select! {
                _ = call => unreachable!("the server is slow"),
                () = tokio::time::sleep(Duration::from_millis(100)) => panic!("as asked"),
            }
        }
        other => panic!("{other} is nothing to do"),
    }
}

fn buffered(value: Value) -> Result<Response, Error> {
    Ok(FunctionResponse::BufferedResponse(value))
}

fn origin(url: &str) -> String {
    let url: reqwest::Url = url.parse().unwrap();
    url.origin().ascii_serialization()
}

async fn call(http: Client, url: String) -> Result<Value, Error> {
    Ok(json!(http.get(url).send().await?.text().await?))
}
