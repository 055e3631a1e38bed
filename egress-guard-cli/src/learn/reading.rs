//! The lines that are learnt from, and those that are not.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use jiff::Timestamp;

use super::line::{Asked, Event, Refused, destination, requested};
use super::traffic::{Learnt, Moment, Traffic, Uses};
use super::usage::{Usage, counted};
use crate::logs::{AuditLine, Entry, Functions, LogArgs};
use crate::shown::shortened;

/// How many different things are told of what is not learnt; others are counted with the last.
const TOLD: usize = 1000;
/// As long as the name of a policy can be.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) traffic: Traffic,
    /// All requests that were sent, and all connections, those that are not learnt too.
    requests: Usage,
    connections: Usage,
    pub(super) policies: BTreeSet<String>,
    /// What was sent and is not learnt, by reason and place.
    pub(super) refused: BTreeMap<(Refused, String), u64>,
    /// What was denied for what it was.
    pub(super) denied: BTreeMap<String, Learnt>,
    /// Whether more was denied than is kept, so that nothing may be generalised.
    pub(super) denied_more: bool,
    pub(super) denials: u64,
    /// Lines that are not whole, and where the first stands and what it lacks.
    pub(super) torn: u64,
    pub(super) first_torn: Option<String>,
    pub(super) goes_through_proxy: bool,
    functions: Functions,
    /// The policies that are learnt from, or nothing for all.
    only_policies: Vec<String>,
}

impl Read {
    /// Reads the lines of some functions and policies, or of all.
    pub(super) fn logs(logs: &LogArgs, functions: &[String], policies: &[String]) -> Result<Self, Box<dyn Error>> {
        let mut read = Self::of(functions, policies);
        let mut seen = 0_u64;
        let tally = logs.read(|entry| {
            seen += 1;
            read.entry(entry);
            Ok(())
        })?;
        read.finish();
        if !read.traffic.endpoints.values().any(Uses::is_used) && read.refused.is_empty() {
            let filter =
                if functions.is_empty() && policies.is_empty() { "" } else { " of these functions and policies" };
            let torn = read.first_torn.as_ref().map(|torn| format!("; {torn}")).unwrap_or_default();
            let outside = match read.outside() {
                0 => String::new(),
                count => format!("; {} outside of an invocation may be", counted(count, "line")),
            };
            return Err(format!(
                "there is nothing to learn: of {} lines {seen} are of the audit, and none{filter} is about a request that was \
                 sent{outside}{torn}",
                tally.lines
            )
            .into());
        }
        Ok(read)
    }

    pub(super) fn of(functions: &[String], policies: &[String]) -> Self {
        Self { functions: Functions::new(functions), only_policies: policies.to_vec(), ..Self::default() }
    }

    /// How often something was sent: requests, or where none are known, connections.
    pub(super) fn all(&self) -> (&Usage, &'static str) {
        if self.requests.count > 0 { (&self.requests, "request") } else { (&self.connections, "connection") }
    }

    /// How many lines outside of an invocation are of a function that is not known.
    pub(super) fn outside(&self) -> u64 {
        self.functions.unknown()
    }

    pub(super) fn entry(&mut self, entry: Entry<'_>) {
        match parsed(entry.text) {
            Ok((line, at)) => self.choose(&line, at, &entry),
            Err(error) => {
                self.torn += 1;
                self.first_torn.get_or_insert_with(|| {
                    format!("{} is no whole audit line: {}", entry.place, shortened(&error, 120))
                });
            }
        }
    }

    /// Learns from a line if it is of one of these functions, by its own word or that of another line of its environment,
    /// and of one of these policies.
    fn choose(&mut self, line: &AuditLine<'_>, at: Timestamp, entry: &Entry<'_>) {
        // What was written before a line told whose the environment is.
        for held in self.functions.learn(line, entry) {
            if let Ok((line, at)) = parsed(&held.text) {
                self.line(&line, at, held.is_behind_text);
            }
        }
        if !self.only_policies.is_empty() && !self.only_policies.iter().any(|name| *name == line.policy_id) {
            return;
        }
        match self.functions.has(line) {
            Some(true) => self.line(line, at, entry.is_behind_text),
            Some(false) => {}
            None => {
                let is_sent = line.event_type == "egress_decision" && line.action.as_deref() == Some("allowed");
                self.functions.hold(line, entry, is_sent);
            }
        }
    }

    fn line(&mut self, line: &AuditLine<'_>, at: Timestamp, is_behind_text: bool) {
        if let Some(destination) = requested(line) {
            self.traffic.had_request(&destination);
        }
        let is_decision = line.event_type == "egress_decision";
        match line.action.as_deref() {
            Some("denied") if is_decision => self.denial(line),
            Some("allowed") if is_decision || line.event_type == "egress_outcome" => {
                let function = line.function_name.as_deref().and_then(|name| self.traffic.function(name));
                self.sent(line, &Moment { at, function }, is_decision, is_behind_text);
            }
            _ => {}
        }
    }

    fn sent(&mut self, line: &AuditLine<'_>, moment: &Moment, is_decision: bool, is_behind_text: bool) {
        self.goes_through_proxy |= line.peer_is_proxy == Some(true);
        let usage = moment.usage();
        if is_decision {
            let is_name = line.policy_id.len() <= LONGEST_NAME;
            if is_name && self.policies.len() < TOLD && !self.policies.contains(&*line.policy_id) {
                self.policies.insert(line.policy_id.clone().into_owned());
            }
            match line.stage.as_deref() {
                Some("request" | "redirect") => self.requests.merge(&usage),
                Some("connection") => self.connections.merge(&usage),
                _ => {}
            }
        }
        let event = if is_behind_text { Err(Refused::BehindText) } else { Event::of(line) };
        let learnt = event.and_then(|event| match event {
            None => Ok(()),
            Some(Event::Request(asked)) => self.traffic.request(&asked, &usage),
            Some(Event::Connection { destination, peer }) => self.traffic.connection(&destination, peer, &usage),
            Some(Event::Outcome { asked, peer, is_answered }) => self.traffic.outcome(&asked, peer, is_answered),
        });
        if let Err(refused) = learnt {
            if let Refused::Denied(_) = refused {
                self.protect(line);
            }
            self.refuse(line, refused);
        }
    }

    /// What is known only when all has been read.
    pub(super) fn finish(&mut self) {
        let mut traffic = std::mem::take(&mut self.traffic);
        if self.denied_more {
            for (endpoint, uses) in &mut traffic.endpoints {
                match uses.paths.forget_more() {
                    0 => {}
                    lines => self.not_learnt(Refused::TooMany, endpoint.host.to_string(), lines),
                }
            }
        }
        for (endpoint, uses) in traffic.endpoints.iter().filter(|(_, uses)| uses.is_refused()) {
            let place = format!("{}:{}", endpoint.host, endpoint.port);
            self.not_learnt(Refused::Connections, place, uses.connections.count);
        }
        self.traffic = traffic;
    }

    fn refuse(&mut self, line: &AuditLine<'_>, refused: Refused) {
        let host = shortened(line.host.as_deref().unwrap_or("no host"), 100);
        let place = line.port.map_or(host.clone(), |port| format!("{host}:{port}"));
        self.not_learnt(refused, place, 1);
    }

    fn not_learnt(&mut self, refused: Refused, place: String, lines: u64) {
        let mut key = (refused, place);
        let is_one_more = self.refused.len() >= TOLD && !self.refused.contains_key(&key);
        if is_one_more || refused == Refused::TooMany {
            key.1 = "further places".to_owned();
        }
        *self.refused.entry(key).or_default() += lines;
    }

    fn denial(&mut self, line: &AuditLine<'_>) {
        const BY_RULES: &[&str] = &[
            "ambiguous-path",
            "boundary-not-allowed",
            "denied-by-rule",
            "host-not-allowed",
            "ip-literal-not-allowed",
            "method-not-allowed",
            "path-not-allowed",
            "port-not-allowed",
            "rule-expired",
            "scheme-not-allowed",
        ];
        self.denials += 1;
        if line.reason.as_deref().is_some_and(|reason| BY_RULES.contains(&reason)) {
            self.protect(line);
        }
    }

    /// Keeps what was denied, or would have been, for what it was, and not for how much or when, to see that it is not
    /// allowed by accident.
    fn protect(&mut self, line: &AuditLine<'_>) {
        if line.path_truncated == Some(true) {
            return;
        }
        let is_request = line.path.is_some();
        let Some(destination) = destination(line, is_request) else { return };
        let method = line.method.as_deref().and_then(|method| method.parse().ok());
        let key = format!("{} {destination} {is_request}", line.method.as_deref().unwrap_or_default());
        if self.denied.len() >= TOLD && !self.denied.contains_key(&key) {
            self.denied_more = true;
            return;
        }
        self.denied.entry(key).or_insert_with(|| Learnt::of(Asked { destination, method, is_cut: false }, is_request));
    }
}

fn parsed(text: &str) -> Result<(AuditLine<'_>, Timestamp), String> {
    let line = AuditLine::parse(text)?;
    let at = line.time().ok_or("its timestamp is no time")?;
    Ok((line, at))
}
