//! A host pattern matches what it says: the first line is the pattern, the second the name.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Some((pattern, name)) = text.split_once('\n') {
        egress_guard_tests::properties::host_pattern_matches_what_it_says(pattern, name);
    }
});
