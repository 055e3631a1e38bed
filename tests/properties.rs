//! The properties that the fuzzers look for exceptions to, on a few thousand generated inputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use egress_guard_tests::properties;
use proptest::prelude::*;

/// Pieces that URL parsers disagree about.
fn url() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        8 => prop_oneof![Just("http://"), Just("https://")],
        1 => prop_oneof![Just("HTTP://"), Just("http:"), Just("http:\\\\"), Just("http:///"), Just("ftp://"), Just("//"), Just("")],
    ];
    let piece = prop_oneof![
        "[a-zA-Z0-9_-]{1,6}",
        prop_oneof![
            Just("."),
            Just(".."),
            Just(":"),
            Just("@"),
            Just("/"),
            Just("\\"),
            Just("?"),
            Just("#"),
            Just("%"),
            Just("["),
            Just("]"),
            Just("\t"),
            Just("\n"),
            Just(" "),
            Just(";"),
            Just("*"),
            Just("xn--"),
            Just("0x"),
            Just("%2e"),
            Just("%2F"),
            Just("%00"),
            Just("::ffff:"),
            Just("127.0.0.1"),
            Just("2130706433"),
            Just("0177"),
            Just(":0"),
            Just(":443"),
            Just(":080"),
            Just("localhost"),
            Just("example.com"),
            Just("\u{ff0e}"),
            Just("\u{ad}"),
            Just("\u{2024}"),
            Just("\u{fc}"),
            Just("\u{202e}"),
            Just("\u{feff}"),
        ]
        .prop_map(str::to_owned),
    ];
    (scheme, prop::collection::vec(piece, 0..10)).prop_map(|(scheme, pieces)| scheme.to_owned() + &pieces.concat())
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        "(\\*\\.|\\.|)([ab*]{1,2}\\.){0,2}[ab]\\.[ab]\\.?",
        "[a-z*.]{0,12}",
        "(10|127)\\.[0-3]\\.0\\.0/(8|16|24|32)",
        "\\PC{0,16}",
    ]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["([ab]{1,2}\\.){0,4}[ab]\\.[ab]\\.?", "(10|127)\\.[0-3]\\.0\\.[0-3]", "\\[::ffff:10\\.[0-3]\\.0\\.0\\]"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn destinations_are_in_normal_form(text in prop_oneof![url(), "\\PC{0,40}"]) {
        properties::destination_is_in_normal_form(&text);
    }

    #[test]
    fn what_is_checked_is_what_is_dialled(text in prop_oneof![url(), "\\PC{0,40}"]) {
        properties::destination_is_what_clients_dial(&text);
    }

    #[test]
    fn any_text_is_a_policy_or_has_faults(text in prop_oneof!["\\PC{0,80}", "(version = 1\nname = 'p'\n\\[\\[allow\\]\\]\n)?([a-z]{2,8} = [\\['\"{]{0,3}[a-z0-9*./:-]{0,9}[\\]'\"}]{0,3}\n){0,6}"]) {
        properties::policy_is_read_or_refused(&text);
    }

    #[test]
    fn host_patterns_match_what_they_say(pattern in pattern(), name in host()) {
        properties::host_pattern_matches_what_it_says(&pattern, &name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_the_rules_one_by_one(
        allow in prop::collection::vec(pattern(), 0..8),
        deny in prop::collection::vec(pattern(), 0..3),
        host in host(),
    ) {
        properties::index_decides_as_the_rules_one_by_one(&allow, &deny, &format!("https://{host}/"));
    }
}
