//! What clients ask at the places below a whole request.

use std::net::IpAddr;

use super::line::Line;
use super::{Guard, Moment, Peer, Stage};
use crate::decision::{Answer, Denial, Reason, Request};
use crate::denied::Denied;
use crate::destination::{Host, InvalidDestination};
use crate::policy::Mode;

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
        let (moment, line) = (self.moment(), Line { peer, ..Line::new(at.1, at.0, None) });
        let mut answer = moment.policy.answer(request, moment.now);
        let limit = || {
            let ledger = &moment.context.invocation()?.ledger;
            match at.1 {
                // A request of its own, of which no other place sees the whole.
                Stage::Redirect => ledger.take(moment.now, Some(0)).err(),
                _ => ledger.is_too_late(moment.now).then_some(Reason::DeadlineNear),
            }
        };
        if !answer.is_enforced_denial()
            && let Some(reason) = limit()
        {
            answer = Answer::Deny(Denial::by(moment.policy.innermost(), reason, None, Mode::Enforce));
        }
        self.carry_out(&answer, &moment, &line, request, record_allowed).map(drop)
    }

    /// Denies what no policy can allow.
    pub(crate) fn refuse(&self, at: At, request: &Request<'_>, reason: Reason) -> Denied {
        let (moment, line) = (self.moment(), Line::new(at.1, at.0, None));
        let denial = Denial::by(moment.policy.innermost(), reason, None, Mode::Enforce);
        let denied = Denied::new(&denial, request);
        self.record_denied(&moment, &line, request, &denied);
        denied
    }

    /// The same where not even the host may be known.
    pub(crate) fn refuse_unknown(&self, at: At, host: Option<&Host>, reason: Reason) -> Denied {
        match host {
            Some(host) => self.refuse(at, &Request::name(host), reason),
            None => {
                let (moment, line) = (self.moment(), Line::new(at.1, at.0, None));
                let denied = Denied::bare(&moment.policy, reason);
                self.record_unread(&moment, &line, None, denied)
            }
        }
    }

    /// Denies a destination that cannot be read.
    pub(crate) fn refuse_unread(&self, at: At, error: &InvalidDestination) -> Denied {
        let (moment, line) = (self.moment(), Line::new(at.1, at.0, None));
        let denied = Denied::invalid(&moment.policy, error);
        self.record_unread(&moment, &line, None, denied)
    }

    /// The addresses of an answer that may be dialled. Those left out leave one line, however many they are; an error
    /// if none is left.
    pub(crate) fn allowed_addresses(
        &self,
        at: At,
        name: &Request<'_>,
        answer: impl Iterator<Item = IpAddr>,
    ) -> Result<Vec<IpAddr>, Denied> {
        let Moment { policy, now, .. } = self.moment();
        let is_allowed = |ip: &IpAddr| !policy.answer(&name.peer(*ip), now).is_enforced_denial();
        let (allowed, left_out): (Vec<IpAddr>, Vec<IpAddr>) = answer.partition(is_allowed);
        let Some(left_out) = left_out.first().map(|ip| name.peer(*ip)) else { return Ok(allowed) };
        if allowed.is_empty() {
            return self.judge(at, &left_out, None, false).map(|()| allowed);
        }
        self.record_left_out(at, &left_out);
        Ok(allowed)
    }

    /// Records that an address is not used. Nobody asked for it, and what was asked for goes on: so it is no denial that
    /// an invocation is charged with, or that begins a quarantine.
    fn record_left_out(&self, at: At, request: &Request<'_>) {
        let (moment, line) = (self.moment(), Line::new(at.1, at.0, None));
        if let Answer::Deny(denial) = moment.policy.answer(request, moment.now) {
            let denied = Denied::new(&denial, request);
            let _ = self.inner.sink.record(&self.denial_record(&moment, &line, request, &denied));
        }
    }
}
