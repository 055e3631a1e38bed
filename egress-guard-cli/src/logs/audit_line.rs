//! An audit line, as it is read again.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;

/// The keys of a line that anybody asks for; the audit schema explains them. Others are passed over, so that later
/// versions may add some.
#[derive(Debug, Deserialize)]
pub(crate) struct AuditLine<'a> {
    #[serde(skip)]
    time: Option<Timestamp>,
    #[serde(borrow)]
    pub(crate) timestamp: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) event_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) schema: Cow<'a, str>,
    pub(crate) environment_id: u64,
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) policy_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) mode: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) action: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) rule_id: Option<Text<'a>>,
    pub(crate) would_deny: Option<bool>,
    #[serde(borrow)]
    pub(crate) policy_sha256: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) rejected_policy_sha256: Option<Text<'a>>,
    pub(crate) quarantined: Option<bool>,
    #[serde(borrow)]
    pub(crate) suspicious_environment: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) dropped_levels: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) boundary: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) stage: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) method: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) scheme: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) host: Option<Text<'a>>,
    pub(crate) port: Option<u16>,
    #[serde(borrow)]
    pub(crate) path: Option<Text<'a>>,
    pub(crate) path_truncated: Option<bool>,
    pub(crate) peer_ip: Option<IpAddr>,
    pub(crate) peer_is_proxy: Option<bool>,
    #[serde(borrow)]
    pub(crate) outcome: Option<Text<'a>>,
    pub(crate) status: Option<u16>,
    pub(crate) bytes_sent: Option<u64>,
    pub(crate) bytes_received: Option<u64>,
    pub(crate) duration_ms: Option<f64>,
    #[serde(borrow)]
    pub(crate) function_name: Option<Text<'a>>,
}

/// A text that is borrowed where nothing in it is escaped, which an optional [`Cow`] by itself never is.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> AuditLine<'a> {
    /// Reads a line of the schema `egress-guard/1`.
    ///
    /// # Errors
    ///
    /// When it is not whole, or was not written by the library.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut line: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let shown = |text| crate::shown::shortened(text, 40);
        if line.schema != "egress-guard/1" {
            return Err(format!("the schema is `{}`, expected `egress-guard/1`", shown(&line.schema)));
        }
        line.time = time(&line.timestamp);
        if line.time.is_none() {
            let timestamp = shown(&line.timestamp);
            return Err(format!("the timestamp is `{timestamp}`, expected one as 2026-11-24T12:00:00.000Z"));
        }
        Ok(line)
    }

    /// When it was made; every line that was read has a time.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }
}

/// A time in the one form that the library writes.
fn time(text: &str) -> Option<Timestamp> {
    let fits = |(byte, form): (u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form };
    let is_plain = text.len() == FORM.len() && text.bytes().zip(FORM).all(fits);
    // A leap second would be read as the second before.
    let is_real = || text.get(17..19) != Some("60");
    (is_plain && is_real()).then(|| text.parse().ok()).flatten()
}

const FORM: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        let text = r#"{"timestamp":"2026-11-23T10:45:59.434Z","event_type":"egress_decision","schema":"egress-guard/1","environment_id":1,"seq":2,"policy_id":"p","mode":"enforce","host":"a.example","path":"/\"","_aws":{"x":[1]}}"#;
        let line = AuditLine::parse(text).unwrap();
        assert!(matches!(line.host, Some(Text(Cow::Borrowed("a.example")))));
        assert!(matches!(line.path, Some(Text(Cow::Owned(ref path))) if path == "/\""));
        assert_eq!(line.time().map(Timestamp::as_millisecond), Some(1_795_430_759_434));
    }

    #[test]
    fn what_is_not_whole_or_of_another_version_is_refused() {
        for (text, expected) in [
            (r#"{"timestamp":"x","event_type":"egress_de"#, "EOF"),
            (
                r#"{"timestamp":"x","event_type":"egress_decision","schema":"egress-guard/2","environment_id":1,"seq":2,"policy_id":"p","mode":"enforce"}"#,
                "expected `egress-guard/1`",
            ),
            (
                r#"{"timestamp":"x","event_type":"egress_decision","schema":"egress-guard/1","environment_id":-1,"seq":2,"policy_id":"p","mode":"enforce"}"#,
                "u64",
            ),
            (
                r#"{"timestamp":"x","event_type":"egress_decision","schema":"egress-guard/1","environment_id":1,"seq":2,"policy_id":"p","mode":"enforce"}"#,
                "the timestamp is `x`",
            ),
        ] {
            let error = AuditLine::parse(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_time_is_in_the_one_form_that_is_written() {
        assert_eq!(time("2026-11-23T10:45:59.434Z").map(Timestamp::as_millisecond), Some(1_795_430_759_434));
        for text in [
            "",
            "2026-11-23",
            "2026-11-23T10:45:59Z",
            "2026-11-23T10:45:59.434+00:00",
            "2026-11-23T10:45:59.4345Z",
            "2026-11-23t10:45:59.434z",
            "2026-11-23 10:45:59.434Z",
            "2026-11-23T10:45:59,434Z",
            "2026-02-30T10:45:59.434Z",
            "2026-11-23T25:45:59.434Z",
            "2026-11-23T23:59:60.000Z",
            "-02026-11-23T10:45:59.4Z",
            "\u{662}026-11-23T10:45:59.43Z",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
