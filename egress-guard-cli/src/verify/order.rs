//! Whether lines stand in an order that they can have got on their way.

/// The lines of a chain in one file, as far as their order goes.
///
/// They are written in the order of their places, and CloudWatch sorts by time, to the millisecond; what has the same time
/// stays as it was written. So no line stands behind one with a later place and the same time or a later one.
#[derive(Debug, Default)]
pub(super) struct Order {
    file: usize,
    /// Places with their times, but for those of which another has both later.
    latest: Vec<(u64, i64)>,
}

/// As many lines are made at the same time; of more, the order is compared with those that came last.
const MOST: usize = 1024;

impl Order {
    /// Whether a line may stand behind those before; from one file to another, any may.
    pub(super) fn follows(&mut self, place: u64, milliseconds: i64, file: usize) -> bool {
        if self.file != file {
            self.file = file;
            self.latest.clear();
        }
        if self.latest.iter().any(|before| before.0 > place && before.1 >= milliseconds) {
            return false;
        }
        self.latest.retain(|before| before.0 > place || before.1 > milliseconds);
        if self.latest.len() == MOST {
            self.latest.remove(0);
        }
        self.latest.push((place, milliseconds));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn out_of_order(lines: &[(u64, i64)]) -> Vec<u64> {
        let mut order = Order::default();
        lines.iter().filter(|(place, time)| !order.follows(*place, *time, 0)).map(|line| line.0).collect()
    }

    #[test]
    fn lines_that_are_out_of_both_orders_are_found() {
        for (name, lines, expected) in [
            ("as written", vec![(1, 5), (2, 3), (3, 5), (4, 4)], vec![]),
            ("by time", vec![(2, 3), (4, 4), (1, 5), (3, 5)], vec![]),
            ("moved back", vec![(1, 5), (3, 5), (4, 6), (2, 5)], vec![2]),
            ("moved to the front", vec![(4, 6), (1, 5), (2, 5), (3, 5)], vec![1, 2, 3]),
            ("same time, moved", vec![(2, 5), (1, 5)], vec![1]),
            ("by neither, in steps each of which is by one", vec![(5, 5), (3, 6), (4, 1), (2, 2)], vec![4, 2]),
        ] {
            assert_eq!(out_of_order(&lines), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn neither_the_order_of_writing_nor_that_of_times_is_taken_for_another(
            times in prop::collection::vec(0..20_i64, 0..40),
            moved in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let mut lines: Vec<(u64, i64)> = (1..).zip(times).collect();
            prop_assert!(out_of_order(&lines).is_empty());
            let written = lines.clone();
            lines.sort_by_key(|line| line.1);
            prop_assert!(out_of_order(&lines).is_empty());
            if !written.is_empty() {
                let (a, b) = (moved.0.index(written.len()), moved.1.index(written.len()));
                let (a, b) = (a.min(b), a.max(b));
                lines = written;
                if a != b && lines[a].1 <= lines[b].1 {
                    lines.swap(a, b);
                    prop_assert!(!out_of_order(&lines).is_empty());
                }
            }
        }
    }
}
