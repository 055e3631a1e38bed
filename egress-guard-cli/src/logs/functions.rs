//! The functions that are asked for, and the lines that name none.
//!
//! What a guard writes as its environment starts names no function: what is in force, what is wrong with it, what is asked
//! for at initialisation. The environment's first invocation tells whose it is, for Lambda gives none to another function.

use std::collections::HashMap;

use super::{AuditLine, Entry};

/// The environments whose function is noted, and the bytes of lines that wait for that of theirs.
const MOST: usize = 1 << 18;
const ROOM: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct Functions {
    wanted: Vec<String>,
    /// Whether an environment is of one of them.
    known: HashMap<u64, bool>,
    held: HashMap<u64, Vec<Held>>,
    size: usize,
    unknown: u64,
}

/// A line of which nobody knows yet whose it is.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) text: Box<str>,
    pub(crate) is_behind_text: bool,
    is_counted: bool,
}

impl Functions {
    /// Those of these names, or all if there is none.
    pub(crate) fn new(wanted: &[String]) -> Self {
        Self { wanted: wanted.to_vec(), ..Self::default() }
    }

    /// Whether a line is of one of them, by its own word or that of another line of its environment; nothing while none
    /// has said so.
    pub(crate) fn has(&self, line: &AuditLine<'_>) -> Option<bool> {
        match line.function_name.as_deref() {
            _ if self.wanted.is_empty() => Some(true),
            Some(name) => Some(self.is_wanted(name)),
            None => self.known.get(&line.environment_id).copied(),
        }
    }

    /// Takes note of the function that a line names, and hands out the lines that waited for that and are of one of these.
    pub(crate) fn learn(&mut self, line: &AuditLine<'_>, entry: &Entry<'_>) -> Vec<Held> {
        let Some(name) = line.function_name.as_deref() else { return Vec::new() };
        // Whoever wrote the text before it may have written the line.
        if self.wanted.is_empty() || entry.is_behind_text {
            return Vec::new();
        }
        let (environment, is_wanted) = (line.environment_id, self.is_wanted(name));
        if self.known.len() < MOST {
            self.known.entry(environment).or_insert(is_wanted);
        }
        let held = self.held.remove(&environment).unwrap_or_default();
        self.size -= held.iter().map(Held::size).sum::<usize>();
        self.unknown -= held.iter().filter(|held| held.is_counted).count() as u64;
        if is_wanted { held } else { Vec::new() }
    }

    /// Keeps a line until it is known whose it is, if there is room.
    pub(crate) fn hold(&mut self, line: &AuditLine<'_>, entry: &Entry<'_>, is_counted: bool) {
        self.unknown += u64::from(is_counted);
        let held = Held { text: entry.text.into(), is_behind_text: entry.is_behind_text, is_counted };
        if self.size + held.size() <= ROOM {
            self.size += held.size();
            self.held.entry(line.environment_id).or_default().push(held);
        }
    }

    /// How many of the lines to be counted are of a function that is still not known.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.iter().any(|wanted| wanted == name)
    }
}

impl Held {
    fn size(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Place;

    fn entry(text: &str) -> Entry<'_> {
        Entry { text, place: Place { file: "log", number: 1 }, is_behind_text: false }
    }

    fn text(environment: u64, function: &str) -> String {
        let function = if function.is_empty() { String::new() } else { format!(r#","function_name":"{function}""#) };
        format!(
            r#"{{"timestamp":"2026-11-24T10:45:59.434Z","event_type":"egress_posture","schema":"egress-guard/1","environment_id":{environment},"seq":1,"policy_id":"p","mode":"enforce"{function}}}"#
        )
    }

    #[test]
    fn a_line_without_a_function_waits_for_one_that_names_it() {
        let mut functions = Functions::new(&["orders".to_owned()]);
        let texts = [text(1, ""), text(2, ""), text(1, "orders"), text(2, "billing"), text(3, "")];
        let [start, of_other, named, other, unknown] = texts.each_ref().map(|text| AuditLine::parse(text).unwrap());
        for (line, text) in [(&start, &texts[0]), (&of_other, &texts[1]), (&unknown, &texts[4])] {
            assert_eq!(functions.has(line), None);
            functions.hold(line, &entry(text), true);
        }
        functions.hold(&unknown, &entry(&texts[4]), false);
        assert_eq!(functions.unknown(), 3);

        let behind = Entry { is_behind_text: true, ..entry(&texts[2]) };
        assert!(functions.learn(&named, &behind).is_empty(), "the text before it may be somebody else's");
        let released = functions.learn(&named, &entry(&texts[2]));
        assert_eq!(released.iter().map(|held| &*held.text).collect::<Vec<_>>(), [&texts[0]]);
        assert!(functions.learn(&other, &entry(&texts[3])).is_empty(), "it is of a function that is not asked for");
        assert_eq!((functions.has(&start), functions.has(&of_other)), (Some(true), Some(false)));
        assert_eq!((functions.has(&unknown), functions.unknown(), functions.size > 0), (None, 1, true));
    }

    #[test]
    fn lines_beyond_the_room_are_counted_and_not_kept() {
        let mut functions = Functions::new(&["orders".to_owned()]);
        let long = text(1, "").replace("enforce", &"x".repeat(ROOM / 2));
        let line = AuditLine::parse(&long).unwrap();
        (0..3).for_each(|_| functions.hold(&line, &entry(&long), true));
        assert_eq!(functions.unknown(), 3);
        let named = text(1, "orders");
        let named = (AuditLine::parse(&named).unwrap(), entry(&named));
        assert_eq!(functions.learn(&named.0, &named.1).len(), 1);
        assert_eq!((functions.size, functions.unknown()), (0, 2));
    }

    #[test]
    fn if_none_is_named_all_are_asked_for() {
        let functions = Functions::new(&[]);
        let text = text(1, "");
        assert_eq!(functions.has(&AuditLine::parse(&text).unwrap()), Some(true));
    }
}
