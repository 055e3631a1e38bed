//! Logs with an event in each line.

use std::io::{self, BufRead};

use super::Failure;

/// More than a log event of CloudWatch, which has at most 1 MiB, and the time and names before it.
pub(super) const LONGEST: usize = (1 << 20) + 4096;

/// Calls `each` with every line, without its end, and its number. What is longer than any event is cut off.
pub(super) fn each_line(
    mut input: impl BufRead,
    mut each: impl FnMut(&[u8], u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if !read_line(&mut input, &mut line)? {
            break;
        }
        each(&line, number)?;
    }
    Ok(())
}

/// Reads one line, without its end; false where there is none.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    let mut is_there = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(is_there);
        }
        is_there = true;
        let end = memchr::memchr(b'\n', buffer);
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        let room = LONGEST.saturating_sub(line.len()).min(part.len());
        line.extend_from_slice(part.get(..room).unwrap_or_default());
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// Part of a document that is printed over several lines.
pub(super) enum Pretty {
    /// The text of an event, as `aws logs filter-log-events` and `get-log-events` print it.
    Message(String),
    /// A key of an audit line.
    AuditLine,
}

/// What a line is if it is part of such a document.
pub(super) fn pretty(line: &[u8]) -> Option<Pretty> {
    let text = line.trim_ascii();
    if let Some(message) = text.strip_prefix(b"\"message\": ") {
        let message = message.strip_suffix(b",").unwrap_or(message);
        return serde_json::from_slice(message).ok().map(Pretty::Message);
    }
    text.starts_with(b"\"event_type\": \"egress_").then_some(Pretty::AuditLine)
}
