//! Lines outside of an invocation, which name no function: their environment does, in another line.

use std::collections::BTreeMap;

/// How many environments are known, and how many bytes of lines wait for their function's name.
const ENVIRONMENTS: usize = 100_000;
const WAITING: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Outside {
    /// Whether the function of an environment is one of those that are learnt from.
    known: BTreeMap<u64, bool>,
    waiting: BTreeMap<u64, Vec<Waiting>>,
    room: usize,
    /// Lines about something that was sent, for which there was no room.
    lost: u64,
}

/// A line whose function is not known yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) text: Box<str>,
    pub(super) is_behind_text: bool,
    /// Whether it is about something that was sent.
    pub(super) is_sent: bool,
}

impl Default for Outside {
    fn default() -> Self {
        Self { known: BTreeMap::new(), waiting: BTreeMap::new(), room: WAITING, lost: 0 }
    }
}

impl Outside {
    /// Whether an environment is of a function that is learnt from, if that is known.
    pub(super) fn is_wanted(&self, environment: u64) -> Option<bool> {
        self.known.get(&environment).copied()
    }

    pub(super) fn wait(&mut self, environment: u64, line: Waiting) {
        let Some(room) = self.room.checked_sub(line.text.len() + size_of::<Waiting>()) else {
            self.lost += u64::from(line.is_sent);
            return;
        };
        self.room = room;
        self.waiting.entry(environment).or_default().push(line);
    }

    /// Notes whose an environment is, and hands out what waited for that.
    pub(super) fn knows(&mut self, environment: u64, is_wanted: bool) -> Vec<Waiting> {
        if self.known.len() < ENVIRONMENTS {
            self.known.entry(environment).or_insert(is_wanted);
        }
        let lines = self.waiting.remove(&environment).unwrap_or_default();
        self.room += lines.iter().map(|line| line.text.len() + size_of::<Waiting>()).sum::<usize>();
        lines
    }

    /// How many lines about something that was sent belong to a function that is not known.
    pub(super) fn left_out(&self) -> u64 {
        let waiting = self.waiting.values().flatten().filter(|line| line.is_sent).count();
        self.lost + waiting as u64
    }
}
