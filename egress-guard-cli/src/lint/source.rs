//! The text of a policy, and the places in it.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A policy file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// What is not UTF-8 is replaced, and a fault.
    pub(crate) text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
    /// How many characters stand before each block of [`BLOCK`] bytes, so that long lines are not counted again and
    /// again.
    characters: Vec<usize>,
}

const BLOCK: usize = 256;

/// A place as people count: from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Source {
    pub(crate) fn new(path: &Path, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut count = 0;
        let blocks = text.as_bytes().chunks(BLOCK).map(|block| {
            let before = count;
            count += characters(block);
            before
        });
        Self { path: path.to_owned(), characters: blocks.collect(), lines, text }
    }

    /// The path for people to read.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.line_start(line);
        Place { line, column: self.characters_before(offset) - self.characters_before(start) + 1 }
    }

    /// The bytes of a line, without its end.
    pub(crate) fn line(&self, line: usize) -> Range<usize> {
        let start = self.line_start(line);
        let rest = self.text.get(start..).unwrap_or_default();
        start..start + rest.lines().next().unwrap_or_default().len()
    }

    fn line_start(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or_default()
    }

    fn characters_before(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let block = (offset / BLOCK).min(self.characters.len().saturating_sub(1));
        let counted = self.characters.get(block).copied().unwrap_or_default();
        counted + characters(self.text.as_bytes().get(block * BLOCK..offset).unwrap_or_default())
    }

    /// The bytes of the value, key or header that begins at an offset, in TOML or JSON.
    pub(crate) fn token(&self, offset: usize) -> Range<usize> {
        let rest = self.text.get(offset..).unwrap_or_default();
        let length = match rest.chars().next() {
            None => 0,
            Some(quote @ ('"' | '\'')) => quoted(rest, quote),
            // The header of a table.
            Some('[') => {
                rest.find(|c| "\r\n#".contains(c)).map_or(rest, |end| rest.get(..end).unwrap_or(rest)).trim_end().len()
            }
            Some(first) => rest
                .find(|c: char| c.is_whitespace() || ",]}#=:".contains(c))
                .unwrap_or(rest.len())
                .max(first.len_utf8()),
        };
        offset..offset + length
    }
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

/// The length of the string at the beginning of a text, with its quotes.
fn quoted(text: &str, quote: char) -> usize {
    let three: String = [quote; 3].iter().collect();
    let (mark, is_long) = if text.starts_with(&three) { (three, true) } else { (quote.to_string(), false) };
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(mark.len()) {
        if escaped {
            escaped = false;
        } else if character == '\\' && quote == '"' {
            escaped = true;
        } else if text.get(at..).is_some_and(|rest| rest.starts_with(&mark)) {
            return at + mark.len();
        } else if character == '\n' && !is_long {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(Path::new("policy.toml"), text.to_owned())
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let long = format!("a = '{}' # \u{e9}\u{1f600}x\r\n\u{feff}b", "\u{fc}".repeat(1000));
        let source = source(&long);
        for (needle, line, column) in [("a", 1, 1), ("#", 1, 1008), ("x", 1, 1012), ("b", 2, 2)] {
            assert_eq!(source.place(long.find(needle).unwrap()), Place { line, column }, "{needle}");
        }
        assert_eq!(source.place(long.len()), Place { line: 2, column: 3 });
        assert_eq!(source.place(usize::MAX).line, 2);
        assert!(long.get(source.line(1)).unwrap().ends_with('x'));
    }

    #[test]
    fn a_token_ends_where_the_value_ends() {
        let cases = [
            ("'a', 'b'", "'a'"),
            (r#""a\"b\\" ]"#, r#""a\"b\\""#),
            (r"'a\' ]", r"'a\'"),
            ("'''a\n'b'''\n", "'''a\n'b'''"),
            ("\"unclosed\nnext", "\"unclosed"),
            ("2027-03-31 # soon", "2027-03-31"),
            ("443, 80]", "443"),
            ("host = ['x']", "host"),
            ("[[allow]] # rules\nid", "[[allow]]"),
            ("{\"id\":1}", "{\"id\""),
            ("", ""),
            ("\u{e9}", "\u{e9}"),
            (",", ","),
        ];
        for (text, expected) in cases {
            let text = format!("\u{e9}{text}");
            assert_eq!(text.get(source(&text).token(2)), Some(expected), "{text}");
        }
        assert_eq!(source("a").token(7), 7..7);
    }
}
