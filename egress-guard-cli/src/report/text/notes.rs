//! What else somebody should look at.

use std::io::{self, Write};

use super::{LONGEST_NAME, Page, name};
use crate::output::{counted, with_commas};
use crate::report::model::Report;
use crate::shown::shortened;

/// How many notes of one kind are worth reading.
const MOST: usize = 5;

impl Page<'_> {
    pub(super) fn notes(&self, output: &mut impl Write) -> io::Result<()> {
        let Report { read, totals, policies, rejected_policies, suspicious_environments, dropped_levels, .. } =
            self.report;
        let mut notes = Vec::new();
        if totals.quarantined_environments > 0 {
            let environments = counted(totals.quarantined_environments, "environment");
            notes.push(format!("{environments} in quarantine after a denial"));
        }
        let reporting = policies.rows.iter().filter(|row| row.mode == "report-only");
        add(&mut notes, reporting, |row| {
            format!("policy `{}` only reports: nothing that its rules deny is stopped", name(&row.policy_id))
        });
        add(&mut notes, rejected_policies.rows.iter(), |row| {
            let (policy, hash) = (name(&row.policy_id), shortened(&row.rejected_policy_sha256, 12));
            format!("a text that was to replace policy `{policy}` cannot be used: SHA-256 {hash}")
        });
        add(&mut notes, suspicious_environments.rows.iter(), |row| {
            let variables = shortened(&row.variables, LONGEST_NAME);
            format!("variables that can lead requests elsewhere, or change what is trusted: {variables}")
        });
        add(&mut notes, dropped_levels.rows.iter(), |row| {
            let levels = name(&row.levels);
            format!("a function's log level drops lines of {levels}: what is counted of them is too low")
        });
        if read.lost_lines > 0 {
            let environments = counted(read.environments_with_loss, "environment");
            notes.push(format!("{} lost, in {environments}", counted(read.lost_lines, "line")));
        }
        if read.repeated_lines > 0 {
            let lines = counted(read.repeated_lines, "line");
            notes.push(format!("{lines} with the number of another: a log that was read twice, or forged lines"));
        }
        if !read.environments_exact {
            notes.push(
                "more environments or gaps than can be followed: at least so many are there, lost and repeated"
                    .to_owned(),
            );
        }
        if let Some(first) = &read.first_unreadable {
            let lines = counted(read.unreadable_lines, "line");
            notes.push(format!("{lines} unreadable, the first {}: {}", first.place, shortened(&first.error, 120)));
        }
        if let Some(lines) = read.lines_of_unknown_function.filter(|lines| *lines > 0) {
            let lines = counted(lines, "line");
            notes.push(format!(
                "{lines} left out that name no function, of environments that are not known to be of one"
            ));
        }
        if !notes.is_empty() {
            writeln!(output, "\n{}to look at{:#}", self.bold, self.bold)?;
        }
        notes.iter().try_for_each(|note| writeln!(output, "  {note}"))
    }
}

/// Adds a note for each of the first rows, each text once, and how many there are beyond them.
fn add<'r, R: 'r>(notes: &mut Vec<String>, rows: impl Iterator<Item = &'r R>, in_words: impl Fn(&R) -> String) {
    let mut texts: Vec<String> = rows.map(in_words).collect();
    texts.dedup();
    let more = texts.len().saturating_sub(MOST);
    texts.truncate(MOST);
    notes.extend(texts);
    if more > 0 {
        notes.push(format!("and {} more of these", with_commas(more as u64)));
    }
}
