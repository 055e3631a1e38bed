//! What `egress-guard test` prints.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::process::Command;

use serde_json::{Value, json};

#[test]
fn json_has_every_case_with_what_was_expected_and_what_was_said() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/test_command/sessions.in");
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    command.current_dir(folder).args([
        "test",
        "--policy",
        "policy.toml",
        "--format",
        "json",
        "kept.toml",
        "changed.toml",
    ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = summary["cases"].as_array().unwrap();
    assert_eq!((&summary["passed"], &summary["failed"], cases.len()), (&json!(8), &json!(6), 14));
    assert_eq!(
        cases[0],
        json!({
            "file": "kept.toml",
            "line": 3,
            "name": "the partner's API",
            "request": "POST https://api.payments.example/v1/charges",
            "resolve": "203.0.114.7",
            "passed": true,
            "expected": {"outcome": "allowed", "rule": "payments-api"},
            "got": {"outcome": "allowed", "rule": "payments-api"},
        })
    );
    assert_eq!(
        cases[2],
        json!({
            "file": "kept.toml",
            "line": 11,
            "request": "GET https://api.payments.example/admin",
            "passed": true,
            "expected": {"outcome": "denied", "reason": "path-not-allowed", "policy": "orders"},
            "got": {"outcome": "denied", "reason": "path-not-allowed", "policy": "orders"},
        })
    );
    assert_eq!(
        cases[11],
        json!({
            "file": "changed.toml",
            "line": 24,
            "name": "on the wrong day",
            "request": "POST https://api.payments.example/v1/upload/x",
            "at": "2027-06-30T00:00:00Z",
            "passed": false,
            "expected": {"outcome": "reported"},
            "got": {"outcome": "denied", "rule": "uploads", "reason": "denied-by-rule", "policy": "orders"},
        })
    );
}

#[test]
fn each_session_prints_what_is_written_down() {
    trycmd::TestCases::new().case("tests/test_command/*.md");
}
