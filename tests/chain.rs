//! Chained lines of a real guard: what the schema says of them, and what a restored snapshot makes of the chain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use egress_guard::chain::{Checker, Link};
use egress_guard::{ChainKey, Guard, JsonLines, Policy};
use egress_guard_tests::ValidatedAudit;
use http::{Request, Response};
use lambda_runtime::SnapStartResource;
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt};

fn key() -> ChainKey {
    ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap()
}

async fn denied_request(guard: &Guard) {
    let service =
        tower::service_fn(|_: Request<String>| async { Ok::<_, std::io::Error>(Response::new(String::new())) });
    let http = ServiceBuilder::new().layer(guard.layer()).service(service);
    let request = Request::get("https://not-listed.example/").body(String::new()).unwrap();
    http.oneshot(request).await.unwrap_err();
}

#[tokio::test]
async fn a_restored_environment_begins_a_chain_of_its_own() {
    let (log, writer) = std::io::pipe().unwrap();
    let guard = Guard::new(Policy::builder("orders").build().unwrap(), JsonLines::new(writer).chained(key()));
    denied_request(&guard).await;
    guard.after_restore().await.unwrap();
    denied_request(&guard).await;
    drop(guard);
    let log = std::io::read_to_string(log).unwrap();

    let mut places = Vec::new();
    for line in log.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        ValidatedAudit::validate(&value);
        let link = Link::parse(line).unwrap();
        assert!(Checker::new(&key(), link.chain_id).unwrap().holds(&link), "{line}");
        places.push((
            link.chain_id.split('.').next().unwrap(),
            link.chain_seq,
            value["environment_id"].as_u64().unwrap(),
        ));
    }
    let [first, .., last] = *places else { panic!("{log}") };
    let of = |environment: u64| move |number: &'static str, place: u32| (number, place, environment);
    let (before, after) = (of(first.2), of(last.2));
    assert_eq!(places, [before("0", 1), before("0", 2), after("1", 1), after("1", 2)]);
    assert_ne!(first.2, last.2);
}

#[test]
fn the_schema_wants_the_keys_of_a_chain_together() {
    let (log, writer) = std::io::pipe().unwrap();
    drop(Guard::new(Policy::builder("orders").build().unwrap(), JsonLines::new(writer).chained(key())));
    let line: Value = serde_json::from_str(&std::io::read_to_string(log).unwrap()).unwrap();
    ValidatedAudit::validate(&line);
    for missing in ["chain_id", "chain_seq", "mac"] {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove(missing).unwrap();
        assert!(std::panic::catch_unwind(|| ValidatedAudit::validate(&line)).is_err(), "without {missing}");
    }
}
