//! What stands beside `services`: account ids, buckets and interface endpoints.

use super::super::rule::Effect;

/// What is wrong, and the cure.
type Fault = (String, String);

/// A bucket, or several by a `*` in its name.
pub(super) fn check_bucket(text: &str, effect: Effect) -> Result<(), Fault> {
    let shown = text.escape_debug();
    if let Some(name) = text.strip_prefix("arn:").and_then(|arn| arn.rsplit(":").next()) {
        let name = name.split('/').next().unwrap_or_default().escape_debug();
        return Err((format!("bucket \"{shown}\" is an ARN"), format!("write the bucket alone, \"{name}\"")));
    }
    if text.contains(['/', ':']) {
        let cure = "write the bucket alone, as in \"orders\"; what lies in it is stated in `paths`";
        return Err((format!("bucket \"{shown}\" is more than a bucket's name"), cure.to_owned()));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte == b'*') && effect == Effect::Allow {
        let problem = format!("bucket \"{shown}\" is every bucket, those of strangers too");
        return Err((problem, "write how yours begin, as in \"orders-*\"".to_owned()));
    }
    if text.matches('*').count() > 1 {
        return Err((format!("bucket \"{shown}\" has more than one `*`"), "write one, as in \"orders-*\"".to_owned()));
    }
    if text.contains('.') {
        let cure = format!(
            "write a rule with services = [\"s3\"] and paths = [\"/{shown}/**\"]: clients ask for such a bucket by path"
        );
        return Err((format!("bucket \"{shown}\" has a dot, and no certificate is valid for its host name"), cure));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Err((
            format!("bucket \"{shown}\" is not in lower case"),
            format!("write \"{}\"", lower.escape_debug()),
        ));
    }
    let is_of_buckets = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'*');
    let is_short = text.len() < 3 && !text.contains('*');
    if is_short || text.len() > 63 || !text.bytes().all(is_of_buckets) || text.starts_with('-') || text.ends_with('-') {
        let cure = "write 3 to 63 of a-z, 0-9 and `-`, as in \"orders\", with one `*` at most";
        return Err((format!("bucket \"{shown}\" is no name of a bucket"), cure.to_owned()));
    }
    Ok(())
}

/// The zone of a directory bucket, which its name states.
pub(super) fn zone_of(bucket: &str) -> Option<&str> {
    let (_, zone) = bucket.strip_suffix("--x-s3").or_else(|| bucket.strip_suffix("--xa-s3"))?.rsplit_once("--")?;
    (!zone.is_empty() && !zone.contains('*')).then_some(zone)
}

pub(super) fn check_account(text: &str) -> Result<(), Fault> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let near = if digits.len() == 12 { &digits } else { "111122223333" };
    let problem = format!("\"{}\" is no account id", text.escape_debug());
    Err((problem, format!("write its twelve digits in quotes, as in \"{near}\"")))
}

/// An endpoint's id is what keeps it apart from everybody else's, so it is written out.
pub(super) fn check_endpoint(text: &str) -> Result<(), Fault> {
    let shown = text.escape_debug();
    let lower = text.to_ascii_lowercase();
    let id = lower
        .strip_prefix("vpce-")
        .and_then(|rest| rest.split('-').next())
        .filter(|digits| matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let cure = match id {
        Some(digits) if text.strip_prefix("vpce-") == Some(digits) => return Ok(()),
        Some(digits) => format!("write the id alone, \"vpce-{digits}\""),
        None if text.contains('*') => {
            let cure = "write the id of yours, as in \"vpce-0123456789abcdef0\"";
            return Err((format!("endpoint \"{shown}\" matches endpoints of strangers"), cure.to_owned()));
        }
        None => "write `vpce-` and its 17 hexadecimal digits, as in \"vpce-0123456789abcdef0\"".to_owned(),
    };
    Err((format!("\"{shown}\" is no id of a VPC endpoint"), cure))
}
