//! What the command prints about itself, held against the programs that read it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_egress-guard")).args(arguments).output().unwrap();
    let Output { status, stdout, stderr } = output;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The names below `Commands:` in `--help`.
fn subcommands() -> Vec<String> {
    let (_, help, _) = run(&["-h"]);
    let listed = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let names: Vec<String> = listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(names.len() > 4, "{help}");
    names
}

#[test]
fn the_schemas_are_the_files() {
    let report = include_str!("../schema/report.schema.json");
    let schemas = [("policy", egress_guard::POLICY_SCHEMA), ("audit", egress_guard::AUDIT_SCHEMA), ("report", report)];
    for (of, schema) in schemas {
        assert_eq!(run(&["schema", of]), (Some(0), schema.to_owned(), String::new()));
    }
}

#[test]
fn wrong_arguments_exit_with_2_and_say_which() {
    let cases: &[(&[&str], &str)] = &[
        (&["schema"], "<OF>"),
        (&["schema", "lambda"], "policy, audit"),
        (&["completions"], "<SHELL>"),
        (&["completions", "cmd"], "bash"),
        (&["man", "--output"], "--output"),
        (&["man", "--output", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "Cargo.toml"),
    ];
    for (arguments, said) in cases {
        let (status, output, error) = run(arguments);
        assert_eq!((status, output.as_str()), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_fault() {
    for arguments in [&["schema", "policy"], &["completions", "zsh"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn bash_completes_every_subcommand() {
    let (_, script, _) = run(&["completions", "bash"]);
    let bash = |program: &str| {
        let mut bash = Command::new("bash");
        let mut child =
            bash.args(["--norc", "-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{program}");
        String::from_utf8(output.stdout).unwrap()
    };
    bash("bash -n");
    for name in subcommands() {
        let (typed, _) = name.split_at(2);
        // As bash does when Tab is pressed behind `egress-guard`, a space and the first letters.
        let ask = format!(
            "source /dev/stdin; spec=$(complete -p egress-guard); function=${{spec#*-F }}; \
             COMP_WORDS=(egress-guard {typed}); COMP_CWORD=1; ${{function%% *}} egress-guard {typed} egress-guard; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = bash(&ask);
        assert!(offered.lines().any(|offer| offer == name), "{name}: {offered}");
    }
}

#[test]
fn manual_pages_are_taken_by_what_shows_them() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    assert_eq!(run(&["man", "--output", pages.to_str().unwrap()]), (Some(0), String::new(), String::new()));
    let main = std::fs::read_to_string(pages.join("egress-guard.1")).unwrap();
    assert_eq!(run(&["man"]), (Some(0), main, String::new()));

    let mut names: Vec<String> = subcommands().into_iter().filter(|name| name != "help").collect();
    names.iter_mut().for_each(|name| name.insert_str(0, "egress-guard-"));
    let programs: [(&str, &[&str]); 2] =
        [("mandoc", &["-W", "error", "-T", "ascii"]), ("groff", &["-K", "utf8", "-man", "-ww", "-T", "ascii", "-P-c"])];
    for name in names.into_iter().chain(["egress-guard".to_owned()]) {
        let page = pages.join(format!("{name}.1"));
        assert!(page.exists(), "{name}");
        for (program, arguments) in programs {
            // A machine may have neither; the structure is tested beside the code.
            let Ok(output) = Command::new(program).args(arguments).arg(&page).output() else { continue };
            assert!(output.status.success() && output.stderr.is_empty(), "{program} {name}: {output:?}");
            let text = without_overstrikes(&String::from_utf8(output.stdout).unwrap());
            for said in [format!("{name}(1)").as_str(), "EXIT STATUS", "EXAMPLES\n", "  egress-guard "] {
                assert!(text.contains(said), "{program} {name}: {said} is not in\n{text}");
            }
        }
    }
}

/// Terminals of old showed bold letters as a letter, a step back, and the letter again.
fn without_overstrikes(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        match character {
            '\u{8}' => _ = shown.pop(),
            other => shown.push(other),
        }
    }
    shown
}
