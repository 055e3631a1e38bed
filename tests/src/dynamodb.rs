//! As much of DynamoDB as it takes to put an item and read it again.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::Seen;

/// Answers of DynamoDB, for [`Server::answering`](crate::Server::answering): one table for each name, whose key is `id`.
/// The first requests are answered with these errors.
///
/// # Panics
///
/// The answers panic at what is not DynamoDB's protocol.
pub fn dynamodb(
    errors: &[(StatusCode, &'static str)],
) -> impl FnMut(&Seen) -> Option<Response<Bytes>> + Send + 'static + use<> {
    let mut errors = VecDeque::from(errors.to_vec());
    let mut items = HashMap::<(String, String), Value>::new();
    move |seen| {
        let Some(operation) = seen.header("x-amz-target")?.strip_prefix("DynamoDB_20120810.") else {
            return Some(failed(StatusCode::BAD_REQUEST, "UnknownOperationException"));
        };
        if !seen.header("authorization").is_some_and(|value| value.starts_with("AWS4-HMAC-SHA256 Credential=")) {
            return Some(failed(StatusCode::BAD_REQUEST, "MissingAuthenticationTokenException"));
        }
        if let Some((status, error)) = errors.pop_front() {
            return Some(failed(status, error));
        }
        let asked: Value = serde_json::from_slice(&seen.body).expect("the request is JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let table = text(&asked["TableName"]);
        Some(match operation {
            "PutItem" => {
                items.insert((table, text(&asked["Item"]["id"]["S"])), asked["Item"].clone());
                answer(StatusCode::OK, &json!({}))
            }
            "GetItem" => match items.get(&(table, text(&asked["Key"]["id"]["S"]))) {
                Some(item) => answer(StatusCode::OK, &json!({ "Item": item })),
                None => answer(StatusCode::OK, &json!({})),
            },
            other => panic!("{other} is not known"),
        })
    }
}

fn failed(status: StatusCode, error: &str) -> Response<Bytes> {
    let error = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{error}"), "message": "so it goes" });
    answer(status, &error)
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(body.to_string().into()).expect("a response")
}
