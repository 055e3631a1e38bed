//! hyper-util: the connector and the resolver of a client, and so of tonic's channel.

mod stream;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

pub use stream::GuardedStream;

use super::{BoxError, absolute, peer_of};
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::{Destination, Host};
use crate::guard::{At, Guard, HYPER, Peer, Stage};
use crate::policy::Policy;

impl Guard {
    /// A connector that connects only to allowed destinations, for hyper-util's client and for tonic.
    ///
    /// It judges scheme, host and port before anything is sent, and the address really connected to before anything of
    /// HTTP is. Put it outermost, around TLS. It sees no requests: add [`layer`](Self::layer) above the client. A name
    /// is looked up by the connector inside, so give that one [`resolver`](Self::resolver), or a name's answer is
    /// connected to before it is judged.
    ///
    /// If the policy states a `proxy`, the connector inside must lead there, as hyper-util's `Tunnel` does; a connection
    /// that does not is denied.
    ///
    /// If the policy is replaced, connections that the new one denies end, idle ones and those in use alike.
    /// A day that comes, of a rule that expires, ends none by itself.
    ///
    /// Denied connections are errors of the client, in whose chain [`denied`](crate::denied()) finds the denial.
    ///
    /// ```
    /// use egress_guard::{Guard, MemorySink, Policy};
    /// use http_body_util::Empty;
    /// use hyper_util::client::legacy::Client;
    /// use hyper_util::client::legacy::connect::HttpConnector;
    /// use hyper_util::client::legacy::connect::dns::GaiResolver;
    /// use hyper_util::rt::TokioExecutor;
    /// use tower::ServiceBuilder;
    ///
    /// let guard = Guard::new(Policy::builder("orders").build()?, MemorySink::new());
    /// let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(GaiResolver::new())));
    /// let client: Client<_, Empty<&[u8]>> = Client::builder(TokioExecutor::new()).build(connector);
    /// let http = ServiceBuilder::new().layer(guard.layer()).service(client);
    /// # Ok::<(), egress_guard::PolicyError>(())
    /// ```
    pub fn connector<C>(&self, inner: C) -> GuardedConnector<C> {
        GuardedConnector::new(self, HYPER, inner)
    }

    /// A resolver that looks up only names that some rule allows, and hands on only addresses that the rule opens; for
    /// hyper-util's `HttpConnector`, inside of [`connector`](Self::connector). The resolver inside is asked for absolute
    /// names, with a trailing dot.
    pub fn resolver<R>(&self, inner: R) -> GuardedResolver<R> {
        GuardedResolver::new(self, HYPER, inner)
    }
}

/// A connector that connects only to allowed destinations; made by [`Guard::connector`].
#[derive(Clone)]
pub struct GuardedConnector<C> {
    guard: Guard,
    at: At,
    inner: C,
}

impl<C> GuardedConnector<C> {
    /// For this kind of client.
    pub(super) fn new(guard: &Guard, client: &'static str, inner: C) -> Self {
        Self { guard: guard.clone(), at: At(client, Stage::Connection), inner }
    }
}

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl<C> Service<Uri> for GuardedConnector<C>
where
    C: Service<Uri>,
    C::Response: Connection + Send,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = GuardedStream<C::Response>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let at = self.at;
        let destination = match begin(&self.guard, at, &uri) {
            Ok(destination) => destination,
            Err(denied) => return Box::pin(async { Err(denied.into()) }),
        };
        let connection = self.inner.call(uri);
        let guard = self.guard.clone();
        Box::pin(async move {
            let connection = connection.await.map_err(Into::into)?;
            let under = guard.in_force();
            let connected = check(&guard, at, destination, &connection)?;
            Ok(GuardedStream::new(connection, connected, under))
        })
    }
}

fn begin(guard: &Guard, at: At, uri: &Uri) -> Result<Destination, Denied> {
    let destination = Destination::from_uri(uri).map_err(|error| guard.refuse_unread(at, &error))?;
    guard.judge(at, &request(&destination), None, false)?;
    Ok(destination)
}

/// Judges a connection that stands. Nothing of HTTP has been sent on it; if this fails it is closed.
fn check(guard: &Guard, at: At, destination: Destination, connection: &impl Connection) -> Result<Connected, Denied> {
    let connected = connection.connected();
    let mut facts = http::Extensions::new();
    connected.get_extras(&mut facts);
    let Some(peer) = peer_of(&facts) else {
        return Err(guard.refuse_unknown(at, Some(destination.host()), Reason::NoPeerAddress));
    };
    let connected = Connected { guard: guard.clone(), at, destination, peer, is_proxied: connected.is_proxied() };
    connected.judge(&guard.in_force(), true)?;
    Ok(connected)
}

/// Where a connection leads, and who judges it.
struct Connected {
    guard: Guard,
    at: At,
    destination: Destination,
    peer: Peer,
    is_proxied: bool,
}

impl Connected {
    fn judge(&self, policy: &Policy, record_allowed: bool) -> Result<(), Denied> {
        let Self { guard, at, destination, peer, is_proxied } = self;
        // Where the policy states a proxy, the connector inside leads everything there, as hyper-util's `Tunnel` does.
        let place = policy.proxy().unwrap_or(destination);
        let goes_elsewhere = peer.remote.port() != place.port()
            || matches!(place.host(), Host::Ip(ip) if ip.to_canonical() != peer.remote.ip().to_canonical());
        match policy.proxy() {
            Some(_) if goes_elsewhere => {
                return Err(guard.refuse(*at, &request(destination), Reason::ProxyBypassed));
            }
            Some(_) => guard.judge(*at, &request(destination), None, false)?,
            None if goes_elsewhere || *is_proxied => {
                let request = request(destination).peer(peer.remote.ip());
                return Err(guard.refuse(*at, &request, Reason::ProxiedConnection));
            }
            None => {}
        }
        guard.judge(*at, &request(place).peer(peer.remote.ip()), Some(*peer), record_allowed)
    }
}

fn request(destination: &Destination) -> Request<'_> {
    Request::connection(destination.scheme(), destination.host(), destination.port())
}

/// A resolver that looks up only allowed names; made by [`Guard::resolver`].
#[derive(Clone)]
pub struct GuardedResolver<R> {
    guard: Guard,
    at: At,
    inner: R,
}

impl<R> GuardedResolver<R> {
    /// For this kind of client.
    pub(super) fn new(guard: &Guard, client: &'static str, inner: R) -> Self {
        Self { guard: guard.clone(), at: At(client, Stage::Name), inner }
    }
}

impl<R> Service<Name> for GuardedResolver<R>
where
    R: Service<Name>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Error: Into<BoxError>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let at = self.at;
        let host = match name.as_str().parse::<Host>() {
            Ok(host) => host,
            Err(error) => {
                let denied = self.guard.refuse_unread(at, &error);
                return Box::pin(async { Err(denied.into()) });
            }
        };
        if let Err(denied) = self.guard.judge(at, &Request::name(&host), None, false) {
            return Box::pin(async { Err(denied.into()) });
        }
        let answer = self.inner.call(absolute(name, &host));
        let guard = self.guard.clone();
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?.map(|address| address.ip());
            let allowed = guard.allowed_addresses(at, &Request::name(&host), answer)?;
            Ok(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

impl<C> fmt::Debug for GuardedConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedConnector").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl<R> fmt::Debug for GuardedResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").field("guard", &self.guard).finish_non_exhaustive()
    }
}
