//! Whether lines of the audit are still what was written, and all of it.
//!
//! Lines that [`JsonLines::chained`](crate::JsonLines::chained) writes end in their place in a chain and a MAC over all
//! that stands before it; `docs/verify.md` describes both to the byte, and what they show. The types here are for tools
//! that read such lines, as `egress-guard verify` does.

pub(super) mod key;
mod ladder;
mod link;

use std::io::{self, Write};

use data_encoding::BASE64URL_NOPAD;

use key::ChainKey;
use ladder::{Ladder, Secret, leaving_no_keys};
use link::LAST_CHAIN;
pub use link::{Checker, Link};

/// The most that a line becomes longer.
pub(super) const LONGEST_LINK: usize = 160;

/// Completes the lines of a sink, in the order in which they are written.
///
/// A chain is begun with each guard, and so with each environment that a snapshot is restored in: what was in the snapshot
/// is in all of them, so that only a new name, which none has before, keeps them apart.
#[derive(Debug)]
pub(super) struct Chain {
    /// What the next chain will begin with.
    root: Secret,
    /// The number of the next chain.
    number: u16,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    id: String,
    ladder: Ladder,
    /// How many lines before this one may not stand in the log, or in part.
    lost: u32,
}

impl Chain {
    pub(super) fn new(key: ChainKey) -> Self {
        Self { root: key.into_root(), number: 0, current: None }
    }

    /// Adds to a line, which ends in `}` and a newline, its place and its MAC, and writes it.
    ///
    /// Its place is used up even if that fails, for nobody knows what has arrived; the next line says how many were.
    pub(super) fn write(
        &mut self,
        mut line: Vec<u8>,
        begins_guard: bool,
        write: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_last = leaving_no_keys(|| self.complete(&mut line, begins_guard))?;
        let written = write(&line);
        if is_last {
            self.current = None;
        } else if let Some(current) = self.current.as_mut().filter(|_| written.is_ok()) {
            current.lost = 0;
        }
        written
    }

    /// Goes on to the next place; true if there is none.
    fn complete(&mut self, line: &mut Vec<u8>, begins_guard: bool) -> io::Result<bool> {
        let begins = begins_guard && self.number <= LAST_CHAIN;
        let mut current = match self.current.take().filter(|_| !begins) {
            Some(current) => current,
            None => self.begin()?,
        };
        current.complete(line)?;
        let is_last = !current.ladder.advance();
        current.lost = current.lost.saturating_add(1);
        self.current = Some(current);
        Ok(is_last)
    }

    fn begin(&mut self) -> io::Result<Current> {
        if self.number > LAST_CHAIN {
            return Err(io::Error::other("the audit's chain is at its end, after four billion lines"));
        }
        let mut random = [0; 12];
        getrandom::fill(&mut random)
            .map_err(|error| io::Error::other(format!("no random number to name the audit's chain by: {error}")))?;
        let id = format!("{}.{}", self.number, BASE64URL_NOPAD.encode(&random));
        let mut ladder = Ladder::new(link::root_of(&self.root, &id));
        ladder.advance();
        self.root = self.root.next();
        self.number += 1;
        Ok(Current { id, ladder, lost: 0 })
    }
}

impl Current {
    fn complete(&self, line: &mut Vec<u8>) -> io::Result<()> {
        let without_end = line.strip_suffix(b"}\n").map_or(line.len(), <[u8]>::len);
        line.truncate(without_end);
        write!(line, ",\"chain_id\":\"{}\"", self.id)?;
        if self.lost > 0 {
            write!(line, ",\"chain_lost\":{}", self.lost)?;
        }
        write!(line, ",\"chain_seq\":{}", self.ladder.place())?;
        let mac = BASE64URL_NOPAD.encode(&self.ladder.line().mac_of(line));
        writeln!(line, ",\"mac\":\"{mac}\"}}")
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod memory_tests;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;
    use crate::audit::{AuditEvent, AuditRecord, AuditSink, Context, JsonLines, LineNumber};
    use crate::policy::Policy;

    fn key() -> ChainKey {
        ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap()
    }

    /// Fails at the writes with these numbers, from 1: at a negative one before anything is written, at a positive one
    /// after the whole line is.
    #[derive(Clone, Default)]
    struct Log {
        text: Arc<Mutex<Vec<u8>>>,
        failures: Arc<Vec<i32>>,
        flushes: Arc<Mutex<i32>>,
    }

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes != b"\n" {
                *self.flushes.lock().unwrap() += 1;
                if self.failures.contains(&-*self.flushes.lock().unwrap()) {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            let fails = self.failures.contains(&*self.flushes.lock().unwrap());
            if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Log {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
            text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    }

    /// Records lines with these numbers; whether each was kept.
    fn record(sink: &impl AuditSink, numbers: &[(u64, u64)], message: &str) -> Vec<bool> {
        let (context, now) = (Context::current(), std::time::SystemTime::now());
        let policy = Policy::builder("p").build().unwrap();
        let each = |(environment, seq): &(u64, u64)| {
            let number = LineNumber { environment: *environment, seq: *seq };
            sink.record(&AuditRecord::new(AuditEvent::Posture, number, now, &policy, &context, message.to_owned()))
                .is_ok()
        };
        numbers.iter().map(each).collect()
    }

    fn places(lines: &[String]) -> Vec<(String, u32, u32)> {
        let place = |line: &String| {
            let link = Link::parse(line).unwrap();
            assert!(Checker::new(&key(), link.chain_id).unwrap().holds(&link), "{line}");
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!((&value["chain_id"], &value["chain_seq"]), (&link.chain_id.into(), &link.chain_seq.into()));
            (link.chain_id.to_owned(), link.chain_seq, link.chain_lost)
        };
        lines.iter().map(place).collect()
    }

    #[test]
    fn lines_are_numbered_as_they_are_written() {
        let log = Log::default();
        let sink = JsonLines::new(log.clone()).chained(key());
        // Another thread has taken a number before, and comes after.
        record(&sink, &[(7, 1), (7, 3), (7, 2)], "message");
        let places = places(&log.lines());
        assert!(places.iter().all(|place| place.0.starts_with("0.") && place.0 == places[0].0));
        assert_eq!(places.iter().map(|place| (place.1, place.2)).collect::<Vec<_>>(), [(1, 0), (2, 0), (3, 0)]);
    }

    #[test]
    fn each_guard_begins_a_chain_of_its_own_name() {
        let log = Log::default();
        let sink = JsonLines::new(log.clone()).chained(key());
        record(&sink, &[(7, 1), (8, 1), (7, 2), (8, 2)], "message");
        let places = places(&log.lines());
        let numbers: Vec<_> = places.iter().map(|(id, place, _)| (id.get(..2).unwrap(), *place)).collect();
        assert_eq!(numbers, [("0.", 1), ("1.", 1), ("1.", 2), ("1.", 3)]);
        assert_ne!(places[0].0.get(2..), places[1].0.get(2..));
    }

    #[test]
    fn a_place_that_was_not_written_is_counted_in_the_next_line() {
        for (failures, kept, expected) in [
            (vec![-2], vec![true, false, true, true], vec![(1, 0), (3, 1), (4, 0)]),
            (vec![2], vec![true, false, true, true], vec![(1, 0), (2, 0), (3, 1), (4, 0)]),
            (vec![-1, -2], vec![false, false, true, true], vec![(3, 2), (4, 0)]),
            (vec![-2, 3], vec![true, false, false, true], vec![(1, 0), (3, 1), (4, 2)]),
        ] {
            let log = Log { failures: Arc::new(failures.clone()), ..Log::default() };
            let sink = JsonLines::new(log.clone()).chained(key());
            assert_eq!(record(&sink, &[(7, 1), (7, 2), (7, 3), (7, 4)], "message"), kept, "{failures:?}");
            let places = places(&log.lines());
            assert_eq!(places.iter().map(|place| (place.1, place.2)).collect::<Vec<_>>(), expected, "{failures:?}");
        }
    }

    #[test]
    fn with_its_link_a_line_still_fits_into_a_pipe() {
        let log = Log::default();
        let sink = JsonLines::new(log.clone()).chained(key());
        for length in 0..400 {
            record(&sink, &[(7, 2)], &"\u{1}".repeat(length));
        }
        assert!(log.lines().iter().all(|line| line.len() < 4096));
        let longest = Current { id: format!("{LAST_CHAIN}.{}", "x".repeat(16)), ..Chain::new(key()).begin().unwrap() };
        let mut line = b"{\"a\":1}\n".to_vec();
        let before = line.len();
        Current { lost: u32::MAX, ..longest }.complete(&mut line).unwrap();
        assert!(line.len() - before + "4294967295".len() <= LONGEST_LINK);
    }

    /// A snapshot is restored many times over, with all that the process has in its memory.
    #[test]
    fn the_restored_copies_of_a_snapshot_part_with_their_first_lines() {
        let mut snapshot = Chain::new(key());
        snapshot.begin().unwrap();
        let restored = || {
            let mut chain = Chain { root: snapshot.root.clone(), number: snapshot.number, current: None };
            let current = chain.begin().unwrap();
            (current.id.clone(), current.ladder.line().mac_of(b"x"))
        };
        let (one, other) = (restored(), restored());
        assert!(one.0.starts_with("1.") && other.0.starts_with("1.") && one.0 != other.0);
        assert_ne!(one.1, other.1);
    }

    #[test]
    fn the_last_chain_of_a_sink_goes_on_with_further_guards() {
        let mut chain = Chain { number: LAST_CHAIN, ..Chain::new(key()) };
        let mut ids = Vec::new();
        for _ in 0..3 {
            let line = |line: &[u8]| {
                ids.push(Link::parse(std::str::from_utf8(line).unwrap().trim()).unwrap().chain_id.to_owned());
                Ok(())
            };
            chain.write(b"{\"a\":1}\n".to_vec(), true, line).unwrap();
        }
        assert!(ids[0].starts_with("4095.") && ids.iter().all(|id| *id == ids[0]));
    }
}
