//! What is printed, fit for a terminal and for programs.

use std::io::{self, Write};

use indicatif::HumanCount;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Prints the whole of it, or as much as the reader wants.
pub(crate) fn print(bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(bytes).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Writes JSON on one line, in which what is not printable is escaped, as JSON does with some of it.
pub(crate) fn write_json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *output, Printable))?;
    output.write_all(b"\n")
}

struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, output: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if is_printable(character) {
                write!(output, "{character}")?;
            } else {
                character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(output, "\\u{unit:04x}"))?;
            }
        }
        Ok(())
    }
}

/// Whether a character can be printed as it is, without steering a terminal or hiding in it.
pub(crate) fn is_printable(character: char) -> bool {
    // Only quotes and backslashes are escaped though they can be printed.
    character.escape_debug().len() == 1 || matches!(character, '"' | '\'' | '\\')
}

/// A number with a comma before every three digits.
pub(crate) fn with_commas(number: u64) -> String {
    HumanCount(number).to_string()
}

/// So many of them, as in `1 request` or `1,234 requests`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", with_commas(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_write_them() {
        let numbers = [0, 1, 999, 1000, 1_234_567].map(|number| counted(number, "request"));
        assert_eq!(numbers, ["0 requests", "1 request", "999 requests", "1,000 requests", "1,234,567 requests"]);
    }

    #[test]
    fn json_reads_back_as_it_was() {
        for text in ["plain \u{fc}\u{1f600} \"'\\ \n\t", "\u{1b}\u{9b}\u{7f}\u{202e}\u{feff}\u{2028}\u{e0001}"] {
            let mut json = Vec::new();
            write_json(&mut json, &text).unwrap();
            let json = String::from_utf8(json).unwrap();
            assert!(json.trim_end().chars().all(is_printable), "{json:?}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
