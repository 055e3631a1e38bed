//! The policy: what is allowed, what is denied, and how it is read.

mod address;
mod compile;
mod date;
mod document;
pub mod draft;
mod error;
mod hosts;
mod index;
mod layer;
mod network;
mod path;
mod pattern;
mod rule;
mod value;

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

pub use address::AddressClass;
pub use error::{PolicyError, PolicyFault};
pub use rule::{Effect, Rule, RuleId};

pub(crate) use compile::with_allow_rule;
pub(crate) use layer::{Layer, Subject};
pub(crate) use path::{is_ambiguous, path_pattern, path_pattern_for};
pub(crate) use rule::{Addresses, CompiledRule};

use crate::destination::{Destination, Host};
use draft::{PolicyDraft, Text};

/// The JSON Schema (draft-07) of a policy, for editors.
///
/// It takes every policy that is read without a fault, and refuses most others. What no schema can say is only known from
/// [`Policy::from_toml`] and [`Policy::from_json`].
///
/// ```
/// let schema: serde_json::Value = serde_json::from_str(egress_guard::POLICY_SCHEMA)?;
/// assert_eq!(schema["title"], "egress-guard policy");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub const POLICY_SCHEMA: &str = include_str!("../../schema/policy.schema.json");

/// Which outbound requests are allowed. Without a rule that allows it, every request is denied.
///
/// A policy is read from TOML or JSON, or built in code. It is immutable, and checked as a whole before it exists:
/// there is no way to hold one that is half valid.
///
/// ```
/// use std::time::SystemTime;
///
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
/// let decision = policy.decide(&Request::new(&http::Method::POST, &destination), SystemTime::now());
/// assert!(matches!(decision, Decision::Allow { rule, .. } if rule.as_str() == "payments-api"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    /// The layers around the innermost one, the outermost first.
    outer: Arc<[Arc<Layer>]>,
    innermost: Arc<Layer>,
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
        document::from_toml(text).map(Self::of)
    }

    /// Reads a policy from JSON, in the same shape as TOML.
    ///
    /// # Errors
    ///
    /// As [`from_toml`](Self::from_toml).
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        document::from_json(text).map(Self::of)
    }

    fn of(layer: Layer) -> Self {
        Self { outer: Arc::new([]), innermost: Arc::new(layer) }
    }

    /// Narrows this policy by another one: what comes back allows a request only if both do.
    ///
    /// So the network's owner ships a baseline, and the function's developer can tighten it but never loosen it. Each
    /// keeps its own name, mode and `[internal]`. Layers can be narrowed again, to any depth.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use egress_guard::{Decision, Policy, Request, Rule};
    ///
    /// let baseline = Policy::builder("organisation").allow(Rule::new("partners").hosts(["*.partner.example"])).build()?;
    /// let function = Policy::builder("orders")
    ///     .allow(Rule::new("payments").hosts(["api.partner.example"]))
    ///     .allow(Rule::new("own-idea").hosts(["files.example.org"]))
    ///     .build()?;
    /// let policy = baseline.narrowed_by(function);
    ///
    /// let is_allowed = |url: &str| {
    ///     let destination = url.parse().unwrap();
    ///     matches!(policy.decide(&Request::to(&destination), SystemTime::now()), Decision::Allow { .. })
    /// };
    /// assert!(is_allowed("https://api.partner.example/"));
    /// assert!(!is_allowed("https://www.partner.example/"), "the function does not list it");
    /// assert!(!is_allowed("https://files.example.org/"), "the baseline does not list it");
    /// # Ok::<(), egress_guard::PolicyError>(())
    /// ```
    #[must_use]
    pub fn narrowed_by(self, narrower: Self) -> Self {
        Self { outer: self.layers().chain(narrower.outer.iter()).cloned().collect(), innermost: narrower.innermost }
    }

    /// The name, as audit lines carry it in `policy_id`; of layers, the innermost's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.innermost.name
    }

    /// How many rules the policy has, allow and deny together, in all its layers.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.layers().map(|layer| layer.rules.len()).sum()
    }

    /// Whether denials are enforced. Of layers, one that enforces is enough.
    #[must_use]
    pub fn mode(&self, now: SystemTime) -> Mode {
        let enforces = self.layers().any(|layer| layer.mode(now) == Mode::Enforce);
        if enforces { Mode::Enforce } else { Mode::ReportOnly }
    }

    /// The SHA-256 of the text that the policy was read from, in lower-case hexadecimal digits; of layers, the
    /// innermost's. A policy built in code has none.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.innermost.sha256.as_deref()
    }

    /// The layers around the innermost one, the outermost first.
    pub(crate) fn outer(&self) -> &[Arc<Layer>] {
        &self.outer
    }

    pub(crate) fn innermost(&self) -> &Layer {
        &self.innermost
    }

    /// The layers, the outermost first.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Arc<Layer>> {
        self.outer.iter().chain([&self.innermost])
    }

    /// The policy with the place that it was read from.
    pub(crate) fn read_from(self, source: &str, sha256: &str) -> Self {
        let layer = Layer::clone(&self.innermost);
        Self::of(Layer { source: source.into(), sha256: Some(sha256.into()), ..layer })
    }

    /// On which side a request lies, as the network's owner sees it: the outermost layer that says what is internal.
    pub(crate) fn boundary(&self, host: &Host, port: Option<u16>, peer: Option<IpAddr>) -> Boundary {
        self.known_boundary(host, port, peer).unwrap_or(Boundary::External)
    }

    /// The same, or nothing where the address decides and is not known.
    pub(crate) fn known_boundary(&self, host: &Host, port: Option<u16>, peer: Option<IpAddr>) -> Option<Boundary> {
        let owner = self.layers().find(|layer| layer.states_what_is_internal());
        owner.map_or(Some(Boundary::External), |layer| layer.boundary(host, peer, self.via(host, port)))
    }

    /// The proxy that the outermost layer with one states.
    pub(crate) fn proxy(&self) -> Option<&Destination> {
        self.layers().find_map(|layer| layer.proxy.as_ref())
    }

    /// The proxy on the way to a host, which may be the proxy itself.
    pub(crate) fn via(&self, host: &Host, port: Option<u16>) -> Option<&Host> {
        let is_the_proxy = |proxy: &Destination| proxy.host() == host && port.is_none_or(|port| port == proxy.port());
        self.proxy().filter(|proxy| !is_the_proxy(proxy)).map(Destination::host)
    }
}

/// Without the rules: a policy can be long, and its name says which it is.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).field("rules", &self.rule_count()).finish_non_exhaustive()
    }
}

/// What is done about a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a third mode must break the code of everyone who enforces one")]
pub enum Mode {
    /// The request is not sent.
    Enforce,
    /// The request is sent, and its audit line says `would_deny`.
    ReportOnly,
}

impl Mode {
    /// The code in policies and audit lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::ReportOnly => "report-only",
        }
    }
}

/// Whether a destination is the policy owner's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a boundary has two sides")]
pub enum Boundary {
    /// `[internal]` lists the host, or a network around the address.
    Internal,
    /// It does not.
    External,
}

impl Boundary {
    /// The code in policies and audit lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

    /// Whom to ask about the policy; a developer whose request it denies is told.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.draft.owner = Some(Text::from(owner.into()));
        self
    }

    /// Lets everything through until a day, as `2027-03-31` in UTC, and only reports what the rules would deny; from
    /// that day on the policy is enforced.
    ///
    /// What no policy can allow (CONNECT, a foreign `Host` header, an unreadable URL, ...) is denied all the same.
    pub fn report_only_until(mut self, day: impl Into<String>) -> Self {
        self.draft.mode = Some(Text::from("report-only".to_owned()));
        self.draft.report_only_until = Some(Text::from(day.into()));
        self
    }

    /// Sends everything through an HTTP proxy, given as `http://host:port`, which is itself a destination that a rule must
    /// allow.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.draft.proxy = Some(Text::from(url.into()));
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
        let compiled = compile::compile(self.draft.map(Cow::Owned), Vec::new());
        compiled.map(Policy::of).map_err(|faults| PolicyError::new("the policy", faults))
    }
}
