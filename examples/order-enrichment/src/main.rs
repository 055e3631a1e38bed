//! The binary to deploy; `README.md` beside it says how.

use std::process::ExitCode;

use egress_guard::{Guard, JsonLines, Policy};
use lambda_runtime::Error;

#[tokio::main]
async fn main() -> ExitCode {
    order_enrichment::conclude(start().await)
}

async fn start() -> Result<(), Error> {
    let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
    let partner = guard.client(reqwest::Client::builder())?;
    order_enrichment::run(&guard, partner, guard.aws_http_client()).await
}
