//! What audit lines say beside the request.

use std::net::SocketAddr;

/// The `client` of audit lines.
#[cfg(feature = "aws-sdk")]
pub(crate) const AWS_SDK: &str = "aws_sdk";
#[cfg(feature = "reqwest")]
pub(crate) const REQWEST: &str = "reqwest";
#[cfg(feature = "hyper-util")]
pub(crate) const HYPER: &str = "hyper";
pub(crate) const TOWER: &str = "tower";

/// The place where something is decided.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "not every client has every stage"))]
pub(crate) enum Stage {
    /// A whole request.
    Request,
    /// A redirect that a client follows by itself.
    Redirect,
    /// A name, and the addresses it resolves to.
    Name,
    /// A connection.
    Connection,
}

impl Stage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Redirect => "redirect",
            Self::Name => "name",
            Self::Connection => "connection",
        }
    }
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What a line says beside the request.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) stage: Stage,
    pub(super) client: &'static str,
    pub(super) exchange: Option<u64>,
    pub(super) hop: Option<u32>,
    pub(super) attempt: Option<u32>,
    pub(super) peer: Option<Peer>,
}

impl Line {
    pub(super) fn new(stage: Stage, client: &'static str, hop: Option<u32>) -> Self {
        Self { stage, client, exchange: None, hop, attempt: None, peer: None }
    }
}
