//! The function as a child process: this program again, with clients that trust and find the servers on loopback.

use std::env;
use std::fs;

use egress_guard::{ClientOptions, Guard, JsonLines, Policy};
use egress_guard_tests::{Function, Names, RuntimeApi};
use lambda_runtime::Error;
use tokio::process::Command;

use crate::scenario::Scenario;
use crate::world::{PARTNER, REGION, STRANGER, World, aws};

/// What tells this program to be the function.
pub(crate) const ARGUMENT: &str = "function";

const ROOTS: &str = "ORDER_ENRICHMENT_ROOTS";

/// As `src/main.rs`, but for the names and the certificates.
pub(crate) async fn run() -> Result<(), Error> {
    let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
    let roots = fs::read(env::var(ROOTS)?)?;
    let http = reqwest::Client::builder().tls_certs_only(reqwest::Certificate::from_pem_bundle(&roots)?);
    let partner = guard.client(ClientOptions::from(http).resolver(names()))?;
    let aws = guard.aws_http_client().resolver(names()).only_root_certificates(&roots)?;
    order_enrichment::run(&guard, partner, aws).await
}

/// In place of DNS. What it answers is checked like any other answer.
fn names() -> Names {
    let names = Names::new().with(PARTNER, &["127.0.0.1"]).with(STRANGER, &["127.0.0.2"]);
    ["dynamodb", "ssm", "sts"].into_iter().fold(names, |names, service| names.with(&aws(service), &["127.0.0.1"]))
}

pub(crate) fn start(
    scenario: &Scenario,
    policy: &str,
    api: &RuntimeApi,
    world: &World,
    show_lines: bool,
) -> Result<Function, String> {
    let program = env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command
        .arg(ARGUMENT)
        // Nothing of the developer's: no profile, no credentials, no endpoint.
        .env_clear()
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_SESSION_TOKEN", "token")
        .env("EGRESS_GUARD_POLICY_FILE", policy)
        .env("TABLE_NAME", World::TABLE)
        .env("PARTNER_PARAMETER", scenario.parameter)
        .env(ROOTS, world.roots())
        .envs(world.endpoints());
    // Whoever can set a function's environment could route everything past the network's controls with these.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let proxy = format!("http://{}", world.proxy.address());
        command.env(name, &proxy).env(name.to_lowercase(), &proxy);
    }
    Function::start(command, api, move |line| {
        if show_lines {
            println!("   {line}");
        }
    })
}
