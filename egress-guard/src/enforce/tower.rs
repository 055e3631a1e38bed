//! The tower layer: every `http::Request` of a stack is decided before it goes on.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{AuditBody, BoxError, peer_of};
use crate::denied::Denied;
use crate::destination::Destination;
use crate::guard::{Attempt, Exchange, Guard, Outcome, TOWER};

impl Guard {
    /// A tower layer that decides every request of the stack below it.
    ///
    /// It sees the request alone: method, URL, headers. The name's addresses and the connection are the client's, and
    /// are not checked here; for hyper-util's client there are `connector` and `resolver` (feature `hyper-util`). Put it innermost, right above the client, so that retries and redirects pass through it.
    ///
    /// A denied request is an error that holds a [`Denied`]; see [`denied`](crate::denied()).
    ///
    /// ```
    /// use egress_guard::{Guard, MemorySink, Policy, denied};
    /// use http::{Request, Response};
    /// use http_body_util::Empty;
    /// use tower::{ServiceBuilder, ServiceExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # type Body = Empty<&'static [u8]>;
    /// # let client = tower::service_fn(|_: Request<Body>| async { Ok::<_, std::io::Error>(Response::new(Body::new())) });
    /// let guard = Guard::new(Policy::builder("orders").build()?, MemorySink::new());
    /// let http = ServiceBuilder::new().layer(guard.layer()).service(client);
    ///
    /// let request = Request::get("https://not-listed.example/").body(Body::new())?;
    /// let error = http.oneshot(request).await.unwrap_err();
    /// assert_eq!(denied(&*error).unwrap().reason().as_str(), "host-not-allowed");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn layer(&self) -> GuardLayer {
        GuardLayer { guard: self.clone() }
    }
}

/// Layer that applies [`GuardService`]; made by [`Guard::layer`].
#[derive(Clone, Debug)]
pub struct GuardLayer {
    guard: Guard,
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardService<S>;

    fn layer(&self, inner: S) -> GuardService<S> {
        GuardService { guard: self.guard.clone(), inner }
    }
}

/// Middleware that sends on what the policy allows. There is no way to the service inside but through it.
#[derive(Clone)]
pub struct GuardService<S> {
    guard: Guard,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GuardService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    B: Body,
    R: Body,
{
    type Response = Response<AuditBody<R>>;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<S::Future> {
        let attempt = Attempt {
            client: TOWER,
            method: request.method(),
            headers: request.headers(),
            version: request.version(),
            hop: None,
            number: None,
            body_length: request.body().size_hint().exact(),
        };
        let admitted = self.guard.admit(Destination::from_uri(request.uri()), &attempt);
        match admitted {
            Ok(exchange) => {
                let response = self.inner.call(request);
                ResponseFuture { state: State::Sent { response, exchange: Some(exchange) } }
            }
            Err(denied) => ResponseFuture { state: State::Denied { denied: Some(denied) } },
        }
    }
}

impl<S> fmt::Debug for GuardService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardService").field("guard", &self.guard).finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// Response future of [`GuardService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Sent {
            #[pin]
            response: F,
            exchange: Option<Exchange>,
        },
        Denied {
            denied: Option<Denied>,
        },
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<BoxError>,
    R: Body,
{
    type Output = Result<Response<AuditBody<R>>, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (result, exchange) = match self.project().state.project() {
            StateProjection::Sent { response, exchange } => {
                let result = ready!(response.poll(context)).map_err(Into::into);
                (result, exchange.take().ok_or_else(polled_again)?)
            }
            StateProjection::Denied { denied } => {
                return Poll::Ready(Err(denied.take().map_or_else(polled_again, Into::into)));
            }
        };
        Poll::Ready(answer(result, exchange))
    }
}

pub(super) fn answer<R: Body>(
    result: Result<Response<R>, BoxError>,
    mut exchange: Exchange,
) -> Result<Response<AuditBody<R>>, BoxError> {
    match result {
        Ok(response) => {
            exchange.responded(response.status(), peer_of(response.extensions()));
            Ok(response.map(|body| AuditBody::new(body, exchange)))
        }
        Err(error) => {
            exchange.settle(Outcome::of_error(&*error), None);
            Err(error)
        }
    }
}

fn polled_again() -> BoxError {
    "a response future was polled after it had finished".into()
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
