//! Public collections of attacks, spellings and lists, row by row.
//!
//! Where this library answers otherwise than a collection expects, [`DIFFERENCES`] says why, and the test insists that
//! it still does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use egress_guard::{AddressClass, Decision, Destination, Host, InvalidDestination, Policy, Request, Rule};
use http::{Method, Uri};
use serde_json::Value;
use url::Url;

/// Rows that are decided otherwise on purpose, by id.
const DIFFERENCES: &[(&str, &str)] = &[
    ("path-023", "a doubled slash is ambiguous, and denied where a path rule decides"),
    ("path-043", "a URI that is not percent-encoded is sent as it is, and another server may read it otherwise"),
    ("path-059", "the doubled slash that remains is ambiguous"),
    ("idna-2490", "the name is valid by the Unicode version of this url crate"),
    ("idna-2491", "the name is valid by the Unicode version of this url crate"),
];

/// Checks rows, and that exactly the rows of [`DIFFERENCES`] with this prefix differ.
struct Corpus {
    prefix: &'static str,
    rows: Vec<Value>,
    differ: BTreeSet<String>,
}

impl Corpus {
    fn new(prefix: &'static str, text: &str) -> Self {
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!rows.is_empty());
        Self { prefix, rows, differ: BTreeSet::new() }
    }

    /// Calls `agrees` for each row; false means that the library answers otherwise.
    fn check(mut self, mut agrees: impl FnMut(&Value) -> bool) {
        for row in &self.rows {
            if !agrees(row) {
                self.differ.insert(row["id"].as_str().unwrap().to_owned());
            }
        }
        let known = DIFFERENCES.iter().map(|(id, _)| (*id).to_owned()).filter(|id| id.starts_with(self.prefix));
        assert_eq!(self.differ, known.collect::<BTreeSet<_>>(), "left: what differs; right: what is known to");
    }
}

macro_rules! corpus {
    ($prefix:literal, $file:literal) => {
        Corpus::new($prefix, include_str!(concat!("data/", $file)))
    };
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

fn is_allowed(policy: &Policy, destination: Result<Destination, InvalidDestination>) -> bool {
    destination.is_ok_and(|destination| {
        matches!(policy.decide(&Request::new(&Method::GET, &destination)), Decision::Allow { .. })
    })
}

/// Whether an answer is what a row expects; `either` and `deny_after_dns` are not judged before a look-up.
fn as_expected(allowed: bool, expected: &str) -> bool {
    match expected {
        "allow" => allowed,
        "deny" => !allowed,
        _ => true,
    }
}

fn any_port(rule: Rule) -> Rule {
    rule.schemes(["http", "https"]).port_range(1..=65535)
}

fn one_rule(rule: Rule) -> Policy {
    Policy::builder("corpus").allow(rule).build().unwrap_or_else(|error| panic!("{error}"))
}

/// All that is public, and nothing else.
fn public_only() -> Policy {
    one_rule(any_port(Rule::new("public").dangerously_any_host()))
}

#[test]
fn urls_that_mean_to_reach_what_is_not_public() {
    let policy = public_only();
    corpus!("atk", "url_attack.jsonl").check(|row| {
        let input = text(row, "input");
        let as_uri = input.parse::<Uri>().ok().is_none_or(|uri| {
            as_expected(is_allowed(&policy, Destination::from_uri(&uri)), text(row, "expect_via_http_uri"))
        });
        as_uri && as_expected(is_allowed(&policy, input.parse()), text(row, "expect_public_only"))
    });
}

#[test]
fn urls_that_only_seem_to_go_to_an_allowed_host() {
    corpus!("atk", "url_attack.jsonl").check(|row| {
        let decoys = texts(&row["decoys"]);
        let (ips, names): (Vec<&str>, Vec<&str>) = decoys.into_iter().partition(|decoy| {
            // Some decoys are written as an octal or short address.
            matches!(decoy.parse(), Ok(Host::Ip(_)))
        });
        let networks = ips.into_iter().map(|ip| match ip.parse() {
            Ok(Host::Ip(ip)) => ipnet::IpNet::from(ip.to_canonical()).to_string(),
            _ => panic!("{ip}"),
        });
        let rule = any_port(Rule::new("decoys"));
        let rule = if names.is_empty() { rule } else { rule.hosts(names) };
        let networks: Vec<String> = networks.collect();
        let rule = if networks.is_empty() { rule.hosts(["nothing.example"]) } else { rule.networks(networks) };
        row["decoys"].as_array().is_none_or(Vec::is_empty) || !is_allowed(&one_rule(rule), text(row, "input").parse())
    });
}

#[test]
fn metadata_services_by_any_name() {
    let policy = public_only();
    corpus!("md", "metadata_endpoints.jsonl")
        .check(|row| as_expected(is_allowed(&policy, text(row, "url").parse()), text(row, "expect_public_only")));
}

#[test]
fn addresses_at_the_boundaries_of_blocks() {
    corpus!("ip-", "ip_class.jsonl").check(|row| {
        let class = AddressClass::of(text(row, "ip").parse().unwrap());
        match text(row, "deny_default") {
            "yes" => class != AddressClass::Public,
            "no" => class == AddressClass::Public,
            _ => true,
        }
    });
}

/// What a parser takes for a name and a resolver dials as an address is refused as a URI and read as an address in a
/// URL.
#[test]
fn addresses_in_every_spelling() {
    corpus!("ipt", "ip_text.jsonl").check(|row| {
        let input = text(row, "input");
        let in_brackets = if input.contains(':') { format!("[{input}]") } else { input.to_owned() };
        let dialled = text(row, "glibc_getaddrinfo_numeric").parse::<IpAddr>().ok();
        let as_url = in_brackets.parse::<Host>();
        let as_uri = format!("http://{in_brackets}/").parse::<Uri>().ok().map(|uri| Destination::from_uri(&uri));
        let uri_is_no_name = match as_uri {
            Some(Ok(destination)) => dialled.is_none() || matches!(destination.host(), Host::Ip(_)),
            _ => true,
        };
        let url_is_no_name = dialled.is_none() || !matches!(as_url, Ok(Host::Name(_)));
        uri_is_no_name && url_is_no_name
    });
}

#[test]
fn redirects_to_all_sorts_of_locations() {
    corpus!("loc", "redirect_location.jsonl").check(|row| {
        let policy = one_rule(any_port(Rule::new("listed")).hosts(texts(&row["allow_hosts"])));
        let next = text(row, "base").parse::<Url>().unwrap().join(text(row, "location"));
        let allowed = next.is_ok_and(|url| is_allowed(&policy, Destination::from_url(&url)));
        as_expected(allowed, text(row, "expect"))
    });
}

#[test]
fn paths_that_servers_read_differently() {
    corpus!("path", "path_confusion.jsonl").check(|row| {
        let rule = &row["rule"];
        let path = match rule["path_prefix"].as_str() {
            Some(prefix) => format!("{prefix}**"),
            None => text(rule, "path_exact").to_owned(),
        };
        let listed = Rule::new("listed").hosts([text(rule, "host")]).schemes(["http", "https"]).paths([path]);
        let policy = one_rule(listed);
        let url = text(row, "url");
        let as_uri = url.parse::<Uri>().ok().is_none_or(|uri| {
            as_expected(is_allowed(&policy, Destination::from_uri(&uri)), text(row, "expect_via_http_uri"))
        });
        as_uri && as_expected(is_allowed(&policy, url.parse()), text(row, "expect"))
    });
}

#[test]
fn wildcards_over_names_of_aws() {
    corpus!("aws", "aws_wildcard_hosts.jsonl").check(|row| {
        let policy = one_rule(Rule::new("pattern").hosts([text(row, "pattern")]));
        let url = format!("https://{}/", text(row, "host"));
        is_allowed(&policy, url.parse()) == (text(row, "expect") == "match")
    });
}

/// What a loader must reject is rejected; what deserves a warning is for a linter to say.
#[test]
fn patterns_that_are_dangerous() {
    corpus!("lint", "policy_lint.jsonl").check(|row| {
        let policy = Policy::builder("p").allow(Rule::new("pattern").hosts([text(row, "pattern")])).build();
        match text(row, "expect") {
            "reject" => policy.is_err(),
            "ok" | "warn" => policy.is_ok(),
            _ => true,
        }
    });
}

/// Names come out in the expected normal form or are refused: some collections allow what DNS does not carry.
#[test]
fn names_in_every_script() {
    corpus!("idna", "host_toascii.jsonl").check(|row| {
        let name = format!("https://{}/", text(row, "input")).parse::<Destination>();
        let expected = row["expect_host"].as_str().map(|name| name.strip_suffix('.').unwrap_or(name));
        name.is_err() || name.ok().map(|name| name.host().to_string()).as_deref() == expected
    });
}

#[test]
fn real_lists_of_allowed_endpoints() {
    let mut policies = HashMap::new();
    for line in include_str!("data/harden_runner.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let mut policy = Policy::builder("endpoints");
        for (number, endpoint) in row["endpoints"].as_array().unwrap().iter().enumerate() {
            let host = text(endpoint, "host");
            let host = if endpoint["wildcard"] == true {
                format!("*.{}", host.trim_start_matches("*."))
            } else {
                host.to_owned()
            };
            // These lists know no scheme, and an entry without a port is about all of them.
            let ports = endpoint["port"].as_u64().map_or(1..=65535, |port| {
                let port = u16::try_from(port).unwrap();
                port..=port
            });
            let rule = Rule::new(format!("endpoint-{number}")).hosts([host]).schemes(["http", "https"]);
            policy = policy.allow(rule.port_range(ports));
        }
        policies.insert(text(&row, "id").to_owned(), policy.build().unwrap_or_else(|error| panic!("{error}")));
    }
    corpus!("hrp", "harden_runner_probes.jsonl").check(|row| {
        let policy = &policies[text(row, "policy_id")];
        as_expected(is_allowed(policy, text(row, "input").parse()), text(row, "expect"))
    });
}
