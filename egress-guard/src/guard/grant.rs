//! By which rules a request is sent.

use crate::audit::AuditRecord;
use crate::decision::{Denial, Rules};
use crate::denied::shortened;
use crate::policy::RuleId;

/// What the lines of a request that is sent say of the rules.
#[derive(Debug)]
pub(crate) struct Grant {
    rule: Option<RuleId>,
    baseline_rules: Option<Box<str>>,
    would_deny: bool,
}

impl Grant {
    pub(super) fn by(rules: &Rules<'_>) -> Self {
        let baseline: Vec<&str> = rules.baseline.iter().map(|rule| rule.id.as_str()).collect();
        // An id has no `/`. Bounded, so that a line is.
        let joined = (!baseline.is_empty()).then(|| shortened(&baseline.join("/"), 512).into());
        Self { rule: Some(rules.rule.id.clone()), baseline_rules: joined, would_deny: false }
    }

    /// Sent although a rule, or the lack of one, would deny it if it were enforced.
    pub(super) fn despite(denial: &Denial<'_>) -> Self {
        Self { rule: denial.rule.map(|rule| rule.id.clone()), baseline_rules: None, would_deny: true }
    }

    pub(super) fn would_deny(&self) -> bool {
        self.would_deny
    }

    pub(super) fn stamp<'a>(&'a self, record: &mut AuditRecord<'a>) {
        record.rule_id = self.rule.as_ref().map(RuleId::as_str);
        record.baseline_rule_id = self.baseline_rules.as_deref();
        record.would_deny = self.would_deny.then_some(true);
    }
}
