//! What a bad policy is told: the place of each fault, what is wrong there, and what to write instead.
//!
//! In each text `▸` marks the places where its faults must stand; it is taken out before the text is read. The messages
//! stand in `snapshots/`, beneath the texts. `INSTA_UPDATE=always cargo test -p egress-guard-tests --test faults` writes
//! them anew, for a review of what changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fmt::Write;

use egress_guard::draft::PolicyDraft;
use egress_guard::{Policy, PolicyBuilder, PolicyError, PolicyFault, Rule};

const MARK: char = '▸';

type Read = fn(&str) -> Result<Policy, PolicyError>;

/// A text and what is said about it, for each case; every fault must stand at a mark, and every mark at a fault.
fn report<T: AsRef<str>>(read: Read, cases: &[(&str, T)]) -> String {
    let (mut report, mut misplaced) = (String::new(), String::new());
    for (name, marked) in cases {
        let marked = marked.as_ref();
        let error = read(&marked.replace(MARK, "")).err().unwrap_or_else(|| panic!("{name}: there is no fault"));
        let mut places: Vec<_> = error.faults().iter().map(|fault| fault.line().zip(fault.column())).collect();
        places.dedup();
        let expected: Vec<_> = if marked.contains(MARK) { marks(marked) } else { vec![None] };
        if places != expected {
            let _ = writeln!(misplaced, "{name}: marked are {expected:?}\n{error}\n");
        }
        error.faults().iter().for_each(|fault| assert_can_be_read(name, fault));
        let _ = writeln!(report, "=== {name}\n\n{}\n\n{}", shown(marked).trim_end_matches('\n'), lines(&error));
    }
    assert!(misplaced.is_empty(), "not where the marks are:\n{misplaced}");
    report
}

fn lines(error: &PolicyError) -> String {
    error.faults().iter().map(|fault| format!("{fault}\n")).collect()
}

/// Line and column of each mark, counted as an editor does.
fn marks(marked: &str) -> Vec<Option<(usize, usize)>> {
    let place = |(offset, _): (usize, &str)| {
        let (before, _) = marked.split_at(offset);
        let line = before.rsplit('\n').next().unwrap();
        let characters = line.chars().filter(|character| ![MARK, '\u{feff}'].contains(character)).count();
        Some((before.matches('\n').count() + 1, characters + 1))
    };
    marked.match_indices(MARK).map(place).collect()
}

fn assert_can_be_read(name: &str, fault: &PolicyFault) {
    let said = fault.to_string();
    for part in [fault.problem(), fault.cure()] {
        assert!(!part.trim().is_empty(), "{name}: {said}");
    }
    assert!(!said.contains(char::is_control), "{name}: not one line, or no plain text: {said:?}");
    assert!(said.chars().count() < 900, "{name}: too long: {said}");
}

/// With what cannot be seen made visible.
fn shown(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '\n' => "\n".to_owned(),
        '\u{feff}' | '\u{202e}' => character.escape_unicode().to_string(),
        other if other.is_control() => other.escape_debug().to_string(),
        other => other.to_string(),
    });
    let text: String = escaped.collect();
    let end = text.chars().count();
    if end < 2000 { text } else { format!("{}... and so on", text.chars().take(100).collect::<String>()) }
}

/// A policy with one allow rule, beginning at line 3; the keys begin at line 6.
fn rule(keys: &str) -> String {
    format!("version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ['a.example']\n{keys}\n")
}

/// The same, without a host.
fn bare(keys: &str) -> String {
    format!("version = 1\nname = 'p'\n[[allow]]\nid = 'a'\n{keys}\n")
}

fn deny(keys: &str) -> String {
    format!("version = 1\nname = 'p'\n[[deny]]\nid = 'd'\n{keys}\n")
}

fn json(keys: &str) -> String {
    format!("{{\n  \"version\": 1,\n  \"name\": \"p\",\n  {keys}\n}}")
}

fn json_rule(keys: &str) -> String {
    json(&format!("\"allow\": [{{\"id\": \"a\", \"hosts\": [\"a.example\"],\n    {keys}}}]"))
}

macro_rules! assert_report {
    ($report:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($report) })
    };
}

#[test]
fn texts_that_are_no_toml() {
    let cases = [
        ("an empty text", String::new()),
        ("blank lines", "\n  \n\t\n".to_owned()),
        ("a string without quotes", "version = 1\nname = ▸orders\n".to_owned()),
        ("hosts without quotes", bare("hosts = [▸api.example.com]")),
        ("a network without quotes", bare("networks = [▸10.0.0.0/8]")),
        ("a range of ports without quotes", rule("ports = [▸8000-8099]")),
        (
            "words that begin like values",
            bare("hosts = [▸true.example, ▸inf.example]\nreason = ▸internal\nowner = 1▸team"),
        ),
        ("quotes of a word processor", "version = 1\nname = ▸“orders”\n".to_owned()),
        ("a string without its end", "version = 1\nname = 'orders▸\n".to_owned()),
        ("two words without the end of a string", "version = 1\nname = 'p'\nowner = 'payments team▸\n".to_owned()),
        ("two kinds of quotes", "version = 1\nname = \"orders'▸\n".to_owned()),
        ("a backslash", "version = 1\nname = \"a\\▸d\"\n".to_owned()),
        ("a key without a value", "version = 1\nname =▸\n".to_owned()),
        ("a key alone", "version = 1\nname▸\n".to_owned()),
        ("YAML", "version▸: ▸1\nname: ▸p\n".to_owned()),
        ("JSON", "  ▸{\"version\": 1}".to_owned()),
        ("a comment of another language", "version = ▸1 // the first\nname = 'p'\n".to_owned()),
        ("a comment over several lines", "version = 1\nname = 'p'\n▸/* ▸it */\n".to_owned()),
        ("commas between keys", "version = 1▸,\nname = 'p'▸,\n".to_owned()),
        ("a list without a comma", bare("hosts = ['a.example' ▸'b.example']")),
        ("a list with a comma too many", bare("hosts = ['a.example',▸, 'b.example']")),
        ("a list that is one of another language", bare("hosts = ▸('a.example')")),
        ("an equals sign too many", "version = 1\nname = ▸= ▸'p'\n".to_owned()),
        ("no key", "▸= 1\n".to_owned()),
        ("an escape that is no character", "version = 1\nname = \"a\\u12▸\"\n".to_owned()),
        ("a number with letters", rule("ports = [▸44x, 0x1b▸z]")),
        ("a list without its end", bare("hosts = ['a.example'▸")),
        ("a list with two ends", bare("hosts = ['a.example']▸]")),
        ("a heading without its end", "version = 1\nname = 'p'\n[[allow]▸\nid = 'a'\n".to_owned()),
        ("a heading with an end too many", "version = 1\nname = 'p'\n[internal]▸]\n".to_owned()),
        ("a key twice", "version = 1\nname = 'p'\n▸name = 'q'\n".to_owned()),
        ("a table twice", "version = 1\nname = 'p'\n[internal]\nhosts = []\n[▸internal]\n".to_owned()),
        ("a rule with single brackets, and one with double", bare("hosts = ['a.example']\n[▸allow]\nid = 'b'")),
        ("a list of rules, and a rule", "version = 1\nname = 'p'\nallow = []\n[[▸allow]]\nid = 'b'\n".to_owned()),
        ("a table below a list", bare("hosts = ['a.example']\n[[allow.▸hosts]]")),
        ("a table below a string", "version = 1\nname = 'p'\n[▸name.x]\n".to_owned()),
        (
            "a dotted key into an inline table",
            "version = 1\nname = 'p'\ninternal = {}\n▸internal.hosts = []\n".to_owned(),
        ),
        ("a number that begins with zero", rule("ports = [▸0443]")),
        ("a truth in upper case", bare("dangerously_any_host = ▸TRUE")),
        ("a day that does not exist", rule("expires = ▸2027-02-30")),
        ("a month that does not exist", rule("expires = ▸2027-13-01")),
        ("a day without zeros", rule("expires = ▸2027-3-31")),
        ("a key that needs quotes", "version = 1\nname = 'p'\ngr▸öße = 1\n".to_owned()),
        ("several faults", "version = ▸one\nname = ▸two\n".to_owned()),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn texts_that_are_no_json() {
    let cases = [
        ("an empty text", String::new()),
        ("nothing but blanks", " \r\n ".to_owned()),
        ("TOML", "▸version = 1\nname = 'p'\n".to_owned()),
        ("a byte order mark", "\u{feff}▸{\"version\": 1, \"name\": \"p\"}".to_owned()),
        ("an object without its end", "{\n  \"version\": 1,\n  \"name\": \"p\"▸\n".to_owned()),
        ("a list without its end", json_rule("\"methods\": [\"GET\"▸}")),
        ("a list that ends with the text", "{\"allow\": [▸".to_owned()),
        ("a string without its end", "{\"version\": 1, \"name\": \"p▸".to_owned()),
        ("a value that is missing at the end", "{\"version\":▸".to_owned()),
        ("a value that is missing", "{\"version\": ▸, \"name\": \"p\"}".to_owned()),
        ("a comma behind the last key", "{\"version\": 1, \"name\": \"p\",▸}".to_owned()),
        ("a comma behind the last item", json_rule("\"methods\": [\"GET\",▸]")),
        ("a comma that is missing", "{\"version\": 1 ▸\"name\": \"p\"}".to_owned()),
        ("a comma that is missing in a list", json_rule("\"methods\": [\"GET\" ▸\"PUT\"]")),
        ("a colon that is missing", "{\"version\" ▸1}".to_owned()),
        ("single quotes", "{▸'version': 1}".to_owned()),
        ("a key without quotes", "{▸version: 1}".to_owned()),
        ("a comment", "{\"version\": 1, ▸/* it */ \"name\": \"p\"}".to_owned()),
        ("a word without quotes", "{\"version\": 1, \"name\": ▸orders}".to_owned()),
        ("a word that begins like null", "{\"version\": 1, \"name\": nu▸m}".to_owned()),
        ("a number that begins with zero", json_rule("\"ports\": [0▸443]")),
        ("a backslash", "{\"version\": 1, \"name\": \"a▸\\d\"}".to_owned()),
        ("an escape of two digits", "{\"version\": 1, \"name\": \"a▸\\u12\"}".to_owned()),
        ("half of a character", "{\"version\": 1, \"name\": \"a▸\\ud800\"}".to_owned()),
        ("a line break in a string", "{\"version\": 1, \"name\": \"a▸\nb\"}".to_owned()),
        ("a NUL in a string", "{\"version\": 1, \"name\": \"é▸\0\"}".to_owned()),
        ("two policies", "{\"version\": 1, \"name\": \"p\"} ▸{}".to_owned()),
        ("characters of several bytes before the fault", "{\"version\": 1,\n\"name\": \"ÄÖ日本\" ▸x}".to_owned()),
        ("a fault that is a character of several bytes", "{\"version\": 1,\n\"Ä\" ▸日}".to_owned()),
    ];
    assert_report!(report(Policy::from_json, &cases));
}

#[test]
fn values_of_the_wrong_kind() {
    let cases = [
        ("a version in quotes", "version = ▸'1'\nname = 'p'\n".to_owned()),
        ("names and prose that are no strings", "version = 1\nname = ▸1\nowner = ▸['team']\nmode = ▸true\n".to_owned()),
        ("a day that is a number", "version = 1\nname = 'p'\nmode = 'report-only'\nreport_only_until = ▸20270331\n".to_owned()),
        ("a proxy that is no string", "version = 1\nname = 'p'\nproxy = ▸3128\n".to_owned()),
        ("a proxy over TLS", "version = 1\nname = 'p'\nproxy = ▸'https://proxy.example'\n".to_owned()),
        ("a proxy with a password", "version = 1\nname = 'p'\nproxy = ▸'http://u:secret@proxy.example:3128'\n".to_owned()),
        ("a proxy without a scheme", "version = 1\nname = 'p'\nproxy = ▸'proxy.example:3128'\n".to_owned()),
        ("a proxy with a path", "version = 1\nname = 'p'\nproxy = ▸'http://proxy.example:3128/x'\n".to_owned()),
        ("a day with a time", rule("expires = ▸2027-03-31T00:00:00Z")),
        ("a time", rule("expires = ▸07:32:00")),
        ("internal that is a string", "version = 1\nname = 'p'\ninternal = ▸'.corp.example'\n".to_owned()),
        ("internal with two brackets", "version = 1\nname = 'p'\n▸[[internal]]\nhosts = ['.corp.example']\n".to_owned()),
        (
            "lists of internal that are none, without faults that follow from them",
            "version = 1\nname = 'p'\n[internal]\nhosts = ▸'.corp.example'\nnetworks = ▸8\n\
             [[allow]]\nid = 'a'\nhosts = ['a.example']\naddresses = ['internal']\nboundary = 'internal'\n"
                .to_owned(),
        ),
        ("a rule with single brackets", "version = 1\nname = 'p'\n▸[allow]\nid = 'a'\n".to_owned()),
        ("rules by dotted keys", "version = 1\nname = 'p'\n▸allow.id = 'a'\n▸deny.id = 'd'\n".to_owned()),
        ("a rule as an inline table", "version = 1\nname = 'p'\nallow = ▸{ id = 'a', hosts = ['a.example'] }\n".to_owned()),
        ("a rule that is a host", "version = 1\nname = 'p'\nallow = [▸'a.example', ▸['b.example']]\n".to_owned()),
        (
            "faults in inline tables",
            "version = 1\nname = 'p'\nallow = [{ id = 'a', hosts = ['a.example'], ports = ▸443 }, { id = 'b', hosts = [▸'*'] }]\n"
                .to_owned(),
        ),
        (
            "strings in place of lists",
            "version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ▸'a.example'\nnetworks = ▸'10.0.0.0/8'\nports = ▸'443'\n\
             schemes = ▸'https'\nmethods = ▸'GET'\npaths = ▸'/v1/**'\naddresses = ▸'private'\n"
                .to_owned(),
        ),
        (
            "lists in place of strings",
            "version = 1\nname = 'p'\n[[deny]]\nid = ▸['d']\nhosts = ['a.example']\nboundary = ▸['internal']\n\
             mode = ▸['report-only']\nreason = ▸['why']\nowner = ▸['team']\n"
                .to_owned(),
        ),
        ("a string with quotes in place of a list", bare("hosts = ▸'a\"b'")),
        ("items of every wrong kind", bare("hosts = [▸1, ▸true, ▸1.5, ▸2027-03-31, ▸[], ▸{}, ▸inf]")),
        ("ports of every wrong kind", rule("ports = [▸true, ▸4.43e2, ▸99999999999999999999, ▸2027-03-31, ▸[443]]")),
        ("a truth that is a string", bare("dangerously_any_host = ▸'true'")),
        ("a table in place of a list", bare("[allow.▸hosts]\nx = 1").replace("[allow.▸hosts]", "▸[allow.hosts]")),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn values_of_the_wrong_kind_in_json() {
    let cases = [
        ("a list", "▸[{\"version\": 1}]".to_owned()),
        ("a string", "▸\"version\"".to_owned()),
        ("null", "▸null".to_owned()),
        ("an object without a key", "▸{}".to_owned()),
        (
            "null for a value",
            json("\"owner\": ▸null, \"mode\": ▸null, \"internal\": ▸null, \"allow\": ▸null, \"deny\": ▸null"),
        ),
        ("null in a rule", json_rule("\"ports\": ▸null, \"expires\": ▸null, \"dangerously_any_host\": ▸null")),
        ("a version with a point", "{\"version\": ▸1.0, \"name\": \"p\"}".to_owned()),
        ("one rule in place of a list", json("\"allow\": ▸{\"id\": \"a\", \"hosts\": [\"a.example\"]}")),
        ("a list of lists", json("\"allow\": [▸[], ▸[{\"id\": \"a\"}]]")),
        (
            "strings in place of lists",
            json_rule("\"ports\": ▸\"443\", \"paths\": ▸\"/v1/**\", \"methods\": [▸[\"GET\"]]"),
        ),
        ("numbers of every kind", json_rule("\"ports\": [▸-1, ▸1.5, ▸1e3, ▸99999999999999999999, ▸0]")),
        ("a day that is a number", json_rule("\"expires\": ▸20270331")),
        ("a day that is none", json_rule("\"expires\": ▸\"31 March\"")),
        ("a key twice", json_rule("\"ports\": [443], ▸\"ports\": [8443]")),
        ("a key twice, once with an escape", json("\"allow\": [], ▸\"\\u0061llow\": []")),
        (
            "a key twice, and other faults",
            json("\"deny\": [{\"id\": \"d\", ▸\"id\": \"d\", \"hosts\": [▸\"a b\"], ▸\"x\": 1}]"),
        ),
        ("a key of an object in an object", json("\"internal\": {▸\"internal\": {}, \"hosts\": ▸{}}")),
        ("no id, no host", json("\"allow\": [▸{\"ports\": [443]}]")),
        ("report-only without an end", json("\"mode\": ▸\"report-only\"")),
        ("an end without report-only", json("\"report_only_until\": ▸\"2027-03-31\"")),
        ("an unknown mode", json("\"deny\": [{\"id\": \"d\", \"hosts\": [\"a.example\"], \"mode\": ▸\"audit\"}]")),
        ("an address in hosts", json("\"deny\": [{\"id\": \"d\", \"hosts\": [▸\"10.0.0.1\", ▸\"a.example:80\"]}]")),
        ("every host", json("\"allow\": [{\"id\": \"a\", \"hosts\": [▸\"*\"]}]")),
        ("internal that is not listed", json_rule("\"addresses\": [▸\"internal\"], \"boundary\": ▸\"internal\"")),
    ];
    assert_report!(report(Policy::from_json, &cases));
}

#[test]
fn keys_that_are_unknown_or_stand_elsewhere() {
    let cases = [
        (
            "in a policy",
            "version = 1\nname = 'p'\n▸owners = 'team'\n▸description = 'x'\n▸allows = []\n▸rules = []\n".to_owned(),
        ),
        ("in internal", "version = 1\nname = 'p'\n[internal]\n▸network = []\n▸ports = []\n▸cidr = []\n".to_owned()),
        (
            "in a rule",
            rule("▸host = []\n▸Methods = []\n▸URL = ''\n▸any_host = true\n▸report_only = true\n▸expiry = 2027-03-31"),
        ),
        ("in a deny rule", deny("hosts = ['a.example']\n▸path = ['/']")),
        ("keys of the policy below a rule", rule("▸report_only_until = 2027-03-31\n▸name = 'q'\n▸version = 1")),
        (
            "keys of a rule above all tables",
            "▸hosts = ['a.example']\n▸id = 'a'\nversion = 1\nname = 'p'\n▸paths = ['/']\n".to_owned(),
        ),
        ("a key of a rule below internal", "version = 1\nname = 'p'\n[internal]\n▸boundary = 'internal'\n".to_owned()),
        ("a table within a rule", rule("[allow.▸headers]\nx = 1")),
        ("a rule within a rule", rule("[[allow.▸allow]]\nid = 'b'")),
        ("a table of its own", "version = 1\nname = 'p'\n[▸egress]\nhosts = ['a.example']\n".to_owned()),
        ("dotted keys", "version = 1\nname = 'p'\n▸policy.owner = 'team'\ninternal.▸zone = 'x'\n".to_owned()),
        ("a key that is empty", "version = 1\nname = 'p'\n▸\"\" = 1\n".to_owned()),
        ("a key with control characters", "version = 1\nname = 'p'\n▸\"a\\u001b[31m\\n\" = 1\n".to_owned()),
        ("a very long key", format!("version = 1\nname = 'p'\n▸{} = 1\n", "k".repeat(10_000))),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn heads_ids_and_prose() {
    let long = "x".repeat(201);
    let cases = [
        ("nothing but a comment", "▸# nothing\n".to_owned()),
        ("no name", "▸version = 1\n".to_owned()),
        ("no version", "▸name = 'p'\n".to_owned()),
        ("another version", "version = ▸2\nname = 'p'\n".to_owned()),
        ("a name that is empty", "version = 1\nname = ▸''\n".to_owned()),
        ("a name that is not one word", "version = 1\nname = ▸'my policy'\n".to_owned()),
        ("a name of 65 characters", format!("version = 1\nname = ▸'{}'\n", "n".repeat(65))),
        ("an owner on two lines", "version = 1\nname = 'p'\nowner = ▸\"\"\"one\ntwo\"\"\"\n".to_owned()),
        ("prose that is too long", rule(&format!("reason = ▸'{long}'\nowner = ▸'{long}'"))),
        ("no id", "version = 1\nname = 'p'\n▸[[allow]]\nhosts = ['a.example']\n▸[[deny]]\nhosts = ['b.example']\n".to_owned()),
        ("ids that are no words", "version = 1\nname = 'p'\n[[allow]]\nid = ▸'a b'\nhosts = ['a.example']\n[[deny]]\nid = ▸'é'\nhosts = ['b.example']\n".to_owned()),
        ("an id with control characters, and what else is wrong", "version = 1\nname = 'p'\n▸[[allow]]\nid = ▸\"a\\n\\u001b[31m\"\n".to_owned()),
        ("an id that reads from right to left", "version = 1\nname = 'p'\n[[allow]]\nid = ▸'a\u{202e}b'\nhosts = ['a.example']\n".to_owned()),
        ("an id twice", "version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ['a.example']\n[[allow]]\nid = ▸'a'\nhosts = ['b.example']\n".to_owned()),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn modes_and_days() {
    let head = |keys: &str| format!("version = 1\nname = 'p'\n{keys}\n");
    let cases = [
        ("an unknown mode", head("mode = ▸'audit'")),
        ("an unknown mode with an end", head("mode = ▸'report_only'\nreport_only_until = 2027-03-31")),
        ("report-only without an end", head("mode = ▸'report-only'")),
        ("an end without a mode", head("report_only_until = ▸2027-03-31")),
        ("an end of enforcing", head("mode = 'enforce'\nreport_only_until = ▸2027-03-31")),
        ("an end that is no day", head("mode = 'report-only'\nreport_only_until = ▸'next week'")),
        ("a day in another order", rule("expires = ▸'31.03.2027'")),
        ("a day before all days", rule("expires = ▸1969-12-31")),
        ("a day that does not exist, in quotes", rule("expires = ▸'2027-02-30'")),
        ("a mode of an allow rule", rule("mode = ▸'report-only'")),
        ("an unknown mode of an allow rule", rule("mode = ▸'x'")),
        ("an unknown mode of a deny rule", deny("hosts = ['a.example']\nmode = ▸'Report-Only'")),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn what_a_rule_is_about() {
    let cases = [
        (
            "neither hosts nor networks",
            "version = 1\nname = 'p'\n▸[[allow]]\nid = 'a'\n▸[[deny]]\nid = 'd'\n".to_owned(),
        ),
        (
            "any host that is false",
            "version = 1\nname = 'p'\n▸[[allow]]\nid = 'a'\ndangerously_any_host = false\n".to_owned(),
        ),
        ("hosts and any host", rule("dangerously_any_host = ▸true")),
        ("any host in a deny rule", deny("dangerously_any_host = ▸true")),
        (
            "lists that are empty",
            bare(
                "hosts = ▸[]\nnetworks = ▸[]\nports = ▸[]\nschemes = ▸[]\nmethods = ▸[]\npaths = ▸[]\naddresses = ▸[]",
            ),
        ),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn hosts() {
    let listed = |host: &str| bare(&format!("hosts = [▸\"{host}\"]"));
    let cases = [
        ("an empty host", listed("")),
        ("a blank host", listed("  ")),
        ("every host", bare("hosts = [▸'*', ▸'**', ▸'.']")),
        ("every host of a deny rule, by other names", deny("hosts = ['*', ▸'**', ▸'.']")),
        ("every host as internal", "version = 1\nname = 'p'\n[internal]\nhosts = [▸'*', ▸'.', ▸'*.com']\n".to_owned()),
        (
            "names that anyone can register",
            bare("hosts = [▸'*.com', ▸'.com', ▸'*example.com', ▸'example.*', ▸'*.*', ▸'a.*.com']"),
        ),
        ("stars in a row", listed("**.example.com")),
        ("stars in a row before a control character", listed("**.\\u001b\\\"")),
        ("two stars in a label", listed("a*b*c.example.com")),
        ("a URL", listed("https://user:secret@api.example.com:8443/v1?x=1#y")),
        ("a URL with an address", listed("http://[::1]:8080/")),
        ("a port", listed("api.example.com:8443")),
        ("a port that is none", listed("api.example.com:https")),
        ("a port and a path", listed("api.example.com:8443/v1")),
        ("a path", listed("api.example.com/v1")),
        ("an IPv4 address", bare("hosts = [▸'10.0.0.1', ▸'2130706433', ▸'0x7f.1', ▸'127.1', ▸'10.0.0.1.']")),
        ("an IPv6 address", bare("hosts = [▸'::1', ▸'[fd00:ec2::254]', ▸'::ffff:10.0.0.1']")),
        ("a network", bare("hosts = [▸'10.0.0.0/8', ▸'fd00::/8']")),
        ("a network that is none", listed("10.0.0.0/33")),
        ("a name that is not ASCII", bare("hosts = [▸'bücher.example', ▸'*.bücher.example', ▸'аpple.com']")),
        ("a name that no IDNA knows", listed("\u{fffd}.example.com")),
        ("an address in wide digits", listed("１２７.0.0.1")),
        (
            "characters that no name has",
            bare("hosts = [▸'api example.com', ▸'api?.example.com', ▸'a,b.example', ▸'%61pi.example.com']"),
        ),
        ("a line break", listed("a\\nb.example.com")),
        ("empty labels", bare("hosts = [▸'a..example.com', ▸'..example.com', ▸'example.com..', ▸'*..example.com']")),
        ("a label of 64 characters", listed(&format!("{}.example.com", "a".repeat(64)))),
        ("a name of 300 characters", listed(&format!("{}example.com", "a.".repeat(145)))),
        ("a name of 100,000 characters", listed(&"a".repeat(100_000))),
        ("a URL of 100,000 characters", listed(&format!("https://a.example/{}", "a".repeat(100_000)))),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn services() {
    let in_ireland = |keys: &str| bare(&format!("regions = ['eu-west-1']\n{keys}"));
    let cases = [
        ("another spelling", bare("services = [▸'sfn', ▸'DynamoDB', ▸'secrets-manager']\nregions = ['eu-west-1']")),
        ("no service", bare("services = [▸'payments', ▸'*']\nregions = ['eu-west-1']")),
        ("an unknown region", bare("services = ['ssm']\nregions = [▸'eu-west1', ▸'eu-west-1a', ▸'Tokyo', ▸'eu-*']")),
        ("regions without services", bare("hosts = ['a.example']\nregions = ▸['eu-west-1']")),
        ("services without regions", bare("services = ['iam', ▸'ssm', ▸'sts']")),
        ("a service that is in no region", bare("services = ['sts', ▸'ssm']\nregions = ['aws-global']")),
        ("lists that are empty", bare("services = ▸[]\nregions = ▸[]\nbuckets = ▸[]\nvpc_endpoints = ▸[]")),
        ("buckets without S3", in_ireland("services = ['ssm']\nbuckets = ▸['orders']")),
        ("buckets of everybody", in_ireland("services = ['s3']\nbuckets = [▸'*', ▸'**', 'orders-*']")),
        (
            "buckets that are none",
            in_ireland(
                "services = ['s3']\nbuckets = [▸'', ▸'a', ▸'Orders', ▸'orders.example', ▸'arn:aws:s3:::orders/x', \
                 ▸'orders/x', ▸'a*b*', ▸'-a-']",
            ),
        ),
        ("accounts", in_ireland("services = ['dynamodb']\naccounts = [▸'1111-2222-3333', ▸'*', ▸'1111']")),
        ("a service without accounts", in_ireland("services = ['dynamodb', ▸'ssm']\naccounts = ['111122223333']")),
        (
            "endpoints of everybody",
            in_ireland("services = ['ssm']\nvpc_endpoints = [▸'vpce-*', ▸'*', ▸'vpce-0123456789abcdef0-*']"),
        ),
        (
            "endpoints that are none",
            in_ireland(
                "services = ['ssm']\nvpc_endpoints = [▸'vpce-0123456789abcdef0-abcdefgh.ssm.eu-west-1.vpce.amazonaws.com', \
                 ▸'vpce-0123456789ABCDEF0', ▸'vpc-01234567']",
            ),
        ),
        ("a service without interface endpoints", in_ireland("services = [▸'iam']\nvpc_endpoints = ['vpce-01234567']")),
        (
            "accounts at an endpoint",
            in_ireland("services = ['dynamodb']\naccounts = ▸['111122223333']\nvpc_endpoints = ['vpce-01234567']"),
        ),
        ("services and any host", in_ireland("services = ['ssm']\ndangerously_any_host = ▸true")),
        ("a service of the wrong kind", in_ireland("services = ▸'ssm'\naccounts = [▸111122223333]")),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn networks() {
    let listed = |networks: &str| bare(&format!("networks = [{networks}]"));
    let cases = [
        ("no prefix length", listed("▸'10.0.0.1', ▸'fd00::1', ▸'::ffff:10.0.0.1'")),
        ("a prefix length that is too long", listed("▸'10.0.0.0/33', ▸'fd00::/129'")),
        ("a netmask", listed("▸'10.0.0.0/255.0.0.0'")),
        ("a range", listed("▸'10.0.0.1-10.0.0.9'")),
        ("an address that is too short", listed("▸'10.0/16'")),
        ("bits beyond the prefix", listed("▸'10.0.0.1/8', ▸'fd00::1/8'")),
        ("IPv4-mapped", listed("▸'::ffff:10.0.0.0/104', ▸'::ffff:10.0.0.1/104'")),
        ("a name", listed("▸'db.example.com'")),
        ("nothing", listed("▸'', ▸' 10.0.0.0/8'")),
        ("a class of addresses", listed("▸'private'")),
        ("of internal", "version = 1\nname = 'p'\n[internal]\nnetworks = [▸'10.0.0.1/8', ▸'corp']\n".to_owned()),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn ports_schemes_and_methods() {
    let cases = [
        (
            "ports that are none",
            rule("ports = [▸0, ▸65536, ▸-1, ▸'', ▸'https', ▸'443,80', ▸'443/tcp', ▸'-80', ▸'1-', ▸'0-9']"),
        ),
        ("ports that run backwards", rule("ports = [▸'9-1', ▸\"9 -1\\n\"]")),
        ("schemes", rule("schemes = [▸'ftp', ▸'HTTPS', ▸'https://', ▸'wss', ▸'*', ▸'']")),
        ("methods in lower case", rule("methods = [▸'get', ▸'Post']")),
        ("every method", rule("methods = [▸'*', ▸'any', ▸'ALL']")),
        ("CONNECT", rule("methods = [▸'CONNECT', ▸'connect']")),
        ("what is no method", rule("methods = [▸'', ▸'GET,POST', ▸'get post', ▸'GÉT', ▸\"GET\\r\\n\"]")),
        ("a method of a deny rule", deny("hosts = ['a.example']\nmethods = [▸'delete', ▸'CONNECT']")),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn paths() {
    let listed = |paths: &str| rule(&format!("paths = [{paths}]"));
    let cases = [
        ("no slash before it", listed("▸'v1/**', ▸'', ▸'v1/ü'")),
        ("every path", listed("▸'*', ▸'**'")),
        ("a URL", listed("▸'https://a.example/v1'")),
        ("not percent-encoded", listed("▸'/a b', ▸'/café', ▸\"/a\\nb\", ▸'/a#b'")),
        ("a percent sign", listed("▸'/100%', ▸'/100%off', ▸'/%zz/%41'")),
        ("dot segments", listed("▸'/a/../b', ▸'/./a', ▸'/%2e%2e/b'")),
        ("slashes in doubt", listed("▸'/a//b', ▸'/a%2fb', ▸'/a\\b', ▸'/a%5Cb'")),
        ("parameters", listed("▸'/a;v=1/b'")),
        ("an escape of an escape", listed("▸'/a%252fb', ▸'/%00'")),
        ("a query", listed("▸'/search?q=*'")),
        ("a regular expression", listed("▸'/^/v1/.*$', ▸'/v1/.*$'")),
        ("two stars within a segment", listed("▸'/v1**', ▸'/**.json'")),
        ("a placeholder", listed("▸'/orders/{id}', ▸'/orders/{}'")),
        ("a class that could match a slash", listed("▸'/a[!x]b', ▸'/a[^x]b', ▸'/a[+-9]b', ▸'/a[x/]b'")),
        ("what is not closed or opened", listed("▸'/{a,b', ▸'/a,b}', ▸'/[ab'")),
        ("a class that runs backwards", listed("▸'/[z-a]'")),
        ("a very long path", listed(&format!("▸'/{}?'", "a".repeat(10_000)))),
        ("a pattern that is too large", rule(&format!("paths = [▸'{}']", "/*".repeat(200_000)))),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn addresses_and_the_boundary() {
    let two = "[[allow]]\nid = 'b'\nhosts = ['b.example']\naddresses = [▸'loopback']";
    let cases = [
        ("no kind of address", rule("addresses = [▸'loopback', ▸'', ▸'*', ▸'Public']")),
        ("no network", rule("addresses = [▸'10.0.0.1', ▸'10.0.0.0/33', ▸'fd00::1/8', ▸'10.0']")),
        ("the same fault in two rules", rule(&format!("addresses = [▸'loopback']\n{two}"))),
        ("internal that is not listed", rule("addresses = [▸'internal']\nboundary = ▸'internal'")),
        (
            "internal with a fault of its own",
            "version = 1\nname = 'p'\n[internal]\nnetworks = [▸'10.0.0.0/33']\n\
             [[allow]]\nid = 'a'\nhosts = ['a.example']\naddresses = ['internal']\nboundary = 'internal'\n"
                .to_owned(),
        ),
        ("internal hosts alone open no addresses", "version = 1\nname = 'p'\n[internal]\nhosts = ['.corp.example']\n[[allow]]\nid = 'a'\nhosts = ['a.example']\naddresses = [▸'internal']\n".to_owned()),
        ("an unknown boundary", rule("boundary = ▸'inside'")),
        ("addresses of a deny rule", deny("hosts = ['a.example']\naddresses = [▸'10.0.0.0/8']")),
        ("addresses without names", bare("networks = ['10.0.0.0/8']\naddresses = [▸'private']")),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

#[test]
fn unusual_bytes() {
    let cases = [
        ("a byte order mark", "\u{feff}version = ▸2\nname = ▸'p p'\n".to_owned()),
        ("nothing but a byte order mark", "\u{feff}▸".to_owned()),
        ("a byte order mark in the middle", "version = 1\n▸\u{feff}name = 'p'\n".to_owned()),
        ("line ends of Windows", "version = ▸2\r\nname = ▸'p p'\r\n\r\n▸x = 1\r\n".to_owned()),
        ("line ends of old", "version = 1\r▸name = 'p'\r▸".to_owned()),
        ("tabs", "version\t=\t▸2\nname = 'p'\n[[allow]]\n\tid = 'a'\n\thosts = ['a.example',\t▸'*']\n".to_owned()),
        ("characters of several bytes before it", "version = 1\nname = 'p'\nowner = 'Ünïcödé 日本 🦀'\n[[allow]]\nid = 'a'\nhosts = [ ▸'日本.example', ▸'*' ] # 日本\n".to_owned()),
        ("accents of their own", "version = 1\nname = ▸'e\u{301}'\n".to_owned()),
        ("a NUL in a string", "version = 1\nname = 'a▸\0'\n".to_owned()),
        ("a NUL behind a value", "version = ▸1\0\nname = 'p'\n".to_owned()),
        ("a NUL alone", "▸\0▸".to_owned()),
        ("an escaped NUL", "version = 1\nname = ▸\"a\\u0000b\"\n".to_owned()),
        ("a bell in a comment", "version = 1 # ▸\u{7}\nname = 'p'\n".to_owned()),
        ("a blank that is none", "version = 1\n▸\u{a0}name = 'p'\n".to_owned()),
    ];
    assert_report!(report(Policy::from_toml, &cases));
}

/// The rule's id is the place.
#[test]
fn policies_built_in_code() {
    let policy = || Policy::builder("p");
    let cases: &[(&str, PolicyBuilder)] = &[
        ("a name that is not one word", Policy::builder("my policy").owner("x".repeat(201))),
        ("an end that is no day", policy().report_only_until("soon")),
        ("internal", policy().internal_hosts(["*"]).internal_networks(["10.0.0.1"])),
        ("no subject", policy().allow(Rule::new("a")).deny(Rule::new("d"))),
        ("an empty list", policy().allow(Rule::new("a").hosts::<&str>([]))),
        ("a host", policy().allow(Rule::new("a").hosts(["*.com"])).deny(Rule::new("d").hosts(["a b"]))),
        (
            "an id that is not one word",
            policy().allow(Rule::new("a").hosts(["a.example"])).allow(Rule::new("b c").hosts(["b.example"])),
        ),
        ("the same id", policy().allow(Rule::new("a").hosts(["a.example"])).allow(Rule::new("a").hosts(["b.example"]))),
        ("a mode of an allow rule", policy().allow(Rule::new("a").hosts(["a.example"]).report_only())),
        ("a boundary", policy().allow(Rule::new("a").hosts(["a.example"]).boundary("inside").expires("never"))),
        ("a service", policy().allow(Rule::new("a").services(["sfn"])).deny(Rule::new("d").services(["ssm"]))),
        ("hosts and any host", policy().allow(Rule::new("a").hosts(["a.example"]).dangerously_any_host())),
    ];
    let mut report = String::new();
    for (name, builder) in cases {
        let error = builder.clone().build().err().unwrap_or_else(|| panic!("{name}: there is no fault"));
        for fault in error.faults() {
            assert_eq!((fault.line(), fault.column(), fault.offset()), (None, None, None), "{name}: {fault}");
            assert_can_be_read(name, fault);
        }
        let _ = writeln!(report, "=== {name}\n\n{}", lines(&error));
    }
    assert_report!(report);
}

#[test]
fn a_text_that_is_nested_without_end_is_a_fault() {
    let nested =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(10_000), close.repeat(10_000));
    let toml = |value: &str| format!("version = 1\nname = 'p'\nowner = {value}\n");
    let cases: &[(&str, Read, String, Option<usize>)] = &[
        ("lists in TOML", Policy::from_toml, toml(&nested("[", "", "]")), Some(3)),
        ("lists in TOML without an end", Policy::from_toml, toml(&"[".repeat(10_000)), Some(3)),
        ("tables in TOML", Policy::from_toml, toml(&nested("{ a = ", "1", " }")), Some(3)),
        ("dotted keys in TOML", Policy::from_toml, toml(&format!("1\n{}b = 1", "a.".repeat(10_000))), None),
        ("a dotted heading in TOML", Policy::from_toml, toml(&format!("1\n[{}b]", "a.".repeat(10_000))), None),
        ("lists in JSON", Policy::from_json, json(&format!("\"owner\": {}", nested("[", "", "]"))), Some(4)),
        (
            "lists in JSON without an end",
            Policy::from_json,
            json(&format!("\"owner\": {}", "[".repeat(10_000))),
            Some(5),
        ),
        ("objects in JSON", Policy::from_json, json(&nested("\"a\": {", "", "}")), Some(4)),
    ];
    let mut report = String::new();
    for (name, read, text, line) in cases {
        let error = read(text).err().unwrap_or_else(|| panic!("{name}: there is no fault"));
        assert!(error.faults().len() <= 2, "{name}: {error}");
        for fault in error.faults() {
            assert_eq!(fault.line(), *line, "{name}: {fault}");
            assert_can_be_read(name, fault);
        }
        let _ = writeln!(report, "=== {name}\n\n{}", lines(&error));
    }
    assert_report!(report);
}

/// Whoever mends a policy wants all of it, and can page; a message that ends early has to be asked for again.
#[test]
fn a_thousand_faults_are_all_reported() {
    let rules: String = (0..1_000).map(|id| format!("[[allow]]\nid = 'r{id}'\nhosts = ['*']\n")).collect();
    let error = Policy::from_toml(&format!("version = 1\nname = 'p'\n{rules}")).unwrap_err();
    let places: Vec<_> = error.faults().iter().map(|fault| (fault.line().unwrap(), fault.column().unwrap())).collect();
    assert_eq!(places, (0..1_000).map(|id| (5 + 3 * id, 10)).collect::<Vec<_>>());
    let said = error.to_string();
    assert!(said.starts_with("the policy cannot be used, 1000 faults\n"));
    assert_eq!(said.lines().count(), 1_001);
}

/// A tool that looks at the text alone is told of the same faults of its shape, at the same places.
#[test]
fn a_draft_has_the_faults_of_shape_that_the_policy_has() {
    let texts = [
        (false, "version = 1\nname = 1\nx = 2\n[[allow]]\nid = 'a'\nhosts = 'a.example'\n"),
        (false, "version = p\n"),
        (true, "{\"version\": 1, \"name\": 1, \"allow\": [{\"id\": \"a\", \"hosts\": \"a.example\"}]}"),
        (true, "{\"version\": 1, \"name\": \"p\", \"name\": \"q\"}"),
        (true, "{"),
    ];
    for (is_json, text) in texts {
        let (policy, draft) = if is_json {
            (Policy::from_json(text).err(), PolicyDraft::from_json(text).err())
        } else {
            (Policy::from_toml(text).err(), PolicyDraft::from_toml(text).err())
        };
        assert_eq!(draft.as_ref().map(PolicyError::faults), policy.as_ref().map(PolicyError::faults), "{text}");
        assert!(draft.is_some(), "{text}");
    }
}

/// Wherever a text is cut off, or has a character too many, its faults have places in it.
#[test]
fn a_text_that_is_broken_anywhere_has_faults_with_places() {
    let toml = "version = 1\nname = 'p'\nowner = \"Zürich\\t🦀\"\n[internal]\nnetworks = [ '10.0.0.0/8' ]\n\
                [[allow]]\nid = 'a'\nhosts = ['a.example', '日本.example']\nports = [443, '8000-8099']\nexpires = 2027-03-31\n";
    let json = "{\"version\": 1, \"name\": \"p\", \"owner\": \"Zürich\\t🦀\",\n\"internal\": {\"networks\": [\"10.0.0.0/8\"]},\n\
                \"allow\": [{\"id\": \"a\", \"hosts\": [\"a.example\", \"日本.example\"], \"ports\": [443], \"x\": null}]}";
    for (read, text) in [(Policy::from_toml as Read, toml), (Policy::from_json, json)] {
        for (at, _) in text.char_indices() {
            let (before, behind) = text.split_at(at);
            let changed = ["\0", "\"", "'", "[", "}", "\\", "\n", "\r", "é", ",", "="];
            let texts = changed.map(|middle| format!("{before}{middle}{behind}"));
            for text in texts.into_iter().chain([before.to_owned()]) {
                let faults = read(&text).err();
                for fault in faults.iter().flat_map(PolicyError::faults).filter(|_| !text.trim().is_empty()) {
                    let offset = fault.offset().unwrap_or_else(|| panic!("{fault}\n{text}"));
                    assert!(text.is_char_boundary(offset) && fault.line().is_some(), "{fault}\n{text}");
                    assert_can_be_read(&text, fault);
                }
            }
        }
    }
}
