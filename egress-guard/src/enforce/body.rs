//! The response body of a guarded request.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use crate::guard::{Exchange, Outcome};

pin_project_lite::pin_project! {
    /// A response body that records the outcome of its request when it ends or is dropped.
    pub struct AuditBody<B: Body> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
        received: u64,
    }

    impl<B: Body> PinnedDrop for AuditBody<B> {
        fn drop(this: Pin<&mut Self>) {
            // A reader that knows the length stops without asking for the end, and a HEAD response has none.
            let outcome = if this.inner.is_end_stream() { Outcome::Complete } else { Outcome::Aborted };
            this.settle(outcome);
        }
    }
}

impl<B: Body> AuditBody<B> {
    pub(super) fn new(inner: B, exchange: Exchange) -> Self {
        Self { inner, exchange: Some(exchange), received: 0 }
    }

    fn settle(self: Pin<&mut Self>, outcome: Outcome) {
        let this = self.project();
        if let Some(exchange) = this.exchange.take() {
            exchange.settle(outcome, Some(*this.received));
        }
    }
}

impl<B: Body> Body for AuditBody<B>
where
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.as_mut().project();
        let frame = ready!(this.inner.poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Buf::remaining);
                *this.received = this.received.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            }
            Some(Err(_)) => self.settle(Outcome::Failed),
            None => self.settle(Outcome::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body> fmt::Debug for AuditBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditBody").field("received", &self.received).finish_non_exhaustive()
    }
}
