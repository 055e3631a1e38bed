//! The values of single keys: what is wrong with one, and what to write instead.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use http::Method;
use ipnet::{IpNet, Ipv4Net};

use crate::destination::{Destination, Scheme};

/// What is wrong, and the cure.
type Fault = (String, String);

pub(super) fn is_identifier(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(is_of_identifiers)
}

fn is_of_identifiers(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// The cure of a text that is no identifier.
pub(super) fn identifier_for(text: &str) -> String {
    let near: String = text.chars().take(64).map(|c| if is_of_identifiers(c) { c } else { '-' }).collect();
    let near = near.trim_matches('-');
    let near = if near.is_empty() { "orders" } else { near };
    format!("write 1 to 64 of A-Z, a-z, 0-9, `-`, `_` and `.`, as in \"{near}\"")
}

pub(super) fn parse_scheme(text: &str) -> Result<Scheme, Fault> {
    text.parse().map_err(|_| (format!("scheme {text:?} is unknown"), "write \"https\" or \"http\"".to_owned()))
}

pub(super) fn parse_method(text: &str) -> Result<Method, Fault> {
    if text.eq_ignore_ascii_case("CONNECT") {
        return Err((
            "method \"CONNECT\" can never match: tunnels are always denied".to_owned(),
            "remove it".to_owned(),
        ));
    }
    if ["*", "ANY", "ALL"].iter().any(|any| text.eq_ignore_ascii_case(any)) {
        return Err((
            format!("method {text:?} is no method"),
            "remove `methods`: without it every method is meant".to_owned(),
        ));
    }
    let Ok(method) = Method::from_bytes(text.as_bytes()) else {
        let cure = "list each method by itself, as in methods = [\"GET\", \"POST\"]";
        return Err((format!("method {text:?} is no HTTP method"), cure.to_owned()));
    };
    // Methods are case-sensitive (RFC 9110, section 9.1); `get` would never match what clients send.
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = text.to_ascii_uppercase();
        return Err((format!("method {text:?} is not in upper case"), format!("write {upper:?}")));
    }
    Ok(method)
}

pub(super) fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(first), Some(last)) => {
            Err((format!("ports {text:?} run backwards"), format!("write \"{last}-{first}\"")))
        }
        _ => Err((
            format!("{text:?} is neither a port nor a range of ports"),
            "write 443 or \"8000-8099\", between 1 and 65535".to_owned(),
        )),
    }
}

pub(super) fn parse_proxy(text: &str) -> Result<Destination, Fault> {
    const CURE: &str = "write scheme, host and port alone, as in proxy = \"http://proxy.corp.example:3128\"";
    // Not repeated: it may hold a password.
    let proxy: Destination =
        text.parse().map_err(|error| (format!("the proxy is no URL to connect to: {error}"), CURE.to_owned()))?;
    if proxy.scheme() != Scheme::Http {
        let problem = "the proxy is to be reached over TLS, which is not supported".to_owned();
        return Err((problem, "write http://: requests over https are encrypted within their tunnel".to_owned()));
    }
    if proxy.path() != "/" || text.contains(['?', '#']) {
        return Err(("the proxy has a path".to_owned(), CURE.to_owned()));
    }
    Ok(proxy)
}

pub(super) fn parse_network(text: &str) -> Result<IpNet, Fault> {
    let Ok(network) = text.parse::<IpNet>() else {
        return Err(match text.parse::<IpAddr>() {
            Ok(ip) => {
                let network = IpNet::from(ip.to_canonical());
                (format!("network \"{ip}\" has no prefix length"), format!("write \"{network}\""))
            }
            Err(_) => {
                (format!("{text:?} is no network"), "write CIDR, as in \"10.20.0.0/16\" or \"fd00::/8\"".to_owned())
            }
        });
    };
    // Addresses are compared as they are dialled, and these are dialled as IPv4.
    if let IpNet::V6(v6) = network
        && let (Some(v4), Some(length)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(v4) = Ipv4Net::new(v4, length)
    {
        return Err((
            format!("network \"{network}\" is IPv4-mapped and can never match"),
            format!("write \"{}\"", v4.trunc()),
        ));
    }
    if network.trunc() != network {
        return Err((
            format!("network \"{network}\" has bits set beyond its prefix"),
            format!("write \"{}\", or \"{}\" for the one address", network.trunc(), IpNet::from(network.addr())),
        ));
    }
    Ok(network)
}
