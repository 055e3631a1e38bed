//! Alarms: whether CloudWatch takes them, and what the ones by metric math make of functions with and without a guard.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html>.

use std::collections::BTreeMap;

use serde_json::Value;
use winnow::ascii::{digit1, multispace0};
use winnow::combinator::{alt, delimited, separated_pair};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::token::take_while;

/// What is wrong with an alarm of a template that makes these metrics.
pub(crate) fn check(alarm: &Value, own_metrics: &[String]) -> Result<(), String> {
    let periods = alarm["EvaluationPeriods"].as_u64().ok_or("no EvaluationPeriods")?;
    if alarm["TreatMissingData"] != "notBreaching" || alarm["ComparisonOperator"] != "GreaterThanOrEqualToThreshold" {
        return Err("silence is an alarm, or the threshold is none".to_owned());
    }
    if alarm["DatapointsToAlarm"].as_u64().is_some_and(|datapoints| datapoints > periods) {
        return Err("more datapoints than periods".to_owned());
    }
    let warm_up = &alarm["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"];
    if !(warm_up.is_null() || warm_up.as_u64().is_some_and(|minutes| (1..=2880).contains(&minutes))) {
        return Err("no such time to warm up".to_owned());
    }
    if alarm["AlarmDescription"].as_str().is_none_or(|text| text.is_empty() || text.len() > 1024) {
        return Err("no description, or a long one".to_owned());
    }
    let within = |period: &Value| match period.as_u64().ok_or("no Period")? {
        period if period % 60 != 0 => Err(format!("{period} seconds are no minutes")),
        period if period * periods > if period < 3600 { 86_400 } else { 604_800 } => Err("too long".to_owned()),
        _ => Ok(()),
    };
    let exists = |metric: &Value| match (metric["Namespace"].as_str(), metric["MetricName"].as_str()) {
        (Some("EgressGuard"), Some(name)) if own_metrics.iter().any(|own| own == name) => Ok(()),
        (Some("AWS/Lambda"), Some("Invocations" | "Errors")) if metric["Dimensions"][0]["Name"] == "FunctionName" => {
            Ok(())
        }
        other => Err(format!("nobody makes the metric {other:?}")),
    };
    let Some(metrics) = alarm["Metrics"].as_array() else {
        if alarm["Statistic"] != "Sum" {
            return Err("events are not summed".to_owned());
        }
        within(&alarm["Period"])?;
        return exists(alarm);
    };
    let (expressions, metrics): (Vec<_>, Vec<_>) = metrics.iter().partition(|metric| metric["Expression"].is_string());
    let [expression] = &expressions[..] else { return Err(format!("{} expressions", expressions.len())) };
    let expression = Math::parse(expression["Expression"].as_str().unwrap())?;
    let ids: Vec<&str> = metrics.iter().filter_map(|metric| metric["Id"].as_str()).collect();
    if metrics.len() > 10 || expression.names() != ids.iter().copied().collect() {
        return Err(format!("the expression is of {:?}, the metrics are {ids:?}", expression.names()));
    }
    for metric in metrics {
        if metric["ReturnData"] != false || metric["MetricStat"]["Stat"] != "Sum" {
            return Err("a metric is compared itself, or not summed".to_owned());
        }
        within(&metric["MetricStat"]["Period"])?;
        exists(&metric["MetricStat"]["Metric"])?;
    }
    Ok(())
}

/// The part of metric math that is needed here. Without data at a time there is no result at it.
#[derive(Clone, Debug)]
enum Math {
    Number(f64),
    Metric(String),
    Fill(Box<Self>, f64),
    If(Box<Self>, Box<Self>, Box<Self>),
    Operation(Box<Self>, &'static str, Box<Self>),
}

impl Math {
    fn parse(text: &str) -> Result<Self, String> {
        math.parse(text).map_err(|error| format!("cannot be read: {error}"))
    }

    fn names(&self) -> std::collections::BTreeSet<&str> {
        match self {
            Self::Number(_) => [].into(),
            Self::Metric(name) => [name.as_str()].into(),
            Self::Fill(of, _) => of.names(),
            Self::If(a, b, c) => [a, b, c].into_iter().flat_map(|part| part.names()).collect(),
            Self::Operation(a, _, b) => [a, b].into_iter().flat_map(|part| part.names()).collect(),
        }
    }

    /// At one time.
    fn value(&self, metrics: &BTreeMap<&str, Option<f64>>) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Metric(name) => metrics[name.as_str()],
            Self::Fill(of, with) => of.value(metrics).or(Some(*with)),
            Self::If(condition, then, otherwise) => {
                if condition.value(metrics)? == 0.0 { otherwise } else { then }.value(metrics)
            }
            Self::Operation(left, operator, right) => {
                let (left, right) = (left.value(metrics)?, right.value(metrics)?);
                let truth = match *operator {
                    ">" => left > right,
                    "==" => left == right,
                    _ => left != 0.0 && right != 0.0,
                };
                Some(f64::from(u8::from(truth)))
            }
        }
    }
}

fn spaced<'a>(token: &'static str) -> impl Parser<&'a str, &'a str, ContextError> {
    delimited(multispace0, token, multispace0)
}

fn math(input: &mut &str) -> winnow::Result<Math> {
    let operation = |operator| move |(left, right)| Math::Operation(Box::new(left), operator, Box::new(right));
    alt((separated_pair(compared, spaced("AND"), compared).map(operation("AND")), compared)).parse_next(input)
}

fn compared(input: &mut &str) -> winnow::Result<Math> {
    let operation = |operator| move |(left, right)| Math::Operation(Box::new(left), operator, Box::new(right));
    alt((
        separated_pair(atom, spaced("=="), atom).map(operation("==")),
        separated_pair(atom, spaced(">"), atom).map(operation(">")),
        atom,
    ))
    .parse_next(input)
}

fn atom(input: &mut &str) -> winnow::Result<Math> {
    let number = |input: &mut &str| digit1.parse_to::<f64>().parse_next(input);
    alt((
        delimited("(", math, ")"),
        delimited("FILL(", separated_pair(math, spaced(","), number), ")")
            .map(|(of, with)| Math::Fill(Box::new(of), with)),
        delimited("IF(", (math, spaced(","), math, spaced(","), math), ")")
            .map(|(a, _, b, _, c)| Math::If(Box::new(a), Box::new(b), Box::new(c))),
        number.map(Math::Number),
        // An id begins with a lower-case letter.
        take_while(1.., |c: char| c.is_ascii_lowercase()).map(|name: &str| Math::Metric(name.to_owned())),
    ))
    .parse_next(input)
}

/// What a function does, by the minute: when something was counted.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) invocations: Vec<i64>,
    pub(crate) errors: Vec<i64>,
    /// The lines that the alarm asks for.
    pub(crate) lines: Vec<i64>,
    /// When the stack was made, if not long before: lines are counted, and the alarm warms up, from then on.
    pub(crate) deployed: Option<i64>,
}

/// Whether an alarm is ever raised, looked at in each minute, over windows that move with it. What was
/// counted in the last minutes is not there yet: as many as `late`.
pub(crate) fn is_ever_raised(alarm: &Value, told: &Told, late: i64) -> bool {
    let metrics = alarm["Metrics"].as_array().unwrap();
    let expression = Math::parse(metrics[0]["Expression"].as_str().unwrap()).unwrap();
    let period = metrics[1]["MetricStat"]["Period"].as_i64().unwrap() / 60;
    let periods = alarm["EvaluationPeriods"].as_i64().unwrap();
    assert_eq!((&alarm["DatapointsToAlarm"], &alarm["Threshold"]), (&periods.into(), &1.into()));
    let lines = metrics[3]["Id"].as_str().unwrap();
    let last = told.invocations.iter().chain(&told.lines).max().copied().unwrap_or_default();
    let warm_up = alarm["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"].as_i64().unwrap();
    let begin = told.deployed.map_or(0, |deployed| deployed + warm_up);
    let counted: Vec<i64> =
        told.lines.iter().filter(|time| told.deployed.is_none_or(|deployed| **time >= deployed)).copied().collect();
    (begin..last + periods * period).any(|now| {
        let sum = |times: &[i64], from: i64, late: i64| {
            let count =
                times.iter().filter(|time| (from..from + period).contains(*time) && **time < now - late).count();
            // Nothing at all is no datapoint, as for a metric that is new.
            (count > 0).then_some(count as f64)
        };
        let breaches = |from: i64| {
            let metrics = BTreeMap::from([
                ("invocations", sum(&told.invocations, from, 0)),
                ("errors", sum(&told.errors, from, 0)),
                (lines, sum(&counted, from, late)),
            ]);
            expression.value(&metrics).is_some_and(|value| value >= 1.0)
        };
        (1..=periods).all(|number| breaches(now - number * period))
    })
}

#[test]
fn a_broken_alarm_is_found() {
    let metric = |id: &str, name: &str| {
        serde_json::json!({"Id": id, "ReturnData": false,
            "MetricStat": {"Metric": {"Namespace": "EgressGuard", "MetricName": name}, "Period": 3600, "Stat": "Sum"}})
    };
    let own = ["Denials".to_owned()];
    let one = serde_json::json!({"AlarmDescription": "x", "Namespace": "EgressGuard", "MetricName": "Denials", "Statistic": "Sum",
        "Period": 300, "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching"});
    let two = serde_json::json!({"AlarmDescription": "x", "EvaluationPeriods": 2, "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "TreatMissingData": "notBreaching",
        "WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": 150}, "Metrics": [{"Id": "e", "Expression": "IF(FILL(denials, 0) == 0, 1, 0)"}, metric("denials", "Denials")]});
    assert_eq!((check(&one, &own), check(&two, &own)), (Ok(()), Ok(())));
    for (alarm, place, value, why) in [
        (&one, "/MetricName", Value::from("Denial"), "nobody makes the metric"),
        (&one, "/Namespace", "EgresGuard".into(), "nobody makes the metric"),
        (&one, "/Statistic", "Average".into(), "not summed"),
        (&one, "/Period", 45.into(), "no minutes"),
        (&one, "/EvaluationPeriods", 289.into(), "too long"),
        (&one, "/TreatMissingData", "breaching".into(), "silence is an alarm"),
        (&one, "/AlarmDescription", "".into(), "no description"),
        (&two, "/WarmUpConfiguration/WarmUpPeriodDurationInMinutes", 2881.into(), "to warm up"),
        (&two, "/EvaluationPeriods", 169.into(), "too long"),
        (&two, "/Metrics/0/Expression", "IF(denials = 0, 1, 0)".into(), "cannot be read"),
        (&two, "/Metrics/0/Expression", "FILL(denails, 0)".into(), "the expression is of"),
        (&two, "/Metrics/1/MetricStat/Metric/MetricName", "Denial".into(), "nobody makes the metric"),
        (&two, "/Metrics/1/ReturnData", true.into(), "compared itself"),
    ] {
        let mut alarm = alarm.clone();
        *alarm.pointer_mut(place).unwrap() = value;
        let error = check(&alarm, &own).expect_err(place);
        assert!(error.contains(why), "{place}: {error}");
    }
}
