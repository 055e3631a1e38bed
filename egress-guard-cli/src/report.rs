//! `egress-guard report`: where did functions talk to?

mod count;
mod environments;
mod html;
mod in_force;
mod model;
mod numbers;
mod rows;
mod table;
mod text;
mod timeline;

use std::error::Error;
use std::io::{self, Write};
use std::time::SystemTime;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::logs::LogArgs;
use crate::output::write_json;
use crate::policy_args::parse_time;
use count::Counting;
pub(crate) use model::REPORT_SCHEMA;
use model::{Filter, Report, Time};

/// Say where functions talked to, by the lines of the audit: what was denied, what enforcing would deny, each function's
/// destinations by rule and boundary, how requests ended, and when.
///
/// Logs of any length are read in one pass, in memory that does not grow with them.
///
/// Exit status: 0 if the logs are read, 2 if the arguments are wrong or a log cannot be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard report logs/
  egress-guard report --function orders --since 2027-03-31 --until 2027-04-01 export/*.gz
  aws logs tail /aws/lambda/orders --since 1d --format short | egress-guard report
  egress-guard report --format json logs/ | jq .denials")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Count only the lines of this function, and of its environments outside of invocations; may be repeated
    #[arg(long, value_name = "NAME")]
    function: Vec<String>,
    /// Count only lines from a day (2027-03-31, at midnight UTC) or a time (2027-03-31T12:00:00Z) on
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    since: Option<SystemTime>,
    /// Count only lines before a day or a time
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    until: Option<SystemTime>,
    /// The rows of each table; what others come to is said below [default: 20 in text, 50 in HTML, all in JSON]
    #[arg(long, value_name = "ROWS")]
    top: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object, as `egress-guard schema report` explains it
    Json,
    /// One page for a browser, with pictures, that needs nothing else
    Html,
}

impl ReportArgs {
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let report = self.report()?;
        match self.print(&report) {
            // Whoever reads has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(true),
        }
    }

    fn report(&self) -> Result<Report, Box<dyn Error>> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err("--until is not after --since: no line can be selected".into());
        }
        let time = |time: Option<SystemTime>| time.map(Timestamp::try_from).transpose();
        let filter = Filter {
            functions: self.function.clone(),
            since: time(self.since)?.map(|since| Time(since.as_millisecond())),
            until: time(self.until)?.map(|until| Time(until.as_millisecond())),
            // What is said beside the tables is of all rows.
            top: self.top.filter(|_| self.format == Format::Json),
        };
        let mut counting = Counting::new(filter);
        let tally = self.logs.read(|entry| {
            counting.entry(&entry);
            Ok(())
        })?;
        Ok(counting.into_report(&tally))
    }

    fn print(&self, report: &Report) -> io::Result<()> {
        // Colours only for a terminal, and as NO_COLOR and its like say.
        let in_colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let mut output = io::BufWriter::new(io::stdout().lock());
        match self.format {
            Format::Text => text::print(&mut output, report, self.top.unwrap_or(20), in_colour)?,
            Format::Json => write_json(&mut output, report)?,
            Format::Html => html::print(&mut output, report, self.top.unwrap_or(50))?,
        }
        output.flush()
    }
}
