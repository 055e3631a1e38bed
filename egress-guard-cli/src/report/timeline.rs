//! When it was, in buckets that fit the span.

use std::collections::BTreeMap;

use super::model::{Bucket, Counts, Time, Timeline};

/// How many buckets there may be, and one more where the first and the last begin before and end behind the span.
const MOST: i64 = 400;

/// Buckets that grow as the span does; each length is a multiple of the one before.
#[derive(Debug)]
pub(super) struct Buckets {
    seconds: i64,
    counts: BTreeMap<i64, Counts>,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self { seconds: 60, counts: BTreeMap::new() }
    }

    pub(super) fn at(&mut self, time: Time) -> &mut Counts {
        while self.span_with(self.number(time)) > MOST {
            self.widen();
        }
        let number = self.number(time);
        self.counts.entry(number).or_default()
    }

    fn number(&self, time: Time) -> i64 {
        time.0.div_euclid(self.seconds * 1000)
    }

    fn span_with(&self, number: i64) -> i64 {
        let first = self.counts.first_key_value().map_or(number, |(first, _)| number.min(*first));
        let last = self.counts.last_key_value().map_or(number, |(last, _)| number.max(*last));
        last - first
    }

    fn widen(&mut self) {
        let factor = match self.seconds {
            60 => 60,
            3600 => 24,
            _ => 10,
        };
        self.seconds *= factor;
        for (number, counts) in std::mem::take(&mut self.counts) {
            self.counts.entry(number.div_euclid(factor)).or_default().add(&counts);
        }
    }

    pub(super) fn into_timeline(self) -> Timeline {
        let Self { seconds, counts } = self;
        let (first, last) = (counts.first_key_value(), counts.last_key_value());
        let numbers = first.zip(last).map_or(0..0, |((first, _), (last, _))| *first..*last + 1);
        let bucket = |number: i64| Bucket {
            start: Time(number * seconds * 1000),
            counts: counts.get(&number).copied().unwrap_or_default(),
        };
        Timeline { bucket_seconds: seconds, buckets: numbers.map(bucket).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fit_the_span_and_lose_nothing() {
        let (minute, hour, day) = (60_i64, 3600, 86_400);
        let cases = [
            (0, minute),
            (6 * hour, minute),
            (7 * hour, hour),
            (16 * day, hour),
            (17 * day, day),
            (400 * day, day),
            (402 * day, 10 * day),
            (8000 * 365 * day, 100_000 * day / 10),
        ];
        for (span, seconds) in cases {
            let mut buckets = Buckets::new();
            // The last before the first, and one between.
            for at in [span, 0, span / 2] {
                buckets.at(Time(1_795_392_000_000 + at * 1000)).denied += 1;
            }
            let timeline = buckets.into_timeline();
            assert_eq!(timeline.bucket_seconds, seconds, "{span}");
            assert!(timeline.buckets.len() <= 401, "{span}");
            assert_eq!(timeline.buckets.iter().map(|bucket| bucket.counts.denied).sum::<u64>(), 3, "{span}");
            assert!(timeline.buckets.iter().all(|bucket| bucket.start.0 % (seconds * 1000) == 0));
        }
    }
}
