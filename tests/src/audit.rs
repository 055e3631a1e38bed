//! An audit sink that holds every line against the published schema.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use egress_guard::{AUDIT_SCHEMA, AuditRecord, AuditSink, MemorySink};
use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(AUDIT_SCHEMA).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a schema")
});

/// Keeps audit lines in memory and refuses to hand out one that the schema does not allow.
#[derive(Clone, Debug, Default)]
pub struct ValidatedAudit {
    lines: MemorySink,
}

impl ValidatedAudit {
    /// An empty sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The lines so far.
    ///
    /// # Panics
    ///
    /// When one of them is not as the schema says.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.lines.lines();
        lines.iter().for_each(Self::validate);
        lines
    }

    /// The lines of one event type, without the prefix `egress_`.
    #[must_use]
    pub fn of_type(&self, event_type: &str) -> Vec<Value> {
        let event_type = format!("egress_{event_type}");
        self.lines().into_iter().filter(|line| line["event_type"] == event_type.as_str()).collect()
    }

    /// The decisions of one stage.
    #[must_use]
    pub fn decisions_at(&self, stage: &str) -> Vec<Value> {
        self.of_type("decision").into_iter().filter(|line| line["stage"] == stage).collect()
    }

    /// The reasons of all denials, in order.
    #[must_use]
    pub fn denials(&self) -> Vec<String> {
        let denials = self.of_type("decision").into_iter().filter(|line| line["action"] == "denied");
        denials.filter_map(|line| line["reason"].as_str().map(str::to_owned)).collect()
    }

    /// Holds one line against the schema.
    ///
    /// # Panics
    ///
    /// When it is not as the schema says, or over 4 KB.
    pub fn validate(line: &Value) {
        let faults: Vec<String> = SCHEMA.iter_errors(line).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "an audit line is not as the schema says: {line}\n{faults:#?}");
        assert!(line.to_string().len() < 4096, "an audit line is over 4 KB: {line}");
    }
}

impl AuditSink for ValidatedAudit {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        self.lines.record(record)
    }
}

/// A writer that keeps what was written.
#[derive(Clone, Debug, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// All that was written.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
