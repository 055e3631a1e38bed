//! `egress-guard cloudwatch`: metrics, alarms, a dashboard and queries on the audit lines, as a CloudFormation template.

use std::collections::BTreeSet;
use std::error::Error;
use std::str::FromStr;

use askama::Template;
use clap::Args;

use crate::output;

/// Print a CloudFormation template that watches the audit lines in CloudWatch.
///
/// It makes metrics of denials, of what would be denied, of posture lines and of invocations that were summed up; alarms on
/// denials, on a quarantine, on a posture that needs a look and on functions that are invoked while the guard says nothing;
/// a rule of Contributor Insights for the destinations that are denied most; a dashboard; and saved queries of Logs
/// Insights. The log group must be there already.
///
/// Exit status: 0 if it is printed, 2 if the arguments are wrong or it cannot be written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard cloudwatch --function orders > egress-guard-orders.yaml
  aws cloudformation deploy --stack-name egress-guard-orders --template-file egress-guard-orders.yaml
  egress-guard cloudwatch --function orders --function billing --log-group /shop/functions > egress-guard-shop.yaml")]
pub(crate) struct CloudWatch {
    /// A function's name, without version or alias; several times, if they write to one log group
    #[arg(long = "function", value_name = "NAME", required = true)]
    functions: Vec<FunctionName>,
    /// The log group that has their lines; of one function /aws/lambda/NAME
    #[arg(long, value_name = "NAME")]
    log_group: Option<LogGroupName>,
    /// Expect no summary lines: without `guard.lambda_layer()` there are none, and a log level above INFO drops them
    #[arg(long)]
    no_summaries: bool,
    /// The functions run on Lambda Managed Instances, where an environment can go for days without a posture line
    #[arg(long, conflicts_with = "no_summaries")]
    managed_instances: bool,
}

/// What a template file may have, without a bucket of S3 to carry it.
const MAX_TEMPLATE: usize = 51_200;

impl CloudWatch {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let log_group = self.log_group()?;
        let several = self.functions.len() > 1;
        let number = |index: usize| if several { (index + 1).to_string() } else { String::new() };
        let functions = self.functions.iter().enumerate();
        let template = Page {
            log_group: &log_group.0,
            functions: functions.map(|(index, name)| Function { number: number(index), name: &name.0 }).collect(),
            has_summaries: !self.no_summaries,
            // Posture lines do not name the function.
            has_posture_alarm: !several && !self.managed_instances,
            denials: in_widget(DENIALS)?,
            in_force: in_widget(IN_FORCE)?,
            queries: QUERIES,
        };
        let text = template.render()? + "\n";
        if text.len() > MAX_TEMPLATE {
            return Err(format!(
                "the template for {} functions has {} bytes, and CloudFormation takes {MAX_TEMPLATE} from a file: print one for \
                 some of them, and one for the others",
                self.functions.len(),
                text.len()
            )
            .into());
        }
        output::print(text.as_bytes())?;
        Ok(true)
    }

    /// The log group, if the arguments go together.
    fn log_group(&self) -> Result<LogGroupName, &'static str> {
        let distinct: BTreeSet<&str> = self.functions.iter().map(|name| name.0.as_str()).collect();
        if distinct.len() < self.functions.len() {
            return Err("a function is there twice: name each once");
        }
        match (&self.log_group, self.functions.as_slice()) {
            (_, [_, _, ..]) if self.no_summaries => Err(NO_SUMMARIES_OF_SEVERAL),
            (Some(log_group), _) => Ok(log_group.clone()),
            (None, [FunctionName(name)]) => Ok(LogGroupName(format!("/aws/lambda/{name}"))),
            (None, _) => Err(NO_LOG_GROUP_OF_SEVERAL),
        }
    }
}

const NO_SUMMARIES_OF_SEVERAL: &str = "--no-summaries with several functions: only summary lines tell which of them has \
                                       a guard; print a template for each, with a log group of its own";
const NO_LOG_GROUP_OF_SEVERAL: &str = "several functions, and no --log-group: name the one that they write to, or print a \
                                       template for each";

#[derive(Debug, Template)]
#[template(path = "cloudwatch.yaml", escape = "none")]
struct Page<'a> {
    log_group: &'a str,
    functions: Vec<Function<'a>>,
    has_summaries: bool,
    has_posture_alarm: bool,
    denials: String,
    in_force: String,
    queries: &'a [Query],
}

#[derive(Debug)]
struct Function<'a> {
    /// Behind the names of its parameter, metrics and alarm, if there are several.
    number: String,
    name: &'a str,
}

/// A query of Logs Insights that is saved with the template.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) name: &'static str,
    /// The beginning of its name in the template.
    resource: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! query {
    ($resource:literal, $name:literal) => {
        Query { name: $name, resource: $resource, text: include_str!(concat!("cloudwatch/insights/", $name, ".txt")) }
    };
}

const DENIALS: &Query = &query!("Denials", "denials");
const IN_FORCE: &Query = &query!("InForce", "in-force");
pub(crate) const QUERIES: &[Query] = &[
    query!("Functions", "functions"),
    query!("Destinations", "destinations"),
    query!("Denials", "denials"),
    query!("WouldBeDenied", "would-be-denied"),
    query!("Rules", "rules"),
    query!("Outcomes", "outcomes"),
    query!("Traffic", "traffic"),
    query!("Timeline", "timeline"),
    query!("InForce", "in-force"),
    query!("Request", "request"),
    query!("FirstDenials", "first-denials"),
    query!("AfterDenial", "after-denial"),
    query!("LostLines", "lost-lines"),
];

/// The query of a widget, as a JSON string; a widget names its log group itself, and shows no comments.
fn in_widget(query: &Query) -> serde_json::Result<String> {
    let lines = query.text.lines().filter(|line| !line.starts_with('#'));
    serde_json::to_string(&format!("SOURCE '${{LogGroupName}}' | {}", lines.collect::<Vec<_>>().join("\n")))
}

/// The name of a Lambda function. Nothing in it means anything to YAML, JSON, a filter pattern or `Fn::Sub`.
#[derive(Clone, Debug)]
struct FunctionName(String);

impl FromStr for FunctionName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_name = |name: &str| is_of(name, "-_") && name.len() <= 64;
        if is_name(name) {
            return Ok(Self(name.to_owned()));
        }
        // `arn:aws:lambda:REGION:ACCOUNT:function:NAME`, and a version or alias behind a name.
        let parts: Vec<&str> = name.split(':').collect();
        let bare = match parts.as_slice() {
            ["arn", _, "lambda", _, _, "function", bare, ..] | [bare, _] => Some(*bare).filter(|bare| is_name(bare)),
            _ => None,
        };
        Err(match bare {
            Some(bare) => format!("write its name alone: {bare}"),
            None => "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`".to_owned(),
        })
    }
}

/// The name of a log group; the same holds.
#[derive(Clone, Debug)]
struct LogGroupName(String);

impl FromStr for LogGroupName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if is_of(name, "-_./#") && name.len() <= 512 {
            return Ok(Self(name.to_owned()));
        }
        Err(match name.split(":log-group:").nth(1).and_then(|rest| rest.split(':').next()) {
            Some(bare) if is_of(bare, "-_./#") => format!("write its name alone: {bare}"),
            _ => "a log group's name is 1 to 512 of A-Z, a-z, 0-9, `-`, `_`, `.`, `/` and `#`".to_owned(),
        })
    }
}

/// Whether a name has only ASCII letters, digits and these.
fn is_of(name: &str, others: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || others.contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_right_one() {
        let function = |name: &str| name.parse::<FunctionName>().map_or_else(|error| error, |name| name.0);
        let log_group = |name: &str| name.parse::<LogGroupName>().map_or_else(|error| error, |name| name.0);
        let of_64 = "a".repeat(64);
        for (asked, expected) in [
            ("orders_2-b", "orders_2-b"),
            (&of_64, &of_64),
            ("orders:live", "write its name alone: orders"),
            ("arn:aws:lambda:eu-west-1:111122223333:function:orders", "write its name alone: orders"),
            ("arn:aws-cn:lambda:cn-north-1:111122223333:function:orders:7", "write its name alone: orders"),
            ("", "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
            (&"a".repeat(65), "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
            ("a\"b", "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
            ("a\nb", "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
            ("${AWS::Region}", "a function's name is 1 to 64 of A-Z, a-z, 0-9, `-` and `_`"),
        ] {
            assert_eq!(function(asked), expected, "{asked}");
        }
        for (asked, expected) in [
            ("/aws/lambda/orders", "/aws/lambda/orders"),
            ("a.b#c", "a.b#c"),
            ("arn:aws:logs:eu-west-1:111122223333:log-group:/a/b:*", "write its name alone: /a/b"),
            ("a b", "a log group's name is 1 to 512 of A-Z, a-z, 0-9, `-`, `_`, `.`, `/` and `#`"),
            ("/a/*", "a log group's name is 1 to 512 of A-Z, a-z, 0-9, `-`, `_`, `.`, `/` and `#`"),
            ("a'b", "a log group's name is 1 to 512 of A-Z, a-z, 0-9, `-`, `_`, `.`, `/` and `#`"),
        ] {
            assert_eq!(log_group(asked), expected, "{asked}");
        }
    }
}
