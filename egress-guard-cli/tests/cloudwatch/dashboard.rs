//! The body of a dashboard: whether CloudWatch shows it, and whether what it shows is there.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html>.

use serde_json::Value;

use crate::insights;

/// What a template makes that its dashboard can show.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) metrics: Vec<String>,
    /// The ARNs of its alarms, all of which must be shown.
    pub(crate) alarms: Vec<String>,
    pub(crate) rule: String,
    pub(crate) log_group: String,
}

pub(crate) fn check(body: &str, shown: &Shown) -> Result<(), String> {
    let body: Value = serde_json::from_str(body).map_err(|error| format!("cannot be read: {error}"))?;
    let widgets = body["widgets"].as_array().ok_or("no widgets")?;
    let mut cells = std::collections::HashSet::new();
    let mut alarms = Vec::new();
    for widget in widgets {
        let [x, y, width, height] = ["x", "y", "width", "height"].map(|key| widget[key].as_u64());
        let (Some(x), Some(y), Some(width @ 1..=24), Some(height @ 1..=1000)) = (x, y, width, height) else {
            return Err("no place, or no size".to_owned());
        };
        if x + width > 24 {
            return Err(format!("{x} and {width} are wider than 24"));
        }
        if !(x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))).all(|cell| cells.insert(cell)) {
            return Err("a widget lies over another".to_owned());
        }
        let properties = &widget["properties"];
        if properties["title"].as_str().is_none_or(str::is_empty) {
            return Err("no title".to_owned());
        }
        let region = || properties["region"].as_str().filter(|region| region.contains('-')).ok_or("no region");
        match widget["type"].as_str() {
            Some("alarm") => alarms.extend(properties["alarms"].as_array().ok_or("no alarms")?.iter().cloned()),
            Some("metric") => {
                region()?;
                check_metrics(properties, shown)?;
            }
            Some("log") => {
                region()?;
                let query = properties["query"].as_str().ok_or("no query")?;
                let source = format!("SOURCE '{}' | ", shown.log_group);
                let query = query.strip_prefix(&source).ok_or_else(|| format!("{query} is not from {source}"))?;
                insights::parse(query)?;
                if properties["view"] != "table" {
                    return Err("a query is shown as a table".to_owned());
                }
            }
            other => return Err(format!("{other:?} is no widget")),
        }
    }
    let mut missing = shown.alarms.iter().filter(|alarm| !alarms.contains(&Value::String((*alarm).clone())));
    if missing.next().is_some() || alarms.len() != shown.alarms.len() {
        return Err(format!("of {:?} it shows {alarms:?}", shown.alarms));
    }
    Ok(())
}

fn check_metrics(properties: &Value, shown: &Shown) -> Result<(), String> {
    if properties["view"] != "timeSeries" || properties["period"].as_u64().is_none_or(|period| period % 60 != 0) {
        return Err("no view, or a period that is no minutes".to_owned());
    }
    if let Some(rule) = properties.get("insightRule") {
        let count = rule["maxContributorCount"].as_u64().filter(|count| (1..=100).contains(count));
        return match (rule["ruleName"] == shown.rule.as_str(), count, rule["orderBy"].as_str()) {
            (true, Some(_), Some("Sum" | "Maximum")) => Ok(()),
            _ => Err(format!("{rule} is not {}", shown.rule)),
        };
    }
    if properties["stat"] != "Sum" {
        return Err("what is counted is summed".to_owned());
    }
    for metric in properties["metrics"].as_array().ok_or("no metrics")? {
        let parts = metric.as_array().ok_or("a metric is a list")?;
        let (options, parts): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_object());
        let parts: Vec<&str> = parts.into_iter().filter_map(Value::as_str).collect();
        match &parts[..] {
            ["EgressGuard", name] if shown.metrics.iter().any(|known| known == name) => {}
            ["AWS/Lambda", "Invocations", "FunctionName", function] if !function.is_empty() => {}
            other => return Err(format!("nobody makes the metric {other:?}")),
        }
        if options.len() != 1 || options[0]["label"].as_str().is_none_or(str::is_empty) {
            return Err(format!("{parts:?} has no label"));
        }
    }
    Ok(())
}

#[test]
fn a_broken_dashboard_is_found() {
    let good = r#"{"widgets":[
        {"type":"alarm","x":0,"y":0,"width":24,"height":3,"properties":{"title":"Alarms","alarms":["arn-1"]}},
        {"type":"metric","x":0,"y":3,"width":12,"height":6,"properties":{"title":"m","region":"eu-west-1","view":"timeSeries","stat":"Sum","period":300,"metrics":[["EgressGuard","Denials",{"label":"denied"}]]}},
        {"type":"metric","x":12,"y":3,"width":12,"height":6,"properties":{"title":"r","region":"eu-west-1","view":"timeSeries","period":300,"insightRule":{"ruleName":"rule","maxContributorCount":10,"orderBy":"Sum"}}},
        {"type":"log","x":0,"y":9,"width":24,"height":6,"properties":{"title":"l","region":"eu-west-1","view":"table","query":"SOURCE 'group' | filter action = \"denied\""}}]}"#;
    let shown = Shown {
        metrics: vec!["Denials".to_owned()],
        alarms: vec!["arn-1".to_owned()],
        rule: "rule".to_owned(),
        log_group: "group".to_owned(),
    };
    assert_eq!(check(good, &shown), Ok(()));
    for (from, to, why) in [
        ("]}", "]", "cannot be read"),
        ("widgets", "widget", "no widgets"),
        ("\"type\":\"log\"", "\"type\":\"logs\"", "is no widget"),
        ("\"x\":12", "\"x\":13", "wider than 24"),
        ("\"x\":12", "\"x\":11", "lies over another"),
        ("\"height\":3", "\"height\":4", "lies over another"),
        ("\"width\":24", "\"wide\":24", "no place"),
        ("\"title\":\"m\",", "", "no title"),
        ("\"region\":\"eu-west-1\",", "", "no region"),
        ("arn-1", "arn-2", "it shows"),
        ("Denials", "Denial", "nobody makes the metric"),
        ("\"EgressGuard\"", "\"EgresGuard\"", "nobody makes the metric"),
        (",{\"label\":\"denied\"}", "", "has no label"),
        ("\"stat\":\"Sum\"", "\"stat\":\"Average\"", "is summed"),
        ("\"period\":300", "\"period\":45", "no minutes"),
        ("\"ruleName\":\"rule\"", "\"ruleName\":\"other\"", "is not rule"),
        ("'group'", "'other'", "is not from"),
        ("action = ", "actoin = ", "no audit line has `actoin`"),
        ("\"view\":\"table\"", "\"view\":\"pie\"", "as a table"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = check(&good.replacen(from, to, 1), &shown).expect_err(to);
        assert!(error.contains(why), "{to}: {error}");
    }
}
