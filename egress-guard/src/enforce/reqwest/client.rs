//! The full client: each request, and each redirect before it is followed, is decided and recorded.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use ::reqwest::{Body, IntoUrl, Request, Response, ResponseBuilderExt};
use http::Method;
use http::header::HeaderMap;
use tower_service::Service;

use super::super::{AuditBody, peer_of};
use super::connector::sending;
use super::error::ClientError;
use super::options::TooManyRedirects;
use super::redirect::Trail;
use super::renewed::{Made, Renewed};
use super::request::RequestBuilder;
use crate::denied::Denied;
use crate::destination::Destination;
use crate::guard::{Attempt, Exchange, Guard, Outcome, REQWEST};

/// A guarded HTTP client, used as `reqwest::Client` is; made by [`Guard::client`].
///
/// Cheap to clone; clones share connections. Responses are [`reqwest::Response`](::reqwest::Response)s.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    guard: Guard,
    http: Renewed,
    max_redirects: u32,
    default_headers: HeaderMap,
}

impl Client {
    pub(super) fn new(guard: Guard, http: Renewed, max_redirects: u32, default_headers: HeaderMap) -> Self {
        Self { inner: Arc::new(Inner { guard, http, max_redirects, default_headers }) }
    }

    /// Begins a `GET` request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), self.inner.http.current().http.request(method, url))
    }

    /// Sends a request, as built by [`RequestBuilder::build`] or by reqwest itself.
    ///
    /// # Errors
    ///
    /// When the request or a redirect is denied, when there are too many redirects, and as
    /// [`reqwest::Client::execute`](::reqwest::Client::execute).
    pub async fn execute(&self, mut request: Request) -> Result<Response, ClientError> {
        let inner = &*self.inner;
        for name in inner
            .default_headers
            .keys()
            .filter(|name| !request.headers().contains_key(*name))
            .cloned()
            .collect::<Vec<_>>()
        {
            for value in inner.default_headers.get_all(&name) {
                request.headers_mut().append(&name, value.clone());
            }
        }
        // A timeout too long to add up is none.
        let deadline = request.timeout().and_then(|timeout| Instant::now().checked_add(*timeout));
        let mut trail = Trail::of(&request);
        for hop in 0..=inner.max_redirects {
            if let Some(deadline) = deadline {
                *request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
            }
            let (response, exchange, made) = inner.send(request, hop).await?;
            let next = if inner.max_redirects == 0 { None } else { trail.follow(&response, &made.builder_headers) };
            let Some(next) = next else { return Ok(audited(response, exchange)) };
            if hop == inner.max_redirects {
                exchange.settle(Outcome::Aborted, None);
                break;
            }
            exchange.settle(Outcome::Redirected, None);
            request = next;
        }
        Err(TooManyRedirects(inner.max_redirects).into())
    }
}

/// For stacks of tower middleware: a retry above this client is decided and recorded anew each time.
impl Service<Request> for Client {
    type Response = Response;
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, ClientError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.execute(request).await })
    }
}

impl Inner {
    async fn send(&self, request: Request, hop: u32) -> Result<(Response, Exchange, Arc<Made>), ClientError> {
        let mut exchange = admit(&self.guard, &request, Some(hop))?;
        let made = self.http.under_policy_of(&self.guard)?;
        match sending(exchange.destination(), async { made.http.execute(request).await }).await {
            Ok(response) => {
                exchange.responded(response.status(), peer_of(response.extensions()));
                Ok((response, exchange, made))
            }
            Err(error) => {
                exchange.settle(Outcome::of_error(&error), None);
                Err(error.into())
            }
        }
    }
}

/// Decides a request of reqwest; `hop` where redirects are followed by the caller.
pub(super) fn admit(guard: &Guard, request: &Request, hop: Option<u32>) -> Result<Exchange, Denied> {
    let attempt = Attempt {
        client: REQWEST,
        method: request.method(),
        headers: request.headers(),
        version: request.version(),
        hop,
        number: None,
        body_length: request.body().map_or(Some(0), |body| body.as_bytes().map(|bytes| bytes.len() as u64)),
    };
    guard.admit(Destination::from_url(request.url()), &attempt)
}

/// The response with a body that records the outcome.
pub(super) fn audited(response: Response, exchange: Exchange) -> Response {
    let url = response.url().clone();
    let (mut parts, body) = http::Response::<Body>::from(response).into_parts();
    // The extension that `Response::url` reads is private to reqwest; only its builder makes one.
    let mut marked = http::Response::builder();
    if let Some(extensions) = marked.extensions_mut() {
        *extensions = std::mem::take(&mut parts.extensions);
    }
    if let Ok(marked) = marked.url(url).body(()) {
        parts.extensions = marked.into_parts().0.extensions;
    }
    Response::from(http::Response::from_parts(parts, Body::wrap(AuditBody::new(body, exchange))))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("guard", &self.inner.guard).finish_non_exhaustive()
    }
}
