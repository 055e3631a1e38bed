//! What would have to be written, in the policy or in the request, for the request to be allowed.

use std::time::SystemTime;

use egress_guard::{
    AddressClass, Decision, Destination, Dimension, Effect, InvalidDestination, LayerExplanation, MissingAddresses,
    Mode, Policy, Reason, Request, Rule, RuleExplanation,
};
use serde::Serialize;

use super::view::About;
use crate::answer::Asked;

#[derive(Debug, Serialize)]
pub(crate) struct Advice {
    pub(crate) advice: String,
    /// What to paste, in the language of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_addresses: Option<String>,
}

impl Advice {
    fn words(advice: String) -> Self {
        Self { advice, missing_rule: None, missing_addresses: None }
    }
}

/// What a layer that denies a request lacks.
pub(super) fn advise(reason: Reason, about: &About<'_>) -> Advice {
    let About { layer, text, asked, .. } = *about;
    let owner = layer.owner.as_ref().map(|owner| format!(" (owner: {owner})")).unwrap_or_default();
    let file = format!("{}{owner}", text.file.display());
    let to_allow_it = if about.is_alone { "To allow it" } else { "To allow it here" };
    if let Some(rule) = &layer.missing_rule {
        let place = if text.is_json() { "the list `allow` of " } else { "" };
        let rule = if text.is_json() { in_json(rule) } else { rule.clone() };
        let advice = format!("{to_allow_it}, add to {place}{file}:");
        return Advice { missing_rule: Some(rule), ..Advice::words(advice) };
    }
    if let Some(missing) = &layer.missing_addresses {
        let MissingAddresses { rules, addresses, .. } = missing;
        let ids: Vec<String> = rules.iter().map(|id| format!("`{id}`")).collect();
        let rules = match ids.as_slice() {
            [one] => format!("rule {one}"),
            several => format!("each of the rules {}, which share connections,", several.join(", ")),
        };
        let (open, close) = if text.is_json() { ("\"addresses\": ", ",") } else { ("addresses = ", "") };
        return Advice {
            missing_addresses: Some(format!("{open}{addresses:?}{close}")),
            ..Advice::words(format!("{to_allow_it}, write in {rules} of {file}:"))
        };
    }
    Advice::words(match reason {
        Reason::DeniedByRule => about_denial(layer),
        Reason::RuleExpired => about_expiry(layer),
        Reason::AddressConflict => about_conflict(layer),
        Reason::AmbiguousPath => format!("Rules about paths could decide, and cannot: {AMBIGUOUS}."),
        Reason::ConnectMethod => CONNECT.to_owned(),
        _ => why_there_is_no_cure(layer, asked),
    })
}

/// What to mend in a URL that names no place.
pub(super) fn advise_on_invalid(error: &InvalidDestination) -> String {
    match Reason::from(error) {
        Reason::UserInfo => format!("No rule can change that: {error}."),
        _ => format!("No rule can change that: {error}. Write the URL in full, as in https://api.example.com/v1."),
    }
}

const CONNECT: &str = "No rule can allow CONNECT, which opens a tunnel in which nothing is checked. Ask for the URL \
                       itself: the client makes the connection.";

const AMBIGUOUS: &str = "servers differ in how they read this path; send it without `//`, `;`, %2e, %2f and %5c";

/// The rule for a policy that is written in JSON, whose strings and lists are those of TOML.
fn in_json(rule: &str) -> String {
    let keys = rule.lines().filter_map(|line| line.split_once(" = "));
    let keys: Vec<String> = keys.map(|(key, value)| format!("  \"{key}\": {value}")).collect();
    format!("{{\n{}\n}}\n", keys.join(",\n"))
}

fn about_denial(layer: &LayerExplanation) -> String {
    let Some(rule) = layer.considered.iter().find(|rule| Some(&rule.id) == layer.rule.as_ref()) else {
        return String::new();
    };
    let id = &rule.id;
    let what = match rule.mode {
        Mode::Enforce => format!("Deny rule `{id}` forbids it, whatever else allows it"),
        Mode::ReportOnly => format!("Deny rule `{id}` only reports so far; once it is enforced, it forbids this"),
    };
    let is_allowed = layer.considered.iter().any(|rule| rule.effect == Effect::Allow && rule.matches());
    let besides = if is_allowed { "" } else { " No rule allows it either." };
    format!("{what}{}.{besides}", whom_to_ask(rule, layer))
}

fn about_expiry(layer: &LayerExplanation) -> String {
    let rule = layer.considered.iter().find(|rule| Some(&rule.id) == layer.rule.as_ref());
    let Some((rule, day)) = rule.and_then(|rule| Some((rule, rule.expires.as_ref()?))) else { return String::new() };
    let ask = whom_to_ask(rule, layer);
    format!("Rule `{}` allowed it until {day}. If it is still needed, move the rule's `expires`{ask}.", rule.id)
}

fn about_conflict(layer: &LayerExplanation) -> String {
    let id = |rule: &RuleExplanation| format!("`{}`", rule.id);
    let matching = layer.considered.iter().find(|rule| rule.effect == Effect::Allow && rule.matches()).map(id);
    let others: Vec<String> = layer.considered.iter().filter(|rule| rule.conflicts_in_addresses).map(id).collect();
    format!(
        "Rule {} allows it. {} {} other addresses for the same host and port, over connections that are shared. Give \
         all of them the same `addresses` and `boundary`.",
        matching.unwrap_or_default(),
        others.join(", "),
        if others.len() == 1 { "opens" } else { "open" }
    )
}

/// The rule that is about the other side of the boundary and else would do.
fn but_for_its_boundary(layer: &LayerExplanation) -> Option<&RuleExplanation> {
    let is_all = |rule: &&RuleExplanation| rule.effect == Effect::Allow && rule.fails == [Dimension::Boundary];
    layer.considered.iter().find(is_all)
}

fn whom_to_ask(rule: &RuleExplanation, layer: &LayerExplanation) -> String {
    let owner = rule.owner.as_ref().or(layer.owner.as_ref());
    owner.map(|owner| format!("; ask {owner}")).unwrap_or_default()
}

/// Why no change is proposed although a rule is what is missing.
fn why_there_is_no_cure(layer: &LayerExplanation, asked: &Asked<'_>) -> String {
    let on_trial = layer.considered.iter().find(|rule| rule.effect == Effect::Deny && rule.matches());
    let upper = asked.method.as_str().to_ascii_uppercase();
    match (asked.address(), on_trial) {
        (Some(ip), _) if AddressClass::of(ip) == AddressClass::CloudMetadata => {
            format!(
                "{ip} is a cloud's metadata service, which hands out credentials; nothing is proposed that opens it."
            )
        }
        _ if asked.method.as_str() != upper => {
            format!(
                "No rule can allow it: methods are case-sensitive, and rules list them in upper case; send {upper}."
            )
        }
        _ if path_is_ambiguous(asked.destination) => format!("No rule can state its path alone: {AMBIGUOUS}."),
        (_, Some(rule)) => {
            format!("A further rule would not do: deny rule `{}`, which only reports so far, matches too.", rule.id)
        }
        _ => match but_for_its_boundary(layer) {
            Some(rule) => {
                format!("Rule `{}` would allow it, but for its `boundary`{}.", rule.id, whom_to_ask(rule, layer))
            }
            None => "No single change would allow it; see what does not match.".to_owned(),
        },
    }
}

/// Asks the library, with a rule that only a path of two readings does not match.
fn path_is_ambiguous(destination: &Destination) -> bool {
    let policy = Policy::builder("paths").allow(Rule::new("any").hosts(["path.test"]).paths(["/**"])).build();
    let anywhere = format!("https://path.test{}", destination.path()).parse();
    let (Ok(policy), Ok(anywhere)) = (policy, anywhere) else { return false };
    let decision = policy.decide(&Request::to(&anywhere), SystemTime::UNIX_EPOCH);
    matches!(decision, Decision::Deny { reason: Reason::AmbiguousPath, .. })
}
