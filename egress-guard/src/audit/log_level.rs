//! The log level below which Lambda drops what a function prints.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.

use std::borrow::Cow;

use super::{AuditEvent, AuditRecord};
use crate::denied::shortened;

/// The log level of a function whose log format is JSON; with any other Lambda drops nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// What Lambda tells the function.
    pub(super) fn of_function() -> Option<Self> {
        Self::told_by(|name| std::env::var(name).ok())
    }

    fn told_by(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        variable("AWS_LAMBDA_LOG_FORMAT").filter(|format| format.eq_ignore_ascii_case("json"))?;
        Self::of(&variable("AWS_LAMBDA_LOG_LEVEL")?)
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(name))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// The record as it is to be written: a posture says what is dropped, and is not; with `raises` nothing is.
    pub(super) fn past<'r, 'a>(self, record: &'r AuditRecord<'a>, raises: bool) -> Cow<'r, AuditRecord<'a>> {
        let is_posture = record.event_type == AuditEvent::Posture;
        let is_dropped = self.drops(record.level);
        if !(is_posture || is_dropped && raises) {
            return Cow::Borrowed(record);
        }
        let mut record = record.clone();
        if is_dropped {
            record.severity = Some(record.level);
            record.level = self.as_str();
        }
        if is_posture {
            record.platform_log_level = Some(self.as_str());
            record.dropped_levels = self.dropped_levels().filter(|_| !raises);
        }
        if let Some(dropped) = record.dropped_levels {
            let advice = format!(
                "; Lambda drops audit lines of level {dropped}, because the function's log level is {}: set it to INFO, or \
                 use JsonLines::raising_levels",
                self.as_str()
            );
            // The advice must not be what is cut off.
            let room = 768_usize.saturating_sub(advice.len());
            record.message = format!("{}{advice}", shortened(&record.message, room));
            record.severity = Some("WARN");
        }
        Cow::Owned(record)
    }

    fn drops(self, level: &str) -> bool {
        Self::of(level).is_some_and(|level| level < self)
    }

    /// Of the levels that audit lines have.
    fn dropped_levels(self) -> Option<&'static str> {
        match self {
            Self::Trace | Self::Debug | Self::Info => None,
            Self::Warn => Some("INFO"),
            Self::Error | Self::Fatal => Some("INFO,WARN"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Policy;
    use crate::audit::{Context, LineNumber};

    #[test]
    fn the_level_is_told_where_the_format_is_json() {
        for (format, level, expected) in [
            (Some("JSON"), Some("WARN"), Some(LogLevel::Warn)),
            (Some("json"), Some("fatal"), Some(LogLevel::Fatal)),
            (Some("Text"), Some("WARN"), None),
            (None, Some("WARN"), None),
            (Some("JSON"), None, None),
            (Some("JSON"), Some("LOUD"), None),
        ] {
            let variable = |name: &str| if name == "AWS_LAMBDA_LOG_FORMAT" { format } else { level }.map(str::to_owned);
            assert_eq!(LogLevel::told_by(variable), expected, "{format:?} {level:?}");
        }
    }

    #[test]
    fn what_would_be_dropped_is_raised_if_asked_for_and_a_posture_always() {
        let (policy, context) = (Policy::builder("p").build().unwrap(), Context::current());
        let record = |event, level| AuditRecord {
            level,
            ..AuditRecord::new(
                event,
                LineNumber { environment: 1, seq: 1 },
                SystemTime::UNIX_EPOCH,
                &policy,
                &context,
                "m".repeat(800),
            )
        };
        let (posture, decision) = (AuditEvent::Posture, AuditEvent::Decision);
        for (platform, raises, event, level, written, severity, dropped) in [
            (LogLevel::Debug, false, decision, "INFO", "INFO", None, None),
            (LogLevel::Info, true, decision, "INFO", "INFO", None, None),
            (LogLevel::Warn, false, decision, "INFO", "INFO", None, None),
            (LogLevel::Warn, true, decision, "INFO", "WARN", Some("INFO"), None),
            (LogLevel::Warn, true, decision, "WARN", "WARN", None, None),
            (LogLevel::Fatal, true, decision, "WARN", "FATAL", Some("WARN"), None),
            (LogLevel::Info, false, posture, "INFO", "INFO", None, None),
            (LogLevel::Warn, false, posture, "INFO", "WARN", Some("WARN"), Some("INFO")),
            (LogLevel::Warn, true, posture, "INFO", "WARN", Some("INFO"), None),
            (LogLevel::Error, false, posture, "WARN", "ERROR", Some("WARN"), Some("INFO,WARN")),
        ] {
            let record = record(event, level);
            let record = platform.past(&record, raises);
            let told = (record.level, record.severity, record.dropped_levels);
            assert_eq!(told, (written, severity, dropped), "{platform:?} {raises} {event:?} {level}");
            assert_eq!(record.platform_log_level.is_some(), event == posture);
            assert!(record.message.len() <= 768);
            assert_eq!(record.message.contains("raising_levels"), dropped.is_some());
        }
    }
}
