//! The sessions of the documentation are real ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fs;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ask-a-policy");

#[test]
fn each_session_prints_what_is_written_down() {
    trycmd::TestCases::new().case(format!("{PAGE}.md")).case(format!("{DOCS}/report.md"));
}

#[test]
fn the_page_shows_the_files_that_its_sessions_read() {
    let page = fs::read_to_string(format!("{PAGE}.md")).unwrap();
    for file in ["policy.toml", "cases.toml"] {
        let text = fs::read_to_string(format!("{PAGE}.in/{file}")).unwrap();
        assert!(page.contains(&format!("```toml\n{text}```\n")), "{file}");
    }
}
