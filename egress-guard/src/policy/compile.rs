//! From a draft to a policy: every text is checked, every fault is collected, nothing is guessed.

mod addresses;
mod whole;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::draft::{PolicyDraft, RuleDraft, Text};
use super::error::PolicyFault;
use super::layer::{Index, Internal, Layer, Numbers};
use super::path::{PathSet, PathSetBuilder};
use super::pattern::{BadPattern, HostPattern};
use super::rule::{Addresses, CompiledRule, Effect, RuleId};
use super::services;
use super::value::{identifier_for, is_identifier, parse_method, parse_network, parse_ports, parse_scheme};
use super::{Boundary, Mode};

/// Checks a draft and builds the policy's layer; faults already found by its reader are reported with the new ones.
pub(super) fn compile(draft: PolicyDraft, faults: Vec<PolicyFault>) -> Result<Layer, Vec<PolicyFault>> {
    let mut compiler = Compiler { faults, ..Compiler::default() };
    let report_only_until = compiler.report_only_until(&draft);
    let proxy = draft.proxy.as_ref().and_then(|url| compiler.proxy(url));
    let name = compiler.name(&draft);
    compiler.internal(&draft);
    let owner = compiler.prose("owner", draft.owner);
    // Deny rules first, so that of all rules that match a request the first one decides.
    let drafts = draft.deny.into_iter().map(|draft| (Effect::Deny, draft));
    for (effect, draft) in drafts.chain(draft.allow.into_iter().map(|draft| (Effect::Allow, draft))) {
        compiler.rule(effect, draft);
    }
    if compiler.faults.is_empty() {
        let Compiler { rules, index, internal, .. } = compiler;
        Ok(Layer { name, owner, report_only_until, proxy, sha256: None, source: "code".into(), rules, index, internal })
    } else {
        Err(compiler.faults)
    }
}

/// A layer with one more allow rule.
pub(crate) fn with_allow_rule(layer: &Layer, draft: RuleDraft) -> Result<Layer, Vec<PolicyFault>> {
    let addresses =
        |rule: &CompiledRule| ((rule.addresses.texts.clone(), rule.addresses.boundary), Arc::clone(&rule.addresses));
    let mut compiler = Compiler {
        ids: layer.rules.iter().map(|rule| rule.id.clone()).collect(),
        rules: layer.rules.clone(),
        index: layer.index.clone(),
        internal: layer.internal.clone(),
        internal_networks: layer.internal.networks.keys().collect(),
        addresses: layer.rules.iter().map(addresses).collect(),
        ..Compiler::default()
    };
    compiler.rule(Effect::Allow, draft);
    if compiler.faults.is_empty() {
        Ok(Layer { rules: compiler.rules, index: compiler.index, ..layer.clone() })
    } else {
        Err(compiler.faults)
    }
}

#[derive(Default)]
struct Compiler {
    faults: Vec<PolicyFault>,
    /// The rule that is being compiled.
    rule: Option<RuleId>,
    ids: HashSet<RuleId>,
    rules: Vec<CompiledRule>,
    index: Index,
    internal: Internal,
    internal_networks: Vec<IpNet>,
    /// Whether `[internal]` has faults, so that what it lacks is no fault of its own.
    internal_is_faulty: bool,
    /// Rules with the same `addresses` and `boundary` share one, so that a decision can compare them by pointer.
    addresses: HashMap<(Vec<String>, Option<Boundary>), Arc<Addresses>>,
    /// Those of the rules that state neither.
    usual_addresses: Option<Arc<Addresses>>,
}

impl Compiler {
    fn fault(&mut self, offset: Option<usize>, problem: impl Into<String>, cure: impl Into<String>) {
        let mut problem = problem.into();
        // A policy built in code has no lines; the rule's id is its place.
        if let (None, Some(rule)) = (offset, &self.rule)
            && !problem.contains(&format!("`{rule}`"))
        {
            problem = format!("in rule `{rule}`, {problem}");
        }
        self.faults.push(PolicyFault::new(offset, problem, cure));
    }

    fn rule(&mut self, effect: Effect, mut draft: RuleDraft) {
        self.rule = None;
        let id = self.id(effect, &draft);
        self.rule = Some(id.clone());
        for (offset, problem, cure) in services::expand(effect, &mut draft) {
            self.fault(offset, problem, cure);
        }
        self.has_subject(effect, &id, &draft);

        let hosts = draft.hosts.as_deref().unwrap_or_default();
        let (any, hosts): (Vec<Text>, Vec<Text>) =
            hosts.iter().cloned().partition(|host| effect == Effect::Deny && host.text == "*");
        let any_host = draft.any_host || !any.is_empty();
        let patterns = self.patterns(effect, &hosts);
        let networks = self.parse_each(draft.networks.as_deref().unwrap_or_default(), parse_network);
        let at = (&id, &draft);
        let paths = self.paths(&id, &draft);
        let compiled = CompiledRule {
            effect,
            schemes: self.list(at, "schemes", draft.schemes.as_deref(), parse_scheme),
            ports: self.list(at, "ports", draft.ports.as_deref(), parse_ports),
            methods: self.list(at, "methods", draft.methods.as_deref(), parse_method),
            paths,
            addresses: self.addresses(effect, &id, &draft),
            mode: self.rule_mode(effect, &id, draft.mode.as_ref()),
            expires: draft.expires.as_ref().and_then(|day| self.day("expires", day)),
            reason: self.prose("reason", draft.reason),
            owner: self.prose("owner", draft.owner),
            id,
        };
        #[allow(clippy::cast_possible_truncation, reason = "four thousand million rules are no policy")]
        let number = self.rules.len() as u32;
        self.rules.push(compiled);
        for pattern in &patterns {
            self.index.hosts.update(pattern, |rules| push_once(rules, number));
        }
        for network in networks {
            push_once(self.index.networks.entry(network), number);
        }
        if any_host {
            match effect {
                Effect::Allow => self.index.allow_any_host.push(number),
                Effect::Deny => self.index.deny_any_host.push(number),
            }
        }
    }

    fn id(&mut self, effect: Effect, draft: &RuleDraft) -> RuleId {
        let Some(Text { text, offset }) = &draft.id else {
            if draft.unread {
                return RuleId::new("without id");
            }
            let table = table_name(effect);
            self.fault(
                draft.offset,
                format!("a rule in {table} has no `id`"),
                "write one, as in id = \"payments-api\"",
            );
            return RuleId::new("without id");
        };
        if !is_identifier(text) {
            self.fault(*offset, format!("id {text:?} is no identifier"), identifier_for(text));
            // It stands in further messages.
            return RuleId::new(&text.escape_debug().to_string());
        }
        let id = RuleId::new(text);
        if !self.ids.insert(id.clone()) {
            let cure = "give each its own; audit lines name a rule by its id";
            self.fault(*offset, format!("two rules have the id {text:?}"), cure);
        }
        id
    }

    /// A rule must say what it is about, once, and in a way that can match.
    fn has_subject(&mut self, effect: Effect, id: &RuleId, draft: &RuleDraft) {
        let RuleDraft { hosts, networks, any_host, offset, unread, .. } = draft;
        let any_host_place = draft.place("dangerously_any_host");
        if hosts.is_none() && networks.is_none() && !any_host && !unread {
            self.fault(
                *offset,
                format!("rule `{id}` says neither `hosts` nor `networks`"),
                "list what it is about, as in hosts = [\"api.example.com\"]",
            );
        }
        if *any_host && hosts.is_some() {
            self.fault(
                any_host_place,
                format!("rule `{id}` lists hosts and states dangerously_any_host"),
                "keep the hosts and remove dangerously_any_host, or the reverse",
            );
        }
        if *any_host && effect == Effect::Deny {
            let problem = format!("deny rule `{id}` states dangerously_any_host");
            self.fault(any_host_place, problem, "write hosts = [\"*\"] instead of it");
        }
        for (key, list) in [("hosts", hosts), ("networks", networks)] {
            if list.as_ref().is_some_and(Vec::is_empty) && !unread {
                self.empty(id, draft, key);
            }
        }
    }

    fn empty(&mut self, id: &RuleId, draft: &RuleDraft, key: &str) {
        self.fault(
            draft.place(key),
            format!("`{key}` of rule `{id}` is empty, so it can never match"),
            format!("list something, or remove `{key}`"),
        );
    }

    fn patterns(&mut self, effect: Effect, hosts: &[Text]) -> Vec<HostPattern> {
        self.parse_each(hosts, |host| HostPattern::parse(host, effect).map_err(BadPattern::into_parts))
    }

    fn list<T>(
        &mut self,
        (id, draft): (&RuleId, &RuleDraft),
        key: &str,
        texts: Option<&[Text]>,
        parse: fn(&str) -> Result<T, (String, String)>,
    ) -> Option<Vec<T>> {
        let texts = texts?;
        if texts.is_empty() && !draft.unread {
            self.empty(id, draft, key);
        }
        Some(self.parse_each(texts, parse))
    }

    /// The texts that can be read; a fault for each of the others.
    fn parse_each<T>(&mut self, texts: &[Text], parse: impl Fn(&str) -> Result<T, (String, String)>) -> Vec<T> {
        let mut parsed = Vec::with_capacity(texts.len());
        for Text { text, offset } in texts {
            match parse(text) {
                Ok(value) => parsed.push(value),
                Err((problem, cure)) => self.fault(*offset, problem, cure),
            }
        }
        parsed
    }

    fn paths(&mut self, id: &RuleId, draft: &RuleDraft) -> Option<PathSet> {
        let paths = draft.paths.as_deref()?;
        if paths.is_empty() && !draft.unread {
            self.empty(id, draft, "paths");
        }
        let mut builder = PathSetBuilder::new();
        for path in paths {
            if let Err((problem, cure)) = builder.add(&path.text) {
                self.fault(path.offset, problem, cure);
            }
        }
        match builder.build() {
            Ok(set) => Some(set),
            Err(error) => {
                let problem = format!("the paths of rule `{id}` are too large: {error}");
                self.fault(draft.place("paths"), problem, "make several rules of it, each with some of the paths");
                None
            }
        }
    }

    fn rule_mode(&mut self, effect: Effect, id: &RuleId, text: Option<&Text>) -> Mode {
        let Some(text) = text else { return Mode::Enforce };
        if effect == Effect::Allow {
            self.fault(
                text.offset,
                format!("allow rule `{id}` states a mode"),
                "remove it: to try a policy out, write mode = \"report-only\" and report_only_until = 2027-03-31 at its top",
            );
            return Mode::Enforce;
        }
        self.mode(text).unwrap_or(Mode::Enforce)
    }

    fn prose(&mut self, key: &str, text: Option<Text>) -> Option<Box<str>> {
        let Text { text, offset } = text?;
        if text.chars().count() > 200 || text.chars().any(char::is_control) {
            self.fault(
                offset,
                format!("`{key}` is too long or not one line"),
                "write one line of at most 200 characters",
            );
        }
        Some(text.into())
    }
}

/// Rules are compiled in order, so a repeated number is always the last.
fn push_once(rules: &mut Numbers, number: u32) {
    if rules.last() != Some(&number) {
        rules.push(number);
    }
}

fn table_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "[[allow]]",
        Effect::Deny => "[[deny]]",
    }
}
