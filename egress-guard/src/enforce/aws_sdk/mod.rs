//! The AWS SDK: the HTTP client below its retries, for every service and for whatever fetches its credentials.

mod connector;
mod error;
mod trust;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::dns::{ResolveDns, SharedDnsResolver};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use rustls::ClientConfig;

pub use trust::InvalidRootCertificates;

use self::connector::{Pool, SystemResolver};
use self::error::{connector_error, within};
use self::trust::Trust;
use super::tower::answer;
use super::{AuditBody, BoxError};
use crate::destination::Destination;
use crate::guard::{AWS_SDK, Attempt, Guard};

impl Guard {
    /// An HTTP client for the AWS SDK, which decides and records every attempt of every request.
    ///
    /// Given to `aws_config`'s loader, it serves every client made from that configuration, and the requests for
    /// credentials and the region too: STS, SSO, the metadata service, a container's endpoint. Wrap it in a
    /// [`SharedHttpClient`](aws_smithy_runtime_api::client::http::SharedHttpClient) to give it to several.
    ///
    /// It checks at three places: the *request* with method, URL and headers, each attempt of the SDK's retries like a
    /// request of its own; the *name*, before it is looked up, and its addresses; the *connection*, before and after it
    /// is made. Proxies of the environment are never used; if the policy states a `proxy`, every connection is a tunnel
    /// through it, for plain HTTP too.
    ///
    /// A denial is an error that the SDK does not retry, and [`denied`](crate::denied()) finds it in the SDK's error.
    /// Audit lines have `attempt`, 1 for the first; the SDK's own clients for metadata and container credentials do not
    /// tell it. If the policy is replaced, connections that the new one denies end, idle ones and those in use alike.
    ///
    /// Timeouts are those of the SDK's configuration, by tokio's clock. TLS is rustls with the cryptography of
    /// aws-lc-rs, and trusts the system's roots; where there are none, as in an image made from nothing, state them with
    /// [`only_root_certificates`](AwsHttpClient::only_root_certificates).
    ///
    /// An S3 key with a segment `.` or `..` is denied, as `not-normalized`: what reads it may take it for another.
    ///
    /// # What it does not see
    ///
    /// * A client with another HTTP client: one made from a configuration, a `config_override` or an
    ///   `imds::Client::builder()` that was not given this one. Without the default features of `aws-config` and of the
    ///   service crates, but for `rt-tokio`, the SDK has none of its own.
    /// * `credential_process` of a profile, which starts a program (feature `credentials-process` of `aws-config`).
    /// * The look-up with which the ECS provider finds out whether `AWS_CONTAINER_CREDENTIALS_FULL_URI` leads to this
    ///   machine, if that is plain HTTP to a name. The request itself is checked.
    ///
    /// ```
    /// use aws_config::{BehaviorVersion, Region};
    /// use egress_guard::{Guard, MemorySink, Policy, Rule, denied};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let table = Rule::new("table").hosts(["dynamodb.eu-west-1.amazonaws.com"]).methods(["POST"]);
    /// let guard = Guard::new(Policy::builder("orders").allow(table).build()?, MemorySink::new());
    ///
    /// let config = aws_config::defaults(BehaviorVersion::latest()).http_client(guard.aws_http_client());
    /// # // Whatever the guard does, nothing of an example goes farther than this machine.
    /// # #[derive(Debug)]
    /// # struct ThisMachine;
    /// # impl aws_smithy_runtime_api::client::dns::ResolveDns for ThisMachine {
    /// #     fn resolve_dns<'a>(&'a self, _: &'a str) -> aws_smithy_runtime_api::client::dns::DnsFuture<'a> {
    /// #         aws_smithy_runtime_api::client::dns::DnsFuture::ready(Ok(vec![[127, 0, 0, 1].into()]))
    /// #     }
    /// # }
    /// # let config = config.http_client(guard.aws_http_client().resolver(ThisMachine));
    /// # let config = config.credentials_provider(aws_sdk_sts::config::Credentials::new("id", "key", None, None, "doc"));
    /// let config = config.region(Region::new("eu-west-1")).load().await;
    ///
    /// let error = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
    /// assert_eq!(denied(&error).unwrap().reason().as_str(), "host-not-allowed");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn aws_http_client(&self) -> AwsHttpClient {
        AwsHttpClient::new(self.clone(), SharedDnsResolver::new(SystemResolver), Trust::default())
    }
}

/// The HTTP client of the AWS SDK; made by [`Guard::aws_http_client`].
pub struct AwsHttpClient {
    guard: Guard,
    resolver: SharedDnsResolver,
    trust: Trust,
    tls: OnceLock<Result<ClientConfig, rustls::Error>>,
    /// The time to connect is part of a pool; the time to answer is not.
    pools: Mutex<HashMap<Option<Duration>, Pool>>,
}

impl AwsHttpClient {
    fn new(guard: Guard, resolver: SharedDnsResolver, trust: Trust) -> Self {
        Self { guard, resolver, trust, tls: OnceLock::new(), pools: Mutex::default() }
    }

    /// Trusts these root certificates, in PEM, beside the system's.
    ///
    /// # Errors
    ///
    /// When the text holds no certificate, or one that cannot be a root.
    pub fn add_root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, InvalidRootCertificates> {
        Ok(Self::new(self.guard, self.resolver, self.trust.add(pem.as_ref())?))
    }

    /// Trusts these root certificates, in PEM, and neither the system's nor any that were added before.
    ///
    /// # Errors
    ///
    /// As [`add_root_certificates`](Self::add_root_certificates).
    pub fn only_root_certificates(self, pem: impl AsRef<[u8]>) -> Result<Self, InvalidRootCertificates> {
        Ok(Self::new(self.guard, self.resolver, Trust::none().add(pem.as_ref())?))
    }

    /// Looks names up with this resolver instead of the system's. Its answers are checked like any other.
    ///
    /// It is asked for absolute names, with a trailing dot, so that no search list completes a name to another; only a
    /// single label is passed on without.
    #[must_use]
    pub fn resolver(self, resolver: impl ResolveDns + 'static) -> Self {
        Self::new(self.guard, SharedDnsResolver::new(resolver), self.trust)
    }

    fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        self.tls.get_or_init(|| self.trust.tls()).clone()
    }

    fn pool(&self, connect_timeout: Option<Duration>) -> Result<Pool, rustls::Error> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&connect_timeout) {
            return Ok(pool.clone());
        }
        let pool = connector::pool(&self.guard, self.resolver.clone(), self.tls()?, connect_timeout);
        pools.insert(connect_timeout, pool.clone());
        Ok(pool)
    }
}

impl HttpClient for AwsHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(AwsHttpConnector {
            guard: self.guard.clone(),
            pool: self.pool(settings.connect_timeout()),
            read_timeout: settings.read_timeout(),
        })
    }

    /// Reads the system's roots when a client is made, not at its first request.
    fn validate_base_client_config(&self, _: &RuntimeComponentsBuilder, _: &ConfigBag) -> Result<(), BoxError> {
        self.tls().map(drop).map_err(Into::into)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}

impl fmt::Debug for AwsHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsHttpClient").field("guard", &self.guard).finish_non_exhaustive()
    }
}

/// What sends the SDK's requests. There is no way to the pool inside but through it.
struct AwsHttpConnector {
    guard: Guard,
    pool: Result<Pool, rustls::Error>,
    read_timeout: Option<Duration>,
}

impl HttpConnector for AwsHttpConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let refused = |error: BoxError| HttpConnectorFuture::ready(Err(ConnectorError::user(error)));
        let mut request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return refused(error.into()),
        };
        let attempt = Attempt {
            client: AWS_SDK,
            method: request.method(),
            headers: request.headers(),
            version: request.version(),
            hop: None,
            number: attempt_number(request.headers()),
            body_length: request.body().size_hint().exact(),
        };
        let exchange = match self.guard.admit(Destination::from_uri(request.uri()), &attempt) {
            Ok(exchange) => exchange,
            Err(denied) => return refused(denied.into()),
        };
        lend_connection(&mut request);
        let response = send(self.pool.clone(), request, self.read_timeout);
        HttpConnectorFuture::new(async move {
            let response: Response<AuditBody<Incoming>> = answer(response.await, exchange).map_err(connector_error)?;
            let response = response.map(SdkBody::from_body_1_x);
            response.try_into().map_err(|error| ConnectorError::other(BoxError::from(error), None))
        })
    }
}

impl fmt::Debug for AwsHttpConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsHttpConnector").field("guard", &self.guard).finish_non_exhaustive()
    }
}

async fn send(
    pool: Result<Pool, rustls::Error>,
    request: Request<SdkBody>,
    read_timeout: Option<Duration>,
) -> Result<Response<Incoming>, BoxError> {
    within(read_timeout, "HTTP read", pool?.request(request)).await
}

/// Which attempt the SDK says that a request is, as in `amz-sdk-request: attempt=2; max=3`.
fn attempt_number(headers: &HeaderMap) -> Option<u32> {
    let pairs = headers.get("amz-sdk-request")?.to_str().ok()?;
    let number = pairs.split(';').find_map(|pair| pair.trim().strip_prefix("attempt="))?;
    number.parse().ok().filter(|number| *number > 0)
}

/// Lets the SDK give up the connection that a request goes over, as it does after a server's error.
fn lend_connection(request: &mut Request<SdkBody>) {
    let captured = capture_connection(request);
    if let Some(lent) = request.extensions().get::<CaptureSmithyConnection>() {
        lent.set_connection_retriever(move || metadata(&captured));
    }
}

fn metadata(captured: &CaptureConnection) -> Option<ConnectionMetadata> {
    let mut facts = http::Extensions::new();
    let is_proxied = {
        let connected = captured.connection_metadata();
        let connected = connected.as_ref()?;
        connected.get_extras(&mut facts);
        connected.is_proxied()
    };
    let captured = captured.clone();
    let give_up = move || {
        if let Some(connected) = captured.connection_metadata().as_ref() {
            connected.poison();
        }
    };
    let mut metadata = ConnectionMetadata::builder().proxied(is_proxied).poison_fn(give_up);
    let info = facts.get::<HttpInfo>();
    metadata.set_local_addr(info.map(HttpInfo::local_addr)).set_remote_addr(info.map(HttpInfo::remote_addr));
    Some(metadata.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_is_read_from_what_the_sdk_says() {
        let cases = [
            ("attempt=1; max=3", Some(1)),
            ("ttl=20261123T213000Z; attempt=2; max=3", Some(2)),
            ("attempt=3", Some(3)),
            ("attempt=0; max=3", None),
            ("max=3", None),
            ("attempt=-1", None),
            ("attempt=4294967296", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let headers = HeaderMap::from_iter([("amz-sdk-request".parse().unwrap(), text.parse().unwrap())]);
            assert_eq!(attempt_number(&headers), expected, "{text}");
        }
        assert_eq!(attempt_number(&HeaderMap::new()), None);
    }
}
