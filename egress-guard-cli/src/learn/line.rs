//! What a line says of a request or a connection, and whether that may be learnt.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::SystemTime;

use egress_guard::{AddressClass, Decision, Destination, Host, Policy, Reason, Request, Rule};
use http::Method;

use crate::logs::AuditLine;

/// What is asked of a policy about a line.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) destination: Destination,
    /// None of a redirect that an ordinary client follows.
    pub(super) method: Option<Method>,
    /// Of a path that is longer than the line shows, only the beginning is known.
    pub(super) is_cut: bool,
}

/// A line that is about something that was sent.
#[derive(Debug)]
pub(super) enum Event {
    Request(Asked),
    /// A connection, as far as it leads to the host itself and not to a proxy.
    Connection {
        destination: Destination,
        peer: Option<IpAddr>,
    },
    /// The end of a request.
    Outcome {
        asked: Asked,
        peer: Option<IpAddr>,
        is_answered: bool,
    },
}

/// Why something that was sent is not learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    /// A deny rule, or the end of a rule, is somebody's word on it.
    Denied(Decided),
    Metadata,
    Special(Class),
    AmbiguousPath,
    NoPattern,
    /// A path of which not even the first segment is known.
    CutFirst,
    NotOfTheGuard,
    BehindText,
    TooMany,
    /// The connections of a host of which no request is learnt.
    Connections,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decided {
    ByRule,
    ByExpiry,
}

/// The name of a class, which can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class(&'static str);

impl Refused {
    /// Why, and what to do about it.
    pub(super) fn why(self) -> String {
        match self {
            Self::Denied(Decided::ByRule) => "a deny rule matches; ask its owner".to_owned(),
            Self::Denied(Decided::ByExpiry) => {
                "its rule has expired; move the rule's `expires` if it is still needed".to_owned()
            }
            Self::Metadata => {
                "a cloud's metadata service, which hands out credentials; a function has no use for it".to_owned()
            }
            Self::Special(Class(class)) => format!("its address is {class}; if that is meant, write the rule yourself"),
            Self::AmbiguousPath => {
                "servers read its path in two ways, and a rule with `paths` denies it; send it without \
                                    `//`, `;`, `\\`, %2e, %2f and %5c, or write a rule without `paths`"
                    .to_owned()
            }
            Self::NoPattern => {
                "no rule can state its method or path; methods are in upper case, and CONNECT is none".to_owned()
            }
            Self::CutFirst => {
                "the line shows only the beginning of its path's first segment, which may say whose it is; write the rule yourself"
                    .to_owned()
            }
            Self::NotOfTheGuard => "no guard writes such a line; somebody else did, or changed it".to_owned(),
            Self::BehindText => {
                "other text stands before it in its event, so that whoever had the application print that may have written it"
                    .to_owned()
            }
            Self::Connections => {
                "no request to it is learnt, and a rule for its connections alone would allow every method and path"
                    .to_owned()
            }
            Self::TooMany => {
                "more different requests than are kept; learn from fewer lines, as with --function".to_owned()
            }
        }
    }
}

impl Event {
    /// What a line says that was allowed, if it is about what was sent.
    pub(super) fn of(line: &AuditLine<'_>) -> Result<Option<Self>, Refused> {
        let stage = line.stage.as_deref();
        let is_outcome = line.event_type == "egress_outcome";
        let is_request = match stage {
            Some("request" | "redirect") => true,
            Some("connection") if !is_outcome => false,
            _ => return Ok(None),
        };
        let destination = destination(line, is_request).ok_or(Refused::NotOfTheGuard)?;
        let peer = line.peer_ip.filter(|_| line.peer_is_proxy != Some(true));
        if let Some(peer) = peer {
            is_ordinary(peer)?;
        }
        if is_outcome {
            let is_answered = line.status.is_some();
            return Ok(Some(Self::Outcome { asked: asked(line, destination)?, peer, is_answered }));
        }
        if let Some(decided) = decided(line) {
            return Err(Refused::Denied(decided));
        }
        if is_metadata(&destination) {
            return Err(Refused::Metadata);
        }
        if let Host::Ip(ip) = destination.host() {
            is_ordinary(*ip)?;
        }
        if !is_request {
            return Ok(Some(Self::Connection { destination, peer }));
        }
        let asked = asked(line, destination)?;
        asked.can_be_stated()?;
        Ok(Some(Self::Request(asked)))
    }
}

fn decided(line: &AuditLine<'_>) -> Option<Decided> {
    match line.reason.as_deref() {
        Some("denied-by-rule") => Some(Decided::ByRule),
        Some("rule-expired") => Some(Decided::ByExpiry),
        _ => None,
    }
}

fn asked(line: &AuditLine<'_>, destination: Destination) -> Result<Asked, Refused> {
    let method = match (line.method.as_deref(), line.stage.as_deref()) {
        (Some(method), _) => Some(Method::from_bytes(method.as_bytes()).map_err(|_| Refused::NotOfTheGuard)?),
        (None, Some("redirect")) => None,
        (None, _) => return Err(Refused::NotOfTheGuard),
    };
    Ok(Asked { destination, method, is_cut: line.path_truncated == Some(true) })
}

/// As long as a guard writes them at most.
const LONGEST_PATH: usize = 768;
const LONGEST_METHOD: usize = 32;

/// Where it went, if the line has it as a guard writes it.
pub(super) fn destination(line: &AuditLine<'_>, has_path: bool) -> Option<Destination> {
    let (scheme, host, port) = (line.scheme.as_deref()?, line.host.as_deref()?, line.port?);
    let path = if has_path { line.path.as_deref()? } else { "/" };
    if path.len() > LONGEST_PATH || line.method.as_deref().is_some_and(|method| method.len() > LONGEST_METHOD) {
        return None;
    }
    let destination = url(scheme, host, port, path)?;
    let is_same = destination.scheme().as_str() == scheme
        && destination.host().to_string() == host
        && destination.port() == port
        && destination.path() == path;
    is_same.then_some(destination)
}

/// Where a line that tells of a request went, without its path, as far as it can be read.
pub(super) fn requested(line: &AuditLine<'_>) -> Option<Destination> {
    let is_request = matches!(line.stage.as_deref(), Some("request" | "redirect"));
    if !is_request && line.event_type != "egress_outcome" {
        return None;
    }
    url(line.scheme.as_deref()?, line.host.as_deref()?, line.port?, "/")
}

/// The destination at a host as audit lines write it.
pub(super) fn url(scheme: &str, host: &str, port: u16, path: &str) -> Option<Destination> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("{scheme}://{host}:{port}{path}").parse().ok()
}

impl Asked {
    pub(super) fn request(&self) -> Request<'_> {
        match &self.method {
            Some(method) => Request::new(method, &self.destination),
            None => Request::to(&self.destination),
        }
    }

    /// Whether a rule can say this request and no other. Where the method is unusual, or the path has odd characters, the
    /// library is asked.
    fn can_be_stated(&self) -> Result<(), Refused> {
        let path = self.destination.path();
        if self.is_cut && path.rfind('/') == Some(0) {
            return Err(Refused::CutFirst);
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/:@=,+".contains(&byte);
        let is_plain = path.bytes().all(is_plain) && !path.contains("//");
        let method = self.method.as_ref().filter(|method| !is_usual(method));
        if is_plain && method.is_none() {
            return Ok(());
        }
        if is_ambiguous(path) {
            return Err(Refused::AmbiguousPath);
        }
        let probe = Rule::new("probe").hosts(["probe.test"]);
        let probe = method.into_iter().fold(probe, |probe, method| probe.methods([method.as_str()]));
        let probe = probe.paths([super::paths::literal(path)]);
        Policy::builder("probe").allow(probe).build().map(drop).map_err(|_| Refused::NoPattern)
    }
}

fn is_usual(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PATCH]
        .contains(method)
}

/// Whether the library denies a path as ambiguous where rules state paths.
fn is_ambiguous(path: &str) -> bool {
    static PROBE: LazyLock<Option<Policy>> = LazyLock::new(|| {
        let rule = Rule::new("probe").hosts(["probe.test"]).paths(["/**"]);
        Policy::builder("probe").allow(rule).build().ok()
    });
    let (Some(policy), Some(destination)) = (&*PROBE, url("https", "probe.test", 443, path)) else { return true };
    let decision = policy.decide(&Request::to(&destination), SystemTime::UNIX_EPOCH);
    matches!(decision, Decision::Deny { reason: Reason::AmbiguousPath, .. })
}

/// Whether an address is one that a policy may be taught: metadata services never are, nor what is no host's.
fn is_ordinary(ip: IpAddr) -> Result<(), Refused> {
    use AddressClass::{CloudMetadata, Loopback, PrivateUse, Public, SharedAddressSpace};
    match AddressClass::of(ip) {
        Public | PrivateUse | Loopback | SharedAddressSpace => Ok(()),
        CloudMetadata => Err(Refused::Metadata),
        class => Err(Refused::Special(Class(class.as_str()))),
    }
}

/// Whether it is a metadata service by its name; by their addresses [`is_ordinary`] knows them.
fn is_metadata(destination: &Destination) -> bool {
    const NAMES: &[&str] = &[
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    ];
    matches!(destination.host(), Host::Name(name) if NAMES.contains(&name.as_str()))
}
