//! reqwest 0.13: a full client of our own, and an ordinary one for crates that want it.
//!
//! reqwest has no hook that sees every request, so the two differ. Both have the resolver and the connector layer,
//! which together see every connection. Only [`Client`] sees each request before it is sent, follows redirects itself,
//! and so decides methods, paths and headers.

mod client;
mod connector;
mod error;
mod options;
mod redirect;
mod request;
mod resolver;

pub use client::Client;
pub use error::ClientError;
pub use options::ClientOptions;
pub use request::RequestBuilder;

// HTTP/3 connects without the connector layer, so nothing would see where to. The `cfg` comes from RUSTFLAGS.
#[cfg(reqwest_unstable)]
compile_error!(
    "egress-guard cannot guard reqwest's HTTP/3 connections; remove `--cfg reqwest_unstable` from RUSTFLAGS"
);
