//! Rules and modes that end.

use egress_guard::draft::{PolicyDraft, RuleDraft, Text};
use jiff::civil::Date;
use jiff::{ToSpan, Unit};

use super::super::code::Code;
use super::super::finding::{Finding, name};
use super::Settings;

/// How many days a report-only mode may last.
const LONG: i64 = 90;

pub(super) fn check(draft: &PolicyDraft, settings: &Settings) -> Vec<Finding> {
    let today = settings.today;
    let allow = draft.allow.iter().filter_map(|rule| allow_rule(rule, settings));
    let deny = draft.deny.iter().filter_map(|rule| deny_rule(rule, today));
    policy(draft, today).into_iter().chain(allow).chain(deny).collect()
}

fn policy(draft: &PolicyDraft, today: Date) -> Option<Finding> {
    draft.mode.as_ref().filter(|mode| mode.text == "report-only")?;
    let until = draft.report_only_until.as_ref()?;
    let day = day(until)?;
    if day <= today {
        let problem = format!("report-only has ended: the policy is enforced since {day}");
        return Some(Finding::new(
            Code::ReportOnlyEnded,
            until.offset,
            problem,
            "remove `mode` and `report_only_until`, or move the day if the trial goes on",
        ));
    }
    is_long(today, day).then(|| {
        let problem =
            format!("the policy only reports for {} more days, and stops nothing until then", days(today, day));
        Finding::new(Code::ReportOnlyLong, until.offset, problem, format!("state a day within {LONG} days"))
    })
}

fn allow_rule(rule: &RuleDraft, Settings { today, soon, .. }: &Settings) -> Option<Finding> {
    let expires = rule.expires.as_ref()?;
    let day = day(expires)?;
    let name = name(rule);
    if day <= *today {
        let problem = format!("rule `{name}` allows nothing since {day}");
        let cure = "remove the rule, or move `expires` if it is still needed";
        return Some(Finding::in_rule(Code::ExpiredRule, rule, expires.offset, problem, cure));
    }
    let is_soon = today.checked_add(i64::from(*soon).days()).is_ok_and(|limit| day <= limit);
    is_soon.then(|| {
        let left = match days(*today, day) {
            1 => "tomorrow".to_owned(),
            left => format!("in {left} days"),
        };
        let problem = format!("rule `{name}` expires {left}, on {day}");
        let cure = "move `expires` if the rule is still needed, and see that nothing needs it if not";
        Finding::in_rule(Code::ExpiresSoon, rule, expires.offset, problem, cure)
    })
}

fn deny_rule(rule: &RuleDraft, today: Date) -> Option<Finding> {
    let name = name(rule);
    let report_only = rule.mode.as_ref().filter(|mode| mode.text == "report-only");
    let (code, at, problem, cure) = match (report_only, &rule.expires) {
        (None, None) => return None,
        (None, Some(expires)) => (
            Code::ExpiresNoEffect,
            expires,
            format!("`expires` of deny rule `{name}` has no effect: the rule denies before that day and after it"),
            "remove `expires`; a deny rule ends when it is removed".to_owned(),
        ),
        (Some(mode), None) => (
            Code::ReportOnlyLong,
            mode,
            format!("deny rule `{name}` only reports, without an end"),
            "state the day from which it denies, as in expires = 2027-03-31".to_owned(),
        ),
        (Some(_), Some(expires)) => {
            let day = day(expires)?;
            if day <= today {
                (
                    Code::ReportOnlyEnded,
                    expires,
                    format!("deny rule `{name}` denies since {day}, whatever its mode says"),
                    "remove `mode` and `expires`, or move the day if the trial goes on".to_owned(),
                )
            } else if is_long(today, day) {
                (
                    Code::ReportOnlyLong,
                    expires,
                    format!("deny rule `{name}` only reports for {} more days", days(today, day)),
                    format!("state a day within {LONG} days"),
                )
            } else {
                return None;
            }
        }
    };
    Some(Finding::in_rule(code, rule, at.offset, problem, cure))
}

fn is_long(today: Date, day: Date) -> bool {
    today.checked_add(LONG.days()).is_ok_and(|limit| day > limit)
}

fn days(today: Date, day: Date) -> i32 {
    today.until((Unit::Day, day)).map_or(0, |span| span.get_days())
}

/// A day that is none is a fault already.
fn day(text: &Text) -> Option<Date> {
    text.text.parse().ok()
}
