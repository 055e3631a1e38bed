//! What the SDK is told of a request that failed, which decides whether it tries again.

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::retry::ErrorKind;
use hyper_util::client::legacy;

use super::super::BoxError;
use crate::denied::{Denied, find};

/// A denial is the caller's fault and never tried again. The rest is sorted as the SDK's own client does.
pub(super) fn connector_error(error: BoxError) -> ConnectorError {
    if find::<Denied>(&*error).is_some() {
        return ConnectorError::user(error);
    }
    if find::<TimedOut>(&*error).is_some() {
        return ConnectorError::timeout(error);
    }
    let has_io = find::<std::io::Error>(&*error).is_some();
    match (find::<hyper::Error>(&*error), find::<legacy::Error>(&*error)) {
        (Some(hyper), _) if hyper.is_timeout() => ConnectorError::timeout(error),
        (Some(hyper), _) if hyper.is_user() => ConnectorError::user(error),
        (Some(hyper), _) if has_io || hyper.is_closed() || hyper.is_canceled() => ConnectorError::io(error),
        (Some(hyper), _) if hyper.is_incomplete_message() => {
            ConnectorError::other(error, Some(ErrorKind::TransientError))
        }
        (Some(_), _) if find::<h2::Error>(&*error).is_some_and(was_not_processed) => ConnectorError::io(error),
        (None, Some(client)) if has_io || client.is_connect() => ConnectorError::io(error),
        _ => ConnectorError::other(error, None),
    }
}

fn was_not_processed(error: &h2::Error) -> bool {
    error.is_go_away() || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// Gives up after a time, if there is one.
pub(super) async fn within<T, E: Into<BoxError>>(
    limit: Option<Duration>,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, BoxError> {
    match limit {
        Some(after) => match tokio::time::timeout(after, work).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(TimedOut { what, after }.into()),
        },
        None => work.await.map_err(Into::into),
    }
}

#[derive(Debug)]
struct TimedOut {
    what: &'static str,
    after: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timeout occurred after {:?}", self.what, self.after)
    }
}

impl std::error::Error for TimedOut {}
