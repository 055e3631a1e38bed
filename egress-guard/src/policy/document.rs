//! The policy file, in TOML or JSON: one shape, read by hand so that every fault is found and has its place.

mod node;

use node::{Entry, Node, Value};

use super::Policy;
use super::compile::compile;
use super::draft::{PolicyDraft, RuleDraft, Text};
use super::error::{Place, PolicyFault};

pub(super) fn from_toml(text: &str) -> Result<Policy, Vec<PolicyFault>> {
    read(text, node::from_toml(text))
}

pub(super) fn from_json(text: &str) -> Result<Policy, Vec<PolicyFault>> {
    read(text, node::from_json(text))
}

fn read(text: &str, root: Result<Node, Vec<PolicyFault>>) -> Result<Policy, Vec<PolicyFault>> {
    if text.trim().is_empty() {
        return Err(vec![PolicyFault::new(
            None,
            "the policy is empty",
            "begin with version = 1 and name = \"...\"; a policy with no rules denies every request",
        )]);
    }
    let root = root?;
    let mut reader = Reader { text, faults: Vec::new() };
    let draft = reader.policy(&root);
    compile(draft, reader.faults)
}

const POLICY_KEYS: &[&str] = &["version", "name", "internal", "allow", "deny"];
const INTERNAL_KEYS: &[&str] = &["hosts", "networks"];
const RULE_KEYS: &[&str] = &[
    "id", "hosts", "networks", "ports", "schemes", "methods", "paths", "addresses", "reason", "owner",
    "dangerously_any_host",
];

struct Reader<'t> {
    text: &'t str,
    faults: Vec<PolicyFault>,
}

impl Reader<'_> {
    fn fault(&mut self, offset: usize, problem: impl Into<String>, cure: impl Into<String>) {
        let place = self.place(offset);
        self.faults.push(PolicyFault::new(Some(place), problem, cure));
    }

    fn place(&self, offset: usize) -> Place {
        Place::of_offset(self.text, offset)
    }

    fn policy(&mut self, root: &Node) -> PolicyDraft {
        let mut draft = PolicyDraft::default();
        let mut version = None;
        for Entry { key, key_offset, value } in self.table(root, "the policy") {
            match key.as_str() {
                "version" => version = Some(value),
                "name" => draft.name = self.string("name", value),
                "internal" => self.internal(value, &mut draft),
                "allow" => draft.allow = self.rules("[[allow]]", value),
                "deny" => draft.deny = self.rules("[[deny]]", value),
                unknown => self.unknown_key(unknown, *key_offset, "a policy", POLICY_KEYS),
            }
        }
        match version {
            Some(Node { value: Value::Integer(version), .. }) if version == "1" => {}
            Some(node) => self.fault(node.offset, "this version of the policy language is unknown", "write version = 1"),
            None => self.fault(0, "the policy has no `version`", "write version = 1 as its first line"),
        }
        draft
    }

    fn internal(&mut self, node: &Node, draft: &mut PolicyDraft) {
        for Entry { key, key_offset, value } in self.table(node, "[internal]") {
            match key.as_str() {
                "hosts" => draft.internal_hosts = self.strings("hosts", value),
                "networks" => draft.internal_networks = self.strings("networks", value),
                unknown => self.unknown_key(unknown, *key_offset, "[internal]", INTERNAL_KEYS),
            }
        }
    }

    fn rules(&mut self, table: &str, node: &Node) -> Vec<RuleDraft> {
        match &node.value {
            Value::Array(items) => items.iter().map(|item| self.rule(table, item)).collect(),
            other => {
                let cure = format!("write {table} with two brackets (in JSON: a list of objects)");
                self.fault(node.offset, format!("{table} is {}, not a list of rules", other.kind()), cure);
                Vec::new()
            }
        }
    }

    fn rule(&mut self, table: &str, node: &Node) -> RuleDraft {
        let mut rule = RuleDraft { place: Some(self.place(node.offset)), ..RuleDraft::default() };
        for Entry { key, key_offset, value } in self.table(node, table) {
            match key.as_str() {
                "id" => rule.id = self.string("id", value),
                "hosts" => rule.hosts = Some(self.strings("hosts", value)),
                "networks" => rule.networks = Some(self.strings("networks", value)),
                "ports" => rule.ports = Some(self.ports(value)),
                "schemes" => rule.schemes = Some(self.strings("schemes", value)),
                "methods" => rule.methods = Some(self.strings("methods", value)),
                "paths" => rule.paths = Some(self.strings("paths", value)),
                "addresses" => rule.addresses = Some(self.strings("addresses", value)),
                "reason" => rule.reason = self.string("reason", value),
                "owner" => rule.owner = self.string("owner", value),
                "dangerously_any_host" => rule.any_host = self.boolean("dangerously_any_host", value),
                unknown => self.unknown_key(unknown, *key_offset, table, RULE_KEYS),
            }
        }
        rule
    }

    fn table<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        match &node.value {
            Value::Table(entries) => entries,
            other => {
                self.fault(node.offset, format!("{what} is {}, not a table", other.kind()), "write keys and values");
                &[]
            }
        }
    }

    fn string(&mut self, key: &str, node: &Node) -> Option<Text> {
        match &node.value {
            Value::String(text) => Some(Text { text: text.clone(), place: Some(self.place(node.offset)) }),
            other => {
                let problem = format!("`{key}` is {}, not a string", other.kind());
                self.fault(node.offset, problem, format!("write {key} = \"...\""));
                None
            }
        }
    }

    fn strings(&mut self, key: &str, node: &Node) -> Vec<Text> {
        let Value::Array(items) = &node.value else {
            let cure = match &node.value {
                Value::String(text) => format!("write {key} = [{text:?}]"),
                _ => format!("write {key} = [\"...\"]"),
            };
            self.fault(node.offset, format!("`{key}` is {}, not a list", node.value.kind()), cure);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.string(key, item)).collect()
    }

    /// Ports may be numbers or ranges in a string.
    fn ports(&mut self, node: &Node) -> Vec<Text> {
        let Value::Array(items) = &node.value else {
            let problem = format!("`ports` is {}, not a list", node.value.kind());
            self.fault(node.offset, problem, "write ports = [443, \"8000-8099\"]");
            return Vec::new();
        };
        let mut ports = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::String(text) | Value::Integer(text) => {
                    ports.push(Text { text: text.clone(), place: Some(self.place(item.offset)) });
                }
                other => {
                    let problem = format!("a port is {}, not a number", other.kind());
                    self.fault(item.offset, problem, "write 443 or \"8000-8099\"");
                }
            }
        }
        ports
    }

    fn boolean(&mut self, key: &str, node: &Node) -> bool {
        match &node.value {
            Value::Boolean(value) => *value,
            other => {
                self.fault(node.offset, format!("`{key}` is {}, not true or false", other.kind()), format!("write {key} = true"));
                false
            }
        }
    }

    fn unknown_key(&mut self, key: &str, offset: usize, table: &str, known: &[&str]) {
        let similar = known
            .iter()
            .map(|known| (strsim::jaro_winkler(key, known), known))
            .filter(|(similarity, _)| *similarity > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let cure = match similar {
            Some((_, known)) => format!("write `{known}`"),
            None => format!("remove it; the keys are {}", known.join(", ")),
        };
        self.fault(offset, format!("`{}` is no key of {table}", key.escape_debug()), cure);
    }
}
