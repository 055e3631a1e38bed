//! Why a policy decides as it does: every rule that was considered, and what of it did not match.

mod missing;

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use super::matching::{Match, allow_fails_in, deny_matches_in};
use super::{Decision, Dimension, LayerAnswer, Reason, Request};
use crate::policy::{Boundary, CompiledRule, Effect, Layer, Mode, Policy, RuleId, Subject};

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation<'p> {
    /// What [`Policy::decide`] answers.
    pub decision: Decision<'p>,
    /// On which side the destination lies, as the outermost layer sees it that says what is internal; nothing where
    /// that depends on the address, and it is not known.
    pub boundary: Option<Boundary>,
    /// What each layer said, the outermost first.
    pub layers: Vec<LayerExplanation>,
}

/// What one layer of a policy said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerExplanation {
    /// The name of the layer's policy.
    pub policy: Arc<str>,
    /// Whom to ask about the policy.
    pub owner: Option<Box<str>>,
    /// Why the layer denies, if it does, and whether it enforces that.
    pub denial: Option<(Reason, Mode)>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// On which side the destination lies, as the layer sees it; nothing where that depends on the address, and it is
    /// not known.
    pub boundary: Option<Boundary>,
    /// The rules whose hosts or networks the request is about, deny rules first, each list in the order of the policy.
    pub considered: Vec<RuleExplanation>,
    /// The smallest allow rule, in TOML, that the layer lacks to allow the request, at every place where a guard asks
    /// ([`Request::stages`]). It allows no other request, but for what a request whose method or path is not known could
    /// be, and takes nothing from one. Where a rule cannot do that there is none, and none for a cloud's metadata service.
    pub missing_rule: Option<String>,
    /// The change of `addresses` that the layer lacks to allow the request, at every place likewise. It opens the
    /// address to all that the rules allow, and rules that they share other hosts with may need it too.
    pub missing_addresses: Option<MissingAddresses>,
}

/// A change of `addresses` by which a layer would allow a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingAddresses {
    /// The rules that need it: the one that came closest, and those it shares connections with.
    pub rules: Vec<RuleId>,
    /// The new value of their `addresses`.
    pub addresses: Vec<String>,
}

/// What one rule said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuleExplanation {
    /// The rule.
    pub id: RuleId,
    /// Whether it allows or denies what it matches.
    pub effect: Effect,
    /// What of it did not match, the first thing first; empty if all did.
    pub fails: Vec<Dimension>,
    /// Whether the path could be read in two ways, so that its `paths` cannot decide.
    pub path_is_ambiguous: bool,
    /// Whether it opens other addresses for the same connections than the rule that matches, which is why the layer
    /// denies.
    pub conflicts_in_addresses: bool,
    /// The day that its `expires` states.
    pub expires: Option<String>,
    /// Whether that day has come.
    pub has_expired: bool,
    /// Whether the rule only reports.
    pub mode: Mode,
    /// Why the rule exists.
    pub reason: Option<Box<str>>,
    /// Whom to ask about it.
    pub owner: Option<Box<str>>,
}

impl RuleExplanation {
    /// Whether the rule allows or denies the request by itself.
    #[must_use]
    pub fn matches(&self) -> bool {
        self.fails.is_empty() && !(self.effect == Effect::Allow && self.has_expired)
    }
}

impl Policy {
    /// Explains a decision. It costs more than [`decide`](Self::decide), and says the same.
    #[must_use]
    pub fn explain(&self, request: &Request<'_>, now: SystemTime) -> Explanation<'_> {
        let request = &Request { via: self.via(request.host, request.port), ..*request };
        Explanation {
            decision: self.decide(request, now),
            boundary: self.known_boundary(request.host, request.port, request.peer),
            layers: self.layers().map(|layer| layer.explain(request, now)).collect(),
        }
    }
}

impl Layer {
    fn explain(&self, request: &Request<'_>, now: SystemTime) -> LayerExplanation {
        let mut considered: BTreeMap<u32, (RuleExplanation, &CompiledRule, Subject)> = BTreeMap::new();
        self.visit_candidates(request.host, request.peer, |number, rule, subject| {
            let explained = self.explain_rule(rule, request, subject, now);
            // A rule that is visited twice counts as it matches best.
            if considered.get(&number).is_none_or(|known| known.0.fails.len() > explained.fails.len()) {
                considered.insert(number, (explained, rule, subject));
            }
        });
        let (denial, rule) = match self.answer(request, now) {
            LayerAnswer::Allow(rule) => (None, Some(rule)),
            LayerAnswer::Deny(denial) => (Some((denial.reason, denial.mode)), denial.rule),
        };
        let reason = denial.map(|(reason, _)| reason);
        if reason == Some(Reason::AddressConflict) {
            let matching = considered.values().find(|(rule, ..)| rule.effect == Effect::Allow && rule.matches());
            let addresses = matching.map(|(_, rule, _)| Arc::clone(&rule.addresses));
            for (explained, rule, subject) in considered.values_mut() {
                explained.conflicts_in_addresses = self.shares_connections(rule, request, *subject)
                    && addresses.as_ref().is_some_and(|addresses| !Arc::ptr_eq(&rule.addresses, addresses));
            }
        }
        LayerExplanation {
            policy: Arc::clone(&self.name),
            owner: self.owner.clone(),
            denial,
            rule: rule.map(|rule| rule.id.clone()),
            boundary: self.boundary(request.host, request.peer, request.via),
            considered: considered.into_values().map(|(explained, ..)| explained).collect(),
            missing_rule: reason.and_then(|reason| self.missing_rule(reason, request, now)),
            missing_addresses: reason.and_then(|reason| self.missing_addresses(reason, request, now)),
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
        let mut fails_in = |dimension: &Dimension| match rule.effect {
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
        let dimensions = iter::once(Dimension::Network).chain(Dimension::ALL);
        let fails = dimensions.filter(|dimension| fails_in(dimension)).collect();
        RuleExplanation {
            id: rule.id.clone(),
            effect: rule.effect,
            fails,
            path_is_ambiguous,
            conflicts_in_addresses: false,
            expires: rule.expires().map(|day| day.to_string()),
            has_expired: rule.has_expired(now),
            mode: rule.mode(now),
            reason: rule.reason().map(Into::into),
            owner: rule.owner().map(Into::into),
        }
    }
}
