//! Quarantine: after the first denial nothing leaves any more.

#[cfg(feature = "appconfig")]
use std::sync::Arc;

use super::{Guard, Moment};
use crate::policy::Policy;

impl Guard {
    /// Begins the quarantine, if an enforced denial is to begin one; true if it has not begun before.
    ///
    /// It is a state of the policy in force, so that whatever looks at the policy again, as open connections do when it
    /// is replaced, finds that it denies everything.
    pub(super) fn begin_quarantine(&self) -> bool {
        let has_begun = || self.inner.policy.load().is_quarantined();
        self.inner.quarantines
            && !has_begun()
            && !self.inner.policy.rcu(|policy| Policy::clone(policy).quarantined()).is_quarantined()
    }

    /// Tells of it, with a posture line, and to connections that wait.
    pub(super) fn announce_quarantine(&self, moment: &Moment) {
        self.record_posture(&Moment { context: moment.context.clone(), ..self.moment() }, None);
        #[cfg(feature = "hyper-util")]
        self.inner.replaced.send_replace(());
    }

    /// Puts another policy in force, and gives back the one before. A quarantine goes on.
    #[cfg(feature = "appconfig")]
    pub(super) fn swap_policy(&self, policy: &Policy) -> Arc<Policy> {
        self.inner.policy.rcu(|old| {
            let policy = policy.clone();
            if old.is_quarantined() { policy.quarantined() } else { policy }
        })
    }

    /// Whether a denial puts the guard into quarantine.
    #[cfg(feature = "reqwest")]
    pub(crate) fn quarantines(&self) -> bool {
        self.inner.quarantines
    }
}
