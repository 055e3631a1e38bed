//! Two policies beside each other: what the one allows and the other does not.

use egress_guard::draft::{HostMap, HostPattern, PolicyDraft, RuleDraft, Text};

use super::area::{Area, Subject};

/// A policy as it decides on one day.
pub(super) struct Decides {
    pub(super) allow: Index,
    pub(super) deny: Index,
    /// The areas that share connections with others of other addresses, in the order of the policy. Where two policies
    /// have the same, `address-conflict` denies the same in both.
    conflicts: Vec<String>,
}

impl Decides {
    /// Dates compare as texts.
    pub(super) fn on(today: &str, draft: &PolicyDraft) -> Self {
        let has_begun = |day: &Option<Text>| day.as_ref().is_some_and(|day| day.text.as_str() <= today);
        let reports = |rule: &&RuleDraft| {
            rule.mode.as_ref().is_some_and(|mode| mode.text == "report-only") && !has_begun(&rule.expires)
        };
        let allow = draft.allow.iter().filter(|rule| !has_begun(&rule.expires));
        let deny = draft.deny.iter().filter(|rule| !reports(rule));
        let allow = allow.flat_map(|rule| Area::of(draft, rule, false)).collect();
        // Connections that a rule has opened may outlive it, so that an expired rule still has a part in conflicts.
        let ever_allowed: Vec<Area> = draft.allow.iter().flat_map(|rule| Area::of(draft, rule, false)).collect();
        let deny = deny.flat_map(|rule| Area::of(draft, rule, true)).collect();
        Self { conflicts: conflicts(&ever_allowed), allow: Index::of(allow), deny: Index::of(deny) }
    }

    /// What this policy may allow and `before` did not: more than that where it cannot be decided, never less.
    pub(super) fn allows_beyond(&self, before: &Self) -> Vec<Beyond> {
        let same_conflicts = self.conflicts == before.conflicts;
        let is_of_a_conflict = |area: &Area| !same_conflicts && before.conflicts.contains(&area.meaning());
        self.allow.beyond(&before.allow, |area| !is_of_a_conflict(area), &self.deny)
    }

    /// What this policy denies by its rules and `before` did not, as far as it touches what `other` allows.
    pub(super) fn denies_beyond(&self, before: &Self, allowing: &Self) -> Vec<Beyond> {
        let beyond = self.deny.beyond(&before.deny, |_| true, &Index::of(Vec::new()));
        // The network of a deny rule is about names, too.
        let touches = |area: &Area| {
            allowing.allow.areas.iter().any(|allowed| area.is_network() || allowed.subject.may_meet(&area.subject))
        };
        let connections: Vec<&Area> = beyond.iter().map(|beyond| &beyond.area).filter(|area| area.by_address).collect();
        let is_told = |area: &Area| connections.iter().any(|other| other.says_all_of(area));
        let kept: Vec<bool> = beyond.iter().map(|beyond| touches(&beyond.area) && !is_told(&beyond.area)).collect();
        beyond.into_iter().zip(kept).filter_map(|(beyond, kept)| kept.then_some(beyond)).collect()
    }
}

/// An area, or what is left of it, that only one of two policies has.
pub(super) struct Beyond {
    pub(super) area: Area,
    /// Whether a rule of the other policy has the host and may have some of this, which cannot be told.
    pub(super) is_undecided: bool,
}

/// Areas, found by what covers them.
pub(super) struct Index {
    areas: Vec<Area>,
    hosts: HostMap<Vec<usize>>,
    others: Vec<usize>,
}

impl Index {
    fn of(areas: Vec<Area>) -> Self {
        let mut index = Self { areas: Vec::new(), hosts: HostMap::default(), others: Vec::new() };
        for (number, area) in areas.iter().enumerate() {
            match &area.subject {
                Subject::Host(pattern) => index.hosts.update(pattern, |numbers| numbers.push(number)),
                Subject::AnyHost | Subject::Network(_) => index.others.push(number),
            }
        }
        Self { areas, ..index }
    }

    fn beyond(&self, before: &Self, counts: impl Fn(&Area) -> bool, denied: &Self) -> Vec<Beyond> {
        let mut found: Vec<Beyond> = Vec::new();
        for area in &self.areas {
            let mut rest = area.clone();
            let mut is_undecided = false;
            for known in before.around(&area.subject) {
                if area.is_within(known) && counts(known) {
                    rest.subtract(known);
                } else {
                    is_undecided |= area.meets_grid_of(known);
                }
            }
            // A side of the boundary may only be told by the connection, after the request.
            let denies = |denied: &&Area| denied.is_on_both_sides() && area.is_within(denied);
            for denied in denied.around(&area.subject).filter(denies) {
                rest.subtract(denied);
            }
            if !rest.grid.is_empty() {
                found.push(Beyond { area: rest, is_undecided });
            }
        }
        found
    }

    /// The areas whose hosts or networks cover these.
    fn around<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a Area> {
        let mut numbers = self.others.clone();
        if let Subject::Host(pattern) = subject {
            numbers.extend(self.hosts_around(pattern));
        }
        numbers.sort_unstable();
        numbers.dedup();
        let areas = numbers.into_iter().filter_map(|number| self.areas.get(number));
        areas.filter(|area| area.subject.covers(subject))
    }

    fn hosts_around(&self, pattern: &HostPattern) -> Vec<usize> {
        let mut found = Vec::new();
        self.hosts.visit_around(pattern, |numbers| found.extend(numbers));
        found
    }
}

fn conflicts(areas: &[Area]) -> Vec<String> {
    let Some(first) = areas.first() else { return Vec::new() };
    // In most policies all areas open the same addresses, and none conflict.
    let (usual, unusual): (Vec<&Area>, Vec<&Area>) = areas.iter().partition(|area| area.opens_the_same_as(first));
    let meets = |area: &Area, others: &[&Area]| others.iter().any(|other| area.conflicts_with(other));
    let in_conflict = |area: &&Area| meets(area, &unusual) || !area.opens_the_same_as(first) && meets(area, &usual);
    areas.iter().filter(in_conflict).map(Area::meaning).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const TODAY: &str = "2027-03-31";

    fn list(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::option::of(select(values))
            .prop_map(move |value| value.map(|value| format!("{key} = [{value}]\n")).unwrap_or_default())
    }

    fn common() -> impl Strategy<Value = String> {
        let subject = select(
            &[
                "hosts = ['a.example']",
                "hosts = ['*.a.example']",
                "hosts = ['.a.example']",
                "hosts = ['b.a.example', 'c.example']",
                "hosts = ['b-*.c.example', '*.*.c.example']",
                "networks = ['203.0.114.0/24']",
                "networks = ['203.0.114.7/32']",
            ][..],
        );
        let methods = list("methods", &["'GET'", "'GET', 'POST'", "'PUT'"]);
        let paths = list("paths", &["'/v1/**'", "'/v1/x'", "'/**'", "'/v1/*'", "'/{v1,v2}/**'"]);
        let ports = list("ports", &["443", "'440-450'", "8443", "443, 8443"]);
        let schemes = list("schemes", &["'https'", "'http', 'https'"]);
        let expires =
            prop_oneof![4 => Just(""), 1 => Just("expires = 2027-03-31\n"), 1 => Just("expires = 2027-04-01\n")];
        let lists = (methods, paths, ports, schemes).prop_map(|(a, b, c, d)| a + &b + &c + &d);
        (subject, lists, expires).prop_map(|(subject, lists, expires)| format!("{subject}\n{lists}{expires}"))
    }

    fn policy() -> impl Strategy<Value = String> {
        let addresses = select(&["", "", "addresses = ['private']\n", "addresses = ['public', 'private']\n"][..]);
        let allow = prop::collection::vec((common(), addresses), 0..4);
        let deny = prop::collection::vec((common(), any::<bool>()), 0..3);
        (allow, deny).prop_map(|(allow, deny)| {
            let mut text = "version = 1\nname = 'p'\n".to_owned();
            for (number, (rule, addresses)) in allow.iter().enumerate() {
                let addresses = if rule.starts_with("networks") { "" } else { addresses };
                text += &format!("[[allow]]\nid = 'a{number}'\n{rule}{addresses}");
            }
            for (number, (rule, reports)) in deny.iter().enumerate() {
                let mode = if *reports { "mode = 'report-only'\n" } else { "" };
                text += &format!("[[deny]]\nid = 'd{number}'\n{rule}{mode}");
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        /// What is listed as newly allowed for certain is no mere rewording.
        #[test]
        fn a_policy_does_not_differ_from_itself_reordered_and_split(text in policy()) {
            let mut draft = PolicyDraft::from_toml(&text).unwrap();
            let before = Decides::on(TODAY, &draft);
            draft.deny.reverse();
            draft.allow = draft.allow.iter().flat_map(one_host_each).collect();
            let after = Decides::on(TODAY, &draft);
            if before.conflicts.is_empty() {
                for (one, other) in [(&before, &after), (&after, &before)] {
                    prop_assert!(one.allows_beyond(other).is_empty() && one.denies_beyond(other, other).is_empty(), "{text}");
                }
            }
            prop_assert!(before.allows_beyond(&before).is_empty());
        }
    }

    fn one_host_each(rule: &RuleDraft) -> Vec<RuleDraft> {
        let Some(hosts) = &rule.hosts else { return vec![rule.clone()] };
        let with = |host: &Text| {
            let mut rule = rule.clone();
            rule.hosts = Some(vec![host.clone()]);
            rule
        };
        hosts.iter().map(with).collect()
    }
}
