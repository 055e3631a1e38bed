//! An explanation for a reader at a terminal.

use super::view::{Explained, Failing, Layer, Rule};
use crate::shown::{shortened, shown, wrapped};

/// All of it.
pub(super) fn whole(explained: &Explained<'_>) -> String {
    let mut lines = heading(explained);
    lines.push(String::new());
    lines.push(wrapped("", &headline(explained)));
    for layer in &explained.layers {
        lines.push(String::new());
        lines.extend(section(layer));
        if let Some(advice) = &layer.advice {
            lines.push(String::new());
            lines.push(wrapped("  ", &shown(&advice.advice)));
            let block = advice.missing_rule.as_ref().or(advice.missing_addresses.as_ref());
            if let Some(block) = block {
                lines.push(String::new());
                lines.extend(block.lines().map(|line| format!("    {line}")));
            }
        }
    }
    if let Some(advice) = &explained.advice {
        lines.push(String::new());
        lines.push(wrapped("", &shown(advice)));
    }
    lines.join("\n") + "\n"
}

/// What the layers that decided say, without what to do about it.
pub(crate) fn in_short(explained: &Explained<'_>) -> Vec<String> {
    let denying = explained.layers.iter().filter(|layer| layer.reason.is_some());
    let denials: Vec<String> = denying.flat_map(section).collect();
    if !denials.is_empty() {
        return place(explained).map(str::to_owned).into_iter().chain(denials).collect();
    }
    let advice = explained.advice.iter().map(|advice| wrapped("", &shown(advice)));
    explained.layers.iter().flat_map(section).chain(advice).collect()
}

/// What was asked, and how it was understood.
fn heading(explained: &Explained<'_>) -> Vec<String> {
    let mut lines = vec![format!("{} {}", shown(explained.method), shown(explained.answer.url))];
    let typed = explained.answer.url.split(['?', '#']).next().unwrap_or_default();
    let read_as = explained.read_as.as_ref().filter(|read| *read != typed && **read != format!("{typed}/"));
    let address = explained.address.as_ref().map(|address| format!("{}, {}", address.ip, address.class));
    let unknown = "external, unless its name resolves into an internal network";
    let boundary = explained.read_as.as_ref().map(|_| explained.boundary.unwrap_or(unknown).to_owned());
    let facts =
        [("read as", read_as.cloned()), ("address", address), ("boundary", boundary), ("at", explained.at.clone())];
    lines.extend(facts.into_iter().filter_map(|(key, fact)| Some(format!("  {key:8}  {}", shown(&fact?)))));
    lines
}

fn headline(explained: &Explained<'_>) -> String {
    let answer = &explained.answer;
    let reason = answer.reason.map(|reason| reason.to_string()).unwrap_or_default();
    let place = place(explained).map(|place| format!(" ({place})")).unwrap_or_default();
    if answer.would_deny.is_some() {
        format!("would be denied, and is only reported: {reason}{place}")
    } else if answer.reason.is_some() {
        format!("denied: {reason}{place}")
    } else {
        let rules: Vec<String> =
            answer.baseline_rule_ids.iter().chain(&answer.rule_id).map(|id| format!("`{id}`")).collect();
        format!("allowed by {}", rules.join(" and "))
    }
}

/// Where the question is asked, if it is no more than a part of what was asked.
fn place(explained: &Explained<'_>) -> Option<&'static str> {
    Some(match explained.stage? {
        "request" => "before its address is known",
        "name" => "as its name is looked up, whatever its method and path",
        _ => "as it is connected, whatever its method and path",
    })
}

/// One layer: what it says, and what each of its rules says.
fn section(layer: &Layer) -> Vec<String> {
    let says = match (&layer.reason, &layer.rule_id, layer.would_deny) {
        (Some(reason), _, None) => format!("denies it: {reason}"),
        (Some(reason), _, Some(_)) => {
            let until = layer.report_only_until.as_ref().map(|day| format!(", and only reports until {day}"));
            format!("would deny it: {reason}{}", until.unwrap_or_default())
        }
        (None, Some(rule), _) => format!("allows it by `{rule}`"),
        (None, None, _) => "allows it".to_owned(),
    };
    let mut lines = vec![format!("{} `{}` ({}) {says}", layer.kind, layer.policy, shown(&layer.file))];
    lines.extend(layer.considered.iter().flat_map(rule));
    if !layer.considered.iter().any(|rule| rule.effect == "allow") {
        lines.push("  no rule allows anything of this host".to_owned());
    }
    if let Some(near) = &layer.did_you_mean {
        lines.push(if near.lists_names_below {
            format!("  rule `{}` lists `{}`: the names below this one, and not this one", near.rule_id, near.host)
        } else {
            format!("  did you mean `{}`, which rule `{}` lists?", near.host, near.rule_id)
        });
    }
    lines
}

fn rule(rule: &Rule) -> Vec<String> {
    let mut lines = vec![format!("  {} {}", rule.effect, rule.rule_id)];
    let mut line = |key: &str, text: &str| {
        lines.push(if text.is_empty() { format!("    {key}") } else { wrapped(&format!("    {key:9}  "), text) });
    };
    for failing in &rule.fails {
        line(failing.key, &sentence(failing));
    }
    for stands in &rule.stands_for {
        let names = listed(&stands.hosts);
        line(stands.key, &format!("{} stands for {names}", shortened(&stands.entry, 60)));
    }
    if rule.matches {
        line("matches", "");
    }
    if rule.conflicts_in_addresses {
        line("addresses", "others than the rule that matches, for connections that both share");
    }
    match (&rule.expires, rule.effect) {
        (Some(day), "allow") if rule.has_expired => line("expires", &format!("{day}: it allows nothing any more")),
        (Some(day), _) if rule.mode.is_some() => line("mode", &format!("report-only until {day}")),
        (None, _) if rule.mode.is_some() => line("mode", "report-only"),
        _ => {}
    }
    if rule.effect == "deny" && rule.matches || rule.effect == "allow" && rule.has_expired {
        for (key, text) in [("reason", &rule.reason), ("owner", &rule.owner)] {
            if let Some(text) = text {
                line(key, &shown(text));
            }
        }
    }
    lines
}

/// As in `GET, POST; not PUT`.
fn sentence(failing: &Failing) -> String {
    let states = listed(&failing.states);
    let default = if failing.is_default { " by default" } else { "" };
    let asked = match &failing.asked {
        Some(asked) => format!("not {}", shortened(asked, 60)),
        None => "not known yet".to_owned(),
    };
    let because = failing.because.map(|because| format!(": {because}")).unwrap_or_default();
    format!("{states}{default}; {asked}{because}")
}

fn listed(texts: &[String]) -> String {
    let shown_of = |texts: &[String]| texts.iter().map(|text| shortened(text, 60)).collect::<Vec<_>>().join(", ");
    match texts.split_at_checked(8) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", shown_of(first), rest.len()),
        _ => shown_of(texts),
    }
}
