//! What deserves a warning, apart from how it is shown.

mod coverage;
mod dates;
mod openness;
mod prose;
mod suffixes;

use std::collections::HashSet;

use egress_guard::draft::PolicyDraft;
use egress_guard::{Policy, PolicyError};
use jiff::civil::Date;

use super::finding::Finding;

pub(crate) use suffixes::shared;

/// What the judgement of a policy depends on, beside its text.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) today: Date,
    /// How many days ahead an end is near.
    pub(crate) soon: u16,
}

/// Everything that is wrong with a policy or should be looked at, in the order of its text.
pub(crate) fn lint(text: &str, is_json: bool, settings: &Settings) -> Vec<Finding> {
    let (policy, draft) = if is_json {
        (Policy::from_json(text), PolicyDraft::from_json(text))
    } else {
        (Policy::from_toml(text), PolicyDraft::from_toml(text))
    };
    let mut findings: Vec<Finding> =
        policy.as_ref().err().into_iter().flat_map(PolicyError::faults).map(Finding::from).collect();
    let faults: HashSet<Option<usize>> = findings.iter().map(|fault| fault.offset).collect();
    if let Ok(draft) = &draft {
        let mut warnings = warnings(draft, settings);
        if policy.is_ok() {
            // What covers what is only sure where every value is.
            warnings.extend(coverage::check(draft, settings.today));
        }
        // Of a faulty value the fault is all there is to say.
        warnings.retain(|warning| warning.offset.is_none() || !faults.contains(&warning.offset));
        findings.extend(warnings);
    }
    findings.sort_by_key(|finding| (finding.offset, finding.code));
    findings
}

fn warnings(draft: &PolicyDraft, settings: &Settings) -> Vec<Finding> {
    let mut findings = suffixes::check(draft);
    findings.extend(dates::check(draft, settings));
    findings.extend(openness::check(draft));
    findings.extend(prose::check(draft));
    findings
}

#[cfg(test)]
mod tests;
