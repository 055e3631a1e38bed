//! Rules as a person would write them, and the comments that this command writes and renews.

use std::collections::BTreeSet;

use toml_edit::{Array, Table, value};

use super::rules::{Rule, Subject};
use super::usage::{Usage, counted, with_commas};
use crate::shown::shown;

/// How long a line may be before a list goes over several.
const WIDTH: usize = 90;

pub(super) fn table(rule: &Rule, id: &str) -> Table {
    let mut table = Table::new();
    let mut set = |key: &str, array: Array| {
        table.insert(key, value(array));
    };
    let list = |key: &str, entries: &mut dyn Iterator<Item = &str>| in_lines(key, entries.collect());
    match &rule.subject {
        Subject::Hosts(hosts) => set("hosts", list("hosts", &mut hosts.iter().map(String::as_str))),
        Subject::Network(network) => set("networks", Array::from_iter([network.to_string()])),
        Subject::Service(name) => {
            set("services", Array::from_iter([&name.service]));
            set("regions", Array::from_iter([&name.region]));
            for (key, entry) in &name.narrowed {
                set(key, Array::from_iter([entry]));
            }
        }
    }
    if let Some(ports) = &rule.ports {
        set("ports", ports.iter().map(|port| i64::from(*port)).collect());
    }
    if !rule.schemes.iter().all(|scheme| scheme.as_str() == "https") {
        set("schemes", rule.schemes.iter().rev().map(|scheme| scheme.as_str()).collect());
    }
    if let Some(methods) = &rule.conditions.methods {
        set("methods", list("methods", &mut methods.iter().map(String::as_str)));
    }
    if let Some(paths) = &rule.conditions.paths {
        set("paths", list("paths", &mut paths.iter().map(String::as_str)));
    }
    let access = &rule.conditions.access;
    if let Some(addresses) = &access.addresses {
        set("addresses", list("addresses", &mut addresses.iter().map(String::as_str)));
    }
    if let Some(boundary) = &access.boundary {
        table.insert("boundary", value(boundary));
    }
    let mut whole = Table::new();
    whole.insert("id", value(id));
    whole.extend(table);
    whole
}

/// The list in one line, if it fits into it.
fn in_lines(key: &str, entries: Vec<&str>) -> Array {
    let length = key.len() + entries.iter().map(|entry| entry.len() + 4).sum::<usize>() + 5;
    let mut array: Array = entries.into_iter().collect();
    if length > WIDTH {
        for entry in array.iter_mut() {
            entry.decor_mut().set_prefix("\n    ");
        }
        array.set_trailing_comma(true);
        array.set_trailing("\n");
    }
    array
}

/// An id that tells what the rule is about, and that no other has.
pub(super) fn free_id(rule: &Rule, taken: &BTreeSet<String>) -> String {
    let about = match &rule.subject {
        Subject::Hosts(hosts) => hosts.first().map(|host| host.trim_start_matches("*.").to_owned()).unwrap_or_default(),
        Subject::Network(network) => network.addr().to_string(),
        Subject::Service(name) => {
            let narrowed: String = name.narrowed.values().map(|entry| format!("-{entry}")).collect();
            format!("{}{narrowed}-{}", name.service, name.region)
        }
    };
    let plain: String = about.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    // Room for a number within the 64 characters of an id.
    let name = plain.get(..56).unwrap_or(&plain).trim_matches('-');
    let name = if name.is_empty() { "host" } else { name };
    let numbered = (2..).map(|number: u64| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|id| !taken.contains(id)).unwrap_or_default()
}

/// What a rule was used for.
pub(super) fn used(usage: &Usage) -> String {
    let times = counted(usage.count, "time");
    format!("# used {times} in {}{}", usage.days(), shown(&usage.by()))
}

/// That a rule was not, in all that was read.
pub(super) fn not_used((all, what): (&Usage, &str)) -> String {
    format!("# not used in {} ({})", all.days(), counted(all.count, what))
}

/// Whether a line is a comment that this command wrote, of one of these two kinds.
pub(super) fn is_mark(line: &str) -> bool {
    let line = line.trim();
    let (days, rest) = if let Some(rest) = line.strip_prefix("# not used in ") {
        rest.split_once(' ').unwrap_or((rest, ""))
    } else if let Some((count, rest)) = line.strip_prefix("# used ").and_then(|rest| rest.split_once(' ')) {
        let number = count.replace(',', "").parse().unwrap_or_default();
        let behind = rest.strip_prefix("times in ").or_else(|| rest.strip_prefix("time in "));
        let Some(rest) = behind.filter(|_| with_commas(number) == count) else { return false };
        rest.split_once(',').map_or((rest, ", by"), |(days, _)| (days, ", by"))
    } else {
        return false;
    };
    let is_day = |text: &str| text.parse::<jiff::civil::Date>().is_ok();
    (rest.starts_with('(') || rest == ", by")
        && days.split_once("..").is_some_and(|(first, last)| is_day(first) && is_day(last))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_mark_is_known_again_and_nothing_else_is() {
        let mut usage = Usage::default();
        let at = "2026-11-24T10:00:00Z".parse().unwrap();
        let marks = [0, 1, 1500].map(|count| {
            (0..count).for_each(|_| usage.add(at, (count == 1500).then(|| Rc::from("evil\n# x")).as_ref()));
            [used(&usage), not_used((&usage, "request"))]
        });
        for mark in marks.as_flattened() {
            assert!(is_mark(mark) && !mark.contains('\n'), "{mark}");
        }
        for other in [
            "# used in production",
            "# not used in tests",
            "# used 3 times in anger",
            "# used 1,23 times in 2026-11-01..2026-11-24",
            "# not used in 2026-11-01",
            "used 3 times in 2026-11-01..2026-11-24",
            "",
        ] {
            assert!(!is_mark(other), "{other}");
        }
    }
}
