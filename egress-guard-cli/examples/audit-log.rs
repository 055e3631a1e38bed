//! Prints the log of functions that never were, to measure what reads logs: `cargo run --example audit-log -- 10000000`.
//! Without a number of lines it is the sample that the tests read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, reason = "no part of the command")]

use std::io::{self, BufWriter, Write};

#[allow(missing_docs, unreachable_pub, reason = "a module of the tests")]
#[path = "../tests/report/generator.rs"]
mod generator;

use generator::{Plan, generate};

fn main() -> io::Result<()> {
    let plan = match std::env::args().nth(1) {
        Some(lines) => Plan { lines: lines.parse().unwrap(), days: 30, workers: 200, ..Plan::sample() },
        None => Plan::sample(),
    };
    let mut output = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    generate(&plan, &mut output)?;
    output.flush()
}
