//! From the lines, and a policy that there may be already, to one that allows what was sent.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::SystemTime;

use egress_guard::{Decision, Policy, Reason, RuleId};

use super::base::{Base, Grown, denial};
use super::line::Refused;
use super::reading::Read;
use super::rules::{Beside, Reach, Rule, rules};
use super::traffic::{Endpoint, Learnt, Traffic, Uses};
use crate::shown::shown;

/// What was learnt.
#[derive(Debug)]
pub(super) struct Learning {
    /// The policy's text.
    pub(super) policy: String,
    pub(super) name: String,
    /// The ids of its new rules.
    pub(super) added: Vec<String>,
    /// What was sent, and it still does not allow.
    pub(super) standing: BTreeMap<Standing, Stands>,
    /// Its new rules whose paths may hold a secret.
    pub(super) secretive: Vec<String>,
    /// Requests that were denied once and that it allows.
    pub(super) overtaken: Vec<String>,
}

/// Why something is not allowed that a further rule would not, or should not, change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Standing {
    pub(super) reason: &'static str,
    pub(super) rule: Option<String>,
    pub(super) cure: String,
}

#[derive(Debug, Default)]
pub(super) struct Stands {
    pub(super) count: u64,
    pub(super) example: String,
}

impl Learning {
    pub(super) fn of(read: &Read, base: Base, wildcard_from: usize, most_paths: usize) -> Result<Self, Box<dyn Error>> {
        let mut learner = Learner::new(read, base)?;
        let mut reach = Reach {
            wildcard_from,
            most_paths,
            exact: Default::default(),
            is_exact: read.denied_more,
            lists_names: read.denied_more,
        };
        let mut grown = learner.grow(&reach)?;
        if learner.conflicts(&grown.policy) {
            reach.lists_names = true;
            grown = learner.grow(&reach)?;
        }
        // Where a rule that is more general than what was sent would allow something that was denied, the rules for that
        // host say what was sent and no more.
        let overtaken = learner.overtaken(&grown.policy);
        if !overtaken.is_empty() {
            reach.exact.extend(overtaken.into_iter().map(|(host, _)| host));
            grown = learner.grow(&reach)?;
        }
        learner.try_out(&grown)?;
        let overtaken = learner.overtaken(&grown.policy).into_iter().map(|(_, request)| request).collect();
        let uses = grown.uses(&read.traffic, learner.now);
        grown.mark(&uses, read.all());
        let name = grown.policy.name().to_owned();
        Ok(Self {
            name,
            secretive: grown.secretive(),
            policy: grown.text(),
            added: grown.added,
            standing: learner.standing,
            overtaken,
        })
    }
}

struct Learner<'r> {
    read: &'r Read,
    base: Base,
    now: SystemTime,
    standing: BTreeMap<Standing, Stands>,
    /// What the rules that are there already do not allow.
    missing: Traffic,
}

impl<'r> Learner<'r> {
    fn new(read: &'r Read, base: Base) -> Result<Self, Box<dyn Error>> {
        let now = SystemTime::now();
        let (mut standing, mut missing) = (BTreeMap::new(), Traffic::default());
        let mut copied = Ok(());
        read.traffic.each(|_, uses, learnt, usage| {
            let Some((reason, rule)) = denial(&base.policy, learnt, now) else { return };
            match standing_for(&base.policy, reason, rule, learnt, now) {
                Some(stands) => note(&mut standing, stands, learnt, usage.count),
                None => copied = copied.and(missing.copy(uses, learnt, usage)),
            }
        });
        // It cannot be more than what it is a part of.
        copied.map_err(Refused::why)?;
        Ok(Self { read, base, now, standing, missing })
    }

    /// The policy with the rules that are missing, and that are needed.
    fn grow(&self, reach: &Reach) -> Result<Grown, Box<dyn Error>> {
        let access = |endpoint: &Endpoint, uses: &Uses| {
            let mut first = None;
            uses.each(endpoint, &mut |learnt, _| first = first.take().or_else(|| Some(learnt.clone())));
            self.base.access(&first?, self.now)
        };
        self.needed(rules(&self.missing, reach, &Beside { access: &access, listed: &self.base.listed }))
    }

    /// Leaves out rules without which all that is allowed with them is allowed too.
    fn needed(&self, mut rules: Vec<Rule>) -> Result<Grown, Box<dyn Error>> {
        // Of more rules it takes too long, and one that is not needed does no harm.
        const MOST: usize = 300;
        let mut grown = self.base.with(&rules)?;
        if rules.len() > MOST {
            return Ok(grown);
        }
        let mut decided: BTreeMap<String, Vec<Learnt>> = BTreeMap::new();
        self.missing.each(|_, _, learnt, _| {
            if let Some(rule) = self.decided_by(&grown.policy, learnt) {
                decided.entry(rule).or_default().push(learnt.clone());
            }
        });
        for at in (0..rules.len()).rev() {
            let mut without = rules.clone();
            without.remove(at);
            let lesser = self.base.with(&without)?;
            let uses = grown.added.get(at).and_then(|id| decided.remove(id)).unwrap_or_default();
            let is_lost = |learnt: &Learnt| {
                denial(&lesser.policy, learnt, self.now).is_some() && denial(&grown.policy, learnt, self.now).is_none()
            };
            if uses.iter().any(is_lost) {
                continue;
            }
            // Ids are made anew, and numbered anew.
            let renamed: BTreeMap<_, _> = without_one(&grown.added, at).zip(&lesser.added).collect();
            decided =
                decided.into_iter().map(|(id, uses)| (renamed.get(&id).map_or(id, |id| (*id).clone()), uses)).collect();
            for learnt in uses {
                if let Some(rule) = self.decided_by(&lesser.policy, &learnt) {
                    decided.entry(rule).or_default().push(learnt);
                }
            }
            (rules, grown) = (without, lesser);
        }
        Ok(grown)
    }

    fn decided_by(&self, policy: &Policy, learnt: &Learnt) -> Option<String> {
        match policy.decide(&learnt.request(), self.now) {
            Decision::Allow { rule, .. } => Some(rule.to_string()),
            Decision::Deny { .. } => None,
        }
    }

    /// Whether rules for more names than were asked for lead to other addresses than rules for some of these.
    fn conflicts(&self, policy: &Policy) -> bool {
        let mut conflicts = false;
        self.read.traffic.each(|_, _, learnt, _| {
            conflicts |= matches!(denial(policy, learnt, self.now), Some((Reason::AddressConflict, _)))
                && !matches!(denial(&self.base.policy, learnt, self.now), Some((Reason::AddressConflict, _)));
        });
        conflicts
    }

    /// Whether everything that was learnt is allowed, and all that was allowed before still is. What rules of the file keep
    /// from being allowed is told; all else is a fault of this command.
    fn try_out(&mut self, grown: &Grown) -> Result<(), Box<dyn Error>> {
        let (mut fault, is_new) = (None, self.base.policy.rule_count() == 0);
        let standing = &mut self.standing;
        self.missing.each(|_, _, learnt, usage| {
            let Some((reason, rule)) = denial(&grown.policy, learnt, self.now) else { return };
            if is_new {
                fault = Some(format!("{} ({reason})", shown(&learnt.asked.destination.to_string())));
            } else {
                let cure = "rules for the same host and port open other addresses, or another side of the boundary: give them \
                            what both need";
                let stands = Standing { reason: reason.as_str(), rule: rule.map(str::to_owned), cure: cure.to_owned() };
                note(standing, stands, learnt, usage.count);
            }
        });
        self.read.traffic.each(|_, _, learnt, _| {
            if denial(&self.base.policy, learnt, self.now).is_none()
                && let Some((reason, _)) = denial(&grown.policy, learnt, self.now)
            {
                fault = Some(format!("{} ({reason})", shown(&learnt.asked.destination.to_string())));
            }
        });
        fault.map_or(Ok(()), |fault| {
            let what = "a fault of this command, please report it: the policy is not written, as it would not allow";
            Err(format!("{what} {fault}").into())
        })
    }

    /// What was denied once, and the policy would allow and its base did not: the host and the request.
    fn overtaken(&self, policy: &Policy) -> Vec<(String, String)> {
        let denied = self.read.denied.values();
        let overtaken = denied.filter(|denied| {
            denial(policy, denied, self.now).is_none() && denial(&self.base.policy, denied, self.now).is_some()
        });
        let named = overtaken.map(|denied| {
            let destination = &denied.asked.destination;
            let method = denied.asked.method.as_ref().map(|method| format!("{method} ")).unwrap_or_default();
            (destination.host().to_string(), shown(&format!("{method}{destination}")))
        });
        named.collect()
    }
}

fn note(standing: &mut BTreeMap<Standing, Stands>, why: Standing, learnt: &Learnt, count: u64) {
    let stands = standing.entry(why).or_default();
    stands.count += count;
    if stands.example.is_empty() {
        stands.example = shown(&learnt.asked.destination.to_string());
    }
}

/// What a rule that is there already says against something, where that is its owner's to change.
fn standing_for(
    policy: &Policy,
    reason: Reason,
    rule: Option<&str>,
    learnt: &Learnt,
    now: SystemTime,
) -> Option<Standing> {
    let cure = match reason {
        Reason::DeniedByRule => "a deny rule stays as it is; ask its owner".to_owned(),
        Reason::RuleExpired => "move its `expires` if it is still needed".to_owned(),
        Reason::AddressNotAllowed => {
            let question = learnt.questions().find_map(|question| {
                policy.explain(&question, now).layers.into_iter().find_map(|layer| layer.missing_addresses)
            });
            let missing = question?;
            let rules: Vec<&str> = missing.rules.iter().map(RuleId::as_str).collect();
            format!("if that is meant, write addresses = {:?} in {}", missing.addresses, rules.join(", "))
        }
        _ => return None,
    };
    Some(Standing { reason: reason.as_str(), rule: rule.map(str::to_owned), cure })
}

fn without_one(ids: &[String], at: usize) -> impl Iterator<Item = String> {
    ids.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, id)| id.clone())
}
