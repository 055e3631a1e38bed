//! The same Lambda function with the guard and without: how long after its start it asks for an invocation, and how long
//! after it makes its first request; how large it is, and of how many crates.

mod runtime_api;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Failure;
use crate::page::target;
use crate::processes::{Ending, cargo, drained_pipe, finish};
use crate::results::{ColdStart, Function, Spread};
use runtime_api::{Event, RuntimeApi};

const RULES: usize = 50;

pub(crate) fn run(quick: bool) -> Result<ColdStart, Failure> {
    let plain = build("plain", &[])?;
    let guarded = build("guarded", &["--features", "guard"])?;
    let api = RuntimeApi::start()?;
    let folder = tempfile::tempdir()?;
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, policy_text(api.port))?;

    let starts = if quick { 5 } else { 100 };
    let mut samples = Vec::with_capacity(starts);
    for number in 0..=starts {
        let (one, other) = (start(&plain, &policy, &api)?, start(&guarded, &policy, &api)?);
        // The first fills the caches of the file system.
        if number > 0 {
            samples.push((one, other));
        }
    }
    let spread = |value: fn(&(Start, Start)) -> f64| Spread::of(samples.iter().map(value)).ok_or("nothing was started");
    Ok(ColdStart {
        starts,
        rules: RULES,
        plain: Function {
            ready: spread(|(plain, _)| plain.ready)?,
            request: spread(|(plain, _)| plain.request)?,
            bytes: fs::metadata(&plain)?.len(),
            crates: crates(&[])?,
        },
        guarded: Function {
            ready: spread(|(_, guarded)| guarded.ready)?,
            request: spread(|(_, guarded)| guarded.request)?,
            bytes: fs::metadata(&guarded)?.len(),
            crates: crates(&["--features", "guard"])?,
        },
        ready_later: spread(|(plain, guarded)| guarded.ready - plain.ready)?,
        request_later: spread(|(plain, guarded)| guarded.request - plain.request)?,
    })
}

/// Builds the function as it would be deployed.
fn build(name: &str, features: &[&str]) -> Result<PathBuf, Failure> {
    finish(cargo(&["build", "--profile", "function", "--package", "bench-function"]).args(features))?;
    let built = target().parent().ok_or("the target folder has no parent")?.join("function/bench-function");
    let kept = target().join(format!("function-{name}"));
    fs::copy(built, &kept)?;
    Ok(kept)
}

/// How many crates it is made of, beside its own.
fn crates(features: &[&str]) -> Result<usize, Failure> {
    let tree = ["tree", "--package", "bench-function", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let output = cargo(&tree).args(features).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut crates: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(name_and_version).collect();
    crates.sort();
    crates.dedup();
    Ok(crates.len().saturating_sub(1))
}

/// Fifty rules, one of which is for the server.
fn policy_text(port: u16) -> String {
    let mut text = "version = 1\nname = \"bench\"\n".to_owned();
    for number in 1..RULES {
        text.push_str(&format!(
            "\n[[allow]]\nid = \"partner-{number}\"\nhosts = [\"api-{number}.partner.example\"]\n\
             methods = [\"GET\", \"POST\"]\npaths = [\"/v1/**\"]\n"
        ));
    }
    text.push_str(&format!(
        "\n[[allow]]\nid = \"server\"\nhosts = [\"localhost\"]\nports = [{port}]\nschemes = [\"http\"]\n\
         methods = [\"GET\", \"POST\"]\npaths = [\"/v1/**\"]\naddresses = [\"127.0.0.0/8\", \"::1/128\"]\n"
    ));
    text
}

/// Milliseconds after the start of the process.
#[derive(Clone, Copy, Debug)]
struct Start {
    ready: f64,
    request: f64,
}

fn start(function: &Path, policy: &Path, api: &RuntimeApi) -> Result<Start, Failure> {
    let (_cat, pipe) = drained_pipe()?;
    let mut command = Command::new(function);
    command.env_clear().envs(api.environment()).env("EGRESS_GUARD_POLICY_FILE", policy).stdout(pipe);
    let started = Instant::now();
    let _process = Ending(command.spawn()?);
    let millis = |at: Instant| (at - started).as_secs_f64() * 1e3;
    let ready = api.wait_for(Event::Ready)?;
    let request = api.wait_for(Event::Requested)?;
    api.wait_for(Event::Answered)?;
    // Ended before, it could still be heard of after the next one has been started.
    api.wait_for(Event::Waiting)?;
    Ok(Start { ready: millis(ready), request: millis(request) })
}
