//! Sets of ports.

use std::ops::RangeInclusive;

/// Reads one entry of `ports`; what is none is a fault already.
pub(crate) fn parse(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.trim().parse().ok()?..=last.trim().parse().ok()?;
    (!range.is_empty()).then_some(range)
}

/// Ports as ranges that do not touch, in rising order, so that equal sets are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ports(Vec<RangeInclusive<u16>>);

impl Ports {
    pub(crate) fn of(ranges: impl IntoIterator<Item = RangeInclusive<u16>>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).sum()
    }

    pub(crate) fn contains_all(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|theirs| self.0.iter().any(|mine| mine.contains(theirs.start()) && mine.contains(theirs.end())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(texts: &[&str]) -> Ports {
        Ports::of(texts.iter().map(|text| parse(text).unwrap()))
    }

    #[test]
    fn ranges_are_merged() {
        assert_eq!(ports(&["443", "80-90", "91", "85-100", "65535"]), ports(&["80-100", "443", "65535"]));
        assert_eq!(ports(&["80-90", "85-100", "443"]).count(), 22);
        assert_eq!(ports(&["1-65535"]).count(), 65535);
    }

    #[test]
    fn which_ports_contain_which() {
        let cases: &[(&[&str], &[&str], bool)] = &[
            (&["1-65535"], &["443", "8000-8099"], true),
            (&["443"], &["443"], true),
            (&["443"], &["80"], false),
            (&["80-85", "86-90"], &["84-88"], true),
            (&["80-85", "87-90"], &["84-88"], false),
            (&["443"], &[], true),
        ];
        for (one, other, expected) in cases {
            assert_eq!(ports(one).contains_all(&ports(other)), *expected, "{one:?} contains {other:?}");
        }
    }

    #[test]
    fn what_is_no_port_is_not_read() {
        for text in ["", "-", "a", "9-1", "65536", "443,80"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
