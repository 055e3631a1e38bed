//! Policies over given hosts or networks, and policies as text.

use std::fmt::Write;

use egress_guard::{Policy, Rule};
use serde::Serialize;

use crate::Hosts;

/// How hosts or networks are spread over rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every measurement goes through all of them")]
pub enum Grouping {
    /// Each in a rule of its own.
    Each,
    /// All in ten rules.
    Ten,
}

/// A policy; `fill` puts a share of the items into a rule.
#[must_use]
pub fn policy(items: &[String], grouping: Grouping, fill: impl Fn(Rule, &[String]) -> Rule) -> Policy {
    let share = match grouping {
        Grouping::Each => 1,
        Grouping::Ten => items.len().div_ceil(10),
    };
    let rules = items.chunks(share).enumerate();
    let rules = rules.map(|(number, items)| fill(Rule::new(format!("rule-{number}")), items).methods(["GET", "POST"]));
    rules.fold(Policy::builder("bench"), egress_guard::PolicyBuilder::allow).build().unwrap()
}

/// A policy of hosts.
#[must_use]
pub fn host_policy(hosts: &Hosts, grouping: Grouping) -> Policy {
    policy(&hosts.patterns(), grouping, |rule, hosts| rule.hosts(hosts.iter().cloned()))
}

/// What the rules of a policy's text say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every measurement goes through all of them")]
pub enum Text {
    /// A host, a port and two methods.
    Hosts,
    /// A path pattern, too.
    Paths,
}

struct Document {
    version: u8,
    name: &'static str,
    allow: Vec<TextRule>,
}

#[derive(Serialize)]
struct TextRule {
    id: String,
    hosts: [String; 1],
    ports: [u16; 1],
    methods: [&'static str; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<[String; 1]>,
}

fn document(rules: usize, text: Text) -> Document {
    let rule = |(number, host)| TextRule {
        id: format!("rule-{number}"),
        hosts: [host],
        ports: [443],
        methods: ["GET", "POST"],
        paths: (text == Text::Paths).then(|| [format!("/v1/items-{number}/**")]),
    };
    Document {
        version: 1,
        name: "bench",
        allow: Hosts::new(rules).patterns().into_iter().enumerate().map(rule).collect(),
    }
}

/// A policy as JSON, each host in a rule of its own, and each rule on a line of its own.
#[must_use]
pub fn json(rules: usize, text: Text) -> String {
    let Document { version, name, allow } = document(rules, text);
    let rules: Vec<String> = allow.iter().map(|rule| serde_json::to_string(rule).unwrap()).collect();
    format!("{{\n\"version\": {version},\n\"name\": \"{name}\",\n\"allow\": [\n{}\n]\n}}\n", rules.join(",\n"))
}

/// The same as TOML, spelt as people spell it.
#[must_use]
pub fn toml(rules: usize, text: Text) -> String {
    let Document { version, name, allow } = document(rules, text);
    let mut toml = format!("version = {version}\nname = \"{name}\"\n");
    for TextRule { id, hosts, ports, methods, paths } in allow {
        writeln!(toml, "\n[[allow]]\nid = \"{id}\"\nhosts = {hosts:?}\nports = {ports:?}\nmethods = {methods:?}")
            .unwrap();
        if let Some(paths) = paths {
            writeln!(toml, "paths = {paths:?}").unwrap();
        }
    }
    toml
}
