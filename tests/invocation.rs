//! An invocation's account: its summary, its limits, and what a denial does to it; and what is unique to an environment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use egress_guard::{Client, ClientOptions, Guard, JsonLines, LambdaLayer, Policy, Rule, denied, in_current_invocation};
use egress_guard_tests::{Answer, Names, Seen, Server, TestFunction, ValidatedAudit, dynamodb};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{Context, Error, LambdaEvent, LambdaInvocation, Runtime, SnapStartResource, service_fn};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tower::{Layer, ServiceBuilder, ServiceExt};

const DYNAMODB: &str = "dynamodb.ap-northeast-1.amazonaws.com";

fn policy() -> Policy {
    let rule = |id: &str, host: &str| {
        Rule::new(id).hosts([host]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"])
    };
    Policy::builder("orders").allow(rule("api", "api.test")).allow(rule("table", DYNAMODB)).build().unwrap()
}

fn names() -> Names {
    Names::new().with("api.test", &["127.0.0.1"]).with(DYNAMODB, &["127.0.0.1"])
}

fn client(guard: &Guard) -> Client {
    guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap()
}

async fn table(guard: &Guard, port: u16) -> aws_sdk_dynamodb::Client {
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(guard.aws_http_client().resolver(names()));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = config.region(Region::new("ap-northeast-1")).credentials_provider(credentials);
    aws_sdk_dynamodb::Client::new(&config.endpoint_url(format!("http://{DYNAMODB}:{port}")).load().await)
}

async fn put(table: &aws_sdk_dynamodb::Client, id: String) -> Result<(), Error> {
    table.put_item().table_name("orders").item("id", AttributeValue::S(id)).send().await?;
    Ok(())
}

// ----- in this process: a layer as the runtime calls it -----

/// A process that handles one invocation at a time takes whatever belongs to none for the current one's, another test's
/// requests too.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

struct Fixture {
    _alone: MutexGuard<'static, ()>,
    server: Server,
    audit: ValidatedAudit,
    guard: Guard,
    http: Client,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(Guard::new, names()).await
    }

    async fn with(guard: fn(Policy, ValidatedAudit) -> Guard, names: Names) -> Self {
        let (alone, audit) = (ONE_AT_A_TIME.lock().await, ValidatedAudit::new());
        let guard = guard(policy(), audit.clone());
        let http = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names)).unwrap();
        Self { _alone: alone, server: Server::http("api", "127.0.0.1").await, audit, guard, http }
    }

    fn url(&self) -> String {
        format!("http://api.test:{}/", self.server.port())
    }

    /// Runs a handler as one invocation, and gives the line that sums it up.
    async fn invoke<F: Future<Output = ()>>(&self, layer: &LambdaLayer, context: Context, handler: F) -> Value {
        let mut handler = Some(handler);
        let service = layer.layer(service_fn(move |_: LambdaInvocation| {
            let handler = handler.take().unwrap();
            async move {
                handler.await;
                Ok::<(), Error>(())
            }
        }));
        let (parts, ()) = http::Response::new(()).into_parts();
        service.oneshot(LambdaInvocation { parts, body: Bytes::new(), context }).await.unwrap();
        self.audit.of_type("summary").pop().unwrap()
    }
}

fn context(request_id: &str) -> Context {
    let mut context = Context::default();
    context.request_id = request_id.to_owned();
    context
}

/// Some keys of a line.
fn told(line: &Value, keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| line[*key].clone()).collect()
}

#[tokio::test]
async fn an_invocation_is_summed_up() {
    let fixture = Fixture::new().await;
    let summary = fixture
        .invoke(&fixture.guard.lambda_layer(), context("one"), async {
            for body in ["three", "or four"] {
                fixture.http.post(fixture.url()).body(body).send().await.unwrap().bytes().await.unwrap();
            }
            fixture.http.get("http://evil.test/").send().await.unwrap_err();
        })
        .await;
    let keys = ["allowed_count", "denied_count", "would_deny_count", "destination_count", "bytes_sent", "level"];
    assert_eq!(told(&summary, &keys), [json!(2), json!(1), json!(0), json!(1), json!(12), json!("WARN")]);
    assert_eq!(summary["requestId"], "one");
    assert!(summary["duration_ms"].as_f64().unwrap() > 0.0, "{summary}");
    let received: u64 =
        fixture.audit.of_type("outcome").iter().map(|line| line["bytes_received"].as_u64().unwrap()).sum();
    assert_eq!(summary["bytes_received"], received);

    let summary = fixture.invoke(&fixture.guard.lambda_layer(), context("two"), async {}).await;
    assert_eq!(told(&summary, &keys), [json!(0), json!(0), json!(0), json!(0), json!(0), json!("INFO")]);
}

#[tokio::test]
async fn what_exceeds_a_limit_is_denied_and_each_invocation_has_its_own() {
    let fixture = Fixture::new().await;
    let send = |body: reqwest::Body| {
        let request = fixture.http.post(fixture.url()).body(body).send();
        async move { request.await.map(drop).map_err(|error| error.denied().unwrap().reason().as_str()) }
    };
    let limited = fixture.guard.lambda_layer().max_requests(2).max_bytes_sent(10);
    for round in 0..2 {
        let summary = fixture
            .invoke(&limited, context("limited"), async {
                assert_eq!(send("12345678901".into()).await, Err("byte-limit"));
                let unknown = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, Error>("1")]));
                assert_eq!(send(unknown).await, Err("byte-limit"), "a body of unknown length");
                assert_eq!(send("12345".into()).await, Ok(()));
                assert_eq!(send("12345".into()).await, Ok(()));
                assert_eq!(send("1".into()).await, Err("byte-limit"));
                assert_eq!(send("".into()).await, Err("request-limit"));
            })
            .await;
        let keys = ["allowed_count", "denied_count", "bytes_sent"];
        assert_eq!(told(&summary, &keys), [json!(2), json!(4), json!(10)], "round {round}");
    }
    assert_eq!(fixture.server.seen().len(), 4, "what is denied is not sent");
    assert_eq!(send("outside of any invocation".into()).await, Ok(()));
}

#[tokio::test]
async fn nothing_is_begun_shortly_before_the_deadline() {
    let fixture = Fixture::new().await;
    let layer = fixture.guard.lambda_layer().keep_free_before_deadline(Duration::from_secs(2));
    let ordinary = ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let ordinary = fixture.guard.reqwest(ordinary).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let deadline = |time: Duration| {
        let mut context = context("late");
        context.deadline = u64::try_from(time.as_millis()).unwrap();
        context
    };
    fixture
        .invoke(&layer, deadline(now + Duration::from_secs(1)), async {
            let error = fixture.http.get(fixture.url()).send().await.unwrap_err();
            assert_eq!(denied(&error).unwrap().reason().as_str(), "deadline-near");
            let error = ordinary.get(fixture.url()).send().await.unwrap_err();
            assert_eq!(denied(&error).unwrap().reason().as_str(), "deadline-near");
        })
        .await;
    assert!(fixture.server.seen().is_empty());
    // An emulator's: ten minutes after 1970 began.
    for context in [deadline(now + Duration::from_secs(60)), deadline(Duration::from_secs(600))] {
        fixture.invoke(&layer, context, async { drop(fixture.http.get(fixture.url()).send().await.unwrap()) }).await;
    }
    assert_eq!(fixture.server.seen().len(), 2);
}

#[tokio::test]
async fn an_invocation_fails_with_its_first_denial_if_it_is_to() {
    let fixture = Fixture::new().await;
    let handler = service_fn(|event: LambdaEvent<&'static str>| {
        let requests = event.payload.split(' ').map(|host| fixture.http.get(fixture.url().replace("api", host)).send());
        let requests: Vec<_> = requests.collect();
        async move {
            for request in requests {
                // A handler that takes no notice.
                drop(request.await);
            }
            Ok::<_, Error>("done")
        }
    });
    let layer = fixture.guard.lambda_layer().fail_invocation();
    let call = |hosts| layer.layer(handler).oneshot(LambdaEvent::new(hosts, context("one")));

    assert_eq!(call("api").await.unwrap(), "done");
    let error = call("api evil bad api").await.unwrap_err();
    let denied = denied(&*error).unwrap();
    assert!(denied.to_string().contains("evil.test"), "{denied}");
    assert_eq!(fixture.audit.of_type("summary").len(), 2);
    assert_eq!(fixture.audit.of_type("summary")[1]["denied_count"], 2);
}

#[tokio::test]
async fn a_quarantined_environment_lets_nothing_out() {
    let database = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
    let Fixture { _alone, server: api, audit, guard, http: full } = Fixture::with(Guard::quarantining, names()).await;
    let url = format!("http://api.test:{}/", api.port());

    // Every client, and a connection of each that a pool could keep.
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let ordinary = guard.reqwest(options()).unwrap();
    let made = guard.clone();
    let blocking = tokio::task::spawn_blocking(move || {
        made.reqwest_blocking(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap()
    });
    let blocking = blocking.await.unwrap();
    let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
    let bare = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let stack = ServiceBuilder::new().layer(guard.layer()).service(bare.clone());
    let table = table(&guard, database.port()).await;

    let all = || async {
        let (blocking, blocking_url) = (blocking.clone(), url.clone());
        let blocking = tokio::task::spawn_blocking(move || {
            let sent = blocking.get(blocking_url).send();
            sent.map(drop).map_err(|error| denied(&error).unwrap().reason().as_str())
        });
        let request = || http::Request::get(&url).body(Full::new(Bytes::new())).unwrap();
        let reason = |error: &(dyn std::error::Error + 'static)| {
            denied(error).unwrap_or_else(|| panic!("a denial, not {error:?}")).reason().as_str()
        };
        let mut answers = vec![
            ("client", full.get(&url).send().await.map(drop).map_err(|error| reason(&error))),
            ("reqwest", ordinary.get(&url).send().await.map(drop).map_err(|error| reason(&error))),
            ("reqwest_blocking", blocking.await.unwrap()),
            ("aws_http_client", put(&table, "7".to_owned()).await.map_err(|error| reason(&*error))),
        ];
        let answer = stack.clone().oneshot(request()).await;
        let answer = match answer {
            Ok(response) => response.into_body().collect().await.map(drop).map_err(|error| reason(&error)),
            Err(error) => Err(reason(&*error)),
        };
        answers.push(("layer", answer));
        let answer = match bare.request(request()).await {
            Ok(response) => response.into_body().collect().await.map(drop).map_err(|error| reason(&error)),
            Err(error) => Err(reason(&error)),
        };
        answers.push(("connector", answer));
        answers
    };

    for round in 0..2 {
        for (client, answer) in all().await {
            assert_eq!(answer, Ok(()), "{client}, round {round}");
        }
    }
    let seen = || (api.seen().len(), database.seen().len());
    let before = seen();
    assert_eq!(before, (10, 2));
    assert!(audit.lines().iter().all(|line| line.get("quarantined").is_none()));
    let lines_before = audit.lines().len();

    let error = full.get("http://evil.test/").send().await.unwrap_err();
    assert_eq!(error.denied().unwrap().reason().as_str(), "host-not-allowed");

    for (client, answer) in all().await {
        assert_eq!(answer, Err("quarantined"), "{client}");
    }
    assert_eq!(seen(), before, "nothing has arrived any more");
    let after = audit.lines().split_off(lines_before);
    assert!(after.iter().all(|line| line["quarantined"] == true), "{after:#?}");
    let postures: Vec<_> = after.iter().filter(|line| line["event_type"] == "egress_posture").collect();
    assert_eq!(postures.len(), 1, "{after:#?}");
    assert!(postures[0]["level"] == "WARN" && postures[0]["message"].as_str().unwrap().contains("quarantine"));
}

#[tokio::test]
async fn what_nobody_asked_for_and_what_is_too_much_begins_no_quarantine() {
    // One address too much in an answer.
    let mixed = Names::new().with("api.test", &["127.0.0.2", "127.0.0.1"]);
    let fixture = Fixture::with(Guard::quarantining, mixed).await;
    let summary = fixture
        .invoke(&fixture.guard.lambda_layer().max_requests(1), context("one"), async {
            fixture.http.get(fixture.url()).send().await.unwrap();
            let error = fixture.http.get(fixture.url()).send().await.unwrap_err();
            assert_eq!(error.denied().unwrap().reason().as_str(), "request-limit");
        })
        .await;
    assert_eq!(fixture.audit.denials(), ["address-not-allowed", "request-limit"]);
    assert_eq!(told(&summary, &["allowed_count", "denied_count"]), [json!(1), json!(1)]);
    fixture.http.get(fixture.url()).send().await.unwrap();
    fixture.guard.before_snapshot().await.unwrap();
}

#[tokio::test]
async fn a_quarantine_marks_what_is_under_way_and_lets_no_snapshot_be_made() {
    let fixture = Fixture::with(Guard::quarantining, names()).await;
    let under_way = fixture.http.get(fixture.url()).send().await.unwrap();
    fixture.http.get("http://evil.test/").send().await.unwrap_err();
    drop(under_way);
    let outcome = fixture.audit.of_type("outcome").pop().unwrap();
    assert_eq!((&outcome["action"], &outcome["quarantined"]), (&json!("allowed"), &json!(true)));
    assert!(fixture.guard.before_snapshot().await.unwrap_err().to_string().contains("quarantine"));
}

#[tokio::test]
async fn the_limits_of_several_layers_hold_and_one_of_them_sums_up() {
    let fixture = Fixture::new().await;
    let inner = fixture.guard.lambda_layer().max_bytes_sent(3).fail_invocation();
    let handler = service_fn(|_: LambdaEvent<()>| async {
        let send = |body| fixture.http.post(fixture.url()).body(body).send();
        assert_eq!(send("four").await.unwrap_err().denied().unwrap().reason().as_str(), "byte-limit");
        send("1").await.unwrap();
        assert_eq!(send("1").await.unwrap_err().denied().unwrap().reason().as_str(), "request-limit");
        Ok::<_, Error>(())
    });
    let layer = fixture.guard.lambda_layer().max_requests(1);
    let summary = fixture
        .invoke(&layer, context("one"), async {
            let error = inner.layer(handler).oneshot(LambdaEvent::new((), context("one"))).await.unwrap_err();
            assert_eq!(denied(&*error).unwrap().reason().as_str(), "byte-limit");
        })
        .await;
    assert_eq!(fixture.audit.of_type("summary").len(), 1);
    assert_eq!(told(&summary, &["allowed_count", "denied_count", "bytes_sent"]), [json!(1), json!(2), json!(1)]);
}

#[tokio::test]
async fn a_redirect_that_an_ordinary_client_follows_counts() {
    let fixture = Fixture::new().await;
    let around = |seen: &Seen| {
        let to = http::Response::builder().status(302).header("location", format!("{}x", seen.target));
        Some(to.body(Bytes::new()).unwrap())
    };
    let server = Server::http("api", "127.0.0.1").await.answering(around);
    let ordinary = ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let ordinary = fixture.guard.reqwest(ordinary).unwrap();
    fixture
        .invoke(&fixture.guard.lambda_layer().max_requests(2), context("one"), async {
            let error = ordinary.get(format!("http://api.test:{}/", server.port())).send().await.unwrap_err();
            assert_eq!(denied(&error).unwrap().reason().as_str(), "request-limit");
        })
        .await;
    assert_eq!(server.seen().len(), 3, "the first request, which nobody sees, and two redirects");
}

#[tokio::test]
async fn a_task_from_before_an_invocation_belongs_to_the_one_that_runs() {
    let fixture = Fixture::new().await;
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let request = fixture.http.get(fixture.url());
    let task = tokio::spawn(in_current_invocation(async move {
        begun.await.unwrap();
        request.send().await.unwrap();
    }));
    let summary = fixture
        .invoke(&fixture.guard.lambda_layer(), context("one"), async {
            begin.send(()).unwrap();
            task.await.unwrap();
        })
        .await;
    assert_eq!(summary["allowed_count"], 1);
}

#[tokio::test]
async fn a_restored_environment_numbers_anew() {
    let fixture = Fixture::new().await;
    fixture.http.get(fixture.url()).send().await.unwrap().bytes().await.unwrap();
    let before = fixture.audit.lines();
    fixture.guard.after_restore().await.unwrap();
    fixture.http.get(fixture.url()).send().await.unwrap().bytes().await.unwrap();
    let after = fixture.audit.lines().split_off(before.len());
    let numbers = |lines: &[Value]| {
        let ids: HashSet<u64> = lines.iter().map(|line| line["environment_id"].as_u64().unwrap()).collect();
        let [id] = Vec::from_iter(ids)[..] else { panic!("one environment: {lines:#?}") };
        let seq: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        (id, seq.iter().zip(1..).all(|(seq, expected)| *seq == expected))
    };
    let ((old, old_from_1), (new, new_from_1)) = (numbers(&before), numbers(&after));
    assert!(old != new && old_from_1 && new_from_1, "{before:#?}{after:#?}");
    assert_eq!(after[0]["event_type"], "egress_posture");
    assert_eq!(after.last().unwrap()["exchange_id"], 1);
}

// ----- in a process of its own, on the real runtime -----

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_restored_from_a_snapshot_says_so_first() {
    let start = ("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start".to_owned());
    let function =
        TestFunction::start("the_function", &[start, ("API", String::new()), ("TABLE", "1".to_owned())]).await;
    let posture = |line: &Value| line["event_type"] == "egress_posture";
    let postures = function.lines_once(2, posture).await;
    assert_ne!(postures[0]["environment_id"], postures[1]["environment_id"]);
    assert_eq!((&postures[0]["seq"], &postures[1]["seq"]), (&json!(1), &json!(1)));
}

const INVOCATIONS: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_invocations_add_up_exactly() {
    let (api, database) = (Server::http("api", "127.0.0.1").await, Server::http("dynamodb", "127.0.0.1").await);
    let database = database.answering(dynamodb(&[]));
    let environment = [
        ("AWS_LAMBDA_MAX_CONCURRENCY", "8".to_owned()),
        ("API", format!("http://api.test:{}", api.port())),
        ("TABLE", database.port().to_string()),
    ];
    let function = Arc::new(TestFunction::start("the_function", &environment).await);
    let invocations = (0..INVOCATIONS).map(|number| {
        let function = Arc::clone(&function);
        async move { function.invoke(&format!("invocation-{number}"), json!(null)).await }
    });
    for answer in futures_util::future::join_all(invocations).await {
        assert!(matches!(answer, Answer::Response(_)), "{answer:?}");
    }
    let of_requests = |line: &Value| line["stage"] == "request";
    // Each makes three requests, allowed, and every tenth one more, denied.
    let expected = INVOCATIONS * 3 * 2 + INVOCATIONS / 10;
    let lines = function.lines_once(expected, of_requests).await;
    let mut of_invocation: HashMap<&str, Vec<&Value>> = HashMap::new();
    for line in &lines {
        of_invocation.entry(line["requestId"].as_str().unwrap()).or_default().push(line);
    }
    let summaries = function.lines_once(INVOCATIONS, |line| line["event_type"] == "egress_summary").await;
    for summary in &summaries {
        let request_id = summary["requestId"].as_str().unwrap();
        let number: usize = request_id.rsplit_once('-').unwrap().1.parse().unwrap();
        let denied = usize::from(number.is_multiple_of(10));
        let lines = &of_invocation[request_id];
        assert_eq!(lines.len(), 6 + denied, "{lines:#?}");
        // What names the invocation in its path was recorded under the same.
        let own_path = format!("/{request_id}");
        assert!(lines.iter().all(|line| line["host"] != "api.test" || line["path"] == own_path), "{lines:#?}");
        let clients: HashSet<&str> = lines.iter().map(|line| line["client"].as_str().unwrap()).collect();
        assert_eq!(clients, HashSet::from(["reqwest", "aws_sdk"]));
        let keys = ["allowed_count", "denied_count", "destination_count"];
        assert_eq!(told(summary, &keys), [json!(3), json!(denied), json!(2)], "{summary}");
        let sent: u64 = lines.iter().filter_map(|line| line["bytes_sent"].as_u64()).sum();
        assert_eq!(summary["bytes_sent"], sent);
    }
    assert_eq!((api.seen().len(), database.seen().len()), (INVOCATIONS * 2, INVOCATIONS));
    // Each item was put by the invocation that it is named after.
    let items: HashSet<String> =
        database.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert_eq!(items.len(), INVOCATIONS);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other tests, in a process of its own"]
async fn the_function() {
    let guard = Guard::new(policy(), JsonLines::stdout());
    let (http, api) = (client(&guard), std::env::var("API").unwrap());
    let table = table(&guard, std::env::var("TABLE").unwrap().parse().unwrap()).await;
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (http, table, request_id) = (http.clone(), table.clone(), event.context.request_id);
        let url = format!("{api}/{request_id}");
        async move {
            let stored = tokio::spawn(in_current_invocation({
                let request_id = request_id.clone();
                async move { put(&table, request_id).await }
            }));
            let spawned = tokio::spawn(in_current_invocation(http.post(&url).body(request_id.clone()).send()));
            http.get(&url).send().await?.bytes().await?;
            spawned.await??.bytes().await?;
            stored.await??;
            if request_id.ends_with('0') {
                http.get("http://evil.test/").send().await.unwrap_err();
            }
            Ok::<_, Error>(Value::Null)
        }
    });
    let runtime = Runtime::new(handler).layer(guard.lambda_layer()).register_snapstart_resource(Arc::new(guard));
    if std::env::var_os("AWS_LAMBDA_MAX_CONCURRENCY").is_some() {
        runtime.run_concurrent().await.unwrap();
    } else {
        runtime.run().await.unwrap();
    }
}
