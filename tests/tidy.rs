//! The rules of the house that no compiler keeps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room uses only rooms before it.
const ROOMS: &[&str] = &["destination", "policy", "decision", "denied", "source", "audit", "guard", "live", "enforce"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file: without its tests, comments and documentation.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//") && !line.trim().is_empty();
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// The rooms that a piece of code names after `crate::`, in paths and in nested imports.
fn rooms_used(code: &str) -> BTreeSet<&str> {
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        assert!(!rest.starts_with('{'), "write one `use crate::room` for each room");
        rooms.insert(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
    }
    rooms
}

#[test]
fn rooms_use_only_the_rooms_before_them() {
    let source = root().join("egress-guard/src");
    for path in rust_files(&source) {
        let within = path.strip_prefix(&source).unwrap();
        let room = within.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if room == "lib" {
            continue;
        }
        let place = ROOMS.iter().position(|known| *known == room);
        let place = place.unwrap_or_else(|| panic!("{} is in no room of {ROOMS:?}", within.display()));
        // `super` can leave a room too, one step more than the file lies deep in it.
        let depth = within.components().count() - usize::from(path.file_name().is_some_and(|name| name == "mod.rs"));
        assert!(!code(&path).contains(&"super::".repeat(depth)), "{} leaves its room by `super`", within.display());
        for used in rooms_used(&code(&path)) {
            let used_place = ROOMS.iter().position(|known| *known == used);
            assert!(
                used_place.is_some_and(|used_place| used_place <= place),
                "{} uses crate::{used}, which does not stand before {room} in {ROOMS:?}",
                within.display()
            );
        }
    }
}

#[test]
fn the_pure_rooms_know_no_clock_and_no_executor() {
    for room in &ROOMS[..4] {
        let source = root().join("egress-guard/src");
        let mut files = vec![source.join(format!("{room}.rs"))];
        files.retain(|file| file.exists());
        if source.join(room).is_dir() {
            files.extend(rust_files(&source.join(room)));
        }
        assert!(!files.is_empty());
        for file in files {
            for forbidden in ["::now(", "Instant", "tokio", "async ", "std::net::Tcp", "std::env", "std::fs"] {
                assert!(!code(&file).contains(forbidden), "{} uses {forbidden}", file.display());
            }
        }
    }
}

#[test]
fn no_file_of_the_library_is_long() {
    for path in rust_files(&root().join("egress-guard/src")) {
        let lines = code(&path).lines().count();
        assert!(lines <= 350, "{} has {lines} lines of code: is it one thing?", path.display());
    }
}

/// A file in `tests/` that no `[[test]]` names would never run.
#[test]
fn every_test_file_is_run() {
    let manifest = fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".rs") {
            assert!(manifest.contains(&format!("path = \"{name}\"")), "{name} is named by no [[test]]");
        }
    }
}

/// The codes of reasons stand in the source, in the schema and in the documentation: three times the same.
#[test]
fn reasons_are_the_same_in_code_schema_and_documentation() {
    let source = fs::read_to_string(root().join("egress-guard/src/decision/reason.rs")).unwrap();
    let body = source.split("pub const fn as_str").nth(1).unwrap().split("\n    }").next().unwrap();
    let in_code: BTreeSet<String> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(in_code.len() > 15);
    let listed: BTreeSet<String> = egress_guard::Reason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!((&listed, listed.len()), (&in_code, egress_guard::Reason::ALL.len()));

    let schema: serde_json::Value = serde_json::from_str(egress_guard::AUDIT_SCHEMA).unwrap();
    let listed = schema["properties"]["reason"]["enum"].as_array().unwrap();
    let in_schema: BTreeSet<String> = listed.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(in_code, in_schema);

    let page = fs::read_to_string(root().join("docs/audit.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let in_page: BTreeSet<String> = rows.map(str::to_owned).collect();
    let missing: Vec<_> = in_code.difference(&in_page).collect();
    assert!(missing.is_empty(), "docs/audit.md does not explain {missing:?}");
}

/// What a sink adds to a record.
const OF_THE_SINK: &[&str] = &["_aws", "chain_id", "chain_lost", "chain_seq", "mac"];

/// Each key of a record stands in the schema, and the other way round.
#[test]
fn the_schema_has_the_keys_of_a_record() {
    let source = fs::read_to_string(root().join("egress-guard/src/audit/record.rs")).unwrap();
    let record = source.split("pub struct AuditRecord").nth(1).unwrap().split("\n}").next().unwrap();
    let fields = record.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    let keys = fields.clone().map(|field| if field == "request_id" { "requestId" } else { field });
    let schema: serde_json::Value = serde_json::from_str(egress_guard::AUDIT_SCHEMA).unwrap();
    let in_schema: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.chain(OF_THE_SINK.iter().copied()).collect::<BTreeSet<_>>(), in_schema);

    let tracing = fs::read_to_string(root().join("egress-guard/src/audit/tracing.rs")).unwrap();
    let missing: Vec<_> = fields.filter(|field| !tracing.contains(&format!("record.{field}"))).collect();
    assert_eq!(missing, ["timestamp"], "the subscriber has a clock of its own");
}

/// Each key that the reader of a policy knows stands in the schema, and the other way round.
#[test]
fn the_schema_has_the_keys_of_a_policy() {
    let source = fs::read_to_string(root().join("egress-guard/src/policy/document.rs")).unwrap();
    let keys = |list: &str| -> BTreeSet<String> {
        let list = source.split(&format!("const {list}: &[&str] =")).nth(1).unwrap();
        let keys = list.split(']').next().unwrap();
        keys.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let schema: serde_json::Value = serde_json::from_str(egress_guard::POLICY_SCHEMA).unwrap();
    let in_schema = |tables: &[&str]| -> BTreeSet<String> {
        let properties = tables.iter().map(|table| schema.pointer(table).unwrap()["properties"].as_object().unwrap());
        properties.flat_map(serde_json::Map::keys).cloned().collect()
    };
    assert_eq!(keys("POLICY_KEYS"), in_schema(&[""]));
    assert_eq!(keys("INTERNAL_KEYS"), in_schema(&["/properties/internal"]));
    assert_eq!(keys("RULE_KEYS"), in_schema(&["/definitions/allow_rule", "/definitions/deny_rule"]));
}

/// An editor shows what a key means.
#[test]
fn every_key_of_a_policy_is_described_in_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(egress_guard::POLICY_SCHEMA).unwrap();
    for table in ["", "/properties/internal", "/definitions/allow_rule", "/definitions/deny_rule"] {
        for (key, value) in schema.pointer(table).unwrap()["properties"].as_object().unwrap() {
            let described = match value["$ref"].as_str() {
                Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
                None => value,
            };
            assert!(described["description"].as_str().is_some_and(|text| text.len() > 20), "{table}/properties/{key}");
        }
    }
}

/// The Rust version that the workspace states is enough for everything it depends on.
#[test]
fn no_dependency_needs_a_newer_rust_than_is_stated() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    // `1.88` and `1.88.0` are the same.
    let version = |package: &serde_json::Value| -> Option<Vec<u32>> {
        let text = package["rust_version"].as_str()?;
        Some(text.split('.').map(|part| part.parse().unwrap()).take(2).collect())
    };
    let stated = packages.iter().find(|package| package["name"] == "egress-guard").and_then(version).unwrap();
    let newer: Vec<_> =
        packages.iter().filter(|package| version(package).is_some_and(|needed| needed > stated)).collect();
    assert!(newer.is_empty(), "{:?}", newer.iter().map(|package| &package["name"]).collect::<Vec<_>>());
}
