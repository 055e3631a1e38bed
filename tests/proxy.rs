//! A proxy that the policy states: everything goes through it, and it is itself a destination.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use bytes::Bytes;
use egress_guard::{Client, ClientOptions, Guard, Policy, Rule, denied};
use egress_guard_tests::{Names, Proxy, Server, ValidatedAudit};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioExecutor;

fn names() -> Names {
    Names::new().with("proxy.test", &["127.0.0.5"]).with("moved.test", &["127.0.0.6"]).with("api.test", &["127.0.0.1"])
}

fn api() -> Rule {
    let rule = Rule::new("api").hosts(["api.test"]).networks(["203.0.114.0/24"]);
    rule.schemes(["http", "https"]).port_range(1..=65535).methods(["GET"])
}

fn way(proxy: &Proxy) -> Rule {
    let rule = Rule::new("proxy").hosts(["proxy.test", "moved.test"]).schemes(["http"]);
    rule.port(proxy.address().port()).addresses(["127.0.0.5/32"])
}

struct Fixture {
    proxy: Proxy,
    server: Server,
    audit: ValidatedAudit,
    guard: Guard,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(|proxy| {
            let url = format!("http://proxy.test:{}", proxy.address().port());
            Policy::builder("p").proxy(url).allow(api()).allow(way(proxy)).build().unwrap()
        })
        .await
    }

    async fn with(policy: impl FnOnce(&Proxy) -> Policy) -> Self {
        let proxy = Proxy::forwarding("127.0.0.5").await;
        let audit = ValidatedAudit::new();
        let guard = Guard::new(policy(&proxy), audit.clone());
        Self { server: Server::http("server", "127.0.0.1").await, proxy, audit, guard }
    }

    fn client(&self) -> Client {
        self.client_from(reqwest::Client::builder())
    }

    fn client_from(&self, builder: reqwest::ClientBuilder) -> Client {
        self.guard.client(ClientOptions::from(builder).resolver(names())).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://api.test:{}{path}", self.server.port())
    }
}

async fn reason(sent: impl Future<Output = Result<reqwest::Response, egress_guard::ClientError>>) -> String {
    let error = sent.await.expect_err("a denial");
    error.denied().unwrap_or_else(|| panic!("a denial, not {error:?}")).reason().to_string()
}

#[tokio::test]
async fn a_request_goes_through_the_proxy_and_both_are_recorded() {
    let fixture = Fixture::new().await;
    let response = fixture.client().get(fixture.url("/x")).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "server");
    assert!(fixture.proxy.seen()[0].starts_with(&format!("GET {} HTTP/1.1", fixture.url("/x"))));

    let request = &fixture.audit.decisions_at("request")[0];
    assert_eq!((&request["host"], &request["rule_id"]), (&"api.test".into(), &"api".into()));
    let connection = &fixture.audit.decisions_at("connection")[0];
    assert_eq!((&connection["host"], &connection["rule_id"]), (&"proxy.test".into(), &"proxy".into()));
    assert_eq!((&connection["peer_ip"], connection.get("peer_is_proxy")), (&"127.0.0.5".into(), None));
    let outcome = &fixture.audit.of_type("outcome")[0];
    assert_eq!((&outcome["peer_ip"], &outcome["peer_is_proxy"]), (&"127.0.0.5".into(), &true.into()));
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let fixture = Fixture::new().await;
    let server = Server::https("secure", "127.0.0.1", &["api.test"]).await;
    let http = fixture.client_from(reqwest::Client::builder().tls_certs_only([server.ca()]));
    let response = http.get(format!("https://api.test:{}/", server.port())).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "secure");
    assert!(fixture.proxy.seen()[0].starts_with(&format!("CONNECT api.test:{} HTTP/1.1", server.port())));
    assert_eq!(fixture.audit.decisions_at("connection")[0]["host"], "proxy.test");
}

#[tokio::test]
async fn what_is_denied_the_proxy_never_hears_of() {
    let fixture = Fixture::new().await;
    let http = fixture.client();
    let cases = [
        ("an unlisted host", http.get("http://evil.test/"), "host-not-allowed"),
        ("an unlisted literal", http.get("http://10.0.0.1/"), "ip-literal-not-allowed"),
        ("another method", http.post(fixture.url("/")), "method-not-allowed"),
        ("a header for the proxy", http.get(fixture.url("/")).header("proxy-authorization", "x"), "proxy-header"),
        ("a foreign Host", http.get(fixture.url("/")).header("host", "evil.test"), "host-header"),
    ];
    for (name, request, expected) in cases {
        assert_eq!(reason(request.send()).await, expected, "{name}");
    }
    let away = fixture.url("/redirect/302?http://evil.test/");
    assert_eq!(reason(http.get(away).send()).await, "host-not-allowed");
    assert_eq!(fixture.proxy.seen().len(), 1, "the redirect alone");
}

#[tokio::test]
async fn the_proxy_is_a_destination_like_any_other() {
    let named = |port: u16| Rule::new("x").hosts(["proxy.test"]).schemes(["http"]).port(port);
    let cases = [
        ("no rule for it", "proxy.test", Some(Rule::new("x").hosts(["x.test"])), "host-not-allowed"),
        ("another port", "proxy.test", Some(named(1)), "port-not-allowed"),
        ("at another address", "moved.test", None, "address-not-allowed"),
        ("as a literal without a rule", "127.0.0.5", None, "ip-literal-not-allowed"),
    ];
    for (name, host, rule, expected) in cases {
        let fixture = Fixture::with(|proxy| {
            let url = format!("http://{host}:{}", proxy.address().port());
            Policy::builder("p").proxy(url).allow(api()).allow(rule.unwrap_or_else(|| way(proxy))).build().unwrap()
        })
        .await;
        assert_eq!(reason(fixture.client().get(fixture.url("/")).send()).await, expected, "{name}");
        assert!(fixture.proxy.seen().is_empty(), "{name}: {:?}", fixture.proxy.seen());
        assert!(fixture.server.seen().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn another_proxy_is_never_used() {
    let fixture = Fixture::new().await;
    let other = Proxy::listen("127.0.0.7").await;
    let builder =
        || reqwest::Client::builder().proxy(reqwest::Proxy::all(format!("http://{}", other.address())).unwrap());
    let http = fixture.client_from(builder());
    assert!(http.get(fixture.url("/")).send().await.is_ok());
    assert_eq!((other.seen().len(), fixture.proxy.seen().len()), (0, 1));
}

#[tokio::test]
async fn an_ordinary_client_is_not_made() {
    let fixture = Fixture::new().await;
    let error = fixture.guard.reqwest(reqwest::Client::builder()).unwrap_err();
    assert!(error.is_builder());
    assert!(error.to_string().ends_with("use `Guard::client`"), "{error}");
}

#[tokio::test]
async fn a_request_is_internal_only_if_the_proxy_is_too() {
    for (internal, expected) in [
        (&["api.test"][..], "external"),
        (&["proxy.test"][..], "external"),
        (&["api.test", "proxy.test"][..], "internal"),
    ] {
        let fixture = Fixture::with(|proxy| {
            let url = format!("http://proxy.test:{}", proxy.address().port());
            let policy = Policy::builder("p").proxy(url).allow(api()).allow(way(proxy));
            policy.internal_hosts(internal.iter().copied()).build().unwrap()
        })
        .await;
        fixture.client().get(fixture.url("/")).send().await.unwrap().bytes().await.unwrap();
        let lines = fixture.audit.lines();
        let of_the_request = lines.iter().filter(|line| line["host"] == "api.test");
        let told: Vec<_> = of_the_request.map(|line| &line["boundary"]).collect();
        assert_eq!(told, [expected, expected], "{internal:?}");
    }
}

#[tokio::test]
async fn a_connection_of_hyper_must_lead_to_the_proxy() {
    let fixture = Fixture::new().await;
    let resolved = || {
        let mut http = HttpConnector::new_with_resolver(fixture.guard.resolver(names()));
        http.enforce_http(false);
        http
    };
    let proxy = format!("http://proxy.test:{}", fixture.proxy.address().port());
    let tunnel = fixture.guard.connector(Tunnel::new(proxy.parse().unwrap(), resolved()));
    let client: HyperClient<_, Full<Bytes>> = HyperClient::builder(TokioExecutor::new()).build(tunnel);
    assert!(client.get(fixture.url("/").parse().unwrap()).await.is_ok());
    assert!(fixture.proxy.seen()[0].starts_with("CONNECT api.test"));

    let direct = fixture.guard.connector(resolved());
    let client: HyperClient<_, Full<Bytes>> = HyperClient::builder(TokioExecutor::new()).build(direct);
    let error = client.get(fixture.url("/").parse().unwrap()).await.unwrap_err();
    // The name's address is not public, and where a proxy looks names up no rule opens another.
    assert_eq!(denied(&error).unwrap().reason().as_str(), "address-not-allowed");
    assert_eq!(fixture.server.seen().len(), 1);
}

#[test]
fn what_is_no_proxy_is_refused() {
    let cases = [
        ("https://proxy.test", "is to be reached over TLS, which is not supported: write http://"),
        ("http://user:secret@proxy.test:3128", "the proxy is no URL to connect to: "),
        ("http://proxy.test:3128/path", "the proxy has a path: write scheme, host and port alone"),
        ("proxy.test:3128", "the proxy is no URL to connect to: "),
        ("", "the proxy is no URL to connect to: "),
    ];
    for (url, expected) in cases {
        let error = Policy::builder("p").proxy(url).build().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("secret"), "{url}: {error}");
    }
}
