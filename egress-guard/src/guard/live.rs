//! A policy that is replaced while the guard is in use.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::{Guard, Inner, posture};
use crate::audit::{AuditEvent, AuditRecord};
use crate::policy::{Policy, PolicyError};

/// A guard that may be gone.
#[derive(Debug)]
pub(crate) struct WeakGuard(Weak<Inner>);

impl WeakGuard {
    pub(crate) fn upgrade(&self) -> Option<Guard> {
        self.0.upgrade().map(|inner| Guard { inner })
    }
}

impl Guard {
    pub(crate) fn downgrade(&self) -> WeakGuard {
        WeakGuard(Arc::downgrade(&self.inner))
    }

    /// Puts another policy in force, for the next request on, and records what has changed.
    pub(crate) fn replace_policy(&self, policy: Policy) {
        // Before the swap: whoever sees the new policy is not to take it for the end of the old one's report-only.
        let reporting = posture::layers_that_only_report(&policy, (self.inner.clock)());
        self.inner.reporting.store(reporting, Ordering::Relaxed);
        let old = self.inner.policy.swap(Arc::new(policy));
        let moment = self.moment();
        self.record_posture(&moment, Some(&old));
        self.inner.replaced.send_replace(());
    }

    /// Records that a new policy cannot be had, and that the old one stays in force.
    pub(crate) fn keep_policy(&self, rejected_sha256: Option<&str>, error: &PolicyError) {
        let moment = self.moment();
        let layer = moment.policy.innermost();
        let message = format!("egress policy `{}` stays in force: {error}", layer.name).replace("\n  ", " / ");
        let record = AuditRecord {
            level: "WARN",
            rejected_policy_sha256: rejected_sha256,
            policy_source: Some(crate::audit::bounded(&layer.source, 256)),
            rule_count: Some(layer.rules.len()),
            mode: layer.mode(moment.now).as_str(),
            report_only_until: layer.report_only_until.map(|day| day.to_string()),
            adapters: Some(&posture::adapters()),
            ..self.record(AuditEvent::Posture, &moment, message)
        };
        let _ = self.inner.sink.record(&record);
    }
}
