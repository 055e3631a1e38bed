//! A Lambda function that takes an order, asks a partner who the customer is, and stores both.
//!
//! It reads its settings from Parameter Store, keeps the orders in DynamoDB, and asks STS in which role it runs. It is
//! given guarded clients and has no others: what the policy does not allow is an error, and nothing of it leaves.

mod order;
mod partner;
mod settings;

use std::process::ExitCode;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use egress_guard::{AwsHttpClient, Client, Guard, denied};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde::Serialize;
use tokio::sync::OnceCell;

pub use order::{Enriched, Order};
use settings::Settings;

/// What the function answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
enum Answer {
    Stored(Enriched),
    Denied { reason: &'static str, message: String },
}

struct Function {
    partner: Client,
    parameters: aws_sdk_ssm::Client,
    orders: aws_sdk_dynamodb::Client,
    role: String,
    settings: OnceCell<Settings>,
}

/// Serves invocations until Lambda ends the function.
///
/// # Errors
///
/// When STS or the Runtime API cannot be asked.
pub async fn run(guard: &Guard, partner: Client, aws: AwsHttpClient) -> Result<(), Error> {
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(aws).load().await;
    let identity = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await?;
    let function = Function {
        partner,
        parameters: aws_sdk_ssm::Client::new(&config),
        orders: aws_sdk_dynamodb::Client::new(&config),
        role: identity.arn.ok_or("STS does not say in which role the function runs")?,
        settings: OnceCell::new(),
    };
    let handler = service_fn(|event: LambdaEvent<Order>| function.handle(event.payload));
    Runtime::new(handler).layer(guard.lambda_layer()).run().await
}

impl Function {
    /// Whoever sent the order learns of a denial by an answer: another attempt would be denied too. Other failures are
    /// errors, and Lambda tries again.
    async fn handle(&self, order: Order) -> Result<Answer, Error> {
        match self.enrich(order).await {
            Ok(enriched) => Ok(Answer::Stored(enriched)),
            Err(error) => match denied(&*error) {
                Some(denied) => Ok(Answer::Denied { reason: denied.reason().as_str(), message: denied.to_string() }),
                None => Err(told(&error).into()),
            },
        }
    }

    async fn enrich(&self, order: Order) -> Result<Enriched, Error> {
        let settings = self.settings.get_or_try_init(|| settings::read(&self.parameters)).await?;
        // An event may come twice.
        if let Some(enriched) = order::find(&self.orders, &settings.table, &order.id).await? {
            return Ok(enriched);
        }
        let customer = partner::ask(&self.partner, &settings.partner, &order.customer).await?;
        let enriched = Enriched { order, segment: customer.segment, stored_by: self.role.clone() };
        order::store(&self.orders, &settings.table, &enriched).await?;
        Ok(enriched)
    }
}

/// How a process of this function ends: why it could not start is said on standard error.
#[must_use]
pub fn conclude(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the function cannot start: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// The SDK's errors say nothing without their sources.
fn told(error: &Error) -> String {
    match denied(&**error) {
        Some(denied) => denied.to_string(),
        None => DisplayErrorContext(&**error).to_string(),
    }
}
