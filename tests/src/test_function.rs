//! A function that is an ignored test of the test program itself, in a process of its own, and the lines that it prints.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::{Answer, RuntimeApi, ValidatedAudit};

const PATIENCE: Duration = Duration::from_secs(60);

/// A function in a child process, and its Runtime API. The process ends with it.
#[derive(Debug)]
pub struct TestFunction {
    api: RuntimeApi,
    lines: Arc<Mutex<Vec<Value>>>,
    _child: Child,
}

impl TestFunction {
    /// Runs an ignored test of this very test program as the function, with these variables beside those of Lambda.
    ///
    /// # Panics
    ///
    /// When there is no such process to be had; later, when the function prints half a line.
    pub async fn start(test: &str, environment: &[(&str, String)]) -> Self {
        let api = RuntimeApi::start().await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture"])
            .envs(api.environment())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (mut output, collected) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&lines));
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                // The test harness writes there too.
                if let Some(json) = line.find('{').and_then(|at| line.get(at..)) {
                    collected.lock().unwrap().push(serde_json::from_str(json).expect("a whole line of JSON"));
                }
            }
        });
        Self { api, lines, _child: child }
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
    /// When one of them is not as the schema says.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap().clone();
        lines.iter().for_each(ValidatedAudit::validate);
        lines
    }

    /// The lines that `wanted` picks, once there are as many as expected.
    ///
    /// # Panics
    ///
    /// When there are more, or not as many within the time that is reasonable.
    pub async fn lines_once(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        for _ in 0..400 {
            let found = self.lines.lock().unwrap().iter().filter(|line| wanted(line)).count();
            if found >= count {
                let lines: Vec<Value> = self.lines().into_iter().filter(|line| wanted(line)).collect();
                assert_eq!(lines.len(), count, "{lines:#?}");
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there are no {count} such lines: {:#?}", self.lines());
    }
}
