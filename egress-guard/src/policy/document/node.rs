//! TOML and JSON as one tree in which every key and value knows its byte offset.

use std::collections::HashSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::error::PolicyFault;

pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) value: Value,
}

pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_offset: usize,
    pub(super) value: Node,
}

pub(super) enum Value {
    Table(Vec<Entry>),
    Array(Vec<Node>),
    String(String),
    /// In decimal digits.
    Integer(String),
    Boolean(bool),
    /// A day without a time.
    Date(String),
    /// A kind of value that no key takes.
    Other(&'static str),
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Array(_) => "a list",
            Self::String(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Date(_) => "a date",
            Self::Other(kind) => kind,
        }
    }
}

pub(super) fn from_toml(text: &str) -> Result<Node, Vec<PolicyFault>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(toml_table(table.span().start, table.get_ref()));
    }
    let fault = |error: &toml::de::Error| {
        let offset = error.span().map(|span| span.start);
        PolicyFault::new(offset, format!("this is not TOML: {}", error.message()), "mend the syntax (https://toml.io)")
    };
    Err(errors.iter().map(fault).collect())
}

fn toml_table(offset: usize, table: &DeTable<'_>) -> Node {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| Entry {
        key: key.get_ref().to_string(),
        key_offset: key.span().start,
        value: toml_value(value),
    };
    Node { offset, value: Value::Table(table.iter().map(entry).collect()) }
}

fn toml_value(value: &Spanned<DeValue<'_>>) -> Node {
    let offset = value.span().start;
    let value = match value.get_ref() {
        DeValue::Table(table) => return toml_table(offset, table),
        DeValue::Array(items) => Value::Array(items.iter().map(toml_value).collect()),
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number.to_string()),
            Err(_) => Value::Other("a number that is too large"),
        },
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(date) if date.time.is_none() && date.offset.is_none() => Value::Date(date.to_string()),
        DeValue::Datetime(_) => Value::Other("a time"),
    };
    Node { offset, value }
}

pub(super) fn from_json(text: &str) -> Result<Node, Vec<PolicyFault>> {
    let syntax =
        |place, problem: String| vec![PolicyFault::new(place, problem, "mend the syntax (https://www.json.org)")];
    // serde_json is the judge of what is JSON; the tree is read by a parser that keeps places but is more lenient.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let offset = line_start + error.column().saturating_sub(1);
        let error = error.to_string();
        let what = error.split(" at line ").next().unwrap_or_default();
        return Err(syntax(Some(offset), format!("this is not JSON: {what}")));
    }
    let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
    match parsed.map(|parsed| parsed.value) {
        Ok(Some(value)) => {
            let mut faults = Vec::new();
            let node = json_value(&value, &mut faults);
            if faults.is_empty() { Ok(node) } else { Err(faults) }
        }
        Ok(None) => Err(syntax(None, "this is not JSON: there is no value".to_owned())),
        Err(error) => Err(syntax(None, format!("this is not JSON: {error}"))),
    }
}

fn json_value(value: &jsonc_parser::ast::Value<'_>, faults: &mut Vec<PolicyFault>) -> Node {
    use jsonc_parser::ast::Value as Json;
    use jsonc_parser::common::Ranged;
    let offset = value.range().start;
    let value = match value {
        Json::Object(object) => {
            let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
            let mut keys = HashSet::with_capacity(object.properties.len());
            for property in &object.properties {
                let key = property.name.as_str().to_owned();
                let key_offset = property.name.range().start;
                // JSON leaves a repeated key to the reader, and a reader that takes the last one can be misled.
                if !keys.insert(key.clone()) {
                    let problem = format!("the key `{}` stands twice in one object", key.escape_debug());
                    faults.push(PolicyFault::new(Some(key_offset), problem, "keep one of the two"));
                }
                entries.push(Entry { key, key_offset, value: json_value(&property.value, faults) });
            }
            Value::Table(entries)
        }
        Json::Array(array) => Value::Array(array.elements.iter().map(|item| json_value(item, faults)).collect()),
        Json::StringLit(string) => Value::String(string.value.to_string()),
        Json::NumberLit(number) if number.value.bytes().all(|byte| byte.is_ascii_digit()) => {
            Value::Integer(number.value.to_owned())
        }
        Json::NumberLit(_) => Value::Other("not a whole number"),
        Json::BooleanLit(boolean) => Value::Boolean(boolean.value),
        Json::NullKeyword(_) => Value::Other("null"),
    };
    Node { offset, value }
}
