//! The `egress-guard` command.
//!
//! It asks a policy what it would decide. It opens no socket and looks up no name.

mod answer;
mod check;
mod cloudwatch;
mod completions;
mod diff;
mod explain;
mod import;
mod learn;
mod lint;
mod logs;
mod man;
mod output;
mod places;
mod policy_args;
mod queries;
mod report;
mod schema;
mod shown;
mod test;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Ask an egress policy what it would decide. Opens no socket, looks up no name.
///
/// Exit status: 0 if the answer is yes, 1 if it is no, 2 if there is none, because the arguments or a file are wrong.
#[derive(Debug, Parser)]
#[command(
    name = "egress-guard",
    version,
    after_help = "\
Examples:
  egress-guard check --policy policy.toml https://api.payments.example/v1/charges
  egress-guard help check"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Check),
    #[command(name = "cloudwatch")]
    CloudWatch(cloudwatch::CloudWatch),
    Completions(completions::Completions),
    Diff(diff::Diff),
    Explain(explain::Explain),
    Import(import::Import),
    Learn(learn::Learn),
    Lint(lint::Lint),
    Man(man::Manual),
    Queries(queries::Queries),
    Report(report::ReportArgs),
    Schema(schema::Schema),
    Test(test::Test),
    Verify(verify::Verify),
}

fn main() -> ExitCode {
    // clap ends the process with 2 where the usage is wrong.
    let done = match Arguments::parse().command {
        Command::Check(check) => check.run(),
        Command::CloudWatch(cloudwatch) => cloudwatch.run(),
        Command::Completions(completions) => completions.run(),
        Command::Diff(diff) => diff.run(),
        Command::Explain(explain) => explain.run(),
        Command::Import(import) => import.run(),
        Command::Learn(learn) => learn.run(),
        Command::Lint(lint) => lint.run(),
        Command::Man(man) => man.run(),
        Command::Queries(queries) => queries.run(),
        Command::Report(report) => report.run(),
        Command::Schema(schema) => schema.run(),
        Command::Test(test) => test.run(),
        Command::Verify(verify) => verify.run(),
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
