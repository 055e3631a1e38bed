//! What is found, once all has been read.

use std::collections::BTreeMap;

use super::finding::{Finding, Kind, Of};
use super::log::{Broken, Chain, End, Environment, Log};
use crate::places::{Places, Run};

/// What is found, and in what.
#[derive(Debug)]
pub(super) struct Report {
    /// In the order of the log.
    pub(super) findings: Vec<Finding>,
    /// Each chain with how many lines of it there are, and its last one.
    pub(super) chains: BTreeMap<Box<str>, (u64, End)>,
    /// How many lines there are with a place in a chain, and without.
    pub(super) chained: u64,
    pub(super) unchained: u64,
    pub(super) has_key: bool,
    pub(super) files: Vec<String>,
}

impl Report {
    /// With `partial`, that a chain begins in the middle is only noted.
    pub(super) fn of(mut log: Log, partial: bool) -> Self {
        let has_key = !log.keys.is_empty();
        let mut findings = Vec::new();
        let mut broken: BTreeMap<Box<str>, Vec<Broken>> = BTreeMap::new();
        let broken_count = log.broken.len() as u64 + log.broken_more;
        for line in std::mem::take(&mut log.broken) {
            broken.entry(line.chain_id.clone()).or_default().push(line);
        }
        let expects_chains = has_key || !log.chains.is_empty();
        let mut chains: BTreeMap<_, _> = std::mem::take(&mut log.chains).into_iter().collect();
        for (id, lines) in broken {
            match chains.get_mut(&id) {
                Some(chain) => chain.claim(&id, lines, &mut findings),
                None => findings.push(Finding {
                    count: lines.len() as u64,
                    at: lines.first().map(|line| line.at),
                    ..Finding::new(Kind::Forged, Of::Chain(id))
                }),
            }
        }
        if log.broken_more > 0 {
            findings.push(Finding { count: log.broken_more, ..Finding::new(Kind::Forged, Of::Log) });
        }
        for (id, chain) in &chains {
            chain.judge(id, partial, &mut findings);
        }
        findings.extend(log.foreign.finding(Kind::Unchained, Of::Log));
        let others = if expects_chains { Kind::Unchained } else { Kind::Unchecked };
        findings.extend(log.others.finding(others, Of::Others));
        for (id, environment) in &log.environments {
            if !expects_chains {
                environment.judge(*id, partial, &mut findings);
            } else if let Some(finding) = environment.unchained.finding(Kind::Unchained, Of::Environment(*id)) {
                findings.push(finding);
            }
        }
        // What only is noted explains nothing.
        let is_missing = |finding: &&Finding| matches!(finding.kind, Kind::Gap | Kind::Lost | Kind::Beginning);
        let missing = findings.iter().filter(is_missing).filter(|finding| !finding.is_note);
        let missing = missing.fold(0_u64, |missing, finding| missing.saturating_add(finding.count));
        if expects_chains && findings.is_empty() {
            findings.extend(unwritten(&log.environments));
        }
        // What stands there in part is what is missing; or else it stood at an end.
        let is_explained = log.torn.count <= missing;
        findings.extend(log.torn.finding(Kind::Torn, Of::Log).map(|torn| Finding { is_note: is_explained, ..torn }));
        findings.sort_by(|a, b| (a.is_note, a.at, a.kind, &a.of).cmp(&(b.is_note, b.at, b.kind, &b.of)));
        Self {
            findings,
            chained: chains.values().map(|chain| chain.lines).sum::<u64>() + broken_count,
            unchained: log.environments.values().map(|environment| environment.unchained.count).sum::<u64>()
                + log.others.count,
            chains: chains.into_iter().map(|(id, chain)| (id, (chain.lines, chain.end))).collect(),
            has_key,
            files: log.files,
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_note)
    }

    /// Whether all lines are there, from the first of each chain.
    pub(super) fn is_whole(&self) -> bool {
        !self.findings.iter().any(|finding| finding.kind == Kind::Beginning)
    }
}

impl Chain {
    /// Finds what lines that do not hold stand for: one whose place no other line has, or comes next, is what became of
    /// that line.
    fn claim(&mut self, id: &str, mut lines: Vec<Broken>, findings: &mut Vec<Finding>) {
        lines.sort_by_key(|line| (line.place, line.at));
        for line in lines {
            let is_its_own = line.place <= self.seen.last().unwrap_or(0) + 1 && self.seen.insert(line.place, line.at);
            let kind = if is_its_own { Kind::Altered } else { Kind::Forged };
            let numbers = Some((line.place, line.place));
            findings.push(Finding { numbers, at: Some(line.at), ..Finding::new(kind, Of::Chain(id.into())) });
        }
    }

    fn judge(&self, id: &str, partial: bool, findings: &mut Vec<Finding>) {
        let of = || Of::Chain(id.into());
        findings.extend(self.doubled.finding(Kind::Duplicate, of()));
        findings.extend(self.moved.finding(Kind::Reordered, of()));
        // What the process says it could not write is told apart from what else is missing.
        let (mut unsaid, mut said) = (self.seen.clone(), self.seen.clone());
        self.lost.runs().for_each(|run| unsaid.cover(run));
        unsaid.gaps().for_each(|gap| said.cover(gap));
        findings.extend(gaps(&unsaid, of, partial));
        if !said.is_incomplete {
            findings.extend(said.gaps().map(|gap| Finding { kind: Kind::Lost, ..missing(gap, of()) }));
        }
    }
}

impl Environment {
    /// Of lines without a chain: their numbers are all there is to go by. They are taken before the lines are written, so
    /// their order says nothing.
    fn judge(&self, id: u64, partial: bool, findings: &mut Vec<Finding>) {
        let of = || Of::Environment(id);
        findings.extend(self.doubled.finding(Kind::Duplicate, of()));
        findings.extend(gaps(&self.seqs, of, partial));
    }
}

fn gaps(places: &Places, of: impl Fn() -> Of, partial: bool) -> Vec<Finding> {
    if places.is_incomplete {
        return vec![Finding::new(Kind::Unchecked, of())];
    }
    let gap = |gap: Run| match gap.first {
        1 => Finding { is_note: partial, kind: Kind::Beginning, ..missing(gap, of()) },
        _ => missing(gap, of()),
    };
    places.gaps().map(gap).collect()
}

fn missing(Run { first, last, first_at, .. }: Run, of: Of) -> Finding {
    Finding { numbers: Some((first, last)), count: last - first + 1, at: Some(first_at), ..Finding::new(Kind::Gap, of) }
}

/// Numbers that no line has, though no line of a chain is missing: the sink was never handed them, or cannot tell.
fn unwritten(environments: &BTreeMap<u64, Environment>) -> impl Iterator<Item = Finding> {
    let gaps =
        environments.iter().flat_map(|(id, environment)| gaps(&environment.seqs, || Of::Environment(*id), false));
    gaps.map(|gap| Finding { kind: Kind::Unwritten, is_note: true, ..gap })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::{At, MOST_RUNS};

    #[test]
    fn of_what_is_in_too_many_pieces_no_gap_is_told() {
        let mut places = Places::default();
        for number in 0..=MOST_RUNS as u64 {
            places.insert(1 + 2 * number, At::default());
        }
        let found = gaps(&places, || Of::Environment(1), false);
        assert_eq!(found, [Finding::new(Kind::Unchecked, Of::Environment(1))]);
        assert!(found[0].message().starts_with("environment 1 is in so many pieces"));
    }
}
