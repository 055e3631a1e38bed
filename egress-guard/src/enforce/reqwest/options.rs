//! What a guarded client is made from, and how.

use std::fmt;
use std::sync::Arc;

use ::reqwest::ClientBuilder;
use ::reqwest::dns::Resolve;
use ::reqwest::redirect;
use http::header::{self, HeaderMap, HeaderName};

use super::client::Client;
use super::connector::ConnectLayer;
use super::error::ClientError;
use super::redirect::builder_default_headers;
use super::renewed::{Made, MakeAgain, Renewed};
use super::resolver::{GuardedResolver, SystemResolver};
use crate::decision::Request;
use crate::destination::Destination;
use crate::guard::{At, Guard, REQWEST, Stage, header_denied_in_any_request};

/// A [`reqwest::ClientBuilder`](::reqwest::ClientBuilder), with what the guard must be told because a builder cannot
/// be asked.
///
/// The guard's hooks replace a resolver and a redirect policy that the builder already has; state them here instead.
/// Everything else the builder sets stays: timeouts, certificates, cookies, compression, pool settings.
///
/// ```
/// use egress_guard::{ClientOptions, Guard, MemorySink, Policy};
///
/// let guard = Guard::new(Policy::builder("orders").build()?, MemorySink::new());
/// let options = ClientOptions::from(reqwest::Client::builder()).max_redirects(0);
/// let http = guard.client(options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "pass the options to `Guard::client` or `Guard::reqwest`"]
pub struct ClientOptions {
    builder: ClientBuilder,
    rebuild: Option<Rebuild>,
    resolver: Arc<dyn Resolve>,
    max_redirects: u32,
    default_headers: HeaderMap,
}

type Rebuild = Box<dyn Fn() -> ClientBuilder + Send + Sync>;

impl From<ClientBuilder> for ClientOptions {
    fn from(builder: ClientBuilder) -> Self {
        Self {
            builder,
            rebuild: None,
            resolver: Arc::new(SystemResolver),
            max_redirects: 10,
            default_headers: HeaderMap::new(),
        }
    }
}

impl ClientOptions {
    /// A builder that can be made again, as reqwest's cannot be copied.
    ///
    /// When the guard's policy is replaced, [`Client`] makes a new reqwest client from it, so that no connection of the
    /// old policy is used any more. For an ordinary client this is the same as the builder itself.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use egress_guard::ClientOptions;
    ///
    /// let options = ClientOptions::from_fn(|| reqwest::Client::builder().timeout(Duration::from_secs(10)));
    /// ```
    pub fn from_fn(builder: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Self {
        let first = builder();
        Self { rebuild: Some(Box::new(builder)), ..Self::from(first) }
    }

    /// Looks names up with this resolver instead of the system's. Its answers are checked like any other.
    ///
    /// It is asked for absolute names, with a trailing dot, so that no search list completes `api.example.com` to
    /// `api.example.com.corp.example`; only a single label is passed on without.
    pub fn resolver(self, resolver: impl Resolve + 'static) -> Self {
        Self { resolver: Arc::new(resolver), ..self }
    }

    /// How many redirects are followed before the request fails, 10 by default; with 0 the redirect is the response.
    pub fn max_redirects(self, max_redirects: u32) -> Self {
        Self { max_redirects, ..self }
    }

    /// Headers for every request that does not set them itself.
    ///
    /// Prefer this to [`ClientBuilder::default_headers`] for whatever is secret: [`Client`] takes these off a request
    /// that a redirect leads to another origin. The builder's own it can only blank there, see
    /// [`Guard::client`](crate::Guard::client).
    pub fn default_headers(self, default_headers: HeaderMap) -> Self {
        Self { default_headers, ..self }
    }
}

impl fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions").field("max_redirects", &self.max_redirects).finish_non_exhaustive()
    }
}

impl Guard {
    /// A client that decides and records every request, and every redirect before it is followed.
    ///
    /// It checks at three places. *Request*: method, URL and headers against the policy, each redirect like a request
    /// of its own; CONNECT, `Upgrade`, a foreign or doubled `Host`, a false `Content-Length`, `Transfer-Encoding`, proxy
    /// headers, user information and HTTP/3 are always denied. (User information in the URL of a
    /// [`RequestBuilder`](crate::RequestBuilder) reqwest makes an `Authorization` header first.) *Name*: a name that no
    /// rule lists is not looked up, and an address that no rule opens is not dialled. *Connection*: the scheme, port
    /// and address really connected to, before a byte of HTTP is sent.
    ///
    /// If the policy states a `proxy`, every request goes through it, and its connections are checked to lead there. The
    /// proxy looks the names up then: what a rule's `addresses` say holds for the proxy alone.
    ///
    /// What the builder says about proxies (the environment's too), redirects, retries, DNS, `Referer` and the `danger`
    /// flags is overruled. State redirects and a resolver in [`ClientOptions`]; retry above the client, so that what is
    /// sent again is decided again. `resolve` overrides and unix sockets cannot be taken out of a builder; a connection
    /// over them is denied. A preconfigured TLS backend is used as it is.
    ///
    /// When a redirect leads to another origin, only headers that cannot be secret go along, and what was dropped
    /// once stays dropped. Default headers set on the builder cannot be dropped; they are sent blank there. A timeout
    /// set on the builder holds for each redirect alone, one set on a request for all together.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`], and when the builder's default headers hold one that is always denied.
    ///
    /// # Panics
    ///
    /// In reqwest, when the application's own dependency on it has no TLS feature (its defaults do) and rustls has no
    /// provider of cryptography installed.
    ///
    /// ```
    /// use egress_guard::{Guard, MemorySink, Policy, Rule};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let policy = Policy::builder("orders").allow(Rule::new("payments").hosts(["api.payments.example"])).build()?;
    /// let guard = Guard::new(policy, MemorySink::new());
    /// let http = guard.client(reqwest::Client::builder())?;
    ///
    /// let error = http.get("http://127.0.0.1:9/not-listed").send().await.unwrap_err();
    /// assert_eq!(error.denied().unwrap().reason().as_str(), "ip-literal-not-allowed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(&self, options: impl Into<ClientOptions>) -> Result<Client, ClientError> {
        let ClientOptions { builder, rebuild, resolver, max_redirects, default_headers } = options.into();
        let under = self.in_force();
        let guard = self.clone();
        let make = move |builder: ClientBuilder| -> Result<Made, ClientError> {
            let builder_headers = acceptable_headers(&builder)?;
            let builder = guard.hooked(builder, Arc::clone(&resolver), redirect::Policy::none());
            // What reqwest sends again by itself, nobody decides, counts or records.
            let builder = builder.retry(::reqwest::retry::never());
            let http = match guard.in_force().proxy() {
                Some(proxy) => builder.proxy(::reqwest::Proxy::all(proxy.to_string())?).build()?,
                None => builder.build()?,
            };
            Ok(Made { http, builder_headers })
        };
        let first = make(builder)?;
        let again = rebuild.map(|rebuild| Box::new(move || make(rebuild())) as MakeAgain);
        let http = Renewed::new(under, first, again);
        Ok(Client::new(self.clone(), http, max_redirects, default_headers))
    }

    /// An ordinary [`reqwest::Client`](::reqwest::Client) that reaches only allowed destinations, for crates that take
    /// one.
    ///
    /// It checks the name, the connection, and the destination of every redirect it follows, and records each of these
    /// decisions. A request that no rule could allow at its scheme, host, port and address never gets a connection.
    ///
    /// # What it does not see
    ///
    /// reqwest has no hook for the request itself, so these are open towards allowed destinations; use
    /// [`client`](Self::client) where they matter:
    ///
    /// * methods, and the path of the first request: an allow rule with `methods` or `paths` is held to its hosts and
    ///   ports only, a deny rule with them is not applied, and `address-conflict` is not seen;
    /// * the headers: a foreign or doubled `Host`, `Content-Length`, `Upgrade`, `Transfer-Encoding`, and the method
    ///   CONNECT;
    /// * a request over a connection that is already open leaves no line of its own;
    /// * on a redirect, what reqwest sends: an explicit `Host` and custom headers go along, and reqwest 0.13.5 sends
    ///   `Authorization` again to a foreign host that redirects to itself.
    ///
    /// A denied connection is a connection error to reqwest, so a retry above it may try again; ask
    /// [`denied`](crate::denied()) first, or put `middleware` (feature `reqwest-middleware`) below the retry.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client), and when the policy states a proxy: what an ordinary client asks of a proxy cannot be
    /// seen.
    ///
    /// # Panics
    ///
    /// As [`client`](Self::client).
    ///
    /// ```
    /// # use egress_guard::{Guard, MemorySink, Policy};
    /// # let guard = Guard::new(Policy::builder("orders").build()?, MemorySink::new());
    /// let http: reqwest::Client = guard.reqwest(reqwest::Client::builder())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reqwest(&self, options: impl Into<ClientOptions>) -> Result<::reqwest::Client, ClientError> {
        Ok(self.ordinary(options.into())?.build()?)
    }

    /// An ordinary [`reqwest::blocking::Client`](::reqwest::blocking::Client) that reaches only allowed destinations:
    /// what [`reqwest`](Self::reqwest) gives, for code without an executor.
    ///
    /// Its requests run on a thread of reqwest's, so their audit lines name the invocation only where the process
    /// handles one at a time.
    ///
    /// # Errors
    ///
    /// As [`reqwest`](Self::reqwest).
    ///
    /// # Panics
    ///
    /// As [`client`](Self::client), and within an asynchronous task.
    #[cfg(feature = "blocking")]
    pub fn reqwest_blocking(
        &self,
        options: impl Into<ClientOptions>,
    ) -> Result<::reqwest::blocking::Client, ClientError> {
        Ok(::reqwest::blocking::ClientBuilder::from(self.ordinary(options.into())?).build()?)
    }

    fn ordinary(&self, options: ClientOptions) -> Result<ClientBuilder, BuilderRefused> {
        let ClientOptions { builder, resolver, max_redirects, default_headers, rebuild: _ } = options;
        if self.in_force().proxy().is_some() {
            return Err(BuilderRefused::Proxy);
        }
        let mut builder = builder.default_headers(default_headers);
        acceptable_headers(&builder)?;
        if self.quarantines() {
            // Requests over a connection that is kept, or shared as HTTP/2 shares it, are not seen.
            builder = builder.pool_max_idle_per_host(0).http1_only();
        }
        Ok(self.hooked(builder, resolver, self.redirect_policy(max_redirects)))
    }

    /// Every hook at once. A builder that has them is built at once and never handed out: each could be undone.
    fn hooked(&self, builder: ClientBuilder, resolver: Arc<dyn Resolve>, redirects: redirect::Policy) -> ClientBuilder {
        builder
            .no_proxy()
            .referer(false)
            .tls_danger_accept_invalid_certs(false)
            .tls_danger_accept_invalid_hostnames(false)
            .tls_info(true)
            .redirect(redirects)
            .dns_resolver(GuardedResolver::new(self.clone(), resolver))
            // The last layer added is the outermost: it sees the connection as it will be used.
            .connector_layer(ConnectLayer::new(self.clone()))
    }

    fn redirect_policy(&self, max_redirects: u32) -> redirect::Policy {
        let guard = self.clone();
        redirect::Policy::custom(move |attempt| {
            let hops = u32::try_from(attempt.previous().len()).unwrap_or(u32::MAX);
            if max_redirects == 0 {
                return attempt.stop();
            }
            if hops > max_redirects {
                return attempt.error(TooManyRedirects(max_redirects));
            }
            let allowed = match Destination::from_url(attempt.url()) {
                Ok(destination) => guard.judge(At(REQWEST, Stage::Redirect), &Request::to(&destination), None, true),
                Err(error) => Err(guard.refuse_unread(At(REQWEST, Stage::Redirect), &error)),
            };
            match allowed {
                Ok(()) => attempt.follow(),
                Err(denied) => attempt.error(denied),
            }
        })
    }
}

/// The default headers that a builder carries. reqwest adds them below everything that looks at a request, so what no
/// request may carry must not be among them.
fn acceptable_headers(builder: &ClientBuilder) -> Result<Vec<HeaderName>, BuilderRefused> {
    let names = builder_default_headers(builder).ok_or(BuilderRefused::Unreadable)?;
    match names.iter().find(|name| **name == header::HOST || header_denied_in_any_request(name).is_some()) {
        Some(name) => Err(BuilderRefused::Header(name.clone())),
        None => Ok(names),
    }
}

/// A builder that no guarded client can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BuilderRefused {
    #[error(
        "the builder's default header `{0}` would be denied in every request: remove it from `ClientBuilder::default_headers`"
    )]
    Header(HeaderName),
    #[error(
        "the policy states a proxy, and what an ordinary client asks of a proxy cannot be seen: use `Guard::client`"
    )]
    Proxy,
    #[error(
        "the builder's default headers cannot be read, and might hold what no request may carry: \
         pass them to `ClientOptions::default_headers`"
    )]
    Unreadable,
}

/// More redirects than the client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {0} redirects")]
pub(super) struct TooManyRedirects(pub(super) u32);
