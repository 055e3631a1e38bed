//! How a redirect is followed: as browsers and curl do, with less carried along.
//!
//! Sources: RFC 9110, section 15.4, and the Fetch standard's "HTTP-redirect fetch".

use ::reqwest::{ClientBuilder, Request, Response};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// What is kept of a request in case it is redirected.
pub(super) struct Trail {
    /// The request that was sent last; without its body if that is a stream.
    last: Request,
    body_is_gone: bool,
}

impl Trail {
    pub(super) fn of(request: &Request) -> Self {
        // `try_clone` also copies the timeout, which is set anew for each redirect.
        let with_body = request.body().and_then(|_| request.try_clone());
        let body_is_gone = request.body().is_some() && with_body.is_none();
        let last = with_body.unwrap_or_else(|| {
            let mut copy = Request::new(request.method().clone(), request.url().clone());
            *copy.headers_mut() = request.headers().clone();
            *copy.version_mut() = request.version();
            copy
        });
        Self { last, body_is_gone }
    }

    /// The request that a response redirects to, or `None` if it is to be taken as it is: it is no redirect, names no
    /// place, or asks for a body to be sent again that is gone.
    pub(super) fn follow(&mut self, response: &Response, builder_headers: &[HeaderName]) -> Option<Request> {
        let (method, keeps_body) = redirected(response.status(), self.last.method())?;
        let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
        let url = self.last.url().join(location).ok()?;
        if keeps_body && self.body_is_gone {
            return None;
        }
        let leaves = url.origin() != self.last.url().origin();
        *self.last.method_mut() = method;
        *self.last.url_mut() = url;
        if !keeps_body {
            self.body_is_gone = false;
            *self.last.body_mut() = None;
        }
        let headers = self.last.headers_mut();
        if !keeps_body {
            OF_A_BODY.iter().for_each(|name| drop(headers.remove(name)));
        }
        headers.remove(header::HOST);
        if leaves {
            // What is dropped here stays dropped, also if a later redirect leads back.
            *headers = carried_to_another_origin(headers);
            for name in builder_headers.iter().filter(|name| !CARRIED.contains(name)) {
                // Present but blank: reqwest would fill in a missing one.
                headers.insert(name, HeaderValue::from_static(""));
            }
        }
        self.last.try_clone()
    }
}

/// The method of the request after a redirect, and whether the body goes along.
fn redirected(status: StatusCode, method: &Method) -> Option<(Method, bool)> {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if *method == Method::POST => Some((Method::GET, false)),
        StatusCode::SEE_OTHER if *method == Method::HEAD => Some((Method::HEAD, false)),
        StatusCode::SEE_OTHER => Some((Method::GET, false)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), true)),
        _ => None,
    }
}

fn carried_to_another_origin(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| CARRIED.contains(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Headers that say what is asked for, never who asks.
const CARRIED: &[HeaderName] = &[
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
];

const OF_A_BODY: &[HeaderName] = &[
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// The names of the default headers that a builder carries, which reqwest adds to every request that lacks them.
///
/// A builder cannot be asked, only printed; `None` if its text is not as expected.
pub(super) fn builder_default_headers(builder: &ClientBuilder) -> Option<Vec<HeaderName>> {
    header_names_in_debug_text(&format!("{builder:?}"))
}

/// Reads `default_headers: {"name": "value", "name": Sensitive}`.
fn header_names_in_debug_text(text: &str) -> Option<Vec<HeaderName>> {
    let (_, mut rest) = text.split_once("default_headers: {")?;
    let mut names = Vec::new();
    loop {
        if rest.starts_with('}') {
            return Some(names);
        }
        let (name, after) = rest.strip_prefix('"')?.split_once("\": ")?;
        names.push(name.parse().ok()?);
        rest = after_value(after)?;
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
}

/// What follows a quoted value, or the word `Sensitive`.
fn after_value(text: &str) -> Option<&str> {
    let Some(quoted) = text.strip_prefix('"') else { return text.strip_prefix("Sensitive") };
    // `HeaderValue` escapes quotes and nothing else.
    let end = quoted.match_indices('"').find(|(at, _)| !quoted.get(..*at).is_some_and(|before| before.ends_with('\\')));
    end.and_then(|(at, _)| quoted.get(at + 1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_headers_of_a_builder_are_found() {
        let mut secret = HeaderValue::from_static("S3CRET");
        secret.set_sensitive(true);
        let headers = [
            ("x-api-key", HeaderValue::from_static("a\", \"default_headers: {\"x\": \"y")),
            ("authorization", secret),
            ("x-last", HeaderValue::from_static("")),
        ];
        let headers: HeaderMap =
            headers.into_iter().map(|(name, value)| (HeaderName::from_static(name), value)).collect();
        let names = builder_default_headers(&::reqwest::Client::builder().default_headers(headers)).unwrap();
        for expected in ["accept", "x-api-key", "authorization", "x-last"] {
            assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
        }
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(builder_default_headers(&::reqwest::Client::builder()).unwrap(), [header::ACCEPT]);
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        for text in ["", "ClientBuilder", "default_headers: {accept: x}", "default_headers: {\"accept\": Hidden}"] {
            assert_eq!(header_names_in_debug_text(text), None, "{text}");
        }
    }
}
