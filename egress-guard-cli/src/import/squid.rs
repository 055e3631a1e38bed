//! Squid: a `dstdomain` list, one entry on a line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use egress_guard::Effect;

use super::domains;
use super::draft::{Draft, Fault, Head, PUBLIC_ONLY};

pub(super) fn read(text: &str) -> Result<Draft, Vec<Fault>> {
    let mut draft = Draft::default();
    let head = Head::new(Effect::Allow, &["https", "http"], None);
    for (line, entry) in domains::lines(text)? {
        match address(entry) {
            Some(ip) => {
                draft.address(&head, line, ip);
            }
            None => domains::add(&mut draft, &head, line, entry),
        }
    }
    draft.notes = [
        "The list is taken for one that `http_access allow` names: it does not say itself whether it allows or denies.",
        "The list says nothing of ports: https on 443 and http on 80 are allowed. Add `ports` for others, and remove \
         \"http\" if all of it is https.",
        PUBLIC_ONLY,
    ]
    .map(str::to_owned)
    .to_vec();
    Ok(draft)
}

/// An IP address as squid writes it in a URL's place: IPv6 in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let in_brackets = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']'));
    match in_brackets {
        Some(ip) => ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => entry.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}
