//! For people: what matters in the first lines, then the tables.

mod notes;
mod tables;

use std::io::{self, Write};

use clap::builder::styling::{AnsiColor, Style};
use indicatif::DecimalBytes;

use super::model::{Bucket, Counts, Function, NewDestination, Report, Table, Time};
use crate::output::{counted, with_commas};
use crate::shown::{shortened, shown};

/// How wide a timeline may be.
const WIDTH: usize = 72;

/// What is shown of a name; the longest host is four times as long.
const LONGEST_NAME: usize = 64;

pub(super) fn print(output: &mut impl Write, report: &Report, top: usize, in_colour: bool) -> io::Result<()> {
    let style = |style: Style| if in_colour { style } else { Style::new() };
    let page = Page {
        bold: style(Style::new().bold()),
        red: style(AnsiColor::Red.on_default().bold()),
        yellow: style(AnsiColor::Yellow.on_default()),
        report,
        top,
    };
    page.head(output)?;
    page.timeline(output)?;
    page.notes(output)?;
    page.tables(output)
}

struct Page<'r> {
    bold: Style,
    red: Style,
    yellow: Style,
    report: &'r Report,
    /// How many rows of each table are shown.
    top: usize,
}

impl Page<'_> {
    /// Was anything denied, where and by whom; is anything new?
    fn head(&self, output: &mut impl Write) -> io::Result<()> {
        let Report { read, totals, span, destinations, .. } = self.report;
        let Some(span) = span else {
            return writeln!(
                output,
                "no audit line {} {}",
                if read.audit_lines > 0 { "is selected of" } else { "among" },
                counted(read.lines, "line")
            );
        };
        let there = counted(totals.destinations, "destination");
        writeln!(
            output,
            "{}, {}, {}: {} to {} UTC\n",
            counted(totals.functions, "function"),
            if destinations.exact { there } else { format!("at least {there}") },
            counted(totals.lines, "audit line"),
            moment(span.first),
            moment(span.last),
        )?;
        let counts = &totals.counts;
        let style = if counts.denied > 0 { self.red } else { self.bold };
        let first = self.report.denials.rows.first();
        let most = first.map(|row| {
            format!("most often {}: {}", tables::place(row.host.as_deref(), row.port), known(row.reason.as_deref()))
        });
        self.figure(output, "denied", counts.denied, style, [self.by_function(|counts| counts.denied), most])?;
        let style = if counts.would_deny > 0 { self.yellow } else { self.bold };
        self.figure(
            output,
            "would deny",
            counts.would_deny,
            style,
            [self.by_function(|counts| counts.would_deny), None],
        )?;
        let new = format!("destinations first seen since {}", moment(span.new_since));
        let style = if totals.new_destinations > 0 { self.yellow } else { self.bold };
        self.figure(output, "new", totals.new_destinations, style, [Some(new), self.new_destinations()])?;
        let bytes =
            format!("{} sent, {} received", DecimalBytes(totals.bytes_sent), DecimalBytes(totals.bytes_received));
        self.figure(output, "requests", counts.requests, self.bold, [Some(bytes), None])?;
        self.figure(output, "connections", counts.connections, self.bold, [None, None])
    }

    fn figure(
        &self,
        output: &mut impl Write,
        name: &str,
        figure: u64,
        style: Style,
        more: [Option<String>; 2],
    ) -> io::Result<()> {
        let more = more.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let line = format!("{style}{name:<12}{:>11}{style:#}  {more}", with_commas(figure));
        writeln!(output, "{}", line.trim_end())
    }

    /// The functions with the most of it.
    fn by_function(&self, of: impl Fn(&Counts) -> u64) -> Option<String> {
        let mut rows: Vec<_> = self.report.functions.rows.iter().filter(|row| of(&row.counts) > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(of(&row.counts)));
        let name =
            |row: &&Function| format!("{} {}", tables::function(row.name.as_deref()), with_commas(of(&row.counts)));
        some_of(rows.iter().map(name), rows.len())
    }

    fn new_destinations(&self) -> Option<String> {
        let Table { rows, others, .. } = &self.report.new_destinations;
        let name = |row: &NewDestination| {
            let way = if row.counts.requests + row.counts.connections > 0 { "to" } else { "denied to" };
            format!(
                "{} {way} {}",
                tables::function(row.function.as_deref()),
                tables::place(Some(&row.host), Some(row.port))
            )
        };
        some_of(rows.iter().map(name), rows.len() + others.as_ref().map_or(0, |others| others.rows as usize))
    }

    fn timeline(&self, output: &mut impl Write) -> io::Result<()> {
        let timeline = &self.report.timeline;
        let (Some(first), Some(last)) = (timeline.buckets.first(), timeline.buckets.last()) else { return Ok(()) };
        let together = timeline.buckets.len().div_ceil(WIDTH);
        let each = timeline.bucket_seconds * together as i64;
        writeln!(
            output,
            "\n{}timeline{:#}  {} to {} UTC, each character {}",
            self.bold,
            self.bold,
            moment(first.start),
            moment(last.start),
            duration(each)
        )?;
        type Of = fn(&Bucket) -> u64;
        let rows: [(&str, Style, Of); 3] = [
            ("denied", self.red, |bucket| bucket.counts.denied),
            ("would deny", self.yellow, |bucket| bucket.counts.would_deny),
            ("allowed", Style::new(), |bucket| bucket.counts.requests + bucket.counts.connections),
        ];
        for (name, style, of) in rows {
            let figures: Vec<u64> = timeline.buckets.chunks(together).map(|chunk| chunk.iter().map(of).sum()).collect();
            let most = figures.iter().copied().max().unwrap_or_default();
            if most > 0 {
                writeln!(output, "  {name:<12}{style}{}{style:#}  at most {}", sparkline(&figures), with_commas(most))?;
            }
        }
        Ok(())
    }
}

/// The first of them, and how many more there are.
fn some_of(names: impl Iterator<Item = String>, all: usize) -> Option<String> {
    const MOST: usize = 3;
    let mut names: Vec<String> = names.take(MOST).collect();
    if names.is_empty() {
        return None;
    }
    if all > names.len() {
        names.push(format!("{} more", with_commas((all - names.len()) as u64)));
    }
    Some(names.join(", "))
}

/// A name from a log, fit to be shown.
fn name(text: &str) -> String {
    shortened(text, LONGEST_NAME)
}

/// A host. Of a long one the end tells more: whoever smuggles out data in names has them below a domain of theirs.
fn host(text: &str) -> String {
    match text.char_indices().rev().nth(LONGEST_NAME) {
        Some((before, character)) => {
            format!("\u{2026}{}", shown(text.get(before + character.len_utf8()..).unwrap_or_default()))
        }
        None => shown(text),
    }
}

fn known(text: Option<&str>) -> String {
    text.map(name).unwrap_or_default()
}

/// To the second; the JSON has more.
fn moment(time: Time) -> String {
    let text = time.to_string();
    text.get(..19).unwrap_or(&text).replace('T', " ")
}

fn duration(seconds: i64) -> String {
    let (number, unit) = match seconds {
        ..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    counted(number.unsigned_abs(), unit)
}

/// A bar for each figure, the highest for the greatest; a dot is none at all.
fn sparkline(figures: &[u64]) -> String {
    const BARS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let most = u128::from(figures.iter().copied().max().unwrap_or_default().max(1));
    let bar = |figure: &u64| match u128::from(*figure) {
        0 => '\u{b7}',
        figure => BARS.get(((figure * 8).div_ceil(most) - 1) as usize).copied().unwrap_or('\u{2588}'),
    };
    figures.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_shows_the_least_and_the_greatest() {
        assert_eq!(sparkline(&[0, 1, 50, 100, 99, 13]), "\u{b7}\u{2581}\u{2584}\u{2588}\u{2588}\u{2582}");
        assert_eq!(sparkline(&[u64::MAX, 0]), "\u{2588}\u{b7}");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn of_a_long_host_the_end_is_shown() {
        assert_eq!(host("api.payments.example"), "api.payments.example");
        assert_eq!(host(&"h".repeat(64)), "h".repeat(64));
        let long = format!("\u{1b}{}.exfil.example", "\u{e9}".repeat(80));
        assert_eq!(host(&long), format!("\u{2026}{}.exfil.example", "\u{e9}".repeat(50)));
    }

    #[test]
    fn a_duration_is_in_units_that_people_use() {
        for (seconds, expected) in [(60, "1 minute"), (3600, "1 hour"), (7200, "2 hours"), (864_000, "10 days")] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
