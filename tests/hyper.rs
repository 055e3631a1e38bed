//! The guarded connector and resolver of hyper-util, alone and under tonic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use bytes::Bytes;
use egress_guard::{Guard, Policy, Rule, denied};
use egress_guard_tests::{Names, Server, ValidatedAudit};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tonic::transport::Endpoint;
use tower::{ServiceExt, service_fn};

fn policy() -> Policy {
    let api = Rule::new("api").hosts(["api.test", "private.test", "mixed.test"]).schemes(["http"]);
    let api = api.port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let literal = Rule::new("literal").networks(["127.0.0.3/32"]).schemes(["http"]).port_range(1..=65535);
    Policy::builder("hyper").allow(api).allow(literal).build().unwrap()
}

fn names() -> Names {
    Names::new()
        .with("api.test", &["127.0.0.1"])
        .with("private.test", &["127.0.0.2"])
        .with("mixed.test", &["127.0.0.2", "127.0.0.1"])
        .with("evil.test", &["127.0.0.2"])
}

struct Case {
    name: &'static str,
    host: &'static str,
    reason: Option<&'static str>,
}

/// What the connector must say of a host, whoever uses it.
const CASES: &[Case] = &[
    Case { name: "an allowed name", host: "api.test", reason: None },
    Case { name: "an allowed literal", host: "127.0.0.3", reason: None },
    Case { name: "the same, mapped into IPv6", host: "[::ffff:127.0.0.3]", reason: None },
    Case { name: "an unlisted name", host: "evil.test", reason: Some("host-not-allowed") },
    Case { name: "an unlisted literal", host: "127.0.0.2", reason: Some("ip-literal-not-allowed") },
    Case { name: "a mapped literal", host: "[::ffff:127.0.0.2]", reason: Some("ip-literal-not-allowed") },
    Case { name: "a literal in decimal", host: "2130706434", reason: Some("not-normalized") },
    Case { name: "an allowed name at a forbidden address", host: "private.test", reason: Some("address-not-allowed") },
];

/// The same port on three addresses, so that only the address tells the servers apart.
async fn servers() -> Vec<Server> {
    let mut servers = Vec::new();
    for ip in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        servers.push(Server::http("server", ip).await);
    }
    servers
}

/// The port of the server that a host of a case leads to.
fn port(servers: &[Server], host: &str) -> u16 {
    match host {
        "api.test" => servers[0].port(),
        "127.0.0.3" | "[::ffff:127.0.0.3]" => servers[2].port(),
        _ => servers[1].port(),
    }
}

#[tokio::test]
async fn a_client_connects_only_where_it_may() {
    for Case { name, host, reason } in CASES {
        let servers = servers().await;
        let audit = ValidatedAudit::new();
        let guard = Guard::new(policy(), audit.clone());
        let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let uri: Uri = format!("http://{host}:{}/", port(&servers, host)).parse().unwrap();
        let result = client.get(uri).await;
        match reason {
            None => {
                assert_eq!(result.unwrap().into_body().collect().await.unwrap().to_bytes(), "server", "{name}");
                let connection = &audit.decisions_at("connection")[0];
                assert_eq!((&connection["client"], &connection["action"]), (&"hyper".into(), &"allowed".into()));
                assert!(connection["local_port"].is_number());
            }
            Some(reason) => {
                assert_eq!(denied(&result.unwrap_err()).expect(name).reason().as_str(), *reason, "{name}");
                assert!(servers[1].seen().is_empty(), "{name}");
                assert_eq!(audit.denials(), [*reason], "{name}");
            }
        }
    }
}

#[tokio::test]
async fn tonic_connects_only_where_it_may() {
    for Case { name, host, reason } in CASES {
        let servers = servers().await;
        let audit = ValidatedAudit::new();
        let guard = Guard::new(policy(), audit.clone());
        let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
        let endpoint = Endpoint::from_shared(format!("http://{host}:{}", port(&servers, host))).unwrap();
        let channel = endpoint.connect_with_connector_lazy(connector);
        let request = Request::post("/package.Service/Method").body(tonic::body::Body::empty()).unwrap();
        let result = channel.oneshot(request).await;
        match reason {
            None => assert!(result.is_ok(), "{name}"),
            Some(reason) => {
                assert_eq!(denied(&result.unwrap_err()).expect(name).reason().as_str(), *reason, "{name}");
                assert!(servers[1].seen().is_empty(), "{name}");
                assert!(audit.denials().iter().all(|denial| denial == reason), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_allowed_address_is_dialled() {
    let guard = Guard::new(policy(), ValidatedAudit::new());
    let allowed = guard.resolver(names()).oneshot("mixed.test".parse().unwrap()).await.unwrap();
    let allowed: Vec<String> = allowed.map(|address| address.to_string()).collect();
    assert_eq!(allowed, ["127.0.0.1:0"]);
}

#[tokio::test]
async fn an_unlisted_name_is_not_looked_up() {
    let (guard, names) = (Guard::new(policy(), ValidatedAudit::new()), names());
    let error = guard.resolver(names.clone()).oneshot("evil.test".parse().unwrap()).await.unwrap_err();
    assert_eq!(denied(&*error).unwrap().reason().as_str(), "host-not-allowed");
    assert!(names.asked().is_empty());
}

/// A connector that connects elsewhere than it was asked to, as one for a proxy does.
#[tokio::test]
async fn a_connection_that_leads_elsewhere_is_denied() {
    let servers = servers().await;
    let elsewhere = servers[0].port();
    let http = HttpConnector::new_with_resolver(names());
    let astray = service_fn(move |_: Uri| {
        let uri: Uri = format!("http://127.0.0.1:{elsewhere}/").parse().unwrap();
        http.clone().oneshot(uri)
    });
    let guard = Guard::new(policy(), ValidatedAudit::new());
    for uri in ["http://api.test:9/", "http://127.0.0.3:9/", &format!("http://127.0.0.3:{elsewhere}/")] {
        let error = guard.connector(astray.clone()).oneshot(uri.parse().unwrap()).await.err().unwrap();
        assert_eq!(denied(&*error).unwrap().reason().as_str(), "proxied-connection", "{uri}");
    }
}
