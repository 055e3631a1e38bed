//! The tables of the page.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::Failure;
use crate::machine::Machine;
use crate::results::{Client, Comparison, Function, Point, Results, Section, Spread};

/// For what no run has measured.
const NONE: &str = "Not measured yet.";

pub(crate) fn machine(results: &Results) -> String {
    let mut machines = Vec::new();
    for Machine { cpu, cores, is_virtual, kernel, rustc, .. } in stamps(results) {
        let kind = if *is_virtual { ", a virtual machine" } else { "" };
        let line = format!("{cpu}, {cores} cores{kind}; Linux {kernel}; {rustc}, `--release` as cargo has it.\n");
        if !machines.contains(&line) {
            machines.push(line);
        }
    }
    if machines.is_empty() { NONE.to_owned() } else { machines.join("\n") }
}

fn stamps(results: &Results) -> impl Iterator<Item = &Machine> {
    let Results { decision, networks, load, audit, memory, clients, cold_start } = results;
    [
        decision.as_ref().map(|section| &section.machine),
        networks.as_ref().map(|section| &section.machine),
        load.as_ref().map(|section| &section.machine),
        audit.as_ref().map(|section| &section.machine),
        memory.as_ref().map(|section| &section.machine),
        clients.as_ref().map(|section| &section.machine),
        cold_start.as_ref().map(|section| &section.machine),
    ]
    .into_iter()
    .flatten()
}

/// A section's tables, and when they were measured.
fn section<T>(section: Option<&Section<T>>, tables: impl FnOnce(&T) -> String) -> String {
    let Some(Section { machine, of }) = section else { return NONE.to_owned() };
    let Machine { day, commit, load, quick, .. } = machine;
    let trial = if *quick { " A trial: too short to say much." } else { "" };
    format!("{}\nMeasured on {day} at commit `{commit}`, load {load:.2}.{trial}\n", tables(of))
}

fn table(head: &[String], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head);
    text += &format!("|---|{}\n", "--:|".repeat(head.len().saturating_sub(1)));
    rows.into_iter().fold(text, |text, row| text + &line(&row))
}

fn cells<T: ToString>(cells: impl IntoIterator<Item = T>) -> Vec<String> {
    cells.into_iter().map(|cell| cell.to_string()).collect()
}

/// Three significant digits, in the unit that fits.
pub(crate) fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        _ => (nanos / 1e6, "ms"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// `10000` as `10,000`.
pub(crate) fn number(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups.into_iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

/// One row for each name, one column for each size.
fn grid(names: &[&str], sizes: &[usize], unit: &str, cell: impl Fn(&str, usize) -> Option<String>) -> String {
    let rows = names.iter().map(|name| {
        let cell = |size: &usize| cell(name, *size).unwrap_or_default();
        [(*name).to_owned()].into_iter().chain(sizes.iter().map(cell)).collect()
    });
    let head = [String::new()].into_iter().chain(sizes.iter().map(|size| format!("{} {unit}", number(*size))));
    table(&head.collect::<Vec<_>>(), rows)
}

fn distinct(sizes: impl Iterator<Item = usize>) -> Vec<usize> {
    sizes.collect::<BTreeSet<_>>().into_iter().collect()
}

fn by_size(points: &[Point], group: &str, names: &[&str], unit: &str) -> String {
    let points: Vec<&Point> = points.iter().filter(|point| point.group == group).collect();
    let sizes = distinct(points.iter().filter_map(|point| point.size));
    grid(names, &sizes, unit, |name, size| {
        let point = points.iter().find(|point| point.name == name && point.size == Some(size));
        point.map(|point| time(point.nanos))
    })
}

pub(crate) fn decision(results: &Results) -> String {
    const NAMES: [&str; 7] = [
        "floor",
        "egress-guard",
        "egress-guard, ten rules",
        "egress-guard, with paths",
        "egress-guard, from a URL",
        "globset",
        "http-acl",
    ];
    section(results.decision.as_ref(), |points| {
        let group = |title: &str, group: &str| format!("### {title}\n\n{}\n", by_size(points, group, &NAMES, "hosts"));
        group("Exact hit", "decision, exact hit")
            + &group("Wildcard hit", "decision, wildcard hit")
            + &group("Miss", "decision, miss")
            + &group("Near miss", "decision, near miss")
    })
}

pub(crate) fn networks(results: &Results) -> String {
    const NAMES: [&str; 4] = ["LC-trie", "egress-guard", "egress-guard, ten rules", "linear"];
    section(results.networks.as_ref(), |points| {
        let group =
            |title: &str, group: &str| format!("### {title}\n\n{}\n", by_size(points, group, &NAMES, "networks"));
        group("An address in a listed network", "networks, hit") + &group("In none", "networks, miss")
    })
}

pub(crate) fn load(results: &Results) -> String {
    const NAMES: [&str; 5] = [
        "Policy::from_json",
        "serde_json, to Value",
        "serde_json, to IgnoredAny",
        "Policy::from_toml",
        "toml, to Table",
    ];
    section(results.load.as_ref(), |points| {
        let group = |title: &str, group: &str| format!("### {title}\n\n{}\n", by_size(points, group, &NAMES, "rules"));
        group("Rules of a host, a port and two methods", "load")
            + &group("With a path pattern each", "load, with paths")
    })
}

pub(crate) fn audit(results: &Results) -> String {
    section(results.audit.as_ref(), |points| {
        let lines = results.memory.as_ref().map(|memory| &memory.of.lines);
        let allocations = |name: &str| match (name, lines) {
            ("JsonLines", Some(lines)) => lines.line.to_string(),
            ("lines written nowhere", Some(lines)) => lines.guarded_request.to_string(),
            _ => String::new(),
        };
        let rows = points.iter().map(|point| {
            let Point { group, name, nanos, low, high, .. } = point;
            let range = format!("{} to {}", time(*low), time(*high));
            vec![format!("{group}: {name}"), time(*nanos), range, allocations(name)]
        });
        table(&cells(["", "median", "95 % confidence", "allocations"]), rows)
    })
}

pub(crate) fn memory(results: &Results) -> String {
    const NAMES: [&str; 5] = ["floor", "egress-guard", "egress-guard, ten rules", "globset", "http-acl"];
    section(results.memory.as_ref(), |memory| {
        let sizes = distinct(memory.patterns.iter().map(|kept| kept.hosts));
        let kept = grid(&NAMES, &sizes, "hosts", |name, size| {
            let kept = memory.patterns.iter().find(|kept| kept.what == name && kept.hosts == size);
            kept.map(|kept| format!("{:.0} B", kept.bytes))
        });

        let rows = memory
            .decisions
            .iter()
            .map(|row| cells([row.query.clone(), row.what.clone(), format!("{:.0}", row.allocations)]));
        let allocations = table(&cells(["decision", "by", "allocations"]), rows);
        format!(
            "### Kept for each host pattern, beyond its text\n\n{kept}\n### Allocations for each decision, over 1,000 hosts or networks\n\n{allocations}"
        )
    })
}

/// The middle, and between which values the middle half lies.
pub(crate) fn spread(spread: &Spread, digits: usize) -> String {
    let Spread { median, quartiles: (low, high), .. } = spread;
    format!("{median:.digits$} ({low:.digits$} to {high:.digits$})")
}

fn range(spread: &Spread, digits: usize) -> String {
    let Spread { extremes: (least, most), .. } = spread;
    format!("{least:.digits$} to {most:.digits$}")
}

pub(crate) fn clients(results: &Results) -> String {
    section(results.clients.as_ref(), |clients| {
        let mut text = String::new();
        for setting in &clients.settings {
            let connections = match setting.connections {
                1 => "One connection".to_owned(),
                connections => format!("{connections} connections"),
            };
            let (rounds, requests) = (clients.rounds, number(setting.requests));
            let rows = setting.clients.iter().map(|client| {
                let Client { name, requests_per_second, latency_micros, cpu_micros } = client;
                let per_second = spread(requests_per_second, 0);
                vec![name.clone(), per_second, spread(latency_micros, 1), spread(cpu_micros, 2)]
            });
            let absolute = table(&cells(["", "requests/s", "median latency, µs", "CPU per request, µs"]), rows);
            let rows = setting.comparisons.iter().map(|comparison| {
                let Comparison { name, base, throughput, latency, cpu_more_micros } = comparison;
                let (one, other) = (spread(throughput, 3), spread(latency, 3));
                vec![format!("{name} / {base}"), one, range(throughput, 2), other, spread(cpu_more_micros, 2)]
            });
            let head = ["", "throughput, ratio", "extremes", "median latency, ratio", "CPU per request, µs more"];
            let _ = write!(
                text,
                "### {connections}\n\n{rounds} rounds of {requests} requests; medians, and in brackets the quartiles.\n\n\
                 {absolute}\n{}\n",
                table(&cells(head), rows)
            );
        }
        match &clients.squid {
            Some(version) => text + &format!("squid is {version}.\n"),
            None => text + "squid was not installed, and so was not measured.\n",
        }
    })
}

pub(crate) fn cold_start(results: &Results) -> String {
    section(results.cold_start.as_ref(), |cold| {
        let row = |what: &str, value: fn(&Function) -> String, more: String| {
            vec![what.to_owned(), value(&cold.plain), value(&cold.guarded), more]
        };
        #[allow(clippy::cast_possible_wrap, reason = "neither is that large")]
        let more = |value: fn(&Function) -> u64| value(&cold.guarded) as i64 - value(&cold.plain) as i64;
        let rows = [
            row("ready, ms", |function| spread(&function.ready, 2), spread(&cold.ready_later, 2)),
            row("first request, ms", |function| spread(&function.request, 2), spread(&cold.request_later, 2)),
            row("binary, bytes", |function| function.bytes.to_string(), more(|function| function.bytes).to_string()),
            row("crates", |function| function.crates.to_string(), more(|function| function.crates as u64).to_string()),
        ];
        let head = ["", "without", "guarded", "more"];
        let table = table(&cells(head), rows);
        format!("{} starts of each, in turn, with a policy of {} rules.\n\n{table}", cold.starts, cold.rules)
    })
}

/// The committed figures that CI compares with.
pub(crate) fn instructions() -> Result<String, Failure> {
    let figures: toml::Table = include_str!("../../../instructions.toml").parse()?;
    let figures =
        figures.get("instructions").and_then(toml::Value::as_table).ok_or("instructions.toml has no figures")?;
    let rows = figures.iter().map(|(name, count)| {
        let count = count.as_float().unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of instructions")]
        cells([name.replace('-', " "), number(count as usize)])
    });
    Ok(table(&cells(["", "instructions"]), rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let cases =
            [(7.279, "7.28 ns"), (94.62, "94.6 ns"), (235.6, "236 ns"), (2033.5, "2.03 µs"), (4.0471e6, "4.05 ms")];
        for (nanos, text) in cases {
            assert_eq!(time(nanos), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(10, "10"), (1_000, "1,000"), (100_000, "100,000"), (37_788_870, "37,788,870")] {
            assert_eq!(number(value), text);
        }
    }
}
