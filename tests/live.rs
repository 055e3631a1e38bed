//! A policy that is kept up to date, and what becomes of connections when it changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use bytes::Bytes;
use egress_guard::{AppConfig, ClientOptions, Guard, Policy, Rule, denied};
use egress_guard_tests::{AppConfigExtension, Names, Proxy, Server, ValidatedAudit};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

const SIGNED: &str = include_str!("data/signed/policy.toml");
const SIGNATURE: &str = include_str!("data/signed/policy.toml.minisig");
const SIGNED_SHA256: &str = "d1531c00df349ad8d206076c6e3f48fcd68f49d282faec22b79ab9899ae806de";
const OWNER: &str = "RWSEUKnu6cTNwIj1aw13MXB4ZgblJuubFciFpIwasaZjSoXnFtiEe7y6";

/// A policy whose one rule allows `api.test`, at an address.
fn policy(name: &str, address: &str) -> String {
    format!(
        "version = 1\nname = '{name}'\n[[allow]]\nid = 'api'\nhosts = ['api.test']\nschemes = ['http']\n\
         ports = ['1-65535']\naddresses = ['{address}']\n"
    )
}

struct Fixture {
    extension: AppConfigExtension,
    audit: ValidatedAudit,
    server: Server,
}

impl Fixture {
    async fn new() -> Self {
        let extension = AppConfigExtension::start().await;
        extension.deploy("policy", policy("first", "127.0.0.1/32"));
        Self { extension, audit: ValidatedAudit::new(), server: Server::http("server", "127.0.0.1").await }
    }

    fn source(&self) -> AppConfig {
        let source = AppConfig::new("orders", "test", "policy");
        source.port(self.extension.port()).poll_every(Duration::from_millis(10))
    }

    async fn guard(&self) -> Guard {
        Guard::follow(self.source(), self.audit.clone()).await.unwrap()
    }

    /// The posture line with a key, once there is one.
    async fn posture_with(&self, key: &str) -> Value {
        self.posture_where(|line| line.get(key).is_some()).await
    }

    async fn posture_where(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                if let Some(line) = self.audit.of_type("posture").into_iter().find(&wanted) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), found).await.expect("the line comes")
    }

    fn url(&self, path: &str) -> String {
        format!("http://api.test:{}{path}", self.server.port())
    }
}

fn names() -> Names {
    Names::new().with("api.test", &["127.0.0.1"])
}

fn reason(error: &(dyn std::error::Error + 'static)) -> &'static str {
    denied(error).unwrap_or_else(|| panic!("a denial, not {error:?}")).reason().as_str()
}

#[tokio::test]
async fn a_new_policy_applies_to_the_next_request_and_leaves_a_line() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let options = ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let http = guard.client(options).unwrap();
    assert!(http.get(fixture.url("/")).send().await.is_ok());

    let first = guard.policy().sha256().unwrap().to_owned();
    fixture.extension.deploy("policy", "version = 1\nname = 'second'\n");
    let line = fixture.posture_with("previous_policy_sha256").await;
    assert_eq!(line["previous_policy_sha256"], first.as_str());
    assert_eq!(line["policy_sha256"], guard.policy().sha256().unwrap());
    assert_eq!(line["policy_id"], "second");
    assert_eq!(line["policy_source"], "AppConfig orders/test/policy");
    assert_eq!(line["message"], "replaced: egress policy `second` in force: 0 rules, all else denied");

    let error = http.get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(reason(&error), "host-not-allowed");
    assert_eq!(fixture.server.seen().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_used_keeps_the_last_good_policy_and_is_told_once() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let good = guard.policy().sha256().unwrap().to_owned();

    fixture.extension.deploy("policy", "version = 1\nname = 'broken'\n[[allow]]\nid = 'x'\nhosts = ['*']\n");
    let line = fixture.posture_with("rejected_policy_sha256").await;
    assert_eq!((&line["policy_sha256"], &line["level"]), (&good.as_str().into(), &"WARN".into()));
    assert_ne!(line["rejected_policy_sha256"], good.as_str());
    let message = line["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "egress policy `first` stays in force: the policy AppConfig orders/test/policy cannot be used, \
             1 fault / line 5, column 10: host `*` matches every host"
        ),
        "{message}"
    );

    fixture.extension.fail("policy", StatusCode::INTERNAL_SERVER_ERROR);
    let line = fixture.posture_where(|line| line["message"].as_str().unwrap().contains("it answers 500")).await;
    assert!(line["message"].as_str().unwrap().contains("add the AppConfig Lambda extension as a layer"), "{line}");

    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.audit.of_type("posture").len(), 3, "each is told once: {:#?}", fixture.audit.lines());
    assert_eq!(guard.policy().sha256(), Some(good.as_str()));

    fixture.extension.deploy("policy", policy("third", "127.0.0.1/32"));
    fixture.posture_where(|line| line["policy_id"] == "third").await;
}

#[tokio::test]
async fn without_a_first_policy_there_is_no_guard() {
    let fixture = Fixture::new().await;
    let free = tokio::net::TcpSocket::new_v4().unwrap();
    free.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = free.local_addr().unwrap().port();
    fixture.extension.deploy("broken", "version = 2");
    fixture.extension.deploy("huge", vec![b' '; 5 * 1024 * 1024]);
    let source = |configuration: &str| AppConfig::new("orders", "test", configuration).port(fixture.extension.port());
    let cases = [
        ("nobody listens", AppConfig::new("orders", "test", "policy").port(closed), "Connection refused"),
        (
            "no such profile",
            source("no/../such profile"),
            "does not give `no/../such profile`: it answers 404 Not Found",
        ),
        ("a broken policy", source("broken"), "line 1, column 11: this version of the policy language is unknown"),
        ("a text without end", source("huge"), "length limit exceeded"),
        ("not signed", source("policy").signed_by(OWNER, "no-signature"), "does not give `no-signature`"),
        ("signed by nobody", source("policy").signed_by(OWNER, "broken"), "its signature cannot be read"),
    ];
    for (name, source, expected) in cases {
        let error = Guard::follow(source, ValidatedAudit::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("the policy AppConfig orders/test/"), "{name}: {error}");
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_unsigned_policy_never_comes_into_force() {
    let fixture = Fixture::new().await;
    fixture.extension.deploy("policy", SIGNED);
    fixture.extension.deploy("signature", SIGNATURE);
    let source = fixture.source().signed_by(OWNER, "signature");
    let guard = Guard::follow(source, fixture.audit.clone()).await.unwrap();

    fixture.extension.deploy("policy", policy("unsigned", "127.0.0.1/32"));
    let line = fixture.posture_with("rejected_policy_sha256").await;
    assert!(line["message"].as_str().unwrap().contains("its signature does not fit the text"), "{line}");
    assert_eq!(guard.policy().sha256(), Some(SIGNED_SHA256));
}

#[tokio::test]
async fn a_policy_can_only_narrow_its_baseline() {
    let fixture = Fixture::new().await;
    let baseline = Policy::builder("organisation").allow(Rule::new("other").hosts(["other.test"])).build().unwrap();
    let guard = Guard::follow(fixture.source().narrowing(baseline), fixture.audit.clone()).await.unwrap();
    let http = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap();
    for _ in 0..2 {
        let error = http.get(fixture.url("/")).send().await.unwrap_err();
        assert_eq!(reason(&error), "host-not-allowed");
        let line = &fixture.audit.of_type("decision").pop().unwrap();
        assert_eq!(line["denied_by"], "organisation");
        fixture.extension.deploy("policy", policy("wider", "private"));
        fixture.posture_where(|line| line["policy_id"] == "wider").await;
    }
}

#[tokio::test]
async fn a_guard_that_is_gone_asks_no_more() {
    let fixture = Fixture::new().await;
    drop(fixture.guard().await);
    fixture.extension.deploy("policy", policy("later", "127.0.0.1/32"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fixture.audit.of_type("posture").len(), 1);
}

/// Puts a policy in force under which the address of the server is closed.
async fn close_the_address(fixture: &Fixture) {
    fixture.extension.deploy("policy", policy("tighter", "127.0.0.9/32"));
    fixture.posture_where(|line| line["policy_id"] == "tighter").await;
}

#[tokio::test]
async fn a_connection_of_hyper_ends_when_the_policy_denies_it() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let uri = |path: &str| fixture.url(path).parse::<Uri>().unwrap();

    // One connection stays idle, and one is in use.
    let idle = client.get(uri("/")).await.unwrap();
    let mut endless = client.get(uri("/endless")).await.unwrap().into_body();
    idle.into_body().collect().await.unwrap();
    assert!(endless.frame().await.unwrap().is_ok());
    close_the_address(&fixture).await;

    let error = loop {
        match endless.frame().await.expect("the response has no end of its own") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(reason(&error), "address-not-allowed");
    let error = client.get(uri("/")).await.unwrap_err();
    assert_eq!(reason(&error), "address-not-allowed");
    assert_eq!(fixture.server.seen().len(), 2, "nothing went over the idle connection");
}

#[tokio::test]
async fn a_connection_of_hyper_that_is_still_allowed_goes_on() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let mut endless = client.get(fixture.url("/endless").parse().unwrap()).await.unwrap().into_body();
    for name in ["second", "third"] {
        fixture.extension.deploy("policy", policy(name, "127.0.0.0/8"));
        fixture.posture_where(|line| line["policy_id"] == name).await;
        for _ in 0..3 {
            assert!(endless.frame().await.unwrap().is_ok());
        }
    }
    assert_eq!(fixture.audit.decisions_at("connection").len(), 1);
}

#[tokio::test]
async fn a_client_that_can_be_made_again_leaves_old_connections_behind() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let http = guard.client(ClientOptions::from_fn(reqwest::Client::builder).resolver(names())).unwrap();
    for _ in 0..2 {
        http.get(fixture.url("/")).send().await.unwrap().bytes().await.unwrap();
    }
    assert_eq!(fixture.audit.decisions_at("connection").len(), 1, "the second request shares it");
    close_the_address(&fixture).await;
    let error = http.get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(reason(&error), "address-not-allowed");
    assert_eq!(fixture.server.seen().len(), 2);
}

#[tokio::test]
async fn a_policy_that_comes_to_state_a_proxy_is_not_bypassed() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let proxy = Proxy::forwarding("127.0.0.5").await;
    let rigid = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap();
    let renewed = guard.client(ClientOptions::from_fn(reqwest::Client::builder).resolver(names())).unwrap();
    let way = format!(
        "[[allow]]\nid = 'way'\nnetworks = ['127.0.0.5/32']\nschemes = ['http']\nports = [{}]\n",
        proxy.address().port()
    );
    let stated = policy("proxied", "127.0.0.1/32") + &way;
    fixture.extension.deploy("policy", format!("proxy = 'http://{}'\n{stated}", proxy.address()));
    fixture.posture_where(|line| line["policy_id"] == "proxied").await;

    let error = rigid.get(fixture.url("/")).send().await.unwrap_err();
    assert_eq!(reason(&error), "proxy-bypassed");
    assert!(fixture.server.seen().is_empty());
    assert!(renewed.get(fixture.url("/")).send().await.is_ok());
    assert_eq!(proxy.seen().len(), 1);
}

/// What the documentation of `Guard::follow` says of the clients that cannot be told. If this fails, they can be.
#[tokio::test]
async fn reqwest_keeps_its_connections_as_documented() {
    let fixture = Fixture::new().await;
    let guard = fixture.guard().await;
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(names());
    let (full, ordinary) = (guard.client(options()).unwrap(), guard.reqwest(options()).unwrap());
    let unpooled = ClientOptions::from(reqwest::Client::builder().pool_max_idle_per_host(0)).resolver(names());
    let unpooled = guard.reqwest(unpooled).unwrap();
    full.get(fixture.url("/")).send().await.unwrap().bytes().await.unwrap();
    ordinary.get(fixture.url("/")).send().await.unwrap().bytes().await.unwrap();
    unpooled.get(fixture.url("/")).send().await.unwrap().bytes().await.unwrap();

    close_the_address(&fixture).await;
    assert!(full.get(fixture.url("/")).send().await.is_ok(), "an address is only judged when it is connected to");
    fixture.extension.deploy("policy", "version = 1\nname = 'nothing'\n");
    fixture.posture_where(|line| line["policy_id"] == "nothing").await;
    assert!(full.get(fixture.url("/")).send().await.is_err(), "the request is decided anew");
    assert!(ordinary.get(fixture.url("/")).send().await.is_ok(), "it has no hook that sees the request");
    assert_eq!(reason(&unpooled.get(fixture.url("/")).send().await.unwrap_err()), "host-not-allowed");
}
