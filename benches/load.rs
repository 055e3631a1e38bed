//! A policy's text to a ready policy, beside what a parser takes for the same text when nothing is checked.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a measurement of something that does not work should end at once"
)]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use egress_guard::Policy;
use egress_guard_benches::{Text, json, toml};
use serde::de::IgnoredAny;

fn load(criterion: &mut Criterion) {
    for rules in [10, 1_000, 10_000] {
        let texts = [(Text::Hosts, ""), (Text::Paths, ", with paths")];
        for (text, suffix) in texts.into_iter().filter(|(text, _)| *text == Text::Hosts || rules <= 1_000) {
            let (json, toml) = (json(rules, text), toml(rules, text));
            let mut group = criterion.benchmark_group(format!("load{suffix}"));
            group.throughput(Throughput::Bytes(json.len() as u64));
            group.bench_function(BenchmarkId::new("Policy::from_json", rules), |bencher| {
                bencher.iter_with_large_drop(|| Policy::from_json(&json).unwrap());
            });
            group.bench_function(BenchmarkId::new("serde_json, to Value", rules), |bencher| {
                bencher.iter_with_large_drop(|| serde_json::from_str::<serde_json::Value>(&json).unwrap());
            });
            group.bench_function(BenchmarkId::new("serde_json, to IgnoredAny", rules), |bencher| {
                bencher.iter(|| serde_json::from_str::<IgnoredAny>(&json).unwrap());
            });
            group.throughput(Throughput::Bytes(toml.len() as u64));
            group.bench_function(BenchmarkId::new("Policy::from_toml", rules), |bencher| {
                bencher.iter_with_large_drop(|| Policy::from_toml(&toml).unwrap());
            });
            group.bench_function(BenchmarkId::new("toml, to Table", rules), |bencher| {
                bencher.iter_with_large_drop(|| toml::from_str::<toml::Table>(&toml).unwrap());
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2)).sample_size(50);
    targets = load
}
criterion_main!(benches);
