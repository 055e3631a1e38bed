//! Host patterns: which names a rule is about.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::error::PolicyFault;
use super::rule::Effect;
use crate::destination::Host;

/// One host pattern of a policy, checked and in normal form.
///
/// | pattern | matches |
/// |---|---|
/// | `api.example.com` | that name only |
/// | `*.example.com` | one or more labels below; not the apex |
/// | `.example.com` | the apex and everything below |
/// | `ec2.*.amazonaws.com` | `*` in the middle: exactly one label |
/// | `bucket-*.s3.eu-west-1.amazonaws.com` | `*` within a label never crosses a dot |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    pub(super) reach: Reach,
    /// The labels after the leading `*.` or `.`, joined by dots.
    pub(super) labels: Box<str>,
}

/// How far below its labels a pattern reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Names with exactly these labels.
    Exact,
    /// `*.`: names with one or more labels in front.
    Below,
    /// `.`: both.
    ApexAndBelow,
}

/// A pattern that was refused: what is wrong and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern {
    pub(super) problem: String,
    pub(super) cure: String,
}

impl HostPattern {
    /// Reads a pattern. In a deny rule a wildcard may match as much as it likes.
    pub(super) fn parse(text: &str, effect: Effect) -> Result<Self, BadPattern> {
        if !is_made_of_labels(text) {
            refuse_what_is_no_host(text, effect)?;
        }
        let lower = match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        let (reach, labels) = if let Some(rest) = name.strip_prefix("*.") {
            (Reach::Below, rest)
        } else if let Some(rest) = name.strip_prefix('.') {
            (Reach::ApexAndBelow, rest)
        } else {
            (Reach::Exact, name)
        };
        refuse_bad_labels(text, labels)?;
        let wild = reach != Reach::Exact || labels.contains('*');
        if wild {
            if effect == Effect::Allow {
                refuse_what_matches_strangers(text, labels)?;
            }
        } else if ends_in_a_number(labels)
            && let Ok(Host::Ip(ip)) = labels.parse()
        {
            return Err(BadPattern::new(
                format!("host `{text}` is the IP address {ip}"),
                format!("move it to networks = [\"{}\"]", network_of(ip)),
            ));
        }
        Ok(Self { reach, labels: labels.into() })
    }

    /// Whether it can match more than one name.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.reach != Reach::Exact || self.labels.contains('*')
    }

    /// The labels after the leading `*.` or `.`, joined by dots; they may hold further wildcards.
    #[must_use]
    pub fn labels(&self) -> &str {
        &self.labels
    }

    /// Whether what it matches only means something on one machine or in one network, as `*.internal` does.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.reach {
            Reach::Exact => is_local(&self.labels),
            Reach::Below | Reach::ApexAndBelow => is_local(&format!("*.{}", self.labels)),
        }
    }

    /// Whether a rule with `dangerously_any_host` means every name that the pattern matches: none that only means
    /// something locally.
    #[must_use]
    pub fn is_within_any_host(&self) -> bool {
        let local_apex = self.reach == Reach::ApexAndBelow && is_local(&self.labels);
        let tencent = Self { reach: Reach::Exact, labels: TENCENT.into() };
        !self.is_local() && !local_apex && !self.covers(&tencent)
    }

    /// Whether it matches every name that another pattern matches.
    ///
    /// ```
    /// use egress_guard::draft::HostPattern;
    ///
    /// let covers = |one: &str, other: &str| one.parse::<HostPattern>().unwrap().covers(&other.parse().unwrap());
    /// assert!(covers("*.example.com", "api.example.com"));
    /// assert!(covers(".example.com", "*.example.com"));
    /// assert!(!covers("*.example.com", ".example.com"));
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.labels.split('.').rev(), other.labels.split('.').rev());
        let (my_depth, their_depth) = (mine.clone().count(), theirs.clone().count());
        let their_least = their_depth + usize::from(other.reach == Reach::Below);
        let reaches = match self.reach {
            Reach::Exact => their_least == my_depth && other.reach == Reach::Exact,
            Reach::Below => their_least > my_depth,
            Reach::ApexAndBelow => their_least >= my_depth,
        };
        // Where their labels are at an end, any label may stand in their names.
        reaches && mine.zip(theirs.chain(std::iter::repeat("*"))).all(|(mine, theirs)| label_covers(mine, theirs))
    }
}

/// Whether every label that `theirs` matches is matched by `mine`.
fn label_covers(mine: &str, theirs: &str) -> bool {
    let Some((before, behind)) = mine.split_once('*') else { return mine == theirs };
    match theirs.split_once('*') {
        Some((their_before, their_behind)) => their_before.starts_with(before) && their_behind.ends_with(behind),
        None => theirs.len() >= mine.len() - 1 && theirs.starts_with(before) && theirs.ends_with(behind),
    }
}

/// Reads a pattern as a deny rule would, where a wildcard may reach as far as it likes.
impl std::str::FromStr for HostPattern {
    type Err = PolicyFault;

    fn from_str(text: &str) -> Result<Self, PolicyFault> {
        Self::parse(text, Effect::Deny).map_err(|bad| PolicyFault::new(None, bad.problem, bad.cure))
    }
}

impl BadPattern {
    pub(super) fn into_parts(self) -> (String, String) {
        (self.problem, self.cure)
    }

    fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { problem: problem.into(), cure: cure.into() }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reach {
            Reach::Exact => "",
            Reach::Below => "*.",
            Reach::ApexAndBelow => ".",
        })?;
        f.write_str(&self.labels)
    }
}

/// The network of one address, as it is written in a policy.
fn network_of(ip: IpAddr) -> IpNet {
    ip.to_canonical().into()
}

/// Whether a URL parser takes a name for an IPv4 address, by the "ends in a number checker" of the URL standard.
fn ends_in_a_number(labels: &str) -> bool {
    let start = labels.bytes().rposition(|byte| byte == b'.').map_or(0, |dot| dot + 1);
    let last = labels.as_bytes().get(start..).unwrap_or_default();
    last.starts_with(b"0x") || last.iter().all(u8::is_ascii_digit)
}

/// Whether a text has only characters of labels, and not of wildcards alone. What [`refuse_what_is_no_host`] refuses has
/// others, or is one of a few that have no letter.
fn is_made_of_labels(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*'))
        && text.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

fn refuse_what_is_no_host(text: &str, effect: Effect) -> Result<(), BadPattern> {
    let shown = text.escape_debug();
    if text.trim().is_empty() {
        return Err(BadPattern::new("a host is empty", "write a name, as in \"api.example.com\""));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        // Without what may be a password in front of the host.
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host
            .strip_suffix(|c: char| c.is_ascii_digit())
            .map_or(host, |_| host.rsplit_once(':').map_or(host, |(host, _)| host));
        return Err(BadPattern::new(
            format!("a host is a URL, {}://...", scheme.escape_debug()),
            format!("write the host alone, \"{}\"; scheme, port and path have keys of their own", host.escape_debug()),
        ));
    }
    if text.parse::<IpNet>().is_ok() {
        return Err(BadPattern::new(
            format!("host `{text}` is a network"),
            format!("move it to networks = [\"{text}\"]"),
        ));
    }
    if text == "*" || text == "**" || text == "." {
        let cure = if effect == Effect::Deny && text != "*" {
            "write \"*\", which means every host in a deny rule"
        } else {
            "list the hosts, as in \"*.example.com\", or state dangerously_any_host = true instead of hosts"
        };
        return Err(BadPattern::new(format!("host `{text}` matches every host"), cure));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Err(BadPattern::new(
            format!("host `{text}` is an IP address"),
            format!("move it to networks = [\"{}\"]", network_of(ip.into())),
        ));
    }
    if let Some((host, _)) = text.split_once('/') {
        if host.parse::<IpAddr>().is_ok() {
            let cure = "move it to networks, with a prefix length, as in networks = [\"10.20.0.0/16\"]";
            return Err(BadPattern::new(format!("host `{shown}` looks like a network"), cure));
        }
        return Err(BadPattern::new(
            format!("host `{shown}` carries a path or a prefix length"),
            format!("write \"{}\" here; paths and networks have keys of their own", host.escape_debug()),
        ));
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        let cure = match port.parse::<u16>() {
            Ok(port) => format!("write hosts = [\"{}\"] and ports = [{port}]", host.escape_debug()),
            Err(_) => format!("write \"{}\" here; ports have a key of their own", host.escape_debug()),
        };
        return Err(BadPattern::new(format!("host `{shown}` carries a port"), cure));
    }
    if !text.is_ascii() {
        let cure = match url::Host::parse(text) {
            Ok(host) => format!("write its ASCII form, \"{host}\""),
            Err(_) => "write the name in ASCII, its xn-- form".to_owned(),
        };
        return Err(BadPattern::new(format!("host `{shown}` is not ASCII and could be a look-alike"), cure));
    }
    Ok(())
}

fn refuse_bad_labels(text: &str, labels: &str) -> Result<(), BadPattern> {
    if are_good(labels) {
        return Ok(());
    }
    for label in labels.split('.') {
        let problem = if label.is_empty() {
            "has an empty label".to_owned()
        } else if label.len() > 63 {
            "has a label of more than 63 characters".to_owned()
        } else if label.contains("**") {
            let (shown, single) = (text.escape_debug(), text.replace("**", "*"));
            let cure = format!("write \"{}\"; a leading `*.` reaches any depth", single.escape_debug());
            return Err(BadPattern::new(format!("host `{shown}` has `**`"), cure));
        } else if label.matches('*').count() > 1 {
            "has a label with more than one `*`".to_owned()
        } else if let Some(bad) = label.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '*')) {
            format!("has the character {bad:?}")
        } else {
            continue;
        };
        return Err(BadPattern::new(
            format!("host `{}` {problem}", text.escape_debug()),
            "write labels of a-z, 0-9, `-`, `_` and at most one `*`, joined by dots, as in \"api.example.com\"",
        ));
    }
    if labels.len() > 253 {
        return Err(BadPattern::new(
            format!("host `{}\u{2026}` has more than 253 characters", text.chars().take(32).collect::<String>()),
            "no name is that long; write the name itself",
        ));
    }
    Ok(())
}

/// Whether nothing is wrong with these labels, told in one walk.
fn are_good(labels: &str) -> bool {
    let (mut length, mut stars) = (0, 0);
    for byte in labels.bytes() {
        match byte {
            b'.' if length > 0 => (length, stars) = (0, 0),
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' if length < 63 => length += 1,
            b'*' if length < 63 && stars == 0 => (length, stars) = (length + 1, 1),
            _ => return false,
        }
    }
    length > 0 && labels.len() <= 253
}

/// A wildcard needs two literal labels to its right, or whoever registers a name below the top level is let in.
fn refuse_what_matches_strangers(text: &str, labels: &str) -> Result<(), BadPattern> {
    let mut from_right = labels.rsplit('.');
    let top = from_right.next().unwrap_or_default();
    let is_literal = |label: Option<&str>| label.is_some_and(|label| !label.contains('*'));
    if is_literal(Some(top)) && (is_literal(from_right.next()) || NEVER_DELEGATED.contains(&top)) {
        return Ok(());
    }
    let cure = match text.strip_prefix('*') {
        // `*example.com`: the dot was forgotten, and `evilexample.com` would match.
        Some(rest) if !rest.starts_with('.') && !rest.contains('*') && rest.contains('.') => {
            format!("write \"*.{rest}\" for the names below it, or \".{rest}\" for these and the name itself")
        }
        _ if !is_literal(Some(top)) => "write the end of the name out, as in \"*.example.com\"".to_owned(),
        _ => format!("name who owns it, as in \"*.example.{top}\""),
    };
    Err(BadPattern::new(format!("host `{text}` matches names that anyone can register"), cure))
}

/// Top-level labels that are reserved and never sold (RFC 6761, RFC 6762, RFC 7686, ICANN resolution 2024.07.29.06).
const NEVER_DELEGATED: &[&str] = &["example", "internal", "invalid", "local", "localhost", "onion", "test"];

/// Whether a name only means something on this machine or in this network. A rule for any host does not mean these.
pub(super) fn is_local(name: &str) -> bool {
    match name.rsplit_once('.') {
        // A single label is completed by the search list of whatever machine it is.
        None => true,
        Some((_, top)) => {
            LOCAL.contains(&top) || name == "home.arpa" || name.ends_with(".home.arpa") || name == TENCENT
        }
    }
}

/// RFC 6761, RFC 6762, ICANN resolution 2024.07.29.06; and by custom, of hosts files and of Kubernetes.
const LOCAL: &[&str] = &["internal", "local", "localdomain", "localhost", "svc"];

/// The one metadata service with a name below a public suffix.
const TENCENT: &str = "metadata.tencentyun.com";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_into_normal_form() {
        let cases = [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM.", "api.example.com"),
            ("*.example.com", "*.example.com"),
            (".example.com", ".example.com"),
            ("ec2.*.amazonaws.com", "ec2.*.amazonaws.com"),
            ("bucket-*.s3.eu-west-1.amazonaws.com", "bucket-*.s3.eu-west-1.amazonaws.com"),
            ("*.ec2.*.amazonaws.com", "*.ec2.*.amazonaws.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("*.localhost", "*.localhost"),
            ("_dmarc.example.com", "_dmarc.example.com"),
        ];
        for (text, expected) in cases {
            let pattern = HostPattern::parse(text, Effect::Allow).map(|pattern| pattern.to_string());
            assert_eq!(pattern.as_deref().ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refused_patterns_name_the_nearest_right_form() {
        let cases = [
            ("*", "dangerously_any_host = true"),
            ("*.com", "\"*.example.com\""),
            (".com", "\"*.example.com\""),
            ("*example.com", "\"*.example.com\""),
            ("example.*", "\"*.example.com\""),
            ("*.*", "\"*.example.com\""),
            ("*.*.com", "\"*.example.com\""),
            ("api.*.com", "\"*.example.com\""),
            ("**.example.com", "\"*.example.com\""),
            ("https://api.example.com/v1", "\"api.example.com\""),
            ("api.example.com:8443", "ports = [8443]"),
            ("api.example.com/v1", "\"api.example.com\""),
            ("https://user:password@api.example.com:8443/v1", "\"api.example.com\""),
            ("10.0.0.0/8", "networks = [\"10.0.0.0/8\"]"),
            ("10.0.0.1", "networks = [\"10.0.0.1/32\"]"),
            ("2130706433", "networks = [\"127.0.0.1/32\"]"),
            ("0x7f.1", "networks = [\"127.0.0.1/32\"]"),
            ("::1", "networks = [\"::1/128\"]"),
            ("[fd00:ec2::254]", "networks = [\"fd00:ec2::254/128\"]"),
            ("b\u{fc}cher.example", "\"xn--bcher-kva.example\""),
            ("a..example.com", "joined by dots"),
            ("api example.com", "joined by dots"),
            ("api?.example.com", "joined by dots"),
            ("a*b*c.example.com", "at most one `*`"),
            ("", "\"api.example.com\""),
        ];
        for (text, cure) in cases {
            let bad = HostPattern::parse(text, Effect::Allow).expect_err(text);
            assert!(bad.cure.contains(cure), "{text}: {bad:?}");
            assert!(!format!("{bad:?}").contains("password"), "{bad:?}");
        }
    }

    #[test]
    fn which_patterns_mean_something_locally() {
        let cases = [
            ("api.example.com", false, true),
            ("*.example.com", false, true),
            ("*.internal", true, false),
            (".ec2.internal", true, false),
            ("db.corp.local", true, false),
            ("localhost", true, false),
            ("*.home.arpa", true, false),
            ("*.test", false, true),
            (".test", false, false),
            ("metadata.tencentyun.com", true, false),
            ("*.tencentyun.com", false, false),
            ("meta*.tencentyun.com", false, false),
        ];
        for (text, local, within_any_host) in cases {
            let pattern = HostPattern::parse(text, Effect::Allow).unwrap();
            assert_eq!((pattern.is_local(), pattern.is_within_any_host()), (local, within_any_host), "{text}");
        }
    }

    #[test]
    fn a_deny_rule_may_match_what_anyone_can_register() {
        for text in ["*.zip", ".ru", "*tracker.com", "ads.*"] {
            assert!(HostPattern::parse(text, Effect::Deny).is_ok(), "{text}");
        }
        assert!(HostPattern::parse("*", Effect::Deny).is_err(), "read as any host before");
    }
}
