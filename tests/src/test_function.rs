//! A function that is an ignored test of the test program itself, in a process of its own.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::{Answer, Function, RuntimeApi};

const PATIENCE: Duration = Duration::from_secs(60);

/// A function in a child process, and its Runtime API. The process ends with it.
#[derive(Debug)]
pub struct TestFunction {
    api: RuntimeApi,
    function: Function,
}

impl TestFunction {
    /// Runs an ignored test of this very test program as the function, with these variables beside those of Lambda.
    ///
    /// # Panics
    ///
    /// When there is no such process to be had.
    pub async fn start(test: &str, environment: &[(&str, String)]) -> Self {
        let api = RuntimeApi::start().await;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let function = Function::start(command, &api, |_| ()).unwrap();
        Self { api, function }
    }

    /// Hands the function an event, and waits for its answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn invoke(&self, request_id: &str, event: Value) -> Answer {
        self.api.invoke(request_id, event, PATIENCE).await.expect("an answer")
    }

    /// The audit lines so far.
    ///
    /// # Panics
    ///
    /// As [`Function::lines`].
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        self.function.lines()
    }

    /// The lines that `wanted` picks, once there are as many as expected.
    ///
    /// # Panics
    ///
    /// When there are more, or not as many within the time that is reasonable; as [`Function::lines`].
    pub async fn lines_once(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        for _ in 0..400 {
            let lines: Vec<Value> = self.lines().into_iter().filter(&wanted).collect();
            if lines.len() >= count {
                assert_eq!(lines.len(), count, "{lines:#?}");
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there are no {count} such lines: {:#?}", self.lines());
    }
}
