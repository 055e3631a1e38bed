//! Logs of documents with many events each, as a subscription of CloudWatch Logs delivers them.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>.

use std::io::BufRead;

use serde::Deserialize;

use super::Failure;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "logEvents")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    message: String,
}

/// Whether a log begins with such a document.
pub(super) fn begin(log: &[u8]) -> bool {
    let first = log.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Their keys come in one of two orders.
    let has_group = || memchr::memmem::find(first, b"\"logGroup\":\"").is_some();
    first.starts_with(b"{\"messageType\":\"") || (first.starts_with(b"{\"owner\":\"") && has_group())
}

/// Calls `each` with every event and its number. Documents follow each other, with or without space between.
pub(super) fn each_event(
    input: impl BufRead,
    mut each: impl FnMut(&str, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut number = 0;
    for (before, document) in serde_json::Deserializer::from_reader(input).into_iter::<Document>().enumerate() {
        let document = document.map_err(|error| Failure::Log(format!("document {}: {error}", before + 1)))?;
        for event in document.events {
            number += 1;
            each(&event.message, number)?;
        }
    }
    Ok(())
}
