//! reqwest 0.13: a full client of our own, and an ordinary one for crates that want it.
//!
//! reqwest has no hook that sees every request, so the two differ. Both have the resolver and the connector layer,
//! which together see every connection. Only [`Client`] sees each request before it is sent, follows redirects itself,
//! and so decides methods, paths and headers.

mod client;
mod connector;
mod error;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod options;
mod redirect;
mod renewed;
mod request;
mod resolver;

pub use client::Client;
pub use error::ClientError;
#[cfg(feature = "reqwest-middleware")]
pub use middleware::GuardMiddleware;
pub use options::ClientOptions;
pub use request::RequestBuilder;

// HTTP/3 connects without the connector layer, so nothing would see where to. The `cfg` comes from RUSTFLAGS.
#[cfg(all(reqwest_unstable, not(feature = "dangerously_reqwest_unstable")))]
compile_error!(
    "reqwest's HTTP/3 connections pass by egress-guard: an ordinary client would reach any IP address over them. \
     Remove `--cfg reqwest_unstable` from RUSTFLAGS, or, if no client uses HTTP/3, turn on the feature \
     `dangerously_reqwest_unstable` of egress-guard"
);
