//! The partner's API.

use egress_guard::Client;
use lambda_runtime::Error;
use reqwest::Url;
use serde::Deserialize;

use crate::settings::Partner;

#[derive(Debug, Deserialize)]
pub(crate) struct Customer {
    pub(crate) segment: String,
}

/// Asks who a customer is. The customer is input: whatever it is, it stays one segment of the path.
pub(crate) async fn ask(http: &Client, partner: &Partner, customer: &str) -> Result<Customer, Error> {
    let mut url = Url::parse(&partner.url)?;
    let mut path = url.path_segments_mut().map_err(|()| "the partner's URL has no path")?;
    path.pop_if_empty().extend(["customers", customer]);
    drop(path);
    let response = http.get(url).bearer_auth(&partner.token).send().await?;
    Ok(response.error_for_status()?.json().await?)
}
