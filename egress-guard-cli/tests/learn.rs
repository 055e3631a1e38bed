//! `egress-guard learn`, from the lines of a real guard to a policy in force, and the sessions of its page.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Output};
use std::task::{Context, Poll, Waker};

use egress_guard::{AUDIT_SCHEMA, ClientOptions, Guard, MemorySink, Policy, denied};
use egress_guard_tests::{Names, Server, ValidatedAudit};
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/learn");

fn learn(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    command.current_dir(folder).arg("learn").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a request through a guard to a service that always answers, and says whether it was let through.
fn send(guard: &Guard, (method, url): (&str, &str)) -> bool {
    let mut service = guard
        .layer()
        .layer(service_fn(|_: Request<String>| async { Ok::<_, Infallible>(Response::new(String::new())) }));
    let request = Request::builder().method(method).uri(url).body(String::new()).unwrap();
    let mut sent = pin!(service.call(request));
    match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(_)) => true,
        Poll::Ready(Err(error)) => {
            assert!(denied(&*error).is_some(), "{error}");
            false
        }
        Poll::Pending => panic!("nothing waits"),
    }
}

fn log_of(audit: &MemorySink) -> String {
    audit.lines().iter().map(|line| format!("{line}\n")).collect()
}

const REPORT_ONLY: &str = "version = 1\nname = \"orders\"\nmode = \"report-only\"\nreport_only_until = 2099-01-01\n";

const SENT: &[(&str, &str)] = &[
    ("GET", "https://api.payments.example/v1/charges/1001"),
    ("GET", "https://api.payments.example/v1/charges/1002"),
    ("POST", "https://api.payments.example/v1/charges"),
    ("GET", "https://s1.cdn.payments.example/logo.png"),
    ("GET", "https://s2.cdn.payments.example/logo.png"),
    ("PUT", "https://orders-files.s3.eu-west-1.amazonaws.com/2026/11/24.csv"),
    ("POST", "https://dynamodb.eu-west-1.amazonaws.com/"),
    ("GET", "https://files.partner.example:8443/caf%C3%A9/a%2Cb?key=secret"),
    ("GET", "http://10.20.0.7:8080/health"),
    ("GET", "https://[fd00::7]/"),
];

/// What was not sent, and differs from it in one thing each.
const OTHERS: &[(&str, &str)] = &[
    ("DELETE", "https://api.payments.example/v1/charges/1001"),
    ("GET", "https://api.payments.example/v1/customers"),
    ("GET", "https://api.payments.example/v1/charges/1001/refunds"),
    ("GET", "https://api.payments.example:8443/v1/charges/1001"),
    ("GET", "http://api.payments.example/v1/charges/1001"),
    ("GET", "https://x.api.payments.example/v1/charges/1001"),
    ("GET", "https://s3.cdn.payments.example/logo.png"),
    ("PUT", "https://others-files.s3.eu-west-1.amazonaws.com/2026/11/24.csv"),
    ("POST", "https://dynamodb.us-east-1.amazonaws.com/"),
    ("GET", "http://10.20.0.8:8080/health"),
    ("GET", "http://169.254.169.254/latest/meta-data/"),
];

#[test]
fn what_a_report_only_run_has_sent_is_allowed_from_then_on_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let audit = MemorySink::new();
    let trial = Guard::new(Policy::from_toml(REPORT_ONLY).unwrap(), audit.clone());
    for request in SENT {
        assert!(send(&trial, *request), "{request:?}");
    }
    assert!(send(&trial, OTHERS[OTHERS.len() - 1]), "report-only opens even a metadata service");
    fs::write(folder.path().join("orders.log"), log_of(&audit)).unwrap();

    let output = learn(folder.path(), &["orders.log", "-o", "policy.toml"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "the metadata service is left out: {said}");
    assert!(said.contains("1 line to 169.254.169.254:80: a cloud's metadata service"), "{said}");
    let policy = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert!(!policy.contains("secret"));

    let audit = MemorySink::new();
    let guard = Guard::new(Policy::from_toml(&policy).unwrap(), audit.clone());
    for request in SENT {
        assert!(send(&guard, *request), "{request:?}\n{policy}");
    }
    for request in OTHERS {
        assert!(!send(&guard, *request), "{request:?}\n{policy}");
    }
    // The lines of the policy in force add nothing to it.
    fs::write(folder.path().join("later.log"), log_of(&audit)).unwrap();
    let output = learn(folder.path(), &["later.log", "--merge", "policy.toml", "--in-place"]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("nothing to add"), "{}", text(&output.stderr));
    let merged = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    let without_marks =
        |policy: &str| policy.lines().filter(|line| !line.starts_with("# used")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_marks(&merged), without_marks(&policy));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing is left behind: {names:?}");
}

/// What both kinds of clients send: each request by the one that decides requests, the last by an ordinary one.
async fn send_over_sockets(guard: &Guard, names: &Names, urls: &[String], plain: &str) -> Vec<bool> {
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(names.clone());
    let client = guard.client(options()).unwrap();
    let mut sent = Vec::new();
    for url in urls {
        sent.push(match client.get(url).send().await {
            Ok(response) => response.text().await.is_ok(),
            Err(_) => false,
        });
    }
    sent.push(guard.reqwest(options()).unwrap().get(plain).send().await.is_ok());
    sent
}

#[tokio::test]
async fn addresses_redirects_and_ordinary_clients_are_learnt_from_real_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (server, other) = (Server::http("server", "127.0.0.1").await, Server::http("other", "127.0.0.1").await);
    let names = Names::new().with("api.test", &["127.0.0.1"]).with("plain.test", &["127.0.0.1"]);
    let url = |path: &str| format!("http://api.test:{}{path}", server.port());
    let plain = |path: &str| format!("http://plain.test:{}{path}", other.port());
    let urls = [url("/orders/17"), url("/orders/18"), url(&format!("/redirect/302?{}", url("/moved")))];
    let audit = ValidatedAudit::new();
    let trial = Guard::new(Policy::from_toml(REPORT_ONLY).unwrap(), audit.clone());
    let sent = send_over_sockets(&trial, &names, &urls, &plain("/x")).await;
    assert_eq!(sent, [true; 4], "{:#?}", audit.lines());
    let log: String = audit.lines().iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("orders.log"), log).unwrap();
    let output = learn(folder.path(), &["orders.log"]);
    let policy = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = [
        format!(
            "hosts = [\"api.test\"]\nports = [{}]\nschemes = [\"http\"]\nmethods = [\"GET\"]\n\
             paths = [\"/moved\", \"/orders/*\", \"/redirect/302\"]\naddresses = [\"127.0.0.1/32\"]\n",
            server.port()
        ),
        format!(
            "hosts = [\"plain.test\"]\nports = [{}]\nschemes = [\"http\"]\naddresses = [\"127.0.0.1/32\"]\n",
            other.port()
        ),
    ];
    assert!(expected.iter().all(|rule| policy.contains(rule)) && policy.matches("[[allow]]").count() == 2, "{policy}");

    let guard = Guard::new(Policy::from_toml(&policy).unwrap(), ValidatedAudit::new());
    assert_eq!(send_over_sockets(&guard, &names, &urls, &plain("/y")).await, [true; 4]);
    let others = [url("/customers"), url("/orders/17/items"), plain("/x").replace("plain.test", "x.plain.test")];
    assert_eq!(send_over_sockets(&guard, &names, &others, &plain("/x").replace("plain", "other")).await, [false; 4]);
    let elsewhere = Names::new().with("api.test", &["127.0.0.2"]).with("plain.test", &["127.0.0.2"]);
    assert_eq!(send_over_sockets(&guard, &elsewhere, &urls, &plain("/x")).await, [false; 4], "not to another address");
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let audit = MemorySink::new();
    let guard = Guard::new(Policy::from_toml(REPORT_ONLY).unwrap(), audit.clone());
    assert!(send(&guard, SENT[0]));
    write("orders.log", &log_of(&audit));
    write("other.log", "START RequestId: 1\n");
    write("torn.log", "{\"event_type\":\"egress_decision\",\"act\n");
    write("policy.json", "{}");
    write("faulty.toml", "version = 1\n");
    write("inline.toml", "version = 1\nname = \"p\"\nallow = [{ id = \"a\", hosts = [\"a.example\"] }]\n");
    write("there.toml", "mine");
    let cases: [(&str, &[&str], &str); 10] = [
        ("no such log", &["missing.log"], "missing.log"),
        ("no audit line", &["other.log"], "nothing to learn: of 1 lines 0 are of the audit"),
        ("half a line", &["torn.log"], "torn.log:1 is no whole audit line"),
        ("another function's", &["orders.log", "--function", "refunds"], "none of these functions and policies"),
        ("JSON", &["orders.log", "--merge", "policy.json"], "only a policy in TOML can be merged"),
        ("a policy with a fault", &["orders.log", "--merge", "faulty.toml"], "`name`"),
        ("inline rules", &["orders.log", "--merge", "inline.toml"], "write each rule as [[allow]]"),
        ("a file that is there", &["orders.log", "-o", "there.toml"], "--force replaces it"),
        ("a name that is none", &["orders.log", "--name", "a b"], "--name \"a b\" cannot be taken"),
        ("in place of nothing", &["orders.log", "--in-place"], "--merge"),
    ];
    for (name, arguments, expected) in cases {
        let output = learn(folder.path(), arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("there.toml")).unwrap(), "mine");
}

#[cfg(unix)]
#[test]
fn a_policy_is_replaced_as_a_whole_with_its_permissions_and_behind_its_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let audit = MemorySink::new();
    let guard = Guard::new(Policy::from_toml(REPORT_ONLY).unwrap(), audit.clone());
    assert!(send(&guard, SENT[0]));
    fs::write(folder.path().join("orders.log"), log_of(&audit)).unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, "# Mine.\r\nversion = 1\r\nname = \"orders\"\r\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("policy.toml", folder.path().join("link.toml")).unwrap();
    let output = learn(folder.path(), &["orders.log", "--merge", "link.toml", "--in-place"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(folder.path().join("link.toml").is_symlink());
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let merged = fs::read_to_string(&file).unwrap();
    assert!(
        merged.starts_with("# Mine.\r\nversion = 1\r\n") && merged.contains("id = \"api-payments-example\""),
        "{merged}"
    );
}

#[cfg(unix)]
#[test]
fn an_output_that_is_forced_replaces_the_file_as_a_whole() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let audit = MemorySink::new();
    let guard = Guard::new(Policy::from_toml(REPORT_ONLY).unwrap(), audit.clone());
    assert!(send(&guard, SENT[0]));
    fs::write(
        folder.path().join("orders.log"),
        format!("{}{{\"event_type\":\"egress_decision\",\"act\n", log_of(&audit)),
    )
    .unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, b"\xff was no text").unwrap();
    let mut before = fs::File::open(&file).unwrap();
    let inode = file.metadata().unwrap().ino();
    let output = learn(folder.path(), &["orders.log", "-o", "policy.toml", "--force"]);
    assert_eq!(output.status.code(), Some(1), "a torn line: {}", text(&output.stderr));
    assert_ne!(file.metadata().unwrap().ino(), inode);
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut before, &mut read).unwrap();
    assert_eq!(read, b"\xff was no text", "whoever reads it meanwhile, reads it whole");
    assert!(fs::read_to_string(&file).unwrap().contains("id = \"api-payments-example\""));
}

#[test]
fn each_session_of_the_page_prints_what_is_written_down() {
    trycmd::TestCases::new().case(format!("{PAGE}.md"));
}

#[test]
fn the_page_shows_the_policy_that_its_sessions_read_and_its_lines_are_audit_lines() {
    let page = fs::read_to_string(format!("{PAGE}.md")).unwrap();
    let policy = fs::read_to_string(format!("{PAGE}.in/policy.toml")).unwrap();
    assert!(page.contains(&format!("```toml\n{policy}```\n")));
    let schema: serde_json::Value = serde_json::from_str(AUDIT_SCHEMA).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for line in fs::read_to_string(format!("{PAGE}.in/orders.log")).unwrap().lines() {
        let line = serde_json::from_str(line).unwrap();
        assert!(schema.validate(&line).is_ok(), "{line}: {:?}", schema.validate(&line));
    }
}
