//! A table whose key is `id`, as the template makes it.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};

/// Makes the table, and waits until it can be used.
pub(crate) async fn create(client: &Client, name: &str) -> Result<(), Box<dyn Error>> {
    let key = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
    let schema = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
    let table = client.create_table().table_name(name).attribute_definitions(key).key_schema(schema);
    table.billing_mode(BillingMode::PayPerRequest).send().await?;
    loop {
        let table = client.describe_table().table_name(name).send().await?.table;
        if table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
