//! What a query of Logs Insights gives over lines, by the documented meaning of its commands.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::insights::{Command, Expression, Named};

pub(crate) type Row = Map<String, Value>;

pub(crate) fn run(commands: &[Command], lines: &[Value]) -> Vec<Row> {
    let mut rows: Vec<Row> = lines.iter().map(|line| line.as_object().unwrap().clone()).collect();
    for command in commands {
        rows = match command {
            Command::Filter(condition) => {
                rows.into_iter().filter(|row| value_of(condition, row) == Value::Bool(true)).collect()
            }
            Command::Fields(fields) => rows.into_iter().map(|row| with(row, fields)).collect(),
            Command::Stats { aggregates, by } => stats(aggregates, by, rows),
            Command::Sort(by) => {
                rows.sort_by(|left, right| {
                    let orders = by.iter().map(|(name, desc)| {
                        let order = order(left.get(name), right.get(name));
                        if *desc { order.reverse() } else { order }
                    });
                    orders.fold(Ordering::Equal, Ordering::then)
                });
                rows
            }
            Command::Limit(count) => rows.into_iter().take(*count).collect(),
        };
    }
    rows
}

/// Named expressions are there beside the fields of the line, for what comes after them.
fn with(mut row: Row, fields: &[Named]) -> Row {
    let more: Vec<_> =
        fields.iter().map(|field| (field.name().to_owned(), value_of(&field.expression, &row))).collect();
    row.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    row
}

fn stats(aggregates: &[Named], by: &[Named], rows: Vec<Row>) -> Vec<Row> {
    let mut groups: BTreeMap<String, (Row, Vec<Row>)> = BTreeMap::new();
    for row in rows {
        let keys = by.iter().map(|group| (group.name().to_owned(), value_of(&group.expression, &row)));
        let key: Row = keys.filter(|(_, value)| !value.is_null()).collect();
        groups.entry(json!(key).to_string()).or_insert_with(|| (key, Vec::new())).1.push(row);
    }
    let summed = groups.into_values().map(|(mut row, rows)| {
        for aggregate in aggregates {
            let value = aggregated(&aggregate.expression, &rows);
            row.insert(aggregate.name().to_owned(), value);
        }
        row
    });
    summed.collect()
}

fn aggregated(expression: &Expression, rows: &[Row]) -> Value {
    let (name, argument) = match expression {
        Expression::Call(name, arguments) => (name.as_str(), &arguments[0]),
        Expression::Operation(left, operator, right) => {
            return calculated(&aggregated(left, rows), operator, &aggregated(right, rows));
        }
        other => return value_of(other, &Row::new()),
    };
    if *argument == Expression::Field("*".to_owned()) {
        return rows.len().into();
    }
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row["timestamp"].to_string());
    let values: Vec<Value> = rows.iter().map(|row| value_of(argument, row)).filter(|value| !value.is_null()).collect();
    let numbers = || values.iter().map(|value| value.as_f64().unwrap());
    match name {
        "count" => values.len().into(),
        "count_distinct" => {
            let texts: std::collections::BTreeSet<_> = values.iter().map(ToString::to_string).collect();
            texts.len().into()
        }
        "sum" => numbers().sum::<f64>().into(),
        "avg" => (numbers().sum::<f64>() / numbers().count() as f64).into(),
        "max" => numbers().fold(f64::MIN, f64::max).into(),
        "min" => numbers().fold(f64::MAX, f64::min).into(),
        "earliest" => values.first().cloned().unwrap_or_default(),
        "latest" => values.last().cloned().unwrap_or_default(),
        other => panic!("{other}"),
    }
}

fn value_of(expression: &Expression, row: &Row) -> Value {
    match expression {
        Expression::Field(name) => row.get(name).cloned().unwrap_or_default(),
        Expression::Literal(value) => value.clone(),
        Expression::Duration(_) => panic!("only in `bin`"),
        Expression::Operation(left, operator, right) => {
            calculated(&value_of(left, row), operator, &value_of(right, row))
        }
        Expression::Call(name, arguments) => {
            if let ("bin", [Expression::Duration(seconds)]) = (name.as_str(), &arguments[..]) {
                let time: Timestamp = row["timestamp"].as_str().unwrap().parse().unwrap();
                return (time.as_second() - time.as_second().rem_euclid(*seconds as i64)).into();
            }
            let values: Vec<Value> = arguments.iter().map(|argument| value_of(argument, row)).collect();
            match (name.as_str(), &values[..]) {
                ("ispresent", [value]) => (!value.is_null()).into(),
                (_, values) if values.iter().any(Value::is_null) => Value::Null,
                ("strcontains", [text, part]) => {
                    u8::from(text.as_str().unwrap().contains(part.as_str().unwrap())).into()
                }
                ("floor", [number]) => number.as_f64().unwrap().floor().into(),
                ("concat", parts) => parts.iter().map(text).collect::<String>().into(),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn calculated(left: &Value, operator: &str, right: &Value) -> Value {
    let numbers = left.as_f64().zip(right.as_f64());
    match operator {
        "and" => (*left == true && *right == true).into(),
        _ if left.is_null() || right.is_null() => Value::Null,
        "=" => (order(Some(left), Some(right)) == Ordering::Equal).into(),
        "+" => numbers.map(|(left, right)| left + right).into(),
        "-" => numbers.map(|(left, right)| left - right).into(),
        "*" => numbers.map(|(left, right)| left * right).into(),
        "/" => numbers.map(|(left, right)| left / right).into(),
        ">" => numbers.map(|(left, right)| left > right).into(),
        ">=" => numbers.map(|(left, right)| left >= right).into(),
        other => panic!("{other}"),
    }
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            left.as_f64().unwrap().total_cmp(&right.as_f64().unwrap())
        }
        (Some(left), Some(right)) => text(left).cmp(&text(right)),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}
