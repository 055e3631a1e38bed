//! `egress-guard diff` as its user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::Command;

fn data() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/diff")
}

fn diff(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    let output = command.current_dir(folder).arg("diff").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Two policies that differ in what stands behind a common head.
fn between(old: &str, new: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, rules) in [("old.toml", old), ("new.toml", new)] {
        std::fs::write(folder.path().join(name), format!("version = 1\nname = 'p'\n{rules}")).unwrap();
    }
    let (status, output, error) = diff(folder.path(), &["--at", "2026-12-01", "old.toml", "new.toml"]);
    assert_eq!(status, Some(0), "{error}");
    output
}

#[test]
fn the_page_shows_what_the_command_prints() {
    let page = include_str!("../../docs/diff.md");
    let session = page.split("```console\n$ egress-guard diff ").nth(1).unwrap();
    let (arguments, rest) = session.split_once('\n').unwrap();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let (status, output, error) = diff(&data(), &arguments);
    assert_eq!((status, output.trim_end()), (Some(0), rest.split("\n```").next().unwrap()), "{error}");
}

#[test]
fn a_loosening_is_told_by_the_exit_status_where_that_is_asked_for() {
    let cases: &[(&[&str], i32)] = &[
        (&["old.toml", "new.toml"], 0),
        (&["--exit-code", "old.toml", "new.toml"], 1),
        (&["--exit-code", "old.toml", "old.toml"], 0),
        (&["old.toml", "missing.toml"], 2),
        (&["--at", "yesterday", "old.toml", "new.toml"], 2),
        (&["old.toml"], 2),
    ];
    for (arguments, expected) in cases {
        let (status, output, error) = diff(&data(), arguments);
        assert_eq!(status, Some(*expected), "{arguments:?}: {output}{error}");
    }
}

#[test]
fn one_object_says_the_same_in_json() {
    let (_, output, _) = diff(&data(), &["--at", "2026-12-01", "--format", "json", "old.toml", "new.toml"]);
    let found: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(found["summary"], "both looser and tighter");
    assert_eq!(
        found["newly_allowed"][0],
        serde_json::json!({
            "rule_id": "payments-api", "what": "PUT to https://api.payments.example, paths /v1/**", "maybe": false
        })
    );
}

#[test]
fn what_changes_is_told_in_words() {
    let host = |host: &str| format!("[[allow]]\nid = 'a'\nhosts = ['{host}']\n");
    let a = host("a.example");
    let b = a.replace("'a'", "'b'");
    let deny = "[[deny]]\nid = 'd'\nhosts = ['a.example']\nmethods = ['PUT']\n";
    let network = "[[deny]]\nid = 'd'\nnetworks = ['203.0.114.0/24']\nschemes = ['https']\n";
    let inside = "[internal]\nnetworks = ['10.0.0.0/8']\n";
    let cases = [
        ("nothing", a.clone(), a.clone(), "The new policy is the same."),
        ("a wider pattern", a.clone(), host(".a.example"), "+ any method to https://.a.example, by rule `a`"),
        ("a narrower one", host(".a.example"), a.clone(), "The new policy is tighter."),
        (
            "a range of ports",
            format!("{a}ports = [8443]\n"),
            format!("{a}ports = ['8440-8449']\n"),
            "+ any method to https://a.example:8440-8442; any method to https://a.example:8444-8449, by rule `a`",
        ),
        (
            "methods",
            format!("{a}methods = ['GET']\n"),
            a.clone(),
            "+ any method but GET to https://a.example, by rule `a`",
        ),
        (
            "plain http",
            a.clone(),
            format!("{a}schemes = ['http', 'https']\n"),
            "+ any method to http://a.example, by rule `a`",
        ),
        (
            "private addresses",
            a.clone(),
            format!("{a}addresses = ['public', 'private']\n"),
            "+ maybe any method to https://a.example, at addresses private, public, by rule `a`",
        ),
        (
            "what internal means",
            format!("[internal]\nnetworks = ['10.1.0.0/16']\n{a}addresses = ['internal']\n"),
            format!("[internal]\nnetworks = ['10.0.0.0/8']\n{a}addresses = ['internal']\n"),
            "+ maybe any method to https://a.example, at addresses 10.0.0.0/8, by rule `a`",
        ),
        (
            "a deny rule that only reports now",
            format!("{a}[[deny]]\nid = 'd'\nhosts = ['a.example']\nmethods = ['PUT']\n"),
            format!("{a}[[deny]]\nid = 'd'\nhosts = ['a.example']\nmethods = ['PUT']\nmode = 'report-only'\n"),
            "+ PUT to https://a.example, any port; PUT to http://a.example, any port, by rule `d`",
        ),
        (
            "a deny rule about nothing that is allowed",
            a.clone(),
            format!("{a}[[deny]]\nid = 'd'\nhosts = ['b.example']\n"),
            "The new policy is the same.",
        ),
        (
            "report-only",
            a.clone(),
            format!("mode = 'report-only'\nreport_only_until = 2027-03-31\n{a}"),
            "! until 2027-03-31 nothing is denied by the new policy's rules",
        ),
        (
            "report-only that is over",
            a.clone(),
            format!("mode = 'report-only'\nreport_only_until = 2026-03-31\n{a}"),
            "The new policy is the same.",
        ),
        (
            "a rule that is written anew without its day",
            format!("{a}expires = 2027-03-31\n"),
            a.replace("'a'", "'b'"),
            "! from 2027-03-31 on, any method to https://a.example is newly allowed, by rule `b`",
        ),
        (
            "a day that only moves",
            format!("{a}expires = 2027-03-31\n"),
            a.clone(),
            "! rule `a` no longer expires; it did on 2027-03-31",
        ),
        (
            "a day that has come moves",
            format!("{a}expires = 2026-03-31\n"),
            format!("{a}expires = 2026-04-30\n"),
            "    rule `a` expires on 2026-04-30 instead of 2026-03-31\n\nThe new policy is the same.",
        ),
        (
            "the day of a deny rule that denies already",
            format!("{a}{deny}expires = 2027-03-31\n"),
            format!("{a}{deny}"),
            "The new policy is the same.",
        ),
        (
            "a deny rule that would have begun to deny",
            format!("{a}{deny}mode = 'report-only'\nexpires = 2027-03-31\n"),
            a.clone(),
            "! from 2027-03-31 on, PUT to https://a.example, any port; PUT to http://a.example, any port is no longer denied, by rule `d`",
        ),
        (
            "a deny rule that loses its boundary denied every method at an address inside",
            format!("{inside}{a}{deny}boundary = 'internal'\n"),
            format!("{inside}{a}{deny}"),
            "+ any method but PUT to https://a.example, any port; any method but PUT to http://a.example, any port, \
             only internal by its address, by rule `d`",
        ),
        (
            "a deny rule of a network denies every method",
            format!("{a}{network}methods = ['PUT']\n"),
            a.clone(),
            "+ any method to https://203.0.114.0/24, any port, by rule `d`",
        ),
        (
            "requests to a network, of whose connections only some are no longer denied",
            format!("{a}{network}methods = ['PUT']\n"),
            format!("{a}{network}paths = ['/v1/**']\nports = [443]\n"),
            "+ maybe PUT to https://203.0.114.0/24, any port, by rule `d`",
        ),
        (
            "a conflict between `internal` and the networks that it stands for ends",
            format!(
                "{inside}{a}methods = ['GET']\naddresses = ['internal']\n{b}methods = ['PUT']\naddresses = ['10.0.0.0/8']\n"
            ),
            format!(
                "{inside}{a}methods = ['GET']\naddresses = ['internal']\n{b}methods = ['PUT']\naddresses = ['internal']\n"
            ),
            "+ maybe GET to https://a.example, at addresses 10.0.0.0/8, by rule `a`",
        ),
        (
            "what the new policy allows and denies",
            b.replace("a.example", "b.example"),
            format!("{}{a}[[deny]]\nid = 'd'\nhosts = ['a.example']\n", b.replace("a.example", "b.example")),
            "The new policy is the same.",
        ),
        (
            "a rule that has expired",
            a.clone(),
            format!("{a}expires = 2026-03-31\n"),
            "- any method to https://a.example",
        ),
        (
            "a proxy",
            a.clone(),
            format!("proxy = 'http://p.example'\n{a}"),
            "! requests go through the proxy \"http://p.example\" instead of none",
        ),
    ];
    for (name, old, new, expected) in cases {
        let output = between(&old, &new);
        assert!(output.contains(expected), "{name}: {output}");
    }
}

/// Reordered, or connections would be shared otherwise: what may be allowed because of that is listed.
#[test]
fn rules_that_share_connections_are_compared_in_their_order() {
    let one = "[[allow]]\nid = 'one'\nhosts = ['a.example']\naddresses = ['private']\n";
    let two = "[[allow]]\nid = 'two'\nhosts = ['a.example']\nmethods = ['GET']\n";
    let output = between(&format!("{one}{two}"), &format!("{two}{one}"));
    assert!(output.contains("maybe"), "{output}");
}

#[test]
fn ten_thousand_hosts_are_compared_without_delay() {
    let hosts = |count: usize| (0..count).map(|n| format!("'h{n}.example', ")).collect::<String>();
    let rule = |count: usize| format!("[[allow]]\nid = 'a'\nhosts = [{}]\n", hosts(count));
    let output = between(&rule(10_000), &rule(10_001));
    assert!(output.contains("+ any method to https://h10000.example, by rule `a`"), "{output}");

    let day = "expires = 2027-03-31\n";
    let output = between(&format!("{}{day}", rule(10_000)), &rule(10_000));
    assert!(output.starts_with("Looser:\n  ! rule `a` no longer expires; it did on 2027-03-31\n\nThe new"), "{output}");
}
