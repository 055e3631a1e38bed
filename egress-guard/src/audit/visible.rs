//! How a text stands in a line: nothing in it steers the terminal or hides from the eye that reads the line.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Writes JSON in which characters that a terminal obeys, or that nobody sees, are escaped like those that must be.
pub(super) struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for part in fragment.split_inclusive(is_hidden) {
            match part.chars().next_back().filter(|last| is_hidden(*last)) {
                None => writer.write_all(part.as_bytes())?,
                Some(hidden) => {
                    writer.write_all(part.strip_suffix(hidden).unwrap_or_default().as_bytes())?;
                    for unit in hidden.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Controls beyond those of ASCII, among them a terminal's one-byte escapes; other ends of a line; what reorders the text
/// around it (Unicode Standard Annex 9); and what has no width.
fn is_hidden(char: char) -> bool {
    matches!(char,
        '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The beginning of a text that takes no more than so many bytes in a line, whatever characters it has.
pub(crate) fn bounded(text: &str, max: usize) -> &str {
    let mut length = 0;
    let first_beyond = text.char_indices().find(|(_, char)| {
        length += written_length(*char);
        length > max
    });
    first_beyond.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn written_length(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        _ if char < ' ' || is_hidden(char) => 6 * char.len_utf16(),
        _ => char.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    fn written(text: &str) -> String {
        let mut line = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Visible)).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn what_steers_a_terminal_or_hides_is_escaped() {
        for (name, text, expected) in [
            ("plain", "a\u{e9}\u{30cd}\u{1f512}", "a\u{e9}\u{30cd}\u{1f512}"),
            ("new lines", "a\r\nb", "a\\r\\nb"),
            ("an escape sequence", "\u{1b}[2J", "\\u001b[2J"),
            ("the same in one byte", "\u{9b}2J", "\\u009b2J"),
            ("next line", "a\u{85}b", "a\\u0085b"),
            ("line and paragraph separators", "\u{2028}\u{2029}", "\\u2028\\u2029"),
            ("overrides", "x\u{202e}y\u{2066}z\u{2069}", "x\\u202ey\\u2066z\\u2069"),
            ("no width", "a\u{200b}b\u{feff}", "a\\u200bb\\ufeff"),
            ("beyond the first plane", "a\u{e0041}", "a\\udb40\\udc41"),
            ("delete and null", "\u{7f}\0", "\\u007f\\u0000"),
        ] {
            assert_eq!(written(text), format!("\"{expected}\""), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_back_as_itself_and_hides_nothing(text in any::<String>()) {
            let line = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            prop_assert!(!line.chars().any(|char| char.is_control() || is_hidden(char)), "{:?}", line);
        }

        #[test]
        fn a_bounded_text_is_as_long_as_fits(
            text in "[a\"\n\u{1}\u{9b}\u{202e}\u{30cd}\u{1f512}\u{e0041}]{0,40}",
            max in 0..100_usize,
        ) {
            let beginning = bounded(&text, max);
            prop_assert!(text.starts_with(beginning) && written(beginning).len() <= max + 2);
            if let Some(next) = text.strip_prefix(beginning).unwrap().chars().next() {
                prop_assert!(written(&[beginning, &next.to_string()].concat()).len() > max + 2);
            }
        }
    }
}
