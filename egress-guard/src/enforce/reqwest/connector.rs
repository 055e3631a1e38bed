//! The connector layer: what a connection really leads to, before anything is sent on it.
//!
//! reqwest does not show a connector layer where it connects to, so the destination is put together from what public
//! API tells. The resolver, called within the scope that this layer opens, tells the name; that it was not called
//! tells an IP literal. The peer address tells address and port. The presence of TLS tells the scheme. In the full
//! client the request itself is known as well.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use ::reqwest::tls::TlsInfo;
use hyper_util::client::legacy::connect::Connection;
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use super::super::{BoxError, peer_of};
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::{Destination, Host, Scheme};
use crate::guard::{At, Guard, REQWEST, Stage};

tokio::task_local! {
    /// Set while a guarded connection is made. reqwest may finish a connection in a task of its own; a scope around
    /// the future goes along, where the caller's would not.
    static CONNECTING: Connecting;

    /// Where the request goes that the full client is sending. A connection is begun while its request is polled, and
    /// is only ever used for requests to the same scheme, host and port.
    static SENDING: Arc<Destination>;
}

/// Sends a request so that a connection begun for it knows where it is meant to go.
pub(super) async fn sending<F: Future>(destination: Arc<Destination>, send: F) -> F::Output {
    SENDING.scope(destination, send).await
}

/// What is known, and what is learnt, while a connection is made.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    meant: Option<Arc<Destination>>,
    looked_up: Arc<OnceLock<Host>>,
}

impl Connecting {
    fn to(meant: Option<Arc<Destination>>) -> Self {
        Self { meant, looked_up: Arc::default() }
    }

    /// The guarded connection that is being made, for its resolver; `None` outside of one.
    pub(super) fn current() -> Option<Self> {
        CONNECTING.try_with(Clone::clone).ok()
    }

    /// The resolver was asked for this name.
    pub(super) fn note_name(&self, host: &Host) {
        let _ = self.looked_up.set(host.clone());
    }

    /// What is known of the request when a name is looked up: the destination's, or that of the proxy on the way to it.
    pub(super) fn request<'a>(&self, host: &'a Host, proxy: Option<&Destination>) -> Request<'a> {
        match proxy.or(self.meant.as_deref()) {
            Some(meant) if meant.host() == host => Request::connection(meant.scheme(), host, meant.port()),
            _ => Request::name(host),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct ConnectLayer {
    guard: Guard,
}

impl ConnectLayer {
    pub(super) fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

impl<S> Layer<S> for ConnectLayer {
    type Service = ConnectGuard<S>;

    fn layer(&self, inner: S) -> ConnectGuard<S> {
        ConnectGuard { shared: Arc::new((inner, self.guard.clone())) }
    }
}

/// reqwest clones its connector with every request, and few requests need a connection: a clone is one count more.
#[derive(Debug)]
pub(super) struct ConnectGuard<S> {
    shared: Arc<(S, Guard)>,
}

impl<S> Clone for ConnectGuard<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, R> Service<R> for ConnectGuard<S>
where
    S: Service<R, Error = BoxError> + Clone + Send + 'static,
    S::Response: Connection + Send,
    S::Future: Send,
    R: fmt::Debug + Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    /// The service inside is only made ready for a call, in its future.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        // Another client's request may be on its way in the same task, so what the request says of itself comes first.
        let meant = announced(&request).map(Arc::new).or_else(|| SENDING.try_with(Clone::clone).ok());
        let (mut inner, guard) = (S::clone(&self.shared.0), self.shared.1.clone());
        if let Err(denied) = refuse_early(&guard, meant.as_deref()) {
            return Box::pin(async { Err(denied.into()) });
        }
        let connecting = Connecting::to(meant);
        Box::pin(async move {
            let connect = async {
                poll_fn(|context| inner.poll_ready(context)).await?;
                inner.call(request).await
            };
            let connection = CONNECTING.scope(connecting.clone(), connect).await?;
            let (meant, looked_up) = (connecting.meant.as_deref(), connecting.looked_up.get());
            match guard.in_force().proxy() {
                None => check(&guard, &connection, meant.map(Destination::host), looked_up)?,
                Some(proxy) => check_proxy(&guard, &connection, meant, looked_up, proxy)?,
            }
            Ok(connection)
        })
    }
}

/// Denies before a packet is sent, where it is known where the connection is meant to go.
fn refuse_early(guard: &Guard, meant: Option<&Destination>) -> Result<(), Denied> {
    let Some(destination) = meant else { return Ok(()) };
    guard.judge(At(REQWEST, Stage::Connection), &connection_to(destination), None, false)
}

/// Judges a connection that stands. Nothing of HTTP has been sent on it; if this fails it is closed.
fn check(
    guard: &Guard,
    connection: &impl Connection,
    meant: Option<&Host>,
    looked_up: Option<&Host>,
) -> Result<(), Denied> {
    let connected = connection.connected();
    let mut facts = http::Extensions::new();
    connected.get_extras(&mut facts);
    let scheme = if facts.get::<TlsInfo>().is_some() { Scheme::Https } else { Scheme::Http };
    let Some(peer) = peer_of(&facts) else {
        return Err(guard.refuse_unknown(At(REQWEST, Stage::Connection), looked_up.or(meant), Reason::NoPeerAddress));
    };
    let literal = Host::Ip(peer.remote.ip());
    let host = looked_up.unwrap_or(&literal);
    let request = Request::connection(scheme, host, peer.remote.port()).peer(peer.remote.ip());
    if connected.is_proxied() {
        return Err(guard.refuse_unknown(At(REQWEST, Stage::Connection), Some(host), Reason::ProxiedConnection));
    }
    // An address that a `networks` rule allows as a literal is not thereby an address of the name.
    if matches!(meant, Some(Host::Name(_))) && looked_up.is_none() {
        return Err(guard.refuse_unknown(At(REQWEST, Stage::Connection), meant, Reason::ResolverOverride));
    }
    guard.judge(At(REQWEST, Stage::Connection), &request, Some(peer), true)
}

/// Judges a connection to the proxy that the policy states, which is a destination like any other. The request's own
/// destination was judged before; what the proxy makes of it cannot be seen.
fn check_proxy(
    guard: &Guard,
    connection: &impl Connection,
    meant: Option<&Destination>,
    looked_up: Option<&Host>,
    proxy: &Destination,
) -> Result<(), Denied> {
    let at = At(REQWEST, Stage::Connection);
    let mut facts = http::Extensions::new();
    connection.connected().get_extras(&mut facts);
    let (Some(meant), Some(peer)) = (meant, peer_of(&facts)) else {
        return Err(guard.refuse_unknown(at, meant.map(Destination::host), Reason::NoPeerAddress));
    };
    let literal = Host::Ip(peer.remote.ip());
    if looked_up.unwrap_or(&literal) != proxy.host() || peer.remote.port() != proxy.port() {
        return Err(guard.refuse(at, &connection_to(meant), Reason::ProxyBypassed));
    }
    guard.judge(at, &connection_to(proxy).peer(peer.remote.ip()), Some(peer), true)
}

fn connection_to(destination: &Destination) -> Request<'_> {
    Request::connection(destination.scheme(), destination.host(), destination.port())
}

/// Where an ordinary client's connection is meant to go, from the `Debug` text of reqwest's private request type:
/// `Unnameable(https://host:port/)`. Never relied on: without it [`check`] denies the same, only later.
fn announced(request: &impl fmt::Debug) -> Option<Destination> {
    let text = format!("{request:?}");
    let mut url: Url = text.strip_prefix("Unnameable(")?.strip_suffix(')')?.parse().ok()?;
    // A request made without a builder may carry user information; it is not part of where it goes.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Destination::from_url(&url).ok()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use hyper_util::client::legacy::connect::HttpConnector;
    use hyper_util::client::legacy::connect::dns::Name;
    use tokio::net::{TcpListener, TcpSocket};
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
        // Bound, so that nobody else gets the port, and never listened on.
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = closed.local_addr().unwrap().port();
        let read = Announced::default();
        let client = ::reqwest::Client::builder().no_proxy().connector_layer(read.clone()).build().unwrap();
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
            let connecting = Connecting::current().expect("called within the connection's scope");
            connecting.note_name(&name.as_str().parse().unwrap());
            std::future::ready(Ok(std::iter::once(self.0)))
        }
    }

    /// hyper's own connector takes a `Uri`, which `announced` cannot read: all is left to the check of the connection.
    #[tokio::test]
    async fn without_early_refusal_the_connection_itself_is_judged() {
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bad = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let [good_port, bad_port] = [&good, &bad].map(|listener| listener.local_addr().unwrap().port());
        let policy = Policy::builder("p")
            .allow(Rule::new("a").hosts(["a.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]))
            .allow(Rule::new("s").hosts(["s.test"]).port_range(1..=65535).addresses(["127.0.0.1/32"]))
            .allow(Rule::new("n").networks(["127.0.0.1/32"]).schemes(["http"]).port(bad_port))
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
                .layer(ConnectLayer::new(guard))
                .map_err(|error| Box::new(error) as BoxError)
                .service(HttpConnector::new_with_resolver(resolver));
            let port = if [host, resolves_to].contains(&"127.0.0.2") { bad_port } else { good_port };
            let uri: http::Uri = format!("http://{host}:{port}/").parse().unwrap();
            assert!(announced(&uri).is_none());
            let denied = connector.oneshot(uri).await.err();
            let denied = denied.as_deref().map(|error| crate::denied(error).expect(case).reason().as_str());
            assert_eq!(denied, reason, "{case}");
        }
        drop((good, bad));
    }
}
