//! What has been read of a log, in memory that does not grow with the lines that are as they should be.

use std::collections::{BTreeMap, HashMap};

use egress_guard::ChainKey;
use egress_guard::chain::{Checker, Link};
use serde::Deserialize;

use super::finding::{Finding, Kind, Of};
use super::order::Order;
use crate::logs::{AuditLine, Entry, Place, Text};
use crate::places::{At, Places, Run};

/// The lines so far.
///
/// Each line is judged by itself, since its key follows from its place alone; so their order, and that of the files, does
/// not matter. What is kept of a chain is which places there have been, as runs.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) keys: Vec<ChainKey>,
    /// The names of the files.
    pub(super) files: Vec<String>,
    /// Those with a line that holds; without a key, all.
    pub(super) chains: HashMap<Box<str>, Chain>,
    pub(super) environments: BTreeMap<u64, Environment>,
    /// Lines that do not hold, and how many more there are than are kept.
    pub(super) broken: Vec<Broken>,
    pub(super) broken_more: u64,
    /// What checks the chain of the last of them.
    unheld: Option<(Box<str>, Vec<Checker>)>,
    /// Lines without a place in a chain that are of none of these.
    pub(super) others: Sighting,
    /// Lines that are meant to be of the audit, and are not.
    pub(super) foreign: Sighting,
    /// What ends in the middle.
    pub(super) torn: Sighting,
}

/// A chain, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Chain {
    checker: Option<Checker>,
    pub(super) lines: u64,
    pub(super) seen: Places,
    /// What the process says it could not write, or not whole.
    pub(super) lost: Places,
    pub(super) doubled: Sighting,
    pub(super) moved: Sighting,
    order: Order,
    pub(super) end: End,
}

/// The last line of a chain.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) place: u64,
    pub(super) event_type: String,
    pub(super) timestamp: String,
    pub(super) environment_id: u64,
    pub(super) at: At,
}

/// The numbers of a guard's lines in its environment.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) seqs: Places,
    pub(super) doubled: Sighting,
    /// Lines without a place in a chain.
    pub(super) unchained: Sighting,
}

/// A line that does not hold.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) chain_id: Box<str>,
    pub(super) place: u64,
    pub(super) at: At,
}

/// More than this many are only counted.
const MOST_BROKEN: usize = 1 << 16;

/// Of more, lines without a place in a chain are only counted.
const MOST_ENVIRONMENTS: usize = 1 << 16;

/// How often something was seen, where first, and the least and the greatest of its numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sighting {
    pub(super) count: u64,
    at: Option<At>,
    numbers: Option<(u64, u64)>,
}

impl Sighting {
    fn add(&mut self, number: Option<u64>, at: At) {
        self.count += 1;
        self.at.get_or_insert(at);
        if let Some(number) = number {
            let (least, greatest) = self.numbers.unwrap_or((number, number));
            self.numbers = Some((least.min(number), greatest.max(number)));
        }
    }

    pub(super) fn finding(&self, kind: Kind, of: Of) -> Option<Finding> {
        let Self { count, at, numbers } = *self;
        (count > 0).then(|| Finding { count, at, numbers, ..Finding::new(kind, of) })
    }
}

/// All that a line of anybody's needs to be taken for one of the audit.
#[derive(Deserialize)]
struct Claim<'a> {
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
}

impl Log {
    pub(super) fn new(keys: Vec<ChainKey>) -> Self {
        Self {
            keys,
            files: Vec::new(),
            chains: HashMap::new(),
            environments: BTreeMap::new(),
            broken: Vec::new(),
            broken_more: 0,
            unheld: None,
            others: Sighting::default(),
            foreign: Sighting::default(),
            torn: Sighting::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.environments.is_empty() && self.broken.is_empty() && self.foreign.count == 0
    }

    pub(super) fn read(&mut self, entry: Entry<'_>) {
        let at = self.at(entry.place);
        match (Link::parse(entry.text), AuditLine::parse(entry.text)) {
            (Some(link), line) => self.read_chained(&link, line.ok().as_ref(), at),
            (None, Ok(line)) => self.read_unchained(&line, at),
            (None, Err(_)) => match serde_json::from_str(entry.text) {
                Ok(Claim { event_type: Some(claimed) }) if claimed.starts_with("egress_") => self.foreign.add(None, at),
                Ok(_) => {}
                Err(error) if error.is_eof() || is_cut_in_a_number(entry.text) => self.torn.add(None, at),
                // Other readers may take a key that is there twice, or text behind the end.
                Err(_) => self.foreign.add(None, at),
            },
        }
    }

    fn read_unchained(&mut self, line: &AuditLine<'_>, at: At) {
        let is_full = self.environments.len() >= MOST_ENVIRONMENTS;
        if is_full && !self.environments.contains_key(&line.environment_id) {
            return self.others.add(None, at);
        }
        let environment = self.environments.entry(line.environment_id).or_default();
        environment.unchained.add(None, at);
        environment.add(line.seq, at);
    }

    fn read_chained(&mut self, link: &Link<'_>, line: Option<&AuditLine<'_>>, at: At) {
        if !self.holds(link) {
            if self.broken.len() < MOST_BROKEN {
                self.broken.push(Broken { chain_id: link.chain_id.into(), place: link.chain_seq.into(), at });
            } else {
                self.broken_more += 1;
            }
            return;
        }
        let chain = self.chains.entry(link.chain_id.into()).or_default();
        let is_new = chain.add(link, line, at);
        if let Some(line) = line.filter(|_| is_new) {
            self.environments.entry(line.environment_id).or_default().add(line.seq, at);
        }
    }

    /// Whether a line is one that the key's owner wrote; without a key every line is taken for one.
    fn holds(&mut self, link: &Link<'_>) -> bool {
        if self.keys.is_empty() {
            return true;
        }
        if let Some(checker) = self.chains.get_mut(link.chain_id).and_then(|chain| chain.checker.as_mut()) {
            return checker.holds(link);
        }
        let mut checkers = match self.unheld.take().filter(|(chain_id, _)| **chain_id == *link.chain_id) {
            Some((_, checkers)) => checkers,
            None => self.keys.iter().filter_map(|key| Checker::new(key, link.chain_id)).collect(),
        };
        let holds = checkers.iter_mut().position(|checker| checker.holds(link));
        match holds.map(|place| checkers.swap_remove(place)) {
            Some(checker) => {
                self.chains.insert(link.chain_id.into(), Chain { checker: Some(checker), ..Chain::default() });
                true
            }
            None => {
                self.unheld = Some((link.chain_id.into(), checkers));
                false
            }
        }
    }

    fn at(&mut self, place: Place<'_>) -> At {
        if self.files.last().is_none_or(|file| file != place.file) {
            self.files.push(place.file.to_owned());
        }
        At { file: self.files.len() - 1, number: place.number }
    }
}

impl Chain {
    /// Adds a line that holds; false if it is there already.
    fn add(&mut self, link: &Link<'_>, line: Option<&AuditLine<'_>>, at: At) -> bool {
        let place = u64::from(link.chain_seq);
        self.lines += 1;
        if !self.seen.insert(place, at) {
            self.doubled.add(Some(place), at);
            return false;
        }
        if link.chain_lost > 0 {
            let (first, last) = (place - u64::from(link.chain_lost), place - 1);
            self.lost.cover(Run { first, last, first_at: at, last_at: at });
        }
        let Some(line) = line else { return true };
        let time = line.time();
        if time.is_some_and(|time| !self.order.follows(place, time.as_millisecond(), at.file)) {
            self.moved.add(Some(place), at);
        }
        if place > self.end.place {
            self.end = End {
                place,
                event_type: line.event_type.to_string(),
                timestamp: line.timestamp.to_string(),
                environment_id: line.environment_id,
                at,
            };
        }
        true
    }
}

impl Environment {
    fn add(&mut self, seq: u64, at: At) {
        if !self.seqs.insert(seq, at) {
            self.doubled.add(Some(seq), at);
        }
    }
}

/// Whether a text ends within a number, which `serde_json` does not take for an end too early if it passes the number over.
fn is_cut_in_a_number(text: &str) -> bool {
    serde_json::from_str::<Claim<'_>>(&format!("{text}0")).is_err_and(|error| error.is_eof())
}

#[cfg(test)]
mod tests {
    use super::super::report::Report;
    use super::*;

    /// Lines without a place in a chain, each of another environment.
    fn log_of(keys: Vec<ChainKey>, environments: u64) -> Log {
        let mut log = Log::new(keys);
        for number in 1..=environments {
            let text = format!(
                r#"{{"timestamp":"2026-11-24T12:00:00.000Z","event_type":"egress_decision","schema":"egress-guard/1","environment_id":{number},"seq":1,"policy_id":"p","mode":"enforce"}}"#
            );
            log.read(Entry { text: &text, place: Place { file: "log", number }, is_behind_text: false });
        }
        log
    }

    #[test]
    fn environments_that_are_made_up_take_no_more_room_than_so_many() {
        let key = || ChainKey::from_bytes(&(0..32).collect::<Vec<u8>>()).unwrap();
        let most = MOST_ENVIRONMENTS as u64;
        for (keys, listed, kind, message) in [
            (vec![], 0, Kind::Unchecked, "3 lines of further environments not checked: there are too many of them"),
            (vec![key()], MOST_ENVIRONMENTS, Kind::Unchained, "3 lines of further environments without a MAC"),
        ] {
            let report = Report::of(log_of(keys, most + 3), false);
            assert_eq!(report.findings.len(), listed + 1);
            assert_eq!(report.unchained, most + 3);
            let others: Vec<_> = report.findings.iter().filter(|finding| finding.of == Of::Others).collect();
            assert!(matches!(others[..], [finding] if finding.kind == kind && !finding.is_note), "{others:?}");
            assert!(others[0].message().starts_with(message), "{}", others[0].message());
        }
    }

    #[test]
    fn every_beginning_of_a_line_is_torn_and_what_follows_one_is_not() {
        let line = r#"{"event_type":"egress_outcome","a":"\u00e9\"","b":[1.25,-1e-3,true,null],"duration_ms":10.5}"#;
        let read = |text: &str| {
            let mut log = Log::new(vec![]);
            log.read(Entry { text, place: Place { file: "log", number: 1 }, is_behind_text: false });
            (log.torn.count, log.foreign.count)
        };
        for end in 1..line.len() {
            let beginning = line.get(..end).unwrap();
            assert_eq!(read(beginning), (1, 0), "{beginning}");
        }
        for text in [
            line.to_owned(),
            format!("{line}1"),
            format!("{line}."),
            format!("{line}{{"),
            line.replace("\"a\"", "\"event_type\""),
        ] {
            assert_eq!(read(&text), (0, 1), "{text}");
        }
    }
}
