//! What is allocated for a decision, for an audit line and for a host pattern; printed as JSON.

#![allow(clippy::unwrap_used, reason = "a measurement of something that does not work should end at once")]

use std::alloc::System;
use std::time::SystemTime;

use egress_guard::{AuditSink, Destination, JsonLines, Policy, Request};
use egress_guard_benches::peers::{Floor, globs, http_acl, http_acl_allows};
use egress_guard_benches::{Grouping, Hosts, Networks, Place, Query, SIZES, host_policy, layered, policy, with_record};
use http::Method;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use url::Url;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const HOSTS: usize = 1_000;

fn main() {
    let patterns: Vec<Value> = SIZES.into_iter().flat_map(kept).collect();
    println!("{}", json!({ "decisions": decisions(), "lines": lines(), "patterns": patterns }));
}

/// Allocations for each decision.
fn decisions() -> Vec<Value> {
    let hosts = Hosts::new(HOSTS);
    let patterns = hosts.patterns();
    let [each, ten] = [Grouping::Each, Grouping::Ten].map(|grouping| host_policy(&hosts, grouping));
    let acl = http_acl(&hosts);
    let globs = globs(&patterns);
    let mut rows = Vec::new();
    for query in Query::ALL {
        let destinations = hosts.destinations(query);
        let urls: Vec<Url> = destinations.iter().map(|destination| destination.to_string().parse().unwrap()).collect();
        let names = hosts.names(query);
        let mut found = Vec::with_capacity(16);
        let mut row = |what: &str, allocations: f64| {
            rows.push(json!({ "what": what, "query": query.name(), "allocations": allocations }));
        };
        row("egress-guard", for_each(&destinations, |destination| decide(&each, destination)));
        row("egress-guard, ten rules", for_each(&destinations, |destination| decide(&ten, destination)));
        row("http-acl", for_each(&urls, |url| http_acl_allows(&acl, &Method::GET, url)));
        row("globset", for_each(&names, |name| globs.matches_into(name, &mut found)));
    }
    let networks = Networks::new(HOSTS);
    let texts: Vec<String> = networks.networks().iter().map(ToString::to_string).collect();
    let policy = policy(&texts, Grouping::Each, |rule, networks| rule.networks(networks.iter().cloned()));
    for place in Place::ALL {
        let allocations = for_each(&networks.destinations(place), |destination| decide(&policy, destination));
        let query = format!("network {}", place.name());
        rows.push(json!({ "what": "egress-guard", "query": query, "allocations": allocations }));
    }
    rows
}

fn decide<'p>(policy: &'p Policy, destination: &Destination) -> egress_guard::Decision<'p> {
    policy.decide(&Request::new(&Method::GET, destination), SystemTime::UNIX_EPOCH)
}

/// Allocations for each item, on average.
#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn for_each<T, R>(items: &[T], mut operation: impl FnMut(&T) -> R) -> f64 {
    let region = Region::new(ALLOCATOR);
    for item in items {
        drop(std::hint::black_box(operation(item)));
    }
    let change = region.change();
    (change.allocations + change.reallocations) as f64 / items.len() as f64
}

/// Allocations for a line and for a request.
fn lines() -> Value {
    const TIMES: [(); 1_000] = [(); 1_000];
    let (line, lines) = std::sync::mpsc::channel();
    with_record(move |record| {
        let sink = JsonLines::new(std::io::sink());
        line.send(for_each(&TIMES, |()| sink.record(record).unwrap())).unwrap();
    });
    let mut request = layered(JsonLines::new(std::io::sink()));
    request();
    json!({ "line": lines.recv().unwrap(), "guarded_request": for_each(&TIMES, |()| request()) })
}

/// Bytes kept for each host pattern beyond its text.
fn kept(size: usize) -> Vec<Value> {
    let hosts = Hosts::new(size);
    let patterns = hosts.patterns();
    let text: usize = patterns.iter().map(String::len).sum();
    let row = |what: &str, bytes: usize| {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let beyond = (bytes as f64 - text as f64) / size as f64;
        json!({ "what": what, "hosts": size, "bytes": beyond })
    };
    vec![
        row("egress-guard", bytes_of(|| host_policy(&hosts, Grouping::Each))),
        row("egress-guard, ten rules", bytes_of(|| host_policy(&hosts, Grouping::Ten))),
        row("http-acl", bytes_of(|| http_acl(&hosts))),
        row("globset", bytes_of(|| globs(&patterns))),
        row("floor", bytes_of(|| Floor::new(&patterns))),
    ]
}

fn bytes_of<T>(make: impl FnOnce() -> T) -> usize {
    let region = Region::new(ALLOCATOR);
    let made = make();
    let change = region.change();
    drop(made);
    change.bytes_allocated - change.bytes_deallocated
}
