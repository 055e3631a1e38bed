//! A policy as somebody wrote it, in a file or in code, before anything is checked: for tools that look at the text.
//!
//! ```
//! use egress_guard::draft::PolicyDraft;
//!
//! let text = "version = 1\nname = 'orders'\n[[allow]]\nid = 'api'\nhosts = ['*.github.io']\n";
//! let draft = PolicyDraft::from_toml(text)?;
//! let host = &draft.allow[0].hosts.as_ref().unwrap()[0];
//! assert_eq!((host.text.as_str(), host.offset), ("*.github.io", Some(58)));
//! # Ok::<(), egress_guard::PolicyError>(())
//! ```

pub use super::hosts::HostMap;
pub use super::pattern::HostPattern;

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::error::{PolicyError, PolicyFault};
use super::{address, document, value};

/// A text and where it stands, as a byte offset; texts given in code have none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// The text, without quotes.
    pub text: String,
    /// The byte at which it begins, quotes included.
    pub offset: Option<usize>,
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { text, offset: None }
    }
}

/// A rule. An absent list means the default; an empty one is a fault.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the keys of the policy language")]
pub struct RuleDraft {
    pub offset: Option<usize>,
    /// Whether a value could not be read, so that its absence is no fault of its own.
    pub(super) unread: bool,
    /// Where the value of each key stands.
    pub(super) places: Vec<(&'static str, usize)>,
    pub id: Option<Text>,
    pub hosts: Option<Vec<Text>>,
    /// `dangerously_any_host`.
    pub any_host: bool,
    pub networks: Option<Vec<Text>>,
    /// What these stand for is in [`hosts`](Self::hosts) too, behind what is written there.
    pub services: Option<Vec<Text>>,
    pub regions: Option<Vec<Text>>,
    pub buckets: Option<Vec<Text>>,
    pub accounts: Option<Vec<Text>>,
    pub vpc_endpoints: Option<Vec<Text>>,
    pub ports: Option<Vec<Text>>,
    pub schemes: Option<Vec<Text>>,
    pub methods: Option<Vec<Text>>,
    pub paths: Option<Vec<Text>>,
    pub addresses: Option<Vec<Text>>,
    pub boundary: Option<Text>,
    pub mode: Option<Text>,
    pub expires: Option<Text>,
    pub reason: Option<Text>,
    pub owner: Option<Text>,
}

impl RuleDraft {
    /// What one of [`hosts`](Self::hosts) was made from, if it is not written there: `services` or `buckets`, and the
    /// entry of it.
    #[must_use]
    pub fn origin(&self, host: &Text) -> Option<(&'static str, &Text)> {
        let services = self.services.iter().flatten().map(|entry| ("services", entry));
        let mut entries = services.chain(self.buckets.iter().flatten().map(|entry| ("buckets", entry)));
        entries.find(|(_, entry)| entry.offset.is_some() && entry.offset == host.offset)
    }

    /// Where the value of a key stands, or else the rule.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        let place = self.places.iter().find(|(known, _)| *known == key);
        place.map(|(_, offset)| *offset).or(self.offset)
    }
}

/// A whole policy.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the keys of the policy language")]
pub struct PolicyDraft {
    pub offset: Option<usize>,
    /// As in [`RuleDraft`].
    pub(super) unread: bool,
    pub name: Option<Text>,
    pub owner: Option<Text>,
    pub mode: Option<Text>,
    pub report_only_until: Option<Text>,
    pub proxy: Option<Text>,
    /// Whether a list of `[internal]` could not be read.
    pub(super) internal_unread: bool,
    pub internal_hosts: Vec<Text>,
    pub internal_networks: Vec<Text>,
    pub allow: Vec<RuleDraft>,
    pub deny: Vec<RuleDraft>,
}

impl PolicyDraft {
    /// Reads the shape of a policy from TOML: its keys, and whether their values are of the right kind. Whether they
    /// make a policy is only known from [`Policy::from_toml`](crate::Policy::from_toml).
    ///
    /// # Errors
    ///
    /// Every fault of the shape at once.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        document::draft_from_toml(text)
    }

    /// The same from JSON.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        document::draft_from_json(text)
    }
}

/// A network of an allow rule, checked.
///
/// A network opens less than it contains, see [`covers`](Self::covers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// Whether it opens every address that another network opens.
    ///
    /// Special-purpose addresses are opened only by a network within the same block, and a cloud's metadata service only
    /// by its own single-address network.
    ///
    /// ```
    /// use egress_guard::draft::Network;
    ///
    /// let covers = |one: &str, other: &str| one.parse::<Network>().unwrap().covers(&other.parse().unwrap());
    /// assert!(covers("10.0.0.0/8", "10.20.0.0/16"));
    /// assert!(covers("0.0.0.0/0", "203.0.114.0/24"));
    /// assert!(!covers("0.0.0.0/0", "10.20.0.0/16"));
    /// assert!(!covers("169.254.0.0/16", "169.254.169.254/32"));
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        address::opens_all_of(self.0, other.0)
    }
}

impl FromStr for Network {
    type Err = PolicyFault;

    fn from_str(text: &str) -> Result<Self, PolicyFault> {
        value::parse_network(text).map(Self).map_err(|(problem, cure)| PolicyFault::new(None, problem, cure))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
