//! What a policy states as a whole: its name, its mode, its proxy, and what is internal.

use std::sync::Arc;

use super::super::Mode;
use super::super::date::Day;
use super::super::draft::{BorrowedPolicy, BorrowedText, Text};
use super::super::hosts::HostMap;
use super::super::pattern::{BadPattern, HostPattern};
use super::super::rule::Effect;
use super::super::value::{identifier_for, is_identifier, parse_network, parse_proxy};
use super::Compiler;
use crate::destination::Destination;

impl Compiler {
    pub(super) fn name(&mut self, draft: &BorrowedPolicy<'_>) -> Arc<str> {
        let Some(name) = &draft.name else {
            if draft.unread {
                return "".into();
            }
            self.fault(
                draft.offset,
                "the policy has no `name`",
                "write one, as in name = \"orders\"; every audit line carries it",
            );
            return "".into();
        };
        if !is_identifier(&name.text) {
            self.fault(name.offset, format!("name {:?} is no identifier", name.text), identifier_for(&name.text));
        }
        (&*name.text).into()
    }

    /// The day on which report-only ends, if the policy begins so.
    pub(super) fn report_only_until(&mut self, draft: &BorrowedPolicy<'_>) -> Option<Day> {
        let mode = draft.mode.as_ref().map_or(Some(Mode::Enforce), |mode| self.mode(mode))?;
        let until = draft.report_only_until.as_ref();
        match (mode, until) {
            (Mode::Enforce, None) => None,
            (Mode::Enforce, Some(until)) => {
                if !draft.unread {
                    self.fault(
                        until.offset,
                        "`report_only_until` is stated, and the mode is not report-only",
                        "write mode = \"report-only\" beside it, or remove it",
                    );
                }
                None
            }
            (Mode::ReportOnly, None) => {
                if !draft.unread {
                    self.fault(
                        draft.mode.as_ref().and_then(|mode| mode.offset),
                        "mode \"report-only\" has no end",
                        "write the day from which the policy is enforced, as in report_only_until = 2027-03-31",
                    );
                }
                None
            }
            (Mode::ReportOnly, Some(until)) => self.day("report_only_until", until),
        }
    }

    pub(super) fn proxy(&mut self, Text { text, offset }: &BorrowedText<'_>) -> Option<Destination> {
        match parse_proxy(text) {
            Ok(proxy) => Some(proxy),
            Err((problem, cure)) => {
                self.fault(*offset, problem, cure);
                None
            }
        }
    }

    pub(super) fn mode(&mut self, Text { text, offset }: &BorrowedText<'_>) -> Option<Mode> {
        match &**text {
            "enforce" => Some(Mode::Enforce),
            "report-only" => Some(Mode::ReportOnly),
            other => {
                let cure = "write \"enforce\" or \"report-only\"";
                self.fault(*offset, format!("mode {other:?} is unknown"), cure);
                None
            }
        }
    }

    pub(super) fn day(&mut self, key: &str, Text { text, offset }: &BorrowedText<'_>) -> Option<Day> {
        let day = Day::parse(text);
        if day.is_none() {
            self.fault(
                *offset,
                format!("{text:?} is no day since 1970"),
                format!("write year, month and day, as in {key} = 2027-03-31"),
            );
        }
        day
    }

    pub(super) fn internal(&mut self, draft: &BorrowedPolicy<'_>) {
        let faults = self.faults.len();
        let patterns: Vec<_> = self.parse_each(&draft.internal_hosts, |host| match host {
            "*" | "**" | "." => Err((
                format!("host `{host}` would make every host internal"),
                "list what is yours, as in hosts = [\".corp.example.com\"]".to_owned(),
            )),
            host => HostPattern::parse(host, Effect::Allow).map_err(BadPattern::into_parts),
        });
        let mut hosts = HostMap::default();
        for pattern in patterns {
            hosts.update(&pattern, |()| ());
        }
        self.internal.hosts = hosts.into();
        self.internal_networks = self.parse_each(&draft.internal_networks, parse_network);
        self.internal.networks = self.internal_networks.iter().copied().collect();
        self.internal_is_faulty = draft.internal_unread || self.faults.len() > faults;
    }
}
