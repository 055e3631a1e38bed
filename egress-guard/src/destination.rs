//! Where a request wants to go, in one normal form.
//!
//! This is the only place in the crate that reads a URL. Everything behind it compares scheme, host, port and path
//! that are already lower case, IDNA-encoded, free of user information, and spelled exactly as they will be dialled.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;
use url::Url;

/// The scheme, host, port and path of a request, in normal form.
///
/// Names are lower case and ASCII (IDNA, UTS #46), without the trailing dot; addresses are parsed; the port is always
/// present; the path is as it will be sent. Query and fragment are not kept: no rule reads them and no audit line
/// repeats them.
///
/// ```
/// use egress_guard::Destination;
///
/// let destination: Destination = "https://API.Example.com./v1/orders?key=secret".parse()?;
/// assert_eq!(destination.to_string(), "https://api.example.com/v1/orders");
/// assert_eq!(destination.port(), 443);
///
/// assert!("https://user:password@api.example.com/".parse::<Destination>().is_err());
/// # Ok::<(), egress_guard::InvalidDestination>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: Box<str>,
}

impl Destination {
    /// Reads a parsed URL.
    ///
    /// # Errors
    ///
    /// When the scheme is neither `http` nor `https`, the URL carries user information, the host is missing or no
    /// valid name, or the port is 0.
    pub fn from_url(url: &Url) -> Result<Self, InvalidDestination> {
        let scheme = Scheme::from_str(url.scheme())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidDestination::new(Fault::UserInfo));
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => Host::from_normal_name(name)?,
            Some(url::Host::Ipv4(ip)) => Host::Ip(ip.into()),
            Some(url::Host::Ipv6(ip)) => Host::Ip(ip.into()),
            None => return Err(InvalidDestination::new(Fault::NoHost)),
        };
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(InvalidDestination::new(Fault::PortZero));
        }
        Ok(Self { scheme, host, port, path: url.path().into() })
    }

    /// Reads an [`http::Uri`], as hyper clients take it.
    ///
    /// # Errors
    ///
    /// As [`from_url`](Self::from_url), and also when the URI is not spelled in normal form. hyper dials and sends a
    /// `Uri` as it is written, so `http://127.1/` and `/a/../b` would reach another place than the one checked.
    pub fn from_uri(uri: &Uri) -> Result<Self, InvalidDestination> {
        let Some(authority) = uri.authority() else { return Err(InvalidDestination::new(Fault::NoHost)) };
        Self::from_plain_uri(uri, authority).map_or_else(|| Self::from_any_uri(uri, authority), Ok)
    }

    fn from_any_uri(uri: &Uri, authority: &Authority) -> Result<Self, InvalidDestination> {
        if authority.as_str().contains('@') {
            return Err(InvalidDestination::new(Fault::UserInfo));
        }
        let read: Self = uri.to_string().parse()?;
        let raw_host = authority.host();
        let same_host = match &read.host {
            Host::Name(name) => raw_host.strip_suffix('.').unwrap_or(raw_host).eq_ignore_ascii_case(name.as_str()),
            Host::Ip(IpAddr::V4(ip)) => raw_host == ip.to_string(),
            Host::Ip(IpAddr::V6(ip)) => {
                let bare = raw_host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                bare.and_then(|host| host.parse::<Ipv6Addr>().ok()) == Some(*ip)
            }
        };
        let same_port = uri.port_u16().unwrap_or(read.scheme.default_port()) == read.port;
        // `HTTPS` is https to a URL parser, and plain http to a connector that compares.
        let same_scheme = uri.scheme_str() == Some(read.scheme.as_str());
        if same_scheme && same_host && same_port && uri.path() == &*read.path {
            Ok(read)
        } else {
            Err(InvalidDestination::new(Fault::NotNormal { normal: excerpt(&read.to_string(), 256) }))
        }
    }

    /// Reads a URI that the URL parser could only repeat, as most are, without asking it.
    fn from_plain_uri(uri: &Uri, authority: &Authority) -> Option<Self> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return None,
        };
        let (name, port) = match authority.as_str().split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port.parse().ok()?),
            Some(_) => return None,
            None => (authority.as_str(), scheme.default_port()),
        };
        let is_plain = port != 0 && is_plain_name(name) && is_plain_path(uri.path());
        is_plain.then(|| Self { scheme, host: Host::Name(HostName(name.into())), port, path: uri.path().into() })
    }

    /// The scheme, `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, or an IP address written in the URL.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own where the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, as it is sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether a `Host` header is this destination's host and port, spelled so that every server reads the same.
    pub(crate) fn is_named_by_host_header(&self, value: &str) -> bool {
        let port = format!(":{}", self.port);
        let host = match value.strip_suffix(&port) {
            Some(host) => host,
            None if self.port == self.scheme.default_port() => value,
            None => return false,
        };
        let expected = UrlHost(&self.host).to_string();
        host.eq_ignore_ascii_case(&expected)
            || matches!((&self.host, host.strip_suffix('.')), (Host::Name(_), Some(host)) if host.eq_ignore_ascii_case(&expected))
    }
}

/// The URL without its query, for a person or an audit line.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, UrlHost(&self.host))?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        let url = Url::parse(text).map_err(|error| InvalidDestination::new(Fault::Url(error)))?;
        Self::from_url(&url)
    }
}

/// The scheme of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "the two schemes of HTTP; a third would be another protocol")]
pub enum Scheme {
    /// Plain HTTP, port 80 by default.
    Http,
    /// HTTP over TLS, port 443 by default.
    Https,
}

impl Scheme {
    /// The port that the scheme implies (RFC 9110, section 4.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme as it is written in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        match text {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            other => Err(InvalidDestination::new(Fault::Scheme(other.into()))),
        }
    }
}

/// The host of a destination: a name, or an IP address written as such.
///
/// ```
/// use egress_guard::Host;
///
/// let host: Host = "API.Example.com.".parse()?;
/// assert_eq!(host.to_string(), "api.example.com");
/// assert!(matches!("0x7f.1".parse()?, Host::Ip(ip) if ip.is_loopback()));
/// # Ok::<(), egress_guard::InvalidDestination>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "RFC 3986 knows no third kind that can be dialled")]
pub enum Host {
    /// A name.
    Name(HostName),
    /// An IP address.
    Ip(IpAddr),
}

/// A host name in normal form: lower case, IDNA-encoded, without the trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a resolver should be asked for it: absolute, so that no search list completes it to another. A
    /// single label is only listed where a search list, or the hosts file, is meant to.
    #[cfg(any(feature = "hyper-util", feature = "reqwest"))]
    pub(crate) fn absolute(&self) -> String {
        let dot = if self.0.contains('.') { "." } else { "" };
        format!("{}{dot}", self.0)
    }
}

impl std::ops::Deref for HostName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Host {
    /// A name that the URL parser, or the policy reader, has already lowered and IDNA-encoded.
    pub(crate) fn from_normal_name(name: &str) -> Result<Self, InvalidDestination> {
        let name = name.strip_suffix('.').unwrap_or(name);
        // The URL standard lets more through than DNS carries: empty labels, `*`, quotes. None of it can be a host.
        if has_valid_labels(name) {
            Ok(Self::Name(HostName(name.into())))
        } else {
            Err(InvalidDestination::new(Fault::Name(name.into())))
        }
    }
}

/// Whether every label is 1 to 63 of what DNS carries in a host's name, in lower case.
fn has_valid_labels(name: &str) -> bool {
    let mut length = 0;
    let valid = name.bytes().all(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {
            length += 1;
            length <= 63
        }
        b'.' => std::mem::take(&mut length) > 0,
        _ => false,
    });
    valid && length > 0 && name.len() <= 253
}

/// Whether a name is in normal form for certain: no label is one of IDNA, and the last begins with a letter, so that it is
/// no IPv4 address in some spelling.
fn is_plain_name(name: &str) -> bool {
    let begins_last_label = name.bytes().rev().take_while(|byte| *byte != b'.').last();
    has_valid_labels(name)
        && !name.as_bytes().windows(2).any(|pair| pair == b"--")
        && begins_last_label.is_some_and(|byte| byte.is_ascii_lowercase())
}

/// Whether a path is in normal form for certain: nothing is encoded or would be, and no segment is empty or begins with
/// a dot.
fn is_plain_path(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let after_slash = std::mem::replace(&mut before, byte) == b'/';
            match byte {
                b'.' | b'/' => !after_slash,
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
                _ => matches!(
                    byte,
                    b'-' | b'_' | b'~' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',' | b':' | b'=' | b'@'
                ),
            }
        })
}

/// Reads a host as it stands in a URL, IPv6 in brackets.
impl FromStr for Host {
    type Err = InvalidDestination;

    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Self::from_normal_name(&name),
            Ok(url::Host::Ipv4(ip)) => Ok(Self::Ip(ip.into())),
            Ok(url::Host::Ipv6(ip)) => Ok(Self::Ip(ip.into())),
            Err(error) => Err(InvalidDestination::new(Fault::Url(error))),
        }
    }
}

/// The name, or the address without brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// As it is displayed.
impl serde::Serialize for Host {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Ip(ip) => serializer.collect_str(ip),
        }
    }
}

/// A host as it stands in a URL: IPv6 in brackets.
struct UrlHost<'a>(&'a Host);

impl fmt::Display for UrlHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            other => other.fmt(f),
        }
    }
}

/// A URL that names no place an HTTP request can go to, or hides which.
///
/// The text never repeats user information or a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDestination(Fault);

impl InvalidDestination {
    fn new(fault: Fault) -> Self {
        Self(fault)
    }

    pub(crate) fn fault(&self) -> &Fault {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the URL cannot be read: {0}")]
    Url(url::ParseError),
    #[error("the scheme {:?} is neither http nor https", excerpt(.0, 64))]
    Scheme(Box<str>),
    #[error("the URL carries user information; send it in an Authorization header")]
    UserInfo,
    #[error("the URL names no host")]
    NoHost,
    #[error("{:?} is no valid host name: labels are 1 to 63 of a-z, 0-9, `-` and `_`, 253 characters in all", excerpt(.0, 64))]
    Name(Box<str>),
    #[error("port 0 cannot be connected to")]
    PortZero,
    #[error("the URL is not spelled in normal form and would be sent as it is; write {normal}")]
    NotNormal { normal: String },
}

/// The first characters; what may hold others than a URL's is printed with `{:?}`, which escapes them.
fn excerpt(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read_into_one_normal_form() {
        let cases = [
            ("https://api.example.com", "https://api.example.com/"),
            ("HTTPS://API.EXAMPLE.COM:443/A", "https://api.example.com/A"),
            ("http://api.example.com.:80/", "http://api.example.com/"),
            ("http://api.example.com:443/", "http://api.example.com:443/"),
            ("https://b\u{fc}cher.example/", "https://xn--bcher-kva.example/"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http://0177.0.0.1/", "http://127.0.0.1/"),
            ("http://127.1./", "http://127.0.0.1/"),
            ("http://[::FFFF:127.0.0.1]:8080/", "http://[::ffff:127.0.0.1]:8080/"),
            ("http:\\\\api.example.com\\v1", "http://api.example.com/v1"),
            ("http:api.example.com", "http://api.example.com/"),
            ("http://api.example.com/a/../b?q=1#f", "http://api.example.com/b"),
        ];
        for (text, expected) in cases {
            let read = text.parse::<Destination>().map(|destination| destination.to_string());
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn urls_that_hide_or_lack_a_place_are_refused() {
        let cases = [
            "ftp://example.com/",
            "file:///etc/passwd",
            "data:,x",
            "https://user@example.com/",
            "https://:password@example.com/",
            "https://example.com:0/",
            "https://a..example.com/",
            "https://.example.com/",
            "https://*.example.com/",
            "https://example.com../",
            "https://a'b.example.com/",
            "https:///",
            "/relative",
            "",
        ];
        for text in cases {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_uri_must_be_spelled_as_it_was_checked() {
        let cases = [
            ("http://api.example.com/v1?x=../", true),
            ("http://API.example.com./v1", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]/", true),
            ("http://[0:0:0:0:0:0:0:1]/", true),
            ("http://2130706433/", false),
            ("http://0x7f.1/", false),
            ("http://127.1/", false),
            ("http://0/", false),
            ("http://0177.0.0.1/", false),
            ("http://api.example.com/admin/../ok", false),
            ("http://api.example.com/%2e%2e/ok", false),
            ("http://user@api.example.com/", false),
            ("http://@api.example.com/", false),
            ("/origin-form", false),
            ("*", false),
            ("api.example.com:443", false),
        ];
        for (text, expected) in cases {
            let uri: Uri = text.parse().unwrap();
            assert_eq!(Destination::from_uri(&uri).is_ok(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_uri_that_is_taken_as_it_is_written_would_be_read_the_same_by_the_url_parser(
            scheme in "https?|HTTP",
            host in "[a-z0-9_-]{1,4}(\\.[a-z0-9xn_-]{0,4}){0,3}|xn--[a-z0-9-]{1,6}\\.test|0x[0-9a-f]{1,8}|[0-9.]{1,8}",
            port in "|:|:[0-9]{1,6}|:\\+1",
            path in "|/[a-zA-Z0-9./_~!$&'()*+,;=:@%|^-]{0,12}|/[ab./]{0,8}",
            query in "|\\?[a-z&=./%]{0,4}",
        ) {
            let Ok(uri) = format!("{scheme}://{host}{port}{path}{query}").parse::<Uri>() else { return Ok(()) };
            let Some(authority) = uri.authority() else { return Ok(()) };
            if let Some(plain) = Destination::from_plain_uri(&uri, authority) {
                prop_assert_eq!(Destination::from_any_uri(&uri, authority), Ok(plain));
            }
        }
    }

    #[test]
    fn an_ordinary_uri_is_taken_as_it_is_written() {
        for text in
            ["https://api.example.com/v1/items/42?expand=all", "http://a-1.b_2.test:8080", "http://localhost/x.json"]
        {
            let uri: Uri = text.parse().unwrap();
            assert!(Destination::from_plain_uri(&uri, uri.authority().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn a_host_header_must_say_the_same_host_and_port() {
        let destination: Destination = "https://api.example.com/".parse().unwrap();
        for same in ["api.example.com", "API.example.com", "api.example.com:443", "api.example.com."] {
            assert!(destination.is_named_by_host_header(same), "{same}");
        }
        for other in [
            "evil.test",
            "api.example.com:8443",
            "api.example.com@evil.test",
            "evil.test/@api.example.com",
            "api.example.com/",
            "api.example.com ",
            "api.example.com\\",
            "api%2Eexample.com",
            "api.example.com:0443",
            "api.example.com..",
            "",
        ] {
            assert!(!destination.is_named_by_host_header(other), "{other}");
        }
    }

    #[test]
    fn errors_never_repeat_secrets() {
        for text in ["https://user:S3CRET@example.com/?k=S3CRET", "gopher://example.com/?k=S3CRET"] {
            let error = text.parse::<Destination>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("S3CRET"), "{error:?}");
        }
    }
}
