//! The connector layer: what a connection really leads to, before anything is sent on it.
//!
//! reqwest does not show a connector layer where it connects to, so the destination is put together from what public
//! API tells. The resolver, called within the scope that this layer opens, tells the name; that it was not called
//! tells an IP literal, or an override that must be judged like one. The peer address tells address and port. The
//! presence of TLS tells the scheme.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use ::reqwest::tls::TlsInfo;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::super::BoxError;
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::{Destination, Host, Scheme};
use crate::guard::{Guard, Peer, Stage};

tokio::task_local! {
    /// Set while a guarded connection is made. reqwest may finish a connection in a task of its own; a scope around
    /// the future goes along, where the caller's would not.
    static CONNECTING: Connecting;
}

/// What is learnt while a connection is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Connecting {
    name: Arc<OnceLock<Host>>,
}

impl Connecting {
    /// The resolver was asked for this name; false outside a guarded connection.
    pub(super) fn note_name(host: &Host) -> bool {
        CONNECTING.try_with(|connecting| connecting.name.set(host.clone()).is_ok()).unwrap_or(false)
    }
}

#[derive(Clone, Debug)]
pub(super) struct ConnectLayer {
    guard: Guard,
    record_allowed: bool,
}

impl ConnectLayer {
    pub(super) fn new(guard: Guard, record_allowed: bool) -> Self {
        Self { guard, record_allowed }
    }
}

impl<S> Layer<S> for ConnectLayer {
    type Service = ConnectGuard<S>;

    fn layer(&self, inner: S) -> ConnectGuard<S> {
        ConnectGuard { inner, layer: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ConnectGuard<S> {
    inner: S,
    layer: ConnectLayer,
}

impl<S, R> Service<R> for ConnectGuard<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Connection + Send,
    S::Future: Send + 'static,
    R: fmt::Debug,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        if let Err(denied) = self.layer.refuse_early(&request) {
            return Box::pin(async { Err(denied.into()) });
        }
        let connecting = Connecting::default();
        let connection = CONNECTING.sync_scope(connecting.clone(), || self.inner.call(request));
        let layer = self.layer.clone();
        Box::pin(async move {
            let connection = CONNECTING.scope(connecting.clone(), connection).await?;
            layer.check(&connection, connecting.name.get())?;
            Ok(connection)
        })
    }
}

impl ConnectLayer {
    /// Judges a connection that stands. Nothing of HTTP has been sent on it; if this fails it is closed.
    fn check(&self, connection: &impl Connection, name: Option<&Host>) -> Result<(), Denied> {
        let connected = connection.connected();
        let mut facts = http::Extensions::new();
        connected.get_extras(&mut facts);
        let scheme = if facts.get::<TlsInfo>().is_some() { Scheme::Https } else { Scheme::Http };
        let Some(info) = facts.get::<HttpInfo>() else {
            let unknown = Host::Name("unknown".into());
            return Err(self.guard.refuse(Stage::Connection, &Request::name(name.unwrap_or(&unknown)), Reason::NoPeerAddress));
        };
        let peer = Peer { remote: info.remote_addr(), local: info.local_addr() };
        let literal = Host::Ip(peer.remote.ip());
        let request = Request::connection(scheme, name.unwrap_or(&literal), peer.remote.port()).peer(peer.remote.ip());
        if connected.is_proxied() {
            return Err(self.guard.refuse(Stage::Connection, &request, Reason::ProxiedConnection));
        }
        self.guard.judge(Stage::Connection, &request, Some(peer), self.record_allowed)
    }

    /// Denies before a packet is sent, where the destination can be read. Never relied on: what cannot be read goes on
    /// to [`check`](Self::check), which denies the same and more, only later.
    fn refuse_early(&self, request: &impl fmt::Debug) -> Result<(), Denied> {
        match announced(request) {
            Some(destination) => {
                let host = destination.host();
                let request = Request::connection(destination.scheme(), host, destination.port());
                self.guard.judge(Stage::Connection, &request, None, false)
            }
            None => Ok(()),
        }
    }
}

/// The destination that reqwest's connector was asked for, from the `Debug` text of its private request type:
/// `Unnameable(https://host:port/)`.
fn announced(request: &impl fmt::Debug) -> Option<Destination> {
    let text = format!("{request:?}");
    text.strip_prefix("Unnameable(")?.strip_suffix(')')?.parse().ok()
}
