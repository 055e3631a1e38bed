//! From a draft to a policy: every text is checked, every fault is collected, nothing is guessed.

mod addresses;
mod whole;

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use ipnet::IpNet;

use super::draft::{BorrowedPolicy, BorrowedRule, BorrowedText, RuleDraft, Text};
use super::error::PolicyFault;
use super::hosts::HostMap;
use super::layer::{Index, Internal, Layer, Numbers};
use super::network::NetworkMap;
use super::path::PathSet;
use super::pattern::{BadPattern, HostPattern};
use super::rule::{Addresses, CompiledRule, Conditions, Effect, Rest, RuleId};
use super::services;
use super::value::{identifier_for, is_identifier, parse_method, parse_network, parse_ports, parse_scheme};
use super::{Boundary, Mode};

/// Checks a draft and builds the policy's layer; faults already found by its reader are reported with the new ones.
pub(super) fn compile(draft: BorrowedPolicy<'_>, faults: Vec<PolicyFault>) -> Result<Layer, Vec<PolicyFault>> {
    let mut compiler = Compiler { faults, ..Compiler::default() };
    let report_only_until = compiler.report_only_until(&draft);
    let proxy = draft.proxy.as_ref().and_then(|url| compiler.proxy(url));
    let name = compiler.name(&draft);
    compiler.internal(&draft);
    let owner = compiler.prose("owner", draft.owner);
    let rules = draft.deny.len() + draft.allow.len();
    compiler.rules.reserve_exact(rules);
    compiler.ids.reserve(rules);
    // Deny rules first, so that of all rules that match a request the first one decides.
    let drafts = draft.deny.into_iter().map(|draft| (Effect::Deny, draft));
    for (effect, draft) in drafts.chain(draft.allow.into_iter().map(|draft| (Effect::Allow, draft))) {
        compiler.rule(effect, draft);
    }
    if compiler.faults.is_empty() {
        let Compiler { rules, index, internal, .. } = compiler.finished();
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
        hosts: layer.index.hosts.to_map(),
        index: Index {
            deny_any_host: layer.index.deny_any_host.clone(),
            allow_any_host: layer.index.allow_any_host.clone(),
            ..Index::default()
        },
        networks: layer
            .index
            .networks
            .iter()
            .flat_map(|(network, rules)| rules.iter().map(move |rule| (network, *rule)))
            .collect(),
        internal: layer.internal.clone(),
        internal_networks: layer.internal.networks.iter().map(|(network, ())| network).collect(),
        addresses: layer.rules.iter().map(addresses).collect(),
        ..Compiler::default()
    };
    compiler.rule(Effect::Allow, draft.map(Cow::Owned));
    if compiler.faults.is_empty() {
        let Compiler { rules, index, .. } = compiler.finished();
        Ok(Layer { rules, index, ..layer.clone() })
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
    /// Of the index, which is built of all at once.
    hosts: HostMap<Numbers>,
    networks: Vec<(IpNet, u32)>,
    /// The rest of the index.
    index: Index,
    internal: Internal,
    internal_networks: Vec<IpNet>,
    /// Whether `[internal]` has faults, so that what it lacks is no fault of its own.
    internal_is_faulty: bool,
    conditions: HashSet<Arc<Conditions>>,
    /// Rules with the same `addresses` and `boundary` share one, so that a decision can compare them by pointer.
    addresses: HashMap<(Vec<String>, Option<Boundary>), Arc<Addresses>>,
    /// Those of the rules that state neither.
    usual_addresses: Option<Arc<Addresses>>,
}

impl Compiler {
    fn finished(mut self) -> Self {
        self.index.hosts = std::mem::take(&mut self.hosts).into();
        self.index.networks = NetworkMap::new(std::mem::take(&mut self.networks), push_once);
        self
    }

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

    fn rule(&mut self, effect: Effect, mut draft: BorrowedRule<'_>) {
        self.rule = None;
        let id = self.id(effect, &draft);
        self.rule = Some(id.clone());
        for (offset, problem, cure) in services::expand(effect, &mut draft) {
            self.fault(offset, problem, cure);
        }
        self.has_subject(effect, &id, &draft);

        let hosts = draft.hosts.as_deref().unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, reason = "four thousand million rules are no policy")]
        let number = self.rules.len() as u32;
        let is_any = |host: &BorrowedText<'_>| effect == Effect::Deny && host.text == "*";
        for Text { text, offset } in hosts.iter().filter(|host| !is_any(host)) {
            match HostPattern::parse(text, effect).map_err(BadPattern::into_parts) {
                Ok(pattern) => self.hosts.update(&pattern, |rules| push_once(rules, number)),
                Err((problem, cure)) => self.fault(*offset, problem, cure),
            }
        }
        for network in self.parse_each::<Vec<_>, _>(draft.networks.as_deref().unwrap_or_default(), parse_network) {
            self.networks.push((network, number));
        }
        if draft.any_host || hosts.iter().any(is_any) {
            match effect {
                Effect::Allow => self.index.allow_any_host.push(number),
                Effect::Deny => self.index.deny_any_host.push(number),
            }
        }
        let at = (&id, &draft);
        let paths = self.paths(&id, &draft);
        let compiled = CompiledRule {
            effect,
            conditions: self.conditions(at),
            addresses: self.addresses(effect, &id, &draft),
            mode: self.rule_mode(effect, &id, draft.mode.as_ref()),
            rest: self.rest(paths, draft.expires, draft.reason, draft.owner),
            id,
        };
        self.rules.push(compiled);
    }

    fn conditions(&mut self, at: (&RuleId, &BorrowedRule<'_>)) -> Arc<Conditions> {
        let (_, draft) = at;
        let conditions = Conditions {
            schemes: self.list(at, "schemes", draft.schemes.as_deref(), parse_scheme),
            ports: self.list(at, "ports", draft.ports.as_deref(), parse_ports),
            methods: self.list(at, "methods", draft.methods.as_deref(), parse_method),
        };
        if let Some(known) = self.conditions.get(&conditions) {
            return Arc::clone(known);
        }
        let new = Arc::new(conditions);
        self.conditions.insert(Arc::clone(&new));
        new
    }

    fn rest(
        &mut self,
        paths: Option<PathSet>,
        expires: Option<BorrowedText<'_>>,
        reason: Option<BorrowedText<'_>>,
        owner: Option<BorrowedText<'_>>,
    ) -> Option<Box<Rest>> {
        if paths.is_none() && expires.is_none() && reason.is_none() && owner.is_none() {
            return None;
        }
        let expires = expires.and_then(|day| self.day("expires", &day));
        Some(Box::new(Rest { paths, expires, reason: self.prose("reason", reason), owner: self.prose("owner", owner) }))
    }

    fn id(&mut self, effect: Effect, draft: &BorrowedRule<'_>) -> RuleId {
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
    fn has_subject(&mut self, effect: Effect, id: &RuleId, draft: &BorrowedRule<'_>) {
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

    fn empty(&mut self, id: &RuleId, draft: &BorrowedRule<'_>, key: &str) {
        self.fault(
            draft.place(key),
            format!("`{key}` of rule `{id}` is empty, so it can never match"),
            format!("list something, or remove `{key}`"),
        );
    }

    fn list<C: Default + Extend<T>, T>(
        &mut self,
        (id, draft): (&RuleId, &BorrowedRule<'_>),
        key: &str,
        texts: Option<&[BorrowedText<'_>]>,
        parse: fn(&str) -> Result<T, (String, String)>,
    ) -> Option<C> {
        let texts = texts?;
        if texts.is_empty() && !draft.unread {
            self.empty(id, draft, key);
        }
        Some(self.parse_each(texts, parse))
    }

    /// The texts that can be read; a fault for each of the others.
    fn parse_each<C: Default + Extend<T>, T>(
        &mut self,
        texts: &[BorrowedText<'_>],
        parse: impl Fn(&str) -> Result<T, (String, String)>,
    ) -> C {
        let mut parsed = C::default();
        for Text { text, offset } in texts {
            match parse(text) {
                Ok(value) => parsed.extend([value]),
                Err((problem, cure)) => self.fault(*offset, problem, cure),
            }
        }
        parsed
    }

    fn paths(&mut self, id: &RuleId, draft: &BorrowedRule<'_>) -> Option<PathSet> {
        let paths = draft.paths.as_deref()?;
        if paths.is_empty() && !draft.unread {
            self.empty(id, draft, "paths");
        }
        let mut set = PathSet::default();
        for path in paths {
            if let Err((problem, cure)) = set.add(&path.text) {
                self.fault(path.offset, problem, cure);
            }
        }
        Some(set)
    }

    fn rule_mode(&mut self, effect: Effect, id: &RuleId, text: Option<&BorrowedText<'_>>) -> Mode {
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

    fn prose(&mut self, key: &str, text: Option<BorrowedText<'_>>) -> Option<Box<str>> {
        let Text { text, offset } = text?;
        if text.chars().count() > 200 || text.chars().any(char::is_control) {
            self.fault(
                offset,
                format!("`{key}` is too long or not one line"),
                "write one line of at most 200 characters",
            );
        }
        Some(text.into_owned().into())
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
