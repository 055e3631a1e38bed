//! Logs of documents with many events each, as a subscription of CloudWatch Logs delivers them, or
//! `aws logs filter-log-events` where its output is put on one line.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Failure;

/// More than there can be of a document from one event to the next: an event has at most 1 MiB, and each of its bytes at
/// most six where all are escaped.
const LONGEST: usize = 8 << 20;

/// Whether a log begins with such a document.
pub(super) fn begin(log: &[u8]) -> bool {
    let first = log.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    // The keys of a subscription's come in one of two orders.
    let has_group = || memchr::memmem::find(first, b"\"logGroup\":\"").is_some();
    first.starts_with(b"{\"messageType\":\"")
        || (first.starts_with(b"{\"owner\":\"") && has_group())
        || begins_with_events(first)
}

/// Over several lines, they are read by these.
fn begins_with_events(first: &[u8]) -> bool {
    const KEYS: [&str; 4] = ["timestamp", "ingestionTime", "logStreamName", "eventId"];
    let packed: Vec<u8> = first.iter().copied().filter(|byte| *byte != b' ').take(64).collect();
    KEYS.iter().any(|key| packed.starts_with(format!("{{\"events\":[{{\"{key}\":").as_bytes()))
}

/// Calls `each` with every event and its number. Documents follow each other, with or without space between.
pub(super) fn each_event(
    input: impl BufRead,
    mut each: impl FnMut(&str, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let left = Cell::new(LONGEST);
    let mut input = serde_json::Deserializer::from_reader(Limited { input, left: &left });
    let (mut number, mut failure) = (0, None);
    for document in 1.. {
        left.set(LONGEST);
        if input.end().is_ok() {
            break;
        }
        let mut tell = |event: &str| {
            left.set(LONGEST);
            number += 1;
            each(event, number).map_err(|error| failure = Some(error)).is_ok()
        };
        if let Err(error) = Document(&mut tell).deserialize(&mut input) {
            return Err(failure.unwrap_or_else(|| Failure::Log(format!("document {document}: {error}"))));
        }
    }
    Ok(())
}

/// Fails where there is more to the next event than any has.
struct Limited<'a, R> {
    input: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::other(format!("more than {} MiB without an event, or in one", LONGEST >> 20)));
        }
        let most = left.min(buffer.len());
        let read = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left.set(left - read);
        Ok(read)
    }
}

/// A document, whose events are told as they are read; false where no more are wanted.
struct Document<F>(F);

impl<'de, F: FnMut(&str) -> bool> DeserializeSeed<'de> for Document<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<(), D::Error> {
        document.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for Document<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document of log events")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut has_events = false;
        while let Some(key) = members.next_key::<String>()? {
            if key == "logEvents" || key == "events" {
                members.next_value_seed(Events(&mut self.0))?;
                has_events = true;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        if has_events { Ok(()) } else { Err(A::Error::missing_field("logEvents")) }
    }
}

struct Events<'a, F>(&'a mut F);

impl<'de, F: FnMut(&str) -> bool> DeserializeSeed<'de> for Events<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, events: D) -> Result<(), D::Error> {
        events.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for Events<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of log events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while let Some(Event { message }) = events.next_element()? {
            if !(self.0)(&message) {
                return Err(A::Error::custom("no more events are wanted"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Event {
    message: String,
}
