//! Events of OCSF, made by real requests, held against the schema: in Rust by the JSON Schemas in `data/ocsf`, and in Python
//! by all that the schema itself says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use egress_guard::{AUDIT_SCHEMA, ClientOptions, Guard, JsonLines, OcsfLines, Policy, PolicySource, Rule};
use egress_guard_tests::{Names, Proxy, RuntimeApi, Server, ValidatedAudit, Written, dynamodb, log_tools};
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonschema::Validator;
use lambda_runtime::{Config, Context, Error, LambdaInvocation, service_fn};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower::{Layer, ServiceExt};

// ----- real requests -----

/// What real requests left, in both formats.
#[derive(Debug)]
struct Recorded {
    /// Audit lines.
    audit: Vec<Value>,
    /// Lines of OCSF, as they were written.
    lines: Vec<String>,
    events: Vec<Value>,
}

impl Recorded {
    /// Whatever the tests below look at, done once.
    async fn get() -> &'static Self {
        static RECORDED: OnceCell<Recorded> = OnceCell::const_new();
        RECORDED
            .get_or_init(|| async {
                let recorder = Recorder::default();
                requests(&recorder).await;
                ordinary_clients(&recorder).await;
                connections(&recorder).await;
                a_proxy(&recorder).await;
                other_policies(&recorder).await;
                invocations(&recorder).await;
                let text = recorder.lines.text();
                let lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let events = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
                Self { audit: recorder.audit.lines(), lines, events }
            })
            .await
    }

    /// The event of an audit line.
    fn event_of(&self, line: &Value) -> &Value {
        let uid = format!("{}-{}", line["environment_id"], line["seq"]);
        self.events.iter().find(|event| event["metadata"]["uid"] == uid.as_str()).unwrap_or_else(|| panic!("{line:#}"))
    }

    /// The first audit line with these values, and its event.
    fn first(&self, wanted: &[(&str, Value)]) -> (&Value, &Value) {
        let is_it = |line: &&Value| wanted.iter().all(|(key, value)| line[*key] == *value);
        let line = self.audit.iter().find(is_it).unwrap_or_else(|| panic!("no line with {wanted:?}"));
        (line, self.event_of(line))
    }
}

#[derive(Clone, Default)]
struct Recorder {
    audit: ValidatedAudit,
    lines: Written,
}

impl Recorder {
    fn guard(&self, policy: Policy) -> Guard {
        Guard::new(policy, (self.audit.clone(), OcsfLines::new(self.lines.clone())))
    }
}

const DYNAMODB: &str = "dynamodb.ap-northeast-1.amazonaws.com";

fn api() -> Rule {
    let hosts = ["api.test", "other.test", "mixed.test", "private.test", "gone.test", DYNAMODB];
    Rule::new("api").hosts(hosts).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"])
}

fn policy() -> Policy {
    let literal = Rule::new("literal").networks(["127.0.0.3/32", "::1/128"]).schemes(["http"]).port_range(1..=65535);
    let watched = |id: &str, path: &str| Rule::new(id).hosts(["api.test"]).schemes(["http"]).paths([path]);
    Policy::builder("ocsf")
        .allow(api())
        .allow(literal)
        .deny(watched("watched", "/watched").port_range(1..=65535).report_only())
        .deny(watched("forbidden", "/forbidden").port_range(1..=65535))
        .internal_hosts(["other.test"])
        .build()
        .unwrap()
}

fn names() -> Names {
    Names::new()
        .with("api.test", &["127.0.0.1"])
        .with("other.test", &["127.0.0.1"])
        .with("mixed.test", &["127.0.0.2", "127.0.0.1"])
        .with("private.test", &["127.0.0.2"])
        .with("evil.test", &["127.0.0.2"])
        .with("proxy.test", &["127.0.0.5"])
        .with(DYNAMODB, &["127.0.0.1"])
}

fn options() -> ClientOptions {
    ClientOptions::from(reqwest::Client::builder()).resolver(names())
}

const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"];

async fn requests(recorder: &Recorder) {
    let guard = recorder.guard(policy());
    let http = guard.client(options()).unwrap();
    let server = Server::http("server", "127.0.0.1").await;
    let (port, v6) = (server.port(), Server::http("v6", "::1").await);
    let v4 = Server::http("v4", "127.0.0.3").await;
    for method in METHODS {
        let request = http.request(method.parse().unwrap(), format!("http://api.test:{port}/v1/items?key=S3CRET"));
        let sent = request.bearer_auth("S3CRET").body("S3CRET").send().await;
        if let Ok(response) = sent {
            let _ = response.bytes().await;
        }
    }
    let long = format!("http://api.test:{port}/{}?key=S3CRET", "p".repeat(900));
    let redirected = |to: &str| format!("http://api.test:{port}/redirect/302?{to}");
    let urls = [
        format!("http://api.test:{port}/watched"),
        format!("http://api.test:{port}/forbidden"),
        format!("http://127.0.0.3:{}/", v4.port()),
        format!("http://[::1]:{}/", v6.port()),
        "http://127.0.0.2/".to_owned(),
        "https://[2001:db8::1]/".to_owned(),
        "http://[::ffff:127.0.0.2]/".to_owned(),
        "https://evil.test/v1?key=S3CRET".to_owned(),
        "http://user:S3CRET@api.test/".to_owned(),
        "ftp://api.test/".to_owned(),
        format!("http://private.test:{port}/"),
        format!("http://mixed.test:{port}/"),
        format!("http://gone.test:{port}/"),
        format!("http://api.test:{port}/broken"),
        redirected(&format!("http://other.test:{port}/x?key=S3CRET")),
        redirected("http://evil.test/"),
        long.clone(),
        format!("http://{}.test/{}", ["a"; 100].join("."), "p".repeat(900)),
    ];
    for url in &urls {
        if let Ok(response) = http.get(url).send().await {
            let _ = response.bytes().await;
        }
    }
    http.get(&urls[0]).header("upgrade", "websocket").send().await.unwrap_err();
    let mut given_up = http.get(format!("http://api.test:{port}/endless")).send().await.unwrap();
    given_up.chunk().await.unwrap();
    drop(given_up);
    let slow = http.get(format!("http://api.test:{port}/slow")).send();
    tokio::time::timeout(Duration::from_millis(100), slow).await.unwrap_err();

    let layered = guard.layer().layer(hyper());
    for (method, url) in [(Method::GET, "/a/path/alone"), (Method::CONNECT, "evil.test:443")] {
        let request = Request::builder().method(method).uri(url).body(Full::default()).unwrap();
        layered.clone().oneshot(request).await.unwrap_err();
    }

    let table = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(guard.aws_http_client().resolver(names()));
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = config.region(Region::new("ap-northeast-1")).credentials_provider(credentials);
    let config = config.endpoint_url(format!("http://{DYNAMODB}:{}", table.port())).load().await;
    let put = aws_sdk_dynamodb::Client::new(&config).put_item().table_name("orders");
    put.item("id", AttributeValue::S("S3CRET".to_owned())).send().await.unwrap();
}

fn hyper() -> HyperClient<HttpConnector<Names>, Full<Bytes>> {
    HyperClient::builder(TokioExecutor::new()).build(HttpConnector::new_with_resolver(names()))
}

/// Whose requests nobody sees: names, connections and redirects alone.
async fn ordinary_clients(recorder: &Recorder) {
    let http = recorder.guard(policy()).reqwest(options()).unwrap();
    let server = Server::http("server", "127.0.0.1").await;
    let port = server.port();
    let redirected = |to: &str| format!("http://api.test:{port}/redirect/302?{to}");
    let urls = [
        redirected(&format!("http://other.test:{port}/x?key=S3CRET")),
        redirected("http://evil.test/x?key=S3CRET"),
        redirected(&format!("http://user:S3CRET@other.test:{port}/")),
        "http://evil.test/".to_owned(),
        format!("http://private.test:{port}/"),
    ];
    for url in urls {
        let _ = http.get(url).send().await;
    }
}

async fn connections(recorder: &Recorder) {
    let guard = recorder.guard(policy());
    let server = Server::http("server", "127.0.0.1").await;
    let overridden = reqwest::Client::builder().resolve("api.test", server.address());
    let http = guard.client(ClientOptions::from(overridden).resolver(names())).unwrap();
    http.get(format!("http://api.test:{}/", server.port())).send().await.unwrap_err();

    let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
    let http: HyperClient<_, Full<Bytes>> = HyperClient::builder(TokioExecutor::new()).build(connector);
    http.get(format!("http://api.test:{}/", server.port()).parse().unwrap()).await.unwrap();
    for url in ["http://2130706434/", "http://127.0.0.2/"] {
        http.get(url.parse().unwrap()).await.unwrap_err();
    }
}

async fn a_proxy(recorder: &Recorder) {
    let (proxy, server) = (Proxy::forwarding("127.0.0.5").await, Server::http("server", "127.0.0.1").await);
    let way = Rule::new("proxy").hosts(["proxy.test"]).schemes(["http"]).port(proxy.address().port());
    let url = format!("http://proxy.test:{}", proxy.address().port());
    let networks = Rule::new("network").networks(["203.0.113.0/24"]).schemes(["http"]).port_range(1..=65535);
    let policy = Policy::builder("proxied").proxy(url).allow(api()).allow(networks);
    let guard = recorder.guard(policy.allow(way.addresses(["127.0.0.5/32"])).build().unwrap());
    let http = guard.client(options()).unwrap();
    for host in ["api.test", "203.0.113.7"] {
        let response = http.get(format!("http://{host}:{}/x?key=S3CRET", server.port())).send().await.unwrap();
        response.bytes().await.unwrap();
    }
}

/// One that only reports, one in layers, and a guard in quarantine.
async fn other_policies(recorder: &Recorder) {
    let server = Server::http("server", "127.0.0.2").await;
    let reporting = "version = 1\nname = 'reporting'\nmode = 'report-only'\nreport_only_until = 2099-12-31\n";
    let reporting = PolicySource::text("the text", reporting).load().unwrap();
    let guard = recorder.guard(reporting);
    let url = format!("http://evil.test:{}/?key=S3CRET", server.port());
    guard.client(options()).unwrap().get(&url).send().await.unwrap().bytes().await.unwrap();
    guard.reqwest(options()).unwrap().get(&url).send().await.unwrap();

    let server = Server::http("server", "127.0.0.1").await;
    let baseline = Policy::builder("baseline").allow(api().methods(["GET"])).build().unwrap();
    let http = recorder.guard(baseline.narrowed_by(policy())).client(options()).unwrap();
    let url = format!("http://api.test:{}/", server.port());
    http.get(&url).send().await.unwrap().bytes().await.unwrap();
    http.post(&url).send().await.unwrap_err();

    let sink = (recorder.audit.clone(), OcsfLines::new(recorder.lines.clone()));
    let http = Guard::quarantining(policy(), sink).client(options()).unwrap();
    http.get("http://evil.test/").send().await.unwrap_err();
    http.get(&url).send().await.unwrap_err();
}

async fn invocations(recorder: &Recorder) {
    let guard = recorder.guard(policy());
    let http = guard.client(options()).unwrap();
    let server = Server::http("server", "127.0.0.1").await;
    let url = format!("http://api.test:{}/{}?key=S3CRET", server.port(), "p".repeat(900));
    let context = |request_id: &str, name: &str, arn: &str, trace: &str| {
        let mut context = Context::default();
        context.request_id = request_id.to_owned();
        context.invoked_function_arn = arn.to_owned();
        context.xray_trace_id = Some(trace.to_owned());
        let config = Config { function_name: name.to_owned(), version: "$LATEST".to_owned(), ..Config::default() };
        context.env_config = Arc::new(config);
        context
    };
    let trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=53995c3f42cd8ad8;Sampled=1";
    let long = |text: &str| text.repeat(300);
    for context in [
        context("8f1d3c7a-4a52-4b8e-9f1c-0d6f5c1c2b3a", "orders", RuntimeApi::ARN, trace),
        context(
            &long("r"),
            &long("\""),
            &format!("{}:{}", RuntimeApi::ARN, long("\\")),
            &format!("{trace};{}", long("\"")),
        ),
        context("", "", "not:an:arn", "not a trace"),
    ] {
        let (http, url) = (http.clone(), url.clone());
        let handler = service_fn(move |_: LambdaInvocation| {
            let (http, url) = (http.clone(), url.clone());
            async move {
                http.post(&url).body("S3CRET").send().await?.bytes().await?;
                tokio::spawn(http.delete("http://evil.test/v1/orders?key=S3CRET").send()).await?.unwrap_err();
                Ok::<(), Error>(())
            }
        });
        let (parts, ()) = http::Response::new(()).into_parts();
        let invocation = LambdaInvocation { parts, body: Bytes::new(), context };
        guard.lambda_layer().layer(handler).oneshot(invocation).await.unwrap();
    }
}

// ----- what the events are -----

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

const CLASSES: &[(u64, &str)] = &[(4001, "network_activity"), (4002, "http_activity")];

fn committed(class: &str) -> String {
    fs::read_to_string(root().join(format!("tests/data/ocsf/{class}.json"))).unwrap()
}

fn schemas() -> HashMap<u64, Validator> {
    let schema = |class| jsonschema::validator_for(&serde_json::from_str(&committed(class)).unwrap()).unwrap();
    CLASSES.iter().map(|(uid, class)| (*uid, schema(class))).collect()
}

#[tokio::test]
async fn events_of_real_requests_are_as_their_json_schema_says() {
    let (recorded, schemas) = (Recorded::get().await, schemas());
    for event in &recorded.events {
        let schema = &schemas[&event["class_uid"].as_u64().unwrap()];
        let faults: Vec<String> =
            schema.iter_errors(event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{faults:#?} in {event:#}");
    }
}

/// The values that all events together have at a place.
fn values<'a>(events: impl IntoIterator<Item = &'a Value>, place: &str) -> BTreeSet<String> {
    events.into_iter().filter_map(|event| event.pointer(place)).map(ToString::to_string).collect()
}

fn numbers(numbers: &[u32]) -> BTreeSet<String> {
    numbers.iter().map(ToString::to_string).collect()
}

/// Else what is held against the schema would be less than it looks.
#[tokio::test]
async fn the_requests_of_this_test_make_every_value_there_is() {
    let recorded = Recorded::get().await;
    let of = |class: u32| recorded.events.iter().filter(move |event| event["class_uid"] == class);
    assert_eq!(values(of(4002), "/activity_id"), numbers(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]));
    assert_eq!(values(of(4001), "/activity_id"), numbers(&[1]));
    for class in [4001, 4002] {
        assert_eq!(values(of(class), "/action_id"), numbers(&[1, 2, 3]), "{class}");
        assert_eq!(values(of(class), "/severity_id"), numbers(&[1, 2, 3]), "{class}");
    }
    assert_eq!(values(of(4001), "/status_id"), numbers(&[0, 1, 2]));
    assert_eq!(values(of(4002), "/status_id"), numbers(&[0, 1, 2, 99]));
    assert_eq!(values(&recorded.events, "/disposition_id"), numbers(&[1, 2, 15]));
    assert_eq!(values(&recorded.events, "/connection_info/boundary_id"), numbers(&[2, 3]));
    assert_eq!(values(&recorded.events, "/unmapped/stage").len(), 4);
    assert_eq!(values(&recorded.events, "/unmapped/outcome").len(), 6);
    assert_eq!(values(&recorded.events, "/unmapped/client").len(), 4);
    assert_eq!(values(&recorded.events, "/unmapped/context_source").len(), 3);
}

#[tokio::test]
async fn each_decision_and_outcome_has_one_event_and_nothing_else_has() {
    let recorded = Recorded::get().await;
    let is_activity =
        |line: &&Value| ["egress_decision", "egress_outcome"].contains(&line["event_type"].as_str().unwrap());
    let activities: Vec<&Value> = recorded.audit.iter().filter(is_activity).collect();
    assert_eq!(values(&recorded.events, "/metadata/uid").len(), recorded.events.len(), "each has its own id");
    assert_eq!(recorded.events.len(), activities.len());
    for line in activities {
        let event = recorded.event_of(line);
        let event_code = event["metadata"]["event_code"].as_str().unwrap();
        assert_eq!(format!("egress_{event_code}"), line["event_type"].as_str().unwrap());
        assert_eq!(event["metadata"].get("correlation_uid"), line.get("requestId"));
        let is_http = ["request", "redirect"].contains(&line["stage"].as_str().unwrap());
        assert_eq!(event["class_uid"] == 4002, is_http, "{event:#}");
        let was_denied = line["action"] == "denied" || line["outcome"] == "denied";
        assert_eq!(event["action"] == "Denied", was_denied, "{event:#}");
        assert_eq!(event["action"] == "Observed", !was_denied && line["would_deny"] == true, "{event:#}");
        assert_eq!(event["is_alert"], line["level"] == "WARN", "{event:#}");
        let millis = event["time"].as_i64().unwrap() % 1000;
        assert!(line["timestamp"].as_str().unwrap().ends_with(&format!(".{millis:03}Z")), "{line:#}{event:#}");
    }
}

#[tokio::test]
async fn no_event_repeats_a_query_user_information_a_header_or_a_body() {
    for line in &Recorded::get().await.lines {
        assert!(!line.contains("S3CRET") && !line.contains("key="), "{line}");
    }
}

/// Both may stand in one log, and what reads audit lines there looks for these letters.
#[tokio::test]
async fn no_event_can_be_taken_for_an_audit_line() {
    let recorded = Recorded::get().await;
    assert!(recorded.lines.iter().all(|line| !line.contains("\"egress_")));
    assert!(
        recorded.audit.iter().all(|line| line.to_string().contains("\"egress_") && line.get("class_uid").is_none())
    );
}

#[tokio::test]
async fn a_line_is_within_what_a_pipe_takes_in_one_piece_and_says_what_it_lacks() {
    let recorded = Recorded::get().await;
    for line in &recorded.lines {
        assert!(line.len() < 4096, "{} bytes: {line}", line.len());
    }
    let longest = recorded.lines.iter().map(String::len).max().unwrap();
    assert!(longest > 2600, "the longest texts make no long line: {longest}");
    assert!(recorded.events.iter().any(|event| event["metadata"]["is_truncated"] == true));
}

#[tokio::test]
async fn an_event_says_where_a_request_goes() {
    let recorded = Recorded::get().await;
    let (line, event) = recorded.first(&[("host", json!("::1")), ("event_type", json!("egress_outcome"))]);
    let port = &line["port"];
    assert_eq!(event["dst_endpoint"], json!({ "ip": "::1", "port": port }));
    assert_eq!(event["http_request"]["url"]["url_string"], format!("http://[::1]:{port}/"));
    assert_eq!(event["http_response"], json!({ "code": 200 }));
    assert_eq!(event["src_endpoint"]["port"], line["local_port"]);
    assert_eq!(event["duration"], line["duration_ms"].as_f64().unwrap().round());

    let (line, event) = recorded.first(&[("peer_is_proxy", json!(true)), ("host", json!("api.test"))]);
    assert_eq!(event["dst_endpoint"], json!({ "hostname": "api.test", "port": line["port"] }));
    assert_eq!(event["proxy_endpoint"], json!({ "ip": "127.0.0.5", "port": line["peer_port"] }));

    let (line, event) = recorded.first(&[("stage", json!("connection")), ("action", json!("allowed"))]);
    let peer = json!({ "hostname": line["host"], "ip": line["peer_ip"], "port": line["peer_port"] });
    assert_eq!(event["dst_endpoint"], peer);
    assert_eq!((&event["app_protocol_name"], event.get("http_request")), (&json!("http"), None));

    let (_, event) = recorded.first(&[("method", json!("PROPFIND"))]);
    assert_eq!((&event["activity_name"], &event["type_name"]), (&json!("PROPFIND"), &json!("HTTP Activity: Other")));
    assert_eq!(event["http_request"].get("http_method"), None);
    let (_, event) = recorded.first(&[("method", json!("get"))]);
    assert_eq!((&event["activity_id"], &event["activity_name"]), (&json!(99), &json!("get")));

    let (_, event) = recorded.first(&[("reason", json!("user-info")), ("stage", json!("redirect"))]);
    assert_eq!((&event["http_request"], event.get("dst_endpoint")), (&json!({}), None));
}

#[tokio::test]
async fn an_event_names_its_invocation() {
    let recorded = Recorded::get().await;
    let (line, event) = recorded.first(&[("function_name", json!("orders")), ("method", json!("POST"))]);
    let account = json!({ "uid": "111122223333", "type_id": 10, "type": "AWS Account" });
    let cloud = json!({ "provider": "AWS", "cloud_partition": "aws", "region": "eu-west-1", "account": account });
    assert_eq!(event["cloud"], cloud);
    assert_eq!(event["trace"], json!({ "uid": "1-5bef4de7-ad49b0e87f6ef6c87fc2e700" }));
    assert_eq!(
        (&event["src_endpoint"]["name"], &event["src_endpoint"]["uid"]),
        (&json!("orders"), &json!(RuntimeApi::ARN))
    );
    assert_eq!(event["metadata"]["correlation_uid"], line["requestId"]);

    let (_, event) = recorded.first(&[("function_arn", json!("not:an:arn"))]);
    assert_eq!((&event["cloud"], event.get("trace")), (&json!({ "provider": "AWS" }), None));
}

// ----- by the schema itself, in Python -----

/// What `ocsf/validate.py` prints.
fn validate(python: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let mut validator = Command::new(python)
        .arg(root().join("tests/ocsf/validate.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its answers fit a pipe, unless nearly everything is wrong.
    validator.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = validator.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn events_of_real_requests_are_as_ocsf_says() {
    let Some(python) = log_tools() else { return };
    let lines = Recorded::get().await.lines.join("\n");
    assert_eq!(validate(&python, &["events"], &lines), (true, String::new()));
}

#[test]
fn the_json_schemas_are_those_of_the_package() {
    let Some(python) = log_tools() else { return };
    for (_, class) in CLASSES {
        let (_, printed) = validate(&python, &["schema", class], "");
        assert!(printed == committed(class), "tests/data/ocsf/{class}.json is not what `validate.py schema` prints");
    }
}

/// An event with one thing broken, and what is to be said of it.
fn broken(event: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let but = |place: &str, value: Value| {
        let (mut event, (parent, key)) = (event.clone(), place.rsplit_once('/').unwrap());
        event.pointer_mut(parent).unwrap()[key] = value;
        event
    };
    let without = |place: &str| {
        let (mut event, (parent, key)) = (event.clone(), place.rsplit_once('/').unwrap());
        event.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        event
    };
    vec![
        ("another caption", but("/action", json!("Denied")), "action_id: 1 is 'Allowed', and action is 'Denied'"),
        (
            "another spelling",
            but("/severity", json!("informational")),
            "severity_id: 1 is 'Informational', and severity is",
        ),
        ("no caption", without("/disposition"), "disposition_id: disposition is missing"),
        (
            "a caption within",
            but("/connection_info/direction", json!("Inbound")),
            "connection_info/direction_id: 2 is 'Outbound'",
        ),
        (
            "another's caption for Other",
            but("/src_endpoint/type", json!("Server")),
            "src_endpoint/type_id: 99 is Other, and type is 'Server'",
        ),
        ("a caption of a class", but("/class_name", json!("DNS Activity")), "class_uid: 4002 is 'HTTP Activity'"),
        (
            "another type",
            but("/type_uid", json!(400_207)),
            "type_uid: 400207 is not class_uid * 100 + activity_id, 400206",
        ),
        (
            "a type's caption",
            but("/type_name", json!("HTTP Activity: Put")),
            "type_uid: 400206 is 'HTTP Activity: Post'",
        ),
        ("an unknown number", but("/action_id", json!(5)), "action_id: 5 is not one of"),
        (
            "an unknown number within",
            but("/connection_info/boundary_id", json!(12)),
            "connection_info/boundary_id: 12 is none of",
        ),
        (
            "an unknown method",
            but("/http_request/http_method", json!("PROPFIND")),
            "http_request/http_method: 'PROPFIND' is not one of",
        ),
        ("an unknown attribute", but("/verdict", json!(1)), "('verdict' was unexpected)"),
        (
            "an unknown attribute within",
            but("/dst_endpoint/host", json!("x")),
            "dst_endpoint: Additional properties are not allowed ('host' was unexpected)",
        ),
        ("a missing attribute", without("/metadata"), "'metadata' is a required property"),
        ("a missing one within", without("/http_response/code"), "http_response: 'code' is a required property"),
        ("a missing one of a profile", without("/cloud"), "'cloud' is a required property"),
        (
            "neither request nor response",
            {
                let mut event = without("/http_request");
                event.as_object_mut().unwrap().remove("http_response");
                event
            },
            "has none of http_request, http_response",
        ),
        (
            "an endpoint of nothing",
            but("/dst_endpoint", json!({ "port": 80 })),
            "dst_endpoint: has none of ip, uid, name",
        ),
        (
            "a URL of nothing",
            but("/http_request/url", json!({ "port": 80 })),
            "http_request/url: has none of url_string, path",
        ),
        (
            "an attribute of a profile that is not named",
            but("/metadata/profiles", json!(["cloud", "network_proxy", "trace"])),
            "'action', 'action_id', ",
        ),
        (
            "a profile of another class",
            but("/metadata/profiles", json!(["cloud", "network_proxy", "security_control", "trace", "incident"])),
            "incident is no profile of http_activity",
        ),
        ("a deprecated attribute", but("/http_status", json!(200)), "http_status: is deprecated"),
        ("a number as a text", but("/time", json!("now")), "time: 'now' is not of type 'integer'"),
        ("no address", but("/dst_endpoint/ip", json!("127.0.0")), "dst_endpoint/ip: '127.0.0' is no IP address"),
        (
            "a port beyond",
            but("/dst_endpoint/port", json!(65536)),
            "dst_endpoint/port: 65536 is greater than the maximum",
        ),
        ("another version", but("/metadata/version", json!("1.9.0")), "metadata/version: '1.9.0' is not 1.8.0"),
        ("no class", but("/class_uid", json!(1)), "class_uid 1 is no class"),
        ("times that do not add up", but("/duration", json!(1_000_000)), "duration: is not end_time - start_time"),
    ]
}

#[tokio::test]
async fn the_validator_finds_what_is_wrong_with_an_event() {
    let Some(python) = log_tools() else { return };
    let (_, event) = Recorded::get().await.first(&[
        ("function_name", json!("orders")),
        ("method", json!("POST")),
        ("outcome", json!("complete")),
    ]);
    let mut cases: Vec<(&str, String, &str)> =
        broken(event).into_iter().map(|(name, event, fault)| (name, event.to_string(), fault)).collect();
    let twice = event.to_string().replacen('{', "{\"class_uid\":4002,", 1);
    cases.push(("a key that stands there twice", twice, "a key stands there twice"));
    cases.push(("half a line", event.to_string().split_off(9), "is no JSON"));
    let lines: Vec<&str> = cases.iter().map(|(_, line, _)| &**line).collect();
    let (passed, said) = validate(&python, &["events"], &format!("{}\n{event}\n", lines.join("\n")));
    assert!(!passed);
    let faults_of = |number: usize| -> Vec<&str> {
        said.lines().filter_map(|fault| fault.strip_prefix(&format!("{number}: "))).collect()
    };
    for (number, (name, _, expected)) in cases.iter().enumerate() {
        let faults = faults_of(number + 1);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{name}: {faults:#?}");
    }
    assert_eq!(faults_of(cases.len() + 1), Vec::<&str>::new(), "the event that they were made of");
}

// ----- both formats side by side -----

#[test]
fn both_formats_on_one_standard_output_and_in_a_file_are_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.jsonl");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "both_formats", "--ignored", "--nocapture"])
        .env("EVENTS", &file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.get(text.find('{').unwrap()..=text.rfind('}').unwrap()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (events, audit): (Vec<Value>, Vec<Value>) = lines.into_iter().partition(|line| line["class_uid"].is_number());
    // Each request is decided and ends; the audit has a posture, too.
    assert_eq!((events.len(), audit.len()), (THREADS * REQUESTS * 2, THREADS * REQUESTS * 2 + 1));
    audit.iter().for_each(ValidatedAudit::validate);

    let by_uid = |events: &[Value]| -> HashMap<String, Value> {
        events.iter().map(|event| (event["metadata"]["uid"].to_string(), event.clone())).collect()
    };
    let in_file = fs::read_to_string(file).unwrap();
    let in_file: Vec<Value> = in_file.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(in_file.len(), events.len());
    assert_eq!(by_uid(&in_file), by_uid(&events));
}

const THREADS: usize = 8;
const REQUESTS: usize = 250;

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn both_formats() {
    let file = fs::File::options().append(true).create(true).open(std::env::var_os("EVENTS").unwrap()).unwrap();
    let rule = Rule::new("api").hosts(["api.test"]);
    let policy = Policy::builder("both").allow(rule).build().unwrap();
    let guard = Guard::new(policy, ((JsonLines::stdout(), OcsfLines::stdout()), OcsfLines::new(file)));
    let answers = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let http = guard.layer().layer(answers);
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let url = format!("https://api.test/{thread}/{number}/{}", "p".repeat(number * 3));
                    let request = Request::get(url).body(Full::default()).unwrap();
                    handle.block_on(http.clone().oneshot(request)).unwrap();
                }
            });
        }
    });
}

// ----- the page -----

/// The places of an event's values, as the page writes them: `http_request.url.path`.
fn places(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                places(member, &if at.is_empty() { key.clone() } else { format!("{at}.{key}") }, found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

/// What stands between backticks.
fn in_backticks(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_has_every_attribute_and_every_key_of_the_audit() {
    let page = fs::read_to_string(root().join("docs/ocsf.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let in_table: BTreeSet<String> = rows.iter().flat_map(|row| in_backticks(row.split('|').nth(1).unwrap())).collect();
    let mut found = BTreeSet::new();
    for event in &Recorded::get().await.events {
        places(event, "", &mut found);
    }
    // A request of which nothing could be read is empty.
    found.remove("http_request");
    let differences: Vec<&String> = in_table.symmetric_difference(&found).collect();
    assert!(differences.is_empty(), "these are on the page or in events, not both: {differences:?}");

    let schema: Value = serde_json::from_str(AUDIT_SCHEMA).unwrap();
    let said = in_backticks(&page);
    let missing: Vec<&String> =
        schema["properties"].as_object().unwrap().keys().filter(|key| !said.contains(*key)).collect();
    assert!(missing.is_empty(), "docs/ocsf.md says neither where these go nor that they are left out: {missing:?}");
}

#[tokio::test]
async fn the_event_on_the_page_is_one() {
    let page = fs::read_to_string(root().join("docs/ocsf.md")).unwrap();
    let sample: Value =
        serde_json::from_str(page.split("```json").nth(1).unwrap().split("```").next().unwrap()).unwrap();
    let recorded = Recorded::get().await;
    let (_, real) = recorded.first(&[("function_name", json!("orders")), ("method", json!("DELETE"))]);
    let keys = |event: &Value| {
        let mut found = BTreeSet::new();
        places(event, "", &mut found);
        found
    };
    assert_eq!(keys(&sample), keys(real));
    assert!(schemas()[&4002].is_valid(&sample));
    if let Some(python) = log_tools() {
        assert_eq!(validate(&python, &["events"], &sample.to_string()), (true, String::new()));
    }
}
