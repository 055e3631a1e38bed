//! One rule: as it is written in code, and as it is matched.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::SystemTime;

use http::Method;
use smallvec::SmallVec;

use super::address::{AddressClass, network_opens};
use super::date::Day;
use super::draft::{RuleDraft, Text};
use super::network::NetworkMap;
use super::path::PathSet;
use super::{Boundary, Mode};
use crate::destination::Scheme;

/// One entry of a policy, built in code.
///
/// Its hosts or networks, ports, schemes, methods and paths belong together: a request is matched when *all* of them
/// match, and never by one rule's host with another rule's port. The texts are those of a policy file, and are checked when
/// the policy is built.
///
/// In an allow rule the defaults are `https`, the scheme's own port, any method and any path; in a deny rule they are
/// any scheme, port, method and path.
///
/// ```
/// use egress_guard::{Policy, Rule};
///
/// let payments = Rule::new("payments-api")
///     .hosts(["api.payments.example", "*.cdn.payments.example"])
///     .methods(["GET", "POST"])
///     .paths(["/v1/**"])
///     .owner("payments-team");
/// let warehouse = Rule::new("warehouse").networks(["10.20.0.0/16"]).port(8443);
///
/// let policy = Policy::builder("orders").allow(payments).allow(warehouse).build()?;
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing until it is given to a policy"]
pub struct Rule {
    pub(super) draft: RuleDraft,
}

impl Rule {
    /// Begins a rule; the id is 1 to 64 of `A-Z`, `a-z`, `0-9`, `-`, `_` and `.`, and unique in its policy.
    pub fn new(id: impl Into<String>) -> Self {
        Self { draft: RuleDraft { id: Some(Text::from(id.into())), ..RuleDraft::default() } }
    }

    /// The names that the rule is about, as patterns.
    pub fn hosts<T: Into<String>>(mut self, hosts: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.hosts, hosts);
        self
    }

    /// The networks (CIDR) that the rule is about.
    ///
    /// An allow rule matches IP literals in them; a deny rule also every name that resolves into them.
    pub fn networks<T: Into<String>>(mut self, networks: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.networks, networks);
        self
    }

    /// One more port.
    pub fn port(mut self, port: u16) -> Self {
        append(&mut self.draft.ports, [port.to_string()]);
        self
    }

    /// A range of ports, both ends included.
    pub fn port_range(mut self, ports: RangeInclusive<u16>) -> Self {
        append(&mut self.draft.ports, [format!("{}-{}", ports.start(), ports.end())]);
        self
    }

    /// The schemes, `http` or `https`.
    pub fn schemes<T: Into<String>>(mut self, schemes: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.schemes, schemes);
        self
    }

    /// The methods, in upper case.
    pub fn methods<T: Into<String>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.methods, methods);
        self
    }

    /// The paths, as globs that begin with `/`: `*` within a segment, `**` between slashes, `[abc]`, `{a,b}`.
    pub fn paths<T: Into<String>>(mut self, paths: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.paths, paths);
        self
    }

    /// What the rule's names may resolve to: `public` (the default), `private`, `internal` or a network.
    pub fn addresses<T: Into<String>>(mut self, addresses: impl IntoIterator<Item = T>) -> Self {
        append(&mut self.draft.addresses, addresses);
        self
    }

    /// Which side of the boundary the rule is about, `internal` or `external`; both without it.
    pub fn boundary(mut self, boundary: impl Into<String>) -> Self {
        self.draft.boundary = Some(Text::from(boundary.into()));
        self
    }

    /// Makes a deny rule report what it would deny instead of denying it.
    pub fn report_only(mut self) -> Self {
        self.draft.mode = Some(Text::from("report-only".to_owned()));
        self
    }

    /// The day, as `2027-03-31` in UTC, from which the rule only denies: an allow rule allows nothing any more, and a
    /// deny rule denies even if it was [report-only](Self::report_only).
    pub fn expires(mut self, day: impl Into<String>) -> Self {
        self.draft.expires = Some(Text::from(day.into()));
        self
    }

    /// Why the rule exists, for its readers.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.draft.reason = Some(Text::from(reason.into()));
        self
    }

    /// Whom to ask about the rule; a developer whose request it denies is told.
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.draft.owner = Some(Text::from(owner.into()));
        self
    }

    /// Makes the rule match every host, IP literals included, instead of a list.
    ///
    /// Names that only mean something locally (single labels, `localhost`, `*.internal`, `*.local`) it does not match;
    /// those are listed in `hosts` or not reached.
    ///
    /// # What this loosens
    ///
    /// An allow rule with it lets the function talk to the whole Internet. `addresses` still holds, for names and
    /// literals alike: without it only public addresses are reached.
    pub fn dangerously_any_host(mut self) -> Self {
        self.draft.any_host = true;
        self
    }
}

fn append<T: Into<String>>(list: &mut Option<Vec<Text>>, more: impl IntoIterator<Item = T>) {
    list.get_or_insert_with(Vec::new).extend(more.into_iter().map(|text| Text::from(text.into())));
}

/// The name of a rule, unique in its policy: what a decision and an audit line refer to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(Arc<str>);

impl RuleId {
    pub(super) fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as the policy writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A rule, checked and ready to match. Which hosts and networks it is about stands in the policy's index.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    pub(crate) id: RuleId,
    pub(crate) effect: Effect,
    /// Whether the rule, a deny rule, only reports.
    pub(crate) mode: Mode,
    pub(crate) conditions: Arc<Conditions>,
    pub(crate) addresses: Arc<Addresses>,
    /// What most rules do not say.
    pub(super) rest: Option<Box<Rest>>,
}

/// What a rule says about requests, wherever they go. Rules that say the same share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conditions {
    pub(crate) schemes: Option<SmallVec<[Scheme; 2]>>,
    pub(crate) ports: Option<SmallVec<[RangeInclusive<u16>; 4]>>,
    pub(crate) methods: Option<SmallVec<[Method; 4]>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    pub(super) paths: Option<PathSet>,
    pub(super) expires: Option<Day>,
    pub(super) reason: Option<Box<str>>,
    pub(super) owner: Option<Box<str>>,
}

/// What a rule does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "a rule allows or denies")]
pub enum Effect {
    /// It stands in `[[allow]]`.
    Allow,
    /// It stands in `[[deny]]`.
    Deny,
}

impl CompiledRule {
    pub(crate) fn paths(&self) -> Option<&PathSet> {
        self.rest.as_ref()?.paths.as_ref()
    }

    pub(crate) fn expires(&self) -> Option<Day> {
        self.rest.as_ref()?.expires
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.rest.as_ref()?.reason.as_deref()
    }

    pub(crate) fn owner(&self) -> Option<&str> {
        self.rest.as_ref()?.owner.as_deref()
    }

    pub(crate) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires().is_some_and(|day| day.has_begun(now))
    }

    pub(crate) fn mode(&self, now: SystemTime) -> Mode {
        if self.has_expired(now) { Mode::Enforce } else { self.mode }
    }

    pub(crate) fn matches_scheme(&self, scheme: Scheme) -> bool {
        match (&self.conditions.schemes, self.effect) {
            (Some(schemes), _) => schemes.contains(&scheme),
            (None, Effect::Allow) => scheme == Scheme::Https,
            (None, Effect::Deny) => true,
        }
    }

    /// `scheme` is absent where it is not known yet: then the default port of either may be meant.
    pub(crate) fn matches_port(&self, port: u16, scheme: Option<Scheme>) -> bool {
        match (&self.conditions.ports, self.effect) {
            (Some(ports), _) => ports.iter().any(|range| range.contains(&port)),
            (None, Effect::Allow) => match scheme {
                Some(scheme) => port == scheme.default_port(),
                None => [Scheme::Http, Scheme::Https].iter().any(|scheme| port == scheme.default_port()),
            },
            (None, Effect::Deny) => true,
        }
    }

    pub(crate) fn matches_method(&self, method: &Method) -> bool {
        let same = |listed: &Method| match self.effect {
            Effect::Allow => listed == method,
            // Some servers take `delete` for DELETE, and what they take is denied.
            Effect::Deny => listed.as_str().eq_ignore_ascii_case(method.as_str()),
        };
        self.conditions.methods.as_ref().is_none_or(|methods| methods.iter().any(same))
    }
}

/// Which addresses a rule is about: what the names of an allow rule may resolve to, and on which side they lie.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// As the policy writes them.
    pub(crate) texts: Vec<String>,
    pub(crate) boundary: Option<Boundary>,
    pub(crate) public: bool,
    pub(crate) private: bool,
    pub(crate) networks: NetworkMap<()>,
}

impl Addresses {
    pub(crate) fn open(&self, ip: IpAddr) -> bool {
        match AddressClass::of(ip) {
            AddressClass::Public if self.public => true,
            AddressClass::PrivateUse if self.private => true,
            _ => self.networks.around(ip).any(|(network, ())| network_opens(network, ip)),
        }
    }
}
