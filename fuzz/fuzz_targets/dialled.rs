//! What a destination was checked as is what reqwest and hyper dial.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| egress_guard_tests::properties::destination_is_what_clients_dial(text));
