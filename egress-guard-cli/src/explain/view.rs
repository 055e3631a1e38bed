//! An explanation with the words of the policy's text beside it: what is printed, as JSON or for a reader.

use std::time::SystemTime;

use egress_guard::draft::{RuleDraft, Text};
use egress_guard::{
    AddressClass, Boundary, Dimension, Effect, Host, InvalidDestination, LayerExplanation, Mode, Policy, Reason,
    RuleExplanation,
};
use http::Method;
use ipnet::IpNet;
use serde::Serialize;

use super::advice::{Advice, advise, advise_on_invalid};
use super::nearest::{Near, nearest};
use super::services::{StandsFor, stand_for};
use crate::answer::{Answer, Asked, Stage};
use crate::policy_args::{LayerText, parse_time};

#[derive(Debug, Serialize)]
pub(crate) struct Explained<'a> {
    pub(crate) method: &'a str,
    #[serde(flatten)]
    pub(crate) answer: Answer<'a>,
    /// The URL as the guard reads it, without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_as: Option<String>,
    /// The address of the URL, or the one that its name resolves to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boundary: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    /// Where a guard asks the question that is explained here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<&'static str>,
    pub(crate) layers: Vec<Layer>,
    /// What to change where no policy is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Address {
    pub(crate) ip: String,
    pub(crate) class: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Layer {
    /// `baseline` or `policy`.
    pub(crate) kind: &'static str,
    pub(crate) policy: String,
    pub(crate) file: String,
    /// `allowed` or `denied`.
    pub(crate) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) would_deny: Option<bool>,
    /// Until when the whole layer only reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) report_only_until: Option<String>,
    pub(crate) considered: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) did_you_mean: Option<Near>,
    #[serde(flatten)]
    pub(crate) advice: Option<Advice>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) rule_id: String,
    pub(crate) effect: &'static str,
    pub(crate) matches: bool,
    pub(crate) fails: Vec<Failing>,
    /// The services and buckets of the rule that stand for the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) stands_for: Vec<StandsFor>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) conflicts_in_addresses: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) has_expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
}

/// A key of a rule that does not match.
#[derive(Debug, Serialize)]
pub(crate) struct Failing {
    pub(crate) key: &'static str,
    /// What the rule says; of what it leaves out, the default.
    pub(crate) states: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_default: bool,
    /// What the request has, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<String>,
    /// Why these do not match, where it is not plain to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) because: Option<&'static str>,
}

impl<'a> Explained<'a> {
    /// `texts` are those of the policy's layers, the outermost first.
    pub(crate) fn new(
        url: &'a str,
        asked: &Asked<'a>,
        policy: &Policy,
        texts: &[LayerText<'_>],
        now: SystemTime,
    ) -> Self {
        let (question, decision) = asked.decide(policy, now);
        let explanation = policy.explain(&question.request, now);
        let denying = explanation.layers.iter().filter(|layer| layer.denial.is_some()).count();
        let layers = explanation.layers.iter().zip(texts).map(|(layer, text)| {
            Layer::new(&About { layer, text, asked, stage: question.stage, now, is_alone: denying == 1 })
        });
        Self {
            answer: Answer::new(url, asked.destination, &decision),
            method: asked.method.as_str(),
            read_as: Some(asked.destination.to_string()),
            address: asked.address().map(|ip| Address { ip: ip.to_string(), class: AddressClass::of(ip).as_str() }),
            boundary: explanation.boundary.map(Boundary::as_str),
            at: None,
            stage: question.stage.name(),
            layers: layers.collect(),
            advice: None,
        }
    }

    /// A request that no policy is asked about.
    pub(crate) fn invalid(url: &'a str, method: &'a Method, error: &InvalidDestination) -> Self {
        Self {
            answer: Answer::invalid(url, error),
            method: method.as_str(),
            read_as: None,
            address: None,
            boundary: None,
            at: None,
            stage: None,
            layers: Vec::new(),
            advice: Some(advise_on_invalid(error)),
        }
    }
}

/// What the explanation of a layer is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) layer: &'a LayerExplanation,
    pub(super) text: &'a LayerText<'a>,
    pub(super) asked: &'a Asked<'a>,
    stage: Stage,
    now: SystemTime,
    /// Whether it is the only layer that denies.
    pub(super) is_alone: bool,
}

impl Layer {
    fn new(about: &About<'_>) -> Self {
        let About { layer, text, asked, now, .. } = *about;
        let is_listed = layer.considered.iter().any(|rule| rule.effect == Effect::Allow);
        let near = match (layer.denial, asked.destination.host()) {
            (Some((Reason::HostNotAllowed, _)), Host::Name(name)) if !is_listed => nearest(name, &text.draft),
            _ => None,
        };
        let is_reported = matches!(layer.denial, Some((_, Mode::ReportOnly)));
        let until = text.draft.report_only_until.as_ref().filter(|_| is_reported).map(|day| day.text.clone());
        Self {
            kind: text.kind,
            policy: layer.policy.to_string(),
            file: text.file.display().to_string(),
            action: if layer.denial.is_none() || is_reported { "allowed" } else { "denied" },
            rule_id: layer.rule.as_ref().map(ToString::to_string),
            reason: layer.denial.map(|(reason, _)| reason.as_str()),
            would_deny: is_reported.then_some(true),
            report_only_until: until.filter(|day| parse_time(day).is_ok_and(|day| now < day)),
            considered: layer.considered.iter().map(|rule| Rule::new(rule, about)).collect(),
            did_you_mean: near,
            advice: layer.denial.map(|(reason, _)| advise(reason, about)),
        }
    }
}

impl Rule {
    fn new(rule: &RuleExplanation, about: &About<'_>) -> Self {
        let rules = match rule.effect {
            Effect::Allow => &about.text.draft.allow,
            Effect::Deny => &about.text.draft.deny,
        };
        let is_named = |draft: &&RuleDraft| draft.id.as_ref().is_some_and(|id| id.text == rule.id.as_str());
        let unwritten = RuleDraft::default();
        let draft = rules.iter().find(is_named).unwrap_or(&unwritten);
        let failing = |dimension: &Dimension| Failing::new(*dimension, rule, draft, about);
        Self {
            rule_id: rule.id.to_string(),
            effect: match rule.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
            },
            matches: rule.matches(),
            fails: rule.fails.iter().map(failing).collect(),
            stands_for: stand_for(draft, about.asked.destination.host()),
            conflicts_in_addresses: rule.conflicts_in_addresses,
            expires: rule.expires.clone(),
            has_expired: rule.has_expired,
            mode: (rule.mode == Mode::ReportOnly).then_some(rule.mode.as_str()),
            reason: rule.reason.as_deref().map(str::to_owned),
            owner: rule.owner.as_deref().map(str::to_owned),
        }
    }
}

impl Failing {
    fn new(dimension: Dimension, rule: &RuleExplanation, draft: &RuleDraft, about: &About<'_>) -> Self {
        let About { layer, asked, stage, .. } = *about;
        let (knows_port, knows_path) = match stage {
            Stage::Whole | Stage::Request => (true, true),
            Stage::Name => (false, false),
            Stage::Connection => (true, false),
        };
        let texts =
            |list: &Option<Vec<Text>>| -> Vec<String> { list.iter().flatten().map(|text| text.text.clone()).collect() };
        let address = || asked.address().map(|ip| format!("{ip} ({})", AddressClass::of(ip)));
        let scheme = asked.destination.scheme();
        let mut because = None;
        let (states, asked): (Vec<String>, Option<String>) = match dimension {
            Dimension::Scheme => (texts(&draft.schemes), knows_port.then(|| scheme.to_string())),
            Dimension::Port => (texts(&draft.ports), knows_port.then(|| asked.destination.port().to_string())),
            Dimension::Method => (texts(&draft.methods), knows_path.then(|| asked.method.to_string())),
            Dimension::Path => {
                because = rule.path_is_ambiguous.then_some("servers differ in how they read it");
                (texts(&draft.paths), knows_path.then(|| asked.destination.path().to_owned()))
            }
            Dimension::Address => (texts(&draft.addresses), address()),
            Dimension::Boundary => {
                let boundary = layer.boundary.map(|boundary| boundary.as_str().to_owned());
                (draft.boundary.iter().map(|side| side.text.clone()).collect(), boundary)
            }
            Dimension::Network => {
                let is_around = |network: &str| {
                    let ip = asked.address().map(|ip| ip.to_canonical());
                    ip.is_some_and(|ip| network.parse::<IpNet>().is_ok_and(|network| network.contains(&ip)))
                };
                because = Some(match asked.destination.host() {
                    Host::Name(_) => "networks are for addresses in URLs, and a name needs `hosts`",
                    Host::Ip(ip) if AddressClass::of(*ip) == AddressClass::CloudMetadata => {
                        "a metadata service is opened only by a network of its own single address"
                    }
                    Host::Ip(_) => "a network opens special-purpose addresses only if all of it has that purpose",
                });
                let networks = texts(&draft.networks);
                let around: Vec<String> = networks.iter().filter(|network| is_around(network)).cloned().collect();
                // It can also lie around an address that is embedded in the request's.
                (if around.is_empty() { networks } else { around }, address())
            }
            _ => (Vec::new(), None),
        };
        let default = match dimension {
            Dimension::Scheme => Some("https".to_owned()),
            Dimension::Port => Some(scheme.default_port().to_string()),
            Dimension::Address => Some("public".to_owned()),
            _ => None,
        };
        let is_default = states.is_empty() && default.is_some();
        let states = if is_default { default.into_iter().collect() } else { states };
        Self { key: dimension.key(), states, is_default, asked, because }
    }
}
