//! Loopback servers, a resolver and an audit sink, for the tests and the examples.
//!
//! Everything here listens on and answers with addresses of 127.0.0.0/8 alone. Where a test needs a forbidden place,
//! another loopback address plays it, so that a bug in the guard reaches a server that records it and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test server that cannot do its work should say so at once"
)]

mod appconfig;
mod audit;
mod dynamodb;
mod function;
mod log_tools;
pub mod properties;
mod proxy;
mod resolver;
mod runtime_api;
mod server;
mod test_function;
mod service;
mod tls;

pub use appconfig::AppConfigExtension;
pub use audit::{ValidatedAudit, Written};
pub use dynamodb::dynamodb;
pub use function::Function;
pub use log_tools::log_tools;
pub use proxy::Proxy;
pub use resolver::Names;
pub use runtime_api::{Answer, Invocation, RuntimeApi};
pub use server::{Seen, Server};
pub use service::{NotInstalled, Service, may_skip};
pub use test_function::TestFunction;
pub use tls::{TlsFront, certificate_in_pem};

/// The code of the README, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The code of the page on functions, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/lambda.md")]
struct Lambda;

/// The code of the page on delivery, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/delivery.md")]
struct Delivery;

/// The code of the page on verifying, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/verify.md")]
struct Verify;

/// The code of the page on OCSF, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/ocsf.md")]
struct Ocsf;
