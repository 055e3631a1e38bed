//! The function's settings: a variable for the table, and a parameter for the partner, since it holds a secret.

use std::env;

use lambda_runtime::Error;
use serde::Deserialize;

pub(crate) struct Settings {
    pub(crate) table: String,
    pub(crate) partner: Partner,
}

/// The parameter's value, in JSON.
#[derive(Deserialize)]
pub(crate) struct Partner {
    /// Whoever may write the parameter decides this, and the policy whether it is used.
    pub(crate) url: String,
    pub(crate) token: String,
}

pub(crate) async fn read(parameters: &aws_sdk_ssm::Client) -> Result<Settings, Error> {
    let (table, parameter) = (variable("TABLE_NAME")?, variable("PARTNER_PARAMETER")?);
    let answer = parameters.get_parameter().name(&parameter).with_decryption(true).send().await?;
    let value = answer.parameter.and_then(|parameter| parameter.value).unwrap_or_default();
    // What the text is stays out of the message: it holds the token.
    let partner = serde_json::from_str(&value).map_err(|_| {
        format!(r#"the parameter {parameter} is not {{"url": "https://...", "token": "..."}}: write it so"#)
    })?;
    Ok(Settings { table, partner })
}

fn variable(name: &str) -> Result<String, Error> {
    env::var(name).map_err(|_| format!("the variable {name} is not set: the template sets it").into())
}
