//! When it was: a band of bars for each count, so that a few denials are seen beside thousands of requests.
//!
//! Places along the time are in hundredths of the width, heights in pixels: the text keeps its size however wide the page.

use super::words::{length, of, written};
use crate::report::model::{Bucket, Counts, Time, Timeline};

/// The labels of the axis that a wide page has room for.
const MOST_TICKS: i64 = 9;
/// What lies between two labels, in seconds.
const STEPS: &[i64] = &[
    60, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600, 2_592_000,
    7_776_000, 31_536_000,
];
const DAY: i64 = 86_400;
/// From the top of a band to the top of its bars: its title.
const TITLE: f64 = 26.0;
const GAP: f64 = 14.0;

/// A count: its title, colour, height, and where it is found.
type Kind = (&'static str, &'static str, f64, fn(&Counts) -> u64);

pub(super) struct Chart {
    pub(super) bands: Vec<Band>,
    pub(super) ticks: Vec<Tick>,
    /// One for each bucket in which something was, over all bands.
    pub(super) columns: Vec<Column>,
    /// Where the axis is.
    pub(super) floor: f64,
    pub(super) height: f64,
    pub(super) length: String,
    pub(super) buckets: Vec<Bucket>,
}

pub(super) struct Band {
    pub(super) title: &'static str,
    pub(super) tone: &'static str,
    pub(super) total: u64,
    pub(super) peak: u64,
    /// Where its title stands, its highest bar ends, and its bars begin.
    pub(super) title_at: f64,
    pub(super) ceiling: f64,
    pub(super) floor: f64,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) y: String,
    pub(super) height: String,
}

pub(super) struct Tick {
    pub(super) x: String,
    pub(super) label: String,
    /// Every other one gives way where the page is narrow.
    pub(super) is_minor: bool,
}

pub(super) struct Column {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) says: String,
}

impl Chart {
    pub(super) fn of(timeline: &Timeline) -> Self {
        let buckets = timeline.buckets.as_slice();
        let has_requests = buckets.iter().any(|bucket| bucket.counts.requests > 0);
        let kinds: [Kind; 3] = [
            ("Denied", "denied", 44.0, |counts| counts.denied),
            ("Would be denied", "would", 44.0, |counts| counts.would_deny),
            // Ordinary clients are seen by their connections alone.
            if has_requests {
                ("Requests allowed", "allowed", 84.0, |counts| counts.requests)
            } else {
                ("Connections allowed", "allowed", 84.0, |counts| counts.connections)
            },
        ];
        let mut bands = Vec::new();
        let mut top = 0.0;
        for (title, tone, height, pick) in kinds {
            let band = Band::of(
                title,
                tone,
                top,
                height,
                &buckets.iter().map(|bucket| pick(&bucket.counts)).collect::<Vec<_>>(),
            );
            top = band.floor + GAP;
            bands.push(band);
        }
        let floor = top - GAP;
        let (width, number) = (100.0 / buckets.len().max(1) as f64, buckets.iter().enumerate());
        let columns = number.filter(|(_, bucket)| bucket.counts != Counts::default()).map(|(number, bucket)| Column {
            x: format!("{:.3}", number as f64 * width),
            width: format!("{width:.3}"),
            says: says(bucket),
        });
        Self {
            columns: columns.collect(),
            ticks: ticks(timeline),
            bands,
            floor,
            height: floor + 26.0,
            length: length(timeline.bucket_seconds),
            buckets: buckets.to_vec(),
        }
    }
}

impl Band {
    fn of(title: &'static str, tone: &'static str, top: f64, height: f64, numbers: &[u64]) -> Self {
        let peak = numbers.iter().copied().max().unwrap_or_default();
        let ceiling = top + TITLE;
        let floor = if peak > 0 { ceiling + height } else { ceiling };
        let slot = 100.0 / numbers.len().max(1) as f64;
        // Air between few bars; many touch.
        let width = slot
            * if numbers.len() <= 60 {
                0.8
            } else if numbers.len() <= 150 {
                0.9
            } else {
                1.0
            };
        let bar = |(place, number): (usize, &u64)| {
            let height = (*number as f64 / peak as f64 * (floor - ceiling)).max(3.0);
            Bar {
                x: format!("{:.3}", place as f64 * slot + (slot - width) / 2.0),
                width: format!("{width:.3}"),
                y: format!("{:.1}", floor - height),
                height: format!("{height:.1}"),
            }
        };
        let bars = numbers.iter().enumerate().filter(|(_, number)| **number > 0).map(bar).collect();
        let total = numbers.iter().fold(0, |sum: u64, number| sum.saturating_add(*number));
        Self { title, tone, total, peak, title_at: top + 14.0, ceiling, floor, bars }
    }
}

fn says(Bucket { start, counts }: &Bucket) -> String {
    let Counts { requests, connections, would_deny, denied } = *counts;
    format!(
        "{} UTC: {denied} denied, {would_deny} would be denied, {}, {}",
        written(*start, "%-d %b %Y %H:%M"),
        of(requests, "request", "requests"),
        of(connections, "connection", "connections"),
    )
}

fn ticks(timeline: &Timeline) -> Vec<Tick> {
    let (Some(first), Some(last)) = (timeline.buckets.first(), timeline.buckets.last()) else { return Vec::new() };
    let start = first.start.0.div_euclid(1000);
    let span = (last.start.0.div_euclid(1000) - start).saturating_add(timeline.bucket_seconds).max(1);
    let fits = |step: &&i64| **step >= timeline.bucket_seconds && span / **step < MOST_TICKS;
    let step = STEPS.iter().find(fits).copied().unwrap_or(span);
    let format = match step {
        _ if span > 300 * DAY => "%b %Y",
        DAY.. => "%-d %b",
        _ => "%H:%M",
    };
    // The first is on a whole step of UTC; a tick at the very end would have no room for its label.
    let begin = start.div_euclid(step).saturating_mul(step);
    let times = (0..=MOST_TICKS + 1).map(|number| begin.saturating_add(step.saturating_mul(number)));
    let in_view = times.filter(|time| *time >= start && (*time - start) as f64 / span as f64 <= 0.93);
    let tick = |(number, time): (usize, i64)| {
        let at = Time(time.saturating_mul(1000));
        // Where hours are counted, a day begins with its date.
        let label = if step < DAY && (number == 0 || time.rem_euclid(DAY) == 0) { "%-d %b %H:%M" } else { format };
        Tick {
            x: format!("{:.3}", (time - start) as f64 * 100.0 / span as f64),
            label: written(at, label),
            is_minor: number % 3 != 0,
        }
    };
    in_view.enumerate().map(tick).collect()
}
