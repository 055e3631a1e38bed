//! Days on which a rule or a mode ends.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;

/// A day in UTC, as a number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day(u32);

const FIRST: Date = jiff::civil::date(1970, 1, 1);

impl Day {
    /// Reads `2027-03-31`; nothing where it is no such day.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // Not by jiff's parser, which reads further forms, some with a time that would be dropped.
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let is_plain =
            |text: &str, digits: usize| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if !(is_plain(year, 4) && is_plain(month, 2) && is_plain(day, 2)) {
            return None;
        }
        let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
        let days = date.duration_since(FIRST).as_hours() / 24;
        days.try_into().ok().map(Self)
    }

    /// Whether `now` is on this day or after it.
    pub(crate) fn has_begun(self, now: SystemTime) -> bool {
        now >= UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * 86_400)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = FIRST.saturating_add(jiff::Span::new().days(self.0));
        fmt::Display::fmt(&date, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let day = Day::parse("2027-03-31").unwrap();
        let midnight = UNIX_EPOCH + Duration::from_secs(1_806_451_200);
        assert!(day.has_begun(midnight));
        assert!(!day.has_begun(midnight - Duration::from_nanos(1)));
        assert_eq!(day.to_string(), "2027-03-31");
        let never = Day::parse("9999-12-31").unwrap();
        assert!(!never.has_begun(midnight));
    }

    #[test]
    fn what_is_no_plain_day_is_not_read() {
        for text in [
            "",
            "1969-12-31",
            "2027-02-30",
            "2027-3-31",
            "31.03.2027",
            "2027-03-31T12",
            "20270331",
            "-002027-03-31",
            "2027-W13-3",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
