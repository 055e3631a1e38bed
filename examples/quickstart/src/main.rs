//! Run with `cargo run -p quickstart`.
//!
//! Starts the order function (`src/bin/order-function.rs`) against a local Lambda Runtime API, with a policy file and
//! partner servers on loopback, and sends it nine invocations. Prints the audit lines of the function's standard output
//! as CloudWatch would receive them, and then a table:
//!
//! ```text
//! asked                            decided                                    servers saw
//! an allowed call                  allowed by partner-api                     partner: POST /orders/1
//! a host that is not listed        denied: host-not-allowed                   nothing
//! a redirect to the metadata       allowed by partner-api, then               partner: POST /redirect/307
//! service                          denied: ip-literal-not-allowed
//! ...
//! ```
//!
//! Fails if a forbidden server saw a request or an invocation left no audit line. `--policy FILE` puts another policy
//! in force: with `allow-everything.toml` it must fail.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a demonstration that cannot be set up should say so at once; indexing JSON never panics"
)]

mod function;
mod scenario;

use std::process::ExitCode;

use comfy_table::{Table, presets};
use egress_guard_tests::RuntimeApi;
use scenario::{Report, World, scenarios};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(reports) => conclude(&reports),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Vec<Report>, String> {
    let (policy, binary) = arguments()?;
    let (api, world) = (RuntimeApi::start().await, World::start().await);
    let mut function = function::start(&binary, &policy, &api, &world)?;
    let mut reports = Vec::new();
    for (number, scenario) in scenarios(&world).into_iter().enumerate() {
        reports.push(scenario.play(number + 1, &api, &mut function, &world).await?);
    }
    Ok(reports)
}

/// The policy file and the function's binary, built unless `--function` names it.
fn arguments() -> Result<(String, String), String> {
    let mut policy = concat!(env!("CARGO_MANIFEST_DIR"), "/policy.toml").to_owned();
    let mut binary = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next();
        match (argument.as_str(), value) {
            ("--policy", Some(file)) => policy = file,
            ("--function", Some(file)) => binary = Some(file),
            _ => return Err("usage: quickstart [--policy FILE] [--function FILE]".to_owned()),
        }
    }
    let binary = match binary {
        Some(binary) => binary,
        None => function::build()?,
    };
    Ok((policy, binary))
}

fn conclude(reports: &[Report]) -> ExitCode {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["asked", "decided", "servers saw", ""]);
    for report in reports {
        let verdict = if report.faults.is_empty() { "ok" } else { "FAILED" };
        table.add_row([&report.asked, &report.decided, &report.seen, verdict]);
    }
    println!("\n{table}");
    let faults: Vec<_> = reports.iter().flat_map(|report| &report.faults).collect();
    if faults.is_empty() {
        println!("Every invocation left its audit lines, and no forbidden server saw a request.");
        return ExitCode::SUCCESS;
    }
    for fault in faults {
        println!("FAILED: {fault}");
    }
    ExitCode::FAILURE
}
