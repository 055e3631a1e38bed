//! The listed host that somebody may have meant.

use std::cmp::Ordering;

use egress_guard::draft::{HostPattern, PolicyDraft, RuleDraft};
use serde::Serialize;

/// A host pattern near to a host that no rule lists.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Near {
    pub(crate) rule_id: String,
    pub(crate) host: String,
    /// Whether it lists the names below the host, and not the host.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lists_names_below: bool,
}

/// The pattern of an allow rule that comes nearest to a host, if one is near.
pub(super) fn nearest(host: &str, draft: &PolicyDraft) -> Option<Near> {
    let listed = draft.allow.iter().flat_map(|rule| rule.hosts.iter().flatten().map(move |host| (rule, host)));
    let patterns = listed.filter_map(|(rule, host)| Some((rule, host.text.parse::<HostPattern>().ok()?)));
    let rated = patterns.filter_map(|(rule, pattern)| Some((similarity(host, &pattern)?, rule, pattern)));
    // Of several that are as near the first.
    let nearer = |a: &(f64, _, _), b: &(f64, _, _)| a.0.total_cmp(&b.0);
    let (_, rule, pattern) =
        rated.reduce(|known, other| if nearer(&known, &other) == Ordering::Less { other } else { known })?;
    Some(Near { rule_id: id(rule), lists_names_below: is_below(host, &pattern), host: pattern.to_string() })
}

fn id(rule: &RuleDraft) -> String {
    rule.id.as_ref().map(|id| id.text.clone()).unwrap_or_default()
}

fn is_below(host: &str, pattern: &HostPattern) -> bool {
    pattern.labels() == host && pattern.to_string() != host
}

/// How near a host is to what a pattern lists, from 0 to 1; nothing if not all of its labels are near.
fn similarity(host: &str, pattern: &HostPattern) -> Option<f64> {
    if is_below(host, pattern) {
        return Some(1.0);
    }
    let (host, listed): (Vec<&str>, Vec<&str>) = (host.split('.').collect(), pattern.labels().split('.').collect());
    let is_exact = !pattern.to_string().starts_with(['.', '*']);
    let skipped = host.len().checked_sub(listed.len()).filter(|skipped| *skipped == 0 || !is_exact)?;
    let labels = host.iter().skip(skipped).zip(&listed);
    labels
        .map(|(label, listed)| label_similarity(label, listed))
        .try_fold(1.0, |least: f64, similarity| (similarity >= NEAR).then_some(least.min(similarity)))
}

/// One letter in three of a label may differ.
const NEAR: f64 = 0.65;

fn label_similarity(label: &str, listed: &str) -> f64 {
    if listed.contains('*') { 1.0 } else { strsim::normalized_damerau_levenshtein(label, listed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_listed_host_is_found_and_no_far_one() {
        let draft = PolicyDraft::from_toml(
            "version = 1\nname = 'p'\n[[allow]]\nid = 'api'\nhosts = ['api.payments.example', 'api2.payments.example']\n\
             [[allow]]\nid = 'cdn'\nhosts = ['*.cdn.example.com', '*.b-*.store.test', '.apex.test']\n\
             [[deny]]\nid = 'no'\nhosts = ['unlisted.test']\n",
        )
        .unwrap();
        let cases = [
            ("api.payment.example", Some("api.payments.example")),
            ("api.paymnets.example", Some("api.payments.example")),
            ("aip2.payments.example", Some("api2.payments.example")),
            ("x.cnd.example.com", Some("*.cdn.example.com")),
            ("x.b-1.stor.test", Some("*.b-*.store.test")),
            ("a.apx.test", Some(".apex.test")),
            ("apx.test", Some(".apex.test")),
            ("cdn.example.com", Some("*.cdn.example.com")),
            ("www.payments.example", None),
            ("api.payments.test", None),
            ("payments.example", None),
            ("unlisted.tst", None),
            ("a", None),
        ];
        for (host, expected) in cases {
            let near = nearest(host, &draft);
            assert_eq!(near.as_ref().map(|near| near.host.as_str()), expected, "{host}");
            assert_eq!(near.is_some_and(|near| near.lists_names_below), host == "cdn.example.com", "{host}");
        }
    }
}
