//! The machine, as far as numbers depend on it.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::page::root;

#[derive(Debug, Deserialize, Serialize, PartialEq)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) is_virtual: bool,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    /// The library's commit.
    pub(crate) commit: String,
    pub(crate) day: String,
    /// How many processes wanted to run, over the minute before the measurement.
    pub(crate) load: f64,
    /// Whether this is a trial, whose numbers say little.
    pub(crate) quick: bool,
}

impl Machine {
    pub(crate) fn now(quick: bool) -> Result<Self, Failure> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let cpu_line = |key: &str| {
            let line = cpu.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cpu: cpu_line("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism()?.get(),
            is_virtual: cpu_line("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            rustc: said("rustc", &["--version"])?,
            commit: said("git", &["describe", "--always", "--dirty", "--exclude", "*"]).unwrap_or("unknown".to_owned()),
            day: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            load: load.split(' ').next().unwrap_or_default().parse()?,
            quick,
        })
    }

    /// Whether so much else ran that it matters. The measurements themselves leave a load of about one process.
    pub(crate) fn is_busy(&self) -> bool {
        self.load > 1.5
    }
}

fn said(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output = Command::new(program).args(arguments).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(format!("{program}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
