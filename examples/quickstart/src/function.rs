//! The function: built, and started as a child process.

use std::process::Stdio;

use egress_guard_tests::{Function, RuntimeApi};
use serde_json::Value;
use tokio::process::Command;

use crate::scenario::World;

pub(crate) fn start(binary: &str, policy: &str, api: &RuntimeApi, world: &World) -> Result<Function, String> {
    let mut command = Command::new(binary);
    command
        .env("EGRESS_GUARD_POLICY_FILE", policy)
        .env("QUICKSTART_NAMES", World::NAMES)
        // Whoever can set a function's environment could route everything past the network's controls with this.
        .envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, world.proxy_url())));
    Function::start(command, api, |line| println!("{line}"))
}

/// Builds the function, which `cargo run` of this demonstration alone does not, and says where it is.
pub(crate) fn build() -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = std::process::Command::new(cargo);
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
