//! What a policy says of a request: as it is expected, and as it is.

use egress_guard::{Decision, Mode, Reason};
use serde::{Serialize, Serializer};

use crate::shown::shown;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Said {
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_code")]
    pub(super) reason: Option<Reason>,
    /// The policy that denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Allowed,
    Denied,
    /// Allowed, and recorded as what would be denied.
    Reported,
}

fn as_code<S: Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

impl Outcome {
    pub(super) const ALL: [Self; 3] = [Self::Allowed, Self::Denied, Self::Reported];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Reported => "reported",
        }
    }
}

impl Said {
    pub(super) fn denied(reason: Reason) -> Self {
        Self { outcome: Outcome::Denied, rule: None, reason: Some(reason), policy: None }
    }

    /// Whether it is all that is expected.
    pub(super) fn is_as(&self, expected: &Self) -> bool {
        self.outcome == expected.outcome
            && (expected.rule.is_none() || self.rule == expected.rule)
            && (expected.reason.is_none() || self.reason == expected.reason)
            && (expected.policy.is_none() || self.policy == expected.policy)
    }

    /// As in `denied by rule `no-admin` of policy `orders`: denied-by-rule`.
    pub(super) fn sentence(&self) -> String {
        let by = match (&self.rule, &self.policy) {
            (Some(rule), Some(policy)) => format!(" by rule `{}` of policy `{}`", shown(rule), shown(policy)),
            (Some(name), None) => format!(" by rule `{}`", shown(name)),
            (None, Some(name)) => format!(" by policy `{}`", shown(name)),
            (None, None) => String::new(),
        };
        let reason = self.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{}{by}{reason}", self.outcome.as_str())
    }
}

impl From<Decision<'_>> for Said {
    fn from(decision: Decision<'_>) -> Self {
        match decision {
            Decision::Allow { rule, .. } => {
                Self { outcome: Outcome::Allowed, rule: Some(rule.to_string()), reason: None, policy: None }
            }
            Decision::Deny { reason, rule, policy, mode } => Self {
                outcome: if mode == Mode::Enforce { Outcome::Denied } else { Outcome::Reported },
                rule: rule.map(ToString::to_string),
                reason: Some(reason),
                policy: Some(policy.to_string()),
            },
        }
    }
}
