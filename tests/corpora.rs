//! Public collections of attacks, spellings and lists, row by row.
//!
//! Where this library answers otherwise than a collection expects, [`DIFFERENCES`] says why, and the test insists that
//! it still does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::SystemTime;

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
        matches!(policy.decide(&Request::new(&Method::GET, &destination), SystemTime::now()), Decision::Allow { .. })
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

// ----- lists of other systems -----

/// What other systems' tests say of their own lists, carried over as far as the languages have the same words. Where the
/// answer differs, [`why_another_system_differs`] must know why.
#[test]
fn lists_of_other_systems() {
    let mut unexplained = Vec::new();
    for line in include_str!("data/allowlist_match.jsonl").lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (policy, refused) = carried_over(&row);
        let url = as_url(&row);
        let method = row["method"].as_str().unwrap_or("GET").parse::<Method>().unwrap();
        let allowed = url.parse::<Destination>().is_ok_and(|destination| {
            matches!(policy.decide(&Request::new(&method, &destination), SystemTime::now()), Decision::Allow { .. })
        });
        if allowed != (text(&row, "expect") == "match") && why_another_system_differs(&row, allowed, refused).is_none()
        {
            unexplained.push(format!("{url} allowed={allowed} refused={refused} {line}"));
        }
    }
    assert!(unexplained.is_empty(), "{} rows:\n{}", unexplained.len(), unexplained.join("\n"));
}

fn as_url(row: &Value) -> String {
    let input = text(row, "input");
    match (text(row, "input_kind"), row["port"].as_u64()) {
        ("url", _) => input.to_owned(),
        (_, Some(port)) if port != 0 => format!("http://{}:{port}/", bracketed(input)),
        ("hostport", _) => format!("http://{input}/"),
        _ => format!("http://{}/", bracketed(input)),
    }
}

fn bracketed(host: &str) -> String {
    if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.to_owned() }
}

/// The policy that says the same, and whether a part of the list has no place in this language.
fn carried_over(row: &Value) -> (Policy, bool) {
    let mut refused = false;
    let mut policy = Policy::builder("carried-over");
    let empty = Value::Array(Vec::new());
    let list = |key: &str| {
        texts(if row[key].is_array() { &row[key] } else { &empty }).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut number = 0;
    for (key, denies) in [("patterns", false), ("global_allow", false), ("deny_patterns", true), ("global_deny", true)]
    {
        for pattern in list(key).iter().flat_map(|pattern| split(text(row, "system"), pattern)) {
            number += 1;
            let Some(rule) = rule_of(number, &pattern, denies) else {
                refused = true;
                continue;
            };
            let add = |policy: egress_guard::PolicyBuilder| {
                if denies { policy.deny(rule.clone()) } else { policy.allow(rule.clone()) }
            };
            if add(Policy::builder("alone")).build().is_ok() {
                policy = add(policy);
            } else {
                refused = true;
            }
        }
    }
    (policy.build().unwrap(), refused)
}

/// curl's and Go's lists are one text.
fn split(system: &str, pattern: &str) -> Vec<String> {
    if system.contains("NO_PROXY") {
        pattern.split([',', ' ']).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
    } else {
        vec![pattern.to_owned()]
    }
}

fn rule_of(number: usize, pattern: &str, denies: bool) -> Option<Rule> {
    let any_host = |rule: Rule| if denies { rule.hosts(["*"]) } else { rule.dangerously_any_host() };
    let rule = Rule::new(format!("rule-{number}"));
    if pattern == "<all>" {
        return Some(any_port(any_host(rule)));
    }
    if pattern.contains('=') {
        let mut rule = rule;
        let parts: HashMap<&str, &str> = pattern.split_whitespace().filter_map(|part| part.split_once('=')).collect();
        rule = match parts.get("domain") {
            Some(domain) if *domain != "*" => rule.hosts([*domain]),
            _ => any_host(rule),
        };
        if let Some(methods) = parts.get("method").filter(|methods| **methods != "*") {
            rule = rule.methods(methods.split(','));
        }
        if let Some(paths) = parts.get("path") {
            rule = rule.paths(paths.split(','));
        }
        return Some(any_port(rule));
    }
    if let Some((scheme, rest)) = pattern.split_once("://") {
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(format!("/{path}"))));
        let rule = rule.hosts([host]).schemes([scheme]).port_range(1..=65535);
        return Some(match path {
            Some(path) => rule.paths([path]),
            None => rule,
        });
    }
    let (host, port) = match pattern.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse::<u16>().ok()?)),
        _ => (pattern, None),
    };
    let bare = host.trim_matches(['[', ']']);
    let network = bare.parse::<ipnet::IpNet>().or_else(|_| bare.parse::<IpAddr>().map(ipnet::IpNet::from));
    let rule = match network {
        Ok(network) => rule.networks([network.trunc().to_string()]),
        Err(_) => rule.hosts([host]),
    };
    let rule = rule.schemes(["http", "https"]);
    Some(match port {
        Some(port) => rule.port(port),
        None => rule.port_range(1..=65535),
    })
}

/// The differences in meaning between these systems and this one, in one place.
fn why_another_system_differs(row: &Value, allowed: bool, refused: bool) -> Option<&'static str> {
    let (system, input) = (text(row, "system"), text(row, "input"));
    let destination = as_url(row).parse::<Destination>();
    let is_ip = destination.as_ref().is_ok_and(|destination| matches!(destination.host(), Host::Ip(_)));
    let patterns = texts(&row["patterns"]);
    let any = |found: &dyn Fn(&str) -> bool| patterns.iter().any(|pattern| found(pattern));
    if !allowed && destination.is_err() {
        return Some("what was asked is no http or https destination here");
    }
    if !allowed && refused {
        return Some("a pattern has no place in this language, and what is refused matches nothing");
    }
    if !allowed && (system.contains("report") || system.contains("open")) {
        return Some("a mode that lets everything pass; here it is to come, and is no property of a list");
    }
    if !allowed && any(&|pattern| pattern == "<all>" || (pattern.contains('=') && !pattern.contains("domain="))) {
        return Some("any host does not mean special-purpose addresses or local names here");
    }
    if !allowed && is_ip && any(&|pattern| pattern.contains("/0") || pattern.ends_with("/17")) {
        return Some("a network opens special-purpose addresses only within their own block");
    }
    if !allowed && system.contains("NO_PROXY") && (is_ip || input.starts_with("localhost")) {
        return Some("these lists are about bypassing a proxy, and loopback always does");
    }
    if !allowed && (system.contains("roxy") || system.contains("PROXY")) {
        return Some("a bare name means the names below it too where a list is about bypassing a proxy");
    }
    if allowed && any(&|pattern| pattern.starts_with('.')) {
        return Some("a leading dot includes the name itself here");
    }
    if allowed && system.contains("smokescreen") && any(&|pattern| pattern.trim_start_matches('*').contains('*')) {
        return Some("a star further in means one label here");
    }
    let denies =
        ["deny_patterns", "global_deny"].iter().any(|key| row[*key].as_array().is_some_and(|list| !list.is_empty()));
    if !allowed && denies {
        return Some("deny beats allow here, however narrow the allow is");
    }
    if !allowed && system.contains("deno") && any(&|pattern| pattern.starts_with("*.")) {
        return Some("a leading `*.` does not include the name itself here");
    }
    if !allowed && system.contains("boundary") && any(&|pattern| pattern.ends_with("/*")) {
        return Some("a star in a path stays within its segment here");
    }
    if !allowed && system.contains("awf") && any(&|pattern| pattern.ends_with(".*")) {
        return Some("paths are globs here, not regular expressions");
    }
    if !allowed && system.contains("awf") {
        return Some("a bare name does not mean the names below it here");
    }
    if allowed && system.contains("curl") && any(&|pattern| pattern.contains(' ') || pattern.ends_with("/0")) {
        return Some("curl's list is not split at these spaces, and its /0 is an exact comparison");
    }
    None
}
