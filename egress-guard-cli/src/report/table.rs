//! Counters of which there are never more than so many.
//!
//! Whoever makes a function ask for ever new hosts must not fill the memory of who reads its log, nor push out what other
//! functions did. When a table is full, half of its rows are given up: each group (a function, mostly) keeps its
//! greatest, all groups equally many, as far as they have them. What is given up is added to the sum of the others, so
//! that rows and others together are always everything.

use std::collections::HashMap as StdMap;
use std::hash::RandomState;

use hashbrown::HashMap;

use super::model::{Others, Row, Table};

/// The bytes of a text that are kept; the library writes none that is longer but `suspicious_environment`.
const LONGEST_TEXT: usize = 256;

/// The beginning of a text, at most as much as is kept of any.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The same, to be kept.
pub(super) fn owned(text: &str) -> String {
    cut(text).to_owned()
}

/// What tells rows apart, as bytes that sort as the parts do.
#[derive(Debug, Default)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn clear(&mut self) -> &mut Self {
        self.0.clear();
        self
    }

    pub(super) fn text(&mut self, text: Option<&str>) -> &mut Self {
        // Neither byte occurs in UTF-8.
        match text {
            Some(text) => self.0.extend_from_slice(cut(text).as_bytes()),
            None => self.0.push(0xfe),
        }
        self.0.push(0xff);
        self
    }

    pub(super) fn port(&mut self, port: Option<u16>) -> &mut Self {
        self.0.push(u8::from(port.is_some()));
        self.0.extend_from_slice(&port.unwrap_or_default().to_be_bytes());
        self
    }
}

#[derive(Debug)]
pub(super) struct Counter<R: Row> {
    // The keys come from whoever writes to the log: a hash that cannot be foreseen.
    rows: HashMap<Box<[u8]>, R, RandomState>,
    room: usize,
    given_up: u64,
    sum: R::Sum,
}

impl<R: Row> Counter<R> {
    pub(super) fn new(room: usize) -> Self {
        Self { rows: HashMap::default(), room, given_up: 0, sum: R::Sum::default() }
    }

    /// The row of the key, made if it is not there.
    pub(super) fn row(&mut self, key: &Key, make: impl FnOnce() -> R) -> &mut R {
        if self.rows.len() >= self.room && !self.rows.contains_key(key.0.as_slice()) {
            self.make_room();
        }
        self.rows.entry_ref(key.0.as_slice()).or_insert_with(make)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &R> {
        self.rows.values()
    }

    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.rows.values_mut()
    }

    pub(super) fn is_exact(&self) -> bool {
        self.given_up == 0
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(&R) -> bool) {
        self.rows.retain(|_, row| is_kept(row));
    }

    fn make_room(&mut self) {
        let mut rows: Vec<(Box<[u8]>, R)> = self.rows.drain().collect();
        rows.sort_unstable_by(|(key, row), (other_key, other)| {
            other.weight().cmp(&row.weight()).then_with(|| key.cmp(other_key))
        });
        let mut in_group: StdMap<Option<String>, usize> = StdMap::new();
        let mut ranked = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let rank = in_group.entry(row.group().map(str::to_owned)).or_default();
            *rank += 1;
            ranked.push((*rank, (key, row)));
        }
        // Stable: within a rank the greatest stay first.
        ranked.sort_by_key(|(rank, _)| *rank);
        for (place, (_, (key, row))) in ranked.into_iter().enumerate() {
            if place < self.room / 2 {
                self.rows.insert(key, row);
            } else {
                self.given_up += 1;
                row.add_to(&mut self.sum);
            }
        }
    }

    /// The rows in their order, as many as are to be shown.
    pub(super) fn into_table(self, top: Option<usize>) -> Table<R> {
        let Self { rows, given_up, mut sum, .. } = self;
        let mut rows: Vec<(Box<[u8]>, R)> = rows.into_iter().collect();
        rows.sort_unstable_by(|(key, row), (other_key, other)| {
            other.order().cmp(&row.order()).then_with(|| key.cmp(other_key))
        });
        let not_shown = rows.split_off(top.unwrap_or(rows.len()).min(rows.len()));
        not_shown.iter().for_each(|(_, row)| row.add_to(&mut sum));
        let count = given_up + not_shown.len() as u64;
        Table {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            others: (count > 0).then_some(Others { rows: count, sum }),
            exact: given_up == 0,
        }
    }
}
