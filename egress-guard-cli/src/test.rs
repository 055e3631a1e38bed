//! `egress-guard test`: does the policy still say what its owner expects of it?

mod cases;
mod said;

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use egress_guard::{Policy, Reason};
use serde::Serialize;

use crate::answer::Asked;
use crate::explain::{Explained, in_short};
use crate::policy_args::{LayerText, PolicyArgs, show_time};
use crate::shown::shown;
use cases::Case;
use said::Said;

/// Ask a policy about requests whose answers are written down beside it.
///
/// A file of cases lists requests, and for each what is expected: "allowed", "denied", or "reported" for what would be
/// denied if the policy or the rule were enforced.
///
/// Exit status: 0 if every answer is the expected one, 1 if one is not, 2 if the arguments, the policy or a file of
/// cases are wrong.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard test --policy policy.toml cases.toml
  egress-guard test --policy policy.toml --baseline baseline.toml --at 2027-03-31 --format json cases/*.toml

A file of cases:
  [[case]]
  name = \"the partner's API\"                              # optional
  request = \"POST https://api.payments.example/v1/charges\"
  resolve = \"203.0.114.7\"                                 # optional: what the name resolves to
  expect = \"allowed\"
  rule = \"payments-api\"                                   # optional: and by this rule

  [[case]]
  requests = [\"GET https://api.payments.example/admin\", \"GET http://api.payments.example/v1/charges\"]
  at = 2027-01-01                                         # optional: instead of now, or of --at
  expect = \"denied\"
  reason = \"host-not-allowed\"                             # optional: and for this reason
  policy = \"orders\"                                       # optional: and by this policy, not its baseline")]
pub(crate) struct Test {
    #[command(flatten)]
    policy: PolicyArgs,
    /// How to print the results
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The files of cases
    #[arg(value_name = "CASES", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each case, and an explanation of each failure
    Text,
    /// One JSON object
    Json,
}

impl Test {
    /// Prints a result for each case; true if all are as expected.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let policy = self.policy.read()?;
        let texts = self.policy.texts()?;
        let cases = cases::read_all(&self.files)?;
        let summary = Summary::of(cases.iter().map(|case| self.result(case, &policy)).collect());
        let mut output = io::stdout().lock();
        let printed = match self.format {
            Format::Text => output.write_all(self.text(&summary, &policy, &texts).as_bytes()),
            Format::Json => {
                serde_json::to_writer(&mut output, &summary).map_err(Into::into).and_then(|()| output.write_all(b"\n"))
            }
        };
        match printed.and_then(|()| output.flush()) {
            // Whoever reads has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            printed => printed?,
        }
        Ok(summary.failed == 0)
    }

    fn result<'a>(&self, case: &'a Case, policy: &Policy) -> CaseResult<'a> {
        let Case { method, resolve, expected, .. } = case;
        let got = match &case.destination {
            Ok(destination) => {
                let (_, decision) = Asked { method, destination, resolve: *resolve }.decide(policy, self.now(case));
                Said::from(decision)
            }
            Err(error) => Said::denied(Reason::from(error)),
        };
        CaseResult {
            file: &case.file,
            line: case.line,
            name: case.name.as_deref(),
            request: &case.request,
            resolve: resolve.map(|ip| ip.to_string()),
            at: case.at.map(show_time),
            passed: got.is_as(expected),
            expected,
            got,
            case,
        }
    }

    fn now(&self, case: &Case) -> SystemTime {
        case.at.unwrap_or_else(|| self.policy.now())
    }

    fn text(&self, summary: &Summary<'_>, policy: &Policy, texts: &[LayerText<'_>]) -> String {
        let mut lines = Vec::new();
        let mut file = None;
        for result in &summary.cases {
            if file.replace(result.file) != Some(result.file) {
                let count = summary.cases.iter().filter(|other| other.file == result.file).count();
                let s = if count == 1 { "" } else { "s" };
                lines.push(format!("running {count} case{s} of {}", shown(result.file)));
            }
            lines.push(format!("test {} ... {}", result.title(), if result.passed { "ok" } else { "FAILED" }));
        }
        for result in summary.cases.iter().filter(|result| !result.passed) {
            lines.push(String::new());
            lines.push(format!("{} ({}, line {})", result.title(), shown(result.file), result.line));
            lines.push(format!("  expected  {}", result.expected.sentence()));
            lines.push(format!("  got       {}", result.got.sentence()));
            let explained = self.explain(result.case, policy, texts);
            lines.extend(in_short(&explained).iter().flat_map(|text| text.lines()).map(|line| format!("  {line}")));
        }
        lines.push(format!("\n{} passed, {} failed\n", summary.passed, summary.failed));
        lines.join("\n")
    }

    fn explain<'a>(&self, case: &'a Case, policy: &Policy, texts: &[LayerText<'_>]) -> Explained<'a> {
        let Case { method, url, resolve, .. } = case;
        match &case.destination {
            Ok(destination) => {
                let asked = Asked { method, destination, resolve: *resolve };
                Explained::new(url, &asked, policy, texts, self.now(case))
            }
            Err(error) => Explained::invalid(url, method, error),
        }
    }
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    passed: usize,
    failed: usize,
    cases: Vec<CaseResult<'a>>,
}

impl<'a> Summary<'a> {
    fn of(cases: Vec<CaseResult<'a>>) -> Self {
        let passed = cases.iter().filter(|case| case.passed).count();
        Self { passed, failed: cases.len() - passed, cases }
    }
}

#[derive(Debug, Serialize)]
struct CaseResult<'a> {
    file: &'a str,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    request: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolve: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    passed: bool,
    expected: &'a Said,
    got: Said,
    #[serde(skip)]
    case: &'a Case,
}

impl CaseResult<'_> {
    fn title(&self) -> String {
        let name = self.name.map(|name| format!("{}: ", shown(name))).unwrap_or_default();
        format!("{name}{}", shown(self.request))
    }
}
