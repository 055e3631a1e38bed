//! `egress-guard verify`: is the audit still what was written, and all of it?

mod finding;
mod log;
mod order;
mod print;
mod report;

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use egress_guard::ChainKey;

use crate::logs::LogArgs;
use log::Log;
use report::Report;

/// Say whether audit lines are still what was written, and all of it.
///
/// For lines that `JsonLines::chained` has written. The files may come in any order, and lines in the order of
/// writing or of their times. Without a key no MAC is checked, only what is missing, doubled or moved; of lines without a
/// chain, only gaps and doubles in their numbers.
///
/// The key is read from --key-file, or else from the environment variable `EGRESS_GUARD_AUDIT_KEY`: 32 bytes or more in hex
/// or base64.
///
/// Exit status: 0 if nothing was found, 1 if something was, 2 if a log or the key cannot be read, or there is no audit
/// line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard verify --key-file audit.key exported/
  aws logs tail /aws/lambda/orders --since 1d --format short | egress-guard verify --key-file audit.key --partial
  EGRESS_GUARD_AUDIT_KEY=$(pass audit) egress-guard verify --json orders.log.gz")]
pub(crate) struct Verify {
    /// A file with the key; may be repeated, for logs from before and after a change of keys
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// The logs begin in the middle: what is missing before the first line of a chain is only noted
    #[arg(long)]
    partial: bool,
    /// List each chain, and where it ends
    #[arg(long)]
    chains: bool,
    /// Print one JSON object a line: for each finding, each chain, and the whole
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    logs: LogArgs,
}

impl Verify {
    /// Prints what is found; true if that is nothing.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let mut log = Log::new(self.keys()?);
        let tally = self.logs.read(|entry| {
            log.read(entry);
            Ok(())
        })?;
        if log.is_empty() {
            return Err(format!("no audit line in what was read, of {} lines", tally.lines).into());
        }
        let report = Report::of(log, self.partial);
        let printed = if self.json { print::json(&report)? } else { print::text(&report, self.chains).into_bytes() };
        crate::output::print(&printed)?;
        Ok(report.is_clean())
    }

    fn keys(&self) -> Result<Vec<ChainKey>, Box<dyn Error>> {
        if !self.key_file.is_empty() {
            return self.key_file.iter().map(|path| key_in(path)).collect();
        }
        match std::env::var_os(ChainKey::VARIABLE) {
            Some(_) => Ok(vec![ChainKey::from_env()?]),
            None => Ok(Vec::new()),
        }
    }
}

fn key_in(path: &Path) -> Result<ChainKey, Box<dyn Error>> {
    let name = crate::shown::shown(&path.display().to_string());
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    text.parse().map_err(|error| format!("{name}: {error}").into())
}
