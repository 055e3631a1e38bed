//! What is seen first: was anything denied, or would it be, whose is it, and is that all of it?

use std::collections::BTreeSet;

use super::words::{bytes, count, function, minute, of, place};
use crate::report::model::{Denial, Report, Table};

/// How many of the worst are named.
const NAMED: usize = 5;

pub(super) struct Glance<'a> {
    pub(super) figures: [Figure; 2],
    pub(super) worst: Vec<Worst<'a>>,
    pub(super) worst_of: &'static str,
    pub(super) facts: Vec<Fact>,
    pub(super) notices: Vec<Notice>,
}

pub(super) struct Figure {
    pub(super) number: String,
    pub(super) label: &'static str,
    /// What colours it; nothing does if it is zero.
    pub(super) tone: &'static str,
    pub(super) says: String,
    pub(super) anchor: &'static str,
}

pub(super) struct Worst<'a> {
    pub(super) function: &'a str,
    pub(super) place: String,
    pub(super) reason: &'a str,
    pub(super) count: String,
    pub(super) share: String,
    pub(super) tone: &'static str,
    pub(super) anchor: Option<String>,
}

pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// What must be known before the figures are believed.
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) anchor: &'static str,
}

impl<'a> Glance<'a> {
    pub(super) fn of(report: &'a Report, top: usize) -> Self {
        let counts = &report.totals.counts;
        let denied = Figure {
            number: count(counts.denied),
            label: "denied",
            tone: if counts.denied > 0 { "denied" } else { "calm" },
            says: who(&report.denials).unwrap_or_else(|| "Nothing was denied.".into()),
            anchor: "denials",
        };
        let would_deny = Figure {
            number: count(counts.would_deny),
            label: "would be denied",
            tone: if counts.would_deny > 0 { "would" } else { "calm" },
            says: who(&report.would_deny).unwrap_or_else(|| "Nothing that was sent would be.".into()),
            anchor: "would-deny",
        };
        let (of_these, worst_of, tone) = if counts.denied > 0 {
            (&report.denials, "Denied most", "denied")
        } else {
            (&report.would_deny, "Would be denied most", "would")
        };
        Self {
            figures: [denied, would_deny],
            worst: worst(of_these, if tone == "denied" { "denials" } else { "would-deny" }, tone, top),
            worst_of,
            facts: facts(report),
            notices: notices(report),
        }
    }
}

/// By whom and to where, in a sentence; nothing if there is nothing.
fn who(table: &Table<Denial>) -> Option<String> {
    let first = table.rows.first()?;
    let functions: BTreeSet<_> = table.rows.iter().map(|row| row.function.as_deref()).collect();
    let places: BTreeSet<_> = table.rows.iter().map(|row| (row.host.as_deref(), row.port)).collect();
    let by = match functions.len() {
        1 => match first.function.as_deref() {
            Some(name) => format!("by {name}"),
            None => "outside of any invocation".into(),
        },
        many => format!("by {many} functions"),
    };
    let to = match places.len() {
        1 => place(first.host.as_deref(), first.port),
        many => of(many as u64, "destination", "destinations"),
    };
    let least = if table.others.is_some() { "at least " } else { "" };
    let last = table.rows.iter().map(|row| row.seen.last_seen).max()?;
    Some(format!("{least}{by}, to {to}; the last on {} UTC", minute(last)))
}

fn worst<'a>(table: &'a Table<Denial>, id: &str, tone: &'static str, top: usize) -> Vec<Worst<'a>> {
    let most = table.rows.first().map_or(1, |row| row.count.max(1));
    let named = table.rows.iter().take(NAMED).enumerate();
    let worst = named.map(|(number, row)| Worst {
        function: function(row.function.as_deref()),
        place: place(row.host.as_deref(), row.port),
        reason: row.reason.as_deref().unwrap_or("unknown"),
        count: count(row.count),
        share: format!("{:.1}", row.count as f64 * 100.0 / most as f64),
        tone,
        anchor: (number < top).then(|| format!("{id}-{}", number + 1)),
    });
    worst.collect()
}

fn facts(report: &Report) -> Vec<Fact> {
    let totals = &report.totals;
    let note = |number: u64, what: &str| if number > 0 { format!("{} {what}", count(number)) } else { String::new() };
    let fact = |name, value, note| Fact { name, value, note };
    let lambda = of(totals.invocations, "invocation", "invocations");
    vec![
        fact(
            "Requests allowed",
            count(totals.counts.requests),
            format!("{} connections", count(totals.counts.connections)),
        ),
        fact("Functions", count(totals.functions), lambda),
        fact("Destinations", count(totals.destinations), note(totals.new_destinations, "new")),
        fact("Sent", bytes(totals.bytes_sent), format!("{} received", bytes(totals.bytes_received))),
        fact("Environments", count(totals.environments), note(totals.quarantined_environments, "in quarantine")),
    ]
}

fn notices(report: &Report) -> Vec<Notice> {
    let (read, totals) = (&report.read, &report.totals);
    let rows = |rows: usize, one, more| of(rows as u64, one, more);
    let unknown = read.lines_of_unknown_function.unwrap_or_default();
    let all = [
        (read.audit_lines == 0, "No audit line was read: these figures say nothing.".to_owned(), "read"),
        (
            read.lost_lines > 0,
            format!(
                "{} missing from {}: what they said is not in these figures.",
                of(read.lost_lines, "audit line is", "audit lines are"),
                of(read.environments_with_loss, "environment", "environments")
            ),
            "read",
        ),
        (
            read.unreadable_lines > 0,
            format!("{} cannot be read.", of(read.unreadable_lines, "audit line", "audit lines")),
            "read",
        ),
        (
            read.repeated_lines > 0,
            format!(
                "{} read more than once, or forged.",
                of(read.repeated_lines, "audit line was", "audit lines were")
            ),
            "read",
        ),
        (
            unknown > 0,
            format!(
                "{} no function, and of no known one: not counted.",
                of(unknown, "audit line names", "audit lines name")
            ),
            "read",
        ),
        (
            totals.quarantined_environments > 0,
            format!(
                "{} put into quarantine.",
                of(totals.quarantined_environments, "environment was", "environments were")
            ),
            "functions",
        ),
        (
            totals.report_only_decisions > 0,
            format!(
                "{} under a policy that only reports.",
                of(totals.report_only_decisions, "decision was", "decisions were")
            ),
            "policies",
        ),
        (
            !report.rejected_policies.rows.is_empty(),
            format!("{} refused.", rows(report.rejected_policies.rows.len(), "new policy was", "new policies were")),
            "rejected-policies",
        ),
        (
            !report.suspicious_environments.rows.is_empty(),
            "An environment has variables that can lead requests elsewhere.".to_owned(),
            "suspicious-environments",
        ),
        (
            !report.dropped_levels.rows.is_empty(),
            "A function's log level drops audit lines: what is counted is too low.".to_owned(),
            "dropped-levels",
        ),
    ];
    all.into_iter().filter(|(applies, ..)| *applies).map(|(_, text, anchor)| Notice { text, anchor }).collect()
}
