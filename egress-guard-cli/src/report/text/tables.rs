//! The tables, what was denied first.

use std::io::{self, Write};

use clap::builder::styling::Style;
use comfy_table::{CellAlignment, Table as Printed, presets};
use indicatif::DecimalBytes;

use super::{Page, known, moment, name};
use crate::output::with_commas;
use crate::report::model::{Counts, Denial, Report, Row, Seen, Table};

impl Page<'_> {
    pub(super) fn tables(&self, output: &mut impl Write) -> io::Result<()> {
        let Report { denials, would_deny, functions, destinations, rules, outcomes, policies, .. } = self.report;
        self.denials(output, "denied", self.red, denials)?;
        self.denials(output, "would be denied, if it were enforced", self.yellow, would_deny)?;
        let columns = [
            "function",
            ">requests",
            ">connections",
            ">would deny",
            ">denied",
            ">destinations",
            ">sent",
            ">received",
            "first seen",
            "last seen",
        ];
        self.table(output, "functions", self.bold, functions, &columns, |row| {
            let mut cells = vec![function(row.name.as_deref())];
            cells.extend(counts(&row.counts));
            cells.push(with_commas(row.destinations));
            cells.extend([row.bytes_sent, row.bytes_received].map(bytes));
            cells.extend(seen(&row.seen));
            cells
        })?;
        let columns = [
            "function",
            "destination",
            "boundary",
            ">requests",
            ">connections",
            ">would deny",
            ">denied",
            ">sent",
            ">received",
            "first seen",
            "last seen",
        ];
        self.table(output, "destinations", self.bold, destinations, &columns, |row| {
            let mut cells = vec![
                function(row.function.as_deref()),
                place(row.host.as_deref(), row.port),
                known(row.boundary.as_deref()),
            ];
            cells.extend(counts(&row.counts));
            cells.extend([row.bytes_sent, row.bytes_received].map(bytes));
            cells.extend(seen(&row.seen));
            cells
        })?;
        let columns =
            ["policy", "rule", ">requests", ">connections", ">would deny", ">denied", "first seen", "last seen"];
        self.table(output, "rules", self.bold, rules, &columns, |row| {
            let mut cells = vec![name(&row.policy_id), row.rule_id.as_deref().map_or("(none)".to_owned(), name)];
            cells.extend(counts(&row.counts));
            cells.extend(seen(&row.seen));
            cells
        })?;
        let columns =
            ["function", "host", "outcome", "status", ">count", ">sent", ">received", ">on average", ">longest"];
        self.table(output, "outcomes", self.bold, outcomes, &columns, |row| {
            let transfer = &row.transfer;
            vec![
                function(row.function.as_deref()),
                place(row.host.as_deref(), None),
                known(row.outcome.as_deref()),
                known(row.status_class.as_deref()),
                with_commas(transfer.count),
                bytes(transfer.bytes_sent),
                bytes(transfer.bytes_received),
                milliseconds(transfer.duration_ms / transfer.count.max(1) as f64),
                milliseconds(row.longest_ms),
            ]
        })?;
        let columns = ["policy", "SHA-256", "mode", ">lines", "first seen", "last seen"];
        self.table(output, "policies", self.bold, policies, &columns, |row| {
            let hash = row.policy_sha256.as_deref().map_or("(built in code)".to_owned(), name);
            let mut cells = vec![name(&row.policy_id), hash, name(&row.mode), with_commas(row.lines.lines)];
            cells.extend(seen(&row.seen));
            cells
        })
    }

    fn denials(&self, output: &mut impl Write, heading: &str, style: Style, table: &Table<Denial>) -> io::Result<()> {
        let columns = [">count", "function", "destination", "stage", "reason", "rule", "first seen", "last seen"];
        self.table(output, heading, style, table, &columns, |row| {
            let mut cells =
                vec![with_commas(row.count), function(row.function.as_deref()), place(row.host.as_deref(), row.port)];
            cells.extend([&row.stage, &row.reason, &row.rule_id].map(|text| known(text.as_deref())));
            cells.extend(seen(&row.seen));
            cells
        })
    }

    /// Prints one, if it has anything to say; a column whose name begins with `>` is set to the right.
    fn table<R: Row>(
        &self,
        output: &mut impl Write,
        heading: &str,
        style: Style,
        table: &Table<R>,
        columns: &[&str],
        cells: impl Fn(&R) -> Vec<String>,
    ) -> io::Result<()> {
        let (rows, others) = table.first(self.top);
        if rows.is_empty() && others.is_none() {
            return Ok(());
        }
        let inexact = if table.exact { "" } else { ": more than there is room for, so figures may be too low" };
        writeln!(output, "\n{style}{heading}{style:#}{inexact}")?;
        if !rows.is_empty() {
            let mut printed = Printed::new();
            printed
                .load_style(presets::NOTHING)
                .set_header(columns.iter().map(|column| column.trim_start_matches('>')));
            for (column, name) in printed.column_iter_mut().zip(columns) {
                column.set_padding((2, 0));
                if name.starts_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
            }
            rows.iter().for_each(|row| _ = printed.add_row(cells(row)));
            for line in printed.lines() {
                writeln!(output, "{}", line.trim_end())?;
            }
        }
        match others {
            Some(others) => writeln!(output, "  and {} more: {}", with_commas(others.rows), R::in_words(&others.sum)),
            None => Ok(()),
        }
    }
}

pub(super) fn function(name: Option<&str>) -> String {
    name.map_or("(no invocation)".to_owned(), super::name)
}

/// Host and port as a URL has them.
pub(super) fn place(host: Option<&str>, port: Option<u16>) -> String {
    let Some(text) = host else { return "(unreadable)".to_owned() };
    let host = if text.contains(':') { format!("[{}]", super::host(text)) } else { super::host(text) };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

fn counts(counts: &Counts) -> [String; 4] {
    [counts.requests, counts.connections, counts.would_deny, counts.denied].map(with_commas)
}

fn seen(seen: &Seen) -> [String; 2] {
    [moment(seen.first_seen), moment(seen.last_seen)]
}

fn bytes(number: u64) -> String {
    DecimalBytes(number).to_string()
}

fn milliseconds(number: f64) -> String {
    if number < 10_000.0 { format!("{number:.0} ms") } else { format!("{} s", with_commas((number / 1000.0) as u64)) }
}
