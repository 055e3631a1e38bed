//! A Lambda function that takes an order, calls the partner's API at the URL that the order names, and answers with
//! the result. Every request it makes is decided by a policy and leaves an audit line.
//!
//! This is the binary to deploy; `README.md` beside it says how.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use egress_guard::{Client, ClientError, ClientOptions, Guard, JsonLines, Policy};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};

/// What the function is invoked with.
#[derive(Debug, Deserialize)]
struct Order {
    id: String,
    /// Where the partner wants the order confirmed: input, and therefore not to be trusted.
    url: String,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
enum Confirmation {
    Confirmed { order: String, status: u16, answer: String },
    Denied { order: String, reason: &'static str, message: String },
    Failed { order: String, message: String },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the function cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
    let http = guard.client(options())?;
    let handler = service_fn(|event: LambdaEvent<Order>| async { Ok::<_, Error>(confirm(&http, event.payload).await) });
    Runtime::new(handler).layer(guard.lambda_layer()).run().await
}

async fn confirm(http: &Client, order: Order) -> Confirmation {
    match call_partner(http, &order).await {
        Ok((status, answer)) => Confirmation::Confirmed { order: order.id, status, answer },
        Err(error) => match error.denied() {
            Some(denied) => {
                Confirmation::Denied { order: order.id, reason: denied.reason().as_str(), message: denied.to_string() }
            }
            None => Confirmation::Failed { order: order.id, message: error.to_string() },
        },
    }
}

async fn call_partner(http: &Client, order: &Order) -> Result<(u16, String), ClientError> {
    let method = order.method.parse().unwrap_or_default();
    let mut request = http.request(method, &order.url).json(&order.id);
    for (name, value) in &order.headers {
        request = request.header(name, value);
    }
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

fn post() -> String {
    "POST".to_owned()
}

/// The client's options: the defaults, unless a demonstration brings names of its own.
fn options() -> ClientOptions {
    let options = ClientOptions::from(reqwest::Client::builder());
    match std::env::var("QUICKSTART_NAMES") {
        Ok(names) => options.resolver(DemonstrationNames(names)),
        Err(_) => options,
    }
}

/// `name=address` pairs in place of DNS, so that the demonstration needs none. What it answers is checked like any
/// other answer.
struct DemonstrationNames(String);

impl Resolve for DemonstrationNames {
    fn resolve(&self, name: Name) -> Resolving {
        let pairs = self.0.split(',').filter_map(|pair| pair.split_once('='));
        let addresses: Vec<IpAddr> = pairs
            .filter(|(known, _)| *known == name.as_str().trim_end_matches('.'))
            .filter_map(|(_, ip)| ip.parse().ok())
            .collect();
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
        Box::pin(async { Ok(Box::new(addresses) as Addrs) })
    }
}
