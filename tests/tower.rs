//! The tower layer over hyper-util's client: what is sent is what was checked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::future::Ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use egress_guard::{Guard, Policy, Rule, denied};
use egress_guard_tests::{Server, ValidatedAudit};
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceBuilder, ServiceExt};

/// Every name is 127.0.0.1.
#[derive(Clone)]
struct Loopback;

impl Service<Name> for Loopback {
    type Response = std::iter::Once<SocketAddr>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        std::future::ready(Ok(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0)))))
    }
}

type Hyper = Client<HttpConnector<Loopback>, Full<Bytes>>;

fn hyper(configure: impl FnOnce(&mut Builder)) -> Hyper {
    let mut builder = Client::builder(TokioExecutor::new());
    configure(&mut builder);
    builder.build(HttpConnector::new_with_resolver(Loopback))
}

fn policy() -> Policy {
    let api = Rule::new("api")
        .hosts(["allowed.test"])
        .schemes(["http"])
        .port_range(1..=65535)
        .methods(["GET", "POST", "OPTIONS"])
        .paths(["/ok/**", "/bytes", "/"]);
    Policy::builder("tower").allow(api).build().unwrap()
}

struct Case {
    name: &'static str,
    request: http::request::Builder,
    /// The reason of the denial, or `None` if it is sent.
    reason: Option<&'static str>,
}

fn cases(port: u16) -> Vec<Case> {
    let url = |name, url: &str, reason| {
        let request = Request::get(url.replace("PORT", &port.to_string()));
        Case { name, request, reason }
    };
    let header = |name, header: &str, value: &str, reason| {
        let case = url(name, "http://allowed.test:PORT/ok/x", reason);
        Case { request: case.request.header(header, value.replace("PORT", &port.to_string())), ..case }
    };
    let method = |name, method: Method, target: &str, reason| {
        let case = url(name, target, reason);
        Case { request: case.request.method(method), ..case }
    };
    let right_host = format!("allowed.test:{port}");
    let doubled = header("a doubled Host header", "host", &right_host, Some("host-header"));
    let doubled = Case { request: doubled.request.header("host", &right_host), ..doubled };
    vec![
        url("a listed destination", "http://allowed.test:PORT/ok/x?q", None),
        url("upper case and a trailing dot", "http://ALLOWED.test.:PORT/ok/x", None),
        url("another host", "http://evil.test:PORT/ok/x", Some("host-not-allowed")),
        url("another path", "http://allowed.test:PORT/admin", Some("path-not-allowed")),
        url("dot segments, sent as they are", "http://allowed.test:PORT/ok/../admin", Some("not-normalized")),
        url("dot segments that end up allowed", "http://allowed.test:PORT/admin/../ok/x", Some("not-normalized")),
        url("encoded dot segments", "http://allowed.test:PORT/ok/%2e%2e/admin", Some("not-normalized")),
        url("an encoded slash", "http://allowed.test:PORT/ok/..%2fadmin", Some("ambiguous-path")),
        url("a dotted IP", "http://127.0.0.1:PORT/ok/x", Some("ip-literal-not-allowed")),
        url("an IPv6-mapped IP", "http://[::ffff:127.0.0.1]:PORT/ok/x", Some("ip-literal-not-allowed")),
        url("a decimal IP", "http://2130706433:PORT/ok/x", Some("not-normalized")),
        url("an octal IP", "http://0177.0.0.1:PORT/ok/x", Some("not-normalized")),
        url("a hexadecimal IP", "http://0x7f.1:PORT/ok/x", Some("not-normalized")),
        url("a short IP", "http://127.1:PORT/ok/x", Some("not-normalized")),
        url("user information", "http://allowed.test@evil.test:PORT/ok/x", Some("user-info")),
        url("a path alone", "/ok/x", Some("invalid-destination")),
        header("the right Host header", "host", "allowed.test:PORT", None),
        header("a foreign Host header", "host", "evil.test", Some("host-header")),
        header("a Host header with another port", "host", "allowed.test:1", Some("host-header")),
        doubled,
        header("an escaped Host header", "host", "allowed%2Etest:PORT", Some("host-header")),
        header("a padded port in the Host header", "host", "allowed.test:0PORT", Some("host-header")),
        header("a length without a body", "content-length", "33", Some("content-length-header")),
        header("a length that is no number", "content-length", "+0", Some("content-length-header")),
        header("an Upgrade", "upgrade", "websocket", Some("upgrade-header")),
        header("a Transfer-Encoding", "transfer-encoding", "chunked", Some("transfer-encoding-header")),
        header("a header for a proxy", "proxy-authorization", "Basic eDp5", Some("proxy-header")),
        method("an unlisted method", Method::DELETE, "http://allowed.test:PORT/ok/x", Some("method-not-allowed")),
        method("CONNECT to the allowed host", Method::CONNECT, "allowed.test:PORT", Some("connect-method")),
        method("a request to the server as a whole", Method::OPTIONS, "*", Some("invalid-destination")),
    ]
}

#[tokio::test]
async fn what_is_denied_is_never_seen_by_a_server() {
    let server = Server::http("server", "127.0.0.1").await;
    for Case { name, request, reason } in cases(server.port()) {
        let audit = ValidatedAudit::new();
        let guard = Guard::new(policy(), audit.clone());
        let http = ServiceBuilder::new().layer(guard.layer()).service(hyper(|_| ()));
        let before = server.seen().len();
        let result = http.oneshot(request.body(Full::default()).unwrap()).await;
        let sent = server.seen().len() - before;
        match reason {
            None => {
                result.unwrap_or_else(|error| panic!("{name}: {error}")).into_body().collect().await.unwrap();
                assert_eq!(sent, 1, "{name}");
                assert_eq!(audit.of_type("outcome")[0]["outcome"], "complete", "{name}");
            }
            Some(reason) => {
                let error = result.expect_err(name);
                assert_eq!(denied(&*error).expect(name).reason().as_str(), reason, "{name}");
                assert_eq!(sent, 0, "{name}");
                assert_eq!(audit.denials(), [reason], "{name}");
            }
        }
    }
}

/// The rows above are only worth something if they arrive where nothing denies them.
#[tokio::test]
async fn without_the_layer_the_same_requests_reach_the_server() {
    let server = Server::http("server", "127.0.0.1").await;
    // hyper itself refuses these: as a client what names no host, as a server a length that is no number.
    let never_seen = ["a path alone", "a request to the server as a whole", "a length that is no number"];
    for Case { name, request, .. } in cases(server.port()) {
        if !never_seen.contains(&name) {
            let before = server.seen().len();
            let http = hyper(|_| ());
            let response = http.request(request.body(Full::default()).unwrap());
            // A server waits for a body that is announced and never comes.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(300), response).await;
            assert_eq!(server.seen().len() - before, 1, "{name}");
        }
    }
}

#[tokio::test]
async fn a_foreign_host_header_beside_an_http2_authority_is_denied() {
    let server = Server::http("server", "127.0.0.1").await;
    let request = || {
        let request = Request::get(format!("http://allowed.test:{}/ok/x", server.port())).version(Version::HTTP_2);
        request.header("host", "evil.test").body(Full::<Bytes>::default()).unwrap()
    };
    let http2 = || {
        hyper(|builder| {
            builder.http2_only(true);
        })
    };
    http2().request(request()).await.unwrap();
    assert_eq!(server.seen()[0].header("host"), Some("evil.test"), "both are sent");

    let guard = Guard::new(policy(), ValidatedAudit::new());
    let error = ServiceBuilder::new().layer(guard.layer()).service(http2()).oneshot(request()).await.unwrap_err();
    assert_eq!(denied(&*error).unwrap().reason().as_str(), "host-header");
    assert_eq!(server.seen().len(), 1);
}

/// A connector that compares schemes letter by letter takes `HTTPS` for plain http.
#[tokio::test]
async fn a_scheme_in_upper_case_is_not_taken_for_https() {
    let uri = http::Uri::builder().scheme("HTTPS").authority("allowed.test").path_and_query("/ok/x").build().unwrap();
    let policy = Policy::builder("https").allow(Rule::new("api").hosts(["allowed.test"])).build().unwrap();
    let http = Guard::new(policy, ValidatedAudit::new()).layer();
    let http = ServiceBuilder::new().layer(http).service(hyper(|_| ()));
    let error = http.oneshot(Request::get(uri).body(Full::default()).unwrap()).await.unwrap_err();
    assert_eq!(denied(&*error).unwrap().reason().as_str(), "not-normalized");
}

#[tokio::test]
async fn every_request_has_a_decision_and_an_outcome() {
    let server = Server::http("server", "127.0.0.1").await;
    let audit = ValidatedAudit::new();
    let guard = Guard::new(policy(), audit.clone());
    let mut http = ServiceBuilder::new().layer(guard.layer()).service(hyper(|_| ()));
    for _ in 0..3 {
        let request = Request::post(format!("http://allowed.test:{}/bytes?7", server.port()));
        let response = http.ready().await.unwrap().call(request.body(Full::from("hello")).unwrap()).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 7);
    }
    let outcomes = audit.of_type("outcome");
    assert_eq!(outcomes.len(), 3);
    for (decision, outcome) in audit.of_type("decision").iter().zip(&outcomes) {
        assert_eq!(decision["exchange_id"], outcome["exchange_id"]);
        assert_eq!(outcome["client"], "tower");
        assert_eq!(outcome["bytes_sent"], 5);
        assert_eq!(outcome["bytes_received"], 7);
        assert_eq!(outcome["peer_ip"], "127.0.0.1");
    }
}

#[tokio::test]
async fn a_call_dropped_half_way_is_recorded_as_cancelled() {
    let server = Server::http("server", "127.0.0.1").await;
    let audit = ValidatedAudit::new();
    let policy = Policy::builder("slow")
        .allow(Rule::new("slow").hosts(["allowed.test"]).schemes(["http"]).port(server.port()))
        .build()
        .unwrap();
    let http = ServiceBuilder::new()
        .timeout(std::time::Duration::from_millis(100))
        .layer(Guard::new(policy, audit.clone()).layer())
        .service(hyper(|_| ()));
    let request = Request::get(format!("http://allowed.test:{}/slow", server.port())).body(Full::default()).unwrap();
    http.oneshot(request).await.unwrap_err();
    assert_eq!(audit.of_type("outcome")[0]["outcome"], "cancelled");
}
