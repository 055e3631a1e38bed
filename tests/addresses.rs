//! The address classes against a copy of the IANA special-purpose registries.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::net::IpAddr;

use egress_guard::AddressClass;
use ipnet::IpNet;

/// Every block of a registry, and whether it is globally reachable: `None` where the registry leaves it open.
fn registry(csv: &str) -> Vec<(IpNet, Option<bool>)> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut blocks = Vec::new();
    for row in reader.records() {
        let row = row.unwrap();
        let reachable = match row[8].split_whitespace().next() {
            Some("True") => Some(true),
            Some("False") => Some(false),
            _ => None,
        };
        for block in row[0].split(',') {
            // Footnotes stand behind the block: `192.0.0.0/24 [2]`.
            let block = block.split_whitespace().next().unwrap();
            blocks.push((block.parse().unwrap_or_else(|_| panic!("{block}")), reachable));
        }
    }
    assert!(blocks.len() > 20);
    blocks
}

/// What the registry says of an address, by its smallest block.
fn reachable(blocks: &[(IpNet, Option<bool>)], ip: IpAddr) -> Option<bool> {
    let around = blocks.iter().filter(|(block, _)| block.contains(&ip));
    around.max_by_key(|(block, _)| block.prefix_len()).and_then(|(_, reachable)| *reachable)
}

#[test]
fn an_address_is_public_exactly_where_the_registry_says_globally_reachable() {
    let v4 = registry(include_str!("data/iana-ipv4-special-registry-1.csv"));
    let v6 = registry(include_str!("data/iana-ipv6-special-registry-1.csv"));
    for blocks in [&v4, &v6] {
        for (block, _) in blocks {
            for ip in [block.network(), block.broadcast()] {
                let public = AddressClass::of(ip) == AddressClass::Public;
                // A translated address is judged by the IPv4 address inside, which these ends of blocks make special.
                let translated = block.to_string() == "64:ff9b::/96";
                assert_eq!(public, reachable(blocks, ip) == Some(true) && !translated, "{ip} of {block}");
            }
        }
    }
}

#[test]
fn what_lies_beside_a_block_is_judged_on_its_own() {
    let public = [
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "126.255.255.255",
        "172.32.0.0",
        "192.169.0.0",
        "223.255.255.255",
        "2000::",
        "2003::",
        "3fff:1000::",
    ];
    let not_public = ["240.0.0.0", "255.255.255.255", "224.0.0.1", "1::", "4000::", "fec0::1", "ff02::1", "::2"];
    for (ips, expected) in [(public.as_slice(), true), (not_public.as_slice(), false)] {
        for ip in ips {
            assert_eq!(AddressClass::of(ip.parse().unwrap()) == AddressClass::Public, expected, "{ip}");
        }
    }
}

#[test]
fn embedded_addresses_are_unwrapped_first() {
    let forms = |[a, b, c, d]: [u8; 4]| {
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        [
            format!("::ffff:{high:x}:{low:x}"),
            format!("::{high:x}:{low:x}"),
            format!("::ffff:0:{high:x}:{low:x}"),
            format!("64:ff9b::{high:x}:{low:x}"),
            format!("64:ff9b:1::{high:x}:{low:x}"),
            format!("64:ff9b:1:{high:x}:{:x}:{:x}::", u16::from(c), u16::from(d) << 8),
            format!("2002:{high:x}:{low:x}::1"),
            format!("2001:0:4136:e378:8000:63bf:{:x}:{:x}", !high, !low),
        ]
    };
    for (ip, class) in [
        ([127, 0, 0, 1], AddressClass::Loopback),
        ([10, 1, 2, 3], AddressClass::PrivateUse),
        ([169, 254, 169, 254], AddressClass::CloudMetadata),
        ([169, 254, 1, 1], AddressClass::LinkLocal),
        ([100, 100, 100, 200], AddressClass::CloudMetadata),
        ([224, 0, 0, 1], AddressClass::Multicast),
    ] {
        for form in forms(ip) {
            let found = AddressClass::of(form.parse().unwrap());
            // A local NAT64 prefix has the address in one of two places, and zeros in the other are special too.
            let either = form.starts_with("64:ff9b:1:") && class != AddressClass::CloudMetadata;
            assert!(found == class || (either && found == AddressClass::Unspecified), "{form} is {found}");
        }
    }
    // Around a public address only the forms that are routed as such are public: mapped, and NAT64's own prefix.
    let public = forms([203, 0, 114, 7]).map(|form| AddressClass::of(form.parse().unwrap()) == AddressClass::Public);
    assert_eq!(public, [true, false, false, true, false, false, false, false]);
}
