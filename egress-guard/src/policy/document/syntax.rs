//! What is said about a text that is not TOML or JSON at all; the parsers say what is wrong, and seldom what to write.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::error::Category;

use super::super::error::PolicyFault;
use super::super::value::parse_ports;

pub(super) const NESTED: &str = "this is nested too deeply";
pub(super) const NEST_LESS: &str = "nest less deeply; no policy needs more than four levels";

/// The first character of a text, and where it stands.
fn first(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|(_, character)| !character.is_whitespace())
}

pub(super) fn toml_faults(text: &str, errors: &[toml::de::Error]) -> Vec<PolicyFault> {
    // One fault in place of one for each line.
    if let Some((offset, '{')) = first(text) {
        let cure = "name the file .json, so that it is read as JSON, or begin with version = 1";
        return vec![PolicyFault::new(Some(offset), "this is not TOML: it begins with `{`, as JSON does", cure)];
    }
    errors.iter().map(|error| toml_fault(text, error)).collect()
}

fn toml_fault(text: &str, error: &toml::de::Error) -> PolicyFault {
    if let Some((offset, word)) = error.span().and_then(|span| word_at(text, span.start))
        && TAKEN_FOR_A_VALUE.iter().any(|said| error.message().starts_with(said))
        && is_string(word)
    {
        let problem = "this is not TOML: string values must be quoted";
        return PolicyFault::new(Some(offset), problem, format!("write \"{word}\""));
    }
    let about = error.span().and_then(|span| text.get(span)).unwrap_or_default().trim();
    let (what, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), ""));
    let cure = match what {
        "string values must be quoted" if about.is_empty() => "write a value behind the `=`".to_owned(),
        "string values must be quoted" if about.contains(" //") => "write comments with `#`".to_owned(),
        "string values must be quoted" if about.contains(char::is_control) => "remove the control character".to_owned(),
        "string values must be quoted" if about.contains(['\'', '"']) => {
            "write a string in quotes, or a list in square brackets".to_owned()
        }
        "string values must be quoted" => {
            // As word processors write quotes.
            format!("write {:?}", about.trim_matches(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']))
        }
        "duplicate key" if ["allow", "deny"].contains(&about) => {
            format!("write [[{about}]] above every rule, always with two brackets")
        }
        "duplicate key" => "keep one of the two".to_owned(),
        "key with no value" => "write its value behind it, as in name = \"orders\"".to_owned(),
        "unexpected key or value" => "remove it, or begin a new line; no comma stands between keys".to_owned(),
        "invalid unquoted key" if about.starts_with(':') => "write `=` in its place".to_owned(),
        "invalid unquoted key" | "unquoted keys cannot be empty" => {
            "write a key of letters, digits, `-` and `_`, as in name = \"orders\"".to_owned()
        }
        "carriage return must be followed by newline" => {
            "save the file with the line ends of Unix or Windows".to_owned()
        }
        "missing escaped value" => "write a backslash as `\\\\`, or the string in single quotes".to_owned(),
        "too few unicode value digits" => "write four digits, or a backslash as `\\\\`".to_owned(),
        "unexpected leading zero" => "write the number without it".to_owned(),
        _ if what.starts_with("cannot extend value of type inline table") => {
            "write the key between the braces of the table".to_owned()
        }
        _ if what.starts_with("cannot extend") => "write a key without a dot".to_owned(),
        _ if what.contains("recurs") => NEST_LESS.to_owned(),
        _ if what.starts_with("invalid date") => format!("write it as in 2027-03-31, with {expected}"),
        _ if expected.contains("visible characters") => {
            "write control characters as escapes in double quotes, as in \"\\u0000\"".to_owned()
        }
        _ if expected.starts_with('`') && !expected.contains(", ") => match what {
            _ if what.starts_with("unclosed") || what.ends_with("string") => format!("close it with {expected}"),
            _ => format!("write {expected}"),
        },
        _ if what.starts_with("extra ") => "remove it".to_owned(),
        _ if expected == "nothing" => "write a number, or a string in quotes".to_owned(),
        _ if expected.is_empty() => "mend the syntax (https://toml.io)".to_owned(),
        _ => format!("write {expected} (https://toml.io)"),
    };
    let problem = match what {
        "duplicate key" => format!("the key `{}` stands twice", about.escape_debug()),
        _ if what.contains("recurs") => NESTED.to_owned(),
        _ => format!("this is not TOML: {what}"),
    };
    PolicyFault::new(error.span().map(|span| span.start), problem, cure)
}

/// What is said of a value without quotes that begins like a number, a date or a truth.
const TAKEN_FOR_A_VALUE: &[&str] = &["invalid boolean", "invalid float", "invalid integer", "invalid date"];

/// Whether such a value is meant as a string.
fn is_string(word: &str) -> bool {
    let is_truth = ["true", "false"].iter().any(|truth| word.eq_ignore_ascii_case(truth));
    let is_name = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.*/:".contains(c));
    is_name && !is_truth
        || word.parse::<IpAddr>().is_ok()
        || word.parse::<IpNet>().is_ok()
        || word.contains('-') && parse_ports(word).is_ok()
}

/// The word that an offset lies in, as somebody writes a value without quotes, and where it begins.
fn word_at(text: &str, offset: usize) -> Option<(usize, &str)> {
    let is_end = |c: char| c.is_whitespace() || ['=', '[', ',', ']', '}', '#'].contains(&c);
    let (before, behind) = text.split_at_checked(offset)?;
    let start = before.rfind(is_end).map_or(0, |end| end + 1);
    let end = offset + behind.find(is_end).unwrap_or(behind.len());
    Some((start, text.get(start..end)?))
}

pub(super) fn json_fault(text: &str, error: &serde_json::Error) -> PolicyFault {
    match first(text) {
        Some((offset, '\u{feff}')) => {
            let cure = "save the file as UTF-8 without it";
            return PolicyFault::new(Some(offset), "this is not JSON: it begins with a byte order mark", cure);
        }
        Some((offset, character)) if !matches!(character, '{' | '[') => {
            let problem = format!("this is not JSON: it begins with {character:?}");
            let cure = "begin with `{`, or name the file .toml, so that it is read as TOML";
            return PolicyFault::new(Some(offset), problem, cure);
        }
        _ => {}
    }
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or_default();
    let (what, cure) = match what {
        "EOF while parsing an object" => ("an object does not end", "close it with `}`"),
        "EOF while parsing a list" => ("a list does not end", "close it with `]`"),
        "EOF while parsing a value" => ("a value is missing", "write it, and close what is open"),
        "EOF while parsing a string" => ("a string does not end", "close it with `\"`"),
        "key must be a string" => {
            (what, "write the key in double quotes; there are no comments, and no comma after the last entry")
        }
        "expected value" => (
            what,
            "write a string in double quotes, a number, true or false, a list or an object, and no comma after the last",
        ),
        "expected ident" => ("this word is unknown", "write true or false, or a string in double quotes"),
        "expected `:`" => (what, "write a colon between key and value, as in name = \"orders\""),
        "expected `,` or `}`" => (what, "write a comma between two entries, or `}` behind the last"),
        "expected `,` or `]`" => (what, "write a comma between two entries, or `]` behind the last"),
        "trailing characters" => ("something follows the policy", "end the text with the `}` of the policy"),
        "invalid escape" => (what, "write a backslash as `\\\\`, or four digits behind `\\u`"),
        "invalid number" => (what, "write a whole number without leading zeros, as in 443"),
        _ if what.starts_with("control character") => {
            ("a string has a control character", "write it as an escape, as in \"\\n\" or \"\\u0000\"")
        }
        _ => (what, "mend the syntax (https://www.json.org)"),
    };
    PolicyFault::new(Some(json_offset(text, error)), format!("this is not JSON: {what}"), cure)
}

fn json_offset(text: &str, error: &serde_json::Error) -> usize {
    if error.classify() == Category::Eof {
        return text.trim_end().len();
    }
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let column = error.column().saturating_sub(1);
    // Columns are bytes, and may lie within a character.
    let at = (0..=line_start + column).rev().find_map(|offset| text.split_at_checked(offset));
    let (before, behind) = at.unwrap_or_default();
    let said = error.to_string();
    // An escape is known to be wrong behind its backslash, and a control character is named by what stands before it.
    if said.starts_with("invalid escape") {
        before.rfind('\\').unwrap_or(before.len())
    } else if said.starts_with("control character") {
        before.len() + behind.find(char::is_control).unwrap_or_default()
    } else {
        before.len()
    }
}

/// What is written in TOML, `key = value`, as it is written in JSON. Strings stay as they are.
pub(super) fn in_json(cure: &str) -> String {
    let mut out = String::with_capacity(cure.len());
    for (number, piece) in cure.split('"').enumerate() {
        if number > 0 {
            out.push('"');
        }
        if number % 2 == 1 {
            out.push_str(piece);
            continue;
        }
        let mut assigned = false;
        let mut words = piece.split(' ').peekable();
        while let Some(word) = words.next() {
            assigned = if words.next_if_eq(&"=").is_some() {
                out.push_str(&format!("\"{word}\":"));
                true
            } else if assigned && word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('-') {
                out.push_str(&format!("\"{word}\""));
                false
            } else {
                out.push_str(word);
                false
            };
            if words.peek().is_some() {
                out.push(' ');
            }
        }
    }
    out
}
