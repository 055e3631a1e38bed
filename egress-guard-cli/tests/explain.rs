//! What `egress-guard explain` prints, and whether following its advice helps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/explain/sessions.in");

fn explain(folder: impl AsRef<Path>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    let output = command.current_dir(folder).arg("explain").args(arguments).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn explain_as_json(folder: impl AsRef<Path>, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
    serde_json::from_str(&explain(folder, &arguments).1).unwrap()
}

#[test]
fn each_session_prints_what_is_written_down() {
    trycmd::TestCases::new().case("tests/explain/*.md");
}

#[test]
fn json_has_every_rule_and_every_key_that_does_not_match() {
    let policies = ["--policy", "policy.toml", "--baseline", "baseline.toml"];
    let asked = ["--resolve", "10.1.2.3", "--at", "2027-01-01", "PUT", "https://api.payments.example/v1/x?key=1"];
    let expected = json!({
        "method": "PUT",
        "url": "https://api.payments.example/v1/x?key=1",
        "action": "denied",
        "reason": "address-not-allowed",
        "policy": "organisation",
        "destination": {"scheme": "https", "host": "api.payments.example", "port": 443, "path": "/v1/x"},
        "read_as": "https://api.payments.example/v1/x",
        "address": {"ip": "10.1.2.3", "class": "private-use"},
        "boundary": "external",
        "at": "2027-01-01T00:00:00Z",
        "layers": [
            {
                "kind": "baseline",
                "policy": "organisation",
                "file": "baseline.toml",
                "action": "denied",
                "reason": "address-not-allowed",
                "considered": [
                    {
                        "rule_id": "no-admin",
                        "effect": "deny",
                        "matches": false,
                        "fails": [{"key": "paths", "states": ["/v1/admin/**"], "asked": "/v1/x"}],
                    },
                    {
                        "rule_id": "partners",
                        "effect": "allow",
                        "matches": false,
                        "fails": [{
                            "key": "addresses",
                            "states": ["public"],
                            "is_default": true,
                            "asked": "10.1.2.3 (private-use)",
                        }],
                    },
                ],
                "advice": "To allow it here, write in rule `partners` of baseline.toml:",
                "missing_addresses": "addresses = [\"public\", \"10.1.2.3/32\"]",
            },
            {
                "kind": "policy",
                "policy": "orders",
                "file": "policy.toml",
                "action": "denied",
                "reason": "method-not-allowed",
                "considered": [
                    {
                        "rule_id": "payments-api",
                        "effect": "allow",
                        "matches": false,
                        "fails": [
                            {"key": "methods", "states": ["GET", "POST"], "asked": "PUT"},
                            {
                                "key": "addresses",
                                "states": ["public"],
                                "is_default": true,
                                "asked": "10.1.2.3 (private-use)",
                            },
                        ],
                    },
                    {
                        "rule_id": "warehouse",
                        "effect": "allow",
                        "matches": false,
                        "fails": [
                            {
                                "key": "networks",
                                "states": ["0.0.0.0/0"],
                                "asked": "10.1.2.3 (private-use)",
                                "because": "networks are for addresses in URLs, and a name needs `hosts`",
                            },
                            {"key": "ports", "states": ["8443"], "asked": "443"},
                        ],
                    },
                ],
                "advice": "No single change would allow it; see what does not match.",
            },
        ],
    });
    assert_eq!(explain_as_json(POLICIES, &[&policies[..], &asked].concat()), expected);
}

#[test]
fn json_tells_what_is_reported_what_has_expired_and_what_is_no_url() {
    let on_trial = ["--policy", "policy.toml", "--at", "2027-01-01", "POST", "https://a.cdn.payments.example/v1/x"];
    let answer = explain_as_json(POLICIES, &on_trial);
    let said = ["action", "would_deny", "mode", "reason", "rule_id", "policy"].map(|key| answer[key].clone());
    assert_eq!(json!(said), json!(["allowed", true, "report-only", "denied-by-rule", "uploads", "orders"]), "{answer}");

    let expired = ["--policy", "policy.toml", "--at", "2027-03-31", "GET", "https://pilot.payments.example/"];
    let rule = explain_as_json(POLICIES, &expired)["layers"][0]["considered"][0].clone();
    assert_eq!(
        (&rule["expires"], &rule["has_expired"], &rule["matches"]),
        (&json!("2027-03-31"), &json!(true), &json!(false))
    );

    let answer = explain_as_json(POLICIES, &["--policy", "policy.toml", "GET", "ftp://api.payments.example/"]);
    let expected = json!({
        "method": "GET",
        "url": "ftp://api.payments.example/",
        "action": "invalid",
        "reason": "invalid-destination",
        "layers": [],
        "advice": "No rule can change that: the scheme \"ftp\" is neither http nor https. Write the URL in full, as in \
                   https://api.example.com/v1.",
    });
    assert_eq!(answer, expected);
}

/// What is proposed is pasted where the advice says, and the same request asked again.
#[test]
fn what_is_proposed_can_be_pasted_and_helps() {
    let requests: &[&[&str]] = &[
        &["GET", "https://b.example/"],
        &["M-SEARCH", "http://b.example:8080/a*b/[x]/{y,z}/'q'!%7B"],
        &["DELETE", "https://api.example.com/v1/x"],
        &["GET", "https://[2001:4860::1]/"],
        &["--resolve", "10.0.0.5", "GET", "https://api.example.com/v1/x"],
        &["--resolve", "fd12::1", "GET", "https://b.example/"],
    ];
    for request in requests {
        for language in ["toml", "json"] {
            let folder = tempfile::tempdir().unwrap();
            let name = format!("policy.{language}");
            let file = folder.path().join(&name);
            let rule = json!({"id": "api", "hosts": ["api.example.com"], "methods": ["GET"]});
            let policy = match language {
                "toml" => {
                    "version = 1\nname = 'p'\n[[allow]]\nid = 'api'\nhosts = ['api.example.com']\nmethods = ['GET']\n"
                }
                _ => &json!({"version": 1, "name": "p", "allow": [rule]}).to_string(),
            };
            fs::write(&file, policy).unwrap();
            let arguments: Vec<&str> = ["--policy", &name].iter().chain(*request).copied().collect();
            let layer = explain_as_json(&folder, &arguments)["layers"][0].clone();
            let pasted = match (layer["missing_rule"].as_str(), layer["missing_addresses"].as_str(), language) {
                (Some(rule), None, "toml") => format!("{policy}\n{rule}"),
                (Some(rule), None, _) => policy.replace("\"allow\":[", &format!("\"allow\":[{rule},")),
                (None, Some(line), "toml") => format!("{policy}\n{line}"),
                (None, Some(line), _) => policy.replace("\"id\":", &format!("{line}\"id\":")),
                other => panic!("{request:?}: {other:?}"),
            };
            fs::write(&file, &pasted).unwrap();
            let (status, said) = explain(&folder, &arguments);
            assert_eq!(status, Some(0), "{said}\n{pasted}");
        }
    }
}

#[test]
fn neither_a_url_nor_a_policy_can_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let policy =
        "version = 1\nname = 'p'\n[[deny]]\nid = 'd'\nhosts = ['a.example']\nreason = 'it\u{2019}s \u{202e}over'\n";
    fs::write(folder.path().join("policy.toml"), policy).unwrap();
    let (status, said) = explain(&folder, &["--policy", "policy.toml", "GET", "https://a.example/\u{1b}[2J?\u{202e}"]);
    assert_eq!(status, Some(1));
    assert!(
        said.starts_with("GET https://a.example/\\u{1b}[2J?\\u{202e}\n  read as   https://a.example/%1B[2J\n"),
        "{said}"
    );
    assert!(said.contains("    reason     it\u{2019}s \\u{202e}over\n"), "{said}");
}
