//! The demonstration as its user runs it, and the function with policies that cannot be used.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use egress_guard_tests::RuntimeApi;

fn quickstart(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quickstart"))
        .args(["--function", env!("CARGO_BIN_EXE_order-function")])
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_quickstart_succeeds() {
    let output = quickstart(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches(" ok ").count(), 9, "{said}");
}

#[test]
fn a_policy_that_allows_everything_makes_it_fail() {
    let output = quickstart(&["--policy", concat!(env!("CARGO_MANIFEST_DIR"), "/allow-everything.toml")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    for seen in
        ["stranger: POST /orders/1", "metadata: POST /latest/meta-data/iam/", "internal: POST", "partner: DELETE"]
    {
        assert!(said.contains(&format!("a forbidden request was seen by {seen}")), "{seen}: {said}");
    }
    assert!(!said.contains("the proxy was asked"), "no policy brings the environment's proxy back: {said}");
}

#[tokio::test]
async fn with_a_policy_that_cannot_be_used_the_function_does_not_start() {
    let rule = |keys: &str| format!("version = 1\nname = 'p'\n[[allow]]\nid = 'a'\n{keys}\n");
    let cases = [
        ("missing", None, "the file cannot be read"),
        ("empty", Some(String::new()), "the policy is empty"),
        ("not TOML", Some("version = = 1".to_owned()), "this is not TOML"),
        ("an unknown key", Some(rule("hosts = ['x.example']\nhost = 1")), "`host` is no key of [[allow]]"),
        ("a bad CIDR", Some(rule("networks = ['10.0.0.0/33']")), "\"10.0.0.0/33\" is no network"),
        ("too wide", Some(rule("hosts = ['*']")), "host `*` matches every host"),
        (
            "an id twice",
            Some(rule("hosts = ['x.example']\n[[deny]]\nid = 'a'\nhosts = ['y.example']")),
            "two rules have the id",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, policy, expected) in cases {
        let file = folder.path().join(format!("{name}.toml"));
        if let Some(policy) = policy {
            std::fs::write(&file, policy).unwrap();
        }
        let api = RuntimeApi::start().await;
        let output = tokio::time::timeout(Duration::from_secs(20), function(&api, &file)).await.expect(name);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name}: {said}");
        assert!(said.contains(expected) && said.contains(&*file.to_string_lossy()), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}: nothing was in force");
        assert_eq!(api.polls(), 0, "{name}: it never asked for an invocation");
    }
}

async fn function(api: &RuntimeApi, policy: &Path) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_order-function"))
        .envs(api.environment())
        .env("EGRESS_GUARD_POLICY_FILE", policy)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}
