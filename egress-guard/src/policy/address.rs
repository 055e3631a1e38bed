//! What kind of place an IP address is, by the IANA special-purpose registries.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries, the IPv4 and IPv6 multicast ranges, and the
//! IPv6 global unicast range `2000::/3` outside of which nothing is public. A test compares the tables with a copy of
//! the registries.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use AddressClass as Class;

/// What kind of place an IP address is.
///
/// ```
/// use egress_guard::AddressClass;
///
/// let class = |ip: &str| ip.parse().map(AddressClass::of);
/// assert_eq!(class("203.0.114.1")?, AddressClass::Public);
/// assert_eq!(class("10.1.2.3")?, AddressClass::PrivateUse);
/// // The address inside an IPv4-mapped, NAT64, 6to4 or Teredo address counts.
/// assert_eq!(class("::ffff:10.1.2.3")?, AddressClass::PrivateUse);
/// assert_eq!(class("64:ff9b::169.254.169.254")?, AddressClass::CloudMetadata);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressClass {
    /// Globally reachable unicast.
    Public,
    /// Private-use (RFC 1918) and unique-local (RFC 4193): what `addresses = ["private"]` opens.
    PrivateUse,
    /// The instance or container metadata service of a cloud, whatever range it stands in.
    CloudMetadata,
    /// This host itself (RFC 1122, RFC 4291).
    Loopback,
    /// The local link (RFC 3927, RFC 4291).
    LinkLocal,
    /// Shared address space of carriers (RFC 6598).
    SharedAddressSpace,
    /// Groups, not hosts (RFC 5771, RFC 4291).
    Multicast,
    /// "This network" and the unspecified address, which many systems dial as loopback (RFC 791, RFC 4291).
    Unspecified,
    /// An IPv6 form that carries an IPv4 address over a translator or tunnel (RFC 8215, RFC 3056, RFC 4380, RFC 6145).
    Transition,
    /// Every other special purpose, and all that is not assigned: documentation, benchmarking, discard-only, reserved.
    Reserved,
}

impl AddressClass {
    /// The class of an address, embedded IPv4 addresses unwrapped first.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => class_v4(ip),
            IpAddr::V6(ip) => class_v6(ip),
        }
    }

    /// The class as errors name it: kebab-case, after the registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::PrivateUse => "private-use",
            Self::CloudMetadata => "cloud-metadata",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::SharedAddressSpace => "shared-address-space",
            Self::Multicast => "multicast",
            Self::Unspecified => "unspecified",
            Self::Transition => "transition",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an allowed network opens an address that lies in it.
///
/// A public address is opened by any network around it. A special-purpose one only by a network that lies within the
/// same special-purpose block, so that `0.0.0.0/0` never means `127.0.0.1`; and a cloud's metadata service only by
/// its own single-address network.
pub(crate) fn network_opens(network: IpNet, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    network.contains(&ip)
        && match AddressClass::of(ip) {
            Class::Public => true,
            Class::CloudMetadata => network.prefix_len() == network.max_prefix_len(),
            _ => special_blocks(ip).any(|block| block.contains(&network)),
        }
}

/// Whether an allowed network opens every address that another one opens.
pub(super) fn opens_all_of(network: IpNet, other: IpNet) -> bool {
    let opens_metadata =
        other.prefix_len() == other.max_prefix_len() && AddressClass::of(other.addr()) == Class::CloudMetadata;
    let is_within_a_block = |network: IpNet| all_special_blocks().any(|block| block.contains(&network));
    network == other
        || network.contains(&other) && !opens_metadata && (is_within_a_block(network) || !is_within_a_block(other))
}

/// Every address that a packet to `ip` may end up at: itself, and the IPv4 addresses that it carries.
pub(crate) fn reachable_through(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    let embedded = match ip {
        IpAddr::V4(_) => [None; 2],
        IpAddr::V6(ip) => embedded_v4(ip),
    };
    std::iter::once(ip).chain(embedded.into_iter().flatten().map(IpAddr::V4))
}

fn class_v4(ip: Ipv4Addr) -> Class {
    if !begins_as(&SPECIAL_V4, ip.octets()[0]) {
        return Class::Public;
    }
    if METADATA_V4.contains(&ip) {
        return Class::CloudMetadata;
    }
    let is_in = |block: &Ipv4Net| {
        let differing = ip.to_bits() ^ block.addr().to_bits();
        differing.leading_zeros() >= block.prefix_len().into()
    };
    BLOCKS_V4.iter().find(|(block, _)| is_in(block)).map_or(Class::Public, |(_, class)| *class)
}

fn class_v6(ip: Ipv6Addr) -> Class {
    // All forms that carry an IPv4 address are blocks, too.
    if !begins_as(&SPECIAL_V6, ip.octets()[0]) {
        return if GLOBAL_UNICAST.contains(&ip) { Class::Public } else { Class::Reserved };
    }
    if METADATA_V6.contains(&ip) {
        return Class::CloudMetadata;
    }
    let is_in = |block: &Ipv6Net| {
        let differing = ip.to_bits() ^ block.addr().to_bits();
        differing.leading_zeros() >= block.prefix_len().into()
    };
    let own = BLOCKS_V6.iter().find(|(block, _)| is_in(block)).map(|(_, class)| *class);
    // A translated or tunnelled packet arrives at the IPv4 address, so a special one there decides; of two, metadata.
    let special = embedded_v4(ip).into_iter().flatten().map(class_v4).filter(|class| *class != Class::Public);
    let embedded = special.max_by_key(|class| *class == Class::CloudMetadata);
    match (own, embedded) {
        (Some(Class::Transition) | None, Some(inner)) => inner,
        (Some(own), _) => own,
        (None, None) if NAT64.contains(&ip) || GLOBAL_UNICAST.contains(&ip) => Class::Public,
        (None, None) => Class::Reserved,
    }
}

fn special_blocks(ip: IpAddr) -> impl Iterator<Item = IpNet> {
    all_special_blocks().filter(move |block| block.contains(&ip))
}

fn all_special_blocks() -> impl Iterator<Item = IpNet> {
    let v4 = BLOCKS_V4.iter().map(|(block, class)| (IpNet::V4(*block), *class));
    let v6 = BLOCKS_V6.iter().map(|(block, class)| (IpNet::V6(*block), *class));
    let nat64 = std::iter::once((IpNet::V6(NAT64), Class::Transition));
    v4.chain(v6).chain(nat64).filter(|(_, class)| *class != Class::Public).map(|(block, _)| block)
}

/// The IPv4 addresses inside an IPv6 address: two for local NAT64, whose operator chooses where they stand.
fn embedded_v4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let [a, b, c, d, e, _, g, h] = ip.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (a, b, c) {
        // RFC 4291: IPv4-compatible; :: and ::1 are addresses of their own.
        (0, 0, 0) if ip.octets().starts_with(&[0; 12]) && !ip.is_unspecified() && !ip.is_loopback() => {
            [Some(from(g, h)), None]
        }
        // RFC 6145: IPv4-translated.
        (0, 0, 0) if (d, e) == (0, 0xffff) => [Some(from(g, h)), None],
        // RFC 6052: the well-known prefix, address in the last 32 bits.
        (0x64, 0xff9b, 0) if NAT64.contains(&ip) => [Some(from(g, h)), None],
        // RFC 8215: local prefixes of 96 bits, or of 48 with the address around octet 8 (RFC 6052, section 2.2).
        (0x64, 0xff9b, 1) => [Some(from(g, h)), Some(from(d, (e << 8) | (ip.segments()[5] >> 8)))],
        // RFC 3056: 6to4.
        (0x2002, high, low) => [Some(from(high, low)), None],
        // RFC 4380: Teredo; the server, and the client with its bits inverted.
        (0x2001, 0, server_high) => [Some(from(!g, !h)), Some(from(server_high, d))],
        _ => [None, None],
    }
}

/// Metadata services that hand out credentials or identity.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Azure, Google, Oracle and others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS: ECS task credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS: EKS Pod Identity
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure WireServer, in a public range
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, classic
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
];

const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),      // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),       // AWS: EKS Pod Identity
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), // Oracle
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),        // Scaleway
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),       // Google
];

const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The IPv4 registry: the first block that contains an address decides, so exceptions stand first.
const BLOCKS_V4: &[(Ipv4Net, Class)] = &[
    (v4([0, 0, 0, 0], 8), Class::Unspecified),
    (v4([10, 0, 0, 0], 8), Class::PrivateUse),
    (v4([100, 64, 0, 0], 10), Class::SharedAddressSpace),
    (v4([127, 0, 0, 0], 8), Class::Loopback),
    (v4([169, 254, 0, 0], 16), Class::LinkLocal),
    (v4([172, 16, 0, 0], 12), Class::PrivateUse),
    (v4([192, 0, 0, 9], 32), Class::Public),
    (v4([192, 0, 0, 10], 32), Class::Public),
    (v4([192, 0, 0, 0], 24), Class::Reserved),
    (v4([192, 0, 2, 0], 24), Class::Reserved),
    (v4([192, 88, 99, 0], 24), Class::Reserved),
    (v4([192, 168, 0, 0], 16), Class::PrivateUse),
    (v4([198, 18, 0, 0], 15), Class::Reserved),
    (v4([198, 51, 100, 0], 24), Class::Reserved),
    (v4([203, 0, 113, 0], 24), Class::Reserved),
    (v4([224, 0, 0, 0], 4), Class::Multicast),
    (v4([240, 0, 0, 0], 4), Class::Reserved),
];

/// The IPv6 registry, in the same order of precedence.
const BLOCKS_V6: &[(Ipv6Net, Class)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Class::Loopback),
    (v6([0; 8], 128), Class::Unspecified),
    (v6([0; 8], 96), Class::Transition),
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Class::Transition),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Class::Transition),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), Class::Reserved),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64), Class::Reserved),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Class::Transition),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 1], 128), Class::Public),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 2], 128), Class::Public),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 3], 128), Class::Public),
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0], 32), Class::Public),
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48), Class::Public),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), Class::Public),
    (v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), Class::Public),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Class::Reserved),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Class::Reserved),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Class::Transition),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Class::Reserved),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), Class::Reserved),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Class::PrivateUse),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Class::LinkLocal),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Class::Multicast),
];

/// Of each first octet, whether some special-purpose address begins with it; most public ones are told by it alone.
type FirstOctets = [bool; 256];

#[allow(clippy::indexing_slicing, reason = "what is wrong here does not compile")]
const SPECIAL_V4: FirstOctets = {
    let mut special = [false; 256];
    let mut at = 0;
    while at < BLOCKS_V4.len() {
        let block = BLOCKS_V4[at].0;
        special = with_first_octets(special, block.addr().octets()[0], block.prefix_len());
        at += 1;
    }
    at = 0;
    while at < METADATA_V4.len() {
        special[METADATA_V4[at].octets()[0] as usize] = true;
        at += 1;
    }
    special
};

#[allow(clippy::indexing_slicing, reason = "what is wrong here does not compile")]
const SPECIAL_V6: FirstOctets = {
    let mut special = with_first_octets([false; 256], NAT64.addr().octets()[0], NAT64.prefix_len());
    let mut at = 0;
    while at < BLOCKS_V6.len() {
        let block = BLOCKS_V6[at].0;
        special = with_first_octets(special, block.addr().octets()[0], block.prefix_len());
        at += 1;
    }
    at = 0;
    while at < METADATA_V6.len() {
        special[METADATA_V6[at].octets()[0] as usize] = true;
        at += 1;
    }
    special
};

#[allow(clippy::indexing_slicing, reason = "what is wrong here does not compile")]
const fn with_first_octets(mut special: FirstOctets, first: u8, prefix_len: u8) -> FirstOctets {
    let last = first as usize + (1 << 8_u8.saturating_sub(prefix_len)) - 1;
    let mut octet = first as usize;
    while octet <= last {
        special[octet] = true;
        octet += 1;
    }
    special
}

fn begins_as(special: &FirstOctets, octet: u8) -> bool {
    special.get(usize::from(octet)).copied().unwrap_or(true)
}

const fn v4([a, b, c, d]: [u8; 4], prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix_len)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix_len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix_len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The ends of all special-purpose blocks, the metadata services, and what lies beside them.
    fn telling_addresses() -> Vec<IpAddr> {
        let ends = all_special_blocks().flat_map(|block| [block.network(), block.broadcast()]);
        let metadata = METADATA_V4.iter().map(|ip| IpAddr::V4(*ip)).chain(METADATA_V6.iter().map(|ip| IpAddr::V6(*ip)));
        let beside = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => {
                [-1, 0, 1].map(|step| IpAddr::from(Ipv4Addr::from(u32::from(ip).wrapping_add_signed(step))))
            }
            IpAddr::V6(ip) => {
                [-1, 0, 1].map(|step| IpAddr::from(Ipv6Addr::from(u128::from(ip).wrapping_add_signed(step))))
            }
        };
        ends.chain(metadata).flat_map(beside).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn a_network_that_covers_another_opens_all_its_addresses(
            inside in prop::sample::select(telling_addresses()), lengths in (0_u8..=128, 0_u8..=128),
        ) {
            let around = |length: u8| IpNet::new(inside, length.min(if inside.is_ipv4() { 32 } else { 128 })).unwrap().trunc();
            let (one, other) = (around(lengths.0), around(lengths.1));
            if opens_all_of(one, other) {
                let stray = telling_addresses().into_iter().find(|ip| network_opens(other, *ip) && !network_opens(one, *ip));
                prop_assert_eq!(stray, None, "{} covers {}", one, other);
            }
        }
    }

    /// The class of an address by a walk over all blocks.
    fn walked(ip: IpAddr) -> Class {
        match ip.to_canonical() {
            IpAddr::V4(ip) if METADATA_V4.contains(&ip) => Class::CloudMetadata,
            IpAddr::V4(ip) => {
                BLOCKS_V4.iter().find(|(block, _)| block.contains(&ip)).map_or(Class::Public, |(_, class)| *class)
            }
            IpAddr::V6(ip) if METADATA_V6.contains(&ip) => Class::CloudMetadata,
            IpAddr::V6(ip) => {
                let own = BLOCKS_V6.iter().find(|(block, _)| block.contains(&ip)).map(|(_, class)| *class);
                let inner = embedded_v4(ip).into_iter().flatten().map(|ip| walked(ip.into()));
                let inner = inner.filter(|class| *class != Class::Public);
                match (own, inner.max_by_key(|class| *class == Class::CloudMetadata)) {
                    (Some(Class::Transition) | None, Some(inner)) => inner,
                    (Some(own), _) => own,
                    (None, None) if NAT64.contains(&ip) || GLOBAL_UNICAST.contains(&ip) => Class::Public,
                    (None, None) => Class::Reserved,
                }
            }
        }
    }

    #[test]
    fn the_class_is_that_of_a_walk_over_all_blocks() {
        let telling = telling_addresses();
        for first in 0..=u8::MAX {
            for ip in &telling {
                let ip = match *ip {
                    IpAddr::V4(ip) => {
                        let [_, b, c, d] = ip.octets();
                        [first, b, c, d].into()
                    }
                    IpAddr::V6(ip) => {
                        let mut octets = ip.octets();
                        octets[0] = first;
                        IpAddr::from(octets)
                    }
                };
                assert_eq!(AddressClass::of(ip), walked(ip), "{ip}");
            }
        }
    }

    #[test]
    fn which_networks_cover_which() {
        let cases = [
            ("10.0.0.0/8", "10.20.0.0/16", true),
            ("10.20.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/7", "10.20.0.0/16", false),
            ("0.0.0.0/0", "203.0.114.0/24", true),
            ("0.0.0.0/0", "8.0.0.0/6", true),
            ("0.0.0.0/0", "127.0.0.1/32", false),
            ("169.254.0.0/16", "169.254.169.254/32", false),
            ("169.254.169.254/32", "169.254.169.254/32", true),
            ("169.254.0.0/16", "169.254.169.0/24", true),
            ("168.63.0.0/16", "168.63.129.16/32", false),
            ("168.63.0.0/16", "168.63.129.0/24", true),
            ("::/0", "2001:4860::/32", true),
            ("::/0", "fd00::/8", false),
            ("fc00::/7", "fd00::/8", true),
            ("::/0", "10.0.0.0/8", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(opens_all_of(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} covers {other}");
        }
    }
}
