//! A connection that does not outlive the policy that allowed it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{self, Connection};
use tokio::sync::watch;

use super::Connected;
use crate::audit::outside_of_invocations;
use crate::policy::Policy;

pin_project_lite::pin_project! {
    /// A connection made by a [`GuardedConnector`](crate::GuardedConnector).
    ///
    /// Once the policy is replaced by one that denies the connection, reading and writing fail, so that a pool gives it
    /// up; the error's chain holds the denial.
    pub struct GuardedStream<T> {
        #[pin]
        inner: T,
        connected: Connected,
        // The policy that the connection was last judged by.
        under: Arc<Policy>,
        replaced: Replaced,
    }
}

type Replaced = Pin<Box<dyn Future<Output = watch::Receiver<()>> + Send + Sync>>;

impl<T> GuardedStream<T> {
    pub(super) fn new(inner: T, connected: Connected, under: Arc<Policy>) -> Self {
        let replaced = next(connected.guard.replacements());
        Self { inner, connected, under, replaced }
    }
}

fn next(mut replacements: watch::Receiver<()>) -> Replaced {
    Box::pin(async move {
        // The guard lives as long as the connection does, so that there is always a sender.
        let _ = replacements.changed().await;
        replacements
    })
}

/// Fails if another policy is in force by now, and denies the connection.
fn judge_again(connected: &Connected, under: &mut Arc<Policy>) -> io::Result<()> {
    let in_force = connected.guard.in_force();
    if !Arc::ptr_eq(&in_force, under) {
        // Whoever polls the connection has not asked for anything.
        let judged = outside_of_invocations(|| connected.judge(&in_force, false));
        judged.map_err(|denied| io::Error::new(io::ErrorKind::PermissionDenied, denied))?;
        *under = in_force;
    }
    Ok(())
}

impl<T: Read> Read for GuardedStream<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        // An idle connection is only ever polled here: it must wake up when the policy is replaced.
        while let Poll::Ready(replacements) = this.replaced.as_mut().poll(context) {
            *this.replaced = next(replacements);
        }
        judge_again(this.connected, this.under)?;
        this.inner.poll_read(context, buffer)
    }
}

impl<T: Write> Write for GuardedStream<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        judge_again(this.connected, this.under)?;
        this.inner.poll_write(context, data)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        judge_again(this.connected, this.under)?;
        this.inner.poll_write_vectored(context, data)
    }
}

impl<T: Connection> Connection for GuardedStream<T> {
    fn connected(&self) -> connect::Connected {
        self.inner.connected()
    }
}

impl<T> fmt::Debug for GuardedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStream").field("destination", &self.connected.destination).finish_non_exhaustive()
    }
}
