//! CloudWatch's filter patterns for JSON: read, held against the audit schema, and asked about lines.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>. What this project has no
//! use for is refused: arrays, regular expressions, and `!=`, of which is not said what it makes of a missing key.

use serde_json::Value;
use winnow::ascii::{float, multispace0};
use winnow::combinator::{alt, delimited, preceded, separated, terminated};
use winnow::prelude::*;
use winnow::token::take_while;

use crate::fields::{self, Kind};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pattern {
    All(Vec<Self>),
    Any(Vec<Self>),
    /// The key, and what it is compared with; `*` stands for any characters.
    Is(String, String),
    Number(String, &'static str, f64),
    IsTrue(String),
    IsFalse(String),
    IsNull(String),
    NotExists(String),
}

/// How long a pattern may be.
const MAX_PATTERN: usize = 1024;

impl Pattern {
    /// Reads a pattern, and holds it against the audit schema.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!("{} characters are more than {MAX_PATTERN}", text.len()));
        }
        let pattern =
            delimited(spaced("{"), any, spaced("}")).parse(text).map_err(|error| format!("cannot be read: {error}"))?;
        pattern.check()?;
        Ok(pattern)
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(Self::check),
            Self::Is(key, text) if text.contains('*') => match fields::kind(key)? {
                Kind::Text => Ok(()),
                other => Err(format!("a wildcard for `{key}`, which is {other:?}")),
            },
            Self::Is(key, text) => fields::can_be(key, text),
            Self::Number(key, ..) if fields::kind(key)? == Kind::Number => Ok(()),
            Self::IsTrue(key) if fields::kind(key)? == Kind::True => Ok(()),
            Self::NotExists(key) => fields::kind(key).map(drop),
            other => Err(format!("no line is ever so: {other:?}")),
        }
    }

    /// Whether a filter with this pattern counts a line.
    pub(crate) fn matches(&self, line: &str) -> bool {
        // What is no object of JSON is matched by no such pattern.
        serde_json::from_str(line).is_ok_and(|line: Value| line.is_object() && self.holds(&line))
    }

    fn holds(&self, line: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(line)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(line)),
            Self::Is(key, text) => line[key].as_str().is_some_and(|value| is_like(value, text)),
            Self::Number(key, operator, number) => line[key].as_f64().is_some_and(|value| match *operator {
                "=" => value == *number,
                "<" => value < *number,
                ">" => value > *number,
                "<=" => value <= *number,
                _ => value >= *number,
            }),
            Self::IsTrue(key) => line[key] == true,
            Self::IsFalse(key) => line[key] == false,
            Self::IsNull(key) => line.get(key).is_some_and(Value::is_null),
            Self::NotExists(key) => line.get(key).is_none(),
        }
    }
}

fn is_like(value: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return value == pattern };
    let Some(rest) = value.strip_prefix(before) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| is_like(&rest[at..], after))
}

fn spaced<'a>(token: &'static str) -> impl Parser<&'a str, &'a str, winnow::error::ContextError> {
    delimited(multispace0, token, multispace0)
}

fn any(input: &mut &str) -> winnow::Result<Pattern> {
    let parts: Vec<Pattern> = separated(1.., all, spaced("||")).parse_next(input)?;
    Ok(one_or(parts, Pattern::Any))
}

fn all(input: &mut &str) -> winnow::Result<Pattern> {
    let parts: Vec<Pattern> = separated(1.., term, spaced("&&")).parse_next(input)?;
    Ok(one_or(parts, Pattern::All))
}

fn one_or(mut parts: Vec<Pattern>, several: impl FnOnce(Vec<Pattern>) -> Pattern) -> Pattern {
    if parts.len() == 1 { parts.remove(0) } else { several(parts) }
}

fn term(input: &mut &str) -> winnow::Result<Pattern> {
    alt((delimited(spaced("("), any, spaced(")")), condition)).parse_next(input)
}

fn condition(input: &mut &str) -> winnow::Result<Pattern> {
    let key = take_while(1.., |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key: String = terminated(preceded("$.", key), multispace0).map(str::to_owned).parse_next(input)?;
    let operator = alt(("<=", ">=", "=", "<", ">"));
    alt((
        preceded(("IS", multispace0), alt(("TRUE", "FALSE", "NULL"))).map(|what| match what {
            "TRUE" => Pattern::IsTrue(key.clone()),
            "FALSE" => Pattern::IsFalse(key.clone()),
            _ => Pattern::IsNull(key.clone()),
        }),
        ("NOT", multispace0, "EXISTS").map(|_| Pattern::NotExists(key.clone())),
        preceded(("=", multispace0), delimited('"', take_while(0.., |c| c != '"' && c != '\\'), '"'))
            .map(|text: &str| Pattern::Is(key.clone(), text.to_owned())),
        (terminated(operator, multispace0), float).map(|(operator, number): (&str, f64)| {
            let operator = ["<=", ">=", "=", "<", ">"].into_iter().find(|known| *known == operator).unwrap();
            Pattern::Number(key.clone(), operator, number)
        }),
    ))
    .parse_next(input)
}

#[test]
fn the_examples_of_the_documentation_mean_what_it_says() {
    // The keys are other ones, so the schema is not asked.
    let read = |text: &str| delimited(spaced("{"), any, spaced("}")).parse(text).unwrap();
    let line =
        r#"{"eventType":"UpdateTrail","sourceIPAddress":"198.51.100.2","SomeObject":null,"ThisFlag":true,"number":5}"#;
    for (pattern, matches) in [
        (r#"{ $.eventType = "UpdateTrail" }"#, true),
        (r#"{$.eventType="UpdateTrail"}"#, true),
        (r#"{ $.eventType = "updatetrail" }"#, false),
        (r#"{ $.eventType = "*" }"#, true),
        (r#"{ $.missing = "*" }"#, false),
        (r#"{ $.sourceIPAddress = "198.51.*" }"#, true),
        (r#"{ $.sourceIPAddress = "*.2" }"#, true),
        (r#"{ $.sourceIPAddress = "1*.5*.*3" }"#, false),
        ("{ $.SomeObject IS NULL }", true),
        ("{ $.SomeOtherObject IS NULL }", false),
        ("{ $.SomeOtherObject NOT EXISTS }", true),
        ("{ $.SomeObject NOT EXISTS }", false),
        ("{ $.ThisFlag IS TRUE }", true),
        ("{ $.ThisFlag IS FALSE }", false),
        ("{ $.number >= 5 }", true),
        ("{ $.number < 5 }", false),
        (r#"{ ($.number = 1) || ($.number = 5) && ($.eventType = "x") }"#, false),
        (r#"{ (($.number = 1) || ($.number = 5)) && ($.eventType = "Up*") }"#, true),
        (r#"{ ($.number = 5) || ($.number = 1) && ($.eventType = "x") }"#, true),
    ] {
        assert_eq!(read(pattern).matches(line), matches, "{pattern}");
    }
}

#[test]
fn a_broken_pattern_is_found() {
    for (pattern, why) in [
        ("", "cannot be read"),
        ("{ }", "cannot be read"),
        ("{ $.action = ", "cannot be read"),
        (r#"{ $.action = "denied" "#, "cannot be read"),
        (r#"{ $.action = "denied }"#, "cannot be read"),
        (r#"{ $.action = denied }"#, "cannot be read"),
        (r#"{ $.action == "denied" }"#, "cannot be read"),
        (r#"{ action = "denied" }"#, "cannot be read"),
        (r#"$.action = "denied""#, "cannot be read"),
        (r#"{ ($.action = "denied" }"#, "cannot be read"),
        (r#"{ ($.action = "denied") && }"#, "cannot be read"),
        (r#"{ ($.action = "denied") & ($.stage = "name") }"#, "cannot be read"),
        (r#"{ ($.action = "denied") AND ($.stage = "name") }"#, "cannot be read"),
        (r#"{ $.action != "denied" }"#, "cannot be read"),
        ("{ $.quarantined IS SET }", "cannot be read"),
        ("{ $.quarantined EXISTS }", "cannot be read"),
        (r#"{ $.actoin = "denied" }"#, "no audit line has `actoin`"),
        ("{ $.actoin NOT EXISTS }", "no audit line has `actoin`"),
        (r#"{ $.action = "deneid" }"#, "`action` is never \"deneid\""),
        (r#"{ ($.event_type = "egress_decision") && ($.action = "deny") }"#, "`action` is never \"deny\""),
        (r#"{ $.event_type = "egress_*" }"#, "a wildcard for `event_type`"),
        (r#"{ $.would_deny = "true" }"#, "`would_deny` is no text"),
        ("{ $.would_deny IS FALSE }", "no line is ever so"),
        ("{ $.reason IS NULL }", "no line is ever so"),
        ("{ $.action > 1 }", "no line is ever so"),
        ("{ $._aws NOT EXISTS }", "nothing that can be compared"),
        (&format!("{{ $.host = \"{}\" }}", "a".repeat(1024)), "more than 1024"),
    ] {
        let error = Pattern::parse(pattern).expect_err(pattern);
        assert!(error.contains(why) || why == "cannot be read" && !error.is_empty(), "{pattern}: {error}");
    }
}
