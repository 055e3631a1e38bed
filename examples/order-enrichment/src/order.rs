//! The orders, and the table that holds them.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use lambda_runtime::Error;
use serde::{Deserialize, Serialize};

/// What the function is invoked with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Order {
    /// The table's key.
    pub id: String,
    /// The partner knows who this is.
    pub customer: String,
}

/// An order, and what the partner says.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Enriched {
    /// The order.
    #[serde(flatten)]
    pub order: Order,
    /// The customer's segment.
    pub segment: String,
    /// The role in which the function stored it.
    pub stored_by: String,
}

/// The order of an id, if it is stored.
pub(crate) async fn find(client: &Client, table: &str, id: &str) -> Result<Option<Enriched>, Error> {
    let answer = client.get_item().table_name(table).key("id", text(id)).consistent_read(true).send().await?;
    answer.item.map(|item| read(&item)).transpose()
}

pub(crate) async fn store(client: &Client, table: &str, enriched: &Enriched) -> Result<(), Error> {
    let Enriched { order: Order { id, customer }, segment, stored_by } = enriched;
    let item = [("id", id), ("customer", customer), ("segment", segment), ("stored_by", stored_by)];
    let item = item.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
    client.put_item().table_name(table).set_item(Some(item)).send().await?;
    Ok(())
}

fn read(item: &HashMap<String, AttributeValue>) -> Result<Enriched, Error> {
    let value = |name: &str| match item.get(name) {
        Some(AttributeValue::S(value)) => Ok(value.clone()),
        _ => Err(format!("a stored order has no text in `{name}`")),
    };
    let order = Order { id: value("id")?, customer: value("customer")? };
    Ok(Enriched { order, segment: value("segment")?, stored_by: value("stored_by")? })
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}
