//! What is asked, under which policy, and what must come of it.

use crate::world::{PARTNER, STRANGER, World, aws};

pub(crate) struct Scenario {
    pub(crate) title: &'static str,
    /// The rule that the policy lacks.
    pub(crate) lacks: Option<&'static str>,
    pub(crate) parameter: &'static str,
    pub(crate) customer: &'static str,
    /// How far the function gets, and so what must be installed.
    pub(crate) needs: Needs,
    pub(crate) expected: Expected,
}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum Needs {
    Nothing,
    Moto,
    MotoAndDynalite,
}

pub(crate) enum Expected {
    /// By these rules: at start, for the first order, and for the same order again.
    Stored {
        start: &'static [&'static str],
        first: &'static [&'static str],
        again: &'static [&'static str],
    },
    Denied {
        host: String,
        reason: &'static str,
    },
    /// Denied before the first order.
    NotStarted {
        host: String,
        reason: &'static str,
    },
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    let order = |title, needs, expected| Scenario {
        title,
        lacks: None,
        parameter: World::PARAMETER,
        customer: "c-17",
        needs,
        expected,
    };
    let denied = |host: &str, reason| Expected::Denied { host: host.to_owned(), reason };
    let lacking = |rule, host: &str, needs, title| {
        let scenario = order(title, needs, denied(host, "host-not-allowed"));
        Scenario { lacks: Some(rule), ..scenario }
    };
    let stored = Expected::Stored {
        start: &["who-am-i"],
        first: &["parameter-store", "orders-table", "partner-api", "orders-table"],
        again: &["orders-table"],
    };
    let not_started = Expected::NotStarted { host: aws("sts"), reason: "host-not-allowed" };
    vec![
        order("an order, and the same order again", Needs::MotoAndDynalite, stored),
        lacking("partner-api", PARTNER, Needs::MotoAndDynalite, "the policy lacks the partner"),
        lacking("orders-table", &aws("dynamodb"), Needs::Moto, "the policy lacks DynamoDB"),
        lacking("parameter-store", &aws("ssm"), Needs::Moto, "the policy lacks Parameter Store"),
        Scenario {
            lacks: Some("who-am-i"),
            ..order("the policy lacks STS, which is asked at start", Needs::Nothing, not_started)
        },
        Scenario {
            parameter: World::CHANGED_PARAMETER,
            ..order("the parameter names another partner", Needs::MotoAndDynalite, denied(STRANGER, "host-not-allowed"))
        },
        Scenario {
            customer: "../../admin",
            ..order("a customer that would change the path", Needs::MotoAndDynalite, denied(PARTNER, "ambiguous-path"))
        },
    ]
}
