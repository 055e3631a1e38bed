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
            return Err(self.guard.refuse(
                Stage::Connection,
                &Request::name(name.unwrap_or(&unknown)),
                Reason::NoPeerAddress,
            ));
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use hyper_util::client::legacy::connect::HttpConnector;
    use hyper_util::client::legacy::connect::dns::Name;
    use tokio::net::TcpListener;
    use tower::{ServiceBuilder, ServiceExt};

    use super::*;
    use crate::{MemorySink, Policy, Rule};

    /// Notes what [`announced`] reads of each request.
    #[derive(Clone, Default)]
    struct Announced(Arc<Mutex<Vec<Option<String>>>>);

    impl<S> Layer<S> for Announced {
        type Service = AnnouncedService<S>;

        fn layer(&self, inner: S) -> AnnouncedService<S> {
            AnnouncedService { inner, read: self.clone() }
        }
    }

    #[derive(Clone)]
    struct AnnouncedService<S> {
        inner: S,
        read: Announced,
    }

    impl<S: Service<R>, R: fmt::Debug> Service<R> for AnnouncedService<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.inner.poll_ready(context)
        }

        fn call(&mut self, request: R) -> S::Future {
            self.read.0.lock().unwrap().push(announced(&request).map(|destination| destination.to_string()));
            self.inner.call(request)
        }
    }

    /// If this fails, a new reqwest prints its connector's request otherwise. Nothing has been opened: the early
    /// refusal is gone, and denied connections are now closed after the handshake instead of never begun.
    #[tokio::test]
    async fn canary_reqwest_still_announces_where_it_connects_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let read = Announced::default();
        let client = ::reqwest::Client::builder().no_proxy().connector_layer(read.clone()).build().unwrap();
        drop(listener);
        for url in [format!("http://127.0.0.1:{port}/a?b"), format!("https://127.0.0.1:{port}/")] {
            client.get(url).send().await.unwrap_err();
        }
        let expected = ["http", "https"].map(|scheme| Some(format!("{scheme}://127.0.0.1:{port}/")));
        assert_eq!(*read.0.lock().unwrap(), expected);
    }

    /// Answers every name with one address, and tells the guard as its resolver does.
    #[derive(Clone)]
    struct Noting(SocketAddr);

    impl Service<Name> for Noting {
        type Response = std::iter::Once<SocketAddr>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Self::Response, BoxError>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, name: Name) -> Self::Future {
            assert!(
                Connecting::note_name(&Host::parse(name.as_str()).unwrap()),
                "called within the connection's scope"
            );
            std::future::ready(Ok(std::iter::once(self.0)))
        }
    }

    /// hyper's own connector takes a `Uri`, which `announced` cannot read: all is left to the check of the connection.
    #[tokio::test]
    async fn without_early_refusal_the_connection_itself_is_judged() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = good.local_addr().unwrap().port();
        let bad = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        let policy = Policy::builder("p")
            .allow(Rule::new("a").hosts(["a.test"]).schemes(["http"]).port(port).addresses(["127.0.0.1/32"]))
            .allow(Rule::new("s").hosts(["s.test"]).port(port).addresses(["127.0.0.1/32"]))
            .allow(Rule::new("n").networks(["127.0.0.1/32"]).schemes(["http"]).port(port + 1))
            .build()
            .unwrap();
        let cases = [
            ("an allowed name", "a.test", "127.0.0.1", None),
            ("at a forbidden address", "a.test", "127.0.0.2", Some("address-not-allowed")),
            ("an unlisted name", "evil.test", "127.0.0.1", Some("host-not-allowed")),
            ("a name for https only", "s.test", "127.0.0.1", Some("scheme-not-allowed")),
            ("a listed literal on another port", "127.0.0.1", "127.0.0.1", Some("port-not-allowed")),
            ("an unlisted literal", "127.0.0.2", "127.0.0.1", Some("ip-literal-not-allowed")),
        ];
        for (case, host, resolves_to, reason) in cases {
            let guard = Guard::new(policy.clone(), MemorySink::new());
            let resolver = Noting(SocketAddr::new(resolves_to.parse().unwrap(), 0));
            let connector = ServiceBuilder::new()
                .layer(ConnectLayer::new(guard, true))
                .map_err(|error| Box::new(error) as BoxError)
                .service(HttpConnector::new_with_resolver(resolver));
            let uri: http::Uri = format!("http://{host}:{port}/").parse().unwrap();
            assert!(announced(&uri).is_none());
            let denied = connector.oneshot(uri).await.err();
            let denied = denied.as_deref().map(|error| crate::denied(error).expect(case).reason().as_str());
            assert_eq!(denied, reason, "{case}");
        }
        drop(bad);
    }
}
