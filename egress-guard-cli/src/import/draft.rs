//! What a list says, in the terms of a policy, and what of it a policy cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use egress_guard::{Effect, Policy, Rule};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// A note for lists of systems that do not care where a name leads.
pub(super) const PUBLIC_ONLY: &str =
    "Names may lead to public addresses only. Where one leads elsewhere, give it a rule with `addresses`.";

/// The cure for a list that is not enforced where it comes from.
pub(super) const REPORT_FIRST: &str = "to see first what would be denied, write mode = \"report-only\" and \
    report_only_until, a date, below the policy's name";

#[derive(Debug, Default)]
pub(super) struct Draft {
    /// By id.
    rules: BTreeMap<String, (Head, Subjects)>,
    /// What did not carry over.
    pub(super) left: Vec<Fault>,
    /// What the reader of the policy should know of how the list was understood.
    pub(super) notes: Vec<String>,
    /// The service that the list is about.
    pub(super) service: Option<String>,
}

/// A rule without the hosts and networks that it is about. Two with the same id are the same.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) effect: Effect,
    pub(super) id: String,
    /// None listed means the policy's default: https in an allow rule, any in a deny rule.
    pub(super) schemes: &'static [&'static str],
    /// None means the policy's default: the scheme's own in an allow rule, any in a deny rule.
    pub(super) port: Option<u16>,
    pub(super) reason: Option<&'static str>,
    pub(super) owner: Option<String>,
}

#[derive(Debug, Default)]
struct Subjects {
    hosts: BTreeSet<String>,
    networks: BTreeSet<String>,
}

/// What is wrong with a line of the list, or has no place in a policy, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) problem: String,
    pub(super) cure: String,
}

impl Fault {
    pub(super) fn new(line: usize, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { line, problem: problem.into(), cure: cure.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.problem, self.cure)
    }
}

impl Head {
    /// A rule whose id tells its effect, its schemes and its port.
    pub(super) fn new(effect: Effect, schemes: &'static [&'static str], port: Option<u16>) -> Self {
        let mut id = "imported".to_owned();
        if effect == Effect::Deny {
            id += "-deny";
        }
        if let [scheme] = schemes {
            id += &format!("-{scheme}");
        }
        if let Some(port) = port {
            id += &format!("-{port}");
        }
        Self { effect, id, schemes, port, reason: None, owner: None }
    }
}

impl Draft {
    /// Adds a host to a rule, or what the policy language has against it to what did not carry over; true if added.
    pub(super) fn host(&mut self, head: &Head, line: usize, host: &str) -> bool {
        let lower = host.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        if self.rules.get(&head.id).is_some_and(|(_, subjects)| subjects.hosts.contains(name)) {
            return true;
        }
        let refused = if host.len() > 300 {
            Some((format!("host `{}` is longer than a name can be", excerpt(host)), "write the name itself".to_owned()))
        } else {
            complaint(head.effect, |rule| rule.hosts([host]))
        };
        match refused {
            None => self.subjects(head).hosts.insert(name.to_owned()),
            Some((problem, cure)) => {
                self.left.push(Fault::new(line, problem, cure));
                false
            }
        }
    }

    /// Adds an IP address to a rule, as [`host`](Self::host) does.
    pub(super) fn address(&mut self, head: &Head, line: usize, ip: IpAddr) -> bool {
        let network = network(ip);
        if let Some((problem, cure)) = complaint(head.effect, |rule| rule.networks([&network])) {
            self.left.push(Fault::new(line, problem, cure));
            return false;
        }
        self.subjects(head).networks.insert(network);
        true
    }

    fn subjects(&mut self, head: &Head) -> &mut Subjects {
        &mut self.rules.entry(head.id.clone()).or_insert_with(|| (head.clone(), Subjects::default())).1
    }

    /// With what did not carry over in the order of the list.
    pub(super) fn in_order(mut self) -> Self {
        self.left.sort_by_key(|fault| fault.line);
        self
    }

    pub(super) fn to_toml(&self, name: &str) -> String {
        let mut document = DocumentMut::new();
        document.insert("version", value(1));
        document.insert("name", value(name));
        for (key, effect) in [("allow", Effect::Allow), ("deny", Effect::Deny)] {
            let rules = self.rules.values().filter(|(head, _)| head.effect == effect);
            let tables: ArrayOfTables = rules.map(|(head, subjects)| rule_table(head, subjects)).collect();
            if !tables.is_empty() {
                document.insert(key, Item::ArrayOfTables(tables));
            }
        }
        document.to_string()
    }
}

fn rule_table(head: &Head, Subjects { hosts, networks }: &Subjects) -> Table {
    let mut table = Table::new();
    let mut set = |key: &str, item: Item| table.insert(key, item);
    set("id", value(&head.id));
    for (key, entries) in [("hosts", hosts), ("networks", networks)] {
        if !entries.is_empty() {
            set(key, value(one_on_a_line(entries)));
        }
    }
    if !head.schemes.is_empty() {
        set("schemes", value(head.schemes.iter().copied().collect::<Array>()));
    }
    if let Some(port) = head.port {
        set("ports", value(Array::from_iter([i64::from(port)])));
    }
    for (key, text) in [("reason", head.reason), ("owner", head.owner.as_deref())] {
        if let Some(text) = text {
            set(key, value(text));
        }
    }
    table
}

fn one_on_a_line(entries: &BTreeSet<String>) -> Array {
    let mut array: Array = entries.iter().collect();
    for entry in array.iter_mut() {
        entry.decor_mut().set_prefix("\n    ");
    }
    array.set_trailing_comma(true);
    array.set_trailing("\n");
    array
}

/// What is wrong with `.example.com` where it stands for no name, and would stand for many here.
pub(super) fn leading_dot(line: usize, host: &str) -> Option<Fault> {
    let name = host.strip_prefix('.')?;
    let problem = format!("`{}` begins with a dot, so that no name is the same", excerpt(host));
    Some(Fault::new(
        line,
        problem,
        format!("write \"*.{}\" in the list if the names below it are meant", excerpt(name)),
    ))
}

/// The network of one address.
pub(super) fn network(ip: IpAddr) -> String {
    format!("{ip}/{}", if ip.is_ipv4() { 32 } else { 128 })
}

/// What the library has against a rule, and its cure.
pub(super) fn complaint(effect: Effect, about: impl FnOnce(Rule) -> Rule) -> Option<(String, String)> {
    let (rule, policy) = (about(Rule::new("imported")), Policy::builder("imported"));
    let built = match effect {
        Effect::Allow => policy.allow(rule).build(),
        Effect::Deny => policy.deny(rule).build(),
    };
    let error = built.err()?;
    let fault = error.faults().first()?;
    // The rule is named for lack of a line, and the line is known here.
    let problem = fault.problem();
    let problem = problem.strip_prefix("in rule `imported`, ").unwrap_or(problem);
    Some((problem.to_owned(), fault.cure().to_owned()))
}

/// A text of the list as it may stand in a message: not too long, and without a password.
pub(super) fn excerpt(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        return excerpt(&format!("{scheme}://{host}"));
    }
    let mut excerpt: String = text.chars().take(80).collect();
    if excerpt.len() < text.len() {
        excerpt.push('\u{2026}');
    }
    excerpt
}

/// A text that neither steers a terminal nor ends a comment.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => printable.push(character),
            other => printable.extend(other.escape_debug()),
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_list_cannot_forge_a_message() {
        assert_eq!(printable("a\nb\u{1b}[2J\u{202e}\tc \"\\ \u{fc}"), "a\\nb\\u{1b}[2J\\u{202e}\\tc \"\\ \u{fc}");
        assert_eq!(excerpt("https://user:password@api.example.com/@x"), "https://x");
        assert_eq!(excerpt(&"\u{fc}".repeat(81)), "\u{fc}".repeat(80) + "\u{2026}");
        assert_eq!(excerpt(&"\u{fc}".repeat(80)), "\u{fc}".repeat(80));
    }
}
