//! Behind reqwest-middleware with reqwest-retry: every attempt is audited, and a denial is never tried again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use egress_guard::{ClientOptions, Guard, Policy, Rule, denied};
use egress_guard_tests::{Names, Server, ValidatedAudit};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

fn client(guard: &Guard) -> ClientWithMiddleware {
    let names = Names::new().with("api.test", &["127.0.0.1"]).with("private.test", &["127.0.0.2"]);
    let http = guard.reqwest(ClientOptions::from(reqwest::Client::builder()).resolver(names)).unwrap();
    let quickly = std::time::Duration::from_millis(1);
    let retry = ExponentialBackoff::builder().retry_bounds(quickly, quickly).build_with_max_retries(2);
    let retry = RetryTransientMiddleware::new_with_policy(retry);
    ClientBuilder::new(http).with(retry).with(guard.middleware()).build()
}

fn guard() -> (Guard, ValidatedAudit) {
    let rule = Rule::new("api").hosts(["api.test", "private.test"]).schemes(["http"]).port_range(1..=65535);
    let rule = rule.methods(["GET"]).addresses(["127.0.0.1/32"]);
    let audit = ValidatedAudit::new();
    (Guard::new(Policy::builder("middleware").allow(rule).build().unwrap(), audit.clone()), audit)
}

#[tokio::test]
async fn every_attempt_is_decided_and_recorded() {
    let (guard, audit) = guard();
    let server = Server::http("server", "127.0.0.1").await;
    // No retry is due to a 200, and every one is to a 503.
    let url = |path: &str| format!("http://api.test:{}{path}", server.port());
    client(&guard).get(url("/")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(audit.decisions_at("request").len(), 1);
    drop(client(&guard).get(url("/redirect/503")).send().await);
    assert_eq!(server.seen().len(), 4);
    assert_eq!(audit.decisions_at("request").len(), 4);
    assert_eq!(audit.of_type("outcome").len(), 4);
}

#[tokio::test]
async fn a_denial_is_found_and_never_tried_again() {
    let (allowed, forbidden) =
        (Server::http("allowed", "127.0.0.1").await, Server::http("forbidden", "127.0.0.2").await);
    let at = |host: &str, server: &Server| format!("http://{host}:{}/", server.port());
    let cases = [
        (at("evil.test", &forbidden), "GET", "host-not-allowed"),
        (at("api.test", &allowed), "DELETE", "method-not-allowed"),
        (at("127.0.0.2", &forbidden), "GET", "ip-literal-not-allowed"),
        (at("private.test", &forbidden), "GET", "address-not-allowed"),
    ];
    for (url, method, reason) in cases {
        let (guard, audit) = guard();
        let error = client(&guard).request(method.parse().unwrap(), &url).send().await.unwrap_err();
        assert_eq!(denied(&error).unwrap_or_else(|| panic!("{error:?}")).reason().as_str(), reason, "{url}");
        assert_eq!(audit.denials(), [reason], "once: {url}");
        assert!(allowed.seen().is_empty() && forbidden.seen().is_empty(), "{url}");
    }
}
