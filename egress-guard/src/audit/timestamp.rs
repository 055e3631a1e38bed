//! The time of a record.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;

/// A time in UTC as RFC 3339 has it, to the millisecond: as jiff writes it with `{:.3}`, in a third of its instructions.
pub(super) fn timestamp(now: SystemTime) -> String {
    // A clock beyond the year 9999 is no reason to lose the line.
    let now = Timestamp::try_from(now).unwrap_or_default();
    let time = Offset::UTC.to_datetime(now);
    let Ok(year) = u16::try_from(time.year()) else { return format!("{now:.3}") };
    let ([y0, y1, y2, y3], [m0, m1], [d0, d1]) = (digits(year), two(time.month()), two(time.day()));
    let ([h0, h1], [n0, n1], [s0, s1]) = (two(time.hour()), two(time.minute()), two(time.second()));
    let [f0, f1, f2] = digits(time.millisecond().unsigned_abs());
    let text =
        [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1, b'.', f0, f1, f2, b'Z'];
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

fn two(number: i8) -> [u8; 2] {
    digits(number.unsigned_abs().into())
}

fn digits<const N: usize>(mut number: u16) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn as_jiff_does(now: SystemTime) -> String {
        format!("{:.3}", Timestamp::try_from(now).unwrap_or_default())
    }

    #[test]
    fn times_at_the_edges_are_written_as_jiff_does() {
        let edges = [
            Some(UNIX_EPOCH),
            UNIX_EPOCH.checked_add(Duration::from_nanos(999_999_999)),
            UNIX_EPOCH.checked_sub(Duration::from_nanos(1)),
            UNIX_EPOCH.checked_add(Duration::from_secs(951_782_400)),
            UNIX_EPOCH.checked_add(Duration::from_secs(253_402_207_200)),
            UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_800)),
            UNIX_EPOCH.checked_sub(Duration::from_secs(62_167_219_200)),
            UNIX_EPOCH.checked_sub(Duration::from_secs(62_167_219_201)),
            UNIX_EPOCH.checked_sub(Duration::from_secs(377_705_000_000)),
        ];
        for time in edges {
            let time = time.unwrap();
            assert_eq!(timestamp(time), as_jiff_does(time), "{time:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_written_as_jiff_does(seconds in -380_000_000_000_i64..260_000_000_000, nanos in 0..1_000_000_000_u32) {
            let offset = Duration::new(seconds.unsigned_abs(), nanos);
            let time = if seconds < 0 { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
            let time = time.unwrap();
            prop_assert_eq!(timestamp(time), as_jiff_does(time));
        }
    }
}
