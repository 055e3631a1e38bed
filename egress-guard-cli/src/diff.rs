//! `egress-guard diff`: what does a new policy allow that the old one did not?

mod area;
mod compare;
mod days;
#[cfg(test)]
mod oracle;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use egress_guard::Policy;
use egress_guard::draft::{PolicyDraft, RuleDraft, Text};
use jiff::civil::Date;
use serde::Serialize;

use compare::Beyond;
use days::{Later, Looser, reports_until};

/// Say what a new policy allows that the old one did not, and the reverse.
///
/// It compares what the policies decide, not their texts: to reorder rules, to split one or to rename it changes nothing.
/// Where it cannot be told whether something was allowed before, as with patterns of paths that overlap, it is listed, and
/// marked `maybe`.
///
/// Exit status: 0 if the policies could be compared, 1 with --exit-code if something is newly allowed, 2 if the arguments
/// or a policy are wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard diff old.toml new.toml
  git show main:policy.toml > /tmp/old.toml && egress-guard diff --exit-code /tmp/old.toml policy.toml")]
pub(crate) struct Diff {
    /// The policy that was in force
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policy that is to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Compare what is decided on this day, in UTC, such as 2027-03-31; without it, today
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    /// Exit with 1 if something is newly allowed
    #[arg(long)]
    exit_code: bool,
    /// How to print the differences
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// Sentences
    #[default]
    Text,
    /// One JSON object
    Json,
}

impl Diff {
    /// Prints the differences; false if something is newly allowed and that is to be told by the exit status.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let today = self.at.unwrap_or_else(|| jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date());
        let differences = Differences::between(&old, &new, &today.to_string());
        let mut output = io::stdout().lock();
        match self.format {
            Format::Text => differences.print(&mut output)?,
            Format::Json => {
                serde_json::to_writer(&mut output, &differences)?;
                writeln!(output)?;
            }
        }
        Ok(!(self.exit_code && differences.is_looser()))
    }
}

/// The text of a policy that has no faults.
fn read(path: &Path) -> Result<PolicyDraft, Box<dyn Error>> {
    Policy::from_file(path)?;
    let text = std::fs::read_to_string(path)?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    Ok(if is_json { PolicyDraft::from_json(&text)? } else { PolicyDraft::from_toml(&text)? })
}

/// What has changed, each list in the order of the policies.
#[derive(Debug, Serialize)]
struct Differences {
    summary: &'static str,
    /// What loosens or tightens the policy as a whole.
    loosened: Vec<String>,
    tightened: Vec<String>,
    newly_allowed: Vec<Difference>,
    no_longer_denied: Vec<Difference>,
    no_longer_allowed: Vec<Difference>,
    newly_denied: Vec<Difference>,
    /// What changes nothing that is decided on that day.
    noted: Vec<String>,
}

/// What later days bring, in words: one line for a rule of which nothing but the day is another.
fn lines(later: &[Later], old: &PolicyDraft, new: &PolicyDraft, [allowed, denied]: [&str; 2]) -> Vec<String> {
    // A rule may have many hosts.
    let mut moved = HashMap::new();
    let line = |Later { day, is_allowed, beyond: Beyond { area, is_undecided } }: &Later| {
        let (maybe, what) = (if *is_undecided { "maybe " } else { "" }, if *is_allowed { allowed } else { denied });
        let of_the_rule = || days::moved(&area.rule, *is_allowed, old, new).and_then(|[old, new]| expiry(old, new));
        let moved = moved.entry((area.rule.clone(), *is_allowed)).or_insert_with(of_the_rule);
        moved.clone().unwrap_or_else(|| format!("from {day} on, {maybe}{area} {what}, by rule `{}`", area.rule))
    };
    let mut lines: Vec<String> = later.iter().map(line).collect();
    let mut told = HashSet::new();
    lines.retain(|line| told.insert(line.clone()));
    lines
}

/// How the day of a rule has moved, if it has.
fn expiry(old: &RuleDraft, new: &RuleDraft) -> Option<String> {
    let text = |text: &Option<Text>| text.as_ref().map(|text| text.text.clone());
    let id = text(&new.id).unwrap_or_default();
    match (text(&old.expires), text(&new.expires)) {
        (Some(old), None) => Some(format!("rule `{id}` no longer expires; it did on {old}")),
        (None, Some(new)) => Some(format!("rule `{id}` expires on {new}")),
        (Some(old), Some(new)) if old != new => Some(format!("rule `{id}` expires on {new} instead of {old}")),
        _ => None,
    }
}

#[derive(Debug, Serialize)]
struct Difference {
    rule_id: String,
    what: String,
    maybe: bool,
}

impl From<Beyond> for Difference {
    fn from(Beyond { area, is_undecided }: Beyond) -> Self {
        Self { rule_id: area.rule.clone(), what: area.to_string(), maybe: is_undecided }
    }
}

impl Differences {
    fn between(old: &PolicyDraft, new: &PolicyDraft, today: &str) -> Self {
        let (looser, tighter) = (Looser::between(today, old, new), Looser::between(today, new, old));
        let list = |beyond: Vec<Beyond>| beyond.into_iter().map(Difference::from).collect();
        let mut differences = Self {
            summary: "",
            loosened: Vec::new(),
            tightened: Vec::new(),
            newly_allowed: list(looser.allowed),
            no_longer_denied: list(looser.undenied),
            no_longer_allowed: list(tighter.allowed),
            newly_denied: list(tighter.undenied),
            noted: Vec::new(),
        };
        differences.compare_modes(today, old, new);
        differences.loosened.extend(lines(&looser.later, old, new, ["is newly allowed", "is no longer denied"]));
        differences.tightened.extend(lines(&tighter.later, old, new, ["is no longer allowed", "is newly denied"]));
        differences.compare_the_rest(old, new);
        differences.summary = match (differences.is_looser(), differences.is_tighter()) {
            (true, true) => "both looser and tighter",
            (true, false) => "looser",
            (false, true) => "tighter",
            (false, false) => "the same",
        };
        differences
    }

    fn compare_modes(&mut self, today: &str, old: &PolicyDraft, new: &PolicyDraft) {
        match (reports_until(today, old), reports_until(today, new)) {
            (None, Some(day)) => self.loosened.push(format!("until {day} nothing is denied by the new policy's rules")),
            (Some(_), None) => self.tightened.push("the new policy is enforced, the old one only reported".to_owned()),
            (Some(old), Some(new)) if old < new => {
                self.loosened.push(format!("report-only lasts until {new} instead of {old}"));
            }
            (Some(old), Some(new)) if old > new => {
                self.tightened.push(format!("report-only ends on {new} instead of {old}"));
            }
            _ => {}
        }
    }

    /// What has no part in the areas: the proxy, names, and what the rules state beside what they are about.
    fn compare_the_rest(&mut self, old: &PolicyDraft, new: &PolicyDraft) {
        // Escaped: what a policy says must not steer the terminal.
        let text = |text: &Option<Text>| text.as_ref().map_or("none".to_owned(), |text| format!("{:?}", text.text));
        let id_of = |rule: &RuleDraft| rule.id.as_ref().map(|id| format!("`{}`", id.text)).unwrap_or_default();
        for (key, before, after) in [("name", &old.name, &new.name), ("owner", &old.owner, &new.owner)] {
            if text(before) != text(after) {
                self.noted.push(format!("the policy's {key}: {} instead of {}", text(after), text(before)));
            }
        }
        if text(&old.proxy) != text(&new.proxy) {
            let change = format!("requests go through the proxy {} instead of {}", text(&new.proxy), text(&old.proxy));
            self.loosened.push(change.clone());
            self.tightened.push(change);
        }
        let rules = |draft: &PolicyDraft| draft.allow.iter().chain(&draft.deny).cloned().collect::<Vec<_>>();
        let (before, after) = (rules(old), rules(new));
        for rule in &after {
            let id = id_of(rule);
            let Some(known) = before.iter().find(|known| id_of(known) == id) else {
                self.noted.push(format!("rule {id} is new"));
                continue;
            };
            for (key, before, after) in [("owner", &known.owner, &rule.owner), ("reason", &known.reason, &rule.reason)]
            {
                if text(before) != text(after) {
                    self.noted.push(format!("the {key} of rule {id}: {} instead of {}", text(after), text(before)));
                }
            }
            let is_told = |line: &String| self.loosened.contains(line) || self.tightened.contains(line);
            self.noted.extend(expiry(known, rule).filter(|line| !is_told(line)));
        }
        let is_gone = |rule: &&RuleDraft| !after.iter().any(|kept| id_of(kept) == id_of(rule));
        self.noted.extend(before.iter().filter(is_gone).map(|rule| format!("rule {} is gone", id_of(rule))));
    }

    fn is_looser(&self) -> bool {
        !(self.loosened.is_empty() && self.newly_allowed.is_empty() && self.no_longer_denied.is_empty())
    }

    fn is_tighter(&self) -> bool {
        !(self.tightened.is_empty() && self.no_longer_allowed.is_empty() && self.newly_denied.is_empty())
    }

    fn print(&self, output: &mut impl Write) -> io::Result<()> {
        let lines = |differences: &[Difference]| -> Vec<String> {
            let maybe = |difference: &Difference| if difference.maybe { "maybe " } else { "" };
            let line = |d: &Difference| format!("{}{}, by rule `{}`", maybe(d), d.what, d.rule_id);
            differences.iter().map(line).collect()
        };
        for (title, sign, lines) in [
            ("Looser", "!", self.loosened.clone()),
            ("Newly allowed", "+", lines(&self.newly_allowed)),
            ("No longer denied by rule", "+", lines(&self.no_longer_denied)),
            ("Tighter", "-", self.tightened.clone()),
            ("No longer allowed", "-", lines(&self.no_longer_allowed)),
            ("Newly denied by rule", "-", lines(&self.newly_denied)),
            ("Changes nothing that is decided", " ", self.noted.clone()),
        ] {
            if lines.is_empty() {
                continue;
            }
            writeln!(output, "{title}:")?;
            for line in lines {
                writeln!(output, "  {sign} {line}")?;
            }
            writeln!(output)?;
        }
        writeln!(output, "The new policy is {}.", self.summary)
    }
}
