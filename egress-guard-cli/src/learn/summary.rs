//! What the person at the terminal should know of what was learnt, and of what was not.

use std::io::{self, Write};

use super::learning::Learning;
use super::reading::Read;
use super::usage::counted;
use crate::shown::{shortened, shown};

/// More lines of one kind are counted.
const LISTED: usize = 20;

pub(super) fn print(
    read: &Read,
    Learning { name, added, secretive, standing, overtaken, .. }: &Learning,
    is_merged: bool,
) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    let (all, what) = read.all();
    let sent = counted(all.count, what);
    writeln!(stderr, "egress-guard: {} from {sent} in {}", counted_rules(added), all.days())?;
    let refused: Vec<String> = read
        .refused
        .iter()
        .map(|((refused, place), count)| format!("{} to {place}: {}", counted(*count, "line"), refused.why()))
        .collect();
    list(&mut stderr, "not learnt:", &refused)?;
    let standing: Vec<String> = standing
        .iter()
        .map(|(why, stands)| {
            let rule = why.rule.as_ref().map(|rule| format!(" by `{rule}`")).unwrap_or_default();
            let requests = counted(stands.count, "request");
            format!("{requests}, as {}: {}{rule}; {}", shortened(&stands.example, 120), why.reason, shown(&why.cure))
        })
        .collect();
    list(&mut stderr, "sent, and still denied by the policy:", &standing)?;
    list(
        &mut stderr,
        "denied once, or matched by a deny rule, and allowed now, as the same was also sent:",
        overtaken,
    )?;
    list(&mut stderr, "paths of these rules may hold a secret, as a token, which is now in the policy:", secretive)?;
    if read.denied_more {
        writeln!(
            stderr,
            "  more different requests were denied than are kept: nothing is generalised, so that none of them is allowed"
        )?;
    }
    if read.denials > 0 {
        writeln!(stderr, "  {} left out: what was denied is not learnt", counted(read.denials, "denial"))?;
    }
    if read.policies.len() > 1 {
        let ids: Vec<&str> = read.policies.iter().take(LISTED).map(String::as_str).collect();
        writeln!(stderr, "  the lines are of several policies, {}: --policy-id picks one", shown(&ids.join(", ")))?;
    }
    if is_merged && !read.policies.contains(name) {
        writeln!(stderr, "  none of the lines is of the policy `{name}`: is this its log?")?;
    }
    if read.goes_through_proxy {
        writeln!(stderr, "  requests went through a proxy: the policy must state it as `proxy`")?;
    }
    if read.outside() > 0 {
        let lines = counted(read.outside(), "line");
        writeln!(stderr, "  {lines} outside of an invocation left out: no other line tells of which function")?;
    }
    if let Some(first) = &read.first_torn {
        writeln!(stderr, "  {} left out, {first}", counted(read.torn, "line"))?;
    }
    Ok(())
}

fn counted_rules(added: &[String]) -> String {
    match added.len() {
        0 => "nothing to add".to_owned(),
        count => counted(count as u64, "new rule"),
    }
}

fn list(output: &mut impl Write, title: &str, lines: &[String]) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(output, "  {title}")?;
    lines.iter().take(LISTED).try_for_each(|line| writeln!(output, "    {line}"))?;
    match lines.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(output, "    and {more} more"),
    }
}
