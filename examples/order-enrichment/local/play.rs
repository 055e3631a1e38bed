//! One scenario: the function is started and sent an order, three times, and then it is seen what it did.

use std::time::{Duration, Instant};

use egress_guard_tests::{Answer, Function, NotInstalled, RuntimeApi};
use serde_json::{Value, json};

use crate::check::check;
use crate::scenario::{Needs, Scenario};
use crate::world::{Seen, World};
use crate::{function, policy};

/// How often the order is sent: the second time the settings are known and the connections open, and a machine that is
/// busy is hardly so every time.
pub(crate) const TIMES: usize = 3;

/// How long the function may take to start, or for an order.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) enum Outcome {
    /// These programs are not installed.
    Skipped(Vec<&'static str>),
    Played {
        lines: usize,
        faults: Vec<String>,
    },
}

/// What the function did.
pub(crate) struct Done {
    pub(crate) answers: Vec<Value>,
    pub(crate) quickest: Duration,
    /// How it ended, if it did so by itself.
    pub(crate) ended: Option<String>,
    pub(crate) lines: Vec<Value>,
    pub(crate) seen: Seen,
    /// What the table holds under the order's id.
    pub(crate) stored: Option<Value>,
}

pub(crate) async fn play(
    scenario: &Scenario,
    policy: &str,
    world: &World,
    show_lines: bool,
) -> Result<Outcome, String> {
    let missing = missing(scenario.needs, world);
    if !missing.is_empty() {
        return Ok(Outcome::Skipped(missing));
    }
    let policy = world.policy(&policy::for_loopback(policy, scenario.lacks)?)?;
    let done = perform(scenario, &policy, world, show_lines).await?;
    done.show();
    Ok(Outcome::Played { lines: done.lines.len(), faults: check(scenario, &done) })
}

fn missing(needs: Needs, world: &World) -> Vec<&'static str> {
    let needed = [(Needs::Moto, &world.moto), (Needs::MotoAndDynalite, &world.dynamodb)];
    let needed = needed.into_iter().filter(|(from, _)| needs >= *from);
    needed.filter_map(|(_, aws)| aws.as_ref().err().map(NotInstalled::program)).collect()
}

async fn perform(scenario: &Scenario, policy: &str, world: &World, show_lines: bool) -> Result<Done, String> {
    let before = world.seen();
    let api = RuntimeApi::start().await;
    let mut function = function::start(scenario, policy, &api, world, show_lines)?;
    let (mut answers, mut quickest, mut ended) = (Vec::new(), Duration::MAX, None);
    while answers.len() < TIMES && ended.is_none() {
        let (id, begun) = (request_id(answers.len()), Instant::now());
        tokio::select! {
            answer = api.invoke(&id, scenario.order(), PATIENCE) => match answer {
                Some(Answer::Response(answer)) => answers.push(answer),
                Some(Answer::Error(error)) => {
                    answers.push(json!({ "result": "failed", "message": error["errorMessage"] }));
                }
                None => return Err(format!("the function gave no answer within {PATIENCE:?}")),
            },
            how = function.ended() => ended = Some(how),
        }
        quickest = quickest.min(begun.elapsed());
    }
    let lines = function.finish().await?;
    let stored = world.stored(scenario.title).await?;
    Ok(Done { answers, quickest, ended, lines, seen: world.seen().since(&before), stored })
}

fn request_id(number: usize) -> String {
    format!("order-{number}")
}

impl Scenario {
    /// The title is the order's id.
    fn order(&self) -> Value {
        json!({ "id": self.title, "customer": self.customer })
    }
}

impl Done {
    /// The decisions about requests, before the first order or during one.
    pub(crate) fn decisions(&self, order: Option<usize>) -> Vec<&Value> {
        let id = order.map_or(Value::Null, |number| request_id(number).into());
        let lines = self.lines.iter().filter(|line| line["event_type"] == "egress_decision");
        lines.filter(|line| Function::is_request(line) && line["requestId"] == id).collect()
    }

    fn show(&self) {
        let show = |when: &str, order| {
            for line in self.decisions(order) {
                let text = |key: &str| line[key].as_str().unwrap_or("?");
                let decision = match line["rule_id"].as_str() {
                    Some(rule) => format!("{} by {rule}", text("action")),
                    None => format!("{}: {}", text("action"), text("reason")),
                };
                println!("   {when:8} {decision:27} {} {}{}", text("method"), text("host"), text("path"));
            }
        };
        show("at start", None);
        show("1st time", Some(0));
        show("2nd time", Some(1));
        match (self.answers.first(), &self.ended) {
            (Some(answer), _) => match answer["message"].as_str() {
                Some(message) => println!("   answered: {message}"),
                None => println!("   answered: {answer}"),
            },
            (None, ended) => println!("   {}", ended.as_deref().unwrap_or("no answer")),
        }
    }
}
