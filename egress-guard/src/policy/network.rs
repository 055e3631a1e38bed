//! Networks with values, found by address in a time that does not depend on how many there are.
//!
//! One hash table per prefix length that occurs: an address is masked and looked up once for each, at most 33 times
//! for IPv4 and 129 times for IPv6, and a handful of times in any real policy.

use std::net::IpAddr;

use hashbrown::HashMap;
use ipnet::IpNet;

#[derive(Clone, Debug)]
pub(crate) struct NetworkMap<V> {
    lengths_v4: Vec<u8>,
    lengths_v6: Vec<u8>,
    values: HashMap<IpNet, V>,
}

impl<V> Default for NetworkMap<V> {
    fn default() -> Self {
        Self { lengths_v4: Vec::new(), lengths_v6: Vec::new(), values: HashMap::new() }
    }
}

impl<V: Default> NetworkMap<V> {
    /// The value of a network, new if there was none.
    pub(crate) fn entry(&mut self, network: IpNet) -> &mut V {
        let network = network.trunc();
        let lengths = match network {
            IpNet::V4(_) => &mut self.lengths_v4,
            IpNet::V6(_) => &mut self.lengths_v6,
        };
        if !lengths.contains(&network.prefix_len()) {
            lengths.push(network.prefix_len());
        }
        self.values.entry(network).or_default()
    }
}

impl<V> NetworkMap<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Every network, in no order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = IpNet> {
        self.values.keys().copied()
    }

    /// Every network around an address. IPv4-mapped addresses are looked up as the IPv4 address they are dialled as.
    pub(crate) fn around(&self, ip: IpAddr) -> impl Iterator<Item = (IpNet, &V)> {
        let ip = ip.to_canonical();
        let lengths = match ip {
            IpAddr::V4(_) => &self.lengths_v4,
            IpAddr::V6(_) => &self.lengths_v6,
        };
        lengths.iter().filter_map(move |length| {
            let network = IpNet::new(ip, *length).ok()?.trunc();
            self.values.get(&network).map(|value| (network, value))
        })
    }
}
