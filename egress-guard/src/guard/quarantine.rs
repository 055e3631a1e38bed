//! Quarantine: after the first denial nothing leaves any more.

use super::{Guard, Moment};
use crate::policy::Policy;

impl Guard {
    /// Begins the quarantine, if an enforced denial is to begin one; true if it has not begun before.
    ///
    /// It is a state of the policy in force, so that whatever looks at the policy again, as open connections do when it
    /// is replaced, finds that it denies everything.
    pub(super) fn begin_quarantine(&self) -> bool {
        self.inner.quarantines
            && !self.is_quarantined()
            && !self.inner.policy.rcu(|policy| Policy::clone(policy).quarantined()).is_quarantined()
    }

    /// Whether nothing is allowed any more.
    pub(super) fn is_quarantined(&self) -> bool {
        self.inner.quarantines && self.inner.policy.load().is_quarantined()
    }

    /// Tells of it, with a posture line, and to connections that wait.
    pub(super) fn announce_quarantine(&self, moment: &Moment) {
        self.record_posture(&Moment { context: moment.context.clone(), ..self.moment() }, None);
        #[cfg(feature = "hyper-util")]
        self.inner.replaced.send_replace(());
    }

    /// Whether a denial puts the guard into quarantine.
    #[cfg(feature = "reqwest")]
    pub(crate) fn quarantines(&self) -> bool {
        self.inner.quarantines
    }
}
