//! JSON without places, read in one go: what most policies are loaded by.
//!
//! Whatever is not as it should be ends it, and the text is read again, with places, to say what is wrong. Keys are read
//! by the same functions, so that it can only be stricter.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;

use super::super::draft::{BorrowedPolicy, BorrowedRule};
use super::Reader;
use super::node::{Entry, Node, Value, integer};

/// The draft of a policy; nothing where its text has a fault.
pub(super) fn from_json(text: &str) -> Option<BorrowedPolicy<'_>> {
    let mut reader = Reader { faults: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let draft = Policy(&mut reader).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    reader.faults.is_empty().then_some(draft)
}

struct Policy<'r>(&'r mut Reader);

impl<'t> DeserializeSeed<'t> for Policy<'_> {
    type Value = BorrowedPolicy<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Policy<'_> {
    type Value = BorrowedPolicy<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut draft = BorrowedPolicy { offset: Some(0), ..BorrowedPolicy::default() };
        let mut keys = Keys::default();
        while let Some(key) = keys.next(&mut entries)? {
            match key {
                "allow" => draft.allow = entries.next_value_seed(Rules(self.0, "[[allow]]"))?,
                "deny" => draft.deny = entries.next_value_seed(Rules(self.0, "[[deny]]"))?,
                _ => self.0.policy_key(&mut draft, key, 0, &entries.next_value()?),
            }
        }
        let has_version = keys.0.iter().any(|key| key == "version");
        if has_version { Ok(draft) } else { Err(A::Error::missing_field("version")) }
    }
}

struct Rules<'r>(&'r mut Reader, &'static str);

impl<'t> DeserializeSeed<'t> for Rules<'_> {
    type Value = Vec<BorrowedRule<'t>>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'t> Visitor<'t> for Rules<'_> {
    type Value = Vec<BorrowedRule<'t>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rules")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut rules = Vec::new();
        while let Some(rule) = items.next_element_seed(Rule(self.0, self.1))? {
            rules.push(rule);
        }
        Ok(rules)
    }
}

struct Rule<'r>(&'r mut Reader, &'static str);

impl<'t> DeserializeSeed<'t> for Rule<'_> {
    type Value = BorrowedRule<'t>;

    fn deserialize<D: Deserializer<'t>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'t> Visitor<'t> for Rule<'_> {
    type Value = BorrowedRule<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut rule = BorrowedRule { offset: Some(0), ..BorrowedRule::default() };
        let mut keys = Keys::default();
        while let Some(key) = keys.next(&mut entries)? {
            self.0.rule_key(&mut rule, self.1, key, 0, &entries.next_value()?);
        }
        Ok(rule)
    }
}

/// The keys of a table, each of which may stand there once.
#[derive(Default)]
struct Keys<'t>(SmallVec<[Cow<'t, str>; 8]>);

impl<'t> Keys<'t> {
    fn next<A: MapAccess<'t>>(&mut self, entries: &mut A) -> Result<Option<&str>, A::Error> {
        let Some(key) = entries.next_key::<Node<'t>>()? else { return Ok(None) };
        match key.value {
            // No table has so many that this would take long.
            Value::String(key) if self.0.len() < 64 && !self.0.contains(&key) => self.0.push(key),
            _ => return Err(A::Error::custom("a key stands twice")),
        }
        Ok(self.0.last().map(|key| &**key))
    }
}

impl<'t> Deserialize<'t> for Node<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(|value| Node { offset: 0, value })
    }
}

struct AnyValue;

impl<'t> Visitor<'t> for AnyValue {
    type Value = Value<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that some key takes")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'t str) -> Result<Value<'t>, E> {
        Ok(Value::String(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'t>, E> {
        Ok(Value::String(text.to_owned().into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'t>, E> {
        Ok(integer(number.try_into().ok()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'t>, E> {
        Ok(integer(Some(number)))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'t>, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut items: A) -> Result<Value<'t>, A::Error> {
        let mut nodes = Vec::with_capacity(4);
        while let Some(node) = items.next_element()? {
            nodes.push(node);
        }
        Ok(Value::Array(nodes))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut properties: A) -> Result<Value<'t>, A::Error> {
        let (mut keys, mut values) = (Keys::default(), Vec::new());
        while keys.next(&mut properties)?.is_some() {
            values.push(properties.next_value()?);
        }
        let entries = keys.0.into_iter().zip(values).map(|(key, value)| Entry { key, key_offset: 0, value });
        Ok(Value::Table(entries.collect()))
    }
}
