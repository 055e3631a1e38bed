//! `egress-guard check`: would the policy allow these requests?

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::net::IpAddr;

use clap::Args;
use egress_guard::Policy;
use http::Method;

use crate::answer::{Answer, Asked};
use crate::policy_args::PolicyArgs;

/// Say whether a policy allows requests to URLs.
///
/// A name is judged as it stands: whether its addresses are allowed is only known with --resolve.
///
/// Exit status: 0 if all are allowed, 1 if one is denied or invalid, 2 if the arguments or the policy are wrong. What
/// would be denied, and is only reported, is allowed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard check --policy policy.toml https://api.payments.example/v1/charges
  egress-guard check --policy policy.toml --method POST --resolve 10.0.0.5 https://api.payments.example/
  egress-guard check --policy policy.toml --baseline baseline.toml --at 2027-03-31 https://api.payments.example/
  egress-guard check --policy policy.toml --json < urls.txt")]
pub(crate) struct Check {
    #[command(flatten)]
    policy: PolicyArgs,
    /// The method of the requests
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: Method,
    /// Judge as if every name had resolved to this address
    #[arg(long, value_name = "ADDR")]
    resolve: Option<IpAddr>,
    /// Print one JSON object for each URL
    #[arg(long)]
    json: bool,
    /// The URLs; `-`, or none, reads one from each line of standard input
    #[arg(value_name = "URL")]
    urls: Vec<String>,
}

impl Check {
    /// Prints an answer for each URL; true if all are allowed.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let policy = self.policy.read()?;
        let mut output = io::stdout().lock();
        let mut all_allowed = true;
        let mut print = |url: &str| -> io::Result<()> {
            let answer = self.answer(&policy, url);
            all_allowed &= answer.is_allowed();
            self.print(&mut output, &answer)
        };
        let printed = match self.urls.as_slice() {
            [] => each_line(print),
            [dash] if dash == "-" => each_line(print),
            urls => urls.iter().try_for_each(|url| print(url)),
        };
        match printed {
            // Whoever reads has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(all_allowed),
            printed => printed.map(|()| all_allowed).map_err(Into::into),
        }
    }

    fn answer<'a>(&self, policy: &Policy, url: &'a str) -> Answer<'a> {
        let destination = match url.parse() {
            Ok(destination) => destination,
            Err(error) => return Answer::invalid(url, &error),
        };
        let asked = Asked { method: &self.method, destination: &destination, resolve: self.resolve };
        let (_, decision) = asked.decide(policy, self.policy.now());
        let answer = Answer::new(url, &destination, &decision);
        // Of one policy it is plain.
        Answer { policy: answer.policy.filter(|_| self.policy.has_baseline()), ..answer }
    }

    fn print(&self, output: &mut impl Write, answer: &Answer<'_>) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut *output, answer)?;
        } else {
            let why = answer.reason.map_or_else(|| answer.rule_id.clone(), |reason| Some(reason.to_string()));
            let why = why.unwrap_or_default();
            let action = if answer.would_deny.is_some() { "reported" } else { answer.action };
            // A URL from anywhere must not steer the terminal.
            write!(output, "{action:8} {why:24}  {}", answer.url.escape_debug())?;
            if let Some(explanation) = &answer.explanation {
                write!(output, "  ({explanation})")?;
            }
        }
        output.write_all(b"\n")?;
        output.flush()
    }
}

/// Calls `print` with each line of standard input, one at a time.
fn each_line(mut print: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        print(&String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)))?;
        line.clear();
    }
    Ok(())
}
