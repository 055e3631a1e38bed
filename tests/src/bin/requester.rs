//! A process that makes one request for each line that it is told, and says on standard error what became of it. Its audit
//! lines go to standard output, which is as the tests make it; a test harness would write there, too.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;

use egress_guard::{ClientOptions, Guard, JsonLines, Policy, Rule, denied};
use egress_guard_tests::Names;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if std::env::var_os("SIGPIPE_AT_ITS_DEFAULT").is_some() {
        sigpipe::reset();
    }
    let api = Rule::new("api").hosts(["api.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let guard = Guard::new(Policy::builder("orders").allow(api).build().unwrap(), JsonLines::stdout());
    let builder = reqwest::Client::builder().tls_certs_only([]);
    let http =
        guard.client(ClientOptions::from(builder).resolver(Names::new().with("api.test", &["127.0.0.1"]))).unwrap();
    let url = format!("http://api.test:{}", std::env::var("PORT").unwrap());
    for (number, line) in io::stdin().lines().enumerate() {
        line.unwrap();
        match http.get(format!("{url}/{number}/{}", "p".repeat(number % 700))).send().await {
            Ok(_) => eprintln!("{number} sent"),
            Err(error) => match denied(&error) {
                Some(denied) => eprintln!("{number} {denied}"),
                None => eprintln!("{number} failed: {error:?}"),
            },
        }
    }
}
