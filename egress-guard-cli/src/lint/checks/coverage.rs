//! Rules, hosts and networks that others make useless.
//!
//! Nothing is called useless that is not: removed, it leaves every decision as it was, but for the name of the rule that
//! made it. Where that cannot be told, nothing is said.

mod connections;
mod list;
mod scope;

use egress_guard::Effect;
use egress_guard::draft::{PolicyDraft, RuleDraft};
use jiff::civil::Date;

use super::super::code::Code;
use super::super::finding::{Finding, name, place};
use list::{Item, List, Rule, What, get};
use scope::Scope;

/// Everything useless in a policy without faults.
pub(super) fn check(draft: &PolicyDraft, today: Date) -> Vec<Finding> {
    let is_unconditional = |rule: &&RuleDraft| Scope::new(Effect::Deny, rule).is_unconditional();
    let all_denied = List::new(Effect::Deny, draft.deny.iter().filter(is_unconditional));
    let deny = List::new(Effect::Deny, &draft.deny);
    let allow = List::new(Effect::Allow, &draft.allow);

    let mut findings = Vec::new();
    for (number, rule) in deny.rules.iter().enumerate() {
        let covers = rule.items.iter().enumerate().map(|(item, _)| Cover::within(&deny, Effect::Deny, (number, item)));
        findings.extend(report(Effect::Deny, rule, &covers.collect::<Vec<_>>()));
    }
    for (number, rule) in allow.rules.iter().enumerate() {
        if expired(rule.draft, today) {
            continue;
        }
        let cover = |(item, it): (usize, &Item)| {
            Cover::by_denial(&all_denied, it).or_else(|| Cover::within(&allow, Effect::Allow, (number, item)))
        };
        findings.extend(report(Effect::Allow, rule, &rule.items.iter().enumerate().map(cover).collect::<Vec<_>>()));
    }
    findings.extend(internal(draft));
    findings
}

/// An expired rule has a warning of its own.
fn expired(rule: &RuleDraft, today: Date) -> bool {
    let day = rule.expires.as_ref().and_then(|day| day.text.parse::<Date>().ok());
    day.is_some_and(|day| day <= today)
}

/// What makes an item useless.
struct Cover<'c> {
    effect: Effect,
    rule: &'c RuleDraft,
    item: &'c Item,
    /// Whether its rule stands behind the item's.
    is_later: bool,
}

impl<'c> Cover<'c> {
    fn within(list: &'c List<'c>, effect: Effect, at: list::At) -> Option<Self> {
        let cover = list.cover_of(at)?;
        let (rule, item) = get(&list.rules, cover)?;
        Some(Self { effect, rule: rule.draft, item, is_later: cover.0 > at.0 })
    }

    fn by_denial(denied: &'c List<'c>, item: &Item) -> Option<Self> {
        let (rule, item) = get(&denied.rules, denied.is_about(&item.what)?)?;
        Some(Self { effect: Effect::Deny, rule: rule.draft, item, is_later: false })
    }
}

/// One finding for a rule that is useless as a whole, or one for each useless part of it.
fn report(effect: Effect, rule: &Rule<'_>, covers: &[Option<Cover<'_>>]) -> Vec<Finding> {
    if let Some(covers) = covers.iter().map(Option::as_ref).collect::<Option<Vec<&Cover<'_>>>>() {
        return vec![whole(effect, rule.draft, &covers)];
    }
    let items = || rule.items.iter().zip(covers);
    // Of a service not single names can be removed, but all of them together.
    let is_said = |item: &Item| {
        let mut siblings = items().filter(|(other, _)| other.origin.is_some() && other.offset == item.offset);
        item.origin.is_none()
            || siblings.clone().all(|(_, cover)| cover.is_some())
                && siblings.next().is_some_and(|(first, _)| std::ptr::eq(first, item))
    };
    let covered = items().filter_map(|(item, cover)| Some((item, cover.as_ref()?)));
    covered.filter(|(item, _)| is_said(item)).map(|(item, cover)| part(effect, rule.draft, item, cover)).collect()
}

/// What stands before that which covers it decides first, and is named.
const LENDS_ITS_NAME: &str = "; it only lends its name to audit lines";

fn whole(effect: Effect, rule: &RuleDraft, covers: &[&Cover<'_>]) -> Finding {
    let mut others: Vec<&Cover<'_>> = Vec::new();
    for cover in covers {
        // What another part of the rule covers is, in the end, covered by another rule.
        if !std::ptr::eq(cover.rule, rule) && !others.iter().any(|other| std::ptr::eq(other.rule, cover.rule)) {
            others.push(cover);
        }
    }
    let names: Vec<String> = others.iter().map(|cover| format!("`{}`", name(cover.rule))).collect();
    let (names, id) = (names.join(", "), name(rule));
    let all = |effect: Effect| others.iter().all(|cover| cover.effect == effect);
    let remark = if covers.iter().any(|cover| cover.is_later) { LENDS_ITS_NAME } else { "" };
    let problem = match effect {
        Effect::Deny => format!("deny rule `{id}` denies nothing that is not denied without it, by {names}{remark}"),
        Effect::Allow if all(Effect::Deny) => format!("rule `{id}` allows nothing: all of it is denied, by {names}"),
        Effect::Allow if all(Effect::Allow) => {
            format!("rule `{id}` allows nothing that is not allowed without it, by {names}{remark}")
        }
        Effect::Allow => format!("rule `{id}` adds nothing to what others allow and deny, {names}{remark}"),
    };
    let finding =
        Finding::in_rule(Code::CoveredRule, rule, place(rule), problem, "remove it, or narrow what covers it");
    // More places than these explain no more.
    others.iter().take(3).fold(finding, |finding, cover| finding.related(cover.item.offset, "covered by this"))
}

fn part(effect: Effect, rule: &RuleDraft, item: &Item, cover: &Cover<'_>) -> Finding {
    let (code, text) = described(item);
    let (_, by) = described(cover.item);
    let (id, other) = (name(rule), name(cover.rule));
    let is_beside = std::ptr::eq(rule, cover.rule);
    let remark = if cover.is_later { LENDS_ITS_NAME } else { "" };
    let problem = match (effect, cover.effect) {
        (Effect::Allow, Effect::Deny) => {
            format!("{text} of rule `{id}` is never allowed: deny rule `{other}` denies all of it")
        }
        _ if is_beside && item.what == cover.item.what => format!("{text} stands twice in rule `{id}`"),
        _ if is_beside => format!("{text} of rule `{id}` adds nothing to {by} beside it"),
        _ => format!("{text} of rule `{id}` adds nothing to {by} of rule `{other}`{remark}"),
    };
    Finding::in_rule(code, rule, item.offset, problem, "remove it, or narrow what covers it")
        .related(cover.item.offset, "covered by this")
}

fn described(item: &Item) -> (Code, String) {
    match &item.what {
        What::Host(_) if item.origin.is_some() => (Code::CoveredHost, item.origin.clone().unwrap_or_default()),
        What::Host(pattern) => (Code::CoveredHost, format!("host `{pattern}`")),
        What::Network(network, _) => (Code::CoveredNetwork, format!("network `{network}`")),
        What::AnyHost => (Code::CoveredHost, "every host".to_owned()),
    }
}

/// What `[internal]` lists twice. Its networks are opened like those of an allow rule.
fn internal(draft: &PolicyDraft) -> Vec<Finding> {
    let mut rule = RuleDraft::default();
    rule.hosts = Some(draft.internal_hosts.clone());
    rule.networks = Some(draft.internal_networks.clone());
    let list = List::new(Effect::Allow, [&rule]);
    let items = list.rules.iter().flat_map(|rule| &rule.items).enumerate();
    let covered = items.filter_map(|(number, item)| Some((item, Cover::within(&list, Effect::Allow, (0, number))?)));
    let finding = |(item, cover): (&Item, Cover<'_>)| {
        let ((code, text), (_, by)) = (described(item), described(cover.item));
        let problem = if item.what == cover.item.what {
            format!("{text} stands twice in [internal]")
        } else {
            format!("{text} adds nothing to {by} beside it")
        };
        Finding::new(code, item.offset, problem, "remove it").related(cover.item.offset, "covered by this")
    };
    covered.map(finding).collect()
}

#[cfg(test)]
mod tests;
