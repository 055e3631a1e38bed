//! What an audit line can have, by its schema.

use std::sync::LazyLock;

use serde_json::Value;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(egress_guard::AUDIT_SCHEMA).unwrap());

/// The values of a key, as far as they are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// One of these.
    OneOf(Vec<String>),
    Text,
    Number,
    True,
}

/// What a key of the audit line holds.
pub(crate) fn kind(key: &str) -> Result<Kind, String> {
    let property = &SCHEMA["properties"][key];
    if let Some(values) = property["enum"].as_array() {
        return Ok(Kind::OneOf(values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()));
    }
    match (&property["const"], property["type"].as_str()) {
        (Value::Bool(true), _) => Ok(Kind::True),
        (Value::String(only), _) => Ok(Kind::OneOf(vec![only.clone()])),
        (_, Some("string")) => Ok(Kind::Text),
        (_, Some("integer" | "number")) => Ok(Kind::Number),
        _ => Err(format!("no audit line has `{key}`, or nothing that can be compared")),
    }
}

/// Whether a key can have this text.
pub(crate) fn can_be(key: &str, text: &str) -> Result<(), String> {
    match kind(key)? {
        Kind::Text => Ok(()),
        Kind::OneOf(values) if values.iter().any(|value| value == text) => Ok(()),
        Kind::OneOf(values) => Err(format!("`{key}` is never \"{text}\", but one of {values:?}")),
        other => Err(format!("`{key}` is no text, but {other:?}")),
    }
}
