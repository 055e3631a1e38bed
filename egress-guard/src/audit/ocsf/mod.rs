//! Records as events of the Open Cybersecurity Schema Framework, a line of JSON each.

mod class;
mod event;
mod objects;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use self::event::Event;
use super::output::{Output, standard_output};
use super::visible::{Visible, bounded};
use super::{AuditRecord, AuditSink};

/// Writes decisions and outcomes as events of OCSF 1.8.0, a line of JSON each, with a single `write_all`, at once.
///
/// A second format, for Amazon Security Lake and whatever else reads OCSF: beside [`JsonLines`](super::JsonLines), which
/// has every record, and with lines more than twice as long. Requests and redirects are HTTP Activity (4002), names and
/// connections Network Activity (4001). Postures and summaries are no activity, and leave no line. `docs/ocsf.md` says
/// which attribute has what.
///
/// ```no_run
/// use std::fs::File;
/// use egress_guard::{Guard, JsonLines, OcsfLines, Policy};
///
/// let events = OcsfLines::new(File::options().append(true).create(true).open("/mnt/events/orders.jsonl")?);
/// let guard = Guard::new(Policy::builder("orders").build()?, (JsonLines::stdout(), events));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Both may also write to standard output; a reader tells them apart by the key `class_uid`.
pub struct OcsfLines<W> {
    output: Output<W>,
}

impl OcsfLines<Box<dyn Write + Send>> {
    /// Lines to standard output, as [`JsonLines::stdout`](super::JsonLines::stdout) writes them.
    ///
    /// OCSF has no key that Lambda's log level filter would read: where the function's log format is JSON, and its log
    /// level above INFO, Lambda drops all of them.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(standard_output())
    }
}

impl<W: Write + Send + 'static> OcsfLines<W> {
    /// Lines to any writer. A writer that buffers is flushed after each line.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self { output: Output::new(writer) }
    }
}

impl<W: Write + Send + 'static> AuditSink for OcsfLines<W> {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        match line_of(record)? {
            Some(line) => self.output.write(&line),
            None => Ok(()),
        }
    }
}

impl<W> fmt::Debug for OcsfLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcsfLines").finish_non_exhaustive()
    }
}

/// What a pipe takes in one piece, as for the other lines: both formats may share one.
const MAX_LINE: usize = 4096;

/// The line, with its newline; none for what is no activity.
fn line_of(record: &AuditRecord<'_>) -> io::Result<Option<Vec<u8>>> {
    let Some(event) = Event::of(record) else { return Ok(None) };
    let line = written(&event)?;
    if line.len() <= MAX_LINE {
        return Ok(Some(line));
    }
    Event::of(&brief(record)).map(|event| written(&event)).transpose()
}

fn written(event: &Event<'_>) -> io::Result<Vec<u8>> {
    // Into a writer of its own type: the audit line's serializer is inlined as long as it has no other user.
    let mut line = io::Cursor::new(Vec::with_capacity(2048));
    event.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Visible))?;
    let mut line = line.into_inner();
    line.push(b'\n');
    Ok(line)
}

/// The same with only the beginning of its longest texts, however much of them is escaped. What events are joined by stays
/// whole, unless it is nothing that Lambda would give a function.
fn brief<'a>(record: &AuditRecord<'a>) -> AuditRecord<'a> {
    let upto = |max| move |text: &'a str| bounded(text, max);
    AuditRecord {
        message: bounded(&record.message, 128).to_owned(),
        path: record.path.map(upto(64)),
        path_truncated: Some(true),
        baseline_rule_id: record.baseline_rule_id.map(upto(64)),
        request_id: record.request_id.map(upto(192)),
        function_name: record.function_name.map(upto(64)),
        function_version: record.function_version.map(upto(32)),
        function_arn: record.function_arn.map(upto(192)),
        xray_trace_id: record.xray_trace_id.map(upto(128)),
        ..record.clone()
    }
}
