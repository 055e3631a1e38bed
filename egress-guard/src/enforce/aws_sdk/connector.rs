//! How the SDK's connections are made: by hyper-util, with the guard's connector around TLS and its resolver inside.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError, SharedDnsResolver};
use aws_smithy_types::body::SdkBody;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::super::BoxError;
use super::super::hyper::{BoxFuture, GuardedConnector, GuardedResolver, GuardedStream};
use super::error::within;
use crate::decision::Request;
use crate::guard::{AWS_SDK, At, Guard, Stage};

/// hyper's client, with the connections that it keeps. Clones share them.
pub(super) type Pool = Client<Timed<GuardedConnector<HttpsConnector<Way>>>, SdkBody>;

pub(super) fn pool(
    guard: &Guard,
    resolver: SharedDnsResolver,
    tls: ClientConfig,
    connect_timeout: Option<Duration>,
) -> Pool {
    let mut http = HttpConnector::new_with_resolver(GuardedResolver::new(guard, AWS_SDK, Lookup(resolver)));
    http.enforce_http(false);
    http.set_nodelay(true);
    let way = Way { guard: guard.clone(), http };
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    let connector = GuardedConnector::new(guard, AWS_SDK, https.wrap_connector(way));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(Timed { inner: connector, limit: connect_timeout })
}

/// The way to a destination: straight, or by a tunnel through the proxy that the policy states at that moment.
#[derive(Clone)]
pub(super) struct Way {
    guard: Guard,
    http: HttpConnector<GuardedResolver<Lookup>>,
}

impl Way {
    fn proxy(&self) -> Result<Option<Uri>, BoxError> {
        let policy = self.guard.in_force();
        let Some(proxy) = policy.proxy() else { return Ok(None) };
        // Before it hears where the tunnel is to lead.
        let way = Request::connection(proxy.scheme(), proxy.host(), proxy.port());
        self.guard.judge(At(AWS_SDK, Stage::Connection), &way, None, false)?;
        Ok(Some(proxy.to_string().parse()?))
    }
}

impl Service<Uri> for Way {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self.proxy() {
            Ok(None) => {
                let connection = self.http.call(uri);
                Box::pin(async { Ok(connection.await?) })
            }
            Ok(Some(proxy)) => {
                let connection = Tunnel::new(proxy, self.http.clone()).call(uri);
                Box::pin(async { Ok(connection.await?) })
            }
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

/// Gives up a connection that takes too long, TLS included.
#[derive(Clone)]
pub(super) struct Timed<C> {
    inner: C,
    limit: Option<Duration>,
}

impl Service<Uri> for Timed<GuardedConnector<HttpsConnector<Way>>> {
    type Response = GuardedStream<MaybeHttpsStream<TokioIo<TcpStream>>>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(within(self.limit, "HTTP connect", self.inner.call(uri)))
    }
}

/// A resolver of the SDK as one of hyper.
#[derive(Clone)]
pub(super) struct Lookup(SharedDnsResolver);

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.resolve_dns(name.as_str()).await?;
            Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

/// The system's resolver, as hyper asks it.
#[derive(Debug)]
pub(super) struct SystemResolver;

impl ResolveDns for SystemResolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            let name: Name = name.parse().map_err(ResolveDnsError::new)?;
            let addresses = GaiResolver::new().call(name).await.map_err(ResolveDnsError::new)?;
            Ok(addresses.map(|address| address.ip()).collect::<Vec<IpAddr>>())
        })
    }
}
