//! Secrets in every part of a request that may hold one, and in whatever happens to it: none of them comes out of the library
//! into lines, events, errors, panics or `Debug`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use egress_guard::{
    ChainKey, ClientOptions, Guard, JsonLines, MemorySink, OcsfLines, Policy, Rule, TracingSink, denied,
};
use egress_guard_tests::{Names, Seen, Server, certificate_in_pem};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::process::Command;
use tower::{Layer, ServiceExt};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What every secret begins with, and what it is in base64 where it begins the user information.
const SECRET: &str = "S3CRET";
const SECRET_IN_BASE64: &str = "UzNDUkVU";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_request_comes_out_anywhere() {
    let server = Server::http("server", "127.0.0.1").await.answering(answer);
    // Nobody listens where somebody did.
    let gone = Server::http("gone", "127.0.0.1").await.port();
    let process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process", "--ignored", "--nocapture"])
        .env("PORT", server.port().to_string())
        .env("GONE", gone.to_string())
        .env("CA", certificate_in_pem(&["api.test"]).0)
        .env("https_proxy", format!("http://user:{SECRET}-PROXY@127.0.0.9:1"))
        .env("AWS_ENDPOINT_URL_S3", format!("http://127.0.0.9:1/?{SECRET}-ENDPOINT"))
        .env("RUST_BACKTRACE", "1")
        .output()
        .await
        .unwrap();
    let [output, errors] = [process.stdout, process.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(process.status.success(), "{output}\n{errors}");
    for (name, text) in [("standard output", &output), ("standard error", &errors)] {
        let found: Vec<&str> =
            text.lines().filter(|line| line.contains(SECRET) || line.contains(SECRET_IN_BASE64)).collect();
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
    // All of it has happened.
    for said in ["connection refused", "InvalidContentType", "TimedOut", "more than 3 redirects", "panicked at"] {
        assert!(errors.to_lowercase().contains(&said.to_lowercase()), "nothing said {said:?}: {errors}");
    }
    for reason in REASONS {
        assert!(output.contains(&format!("\"reason\":\"{reason}\"")), "nothing was denied as {reason}");
        assert!(errors.contains(&format!("reason=\"{reason}\"")), "no event tells of {reason}");
    }
    let seen: Vec<String> = server.seen().iter().map(|seen| format!("{seen:?}")).collect();
    for client in CLIENTS {
        let of_it: Vec<&String> = seen.iter().filter(|seen| seen.contains(&format!("/{client}/"))).collect();
        for place in PLACES {
            let is_sent = of_it.iter().any(|seen| seen.contains(&format!("{SECRET}-{place}")));
            assert!(is_sent, "{client} has sent no secret in {place}: {of_it:#?}");
        }
    }
    let of_sdk = ["BODY", "TOKEN"].map(|place| format!("{SECRET}-{place}"));
    assert!(of_sdk.iter().all(|secret| seen.iter().any(|seen| seen.contains(secret))), "{seen:#?}");
}

const CLIENTS: [&str; 5] = ["client", "reqwest", "blocking", "middleware", "hyper"];
const PLACES: [&str; 6] = ["QUERY", "AUTHORIZATION", "COOKIE", "HEADER", "BODY", "LOCATION"];
const REASONS: [&str; 8] = [
    "host-not-allowed",
    "host-header",
    "content-length-header",
    "upgrade-header",
    "transfer-encoding-header",
    "proxy-header",
    "user-info",
    "method-not-allowed",
];

/// The server's answers hold secrets, too.
fn answer(seen: &Seen) -> Option<Response<Bytes>> {
    let response = Response::builder()
        .header("set-cookie", format!("session={SECRET}-SET-COOKIE"))
        .header("x-secret", format!("{SECRET}-RESPONSE"));
    let (path, _) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let location = match path.rsplit('/').next()? {
        "within" => format!("./end?{SECRET}-LOCATION"),
        "out" => format!("http://denied.test/?{SECRET}-LOCATION"),
        "as-somebody" => format!("http://user:{SECRET}-LOCATION@api.test/?{SECRET}-LOCATION"),
        "circle" => format!("./circle?{SECRET}-LOCATION"),
        "to-nowhere" => format!("http://[{SECRET}-LOCATION"),
        "slow" => return None,
        _ => return response.body(format!("{SECRET}-RESPONSE-BODY").into()).ok(),
    };
    // tower-http keeps no body to send again.
    let status = if path.starts_with("/hyper/") { 303 } else { 307 };
    response.status(status).header("location", location).body(Bytes::new()).ok()
}

/// A request with secrets in it.
#[derive(Clone)]
struct Case {
    method: Method,
    url: String,
    headers: HeaderMap,
}

/// What is sent, what is denied and what fails, each for another reason.
fn cases(client: &str) -> Vec<Case> {
    let variable = |name: &str| std::env::var(name).unwrap();
    let origin = format!("http://api.test:{}", variable("PORT"));
    let case = |url: String| {
        let mut headers = HeaderMap::new();
        let secrets = [("authorization", "AUTHORIZATION"), ("cookie", "COOKIE"), ("x-api-key", "HEADER")];
        for (name, place) in secrets {
            headers.insert(name, HeaderValue::try_from(format!("{SECRET}-{place}")).unwrap());
        }
        let url = format!("{url}?key={SECRET}-QUERY#{SECRET}-FRAGMENT");
        Case { method: Method::POST, url, headers }
    };
    let to = |path: &str| case(format!("{origin}/{client}/{path}"));
    let with = |name: &'static str, value: &str| {
        let mut case = to("header");
        case.headers.insert(name, HeaderValue::try_from(value).unwrap());
        case
    };
    let paths = ["plain", "within", "out", "as-somebody", "circle", "to-nowhere", "broken"];
    let mut cases: Vec<Case> = paths.into_iter().map(to).collect();
    if client == "client" {
        cases.push(Case { url: format!("{origin}/slow?{SECRET}-QUERY"), ..to("") });
    }
    cases.extend([
        case("http://denied.test/".to_owned()),
        case(format!("http://api.test:{}/", variable("GONE"))),
        case(format!("https://api.test:{}/", variable("PORT"))),
        case(format!("http://{SECRET}-USER:{SECRET}-PASSWORD@api.test:{}/{client}/as-user", variable("PORT"))),
        case(format!("http://{SECRET}-USER:{SECRET}-PASSWORD@denied.test/")),
        case(format!("http://{SECRET}-USER:{SECRET}-PASSWORD@api.test:99999/")),
        case(format!("ftp://{SECRET}-USER:{SECRET}-PASSWORD@api.test/")),
        with("host", &format!("{SECRET}-HOST.test")),
        with("content-length", "99"),
        with("upgrade", &format!("{SECRET}-UPGRADE")),
        with("transfer-encoding", &format!("{SECRET}-ENCODING")),
        with("proxy-authorization", &format!("Basic {SECRET}-PROXY-AUTHORIZATION")),
        Case { method: Method::DELETE, ..to("method") },
    ]);
    cases
}

// ----- the process -----

fn policy() -> Policy {
    let api = Rule::new("api").hosts(["api.test"]).schemes(["http", "https"]).port_range(1..=65535);
    let api = api.methods(["GET", "POST"]).addresses(["127.0.0.1/32"]);
    Policy::builder("orders").allow(api).build().unwrap()
}

fn names() -> Names {
    Names::new().with("api.test", &["127.0.0.1"])
}

fn builder() -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert("x-default", HeaderValue::try_from(format!("{SECRET}-DEFAULT")).unwrap());
    let proxy = reqwest::Proxy::all(format!("http://user:{SECRET}-PROXY@127.0.0.9:1")).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([]).cookie_store(true).default_headers(headers);
    builder.proxy(proxy).timeout(Duration::from_secs(3))
}

fn options() -> ClientOptions {
    ClientOptions::from(builder()).resolver(names()).max_redirects(3)
}

/// Shows all that there is to see of something of the library.
fn show(shown: &impl Debug) {
    eprintln!("{shown:?} {shown:#?}");
}

/// The same of an error, and of all that it comes from.
fn show_error(error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        eprintln!("{error} {error:?} {error:#?}");
        next = error.source();
    }
}

/// Errors of other crates show URLs as they please. The denial in them is the library's.
fn show_denial(error: &(dyn Error + 'static)) {
    if let Some(denied) = denied(error) {
        show_error(denied);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the other test, in a process of its own"]
async fn the_process() {
    // Those of hyper and of the AWS SDK hold secrets, at the level that is called TRACE.
    let events = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let of_the_library = filter_fn(|event| event.target().starts_with("egress_guard"));
    tracing_subscriber::registry().with(events.with_filter(of_the_library)).init();
    let memory = MemorySink::new();
    let key = ChainKey::from_bytes(format!("{SECRET}-KEY-{SECRET}-KEY-{SECRET}-KEY-").as_bytes()).unwrap();
    show(&key);
    show_error(&ChainKey::from_bytes(format!("{SECRET}-KEY").as_bytes()).unwrap_err());
    let lines = (JsonLines::stdout().chained(key), TracingSink::new());
    let events = OcsfLines::new(std::io::stderr());
    let guard = Guard::new(policy(), ((lines, events), memory.clone()));
    show(&guard);
    show(&guard.lambda_layer());
    full_client(&guard).await;
    ordinary_clients(&guard).await;
    layers(&guard).await;
    aws(&guard).await;
    let text = "version = 1\nname = \"p\"\nproxy = \"http://user:S3CRET-PROXY@proxy.test:3128\"\n";
    show_error(&Policy::from_toml(text).unwrap_err());
    let quarantining = Guard::quarantining(policy(), memory.clone());
    let http = quarantining.client(options()).unwrap();
    show_error(&http.get(format!("http://denied.test/?{SECRET}-QUERY")).send().await.unwrap_err());
    assert!(memory.lines().len() > 100);
    show(&memory);
}

async fn full_client(guard: &Guard) {
    show(&options());
    let http = guard.client(options()).unwrap();
    show(&http);
    for case in cases("client") {
        let request = || {
            let request = http.request(case.method.clone(), &case.url).headers(case.headers.clone());
            let request = request.basic_auth(format!("{SECRET}-BASIC"), Some(format!("{SECRET}-BASIC")));
            request.headers(case.headers.clone()).body(format!("{SECRET}-BODY"))
        };
        show(&request());
        match request().send().await {
            Ok(response) => drop(response.bytes().await),
            Err(error) => {
                show_error(&error);
                // As `unwrap` would.
                tokio::spawn(async move { panic!("{error:?}") }).await.unwrap_err();
            }
        }
    }
    let form = http.post(&cases("client")[0].url).form(&[("password", format!("{SECRET}-FORM"))]);
    show(&form);
    form.send().await.unwrap();
    let json =
        http.post("http://denied.test/").json(&[format!("{SECRET}-JSON")]).bearer_auth(format!("{SECRET}-BEARER"));
    show(&json);
    show_error(&json.send().await.unwrap_err());
}

async fn ordinary_clients(guard: &Guard) {
    let plain = guard.reqwest(options()).unwrap();
    let wrapped = builder().no_proxy().resolve("api.test", ([127, 0, 0, 1], 0).into()).build().unwrap();
    let wrapped = reqwest_middleware::ClientBuilder::new(wrapped).with(guard.middleware()).build();
    show(&guard.middleware());
    let body = format!("{SECRET}-BODY");
    for case in cases("reqwest") {
        let request = plain.request(case.method, &case.url).headers(case.headers).body(body.clone());
        let _ = request.send().await.inspect_err(|error| show_denial(error));
    }
    for case in cases("middleware") {
        let request = wrapped.request(case.method, &case.url).headers(case.headers).body(body.clone());
        let _ = request.send().await.inspect_err(|error| show_denial(error));
    }
    let guard = guard.clone();
    let blocking = move || {
        let plain = guard.reqwest_blocking(options()).unwrap();
        for case in cases("blocking") {
            let request = plain.request(case.method, &case.url).headers(case.headers).body(body.clone());
            let _ = request.send().inspect_err(|error| show_denial(error));
        }
    };
    tokio::task::spawn_blocking(blocking).await.unwrap();
}

async fn layers(guard: &Guard) {
    let resolver = guard.resolver(names());
    show(&resolver);
    let connector = guard.connector(HttpConnector::new_with_resolver(resolver));
    show(&connector);
    let hyper = Hyper::builder(TokioExecutor::new()).build(connector);
    show(&guard.layer());
    let stack = tower_http::follow_redirect::FollowRedirectLayer::new().layer(guard.layer().layer(hyper));
    for case in cases("hyper") {
        let mut request = Request::builder().method(case.method).uri(case.url);
        if let Some(headers) = request.headers_mut() {
            *headers = case.headers;
        }
        let Ok(request) = request.body(Full::new(Bytes::from(format!("{SECRET}-BODY")))) else { continue };
        let answered = tokio::time::timeout(Duration::from_secs(30), stack.clone().oneshot(request)).await;
        if let Ok(Err(error)) = answered {
            show_error(&*error);
        }
    }
}

async fn aws(guard: &Guard) {
    let http = guard.aws_http_client().resolver(names());
    let http = http.only_root_certificates(std::env::var("CA").unwrap()).unwrap();
    show(&http);
    let credentials =
        Credentials::new("AKIDEXAMPLE", format!("{SECRET}-KEY"), Some(format!("{SECRET}-TOKEN")), None, "test");
    let config = aws_sdk_sts::Config::builder().behavior_version(BehaviorVersion::latest()).http_client(http);
    let config = config.region(Region::new("eu-west-1")).retry_config(RetryConfig::disabled());
    let client = aws_sdk_sts::Client::from_conf(config.credentials_provider(credentials).build());
    let urls: BTreeSet<String> = cases("aws").into_iter().map(|case| case.url).collect();
    for url in urls {
        let call = client.get_access_key_info().access_key_id(format!("{SECRET}-BODY")).customize();
        let call = call.config_override(aws_sdk_sts::Config::builder().endpoint_url(&url)).send();
        let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(30), call).await else { continue };
        // A response is in the SDK's error as it came; what there is without one is of the library.
        if error.raw_response().is_none() {
            show_error(&error);
        }
    }
}
