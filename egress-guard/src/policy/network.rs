//! Networks with values, found by address in a time that hardly depends on how many there are.
//!
//! Networks lie within one another or apart, so their ends cut the address space into ranges, each of which has one
//! narrowest network; the others around it are that one's parents. An address is found among the sorted ranges by a
//! binary search within its *bucket*, one of as many equal parts of the space between the first network and the last as
//! there are ranges, so that few ranges share one.

use std::net::IpAddr;

use ipnet::IpNet;

/// Built once, from all its networks.
#[derive(Clone, Debug)]
pub(crate) struct NetworkMap<V> {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// Sorted by [`IpNet`]'s order: a network stands behind those around it.
    networks: Box<[Entry<V>]>,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    network: IpNet,
    /// The narrowest network around it, or [`NONE`].
    parent: u32,
    value: V,
}

/// Where ranges begin, and the narrowest network around each.
#[derive(Clone, Debug)]
struct Ranges<A> {
    first: A,
    /// How many low bits of an address, counted from `first`, lie within one bucket.
    shift: u32,
    /// For each bucket the range that its first address could begin, and one more.
    buckets: Box<[u32]>,
    starts: Box<[A]>,
    innermost: Box<[u32]>,
}

const NONE: u32 = u32::MAX;

impl<V> Default for NetworkMap<V> {
    fn default() -> Self {
        Self { v4: Ranges::default(), v6: Ranges::default(), networks: Box::default() }
    }
}

impl<V: Default> NetworkMap<V> {
    /// A map of networks, each with what `add` makes of its numbers, in their order.
    pub(crate) fn new(mut items: Vec<(IpNet, u32)>, add: impl Fn(&mut V, u32)) -> Self {
        items.iter_mut().for_each(|(network, _)| *network = network.trunc());
        items.sort_unstable();
        let mut networks: Vec<Entry<V>> = Vec::with_capacity(items.len());
        for (network, number) in items {
            if networks.last().is_none_or(|last| last.network != network) {
                networks.push(Entry { network, parent: NONE, value: V::default() });
            }
            if let Some(last) = networks.last_mut() {
                add(&mut last.value, number);
            }
        }
        let (mut v4, mut v6) = (Edges::default(), Edges::default());
        for number in 0..networks.len() {
            let Some(network) = networks.get(number).map(|entry| entry.network) else { continue };
            #[allow(clippy::cast_possible_truncation, reason = "four thousand million networks are no policy")]
            let numbered = number as u32;
            let parent = match network {
                IpNet::V4(network) => v4.open(numbered, network.network().into(), network.broadcast().into()),
                IpNet::V6(network) => v6.open(numbered, network.network().into(), network.broadcast().into()),
            };
            if let Some(entry) = networks.get_mut(number) {
                entry.parent = parent;
            }
        }
        Self { v4: v4.ranges(), v6: v6.ranges(), networks: networks.into() }
    }
}

impl FromIterator<IpNet> for NetworkMap<()> {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self::new(networks.into_iter().map(|network| (network, 0)).collect(), |(), _| ())
    }
}

impl<V> NetworkMap<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Every network with its value, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpNet, &V)> {
        self.networks.iter().map(|entry| (entry.network, &entry.value))
    }

    /// Every network around an address, the narrowest first. IPv4-mapped addresses are looked up as the IPv4 address
    /// they are dialled as.
    pub(crate) fn around(&self, ip: IpAddr) -> impl Iterator<Item = (IpNet, &V)> {
        let innermost = match ip.to_canonical() {
            IpAddr::V4(ip) => self.v4.innermost(ip.into()),
            IpAddr::V6(ip) => self.v6.innermost(ip.into()),
        };
        let entry = |number: u32| self.networks.get(number as usize);
        let entries = std::iter::successors(entry(innermost), move |inner| entry(inner.parent));
        entries.map(|entry| (entry.network, &entry.value))
    }
}

impl<A: Address> Ranges<A> {
    /// The number of the narrowest network around an address.
    fn innermost(&self, address: A) -> u32 {
        self.range(address).and_then(|range| self.innermost.get(range)).copied().unwrap_or(NONE)
    }

    fn range(&self, address: A) -> Option<usize> {
        // Behind the last bucket the last range goes on.
        let last = self.buckets.len().checked_sub(2)?;
        let bucket = address.checked_sub(self.first)?.bucket(self.shift).min(last);
        let (from, to) = (*self.buckets.get(bucket)? as usize, *self.buckets.get(bucket + 1)? as usize);
        let begun = self.starts.get(from..to)?.partition_point(|start| *start <= address);
        (from + begun).checked_sub(1)
    }
}

impl<A: Address> Default for Ranges<A> {
    fn default() -> Self {
        Edges::default().ranges()
    }
}

/// The ranges of networks that are met in order.
struct Edges<A> {
    starts: Vec<A>,
    innermost: Vec<u32>,
    /// The networks around the place that has been reached, and their last addresses.
    open: Vec<(u32, A)>,
}

impl<A> Default for Edges<A> {
    fn default() -> Self {
        Self { starts: Vec::new(), innermost: Vec::new(), open: Vec::new() }
    }
}

impl<A: Address> Edges<A> {
    /// Meets a network, and gives the narrowest one around it.
    fn open(&mut self, number: u32, first: A, last: A) -> u32 {
        self.close(|end| end < first);
        let parent = self.open.last().map_or(NONE, |(number, _)| *number);
        self.begin(first, number);
        self.open.push((number, last));
        parent
    }

    /// Leaves the networks of which `is_over` is true.
    fn close(&mut self, is_over: impl Fn(A) -> bool) {
        while let Some((_, last)) = self.open.pop_if(|(_, last)| is_over(*last)) {
            let around = self.open.last().map_or(NONE, |(number, _)| *number);
            // Behind the last address of all there is none.
            if let Some(next) = last.next() {
                self.begin(next, around);
            }
        }
    }

    fn begin(&mut self, start: A, innermost: u32) {
        // A network that begins or ends with another one leaves nothing between them.
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.innermost.pop();
        }
        self.starts.push(start);
        self.innermost.push(innermost);
    }

    fn ranges(mut self) -> Ranges<A> {
        self.close(|_| true);
        let Self { starts, innermost, .. } = self;
        let first = starts.first().copied().unwrap_or_default();
        let span = starts.last().copied().and_then(|last| last.checked_sub(first)).unwrap_or_default();
        // As many bits as make a bucket for each range, or for every second one.
        let shift = span.bits().saturating_sub(starts.len().checked_ilog2().unwrap_or(0));
        let bucket_of = |start: &A| start.checked_sub(first).map_or(0, |offset| offset.bucket(shift));
        let mut buckets = Vec::new();
        for (range, start) in (0..).zip(&starts) {
            buckets.resize(buckets.len().max(bucket_of(start) + 1), range);
        }
        buckets.extend(u32::try_from(starts.len()).ok().filter(|count| *count > 0));
        Ranges { first, shift, buckets: buckets.into(), starts: starts.into(), innermost: innermost.into() }
    }
}

/// An address as a number.
trait Address: Copy + Ord + Default {
    fn checked_sub(self, other: Self) -> Option<Self>;
    fn next(self) -> Option<Self>;
    /// How many bits it has, without leading zeros.
    fn bits(self) -> u32;
    /// What is left without its low bits.
    fn bucket(self, shift: u32) -> usize;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            fn checked_sub(self, other: Self) -> Option<Self> {
                self.checked_sub(other)
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn bits(self) -> u32 {
                Self::BITS - self.leading_zeros()
            }

            fn bucket(self, shift: u32) -> usize {
                self.checked_shr(shift).unwrap_or(0).try_into().unwrap_or(usize::MAX)
            }
        }
    };
}

address!(u32);
address!(u128);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// Few bits differ, so that networks touch and lie within one another.
    fn ip() -> impl Strategy<Value = IpAddr> {
        let v4 = prop_oneof![0_u32..8, Just(u32::MAX), (0_u32..4, 0_u32..8).prop_map(|(high, low)| high << 30 | low)];
        let v6 =
            prop_oneof![0_u128..8, Just(u128::MAX), (0_u128..4, 0_u128..8).prop_map(|(high, low)| high << 126 | low)];
        prop_oneof![
            v4.prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            v6.prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
            any::<IpAddr>(),
        ]
    }

    fn network() -> impl Strategy<Value = IpNet> {
        (ip(), prop_oneof![0_u8..=4, 27_u8..=32, 0_u8..=128]).prop_map(|(ip, length)| {
            let length = if ip.is_ipv4() { length.min(32) } else { length };
            IpNet::new(ip, length).unwrap().trunc()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn the_map_finds_what_a_walk_over_all_networks_finds(
            networks in prop::collection::vec(network(), 0..40),
            addresses in prop::collection::vec(ip(), 1..40),
        ) {
            let items = networks.iter().copied().zip(0..).collect();
            let map = NetworkMap::<Vec<usize>>::new(items, |numbers, number| numbers.push(number as usize));
            let ends = networks.iter().flat_map(|network| [network.network(), network.broadcast()]);
            for ip in addresses.into_iter().chain(ends) {
                let found: Vec<_> = map.around(ip).map(|(network, numbers)| (network, numbers.clone())).collect();
                prop_assert!(found.is_sorted_by(|(inner, _), (outer, _)| inner.prefix_len() > outer.prefix_len()));
                let mut numbers: Vec<usize> = found.iter().flat_map(|(_, numbers)| numbers.clone()).collect();
                numbers.sort_unstable();
                let canonical = ip.to_canonical();
                let walked: Vec<usize> =
                    (0..networks.len()).filter(|number| networks[*number].contains(&canonical)).collect();
                prop_assert_eq!(numbers, walked, "{} in {:?}", ip, networks);
                let right = |(network, numbers): &(IpNet, Vec<usize>)| numbers.iter().all(|at| networks[*at] == *network);
                prop_assert!(found.iter().all(right));
            }
            let mut listed: Vec<IpNet> = networks.clone();
            listed.sort();
            listed.dedup();
            prop_assert_eq!(map.iter().map(|(network, _)| network).collect::<Vec<_>>(), listed);
        }
    }
}
