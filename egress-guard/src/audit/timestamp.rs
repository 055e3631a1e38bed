//! The time of a record.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use arrayvec::ArrayString;
use jiff::Timestamp;

thread_local! {
    /// A second since 1970, and its timestamp up to the point: lines come in bursts, and jiff takes five times as long.
    static LAST: Cell<Option<(u64, ArrayString<20>)>> = const { Cell::new(None) };
}

/// A time in UTC as RFC 3339 has it, to the millisecond.
pub(super) fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).ok();
    let last = LAST.get();
    if let (Some(since), Some((second, upto_point))) = (since, last)
        && since.as_secs() == second
    {
        let milliseconds = since.subsec_millis();
        let mut text = String::with_capacity(24);
        text.push_str(&upto_point);
        for unit in [100, 10, 1] {
            text.push(char::from_digit(milliseconds / unit % 10, 10).unwrap_or('0'));
        }
        text.push('Z');
        return text;
    }
    let Ok(now) = Timestamp::try_from(now) else {
        // A clock beyond the year 9999 is no reason to lose the line.
        return format!("{:.3}", Timestamp::UNIX_EPOCH);
    };
    let text = format!("{now:.3}");
    let upto_point = text.get(..20).and_then(|upto_point| ArrayString::from(upto_point).ok());
    if let (Some(since), Some(upto_point), 24) = (since, upto_point, text.len()) {
        LAST.set(Some((since.as_secs(), upto_point)));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        fn every_time_is_written_as_jiff_does(
            seconds in -380_000_000_000_i64..260_000_000_000,
            nanos in prop::array::uniform3(0..1_000_000_000_u32),
        ) {
            // The second and the third are written from what the first has left.
            for nanos in nanos {
                let offset = Duration::new(seconds.unsigned_abs(), nanos);
                let time = if seconds < 0 { UNIX_EPOCH.checked_sub(offset) } else { UNIX_EPOCH.checked_add(offset) };
                let time = time.unwrap();
                prop_assert_eq!(timestamp(time), as_jiff_does(time));
            }
        }
    }
}
