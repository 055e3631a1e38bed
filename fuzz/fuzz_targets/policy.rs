//! Any text is a policy, or is refused with faults.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| egress_guard_tests::properties::policy_is_read_or_refused(text));
