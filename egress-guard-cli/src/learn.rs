//! `egress-guard learn`: the smallest policy that allows what a function has sent.

mod aws;
mod base;
mod learning;
mod line;
mod paths;
mod reading;
mod rules;
mod summary;
mod traffic;
mod usage;
mod write;

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use egress_guard::Policy;

use crate::logs::LogArgs;
use crate::shown::shown;
use base::Base;
use learning::Learning;
use reading::Read;
use usage::counted;

/// Write the smallest policy that allows what audit lines say was sent, best by a report-only run.
///
/// What was denied is not learnt, nor what a deny rule or the end of a rule was reported for, nor metadata services. The
/// policy is tried on every request before it is printed. Review it: whoever could write into the log could have it say
/// anything.
///
/// Exit status: 0 if all that was sent is allowed, 1 if some of it is not, or a line is not whole or of an unknown function
/// (standard error says what; the policy is written all the same), 2 if the arguments are wrong, a log or a policy cannot be
/// read, or there is nothing to learn.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard learn -o policy.toml orders.log
  egress-guard learn --function orders exported/
  aws logs tail /aws/lambda/orders --since 7d --format short | egress-guard learn --name orders
  egress-guard learn --merge policy.toml --in-place orders.log.gz")]
pub(crate) struct Learn {
    #[command(flatten)]
    logs: LogArgs,
    /// Learn from this function's lines alone, and those of its environments outside of an invocation; may be repeated
    #[arg(long, value_name = "NAME")]
    function: Vec<String>,
    /// Learn from the lines of this policy alone; may be repeated
    #[arg(long, value_name = "NAME")]
    policy_id: Vec<String>,
    /// The name of the policy [default: the one that the lines name]
    #[arg(long, value_name = "NAME", conflicts_with = "merge")]
    name: Option<String>,
    /// Add what is missing to this policy, in TOML, and mark the rules that nothing used; all else in it stays as it is
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    /// Write the result back to the file of --merge
    #[arg(long, requires = "merge", conflicts_with = "output")]
    in_place: bool,
    /// Write the policy to this file, which must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, requires = "output")]
    force: bool,
    /// Write one `*.` for so many names side by side that are used alike, and `*` for so many first segments of paths that
    /// are ids, if you know that they have one owner; 0 writes none
    #[arg(long, value_name = "N", default_value_t = 0)]
    wildcard_from: usize,
    /// List so many paths of a host and port before folders become `**`
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    max_paths: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number from 1 on".to_owned())
}

impl Learn {
    /// Writes the policy; true if it allows all that was sent, and that is known.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let base = self.merge.as_deref().map(Base::read).transpose()?;
        if let Some(name) = &self.name {
            Policy::builder(name).build().map_err(|error| format!("--name {name:?} cannot be taken: {error}"))?;
        }
        let read = Read::logs(&self.logs, &self.function, &self.policy_id)?;
        let base = match base {
            Some(base) => base,
            None => Base::of(&self.head(&read))?,
        };
        let learning = Learning::of(&read, base, self.wildcard_from, self.max_paths)?;
        self.write(&learning.policy)?;
        summary::print(&read, &learning, self.merge.is_some())?;
        let is_all_read = read.torn == 0 && read.outside() == 0;
        Ok(is_all_read && read.refused.is_empty() && learning.standing.is_empty())
    }

    /// A policy without a rule.
    fn head(&self, read: &Read) -> String {
        let mut names = read.policies.iter().filter(|name| Policy::builder(name.as_str()).build().is_ok());
        let name = match (&self.name, names.next(), names.next()) {
            (Some(name), ..) | (None, Some(name), None) => name,
            _ => "learnt",
        };
        let (all, what) = read.all();
        let (sent, by) = (counted(all.count, what), shown(&all.by()));
        format!(
            "# Learnt by `egress-guard learn` from {sent} in {}{by}.\n\
             #\n\
             # It allows what the log says was sent, and whoever could write into the log could have it say anything. Review\n\
             # each rule, and write its `reason` and `owner`. To try it out first, write mode = \"report-only\" and\n\
             # report_only_until, a day, below the name.\n\
             version = 1\n\
             name = \"{name}\"\n",
            all.days()
        )
    }

    fn write(&self, policy: &str) -> Result<(), Box<dyn Error>> {
        match (&self.output, self.merge.as_deref().filter(|_| self.in_place)) {
            (Some(path), _) => {
                let written = if self.force && path.is_file() {
                    replace(path, policy)
                } else {
                    let file = if self.force { File::create(path) } else { File::create_new(path) };
                    file.and_then(|mut file| file.write_all(policy.as_bytes()))
                };
                written.map_err(|error| {
                    let exists = error.kind() == io::ErrorKind::AlreadyExists;
                    format!(
                        "{} cannot be written: {error}{}",
                        path.display(),
                        if exists { "; --force replaces it" } else { "" }
                    )
                    .into()
                })
            }
            (None, Some(path)) => replace(path, policy)
                .map_err(|error| format!("{} cannot be written, and is as it was: {error}", path.display()).into()),
            (None, None) => Ok(crate::output::print(policy.as_bytes())?),
        }
    }
}

/// Replaces a file as a whole, so that nobody reads half of a policy.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path)? == text.as_bytes() {
        return Ok(());
    }
    // What a link leads to, and not the link.
    let path = path.canonicalize()?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new)))
}

#[cfg(test)]
mod tests;
