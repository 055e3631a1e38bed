//! A Lambda function that fetches the URL it is invoked with. With the feature `guard` it is the function of the README,
//! without it the same function before it was guarded.

#[cfg(feature = "guard")]
use egress_guard::{Guard, JsonLines, Policy};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    url: String,
}

#[derive(Serialize)]
struct Answer {
    status: u16,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    #[cfg(feature = "guard")]
    let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
    #[cfg(feature = "guard")]
    let http = guard.client(reqwest::Client::builder())?;
    #[cfg(not(feature = "guard"))]
    let http = reqwest::Client::builder().build()?;

    let handler = service_fn(|event: LambdaEvent<Event>| async {
        let response = http.get(event.payload.url).send().await?;
        Ok::<_, Error>(Answer { status: response.status().as_u16(), text: response.text().await? })
    });
    let runtime = Runtime::new(handler);
    #[cfg(feature = "guard")]
    let runtime = runtime.layer(guard.lambda_layer());
    runtime.run().await
}
