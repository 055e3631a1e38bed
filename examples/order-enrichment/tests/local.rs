//! The demonstration as its user runs it, and the function that is deployed, with policies that cannot be used.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fs;
use std::process::{Command, Output};

use egress_guard_tests::may_skip;

const POLICY: &str = include_str!("../policy.toml");
const TEMPLATE: &str = include_str!("../template.yaml");

fn local(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-enrichment-local"));
    let Output { status, stdout, stderr } = command.args(arguments).envs(variables.to_vec()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

#[test]
fn the_demonstration_succeeds() {
    let (succeeded, said) = local(if may_skip() { &[] } else { &["--no-skips"] }, &[]);
    assert!(succeeded && said.contains(" 0 faults."), "{said}");
}

#[test]
fn what_is_not_installed_is_named_and_skipped() {
    let nowhere = [("EGRESS_GUARD_DYNALITE", "/nowhere/dynalite"), ("EGRESS_GUARD_MOTO", "/nowhere/moto_server")];
    let (succeeded, said) = local(&[], &nowhere);
    assert!(succeeded, "{said}");
    assert_eq!(said.matches("as it should be").count(), 1, "{said}");
    for (variable, path) in nowhere {
        assert!(said.contains(&format!("not at {path}: install it with `.ci/aws-local`")), "{said}");
        assert!(said.contains(&format!("state where it is in {variable}")), "{said}");
    }
    assert!(said.contains("7 scenarios, 6 of them skipped, 0 faults."), "{said}");
    assert!(!local(&["--no-skips"], &nowhere).0);
}

#[test]
fn a_policy_that_is_too_open_makes_it_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let file = file.to_str().unwrap();
    let another = "[[allow]]\nid = \"other\"\nhosts = ";
    let cases = [
        ("STS", "\"sts.ap-northeast-1.amazonaws.com\"", "   denied: [", false),
        ("a foreign host", "\"collect.example\"", "the stranger saw: ", true),
    ];
    for (name, host, expected, needs_all) in cases {
        fs::write(file, format!("{POLICY}\n{another}[{host}]\n")).unwrap();
        let (succeeded, said) = local(&["--policy", file], &[]);
        if needs_all && may_skip() && said.contains("skipped: ") {
            eprintln!("{name}: skipped, as in the demonstration");
            continue;
        }
        assert!(!succeeded && said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn without_a_policy_that_can_be_used_the_function_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, POLICY).unwrap();
    let (file, missing) = (file.to_str().unwrap(), folder.path().join("missing.toml"));
    let another_text = "0".repeat(64);
    let cases = [
        ("missing", vec![("EGRESS_GUARD_POLICY_FILE", missing.to_str().unwrap())], "the file cannot be read"),
        (
            "another text than the pinned one",
            vec![("EGRESS_GUARD_POLICY_FILE", file), ("EGRESS_GUARD_POLICY_SHA256", &another_text)],
            "SHA-256",
        ),
    ];
    for (name, variables, expected) in cases {
        let mut function = Command::new(env!("CARGO_BIN_EXE_order-enrichment"));
        let output = function.env_clear().envs(variables).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("the function cannot start: "), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn the_template_sets_the_variables_that_the_function_reads() {
    let names: Vec<_> = include_str!("../src/settings.rs").split("variable(\"").skip(1).collect();
    assert_eq!(names.len(), 2);
    for name in names {
        let name = name.split('"').next().unwrap();
        assert!(TEMPLATE.contains(&format!("          {name}: ")), "{name}");
    }
}
