//! How findings are shown: to people, to programs, to code scanning.

pub(crate) mod json;
pub(crate) mod sarif;
pub(crate) mod text;

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

/// How many findings there are of a level.
fn count<'f>(findings: impl Iterator<Item = &'f Finding>, level: Level) -> usize {
    findings.filter(|finding| finding.level() == level).count()
}

#[cfg(test)]
mod tests {
    use super::*;

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
