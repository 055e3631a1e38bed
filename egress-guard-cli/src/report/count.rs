//! One pass over the lines, in memory that does not grow without bound.

use std::collections::HashMap;

use super::environments::Environments;
use super::in_force::InForce;
use super::model::{
    Counts, Denial, Destination, Filter, Function, NewDestination, Outcome, Read, Report, Rule, Seen, Span, Table,
    Time, Totals, Transfer, Unreadable,
};
use super::table::{Counter, Key, owned};
use super::timeline::Buckets;
use crate::logs::{AuditLine, Entry, Functions, Tally};

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
    asked: Functions,
    timeline: Buckets,
    denials: Counter<Denial>,
    would_deny: Counter<Denial>,
    functions: Counter<Function>,
    destinations: Counter<Destination>,
    rules: Counter<Rule>,
    outcomes: Counter<Outcome>,
    in_force: InForce,
    key: Key,
}

impl Counting {
    pub(super) fn new(filter: Filter) -> Self {
        Self::with_room(filter, ROOM)
    }

    pub(super) fn with_room(filter: Filter, room: usize) -> Self {
        let small = room.min(SMALL_ROOM);
        Self {
            asked: Functions::new(&filter.functions),
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
            in_force: InForce::new(small),
            key: Key::default(),
        }
    }

    /// Counts what is said to be an audit line.
    pub(super) fn entry(&mut self, entry: &Entry<'_>) {
        match parse(entry.text) {
            Ok((time, line)) => {
                self.read.audit_lines += 1;
                self.environments.read(line.environment_id, line.seq);
                self.line(&line, time, entry);
            }
            Err(error) => {
                self.read.unreadable_lines += 1;
                let place = entry.place;
                self.read.first_unreadable.get_or_insert_with(|| Unreadable { place: place.to_string(), error });
            }
        }
    }

    fn line(&mut self, line: &AuditLine<'_>, time: Time, entry: &Entry<'_>) {
        // What was written before a line told whose the environment is.
        for held in self.asked.learn(line, entry) {
            if let Ok((time, line)) = parse(&held.text) {
                self.selected(&line, time);
            }
        }
        if !self.is_within(time) {
            return;
        }
        match self.asked.has(line) {
            Some(true) => self.selected(line, time),
            Some(false) => {}
            None => self.asked.hold(line, entry, true),
        }
    }

    fn is_within(&self, time: Time) -> bool {
        let Filter { since, until, .. } = &self.filter;
        since.is_none_or(|since| time >= since) && until.is_none_or(|until| time < until)
    }

    fn selected(&mut self, line: &AuditLine<'_>, time: Time) {
        let function = line.function_name.as_deref();
        self.environments.select(line.environment_id, function, line.quarantined == Some(true));
        let (first, last) = self.span.get_or_insert((time, time));
        *first = time.min(*first);
        *last = time.max(*last);
        self.totals.lines += 1;
        self.in_force.line(line, time);
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
            duration_ms: line.duration_ms.unwrap_or_default().max(0.0),
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
        let new_destinations =
            self.new_destinations(span.filter(|span| span.new_since > span.first).map(|span| span.new_since));
        self.count_environments();
        self.read.lines = tally.lines;
        self.read.other_lines = tally.other;
        self.read.lines_of_unknown_function = (!self.filter.functions.is_empty()).then_some(self.asked.unknown());
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
            new_destinations: Table { exact: self.destinations.is_exact(), ..new_destinations.into_table(top) },
            functions: self.functions.into_table(top),
            destinations: self.destinations.into_table(top),
            rules: self.rules.into_table(top),
            outcomes: self.outcomes.into_table(top),
            policies: self.in_force.policies.into_table(top),
            rejected_policies: self.in_force.rejected_policies.into_table(top),
            suspicious_environments: self.in_force.suspicious_environments.into_table(top),
            dropped_levels: self.in_force.dropped_levels.into_table(top),
        }
    }

    /// The hosts and ports of each function; which of them are new. Each may have a row for either side of the boundary.
    fn new_destinations(&mut self, new_since: Option<Time>) -> Counter<NewDestination> {
        // There are no more of them than the table of destinations has had room for.
        let mut known = Counter::new(usize::MAX);
        for row in self.destinations.rows() {
            if let (Some(host), Some(port)) = (&row.host, row.port) {
                let function = row.function.as_deref();
                let known =
                    known.row(self.key.clear().text(function).text(Some(host)).port(row.port), || NewDestination {
                        function: row.function.clone(),
                        host: host.clone(),
                        port,
                        counts: Counts::default(),
                        seen: row.seen,
                    });
                known.counts.add(&row.counts);
                known.seen.merge(row.seen);
            }
        }
        let is_new = |row: &NewDestination| new_since.is_some_and(|since| row.seen.first_seen >= since);
        let mut of_function: HashMap<Option<&str>, (u64, u64)> = HashMap::new();
        for row in known.rows() {
            let (all, new) = of_function.entry(row.function.as_deref()).or_default();
            *all += 1;
            *new += u64::from(is_new(row));
        }
        for row in self.functions.rows_mut() {
            (row.destinations, row.new_destinations) =
                of_function.get(&row.name.as_deref()).copied().unwrap_or_default();
        }
        for (all, new) in of_function.values() {
            self.totals.destinations += all;
            self.totals.new_destinations += new;
        }
        known.retain(is_new);
        known
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

fn parse(text: &str) -> Result<(Time, AuditLine<'_>), String> {
    let line = AuditLine::parse(text)?;
    let time = line.time().ok_or("has no time")?;
    Ok((Time(time.as_millisecond()), line))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::logs::Place;

    fn line(number: u64, function: &str, host: &str, action: &str) -> String {
        json!({
            "timestamp": format!("{:.3}", jiff::Timestamp::from_millisecond(number as i64).unwrap()),
            "event_type": "egress_decision", "schema": "egress-guard/1", "environment_id": 1, "seq": number,
            "policy_id": "p", "mode": "enforce", "action": action, "stage": "request", "function_name": function,
            "host": host, "port": 443, "reason": "host-not-allowed",
        })
        .to_string()
    }

    fn report(room: usize, lines: impl Iterator<Item = String>) -> Value {
        let mut counting = Counting::with_room(Filter::default(), room);
        let mut tally = Tally::default();
        for (number, text) in (1..).zip(lines) {
            counting.entry(&Entry { text: &text, place: Place { file: "log", number }, is_behind_text: false });
            tally.lines += 1;
        }
        serde_json::to_value(counting.into_report(&tally)).unwrap()
    }

    /// The rows of a table, and with them what is not among them.
    fn sum(table: &Value, key: &str) -> u64 {
        let rows = table["rows"].as_array().unwrap();
        rows.iter().chain(table.get("others")).map(|row| row[key].as_u64().unwrap()).sum()
    }

    #[test]
    fn ever_new_hosts_fill_no_memory_and_push_nobody_else_out() {
        // One asks for ever new hosts; what another asks for rarely stays, and so does what the first asks for often.
        let lines = (0..20_000).map(|number| match number {
            0 | 10_000 => line(number, "orders", "api.payments.example", "allowed"),
            _ if number % 10 == 0 => line(number, "malware", "c2.exfil.example", "denied"),
            _ => line(number, "malware", &format!("x{number}.exfil.example"), "denied"),
        });
        let report = report(100, lines);
        for table in ["denials", "destinations"] {
            let table = &report[table];
            let rows = table["rows"].as_array().unwrap();
            assert!((50..=100).contains(&rows.len()), "{}", rows.len());
            assert_eq!(table["exact"], false);
            let often = rows.iter().find(|row| row["host"] == "c2.exfil.example").unwrap();
            assert_eq!(often.get("count").unwrap_or(&often["denied"]), 1998);
        }
        assert_eq!(sum(&report["denials"], "count"), 19_998);
        assert_eq!(sum(&report["destinations"], "denied"), 19_998);
        let first = &report["destinations"]["rows"][0];
        assert_eq!((&first["function"], &first["requests"]), (&json!("orders"), &json!(2)));
        assert_eq!((&report["totals"]["denied"], &report["totals"]["requests"]), (&json!(19_998), &json!(2)));
        assert_eq!(report["functions"]["exact"], true);
    }

    #[test]
    fn more_groups_than_room_leave_the_greatest() {
        let lines = (0..1000).map(|number| match number % 4 {
            0 => line(number, "orders", "api.payments.example", "allowed"),
            _ => line(number, &format!("f{number}"), "x.example", "denied"),
        });
        let report = report(10, lines);
        for table in ["functions", "destinations"] {
            let rows = report[table]["rows"].as_array().unwrap();
            assert!(rows.len() <= 10 && rows.iter().any(|row| row["function"] == "orders"), "{rows:?}");
            assert_eq!((sum(&report[table], "requests"), sum(&report[table], "denied")), (250, 750), "{table}");
        }
    }
}
