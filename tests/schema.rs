//! The policy's schema takes what the reader takes, and refuses what an editor should mark.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use egress_guard::{POLICY_SCHEMA, Policy};
use jsonschema::Validator;
use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

static SCHEMA: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&serde_json::from_str(POLICY_SCHEMA).unwrap()).unwrap());

/// What the schema finds wrong, each with its place.
fn faults(policy: &Value) -> Vec<String> {
    SCHEMA.iter_errors(policy).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn reads(policy: &Value) -> bool {
    Policy::from_json(&policy.to_string()).is_ok()
}

/// A policy as an editor shows it to a schema: its dates are strings.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
    }
}

fn from_toml(text: &str) -> Value {
    json(toml::Value::Table(text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// The pieces of a file that could be a policy: a whole file, the code blocks of a page, the raw strings of a source.
fn pieces(path: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let between = |open: &str, close: &str| {
        let pieces = text.split(open).skip(1).filter_map(|rest| rest.split(close).next());
        pieces.map(str::to_owned).collect::<Vec<_>>()
    };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("md") => [between("```toml\n", "```"), between("```json\n", "```")].concat(),
        Some("rs") => {
            let without_comment_marks = |line: &str| {
                let line = line.trim_start();
                line.strip_prefix("///").or_else(|| line.strip_prefix("//!")).unwrap_or(line).to_owned() + "\n"
            };
            let strings = between("r#\"", "\"#");
            strings.iter().map(|string| string.lines().map(without_comment_marks).collect()).collect()
        }
        _ => vec![text],
    }
}

#[test]
fn it_is_a_schema_of_the_draft_that_editors_know() {
    let schema: Value = serde_json::from_str(POLICY_SCHEMA).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(SCHEMA.draft(), jsonschema::Draft::Draft7);
}

#[test]
fn every_policy_of_the_project_is_taken() {
    let mut paths = Vec::new();
    files(root(), &mut paths);
    let mut origins: Vec<String> = Vec::new();
    for path in paths {
        for text in pieces(&path) {
            let policy = match (Policy::from_toml(&text), Policy::from_json(&text)) {
                (Ok(_), _) => from_toml(&text),
                (_, Ok(_)) => serde_json::from_str(&text).unwrap(),
                _ => continue,
            };
            assert_eq!(faults(&policy), [""; 0], "{}:\n{text}", path.display());
            origins.push(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    for origin in [
        "README.md",
        "docs/policy.md",
        "egress-guard/src/policy/mod.rs",
        "egress-guard-cli/tests/check.rs",
        "examples/quickstart/allow-everything.toml",
        "examples/quickstart/policy.toml",
        "fuzz/seeds/policy/json",
    ] {
        assert!(origins.iter().any(|found| found == origin), "{origin} has none; found {origins:?}");
    }
}

/// All keys of the language, each with a value that may stand there.
fn whole() -> Value {
    from_toml(include_str!("data/schema/valid/whole.toml"))
}

/// `whole`, with another value in one place; an absent one removes the key.
fn but(place: &str, value: Option<Value>) -> Value {
    let mut policy = whole();
    let (parent, key) = place.rsplit_once('/').unwrap();
    match (policy.pointer_mut(parent).unwrap(), value) {
        (Value::Object(object), Some(value)) => _ = object.insert(key.to_owned(), value),
        (Value::Object(object), None) => assert!(object.remove(key).is_some(), "{place}"),
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value,
        other => panic!("{place}: {other:?}"),
    }
    policy
}

#[test]
fn the_whole_language_is_taken() {
    assert!(reads(&whole()));
    assert_eq!(faults(&whole()), [""; 0]);
}

#[test]
fn what_the_reader_refuses_for_its_shape_the_schema_refuses_in_the_same_place() {
    let remove = || None;
    let cases = [
        ("an unknown key", "/colour", Some(json!(1)), "colour"),
        ("an unknown key of [internal]", "/internal/host", Some(json!(["a.example"])), "host"),
        ("an unknown key of an allow rule", "/allow/0/host", Some(json!(["a.example"])), "host"),
        ("an unknown key of a deny rule", "/deny/0/port", Some(json!([443])), "port"),
        ("an allow rule with a mode", "/allow/0/mode", Some(json!("enforce")), "mode"),
        ("a deny rule with addresses", "/deny/0/addresses", Some(json!(["public"])), "addresses"),
        ("a deny rule for any host", "/deny/1/dangerously_any_host", Some(json!(true)), "dangerously_any_host"),
        ("no version", "/version", remove(), "version"),
        ("another version", "/version", Some(json!(2)), "/version: "),
        ("a version in quotes", "/version", Some(json!("1")), "/version: "),
        ("no name", "/name", remove(), "name"),
        ("a name with a space", "/name", Some(json!("a b")), "/name: "),
        ("an empty name", "/name", Some(json!("")), "/name: "),
        ("a name that is too long", "/name", Some(json!("a".repeat(65))), "/name: "),
        ("a name that ends in a newline", "/name", Some(json!("a\n")), "/name: "),
        ("a schema that is no text", "/$schema", Some(json!(1)), "/$schema: "),
        ("an owner of two lines", "/owner", Some(json!("a\nb")), "/owner: "),
        ("an owner that is too long", "/owner", Some(json!("\u{e9}".repeat(201))), "/owner: "),
        ("an unknown mode", "/mode", Some(json!("audit")), "/mode: "),
        ("report-only without an end", "/report_only_until", remove(), "report_only_until"),
        ("an end without report-only", "/mode", remove(), "mode"),
        ("an end of what is enforced", "/mode", Some(json!("enforce")), "/mode: "),
        ("a date that is no date", "/report_only_until", Some(json!("soon")), "/report_only_until: "),
        ("a time", "/report_only_until", Some(json!("2027-03-31T00:00:00Z")), "/report_only_until: "),
        ("a year as a number", "/report_only_until", Some(json!(2027)), "/report_only_until: "),
        ("a day that no month has", "/allow/0/expires", Some(json!("2027-02-30")), "/allow/0/expires: "),
        ("a day before all days", "/deny/0/expires", Some(json!("1969-12-31")), "/deny/0/expires: "),
        ("a proxy that is no URL", "/proxy", Some(json!("proxy.corp.example.com:3128")), "/proxy: "),
        ("a proxy over TLS", "/proxy", Some(json!("https://proxy.corp.example.com")), "/proxy: "),
        ("a proxy with a query", "/proxy", Some(json!("http://proxy.corp.example.com/?a")), "/proxy: "),
        ("a proxy that is a list", "/proxy", Some(json!(["http://proxy.corp.example.com"])), "/proxy: "),
        ("[internal] as a list", "/internal", Some(json!([])), "/internal: "),
        ("an internal wildcard for everyone", "/internal/hosts/0", Some(json!("*.com")), "/internal/hosts/0: "),
        ("internal networks as a text", "/internal/networks", Some(json!("10.0.0.0/8")), "/internal/networks: "),
        ("addresses that nothing is", "/internal/networks", Some(json!([])), "/internal/networks: "),
        ("addresses without [internal]", "/internal", remove(), "internal"),
        ("a rule in place of a list", "/deny", Some(json!({"id": "a", "hosts": ["a.example"]})), "/deny: "),
        ("a rule that is a text", "/deny/0", Some(json!("a.example")), "/deny/0: "),
        ("no id", "/allow/0/id", remove(), "id"),
        ("an id with a slash", "/deny/0/id", Some(json!("a/b")), "/deny/0/id: "),
        ("an id that is a number", "/allow/0/id", Some(json!(7)), "/allow/0/id: "),
        ("an allow rule about nothing", "/allow/1/networks", remove(), "hosts"),
        ("a deny rule about nothing", "/deny/1/hosts", remove(), "hosts"),
        ("any host, but not really", "/allow/2/dangerously_any_host", Some(json!(false)), "hosts"),
        ("any host as a text", "/allow/2/dangerously_any_host", Some(json!("true")), "/allow/2/dangerously_any_host: "),
        ("hosts and any host", "/allow/0/dangerously_any_host", Some(json!(true)), "hosts"),
        ("addresses without hosts", "/allow/1/addresses", Some(json!(["public"])), "hosts"),
        ("services and any host", "/allow/2/services", Some(json!(["iam"])), "anyOf"),
        ("regions without services", "/allow/0/regions", Some(json!(["us-east-1"])), "services"),
        ("buckets without services", "/deny/0/buckets", Some(json!(["orders"])), "services"),
        ("a service in another spelling", "/allow/3/services/0", Some(json!("Amazon S3")), "/allow/3/services/0: "),
        ("a pattern of regions", "/allow/3/regions/0", Some(json!("ap-*")), "/allow/3/regions/0: "),
        ("every bucket", "/allow/3/buckets/0", Some(json!("*")), "/allow/3/buckets/0: "),
        ("a bucket with two wildcards", "/deny/2/buckets/0", Some(json!("a*b*")), "/deny/2/buckets/0: "),
        ("a bucket with a dot", "/allow/3/buckets/1", Some(json!("a.b")), "/allow/3/buckets/1: "),
        (
            "an account that is a number",
            "/allow/4/accounts/0",
            Some(json!(111_122_223_333_i64)),
            "/allow/4/accounts/0: ",
        ),
        ("an account that is too short", "/allow/4/accounts/0", Some(json!("1111")), "/allow/4/accounts/0: "),
        ("everybody's endpoints", "/allow/3/vpc_endpoints/0", Some(json!("vpce-*")), "/allow/3/vpc_endpoints/0: "),
        ("hosts as a text", "/allow/0/hosts", Some(json!("a.example")), "/allow/0/hosts: "),
        ("no hosts in a list of them", "/allow/0/hosts", Some(json!([])), "/allow/0/hosts: "),
        ("a host that is a number", "/allow/0/hosts/0", Some(json!(1)), "/allow/0/hosts/0: "),
        ("every host", "/allow/0/hosts/0", Some(json!("*")), "/allow/0/hosts/0: "),
        ("a host with a scheme", "/deny/0/hosts/0", Some(json!("https://a.example")), "/deny/0/hosts/0: "),
        ("a host with a port", "/allow/0/hosts/0", Some(json!("a.example:443")), "/allow/0/hosts/0: "),
        ("a host that is an address", "/allow/0/hosts/0", Some(json!("10.0.0.1")), "/allow/0/hosts/0: "),
        ("a denied host that is an address", "/deny/0/hosts/0", Some(json!("10.0.0.1.")), "/deny/0/hosts/0: "),
        ("an empty list of networks", "/allow/1/networks", Some(json!([])), "/allow/1/networks: "),
        ("a network without a prefix", "/allow/1/networks/0", Some(json!("10.0.0.1")), "/allow/1/networks/0: "),
        ("a prefix that is too long", "/deny/0/networks/0", Some(json!("10.0.0.0/33")), "/deny/0/networks/0: "),
        ("an IPv6 network in brackets", "/allow/1/networks/0", Some(json!("[fd00::]/8")), "/allow/1/networks/0: "),
        ("a port that is no list", "/allow/0/ports", Some(json!(443)), "/allow/0/ports: "),
        ("no ports in a list of them", "/deny/0/ports", Some(json!([])), "/deny/0/ports: "),
        ("port 0", "/allow/0/ports/0", Some(json!(0)), "/allow/0/ports/0: "),
        ("a port beyond the last", "/allow/0/ports/0", Some(json!(65536)), "/allow/0/ports/0: "),
        ("a part of a port", "/deny/0/ports/0", Some(json!(4.5)), "/deny/0/ports/0: "),
        ("a list of ports in a text", "/allow/0/ports/1", Some(json!("80,443")), "/allow/0/ports/1: "),
        ("an open range", "/allow/0/ports/1", Some(json!("1024-")), "/allow/0/ports/1: "),
        ("an empty list of schemes", "/allow/0/schemes", Some(json!([])), "/allow/0/schemes: "),
        ("a scheme in capital letters", "/deny/0/schemes/0", Some(json!("HTTPS")), "/deny/0/schemes/0: "),
        ("an empty list of methods", "/allow/0/methods", Some(json!([])), "/allow/0/methods: "),
        ("a method in small letters", "/deny/0/methods/0", Some(json!("get")), "/deny/0/methods/0: "),
        ("CONNECT", "/allow/0/methods/0", Some(json!("CONNECT")), "/allow/0/methods/0: "),
        ("any method", "/allow/0/methods/0", Some(json!("*")), "/allow/0/methods/0: "),
        ("an empty list of paths", "/allow/0/paths", Some(json!([])), "/allow/0/paths: "),
        ("a path without a slash", "/deny/0/paths/0", Some(json!("v1/**")), "/deny/0/paths/0: "),
        ("a path with a query", "/allow/0/paths/0", Some(json!("/a?b=*")), "/allow/0/paths/0: "),
        ("a path that is not encoded", "/allow/0/paths/0", Some(json!("/caf\u{e9}")), "/allow/0/paths/0: "),
        ("a path with dot segments", "/allow/0/paths/0", Some(json!("/a/../b")), "/allow/0/paths/0: "),
        ("a template", "/allow/0/paths/0", Some(json!("/orders/{id}")), "/allow/0/paths/0: "),
        ("a regular expression", "/allow/0/paths/0", Some(json!("/v1/.*$")), "/allow/0/paths/0: "),
        ("a class that is a negation", "/allow/0/paths/0", Some(json!("/a[!x]")), "/allow/0/paths/0: "),
        ("two stars within a segment", "/allow/0/paths/0", Some(json!("/v1**")), "/allow/0/paths/0: "),
        ("an empty list of addresses", "/allow/0/addresses", Some(json!([])), "/allow/0/addresses: "),
        ("an unknown kind of address", "/allow/0/addresses/0", Some(json!("loopback")), "/allow/0/addresses/0: "),
        ("an unknown side", "/deny/0/boundary", Some(json!("dmz")), "/deny/0/boundary: "),
        ("a mode of a rule that is unknown", "/deny/0/mode", Some(json!("warn")), "/deny/0/mode: "),
        ("a reason that is null", "/allow/0/reason", Some(Value::Null), "/allow/0/reason: "),
        ("a reason of two lines", "/deny/0/reason", Some(json!("a\u{85}b")), "/deny/0/reason: "),
    ];
    for (name, place, value, expected) in cases {
        let policy = but(place, value);
        assert!(!reads(&policy), "{name}: the reader takes it");
        let found = faults(&policy);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{name}: {expected} is not in {found:?}");
    }
    let rule = json!({"id": "a", "hosts": ["a.example"], "boundary": "internal"});
    let no_hosts = json!({"version": 1, "name": "p", "internal": {}, "deny": [rule]});
    assert!(!reads(&no_hosts) && !SCHEMA.is_valid(&no_hosts), "a boundary around nothing");
}

/// The hosts of public lists, in an allow rule: about these the schema is as strict as the reader.
#[test]
fn hosts_of_public_lists_are_taken_and_refused_as_the_reader_does() {
    let mut hosts = BTreeSet::new();
    for file in ["allowlist_match.jsonl", "aws_wildcard_hosts.jsonl", "harden_runner.jsonl", "policy_lint.jsonl"] {
        for line in fs::read_to_string(root().join("tests/data").join(file)).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let lists = [&row["patterns"], &row["endpoints"]].into_iter().filter_map(Value::as_array).flatten();
            let texts = lists.map(|item| item.get("raw").unwrap_or(item)).chain([&row["pattern"]]);
            hosts.extend(texts.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let (taken, refused): (Vec<_>, Vec<_>) = hosts
        .iter()
        .map(|host| (host, but("/allow/0/hosts/0", Some(json!(host)))))
        .partition(|(_, policy)| reads(policy));
    assert!(taken.len() > 60 && refused.len() > 200, "{} {}", taken.len(), refused.len());
    for (host, policy) in taken {
        assert_eq!(faults(&policy), [""; 0], "{host}");
    }
    let stray: Vec<&str> =
        refused.iter().filter(|(_, policy)| SCHEMA.is_valid(policy)).map(|(host, _)| host.as_str()).collect();
    assert_eq!(stray, [""; 0], "refused by the reader alone");
}

#[test]
fn a_wildcard_below_each_name_that_is_never_sold_is_taken() {
    let source = fs::read_to_string(root().join("egress-guard/src/policy/pattern.rs")).unwrap();
    let list = source.split("const NEVER_DELEGATED: &[&str] =").nth(1).unwrap().split(']').next().unwrap();
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(names.len() >= 7, "{names:?}");
    for host in names.iter().flat_map(|name| [format!("*.{name}"), format!(".{name}."), format!("a.*.{name}")]) {
        let policy = but("/internal/hosts/0", Some(json!(host)));
        assert!(reads(&policy) && SCHEMA.is_valid(&policy), "{host}");
    }
}

/// What stands in one place, near what may stand there.
const NEAR: &[(&str, &str)] = &[
    ("/name", "[a-zA-Z0-9._-]{1,66}|.{0,3}"),
    ("/owner", "\\PC{190,210}|.{0,4}"),
    ("/report_only_until", "(19[67][0-9]|20[0-9][0-9]|9999)-(0[0-9]|1[0-3])-([0-3][0-9])"),
    (
        "/proxy",
        "[ \t]?([hH][tT]\t?[tT][pP]|https)(:|:/|://|:\\\\)@?[a-z]{1,3}(\\.[a-z]{1,3}|\u{fc}|\n)?(:[0-9]{1,4})?(/|/\\./|/a|[?#]|\\\\)? ?",
    ),
    ("/internal/hosts/0", HOST),
    ("/internal/networks/0", NETWORK),
    ("/allow/0/id", "[a-zA-Z0-9._-]{1,66}"),
    ("/allow/0/hosts/0", HOST),
    ("/allow/0/hosts/1", HOST),
    ("/allow/0/ports/1", "[ \t\u{85}]?\\+?0{0,3}[0-9]{1,5}[ \u{3000}]?(-[ \t]?\\+?[0-9]{1,5} ?)?"),
    ("/allow/0/methods/0", "[A-Z!#$%&'*+.^_`|~0-9-]{1,8}|CONNECT|ANY|ALL|[A-Za-z]{1,4}"),
    (
        "/allow/0/paths/0",
        "(/([a-z0-9,.!:@|^$~_=&'()+-]|\\*|\\*\\*|\\{a,[b*]\\}|\\[ab-d]|%[0-9a-fA-F]{2}|[{}\\[\\]?;%]){0,4}){1,4}",
    ),
    ("/allow/0/addresses/3", NETWORK),
    ("/allow/0/reason", "\\PC{190,210}|.{0,4}"),
    ("/allow/1/networks/0", NETWORK),
    ("/allow/3/buckets/0", "[a-z0-9-]{1,9}\\*?[a-z0-9-]{0,3}|\\*{1,2}|[aA.*-]{0,4}"),
    ("/allow/3/vpc_endpoints/0", "vpce-[0-9a-f]{8}|vpce-[0-9a-g]{17}|vpce-[0-9a-f*]{0,9}"),
    ("/allow/4/accounts/0", "[0-9]{12}|[0-9-]{11,14}"),
    ("/deny/0/hosts/0", HOST),
    ("/deny/2/buckets/0", "[a-z0-9-]{1,9}\\*?[a-z0-9-]{0,3}|\\*{1,2}|[aA.*-]{0,4}"),
    ("/deny/0/networks/0", NETWORK),
    ("/deny/0/expires", "(19[67][0-9]|20[0-9][0-9]|9999)-(0[0-9]|1[0-3])-([0-3][0-9])"),
];
const HOST: &str = "(\\*\\.|\\.|\\*)?([a-cA0_-]{1,3}\\.|[ab]?\\*[ab]?\\.|[a-z]{1,64}\\.){0,3}\
                    (com|test|TEST|Internal|local|[a-z]{1,3}\\*|\\*|[0-9]{1,3}|0x[0-9a-f]{1,2})\\.?|([0-9]{1,3}\\.){1,4}[0-9]{0,3}";
const NETWORK: &str = "(0|00|10|010|224|1[0-9]{2})\\.(0|000)\\.0\\.0/(0?[89]|[12][0-9]|3[0-3])|[0-9]{1,3}(\\.[0-9]{1,3}){3}/32|\
                       [0-9a-fA-F]{0,4}:{1,2}([0-9a-f]{0,5}:{0,2}){0,3}(1\\.2\\.3\\.4)?/(12[0-9]|1[01][0-9]|[0-9]{1,3})|::/0";

/// Runs as many cases as it says, and tells how many of them the reader took.
fn taken_of(cases: u32, policies: impl Strategy<Value = Value>) -> u32 {
    let taken = Cell::new(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&policies, |policy| {
        if reads(&policy) {
            taken.set(taken.get() + 1);
            prop_assert_eq!(faults(&policy), [""; 0]);
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    taken.get()
}

#[test]
fn whatever_value_the_reader_takes_the_schema_takes() {
    for (place, pattern) in NEAR {
        let policies = string_regex(pattern).unwrap().prop_map(|text| but(place, Some(text.into())));
        let taken = taken_of(400, policies);
        assert!(taken > 50, "{place}: only {taken} of 400 values were such that the reader takes them");
    }
}

/// Mostly one of the values that may stand there, seldom one of those that no key takes.
fn mostly(values: &[Value]) -> BoxedStrategy<Value> {
    let junk = json!([null, 1, -1, 1.5, "x", "", true, [], {}, [1]]).as_array().unwrap().clone();
    prop_oneof![40 => prop::sample::select(values.to_vec()), 1 => prop::sample::select(junk)].boxed()
}

fn list(items: &[Value], least: usize) -> BoxedStrategy<Value> {
    let items = prop::collection::vec(mostly(items), least..4).prop_map(Value::Array);
    prop_oneof![40 => items, 1 => mostly(&[json!("x")])].boxed()
}

/// Each key stands in the object as often as its number, of a hundred, says.
fn object(keys: Vec<(&'static str, u32, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let entries = keys.into_iter().map(|(key, often, value)| {
        prop::option::weighted(f64::from(often) / 100.0, value.prop_map(move |value| (key.to_owned(), value)))
    });
    let entries = entries.collect::<Vec<_>>();
    entries.prop_map(|entries| entries.into_iter().flatten().collect::<serde_json::Map<_, _>>().into()).boxed()
}

fn any_rule(allow: bool) -> BoxedStrategy<Value> {
    let of = |values: &[&str]| values.iter().map(|value| json!(value)).collect::<Vec<_>>();
    let seldom = |allows: bool, often: u32| if allows { often } else { 1 };
    let id = prop_oneof![40 => "[a-z]{6}".prop_map(Value::from), 1 => mostly(&[json!("a b")])].boxed();
    object(vec![
        ("id", 99, id),
        ("hosts", 80, list(&of(&["api.example.com", "*.example.com", ".a.example", "b-*.x.example", "*.internal"]), 1)),
        ("networks", 30, list(&of(&["10.0.0.0/8", "fd00::/8", "::/0"]), 1)),
        ("services", 20, list(&of(&["s3", "dynamodb", "iam"]), 1)),
        ("regions", 15, list(&of(&["us-east-1", "cn-north-1"]), 1)),
        ("buckets", 5, list(&of(&["orders", "orders-*"]), 1)),
        ("accounts", 2, list(&of(&["111122223333"]), 1)),
        ("vpc_endpoints", 5, list(&of(&["vpce-01234567"]), 1)),
        ("ports", 20, list(&[json!(443), json!("80-90"), json!("8443")], 1)),
        ("schemes", 20, list(&of(&["http", "https"]), 1)),
        ("methods", 20, list(&of(&["GET", "X-Y"]), 1)),
        ("paths", 20, list(&of(&["/v1/**", "/{a,b}", "/"]), 1)),
        ("addresses", seldom(allow, 20), list(&of(&["public", "private", "internal", "10.0.0.0/8"]), 1)),
        ("boundary", 20, mostly(&of(&["internal", "external"]))),
        ("mode", seldom(!allow, 20), mostly(&of(&["enforce", "report-only"]))),
        ("expires", 20, mostly(&of(&["2027-03-31", "1970-01-01"]))),
        ("reason", 20, mostly(&of(&["", "because"]))),
        ("owner", 20, mostly(&of(&["\u{e9}\u{1f980}"]))),
        ("dangerously_any_host", 10, mostly(&[json!(true), json!(false)])),
        ("color", 1, mostly(&[json!(1)])),
    ])
}

fn any_policy() -> BoxedStrategy<Value> {
    let rules = |allow| {
        let rules = prop::collection::vec(any_rule(allow), 0..4).prop_map(Value::Array);
        prop_oneof![40 => rules, 1 => mostly(&[json!({})])].boxed()
    };
    let of = |values: &[&str]| values.iter().map(|value| json!(value)).collect::<Vec<_>>();
    let internal = object(vec![
        ("hosts", 50, list(&of(&[".corp.example.com", "a.test"]), 0)),
        ("networks", 50, list(&of(&["10.0.0.0/8", "192.168.0.0/16"]), 0)),
        ("host", 1, mostly(&[json!("x")])),
    ]);
    object(vec![
        ("$schema", 10, mostly(&of(&["policy.schema.json"]))),
        ("version", 99, mostly(&[json!(1)])),
        ("name", 99, mostly(&of(&["orders"]))),
        ("owner", 20, mostly(&of(&["network-team"]))),
        ("mode", 30, mostly(&of(&["enforce", "report-only", "report-only"]))),
        ("report_only_until", 30, mostly(&of(&["2027-03-31"]))),
        ("proxy", 10, mostly(&of(&["http://proxy.corp.example.com:3128"]))),
        ("internal", 60, internal),
        ("allow", 80, rules(true)),
        ("deny", 60, rules(false)),
        ("x", 1, mostly(&[json!(1)])),
    ])
}

#[test]
fn whatever_policy_the_reader_takes_the_schema_takes() {
    let taken = taken_of(2000, any_policy());
    assert!(taken > 200, "only {taken} of 2000 policies were such that the reader takes them");
}

/// The policies that `.ci/taplo` shows to an editor's linter.
#[test]
fn the_bad_policies_for_the_linter_are_bad_for_the_reader_too() {
    let mut found = Vec::new();
    files(&root().join("tests/data/schema/invalid"), &mut found);
    assert!(found.len() >= 8, "{found:?}");
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        assert!(Policy::from_toml(&text).is_err(), "{}", path.display());
        assert!(!SCHEMA.is_valid(&from_toml(&text)), "{}", path.display());
    }
}
