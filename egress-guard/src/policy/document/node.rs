//! TOML and JSON as one tree in which every key and value knows its byte offset.

use std::borrow::Cow;

use hashbrown::HashSet;
use jsonc_parser::ast::{ObjectProp, ObjectPropName};
use jsonc_parser::errors::ParseErrorKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::error::PolicyFault;
use super::syntax;

pub(super) struct Node<'t> {
    pub(super) offset: usize,
    pub(super) value: Value<'t>,
}

pub(super) struct Entry<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) key_offset: usize,
    pub(super) value: Node<'t>,
}

pub(super) enum Value<'t> {
    Table(Vec<Entry<'t>>),
    Array(Vec<Node<'t>>),
    String(Cow<'t, str>),
    Integer(i64),
    Boolean(bool),
    /// A day without a time.
    Date(Cow<'t, str>),
    /// A kind of value that no key takes.
    Other(&'static str),
}

const FRACTION: &str = "a number with a fraction or an exponent";

pub(super) fn integer(number: Option<i64>) -> Value<'static> {
    number.map_or(Value::Other("a number that is too large"), Value::Integer)
}

impl Value<'_> {
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

/// A tree, and what is wrong in the text without keeping it from being read.
pub(super) type Parsed<'t> = Result<(Node<'t>, Vec<PolicyFault>), Vec<PolicyFault>>;

pub(super) fn from_toml(text: &str) -> Parsed<'_> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok((toml_table(table.span().start, table.into_inner()), Vec::new()));
    }
    Err(syntax::toml_faults(text, &errors))
}

fn toml_table<'t>(offset: usize, table: DeTable<'t>) -> Node<'t> {
    let entry = |(key, value): (Spanned<Cow<'t, str>>, Spanned<DeValue<'t>>)| Entry {
        key_offset: key.span().start,
        key: key.into_inner(),
        value: toml_value(value),
    };
    Node { offset, value: Value::Table(table.into_iter().map(entry).collect()) }
}

fn toml_value(value: Spanned<DeValue<'_>>) -> Node<'_> {
    let offset = value.span().start;
    let value = match value.into_inner() {
        DeValue::Table(table) => return toml_table(offset, table),
        DeValue::Array(items) => Value::Array(items.into_iter().map(toml_value).collect()),
        DeValue::String(text) => Value::String(text),
        DeValue::Integer(number) => integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Float(_) => Value::Other(FRACTION),
        DeValue::Datetime(date) if date.time.is_none() && date.offset.is_none() => Value::Date(date.to_string().into()),
        DeValue::Datetime(_) => Value::Other("a time"),
    };
    Node { offset, value }
}

pub(super) fn from_json(text: &str) -> Parsed<'_> {
    // serde_json is the judge of what is JSON; the tree is read by a parser that keeps places but is more lenient.
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(vec![syntax::json_fault(text, &error)]);
    }
    let unread = |offset, problem: &str, cure| Err(vec![PolicyFault::new(Some(offset), problem, cure)]);
    let parsed = jsonc_parser::parse_to_ast(text, &Default::default(), &Default::default());
    match parsed.map(|parsed| parsed.value) {
        Ok(Some(value)) => {
            let mut faults = Vec::new();
            let node = json_value(value, &mut faults);
            Ok((node, faults))
        }
        Ok(None) => unread(0, "this is not JSON: there is no value", "begin with `{`"),
        Err(error) => {
            let (problem, cure) = match error.kind() {
                ParseErrorKind::NestingDepthExceeded => (syntax::NESTED, syntax::NEST_LESS),
                ParseErrorKind::String(_) => {
                    ("a string has an escape that is no character", "write the character itself in its place")
                }
                _ => ("this cannot be read as JSON", "mend the syntax (https://www.json.org)"),
            };
            unread(error.range().start, problem, cure)
        }
    }
}

fn json_value<'t>(value: jsonc_parser::ast::Value<'t>, faults: &mut Vec<PolicyFault>) -> Node<'t> {
    use jsonc_parser::ast::Value as Json;
    use jsonc_parser::common::Ranged;
    let offset = value.range().start;
    let value = match value {
        Json::Object(object) => Value::Table(json_entries(object.properties, faults)),
        Json::Array(array) => Value::Array(array.elements.into_iter().map(|item| json_value(item, faults)).collect()),
        Json::StringLit(string) => Value::String(string.value),
        Json::NumberLit(number) if number.value.contains(['.', 'e', 'E']) => Value::Other(FRACTION),
        Json::NumberLit(number) => integer(number.value.parse().ok()),
        Json::BooleanLit(boolean) => Value::Boolean(boolean.value),
        Json::NullKeyword(_) => Value::Other("null"),
    };
    Node { offset, value }
}

fn json_entries<'t>(properties: Vec<ObjectProp<'t>>, faults: &mut Vec<PolicyFault>) -> Vec<Entry<'t>> {
    use jsonc_parser::common::Ranged;
    let mut entries: Vec<Entry<'t>> = Vec::with_capacity(properties.len());
    let mut keys = HashSet::with_capacity(properties.len());
    for property in properties {
        let key_offset = property.name.range().start;
        let key = match property.name {
            ObjectPropName::String(text) => text.value,
            ObjectPropName::Word(word) => Cow::Borrowed(word.value),
        };
        // JSON leaves a repeated key to the reader, and a reader that takes the last one can be misled.
        if !keys.insert(key.clone()) {
            let problem = format!("the key `{}` stands twice in one object", key.escape_debug());
            faults.push(PolicyFault::new(Some(key_offset), problem, "keep one of the two"));
        }
        entries.push(Entry { key, key_offset, value: json_value(property.value, faults) });
    }
    entries
}
