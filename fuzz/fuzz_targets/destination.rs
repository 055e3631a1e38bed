//! A destination reads back as itself, in normal form.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| egress_guard_tests::properties::destination_is_in_normal_form(text));
