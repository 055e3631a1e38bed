//! The ribbons between functions and destinations.
//!
//! Places between left and right are in hundredths of the width, heights in pixels.

use std::collections::HashMap;

use super::flows::{Link, Node};
use super::words::count;

/// What the ribbons of one name may take of its height.
const THICKEST: f64 = 32.0;
const THINNEST: f64 = 2.0;
/// Where a ribbon ends that did not arrive.
const STOP: f64 = 0.55;

/// The outline of it, and what becomes of it where it was stopped.
pub(super) struct Ribbon {
    pub(super) class: &'static str,
    pub(super) path: String,
    pub(super) stopped: Option<Stopped>,
    pub(super) says: String,
}

pub(super) struct Stopped {
    pub(super) x: String,
    pub(super) top: String,
    pub(super) bottom: String,
    /// To where it would have gone.
    pub(super) rest: String,
}

/// One part of a link.
struct Strand {
    from: usize,
    to: usize,
    class: &'static str,
    width: f64,
    number: u64,
}

/// An end of a link: whether on the left, and at which name.
type End = (bool, usize);

impl Strand {
    fn ends(&self) -> [End; 2] {
        [(true, self.from), (false, self.to)]
    }

    fn says(&self) -> &'static str {
        match self.class {
            "denied" => "denied",
            "would" => "would be denied",
            _ => "allowed",
        }
    }
}

/// Those of all links, what was denied above the others. Their widths grow with the square root of the number.
pub(super) fn ribbons(links: &[Link], left: &[Node<'_>], right: &[Node<'_>]) -> Vec<Ribbon> {
    let mut strands = strands(links, right);
    let most = widths(&strands).into_values().fold(1.0, f64::max);
    strands.iter_mut().for_each(|strand| strand.width = (strand.width * THICKEST / most).max(THINNEST));
    let sums = widths(&strands);
    let mut taken: HashMap<End, f64> = HashMap::new();
    let mut ribbons = Vec::new();
    for strand in &strands {
        let [a, b] = strand.ends().map(|end| {
            let node = if end.0 { left.get(end.1) } else { right.get(end.1) };
            let top = node.map_or(0.0, |node| node.y) - sums.get(&end).copied().unwrap_or_default() / 2.0;
            let taken = taken.entry(end).or_default();
            let y = top + *taken;
            *taken += strand.width;
            y
        });
        let name = |nodes: &[Node<'_>], n: usize| nodes.get(n).map(|node| node.name.clone()).unwrap_or_default();
        let (from, to) = (name(left, strand.from), name(right, strand.to));
        let says = format!("{from} to {to}: {} {}", count(strand.number), strand.says());
        ribbons.push(if strand.class == "denied" { stopped(strand, a, b, says) } else { whole(strand, a, b, says) });
    }
    ribbons.sort_by_key(|ribbon| ["would", "denied"].iter().position(|class| *class == ribbon.class));
    ribbons
}

fn strands(links: &[Link], right: &[Node<'_>]) -> Vec<Strand> {
    let mut strands = Vec::new();
    for Link { from, to, weight } in links {
        let is_internal = right.get(*to).is_some_and(|node| node.boundary == Some("internal"));
        let allowed = if is_internal { "internal" } else { "external" };
        for (number, class) in [(weight.denied, "denied"), (weight.would_deny, "would"), (weight.allowed, allowed)] {
            if number > 0 {
                strands.push(Strand { from: *from, to: *to, class, width: (number as f64).sqrt(), number });
            }
        }
    }
    strands
}

/// What each end needs.
fn widths(strands: &[Strand]) -> HashMap<End, f64> {
    let mut sums = HashMap::new();
    for strand in strands {
        for end in strand.ends() {
            *sums.entry(end).or_default() += strand.width;
        }
    }
    sums
}

fn whole(strand: &Strand, a: f64, b: f64, says: String) -> Ribbon {
    let (a_end, b_end) = (a + strand.width, b + strand.width);
    let path =
        format!("M0 {a:.1}C50 {a:.1} 50 {b:.1} 100 {b:.1}L100 {b_end:.1}C50 {b_end:.1} 50 {a_end:.1} 0 {a_end:.1}Z");
    Ribbon { class: strand.class, path, stopped: None, says }
}

/// The curve, cut in two as de Casteljau has it.
fn stopped(strand: &Strand, a: f64, b: f64, says: String) -> Ribbon {
    let mix = |from: f64, to: f64| from + (to - from) * STOP;
    let cut = |from: f64, middle: f64, to: f64| {
        let (before, after) = (mix(from, middle), mix(middle, to));
        (before, mix(before, after), after)
    };
    let (x_first, x_last) = (mix(0.0, 50.0), mix(50.0, 100.0));
    let (x_before, x, x_after) = cut(x_first, 50.0, x_last);
    let heights = |below: f64| cut(a + below, mix(a, b) + below, b + below);
    let ((top_before, top, _), (bottom_before, bottom, _)) = (heights(0.0), heights(strand.width));
    let a_end = a + strand.width;
    let path = format!(
        "M0 {a:.1}C{x_first:.1} {a:.1} {x_before:.1} {top_before:.1} {x:.1} {top:.1}\
         L{x:.1} {bottom:.1}C{x_before:.1} {bottom_before:.1} {x_first:.1} {a_end:.1} 0 {a_end:.1}Z"
    );
    let ((_, middle, after), end) = (heights(strand.width / 2.0), b + strand.width / 2.0);
    let stopped = Stopped {
        x: format!("{x:.1}"),
        top: format!("{:.1}", top - 4.0),
        bottom: format!("{:.1}", bottom + 4.0),
        rest: format!("M{x:.1} {middle:.1}C{x_after:.1} {after:.1} {x_last:.1} {end:.1} 100 {end:.1}"),
    };
    Ribbon { class: strand.class, path, stopped: Some(stopped), says }
}
