//! An allowed request from its decision to its end.

use std::sync::Arc;
use std::time::Instant;

use http::Method;

use super::line::{Line, Peer};
use super::{Attempt, Grant, Guard, Moment};
use crate::audit::AuditEvent;
use crate::decision::{Reason, Request};
use crate::denied::Asked;
use crate::destination::Destination;

/// An allowed request on its way. However it ends, one outcome is recorded, at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Exchange {
    guard: Guard,
    moment: Moment,
    line: Line,
    method: Method,
    destination: Arc<Destination>,
    grant: Grant,
    bytes_sent: Option<u64>,
    started: Instant,
    response: Option<u16>,
    settled: bool,
}

impl Exchange {
    pub(super) fn begin(
        guard: Guard,
        moment: Moment,
        line: Line,
        attempt: &Attempt<'_>,
        destination: Destination,
        grant: Grant,
    ) -> Self {
        if let Some(invocation) = moment.context.invocation() {
            invocation.ledger.begin(&destination, grant.would_deny());
        }
        Self {
            guard,
            moment,
            line,
            method: attempt.method.clone(),
            destination: Arc::new(destination),
            grant,
            bytes_sent: attempt.body_length,
            started: Instant::now(),
            response: None,
            settled: false,
        }
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn destination(&self) -> Arc<Destination> {
        Arc::clone(&self.destination)
    }

    /// The response's head has arrived.
    pub(crate) fn responded(&mut self, status: http::StatusCode, peer: Option<Peer>) {
        self.response = Some(status.as_u16());
        self.line.peer = peer;
    }

    /// The exchange is over.
    pub(crate) fn settle(mut self, outcome: Outcome, bytes_received: Option<u64>) {
        self.record(outcome, bytes_received);
    }

    fn record(&mut self, outcome: Outcome, bytes_received: Option<u64>) {
        self.settled = true;
        self.moment.now = (self.guard.inner.clock)();
        let request = Request::new(&self.method, &self.destination);
        let message = Asked(&request).after(["egress ended, ", outcome.as_str(), ": "]);
        let micros = self.started.elapsed().as_micros();
        let mut record = self.guard.request_record(AuditEvent::Outcome, &self.moment, &self.line, &request, message);
        record.action = Some("allowed");
        if let Outcome::Denied(reason) = outcome {
            record.reason = Some(reason.as_str());
        }
        record.outcome = Some(outcome.as_str());
        record.status = self.response;
        record.bytes_sent = self.response.and(self.bytes_sent);
        record.bytes_received = bytes_received;
        #[allow(clippy::cast_precision_loss, reason = "exact for 285 years of microseconds")]
        let duration_ms = u64::try_from(micros).unwrap_or(u64::MAX) as f64 / 1000.0;
        record.duration_ms = Some(duration_ms);
        self.grant.stamp(&mut record);
        if let Some(invocation) = self.moment.context.invocation() {
            invocation.ledger.end(record.bytes_sent, bytes_received);
        }
        // The request has been sent; there is nothing left to refuse.
        let _ = self.guard.inner.sink.record(&record);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.settled {
            self.record(Outcome::Cancelled, None);
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "a tower stack follows redirects above the layer"))]
pub(crate) enum Outcome {
    /// The response was read to its end.
    Complete,
    /// The response was given up before its end.
    Aborted,
    /// The caller gave up before there was a response.
    Cancelled,
    /// A later place denied it.
    Denied(Reason),
    /// There was no response, or it broke off.
    Failed,
    /// The response was a redirect, and is followed.
    Redirected,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
            Self::Denied(_) => "denied",
            Self::Failed => "failed",
            Self::Redirected => "redirected",
        }
    }

    /// The outcome of a request that ended in an error.
    pub(crate) fn of_error(error: &(dyn std::error::Error + 'static)) -> Self {
        crate::denied::denied(error).map_or(Self::Failed, |denied| Self::Denied(denied.reason()))
    }
}
