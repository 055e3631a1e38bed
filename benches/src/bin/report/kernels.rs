//! What criterion measures, each in a benchmark of its own.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::Failure;
use crate::page::target;
use crate::processes::{cargo, finish};
use crate::results::Point;

const QUICK: &[&str] = &["--warm-up-time", "0.05", "--measurement-time", "0.1", "--sample-size", "10"];

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

/// Runs a benchmark and reads what criterion has written.
pub(crate) fn run(name: &str, quick: bool) -> Result<Vec<Point>, Failure> {
    let home = target().join("criterion").join(name);
    // What an earlier version measured under other names must not be read.
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    let arguments = ["bench", "--package", "egress-guard-benches", "--bench", name, "--", "--noplot"];
    finish(cargo(&arguments).args(if quick { QUICK } else { &[] }).env("CRITERION_HOME", &home))?;
    let mut points = Vec::new();
    collect(&home, &mut points)?;
    points
        .sort_by(|one: &Point, other| (&one.group, &one.name, one.size).cmp(&(&other.group, &other.name, other.size)));
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
