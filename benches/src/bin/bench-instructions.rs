//! How many instructions a decision, a load and an audit line take, against committed figures.
//!
//! Times differ from machine to machine and from minute to minute; counted under callgrind, the same code takes the
//! same number of instructions but for the seeds of hash tables. `.ci/instructions` runs this.

#![allow(clippy::unwrap_used, reason = "a measurement of something that does not work should end at once")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use egress_guard::{AuditSink, Destination, JsonLines, Policy, Request};
use egress_guard_benches::{Grouping, Hosts, Query, Text, host_policy, json, layered, with_record};
use http::Method;
use serde::{Deserialize, Serialize};

const CASES: [&str; 7] = [
    "decision-exact-hit",
    "decision-wildcard-hit",
    "decision-miss",
    "load-json",
    "load-toml",
    "audit-line",
    "guarded-request",
];

const HOSTS: usize = 1_000;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Figures {
    rustc: String,
    tolerance_percent: f64,
    instructions: BTreeMap<String, f64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => check(),
        ["--renew"] => renew().map(|()| true),
        ["--case", name] => {
            run(name);
            Ok(true)
        }
        _ => Err("usage: bench-instructions [--renew]".into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Compares; false if something takes more than it may.
fn check() -> Result<bool, Box<dyn Error>> {
    let path = figures_file();
    let figures: Figures = toml::from_str(&std::fs::read_to_string(&path)?)?;
    let (rustc, mut more, mut less) = (rustc()?, Vec::new(), Vec::new());
    for name in CASES {
        let Some(known) = figures.instructions.get(name) else {
            return Err(format!("{} has no figure for `{name}`: run `.ci/instructions --renew`", path.display()).into());
        };
        let now = count(name)?;
        let percent = (now / known - 1.0) * 100.0;
        println!("{name:<24}{now:>14.1}  {percent:>+6.2} % of {known:.1}");
        if percent > figures.tolerance_percent {
            more.push(name);
        } else if percent < -figures.tolerance_percent {
            less.push(name);
        }
    }
    if figures.rustc != rustc {
        println!("The figures are those of rustc {}; this is {rustc}, and may count otherwise.", figures.rustc);
    }
    if !less.is_empty() {
        println!("Fewer than committed: {}. `.ci/instructions --renew` keeps what was won.", less.join(", "));
    }
    if !more.is_empty() {
        println!(
            "More than {} % above benches/instructions.toml: {}. If that is the price of something worth it, or of a \
             newer dependency, `.ci/instructions --renew` writes the new figures; commit them, and say why.",
            figures.tolerance_percent,
            more.join(", ")
        );
    }
    Ok(more.is_empty())
}

/// Writes the figures of the code as it is.
fn renew() -> Result<(), Box<dyn Error>> {
    let path = figures_file();
    let mut text = format!(
        "# Instructions for each operation, counted by callgrind; `.ci/instructions` compares, \
         `.ci/instructions --renew` writes.\n\
         rustc = \"{}\"\ntolerance_percent = 3.0\n\n[instructions]\n",
        rustc()?
    );
    for name in CASES {
        let now = count(name)?;
        println!("{name:<24}{now:>14.1}");
        writeln!(text, "{name} = {now:.1}")?;
    }
    std::fs::write(path, text)?;
    Ok(())
}

fn figures_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

fn rustc() -> Result<String, Box<dyn Error>> {
    let output = Command::new("rustc").arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().nth(1).ok_or("rustc does not say its version")?.to_owned())
}

/// Runs one case under callgrind, which counts only within [`measured_by_callgrind`].
fn count(name: &str) -> Result<f64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured_by_callgrind*"])
        .arg(std::env::current_exe()?)
        .args(["--case", name])
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}; it is Debian's package of that name"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<f64>().ok());
    match collected.filter(|collected| output.status.success() && *collected > 0.0) {
        Some(collected) => Ok(collected / f64::from(repetitions(name))),
        None => Err(format!("callgrind counted nothing for `{name}`:\n{log}").into()),
    }
}

/// How often a case is done, so that the seeds of hash tables even out.
fn repetitions(name: &str) -> u32 {
    if name.starts_with("load") { 5 } else { 10_240 }
}

fn run(name: &str) {
    let decide = |query| {
        let hosts = Hosts::new(HOSTS);
        let policy = host_policy(&hosts, Grouping::Each);
        let destinations = hosts.destinations(query);
        let mut turns = destinations.iter().cycle();
        let decide = |destination: &Destination| {
            black_box(policy.decide(&Request::new(&Method::GET, destination), SystemTime::UNIX_EPOCH));
        };
        measured_by_callgrind(repetitions(name), || decide(turns.next().unwrap()));
    };
    match name {
        "decision-exact-hit" => decide(Query::Exact),
        "decision-wildcard-hit" => decide(Query::Wildcard),
        "decision-miss" => decide(Query::Miss),
        "load-json" => {
            let text = json(HOSTS, Text::Hosts);
            measured_by_callgrind(repetitions(name), || drop(black_box(Policy::from_json(&text).unwrap())));
        }
        "load-toml" => {
            let text = egress_guard_benches::toml(HOSTS, Text::Hosts);
            measured_by_callgrind(repetitions(name), || drop(black_box(Policy::from_toml(&text).unwrap())));
        }
        "audit-line" => with_record(|record| {
            let sink = JsonLines::new(std::io::sink());
            measured_by_callgrind(repetitions("audit-line"), || sink.record(record).unwrap());
        }),
        "guarded-request" => {
            let mut request = layered(JsonLines::new(std::io::sink()));
            measured_by_callgrind(repetitions(name), &mut request);
        }
        _ => eprintln!("there is no case `{name}`"),
    }
}

/// What callgrind counts.
#[inline(never)]
fn measured_by_callgrind(repetitions: u32, mut operation: impl FnMut()) {
    for _ in 0..repetitions {
        operation();
    }
}
