//! A function on the real runtime, in a process of its own: whatever its handler does, the audit lines on its standard
//! output are complete and name the invocation they belong to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use egress_guard::{Client, ClientOptions, Guard, JsonLines, Policy, Rule, in_current_invocation};
use egress_guard_tests::{Answer, Names, RuntimeApi, Server, ValidatedAudit};
use futures_util::stream;
use lambda_runtime::{Error, FunctionResponse, LambdaEvent, Runtime, StreamResponse, service_fn};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

const PATIENCE: Duration = Duration::from_secs(30);

/// A function in a child process, its Runtime API, and the server it calls.
struct Function {
    api: RuntimeApi,
    server: Server,
    lines: Arc<Mutex<Vec<Value>>>,
    _child: tokio::process::Child,
}

impl Function {
    async fn start(concurrency: u32) -> Self {
        let (api, server) = (RuntimeApi::start().await, Server::http("server", "127.0.0.1").await);
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_function", "--ignored", "--nocapture"])
            .envs(api.environment())
            .env("http_proxy", "http://user:S3CRET@127.0.0.9:1")
            .env("SERVER", format!("http://api.test:{}", server.port()))
            .envs((concurrency > 1).then(|| ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string())))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (mut output, collected) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&lines));
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                // The test harness writes there too.
                if let Some(json) = line.find('{').and_then(|at| line.get(at..)) {
                    collected.lock().unwrap().push(serde_json::from_str(json).expect("a whole line of JSON"));
                }
            }
        });
        Self { api, server, lines, _child: child }
    }

    async fn invoke(&self, request_id: &str, what: &str) -> Answer {
        self.api.invoke(request_id, json!({ "do": what }), PATIENCE).await.expect("an answer")
    }

    /// The lines of an invocation, once there are as many as expected.
    async fn lines_of(&self, request_id: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let lines = self.all_lines();
            // A connection belongs to the invocation that made it, but serves others too.
            let of_it = |line: &Value| line["requestId"] == request_id && line["stage"] != "connection";
            let of_it: Vec<Value> = lines.into_iter().filter(of_it).collect();
            if of_it.len() >= count {
                assert_eq!(of_it.len(), count, "{of_it:#?}");
                return of_it;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{request_id} has not left {count} lines: {:#?}", self.all_lines());
    }

    fn all_lines(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap().clone();
        lines.iter().for_each(ValidatedAudit::validate);
        lines
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
    let function = Function::start(1).await;
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
        let request_id = format!("{what}-{}", function.all_lines().len());
        let answer = function.invoke(&request_id, what).await;
        assert_eq!(matches!(answer, Answer::Error(_)), what == "panic", "{answer:?}");
        assert_eq!(pair(&function.lines_of(&request_id, 2).await), (outcome, source), "{what}");
    }
    let posture = &function.all_lines()[0];
    assert_eq!((&posture["event_type"], &posture["seq"]), (&json!("egress_posture"), &json!(1)));
    let suspicious = posture["suspicious_environment"].as_str().unwrap();
    assert!(suspicious.split(',').any(|name| name == "http_proxy") && posture["level"] == "WARN", "{posture}");
    assert!(!posture.to_string().contains("S3CRET"), "{posture}");
    let sequence: Vec<u64> = function.all_lines().iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(sequence.iter().zip(1..).all(|(seq, expected)| *seq == expected), "no line is missing: {sequence:?}");
    assert_eq!(function.server.seen().len(), 9, "each request was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_identity_and_path_leave_lines_under_4_kb() {
    let function = Function::start(1).await;
    let request_id = "r".repeat(300);
    function.invoke(&request_id, "call-far").await;
    let lines = function.lines_of(&"r".repeat(192), 2).await;
    assert_eq!(pair(&lines), ("complete", "task"));
    assert_eq!(lines[0]["path"].as_str().unwrap().len(), 768);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_names_its_invocation() {
    let function = Function::start(1).await;
    let Answer::Response(answer) = function.invoke("denied-1", "call-elsewhere").await else { panic!() };
    assert_eq!(answer, "host-not-allowed");
    let lines = function.lines_of("denied-1", 1).await;
    assert_eq!((&lines[0]["action"], &lines[0]["level"]), (&json!("denied"), &json!("WARN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_invocations_never_mix_their_lines() {
    let function = Arc::new(Function::start(4).await);
    let invocations = (0..60).map(|number| {
        let function = Arc::clone(&function);
        tokio::spawn(async move {
            let what = ["call", "spawn-carried", "spawn"][number % 3];
            function.invoke(&format!("{what}-{number}"), what).await
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
        let lines = function.lines_of(&request_id, 2).await;
        assert_eq!(pair(&lines), ("complete", "task"));
        assert!(lines.iter().all(|line| line["path"] == format!("/{request_id}")), "{lines:#?}");
    }
    // A bare task cannot know which of several invocations it belongs to, and says so instead of guessing.
    let lines = function.all_lines();
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
