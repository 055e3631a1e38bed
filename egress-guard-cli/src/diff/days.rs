//! What one policy allows and another does not, on a day and on those after it.

use std::collections::BTreeSet;

use egress_guard::draft::{PolicyDraft, RuleDraft};

use super::area::Area;
use super::compare::{Beyond, Decides};

/// What a new policy allows beyond an old one. The other way about it is what it takes away.
pub(super) struct Looser {
    pub(super) allowed: Vec<Beyond>,
    pub(super) undenied: Vec<Beyond>,
    /// What only a later day brings.
    pub(super) later: Vec<Later>,
}

pub(super) struct Later {
    pub(super) day: String,
    /// Whether a rule allows it; else a rule no longer denies it.
    pub(super) is_allowed: bool,
    pub(super) beyond: Beyond,
}

impl Looser {
    pub(super) fn between(today: &str, old: &PolicyDraft, new: &PolicyDraft) -> Self {
        let (allowed, undenied) = on(today, old, new);
        let told =
            |is_allowed: bool| move |beyond: &Beyond| (is_allowed, beyond.area.rule.clone(), beyond.area.meaning());
        let mut all_told: BTreeSet<_> =
            allowed.iter().map(told(true)).chain(undenied.iter().map(told(false))).collect();
        let mut later = Vec::new();
        for day in days_after(today, [old, new]) {
            let (allowed, undenied) = on(day, old, new);
            for (is_allowed, beyond) in [(true, allowed), (false, undenied)] {
                let news = beyond.into_iter().filter(|beyond| all_told.insert(told(is_allowed)(beyond)));
                later.extend(news.map(|beyond| Later { day: day.to_owned(), is_allowed, beyond }));
            }
        }
        Self { allowed, undenied, later }
    }
}

/// What the new policy may allow on a day and the old one did not, and what the old one denied by its rules.
fn on(day: &str, old: &PolicyDraft, new: &PolicyDraft) -> (Vec<Beyond>, Vec<Beyond>) {
    let (before, after) = (Decides::on(day, old), Decides::on(day, new));
    (after.allows_beyond(&before), before.denies_beyond(&after, &after))
}

/// The days after this one on which some rule changes. Dates compare as texts.
fn days_after<'d>(today: &str, policies: [&'d PolicyDraft; 2]) -> BTreeSet<&'d str> {
    // A deny rule that is in force stays so.
    let reports = |rule: &&RuleDraft| rule.mode.as_ref().is_some_and(|mode| mode.text == "report-only");
    let rules = policies.into_iter().flat_map(|policy| policy.allow.iter().chain(policy.deny.iter().filter(reports)));
    rules.filter_map(|rule| Some(rule.expires.as_ref()?.text.as_str())).filter(|day| *day > today).collect()
}

/// A rule that both policies have, and of which nothing is decided otherwise but from which day.
pub(super) fn moved<'d>(
    id: &str,
    is_allow: bool,
    old: &'d PolicyDraft,
    new: &'d PolicyDraft,
) -> Option<[&'d RuleDraft; 2]> {
    let of = |policy: &'d PolicyDraft| {
        let rules = if is_allow { &policy.allow } else { &policy.deny };
        let rule = rules.iter().find(|rule| rule.id.as_ref().is_some_and(|known| known.text == id))?;
        let meanings: Vec<String> = Area::of(policy, rule, !is_allow).iter().map(Area::meaning).collect();
        Some((rule, rule.mode.as_ref().map(|mode| mode.text.as_str()), meanings))
    };
    let ((old, old_mode, before), (new, new_mode, after)) = (of(old)?, of(new)?);
    ((old_mode, before) == (new_mode, after)).then_some([old, new])
}

/// Until when nothing is enforced, if that is so on a day.
pub(super) fn reports_until<'d>(day: &str, policy: &'d PolicyDraft) -> Option<&'d str> {
    let is_report_only = policy.mode.as_ref().is_some_and(|mode| mode.text == "report-only");
    let until = policy.report_only_until.as_ref().filter(|_| is_report_only);
    until.map(|until| until.text.as_str()).filter(|until| *until > day)
}

#[cfg(test)]
impl Looser {
    /// What is listed for a day.
    pub(super) fn by(&self, day: &str) -> impl Iterator<Item = &Area> {
        let later = self.later.iter().filter(move |later| later.day.as_str() <= day).map(|later| &later.beyond);
        self.allowed.iter().chain(&self.undenied).chain(later).map(|beyond| &beyond.area)
    }
}
