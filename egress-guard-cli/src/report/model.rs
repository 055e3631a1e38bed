//! What a report says, in whatever form it is printed.
//!
//! The keys of its JSON are the names of the fields; a key that does not apply is absent. The
//! [schema](REPORT_SCHEMA) explains each.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// The JSON Schema (2020-12) of a report.
pub(crate) const REPORT_SCHEMA: &str = include_str!("../../schema/report.schema.json");

/// The whole of it. Each table has its rows in the order in which they are shown.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The version of the schema.
    pub(crate) schema: &'static str,
    pub(crate) read: Read,
    pub(crate) filter: Filter,
    /// When the first and the last of the selected lines were made; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) span: Option<Span>,
    pub(crate) totals: Totals,
    pub(crate) timeline: Timeline,
    /// What was denied.
    pub(crate) denials: Table<Denial>,
    /// What was sent, and would be denied if the policy or the rule were enforced.
    pub(crate) would_deny: Table<Denial>,
    /// What was first seen in the last quarter of the span, what was reached before what was not.
    pub(crate) new_destinations: Table<NewDestination>,
    pub(crate) functions: Table<Function>,
    pub(crate) destinations: Table<Destination>,
    pub(crate) rules: Table<Rule>,
    pub(crate) outcomes: Table<Outcome>,
    /// The policies in force.
    pub(crate) policies: Table<Policy>,
    /// Texts that were to replace a policy and cannot be used.
    pub(crate) rejected_policies: Table<RejectedPolicy>,
    /// Variables that can lead requests elsewhere, change what is trusted or load foreign code.
    pub(crate) suspicious_environments: Table<SuspiciousEnvironment>,
    /// Levels of audit lines that Lambda drops.
    pub(crate) dropped_levels: Table<DroppedLevels>,
}

/// What was read, whatever the filter selects of it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Read {
    /// Lines or events of the logs.
    pub(crate) lines: u64,
    pub(crate) audit_lines: u64,
    /// Those that are not meant to be audit lines.
    pub(crate) other_lines: u64,
    /// Those that are meant to be and cannot be read: torn, or not the library's.
    pub(crate) unreadable_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_unreadable: Option<Unreadable>,
    /// With a filter of functions, lines that are left out as they name none and nobody knows whose environment it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lines_of_unknown_function: Option<u64>,
    /// Numbers that no line has, between the first and the last of an environment.
    pub(crate) lost_lines: u64,
    /// In how many environments lines are missing.
    pub(crate) environments_with_loss: u64,
    /// Lines with a number that another line of the environment has: the same log twice, or forged ones.
    pub(crate) repeated_lines: u64,
    /// Whether every environment was followed, and all its numbers; otherwise there is at least so much of lost, repeated and
    /// environments.
    pub(crate) environments_exact: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Unreadable {
    /// `file:line`.
    pub(crate) place: String,
    pub(crate) error: String,
}

/// What was selected of the lines that were read.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Filter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) functions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Time>,
    /// Exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Time>,
    /// The rows of each table; absent if it has all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) top: Option<usize>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Span {
    pub(crate) first: Time,
    pub(crate) last: Time,
    /// Where the last quarter begins: what was not seen before is new.
    pub(crate) new_since: Time,
}

/// Milliseconds since 1970, written as RFC 3339 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) i64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A bucket of the timeline may begin before all that can be written.
        let within = self.0.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        let time = Timestamp::from_millisecond(within).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How often something was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Allowed at the stage `request` or `redirect`.
    pub(crate) requests: u64,
    /// Allowed at the stage `connection`.
    pub(crate) connections: u64,
    /// Of what was allowed at any stage, what enforcing would deny.
    pub(crate) would_deny: u64,
    /// Denied at any stage.
    pub(crate) denied: u64,
}

/// Of all selected lines, whatever the tables had room for.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Totals {
    /// The selected lines.
    pub(crate) lines: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Outcomes of allowed requests.
    pub(crate) outcomes: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// Functions with a name.
    pub(crate) functions: u64,
    /// Different hosts and ports of each function.
    pub(crate) destinations: u64,
    /// Of these, the ones first seen in the last quarter of the span.
    pub(crate) new_destinations: u64,
    /// Summaries: invocations that came to their end.
    pub(crate) invocations: u64,
    pub(crate) environments: u64,
    /// Environments that a denial has put into quarantine.
    pub(crate) quarantined_environments: u64,
    /// Decisions under a policy that only reports.
    pub(crate) report_only_decisions: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    /// How long each bucket is: a minute, an hour, a day, or ten days and ten times as long again; hours and days are those of UTC.
    pub(crate) bucket_seconds: i64,
    /// From the first to the last, with the empty ones between; at most 401.
    pub(crate) buckets: Vec<Bucket>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Bucket {
    pub(crate) start: Time,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// Rows, and what is not among them.
#[derive(Debug, Serialize)]
pub(crate) struct Table<R: Row> {
    pub(crate) rows: Vec<R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<Others<R::Sum>>,
    /// Whether every row was counted from beginning to end. Otherwise there were more than the table has room for, the
    /// least of the functions with the most were given up into `others`, and a figure of a row may be too low.
    pub(crate) exact: bool,
}

/// What the rows that are not shown come to: with the rows, it is everything.
#[derive(Debug, Serialize)]
pub(crate) struct Others<S> {
    /// How many there are; if the table is not exact, what was given up and came again counts anew.
    pub(crate) rows: u64,
    #[serde(flatten)]
    pub(crate) sum: S,
}

/// A row of a table.
pub(crate) trait Row {
    /// What can be added up of it.
    type Sum: Copy + Default + fmt::Debug + Serialize;

    fn add_to(&self, sum: &mut Self::Sum);

    /// A sum, for people.
    fn in_words(sum: &Self::Sum) -> String;

    /// Rows compete for room with those of the same group first.
    fn group(&self) -> Option<&str> {
        None
    }

    /// What is shown first: the greater.
    fn order(&self) -> [u64; 3];

    /// What is given up last: the greater.
    fn weight(&self) -> [u64; 2];
}

/// A function, or (without a name) what was outside of any invocation.
#[derive(Debug, Serialize)]
pub(crate) struct Function {
    #[serde(rename = "function", skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Different hosts and ports in its decisions, allowed or not; too low if the table of destinations is not exact.
    pub(crate) destinations: u64,
    /// Of these, the ones first seen in the last quarter of the span.
    pub(crate) new_destinations: u64,
    pub(crate) outcomes: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) invocations: u64,
    pub(crate) environments: u64,
    pub(crate) quarantined_environments: u64,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// The first and the last line that a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    pub(crate) first_seen: Time,
    pub(crate) last_seen: Time,
}

/// Where a function talked to, or tried to.
#[derive(Debug, Serialize)]
pub(crate) struct Destination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    /// Absent if the destination cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Absent where a name is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boundary: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// A host and port that a function had not asked for before.
#[derive(Debug, Serialize)]
pub(crate) struct NewDestination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// What was, or would be, denied.
#[derive(Debug, Serialize)]
pub(crate) struct Denial {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_id: Option<String>,
    pub(crate) count: u64,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// What a rule decided; without a rule, what no rule lists.
#[derive(Debug, Serialize)]
pub(crate) struct Rule {
    pub(crate) policy_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_id: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// How allowed requests ended.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    /// The first digit of the status, as `2xx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_class: Option<String>,
    #[serde(flatten)]
    pub(crate) transfer: Transfer,
    pub(crate) longest_ms: f64,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// What was sent and received in exchanges, and how long they took together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Transfer {
    pub(crate) count: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) duration_ms: f64,
}

/// A policy in force, by the lines that name it.
#[derive(Debug, Serialize)]
pub(crate) struct Policy {
    pub(crate) policy_id: String,
    /// Absent for a policy built in code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_sha256: Option<String>,
    pub(crate) mode: String,
    #[serde(flatten)]
    pub(crate) lines: Lines,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// How many lines say so.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Lines {
    pub(crate) lines: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct RejectedPolicy {
    /// The policy that stays in force.
    pub(crate) policy_id: String,
    pub(crate) rejected_policy_sha256: String,
    #[serde(flatten)]
    pub(crate) lines: Lines,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

#[derive(Debug, Serialize)]
pub(crate) struct SuspiciousEnvironment {
    /// Their names, joined by commas.
    pub(crate) variables: String,
    #[serde(flatten)]
    pub(crate) lines: Lines,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// That the function's log level keeps lines from the log: what is counted of these levels is too low.
#[derive(Debug, Serialize)]
pub(crate) struct DroppedLevels {
    /// `INFO`, or `INFO,WARN`.
    pub(crate) levels: String,
    #[serde(flatten)]
    pub(crate) lines: Lines,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}
