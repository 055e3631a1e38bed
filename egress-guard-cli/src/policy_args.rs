//! Which policy is asked, and for which time: what the commands that ask one have in common.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use egress_guard::Policy;
use egress_guard::draft::PolicyDraft;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The policy file, TOML or (if its name ends in .json) JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The baseline that the policy narrows: a request needs both to allow it
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Decide as of a day (2027-03-31, at midnight UTC) or a time (2027-03-31T12:00:00Z) instead of now
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    at: Option<SystemTime>,
}

impl PolicyArgs {
    /// Reads the policy, narrowing the baseline if there is one.
    pub(crate) fn read(&self) -> Result<Policy, Box<dyn Error>> {
        let policy = Policy::from_file(&self.policy);
        match (self.baseline.as_ref().map(Policy::from_file), policy) {
            (Some(Err(baseline)), Err(policy)) => Err(format!("{baseline}\n{policy}").into()),
            (Some(baseline), policy) => Ok(baseline?.narrowed_by(policy?)),
            (None, policy) => Ok(policy?),
        }
    }

    /// The texts behind the layers of the policy, the outermost first.
    pub(crate) fn texts(&self) -> Result<Vec<LayerText<'_>>, Box<dyn Error>> {
        let layers = [("baseline", self.baseline.as_deref()), ("policy", Some(self.policy.as_path()))];
        layers.into_iter().filter_map(|(kind, file)| file.map(|file| LayerText::read(kind, file))).collect()
    }

    pub(crate) fn has_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    pub(crate) fn at(&self) -> Option<SystemTime> {
        self.at
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.at.unwrap_or_else(SystemTime::now)
    }
}

/// A layer as its owner wrote it.
#[derive(Debug)]
pub(crate) struct LayerText<'a> {
    /// `baseline` or `policy`.
    pub(crate) kind: &'static str,
    pub(crate) file: &'a Path,
    pub(crate) draft: PolicyDraft,
}

impl<'a> LayerText<'a> {
    fn read(kind: &'static str, file: &'a Path) -> Result<Self, Box<dyn Error>> {
        let read = if is_json(file) { PolicyDraft::from_json } else { PolicyDraft::from_toml };
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { kind, file, draft: read(&text)? })
    }

    pub(crate) fn is_json(&self) -> bool {
        is_json(self.file)
    }
}

/// Whether the library reads the file as JSON.
fn is_json(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Reads a day, which begins at midnight UTC, or a time with its offset.
pub(crate) fn parse_time(text: &str) -> Result<SystemTime, String> {
    // jiff reads a day out of longer texts too, and drops the rest.
    let is_day = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let time = if is_day {
        text.parse::<Date>().and_then(|day| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)))
    } else {
        text.parse::<Timestamp>()
    };
    time.and_then(SystemTime::try_from)
        .map_err(|_| "write a day, as in 2027-03-31, or a time with its offset, as in 2027-03-31T12:00:00Z".to_owned())
}

/// A time as RFC 3339 writes it.
pub(crate) fn show_time(time: SystemTime) -> String {
    Timestamp::try_from(time).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_has_an_offset() {
        let cases = [
            ("2027-03-31", Some("2027-03-31T00:00:00Z")),
            ("2027-03-31T12:00:00Z", Some("2027-03-31T12:00:00Z")),
            ("2027-03-31T12:00:00+02:00", Some("2027-03-31T10:00:00Z")),
            ("1969-07-20", Some("1969-07-20T00:00:00Z")),
            ("2027-03-31T12:00:00", None),
            ("2027-02-30", None),
            ("2027-3-31", None),
            ("20270331", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_time(text).ok().map(show_time).as_deref(), expected, "{text}");
        }
    }
}
