//! The policy: what is allowed, what is denied, and how it is read.

mod address;
mod compile;
mod document;
mod draft;
mod error;
mod hosts;
mod network;
mod path;
mod pattern;
mod rule;
mod value;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

pub use address::AddressClass;
pub use error::{PolicyError, PolicyFault};
pub use rule::{Rule, RuleId};

pub(crate) use address::reachable_through;
pub(crate) use path::is_ambiguous;
pub(crate) use rule::{Addresses, CompiledRule, Effect};

use crate::destination::Host;
use draft::{PolicyDraft, Text};
use hosts::HostMap;
use network::NetworkMap;
use rule::Internal;

/// Which outbound requests are allowed. Without a rule that allows it, every request is denied.
///
/// A policy is read from TOML or JSON, or built in code. It is immutable, and checked as a whole before it exists:
/// there is no way to hold one that is half valid.
///
/// ```
/// use egress_guard::{Decision, Policy, Request};
///
/// let policy = Policy::from_toml(
///     r#"
///     version = 1
///     name = "orders"
///
///     [[allow]]
///     id = "payments-api"
///     hosts = ["api.payments.example"]
///     methods = ["POST"]
///     paths = ["/v1/**"]
///     "#,
/// )?;
/// let destination = "https://api.payments.example/v1/charges".parse()?;
/// let decision = policy.decide(&Request::new(&http::Method::POST, &destination));
/// assert!(matches!(decision, Decision::Allow { rule } if rule.as_str() == "payments-api"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    name: Arc<str>,
    rules: Vec<CompiledRule>,
    index: Index,
    internal: Internal,
}

/// Which rules a host or an address could be matched by, as numbers into the policy's rules, in rising order.
#[derive(Clone, Debug, Default)]
struct Index {
    hosts: HostMap<Vec<usize>>,
    networks: NetworkMap<Vec<usize>>,
    deny_any_host: Vec<usize>,
    allow_any_host: Vec<usize>,
}

impl Policy {
    /// Begins a policy in code; the name stands in every audit line.
    pub fn builder(name: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder { draft: PolicyDraft { name: Some(Text::from(name.into())), ..PolicyDraft::default() } }
    }

    /// Reads a policy from TOML.
    ///
    /// # Errors
    ///
    /// Every fault of the text at once, each with line, column and what to write instead.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        document::from_toml(text)
    }

    /// Reads a policy from JSON, in the same shape as TOML.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        document::from_json(text)
    }

    /// Reads a policy file: JSON if its name ends in `.json`, TOML otherwise.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`from_toml`](Self::from_toml); the message names the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let source = format!("the policy {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            let cure = match error.kind() {
                std::io::ErrorKind::InvalidData => "save it as UTF-8",
                _ => "ship the policy with the function, and name the place where it stands at run time",
            };
            let fault = PolicyFault::new(None, format!("the file cannot be read: {error}"), cure);
            PolicyError::new(source.as_str(), vec![fault])
        })?;
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let policy = if is_json { Self::from_json(&text) } else { Self::from_toml(&text) };
        policy.map_err(|error| error.named(source))
    }

    /// The name, as audit lines carry it in `policy_id`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rule with an id, for what its author says about it.
    pub(crate) fn rule(&self, id: &RuleId) -> Option<&CompiledRule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    /// How many rules the policy has, allow and deny together.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// Whether a host, reached at `peer` where that is known, is the owner's own.
    pub(crate) fn boundary(&self, host: &Host, peer: Option<IpAddr>) -> Boundary {
        let mut internal = false;
        let address = match host {
            Host::Name(name) => {
                self.internal.hosts.visit(name, |()| internal = true);
                peer
            }
            Host::Ip(ip) => Some(*ip),
        };
        internal |= address.is_some_and(|ip| self.internal.networks.around(ip).next().is_some());
        if internal { Boundary::Internal } else { Boundary::External }
    }

    /// Calls `visit` with every rule that the host or the peer address puts in question, deny rules before allow
    /// rules within each list. A rule may be visited twice.
    pub(crate) fn visit_candidates<'p>(
        &'p self,
        host: &Host,
        peer: Option<IpAddr>,
        mut visit: impl FnMut(usize, &'p CompiledRule, Subject),
    ) {
        let (name, literal) = match host {
            Host::Name(name) => (Some(name), None),
            Host::Ip(ip) => (None, Some(*ip)),
        };
        let mut visit_all = |rules: &[usize], subject: Subject| {
            for number in rules {
                if let Some(rule) = self.rules.get(*number) {
                    visit(*number, rule, subject);
                }
            }
        };
        visit_all(&self.index.deny_any_host, Subject::Host);
        if !name.is_some_and(|name| pattern::is_local(name)) {
            visit_all(&self.index.allow_any_host, Subject::Host);
        }
        if let Some(name) = name {
            self.index.hosts.visit(name, |rules| visit_all(rules, Subject::Host));
        }
        for ip in [literal, peer].into_iter().flatten() {
            for reachable in reachable_through(ip) {
                for (network, rules) in self.index.networks.around(reachable) {
                    let opens = literal == Some(ip) && address::network_opens(network, ip);
                    visit_all(rules, if opens { Subject::Literal } else { Subject::Address });
                }
            }
        }
    }
}

/// Without the rules: a policy can be long, and its name says which it is.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name).field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// What put a rule in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One of its hosts.
    Host,
    /// One of its networks, which [opens](address::network_opens) the IP literal that was asked for.
    Literal,
    /// One of its networks, around an address that it cannot allow: the name's, or one that it does not open. Deny
    /// rules match it all the same.
    Address,
}

/// Whether a destination is the policy owner's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    Internal,
    External,
}

impl Boundary {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// A policy under construction in code.
#[derive(Clone, Debug)]
#[must_use = "call `build` to get the policy"]
pub struct PolicyBuilder {
    draft: PolicyDraft,
}

impl PolicyBuilder {
    /// Adds a rule that allows what it matches.
    pub fn allow(mut self, rule: Rule) -> Self {
        self.draft.allow.push(rule.draft);
        self
    }

    /// Adds a rule that denies what it matches, whatever else allows it.
    pub fn deny(mut self, rule: Rule) -> Self {
        self.draft.deny.push(rule.draft);
        self
    }

    /// States which hosts are internal: owned or managed by the policy's owner.
    pub fn internal_hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        self.draft.internal_hosts.extend(hosts.into_iter().map(|host| Text::from(host.into())));
        self
    }

    /// States which networks are internal; `addresses = ["internal"]` opens them.
    pub fn internal_networks<T: Into<String>>(mut self, networks: impl IntoIterator<Item = T>) -> Self {
        self.draft.internal_networks.extend(networks.into_iter().map(|network| Text::from(network.into())));
        self
    }

    /// Checks everything and builds the policy.
    ///
    /// # Errors
    ///
    /// Every fault at once, each with what to write instead.
    pub fn build(self) -> Result<Policy, PolicyError> {
        compile::compile(self.draft, Vec::new()).map_err(|faults| PolicyError::new("the policy", faults))
    }
}
