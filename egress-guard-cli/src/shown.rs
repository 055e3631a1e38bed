//! Text from a policy, a log or a URL, made fit to be read.

use crate::output::is_printable;

/// The text with what could steer a terminal, or hide in it, escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_printable(character) { shown.push(character) } else { shown.extend(character.escape_debug()) }
    }
    shown
}

/// The same, cut after so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}\u{2026}", shown(text.get(..end).unwrap_or_default())),
        None => shown(text),
    }
}

/// Text in lines of at most 98 columns: the first begins with `first`, the others as far in.
pub(crate) fn wrapped(first: &str, text: &str) -> String {
    let rest = " ".repeat(first.chars().count());
    let options = textwrap::Options::new(98).initial_indent(first).subsequent_indent(&rest).break_words(false);
    // A name that is broken at a hyphen cannot be copied.
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_a_terminal_and_keeps_its_quotes() {
        assert_eq!(shown("don't \"x\" \\ \u{1b}[2J\u{202e}\u{e9}"), "don't \"x\" \\ \\u{1b}[2J\\u{202e}\u{e9}");
        assert_eq!(
            (shortened("\u{e9}\u{e9}\u{e9}", 2), shortened("\u{e9}\u{e9}", 2)),
            ("\u{e9}\u{e9}\u{2026}".into(), "\u{e9}\u{e9}".into())
        );
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
            assert_eq!(shown(text), expected);
        }
    }
}
