use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use egress_guard::{Decision, Destination, Host, Policy, Request, RuleId, Scheme};
use http::Method;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::lint::source::Source;

const HEADS: [&str; 2] = [
    "version = 1\nname = 'p'\n[internal]\nhosts = ['.a.ex.com']\nnetworks = ['10.0.0.0/8']\n",
    "version = 1\nname = 'p'\n[internal]\nhosts = ['.a.ex.com', 'a.ex.com']\nnetworks = ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0']\n",
];

/// A rule as text, one key a line.
#[derive(Clone, Debug)]
struct Block {
    table: &'static str,
    hosts: Vec<&'static str>,
    networks: Vec<&'static str>,
    keys: Vec<String>,
}

fn text(head: &str, blocks: &[Block]) -> String {
    let list = |key: &str, texts: &[&str]| match texts {
        [] => String::new(),
        texts => format!("{key} = {texts:?}\n"),
    };
    let block = |(number, block): (usize, &Block)| {
        let (hosts, networks) = (list("hosts", &block.hosts), list("networks", &block.networks));
        format!("[[{}]]\nid = 'r{number}'\n{hosts}{networks}{}\n", block.table, block.keys.join("\n"))
    };
    head.to_owned() + &blocks.iter().enumerate().map(block).collect::<String>()
}

fn findings(text: &str) -> Vec<Finding> {
    check(
        &PolicyDraft::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}")),
        "2026-01-01".parse().unwrap(),
    )
}

const HOSTS: &[&str] = &[
    "a.ex.com",
    "b.a.ex.com",
    "*.ex.com",
    ".ex.com",
    "*.a.ex.com",
    "b.*.ex.com",
    ".*.ex.com",
    "b*.a.ex.com",
    "a.ot.com",
    "*.ot.com",
    "*.internal",
    "db.internal",
    "metadata.tencentyun.com",
    "*.tencentyun.com",
];

const NETWORKS: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3/32",
    "0.0.0.0/0",
    "203.0.114.0/24",
    "203.0.114.7/32",
    "169.254.0.0/16",
    "169.254.169.254/32",
    "::/0",
    "fd00::/8",
];

/// One of these lines, or none.
fn line(lines: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop_oneof![5 => Just(Vec::new()), 1 => select(lines).prop_map(|line| vec![line.to_owned()])]
}

fn keys(allow: bool) -> impl Strategy<Value = Vec<String>> {
    let ports = line(&["ports = [443]", "ports = [80, 443]", "ports = ['80-500']", "ports = ['1-65535']"]);
    let schemes = line(&["schemes = ['http']", "schemes = ['https']", "schemes = ['http', 'https']"]);
    let methods = line(&["methods = ['GET']", "methods = ['POST', 'GET']"]);
    let paths = line(&["paths = ['/v1/**']", "paths = ['/v1/**', '/v2']", "paths = ['/**']"]);
    let boundary = line(&["boundary = 'internal'", "boundary = 'external'"]);
    let expires = line(&["expires = 2026-02-01", "expires = 2026-03-01"]);
    let mode = line(if allow { &[""] } else { &["mode = 'report-only'"] });
    (ports, schemes, methods, paths, boundary, expires, mode)
        .prop_map(|(a, b, c, d, e, f, g)| [a, b, c, d, e, f, g].concat())
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    line(&["addresses = ['private']", "addresses = ['private', 'public']", "addresses = ['internal']"])
}

fn block() -> impl Strategy<Value = Block> {
    let hosts = || subsequence(HOSTS, 0..4);
    let networks = || prop_oneof![2 => Just(Vec::new()), 1 => subsequence(NETWORKS, 0..3)];
    // Rules about one thing too: hosts only, and no further keys.
    let allow =
        (hosts(), networks(), keys(true), addresses(), 0..8_u8).prop_map(|(hosts, networks, keys, addresses, any)| {
            let names = match (any, hosts.is_empty(), networks.is_empty()) {
                (0, ..) => (Vec::new(), vec!["dangerously_any_host = true".to_owned()]),
                (_, true, true) => (vec!["a.ex.com"], Vec::new()),
                _ => (hosts, Vec::new()),
            };
            let addresses = if names.0.is_empty() && names.1.is_empty() { Vec::new() } else { addresses };
            Block { table: "allow", hosts: names.0, networks, keys: [keys, names.1, addresses].concat() }
        });
    let deny =
        (subsequence(HOSTS, 0..4), networks(), keys(false), 0..6_u8).prop_map(|(mut hosts, networks, keys, any)| {
            if any == 0 || hosts.is_empty() && networks.is_empty() {
                hosts.push(if any < 4 { "*" } else { "*.com" });
            }
            Block { table: "deny", hosts, networks, keys }
        });
    // Rules that say little, and so cover each other often.
    let boundary = || line(&["boundary = 'internal'", "boundary = 'external'", "methods = ['GET']"]);
    let hosts = (subsequence(HOSTS, 1..3), boundary()).prop_map(|(hosts, keys)| (hosts, Vec::new(), keys));
    let networks = (subsequence(NETWORKS, 1..3), boundary()).prop_map(|(networks, keys)| (Vec::new(), networks, keys));
    let table = prop_oneof![2 => Just("allow"), 1 => Just("deny")];
    let plain = (table, prop_oneof![2 => hosts, 1 => networks]).prop_map(|(table, (hosts, networks, keys))| Block {
        table,
        hosts,
        networks,
        keys,
    });
    prop_oneof![3 => allow, 2 => deny, 4 => plain]
}

/// What a policy says to a great many requests and parts of requests, before, between and after the days of the rules.
fn decisions(policy: &Policy) -> Vec<Decision<'_>> {
    let names = [
        "a.ex.com",
        "b.a.ex.com",
        "bx.a.ex.com",
        "c.ex.com",
        "ex.com",
        "a.ot.com",
        "x.internal",
        "db.internal",
        "metadata.tencentyun.com",
        "x.tencentyun.com",
    ];
    let literals = [
        "10.1.2.3",
        "10.2.0.1",
        "203.0.114.7",
        "203.0.114.8",
        "169.254.169.254",
        "169.254.1.1",
        "[fd00::1]",
        "[2001:4860::1]",
    ];
    let peers = ["10.1.2.3", "203.0.114.7", "169.254.169.254", "fd00::1"].map(|peer| peer.parse::<IpAddr>().unwrap());
    let times = [20_454, 20_490, 20_520].map(|days| UNIX_EPOCH + Duration::from_secs(days * 86_400));
    let mut decisions = Vec::new();
    for name in names.iter().chain(&literals) {
        let host: Host = name.parse().unwrap();
        let mut ask = |request: Request<'_>| {
            let known = peers.iter().filter(|_| matches!(host, Host::Name(_))).map(|peer| request.peer(*peer));
            for request in std::iter::once(request).chain(known) {
                decisions.extend(times.iter().map(|time| policy.decide(&request, *time)));
            }
        };
        ask(Request::name(&host));
        for (scheme, port) in [(Scheme::Https, 443), (Scheme::Http, 80), (Scheme::Http, 443), (Scheme::Https, 8443)] {
            ask(Request::connection(scheme, &host, port));
            for path in ["/v1/x", "/v2", "/v1//x"] {
                let destination: Destination = format!("{scheme}://{name}:{port}{path}").parse().unwrap();
                ask(Request::to(&destination));
                ask(Request::new(&Method::GET, &destination));
                ask(Request::new(&Method::POST, &destination));
            }
        }
    }
    decisions
}

/// The same answer, but for the names of rules that have been removed.
fn is_same(before: &Decision<'_>, after: &Decision<'_>, removed: &[String]) -> bool {
    let was_removed = names(before).is_some_and(|rule| removed.contains(&rule.to_string()));
    match (before, after) {
        (Decision::Allow { .. }, Decision::Allow { .. }) if was_removed => true,
        (
            Decision::Deny { reason, mode, .. },
            Decision::Deny { reason: reason_after, rule: Some(_), mode: mode_after, .. },
        ) if was_removed => (reason, mode) == (reason_after, mode_after),
        _ => before == after,
    }
}

fn names<'p>(decision: &Decision<'p>) -> Option<&'p RuleId> {
    match decision {
        Decision::Allow { rule, .. } => Some(rule),
        Decision::Deny { rule, .. } => *rule,
    }
}

/// The text without what findings call useless: rules are removed, hosts and networks replaced by some nobody asks for.
fn without(text: &str, findings: &[&Finding]) -> (String, Vec<String>) {
    let source = Source::new("policy.toml".as_ref(), text.to_owned());
    let (mut edited, mut rules) = (text.to_owned(), Vec::new());
    let mut findings = findings.to_vec();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.offset));
    for finding in findings {
        let token = source.token(finding.offset.unwrap());
        match finding.code.unwrap() {
            Code::CoveredRule => {
                let start = edited.get(..token.start).unwrap().rfind("[[").unwrap();
                let end = edited.get(token.end..).unwrap().find("[[").map_or(edited.len(), |end| token.end + end);
                edited.replace_range(start..end, "");
            }
            Code::CoveredNetwork => edited.replace_range(token, "'198.51.100.9/32'"),
            _ => edited.replace_range(token, "'unused.invalid'"),
        }
        rules.extend(finding.rule.clone());
    }
    (edited, rules)
}

fn assert_useless(text: &str, before: &[Decision<'_>], findings: &[&Finding]) -> Result<(), TestCaseError> {
    let (edited, removed) = without(text, findings);
    let policy = Policy::from_toml(&edited).unwrap_or_else(|error| panic!("{error}\n{edited}"));
    let after = decisions(&policy);
    // What lends its name says so.
    if let [Finding { code: Some(Code::CoveredRule), problem, .. }] = findings {
        let is_named =
            before.iter().any(|decision| names(decision).is_some_and(|rule| removed.contains(&rule.to_string())));
        prop_assert!(!is_named || problem.ends_with("; it only lends its name to audit lines"), "{problem}\n{text}");
    }
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        prop_assert!(
            is_same(before, after, &removed),
            "{:?}\n{text}\nbecomes\n{edited}\nrequest {number}: {before:?} becomes {after:?}",
            findings.iter().map(|finding| &finding.problem).collect::<Vec<_>>()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_called_useless_changes_no_decision(
        head in 0..10_u8, blocks in prop::collection::vec(block(), 1..6),
    ) {
        let text = text(HEADS[usize::from(head == 0)], &blocks);
        let findings = findings(&text);
        let policy = Policy::from_toml(&text).unwrap();
        let before = decisions(&policy);
        for finding in &findings {
            assert_useless(&text, &before, &[finding])?;
        }
        assert_useless(&text, &before, &findings.iter().collect::<Vec<_>>())?;
    }
}

/// What is said of the rules of a policy, shortened to what tells them apart.
fn said(rules: &str) -> Vec<String> {
    let findings = findings(&format!("version = 1\nname = 'p'\n{rules}"));
    findings.into_iter().map(|finding| finding.problem).collect()
}

#[test]
fn what_covers_what() {
    let rule = |table: &str, id: &str, keys: &str| format!("[[{table}]]\nid = '{id}'\n{keys}\n");
    let allow = |id: &str, keys: &str| rule("allow", id, keys);
    let deny = |id: &str, keys: &str| rule("deny", id, keys);
    let wide = || allow("wide", "hosts = ['*.ex.com']");
    let cases: &[(&str, String, &[&str])] = &[
        ("nothing", wide() + &allow("other", "hosts = ['ex.com']"), &[]),
        (
            "an allow rule behind a wider one",
            wide() + &allow("narrow", "hosts = ['a.ex.com', '*.b.ex.com']\nmethods = ['GET']"),
            &["rule `narrow` allows nothing that is not allowed without it, by `wide`"],
        ),
        (
            "an allow rule before a wider one",
            allow("narrow", "hosts = ['a.ex.com']\npaths = ['/v1/**']") + &wide(),
            &[
                "rule `narrow` allows nothing that is not allowed without it, by `wide`; it only lends its name to audit lines",
            ],
        ),
        (
            "the same rule twice",
            allow("one", "hosts = ['a.ex.com']")
                + &allow("two", "hosts = ['A.ex.com.']\nports = [443]\nschemes = ['https']"),
            &["rule `two` allows nothing that is not allowed without it, by `one`"],
        ),
        (
            "other methods",
            allow("a", "hosts = ['a.ex.com']\nmethods = ['GET']")
                + &allow("b", "hosts = ['a.ex.com']\nmethods = ['POST']"),
            &[],
        ),
        (
            "fewer methods",
            allow("a", "hosts = ['a.ex.com']\nmethods = ['GET', 'PUT']")
                + &allow("b", "hosts = ['a.ex.com']\nmethods = ['PUT']"),
            &["rule `b` allows nothing that is not allowed without it, by `a`"],
        ),
        (
            "path patterns that a person would see through",
            allow("a", "hosts = ['a.ex.com']\npaths = ['/**']") + &allow("b", "hosts = ['a.ex.com']\npaths = ['/v1']"),
            &[],
        ),
        (
            "the same path patterns and one more",
            allow("a", "hosts = ['a.ex.com']\npaths = ['/v1', '/v2']")
                + &allow("b", "hosts = ['a.ex.com']\npaths = ['/v2']"),
            &["rule `b` allows nothing that is not allowed without it, by `a`"],
        ),
        ("another scheme", wide() + &allow("b", "hosts = ['a.ex.com']\nschemes = ['http']"), &[]),
        ("another port", wide() + &allow("b", "hosts = ['a.ex.com']\nports = [8443]"), &[]),
        (
            "ports within a range",
            allow("a", "hosts = ['a.ex.com']\nports = ['400-500', '501-600']")
                + &allow("b", "hosts = ['a.ex.com']\nports = ['450-550']"),
            &["rule `b` allows nothing that is not allowed without it, by `a`"],
        ),
        ("other addresses", wide() + &allow("b", "hosts = ['a.ex.com']\naddresses = ['private']"), &[]),
        (
            "a third rule with other addresses, which requests of both might share connections with",
            wide()
                + &allow("b", "hosts = ['a.ex.com']\nmethods = ['GET']")
                + &allow("c", "hosts = ['.a.ex.com']\naddresses = ['private']"),
            &[],
        ),
        (
            "a third rule with other addresses for other names",
            wide() + &allow("b", "hosts = ['a.ex.com']") + &allow("c", "hosts = ['.ot.com']\naddresses = ['private']"),
            &["rule `b` allows nothing that is not allowed without it, by `wide`"],
        ),
        (
            "a wider rule that ends earlier",
            allow("wide", "hosts = ['*.ex.com']\nexpires = 2026-06-01") + &allow("b", "hosts = ['a.ex.com']"),
            &[],
        ),
        (
            "a narrow rule that ends earlier",
            wide() + &allow("b", "hosts = ['a.ex.com']\nexpires = 2026-06-01"),
            &["rule `b` allows nothing that is not allowed without it, by `wide`"],
        ),
        (
            "an expired rule, of which that is said",
            wide() + &allow("b", "hosts = ['a.ex.com']\nexpires = 2025-06-01"),
            &[],
        ),
        (
            "a host beside a wider one, and one twice",
            allow("a", "hosts = ['a.ex.com', '*.ex.com', 'b.ot.com', 'b.ot.com']"),
            &[
                "host `a.ex.com` of rule `a` adds nothing to host `*.ex.com` beside it",
                "host `b.ot.com` stands twice in rule `a`",
            ],
        ),
        (
            "one host of a rule",
            wide() + &allow("b", "hosts = ['a.ex.com', 'a.ot.com']"),
            &["host `a.ex.com` of rule `b` adds nothing to host `*.ex.com` of rule `wide`"],
        ),
        (
            "one host of a rule before a wider one",
            allow("b", "hosts = ['a.ex.com', 'a.ot.com']") + &wide(),
            &[
                "host `a.ex.com` of rule `b` adds nothing to host `*.ex.com` of rule `wide`; it only lends its name to audit lines",
            ],
        ),
        (
            "hosts that two rules cover",
            wide() + &allow("ot", "hosts = ['*.ot.com']") + &allow("b", "hosts = ['a.ex.com', 'a.ot.com']"),
            &["rule `b` allows nothing that is not allowed without it, by `wide`, `ot`"],
        ),
        (
            "any host",
            allow("any", "dangerously_any_host = true")
                + &allow("b", "hosts = ['a.ex.com']")
                + &allow("c", "hosts = ['db.internal', '*.tencentyun.com']"),
            &["rule `b` allows nothing that is not allowed without it, by `any`"],
        ),
        (
            "networks",
            allow("a", "networks = ['10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', '169.254.0.0/16', '169.254.169.254/32']"),
            &["network `10.1.0.0/16` of rule `a` adds nothing to network `10.0.0.0/8` beside it"],
        ),
        (
            "a rule that is denied",
            wide() + &deny("no", "hosts = ['.ex.com']"),
            &["rule `wide` allows nothing: all of it is denied, by `no`"],
        ),
        (
            "a host that is denied",
            allow("a", "hosts = ['a.ex.com', 'a.ot.com']") + &deny("no", "hosts = ['*.ex.com']"),
            &["host `a.ex.com` of rule `a` is never allowed: deny rule `no` denies all of it"],
        ),
        ("a rule that is denied in part", wide() + &deny("no", "hosts = ['.ex.com']\nmethods = ['POST']"), &[]),
        ("a rule that would be denied", wide() + &deny("no", "hosts = ['.ex.com']\nmode = 'report-only'"), &[]),
        (
            "a network that is denied, by what does not open it",
            allow("a", "networks = ['10.1.0.0/16']") + &deny("no", "networks = ['0.0.0.0/0']"),
            &["rule `a` allows nothing: all of it is denied, by `no`"],
        ),
        (
            "a name that may resolve into a denied network",
            wide() + &deny("no", "networks = ['0.0.0.0/0', '::/0']"),
            &[],
        ),
        (
            "everything denied",
            wide() + &deny("one", "networks = ['10.0.0.0/8']") + &deny("all", "hosts = ['*']"),
            &[
                "deny rule `one` denies nothing that is not denied without it, by `all`; it only lends its name to audit lines",
                "rule `wide` allows nothing: all of it is denied, by `all`",
            ],
        ),
        (
            "everything denied for one method, which is not known when a connection is made",
            deny("one", "networks = ['10.0.0.0/8']\nmethods = ['PUT']")
                + &deny("all", "hosts = ['*']\nmethods = ['PUT']"),
            &[],
        ),
        (
            "deny rules of which one only reports",
            deny("a", "hosts = ['.ex.com']\nmode = 'report-only'")
                + &deny("b", "hosts = ['a.ex.com']")
                + &deny("c", "hosts = ['*.a.ex.com']\nmode = 'report-only'"),
            &["deny rule `c` denies nothing that is not denied without it, by `a`"],
        ),
        (
            "what is internal",
            "[internal]\nhosts = ['.ex.com', 'a.ex.com', '.EX.com']\nnetworks = ['10.0.0.0/8', '10.1.0.0/16']\n"
                .to_owned(),
            &[
                "host `a.ex.com` adds nothing to host `.ex.com` beside it",
                "host `.ex.com` stands twice in [internal]",
                "network `10.1.0.0/16` adds nothing to network `10.0.0.0/8` beside it",
            ],
        ),
    ];
    for (name, rules, expected) in cases {
        assert_eq!(said(rules), *expected, "{name}");
    }
}
