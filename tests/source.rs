//! Where a policy comes from, and that nothing is used in its stead when something is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use egress_guard::{Policy, PolicyError, PolicySource};

const POLICY: &str = include_str!("data/signed/policy.toml");
/// By minisign 0.11, with the key of `owner.pub`.
const SIGNATURE: &str = include_str!("data/signed/policy.toml.minisig");
const OWNER: &str = "RWSEUKnu6cTNwIj1aw13MXB4ZgblJuubFciFpIwasaZjSoXnFtiEe7y6";
const SHA256: &str = "d1531c00df349ad8d206076c6e3f48fcd68f49d282faec22b79ab9899ae806de";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/signed").join(name)
}

/// The name and hash of the policy, or what is wrong.
fn told(loaded: Result<Policy, PolicyError>) -> String {
    match loaded {
        Ok(policy) => format!("{} {}", policy.name(), policy.sha256().unwrap_or_default()),
        Err(error) => error.to_string(),
    }
}

struct Case {
    name: &'static str,
    source: PolicySource,
    expected: &'static str,
}

const TAKEN: &str = "signed d1531c00df349ad8d206076c6e3f48fcd68f49d282faec22b79ab9899ae806de";

#[test]
fn a_policy_is_used_only_if_it_is_the_pinned_and_signed_one() {
    let text = || PolicySource::text("the text", POLICY);
    let signed = |text: &str, signature: &str| PolicySource::signed_text("the text", text, signature);
    let changed = POLICY.replace("api.", "evil.");
    let other = include_str!("data/signed/other.minisig");
    let legacy = include_str!("data/signed/legacy.minisig");
    let forged = SIGNATURE.replace("policy of the tests", "policy of the year");
    let cases = [
        Case { name: "no requirement", source: text(), expected: TAKEN },
        Case { name: "its hash", source: text().sha256(SHA256), expected: TAKEN },
        Case { name: "in upper case", source: text().sha256(SHA256.to_uppercase()), expected: TAKEN },
        Case {
            name: "another hash",
            source: text().sha256("0".repeat(64)),
            expected: "the policy the text cannot be used, 1 fault\n  its SHA-256 is d1531c00df349ad8d206076c6e3f48fcd68f49d2\
                       82faec22b79ab9899ae806de, and the hash given in code asks for 00000000000000000000000000000000000000\
                       00000000000000000000000000: put back the policy that was approved, or approve this one by its hash",
        },
        Case {
            name: "no hash at all",
            source: text().sha256("latest"),
            expected: "the hash given in code is \"latest\", which is no SHA-256: \
                       write the 64 hexadecimal digits that `sha256sum` prints for the policy",
        },
        Case {
            name: "an empty pin",
            source: text().sha256(""),
            expected: "the hash given in code is \"\", which is no SHA-256",
        },
        Case {
            name: "two pins, one wrong",
            source: text().sha256(SHA256).sha256("1".repeat(64)),
            expected: "asks for 1111",
        },
        Case { name: "signed", source: signed(POLICY, SIGNATURE).signed_by(OWNER), expected: TAKEN },
        Case {
            name: "by the key as a file",
            source: signed(POLICY, SIGNATURE).signed_by(include_str!("data/signed/owner.pub")),
            expected: TAKEN,
        },
        Case {
            name: "not signed",
            source: text().signed_by(OWNER),
            expected: "the policy must be signed, and no signature is given: \
                       give its .minisig file, with `PolicySource::signed_text`",
        },
        Case {
            name: "changed after it was signed",
            source: signed(&changed, SIGNATURE).signed_by(OWNER),
            expected: "its signature does not fit the text: ",
        },
        Case {
            name: "signed by somebody else",
            source: signed(POLICY, other).signed_by(OWNER),
            expected: "it is signed by another key: sign it with the key whose public half the function has",
        },
        Case {
            name: "signed for one of two owners",
            source: signed(POLICY, other).signed_by(OWNER).signed_by(OWNER),
            expected: "it is signed by another key",
        },
        Case {
            name: "a forged comment",
            source: signed(POLICY, &forged).signed_by(OWNER),
            expected: "its signature does not fit the text: ",
        },
        Case {
            name: "the legacy kind",
            source: signed(POLICY, legacy).signed_by(OWNER),
            expected: "its signature is of the legacy kind: sign it anew with minisign 0.11 or later, without -l",
        },
        Case {
            name: "half a signature",
            source: signed(POLICY, SIGNATURE.lines().next().unwrap()).signed_by(OWNER),
            expected: "its signature cannot be read: ",
        },
        Case {
            name: "no key",
            source: signed(POLICY, SIGNATURE).signed_by(""),
            expected: "the public key given in code is none: ",
        },
        Case {
            name: "faults of the text",
            source: PolicySource::text("the text", "version = 1\nname = 'p'\nhosts = []\n"),
            expected: "the policy the text cannot be used, 1 fault\n  line 3, column 1: `hosts` is no key of a policy",
        },
    ];
    for Case { name, source, expected } in cases {
        let told = told(source.load());
        assert!(told.contains(expected), "{name}: {told}");
    }
}

#[test]
fn the_signature_of_a_file_stands_beside_it() {
    assert_eq!(told(PolicySource::file(data("policy.toml")).signed_by(OWNER).load()), TAKEN);

    let folder = tempfile::tempdir().unwrap();
    let unsigned = folder.path().join("policy.toml");
    std::fs::write(&unsigned, POLICY).unwrap();
    let told = told(PolicySource::file(&unsigned).signed_by(OWNER).load());
    assert!(told.contains(&format!("the policy must be signed, and {}.minisig cannot be read: ", unsigned.display())));
    assert!(told.ends_with("sign it with `minisign -Sm`, and ship the .minisig file beside it"), "{told}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"version = 1\nname = 'p'\n# caf\xe9\n").unwrap();
    let cases = [
        (folder.path().join("missing.toml"), "the file cannot be read: No such file"),
        (folder.path().to_owned(), "the file cannot be read: Is a directory"),
        (latin, "the text is not UTF-8: invalid utf-8 sequence of 1 bytes from index 28: save it as UTF-8"),
    ];
    for (path, expected) in cases {
        let told = told(Policy::from_file(&path));
        assert!(told.starts_with(&format!("the policy {} cannot be used, 1 fault\n", path.display())), "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

/// Run by the next tests, in a process with an environment of its own.
#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn a_process_that_reads_its_policy() {
    let signed = std::env::var_os("TEST_SIGNED").is_some();
    let read = |source: PolicySource| if signed { source.signed_by(OWNER).load() } else { source.load() };
    println!("<{}>", told(read(PolicySource::from_env())));
    println!("<{}>", told(read(PolicySource::baseline_from_env())));
}

type Variables<'a> = &'a [(&'a str, &'a str)];

/// What `from_env` and `baseline_from_env` say in a process with these variables.
fn in_environment(variables: Variables<'_>) -> [String; 2] {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "a_process_that_reads_its_policy"])
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut told = output.split('<').skip(1).map(|text| text.split('>').next().unwrap().to_owned());
    [told.next().unwrap(), told.next().unwrap()]
}

#[test]
fn the_environment_names_the_policy() {
    let json = r#"{"version": 1, "name": "json"}"#;
    let file = data("policy.toml");
    let file = file.to_str().unwrap();
    let zeros = "0".repeat(64);
    let cases: &[(&str, Variables<'_>, &str)] = &[
        (
            "nothing",
            &[],
            "the policy /opt/egress-guard/policy.toml (neither EGRESS_GUARD_POLICY nor EGRESS_GUARD_POLICY_FILE is set) \
             cannot be used, 1 fault\n  the file cannot be read: No such file",
        ),
        ("a text", &[("EGRESS_GUARD_POLICY", POLICY)], TAKEN),
        ("a text in JSON", &[("EGRESS_GUARD_POLICY", json)], "json "),
        ("a file", &[("EGRESS_GUARD_POLICY_FILE", file)], TAKEN),
        ("a text before a file", &[("EGRESS_GUARD_POLICY", json), ("EGRESS_GUARD_POLICY_FILE", file)], "json "),
        (
            "an empty text before a file",
            &[("EGRESS_GUARD_POLICY", ""), ("EGRESS_GUARD_POLICY_FILE", file)],
            "the policy EGRESS_GUARD_POLICY cannot be used, 1 fault\n  the policy is empty",
        ),
        (
            "an empty path",
            &[("EGRESS_GUARD_POLICY_FILE", "")],
            "the policy EGRESS_GUARD_POLICY_FILE cannot be used, 1 fault\n  the variable is set and empty",
        ),
        (
            "a broken text before a file",
            &[("EGRESS_GUARD_POLICY", "version = 2"), ("EGRESS_GUARD_POLICY_FILE", file)],
            "the policy EGRESS_GUARD_POLICY cannot be used, 2 faults\n",
        ),
        (
            "a missing file",
            &[("EGRESS_GUARD_POLICY_FILE", "/nowhere/policy.toml")],
            "the policy /nowhere/policy.toml (from EGRESS_GUARD_POLICY_FILE) cannot be used, 1 fault\n",
        ),
        ("pinned", &[("EGRESS_GUARD_POLICY", POLICY), ("EGRESS_GUARD_POLICY_SHA256", SHA256)], TAKEN),
        (
            "pinned to another",
            &[("EGRESS_GUARD_POLICY_FILE", file), ("EGRESS_GUARD_POLICY_SHA256", &zeros)],
            "and EGRESS_GUARD_POLICY_SHA256 asks for 0000",
        ),
        (
            "an empty pin",
            &[("EGRESS_GUARD_POLICY", POLICY), ("EGRESS_GUARD_POLICY_SHA256", "")],
            "EGRESS_GUARD_POLICY_SHA256 is \"\", which is no SHA-256",
        ),
        (
            "signed in the environment",
            &[("EGRESS_GUARD_POLICY", POLICY), ("EGRESS_GUARD_POLICY_SIGNATURE", SIGNATURE), ("TEST_SIGNED", "1")],
            TAKEN,
        ),
        ("signed beside the file", &[("EGRESS_GUARD_POLICY_FILE", file), ("TEST_SIGNED", "1")], TAKEN),
        (
            "unsigned in the environment",
            &[("EGRESS_GUARD_POLICY", POLICY), ("TEST_SIGNED", "1")],
            "set EGRESS_GUARD_POLICY_SIGNATURE to the content of the .minisig file",
        ),
    ];
    for (name, variables, expected) in cases {
        let [function, _] = in_environment(variables);
        assert!(function.contains(expected), "{name}: {function}");
        let of_the_baseline: Vec<(String, &str)> = variables
            .iter()
            .map(|(variable, value)| (variable.replace("GUARD_POLICY", "GUARD_BASELINE"), *value))
            .collect();
        let variables: Vec<(&str, &str)> =
            of_the_baseline.iter().map(|(variable, value)| (variable.as_str(), *value)).collect();
        let [_, baseline] = in_environment(&variables);
        let expected =
            expected.replace("GUARD_POLICY", "GUARD_BASELINE").replace("guard/policy.toml", "guard/baseline.toml");
        assert!(baseline.contains(&expected), "{name}: {baseline}");
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "a_process_that_reads_its_policy"])
        .env_clear()
        .env("EGRESS_GUARD_POLICY", std::ffi::OsStr::from_bytes(b"name = '\xff'"))
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(output.contains("the variable is not UTF-8: set it to text, or remove it"), "{output}");
}
