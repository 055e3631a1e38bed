//! What was in force, and what of it somebody should look at.

use super::model::{DroppedLevels, Lines, Policy, RejectedPolicy, Seen, SuspiciousEnvironment, Time};
use super::table::{Counter, Key, owned};
use crate::logs::AuditLine;

#[derive(Debug)]
pub(super) struct InForce {
    pub(super) policies: Counter<Policy>,
    pub(super) rejected_policies: Counter<RejectedPolicy>,
    pub(super) suspicious_environments: Counter<SuspiciousEnvironment>,
    pub(super) dropped_levels: Counter<DroppedLevels>,
    key: Key,
}

impl InForce {
    pub(super) fn new(room: usize) -> Self {
        Self {
            policies: Counter::new(room),
            rejected_policies: Counter::new(room),
            suspicious_environments: Counter::new(room),
            dropped_levels: Counter::new(room),
            key: Key::default(),
        }
    }

    pub(super) fn line(&mut self, line: &AuditLine<'_>, time: Time) {
        let (lines, seen) = (Lines::default(), Seen::at(time));
        let (id, sha256, mode) = (&*line.policy_id, line.policy_sha256.as_deref(), &*line.mode);
        let key = self.key.clear().text(Some(id)).text(sha256).text(Some(mode));
        let row = self.policies.row(key, || Policy {
            policy_id: owned(id),
            policy_sha256: sha256.map(owned),
            mode: owned(mode),
            lines,
            seen,
        });
        one_more(&mut row.lines, &mut row.seen, time);
        if let Some(rejected) = line.rejected_policy_sha256.as_deref() {
            let key = self.key.clear().text(Some(id)).text(Some(rejected));
            let row = self.rejected_policies.row(key, || RejectedPolicy {
                policy_id: owned(id),
                rejected_policy_sha256: owned(rejected),
                lines,
                seen,
            });
            one_more(&mut row.lines, &mut row.seen, time);
        }
        if let Some(variables) = line.suspicious_environment.as_deref() {
            let key = self.key.clear().text(Some(variables));
            let new = || SuspiciousEnvironment { variables: owned(variables), lines, seen };
            let row = self.suspicious_environments.row(key, new);
            one_more(&mut row.lines, &mut row.seen, time);
        }
        if let Some(levels) = line.dropped_levels.as_deref() {
            let key = self.key.clear().text(Some(levels));
            let row = self.dropped_levels.row(key, || DroppedLevels { levels: owned(levels), lines, seen });
            one_more(&mut row.lines, &mut row.seen, time);
        }
    }
}

fn one_more(lines: &mut Lines, seen: &mut Seen, time: Time) {
    lines.lines += 1;
    seen.add(time);
}
