//! What is measured: hosts, networks, policies and their texts, an audit record, and the peers.
//!
//! Everything is made from fixed seeds, so that two runs measure the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement of something that does not work should end at once"
)]

mod audit;
mod hosts;
#[cfg(feature = "peers")]
mod networks;
#[cfg(feature = "peers")]
pub mod peers;
mod policies;

pub use audit::{layered, with_record};
pub use hosts::{Hosts, Query};
#[cfg(feature = "peers")]
pub use networks::{Networks, Place};
pub use policies::{Grouping, Text, host_policy, json, policy, toml};

/// How many hosts or networks a policy has.
pub const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];

/// How many different requests are asked about in turn, so that no branch is learnt by heart.
pub const QUERIES: usize = 1_024;
