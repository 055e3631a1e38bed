//! What a policy says to its readers, or fails to.

use egress_guard::draft::{PolicyDraft, Text};

use super::super::code::Code;
use super::super::finding::{Finding, name, place};

pub(super) fn check(draft: &PolicyDraft) -> Vec<Finding> {
    let mut findings = Vec::new();
    if draft.allow.is_empty() {
        let at = draft.name.as_ref().and_then(|name| name.offset);
        let cure = "nothing, if that is meant; else add a rule, as in [[allow]] id = \"...\", hosts = [\"...\"]";
        findings.push(Finding::new(Code::EmptyPolicy, at, "no rule allows anything: every request is denied", cure));
    }
    let rules = || draft.deny.iter().chain(&draft.allow);
    for rule in rules().filter(|rule| is_missing(&rule.reason)) {
        let problem = format!("rule `{}` does not say what it is for", name(rule));
        let cure = "write a line for its readers, as in reason = \"card charges\"";
        findings.push(Finding::in_rule(Code::MissingReason, rule, place(rule), problem, cure));
    }
    if is_missing(&draft.owner) {
        let unowned: Vec<_> = rules().filter(|rule| is_missing(&rule.owner)).collect();
        // Where nobody is named at all, one line at the top mends it.
        if unowned.len() > 1 && unowned.len() == rules().count() {
            let at = draft.name.as_ref().and_then(|name| name.offset).or(draft.offset);
            let cure = "write whom to ask, as in owner = \"network-team\", beside the policy's name or in each rule";
            findings.push(Finding::new(Code::MissingOwner, at, "neither the policy nor any rule has an owner", cure));
        } else {
            findings.extend(unowned.into_iter().map(|rule| {
                let problem = format!("rule `{}` has no owner, and the policy has none", name(rule));
                let cure = "write whom to ask, as in owner = \"payments-team\"";
                Finding::in_rule(Code::MissingOwner, rule, place(rule), problem, cure)
            }));
        }
    }
    findings
}

fn is_missing(text: &Option<Text>) -> bool {
    text.as_ref().is_none_or(|text| text.text.trim().is_empty())
}
