//! The counts of a report, made the long way: every line is kept, and each table walks over all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

#[derive(Default)]
pub struct Filter {
    pub functions: &'static [&'static str],
    pub since: &'static str,
    pub until: &'static str,
}

type Lines<'l> = Vec<&'l Value>;

/// The report of a log with a line for each event.
pub fn plain_count(log: &str, filter: &Filter) -> Value {
    let all: Vec<&str> = log.lines().collect();
    let is_meant = |line: &&&str| line.find('{').is_some_and(|begin| line[begin..].contains("\"egress_"));
    let meant: Vec<&&str> = all.iter().filter(is_meant).collect();
    let lines: Vec<Value> = meant.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let names: BTreeSet<(u64, &str)> = lines
        .iter()
        .filter_map(|line| {
            Some((line["environment_id"].as_u64().unwrap(), line.get("function_name")?.as_str().unwrap()))
        })
        .collect();
    let selected: Lines<'_> = lines.iter().filter(|line| is_selected(line, filter, &names)).collect();
    let of_type =
        |event: &str| -> Lines<'_> { selected.iter().copied().filter(|line| line["event_type"] == event).collect() };
    let (decisions, outcomes, summaries) =
        (of_type("egress_decision"), of_type("egress_outcome"), of_type("egress_summary"));
    let first = selected.iter().map(|line| text(line, "timestamp")).min().unwrap();
    let last = selected.iter().map(|line| text(line, "timestamp")).max().unwrap();
    let quarter = (milliseconds(last) - milliseconds(first)) / 4;
    let new_since = timestamp(milliseconds(first) + quarter * 3);

    let exchanged: Lines<'_> = decisions.iter().chain(&outcomes).copied().collect();
    let all_of_functions: Lines<'_> = exchanged.iter().chain(&summaries).copied().collect();
    let places = group(&exchanged, &["function_name", "host", "port"], |_| true);
    let places = places.into_iter().filter(|(key, _)| key.len() - usize::from(key.contains_key("function")) == 2);
    let places: Vec<_> = places
        .map(|(key, lines)| {
            let seen = seen(&lines);
            (key, lines, seen)
        })
        .collect();
    let is_new = |seen: &Map<String, Value>| seen["first_seen"].as_str().unwrap() >= new_since.as_str();
    let environment_function: BTreeMap<u64, &str> = selected
        .iter()
        .filter(|line| line.get("function_name").is_some())
        .map(|line| (line["environment_id"].as_u64().unwrap(), text(line, "function_name")))
        .collect();

    let functions = group(&all_of_functions, &["function_name"], |_| true)
        .into_iter()
        .map(|(key, lines)| {
            let of = |event: &str| -> Lines<'_> {
                lines.iter().copied().filter(|line| line["event_type"] == event).collect()
            };
            let of_function = |(place, _, _): &&(Map<String, Value>, Lines<'_>, Map<String, Value>)| {
                place.get("function") == key.get("function")
            };
            let name = key.get("function").and_then(Value::as_str);
            let environments = |is_wanted: &dyn Fn(&Value) -> bool| -> usize {
                let lines =
                    selected.iter().filter(|line| is_wanted(line)).map(|line| line["environment_id"].as_u64().unwrap());
                lines
                    .filter(|id| name.is_some() && environment_function.get(id).copied() == name)
                    .collect::<BTreeSet<_>>()
                    .len()
            };
            let own = json!({
                "destinations": places.iter().filter(of_function).count(),
                "new_destinations": places.iter().filter(of_function).filter(|(_, _, seen)| is_new(seen)).count(),
                "outcomes": of("egress_outcome").len(),
                "bytes_sent": sum(&of("egress_outcome"), "bytes_sent"),
                "bytes_received": sum(&of("egress_outcome"), "bytes_received"),
                "invocations": of("egress_summary").len(),
                "environments": environments(&|_| true),
                "quarantined_environments": environments(&|line| line.get("quarantined").is_some()),
            });
            row([key, counts(&lines), own.as_object().unwrap().clone(), seen(&lines)])
        })
        .collect::<Vec<_>>();
    let new = places
        .iter()
        .filter(|(_, _, seen)| is_new(seen))
        .map(|(key, lines, seen)| row([key.clone(), counts(lines), seen.clone()]))
        .collect::<Vec<_>>();
    let destinations = group(&exchanged, &["function_name", "host", "port", "boundary"], |_| true).into_iter().map(|(key, lines)| {
        let bytes = json!({"bytes_sent": sum_outcomes(&lines, "bytes_sent"), "bytes_received": sum_outcomes(&lines, "bytes_received")});
        row([key, counts(&lines), bytes.as_object().unwrap().clone(), seen(&lines)])
    });
    let denials = |is_wanted: fn(&Value) -> bool| {
        let groups = group(&decisions, &["function_name", "host", "port", "stage", "reason", "rule_id"], is_wanted);
        table(groups.into_iter().map(|(key, lines)| row([key, one("count", lines.len()), seen(&lines)])))
    };
    let rules = group(&decisions, &["policy_id", "rule_id"], |_| true);
    let rules = rules.into_iter().map(|(key, lines)| row([key, counts(&lines), seen(&lines)]));
    let ended =
        group(&outcomes, &["function_name", "host", "outcome", "status"], |_| true).into_iter().map(|(key, lines)| {
            let durations = lines.iter().map(|line| line["duration_ms"].as_f64().unwrap());
            let own = json!({
                "count": lines.len(),
                "bytes_sent": sum(&lines, "bytes_sent"),
                "bytes_received": sum(&lines, "bytes_received"),
                "duration_ms": durations.clone().sum::<f64>(),
                "longest_ms": durations.fold(0.0, f64::max),
            });
            row([key, own.as_object().unwrap().clone(), seen(&lines)])
        });
    let by_lines = |keys: &[&str], is_wanted: fn(&Value) -> bool| {
        let groups = group(&selected, keys, is_wanted);
        table(groups.into_iter().map(|(key, lines)| row([key, one("lines", lines.len()), seen(&lines)])))
    };
    let environments = |is_wanted: &dyn Fn(&Value) -> bool| -> usize {
        selected
            .iter()
            .filter(|line| is_wanted(line))
            .map(|line| line["environment_id"].as_u64().unwrap())
            .collect::<BTreeSet<_>>()
            .len()
    };
    let mut read = read(&all, meant.len(), &lines);
    if !filter.functions.is_empty() {
        let is_unknown = |line: &&Value| {
            let id = line["environment_id"].as_u64().unwrap();
            is_within(line, filter) && !names.iter().any(|(known, _)| *known == id)
        };
        read["lines_of_unknown_function"] = json!(lines.iter().filter(is_unknown).count());
    }
    let mut totals = counts(&decisions);
    totals.extend(
        json!({
            "lines": selected.len(),
            "outcomes": outcomes.len(),
            "bytes_sent": sum(&outcomes, "bytes_sent"),
            "bytes_received": sum(&outcomes, "bytes_received"),
            "functions": functions.iter().filter(|row| row.get("function").is_some()).count(),
            "destinations": places.len(),
            "new_destinations": new.len(),
            "invocations": summaries.len(),
            "environments": environments(&|_| true),
            "quarantined_environments": environments(&|line| line.get("quarantined").is_some()),
            "report_only_decisions": decisions.iter().filter(|line| line["mode"] == "report-only").count(),
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    json!({
        "schema": "egress-guard-report/1",
        "read": read,
        "span": {"first": first, "last": last, "new_since": new_since},
        "totals": totals,
        "timeline": timeline(&decisions),
        "denials": denials(|line| line["action"] == "denied"),
        "would_deny": denials(|line| line["would_deny"] == true),
        "new_destinations": table(new),
        "functions": table(functions),
        "destinations": table(destinations),
        "rules": table(rules),
        "outcomes": table(ended),
        "policies": by_lines(&["policy_id", "policy_sha256", "mode"], |_| true),
        "rejected_policies": by_lines(&["policy_id", "rejected_policy_sha256"], |line| line.get("rejected_policy_sha256").is_some()),
        "suspicious_environments": by_lines(&["suspicious_environment"], |line| line.get("suspicious_environment").is_some()),
        "dropped_levels": by_lines(&["dropped_levels"], |line| line.get("dropped_levels").is_some()),
    })
}

fn is_selected(line: &Value, filter: &Filter, names: &BTreeSet<(u64, &str)>) -> bool {
    let wanted = |name: &&str| filter.functions.contains(name);
    let is_of_function = match line.get("function_name") {
        Some(name) => wanted(&name.as_str().unwrap()),
        None => names.iter().any(|(id, name)| line["environment_id"] == *id && wanted(name)),
    };
    (filter.functions.is_empty() || is_of_function) && is_within(line, filter)
}

fn is_within(line: &Value, filter: &Filter) -> bool {
    text(line, "timestamp") >= filter.since && (filter.until.is_empty() || text(line, "timestamp") < filter.until)
}

fn read(all: &[&str], meant: usize, lines: &[Value]) -> Value {
    let mut numbers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for line in lines {
        numbers.entry(line["environment_id"].as_u64().unwrap()).or_default().push(line["seq"].as_u64().unwrap());
    }
    let missing = |numbers: &Vec<u64>| {
        let there: BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(there.len(), numbers.len(), "the generator numbers no two lines alike");
        (*there.first().unwrap()..=*there.last().unwrap()).filter(|number| !there.contains(number)).count()
    };
    json!({
        "lines": all.len(),
        "audit_lines": lines.len(),
        "other_lines": all.len() - meant,
        "unreadable_lines": meant - lines.len(),
        "lost_lines": numbers.values().map(missing).sum::<usize>(),
        "environments_with_loss": numbers.values().filter(|numbers| missing(numbers) > 0).count(),
        "repeated_lines": 0,
        "environments_exact": true,
    })
}

/// By the hour, or by the minute if the span is short.
fn timeline(decisions: &Lines<'_>) -> Value {
    let times: Vec<i64> = decisions.iter().map(|line| milliseconds(text(line, "timestamp"))).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let seconds = if last / 60_000 - first / 60_000 <= 400 { 60 } else { 3600 };
    let numbers = first / (seconds * 1000)..=last / (seconds * 1000);
    let bucket = |number: i64| {
        let is_in = |(_, time): &(&&Value, &i64)| **time / (seconds * 1000) == number;
        let lines: Lines<'_> = decisions.iter().zip(&times).filter(is_in).map(|(line, _)| *line).collect();
        let start = json!({"start": timestamp(number * seconds * 1000)});
        row([start.as_object().unwrap().clone(), counts(&lines)])
    };
    json!({"bucket_seconds": seconds, "buckets": numbers.map(bucket).collect::<Vec<_>>()})
}

/// The lines that have the same under these keys.
fn group<'l>(lines: &Lines<'l>, keys: &[&str], is_wanted: fn(&Value) -> bool) -> Vec<(Map<String, Value>, Lines<'l>)> {
    let mut groups: BTreeMap<String, (Map<String, Value>, Lines<'l>)> = BTreeMap::new();
    for line in lines.iter().copied().filter(|line| is_wanted(line)) {
        let mut key = Map::new();
        for name in keys {
            let value = match (*name, line.get(name)) {
                (_, None) => continue,
                ("status", Some(status)) => json!(format!("{}xx", status.as_u64().unwrap() / 100)),
                (_, Some(value)) => value.clone(),
            };
            let name = match *name {
                "function_name" => "function",
                "status" => "status_class",
                "suspicious_environment" => "variables",
                "dropped_levels" => "levels",
                name => name,
            };
            key.insert(name.to_owned(), value);
        }
        groups.entry(json!(key).to_string()).or_insert_with(|| (key, Vec::new())).1.push(line);
    }
    groups.into_values().collect()
}

fn counts(lines: &Lines<'_>) -> Map<String, Value> {
    let count = |is_wanted: &dyn Fn(&Value) -> bool| {
        lines.iter().filter(|line| line["event_type"] == "egress_decision" && is_wanted(line)).count()
    };
    let counts = json!({
        "requests": count(&|line| line["action"] == "allowed" && (line["stage"] == "request" || line["stage"] == "redirect")),
        "connections": count(&|line| line["action"] == "allowed" && line["stage"] == "connection"),
        "would_deny": count(&|line| line["would_deny"] == true),
        "denied": count(&|line| line["action"] == "denied"),
    });
    counts.as_object().unwrap().clone()
}

fn seen(lines: &Lines<'_>) -> Map<String, Value> {
    let times: BTreeSet<&str> = lines.iter().map(|line| text(line, "timestamp")).collect();
    json!({"first_seen": times.first(), "last_seen": times.last()}).as_object().unwrap().clone()
}

fn sum(lines: &Lines<'_>, key: &str) -> u64 {
    lines.iter().map(|line| line[key].as_u64().unwrap_or_default()).sum()
}

fn sum_outcomes(lines: &Lines<'_>, key: &str) -> u64 {
    sum(&lines.iter().copied().filter(|line| line["event_type"] == "egress_outcome").collect(), key)
}

fn one(key: &str, count: usize) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), json!(count))])
}

fn row<const N: usize>(parts: [Map<String, Value>; N]) -> Value {
    Value::Object(parts.into_iter().flatten().collect())
}

fn table(rows: impl IntoIterator<Item = Value>) -> Value {
    json!({"rows": rows.into_iter().collect::<Vec<_>>(), "exact": true})
}

fn text<'l>(line: &'l Value, key: &str) -> &'l str {
    line[key].as_str().unwrap()
}

fn milliseconds(timestamp: &str) -> i64 {
    timestamp.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn timestamp(milliseconds: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(milliseconds).unwrap())
}
