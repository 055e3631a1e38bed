//! Which files are read, and how far that is.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};
use walkdir::WalkDir;

use super::name_of;

/// A file, or standard input.
#[derive(Debug)]
pub(super) enum LogFile {
    StandardInput,
    At(PathBuf),
}

impl LogFile {
    pub(super) fn name(&self) -> String {
        match self {
            Self::StandardInput => "standard input".to_owned(),
            Self::At(path) => name_of(path),
        }
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::StandardInput => Box::new(io::stdin().lock()),
            Self::At(path) => Box::new(File::open(path)?),
        })
    }
}

/// The files of the logs, those of a folder by their names.
pub(super) fn find(logs: &[PathBuf]) -> Result<Vec<LogFile>, Box<dyn Error>> {
    if logs.is_empty() {
        return Ok(vec![LogFile::StandardInput]);
    }
    let mut files = Vec::new();
    for log in logs {
        if log.as_os_str() == "-" {
            files.push(LogFile::StandardInput);
            continue;
        }
        let before = files.len();
        for entry in WalkDir::new(log).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| in_words(log, error))?;
            if !entry.file_type().is_dir() {
                files.push(LogFile::At(entry.into_path()));
            }
        }
        if files.len() == before {
            return Err(format!("{}: a folder without a file", name_of(log)).into());
        }
    }
    Ok(files)
}

fn in_words(log: &Path, error: walkdir::Error) -> String {
    let path = name_of(error.path().unwrap_or(log));
    match error.into_io_error() {
        Some(error) if error.kind() == io::ErrorKind::NotFound => format!("{path}: No such file or directory"),
        Some(error) => format!("{path}: {error}"),
        None => format!("{path}: a link to a folder that it is in"),
    }
}

/// How much of the files has been read, shown where standard error is a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of(files: &[LogFile]) -> Result<Self, Box<dyn Error>> {
        let size = |file: &LogFile| match file {
            LogFile::StandardInput => None,
            LogFile::At(path) => path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()),
        };
        let bar = match files.iter().map(size).sum::<Option<u64>>() {
            Some(bytes) => ProgressBar::new(bytes).with_style(ProgressStyle::with_template(
                "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
            )?),
            None => ProgressBar::no_length()
                .with_style(ProgressStyle::with_template("{spinner} {binary_bytes} read, {binary_bytes_per_sec}")?),
        };
        Ok(Self(bar))
    }

    pub(super) fn follow<R: Read>(&self, input: R) -> ProgressBarIter<R> {
        self.0.wrap_read(input)
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
