//! For code scanning: one SARIF 2.1.0 log with one run.

use std::io::{self, Write};
use std::path::{Component, Path};

use clap::ValueEnum;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::Report;
use super::super::code::{Code, Level};
use super::super::finding::{Finding, INVALID_POLICY};
use super::super::source::Source;
use crate::output::write_json;

pub(crate) fn print(output: &mut impl Write, reports: &[Report], unreadable: &[(&Path, String)]) -> io::Result<()> {
    let results =
        reports.iter().flat_map(|report| report.findings.iter().map(|finding| result(&report.source, finding)));
    let notifications = unreadable.iter().map(|(path, error)| {
        json!({
            "level": "error",
            "message": { "text": format!("the file cannot be read: {error}") },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(path) } } }],
        })
    });
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "egress-guard",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules(),
            } },
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": unreadable.is_empty(),
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "results": results.collect::<Vec<_>>(),
        }],
    });
    write_json(output, &log)
}

/// What each code means: faults first, then the codes in the order of their table.
fn rules() -> Vec<Value> {
    let fault = rule(
        INVALID_POLICY,
        Level::Fault,
        "A fault, which keeps the policy from being used",
        "A policy with a fault is not used at all, and no function starts with it.",
        "Write what the message says.",
    );
    let warning = |code: &Code| {
        let (why, cure) = code.why_and_cure();
        rule(&code.name(), code.level(), &code.summary(), why, cure)
    };
    std::iter::once(fault).chain(Code::value_variants().iter().map(warning)).collect()
}

fn rule(id: &str, level: Level, summary: &str, why: &str, cure: &str) -> Value {
    json!({
        "id": id,
        "shortDescription": { "text": summary },
        "fullDescription": { "text": why },
        "help": { "text": format!("{why} {cure}"), "markdown": format!("{why}\n\n{cure}") },
        "defaultConfiguration": { "level": sarif_level(level) },
        "properties": { "tags": ["security"] },
    })
}

fn result(source: &Source, finding: &Finding) -> Value {
    let codes = Code::value_variants();
    let index = finding.code.and_then(|code| codes.iter().position(|other| *other == code)).map_or(0, |at| at + 1);
    let related = finding.related.iter().enumerate().map(|(id, (offset, label))| {
        json!({ "id": id, "message": { "text": label }, "physicalLocation": place(source, *offset) })
    });
    json!({
        "ruleId": finding.code_name(),
        "ruleIndex": index,
        "level": sarif_level(finding.level()),
        "message": { "text": format!("{}: {}", finding.problem, finding.cure) },
        // What is about no one place is about the whole file.
        "locations": [{ "physicalLocation": place(source, finding.offset.unwrap_or(0)) }],
        "relatedLocations": related.collect::<Vec<_>>(),
    })
}

fn place(source: &Source, offset: usize) -> Value {
    let token = source.token(offset);
    let (start, end) = (source.place(token.start), source.place(token.end));
    json!({
        "artifactLocation": { "uri": uri(&source.path) },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    })
}

fn sarif_level(level: Level) -> &'static str {
    match level {
        Level::Fault => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// What may stand in a segment of a URI as it is (RFC 3986); a colon would make the first one a scheme.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path as a URI: relative as it was given, or with a scheme if it is absolute.
fn uri(path: &Path) -> String {
    let mut uri = String::new();
    for component in path.components() {
        match component {
            Component::RootDir => uri.push_str("file://"),
            Component::CurDir => continue,
            other => {
                let text = other.as_os_str().to_string_lossy();
                if path.is_absolute() || !uri.is_empty() {
                    uri.push('/');
                }
                uri.extend(utf8_percent_encode(&text, SEGMENT));
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        let cases = [
            ("policy.toml", "policy.toml"),
            ("./policies/a b.toml", "policies/a%20b.toml"),
            ("../c:d#e?.toml", "../c%3Ad%23e%3F.toml"),
            ("/opt/egress-guard/policy.toml", "file:///opt/egress-guard/policy.toml"),
            ("\u{fc}.toml", "%C3%BC.toml"),
        ];
        for (path, expected) in cases {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }
}
