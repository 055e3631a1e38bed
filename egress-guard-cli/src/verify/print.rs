//! What is found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use serde::Serialize;

use super::finding::{Finding, Kind, Lines, Of};
use super::log::End;
use super::report::Report;
use crate::output::write_json;
use crate::places::At;

/// A line for each finding and each note, and a few on the whole.
pub(super) fn text(report: &Report, with_chains: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let at = finding.at.map(|at| format!("{}: ", report.place(at))).unwrap_or_default();
        let note = if finding.is_note { "note: " } else { "" };
        _ = writeln!(text, "{at}{note}{}: {}", finding.kind.name(), finding.message());
    }
    if with_chains {
        for (id, (lines, end)) in &report.chains {
            let place = report.place(end.at);
            let (event_type, timestamp) = (crate::shown::shown(&end.event_type), crate::shown::shown(&end.timestamp));
            let lines = Lines(*lines);
            _ = writeln!(
                text,
                "chain {id}: {lines}, the last is {} at {place}, {event_type} of {timestamp}",
                end.place
            );
        }
    }
    _ = writeln!(text, "{}", summary(report));
    if !report.has_key && report.chained > 0 {
        text.push_str("no key, so no MAC was checked: that a line was changed or made up does not show\n");
    }
    if !report.chains.is_empty() {
        _ = writeln!(text, "{}", ends(report));
    }
    text
}

fn summary(report: &Report) -> String {
    let mut read = Vec::new();
    if report.chained > 0 {
        let s = if report.chains.len() == 1 { "" } else { "s" };
        read.push(format!("{} of {} chain{s}", Lines(report.chained), report.chains.len()));
    }
    if report.unchained > 0 {
        read.push(format!("{} without a chain", Lines(report.unchained)));
    }
    let read = read.join(", ");
    match report.findings.iter().filter(|finding| !finding.is_note).count() {
        0 if report.has_key && report.is_whole() => {
            format!("{read}: as they were written, and all of them up to the end of each chain")
        }
        0 if report.has_key => format!("{read}: as they were written, and all of them behind the first that is here"),
        0 if report.is_whole() => format!("{read}: nothing missing, doubled or moved"),
        0 => format!("{read}: nothing missing behind the first that is here, nothing doubled or moved"),
        1 => format!("1 finding in {read}"),
        count => format!("{count} findings in {read}"),
    }
}

/// What has been cut off shows nowhere, but may show in what stands last.
fn ends(report: &Report) -> String {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, end) in report.chains.values() {
        *ends.entry(&end.event_type).or_default() += 1;
    }
    let each = ends.iter().map(|(event_type, count)| format!("{count} with {}", crate::shown::shown(event_type)));
    let each = each.collect::<Vec<_>>().join(", ");
    format!("chains end: {each}; what was cut off behind an end does not show (--chains lists them)")
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    Finding {
        kind: Kind,
        note: bool,
        #[serde(flatten)]
        of: OfLine<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last: Option<u64>,
        count: u64,
        #[serde(flatten)]
        place: Option<PlaceLine<'a>>,
        message: String,
    },
    Chain {
        chain_id: &'a str,
        lines: u64,
        last: u64,
        event_type: &'a str,
        timestamp: &'a str,
        environment_id: u64,
        #[serde(flatten)]
        place: PlaceLine<'a>,
    },
    Summary {
        clean: bool,
        findings: usize,
        chains: usize,
        chained_lines: u64,
        other_lines: u64,
        key: bool,
    },
}

#[derive(Serialize)]
struct OfLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_id: Option<u64>,
}

#[derive(Serialize)]
struct PlaceLine<'a> {
    file: &'a str,
    line: u64,
}

/// One object a line.
pub(super) fn json(report: &Report) -> io::Result<Vec<u8>> {
    let findings = report.findings.iter().map(|finding| finding_line(report, finding));
    let chains = report.chains.iter().map(|(id, (lines, end))| chain_line(report, id, *lines, end));
    let summary = Line::Summary {
        clean: report.is_clean(),
        findings: report.findings.iter().filter(|finding| !finding.is_note).count(),
        chains: report.chains.len(),
        chained_lines: report.chained,
        other_lines: report.unchained,
        key: report.has_key,
    };
    let mut printed = Vec::new();
    findings.chain(chains).chain([summary]).try_for_each(|line| write_json(&mut printed, &line))?;
    Ok(printed)
}

fn finding_line<'a>(report: &'a Report, finding: &'a Finding) -> Line<'a> {
    let (chain_id, environment_id) = match &finding.of {
        Of::Chain(id) => (Some(&**id), None),
        Of::Environment(id) => (None, Some(*id)),
        Of::Others | Of::Log => (None, None),
    };
    Line::Finding {
        kind: finding.kind,
        note: finding.is_note,
        of: OfLine { chain_id, environment_id },
        first: finding.numbers.map(|numbers| numbers.0),
        last: finding.numbers.map(|numbers| numbers.1),
        count: finding.count,
        place: finding.at.map(|at| report.place_line(at)),
        message: finding.message(),
    }
}

fn chain_line<'a>(report: &'a Report, chain_id: &'a str, lines: u64, end: &'a End) -> Line<'a> {
    Line::Chain {
        chain_id,
        lines,
        last: end.place,
        event_type: &end.event_type,
        timestamp: &end.timestamp,
        environment_id: end.environment_id,
        place: report.place_line(end.at),
    }
}

impl Report {
    fn place(&self, at: At) -> String {
        let PlaceLine { file, line } = self.place_line(at);
        format!("{file}:{line}")
    }

    fn place_line(&self, at: At) -> PlaceLine<'_> {
        PlaceLine { file: self.files.get(at.file).map_or("", String::as_str), line: at.number }
    }
}
