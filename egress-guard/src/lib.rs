//! An allowlist and an audit line for every outbound HTTP request of an AWS Lambda function.
//!
//! A Lambda function can reach any address on the Internet unless something stops it. A VPC stops it from the outside,
//! by IP address. This crate does it from the inside, where the method, the URL, the name, the resolved address and the
//! invocation are all known: each request of a guarded client is decided by a [`Policy`] before it leaves, denied
//! unless a rule allows it, and recorded in a line of its own.
//!
//! ```no_run
//! # #[cfg(all(feature = "reqwest", feature = "lambda"))]
//! # mod function {
//! use egress_guard::{Guard, JsonLines, Policy};
//! use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
//!     let http = guard.client(reqwest::Client::builder())?;
//!
//!     // The event is a URL.
//!     let handler = service_fn(|event: LambdaEvent<String>| async {
//!         Ok::<_, Error>(http.get(event.payload).send().await?.text().await?)
//!     });
//!     Runtime::new(handler).layer(guard.lambda_layer()).run().await
//! }
//! # }
//! # fn main() {}
//! ```
//!
//! # What it is not
//!
//! A sandbox. It guards the clients that are made by a [`Guard`]. Another client, a raw socket, a subprocess or a
//! dependency with a client of its own passes it by. Security Groups, Network Firewall and DNS Firewall cover those,
//! and a VPC Flow Log that no audit line explains shows them.
//!
//! # The parts
//!
//! * [`Policy`] and [`Rule`]: what is allowed. [`Policy::decide`] answers a [`Request`] with a [`Decision`], and is
//!   pure: no I/O, no clock; [`Policy::explain`] says why. [`Policy::narrowed_by`] stacks policies of several owners.
//!   [`POLICY_SCHEMA`] helps editors of a policy.
//! * [`PolicySource`]: where a policy comes from, pinned by its hash or signed; `AppConfig` (feature `appconfig`) keeps it
//!   up to date.
//! * [`Guard`]: a policy in force. It wraps clients: `client` and `reqwest` (feature `reqwest`), `reqwest_blocking`
//!   (`blocking`), `middleware` (`reqwest-middleware`), `aws_http_client` (`aws-sdk`), [`layer`](Guard::layer) for tower
//!   stacks, `connector` and `resolver` (`hyper-util`) for what lies below them; and `lambda_layer` (`lambda`) names the
//!   invocation and limits it.
//! * [`AuditSink`]: who hears of it. [`JsonLines`] for CloudWatch, [`OcsfLines`] for Amazon Security Lake and others that
//!   read OCSF, [`MemorySink`] for tests, `TracingSink` (feature `tracing`) as a bridge. [`AUDIT_SCHEMA`] describes a line.
//!   With a [`ChainKey`], what is done to lines later shows; [`chain`] is for tools.
//! * [`Denied`]: the error of a denied request, with a [`Reason`]; [`denied()`] finds it in any chain of errors. A
//!   handler may return it, or a client's error, as its own.
//! * [`draft`]: a policy's text with places, for tools.
//!
//! # Features
//!
//! `reqwest` and `lambda` are on by default. A feature adds API and never changes a decision; with `reqwest`,
//! `hyper-util` or `aws-sdk`, audit lines of the tower layer also carry the peer address of hyper's connections.
//! `reqwest` leaves the choice of TLS library and cryptography to the features of the application's own reqwest
//! dependency, whose defaults do; without any it panics when a client is built. `aws-sdk` brings rustls with aws-lc-rs,
//! as the SDK's own client does.

#[cfg(feature = "tracing")]
pub use audit::TracingSink;
pub use audit::chain;
pub use audit::{
    AUDIT_SCHEMA, AuditEvent, AuditRecord, AuditSink, ChainKey, InvalidChainKey, JsonLines, MemorySink, OcsfLines,
};
#[cfg(feature = "lambda")]
pub use audit::{InInvocation, in_current_invocation};
pub use decision::{
    Decision, Dimension, Explanation, LayerExplanation, MissingAddresses, Reason, Request, RuleExplanation,
};
pub use denied::{Denied, denied};
pub use destination::{Destination, Host, HostName, InvalidDestination, Scheme};
#[cfg(feature = "reqwest-middleware")]
pub use enforce::GuardMiddleware;
pub use enforce::{AuditBody, GuardLayer, GuardService, ResponseFuture};
#[cfg(feature = "aws-sdk")]
pub use enforce::{AwsHttpClient, InvalidRootCertificates};
#[cfg(feature = "reqwest")]
pub use enforce::{Client, ClientError, ClientOptions, RequestBuilder};
#[cfg(feature = "lambda")]
pub use enforce::{
    FailingLambdaFuture, FailingLambdaLayer, FailingLambdaService, LambdaFuture, LambdaLayer, LambdaService,
};
#[cfg(feature = "hyper-util")]
pub use enforce::{GuardedConnector, GuardedResolver, GuardedStream};
pub use guard::Guard;
#[cfg(feature = "appconfig")]
pub use live::AppConfig;
pub use policy::draft;
pub use policy::{
    AddressClass, Boundary, Effect, Mode, POLICY_SCHEMA, Policy, PolicyBuilder, PolicyError, PolicyFault, Rule, RuleId,
};
pub use source::PolicySource;

// In this order each uses only those before it.
mod destination;
mod policy;
mod decision;
mod denied;
mod source;
mod audit;
mod guard;
#[cfg(feature = "appconfig")]
mod live;
mod enforce;
