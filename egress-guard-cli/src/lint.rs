//! `egress-guard lint`: what is wrong with a policy, and what somebody should look at.

mod checks;
mod code;
mod finding;
mod output;
mod ports;
mod source;

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub(crate) use checks::shared;

use checks::Settings;
use code::{Code, Level};
use finding::Finding;
use source::Source;

/// Say what is wrong with policies, and what somebody should look at, with place and cure.
///
/// Each file is judged on its own. Faults are what keeps a policy from being used; warnings are what a policy may have
/// and should not.
///
/// Exit status: 0 if there is nothing but warnings, 1 if there is a fault (or, with --deny-warnings, a warning), 2 if the
/// arguments are wrong or a file cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard lint policy.toml
  egress-guard lint --deny-warnings --allow any-method-any-path policies/*.toml
  egress-guard lint --format sarif policy.toml > policy.sarif")]
pub(crate) struct Lint {
    /// The policy files, TOML or (if the name ends in .json) JSON
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// Leave out the warnings of one code; may be repeated
    #[arg(long, value_name = "CODE", value_enum)]
    allow: Vec<Code>,
    /// Warn of rules that expire within this many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    soon: u16,
    /// Judge dates as on this day, as 2027-03-31, instead of today (UTC)
    #[arg(long, value_name = "DATE", value_parser = day)]
    today: Option<Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, with the lines of the file
    Text,
    /// One JSON object a line for each finding
    Json,
    /// One SARIF 2.1.0 log, for code scanning
    Sarif,
}

/// What was found in one file.
#[derive(Debug)]
struct Report {
    source: Source,
    findings: Vec<Finding>,
    /// How many more there are whose codes are allowed.
    left_out: usize,
}

impl Lint {
    /// Prints what is found in each file; true if nothing of it is denied.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let today = self.today.unwrap_or_else(|| TimeZone::UTC.to_datetime(Timestamp::now()).date());
        let settings = Settings { today, soon: self.soon };
        let (mut reports, mut unreadable) = (Vec::new(), Vec::new());
        for path in &self.files {
            match self.report(path, &settings) {
                Ok(report) => reports.push(report),
                Err(error) => unreadable.push((path.as_path(), error.to_string())),
            }
        }
        match self.print(&reports, &unreadable) {
            // Whoever reads has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        if !unreadable.is_empty() {
            let each = |(path, error): &(&Path, String)| {
                format!("{} cannot be read: {error}", crate::shown::shown(&path.display().to_string()))
            };
            return Err(unreadable.iter().map(each).collect::<Vec<_>>().join("\negress-guard: ").into());
        }
        let is_denied = |finding: &Finding| match finding.level() {
            Level::Fault => true,
            Level::Warning => self.deny_warnings,
            Level::Note => false,
        };
        Ok(!reports.iter().flat_map(|report| &report.findings).any(is_denied))
    }

    fn report(&self, path: &Path, settings: &Settings) -> io::Result<Report> {
        let bytes = std::fs::read(path)?;
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let mut findings = match std::str::from_utf8(&bytes) {
            Ok(text) => checks::lint(text, is_json, settings),
            Err(error) => vec![Finding::not_utf8(error.valid_up_to())],
        };
        let all = findings.len();
        findings.retain(|finding| finding.code.is_none_or(|code| !self.allow.contains(&code)));
        let left_out = all - findings.len();
        Ok(Report { source: Source::new(path, String::from_utf8_lossy(&bytes).into_owned()), findings, left_out })
    }

    fn print(&self, reports: &[Report], unreadable: &[(&Path, String)]) -> io::Result<()> {
        // Colours only for a terminal, and as NO_COLOR and its like say.
        let in_colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let mut output = io::BufWriter::new(io::stdout().lock());
        match self.format {
            Format::Text => output::text::print(&mut output, reports, in_colour)?,
            Format::Json => output::json::print(&mut output, reports)?,
            Format::Sarif => output::sarif::print(&mut output, reports, unreadable)?,
        }
        output.flush()
    }
}

/// Reads a day as policies write it: jiff alone would take further forms.
fn day(text: &str) -> Result<Date, String> {
    let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| is_plain).ok_or_else(|| "write a day as in 2027-03-31".to_owned())
}

/// The codes of all that is found in a policy, for tests of what makes policies.
#[cfg(test)]
pub(crate) fn codes(policy: &str) -> Vec<String> {
    let settings = Settings { today: TimeZone::UTC.to_datetime(Timestamp::now()).date(), soon: 30 };
    checks::lint(policy, false, &settings).iter().map(Finding::code_name).collect()
}
