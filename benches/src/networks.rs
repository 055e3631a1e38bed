//! Networks as a policy has them, and addresses to ask about.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use egress_guard::Destination;
use fastrand::Rng;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::QUERIES;

/// Public networks: 80 % IPv4 from `/16` to `/28`, 20 % IPv6 from `/32` to `/64`.
#[derive(Debug)]
pub struct Networks {
    networks: Vec<IpNet>,
    seed: u64,
}

/// Where an address lies that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every measurement goes through all of them")]
pub enum Place {
    /// In a listed network.
    Inside,
    /// In none.
    Outside,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inside, Self::Outside];

    /// The name, in tables and in criterion's files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inside => "hit",
            Self::Outside => "miss",
        }
    }
}

impl Networks {
    /// So many networks, which may lie within one another.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let seed = count as u64;
        let mut rng = Rng::with_seed(seed);
        let mut networks = HashSet::new();
        while networks.len() < count {
            networks.insert(network(&mut rng));
        }
        let mut networks: Vec<IpNet> = networks.into_iter().collect();
        networks.sort();
        rng.shuffle(&mut networks);
        Self { networks, seed }
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// Addresses to ask about.
    #[must_use]
    pub fn addresses(&self, place: Place) -> Vec<IpAddr> {
        let mut rng = Rng::with_seed(self.seed ^ 0x5eed);
        match place {
            Place::Inside => {
                let networks: Vec<_> = (0..QUERIES).map(|_| rng.choice(&self.networks).unwrap()).collect();
                networks.into_iter().map(|network| address(&mut rng, network)).collect()
            }
            Place::Outside => {
                let outside = std::iter::repeat_with(|| network(&mut rng).addr());
                outside.filter(|ip| !self.networks.iter().any(|network| network.contains(ip))).take(QUERIES).collect()
            }
        }
    }

    /// The same as whole destinations.
    #[must_use]
    pub fn destinations(&self, place: Place) -> Vec<Destination> {
        let host = |ip: IpAddr| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let url = |ip| format!("https://{}/v1/items/42?expand=all", host(ip));
        self.addresses(place).into_iter().map(|ip| url(ip).parse().unwrap()).collect()
    }
}

/// A network in a part of the address space that holds no special-purpose block.
fn network(rng: &mut Rng) -> IpNet {
    let network: IpNet = if rng.u8(..10) < 8 {
        let ip = Ipv4Addr::new(rng.u8(11..=95), rng.u8(..), rng.u8(..), rng.u8(..));
        Ipv4Net::new(ip, rng.u8(16..=28)).unwrap().into()
    } else {
        let ip = Ipv6Addr::from_bits((u128::from(rng.u16(0x2400..0x2c00)) << 112) | (rng.u128(..) >> 16));
        Ipv6Net::new(ip, rng.u8(32..=64)).unwrap().into()
    };
    network.trunc()
}

fn address(rng: &mut Rng, network: &IpNet) -> IpAddr {
    match network {
        IpNet::V4(network) => (network.network() | (network.hostmask() & Ipv4Addr::from_bits(rng.u32(..)))).into(),
        IpNet::V6(network) => (network.network() | (network.hostmask() & Ipv6Addr::from_bits(rng.u128(..)))).into(),
    }
}
