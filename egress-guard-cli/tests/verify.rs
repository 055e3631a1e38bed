//! What `egress-guard verify` finds in the audit of a real guard, whatever is done to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::convert::Infallible;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use egress_guard::{ChainKey, Guard, JsonLines, Policy, Rule};
use hmac::{Hmac, KeyInit, Mac};
use http::{Request, Response};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;
use tower::{ServiceBuilder, ServiceExt};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "/////////////////////////////////////////////8A=";

type Body = String;

/// What the processes run whose standard output is the log; by itself it does nothing.
#[test]
fn a_function_writes_lines_when_it_is_asked_to() {
    let Ok(requests) = std::env::var("REQUESTS") else { return };
    let requests: u32 = requests.parse().unwrap();
    let sink = JsonLines::stdout();
    let sink =
        if std::env::var_os(ChainKey::VARIABLE).is_some() { sink.chained(ChainKey::from_env().unwrap()) } else { sink };
    let rule = Rule::new("api").hosts(["api.payments.example"]);
    let guard = Guard::new(Policy::builder("orders").allow(rule).build().unwrap(), sink);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..requests)
            .map(|number| {
                let client = tower::service_fn(|_: Request<Body>| async {
                    tokio::task::yield_now().await;
                    Ok::<_, Infallible>(Response::new(Body::new()))
                });
                let http = ServiceBuilder::new().layer(guard.layer()).service(client);
                tokio::spawn(async move {
                    let host = if number % 3 == 0 { "not-listed.example" } else { "api.payments.example" };
                    for _ in 0..2 {
                        let request = Request::get(format!("https://{host}/{number}")).body(Body::new()).unwrap();
                        assert_eq!(http.clone().oneshot(request).await.is_ok(), number % 3 != 0);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// The standard output of a process with a guard, as it is: with the lines of others.
fn output_of_a_function(requests: u32, key: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_function_writes_lines_when_it_is_asked_to", "--nocapture"]);
    command.env("REQUESTS", requests.to_string()).env_remove(ChainKey::VARIABLE);
    command.envs(key.map(|key| (ChainKey::VARIABLE, key)));
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn lines_of_a_function(requests: u32, key: Option<&str>) -> Vec<String> {
    let output = output_of_a_function(requests, key);
    // The harness may leave words of its own before a line.
    let lines = output.lines().filter_map(|line| line.get(line.find("{\"timestamp\"")?..));
    let lines: Vec<_> = lines.map(str::to_owned).collect();
    assert_eq!(lines.len(), 1 + requests as usize * 2 * 2 - requests.div_ceil(3) as usize * 2, "{output}");
    lines
}

/// Two environments, made once.
fn environments() -> &'static [Vec<String>; 2] {
    static LINES: OnceLock<[Vec<String>; 2]> = OnceLock::new();
    LINES.get_or_init(|| [lines_of_a_function(8, Some(KEY)), lines_of_a_function(8, Some(KEY))])
}

/// A folder with logs and a key.
struct Logs(tempfile::TempDir);

impl Logs {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        fs::write(folder.path().join("audit.key"), KEY).unwrap();
        fs::write(folder.path().join("other.key"), OTHER_KEY).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs the command; gives its status and each object that it prints.
    fn verify(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let (status, output, error) = self.run(&[&["--json"], arguments].concat());
        assert_ne!(status, 2, "{error}");
        (status, output.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
        command.current_dir(self.path()).env_remove(ChainKey::VARIABLE).arg("verify").args(arguments);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// The kinds of findings that are no notes, with the first of their numbers, as `gap 3`.
fn kinds(lines: &[Value]) -> Vec<String> {
    let findings = lines.iter().filter(|line| line["type"] == "finding" && line["note"] == false);
    let kind = |line: &Value| match line["first"].as_u64() {
        Some(first) => format!("{} {first}", line["kind"].as_str().unwrap()),
        None => line["kind"].as_str().unwrap().to_owned(),
    };
    findings.map(kind).collect()
}

fn value(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

fn place(line: &str) -> u64 {
    value(line)["chain_seq"].as_u64().unwrap()
}

fn time(line: &str) -> String {
    value(line)["timestamp"].as_str().unwrap().to_owned()
}

fn chain_id(line: &str) -> String {
    value(line)["chain_id"].as_str().unwrap().to_owned()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// As CloudWatch hands them out.
fn sorted(lines: &[String]) -> Vec<String> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(|line| time(line));
    lines
}

fn assert_clean(logs: &Logs, arguments: &[&str], lines: usize) {
    let (status, printed) = logs.verify(arguments);
    let summary = printed.last().unwrap();
    assert_eq!((status, &summary["clean"]), (0, &Value::Bool(true)), "{arguments:?}: {printed:#?}");
    assert_eq!(summary["chained_lines"].as_u64(), Some(lines as u64), "{arguments:?}");
    assert!(printed.iter().all(|line| line["type"] != "finding"), "{printed:#?}");
}

#[test]
fn what_64_tasks_write_at_once_verifies_in_every_form() {
    let output = output_of_a_function(64, Some(KEY));
    let lines = lines_of_a_function(64, Some(KEY));
    let [first, second] = environments();
    let both = sorted(&[first.clone(), second.clone()].concat());
    let exported: String = sorted(&lines).iter().map(|line| format!("{} {line}\n", time(line))).collect();
    let tailed: String = both.iter().map(|line| format!("{} 2026/11/23/[$LATEST]0a {line}\n", time(line))).collect();
    let filtered = serde_json::to_string_pretty(&serde_json::json!({
        "events": both.iter().map(|line| serde_json::json!({"logStreamName": "s", "message": line})).collect::<Vec<_>>()
    }));
    let event = |line: &String| serde_json::json!({"id": "1", "timestamp": 1, "message": format!("{line}\n")});
    let document = format!(
        r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logStream":"s","logEvents":{}}}"#,
        lines.iter().map(event).collect::<Value>()
    );
    let half = lines.len() / 2;
    let logs = Logs::new(&[
        ("output.log", &output),
        ("exported.log", &exported),
        ("tailed.log", &tailed),
        ("filtered.json", &filtered.unwrap()),
        ("document.json", &document),
        ("begin.log", &joined(&lines[..half])),
        ("end.log", &joined(&lines[half..])),
    ]);
    for (files, count) in [
        (["output.log"].as_slice(), lines.len()),
        (&["exported.log"], lines.len()),
        (&["tailed.log"], both.len()),
        (&["filtered.json"], both.len()),
        (&["document.json"], lines.len()),
        (&["begin.log", "end.log"], lines.len()),
        (&["end.log", "begin.log"], lines.len()),
        (&["end.log", "tailed.log", "output.log", "begin.log"], 2 * lines.len() + both.len()),
    ] {
        assert_clean(&logs, files, count);
        assert_clean(&logs, &[files, &["--key-file", "audit.key"]].concat(), count);
        assert_clean(&logs, &[files, &["--key-file", "other.key", "--key-file", "audit.key"]].concat(), count);
    }
    let (status, printed) = logs.verify(&["--key-file", "other.key", "output.log"]);
    assert_eq!((status, kinds(&printed)), (1, vec!["forged".to_owned()]));
}

#[test]
fn lines_that_begin_in_the_middle_are_checked_all_the_same() {
    let [lines, _] = environments();
    let logs = Logs::new(&[("log", &joined(&lines[5..]))]);
    let (status, printed) = logs.verify(&["--key-file", "audit.key", "log"]);
    assert_eq!((status, kinds(&printed)), (1, vec!["beginning 1".to_owned()]));
    let (status, printed) = logs.verify(&["--key-file", "audit.key", "--partial", "log"]);
    assert_eq!((status, kinds(&printed)), (0, vec![]));
    assert_eq!(printed[0]["note"], true);
}

#[test]
fn lines_without_a_chain_are_checked_by_their_numbers_alone() {
    let lines = lines_of_a_function(8, None);
    let seq = |line: &String| value(line)["seq"].as_u64().unwrap();
    let without_5: Vec<_> = lines.iter().filter(|line| seq(line) != 5).cloned().collect();
    let with_5_twice = [lines.clone(), lines.iter().filter(|line| seq(line) == 5).cloned().collect()].concat();
    let logs = Logs::new(&[
        ("whole", &joined(&lines)),
        ("gap", &joined(&without_5)),
        ("double", &joined(&with_5_twice)),
        ("mixed", &(joined(&lines) + &joined(&environments()[0]))),
    ]);
    for (file, expected) in
        [("whole", vec![]), ("gap", vec!["gap 5"]), ("double", vec!["duplicate 5"]), ("mixed", vec!["unchained"])]
    {
        assert_eq!(kinds(&logs.verify(&[file]).1), expected, "{file}");
    }
    assert_eq!(kinds(&logs.verify(&["--key-file", "audit.key", "whole"]).1), ["unchained"]);
}

/// Takes half of some lines, and none of others.
struct Full {
    log: Arc<Mutex<Vec<u8>>>,
    writes: u32,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        let taken = match self.writes {
            // Half of the second line is taken, and then nothing, and nothing of the one after.
            2 => bytes.len() / 2,
            3 | 4 => return Err(io::ErrorKind::StorageFull.into()),
            _ => bytes.len(),
        };
        self.log.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_could_not_be_written_are_missing_all_the_same() {
    let log = Arc::default();
    let sink = JsonLines::new(Full { log: Arc::clone(&log), writes: 0 }).chained(KEY.parse().unwrap());
    let guard = Guard::new(Policy::builder("orders").build().unwrap(), sink);
    for _ in 0..4 {
        let service = tower::service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::new())) });
        let http = ServiceBuilder::new().layer(guard.layer()).service(service);
        let request = Request::get("https://not-listed.example/").body(Body::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(http.oneshot(request)).is_err());
    }
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let logs = Logs::new(&[("log", &log)]);
    let (status, printed) = logs.verify(&["--key-file", "audit.key", "log"]);
    assert_eq!((status, kinds(&printed)), (1, vec!["lost 2".to_owned()]), "{printed:#?}");
    assert_eq!(printed[0]["count"], 2);
    assert_eq!((&printed[1]["kind"], &printed[1]["note"]), (&"torn".into(), &true.into()), "{log}");
    let (_, output, _) = logs.run(&["--key-file", "audit.key", "log"]);
    assert!(output.contains("which only the process says") && !output.contains("all of them"), "{output}");
}

#[test]
fn without_the_key_what_is_missing_doubled_or_moved_is_found() {
    let [lines, _] = environments();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        joined(&lines)
    };
    let logs = Logs::new(&[
        ("gap", &with(&|lines| _ = lines.remove(3))),
        ("duplicate", &with(&|lines| lines.push(lines[3].clone()))),
        ("reordered", &with(&|lines| lines.reverse())),
        ("unchained", &with(&|lines| lines[3] = format!("{}}}", lines[3].split(",\"chain_id\"").next().unwrap()))),
    ]);
    for (file, expected) in
        [("gap", vec!["gap 4"]), ("duplicate", vec!["duplicate 4"]), ("unchained", vec!["unchained", "gap 4"])]
    {
        assert_eq!(kinds(&logs.verify(&[file]).1), expected, "{file}");
    }
    assert!(kinds(&logs.verify(&["reordered"]).1)[0].starts_with("reordered"));
    let (status, output, _) = logs.run(&["gap"]);
    assert!(status == 1 && output.contains("no key, so no MAC was checked"), "{output}");
}

#[test]
fn a_key_is_taken_from_the_environment_too() {
    let logs = Logs::new(&[("log", &joined(&environments()[0]))]);
    for (key, status) in [(KEY, 0), (OTHER_KEY, 1), ("x", 2)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
        command.current_dir(logs.path()).env(ChainKey::VARIABLE, key).args(["verify", "log"]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
    }
}

/// The page says to the byte what a line ends in; its Python is held against lines of a guard.
#[test]
fn the_python_of_the_page_verifies_lines_and_finds_a_forged_one() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.md")).unwrap();
    let code = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let mut lines = environments()[0].clone();
    let forged = lines[4].replace("GET", "PUT");
    assert_ne!(forged, lines[4]);
    lines[4] = forged;
    let logs = Logs::new(&[("log", &joined(&lines)), ("verify.py", code)]);
    let mut command = Command::new("python3");
    let output = match command.current_dir(logs.path()).args(["verify.py", "audit.key", "log"]).output() {
        Err(error) if std::env::var_os("EGRESS_GUARD_NO_SKIPS").is_none() => {
            return eprintln!("skipped, as there is no python3: {error}");
        }
        output => output.unwrap(),
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = (0..lines.len()).map(|line| if line == 4 { "does not hold" } else { "holds" });
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>(),
        "{:?}",
        String::from_utf8(output.stderr)
    );
}

#[test]
fn what_gives_no_answer_says_why() {
    let logs = Logs::new(&[("log", "START\n"), ("short.key", "00ff"), ("log.gz", "\u{1f}not")]);
    for (arguments, expected) in [
        (["--key-file", "audit.key", "log"].as_slice(), "no audit line in what was read, of 1 lines"),
        (&["--key-file", "short.key", "log"], "short.key: no key for the audit's chain: it has 2 bytes, expected 32"),
        (&["--key-file", "none.key", "log"], "none.key: No such file"),
        (&["none.log"], "none.log"),
    ] {
        let (status, output, error) = logs.run(arguments);
        assert_eq!((status, output.as_str()), (2, ""), "{arguments:?}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

/// The line with a MAC for its place, as the page describes it.
fn sealed(line: &str) -> String {
    let step = |key: &[u8], text: &[u8]| Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize();
    let step = |key: &[u8], text: &[u8]| step(key, text).as_bytes().to_vec();
    let owners_key: Vec<u8> = (0..32).collect();
    let id = chain_id(&format!("{line}}}"));
    assert!(id.starts_with("0."));
    let mut key = step(&step(&owners_key, b"egress-guard audit chain 1"), format!("chain {id}").as_bytes());
    let place = u32::try_from(place(&format!("{line}}}"))).unwrap();
    for (level, byte) in place.to_be_bytes().into_iter().enumerate() {
        if level > 0 {
            key = step(&key, b"below");
        }
        (0..byte).for_each(|_| key = step(&key, b"next"));
    }
    let mac = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(&step(&key, line.as_bytes())[..16]);
    format!("{line},\"mac\":\"{mac}\"}}")
}

/// A line that is in no chain.
fn unchained(line: &str) -> String {
    format!("{}}}", line.split(",\"chain_id\"").next().unwrap())
}

/// What somebody does who can write to the log: without a key, or, from the moment of a takeover, with those that come.
#[derive(Clone, Debug)]
enum Attack {
    Edit {
        line: prop::sample::Index,
        at: prop::sample::Index,
        to: u8,
    },
    Delete {
        line: prop::sample::Index,
    },
    Swap {
        lines: (prop::sample::Index, prop::sample::Index),
    },
    Duplicate {
        line: prop::sample::Index,
        to: prop::sample::Index,
    },
    Insert {
        line: prop::sample::Index,
        to: prop::sample::Index,
        place: u64,
    },
    InsertUnchained {
        line: prop::sample::Index,
        to: prop::sample::Index,
    },
    InsertForeign {
        to: prop::sample::Index,
    },
    Splice {
        line: prop::sample::Index,
    },
    TearApart {
        line: prop::sample::Index,
        at: prop::sample::Index,
    },
    InsertMisspelled {
        line: prop::sample::Index,
        to: prop::sample::Index,
        spelling: Misspelling,
    },
    /// Removes all lines behind the first few, and says in one of its own that so many could not be written.
    TakeOver {
        keep: prop::sample::Index,
        lost: u64,
    },
}

/// What others than the command may still take for an audit line.
#[derive(Clone, Copy, Debug)]
enum Misspelling {
    DoubledKey,
    TextBehind,
    NestedBeginning,
    EscapedType,
    EscapedKey,
}

impl Misspelling {
    fn of(self, line: &str) -> String {
        let line = unchained(line);
        match self {
            Self::DoubledKey => line.replacen('{', "{\"event_type\":\"egress_decision\",", 1),
            Self::TextBehind => format!("{line},"),
            Self::NestedBeginning => format!("{},\"z\":{{\"timestamp\":\"x\"}}}}", line.strip_suffix('}').unwrap()),
            Self::EscapedType => line.replace("\"egress_", "\"\\u0065gress_"),
            Self::EscapedKey => line.replace("\"event_type\"", "\"\\u0065vent_type\""),
        }
    }
}

fn misspelling() -> impl Strategy<Value = Misspelling> {
    prop::sample::select(vec![
        Misspelling::DoubledKey,
        Misspelling::TextBehind,
        Misspelling::NestedBeginning,
        Misspelling::EscapedType,
        Misspelling::EscapedKey,
    ])
}

fn attack() -> impl Strategy<Value = Attack> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), index(), b' '..=b'~').prop_map(|(line, at, to)| Attack::Edit { line, at, to }),
        index().prop_map(|line| Attack::Delete { line }),
        (index(), index()).prop_map(|lines| Attack::Swap { lines }),
        (index(), index()).prop_map(|(line, to)| Attack::Duplicate { line, to }),
        (index(), index(), 1..80_u64).prop_map(|(line, to, place)| Attack::Insert { line, to, place }),
        (index(), index()).prop_map(|(line, to)| Attack::InsertUnchained { line, to }),
        index().prop_map(|to| Attack::InsertForeign { to }),
        index().prop_map(|line| Attack::Splice { line }),
        (index(), index()).prop_map(|(line, at)| Attack::TearApart { line, at }),
        (index(), index(), misspelling()).prop_map(|(line, to, spelling)| Attack::InsertMisspelled {
            line,
            to,
            spelling
        }),
        (index(), 0..80_u64).prop_map(|(keep, lost)| Attack::TakeOver { keep, lost }),
    ]
}

/// What must be found.
#[derive(Debug)]
enum Expected {
    /// This, and nothing else.
    Exactly(String),
    /// These, and nothing else.
    All(Vec<String>),
    /// Something of it, as it depends on the byte.
    Some,
    Nothing,
    /// This, and perhaps that it stands where it should not.
    Misplaced(String),
    /// It may be an order that the times explain.
    ReorderedOrNothing,
}

/// Does it, and says what must be found; `None` if it changes nothing.
fn done(attack: &Attack, lines: &mut Vec<String>, other: &[String]) -> Option<Expected> {
    let count = lines.len() as u64;
    let missing = |place: u64| match place {
        1 => Expected::Exactly("beginning 1".to_owned()),
        // The end that is cut off does not show.
        place if place == count => Expected::Nothing,
        place => Expected::Exactly(format!("gap {place}")),
    };
    // One that does not hold stands for what is missing, or comes next.
    let unheld =
        |place: u64| Expected::Exactly(format!("{} {place}", if place == count + 1 { "altered" } else { "forged" }));
    Some(match attack {
        Attack::Edit { line, at, to } => {
            let line = line.get_mut(lines);
            let at = at.index(line.len());
            let body = line.find(",\"chain_id\"").unwrap();
            let place = place(line);
            if line.as_bytes()[at] == *to {
                return None;
            }
            line.replace_range(at..=at, &char::from(*to).to_string());
            let is_seen = line.starts_with('{') && line.contains("\"egress_");
            if !is_seen {
                missing(place)
            } else if at < body {
                Expected::Exactly(format!("altered {place}"))
            } else {
                Expected::Some
            }
        }
        Attack::Delete { line } => missing(place(&lines.remove(line.index(lines.len())))),
        Attack::Swap { lines: (a, b) } => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            let (a, b) = (a.min(b), a.max(b));
            if a == b {
                return None;
            }
            lines.swap(a, b);
            // They are as they were written, so the first is now the later one.
            if time(&lines[b]) <= time(&lines[a]) {
                Expected::Exactly("reordered".to_owned())
            } else {
                Expected::ReorderedOrNothing
            }
        }
        Attack::Duplicate { line, to } => {
            let line = line.get(lines).clone();
            let place = place(&line);
            lines.insert(to.index(lines.len()), line);
            Expected::Misplaced(format!("duplicate {place}"))
        }
        Attack::Insert { line, to, place: new } => {
            let line = line.get(lines);
            let forged = line.replace(&format!("\"chain_seq\":{}", place(line)), &format!("\"chain_seq\":{new}"));
            if forged == *line {
                return None;
            }
            lines.insert(to.index(lines.len()), forged);
            unheld(*new)
        }
        Attack::InsertUnchained { line, to } => {
            let forged = unchained(&lines[line.index(lines.len())]);
            lines.insert(to.index(lines.len()), forged);
            Expected::Exactly("unchained".to_owned())
        }
        Attack::InsertForeign { to } => {
            lines.insert(to.index(lines.len()), r#"{"event_type":"egress_decision","action":"allowed"}"#.to_owned());
            Expected::Exactly("unchained".to_owned())
        }
        Attack::Splice { line } => {
            let line = line.index(lines.len());
            let place = place(&lines[line]);
            let id = chain_id(&lines[line]);
            let foreign = other.iter().find(|other| self::place(other) == place)?;
            lines[line] = foreign.replace(&chain_id(foreign), &id);
            Expected::Exactly(format!("altered {place}"))
        }
        Attack::TearApart { line, at } => {
            let line = line.index(lines.len());
            let place = place(&lines[line]);
            let at = at.index(lines[line].len() - 1);
            lines[line].truncate(at);
            let is_seen = lines[line].starts_with('{') && lines[line].contains("\"egress_");
            if place == count && is_seen { Expected::Exactly("torn".to_owned()) } else { missing(place) }
        }
        Attack::InsertMisspelled { line, to, spelling } => {
            let forged = spelling.of(&lines[line.index(lines.len())]);
            lines.insert(to.index(lines.len()), forged);
            Expected::Exactly("unchained".to_owned())
        }
        Attack::TakeOver { keep, lost } => {
            let keep = keep.index(lines.len() + 1) as u64;
            let lost = (*lost).min(count);
            let (id, last) = (chain_id(&lines[0]), lines.last()?);
            let body = last.split(",\"chain_id\"").next().unwrap();
            let said = if lost > 0 { format!(",\"chain_lost\":{lost}") } else { String::new() };
            let forged = sealed(&format!("{body},\"chain_id\":\"{id}\"{said},\"chain_seq\":{}", count + 1));
            lines.retain(|line| place(line) <= keep);
            lines.push(forged);
            let said = (lost > 0 && keep < count).then(|| format!("lost {}", (count - lost).max(keep) + 1));
            let unsaid = (count - lost > keep)
                .then(|| if keep == 0 { "beginning 1".to_owned() } else { format!("gap {}", keep + 1) });
            Expected::All(unsaid.into_iter().chain(said).collect())
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_done_to_a_log_is_found(attack in attack()) {
        let [lines, other] = environments();
        let mut attacked = lines.clone();
        let Some(expected) = done(&attack, &mut attacked, other) else { return Ok(()) };
        // The other environment's lines stand in another file.
        let logs = Logs::new(&[("a.log", &joined(&attacked)), ("b.log", &joined(other))]);
        let (status, printed) = logs.verify(&["--key-file", "audit.key", "b.log", "a.log"]);
        let found = kinds(&printed);
        let kind = |expected: &str| if expected.contains(' ') {
            found == [expected]
        } else {
            found.len() == 1 && found[0].starts_with(expected)
        };
        let is_right = match &expected {
            Expected::Exactly(expected) => kind(expected),
            Expected::Misplaced(expected) => {
                found.contains(expected) && found.iter().all(|found| found == expected || found.starts_with("reordered"))
            }
            Expected::All(expected) => found == *expected,
            Expected::Some => !found.is_empty(),
            Expected::Nothing => found.is_empty(),
            Expected::ReorderedOrNothing => found.is_empty() || kind("reordered"),
        };
        prop_assert!(is_right, "{:?}, expected {:?}, found {:?}: {:#?}", attack, expected, found, printed);
        prop_assert_eq!(status, i32::from(!found.is_empty()));
    }
}

#[test]
fn what_is_missing_excuses_no_line_that_was_made_up() {
    let [lines, _] = environments();
    let forged = |spelling: Misspelling| joined(&vec![spelling.of(&lines[7]); 3]);
    let torn = lines[7].get(..lines[7].len() - 30).unwrap();
    let cut = joined(&lines[9..]);
    for spelling in [Misspelling::DoubledKey, Misspelling::TextBehind] {
        let logs = Logs::new(&[("log", &(cut.clone() + &forged(spelling)))]);
        let (status, printed) = logs.verify(&["--key-file", "audit.key", "--partial", "log"]);
        assert_eq!((status, kinds(&printed)), (1, vec!["unchained".to_owned()]), "{spelling:?}");
    }
    let logs = Logs::new(&[("log", &format!("{torn}\n{cut}"))]);
    let (status, printed) = logs.verify(&["--key-file", "audit.key", "--partial", "log"]);
    assert_eq!((status, kinds(&printed)), (1, vec!["torn".to_owned()]));
    let logs = Logs::new(&[("log", &cut)]);
    let (status, output, _) = logs.run(&["--key-file", "audit.key", "--partial", "log"]);
    assert!(status == 0 && !output.contains("all of them up to"), "{output}");
}

#[test]
fn numbers_at_the_end_of_their_range_are_numbers() {
    let lines = lines_of_a_function(2, None);
    let line = |environment: u64, seq: u64| {
        let mut line = value(&lines[0]);
        line["environment_id"] = environment.into();
        line["seq"] = seq.into();
        format!("{line}\n")
    };
    let log = line(1, u64::MAX) + &line(2, u64::MAX) + &line(2, 0) + &line(2, u64::MAX);
    let logs = Logs::new(&[("log", &log), ("chained", &(log.clone() + &joined(&environments()[0])))]);
    let (status, printed) = logs.verify(&["log"]);
    assert_eq!(
        (status, kinds(&printed)),
        (1, ["beginning 1", "beginning 1", &format!("duplicate {}", u64::MAX)].map(str::to_owned).to_vec())
    );
    assert_eq!(kinds(&logs.verify(&["--key-file", "audit.key", "chained"]).1), ["unchained", "unchained"]);
}

#[test]
fn nothing_of_a_log_steers_a_terminal() {
    let steering = "\u{9b}2J\u{202e}\u{85}";
    let mut line = value(&environments()[0][0]);
    line["event_type"] = format!("egress_{steering}").into();
    // Without a key a line is taken for what it says.
    let log = with_link_of(&line, &environments()[0][0]);
    let logs = Logs::new(&[("log", &log), ("l\u{202e}og", &joined(&environments()[1]))]);
    for arguments in [["--json", "log", "l\u{202e}og"], ["--chains", "log", "l\u{202e}og"]] {
        let (_, output, _) = logs.run(&arguments);
        assert!(output.contains("egress_\\u"), "{output:?}");
        assert!(
            !output.chars().any(|character| character != '\n' && (character.is_control() || character == '\u{202e}')),
            "{output:?}"
        );
    }
}

/// The line without its own link, which the other's takes the place of.
fn with_link_of(line: &Value, other: &str) -> String {
    let mut line = line.clone();
    for key in ["chain_id", "chain_seq", "mac"] {
        line.as_object_mut().unwrap().remove(key);
    }
    let line = line.to_string();
    let (_, link) = other.split_once(",\"chain_id\"").unwrap();
    format!("{},\"chain_id\"{link}\n", line.strip_suffix('}').unwrap())
}

/// A session's files, for [`trycmd`].
fn sessions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/sessions.md")
}

#[test]
fn each_session_prints_what_is_written_down() {
    trycmd::TestCases::new().case(sessions());
}
