//! The command as its user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

const POLICY: &str = r#"
    version = 1
    name = "test"

    [[allow]]
    id = "api"
    hosts = ["api.example.com"]
    methods = ["GET"]
    paths = ["/v1/**"]

    [[deny]]
    id = "no-admin"
    hosts = ["api.example.com"]
    paths = ["/v1/admin/**"]
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
        std::fs::write(folder.path().join("broken.toml"), "version = 1\nname = 'p'\nhosts = []\n").unwrap();
        Self(folder)
    }

    fn check(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
        command.current_dir(self.0.path()).arg("check").args(arguments);
        command
    }

    fn output(&self, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        let mut command = self.check(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read has closed its end.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }
}

#[test]
fn each_url_has_its_answer_in_order() {
    let input = "https://api.example.com/v1/x?key=1\r\nhttps://API.example.com.:443/v1/admin/x\nhttps://evil.example/\n\nftp://api.example.com/\n\
                 https://user@api.example.com/\nhttps://10.0.0.1/";
    let (status, output, _) = Folder::new().output(&["--policy", "policy.toml", "--json"], input);
    let expected = [
        r#"{"url":"https://api.example.com/v1/x?key=1","action":"allowed","rule_id":"api","destination":{"scheme":"https","host":"api.example.com","port":443,"path":"/v1/x"}}"#,
        r#"{"url":"https://API.example.com.:443/v1/admin/x","action":"denied","rule_id":"no-admin","reason":"denied-by-rule","destination":{"scheme":"https","host":"api.example.com","port":443,"path":"/v1/admin/x"}}"#,
        r#"{"url":"https://evil.example/","action":"denied","reason":"host-not-allowed","destination":{"scheme":"https","host":"evil.example","port":443,"path":"/"}}"#,
        r#"{"url":"","action":"invalid","reason":"invalid-destination"}"#,
        r#"{"url":"ftp://api.example.com/","action":"invalid","reason":"invalid-destination"}"#,
        r#"{"url":"https://user@api.example.com/","action":"invalid","reason":"user-info"}"#,
        r#"{"url":"https://10.0.0.1/","action":"denied","reason":"ip-literal-not-allowed","destination":{"scheme":"https","host":"10.0.0.1","port":443,"path":"/"}}"#,
    ];
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    assert_eq!(status, Some(1));
}

#[test]
fn the_exit_status_tells_the_worst() {
    let folder = Folder::new();
    let allowed = "https://api.example.com/v1/x";
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--policy", "policy.toml", allowed, allowed], 0, ""),
        (&["--policy", "policy.toml", "--resolve", "203.0.114.7", allowed], 0, ""),
        (&["--policy", "policy.toml", "--resolve", "10.0.0.5", allowed], 1, ""),
        (&["--policy", "policy.toml", "--method", "POST", allowed], 1, ""),
        (&["--policy", "policy.toml", "--method", "CONNECT", allowed], 1, ""),
        (&["--policy", "policy.toml", allowed, "nonsense"], 1, ""),
        (&["--policy", "broken.toml", allowed], 2, "line 3, column 1: `hosts` is no key of a policy"),
        (&["--policy", "missing.toml", allowed], 2, "missing.toml"),
        (&["--policy", "policy.toml", "--resolve", "nowhere", allowed], 2, "--resolve"),
        (&["--policy", "policy.toml", "--method", "no method", allowed], 2, "--method"),
        (&["--policy", "policy.toml", "--at", "2027-3-1", allowed], 2, "write a day, as in 2027-03-31"),
        (&["--policy", "policy.toml", "--baseline", "missing.toml", allowed], 2, "missing.toml"),
        (&["--policy", "missing.toml", "--baseline", "broken.toml", allowed], 2, "missing.toml"),
        (&["--policy", "missing.toml", "--baseline", "broken.toml", allowed], 2, "`hosts` is no key of a policy"),
        (&[allowed], 2, "--policy"),
    ];
    for (arguments, expected, said) in cases {
        let (status, output, error) = folder.output(arguments, "");
        assert_eq!(status, Some(*expected), "{arguments:?}: {output}{error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_person_gets_a_line_that_a_url_cannot_forge() {
    let (_, output, _) = Folder::new().output(&["--policy", "policy.toml"], "https://evil.example/\u{1b}[2J\u{202e}\n");
    assert_eq!(output, "denied   host-not-allowed          https://evil.example/\\u{1b}[2J\\u{202e}\n");
}

#[test]
fn an_answer_comes_before_the_next_question() {
    let folder = Folder::new();
    let mut command = folder.check(&["--policy", "policy.toml", "--json", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for number in 0..3 {
        writeln!(stdin, "https://api.example.com/v1/{number}").unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.contains(&format!("/v1/{number}\",\"action\":\"allowed\"")), "{line}");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_stops_reading_is_no_fault() {
    let folder = Folder::new();
    let mut command = folder.check(&["--policy", "policy.toml", "--json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all("https://api.example.com/v1/x\n".repeat(10_000).as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

const BASELINE: &str = r#"
    version = 1
    name = "organisation"

    [[allow]]
    id = "examples"
    hosts = [".example.com"]

    [[deny]]
    id = "trial"
    hosts = ["api.example.com"]
    paths = ["/v1/files/**"]
    mode = "report-only"
    expires = 2027-06-30
"#;

#[test]
fn a_baseline_adds_its_rules_and_which_policy_denies() {
    let folder = Folder::new();
    std::fs::write(folder.0.path().join("baseline.toml"), BASELINE).unwrap();
    let arguments = ["--policy", "policy.toml", "--baseline", "baseline.toml", "--at", "2027-01-01"];
    let input = "https://api.example.com/v1/x\nhttps://api.example.com/v1/files/x\nhttps://api.example.com/v1/admin/x\n\
                 https://www.example.com/\nhttps://evil.example/\n";
    let (status, output, _) = folder.output(&[&arguments[..], &["--json"]].concat(), input);
    let place = |path: &str| {
        format!(r#""destination":{{"scheme":"https","host":"api.example.com","port":443,"path":"{path}"}}"#)
    };
    let expected = [
        format!(
            r#"{{"url":"https://api.example.com/v1/x","action":"allowed","rule_id":"api","baseline_rule_ids":["examples"],{}}}"#,
            place("/v1/x")
        ),
        format!(
            r#"{{"url":"https://api.example.com/v1/files/x","action":"allowed","rule_id":"trial","reason":"denied-by-rule","policy":"organisation","mode":"report-only","would_deny":true,{}}}"#,
            place("/v1/files/x")
        ),
        format!(
            r#"{{"url":"https://api.example.com/v1/admin/x","action":"denied","rule_id":"no-admin","reason":"denied-by-rule","policy":"test",{}}}"#,
            place("/v1/admin/x")
        ),
        r#"{"url":"https://www.example.com/","action":"denied","reason":"host-not-allowed","policy":"test","destination":{"scheme":"https","host":"www.example.com","port":443,"path":"/"}}"#.to_owned(),
        r#"{"url":"https://evil.example/","action":"denied","reason":"host-not-allowed","policy":"organisation","destination":{"scheme":"https","host":"evil.example","port":443,"path":"/"}}"#.to_owned(),
    ];
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
    assert_eq!(status, Some(1));

    let (_, output, _) = folder.output(&arguments, input);
    let expected = "allowed  api                       https://api.example.com/v1/x\n\
                    reported denied-by-rule            https://api.example.com/v1/files/x\n\
                    denied   denied-by-rule            https://api.example.com/v1/admin/x\n\
                    denied   host-not-allowed          https://www.example.com/\n\
                    denied   host-not-allowed          https://evil.example/\n";
    assert_eq!(output, expected);
}

#[test]
fn what_is_only_reported_is_allowed_until_the_day_comes() {
    let folder = Folder::new();
    std::fs::write(folder.0.path().join("trial.toml"), BASELINE).unwrap();
    let cases = [("2027-06-29", 0), ("2027-06-29T23:59:59Z", 0), ("2027-06-30", 1), ("2027-06-30T01:59:59+02:00", 0)];
    for (at, expected) in cases {
        let arguments = ["--policy", "trial.toml", "--at", at, "https://api.example.com/v1/files/x"];
        assert_eq!(folder.output(&arguments, "").0, Some(expected), "{at}");
    }
}

/// A guard asks about the request before its address is known, and about name and connection without a method.
#[test]
fn an_address_is_judged_at_every_place_where_a_guard_asks() {
    let policy = "version = 1\nname = 'p'\n\
                  [[allow]]\nid = 'open'\nhosts = ['partner.example']\npaths = ['/**']\n\
                  [[allow]]\nid = 'health'\nhosts = ['partner.example']\npaths = ['/health']\naddresses = ['10.0.0.0/8']\n\
                  [[allow]]\nid = 'lab'\nhosts = ['lab.example']\n[[allow]]\nid = 'literal'\nnetworks = ['203.0.0.0/16']\n\
                  [[deny]]\nid = 'no-post'\nnetworks = ['203.0.115.0/24']\nmethods = ['POST']\n";
    let folder = Folder::new();
    std::fs::write(folder.0.path().join("places.toml"), policy).unwrap();
    let cases = [
        ("another rule lends its connections", "203.0.114.7", "https://partner.example/x", "denied   address-conflict"),
        ("a connection serves every method", "203.0.115.7", "https://lab.example/", "denied   denied-by-rule"),
        ("and so to an address in the URL", "203.0.114.7", "https://203.0.115.7/", "denied   denied-by-rule"),
        ("another address", "203.0.114.7", "https://lab.example/", "allowed  lab"),
        ("an address in the URL resolves to none", "203.0.115.7", "https://203.0.114.7/", "allowed  literal"),
    ];
    for (name, address, url, expected) in cases {
        let (_, output, _) = folder.output(&["--policy", "places.toml", "--resolve", address, url], "");
        assert!(output.starts_with(expected), "{name}: {output}");
    }
}
