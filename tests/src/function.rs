//! A function as a child process, and the audit lines on its standard output.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::{RuntimeApi, ValidatedAudit};

/// A function that asks a local Runtime API for its invocations, killed when it is dropped.
#[derive(Debug)]
pub struct Function {
    lines: Arc<Mutex<Vec<Value>>>,
    collected: JoinHandle<()>,
    child: Child,
}

impl Function {
    /// Starts it. Each line of its standard output is shown to `on_line`, and held against the schema of audit lines.
    ///
    /// # Errors
    ///
    /// When there is no such program.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn start(
        mut command: Command,
        api: &RuntimeApi,
        on_line: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, String> {
        let mut child = command
            .envs(api.environment())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{:?} cannot be started: {error}", command.as_std().get_program()))?;
        let output = child.stdout.take().expect("standard output is piped");
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let collected = tokio::spawn(collect(output, Arc::clone(&lines), on_line));
        Ok(Self { lines, collected, child })
    }

    /// Every audit line so far.
    ///
    /// # Panics
    ///
    /// When a line was not as the schema says, or the function has ended.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        assert!(!self.collected.is_finished(), "an audit line is not as the schema says, or the function has ended");
        self.lines.lock().unwrap().clone()
    }

    /// Ends when the function does.
    pub async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("the function ended with {status}"),
            Err(error) => format!("the function is lost: {error}"),
        }
    }

    /// Kills the function, if it has not ended, and gives every line that it wrote.
    ///
    /// # Errors
    ///
    /// When a line was not as the schema says.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    pub async fn finish(mut self) -> Result<Vec<Value>, String> {
        self.child.kill().await.map_err(|error| format!("the function cannot be ended: {error}"))?;
        self.collected.await.map_err(|_| "an audit line is not as the schema says".to_owned())?;
        Ok(std::mem::take(&mut self.lines.lock().unwrap()))
    }

    /// The audit lines of an invocation that makes one request, or none if they are not complete after a second. They
    /// are written before the function answers, but through a pipe.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    pub async fn lines_of(&self, request_id: &str) -> Vec<Value> {
        for _ in 0..50 {
            let lines: Vec<Value> = {
                let lines = self.lines.lock().unwrap();
                lines.iter().filter(|line| line["requestId"] == request_id).cloned().collect()
            };
            if are_complete(&lines) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Vec::new()
    }

    /// Whether a line is about a request, and not about a connection that one of them needed.
    #[must_use]
    pub fn is_request(line: &Value) -> bool {
        line["stage"] == "request"
    }
}

/// Every allowed request has its outcome, and the last one was not a redirect that is being followed.
fn are_complete(lines: &[Value]) -> bool {
    let count = |key: &str, value: &str| lines.iter().filter(|line| line[key] == value).count();
    let outcomes = count("event_type", "egress_outcome");
    let requests = lines.iter().filter(|line| Function::is_request(line));
    let allowed = requests.filter(|line| line["action"] == "allowed").count() - outcomes;
    allowed == outcomes && lines.last().is_some_and(|line| line["outcome"] != "redirected")
}

async fn collect(output: ChildStdout, lines: Arc<Mutex<Vec<Value>>>, on_line: impl Fn(&str)) {
    let mut output = BufReader::new(output).lines();
    while let Ok(Some(line)) = output.next_line().await {
        on_line(&line);
        // A test harness that runs the function begins its first line.
        if let Some(json) = line.find('{').and_then(|at| line.get(at..)) {
            let line = serde_json::from_str(json).expect("a whole line of JSON");
            ValidatedAudit::validate(&line);
            lines.lock().unwrap().push(line);
        }
    }
}
