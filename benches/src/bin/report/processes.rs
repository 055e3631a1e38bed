//! Other processes: cargo, and the ones that must not count as the client's.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Failure;
use crate::page::root;

/// Cargo, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(arguments).current_dir(root());
    cargo
}

/// Runs to the end, or fails.
pub(crate) fn finish(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

/// Builds the other programs of this crate.
pub(crate) fn build() -> Result<(), Failure> {
    finish(cargo(&["build", "--release", "--package", "egress-guard-benches", "--bins"]).stdout(Stdio::null()))
}

/// One of the other programs of this crate.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Ending(pub(crate) Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, in a process of its own.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    _process: Ending,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Failure> {
        let mut server = Command::new(sibling("bench-server")?);
        let mut process = Ending(server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let output = process.0.stdout.take().ok_or("the server has no standard output")?;
        let mut port = String::new();
        BufReader::new(output).read_line(&mut port)?;
        Ok(Self { port: port.trim().parse()?, _process: process })
    }
}

/// A pipe, and the process that reads what is written to it, as Lambda does.
pub(crate) fn drained_pipe() -> Result<(Ending, ChildStdin), Failure> {
    let mut process = Ending(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?);
    let pipe = process.0.stdin.take().ok_or("`cat` has no standard input")?;
    Ok((process, pipe))
}
