//! The decision: a pure function of a policy and a request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Method;

use crate::destination::{Destination, Fault, Host, InvalidDestination, Scheme};
use crate::policy::{Addresses, CompiledRule, Effect, Policy, RuleId, Subject, is_ambiguous};

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
        Self { host, scheme: None, port: None, method: None, path: None, peer: None }
    }

    /// The same, with the address that the name resolved to.
    #[must_use]
    pub fn peer(self, peer: IpAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }
}

/// The answer of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a third answer must break the code of everyone who enforces one")]
pub enum Decision {
    /// The request may be sent.
    Allow {
        /// The rule that allows it.
        rule: RuleId,
    },
    /// The request must not be sent.
    Deny {
        /// Why.
        reason: Reason,
        /// The deny rule that matched, where it was one.
        rule: Option<RuleId>,
    },
}

/// Why a request is denied. The kebab-case code stands in audit lines and is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// `address-conflict`: another rule for the same host and port opens other addresses, and the connections are
    /// shared.
    AddressConflict,
    /// `address-not-allowed`: the address that was resolved or connected to is not opened by the rule.
    AddressNotAllowed,
    /// `ambiguous-path`: a path rule could decide, and servers differ in how they read this path.
    AmbiguousPath,
    /// `audit-failed`: the decision could not be recorded, and what cannot be recorded is not sent.
    AuditFailed,
    /// `connect-method`: the method CONNECT, which would open a tunnel.
    ConnectMethod,
    /// `content-length-header`: a `Content-Length` that is doubled or not the body's.
    ContentLengthHeader,
    /// `denied-by-rule`: a deny rule matches.
    DeniedByRule,
    /// `host-header`: a `Host` header that is doubled or names another place than the URL.
    HostHeader,
    /// `host-not-allowed`: no allow rule lists the host.
    HostNotAllowed,
    /// `invalid-destination`: the URL names no place that HTTP can go to.
    InvalidDestination,
    /// `ip-literal-not-allowed`: no allow rule lists a network with this address.
    IpLiteralNotAllowed,
    /// `method-not-allowed`: the host is listed, but for other methods.
    MethodNotAllowed,
    /// `no-peer-address`: the connection has no IP address, as a unix socket has none.
    NoPeerAddress,
    /// `not-normalized`: the URI would be sent in another spelling than was checked.
    NotNormalized,
    /// `path-not-allowed`: the host is listed, but for other paths.
    PathNotAllowed,
    /// `port-not-allowed`: the host is listed, but for other ports.
    PortNotAllowed,
    /// `proxy-header`: a header that speaks to a proxy.
    ProxyHeader,
    /// `proxied-connection`: the connection leads to a proxy.
    ProxiedConnection,
    /// `resolver-override`: a connection for a name that was made without looking the name up.
    ResolverOverride,
    /// `scheme-not-allowed`: the host is listed, but for the other scheme.
    SchemeNotAllowed,
    /// `transfer-encoding-header`: a `Transfer-Encoding` set by the application, which can smuggle a second request.
    TransferEncodingHeader,
    /// `unsupported-version`: HTTP/3, whose connections are not guarded.
    UnsupportedVersion,
    /// `upgrade-header`: an `Upgrade`, after which nothing would be checked.
    UpgradeHeader,
    /// `user-info`: a user name or password in the URL.
    UserInfo,
}

impl Reason {
    /// The code in audit lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressConflict => "address-conflict",
            Self::AddressNotAllowed => "address-not-allowed",
            Self::AmbiguousPath => "ambiguous-path",
            Self::AuditFailed => "audit-failed",
            Self::ConnectMethod => "connect-method",
            Self::ContentLengthHeader => "content-length-header",
            Self::DeniedByRule => "denied-by-rule",
            Self::HostHeader => "host-header",
            Self::HostNotAllowed => "host-not-allowed",
            Self::InvalidDestination => "invalid-destination",
            Self::IpLiteralNotAllowed => "ip-literal-not-allowed",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NoPeerAddress => "no-peer-address",
            Self::NotNormalized => "not-normalized",
            Self::PathNotAllowed => "path-not-allowed",
            Self::PortNotAllowed => "port-not-allowed",
            Self::ProxyHeader => "proxy-header",
            Self::ProxiedConnection => "proxied-connection",
            Self::ResolverOverride => "resolver-override",
            Self::SchemeNotAllowed => "scheme-not-allowed",
            Self::TransferEncodingHeader => "transfer-encoding-header",
            Self::UnsupportedVersion => "unsupported-version",
            Self::UpgradeHeader => "upgrade-header",
            Self::UserInfo => "user-info",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&InvalidDestination> for Reason {
    fn from(error: &InvalidDestination) -> Self {
        match error.fault() {
            Fault::UserInfo => Self::UserInfo,
            Fault::NotNormal { .. } => Self::NotNormalized,
            Fault::Url(_) | Fault::Scheme(_) | Fault::NoHost | Fault::Name(_) | Fault::PortZero => {
                Self::InvalidDestination
            }
        }
    }
}

impl Policy {
    /// Decides a request. Pure: the same policy and request always give the same answer, without I/O or a clock.
    ///
    /// A deny rule that matches beats every allow rule. Otherwise the first allow rule that matches decides, and it is
    /// named. If there is none, the reason says how far the closest rule went.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        if request.method == Some(&Method::CONNECT) {
            return Decision::Deny { reason: Reason::ConnectMethod, rule: None };
        }
        let mut found = Found::default();
        self.visit_candidates(request.host, request.peer, |number, rule, subject| match rule.effect {
            Effect::Deny => found.deny(number, rule, deny_matches(rule, request, subject)),
            Effect::Allow if subject == Subject::Address => {}
            Effect::Allow => found.allow(number, rule, allow_fails(rule, request, subject)),
        });
        if let Some((_, rule)) = found.denied {
            return Decision::Deny { reason: Reason::DeniedByRule, rule: Some(rule.id.clone()) };
        }
        let reason = match found.allowed {
            Some(_) if found.ambiguous_deny => Reason::AmbiguousPath,
            Some((_, rule)) if self.has_address_conflict(request, &rule.addresses) => Reason::AddressConflict,
            Some((_, rule)) => return Decision::Allow { rule: rule.id.clone() },
            None => match (found.closest, request.host) {
                (Some(reason), _) => reason,
                (None, Host::Name(_)) => Reason::HostNotAllowed,
                (None, Host::Ip(_)) => Reason::IpLiteralNotAllowed,
            },
        };
        Decision::Deny { reason, rule: None }
    }

    /// Whether a connection that another rule opened could carry this request to an address its own rule does not
    /// open. Clients keep connections by scheme, host and port, so all rules for these share them: a rule that does
    /// not match this request, and opens other addresses, must not lend it one.
    fn has_address_conflict(&self, request: &Request<'_>, addresses: &Arc<Addresses>) -> bool {
        let whole_request_to_a_name = request.method.is_some() && matches!(request.host, Host::Name(_));
        if !whole_request_to_a_name {
            return false;
        }
        let connection = Request { method: None, path: None, ..*request };
        let mut conflict = false;
        self.visit_candidates(request.host, request.peer, |_, rule, subject| {
            conflict |= rule.effect == Effect::Allow
                && subject == Subject::Host
                && !Arc::ptr_eq(&rule.addresses, addresses)
                && allow_fails(rule, &connection, subject).is_none()
                && allow_fails(rule, request, subject).is_some();
        });
        conflict
    }
}

/// What a walk over the candidate rules has found.
#[derive(Default)]
struct Found<'p> {
    denied: Option<(usize, &'p CompiledRule)>,
    /// A deny rule matches but for its paths, and the path is ambiguous.
    ambiguous_deny: bool,
    allowed: Option<(usize, &'p CompiledRule)>,
    /// How the allow rule that came closest failed.
    closest: Option<Reason>,
}

impl<'p> Found<'p> {
    fn deny(&mut self, number: usize, rule: &'p CompiledRule, matches: Match) {
        match matches {
            Match::Yes if self.denied.is_none_or(|(first, _)| number < first) => self.denied = Some((number, rule)),
            Match::Ambiguous => self.ambiguous_deny = true,
            Match::Yes | Match::No => {}
        }
    }

    fn allow(&mut self, number: usize, rule: &'p CompiledRule, fails: Option<Reason>) {
        match fails {
            None if self.allowed.is_none_or(|(first, _)| number < first) => self.allowed = Some((number, rule)),
            None => {}
            Some(reason) => self.closest = closer(self.closest, reason),
        }
    }
}

#[derive(Clone, Copy)]
enum Match {
    Yes,
    No,
    Ambiguous,
}

/// Whether a deny rule matches. What is not known does not match, with one exception: a connection to a denied
/// network is denied whatever the rule says about methods and paths, because nothing is checked against the network
/// again once the connection stands.
fn deny_matches(rule: &CompiledRule, request: &Request<'_>, subject: Subject) -> Match {
    let by_network = subject != Subject::Host;
    let port_and_scheme = rule
        .schemes
        .as_ref()
        .is_none_or(|_| request.scheme.is_some_and(|scheme| rule.matches_scheme(scheme)))
        && rule.ports.as_ref().is_none_or(|_| request.port.is_some_and(|port| rule.matches_port(port, request.scheme)));
    let method = match request.method {
        Some(method) => rule.matches_method(method),
        None => rule.methods.is_none() || by_network,
    };
    if !(port_and_scheme && method) {
        return Match::No;
    }
    match (&rule.paths, request.path) {
        (None, _) => Match::Yes,
        (Some(_), Some(path)) if is_ambiguous(path) => Match::Ambiguous,
        (Some(paths), Some(path)) if paths.matches(path) => Match::Yes,
        (Some(_), None) if by_network => Match::Yes,
        (Some(_), _) => Match::No,
    }
}

/// How an allow rule fails to match, if it does. What is not known matches.
fn allow_fails(rule: &CompiledRule, request: &Request<'_>, subject: Subject) -> Option<Reason> {
    if request.scheme.is_some_and(|scheme| !rule.matches_scheme(scheme)) {
        return Some(Reason::SchemeNotAllowed);
    }
    if request.port.is_some_and(|port| !rule.matches_port(port, request.scheme)) {
        return Some(Reason::PortNotAllowed);
    }
    if request.method.is_some_and(|method| !rule.matches_method(method)) {
        return Some(Reason::MethodNotAllowed);
    }
    if let (Some(paths), Some(path)) = (&rule.paths, request.path) {
        if is_ambiguous(path) {
            return Some(Reason::AmbiguousPath);
        }
        if !paths.matches(path) {
            return Some(Reason::PathNotAllowed);
        }
    }
    // A rule's networks have already opened a literal; its hosts open what `addresses` says.
    let address = match request.host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(_) => request.peer,
    };
    match (subject, address) {
        (Subject::Host, Some(ip)) if !rule.addresses.open(ip) => Some(Reason::AddressNotAllowed),
        _ => None,
    }
}

/// The reasons of [`allow_fails`], in the order in which it tests.
const PROGRESS: &[Reason] = &[
    Reason::SchemeNotAllowed,
    Reason::PortNotAllowed,
    Reason::MethodNotAllowed,
    Reason::PathNotAllowed,
    Reason::AmbiguousPath,
    Reason::AddressNotAllowed,
];

/// Of two ways to fail, the one that went further.
fn closer(known: Option<Reason>, other: Reason) -> Option<Reason> {
    let progress = |reason: Reason| PROGRESS.iter().position(|step| *step == reason);
    known.filter(|known| progress(*known) >= progress(other)).or(Some(other))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn said(decision: Decision) -> String {
        match decision {
            Decision::Allow { rule } => format!("allow {rule}"),
            Decision::Deny { rule: Some(rule), .. } => format!("deny by {rule}"),
            Decision::Deny { reason, rule: None } => format!("deny {reason}"),
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
            assert_eq!(said(policy.decide(&Request::new(&method, &destination))), expected, "{name}: {url}");
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
            assert_eq!(said(policy.decide(&at_name)), expected, "{name} at {ip}");
            let at_connection = Request::connection(Scheme::Https, &host, 443).peer(ip);
            assert_eq!(said(policy.decide(&at_connection)), expected, "connection to {name} at {ip}");
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
            assert_eq!(said(policy.decide(&request)), expected, "{name}");
        }
    }

    #[test]
    fn an_empty_policy_denies_everything() {
        let policy = Policy::builder("empty").build().unwrap();
        for url in ["https://example.com/", "http://127.0.0.1/", "https://[::1]/"] {
            let destination = url.parse().unwrap();
            assert!(matches!(policy.decide(&Request::new(&Method::GET, &destination)), Decision::Deny { .. }), "{url}");
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
            assert_eq!(said(policy.decide(&Request::new(&Method::GET, &destination))), expected, "{url}");
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
        assert_eq!(said(policy.decide(&Request::new(&Method::GET, &admin))), "deny address-conflict");

        let wildcard = Rule::new("wildcard").hosts([".partner.example"]).addresses(["private"]);
        let policy = Policy::builder("p").allow(open).allow(wildcard).build().unwrap();
        assert_eq!(said(policy.decide(&Request::new(&Method::GET, &admin))), "allow open");
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
            assert_eq!(said(policy.decide(&Request::new(&Method::GET, &destination))), expected, "{url}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_denied_only_where_a_path_rule_could_decide() {
        use crate::Rule;
        let url = "https://api.example.com/a//b".parse().unwrap();
        let any_path = Rule::new("any").hosts(["api.example.com"]);
        let with_deny = Rule::new("no-admin").hosts(["*.example.com"]).paths(["/admin/**"]);
        let policy = Policy::builder("p").allow(any_path.clone()).build().unwrap();
        assert_eq!(said(policy.decide(&Request::new(&Method::GET, &url))), "allow any");
        let policy = Policy::builder("p").allow(any_path).deny(with_deny).build().unwrap();
        assert_eq!(said(policy.decide(&Request::new(&Method::GET, &url))), "deny ambiguous-path");
    }
}
