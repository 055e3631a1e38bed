//! What this library is compared with.

use std::net::IpAddr;

use globset::{Glob, GlobSet, GlobSetBuilder};
use hashbrown::HashMap;
use http_acl::utils::authority::{Authority, Host};
use http_acl::{HttpAcl, HttpAclBuilder};
use ipnet::IpNet;
use iptrie::map::{LCTrieMap, RTrieMap};
use iptrie::{Ipv4Prefix, Ipv6Prefix};
use url::Url;

use crate::Hosts;

/// The least that finding a name among many can cost: one hash of it, and one look into a table. The table and its hash
/// function are the library's own.
#[derive(Debug)]
pub struct Floor(HashMap<Box<str>, usize>);

impl Floor {
    /// A table of these names.
    #[must_use]
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().enumerate().map(|(number, pattern)| (pattern.as_str().into(), number)).collect())
    }

    /// The number of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// http-acl, with a policy that says the same.
#[must_use]
pub fn http_acl(hosts: &Hosts) -> HttpAcl {
    HttpAclBuilder::new().http(false).allowed_hosts(hosts.patterns()).unwrap().try_build().unwrap()
}

/// What http-acl-reqwest asks about a request without headers, in the same order, without the error it makes of a no.
#[must_use]
pub fn http_acl_allows(acl: &HttpAcl, method: &http::Method, url: &Url) -> bool {
    let scheme = url.scheme().to_owned();
    if acl.is_scheme_allowed(&scheme).is_denied() || acl.is_method_allowed(method.as_str()).is_denied() {
        return false;
    }
    let Some(host) = url.host_str() else { return false };
    let Ok(authority) = Authority::parse(host) else { return false };
    let host = match &authority.host {
        Host::Ip(ip) => acl.is_ip_allowed(ip),
        Host::Domain(domain) => acl.is_host_allowed(domain),
    };
    if host.is_denied() || url.port_or_known_default().is_some_and(|port| acl.is_port_allowed(port).is_denied()) {
        return false;
    }
    let Ok(path) = percent_encoding::percent_decode_str(url.path()).decode_utf8() else { return false };
    acl.is_url_path_allowed(&path).is_allowed()
        && acl.is_valid(&scheme, &authority, std::iter::empty(), None).is_allowed()
}

/// All host patterns as one set of globs.
#[must_use]
pub fn globs(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).unwrap());
    }
    set.build().unwrap()
}

/// The most specific of many networks, by an LC-trie.
#[allow(missing_debug_implementations, reason = "the trie has none")]
pub struct LcTrie {
    v4: LCTrieMap<Ipv4Prefix, usize>,
    v6: LCTrieMap<Ipv6Prefix, usize>,
}

impl LcTrie {
    /// A trie of these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (RTrieMap::with_root(0), RTrieMap::with_root(0));
        for (network, number) in networks.iter().zip(1..) {
            match network {
                IpNet::V4(network) => v4.insert((*network).into(), number),
                IpNet::V6(network) => v6.insert((*network).into(), number),
            };
        }
        Self { v4: v4.compress(), v6: v6.compress() }
    }

    /// The number of the network that an address is in, from 1, or 0.
    #[must_use]
    pub fn lookup(&self, ip: IpAddr) -> usize {
        match ip {
            IpAddr::V4(ip) => *self.v4.lookup(&ip).1,
            IpAddr::V6(ip) => *self.v6.lookup(&ip).1,
        }
    }
}
