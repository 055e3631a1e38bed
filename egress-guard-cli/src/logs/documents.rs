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
    let beginning = log.get(..log.len().min(4096)).unwrap_or_default().trim_ascii_start();
    // Its keys come in any order; no audit line has this one.
    let is_object = beginning.starts_with(b"{\"messageType\"") || beginning.starts_with(b"{\"owner\"");
    is_object && memchr::memmem::find(beginning, b"\"messageType\"").is_some()
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
