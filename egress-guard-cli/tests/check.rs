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
