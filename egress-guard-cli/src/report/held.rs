//! Lines of which nobody knows yet whether they are selected.
//!
//! What a guard writes as its environment starts names no function: what is in force, what is wrong with it, what is asked
//! for at initialisation. The environment's first invocation tells whose it is.

use std::collections::HashMap;

/// The bytes that are held; what is beyond is left out and counted.
const MOST: usize = 32 << 20;

#[derive(Debug, Default)]
pub(super) struct Held {
    lines: HashMap<u64, Vec<Box<str>>>,
    bytes: usize,
    /// How many are held, and how many there was no room for.
    pub(super) unknown: u64,
}

impl Held {
    pub(super) fn hold(&mut self, environment: u64, text: &str) {
        self.unknown += 1;
        if self.bytes + text.len() <= MOST {
            self.bytes += text.len();
            self.lines.entry(environment).or_default().push(text.into());
        }
    }

    /// Those of an environment, now that it is known whose it is.
    pub(super) fn release(&mut self, environment: u64) -> Vec<Box<str>> {
        let lines = self.lines.remove(&environment).unwrap_or_default();
        self.bytes -= lines.iter().map(|text| text.len()).sum::<usize>();
        self.unknown -= lines.len() as u64;
        lines
    }
}
