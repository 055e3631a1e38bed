//! How findings are shown: to people, to programs, to code scanning.

pub(crate) mod json;
pub(crate) mod sarif;
pub(crate) mod text;

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::code::Level;
use super::finding::Finding;

/// Text from a policy, so that it cannot steer a terminal: what is not printable is escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) { printable.push(character) } else { printable.extend(character.escape_debug()) }
    }
    printable
}

fn is_printable(character: char) -> bool {
    // Only quotes and backslashes are escaped though they can be printed.
    character.escape_debug().len() == 1 || matches!(character, '"' | '\'' | '\\')
}

/// Writes JSON on one line, in which what is not printable is escaped, as JSON does with some of it.
fn write_json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
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

/// How many findings there are of a level.
fn count<'f>(findings: impl Iterator<Item = &'f Finding>, level: Level) -> usize {
    findings.filter(|finding| finding.level() == level).count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::lint::Report;
    use crate::lint::checks::{Settings, lint};
    use crate::lint::source::Source;

    /// Almost a policy, in TOML or JSON, of which every piece may be missing or wrong.
    fn policy() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "['\"]{1,3}[a-z0-9*./:\\\\\r\n\u{9b}\u{e9}-]{0,9}['\"]{0,3}",
            "\\[('\\*\\.github\\.io',|'10\\.0\\.0\\.0/8',|80,){0,2}\\]?",
            "2026-01-0[0-9]",
        ];
        let key = prop::sample::select(vec!["id", "hosts", "networks", "ports", "schemes", "expires", "mode", "owner"]);
        let line = (key, value, prop_oneof![Just("\n"), Just("\r\n"), Just("")]);
        let lines = prop::collection::vec(line.prop_map(|(key, value, end)| format!("{key} = {value}{end}")), 0..5);
        lines.prop_map(|lines| format!("version = 1\nname = 'p'\n[[allow]]\n{}", lines.concat()))
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_can_be_shown(text in prop_oneof![policy(), "\\PC{0,40}", any::<String>()], is_json: bool) {
            let settings = Settings { today: "2026-01-01".parse().unwrap(), soon: 30 };
            let findings = lint(&text, is_json, &settings);
            let reports = [Report { source: Source::new(Path::new("policy.toml"), text), findings, left_out: 0 }];
            let mut output = Vec::new();
            text::print(&mut output, &reports, false).unwrap();
            json::print(&mut output, &reports).unwrap();
            sarif::print(&mut output, &reports, &[]).unwrap();
            let output = String::from_utf8(output).unwrap();
            prop_assert!(!output.contains(|c: char| c.is_control() && c != '\n'), "{output:?}");
        }
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

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let cases = [
            ("plain 'text' \"and\" \\ \u{fc}\u{1f600}", "plain 'text' \"and\" \\ \u{fc}\u{1f600}"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{9b}2J\u{7f}\u{0}", "\\u{9b}2J\\u{7f}\\0"),
            ("a\u{202e}b\u{200b}\u{feff}\u{2028}", "a\\u{202e}b\\u{200b}\\u{feff}\\u{2028}"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ];
        for (text, expected) in cases {
            assert_eq!(printable(text), expected);
        }
    }
}
