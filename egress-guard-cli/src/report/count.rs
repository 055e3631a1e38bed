//! One pass over the lines, in memory that does not grow with them.

use std::collections::HashMap;

use super::environments::Environments;
use super::model::{
    Counts, Denial, Destination, Filter, Function, Lines, Outcome, Policy, Read, RejectedPolicy, Report, Rule, Seen,
    Span, SuspiciousEnvironment, Time, Totals, Transfer, Unreadable,
};
use super::table::{Counter, Key, cut};
use super::timeline::Buckets;
use crate::logs::{AuditLine, Entry, Tally};

/// The rows of a table that whoever asks for ever new hosts can fill.
const ROOM: usize = 50_000;
/// The rows of tables that only the owners of functions and policies fill, unless lines are forged.
const SMALL_ROOM: usize = 10_000;

#[derive(Debug)]
pub(super) struct Counting {
    filter: Filter,
    read: Read,
    span: Option<(Time, Time)>,
    totals: Totals,
    environments: Environments,
    timeline: Buckets,
    denials: Counter<Denial>,
    would_deny: Counter<Denial>,
    functions: Counter<Function>,
    destinations: Counter<Destination>,
    rules: Counter<Rule>,
    outcomes: Counter<Outcome>,
    policies: Counter<Policy>,
    rejected_policies: Counter<RejectedPolicy>,
    suspicious_environments: Counter<SuspiciousEnvironment>,
    key: Key,
}

impl Counting {
    pub(super) fn new(filter: Filter) -> Self {
        Self::with_room(filter, ROOM)
    }

    pub(super) fn with_room(filter: Filter, room: usize) -> Self {
        let small = room.min(SMALL_ROOM);
        Self {
            filter,
            read: Read::default(),
            span: None,
            totals: Totals::default(),
            environments: Environments::default(),
            timeline: Buckets::new(),
            denials: Counter::new(room),
            would_deny: Counter::new(room),
            functions: Counter::new(small),
            destinations: Counter::new(room),
            rules: Counter::new(small),
            outcomes: Counter::new(room),
            policies: Counter::new(small),
            rejected_policies: Counter::new(small),
            suspicious_environments: Counter::new(small),
            key: Key::default(),
        }
    }

    /// Counts what is said to be an audit line.
    pub(super) fn entry(&mut self, entry: &Entry<'_>) {
        let line = AuditLine::parse(entry.text).and_then(|line| {
            let time = line.time().ok_or_else(|| {
                format!(
                    "the timestamp is `{}`, expected one as 2026-11-24T12:00:00.000Z",
                    crate::shown::shortened(&line.timestamp, 40)
                )
            })?;
            Ok((Time(time.as_millisecond()), line))
        });
        match line {
            Ok((time, line)) => {
                self.read.audit_lines += 1;
                self.line(&line, time);
            }
            Err(error) => {
                self.read.unreadable_lines += 1;
                let place = entry.place;
                self.read.first_unreadable.get_or_insert_with(|| Unreadable { place: place.to_string(), error });
            }
        }
    }

    fn line(&mut self, line: &AuditLine<'_>, time: Time) {
        self.environments.read(line.environment_id, line.seq);
        if !self.is_selected(line, time) {
            return;
        }
        let function = line.function_name.as_deref();
        self.environments.select(line.environment_id, function, line.quarantined == Some(true));
        let (first, last) = self.span.get_or_insert((time, time));
        *first = time.min(*first);
        *last = time.max(*last);
        self.policy(line, time);
        match &*line.event_type {
            "egress_decision" => self.decision(line, time),
            "egress_outcome" => self.outcome(line, time),
            "egress_summary" => {
                self.totals.invocations += 1;
                self.function(line, time).invocations += 1;
            }
            _ => {}
        }
    }

    fn is_selected(&self, line: &AuditLine<'_>, time: Time) -> bool {
        let Filter { functions, since, until, .. } = &self.filter;
        let is_function =
            || line.function_name.as_deref().is_some_and(|name| functions.iter().any(|wanted| wanted == name));
        (functions.is_empty() || is_function())
            && since.is_none_or(|since| time >= since)
            && until.is_none_or(|until| time < until)
    }

    fn policy(&mut self, line: &AuditLine<'_>, time: Time) {
        let (id, sha256, mode) = (&*line.policy_id, line.policy_sha256.as_deref(), &*line.mode);
        let key = self.key.clear().text(Some(id)).text(sha256).text(Some(mode));
        let row = self.policies.row(key, || Policy {
            policy_id: owned(id),
            policy_sha256: sha256.map(owned),
            mode: owned(mode),
            lines: Lines::default(),
            seen: Seen::at(time),
        });
        row.lines.lines += 1;
        row.seen.add(time);
        if let Some(rejected) = line.rejected_policy_sha256.as_deref() {
            let key = self.key.clear().text(Some(id)).text(Some(rejected));
            let row = self.rejected_policies.row(key, || RejectedPolicy {
                policy_id: owned(id),
                rejected_policy_sha256: owned(rejected),
                lines: Lines::default(),
                seen: Seen::at(time),
            });
            row.lines.lines += 1;
            row.seen.add(time);
        }
        if let Some(variables) = line.suspicious_environment.as_deref() {
            let row = self.suspicious_environments.row(self.key.clear().text(Some(variables)), || {
                SuspiciousEnvironment { variables: owned(variables), lines: Lines::default(), seen: Seen::at(time) }
            });
            row.lines.lines += 1;
            row.seen.add(time);
        }
    }

    fn decision(&mut self, line: &AuditLine<'_>, time: Time) {
        let counts = counts(line);
        self.totals.counts.add(&counts);
        self.totals.report_only_decisions += u64::from(line.mode == "report-only");
        self.timeline.at(time).add(&counts);
        self.function(line, time).counts.add(&counts);
        self.destination(line, time).counts.add(&counts);
        let (policy, rule) = (&*line.policy_id, line.rule_id.as_deref());
        let key = self.key.clear().text(Some(policy)).text(rule);
        let row = self.rules.row(key, || Rule {
            policy_id: owned(policy),
            rule_id: rule.map(owned),
            counts: Counts::default(),
            seen: Seen::at(time),
        });
        row.counts.add(&counts);
        row.seen.add(time);
        for (count, denials) in [(counts.denied, &mut self.denials), (counts.would_deny, &mut self.would_deny)] {
            if count > 0 {
                let row = denials.row(denial_key(&mut self.key, line), || denial(line, time));
                row.count += count;
                row.seen.add(time);
            }
        }
    }

    fn outcome(&mut self, line: &AuditLine<'_>, time: Time) {
        let transfer = Transfer {
            count: 1,
            bytes_sent: line.bytes_sent.unwrap_or_default(),
            bytes_received: line.bytes_received.unwrap_or_default(),
            duration_ms: line.duration_ms.unwrap_or_default(),
        };
        self.totals.outcomes += 1;
        add_bytes((&mut self.totals.bytes_sent, &mut self.totals.bytes_received), &transfer);
        let function = self.function(line, time);
        function.outcomes += 1;
        add_bytes((&mut function.bytes_sent, &mut function.bytes_received), &transfer);
        let destination = self.destination(line, time);
        add_bytes((&mut destination.bytes_sent, &mut destination.bytes_received), &transfer);

        let (function, host, outcome) = (line.function_name.as_deref(), line.host.as_deref(), line.outcome.as_deref());
        let class = line.status.map(|status| format!("{}xx", status / 100));
        let key = self.key.clear().text(function).text(host).text(outcome).text(class.as_deref());
        let row = self.outcomes.row(key, || Outcome {
            function: function.map(owned),
            host: host.map(owned),
            outcome: outcome.map(owned),
            status_class: class,
            transfer: Transfer::default(),
            longest_ms: 0.0,
            seen: Seen::at(time),
        });
        row.transfer.add(&transfer);
        row.longest_ms = row.longest_ms.max(transfer.duration_ms);
        row.seen.add(time);
    }

    fn function(&mut self, line: &AuditLine<'_>, time: Time) -> &mut Function {
        let name = line.function_name.as_deref();
        let row = self.functions.row(self.key.clear().text(name), || Function {
            name: name.map(owned),
            counts: Counts::default(),
            destinations: 0,
            new_destinations: 0,
            outcomes: 0,
            bytes_sent: 0,
            bytes_received: 0,
            invocations: 0,
            environments: 0,
            quarantined_environments: 0,
            seen: Seen::at(time),
        });
        row.seen.add(time);
        row
    }

    fn destination(&mut self, line: &AuditLine<'_>, time: Time) -> &mut Destination {
        let (function, host) = (line.function_name.as_deref(), line.host.as_deref());
        let (port, boundary) = (line.port, line.boundary.as_deref());
        let key = self.key.clear().text(function).text(host).port(port).text(boundary);
        let row = self.destinations.row(key, || Destination {
            function: function.map(owned),
            host: host.map(owned),
            port,
            boundary: boundary.map(owned),
            counts: Counts::default(),
            bytes_sent: 0,
            bytes_received: 0,
            seen: Seen::at(time),
        });
        row.seen.add(time);
        row
    }

    /// What was counted, once the logs are at their end.
    pub(super) fn into_report(mut self, tally: &Tally) -> Report {
        let span = self.span.map(|(first, last)| {
            let new_since = Time(first.0 + (last.0 - first.0) / 4 * 3);
            Span { first, last, new_since }
        });
        self.count_destinations(span.map(|span| span.new_since));
        self.count_environments();
        self.read.lines = tally.lines;
        self.read.other_lines = tally.other;
        self.totals.functions = self.functions.rows().filter(|row| row.name.is_some()).count() as u64;
        let top = self.filter.top;
        Report {
            schema: "egress-guard-report/1",
            read: self.read,
            filter: self.filter,
            span,
            totals: self.totals,
            timeline: self.timeline.into_timeline(),
            denials: self.denials.into_table(top),
            would_deny: self.would_deny.into_table(top),
            functions: self.functions.into_table(top),
            destinations: self.destinations.into_table(top),
            rules: self.rules.into_table(top),
            outcomes: self.outcomes.into_table(top),
            policies: self.policies.into_table(top),
            rejected_policies: self.rejected_policies.into_table(top),
            suspicious_environments: self.suspicious_environments.into_table(top),
        }
    }

    /// How many hosts and ports each function has. A host and port may have a row for either side of the boundary.
    fn count_destinations(&mut self, new_since: Option<Time>) {
        let mut first_seen: HashMap<Option<&str>, HashMap<(&str, u16), Time>> = HashMap::new();
        for row in self.destinations.rows() {
            if let (Some(host), Some(port)) = (row.host.as_deref(), row.port) {
                let of_function = first_seen.entry(row.function.as_deref()).or_default();
                let first = of_function.entry((host, port)).or_insert(row.seen.first_seen);
                *first = row.seen.first_seen.min(*first);
            }
        }
        for row in self.functions.rows_mut() {
            let Some(of_function) = first_seen.get(&row.name.as_deref()) else { continue };
            let new = of_function.values().filter(|first| new_since.is_some_and(|since| **first >= since));
            (row.destinations, row.new_destinations) = (of_function.len() as u64, new.count() as u64);
            self.totals.destinations += row.destinations;
            self.totals.new_destinations += row.new_destinations;
        }
    }

    fn count_environments(&mut self) {
        let gaps = self.environments.gaps();
        self.read.lost_lines = gaps.lost;
        self.read.environments_with_loss = gaps.environments;
        self.read.repeated_lines = gaps.repeated;
        self.read.environments_exact = self.environments.is_exact();
        let (all, of) = self.environments.numbers();
        self.totals.environments = all.environments;
        self.totals.quarantined_environments = all.quarantined;
        for row in self.functions.rows_mut() {
            let number = row.name.as_deref().and_then(|name| of.get(name)).copied().unwrap_or_default();
            (row.environments, row.quarantined_environments) = (number.environments, number.quarantined);
        }
    }
}

fn owned(text: &str) -> String {
    cut(text).to_owned()
}

/// What one decision counts as.
fn counts(line: &AuditLine<'_>) -> Counts {
    let is_allowed = line.action.as_deref() == Some("allowed");
    let stage = line.stage.as_deref();
    Counts {
        requests: u64::from(is_allowed && matches!(stage, Some("request" | "redirect"))),
        connections: u64::from(is_allowed && stage == Some("connection")),
        would_deny: u64::from(line.would_deny == Some(true)),
        denied: u64::from(line.action.as_deref() == Some("denied")),
    }
}

fn denial_key<'k>(key: &'k mut Key, line: &AuditLine<'_>) -> &'k Key {
    let key = key.clear().text(line.function_name.as_deref()).text(line.host.as_deref()).port(line.port);
    key.text(line.stage.as_deref()).text(line.reason.as_deref()).text(line.rule_id.as_deref())
}

fn denial(line: &AuditLine<'_>, time: Time) -> Denial {
    Denial {
        function: line.function_name.as_deref().map(owned),
        host: line.host.as_deref().map(owned),
        port: line.port,
        stage: line.stage.as_deref().map(owned),
        reason: line.reason.as_deref().map(owned),
        rule_id: line.rule_id.as_deref().map(owned),
        count: 0,
        seen: Seen::at(time),
    }
}

fn add_bytes((sent, received): (&mut u64, &mut u64), transfer: &Transfer) {
    *sent = sent.saturating_add(transfer.bytes_sent);
    *received = received.saturating_add(transfer.bytes_received);
}
