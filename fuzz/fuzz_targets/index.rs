//! Many rules decide as they would one by one: the first line is the URL, the others are patterns, `-` before a denied
//! one.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let url = lines.next().unwrap_or_default();
    let (deny, allow): (Vec<&str>, Vec<&str>) = lines.take(12).partition(|line| line.starts_with('-'));
    let allow: Vec<String> = allow.into_iter().map(str::to_owned).collect();
    let deny: Vec<String> = deny.into_iter().map(|line| line.trim_start_matches('-').to_owned()).collect();
    egress_guard_tests::properties::index_decides_as_the_rules_one_by_one(&allow, &deny, url);
});
