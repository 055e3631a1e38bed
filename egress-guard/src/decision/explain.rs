//! Why a policy decides as it does: every rule that was considered, and what of it did not match.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

use super::matching::{Match, allow_fails_in, deny_matches_in};
use super::{Decision, Dimension, LayerAnswer, Reason, Request};
use crate::destination::{Host, Scheme};
use crate::policy::{AddressClass, CompiledRule, Effect, Layer, Mode, Policy, RuleId, Subject, path_pattern_for};

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What [`Policy::decide`] answers.
    pub decision: Decision,
    /// What each layer said, the outermost first.
    pub layers: Vec<LayerExplanation>,
}

/// What one layer of a policy said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerExplanation {
    /// The name of the layer's policy.
    pub policy: Arc<str>,
    /// Why the layer denies, if it does, and whether it enforces that.
    pub denial: Option<(Reason, Mode)>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// The rules whose hosts or networks the request is about, deny rules first, each list in the order of the policy.
    pub considered: Vec<RuleExplanation>,
    /// The smallest allow rule, in TOML, that the layer lacks to allow the request, where one would do.
    pub missing_rule: Option<String>,
}

/// What one rule said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleExplanation {
    /// The rule.
    pub id: RuleId,
    /// Whether it allows or denies what it matches.
    pub effect: Effect,
    /// What of it did not match; empty if all did.
    pub fails: Vec<Dimension>,
    /// Whether the path could be read in two ways, so that its `paths` cannot decide.
    pub path_is_ambiguous: bool,
    /// Whether the day that its `expires` states has come.
    pub has_expired: bool,
    /// Whether the rule only reports.
    pub mode: Mode,
}

impl Policy {
    /// Explains a decision. It costs more than [`decide`](Self::decide), and says the same.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>, now: SystemTime) -> Explanation {
        let request = &Request { via: self.via(request.host, request.port), ..*request };
        let layers = self.layers().map(|layer| layer.explain(request, now)).collect();
        Explanation { decision: self.decide(request, now), layers }
    }
}

impl Layer {
    fn explain(&self, request: &Request<'_>, now: SystemTime) -> LayerExplanation {
        let mut considered = BTreeMap::new();
        self.visit_candidates(request.host, request.peer, |number, rule, subject| {
            if rule.effect == Effect::Deny || subject != Subject::Address {
                let explained = self.explain_rule(rule, request, subject, now);
                // A rule that is visited twice counts as it matches best.
                let fewer = |known: &(RuleExplanation, _)| known.0.fails.len() > explained.fails.len();
                if considered.get(&number).is_none_or(fewer) {
                    considered.insert(number, (explained, rule));
                }
            }
        });
        let (denial, rule) = match self.answer(request, now) {
            LayerAnswer::Allow(rule) => (None, Some(rule)),
            LayerAnswer::Deny(denial) => (Some((denial.reason, denial.mode)), denial.rule),
        };
        // The rule that came closest: a further one for the same host must open the same addresses.
        let closest = considered.values().filter(|(rule, _)| rule.effect == Effect::Allow);
        let closest = closest.min_by_key(|(rule, _)| rule.fails.len()).map(|(_, rule)| *rule);
        let missing_rule = denial.and_then(|(reason, _)| self.missing_rule(reason, request, closest));
        LayerExplanation {
            policy: Arc::clone(&self.name),
            denial,
            rule: rule.map(|rule| rule.id.clone()),
            considered: considered.into_values().map(|(explained, _)| explained).collect(),
            missing_rule,
        }
    }

    fn explain_rule(
        &self,
        rule: &CompiledRule,
        request: &Request<'_>,
        subject: Subject,
        now: SystemTime,
    ) -> RuleExplanation {
        let mut path_is_ambiguous = false;
        let mut fails = |dimension: &Dimension| match rule.effect {
            Effect::Allow => {
                let reason = allow_fails_in(*dimension, self, rule, request, subject);
                path_is_ambiguous |= reason == Some(Reason::AmbiguousPath);
                reason.is_some()
            }
            Effect::Deny => {
                let matches = deny_matches_in(*dimension, self, rule, request, subject);
                path_is_ambiguous |= matches == Match::Ambiguous;
                matches != Match::Yes
            }
        };
        let fails = Dimension::ALL.into_iter().filter(|dimension| fails(dimension)).collect();
        RuleExplanation {
            id: rule.id.clone(),
            effect: rule.effect,
            fails,
            path_is_ambiguous,
            has_expired: rule.has_expired(now),
            mode: rule.mode(now),
        }
    }

    /// The rule to add, where adding one is what helps.
    fn missing_rule(&self, reason: Reason, request: &Request<'_>, closest: Option<&CompiledRule>) -> Option<String> {
        let helps = matches!(
            reason,
            Reason::HostNotAllowed
                | Reason::IpLiteralNotAllowed
                | Reason::SchemeNotAllowed
                | Reason::PortNotAllowed
                | Reason::MethodNotAllowed
                | Reason::PathNotAllowed
        );
        let address = match request.host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(_) => request.peer,
        };
        if !helps || address.map(AddressClass::of) == Some(AddressClass::CloudMetadata) {
            return None;
        }
        let mut rule = format!("[[allow]]\nid = \"{}\"\n", self.free_id(request.host));
        let mut line = |key: &str, values: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(rule, "{key} = [{values}]");
        };
        match request.host {
            Host::Name(_) => line("hosts", &format!("\"{}\"", request.host)),
            Host::Ip(ip) => line("networks", &format!("\"{}\"", IpNet::from(ip.to_canonical()))),
        }
        if let Some(port) = request.port.filter(|port| request.scheme.map(Scheme::default_port) != Some(*port)) {
            line("ports", &port.to_string());
        }
        if let Some(scheme) = request.scheme.filter(|scheme| *scheme != Scheme::Https) {
            line("schemes", &format!("\"{scheme}\""));
        }
        if let Some(method) = request.method {
            line("methods", &format!("\"{method}\""));
        }
        if let Some(pattern) = request.path.and_then(path_pattern_for) {
            line("paths", &format!("{pattern:?}"));
        }
        if let (Host::Name(_), Some(addresses)) = (request.host, closest.map(|rule| &rule.addresses)) {
            if addresses.texts != ["public"] {
                line(
                    "addresses",
                    &addresses.texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", "),
                );
            }
            if let Some(boundary) = addresses.boundary {
                let _ = writeln!(rule, "boundary = \"{}\"", boundary.as_str());
            }
        } else if let (Host::Name(_), Some(peer)) = (request.host, request.peer)
            && AddressClass::of(peer) != AddressClass::Public
        {
            line("addresses", &format!("\"{}\"", IpNet::from(peer.to_canonical())));
        }
        Some(rule)
    }

    /// An id for a rule about a host that no rule has yet.
    fn free_id(&self, host: &Host) -> String {
        let name: String = host.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let name = name.trim_matches('-').get(..56).map_or(name.trim_matches('-'), |name| name.trim_matches('-'));
        let is_free = |id: &String| self.rules.iter().all(|rule| rule.id.as_str() != id);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }
}
