//! `egress-guard lint` as its user runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::Value;

/// Something of everything.
const POLICY: &str = r#"version = 1
name = "orders"

[internal]
hosts = [".corp.example.com"]
networks = ["10.0.0.0/8"]

[[allow]]
id = "payments-api"
hosts = ["api.payments.example", "*.payments.example"]
methods = ["GET", "POST"]
reason = "card charges"
owner = "payments-team"
expires = 2026-01-15

[[allow]]
id = "uploads"
hosts = ["*.s3.amazonaws.com", "uploads.payments.example"]
ports = [443, "8000-9999"]
schemes = ["https", "http"]
owner = "orders-team"

[[allow]]
id = "reports"
hosts = ["reports.payments.example"]
methods = ["GET"]
reason = "monthly reports"
expires = 2026-01-15

[[deny]]
id = "no-legacy"
hosts = ["legacy.payments.example"]
mode = "report-only"
reason = "is switched off soon"
owner = "network-team"
"#;

const CLEAN: &str =
    "version = 1\nname = 'clean'\nowner = 'o'\n[[allow]]\nid = 'a'\nhosts = ['a.example.com']\nreason = 'r'\n";
const WARNED: &str = "version = 1\nname = 'warned'\n[[allow]]\nid = 'a'\nhosts = ['a.example.com']\nreason = 'r'\n";
const FAULTY: &str = "version = 1\nname = 'faulty'\nowner = 'o'\n[[allow]]\nid = 'a b'\nhosts = ['*']\nreason = 'r'\nports = [0, 443]\nschemes = ['http']\n";
const EMPTY: &str = "version = 1\nname = 'empty'\nowner = 'o'\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let files = [("policy", POLICY), ("clean", CLEAN), ("warned", WARNED), ("faulty", FAULTY), ("empty", EMPTY)];
        for (name, text) in files {
            folder.write(&format!("{name}.toml"), text);
        }
        folder
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
        command.current_dir(self.0.path()).arg("lint").args(arguments);
        if !arguments.contains(&"--today") {
            command.args(["--today", "2026-01-01"]);
        }
        for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Exit status, standard output and standard error.
    fn lint(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        said(&mut self.command(arguments))
    }

    /// What is printed of a policy that is not among the usual ones.
    fn lint_text(&self, name: &str, text: impl AsRef<[u8]>, arguments: &[&str]) -> String {
        self.write(name, text);
        self.lint(&[arguments, &[name]].concat()).1
    }
}

fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn warnings_are_shown_like_a_compilers() {
    assert_snapshot!("warnings", Folder::new().lint(&["policy.toml"]).1);
}

#[test]
fn faults_come_with_the_warnings_that_do_not_depend_on_them() {
    assert_snapshot!("faults", Folder::new().lint(&["faulty.toml", "empty.toml"]).1);
}

#[test]
fn odd_texts_are_shown_as_they_are() {
    let folder = Folder::new();
    let odd = |text: &str| WARNED.replace("reason = 'r'", text);
    let cases = [
        ("crlf", odd("").replace('\n', "\r\n").into_bytes()),
        ("tabs", odd("\treason\t=\t''\n\tports\t=\t[\t80\t]").into_bytes()),
        ("bom", format!("\u{feff}{}", odd("")).into_bytes()),
        ("wide characters", odd("reason = '\u{4f60}\u{597d}' \nports = [ 443 , 80 ] # \u{1f600}").into_bytes()),
        ("no UTF-8", [odd("# ").as_bytes(), b"caf\xe9\n"].concat()),
        ("no text at all", Vec::new()),
        ("spaces", b" \n".to_vec()),
        ("no TOML", b"version = 1\nname = p\n".to_vec()),
        ("a value over several lines", odd("owner = '''\n'''").into_bytes()),
    ];
    let shown = cases.map(|(name, text)| format!("== {name}\n{}", folder.lint_text("odd.toml", text, &[])));
    assert_snapshot!("odd", shown.concat());
}

#[test]
fn json_is_read_and_shown_too() {
    let text = "{\"version\": 1, \"name\": \"p\",\n \"allow\": [{\"id\": \"a\", \"hosts\": [\"*.github.io\"]}]}";
    let folder = Folder::new();
    let shown = folder.lint_text("policy.JSON", text, &[]);
    // Nobody reads a file that is one long line.
    let long = text.replace('\n', &" ".repeat(2000));
    assert_snapshot!("json-policy", shown + &folder.lint_text("long.json", long, &[]));
    let with_mark = folder.lint_text("mark.json", format!("\u{feff}{text}"), &[]);
    assert!(with_mark.starts_with("fault[invalid-policy]: this is not JSON"), "{with_mark}");
}

#[test]
fn a_policy_cannot_steer_the_terminal() {
    let folder = Folder::new();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{200b}";
    let texts = [
        CLEAN.replace("reason = 'r'", &format!("ports = [80] # {evil}")),
        WARNED.replace(
            "'warned'",
            &format!("\"{}\"", evil.escape_unicode().to_string().replace("\\u{", "\\U").replace('}', "")),
        ),
        CLEAN.replace("a.example.com", evil),
        CLEAN.replace(
            "hosts",
            &format!("\"{}\"", evil.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<String>()),
        ),
        CLEAN.replace(
            "'r'",
            &format!("\"{}\"", evil.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect::<String>()),
        ),
        evil.to_owned(),
    ];
    for (number, text) in texts.iter().enumerate() {
        for format in ["text", "json", "sarif"] {
            // The name of a file is text from outside too.
            let name = format!("{number}\u{1b}[2J\u{9b}.toml");
            folder.write(&name, text);
            let (status, output, error) = folder.lint(&["--format", format, &name, "missing\u{1b}[2J"]);
            let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{200b}');
            assert!(!error.contains(steers), "{format} {number}: {error:?}");
            assert!(!output.contains(steers), "{format} {number}: {output:?}");
            assert!(output.contains("invalid-policy") || output.contains("plain-http"), "{format} {number}: {output}");
            assert_eq!(status, Some(2));
        }
    }
}

#[test]
fn colours_are_for_terminals() {
    let folder = Folder::new();
    let with = |variables: &[(&str, &str)]| said(folder.command(&["warned.toml"]).envs(variables.iter().copied())).1;
    assert!(!with(&[]).contains('\u{1b}'));
    assert!(with(&[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'));
    assert!(!with(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn the_exit_status_tells_the_worst() {
    let folder = Folder::new();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["clean.toml"], 0, ""),
        (&["--deny-warnings", "clean.toml"], 0, ""),
        (&["warned.toml"], 0, ""),
        (&["--deny-warnings", "warned.toml"], 1, ""),
        (&["--deny-warnings", "--allow", "missing-owner", "warned.toml"], 0, ""),
        (&["--deny-warnings", "--allow", "missing-reason", "warned.toml"], 1, ""),
        (&["--deny-warnings", "empty.toml"], 0, ""),
        (&["faulty.toml"], 1, ""),
        (&["clean.toml", "faulty.toml", "warned.toml"], 1, ""),
        (&["clean.toml", "--deny-warnings", "--format", "json", "warned.toml"], 1, ""),
        (&["faulty.toml", "missing.toml", "clean.toml"], 2, "missing.toml cannot be read"),
        (&["--format", "sarif", "missing.toml"], 2, "missing.toml cannot be read"),
        (&["."], 2, ". cannot be read"),
        (&[], 2, "FILE"),
        (&["--allow", "shard-suffix", "clean.toml"], 2, "a similar value exists: 'shared-suffix'"),
        (&["--allow", "invalid-policy", "faulty.toml"], 2, "possible values"),
        (&["--today", "tomorrow", "clean.toml"], 2, "write a day as in 2027-03-31"),
        (&["--today", "2026-01-01T12:00", "clean.toml"], 2, "write a day"),
        (&["--soon", "many", "clean.toml"], 2, "--soon"),
        (&["--format", "xml", "clean.toml"], 2, "sarif"),
    ];
    for (arguments, expected, said) in cases {
        let (status, output, error) = folder.lint(arguments);
        assert_eq!(status, Some(*expected), "{arguments:?}: {output}{error}");
        assert!(error.contains(said) && said.is_empty() == error.is_empty(), "{arguments:?}: {error}");
    }
}

#[test]
fn several_files_have_one_summary() {
    let folder = Folder::new();
    let last = |arguments: &[&str]| folder.lint(arguments).1.lines().last().unwrap().to_owned();
    assert_eq!(last(&["clean.toml"]), "1 file: no faults, no warnings");
    assert_eq!(
        last(&["clean.toml", "warned.toml", "faulty.toml", "empty.toml"]),
        "4 files: 3 faults, 2 warnings, 1 note"
    );
    let allowed = last(&["--allow", "missing-owner", "--allow", "empty-policy", "warned.toml", "empty.toml"]);
    assert_eq!(allowed, "2 files: no faults, no warnings, and 2 more that --allow leaves out");
    assert_eq!(last(&["missing.toml", "warned.toml"]), "1 file: no faults, 1 warning");
}

#[test]
fn days_are_counted_from_today() {
    let folder = Folder::new();
    folder.write("ends.toml", CLEAN.to_owned() + "expires = 2026-01-20\n");
    let codes = |today: &str, soon: &str| {
        let output = folder.lint(&["--format", "json", "--today", today, "--soon", soon, "ends.toml"]).1;
        let code = |line: &str| serde_json::from_str::<Value>(line).unwrap()["code"].as_str().unwrap().to_owned();
        output.lines().map(code).collect::<Vec<_>>()
    };
    assert_eq!(codes("2026-01-01", "30"), ["expires-soon"]);
    assert_eq!(codes("2026-01-01", "7"), Vec::<String>::new());
    assert_eq!(codes("2026-01-20", "7"), ["expired-rule"]);
    // Without the option it is the clock's day.
    let mut now = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    let now = said(now.current_dir(folder.0.path()).args(["lint", "ends.toml"])).1;
    assert!(now.contains("expired-rule"), "{now}");
}

#[test]
fn json_lines_say_all_that_the_text_does() {
    let folder = Folder::new();
    folder.write(
        "crlf.toml",
        "version = 1\r\nname = 'p' # \u{e9}\r\n[[deny]]\r\nid = 'd'\r\nhosts = [\"\u{e9}.example\", '*']\r\n",
    );
    assert_snapshot!("json-lines", folder.lint(&["--format", "json", "policy.toml", "crlf.toml", "empty.toml"]).1);
    let text = std::fs::read_to_string(folder.0.path().join("policy.toml")).unwrap();
    for line in folder.lint(&["--format", "json", "policy.toml"]).1.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| usize::try_from(line[key].as_u64().unwrap()).unwrap();
        let value = text.get(number("byte")..number("end_byte"));
        let shown = text.lines().nth(number("line") - 1).unwrap();
        assert_eq!(shown.get(number("column") - 1..number("end_column") - 1), value, "{line}");
    }
}

fn sarif(folder: &Folder, files: &[&str]) -> Value {
    let (_, output, _) = folder.lint(&[&["--format", "sarif"], files].concat());
    let log: Value = serde_json::from_str(&output).unwrap();
    let mut schema: Value = serde_json::from_str(include_str!("../../tests/data/sarif-schema-2.1.0.json")).unwrap();
    // The pattern for languages, which are not used here, has a bracket too many.
    for object in ["run", "toolComponent"] {
        let language = schema["definitions"][object]["properties"]["language"].as_object_mut().unwrap();
        assert!(language.remove("pattern").is_some());
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&log).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    log
}

#[test]
fn sarif_is_valid_and_complete() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.path().join("some policies")).unwrap();
    folder.write("some policies/faulty.toml", FAULTY);
    folder.write("nothing.toml", "");
    let log =
        sarif(&folder, &["policy.toml", "some policies/faulty.toml", "nothing.toml", "empty.toml", "missing.toml"]);
    assert_snapshot!(
        "sarif",
        serde_json::to_string_pretty(&log).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
    );

    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        // What code scanning needs to show a result: its rule with help, and a place in a file of the repository.
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["text"].as_str().is_some_and(|text| text.len() > 20), "{rule}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with(".toml"), "{place}");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1, "{place}");
    }
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert!(run["results"].to_string().contains("some%20policies/faulty.toml"));

    let clean = sarif(&folder, &["clean.toml"]);
    assert_eq!(clean["runs"][0]["results"], Value::Array(Vec::new()));
    assert_eq!(clean["runs"][0]["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn a_reader_that_stops_reading_is_no_fault() {
    let folder = Folder::new();
    let hosts: String = (0..10_000).map(|number| format!("'*.h{number}.github.io', '*.github.io',\n")).collect();
    folder.write("long.toml", CLEAN.replace("'a.example.com'", &hosts));
    let mut command = folder.command(&["--deny-warnings", "--format", "json", "long.toml"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

/// The documentation has the same codes in the same order, with the same reasons and cures.
#[test]
fn the_page_explains_each_code() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md")).unwrap();
    let log = sarif(&Folder::new(), &["clean.toml"]);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    let row = |rule: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (summary, why) = (text(&rule["shortDescription"]["text"]), text(&rule["fullDescription"]["text"]));
        let cure = text(&rule["help"]["text"]).strip_prefix(&why).unwrap().trim().to_owned();
        format!("| `{}` | {summary} | {why} | {cure} |", text(&rule["id"]))
    };
    let expected: Vec<String> = rules.iter().map(row).collect();
    let table = page.lines().skip_while(|line| !line.starts_with("| code |")).skip(2);
    let found: Vec<&str> = table.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(found, expected, "the table is:\n{}", expected.join("\n"));
}
