//! The function as a child process, and the audit lines on its standard output.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egress_guard_tests::{RuntimeApi, ValidatedAudit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::scenario::World;

pub(crate) struct Function {
    lines: Arc<Mutex<Vec<Value>>>,
    /// Killed when this is dropped.
    child: Child,
}

impl Function {
    pub(crate) fn start(binary: &str, policy: &str, api: &RuntimeApi, world: &World) -> Result<Self, String> {
        let mut child = tokio::process::Command::new(binary)
            .envs(api.environment())
            .env("EGRESS_GUARD_POLICY_FILE", policy)
            .env("QUICKSTART_NAMES", World::NAMES)
            // Whoever can set a function's environment could route everything past the network's controls with this.
            .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, world.proxy_url())))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{binary} cannot be started: {error}"))?;
        let output = child.stdout.take().ok_or("the function has no standard output")?;
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        tokio::spawn(collect(BufReader::new(output), Arc::clone(&lines)));
        Ok(Self { lines, child })
    }

    /// Ends when the function does, which it should not.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the function ended with {status}"),
            Err(error) => format!("the function is lost: {error}"),
        }
    }

    /// The audit lines of an invocation. They are written before the function answers, but through a pipe.
    pub(crate) async fn lines_of(&self, request_id: &str) -> Vec<Value> {
        for _ in 0..50 {
            let lines: Vec<Value> = {
                let lines = self.lines.lock().expect("no line is lost");
                lines.iter().filter(|line| line["requestId"] == request_id).cloned().collect()
            };
            if are_complete(&lines) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Vec::new()
    }
}

/// Whether a line is about a request, and not about a connection that one of them needed.
pub(crate) fn is_request(line: &Value) -> bool {
    line["stage"] == "request"
}

/// Every allowed request has its outcome, and the last one was not a redirect that is being followed.
fn are_complete(lines: &[Value]) -> bool {
    let count = |key: &str, value: &str| lines.iter().filter(|line| line[key] == value).count();
    let outcomes = count("event_type", "egress_outcome");
    let allowed = lines.iter().filter(|line| is_request(line) && line["action"] == "allowed").count() - outcomes;
    allowed == outcomes && lines.last().is_some_and(|line| line["outcome"] != "redirected")
}

async fn collect(output: BufReader<tokio::process::ChildStdout>, lines: Arc<Mutex<Vec<Value>>>) {
    let mut output = output.lines();
    while let Ok(Some(line)) = output.next_line().await {
        println!("{line}");
        if let Ok(line) = serde_json::from_str(&line) {
            ValidatedAudit::validate(&line);
            lines.lock().expect("no line is lost").push(line);
        }
    }
}

/// Builds the function, which `cargo run` of this demonstration alone does not, and says where it is.
pub(crate) fn build() -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--package", "quickstart", "--bin", "order-function"]);
    build.args(["--message-format", "json-render-diagnostics", "--quiet"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run to build the function: {error}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut executable = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "order-function";
        message["executable"].as_str().filter(|_| is_it).map(str::to_owned)
    });
    executable.next().ok_or_else(|| "the function could not be built".to_owned())
}
