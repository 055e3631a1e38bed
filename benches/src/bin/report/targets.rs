//! What was set out to be reached, and whether it was.

use crate::results::{Clients, Comparison, Point, Results, Spread};
use crate::tables::{number, spread, time};

/// A target in words, what was measured, and whether that is enough; none where it was not measured.
struct Row {
    target: &'static str,
    measured: Option<(String, bool)>,
}

pub(crate) fn table(results: &Results) -> String {
    let mut text = "| target | measured | reached |\n|---|---|---|\n".to_owned();
    for Row { target, measured } in rows(results) {
        let (measured, reached) = match measured {
            Some((measured, true)) => (measured, "yes"),
            Some((measured, false)) => (measured, "**no**"),
            None => ("not measured".to_owned(), ""),
        };
        text += &format!("| {target} | {measured} | {reached} |\n");
    }
    text
}

fn rows(results: &Results) -> Vec<Row> {
    let mut rows = decision(results);
    rows.extend(networks(results));
    rows.extend(clients(results));
    rows.extend(cold_start(results));
    rows.extend(memory(results));
    rows
}

const QUERIES: [&str; 4] = ["exact hit", "wildcard hit", "miss", "near miss"];

fn decision(results: &Results) -> Vec<Row> {
    let points = results.decision.as_ref().map(|section| section.of.as_slice());
    let allocations = results.memory.as_ref().and_then(|section| {
        let ours = section.of.decisions.iter().filter(|row| row.what.starts_with("egress-guard"));
        let most = ours.map(|row| row.allocations).max_by(f64::total_cmp)?;
        Some((format!("{most}"), most == 0.0))
    });
    let to_floor = points.and_then(|points| {
        let worst = worst(points, "decision, exact hit", "egress-guard", "floor")?;
        Some((format!("{:.1}x, at {} hosts", worst.0, number(worst.1)), worst.0 <= 3.0))
    });
    let growth = points.and_then(|points| {
        let growth = |query: &&'static str| {
            let at = |size| nanos(points, &format!("decision, {query}"), "egress-guard", size);
            Some((at(100_000)? / at(10)?, *query))
        };
        let (most, query) = QUERIES.iter().filter_map(growth).max_by(|one, other| one.0.total_cmp(&other.0))?;
        Some((format!("{most:.2}x, {query}"), most <= 2.0))
    });
    let http_acl = |size: usize, least: f64| {
        let ratio = |query: &&'static str| {
            let at = |name| nanos(points?, &format!("decision, {query}"), name, size);
            Some((at("http-acl")? / at("egress-guard")?, *query))
        };
        let queries = QUERIES.iter().filter(|query| **query != "exact hit");
        let (ratio, query) = queries.filter_map(ratio).min_by(|one, other| one.0.total_cmp(&other.0))?;
        Some((format!("{ratio:.0}x, {query}"), ratio >= least))
    };
    vec![
        Row { target: "decision: no allocation", measured: allocations },
        Row { target: "decision, exact hit: within 3x of the floor at every size", measured: to_floor },
        Row { target: "decision: 100,000 hosts within 2x of 10 hosts", measured: growth },
        Row {
            target: "decision, wildcard hits and misses at 10 hosts: 10x faster than http-acl",
            measured: http_acl(10, 10.0),
        },
        Row { target: "the same at 1,000 hosts: 500x", measured: http_acl(1_000, 500.0) },
    ]
}

fn networks(results: &Results) -> Vec<Row> {
    let measured = results.networks.as_ref().and_then(|section| {
        let worst = |group| worst(&section.of, group, "egress-guard", "LC-trie");
        let worst = worst("networks, hit").into_iter().chain(worst("networks, miss"));
        let (ratio, size) = worst.max_by(|one, other| one.0.total_cmp(&other.0))?;
        Some((format!("{ratio:.1}x, at {} networks", number(size)), ratio <= 2.0))
    });
    vec![Row { target: "networks: within 2x of the LC-trie at every size", measured }]
}

fn clients(results: &Results) -> Vec<Row> {
    let clients = results.clients.as_ref().map(|section| &section.of);
    let compared = |connections: usize, name: &str, base: &str| -> Option<&Comparison> {
        let setting = clients?.settings.iter().find(|setting| setting.connections == connections)?;
        setting.comparisons.iter().find(|comparison| comparison.name == name && comparison.base == base)
    };
    let throughput = |connections, name, base, least: f64| {
        let Spread { median, .. } = compared(connections, name, base)?.throughput;
        Some((spread(&compared(connections, name, base)?.throughput, 3), median >= least))
    };
    let full = |connections| compared(connections, "guard.client", "reqwest");
    let latency = full(1).map(|full| (spread(&full.latency, 3), full.latency.median <= 1.05));
    let cpu = full(1).map(|full| (spread(&full.cpu_more_micros, 2) + " µs", full.cpu_more_micros.median <= 3.0));
    let squid = |connections, least| match clients {
        Some(Clients { squid: None, .. }) => Some(("squid not installed".to_owned(), false)),
        _ => throughput(connections, "guard.client", "reqwest through squid", least),
    };
    vec![
        Row {
            target: "`guard.reqwest`, one pooled connection: throughput at least 0.98 of plain",
            measured: throughput(1, "guard.reqwest", "reqwest", 0.98),
        },
        Row {
            target: "`guard.reqwest`, 32 pooled connections: the same",
            measured: throughput(32, "guard.reqwest", "reqwest", 0.98),
        },
        Row { target: "`guard.client`, one connection: median latency at most 1.05 of plain", measured: latency },
        Row { target: "`guard.client`, one connection: at most 3 µs of CPU more for each request", measured: cpu },
        Row {
            target: "`guard.client`, 32 connections: throughput at least 0.92 of plain",
            measured: throughput(32, "guard.client", "reqwest", 0.92),
        },
        Row { target: "`guard.client`, one connection: twice the throughput of squid", measured: squid(1, 2.0) },
        Row { target: "`guard.client`, 32 connections: four times", measured: squid(32, 4.0) },
    ]
}

fn cold_start(results: &Results) -> Vec<Row> {
    let load = |name: &'static str| nanos(&results.load.as_ref()?.of, "load", name, 1_000);
    let json = load("Policy::from_json");
    let times = |name: &'static str| {
        let ratio = json? / load(name)?;
        Some((format!("{ratio:.1}x"), ratio <= 3.0))
    };
    let cold = results.cold_start.as_ref().map(|section| &section.of);
    let size = cold.map(|cold| {
        let more = cold.guarded.bytes.saturating_sub(cold.plain.bytes);
        (format!("{} KB", more / 1_000), more <= 500_000)
    });
    vec![
        Row {
            target: "1,000 rules of JSON to a policy: at most 0.5 ms",
            measured: json.map(|nanos| (time(nanos), nanos <= 0.5e6)),
        },
        Row { target: "the same: at most 3x serde_json into a `Value`", measured: times("serde_json, to Value") },
        Row { target: "the same: at most 3x serde_json into nothing", measured: times("serde_json, to IgnoredAny") },
        Row {
            target: "function with a guard of 50 rules: ready at most 1 ms later",
            measured: cold.map(|cold| (spread(&cold.ready_later, 2) + " ms", cold.ready_later.median <= 1.0)),
        },
        Row { target: "function with the guard: binary at most 500 KB larger", measured: size },
    ]
}

fn memory(results: &Results) -> Vec<Row> {
    let most = |what: &str| {
        let memory = &results.memory.as_ref()?.of;
        let kept = memory.patterns.iter().filter(|kept| kept.what == what && kept.hosts >= 1_000);
        let most = kept.max_by(|one, other| one.bytes.total_cmp(&other.bytes))?;
        Some((format!("{:.0} B, at {} hosts", most.bytes, number(most.hosts)), most.bytes <= 100.0))
    };
    vec![
        Row {
            target: "memory: at most 100 bytes for each host pattern beyond its text, 1,000 hosts or more in ten rules",
            measured: most("egress-guard, ten rules"),
        },
        Row {
            target: "the same with each host in a rule of its own, the rule included",
            measured: most("egress-guard"),
        },
    ]
}

fn nanos(points: &[Point], group: &str, name: &str, size: usize) -> Option<f64> {
    let mut points = points.iter();
    points.find(|point| point.group == group && point.name == name && point.size == Some(size)).map(|point| point.nanos)
}

/// The largest ratio of two rows, and the size it is at.
fn worst(points: &[Point], group: &str, name: &str, base: &str) -> Option<(f64, usize)> {
    let ours = points.iter().filter(|point| point.group == group && point.name == name);
    let ratios = ours.filter_map(|point| Some((point.nanos / nanos(points, group, base, point.size?)?, point.size?)));
    ratios.max_by(|one, other| one.0.total_cmp(&other.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::results::Section;

    fn point(group: &str, name: &str, size: usize, nanos: f64) -> Point {
        Point { group: group.to_owned(), name: name.to_owned(), size: Some(size), nanos, low: nanos, high: nanos }
    }

    #[test]
    fn the_worst_size_decides() {
        let machine = Machine::now(true).unwrap();
        let mut points = Vec::new();
        for (size, ours) in [(10, 20.0), (1_000, 40.0)] {
            points.push(point("decision, exact hit", "egress-guard", size, ours));
            points.push(point("decision, exact hit", "floor", size, 10.0));
        }
        let results = Results { decision: Some(Section::new(machine, points)), ..Results::default() };
        let table = table(&results);
        assert!(table.contains("| 4.0x, at 1,000 hosts | **no** |"), "{table}");
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        let table = table(&Results::default());
        let rows = table.lines().skip(2);
        assert!(rows.clone().count() > 15);
        assert!(rows.clone().all(|row| row.ends_with("| not measured |  |")), "{table}");
    }
}
