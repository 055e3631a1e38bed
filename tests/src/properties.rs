//! What must hold for every input; checked on generated inputs by the tests, and by the fuzzers.

use std::time::SystemTime;

use egress_guard::{Decision, Destination, Host, Policy, Request, Rule};
use http::{Method, Uri};
use reqwest::Url;

/// A destination reads back as itself, and says nothing that is not in normal form.
///
/// # Panics
///
/// When it does not.
pub fn destination_is_in_normal_form(text: &str) {
    let Ok(destination) = text.parse::<Destination>() else { return };
    let again = destination.to_string().parse::<Destination>();
    assert_eq!(again.as_ref(), Ok(&destination), "{text:?}");
    assert!(destination.port() != 0 && destination.path().starts_with('/'), "{text:?}");
    if let Host::Name(name) = destination.host() {
        let labels_are_valid = name.split('.').all(|label| (1..=63).contains(&label.len()));
        let is_lower =
            name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
        assert!(labels_are_valid && is_lower && name.len() <= 253, "{text:?}");
        assert!(name.parse::<std::net::IpAddr>().is_err(), "an address taken for a name: {text:?}");
    }
}

/// What is checked is what is dialled: by reqwest, which sends the URL's text as a `Uri`, and by hyper, which takes the
/// `Uri` as it is.
///
/// # Panics
///
/// When host or port differ.
pub fn destination_is_what_clients_dial(text: &str) {
    if let Ok(url) = text.parse::<Url>() {
        let sent: Option<Uri> = url.as_str().parse().ok();
        if let (Ok(destination), Some(uri)) = (Destination::from_url(&url), sent) {
            assert_dials(&uri, &destination, text);
            assert_eq!(uri.path(), destination.path(), "{text:?}");
        }
    }
    if let Ok(uri) = text.parse::<Uri>()
        && let Ok(destination) = Destination::from_uri(&uri)
    {
        assert_dials(&uri, &destination, text);
        assert_eq!(uri.path(), destination.path(), "{text:?}");
    }
}

/// hyper-util's connector takes `Uri::host` without brackets: an IP address if it parses as one, else a name to look up.
fn assert_dials(uri: &Uri, destination: &Destination, text: &str) {
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match (bare.parse::<std::net::IpAddr>(), destination.host()) {
        (Ok(dialled), Host::Ip(checked)) => assert_eq!(dialled, *checked, "{text:?}"),
        (Err(_), Host::Name(checked)) => {
            let name = bare.strip_suffix('.').unwrap_or(bare);
            assert!(name.eq_ignore_ascii_case(checked), "{text:?} dials {name:?} and was checked as {checked:?}");
        }
        (dialled, checked) => panic!("{text:?} dials {dialled:?} and was checked as {checked:?}"),
    }
    assert_eq!(uri.port_u16().unwrap_or(destination.scheme().default_port()), destination.port(), "{text:?}");
    assert_eq!(uri.scheme_str(), Some(destination.scheme().as_str()), "{text:?}");
}

/// Whatever stands in a policy, it is read or refused with faults that have a place and a cure.
///
/// # Panics
///
/// When a fault has none.
pub fn policy_is_read_or_refused(text: &str) {
    for error in [Policy::from_toml(text).err(), Policy::from_json(text).err()].into_iter().flatten() {
        assert!(!error.faults().is_empty(), "{text:?}");
        for fault in error.faults() {
            assert!(!fault.problem().is_empty() && !fault.cure().is_empty(), "{text:?}: {fault}");
        }
    }
}

/// A host pattern is taken or refused, and a taken one matches some name only if it is spelled to.
///
/// # Panics
///
/// When a pattern without a wildcard matches another name than itself.
pub fn host_pattern_matches_what_it_says(pattern: &str, name: &str) {
    let policy = Policy::builder("p").allow(Rule::new("r").hosts([pattern])).build();
    let (Ok(policy), Ok(host)) = (policy, name.parse::<Host>()) else { return };
    if matches!(policy.decide(&Request::name(&host), SystemTime::now()), Decision::Allow { .. })
        && !pattern.contains('*')
    {
        let pattern = pattern.to_ascii_lowercase();
        let pattern = pattern.strip_suffix('.').unwrap_or(&pattern);
        let name = host.to_string();
        match pattern.strip_prefix('.') {
            Some(apex) => assert!(name == apex || name.ends_with(pattern), "{pattern:?} matches {name:?}"),
            None => assert_eq!(name, pattern),
        }
    }
}

/// A policy of many rules decides as its rules would one by one: any deny rule that denies alone, or else the first
/// allow rule that allows alone.
///
/// # Panics
///
/// When it does not.
pub fn index_decides_as_the_rules_one_by_one(allow: &[String], deny: &[String], url: &str) {
    let Ok(destination) = url.parse::<Destination>() else { return };
    let request = Request::new(&Method::GET, &destination);
    let rule = |kind: &str, number: usize, pattern: &str| {
        let rule = Rule::new(format!("{kind}-{number}")).schemes(["http", "https"]).port_range(1..=65535);
        if pattern.contains('/') { rule.networks([pattern]) } else { rule.hosts([pattern]) }
    };
    let taken = |kind: &str, patterns: &[String]| -> Vec<Rule> {
        let rules = patterns.iter().enumerate().map(|(number, pattern)| rule(kind, number, pattern));
        let alone = |rule: &Rule| match kind {
            "allow" => Policy::builder("p").allow(rule.clone()).build().is_ok(),
            _ => Policy::builder("p").deny(rule.clone()).build().is_ok(),
        };
        rules.filter(alone).collect()
    };
    let (allow, deny) = (taken("allow", allow), taken("deny", deny));

    // The rule that decided, and whether it allows.
    let decides = |policy: egress_guard::PolicyBuilder| {
        policy.build().map(|policy| match policy.decide(&request, SystemTime::UNIX_EPOCH) {
            Decision::Allow { rule, .. } => Some((true, rule.clone())),
            Decision::Deny { rule, .. } => rule.cloned().map(|rule| (false, rule)),
        })
    };
    let denies = |rule: &Rule| decides(Policy::builder("p").deny(rule.clone())).ok().flatten();
    let allows =
        |rule: &Rule| decides(Policy::builder("p").allow(rule.clone())).ok().flatten().filter(|(allows, _)| *allows);
    let expected = deny.iter().find_map(denies).or_else(|| allow.iter().find_map(allows));

    let whole = Policy::builder("p");
    let whole = allow.iter().cloned().fold(whole, egress_guard::PolicyBuilder::allow);
    let whole = deny.iter().cloned().fold(whole, egress_guard::PolicyBuilder::deny);
    let found = decides(whole).unwrap_or_else(|error| panic!("rules that hold alone do not hold together: {error}"));
    assert_eq!(found, expected, "{url:?}");
}
