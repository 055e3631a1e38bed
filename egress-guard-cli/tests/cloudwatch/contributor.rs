//! Rules of Contributor Insights: read, held against the audit schema, and asked about lines.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/ContributorInsights-RuleSyntax.html>. What this
//! project has no use for is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::fields;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Rule {
    schema: Schema,
    pub(crate) log_group_names: Vec<String>,
    log_format: String,
    contribution: Contribution,
    aggregate_on: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Schema {
    name: String,
    version: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Contribution {
    keys: Vec<String>,
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Filter {
    r#match: String,
    r#in: Vec<String>,
}

impl Rule {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rule: Self = serde_json::from_str(text).map_err(|error| format!("cannot be read: {error}"))?;
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), String> {
        let Self { schema, log_group_names, log_format, contribution: Contribution { keys, filters }, aggregate_on } =
            self;
        if (schema.name.as_str(), schema.version) != ("CloudWatchLogRule", 1) {
            return Err(format!("{schema:?} is not CloudWatchLogRule, 1"));
        }
        if log_group_names.is_empty() || log_group_names.iter().any(|name| name.is_empty() || name.contains('*')) {
            return Err("no log group, or more than are meant".to_owned());
        }
        if log_format != "JSON" || aggregate_on != "Count" {
            return Err(format!("{log_format} is not JSON, or {aggregate_on} not Count"));
        }
        if keys.is_empty() || keys.len() > 4 || filters.len() > 4 {
            return Err("no key, or more than four keys or filters".to_owned());
        }
        for key in keys {
            fields::kind(field(key)?)?;
        }
        for Filter { r#match, r#in } in filters {
            if r#in.is_empty() || r#in.len() > 10 {
                return Err("a filter by nothing, or by more than ten values".to_owned());
            }
            let name = field(r#match)?;
            r#in.iter().try_for_each(|value| fields::can_be(name, value))?;
        }
        Ok(())
    }

    /// The contributors, and how often each is counted. A line without one of the keys is nobody's.
    pub(crate) fn counts(&self, lines: &[String]) -> BTreeMap<Vec<String>, usize> {
        let mut counts = BTreeMap::new();
        for line in lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let text = |key: &str| line[field(key).unwrap()].as_str();
            let passes = |filter: &Filter| {
                text(&filter.r#match).is_some_and(|text| filter.r#in.iter().any(|value| value == text))
            };
            let keys: Option<Vec<String>> =
                self.contribution.keys.iter().map(|key| text(key).map(str::to_owned)).collect();
            if let Some(keys) = keys.filter(|_| self.contribution.filters.iter().all(passes)) {
                *counts.entry(keys).or_default() += 1;
            }
        }
        counts
    }
}

fn field(key: &str) -> Result<&str, String> {
    key.strip_prefix("$.").ok_or_else(|| format!("{key} does not begin with `$.`"))
}

#[test]
fn a_broken_rule_is_found() {
    let good = r#"{"Schema":{"Name":"CloudWatchLogRule","Version":1},"LogGroupNames":["a"],"LogFormat":"JSON","Contribution":{"Keys":["$.host"],"Filters":[{"Match":"$.action","In":["denied"]}]},"AggregateOn":"Count"}"#;
    assert!(Rule::parse(good).is_ok());
    for (from, to, why) in [
        ("}", "", "cannot be read"),
        ("Schema", "Schem", "cannot be read"),
        ("\"Version\":1", "\"Version\":2", "is not CloudWatchLogRule, 1"),
        ("LogGroupNames\":[\"a\"]", "LogGroupNames\":[]", "no log group"),
        ("LogGroupNames\":[\"a\"]", "LogGroupNames\":[\"*\"]", "more than are meant"),
        ("\"JSON\"", "\"CLF\"", "is not JSON"),
        ("\"Count\"", "\"Sum\"", "not Count"),
        ("[\"$.host\"]", "[]", "no key"),
        ("[\"$.host\"]", "[\"$.host\",\"$.port\",\"$.path\",\"$.stage\",\"$.client\"]", "more than four"),
        ("$.host", "host", "does not begin with"),
        ("$.host", "$.dst_host", "no audit line has `dst_host`"),
        ("$.action", "$.actoin", "no audit line has `actoin`"),
        ("\"denied\"", "\"deneid\"", "`action` is never \"deneid\""),
        ("[\"denied\"]", "[]", "by nothing"),
        ("\"In\"", "\"Contains\"", "cannot be read"),
        ("\"AggregateOn\"", "\"Aggregate\"", "cannot be read"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Rule::parse(&good.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains(why), "{to}: {error}");
    }
}
