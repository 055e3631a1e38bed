//! The policy file, in TOML or JSON: one shape, read by hand so that every fault is found and has its place.

mod node;
mod stream;
mod syntax;

use std::borrow::Cow;

use node::{Entry, Node, Parsed, Value};

use super::compile::compile;
use super::draft::{BorrowedPolicy, BorrowedRule, BorrowedText, Text};
use super::error::{PolicyError, PolicyFault};
use super::layer::Layer;

pub(super) fn from_toml(text: &str) -> Result<Layer, PolicyError> {
    layer(text, node::from_toml).map_err(|faults| PolicyError::in_text(text, faults))
}

pub(super) fn from_json(text: &str) -> Result<Layer, PolicyError> {
    // Nearly every policy that is loaded has no fault, and needs no places.
    if let Some(draft) = stream::from_json(text)
        && let Ok(layer) = compile(draft, Vec::new())
    {
        return Ok(layer);
    }
    layer(text, node::from_json).map_err(|faults| PolicyError::in_text(text, in_json(faults)))
}

pub(super) fn draft_from_toml(text: &str) -> Result<BorrowedPolicy<'_>, PolicyError> {
    draft(text, node::from_toml).map_err(|faults| PolicyError::in_text(text, faults))
}

pub(super) fn draft_from_json(text: &str) -> Result<BorrowedPolicy<'_>, PolicyError> {
    draft(text, node::from_json).map_err(|faults| PolicyError::in_text(text, in_json(faults)))
}

/// Cures are written for TOML, and can be pasted into JSON too.
fn in_json(faults: Vec<PolicyFault>) -> Vec<PolicyFault> {
    faults.into_iter().map(|fault| fault.with_cure(syntax::in_json)).collect()
}

type Parse<'t> = fn(&'t str) -> Parsed<'t>;

fn layer<'t>(text: &'t str, parse: Parse<'t>) -> Result<Layer, Vec<PolicyFault>> {
    read(text, parse).and_then(|(draft, faults)| compile(draft, faults))
}

fn draft<'t>(text: &'t str, parse: Parse<'t>) -> Result<BorrowedPolicy<'t>, Vec<PolicyFault>> {
    match read(text, parse)? {
        (draft, faults) if faults.is_empty() => Ok(draft),
        (_, faults) => Err(faults),
    }
}

/// The draft, and what of the text could not be read into it.
fn read<'t>(text: &'t str, parse: Parse<'t>) -> Result<(BorrowedPolicy<'t>, Vec<PolicyFault>), Vec<PolicyFault>> {
    if text.trim().is_empty() {
        return Err(vec![PolicyFault::new(
            None,
            "the policy is empty",
            "begin with version = 1 and name = \"...\"; a policy with no rules denies every request",
        )]);
    }
    let (root, faults) = parse(text)?;
    let mut reader = Reader { faults };
    let draft = reader.policy(&root);
    Ok((draft, reader.faults))
}

const POLICY_KEYS: &[&str] =
    &["version", "name", "owner", "mode", "report_only_until", "proxy", "internal", "allow", "deny", "$schema"];
const INTERNAL_KEYS: &[&str] = &["hosts", "networks"];
const RULE_KEYS: &[&str] = &[
    "id",
    "hosts",
    "networks",
    "ports",
    "schemes",
    "methods",
    "paths",
    "addresses",
    "boundary",
    "mode",
    "expires",
    "reason",
    "owner",
    "dangerously_any_host",
];

struct Reader {
    faults: Vec<PolicyFault>,
}

impl Reader {
    fn fault(&mut self, offset: usize, problem: impl Into<String>, cure: impl Into<String>) {
        self.faults.push(PolicyFault::new(Some(offset), problem, cure));
    }

    fn policy<'t>(&mut self, root: &Node<'t>) -> BorrowedPolicy<'t> {
        let mut draft = BorrowedPolicy { offset: Some(root.offset), ..BorrowedPolicy::default() };
        let Some(entries) =
            self.table(root, || "the policy".to_owned(), "write keys and values, as in name = \"orders\"")
        else {
            draft.unread = true;
            return draft;
        };
        for Entry { key, key_offset, value } in entries {
            match &**key {
                "allow" => draft.allow = self.rules("[[allow]]", value),
                "deny" => draft.deny = self.rules("[[deny]]", value),
                _ => self.policy_key(&mut draft, key, *key_offset, value),
            }
        }
        if !entries.iter().any(|entry| entry.key == "version") {
            self.fault(0, "the policy has no `version`", "write version = 1 as its first line");
        }
        draft
    }

    /// Reads one key of the policy, but for its rules.
    fn policy_key<'t>(&mut self, draft: &mut BorrowedPolicy<'t>, key: &str, key_offset: usize, value: &Node<'t>) {
        match key {
            "version" => match value {
                Node { value: Value::Integer(1), .. } => {}
                node => self.fault(node.offset, "this version of the policy language is unknown", "write version = 1"),
            },
            "name" => {
                draft.name = self.string("name", value);
                draft.unread |= draft.name.is_none();
            }
            "owner" => draft.owner = self.string("owner", value),
            "mode" => {
                draft.mode = self.string("mode", value);
                draft.unread |= draft.mode.is_none();
            }
            "report_only_until" => {
                draft.report_only_until = self.date("report_only_until", value);
                draft.unread |= draft.report_only_until.is_none();
            }
            "proxy" => {
                draft.proxy = self.string("proxy", value);
                draft.unread |= draft.proxy.is_none();
            }
            "internal" => self.internal(value, draft),
            // For editors.
            "$schema" => _ = self.string("$schema", value),
            unknown => self.unknown_key(unknown, key_offset, "a policy", POLICY_KEYS),
        }
    }

    fn internal<'t>(&mut self, node: &Node<'t>, draft: &mut BorrowedPolicy<'t>) {
        let faults = self.faults.len();
        let cure = "write one table with hosts = [\".corp.example.com\"] or networks = [\"10.0.0.0/8\"]";
        for Entry { key, key_offset, value } in self.table(node, || "[internal]".to_owned(), cure).unwrap_or_default() {
            match &**key {
                "hosts" => draft.internal_hosts = self.strings("hosts", value).unwrap_or_default(),
                "networks" => draft.internal_networks = self.strings("networks", value).unwrap_or_default(),
                unknown => self.unknown_key(unknown, *key_offset, "[internal]", INTERNAL_KEYS),
            }
        }
        draft.internal_unread = self.faults.len() > faults;
    }

    fn rules<'t>(&mut self, table: &str, node: &Node<'t>) -> Vec<BorrowedRule<'t>> {
        match &node.value {
            Value::Array(items) => items.iter().map(|item| self.rule(table, item)).collect(),
            other => {
                let cure = format!("write {table} with two brackets (in JSON: a list of objects)");
                self.fault(node.offset, format!("{table} is {}, not a list of rules", other.kind()), cure);
                Vec::new()
            }
        }
    }

    fn rule<'t>(&mut self, table: &str, node: &Node<'t>) -> BorrowedRule<'t> {
        let mut rule = BorrowedRule { offset: Some(node.offset), ..BorrowedRule::default() };
        let faults = self.faults.len();
        let cure = "write a rule, as in { id = \"payments-api\", hosts = [\"api.example.com\"] }";
        let entries = self.table(node, || format!("a rule in {table}"), cure).unwrap_or_default();
        let place =
            |entry: &Entry<'t>| Some((*RULE_KEYS.iter().find(|known| **known == entry.key)?, entry.value.offset));
        rule.places = entries.iter().filter_map(place).collect();
        for Entry { key, key_offset, value } in entries {
            self.rule_key(&mut rule, table, key, *key_offset, value);
        }
        rule.unread = self.faults.len() > faults;
        rule
    }

    /// Reads one key of a rule.
    fn rule_key<'t>(
        &mut self,
        rule: &mut BorrowedRule<'t>,
        table: &str,
        key: &str,
        key_offset: usize,
        value: &Node<'t>,
    ) {
        match key {
            "id" => rule.id = self.string("id", value),
            "hosts" => rule.hosts = self.strings("hosts", value),
            "networks" => rule.networks = self.strings("networks", value),
            "ports" => rule.ports = self.ports(value),
            "schemes" => rule.schemes = self.strings("schemes", value),
            "methods" => rule.methods = self.strings("methods", value),
            "paths" => rule.paths = self.strings("paths", value),
            "addresses" => rule.addresses = self.strings("addresses", value),
            "boundary" => rule.boundary = self.string("boundary", value),
            "mode" => rule.mode = self.string("mode", value),
            "expires" => rule.expires = self.date("expires", value),
            "reason" => rule.reason = self.string("reason", value),
            "owner" => rule.owner = self.string("owner", value),
            "dangerously_any_host" => rule.any_host = self.boolean("dangerously_any_host", value),
            unknown => self.unknown_key(unknown, key_offset, table, RULE_KEYS),
        }
    }

    fn table<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        what: impl FnOnce() -> String,
        cure: &str,
    ) -> Option<&'n [Entry<'t>]> {
        match &node.value {
            Value::Table(entries) => Some(entries),
            other => {
                self.fault(node.offset, format!("{} is {}, not a table", what(), other.kind()), cure);
                None
            }
        }
    }

    fn string<'t>(&mut self, key: &str, node: &Node<'t>) -> Option<BorrowedText<'t>> {
        match &node.value {
            Value::String(text) => Some(Text { text: text.clone(), offset: Some(node.offset) }),
            other => {
                let problem = format!("`{key}` is {}, not a string", other.kind());
                self.fault(node.offset, problem, format!("write {key} = \"...\""));
                None
            }
        }
    }

    /// JSON has no dates, so that a string will do.
    fn date<'t>(&mut self, key: &str, node: &Node<'t>) -> Option<BorrowedText<'t>> {
        match &node.value {
            Value::Date(text) | Value::String(text) => Some(Text { text: text.clone(), offset: Some(node.offset) }),
            other => {
                let problem = format!("`{key}` is {}, not a date", other.kind());
                self.fault(node.offset, problem, format!("write the day alone, as in {key} = 2027-03-31"));
                None
            }
        }
    }

    fn strings<'t>(&mut self, key: &str, node: &Node<'t>) -> Option<Vec<BorrowedText<'t>>> {
        let write = || match &node.value {
            Value::String(text) => format!("write {key} = [{text:?}]"),
            _ => format!("write {key} = [\"...\"]"),
        };
        self.texts(key, node, write, |value| match value {
            Value::String(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// Ports may be numbers, or ranges in a string.
    fn ports<'t>(&mut self, node: &Node<'t>) -> Option<Vec<BorrowedText<'t>>> {
        let write = || "write ports = [443, \"8000-8099\"]".to_owned();
        self.texts("ports", node, write, |value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string().into()),
            _ => None,
        })
    }

    fn texts<'t>(
        &mut self,
        key: &str,
        node: &Node<'t>,
        cure: impl Fn() -> String,
        read: fn(&Value<'t>) -> Option<Cow<'t, str>>,
    ) -> Option<Vec<BorrowedText<'t>>> {
        let Value::Array(items) = &node.value else {
            self.fault(node.offset, format!("`{key}` is {}, not a list", node.value.kind()), cure());
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match read(&item.value) {
                Some(text) => texts.push(Text { text, offset: Some(item.offset) }),
                None => self.fault(item.offset, format!("`{key}` lists {}", item.value.kind()), cure()),
            }
        }
        Some(texts)
    }

    fn boolean(&mut self, key: &str, node: &Node<'_>) -> bool {
        match &node.value {
            Value::Boolean(value) => *value,
            other => {
                self.fault(
                    node.offset,
                    format!("`{key}` is {}, not true or false", other.kind()),
                    format!("write {key} = true"),
                );
                false
            }
        }
    }

    fn unknown_key(&mut self, key: &str, offset: usize, table: &str, known: &[&str]) {
        let lower = key.to_ascii_lowercase();
        let similar = known
            .iter()
            .map(|known| (strsim::jaro_winkler(&lower, known), known))
            .filter(|(similarity, _)| *similarity > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let cure = match key {
            "internal" => "write [internal] as a table of its own".to_owned(),
            "allow" | "deny" => format!("write [[{key}]] as a table of its own"),
            // In TOML a key belongs to the last table above it.
            _ if POLICY_KEYS.contains(&key) => "write it above all tables; it is a key of the policy".to_owned(),
            _ if INTERNAL_KEYS.contains(&key) => "write it in [internal], [[allow]] or [[deny]]".to_owned(),
            _ if RULE_KEYS.contains(&key) => "write it in [[allow]] or [[deny]]; it is a key of a rule".to_owned(),
            _ => match similar {
                Some((_, known)) => format!("write `{known}`"),
                None => format!("remove it; the keys are {}", known.join(", ")),
            },
        };
        self.fault(offset, format!("`{}` is no key of {table}", key.escape_debug()), cure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "version = 1\nname = 'p'\n";

    fn faults(policy: Result<Layer, PolicyError>) -> Vec<String> {
        policy.err().iter().flat_map(PolicyError::faults).map(ToString::to_string).collect()
    }

    #[test]
    fn the_whole_language_is_read_from_toml_and_json_alike() {
        let toml = r#"
            version = 1
            name = "orders"
            [internal]
            hosts = [".corp.example.com"]
            networks = ["10.0.0.0/8", "fd12::/16"]
            [[allow]]
            id = "payments-api"
            hosts = ["api.payments.example", "*.cdn.payments.example"]
            ports = [443, "8000-8099"]
            schemes = ["https", "http"]
            methods = ["GET", "POST"]
            paths = ["/v1/**"]
            addresses = ["public", "private", "internal", "192.0.2.0/24"]
            reason = "card charges"
            owner = "payments-team"
            [[allow]]
            id = "warehouse"
            networks = ["10.20.0.0/16"]
            [[allow]]
            id = "everything"
            dangerously_any_host = true
            [[deny]]
            id = "no-legacy"
            hosts = ["legacy.payments.example"]
            [[deny]]
            id = "nothing"
            hosts = ["*"]
        "#;
        let table: toml::Table = toml.parse().unwrap();
        let json = serde_json::to_string_pretty(&table).unwrap();
        for policy in [from_toml(toml), from_json(&json)] {
            let policy = policy.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((&*policy.name, policy.rules.len()), ("orders", 5));
        }
    }

    #[test]
    fn every_fault_is_reported_with_its_place_and_its_cure() {
        let rule = |keys: &str| format!("{HEAD}[[allow]]\nid = 'a'\nhosts = ['api.example.com']\n{keys}");
        let cases: &[(&str, String, &[&str])] = &[
            (
                "an empty text",
                String::new(),
                &["the policy is empty: begin with version = 1 and name = \"...\"; \
                   a policy with no rules denies every request"],
            ),
            (
                "no head",
                "# nothing".to_owned(),
                &[
                    "line 1, column 1: the policy has no `version`: write version = 1 as its first line",
                    "line 1, column 1: the policy has no `name`: write one, as in name = \"orders\"; \
                     every audit line carries it",
                ],
            ),
            (
                "not TOML",
                "version = 1\nname = p".to_owned(),
                &["line 2, column 8: this is not TOML: string values must be quoted: write \"p\""],
            ),
            (
                "another version",
                "version = 2\nname = 'p'".to_owned(),
                &["line 1, column 11: this version of the policy language is unknown: write version = 1"],
            ),
            (
                "unknown keys",
                rule("host = ['x']\ncolour = 1"),
                &[
                    "line 6, column 1: `host` is no key of [[allow]]: write `hosts`",
                    "line 7, column 1: `colour` is no key of [[allow]]: remove it; the keys are id, hosts, networks, \
                     ports, schemes, methods, paths, addresses, boundary, mode, expires, reason, owner, \
                     dangerously_any_host",
                ],
            ),
            (
                "a table in place of a list of tables",
                format!("{HEAD}[allow]\nid = 'a'"),
                &["line 3, column 1: [[allow]] is a table, not a list of rules: \
                   write [[allow]] with two brackets (in JSON: a list of objects)"],
            ),
            (
                "values of the wrong kind, without faults that follow from them",
                format!("{HEAD}[[allow]]\nid = 1\nhosts = 'x.example'\nports = 443\nmethods = [1]\nreason = ['x']\n"),
                &[
                    "line 4, column 6: `id` is a number, not a string: write id = \"...\"",
                    "line 5, column 9: `hosts` is a string, not a list: write hosts = [\"x.example\"]",
                    "line 6, column 9: `ports` is a number, not a list: write ports = [443, \"8000-8099\"]",
                    "line 7, column 12: `methods` lists a number: write methods = [\"...\"]",
                    "line 8, column 10: `reason` is a list, not a string: write reason = \"...\"",
                ],
            ),
            (
                "no id, no subject",
                format!("{HEAD}[[allow]]\nports = [443]"),
                &[
                    "line 3, column 1: a rule in [[allow]] has no `id`: write one, as in id = \"payments-api\"",
                    "line 3, column 1: rule `without id` says neither `hosts` nor `networks`: \
                     list what it is about, as in hosts = [\"api.example.com\"]",
                ],
            ),
            (
                "an id twice, in allow and deny",
                rule("[[deny]]\nid = 'a'\nhosts = ['x.example']"),
                &[
                    "line 4, column 6: two rules have the id \"a\": give each its own; audit lines name a rule by its id",
                ],
            ),
            (
                "an id that would not stay one word in a log",
                format!("{HEAD}[[allow]]\nid = 'a b'\nhosts = ['x.example']"),
                &["line 4, column 6: id \"a b\" is no identifier: write 1 to 64 of A-Z, a-z, 0-9, `-`, `_` and `.`, \
                   as in \"a-b\""],
            ),
            (
                "wildcards that match too much",
                format!("{HEAD}[[allow]]\nid = 'a'\nhosts = ['*', '*.com', '*example.com']"),
                &[
                    "line 5, column 10: host `*` matches every host: list the hosts, as in \"*.example.com\", \
                     or state dangerously_any_host = true instead of hosts",
                    "line 5, column 15: host `*.com` matches names that anyone can register: \
                     name who owns it, as in \"*.example.com\"",
                    "line 5, column 24: host `*example.com` matches names that anyone can register: \
                     write \"*.example.com\" for the names below it, or \".example.com\" for these and the name itself",
                ],
            ),
            (
                "networks",
                format!(
                    "{HEAD}[[allow]]\nid = 'a'\nnetworks = ['10.0.0.0/33', '10.0.0.1/8', '10.0.0.1', '::ffff:10.0.0.0/104']"
                ),
                &[
                    "line 5, column 13: \"10.0.0.0/33\" is no network: write CIDR, as in \"10.20.0.0/16\" or \"fd00::/8\"",
                    "line 5, column 28: network \"10.0.0.1/8\" has bits set beyond its prefix: \
                     write \"10.0.0.0/8\", or \"10.0.0.1/32\" for the one address",
                    "line 5, column 42: network \"10.0.0.1\" has no prefix length: write \"10.0.0.1/32\"",
                    "line 5, column 54: network \"::ffff:10.0.0.0/104\" is IPv4-mapped and can never match: \
                     write \"10.0.0.0/8\"",
                ],
            ),
            (
                "ports",
                rule("ports = [0, '9-1', '443,80']"),
                &[
                    "line 6, column 10: \"0\" is neither a port nor a range of ports: \
                     write 443 or \"8000-8099\", between 1 and 65535",
                    "line 6, column 13: ports \"9-1\" run backwards: write \"1-9\"",
                    "line 6, column 20: \"443,80\" is neither a port nor a range of ports: \
                     write 443 or \"8000-8099\", between 1 and 65535",
                ],
            ),
            (
                "methods and schemes",
                rule("methods = ['get', 'CONNECT', '*']\nschemes = ['ftp']"),
                &[
                    "line 6, column 12: method \"get\" is not in upper case: write \"GET\"",
                    "line 6, column 19: method \"CONNECT\" can never match: tunnels are always denied: remove it",
                    "line 6, column 30: method \"*\" is no method: remove `methods`: without it every method is meant",
                    "line 7, column 12: scheme \"ftp\" is unknown: write \"https\" or \"http\"",
                ],
            ),
            (
                "addresses",
                rule("addresses = ['internal', 'loopback', '10.0.0.1']"),
                &[
                    "line 6, column 14: addresses = [\"internal\"] opens nothing: [internal] lists no networks: \
                     list them, as in [internal] networks = [\"10.0.0.0/8\"]",
                    "line 6, column 26: \"loopback\" is no kind of address: \
                     write \"public\", \"private\", \"internal\" or a network such as \"10.20.0.0/16\"",
                    "line 6, column 38: network \"10.0.0.1\" has no prefix length: write \"10.0.0.1/32\"",
                ],
            ),
            (
                "lists that can never match",
                rule("ports = []\npaths = []"),
                &[
                    "line 6, column 9: `ports` of rule `a` is empty, so it can never match: list something, or remove `ports`",
                    "line 7, column 9: `paths` of rule `a` is empty, so it can never match: list something, or remove `paths`",
                ],
            ),
            (
                "keys that a deny rule has no use for",
                format!("{HEAD}[[deny]]\nid = 'd'\nhosts = ['x.example']\naddresses = ['public']"),
                &["line 6, column 14: deny rule `d` states `addresses`: write networks, as in \
                   networks = [\"10.20.0.0/16\"]; they deny every name that resolves into them"],
            ),
            (
                "addresses without names",
                format!("{HEAD}[[allow]]\nid = 'a'\nnetworks = ['10.0.0.0/8']\naddresses = ['public']"),
                &["line 6, column 14: rule `a` states `addresses` but lists no hosts: remove it: \
                   `addresses` says what names may resolve to, and `networks` already lists addresses"],
            ),
            (
                "hosts and any host",
                rule("dangerously_any_host = true"),
                &["line 6, column 24: rule `a` lists hosts and states dangerously_any_host: \
                   keep the hosts and remove dangerously_any_host, or the reverse"],
            ),
        ];
        for (name, text, expected) in cases {
            assert_eq!(faults(from_toml(text)), *expected, "{name}");
        }
    }

    #[test]
    fn a_policy_may_name_its_schema() {
        let text = r#"{"$schema": "policy.schema.json", "version": 1, "name": "orders"}"#;
        assert_eq!(faults(from_json(text)), [""; 0]);
    }

    #[test]
    fn json_is_taken_strictly() {
        let cases = [
            ("", "the policy is empty"),
            ("{", "line 1, column 2: this is not JSON: an object does not end"),
            ("{\"version\":1,\"name\":\"p\",}", "this is not JSON"),
            ("{\"version\":1,/**/\"name\":\"p\"}", "this is not JSON"),
            ("{'version':1}", "this is not JSON"),
            ("{\"version\":1}{}", "this is not JSON"),
            ("[]", "the policy is a list, not a table"),
            ("{\"version\":1,\"name\":\"p\",\n \"name\":\"q\"}", "line 2, column 2: the key `name` stands twice"),
            ("{\"version\":1.0,\"name\":\"p\"}", "this version of the policy language is unknown"),
            ("{\"version\":1,\"name\":null}", "line 1, column 21: `name` is null"),
            ("{\"$schema\":1,\"version\":1,\"name\":\"p\"}", "line 1, column 12: `$schema` is a number, not a string"),
        ];
        for (text, expected) in cases {
            let faults = faults(from_json(text));
            assert!(faults.first().is_some_and(|fault| fault.contains(expected)), "{text}: {faults:?}");
        }
    }
}
