//! The decision: a pure function of a policy, a request and a time.

mod explain;
mod matching;
mod reason;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::Method;

pub use explain::{Explanation, LayerExplanation, MissingAddresses, RuleExplanation};
pub use matching::Dimension;
pub use reason::Reason;

use crate::destination::{Destination, Host, Scheme};
use crate::policy::{Addresses, CompiledRule, Effect, Layer, Mode, Policy, RuleId, Subject};
use matching::{Match, allow_fails, deny_matches};

/// What a policy is asked: as much of a request as is known at the place where it is asked.
///
/// What is not known yet cannot deny: [`Policy::decide`] allows a part of a request if some whole request with it is
/// allowed. So a name can be judged before it is looked up, and a connection before anything is sent on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub(crate) host: &'a Host,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) port: Option<u16>,
    pub(crate) method: Option<&'a Method>,
    pub(crate) path: Option<&'a str>,
    pub(crate) peer: Option<IpAddr>,
    /// The proxy on the way, as the policy states it.
    pub(crate) via: Option<&'a Host>,
}

impl<'a> Request<'a> {
    /// A whole request.
    #[must_use]
    pub fn new(method: &'a Method, destination: &'a Destination) -> Self {
        Self { method: Some(method), ..Self::to(destination) }
    }

    /// A request whose method is not known, as a redirect policy sees it.
    #[must_use]
    pub fn to(destination: &'a Destination) -> Self {
        let connection = Self::connection(destination.scheme(), destination.host(), destination.port());
        Self { path: Some(destination.path()), ..connection }
    }

    /// A connection, before it is known what will be sent on it.
    #[must_use]
    pub fn connection(scheme: Scheme, host: &'a Host, port: u16) -> Self {
        Self { scheme: Some(scheme), port: Some(port), ..Self::name(host) }
    }

    /// A name, before it is looked up.
    #[must_use]
    pub fn name(host: &'a Host) -> Self {
        Self { host, scheme: None, port: None, method: None, path: None, peer: None, via: None }
    }

    /// The same, with the address that the name resolved to.
    #[must_use]
    pub fn peer(self, peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// This question, and the lesser ones that a guard asks on the way to its answer: the request before its address
    /// is known, then its name and its connection, of which the address is known and neither method nor path. The
    /// request can be sent if none of them is denied.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// use egress_guard::{Decision, Policy, Request, Rule};
    ///
    /// let policy = Policy::builder("orders")
    ///     .allow(Rule::new("api").hosts(["api.example.com"]))
    ///     .deny(Rule::new("no-lab").networks(["203.0.114.0/24"]).methods(["POST"]))
    ///     .build()?;
    /// let destination = "https://api.example.com/".parse()?;
    /// let request = Request::new(&http::Method::GET, &destination).peer("203.0.114.7".parse()?);
    ///
    /// let is_allowed = |request| matches!(policy.decide(&request, SystemTime::now()), Decision::Allow { .. });
    /// assert!(is_allowed(request), "the rule is about POST");
    /// assert!(!request.stages().all(is_allowed), "but a connection serves every method");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stages(self) -> impl Iterator<Item = Self> {
        let early = self.peer.map(|_| Self { peer: None, ..self });
        let name = self.peer.filter(|_| matches!(self.host, Host::Name(_))).map(|ip| Self::name(self.host).peer(ip));
        let connection = self.address().map(|ip| Self { method: None, path: None, peer: Some(ip), ..self });
        [Some(self), early, name, connection].into_iter().flatten()
    }

    /// The address that it goes to, as far as it is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(_) => self.peer,
        }
    }
}

/// The answer of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a third answer must break the code of everyone who enforces one")]
pub enum Decision<'p> {
    /// The request may be sent.
    Allow {
        /// The rule that allows it; of layers, the innermost's.
        rule: &'p RuleId,
        /// The rules of the layers around it, the outermost first.
        baseline_rules: Vec<&'p RuleId>,
    },
    /// The request must not be sent, or would not be if the mode were another.
    Deny {
        /// Why.
        reason: Reason,
        /// The deny rule that matched, or the allow rule that has expired.
        rule: Option<&'p RuleId>,
        /// The name of the policy that denies; of layers, the outermost that does.
        policy: &'p str,
        /// Whether the denial is enforced or only reported.
        mode: Mode,
    },
}

impl Decision<'_> {
    /// Whether the request must not be sent.
    #[must_use]
    pub fn is_enforced_denial(&self) -> bool {
        matches!(self, Self::Deny { mode: Mode::Enforce, .. })
    }
}

impl Policy {
    /// Decides a request at a time. Pure: the same policy, request and time always give the same answer, without I/O.
    ///
    /// Within a layer a deny rule that matches beats every allow rule. Otherwise the first allow rule that matches
    /// decides, and it is named. If there is none, the reason says how far the closest rule went. Of layers all must
    /// allow, and the outermost that does not is the one that denies. A denial that is enforced beats one that is only
    /// reported.
    ///
    /// Rules and modes end at midnight, UTC, of the day that they state.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, now: SystemTime) -> Decision<'_> {
        match self.answer(request, now) {
            Answer::Allow(Rules { rule, baseline }) => {
                Decision::Allow { rule: &rule.id, baseline_rules: baseline.into_iter().map(|rule| &rule.id).collect() }
            }
            Answer::Deny(Denial { layer, reason, rule, mode }) => {
                Decision::Deny { reason, rule: rule.map(|rule| &rule.id), policy: &layer.name, mode }
            }
        }
    }

    /// The decision, with all that the rules say.
    #[inline]
    pub(crate) fn answer(&self, request: &Request<'_>, now: SystemTime) -> Answer<'_> {
        if self.is_quarantined() {
            return Answer::Deny(Denial::by(self.innermost(), Reason::Quarantined, None, Mode::Enforce));
        }
        let through_the_proxy;
        let request = match self.via(request.host, request.port) {
            None => request,
            via => {
                through_the_proxy = Request { via, ..*request };
                &through_the_proxy
            }
        };
        // Most policies are one layer, and need nothing of what weighs several.
        if self.outer().is_empty() {
            return match self.innermost().answer(request, now) {
                LayerAnswer::Allow(rule) => Answer::Allow(Rules { rule, baseline: Vec::new() }),
                LayerAnswer::Deny(denial) => Answer::Deny(denial),
            };
        }
        self.answer_of_layers(request, now)
    }

    fn answer_of_layers(&self, request: &Request<'_>, now: SystemTime) -> Answer<'_> {
        let mut reported = None;
        let mut baseline = Vec::new();
        for layer in self.outer() {
            match layer.answer(request, now) {
                LayerAnswer::Allow(rule) => baseline.push(rule),
                LayerAnswer::Deny(denial) if denial.mode == Mode::Enforce => return Answer::Deny(denial),
                LayerAnswer::Deny(denial) => reported = reported.or(Some(denial)),
            }
        }
        match (self.innermost().answer(request, now), reported) {
            (LayerAnswer::Allow(rule), None) => Answer::Allow(Rules { rule, baseline }),
            (LayerAnswer::Deny(denial), _) if denial.mode == Mode::Enforce => Answer::Deny(denial),
            (_, Some(denial)) | (LayerAnswer::Deny(denial), None) => Answer::Deny(denial),
        }
    }
}

/// What a policy answers.
#[derive(Debug)]
pub(crate) enum Answer<'p> {
    Allow(Rules<'p>),
    Deny(Denial<'p>),
}

impl Answer<'_> {
    pub(crate) fn is_enforced_denial(&self) -> bool {
        matches!(self, Self::Deny(Denial { mode: Mode::Enforce, .. }))
    }
}

/// The rules that allow a request, one of each layer.
#[derive(Debug)]
pub(crate) struct Rules<'p> {
    /// The innermost layer's.
    pub(crate) rule: &'p CompiledRule,
    /// Those of the layers around it, the outermost first.
    pub(crate) baseline: Vec<&'p CompiledRule>,
}

/// Who denies a request, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Denial<'p> {
    pub(crate) layer: &'p Layer,
    pub(crate) reason: Reason,
    pub(crate) rule: Option<&'p CompiledRule>,
    pub(crate) mode: Mode,
}

impl<'p> Denial<'p> {
    pub(crate) fn by(layer: &'p Layer, reason: Reason, rule: Option<&'p CompiledRule>, mode: Mode) -> Self {
        Self { layer, reason, rule, mode }
    }
}

enum LayerAnswer<'p> {
    Allow(&'p CompiledRule),
    Deny(Denial<'p>),
}

impl Layer {
    fn answer(&self, request: &Request<'_>, now: SystemTime) -> LayerAnswer<'_> {
        // What no rule can allow is denied in every mode.
        let always = |reason| LayerAnswer::Deny(Denial::by(self, reason, None, Mode::Enforce));
        let mode = self.mode(now);
        let deny = |reason, rule| LayerAnswer::Deny(Denial::by(self, reason, rule, mode));
        if request.method == Some(&Method::CONNECT) {
            return always(Reason::ConnectMethod);
        }
        let mut found = Found::default();
        self.visit_candidates(request.host, request.peer, |number, rule, subject| match rule.effect {
            Effect::Deny => found.deny((number, rule), deny_matches(self, rule, request, subject), rule.mode(now)),
            Effect::Allow if subject == Subject::Address => {}
            Effect::Allow => found.allow((number, rule), subject, allow_fails(self, rule, request, subject), now),
        });
        if let Some((_, rule)) = found.denied {
            return deny(Reason::DeniedByRule, Some(rule));
        }
        let Some((_, rule)) = found.allowed else {
            return match (found.expired, found.closest, request.host) {
                (Some((_, rule)), ..) => deny(Reason::RuleExpired, Some(rule)),
                (None, Some(reason), _) => deny(reason, None),
                (None, None, Host::Name(_)) => deny(Reason::HostNotAllowed, None),
                (None, None, Host::Ip(_)) => deny(Reason::IpLiteralNotAllowed, None),
            };
        };
        if found.ambiguous == Some(Mode::Enforce) {
            return deny(Reason::AmbiguousPath, None);
        }
        if found.listing.differ && self.has_address_conflict(request, &found) {
            return deny(Reason::AddressConflict, None);
        }
        let report = |reason, rule| LayerAnswer::Deny(Denial::by(self, reason, rule, Mode::ReportOnly));
        match (found.reported, found.ambiguous) {
            (Some((_, rule)), _) => report(Reason::DeniedByRule, Some(rule)),
            (None, Some(_)) => report(Reason::AmbiguousPath, None),
            (None, None) => LayerAnswer::Allow(rule),
        }
    }

    /// Whether a connection that another rule opened could carry this request to an address its own rule does not
    /// open. Clients keep connections by scheme, host and port, so all rules for these share them: a rule that does
    /// not match this request, and opens other addresses than one that does, must not lend it one. That a rule has
    /// expired makes no difference, so that no day that comes ends a conflict.
    fn has_address_conflict(&self, request: &Request<'_>, found: &Found<'_>) -> bool {
        let whole_request_to_a_name = request.method.is_some() && matches!(request.host, Host::Name(_));
        if !whole_request_to_a_name {
            return false;
        }
        let mut conflict = false;
        self.visit_candidates(request.host, request.peer, |_, rule, subject| {
            let differs = found.matching.differ || !found.matching.begin_with(&rule.addresses);
            conflict |= differs
                && self.shares_connections(rule, request, subject)
                && allow_fails(self, rule, request, subject).is_some();
        });
        conflict
    }

    /// Whether connections that the rule opens are kept where this request would find them.
    fn shares_connections(&self, rule: &CompiledRule, request: &Request<'_>, subject: Subject) -> bool {
        let connection = Request { method: None, path: None, ..*request };
        rule.effect == Effect::Allow
            && subject == Subject::Host
            && allow_fails(self, rule, &connection, subject).is_none()
    }
}

type Numbered<'p> = (u32, &'p CompiledRule);

/// What a walk over the candidate rules has found; of several rules the first.
#[derive(Default)]
struct Found<'p> {
    denied: Option<Numbered<'p>>,
    /// Denied by a rule that only reports.
    reported: Option<Numbered<'p>>,
    /// A deny rule matches but for its paths, and the path is ambiguous.
    ambiguous: Option<Mode>,
    allowed: Option<Numbered<'p>>,
    /// The addresses of the allow rules that list the host.
    listing: Opened<'p>,
    /// Those of the ones that match, expired or not.
    matching: Opened<'p>,
    /// Would be allowed if the rule had not expired.
    expired: Option<Numbered<'p>>,
    /// How the allow rule that came closest failed.
    closest: Option<Reason>,
}

impl<'p> Found<'p> {
    fn deny(&mut self, rule: Numbered<'p>, matches: Match, mode: Mode) {
        match (matches, mode) {
            (Match::Yes, Mode::Enforce) => keep_first(&mut self.denied, rule),
            (Match::Yes, Mode::ReportOnly) => keep_first(&mut self.reported, rule),
            (Match::Ambiguous, Mode::Enforce) => self.ambiguous = Some(mode),
            (Match::Ambiguous, Mode::ReportOnly) => self.ambiguous = self.ambiguous.or(Some(mode)),
            (Match::No, _) => {}
        }
    }

    fn allow(&mut self, rule: Numbered<'p>, subject: Subject, fails: Option<Reason>, now: SystemTime) {
        if subject == Subject::Host {
            self.listing.add(&rule.1.addresses);
            if fails.is_none() {
                self.matching.add(&rule.1.addresses);
            }
        }
        match fails {
            None if rule.1.has_expired(now) => keep_first(&mut self.expired, rule),
            None => keep_first(&mut self.allowed, rule),
            Some(reason) => self.closest = matching::closer(self.closest, reason),
        }
    }
}

/// The addresses that several rules open.
#[derive(Default)]
struct Opened<'p> {
    first: Option<&'p Arc<Addresses>>,
    /// Whether not all open the same.
    differ: bool,
}

impl<'p> Opened<'p> {
    fn add(&mut self, addresses: &'p Arc<Addresses>) {
        self.first = self.first.or(Some(addresses));
        self.differ |= !self.begin_with(addresses);
    }

    fn begin_with(&self, addresses: &Arc<Addresses>) -> bool {
        self.first.is_some_and(|first| Arc::ptr_eq(first, addresses))
    }
}

fn keep_first<'p>(known: &mut Option<Numbered<'p>>, rule: Numbered<'p>) {
    if known.is_none_or(|(first, _)| rule.0 < first) {
        *known = Some(rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    const POLICY: &str = r#"
        version = 1
        name = "test"

        [internal]
        networks = ["10.9.0.0/16"]

        [[allow]]
        id = "api"
        hosts = ["api.example.com"]
        methods = ["GET", "POST"]
        paths = ["/v1/**"]

        [[allow]]
        id = "cdn"
        hosts = ["*.cdn.example.com"]
        ports = [443, "8000-8099"]
        schemes = ["https", "http"]

        [[allow]]
        id = "apex"
        hosts = [".apex.example"]

        [[allow]]
        id = "ec2"
        hosts = ["ec2.*.amazonaws.com", "bucket-*.s3.eu-west-1.amazonaws.com"]

        [[allow]]
        id = "warehouse"
        networks = ["10.20.0.0/16", "0.0.0.0/0", "169.254.0.0/16"]
        ports = [8443]

        [[allow]]
        id = "metadata"
        networks = ["169.254.169.254/32"]
        schemes = ["http"]

        [[allow]]
        id = "database"
        hosts = ["db.corp.example"]
        addresses = ["private"]

        [[allow]]
        id = "intranet"
        hosts = ["wiki.corp.example"]
        addresses = ["internal"]

        [[deny]]
        id = "no-legacy"
        hosts = ["legacy.cdn.example.com"]

        [[deny]]
        id = "no-admin"
        hosts = ["api.example.com"]
        paths = ["/v1/admin/**"]

        [[deny]]
        id = "no-lab"
        networks = ["10.66.0.0/16"]
        methods = ["POST"]
    "#;

    fn policy() -> Policy {
        Policy::from_toml(POLICY).unwrap_or_else(|error| panic!("{error}"))
    }

    /// `allow RULE` or `deny REASON`.
    fn said(decision: &Decision<'_>) -> String {
        match decision {
            Decision::Allow { rule, .. } => format!("allow {rule}"),
            Decision::Deny { rule: Some(rule), .. } => format!("deny by {rule}"),
            Decision::Deny { reason, rule: None, .. } => format!("deny {reason}"),
        }
    }

    #[test]
    fn whole_requests() {
        let policy = policy();
        let cases = [
            ("listed host, method and path", "GET", "https://api.example.com/v1/x", "allow api"),
            ("case, trailing dot, default port", "POST", "https://API.example.COM.:443/v1/x", "allow api"),
            ("another method", "DELETE", "https://api.example.com/v1/x", "deny method-not-allowed"),
            ("another path", "GET", "https://api.example.com/v2/x", "deny path-not-allowed"),
            ("a path beside the prefix", "GET", "https://api.example.com/v1x", "deny path-not-allowed"),
            ("dot segments are resolved first", "GET", "https://api.example.com/v1/../v2", "deny path-not-allowed"),
            ("an encoded slash", "GET", "https://api.example.com/v1/a%2fb", "deny ambiguous-path"),
            ("a doubled slash", "GET", "https://api.example.com/v1//x", "deny ambiguous-path"),
            ("plain http", "GET", "http://api.example.com/v1/x", "deny scheme-not-allowed"),
            ("another port", "GET", "https://api.example.com:444/v1/x", "deny port-not-allowed"),
            ("a name below an exact one", "GET", "https://x.api.example.com/v1/x", "deny host-not-allowed"),
            ("a name that ends alike", "GET", "https://evilapi.example.com/v1/x", "deny host-not-allowed"),
            ("one label below", "GET", "https://a.cdn.example.com/", "allow cdn"),
            ("two labels below, odd path", "GET", "https://a.b.cdn.example.com//x;y", "allow cdn"),
            ("not the apex", "GET", "https://cdn.example.com/", "deny host-not-allowed"),
            ("a port in the range", "GET", "http://a.cdn.example.com:8042/", "allow cdn"),
            ("a port behind the range", "GET", "http://a.cdn.example.com:8100/", "deny port-not-allowed"),
            ("ports listed means the default is not", "GET", "http://a.cdn.example.com/", "deny port-not-allowed"),
            (
                "one rule's host with another's port",
                "GET",
                "https://api.example.com:8042/v1/x",
                "deny port-not-allowed",
            ),
            ("the apex", "GET", "https://apex.example/", "allow apex"),
            ("below the apex", "GET", "https://a.b.apex.example/", "allow apex"),
            ("one label for a middle star", "GET", "https://ec2.eu-west-1.amazonaws.com/", "allow ec2"),
            ("two labels for a middle star", "GET", "https://ec2.a.b.amazonaws.com/", "deny host-not-allowed"),
            ("no label for a middle star", "GET", "https://ec2.amazonaws.com/", "deny host-not-allowed"),
            ("a star within a label", "GET", "https://bucket-7.s3.eu-west-1.amazonaws.com/", "allow ec2"),
            ("which stays there", "GET", "https://bucket-7.x.s3.eu-west-1.amazonaws.com/", "deny host-not-allowed"),
            (
                "and in front of which nothing may be",
                "GET",
                "https://x-bucket-7.s3.eu-west-1.amazonaws.com/",
                "deny host-not-allowed",
            ),
            ("a literal in a network", "GET", "https://10.20.1.2:8443/", "allow warehouse"),
            ("the same, IPv4-mapped", "GET", "https://[::ffff:10.20.1.2]:8443/", "allow warehouse"),
            ("a literal on another port", "GET", "https://10.20.1.2/", "deny port-not-allowed"),
            ("a public literal in 0.0.0.0/0", "GET", "https://203.0.114.7:8443/", "allow warehouse"),
            ("0.0.0.0/0 opens no private address", "GET", "https://10.21.1.2:8443/", "deny ip-literal-not-allowed"),
            ("nor loopback", "GET", "https://127.0.0.1:8443/", "deny ip-literal-not-allowed"),
            ("link-local is opened by its own network", "GET", "https://169.254.7.7:8443/", "allow warehouse"),
            ("metadata is not", "GET", "https://169.254.169.254:8443/", "deny scheme-not-allowed"),
            ("metadata is opened by its own /32", "GET", "http://169.254.169.254/", "allow metadata"),
            ("in every spelling", "GET", "http://0xA9FEA9FE/", "allow metadata"),
            ("but not through NAT64", "GET", "http://[64:ff9b::a9fe:a9fe]/", "deny ip-literal-not-allowed"),
            ("an unlisted IPv6 literal", "GET", "https://[2001:4860::1]/", "deny ip-literal-not-allowed"),
            ("deny beats allow", "GET", "https://legacy.cdn.example.com/", "deny by no-legacy"),
            ("on every port and scheme", "GET", "http://legacy.cdn.example.com:8000/", "deny by no-legacy"),
            ("a denied path", "GET", "https://api.example.com/v1/admin/x", "deny by no-admin"),
            ("a tunnel", "CONNECT", "https://a.cdn.example.com/", "deny connect-method"),
            ("in any encoding", "GET", "https://api.example.com/v1/%61dmin/x", "deny by no-admin"),
        ];
        for (name, method, url, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let destination = url.parse().unwrap();
            assert_eq!(said(&policy.decide(&Request::new(&method, &destination), NOW)), expected, "{name}: {url}");
        }
    }

    #[test]
    fn resolved_addresses() {
        let policy = policy();
        let cases = [
            ("api.example.com", "203.0.114.7", "allow api"),
            ("api.example.com", "2606:4700::1", "allow api"),
            ("api.example.com", "64:ff9b::203.0.114.7", "allow api"),
            ("api.example.com", "10.20.1.2", "deny address-not-allowed"),
            ("api.example.com", "127.0.0.1", "deny address-not-allowed"),
            ("api.example.com", "::ffff:127.0.0.1", "deny address-not-allowed"),
            ("api.example.com", "64:ff9b::10.0.0.1", "deny address-not-allowed"),
            ("api.example.com", "0.0.0.0", "deny address-not-allowed"),
            ("api.example.com", "169.254.169.254", "deny address-not-allowed"),
            ("db.corp.example", "10.1.2.3", "allow database"),
            ("db.corp.example", "fd12::1", "allow database"),
            ("db.corp.example", "203.0.114.7", "deny address-not-allowed"),
            ("db.corp.example", "fd00:ec2::254", "deny address-not-allowed"),
            ("db.corp.example", "10.66.1.1", "deny by no-lab"),
            ("db.corp.example", "::ffff:10.66.1.1", "deny by no-lab"),
            ("db.corp.example", "64:ff9b::10.66.1.1", "deny by no-lab"),
            ("wiki.corp.example", "10.9.1.1", "allow intranet"),
            ("wiki.corp.example", "10.8.1.1", "deny address-not-allowed"),
        ];
        for (name, ip, expected) in cases {
            let host = name.parse::<Host>().unwrap();
            let ip = ip.parse().unwrap();
            let at_name = Request::name(&host).peer(ip);
            assert_eq!(said(&policy.decide(&at_name, NOW)), expected, "{name} at {ip}");
            let at_connection = Request::connection(Scheme::Https, &host, 443).peer(ip);
            assert_eq!(said(&policy.decide(&at_connection, NOW)), expected, "connection to {name} at {ip}");
        }
    }

    #[test]
    fn what_is_not_known_yet_does_not_deny() {
        let policy = policy();
        let api = "api.example.com".parse::<Host>().unwrap();
        let legacy = "legacy.cdn.example.com".parse::<Host>().unwrap();
        let unknown = "evil.test".parse::<Host>().unwrap();
        let literal = "10.20.1.2".parse::<Host>().unwrap();
        let cases = [
            ("a listed name", Request::name(&api), "allow api"),
            ("an unlisted name", Request::name(&unknown), "deny host-not-allowed"),
            ("a denied name", Request::name(&legacy), "deny by no-legacy"),
            ("a connection to a listed name", Request::connection(Scheme::Https, &api, 443), "allow api"),
            ("to another port", Request::connection(Scheme::Https, &api, 444), "deny port-not-allowed"),
            ("without TLS", Request::connection(Scheme::Http, &api, 80), "deny scheme-not-allowed"),
            ("to a literal", Request::connection(Scheme::Https, &literal, 8443), "allow warehouse"),
        ];
        for (name, request, expected) in cases {
            assert_eq!(said(&policy.decide(&request, NOW)), expected, "{name}");
        }
    }

    #[test]
    fn an_empty_policy_denies_everything() {
        let policy = Policy::builder("empty").build().unwrap();
        for url in ["https://example.com/", "http://127.0.0.1/", "https://[::1]/"] {
            let destination = url.parse().unwrap();
            assert!(
                matches!(policy.decide(&Request::new(&Method::GET, &destination), NOW), Decision::Deny { .. }),
                "{url}"
            );
        }
    }

    #[test]
    fn any_host_still_keeps_to_its_addresses() {
        use crate::Rule;
        let policy = Policy::builder("open").allow(Rule::new("all").dangerously_any_host()).build().unwrap();
        let cases = [
            ("https://anything.example/", "allow all"),
            ("https://203.0.114.7/", "allow all"),
            ("https://10.0.0.1/", "deny address-not-allowed"),
            ("https://[::ffff:169.254.169.254]/", "deny address-not-allowed"),
            ("http://anything.example/", "deny scheme-not-allowed"),
            ("https://localhost/", "deny host-not-allowed"),
            ("https://metadata/", "deny host-not-allowed"),
            ("https://metadata.google.internal/", "deny host-not-allowed"),
        ];
        for (url, expected) in cases {
            let destination = url.parse().unwrap();
            assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &destination), NOW)), expected, "{url}");
        }
    }

    #[test]
    fn a_rule_never_lends_its_addresses_to_another() {
        use crate::Rule;
        let open = Rule::new("open").hosts(["partner.example"]).paths(["/**"]);
        let health = Rule::new("health").hosts(["partner.example"]).paths(["/health"]).addresses(["10.0.0.0/8"]);
        let policy = Policy::builder("p").allow(open.clone()).allow(health).build().unwrap();
        // A connection to 10.0.0.1, opened for /health, would be used for /admin too.
        let admin = "https://partner.example/admin".parse().unwrap();
        assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &admin), NOW)), "deny address-conflict");

        let wildcard = Rule::new("wildcard").hosts([".partner.example"]).addresses(["private"]);
        let policy = Policy::builder("p").allow(open).allow(wildcard).build().unwrap();
        assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &admin), NOW)), "allow open");
    }

    #[test]
    fn the_first_of_several_rules_decides() {
        use crate::Rule;
        let rule = |id: &str, host: &str| Rule::new(id).hosts([host]);
        let policy = Policy::builder("p")
            .allow(rule("wide", "*.example.com"))
            .allow(rule("narrow", "api.example.com"))
            .deny(rule("late", "*.bad.example.com"))
            .deny(rule("later", "x.bad.example.com"))
            .build()
            .unwrap();
        for (url, expected) in
            [("https://api.example.com/", "allow wide"), ("https://x.bad.example.com/", "deny by late")]
        {
            let destination = url.parse().unwrap();
            assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &destination), NOW)), expected, "{url}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_denied_only_where_a_path_rule_could_decide() {
        use crate::Rule;
        let url = "https://api.example.com/a//b".parse().unwrap();
        let any_path = Rule::new("any").hosts(["api.example.com"]);
        let with_deny = Rule::new("no-admin").hosts(["*.example.com"]).paths(["/admin/**"]);
        let policy = Policy::builder("p").allow(any_path.clone()).build().unwrap();
        assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &url), NOW)), "allow any");
        let policy = Policy::builder("p").allow(any_path).deny(with_deny).build().unwrap();
        assert_eq!(said(&policy.decide(&Request::new(&Method::GET, &url), NOW)), "deny ambiguous-path");
    }
}
