//! Allocations and memory, counted by a program whose allocator counts.

use std::process::Command;

use crate::Failure;
use crate::processes::sibling;
use crate::results::Memory;

pub(crate) fn run() -> Result<Memory, Failure> {
    let output = Command::new(sibling("bench-memory")?).output()?;
    if !output.status.success() {
        return Err(format!("bench-memory: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
