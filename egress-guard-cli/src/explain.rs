//! `egress-guard explain`: why does the policy decide so, and what would change that?

mod advice;
mod nearest;
mod services;
mod text;
mod view;

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;

use clap::Args;
use egress_guard::{Destination, Host};
use http::Method;

use crate::answer::Asked;
use crate::policy_args::{PolicyArgs, show_time};
pub(crate) use text::in_short;
pub(crate) use view::Explained;

/// Say why a policy allows or denies a request: which rules it considered, what of each did not match, and what would
/// have to be written to allow the request.
///
/// A name is judged as it stands: whether its addresses are allowed is only known with --resolve.
///
/// Exit status: 0 if it is allowed, 1 if it is denied or invalid, 2 if the arguments or the policy are wrong. What would
/// be denied, and is only reported, is allowed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  egress-guard explain --policy policy.toml POST https://api.payments.example/v1/charges
  egress-guard explain --policy policy.toml --resolve 10.0.0.5 GET https://api.payments.example/
  egress-guard explain --policy policy.toml --baseline baseline.toml --at 2027-03-31 --json GET https://api.payments.example/")]
pub(crate) struct Explain {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Judge as if the name had resolved to this address
    #[arg(long, value_name = "ADDR")]
    resolve: Option<IpAddr>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The method of the request
    #[arg(value_name = "METHOD")]
    method: Method,
    /// Its URL
    #[arg(value_name = "URL")]
    url: String,
}

impl Explain {
    /// Prints the explanation; true if the request is allowed.
    pub(crate) fn run(&self) -> Result<bool, Box<dyn Error>> {
        let policy = self.policy.read()?;
        let destination = self.url.parse::<Destination>();
        let explained = match &destination {
            Ok(destination) => {
                if let (Some(_), Host::Ip(ip)) = (self.resolve, destination.host()) {
                    return Err(format!(
                        "--resolve says what a name resolves to, and the URL has the address {ip}: leave it out"
                    )
                    .into());
                }
                let asked = Asked { method: &self.method, destination, resolve: self.resolve };
                Explained::new(&self.url, &asked, &policy, &self.policy.texts()?, self.policy.now())
            }
            Err(error) => Explained::invalid(&self.url, &self.method, error),
        };
        let explained = Explained { at: self.policy.at().map(show_time), ..explained };
        let mut output = io::stdout().lock();
        let printed = if self.json {
            serde_json::to_writer(&mut output, &explained)
                .map_err(io::Error::from)
                .and_then(|()| output.write_all(b"\n"))
        } else {
            output.write_all(text::whole(&explained).as_bytes())
        };
        match printed.and_then(|()| output.flush()) {
            // Whoever reads has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            printed => printed?,
        }
        Ok(explained.answer.is_allowed())
    }
}
