//! The guarded reqwest client in everyday use: it answers as reqwest does, and every request leaves its lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use bytes::Bytes;
use egress_guard::{AuditRecord, AuditSink, Client, ClientOptions, Guard, Policy, Rule};
use egress_guard_tests::{Names, Server, ValidatedAudit};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Version};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

fn policy() -> Policy {
    let partner = Rule::new("partner")
        .hosts(["api.test", "other.test"])
        .schemes(["http", "https"])
        .port_range(1..=65535)
        .addresses(["127.0.0.1/32"]);
    Policy::builder("client").allow(partner).internal_hosts(["other.test"]).build().unwrap()
}

fn names() -> Names {
    Names::new().with("api.test", &["127.0.0.1"]).with("other.test", &["127.0.0.1"])
}

struct Fixture {
    server: Server,
    other: Server,
    audit: ValidatedAudit,
    guard: Guard,
    names: Names,
    http: Client,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|options| options).await
    }

    async fn with(configure: impl FnOnce(ClientOptions) -> ClientOptions) -> Self {
        let audit = ValidatedAudit::new();
        let guard = Guard::new(policy(), audit.clone());
        let names = names();
        let options = ClientOptions::from(reqwest::Client::builder()).resolver(names.clone());
        let http = guard.client(configure(options)).unwrap();
        let (server, other) = (Server::http("server", "127.0.0.1").await, Server::http("other", "127.0.0.1").await);
        Self { server, other, audit, guard, names, http }
    }

    fn url(&self, path: &str) -> String {
        format!("http://api.test:{}{path}", self.server.port())
    }

    fn other_url(&self, path: &str) -> String {
        format!("http://other.test:{}{path}", self.other.port())
    }

    /// The one outcome.
    fn outcome(&self) -> Value {
        let outcomes = self.audit.of_type("outcome");
        assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
        outcomes[0].clone()
    }
}

#[tokio::test]
async fn a_response_is_as_reqwest_gives_it() {
    let fixture = Fixture::new().await;
    let url = fixture.url("/orders?key=S3CRET");
    let response = fixture.http.post(&url).json(&[1, 2]).bearer_auth("S3CRET").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url().as_str(), url);
    assert_eq!(response.remote_addr(), Some(fixture.server.address()));
    assert_eq!(response.content_length(), Some(6));
    assert_eq!(response.text().await.unwrap(), "server");

    let seen = &fixture.server.seen()[0];
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("authorization"), Some("Bearer S3CRET"));
    assert_eq!(seen.header("host"), Some(&*format!("api.test:{}", fixture.server.port())));
    assert_eq!(seen.header("accept"), Some("*/*"));
    assert_eq!(seen.body, "[1,2]");

    let lines = fixture.audit.lines();
    let kinds: Vec<_> = lines.iter().map(|line| line["event_type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["egress_posture", "egress_decision", "egress_decision", "egress_outcome"]);
    let (decision, connection, outcome) = (&lines[1], &lines[2], &lines[3]);
    assert_eq!((&decision["stage"], &connection["stage"]), (&json!("request"), &json!("connection")));
    assert_eq!(connection["local_port"], outcome["local_port"]);
    assert_eq!(decision["rule_id"], "partner");
    assert_eq!(decision["boundary"], "external");
    assert_eq!(decision["path"], "/orders");
    assert_eq!(outcome["exchange_id"], decision["exchange_id"]);
    assert_eq!(outcome["outcome"], "complete");
    assert_eq!(outcome["status"], 200);
    assert_eq!(outcome["bytes_sent"], 5);
    assert_eq!(outcome["bytes_received"], 6);
    assert_eq!(outcome["peer_ip"], "127.0.0.1");
    assert_eq!(outcome["peer_port"], fixture.server.port());
    let all = format!("{lines:?}");
    assert!(!all.contains("S3CRET"), "{all}");
}

#[tokio::test]
async fn the_decision_is_recorded_before_the_request_is_seen() {
    /// Notes how many requests the server has seen at each line.
    struct Watch(std::sync::Arc<std::sync::Mutex<Vec<usize>>>, std::sync::Arc<std::sync::OnceLock<Server>>);
    impl AuditSink for Watch {
        fn record(&self, _: &AuditRecord<'_>) -> std::io::Result<()> {
            let seen = self.1.get().map_or(0, |server| server.seen().len());
            self.0.lock().unwrap().push(seen);
            Ok(())
        }
    }
    let (counts, server) = (std::sync::Arc::default(), std::sync::Arc::<std::sync::OnceLock<Server>>::default());
    server.set(Server::http("server", "127.0.0.1").await).unwrap();
    let guard = Guard::new(policy(), Watch(std::sync::Arc::clone(&counts), std::sync::Arc::clone(&server)));
    let options = ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let url = format!("http://api.test:{}/", server.get().unwrap().port());
    guard.client(options).unwrap().get(url).send().await.unwrap().text().await.unwrap();
    assert_eq!(*counts.lock().unwrap(), [0, 0, 0, 1], "posture, request and connection before, outcome after");
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_sent() {
    struct Full;
    impl AuditSink for Full {
        fn record(&self, _: &AuditRecord<'_>) -> std::io::Result<()> {
            Err(std::io::Error::other("no space left"))
        }
    }
    let fixture = Fixture::new().await;
    let guard = Guard::new(policy(), Full);
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let error = guard.client(options()).unwrap().get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(error.denied().unwrap().reason().as_str(), "audit-failed");
    let error = guard.reqwest(options()).unwrap().get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(egress_guard::denied(&error).unwrap().reason().as_str(), "audit-failed");
    assert!(fixture.server.seen().is_empty());
}

#[tokio::test]
async fn a_denied_name_is_never_looked_up() {
    let fixture = Fixture::new().await;
    let plain = fixture.guard.reqwest(ClientOptions::from(reqwest::Client::builder()).resolver(fixture.names.clone()));
    fixture.http.get("http://secret-data.evil.test/").send().await.unwrap_err();
    plain.unwrap().get("http://secret-data.evil.test/").send().await.unwrap_err();
    assert!(fixture.names.asked().is_empty(), "{:?}", fixture.names.asked());
}

#[tokio::test]
async fn a_denial_says_what_to_add_and_nothing_that_is_allowed() {
    let fixture = Fixture::new().await;
    let error = fixture.http.post("https://evil.test:8443/v1?key=S3CRET").send().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "egress denied by policy `client`: POST https://evil.test:8443/v1: no rule allows this host; to allow it, add \
         [[allow]] id = \"...\", hosts = [\"evil.test\"], ports = [8443], methods = [\"POST\"] (host-not-allowed)"
    );
    assert!(!format!("{error:?}").contains("api.test"));
    assert!(!error.is_connect() && !error.is_timeout());
}

#[tokio::test]
async fn a_request_that_fails_after_it_was_sent_leaves_its_peer() {
    let fixture = Fixture::new().await;
    let request = fixture.http.post(fixture.url("/slow")).body("data").timeout(Duration::from_millis(200));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(fixture.server.seen().len(), 1);
    let connection = &fixture.audit.decisions_at("connection")[0];
    assert_eq!(
        (&connection["peer_ip"], &connection["peer_port"]),
        (&json!("127.0.0.1"), &json!(fixture.server.port()))
    );
}

#[tokio::test]
async fn a_failure_is_no_denial() {
    let fixture = Fixture::new().await;
    // Bound, so that nobody else gets the port, and never listened on.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed_port = closed.local_addr().unwrap().port();
    let error = fixture.http.get(format!("http://api.test:{closed_port}/")).send().await.unwrap_err();
    assert!(error.denied().is_none() && error.is_connect(), "{error:?}");
    assert_eq!(fixture.outcome()["outcome"], "failed");
}

#[tokio::test]
async fn redirects_are_followed_as_browsers_do() {
    let cases = [
        (301, Method::POST, Method::GET, ""),
        (302, Method::POST, Method::GET, ""),
        (303, Method::POST, Method::GET, ""),
        (303, Method::PUT, Method::GET, ""),
        (303, Method::HEAD, Method::HEAD, ""),
        (301, Method::PUT, Method::PUT, "body"),
        (307, Method::POST, Method::POST, "body"),
        (308, Method::POST, Method::POST, "body"),
        (308, Method::DELETE, Method::DELETE, "body"),
    ];
    for (status, method, expected_method, expected_body) in cases {
        let fixture = Fixture::new().await;
        let request = fixture.http.request(method.clone(), fixture.url(&format!("/redirect/{status}?/end")));
        let response = request.header(CONTENT_TYPE, "text/plain").body("body").send().await.unwrap();
        assert_eq!(response.url().path(), "/end", "{status} {method}");
        let seen = &fixture.server.seen()[1];
        assert_eq!((&seen.method, &*seen.body), (&expected_method, expected_body.as_bytes()), "{status} {method}");
        assert_eq!(seen.header("content-type").is_some(), !expected_body.is_empty(), "{status} {method}");
        drop(response);
        let outcomes: Vec<_> = fixture.audit.of_type("outcome").iter().map(|line| line["outcome"].clone()).collect();
        assert_eq!(outcomes[0], "redirected");
        let hops: Vec<_> = fixture.audit.decisions_at("request").iter().map(|line| line["hop"].clone()).collect();
        assert_eq!(hops, [0, 1]);
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_the_response() {
    for path in ["/redirect/304?/end", "/redirect/300?/end", "/redirect/302?http://["] {
        let fixture = Fixture::new().await;
        let response = fixture.http.get(fixture.url(path)).send().await.unwrap();
        assert!(response.status().is_redirection(), "{path}");
        assert_eq!(fixture.server.seen().len(), 1, "{path}");
    }
    let fixture = Fixture::new().await;
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("body"))]));
    let response = fixture.http.post(fixture.url("/redirect/307?/end")).body(stream).send().await.unwrap();
    assert_eq!(response.status(), 307, "a body that is gone cannot be sent again");
    assert_eq!(fixture.server.seen()[0].body, "body");
}

#[tokio::test]
async fn redirects_end_at_the_limit() {
    let fixture = Fixture::with(|options| options.max_redirects(3)).await;
    let error = fixture.http.get(fixture.url("/redirect/302")).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert_eq!(error.to_string(), "more than 3 redirects");
    assert_eq!(fixture.server.seen().len(), 4);

    let fixture = Fixture::with(|options| options.max_redirects(0)).await;
    let response = fixture.http.get(fixture.url("/redirect/302?/end")).send().await.unwrap();
    assert_eq!(response.status(), 302);
}

#[tokio::test]
async fn a_redirect_to_what_is_no_destination_is_denied() {
    for (location, reason) in [
        ("file:///etc/passwd", "invalid-destination"),
        ("http://api.test:0/", "invalid-destination"),
        ("ftp://api.test/", "invalid-destination"),
    ] {
        let fixture = Fixture::new().await;
        let error = fixture.http.get(fixture.url(&format!("/redirect/302?{location}"))).send().await.unwrap_err();
        assert_eq!(error.denied().map(|denied| denied.reason().as_str()), Some(reason), "{location}");
    }
}

#[tokio::test]
async fn another_origin_gets_no_secrets_and_they_do_not_come_back() {
    let secrets = HeaderMap::from_iter([("x-default".parse().unwrap(), HeaderValue::from_static("S3CRET"))]);
    let fixture = Fixture::with(|options| options.default_headers(secrets)).await;
    // There, and back again.
    let back = fixture.url("/end");
    let there = fixture.other_url(&format!("/redirect/302?{back}"));
    let request = fixture.http.get(fixture.url(&format!("/redirect/302?{there}")));
    let request = request.header(AUTHORIZATION, "S3CRET").header("cookie", "S3CRET").header(ACCEPT, "text/html");
    request.send().await.unwrap();

    let (first, second, third) = (&fixture.server.seen()[0], &fixture.other.seen()[0], &fixture.server.seen()[1]);
    assert_eq!(first.header("x-default"), Some("S3CRET"));
    assert_eq!(first.header("authorization"), Some("S3CRET"));
    for seen in [second, third] {
        assert!(!format!("{:?}", seen.headers).contains("S3CRET"), "{seen:?}");
        assert_eq!(seen.header("accept"), Some("text/html"));
        assert_eq!(seen.header("referer"), None);
    }
    let boundaries: Vec<_> =
        fixture.audit.decisions_at("request").iter().map(|line| line["boundary"].clone()).collect();
    assert_eq!(boundaries, ["external", "internal", "external"]);
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_all_headers() {
    let secrets = HeaderMap::from_iter([("x-builder".parse().unwrap(), HeaderValue::from_static("S3CRET"))]);
    let audit = ValidatedAudit::new();
    let builder = reqwest::Client::builder().default_headers(secrets);
    let http = Guard::new(policy(), audit).client(ClientOptions::from(builder).resolver(names())).unwrap();
    let server = Server::http("server", "127.0.0.1").await;
    let url = format!("http://api.test:{}/redirect/302?/end", server.port());
    http.get(url).header(AUTHORIZATION, "S3CRET").send().await.unwrap();
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some("S3CRET"));
        assert_eq!(seen.header("x-builder"), Some("S3CRET"));
    }
}

#[tokio::test]
async fn a_response_given_up_is_recorded_as_aborted() {
    let fixture = Fixture::new().await;
    let mut response = fixture.http.get(fixture.url("/endless")).send().await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    let outcome = fixture.outcome();
    assert_eq!(outcome["outcome"], "aborted");
    assert!(outcome["bytes_received"].as_u64() >= Some(1));
}

#[tokio::test]
async fn a_response_that_breaks_off_is_recorded_as_failed() {
    let fixture = Fixture::new().await;
    let response = fixture.http.get(fixture.url("/broken")).send().await.unwrap();
    response.bytes().await.unwrap_err();
    assert_eq!(fixture.outcome()["outcome"], "failed");
}

#[tokio::test]
async fn a_request_dropped_half_way_is_recorded_as_cancelled() {
    let fixture = Fixture::new().await;
    let request = fixture.http.get(fixture.url("/slow")).send();
    tokio::time::timeout(Duration::from_millis(200), request).await.unwrap_err();
    let outcome = fixture.outcome();
    assert_eq!(outcome["outcome"], "cancelled");
    assert_eq!(outcome.get("status"), None);
    assert!(outcome["duration_ms"].as_f64() >= Some(200.0));
}

/// A default header of the builder cannot be dropped, and is blank from the first foreign origin on, also back home.
#[tokio::test]
async fn a_secret_of_the_builder_stays_blank_after_another_origin() {
    let secrets = HeaderMap::from_iter([("x-builder".parse().unwrap(), HeaderValue::from_static("S3CRET"))]);
    let builder = reqwest::Client::builder().default_headers(secrets);
    let http = Guard::new(policy(), ValidatedAudit::new());
    let http = http.client(ClientOptions::from(builder).resolver(names())).unwrap();
    let (home, away) = (Server::http("home", "127.0.0.1").await, Server::http("away", "127.0.0.1").await);
    let back = format!("http://api.test:{}/redirect/302?/end", home.port());
    let there = format!("http://other.test:{}/redirect/302?{back}", away.port());
    http.get(format!("http://api.test:{}/redirect/302?{there}", home.port())).send().await.unwrap();
    let values = |server: &Server| {
        server.seen().iter().map(|seen| seen.header("x-builder").unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&home), ["S3CRET", "", ""]);
    assert_eq!(values(&away), [""]);
}

#[tokio::test]
async fn an_ordinary_client_sends_no_referer() {
    let fixture = Fixture::new().await;
    let plain = ClientOptions::from(reqwest::Client::builder().referer(true)).resolver(names());
    let plain = fixture.guard.reqwest(plain).unwrap();
    let there = fixture.other_url("/");
    plain.get(fixture.url(&format!("/redirect/302?{there}"))).send().await.unwrap();
    assert_eq!(fixture.other.seen()[0].header("referer"), None);
}

/// Where it can be told beforehand, a denied connection is not even begun.
#[tokio::test]
async fn no_packet_is_sent_to_a_forbidden_literal() {
    let fixture = Fixture::new().await;
    let plain = fixture.guard.reqwest(reqwest::Client::builder()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    fixture.http.get(&url).send().await.unwrap_err();
    plain.get(&url).send().await.unwrap_err();
    let connected = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(connected.is_err(), "{connected:?}");
}

/// A resolver may answer with a port, which would be dialled where the URL names none.
#[tokio::test]
async fn a_resolver_does_not_choose_the_port() {
    struct WithPort(u16);
    impl reqwest::dns::Resolve for WithPort {
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], self.0));
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as reqwest::dns::Addrs) })
        }
    }
    let server = Server::http("server", "127.0.0.1").await;
    let unguarded = reqwest::Client::builder().no_proxy().dns_resolver(WithPort(server.port())).build().unwrap();
    unguarded.get("http://api.test/").send().await.unwrap();
    assert_eq!(server.seen().len(), 1, "the port is the resolver's");

    let guard = Guard::new(policy(), ValidatedAudit::new());
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(WithPort(server.port()));
    let _ = guard.client(options()).unwrap().get("http://api.test/").send().await;
    let _ = guard.reqwest(options()).unwrap().get("http://api.test/").send().await;
    assert_eq!(server.seen().len(), 1, "the port is the URL's");
}

#[tokio::test]
async fn danger_flags_of_the_builder_are_overruled() {
    let server = Server::https("secure", "127.0.0.1", &["another.test"]).await;
    let careless = || {
        let builder = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        builder.tls_danger_accept_invalid_hostnames(true)
    };
    let url = format!("https://api.test:{}/", server.port());
    let unguarded = careless().no_proxy().dns_resolver(names()).build().unwrap();
    unguarded.get(&url).send().await.unwrap();
    assert_eq!(server.seen().len(), 1, "nothing is checked without a guard");

    let guard = Guard::new(policy(), ValidatedAudit::new());
    let options = || ClientOptions::from(careless()).resolver(names());
    assert!(guard.client(options()).unwrap().get(&url).send().await.unwrap_err().is_connect());
    assert!(guard.reqwest(options()).unwrap().get(&url).send().await.unwrap_err().is_connect());
    assert_eq!(server.seen().len(), 1);
}

/// The guard's is outermost, whatever the application put there before.
#[tokio::test]
async fn connector_layers_of_the_builder_stay_below_the_guards() {
    let fixture = Fixture::new().await;
    let builder = || reqwest::Client::builder().connector_layer(tower::limit::ConcurrencyLimitLayer::new(1));
    let options = || ClientOptions::from(builder()).resolver(names());
    let (full, plain) = (fixture.guard.client(options()).unwrap(), fixture.guard.reqwest(options()).unwrap());
    full.get(fixture.url("/")).send().await.unwrap();
    plain.get(fixture.url("/")).send().await.unwrap();
    assert_eq!(fixture.server.seen().len(), 2);
    assert_eq!(fixture.audit.decisions_at("connection").len(), 2, "each connection is judged");
    full.get(fixture.other_url("/").replace("other.test", "127.0.0.1")).send().await.unwrap_err();
    plain.get(fixture.other_url("/").replace("other.test", "127.0.0.1")).send().await.unwrap_err();
    assert!(fixture.other.seen().is_empty());
}

/// Dropped after every number of polls, and so at every await point that it reaches.
#[tokio::test]
async fn wherever_a_request_is_dropped_its_audit_is_complete() {
    let mut ends = std::collections::BTreeSet::new();
    for polls in 0..60 {
        let fixture = Fixture::new().await;
        let request = async {
            let response = fixture.http.get(fixture.url("/redirect/302?/bytes?100000")).send().await.unwrap();
            response.bytes().await.unwrap()
        };
        let mut request = Box::pin(request);
        for _ in 0..polls {
            let once =
                std::future::poll_fn(|context| std::task::Poll::Ready(request.as_mut().poll(context).is_ready()));
            if once.await {
                break;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        drop(request);
        let ids =
            |lines: Vec<Value>| lines.iter().map(|line| line["exchange_id"].as_u64().unwrap()).collect::<Vec<_>>();
        let outcomes = fixture.audit.of_type("outcome");
        ends.extend(outcomes.iter().map(|line| line["outcome"].as_str().unwrap().to_owned()));
        assert_eq!(ids(fixture.audit.decisions_at("request")), ids(outcomes), "after {polls} polls");
    }
    for end in ["cancelled", "redirected", "complete"] {
        assert!(ends.contains(end), "{end} was never seen: {ends:?}");
    }
}

#[tokio::test]
async fn of_two_address_families_the_forbidden_one_is_not_dialled() {
    let names = Names::new().with("api.test", &["::1", "127.0.0.1"]);
    let fixture = Fixture::with(|options| options.resolver(names)).await;
    let response = fixture.http.get(fixture.url("/")).send().await.unwrap();
    assert_eq!(response.remote_addr(), Some(fixture.server.address()));
    assert_eq!(fixture.audit.denials(), ["address-not-allowed"]);
}

#[tokio::test]
async fn a_request_that_is_never_polled_leaves_no_line() {
    let fixture = Fixture::new().await;
    drop(fixture.http.get(fixture.url("/")).send());
    assert_eq!(fixture.audit.lines().len(), 1, "the posture line alone");
}

#[tokio::test]
async fn a_response_without_a_body_is_complete() {
    let fixture = Fixture::new().await;
    drop(fixture.http.head(fixture.url("/bytes?1000")).send().await.unwrap());
    assert_eq!(fixture.outcome()["outcome"], "complete");
}

#[tokio::test]
async fn a_timeout_of_a_request_holds_for_its_redirects_together() {
    let fixture = Fixture::new().await;
    let request = fixture.http.get(fixture.url("/redirect/302?/slow")).timeout(Duration::from_millis(300));
    let started = std::time::Instant::now();
    let error = request.send().await.unwrap_err();
    assert!(error.is_timeout() && started.elapsed() < Duration::from_secs(4), "{error:?}");
    let outcomes: Vec<_> = fixture.audit.of_type("outcome").iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes, ["redirected", "failed"]);
}

#[tokio::test]
async fn a_streamed_request_body_arrives_whole() {
    let fixture = Fixture::new().await;
    let chunks = (0..100).map(|number| Ok::<_, std::io::Error>(Bytes::from(format!("{number},"))));
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    fixture.http.post(fixture.url("/")).body(stream).send().await.unwrap().bytes().await.unwrap();
    assert!(fixture.server.seen()[0].body.ends_with(b"98,99,"));
    assert_eq!(fixture.outcome().get("bytes_sent"), None, "not known beforehand");
}

#[tokio::test]
async fn http2_over_tls_is_guarded_alike() {
    let audit = ValidatedAudit::new();
    let guard = Guard::new(policy(), audit.clone());
    let server = Server::https("secure", "127.0.0.1", &["api.test"]).await;
    let builder = || reqwest::Client::builder().add_root_certificate(server.ca());
    let url = format!("https://api.test:{}/", server.port());
    let http = guard.client(ClientOptions::from(builder()).resolver(names())).unwrap();
    for _ in 0..2 {
        let response = http.get(&url).send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        response.bytes().await.unwrap();
    }
    let plain = guard.reqwest(ClientOptions::from(builder()).resolver(names())).unwrap();
    plain.get(&url).send().await.unwrap();
    plain.get(&url).send().await.unwrap();
    assert_eq!(server.seen().len(), 4);

    let decisions = audit.of_type("decision");
    let stages: Vec<_> = decisions.iter().map(|line| line["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["request", "connection", "request", "connection"], "each client makes one connection");
    for connection in audit.decisions_at("connection") {
        assert_eq!(connection["scheme"], "https");
        assert_eq!(connection["host"], "api.test");
        assert_eq!(connection["peer_port"], server.port());
    }
}

#[tokio::test]
async fn an_ordinary_client_needs_a_rule_for_plain_http() {
    let server = Server::http("server", "127.0.0.1").await;
    let rule = Rule::new("https-only").hosts(["api.test"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let guard = Guard::new(Policy::builder("https").allow(rule).build().unwrap(), ValidatedAudit::new());
    let http = guard.reqwest(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap();
    let error = http.get(format!("http://api.test:{}/", server.port())).send().await.unwrap_err();
    assert_eq!(egress_guard::denied(&error).unwrap().reason().as_str(), "scheme-not-allowed");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_request_built_by_reqwest_itself_is_guarded_too() {
    let fixture = Fixture::new().await;
    let request = reqwest::Client::new().get("http://user:S3CRET@api.test/").build().unwrap();
    assert!(request.headers().contains_key(AUTHORIZATION), "reqwest moves user information to a header");
    let mut request = request;
    request.url_mut().set_username("user").unwrap();
    let error = fixture.http.execute(request).await.unwrap_err();
    assert_eq!(error.denied().unwrap().reason().as_str(), "user-info");
}

#[tokio::test]
async fn every_attempt_of_a_retry_above_is_decided_and_recorded() {
    use tower::{ServiceBuilder, ServiceExt};

    /// Twice more, whatever comes.
    #[derive(Clone)]
    struct Twice(u8);
    impl<R, E> tower::retry::Policy<reqwest::Request, R, E> for Twice {
        type Future = std::future::Ready<()>;
        fn retry(&mut self, _: &mut reqwest::Request, _: &mut Result<R, E>) -> Option<Self::Future> {
            self.0 = self.0.checked_sub(1)?;
            Some(std::future::ready(()))
        }
        fn clone_request(&mut self, request: &reqwest::Request) -> Option<reqwest::Request> {
            request.try_clone()
        }
    }
    let fixture = Fixture::new().await;
    let stack = ServiceBuilder::new()
        .timeout(Duration::from_secs(5))
        .retry(Twice(2))
        .concurrency_limit(1)
        .service(fixture.http.clone());
    let request = fixture.http.get(fixture.url("/")).build().unwrap();
    stack.oneshot(request).await.unwrap().bytes().await.unwrap();
    assert_eq!(fixture.server.seen().len(), 3);
    assert_eq!(fixture.audit.decisions_at("request").len(), 3);
    assert_eq!(fixture.audit.of_type("outcome").len(), 3);
}

#[tokio::test]
async fn what_reqwest_would_send_again_by_itself_is_not() {
    let builder =
        || {
            let twice = reqwest::retry::for_host("api.test").no_budget().max_retries_per_request(2);
            reqwest::Client::builder().retry(twice.classify_fn(|attempt| {
                if attempt.status().is_some() { attempt.retryable() } else { attempt.success() }
            }))
        };
    let fixture = Fixture::new().await;
    let unguarded = builder().resolve("api.test", fixture.server.address()).build().unwrap();
    unguarded.get(fixture.url("/")).send().await.unwrap();
    assert_eq!(fixture.server.seen().len(), 3, "reqwest does it unguarded");

    let guarded = fixture.guard.client(ClientOptions::from(builder()).resolver(names())).unwrap();
    guarded.get(fixture.url("/")).send().await.unwrap();
    assert_eq!(fixture.server.seen().len(), 4);
    assert_eq!(fixture.audit.decisions_at("request").len(), 1);
}

#[tokio::test]
async fn the_longest_timeout_is_none() {
    let fixture = Fixture::new().await;
    let response = fixture.http.get(fixture.url("/")).timeout(Duration::MAX).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn errors_do_not_repeat_the_query() {
    let fixture = Fixture::new().await;
    let request = fixture.http.get(fixture.url("/slow?key=S3CRET")).timeout(Duration::from_millis(50));
    let error = request.send().await.unwrap_err();
    assert!(error.is_timeout());
    assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error:?}");
}

#[tokio::test]
async fn one_answer_of_many_forbidden_addresses_leaves_one_denial() {
    let names = (2..250).map(|last| format!("127.0.0.{last}")).collect::<Vec<_>>();
    let names = Names::new().with("api.test", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let fixture = Fixture::with(|options| options.resolver(names)).await;
    let error = fixture.http.get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(error.denied().map(|denied| denied.reason().as_str()), Some("address-not-allowed"));
    assert_eq!(fixture.audit.denials().len(), 1);
}

/// A denied network is not even connected to, also where the rule names a port that only the request knows.
#[tokio::test]
async fn a_denied_network_is_never_dialled() {
    let (good, bad) = (Server::http("good", "127.0.0.1").await, Server::http("bad", "127.0.0.2").await);
    let rule = Rule::new("api").hosts(["api.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.0/8"]);
    let deny = Rule::new("no-lab").networks(["127.0.0.2/32"]).port(bad.port()).methods(["DELETE"]);
    let audit = ValidatedAudit::new();
    let guard = Guard::new(Policy::builder("p").allow(rule).deny(deny).build().unwrap(), audit.clone());
    let names = Names::new().with("api.test", &["127.0.0.2", "127.0.0.1"]);
    let http = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names)).unwrap();
    let error = http.get(format!("http://api.test:{}/", bad.port())).send().await.unwrap_err();
    assert!(error.is_connect(), "the allowed address has no such port: {error:?}");
    http.get(format!("http://api.test:{}/", good.port())).send().await.unwrap();
    assert!(bad.seen().is_empty());
    assert_eq!(audit.denials(), ["denied-by-rule"]);
}

#[tokio::test]
async fn long_and_odd_requests_leave_bounded_lines() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(100_000);
    let method = Method::from_bytes("M".repeat(10_000).as_bytes()).unwrap();
    for url in [
        format!("http://evil.test/{long}\u{202e}\u{1b}[31m"),
        format!("http://{}.test/", "a.".repeat(120)),
        format!("http://{long}/"),
    ] {
        let _ = fixture.http.request(method.clone(), url).send().await;
    }
    let lines = fixture.audit.of_type("decision");
    assert!(lines.len() >= 2);
    assert_eq!(lines[0]["path_truncated"], true);

    let uri = format!("http://api.test/{}/../x", "x".repeat(60_000)).parse::<http::Uri>().unwrap();
    let never = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
    let stack = tower::Layer::layer(&fixture.guard.layer(), never);
    let request = http::Request::get(uri).body(String::new()).unwrap();
    let error = tower::ServiceExt::oneshot(stack, request).await.unwrap_err();
    assert!(error.to_string().len() < 1024, "{error}");
    assert!(!fixture.audit.lines().is_empty());
}
