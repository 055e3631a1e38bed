//! What the schema enumerates: each value is a number, and its caption beside it.

use crate::audit::{AuditEvent, AuditRecord};

/// An event class, with the profiles that an event of it is made by.
#[derive(Debug, PartialEq)]
pub(super) struct Class {
    pub(super) uid: u32,
    pub(super) name: &'static str,
    pub(super) profiles: &'static [&'static str],
}

pub(super) const HTTP_ACTIVITY: Class =
    Class { uid: 4002, name: "HTTP Activity", profiles: &["cloud", "network_proxy", "security_control", "trace"] };

pub(super) const NETWORK_ACTIVITY: Class =
    Class { uid: 4001, name: "Network Activity", profiles: &["cloud", "network_proxy", "security_control"] };

/// A number and its caption.
pub(super) type Coded = (u32, &'static str);

/// What stands for all that the schema does not enumerate.
pub(super) const OTHER: Coded = (99, "Other");

/// The class of a record, and what was done or asked for. A posture and a summary are no activity.
pub(super) fn activity(record: &AuditRecord<'_>) -> Option<(&'static Class, Coded)> {
    match record.event_type {
        AuditEvent::Decision | AuditEvent::Outcome => {}
        AuditEvent::Posture | AuditEvent::Summary => return None,
    }
    Some(match record.stage {
        Some("request" | "redirect") => (&HTTP_ACTIVITY, by_method(record.method)),
        // A name is looked up to open a connection, too.
        _ => (&NETWORK_ACTIVITY, (1, "Open")),
    })
}

/// Methods are case-sensitive.
fn by_method(method: Option<&str>) -> Coded {
    match method {
        // Of a redirect the method is not known.
        None => (0, "Unknown"),
        Some("CONNECT") => (1, "Connect"),
        Some("DELETE") => (2, "Delete"),
        Some("GET") => (3, "Get"),
        Some("HEAD") => (4, "Head"),
        Some("OPTIONS") => (5, "Options"),
        Some("POST") => (6, "Post"),
        Some("PUT") => (7, "Put"),
        Some("TRACE") => (8, "Trace"),
        Some("PATCH") => (9, "Patch"),
        Some(_) => OTHER,
    }
}

/// What the guard did, and what came of it.
pub(super) struct Control {
    pub(super) action: Coded,
    pub(super) disposition: Coded,
    pub(super) severity: Coded,
    /// Whether somebody should look. Of an outcome, its decision or the later denial has said so already.
    pub(super) is_alert: bool,
}

pub(super) fn control(record: &AuditRecord<'_>) -> Control {
    let is_decision = record.event_type == AuditEvent::Decision;
    let (action, disposition, severity) = if record.action == Some("denied") || record.outcome == Some("denied") {
        ((2, "Denied"), (2, "Blocked"), (3, "Medium"))
    } else if record.would_deny == Some(true) {
        ((3, "Observed"), (15, "Detected"), (2, "Low"))
    } else {
        ((1, "Allowed"), (1, "Allowed"), INFORMATIONAL)
    };
    let severity = if is_decision { severity } else { INFORMATIONAL };
    Control { action, disposition, severity, is_alert: severity != INFORMATIONAL }
}

const INFORMATIONAL: Coded = (1, "Informational");

/// How the activity ended, as far as it has.
pub(super) fn status(record: &AuditRecord<'_>) -> Coded {
    let (unknown, success, failure) = ((0, "Unknown"), (1, "Success"), (2, "Failure"));
    match (record.outcome, record.action, record.stage) {
        (Some("complete" | "redirected"), ..) => success,
        (Some("denied" | "failed"), ..) | (None, Some("denied"), _) => failure,
        // Given up by the caller.
        (Some(_), ..) => OTHER,
        // A connection stands when it is decided, a request has not been sent.
        (None, _, Some("connection")) => success,
        (None, ..) => unknown,
    }
}
