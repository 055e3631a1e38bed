//! What clients ask at the places below a whole request.

use super::line::{Line, REQWEST};
use super::{Guard, Peer, Stage};
use crate::audit::Context;
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::{Host, InvalidDestination};

impl Guard {
    /// Decides what is known of a request at a later place. `record_allowed` says whether an allowed one is recorded
    /// too, or is already covered by the line of a whole request.
    pub(crate) fn judge(
        &self,
        stage: Stage,
        request: &Request<'_>,
        peer: Option<Peer>,
        record_allowed: bool,
    ) -> Result<(), Denied> {
        let line = Line { peer, ..Line::new(stage, REQWEST, None) };
        let decision = self.policy().decide(request);
        self.carry_out(decision, &Context::current(), &line, request, record_allowed).map(drop)
    }

    /// Denies what no policy can allow.
    pub(crate) fn refuse(&self, stage: Stage, request: &Request<'_>, reason: Reason) -> Denied {
        let line = Line::new(stage, REQWEST, None);
        let denied = Denied::new(self.policy(), reason, None, request);
        self.record_denied(&Context::current(), &line, request, &denied);
        denied
    }

    /// Denies a connection that no policy can allow.
    pub(crate) fn refuse_connection(&self, host: Option<&Host>, reason: Reason) -> Denied {
        match host {
            Some(host) => self.refuse(Stage::Connection, &Request::name(host), reason),
            None => {
                let line = Line::new(Stage::Connection, REQWEST, None);
                self.record_unread(&Context::current(), &line, None, Denied::bare(self.policy(), reason))
            }
        }
    }

    /// Denies a destination that cannot be read.
    pub(crate) fn refuse_unread(&self, stage: Stage, error: &InvalidDestination) -> Denied {
        let line = Line::new(stage, REQWEST, None);
        self.record_unread(&Context::current(), &line, None, Denied::invalid(self.policy(), error))
    }
}
