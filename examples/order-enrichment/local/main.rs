//! Run with `cargo run -p order-enrichment`.
//!
//! Plays the function on loopback: a Lambda Runtime API, the partner's server, dynalite for DynamoDB, and moto for
//! Parameter Store and STS, all of them over TLS under the names that the policy lists. The function runs as a child
//! process, once for each scenario, with `policy.toml` or with a policy that lacks one of its rules:
//!
//! ```text
//! 3. the policy lacks DynamoDB
//!    at start allowed by who-am-i         POST sts.ap-northeast-1.amazonaws.com/
//!    1st time allowed by parameter-store  POST ssm.ap-northeast-1.amazonaws.com/
//!    1st time denied: host-not-allowed    POST dynamodb.ap-northeast-1.amazonaws.com/
//!    ...
//! ```
//!
//! Fails if an answer, an audit line, the table or what the servers saw is not as it should be. What is not installed is
//! named, and its scenarios are skipped; with `--no-skips` that is a failure. `--lines` shows each audit line in full, and
//! `--policy FILE` puts another policy in force.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a demonstration that cannot be set up should say so at once; indexing JSON never panics"
)]

mod check;
mod function;
mod play;
mod policy;
mod scenario;
mod table;
mod world;

use std::process::ExitCode;

use play::Outcome;
use scenario::scenarios;
use world::World;

struct Arguments {
    policy: String,
    no_skips: bool,
    lines: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(function::ARGUMENT) {
        return order_enrichment::conclude(function::run().await);
    }
    match play().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/policy.toml").to_owned();
    let mut found = Arguments { policy, no_skips: false, lines: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--no-skips" => found.no_skips = true,
            "--lines" => found.lines = true,
            "--policy" => found.policy = arguments.next().ok_or(USAGE)?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(found)
}

const USAGE: &str = "usage: order-enrichment-local [--policy FILE] [--no-skips] [--lines]";

async fn play() -> Result<ExitCode, String> {
    let Arguments { policy, no_skips, lines } = arguments()?;
    let policy = std::fs::read_to_string(&policy).map_err(|error| format!("{policy}: {error}"))?;
    let world = World::start().await?;
    for missing in world.missing() {
        println!("{missing}\n");
    }
    let (mut faults, mut skipped, mut recorded) = (Vec::new(), 0, 0);
    let scenarios = scenarios();
    for (number, scenario) in scenarios.iter().enumerate() {
        println!("{}. {}", number + 1, scenario.title);
        match play::play(scenario, &policy, &world, lines).await? {
            Outcome::Skipped(missing) => {
                skipped += 1;
                println!("   skipped: it needs {}", missing.join(" and "));
            }
            Outcome::Played { lines, faults: found } => {
                recorded += lines;
                let so = if found.is_empty() { "as it should be" } else { "NOT AS IT SHOULD BE" };
                found.iter().for_each(|fault| println!("   {fault}"));
                println!("   {so}");
                faults.extend(found);
            }
        }
        println!();
    }
    println!(
        "{recorded} audit lines, each as the schema says. HTTP_PROXY, HTTPS_PROXY and ALL_PROXY were set all along,"
    );
    match world.proxy.seen().len() {
        0 => println!("and nothing went to the proxy that they name."),
        seen => {
            println!("and the proxy that they name was asked, {seen} times.");
            faults.push("the proxy was asked".to_owned());
        }
    }
    println!("{} scenarios, {skipped} of them skipped, {} faults.", scenarios.len(), faults.len());
    Ok(if faults.is_empty() && !(no_skips && skipped > 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
