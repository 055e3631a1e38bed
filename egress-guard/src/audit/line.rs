//! A record as one line of JSON, as `serde_json` would write it with what is hidden [made visible](Visible), in less than
//! half the instructions.
//!
//! A record is flat and most of it is text without anything to escape, which is looked for in sixteen bytes at a time.
//! Everything else is left to `serde_json`.

use std::fmt;

use serde::Serialize;
use serde::ser::{Error as _, Impossible, SerializeStruct, Serializer};

use super::AuditRecord;
use super::visible::Visible;

type Error = serde_json::Error;

/// The line, with its newline.
pub(super) fn line_of(record: &AuditRecord<'_>) -> Result<Vec<u8>, Error> {
    // Most lines fit, and so are allocated once.
    let mut line = Vec::with_capacity(1024);
    record.serialize(Writer(&mut line))?;
    line.push(b'\n');
    Ok(line)
}

/// Writes a record, and each value in it.
struct Writer<'a>(&'a mut Vec<u8>);

impl SerializeStruct for Writer<'_> {
    type Ok = ();
    type Error = Error;

    /// The keys are names of fields, in which nothing is to be escaped. Inlined, for their lengths to be constants.
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        value.serialize(Writer(self.0))
    }

    fn end(self) -> Result<(), Error> {
        self.0.push(b'}');
        Ok(())
    }
}

macro_rules! as_serde_json_does {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            serde_json::Serializer::new(self.0).$name(value)
        })*
    };
}

impl Serializer for Writer<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        Ok(self)
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        if !needs_no_escape(text.as_bytes()) {
            return serde_json::Serializer::with_formatter(self.0, Visible).serialize_str(text);
        }
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        serde_json::Serializer::with_formatter(self.0, Visible).collect_str(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    as_serde_json_does! {
        serialize_bool: bool, serialize_char: char, serialize_bytes: &[u8],
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit(self) -> Result<(), Error> {
        serde_json::Serializer::new(self.0).serialize_unit()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(not_flat())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(not_flat())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(not_flat())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(not_flat())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(not_flat())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(not_flat())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(not_flat())
    }
}

fn not_flat() -> Error {
    Error::custom("a field of an audit record is neither a text, a number nor a truth value")
}

/// Whether a JSON string holds these bytes as they are (RFC 8259, section 7), and none is beyond printable ASCII, where
/// some characters are to be made visible.
fn needs_no_escape(text: &[u8]) -> bool {
    // What does not fill a chunk is looked at in one that overlaps the chunk before.
    if let Some(last) = text.last_chunk::<16>() {
        text.as_chunks::<16>().0.iter().all(all_plain) && all_plain(last)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        all_plain(first) && all_plain(last)
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        all_plain(first) && all_plain(last)
    } else {
        text.iter().all(|byte| is_escaped(*byte) == 0)
    }
}

/// Without a branch, so that it becomes vector instructions.
#[inline]
fn all_plain<const N: usize>(chunk: &[u8; N]) -> bool {
    chunk.iter().fold(0, |found, byte| found | is_escaped(*byte)) == 0
}

#[inline]
fn is_escaped(byte: u8) -> u8 {
    u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::Policy;
    use crate::audit::{AuditEvent, Context, LineNumber};
    use crate::destination::Host;

    fn as_serde_json_does(record: &AuditRecord<'_>) -> String {
        format!("{}\n", serde_json::to_string(record).unwrap())
    }

    fn written(record: &AuditRecord<'_>) -> String {
        String::from_utf8(line_of(record).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn a_line_is_what_serde_json_would_write(
            millis in 0..4_000_000_000_000_u64,
            texts in prop::array::uniform3("[ -~\\x00-\\x20\"\\\\\u{e9}\u{1f512}]{0,40}"),
            numbers in any::<(u64, u16, u32)>(),
            duration_ms in any::<f64>(),
            ips in any::<(IpAddr, IpAddr)>(),
            flag in any::<Option<bool>>(),
        ) {
            let now = UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap();
            let (policy, context) = (Policy::builder("p").build().unwrap(), Context::current());
            let [message, path, arn] = &texts;
            let host = Host::Ip(ips.0);
            let record = AuditRecord {
                rule_id: Some(path),
                would_deny: flag,
                host: Some(&host),
                port: Some(numbers.1),
                path: Some(path),
                peer_ip: Some(ips.1),
                hop: Some(numbers.2),
                bytes_sent: Some(numbers.0),
                duration_ms: Some(duration_ms),
                function_arn: Some(arn),
                layer: Some(1),
                report_only_until: flag.map(|_| arn.clone()),
                ..AuditRecord::new(AuditEvent::Outcome, LineNumber { environment: numbers.0, seq: numbers.0 }, now, &policy, &context, message.clone())
            };
            prop_assert_eq!(written(&record), as_serde_json_does(&record));
        }

        #[test]
        fn what_needs_an_escape_is_seen_wherever_it_stands(
            length in 1..70_usize,
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut text = vec![b'a'; length];
            let at = at.index(length);
            text[at] = byte;
            prop_assert_eq!(needs_no_escape(&text), (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
        }
    }
}
