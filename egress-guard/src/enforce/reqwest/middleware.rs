//! reqwest-middleware 0.5: the request-level checks for clients of that kind.

use ::reqwest::{Request, Response};
use ::reqwest_middleware::{Error, Middleware, Next};
use async_trait::async_trait;
use http::Extensions;

use super::super::peer_of;
use super::client::{admit, audited};
use super::error::ClientError;
use crate::denied::{Denied, denied};
use crate::guard::{Guard, Outcome};

impl Guard {
    /// A middleware that decides and records every request, for a client of reqwest-middleware around
    /// [`reqwest`](Self::reqwest).
    ///
    /// Add it last: what is added later runs closer to the client, so that retries and whatever changes a request pass
    /// through it each time. A denial is not retried by reqwest-retry, also where the client below denies a name or a
    /// connection. Redirects are followed below it; use `max_redirects(0)` where methods and paths of redirects matter.
    ///
    /// ```
    /// # use egress_guard::{Guard, MemorySink, Policy};
    /// # let guard = Guard::new(Policy::builder("orders").build()?, MemorySink::new());
    /// let http = guard.reqwest(reqwest::Client::builder())?;
    /// let http = reqwest_middleware::ClientBuilder::new(http).with(guard.middleware()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn middleware(&self) -> GuardMiddleware {
        GuardMiddleware { guard: self.clone() }
    }
}

/// Middleware that sends on what the policy allows; made by [`Guard::middleware`].
#[derive(Clone, Debug)]
pub struct GuardMiddleware {
    guard: Guard,
}

#[async_trait]
impl Middleware for GuardMiddleware {
    async fn handle(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response, Error> {
        let mut exchange = admit(&self.guard, &request, None).map_err(as_middleware_error)?;
        match next.run(request, extensions).await {
            Ok(response) => {
                exchange.responded(response.status(), peer_of(response.extensions()));
                Ok(audited(response, exchange))
            }
            Err(error) => {
                exchange.settle(Outcome::of_error(&error), None);
                // As an error of a middleware it is final to reqwest-retry; as a connection error it would not be.
                Err(denied(&error).cloned().map_or(error, as_middleware_error))
            }
        }
    }
}

/// The errors of middlewares are transparent, and show their source instead of themselves: one more around the denial
/// keeps it in sight.
fn as_middleware_error(denied: Denied) -> Error {
    Error::middleware(ClientError::from(denied))
}
