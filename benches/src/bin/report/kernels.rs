//! What criterion measures, each in a benchmark of its own.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::page::target;
use crate::processes::{cargo, finish};
use crate::results::Point;

const QUICK: [&str; 6] = ["--warm-up-time", "0.05", "--measurement-time", "0.1", "--sample-size", "10"];
const LONG: [&str; 6] = ["--warm-up-time", "0.2", "--measurement-time", "0.5", "--sample-size", "30"];

/// A disturbance lasts longer than one benchmark, and seldom meets the same one in every pass.
const PASSES: usize = 3;

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: String,
    value_str: Option<String>,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// Runs a benchmark, more than once, and keeps what criterion says of the fastest pass of each measurement.
pub(crate) fn run(name: &str, quick: bool) -> Result<Vec<Point>, Failure> {
    let (passes, options) = if quick { (1, QUICK) } else { (PASSES, LONG) };
    let mut points = Vec::new();
    for _ in 0..passes {
        let home = target().join("criterion").join(name);
        // What was measured before, perhaps under other names, must not be read.
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        let arguments = ["bench", "--package", "egress-guard-benches", "--bench", name, "--", "--noplot"];
        finish(cargo(&arguments).args(options).env("CRITERION_HOME", &home))?;
        collect(&home, &mut points)?;
    }
    points.sort_by(|one: &Point, other| {
        (&one.group, &one.name, one.size)
            .cmp(&(&other.group, &other.name, other.size))
            .then(one.nanos.total_cmp(&other.nanos))
    });
    points.dedup_by(|later, first| (&later.group, &later.name, later.size) == (&first.group, &first.name, first.size));
    Ok(points)
}

fn collect(folder: &Path, points: &mut Vec<Point>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("new") {
            points.push(point(&path)?);
        } else if path.is_dir() {
            collect(&path, points)?;
        }
    }
    Ok(())
}

fn point(folder: &Path) -> Result<Point, Failure> {
    let Benchmark { group_id, function_id, value_str } =
        serde_json::from_slice(&fs::read(folder.join("benchmark.json"))?)?;
    let Estimates { median } = serde_json::from_slice(&fs::read(folder.join("estimates.json"))?)?;
    Ok(Point {
        group: group_id,
        name: function_id,
        size: value_str.map(|size| size.parse()).transpose()?,
        nanos: median.point_estimate,
        low: median.confidence_interval.lower_bound,
        high: median.confidence_interval.upper_bound,
    })
}
