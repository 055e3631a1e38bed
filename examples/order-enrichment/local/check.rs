//! What the function did, compared with what it should have done.

use std::time::Duration;

use serde_json::{Value, json};

use crate::play::{Done, TIMES};
use crate::scenario::{Expected, Scenario};
use crate::world::{Seen, aws};

/// A denial needs no network and no second attempt, for which the SDK would wait up to a second.
const AT_ONCE: Duration = Duration::from_millis(50);

/// What is not as it should be.
pub(crate) fn check(scenario: &Scenario, done: &Done) -> Vec<String> {
    let mut faults = Faults::default();
    match &scenario.expected {
        Expected::Stored { start, first, again } => {
            faults.compare("allowed at start by", allowed(&done.decisions(None)), start.to_vec());
            for (number, rules) in [first, again, again].into_iter().enumerate() {
                faults.compare("allowed by", allowed(&done.decisions(Some(number))), rules.to_vec());
            }
            stored(scenario, done, &mut faults);
        }
        Expected::Denied { host, reason } => {
            faults.compare("answers", done.answers.len(), TIMES);
            for (number, answer) in done.answers.iter().enumerate() {
                faults.compare("answered", json!([answer["result"], answer["reason"]]), json!(["denied", reason]));
                faults.compare("denied", denied(&done.decisions(Some(number))), json!([[host, reason]]));
            }
            if done.quickest > AT_ONCE {
                faults.0.push(format!("a denial took {:?}, expected {AT_ONCE:?} at most", done.quickest));
            }
            not_seen(host, done, &mut faults);
        }
        Expected::NotStarted { host, reason } => {
            faults.compare("ended", done.ended.as_deref(), "the function ended with exit status: 1");
            faults.compare("denied", denied(&done.decisions(None)), json!([[host, reason]]));
            faults.compare("answers", done.answers.len(), 0);
            not_seen(host, done, &mut faults);
        }
    }
    faults.0
}

fn stored(scenario: &Scenario, done: &Done, faults: &mut Faults) {
    let outcomes = done.lines.iter().filter(|line| line["event_type"] == "egress_outcome");
    let outcomes = outcomes.map(|line| json!([line["outcome"], line["status"]]));
    faults.compare(
        "outcomes of other requests",
        outcomes.filter(|outcome| *outcome != json!(["complete", 200])).count(),
        0,
    );
    let mut expected = json!({
        "id": scenario.title, "customer": scenario.customer, "segment": "gold",
        "stored_by": "arn:aws:sts::123456789012:user/moto",
    });
    faults.compare("the table holds", done.stored.clone(), expected.clone());
    expected["result"] = "stored".into();
    faults.compare("answered", done.answers.clone(), vec![expected; TIMES]);
    let Seen([mut dynamodb, mut moto, partner, stranger]) = done.seen.clone();
    // A connection may be closed early and made again.
    dynamodb.dedup();
    moto.dedup();
    faults.compare("dynalite was asked under", dynamodb, [aws("dynamodb")]);
    faults.compare("moto was asked under", moto, [aws("sts"), aws("ssm")]);
    faults.compare("the partner saw", partner, [format!("GET /v1/customers/{}", scenario.customer)]);
    faults.compare("the stranger saw", stranger.len(), 0);
}

fn not_seen(host: &str, done: &Done, faults: &mut Faults) {
    let Seen([dynamodb, moto, partner, stranger]) = &done.seen;
    let asked_for = dynamodb.iter().chain(moto).filter(|name| *name == host);
    faults.compare("connections to the denied host", asked_for.count(), 0);
    faults.compare("the partner saw", partner.len(), 0);
    faults.compare("the stranger saw", stranger.len(), 0);
    faults.compare("the table holds", done.stored.clone(), Value::Null);
}

/// The rules by which requests were allowed, and a gap for each that was not.
fn allowed(decisions: &[&Value]) -> Vec<Value> {
    let is_allowed = |line: &Value| line["action"] == "allowed";
    decisions.iter().map(|line| if is_allowed(line) { line["rule_id"].clone() } else { Value::Null }).collect()
}

/// The hosts that were denied, and why.
fn denied(decisions: &[&Value]) -> Vec<Value> {
    let denied = decisions.iter().filter(|line| line["action"] == "denied");
    denied.map(|line| json!([line["host"], line["reason"]])).collect()
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn compare(&mut self, what: &str, found: impl Into<Value>, expected: impl Into<Value>) {
        let (found, expected) = (found.into(), expected.into());
        if found != expected {
            self.0.push(format!("{what}: {found}, expected {expected}"));
        }
    }
}
