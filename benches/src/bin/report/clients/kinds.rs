//! The clients, each made as its users make it.

use std::convert::Infallible;
use std::fs::File;
use std::future::{Ready, poll_fn, ready};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::process::ChildStdin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use egress_guard::{
    AuditRecord, AuditSink, ClientOptions, Guard, GuardService, GuardedConnector, GuardedResolver, JsonLines, Policy,
    PolicyBuilder, Rule,
};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::dns::{Addrs, Resolve, Resolving};
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use super::{HOST, Named};
use crate::Failure;

type Body = Empty<&'static [u8]>;
type Hyper = Client<HttpConnector<Loopback>, Body>;
type GuardedHyper = GuardService<Client<GuardedConnector<HttpConnector<GuardedResolver<Loopback>>>, Body>>;

/// A client, and what it asks for.
#[derive(Clone)]
pub(super) enum Http {
    Reqwest(reqwest::Client, Url),
    /// With a write before the request and one after it.
    Writing(reqwest::Client, Url, Arc<(File, [String; 2])>),
    Guarded(egress_guard::Client, Url),
    Hyper(Hyper, Uri),
    GuardedHyper(GuardedHyper, Uri),
}

impl Http {
    /// Asks, and reads the answer to its end.
    pub(super) async fn get(&mut self) -> Result<(), Failure> {
        let (status, length) = match self {
            Self::Reqwest(client, url) => {
                let response = client.get(url.clone()).send().await?;
                (response.status(), response.bytes().await?.len())
            }
            Self::Writing(client, url, lines) => {
                let (mut output, [decision, outcome]) = (&lines.0, &lines.1);
                output.write_all(decision.as_bytes())?;
                let response = client.get(url.clone()).send().await?;
                let answer = (response.status(), response.bytes().await?.len());
                output.write_all(outcome.as_bytes())?;
                answer
            }
            Self::Guarded(client, url) => {
                let response = client.get(url.clone()).send().await?;
                (response.status(), response.bytes().await?.len())
            }
            Self::Hyper(client, uri) => {
                let response = client.request(Request::get(uri.clone()).body(Body::new())?).await?;
                (response.status(), response.into_body().collect().await?.to_bytes().len())
            }
            Self::GuardedHyper(client, uri) => {
                poll_fn(|context| client.poll_ready(context)).await?;
                let response = client.call(Request::get(uri.clone()).body(Body::new())?).await?;
                (response.status(), response.into_body().collect().await?.to_bytes().len())
            }
        };
        if status == StatusCode::OK && length > 0 { Ok(()) } else { Err(format!("{status}, {length} bytes").into()) }
    }
}

/// All clients, under the names of the tables.
pub(super) async fn all(
    hosts: &[String],
    port: u16,
    audit: ChildStdin,
    squid: Option<u16>,
) -> Result<Vec<Named<Http>>, Failure> {
    let output = File::from(audit.as_fd().try_clone_to_owned()?);
    let guard = Guard::new(policy(hosts, port)?, JsonLines::new(audit));
    let silent = Guard::new(policy(hosts, port)?, Silent);
    let address = format!("http://{HOST}:{port}/v1/items/42?expand=all");
    let (url, uri): (Url, Uri) = (address.parse()?, address.parse()?);

    let plain = reqwest::Client::builder().no_proxy().dns_resolver(Loopback).build()?;
    let options = || ClientOptions::from(reqwest::Client::builder()).resolver(Loopback);
    let lines = lines_of_a_request(policy(hosts, port)?, options(), &url).await?;
    let guarded_connector = guard.connector(http_connector(guard.resolver(Loopback)));
    let guarded_hyper = guard.layer().layer(hyper(guarded_connector));
    let mut clients = vec![
        ("reqwest", Http::Reqwest(plain.clone(), url.clone())),
        ("reqwest again", Http::Reqwest(plain.clone(), url.clone())),
        ("reqwest and two writes", Http::Writing(plain, url.clone(), Arc::new((output, lines)))),
        ("guard.reqwest", Http::Reqwest(guard.reqwest(options())?, url.clone())),
        ("guard.client", Http::Guarded(guard.client(options())?, url.clone())),
        ("guard.client, no lines", Http::Guarded(silent.client(options())?, url.clone())),
        ("hyper-util", Http::Hyper(hyper(http_connector(Loopback)), uri.clone())),
        ("guarded hyper-util", Http::GuardedHyper(guarded_hyper, uri)),
    ];
    if let Some(squid) = squid {
        let proxy = reqwest::Proxy::http(format!("http://127.0.0.1:{squid}"))?;
        clients.push(("reqwest through squid", Http::Reqwest(reqwest::Client::builder().proxy(proxy).build()?, url)));
    }
    Ok(clients)
}

/// The two lines of a request over a connection that is kept.
async fn lines_of_a_request(policy: Policy, options: ClientOptions, url: &Url) -> Result<[String; 2], Failure> {
    let kept = Kept::default();
    let client = Guard::new(policy, JsonLines::new(kept.clone())).client(options)?;
    for _ in 0..2 {
        client.get(url.clone()).send().await?.bytes().await?;
    }
    let text = String::from_utf8(kept.0.lock().map_err(|_| "a writer panicked")?.clone())?;
    match text.split_inclusive('\n').collect::<Vec<_>>().as_slice() {
        [.., decision, outcome] => Ok([decision, outcome].map(|line| (*line).to_owned())),
        _ => Err("a guarded request left no two lines".into()),
    }
}

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A rule for each host, as the README's.
fn policy(hosts: &[String], port: u16) -> Result<Policy, Failure> {
    let rule = |host: &String| {
        let rule = Rule::new(host.as_str()).hosts([host]).schemes(["http"]).port(port);
        rule.methods(["GET", "POST"]).paths(["/v1/**"]).addresses(["127.0.0.0/8"])
    };
    Ok(hosts.iter().map(rule).fold(Policy::builder("bench"), PolicyBuilder::allow).build()?)
}

fn http_connector<R>(resolver: R) -> HttpConnector<R> {
    let mut connector = HttpConnector::new_with_resolver(resolver);
    // As reqwest does.
    connector.set_nodelay(true);
    connector
}

fn hyper<C>(connector: C) -> Client<C, Body>
where
    C: hyper_util::client::legacy::connect::Connect + Clone,
{
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

/// Keeps nothing: what is left is the guard without its audit.
#[derive(Clone, Copy, Debug)]
struct Silent;

impl AuditSink for Silent {
    fn record(&self, _: &AuditRecord<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Every name is this machine, and nothing is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loopback;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Resolve for Loopback {
    fn resolve(&self, _: reqwest::dns::Name) -> Resolving {
        Box::pin(async { Ok(Box::new(std::iter::once(ADDRESS)) as Addrs) })
    }
}

impl Service<Name> for Loopback {
    type Response = std::iter::Once<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(std::iter::once(ADDRESS)))
    }
}
