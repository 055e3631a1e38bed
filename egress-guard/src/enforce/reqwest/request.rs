//! The request builder of a guarded client.

use std::fmt;
use std::time::Duration;

use ::reqwest::{Body, Request, Response};
use http::Version;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use super::client::Client;
use super::error::ClientError;

/// Builds a request of a [`Client`], as [`reqwest::RequestBuilder`](::reqwest::RequestBuilder) does.
///
/// For what it lacks (multipart forms, say), build the request with reqwest and pass it to [`Client::execute`].
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    // Private, and without `Deref`: its own `send` would pass by the guard.
    inner: ::reqwest::RequestBuilder,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, inner: ::reqwest::RequestBuilder) -> Self {
        Self { client, inner }
    }

    fn map(self, change: impl FnOnce(::reqwest::RequestBuilder) -> ::reqwest::RequestBuilder) -> Self {
        Self { inner: change(self.inner), ..self }
    }

    /// Adds a header.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        HeaderName: TryFrom<N>,
        <HeaderName as TryFrom<N>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|inner| inner.header(name, value))
    }

    /// Sets headers, in place of those of the same names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|inner| inner.headers(headers))
    }

    /// Sets a user name and password for basic authentication.
    pub fn basic_auth(self, username: impl fmt::Display, password: Option<impl fmt::Display>) -> Self {
        self.map(|inner| inner.basic_auth(username, password))
    }

    /// Sets a bearer token.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.map(|inner| inner.bearer_auth(token))
    }

    /// Sets the body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|inner| inner.body(body))
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, json: &(impl Serialize + ?Sized)) -> Self {
        self.map(|inner| inner.json(json))
    }

    /// Sets a form body, URL-encoded, and its content type.
    pub fn form(self, form: &(impl Serialize + ?Sized)) -> Self {
        self.map(|inner| inner.form(form))
    }

    /// Adds to the query. Audit lines and errors never repeat it.
    pub fn query(self, query: &(impl Serialize + ?Sized)) -> Self {
        self.map(|inner| inner.query(query))
    }

    /// Sets a timeout for the request, its redirects and its response body together.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|inner| inner.timeout(timeout))
    }

    /// Sets the HTTP version.
    pub fn version(self, version: Version) -> Self {
        self.map(|inner| inner.version(version))
    }

    /// Builds the request, to be looked at or passed to [`Client::execute`].
    ///
    /// # Errors
    ///
    /// As [`reqwest::RequestBuilder::build`](::reqwest::RequestBuilder::build): when the URL or a header is invalid.
    pub fn build(self) -> Result<Request, ::reqwest::Error> {
        self.inner.build()
    }

    /// A copy, or `None` if the body is a stream.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        Some(Self { client: self.client.clone(), inner: self.inner.try_clone()? })
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// As [`Client::execute`], and when the request could not be built.
    pub async fn send(self) -> Result<Response, ClientError> {
        let request = self.inner.build()?;
        self.client.execute(request).await
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The request may hold secrets.
        f.debug_struct("RequestBuilder").finish_non_exhaustive()
    }
}
