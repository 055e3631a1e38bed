//! The `egress-guard` command.
//!
//! It asks a policy what it would decide. It opens no socket and looks up no name.

mod answer;
mod check;
mod explain;
mod policy_args;
mod shown;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Ask an egress policy what it would decide. Opens no socket, looks up no name.
#[derive(Debug, Parser)]
#[command(name = "egress-guard", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
}

fn main() -> ExitCode {
    // clap ends the process with 2 where the usage is wrong.
    let done = match Arguments::parse().command {
        Command::Check(check) => check.run(),
        Command::Explain(explain) => explain.run(),
        Command::Test(test) => test.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("egress-guard: {error}");
            ExitCode::from(2)
        }
    }
}
