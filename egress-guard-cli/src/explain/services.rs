//! What the services of a rule stand for.

use egress_guard::Host;
use egress_guard::draft::{HostPattern, RuleDraft};
use serde::Serialize;

/// A service or a bucket of a rule, and the host names that it stands for.
#[derive(Debug, Serialize)]
pub(crate) struct StandsFor {
    /// `services` or `buckets`.
    pub(crate) key: &'static str,
    pub(crate) entry: String,
    pub(crate) hosts: Vec<String>,
}

/// The entries of a rule that stand for a host, among other names.
pub(super) fn stand_for(rule: &RuleDraft, host: &Host) -> Vec<StandsFor> {
    let Host::Name(name) = host else { return Vec::new() };
    let Ok(name) = name.parse::<HostPattern>() else { return Vec::new() };
    let hosts = || rule.hosts.iter().flatten();
    let mut found: Vec<(Option<usize>, StandsFor)> = Vec::new();
    for listed in hosts() {
        let is_meant = || listed.text.parse::<HostPattern>().is_ok_and(|pattern| pattern.covers(&name));
        if let Some((key, entry)) = rule.origin(listed)
            && !found.iter().any(|(offset, _)| *offset == entry.offset)
            && is_meant()
        {
            let all = hosts().filter(|other| other.offset == entry.offset).map(|other| other.text.clone());
            found.push((entry.offset, StandsFor { key, entry: entry.text.clone(), hosts: all.collect() }));
        }
    }
    found.into_iter().map(|(_, stands)| stands).collect()
}
