//! Which part of an event is meant to be an audit line.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// What every audit line begins with, as the library writes it. In a text within a line its quotes are escaped.
const BEGINNING: &[u8] = b"{\"timestamp\":\"";

/// What the `event_type` of every audit line begins with.
const MARK: &str = "egress_";

/// The objects in an event that are meant to be audit lines, mostly one; and of each, whether something stands before it
/// that no log puts there.
pub(super) fn of(event: &str, may_have_origin: bool) -> impl Iterator<Item = (&str, bool)> {
    let (before, mut rest) = event.find('{').and_then(|begin| event.split_at_checked(begin)).unwrap_or_default();
    rest = rest.trim_end();
    let mut is_behind_text = !(before.trim().is_empty() || may_have_origin && is_origin(before));
    std::iter::from_fn(move || {
        let (object, behind) = first(rest);
        rest = behind;
        let found = (!object.is_empty()).then_some((object, is_behind_text));
        is_behind_text = true;
        found
    })
    .filter(|(object, _)| is_meant(object))
}

/// Whether a text is what an export or `aws logs tail` puts before an event: a time, and perhaps the name of a log stream
/// of Lambda, in colours or not.
fn is_origin(text: &str) -> bool {
    let text: String = text.split('\u{1b}').enumerate().map(|(number, part)| plain(number, part)).collect();
    let mut words = text.split_whitespace();
    let is_time = words.next().is_some_and(|word| has_form(word, "0000-00-00T00:00:00"));
    let is_stream = words.next().is_none_or(|word| has_form(word, "0000/00/00/"));
    is_time && is_stream && words.next().is_none()
}

/// A part behind an escape character, without the colour that it sets.
fn plain(number: usize, part: &str) -> &str {
    let colour = |part: &str| part.find('m').filter(|_| part.starts_with('[')).map(|end| end + 1);
    if number == 0 { part } else { colour(part).and_then(|end| part.get(end..)).unwrap_or(part) }
}

/// Whether a word begins in this form, in which 0 is any digit.
fn has_form(word: &str, form: &str) -> bool {
    let same = |(byte, form): (u8, u8)| byte == form || (form == b'0' && byte.is_ascii_digit());
    word.len() >= form.len() && word.bytes().zip(form.bytes()).all(same)
}

/// What stands first, and what is behind it.
///
/// A print of the application's that takes several writes can have an audit line between them, behind a piece or the whole
/// of an object of its own; so can a line that was torn.
fn first(rest: &str) -> (&str, &str) {
    let another = |from: usize| memmem::find(rest.as_bytes().get(from..)?, BEGINNING).map(|at| from + at);
    let Some(behind) = another(1) else { return (rest, "") };
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
    let end = match values.next() {
        // Another may also begin within this one.
        Some(Ok(IgnoredAny)) => values.byte_offset(),
        _ => behind,
    };
    match rest.split_at_checked(end) {
        Some((object, behind)) if behind.trim_start().starts_with('{') => (object, behind.trim_start()),
        _ => (rest, ""),
    }
}

/// Whether an object, or a piece of one, is meant to be an audit line.
fn is_meant(object: &str) -> bool {
    let is_plain = memmem::find(object.as_bytes(), b"\"egress_").is_some();
    // Whoever forges one may spell it otherwise.
    is_plain || (memmem::find(object.as_bytes(), b"\\u").is_some() && claims(object))
}

fn claims(object: &str) -> bool {
    serde_json::from_str(object).is_ok_and(|Claims(claims)| claims)
}

/// Whether an object has, once or among others, the `event_type` of an audit line.
struct Claims(bool);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let mut claims = false;
        while let Some(key) = members.next_key::<Cow<'de, str>>()? {
            if key == "event_type" {
                let value: Value = members.next_value()?;
                claims |= value.as_str().is_some_and(|event_type| event_type.starts_with(MARK));
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Claims(claims))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_line_is_found_wherever_it_stands_in_an_event() {
        let line = r#"{"timestamp":"1","message":"{\"timestamp\":\"\"egress_","event_type":"egress_decision"}"#;
        let app = r#"{"timestamp":"2","a":{"b":1}}"#;
        let nested = r#"{"timestamp":"3","event_type":"egress_decision","z":{"timestamp":"4"}}"#;
        let spelled = r#"{"event_type":"\u0065gress_decision"}"#;
        let key = r#"{"\u0065vent_type":"egress_decision","event_type":1}"#;
        let doubled = r#"{"event_type":"\u0065gress_decision","event_type":"x"}"#;
        let torn = r#"{"timestamp":"5","event_type":"egress_outc"#;
        let cases: [(&str, String, &[&str]); 14] = [
            ("alone", line.into(), &[line]),
            ("behind a time", format!("2026-11-23T10:45:59Z s/[$LATEST] {line}\r\n"), &[line]),
            ("behind a piece of an object", format!("{{\"timestamp\":\"2\",\"a\":\"{line}"), &[line]),
            ("behind another piece", format!("{{\"x\":[{line}"), &[line]),
            ("behind a whole object", format!("{app}{line}"), &[line]),
            ("behind a whole object and space", format!("{app} {line}"), &[line]),
            ("behind a torn one", format!("{torn}{line}"), &[torn, line]),
            ("two", format!("{line}{line}"), &[line, line]),
            ("one that has an object within", nested.into(), &[nested]),
            ("the application's", app.into(), &[]),
            ("spelled with an escape", spelled.into(), &[spelled]),
            ("its key spelled so", key.into(), &[key]),
            ("doubled", doubled.into(), &[doubled]),
            ("text", r"START \u {".into(), &[]),
        ];
        for (name, event, expected) in cases {
            assert_eq!(of(&event, true).map(|(object, _)| object).collect::<Vec<_>>(), expected, "{name}");
        }
        // What follows it stays with it, for it then is none.
        let followed = format!("{nested} and more");
        assert_eq!(of(&followed, true).collect::<Vec<_>>(), [(followed.as_str(), false)]);
    }

    #[test]
    fn what_no_log_puts_before_a_line_is_told() {
        for (before, is_text) in [
            ("", false),
            (" ", false),
            ("2026-11-23T10:45:59.434Z ", false),
            ("2026-11-23T10:45:59 ", false),
            ("2026-11-23T10:45:59.434000+00:00 2026/11/23/[$LATEST]0a1b ", false),
            ("\u{1b}[32m2026-11-23T10:45:59\u{1b}[0m \u{1b}[36m2026/11/23/orders[7]0a1b\u{1b}[0m ", false),
            ("user agent: ", true),
            ("2026-11-23T10:45:59Z WARN ", true),
            ("2026-11-23T10:45:59Z 2026/11/23/[7]0a user agent: ", true),
            ("2026-11-23 ", true),
            ("[WARN]\t2026-11-23T10:45:59Z\t", true),
        ] {
            let event = format!("{before}{{\"event_type\":\"egress_decision\"}}");
            assert_eq!(of(&event, true).map(|(_, is_text)| is_text).collect::<Vec<_>>(), [is_text], "{before:?}");
            let is_event = before.trim().is_empty();
            assert_eq!(of(&event, false).map(|(_, is_text)| is_text).collect::<Vec<_>>(), [!is_event], "{before:?}");
        }
    }
}
