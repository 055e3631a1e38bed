//! The tables of the page.

use std::borrow::Cow;

use super::heads::{
    DENIALS, DESTINATIONS, DROPPED, FUNCTIONS, Head, NEW, OUTCOMES, POLICIES, REJECTED, RULES, SUSPICIOUS, WOULD_DENY,
};
use super::words::{bytes, count, function, milliseconds, of, place};
use crate::report::model::{
    Counts, Denial, Destination, DroppedLevels, Function, Lines, NewDestination, Outcome, Policy, RejectedPolicy,
    Report, Row, Rule, Seen, SuspiciousEnvironment, Table, Time, Transfer,
};
use crate::report::rows::{Count, Traffic};

/// A table under its heading.
pub(super) struct Section<'a> {
    pub(super) head: &'static Head,
    pub(super) rows: Vec<Line<'a>>,
    pub(super) others: Option<Line<'a>>,
    /// How many rows there are, shown or not.
    pub(super) total: u64,
    pub(super) exact: bool,
}

/// A row; its first cell is its heading.
pub(super) struct Line<'a> {
    pub(super) heading: Cow<'a, str>,
    pub(super) cells: Vec<Cell<'a>>,
}

pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    /// What is compared letter by letter.
    Code(&'a str),
    /// Inside or outside.
    Boundary(&'a str),
    /// A number; what is denied or would be stands out, if it is not zero.
    Number {
        text: String,
        tone: &'static str,
    },
    /// A number, and how many hundredths it is of the greatest.
    Bar {
        text: String,
        tone: &'static str,
        share: String,
    },
    Time {
        time: Time,
        is_new: bool,
    },
    Unknown,
}

/// All of them, with so many rows each.
pub(super) fn sections(report: &Report, top: usize) -> Vec<Section<'_>> {
    let context = Context { new_since: report.span.map(|span| span.new_since), top };
    let sections = [
        context.section(&report.denials, &DENIALS, "denied"),
        context.section(&report.would_deny, &WOULD_DENY, "would"),
        context.section(&report.new_destinations, &NEW, ""),
        context.section(&report.functions, &FUNCTIONS, ""),
        context.section(&report.destinations, &DESTINATIONS, ""),
        context.section(&report.rules, &RULES, ""),
        context.section(&report.outcomes, &OUTCOMES, ""),
        context.section(&report.policies, &POLICIES, ""),
        context.section(&report.rejected_policies, &REJECTED, ""),
        context.section(&report.suspicious_environments, &SUSPICIOUS, ""),
        context.section(&report.dropped_levels, &DROPPED, ""),
    ];
    sections.into_iter().filter(|section| section.total > 0 || section.head.none.is_some()).collect()
}

struct Context {
    new_since: Option<Time>,
    top: usize,
}

impl Context {
    fn section<'a, R: Listed>(&self, table: &'a Table<R>, head: &'static Head, tone: &'static str) -> Section<'a> {
        let (shown, others) = table.first(self.top);
        let total = shown.len() as u64 + others.as_ref().map_or(0, |others| others.rows);
        let others = others.map(|others| {
            let mut cells = R::sums(&others.sum);
            cells.resize_with(head.figures.len(), || Cell::Unknown);
            Line { heading: of(others.rows, "other", "others").into(), cells }
        });
        let scale =
            Scale { most: shown.iter().map(Listed::size).max().unwrap_or_default(), tone, new_since: self.new_since };
        let rows = shown.iter().map(|row| row.line(&scale)).collect();
        Section { head, rows, others, total, exact: table.exact }
    }
}

/// What a cell needs to know of its table.
struct Scale {
    most: u64,
    tone: &'static str,
    new_since: Option<Time>,
}

impl Scale {
    fn bar<'a>(&self, number: u64) -> Cell<'a> {
        let share = format!("{:.1}", number as f64 * 100.0 / self.most.max(1) as f64);
        Cell::Bar { text: count(number), tone: self.tone, share }
    }

    fn first<'a>(&self, seen: &Seen) -> Cell<'a> {
        Cell::Time { time: seen.first_seen, is_new: self.new_since.is_some_and(|since| seen.first_seen >= since) }
    }
}

fn number<'a>(of: u64) -> Cell<'a> {
    Cell::Number { text: count(of), tone: "" }
}

fn size<'a>(of: u64) -> Cell<'a> {
    Cell::Number { text: bytes(of), tone: "" }
}

fn time<'a>(time: Time) -> Cell<'a> {
    Cell::Time { time, is_new: false }
}

fn text(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Unknown, |text| Cell::Text(text.into()))
}

fn code(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Unknown, Cell::Code)
}

fn counts<'a>(counts: &Counts) -> [Cell<'a>; 4] {
    let toned = |number: u64, tone| Cell::Number { text: count(number), tone: if number > 0 { tone } else { "zero" } };
    [
        toned(counts.denied, "denied"),
        toned(counts.would_deny, "would"),
        toned(counts.requests, ""),
        toned(counts.connections, ""),
    ]
}

/// A row of the model, on the page.
trait Listed: Row {
    /// What its bar shows, if it has one.
    fn size(&self) -> u64 {
        0
    }

    fn line<'a>(&'a self, scale: &Scale) -> Line<'a>;

    /// The first figures of the others.
    fn sums<'a>(sum: &Self::Sum) -> Vec<Cell<'a>>;
}

impl Listed for Denial {
    fn size(&self) -> u64 {
        self.count
    }

    fn line<'a>(&'a self, scale: &Scale) -> Line<'a> {
        let cells = vec![
            Cell::Text(place(self.host.as_deref(), self.port).into()),
            code(self.reason.as_deref()),
            code(self.rule_id.as_deref()),
            text(self.stage.as_deref()),
            scale.bar(self.count),
            time(self.seen.first_seen),
            time(self.seen.last_seen),
        ];
        Line { heading: function(self.function.as_deref()).into(), cells }
    }

    fn sums<'a>(sum: &Count) -> Vec<Cell<'a>> {
        vec![number(sum.count)]
    }
}

impl Listed for Function {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        let with = |number: u64, of: u64, what: &str| match of {
            0 => Cell::Number { text: count(number), tone: "" },
            _ => Cell::Number { text: format!("{} ({} {what})", count(number), count(of)), tone: "" },
        };
        let mut cells = Vec::from(counts(&self.counts));
        cells.extend([
            with(self.destinations, self.new_destinations, "new"),
            size(self.bytes_sent),
            size(self.bytes_received),
            number(self.invocations),
            with(self.environments, self.quarantined_environments, "quarantined"),
            time(self.seen.last_seen),
        ]);
        Line { heading: function(self.name.as_deref()).into(), cells }
    }

    fn sums<'a>(sum: &Traffic) -> Vec<Cell<'a>> {
        let mut cells = Vec::from(counts(&sum.counts));
        cells.extend([Cell::Unknown, size(sum.bytes_sent), size(sum.bytes_received)]);
        cells
    }
}

impl Listed for Destination {
    fn line<'a>(&'a self, scale: &Scale) -> Line<'a> {
        let boundary = self.boundary.as_deref().map_or(Cell::Unknown, Cell::Boundary);
        let mut cells = vec![Cell::Text(place(self.host.as_deref(), self.port).into()), boundary];
        cells.extend(counts(&self.counts));
        cells.extend([size(self.bytes_sent), size(self.bytes_received)]);
        cells.extend([scale.first(&self.seen), time(self.seen.last_seen)]);
        Line { heading: function(self.function.as_deref()).into(), cells }
    }

    fn sums<'a>(sum: &Traffic) -> Vec<Cell<'a>> {
        let mut cells = Vec::from(counts(&sum.counts));
        cells.extend([size(sum.bytes_sent), size(sum.bytes_received)]);
        cells
    }
}

impl Listed for Rule {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        let rule = self.rule_id.as_deref().map_or(Cell::Text("listed by no rule".into()), Cell::Code);
        let mut cells = vec![rule];
        cells.extend(counts(&self.counts));
        cells.push(time(self.seen.last_seen));
        Line { heading: self.policy_id.as_str().into(), cells }
    }

    fn sums<'a>(sum: &Counts) -> Vec<Cell<'a>> {
        counts(sum).into()
    }
}

impl Listed for Outcome {
    fn size(&self) -> u64 {
        self.transfer.count
    }

    fn line<'a>(&'a self, scale: &Scale) -> Line<'a> {
        let mut cells = vec![
            Cell::Text(self.host.as_deref().unwrap_or("unreadable destination").into()),
            text(self.outcome.as_deref()),
            text(self.status_class.as_deref()),
            scale.bar(self.transfer.count),
        ];
        cells.extend(transfer(&self.transfer));
        cells.extend([Cell::Number { text: milliseconds(self.longest_ms), tone: "" }, time(self.seen.last_seen)]);
        Line { heading: function(self.function.as_deref()).into(), cells }
    }

    fn sums<'a>(sum: &Transfer) -> Vec<Cell<'a>> {
        let mut cells = vec![number(sum.count)];
        cells.extend(transfer(sum));
        cells
    }
}

fn transfer<'a>(of: &Transfer) -> [Cell<'a>; 3] {
    let mean = milliseconds(of.duration_ms / of.count.max(1) as f64);
    [size(of.bytes_sent), size(of.bytes_received), Cell::Number { text: mean, tone: "" }]
}

impl Listed for Policy {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        let mut cells = vec![Cell::Text(self.mode.as_str().into()), code(self.policy_sha256.as_deref())];
        cells.extend(lines(&self.lines, &self.seen));
        Line { heading: self.policy_id.as_str().into(), cells }
    }

    fn sums<'a>(sum: &Lines) -> Vec<Cell<'a>> {
        vec![number(sum.lines)]
    }
}

impl Listed for RejectedPolicy {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        let mut cells = vec![Cell::Code(&self.rejected_policy_sha256)];
        cells.extend(lines(&self.lines, &self.seen));
        Line { heading: self.policy_id.as_str().into(), cells }
    }

    fn sums<'a>(sum: &Lines) -> Vec<Cell<'a>> {
        vec![number(sum.lines)]
    }
}

impl Listed for DroppedLevels {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        Line { heading: self.levels.as_str().into(), cells: lines(&self.lines, &self.seen).into() }
    }

    fn sums<'a>(sum: &Lines) -> Vec<Cell<'a>> {
        vec![number(sum.lines)]
    }
}

impl Listed for NewDestination {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        let mut cells = vec![Cell::Text(place(Some(&self.host), Some(self.port)).into())];
        cells.extend(counts(&self.counts));
        cells.extend([time(self.seen.first_seen), time(self.seen.last_seen)]);
        Line { heading: function(self.function.as_deref()).into(), cells }
    }

    fn sums<'a>(sum: &Counts) -> Vec<Cell<'a>> {
        counts(sum).into()
    }
}

impl Listed for SuspiciousEnvironment {
    fn line<'a>(&'a self, _: &Scale) -> Line<'a> {
        Line { heading: self.variables.as_str().into(), cells: lines(&self.lines, &self.seen).into() }
    }

    fn sums<'a>(sum: &Lines) -> Vec<Cell<'a>> {
        vec![number(sum.lines)]
    }
}

fn lines<'a>(lines: &Lines, seen: &Seen) -> [Cell<'a>; 3] {
    [number(lines.lines), time(seen.first_seen), time(seen.last_seen)]
}
