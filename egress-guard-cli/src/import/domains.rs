//! Lists of one domain on a line in which a leading dot stands for a name and all below it: squid's and AWS Network
//! Firewall's.

use super::draft::{Draft, Fault, Head, excerpt};

/// The entries of a text, each with its line. Comments begin with `#` where a word could.
pub(super) fn lines(text: &str) -> Result<Vec<(usize, &str)>, Vec<Fault>> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line).trim()));
    let entries: Vec<_> = numbered.filter(|(_, entry)| !entry.is_empty()).collect();
    if entries.is_empty() {
        return Err(vec![Fault::new(1, "the list has no entry", "name the file that has the domains, one on a line")]);
    }
    Ok(entries)
}

fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (place, character) in line.char_indices() {
        if character == '#' && before.is_whitespace() {
            return line.get(..place).unwrap_or_default();
        }
        before = character;
    }
    line
}

/// Adds an entry that is no IP address to a rule, or tells why not. What matches nothing there is not allowed here.
pub(super) fn add(draft: &mut Draft, head: &Head, line: usize, entry: &str) {
    let shown = excerpt(entry);
    let (problem, cure) = if entry.contains(char::is_whitespace) {
        ("is several words, which together match nothing", "write one domain on a line, and nothing else".to_owned())
    } else if entry.contains(['\\', '^', '$', '(', ')', '|', '+', '?', '{', '}']) {
        ("looks like a regular expression, and these do not carry over", "write out the names that it means".to_owned())
    } else if let Some(name) = entry.strip_prefix("*.").filter(|name| !name.contains('*')) {
        let cure = format!("write \".{}\" in the list if it means the name and all below it", excerpt(name));
        ("has a `*`, which means nothing in such a list", cure)
    } else if entry.contains('*') {
        ("has a `*`, which means nothing in such a list", "write out the names that it means".to_owned())
    } else if let Some(name) = entry.strip_suffix('.').filter(|name| !name.is_empty()) {
        let cure = format!("write \"{}\" in the list if that is meant", excerpt(name));
        ("ends with a dot, so that no name is the same", cure)
    } else {
        draft.host(head, line, entry);
        return;
    };
    draft.left.push(Fault::new(line, format!("`{shown}` {problem}"), cure));
}
