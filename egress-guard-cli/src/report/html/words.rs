//! Numbers, times and places in words; templates have all they name by reference.

use std::borrow::Borrow;

use indicatif::DecimalBytes;
use jiff::Timestamp;

use crate::output::with_commas;
use crate::report::model::Time;

/// A number, with commas.
pub(super) fn count(number: impl Borrow<u64>) -> String {
    with_commas(*number.borrow())
}

/// A number of things.
pub(super) fn of(number: impl Borrow<u64>, one: &str, more: &str) -> String {
    let number = *number.borrow();
    if number == 1 { format!("1 {one}") } else { format!("{} {more}", count(number)) }
}

pub(super) fn bytes(number: u64) -> String {
    DecimalBytes(number).to_string()
}

/// A duration of so many milliseconds.
pub(super) fn milliseconds(number: f64) -> String {
    if number < 10_000.0 { format!("{number:.0} ms") } else { format!("{:.1} s", number / 1000.0) }
}

/// A time of UTC, written as `strftime` has it.
pub(super) fn written(time: impl Borrow<Time>, format: &str) -> String {
    let time = *time.borrow();
    let timestamp = Timestamp::from_millisecond(time.0);
    timestamp.map_or_else(|_| time.0.to_string(), |timestamp| timestamp.strftime(format).to_string())
}

/// To the minute, with its day.
pub(super) fn minute(time: impl Borrow<Time>) -> String {
    written(time, "%-d %b %Y, %H:%M")
}

/// The name of a function, or what stands for it.
pub(super) fn function(name: Option<&str>) -> &str {
    name.unwrap_or("outside an invocation")
}

/// A host and its port, as far as they are known.
pub(super) fn place(host: Option<&str>, port: Option<u16>) -> String {
    let host = host.unwrap_or("unreadable destination");
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// How long a bucket is.
pub(super) fn length(seconds: i64) -> String {
    match seconds {
        60 => "minute".into(),
        3_600 => "hour".into(),
        86_400 => "day".into(),
        _ => format!("{} days", seconds / 86_400),
    }
}
