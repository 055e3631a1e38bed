//! One decision about a whole request, over ten to a hundred thousand hosts, beside what else could have made it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement of something that does not work should end at once"
)]

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use egress_guard::{Decision, Destination, Policy, Request};
use egress_guard_benches::peers::{Floor, globs, http_acl, http_acl_allows};
use egress_guard_benches::{Grouping, Hosts, Query, SIZES, host_policy, policy};
use http::Method;
use url::Url;

/// The guard passes the time in; here it stands still.
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// A path pattern in every rule takes megabytes beyond this.
const MOST_PATHS: usize = 1_000;

fn decisions(criterion: &mut Criterion) {
    for size in SIZES {
        let hosts = Hosts::new(size);
        let patterns = hosts.patterns();
        let each = host_policy(&hosts, Grouping::Each);
        let ten = host_policy(&hosts, Grouping::Ten);
        let paths = (size <= MOST_PATHS).then(|| {
            policy(&patterns, Grouping::Each, |rule, hosts| rule.hosts(hosts.iter().cloned()).paths(["/v1/**"]))
        });
        let acl = http_acl(&hosts);
        let globs = globs(&patterns);
        let floor = Floor::new(&patterns);

        for query in Query::ALL {
            let destinations = hosts.destinations(query);
            let urls: Vec<Url> =
                destinations.iter().map(|destination| destination.to_string().parse().unwrap()).collect();
            let names = hosts.names(query);
            for (destination, (url, name)) in destinations.iter().zip(urls.iter().zip(&names)).take(64) {
                let policies = [Some(&each), Some(&ten), paths.as_ref()];
                let agree = policies.into_iter().flatten().all(|policy| allows(policy, destination) == query.is_hit())
                    && http_acl_allows(&acl, &Method::GET, url) == query.is_hit()
                    && globs.is_match(name) == query.is_hit()
                    && floor.get(name).is_some() == (query == Query::Exact);
                assert!(agree, "{url} is a {}, and not all answer so", query.name());
            }

            let mut group = criterion.benchmark_group(format!("decision, {}", query.name()));
            let mut policy = |name: &str, policy: &Policy| {
                let mut turns = destinations.iter().cycle();
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter(|| decide(policy, turns.next().unwrap()));
                });
            };
            policy("egress-guard", &each);
            policy("egress-guard, ten rules", &ten);
            if let Some(paths) = &paths {
                policy("egress-guard, with paths", paths);
            }
            let mut turns = urls.iter().cycle();
            group.bench_function(BenchmarkId::new("egress-guard, from a URL", size), |bencher| {
                bencher.iter(|| decide(&each, &Destination::from_url(turns.next().unwrap()).unwrap()));
            });
            let mut turns = urls.iter().cycle();
            group.bench_function(BenchmarkId::new("http-acl", size), |bencher| {
                bencher.iter(|| http_acl_allows(&acl, &Method::GET, turns.next().unwrap()));
            });
            let mut turns = names.iter().cycle();
            let mut found = Vec::new();
            group.bench_function(BenchmarkId::new("globset", size), |bencher| {
                bencher.iter(|| {
                    globs.matches_into(turns.next().unwrap(), &mut found);
                    found.first().copied()
                });
            });
            let mut turns = names.iter().cycle();
            group.bench_function(BenchmarkId::new("floor", size), |bencher| {
                bencher.iter(|| floor.get(turns.next().unwrap()));
            });
            group.finish();
        }
    }
}

fn decide<'p>(policy: &'p Policy, destination: &Destination) -> Decision<'p> {
    policy.decide(&Request::new(&Method::GET, black_box(destination)), NOW)
}

fn allows(policy: &Policy, destination: &Destination) -> bool {
    match decide(policy, destination) {
        Decision::Allow { .. } => true,
        Decision::Deny { .. } => false,
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(50);
    targets = decisions
}
criterion_main!(benches);
