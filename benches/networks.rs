//! One decision about an address, over ten to a hundred thousand networks, beside a linear search and an LC-trie.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a measurement of something that does not work should end at once"
)]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use egress_guard::{Decision, Policy, Request};
use egress_guard_benches::peers::LcTrie;
use egress_guard_benches::{Grouping, Networks, Place, SIZES, policy};
use http::Method;

fn decisions(criterion: &mut Criterion) {
    for size in SIZES {
        let networks = Networks::new(size);
        let texts: Vec<String> = networks.networks().iter().map(ToString::to_string).collect();
        let [each, ten] = [Grouping::Each, Grouping::Ten]
            .map(|grouping| policy(&texts, grouping, |rule, networks| rule.networks(networks.iter().cloned())));
        let trie = LcTrie::new(networks.networks());
        let linear = networks.networks();

        for place in Place::ALL {
            let destinations = networks.destinations(place);
            let addresses = networks.addresses(place);
            let method = Method::GET;
            let requests: Vec<Request<'_>> =
                destinations.iter().map(|destination| Request::new(&method, destination)).collect();
            for (request, ip) in requests.iter().zip(&addresses) {
                let expected = place == Place::Inside;
                let agree = [&each, &ten].into_iter().all(|policy| allows(policy, request) == expected)
                    && (trie.lookup(*ip) > 0) == expected;
                assert!(agree, "{ip} is a {}, and not all answer so", place.name());
            }

            let mut group = criterion.benchmark_group(format!("networks, {}", place.name()));
            let mut policy = |name: &str, policy: &Policy| {
                let mut turns = requests.iter().cycle();
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter(|| policy.decide(black_box(turns.next().unwrap()), SystemTime::UNIX_EPOCH));
                });
            };
            policy("egress-guard", &each);
            policy("egress-guard, ten rules", &ten);
            let mut turns = addresses.iter().cycle();
            group.bench_function(BenchmarkId::new("LC-trie", size), |bencher| {
                bencher.iter(|| trie.lookup(*black_box(turns.next().unwrap())));
            });
            let mut turns = addresses.iter().cycle();
            group.bench_function(BenchmarkId::new("linear", size), |bencher| {
                bencher.iter(|| {
                    let ip = black_box(turns.next().unwrap());
                    linear.iter().position(|network| network.contains(ip))
                });
            });
            group.finish();
        }
    }
}

fn allows(policy: &Policy, request: &Request<'_>) -> bool {
    matches!(policy.decide(request, SystemTime::UNIX_EPOCH), Decision::Allow { .. })
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(50);
    targets = decisions
}
criterion_main!(benches);
