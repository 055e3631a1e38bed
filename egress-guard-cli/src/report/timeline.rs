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
