//! The error of a request that was denied.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Method;
use ipnet::IpNet;

use crate::decision::{Denial, Reason, Request};
use crate::destination::{Host, InvalidDestination, Scheme};
use crate::policy::{AddressClass, CompiledRule, Policy, RuleId, path_pattern};

/// A request that the policy does not allow. Nothing of it was sent.
///
/// Its `Display` is one sentence for the developer: what was asked, why it is denied, and what the policy's owner
/// would have to add. It never lists what the policy allows, and repeats no query, header or body.
#[derive(Clone, PartialEq, Eq)]
pub struct Denied {
    reason: Reason,
    rule: Option<RuleId>,
    policy: Arc<str>,
    message: Box<str>,
}

impl Denied {
    /// Why the request was denied.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The deny rule that matched, or the allow rule that has expired.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleId> {
        self.rule.as_ref()
    }

    /// The name of the policy that denies it; of layers, the outermost that does.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    pub(crate) fn new(denial: &Denial<'_>, request: &Request<'_>) -> Self {
        let Denial { layer, reason, rule, .. } = denial;
        let message = format!(
            "egress denied by policy `{}`: {}: {}{} ({reason})",
            layer.name,
            Asked(request),
            explain(*reason, *rule, request),
            whom_to_ask(denial)
        );
        let rule = rule.map(|rule| rule.id.clone());
        Self { reason: *reason, rule, policy: Arc::clone(&layer.name), message: message.into() }
    }

    pub(crate) fn invalid(policy: &Policy, error: &InvalidDestination) -> Self {
        Self::unread(policy, Reason::from(error), error)
    }

    /// Denies what needs no destination to be denied.
    pub(crate) fn bare(policy: &Policy, reason: Reason) -> Self {
        Self::unread(policy, reason, &always(reason).unwrap_or(reason.as_str()))
    }

    /// Denies what could not be recorded.
    pub(crate) fn audit_failed(policy: &Policy, request: &Request<'_>, cause: &std::io::Error) -> Self {
        let reason = Reason::AuditFailed;
        let why = always(reason).unwrap_or(reason.as_str());
        Self::unread(policy, reason, &format!("{}: {why}: {cause}", Asked(request)))
    }

    fn unread(policy: &Policy, reason: Reason, explanation: &dyn fmt::Display) -> Self {
        let message = format!("egress denied by policy `{}`: {explanation} ({reason})", policy.name());
        Self { reason, rule: None, policy: Arc::clone(&policy.innermost().name), message: message.into() }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denied({self})")
    }
}

impl Error for Denied {}

/// Finds the denial that an error comes from, however deep in the chain of sources it stands.
///
/// ```no_run
/// # async fn handler(http: reqwest::Client) {
/// match http.get("https://not-listed.example/").send().await {
///     Ok(response) => println!("{}", response.status()),
///     Err(error) => match egress_guard::denied(&error) {
///         Some(denied) => println!("not allowed: {}", denied.reason()),
///         None => println!("failed: {error}"),
///     },
/// }
/// # }
/// ```
#[must_use]
pub fn denied<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Denied> {
    find(error)
}

/// Finds an error of a kind in the chain of sources.
pub(crate) fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `io::Error::source` skips the error that it was made from.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = within.map(|within| within as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// What a request asked for, as far as it was known.
pub(crate) struct Asked<'a>(pub(crate) &'a Request<'a>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl Asked<'_> {
    /// A sentence that ends in what was asked. `format!` would say the same, and every request has two of these.
    pub(crate) fn after(&self, words: [&str; 3]) -> String {
        let mut sentence = String::with_capacity(256);
        words.iter().for_each(|word| sentence.push_str(word));
        // A `String` takes everything.
        let _ = self.write_to(&mut sentence);
        sentence
    }

    fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let Request { host, scheme, port, method, path, peer, .. } = self.0;
        match (method, path, scheme) {
            (Some(method), ..) => {
                out.write_str(shortened(method.as_str(), 32))?;
                out.write_str(" ")?;
            }
            (None, Some(_), _) => out.write_str("redirect to ")?,
            (None, None, Some(_)) => out.write_str("connection to ")?,
            (None, None, None) => out.write_str("name ")?,
        }
        if let Some(scheme) = scheme {
            out.write_str(scheme.as_str())?;
            out.write_str("://")?;
        }
        match host {
            Host::Name(name) => out.write_str(name)?,
            Host::Ip(ip) if ip.is_ipv6() => write!(out, "[{ip}]")?,
            Host::Ip(ip) => write!(out, "{ip}")?,
        }
        if let Some(port) = port.filter(|port| scheme.map(Scheme::default_port) != Some(*port)) {
            out.write_str(":")?;
            out.write_str(itoa::Buffer::new().format(port))?;
        }
        out.write_str(shortened(path.unwrap_or_default(), SHOWN_PATH))?;
        match (host, peer) {
            (Host::Name(_), Some(peer)) => write!(out, " at {peer}"),
            _ => Ok(()),
        }
    }
}

/// How much of a path a sentence repeats, in bytes.
const SHOWN_PATH: usize = 256;

/// The beginning of a text, cut between characters.
pub(crate) fn shortened(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Who could change the answer, where a change of the policy would.
fn whom_to_ask(denial: &Denial<'_>) -> String {
    let is_up_to_the_policy = always(denial.reason).is_none() || denial.reason == Reason::AddressConflict;
    let owner = denial.rule.and_then(CompiledRule::owner).or(denial.layer.owner.as_deref());
    owner.filter(|_| is_up_to_the_policy).map(|owner| format!("; ask {owner}")).unwrap_or_default()
}

/// Why a request is denied, and what the policy's owner would have to write.
fn explain(reason: Reason, rule: Option<&CompiledRule>, request: &Request<'_>) -> String {
    let Request { host, scheme, port, method, path, .. } = request;
    match (reason, rule) {
        (Reason::DeniedByRule, Some(rule)) => {
            let why = rule.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
            return format!("deny rule `{}` forbids it{why}", rule.id);
        }
        (Reason::RuleExpired, Some(rule)) => {
            let until = rule.expires().map(|day| format!(" until {day}")).unwrap_or_default();
            return format!(
                "rule `{}` allowed it{until}; if it is still needed, have `expires` of the rule moved",
                rule.id
            );
        }
        _ => {}
    }
    match reason {
        Reason::HostNotAllowed => {
            format!(
                "no rule allows this host; to allow it, add [[allow]] id = \"...\", hosts = [\"{host}\"]{}",
                rest(request)
            )
        }
        Reason::IpLiteralNotAllowed | Reason::AddressNotAllowed if request.address().is_some_and(is_metadata) => {
            "the address is a cloud's metadata service, which hands out credentials and which a function has no use for"
                .into()
        }
        Reason::IpLiteralNotAllowed => {
            let network = request.address().map(|ip| IpNet::from(ip.to_canonical()).to_string()).unwrap_or_default();
            let keys = rest(request);
            format!(
                "no rule allows this IP address; use the name, or add [[allow]] id = \"...\", \
                 networks = [\"{network}\"]{keys}"
            )
        }
        Reason::SchemeNotAllowed if *scheme == Some(Scheme::Http) => {
            "no rule for this host allows plain http; use https, or have \"http\" added to the `schemes` of its rule"
                .into()
        }
        Reason::SchemeNotAllowed => {
            "no rule for this host allows https; have \"https\" added to the `schemes` of its rule".into()
        }
        Reason::PortNotAllowed => {
            let port = port.map(|port| port.to_string()).unwrap_or_default();
            format!(
                "no rule for this host allows the port; have {port} added to the `ports` of its rule, beside those in use"
            )
        }
        Reason::MethodNotAllowed => {
            let method = shortened(method.map(Method::as_str).unwrap_or_default(), 32);
            format!("no rule for this host allows the method; have \"{method}\" added to the `methods` of its rule")
        }
        Reason::PathNotAllowed => match path.filter(|path| path.len() <= SHOWN_PATH).map(path_pattern) {
            // Escaped: a path of stars from outside must not become a pattern for everything.
            Some(path) => {
                format!("no rule for this host allows the path; have \"{path}\" added to the `paths` of its rule")
            }
            None => {
                "no rule for this host allows the path; have a pattern for it added to the `paths` of its rule".into()
            }
        },
        Reason::AddressNotAllowed => {
            let class = request.address().map(AddressClass::of);
            let class = class.map(|class| format!("the address is {class}, and ")).unwrap_or_default();
            format!(
                "{class}the host's rule does not open it; if it is meant to be reached, have its network added to the \
                 rule's `addresses`"
            )
        }
        Reason::BoundaryNotAllowed => {
            "the host's rule is about the other side of the boundary, as its `boundary` states".into()
        }
        // The rest is explained by its rule, or the same for every request.
        other => always(other).unwrap_or(other.as_str()).into(),
    }
}

fn is_metadata(ip: IpAddr) -> bool {
    AddressClass::of(ip) == AddressClass::CloudMetadata
}

/// Why a request is denied where no rule of its own would change that.
fn always(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::AddressConflict => {
            "another rule for the same host and port opens other addresses, and they share connections; give both rules \
             the same `addresses`"
        }
        Reason::AmbiguousPath => {
            "the path has a `//`, `;`, `\\`, %2e, %2f or %5c, which servers read differently, and a rule depends on the \
             path; send it without"
        }
        Reason::AuditFailed => "the audit line could not be written, and what is not recorded is not sent",
        Reason::ConnectMethod => "CONNECT opens a tunnel in which nothing is checked",
        Reason::ContentLengthHeader => "Content-Length is doubled or not the body's length; remove the header",
        Reason::HostHeader => "the Host header is doubled or names another place than the URL; remove it",
        Reason::NoPeerAddress => "the connection has no IP address; a unix socket cannot be guarded",
        Reason::ProxyHeader => "it carries a header meant for a proxy; remove it",
        Reason::ProxiedConnection => "the connection leads to a proxy that the policy does not know",
        Reason::ProxyBypassed => "the policy states a `proxy`, and the connection does not lead to it",
        Reason::ResolverOverride => {
            "the connection was made without looking the name up, as by `ClientBuilder::resolve`; give the client a \
             resolver instead"
        }
        Reason::TransferEncodingHeader => "Transfer-Encoding is the HTTP client's to set; remove the header",
        Reason::UnsupportedVersion => "HTTP/3 connections are not guarded; use HTTP/2 or HTTP/1.1",
        Reason::UpgradeHeader => "after an Upgrade nothing would be checked; remove the header",
        _ => return None,
    })
}

/// The other keys that a new rule for this request needs.
fn rest(request: &Request<'_>) -> String {
    let mut keys = String::new();
    if request.scheme == Some(Scheme::Http) {
        keys.push_str(", schemes = [\"http\"]");
    }
    if let Some(port) = request.port.filter(|port| request.scheme.map(Scheme::default_port) != Some(*port)) {
        keys.push_str(&format!(", ports = [{port}]"));
    }
    if let Some(method) = request.method {
        keys.push_str(&format!(", methods = [\"{}\"]", shortened(method.as_str(), 32)));
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::decision::Answer;
    use crate::destination::Destination;

    #[test]
    fn a_denial_tells_what_would_have_to_be_added_and_loosens_nothing_else() {
        let policy = "version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ['a.example']\nmethods = ['GET']\n\
                      paths = ['/v1/**']\n[[deny]]\nid = 'd'\nhosts = ['d.example']\nreason = 'retired'\nowner = 'ops'\n";
        let policy = Policy::from_toml(policy).unwrap();
        let cases = [
            ("GET", "https://b.example/x", "add [[allow]] id = \"...\", hosts = [\"b.example\"], methods = [\"GET\"]"),
            ("GET", "http://b.example:81/", "hosts = [\"b.example\"], schemes = [\"http\"], ports = [81], methods"),
            ("GET", "https://203.0.114.7/", "networks = [\"203.0.114.7/32\"]"),
            ("GET", "https://[::ffff:203.0.114.7]/", "networks = [\"203.0.114.7/32\"]"),
            ("GET", "https://[2001:4860::1]/", "networks = [\"2001:4860::1/128\"]"),
            ("GET", "http://169.254.169.254/", "a cloud's metadata service, which hands out credentials"),
            ("GET", "http://a.example/v1/", "use https, or have \"http\" added to the `schemes`"),
            ("GET", "https://a.example:8443/v1/", "have 8443 added to the `ports` of its rule, beside those in use"),
            ("PUT", "https://a.example/v1/", "have \"PUT\" added to the `methods`"),
            ("GET", "https://a.example/v2", "have \"/v2\" added to the `paths`"),
            ("GET", "https://a.example/**", "have \"/[*][*]\" added to the `paths`"),
            ("GET", "https://d.example/", "deny rule `d` forbids it (retired); ask ops"),
        ];
        for (method, url, expected) in cases {
            let (method, destination): (Method, Destination) = (method.parse().unwrap(), url.parse().unwrap());
            let request = Request::new(&method, &destination);
            let Answer::Deny(denial) = policy.answer(&request, SystemTime::UNIX_EPOCH) else {
                panic!("{url} is allowed")
            };
            let message = Denied::new(&denial, &request).to_string();
            assert!(message.contains(expected), "{url}: {message}");
            assert!(!message.contains("/v1/**"), "what is allowed is not told: {message}");
        }
    }
}
