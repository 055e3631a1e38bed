//! What clients ask at the places below a whole request.

use std::net::IpAddr;

use super::line::Line;
use super::{Guard, Peer, Stage};
use crate::audit::Context;
use crate::decision::{Decision, Reason, Request};
use crate::denied::Denied;
use crate::destination::{Host, InvalidDestination};

/// The client that asks, and the place where it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) &'static str, pub(crate) Stage);

impl Guard {
    /// Decides what is known of a request at a later place. `record_allowed` says whether an allowed one is recorded
    /// too, or is already covered by the line of a whole request.
    pub(crate) fn judge(
        &self,
        at: At,
        request: &Request<'_>,
        peer: Option<Peer>,
        record_allowed: bool,
    ) -> Result<(), Denied> {
        let line = Line { peer, ..Line::new(at.1, at.0, None) };
        let decision = self.policy().decide(request);
        self.carry_out(decision, &Context::current(), &line, request, record_allowed).map(drop)
    }

    /// Denies what no policy can allow.
    pub(crate) fn refuse(&self, at: At, request: &Request<'_>, reason: Reason) -> Denied {
        let line = Line::new(at.1, at.0, None);
        let denied = Denied::new(self.policy(), reason, None, request);
        self.record_denied(&Context::current(), &line, request, &denied);
        denied
    }

    /// The same where not even the host may be known.
    pub(crate) fn refuse_unknown(&self, at: At, host: Option<&Host>, reason: Reason) -> Denied {
        match host {
            Some(host) => self.refuse(at, &Request::name(host), reason),
            None => {
                let line = Line::new(at.1, at.0, None);
                self.record_unread(&Context::current(), &line, None, Denied::bare(self.policy(), reason))
            }
        }
    }

    /// Denies a destination that cannot be read.
    pub(crate) fn refuse_unread(&self, at: At, error: &InvalidDestination) -> Denied {
        let line = Line::new(at.1, at.0, None);
        self.record_unread(&Context::current(), &line, None, Denied::invalid(self.policy(), error))
    }

    /// The addresses of an answer that may be dialled. Those left out leave one line, however many they are; an error
    /// if none is left.
    pub(crate) fn allowed_addresses(
        &self,
        at: At,
        name: &Request<'_>,
        answer: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, Denied> {
        let is_allowed = |ip: &IpAddr| matches!(self.policy().decide(&name.peer(*ip)), Decision::Allow { .. });
        let (allowed, left_out): (Vec<IpAddr>, Vec<IpAddr>) = answer.partition(is_allowed);
        let denied = left_out.first().and_then(|ip| self.judge(at, &name.peer(*ip), None, false).err());
        match denied {
            Some(denied) if allowed.is_empty() => Err(denied),
            _ => Ok(allowed),
        }
    }
}
