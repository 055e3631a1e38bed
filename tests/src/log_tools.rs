//! The Python of the tools that audit lines are held against.

use std::path::{Path, PathBuf};

use crate::may_skip;

/// The Python that `.ci/log-tools` installed, or none after saying so.
///
/// # Panics
///
/// When it is not there and nothing may be left out.
#[must_use]
pub fn log_tools() -> Option<PathBuf> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/log-tools/bin/python");
    let python = std::env::var_os("EGRESS_GUARD_LOG_TOOLS").map_or_else(installed, PathBuf::from);
    if python.is_file() {
        return Some(python);
    }
    let missing = format!(
        "there is no Python at {}: install it with `.ci/log-tools`, or state where it is in EGRESS_GUARD_LOG_TOOLS",
        python.display()
    );
    assert!(may_skip(), "{missing}");
    eprintln!("skipped: {missing}");
    None
}
