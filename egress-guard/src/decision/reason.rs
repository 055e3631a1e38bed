//! Why a request is denied.

use std::fmt;

use crate::destination::{Fault, InvalidDestination};

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
    /// `boundary-not-allowed`: the rule is about the other side of the boundary.
    BoundaryNotAllowed,
    /// `byte-limit`: the invocation would send more than it may, or the length is not known beforehand.
    ByteLimit,
    /// `connect-method`: the method CONNECT, which would open a tunnel.
    ConnectMethod,
    /// `content-length-header`: a `Content-Length` that is doubled or not the body's.
    ContentLengthHeader,
    /// `deadline-near`: the invocation ends too soon for a request to be begun.
    DeadlineNear,
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
    /// `proxied-connection`: the connection leads to a proxy that the policy does not state.
    ProxiedConnection,
    /// `proxy-bypassed`: the policy states a proxy, and the connection does not lead to it.
    ProxyBypassed,
    /// `quarantined`: an earlier denial has put the guard into quarantine, in which nothing is allowed.
    Quarantined,
    /// `request-limit`: the invocation has made as many requests as it may.
    RequestLimit,
    /// `resolver-override`: a connection for a name that was made without looking the name up.
    ResolverOverride,
    /// `rule-expired`: a rule allowed it, until the day that its `expires` states.
    RuleExpired,
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
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::AddressConflict,
        Self::AddressNotAllowed,
        Self::AmbiguousPath,
        Self::AuditFailed,
        Self::BoundaryNotAllowed,
        Self::ByteLimit,
        Self::ConnectMethod,
        Self::ContentLengthHeader,
        Self::DeadlineNear,
        Self::DeniedByRule,
        Self::HostHeader,
        Self::HostNotAllowed,
        Self::InvalidDestination,
        Self::IpLiteralNotAllowed,
        Self::MethodNotAllowed,
        Self::NoPeerAddress,
        Self::NotNormalized,
        Self::PathNotAllowed,
        Self::PortNotAllowed,
        Self::ProxyHeader,
        Self::ProxiedConnection,
        Self::ProxyBypassed,
        Self::Quarantined,
        Self::RequestLimit,
        Self::ResolverOverride,
        Self::RuleExpired,
        Self::SchemeNotAllowed,
        Self::TransferEncodingHeader,
        Self::UnsupportedVersion,
        Self::UpgradeHeader,
        Self::UserInfo,
    ];

    /// The code in audit lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressConflict => "address-conflict",
            Self::AddressNotAllowed => "address-not-allowed",
            Self::AmbiguousPath => "ambiguous-path",
            Self::AuditFailed => "audit-failed",
            Self::BoundaryNotAllowed => "boundary-not-allowed",
            Self::ByteLimit => "byte-limit",
            Self::ConnectMethod => "connect-method",
            Self::ContentLengthHeader => "content-length-header",
            Self::DeadlineNear => "deadline-near",
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
            Self::ProxyBypassed => "proxy-bypassed",
            Self::Quarantined => "quarantined",
            Self::RequestLimit => "request-limit",
            Self::ResolverOverride => "resolver-override",
            Self::RuleExpired => "rule-expired",
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
