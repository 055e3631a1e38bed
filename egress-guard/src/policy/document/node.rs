//! TOML and JSON as one tree in which every key and value knows its byte offset.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashSet;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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
    let root = serde_json::from_str(text).map_err(|error| vec![syntax::json_fault(text, &error)])?;
    let mut reader = JsonReader { text, faults: Vec::new() };
    match reader.node(root, 0) {
        Ok(node) => Ok((node, reader.faults)),
        Err(fault) => Err(vec![fault]),
    }
}

/// Reads JSON level by level, from pieces of the text that know where they stand in it.
struct JsonReader<'t> {
    text: &'t str,
    faults: Vec<PolicyFault>,
}

impl<'t> JsonReader<'t> {
    fn node(&mut self, json: &'t RawValue, depth: usize) -> Result<Node<'t>, PolicyFault> {
        let offset = self.offset(json);
        if depth > DEEPEST {
            return Err(PolicyFault::new(Some(offset), syntax::NESTED, syntax::NEST_LESS));
        }
        let text = json.get();
        let value = match text.as_bytes().first() {
            Some(b'{') => Value::Table(self.entries(json, depth)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(json)?;
                Value::Array(items.into_iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::String(self.string(json)?),
            Some(b't' | b'f') => Value::Boolean(text == "true"),
            Some(b'n') => Value::Other("null"),
            _ if text.contains(['.', 'e', 'E']) => Value::Other(FRACTION),
            _ => integer(text.parse().ok()),
        };
        Ok(Node { offset, value })
    }

    fn entries(&mut self, json: &'t RawValue, depth: usize) -> Result<Vec<Entry<'t>>, PolicyFault> {
        let Properties(properties) = self.read(json)?;
        let mut entries: Vec<Entry<'t>> = Vec::with_capacity(properties.len());
        let mut keys = HashSet::with_capacity(properties.len());
        for (key, value) in properties {
            let key_offset = self.offset(key);
            let key = self.string(key)?;
            // JSON leaves a repeated key to the reader, and a reader that takes the last one can be misled.
            if !keys.insert(key.clone()) {
                let problem = format!("the key `{}` stands twice in one object", key.escape_debug());
                self.faults.push(PolicyFault::new(Some(key_offset), problem, "keep one of the two"));
            }
            entries.push(Entry { key, key_offset, value: self.node(value, depth + 1)? });
        }
        Ok(entries)
    }

    /// What is between quotes. That the text is JSON is known, but not that each escape is a character.
    fn string(&self, json: &'t RawValue) -> Result<Cow<'t, str>, PolicyFault> {
        let text = json.get();
        if let Some(string) = string(text) {
            return Ok(string);
        }
        // The last one before which all is well.
        let escapes = text.match_indices('\\').map(|(at, _)| at).rev();
        let is_well = |before: &str| string(&format!("{before}\"")).is_some();
        let at = escapes.into_iter().find(|at| text.get(..*at).is_some_and(is_well)).unwrap_or_default();
        let problem = "a string has an escape that is no character";
        Err(PolicyFault::new(Some(self.offset(json) + at), problem, "write the character itself in its place"))
    }

    fn read<T: Deserialize<'t>>(&self, json: &'t RawValue) -> Result<T, PolicyFault> {
        let cure = "mend the syntax (https://www.json.org)";
        serde_json::from_str(json.get())
            .map_err(|_| PolicyFault::new(Some(self.offset(json)), "this cannot be read as JSON", cure))
    }

    fn offset(&self, json: &'t RawValue) -> usize {
        json.get().as_ptr().addr() - self.text.as_ptr().addr()
    }
}

fn string(json: &str) -> Option<Cow<'_, str>> {
    match serde_json::from_str(json).ok()? {
        Node { value: Value::String(text), .. } => Some(text),
        _ => None,
    }
}

/// More levels are no policy, and reading them takes a stack.
const DEEPEST: usize = 128;

/// The keys and values of an object, in their order.
struct Properties<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'t> Deserialize<'t> for Properties<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PropertiesVisitor).map(Self)
    }
}

struct PropertiesVisitor;

impl<'t> Visitor<'t> for PropertiesVisitor {
    type Value = Vec<(&'t RawValue, &'t RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut properties = Vec::new();
        while let Some(property) = entries.next_entry()? {
            properties.push(property);
        }
        Ok(properties)
    }
}
