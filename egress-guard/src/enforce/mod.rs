//! Where the guard meets the clients: one file or folder for each.

#[cfg(feature = "aws-sdk")]
mod aws_sdk;
mod body;
#[cfg(feature = "hyper-util")]
mod hyper;
#[cfg(feature = "lambda")]
mod lambda;
#[cfg(feature = "reqwest")]
mod reqwest;
mod tower;

#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
use crate::destination::Host;
use crate::guard::Peer;

#[cfg(feature = "aws-sdk")]
pub use aws_sdk::{AwsHttpClient, InvalidRootCertificates};
pub use body::AuditBody;
#[cfg(feature = "hyper-util")]
pub use hyper::{GuardedConnector, GuardedResolver, GuardedStream};
#[cfg(feature = "lambda")]
pub use lambda::{
    FailingLambdaFuture, FailingLambdaLayer, FailingLambdaService, LambdaFuture, LambdaLayer, LambdaService,
};
#[cfg(feature = "reqwest-middleware")]
pub use reqwest::GuardMiddleware;
#[cfg(feature = "reqwest")]
pub use reqwest::{Client, ClientError, ClientOptions, RequestBuilder};
pub use tower::{GuardLayer, GuardService, ResponseFuture};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The connection that these extensions, of a response or of the connection itself, tell of.
fn peer_of(extensions: &http::Extensions) -> Option<Peer> {
    #[cfg(any(feature = "hyper-util", feature = "reqwest"))]
    {
        let info = extensions.get::<hyper_util::client::legacy::connect::HttpInfo>()?;
        Some(Peer { remote: info.remote_addr(), local: info.local_addr() })
    }
    #[cfg(not(any(feature = "hyper-util", feature = "reqwest")))]
    {
        let _ = extensions;
        None
    }
}

/// The name to look up for a host, absolute; in the client's own type of names.
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
fn absolute<N: std::str::FromStr>(name: N, host: &Host) -> N {
    match host {
        Host::Name(host) => host.absolute().parse().unwrap_or(name),
        Host::Ip(_) => name,
    }
}
