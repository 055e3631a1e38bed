//! The error of a guarded client.

use std::error::Error;
use std::fmt;

use super::options::{BuilderRefused, TooManyRedirects};
use crate::denied::{Denied, denied};

/// Why a guarded client has no response: the policy denied the request, or it failed as any request can.
///
/// Its texts do not repeat the URL's query.
#[derive(Debug)]
pub struct ClientError(Kind);

#[derive(Debug)]
enum Kind {
    Denied(Denied),
    Redirects(TooManyRedirects),
    Builder(BuilderRefused),
    Reqwest(::reqwest::Error),
}

impl ClientError {
    /// The denial, if that is what it is.
    #[must_use]
    pub fn denied(&self) -> Option<&Denied> {
        match &self.0 {
            Kind::Denied(denied) => Some(denied),
            Kind::Redirects(_) | Kind::Builder(_) => None,
            Kind::Reqwest(error) => denied(error),
        }
    }

    /// The error of reqwest, if it comes from there.
    #[must_use]
    pub fn as_reqwest(&self) -> Option<&::reqwest::Error> {
        match &self.0 {
            Kind::Reqwest(error) => Some(error),
            Kind::Denied(_) | Kind::Redirects(_) | Kind::Builder(_) => None,
        }
    }

    /// Whether a timeout passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.as_reqwest().is_some_and(::reqwest::Error::is_timeout)
    }

    /// Whether there was no connection, for another reason than a denial.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.denied().is_none() && self.as_reqwest().is_some_and(::reqwest::Error::is_connect)
    }

    /// Whether the client could not be made from its builder.
    #[must_use]
    pub fn is_builder(&self) -> bool {
        match &self.0 {
            Kind::Builder(_) => true,
            Kind::Reqwest(error) => error.is_builder(),
            Kind::Denied(_) | Kind::Redirects(_) => false,
        }
    }

    /// Whether there were more redirects than the client follows.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        matches!(self.0, Kind::Redirects(_))
    }
}

impl From<Denied> for ClientError {
    fn from(denied: Denied) -> Self {
        Self(Kind::Denied(denied))
    }
}

impl From<TooManyRedirects> for ClientError {
    fn from(error: TooManyRedirects) -> Self {
        Self(Kind::Redirects(error))
    }
}

impl From<BuilderRefused> for ClientError {
    fn from(error: BuilderRefused) -> Self {
        Self(Kind::Builder(error))
    }
}

impl From<::reqwest::Error> for ClientError {
    fn from(error: ::reqwest::Error) -> Self {
        match denied(&error) {
            // The sentence that says what to do, instead of "error sending request" around it.
            Some(denied) => Self(Kind::Denied(denied.clone())),
            // The URL may hold secrets in its query, and errors end up in logs.
            None => Self(Kind::Reqwest(error.without_url())),
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Denied(denied) => denied.fmt(f),
            Kind::Redirects(error) => error.fmt(f),
            Kind::Builder(error) => error.fmt(f),
            Kind::Reqwest(error) => error.fmt(f),
        }
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Denied(denied) => Some(denied),
            Kind::Redirects(error) => Some(error),
            Kind::Builder(error) => Some(error),
            Kind::Reqwest(error) => Some(error),
        }
    }
}
