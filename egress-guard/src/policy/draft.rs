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
pub use super::services::{aws_regions, aws_services};

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::error::{PolicyError, PolicyFault};
use super::{address, document, value};

/// A text and where it stands, as a byte offset; texts given in code have none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text<S = String> {
    /// The text, without quotes.
    pub text: S,
    /// The byte at which it begins, quotes included.
    pub offset: Option<usize>,
}

impl<S> From<S> for Text<S> {
    fn from(text: S) -> Self {
        Self { text, offset: None }
    }
}

/// A rule. An absent list means the default; an empty one is a fault.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the keys of the policy language")]
pub struct RuleDraft<S = String> {
    pub offset: Option<usize>,
    /// Whether a value could not be read, so that its absence is no fault of its own.
    pub(super) unread: bool,
    /// Where the value of each key stands.
    pub(super) places: Vec<(&'static str, usize)>,
    pub id: Option<Text<S>>,
    pub hosts: Option<Vec<Text<S>>>,
    /// `dangerously_any_host`.
    pub any_host: bool,
    pub networks: Option<Vec<Text<S>>>,
    /// What these stand for is in [`hosts`](Self::hosts) too, behind what is written there.
    pub services: Option<Vec<Text<S>>>,
    pub regions: Option<Vec<Text<S>>>,
    pub buckets: Option<Vec<Text<S>>>,
    pub accounts: Option<Vec<Text<S>>>,
    pub vpc_endpoints: Option<Vec<Text<S>>>,
    pub ports: Option<Vec<Text<S>>>,
    pub schemes: Option<Vec<Text<S>>>,
    pub methods: Option<Vec<Text<S>>>,
    pub paths: Option<Vec<Text<S>>>,
    pub addresses: Option<Vec<Text<S>>>,
    pub boundary: Option<Text<S>>,
    pub mode: Option<Text<S>>,
    pub expires: Option<Text<S>>,
    pub reason: Option<Text<S>>,
    pub owner: Option<Text<S>>,
}

impl<S> RuleDraft<S> {
    /// What one of [`hosts`](Self::hosts) was made from, if it is not written there: `services` or `buckets`, and the
    /// entry of it.
    #[must_use]
    pub fn origin(&self, host: &Text<S>) -> Option<(&'static str, &Text<S>)> {
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
pub struct PolicyDraft<S = String> {
    pub offset: Option<usize>,
    /// As in [`RuleDraft`].
    pub(super) unread: bool,
    pub name: Option<Text<S>>,
    pub owner: Option<Text<S>>,
    pub mode: Option<Text<S>>,
    pub report_only_until: Option<Text<S>>,
    pub proxy: Option<Text<S>>,
    /// Whether a list of `[internal]` could not be read.
    pub(super) internal_unread: bool,
    pub internal_hosts: Vec<Text<S>>,
    pub internal_networks: Vec<Text<S>>,
    pub allow: Vec<RuleDraft<S>>,
    pub deny: Vec<RuleDraft<S>>,
}

/// Texts that are borrowed from the policy's text, as far as they stand there as they are.
pub(super) type BorrowedText<'t> = Text<Cow<'t, str>>;
pub(super) type BorrowedRule<'t> = RuleDraft<Cow<'t, str>>;
pub(super) type BorrowedPolicy<'t> = PolicyDraft<Cow<'t, str>>;

impl<S> Text<S> {
    /// The same with its text in another type.
    fn map<T>(self, map: fn(S) -> T) -> Text<T> {
        Text { text: map(self.text), offset: self.offset }
    }
}

impl<S> RuleDraft<S> {
    pub(super) fn map<T>(self, map: fn(S) -> T) -> RuleDraft<T> {
        let text = |text: Option<Text<S>>| text.map(|text| text.map(map));
        let texts = |texts: Option<Vec<Text<S>>>| texts.map(|texts| map_texts(texts, map));
        RuleDraft {
            offset: self.offset,
            unread: self.unread,
            places: self.places,
            id: text(self.id),
            hosts: texts(self.hosts),
            any_host: self.any_host,
            networks: texts(self.networks),
            services: texts(self.services),
            regions: texts(self.regions),
            buckets: texts(self.buckets),
            accounts: texts(self.accounts),
            vpc_endpoints: texts(self.vpc_endpoints),
            ports: texts(self.ports),
            schemes: texts(self.schemes),
            methods: texts(self.methods),
            paths: texts(self.paths),
            addresses: texts(self.addresses),
            boundary: text(self.boundary),
            mode: text(self.mode),
            expires: text(self.expires),
            reason: text(self.reason),
            owner: text(self.owner),
        }
    }
}

impl<S> PolicyDraft<S> {
    pub(super) fn map<T>(self, map: fn(S) -> T) -> PolicyDraft<T> {
        let text = |text: Option<Text<S>>| text.map(|text| text.map(map));
        let rules = |rules: Vec<RuleDraft<S>>| rules.into_iter().map(|rule| rule.map(map)).collect();
        PolicyDraft {
            offset: self.offset,
            unread: self.unread,
            name: text(self.name),
            owner: text(self.owner),
            mode: text(self.mode),
            report_only_until: text(self.report_only_until),
            proxy: text(self.proxy),
            internal_unread: self.internal_unread,
            internal_hosts: map_texts(self.internal_hosts, map),
            internal_networks: map_texts(self.internal_networks, map),
            allow: rules(self.allow),
            deny: rules(self.deny),
        }
    }
}

fn map_texts<S, T>(texts: Vec<Text<S>>, map: fn(S) -> T) -> Vec<Text<T>> {
    texts.into_iter().map(|text| text.map(map)).collect()
}

impl PolicyDraft {
    /// Reads the shape of a policy from TOML: its keys, and whether their values are of the right kind. Whether they
    /// make a policy is only known from [`Policy::from_toml`](crate::Policy::from_toml).
    ///
    /// # Errors
    ///
    /// Every fault of the shape at once.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        document::draft_from_toml(text).map(|draft| draft.map(Cow::into_owned))
    }

    /// The same from JSON.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        document::draft_from_json(text).map(|draft| draft.map(Cow::into_owned))
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
