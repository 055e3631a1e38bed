//! What an explanation proposes is added to the policy's text, and the policy asked again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::iter;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use egress_guard::{
    AddressClass, Decision, Destination, Dimension, Effect, Host, LayerExplanation, MissingAddresses, Policy, Reason,
    Request, RuleId,
};
use http::Method;
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;

fn read(text: &str) -> Policy {
    Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A layer as text: what stands in front of its rules, and the lines of each rule.
#[derive(Clone, Debug)]
struct Text {
    head: String,
    rules: Vec<Vec<String>>,
}

impl Text {
    fn whole(&self) -> String {
        let rules = self.rules.iter().map(|lines| format!("{}\n", lines.join("\n")));
        self.head.clone() + &rules.collect::<String>()
    }

    /// With one more rule at its end.
    fn and(&self, rule: &str) -> String {
        self.whole() + rule
    }

    fn with_addresses(&self, missing: &MissingAddresses) -> String {
        let mut changed = self.clone();
        for lines in &mut changed.rules {
            if missing.rules.iter().any(|id| lines.contains(&format!("id = '{id}'"))) {
                lines.retain(|line| !line.starts_with("addresses"));
                lines.push(format!("addresses = {:?}", missing.addresses));
            }
        }
        changed.whole()
    }

    /// With one more address for the names of every rule.
    fn with_address(&self, network: IpNet) -> String {
        let mut changed = self.clone();
        let names = |lines: &&mut Vec<String>| NAMES.iter().any(|names| lines.iter().any(|line| line == names));
        for lines in changed.rules.iter_mut().filter(|lines| lines[0] == "[[allow]]").filter(names) {
            match lines.iter_mut().find(|line| line.starts_with("addresses")) {
                Some(line) => *line = line.replace(']', &format!(", '{network}']")),
                None => lines.push(format!("addresses = ['public', '{network}']")),
            }
        }
        changed.whole()
    }
}

/// One of some lines, or none of them as often as not.
fn maybe(lines: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(select(lines))
}

const NAMES: &[&str] = &[
    "hosts = ['a.example']",
    "hosts = ['*.a.example', 'c.test']",
    "hosts = ['.a.example']",
    "hosts = ['x.corp.example']",
    "hosts = ['localhost', 'x.*.example']",
    "dangerously_any_host = true",
];
const NETWORKS: &[&str] =
    &["networks = ['10.1.0.0/16']", "networks = ['0.0.0.0/0', '::/0']", "networks = ['203.0.114.0/24']"];

const DIMENSIONS: [&[&str]; 4] = [
    &["ports = [443]", "ports = [443, '8000-8099']", "ports = [80]"],
    &["schemes = ['https']", "schemes = ['http']", "schemes = ['https', 'http']"],
    &["methods = ['GET']", "methods = ['GET', 'POST']"],
    &["paths = ['/x']", "paths = ['/x/**', '/*']", "paths = ['/**']"],
];

const ADDRESSES: &[&str] = &[
    "addresses = ['public']",
    "addresses = ['private', 'public']",
    "addresses = ['internal']",
    "addresses = ['10.1.2.0/24', '2001:4860::/32']",
];
const BOUNDARIES: [&str; 3] = ["boundary = 'internal'", "boundary = 'external'", ""];

fn allow() -> impl Strategy<Value = Vec<&'static str>> {
    let addresses = maybe(ADDRESSES);
    let subject = prop_oneof![
        3 => (select(NAMES), addresses).prop_map(|(names, addresses)| [Some(names), addresses]),
        1 => select(NETWORKS).prop_map(|networks| [Some(networks), None]),
    ];
    let boundary = prop_oneof![5 => Just(None), 2 => select(&BOUNDARIES[..2]).prop_map(Some)];
    (subject, DIMENSIONS.map(maybe), boundary, maybe(&["expires = 1970-01-02"])).prop_map(
        |(subject, dimensions, boundary, expires)| {
            subject.into_iter().chain(dimensions).chain([boundary, expires]).flatten().collect()
        },
    )
}

fn deny() -> impl Strategy<Value = Vec<&'static str>> {
    let subject = select(&["hosts = ['y.a.example']", "hosts = ['*']", "networks = ['10.1.2.0/24']"][..]);
    let mode = maybe(&["mode = 'report-only'", "mode = 'report-only'\nexpires = 1970-01-02"]);
    (subject, DIMENSIONS.map(maybe), mode).prop_map(|(subject, dimensions, mode)| {
        iter::once(Some(subject)).chain(dimensions).chain([mode]).flatten().collect()
    })
}

fn layer() -> impl Strategy<Value = Text> {
    let mode = prop::bool::weighted(0.2);
    (mode, prop::collection::vec(allow(), 0..4), prop::collection::vec(deny(), 0..2)).prop_map(
        |(report, allow, deny)| {
            let mode = if report { "mode = 'report-only'\nreport_only_until = 2000-01-01\n" } else { "" };
            let head = format!(
                "version = 1\nname = 'p'\n{mode}[internal]\nhosts = ['.corp.example']\nnetworks = ['10.1.0.0/16']\n"
            );
            let rule = |table: &str, number: usize, lines: Vec<&str>| {
                let id = format!("id = '{table}-{number}'");
                [format!("[[{table}]]"), id].into_iter().chain(lines.into_iter().map(str::to_owned)).collect()
            };
            let allow = allow.into_iter().enumerate().map(|(number, lines)| rule("allow", number, lines));
            let deny = deny.into_iter().enumerate().map(|(number, lines)| rule("deny", number, lines));
            Text { head, rules: allow.chain(deny).collect() }
        },
    )
}

#[derive(Clone, Debug, PartialEq)]
struct Asked {
    method: Method,
    url: Destination,
    peer: Option<IpAddr>,
}

impl Asked {
    fn request(&self) -> Request<'_> {
        let request = Request::new(&self.method, &self.url);
        self.peer.into_iter().fold(request, Request::peer)
    }

    fn goes_to_metadata(&self) -> bool {
        let literal = match self.url.host() {
            Host::Ip(ip) => Some(*ip),
            Host::Name(_) => None,
        };
        literal.or(self.peer).map(AddressClass::of) == Some(AddressClass::CloudMetadata)
    }

    /// Everything that a rule can tell apart, but for the address of a name.
    fn is_the_same_as(&self, other: &Self) -> bool {
        let place = |url: &Destination| {
            let host = match url.host() {
                Host::Ip(ip) => Host::Ip(ip.to_canonical()),
                name @ Host::Name(_) => name.clone(),
            };
            // Paths with these escapes are the same to a rule.
            (url.scheme(), host, url.port(), url.path().replace("%78", "x"))
        };
        self.method == other.method && place(&self.url) == place(&other.url)
    }
}

const HOSTS: &[&str] = &[
    "a.example",
    "y.a.example",
    "x.corp.example",
    "c.test",
    "unlisted.test",
    "localhost",
    "_",
    "10.1.2.3",
    "203.0.114.7",
    "127.0.0.1",
    "169.254.169.254",
    "[::]",
    "[::ffff:10.1.2.3]",
    "[64:ff9b::a01:203]",
    "[4000::1]",
];
const PATHS: &[&str] = &["/", "/x", "/%78", "/x/y", "/a//b", "/*", "/x[1]{a,b}", "/%7Bid%7D", "/x'\"!|^", "/%2e%2e/"];
const PEERS: &[&str] = &["203.0.114.7", "10.1.2.3", "10.2.0.1", "127.0.0.1", "169.254.169.254", "64:ff9b::a01:203"];

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![
        8 => select(&["GET", "POST", "M-SEARCH"][..]),
        1 => select(&["patch", "ALL", "CONNECT", "a|b'`"][..]),
    ];
    let peer = prop::option::of(select(PEERS));
    let place = (select(&["https", "http"][..]), select(HOSTS), select(&["", ":443", ":8080"][..]), select(PATHS));
    (method, place, peer).prop_map(|(method, (scheme, host, port, path), peer)| {
        let url: Destination = format!("{scheme}://{host}{port}{path}").parse().unwrap();
        let peer = peer.filter(|_| matches!(url.host(), Host::Name(_))).map(|peer| peer.parse().unwrap());
        Asked { method: method.parse().unwrap(), url, peer }
    })
}

fn is_allowed(policy: &Policy, request: Request<'_>, now: SystemTime) -> bool {
    matches!(policy.decide(&request, now), Decision::Allow { .. })
}

/// Before some rules expire, and after.
fn now() -> impl Strategy<Value = SystemTime> {
    select(&[0, 86_400][..]).prop_map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn a_missing_rule_is_what_an_owner_would_write() {
    let policy = read(
        "version = 1\nname = 'p'\n[[allow]]\nid = 'intranet'\nhosts = ['.corp.example']\nmethods = ['GET']\n\
         addresses = ['private', '10.0.0.0/8']\n[[allow]]\nid = 'host'\nhosts = ['a.test']\nexpires = 1970-01-01\n\
         [[allow]]\nid = 'all'\ndangerously_any_host = true\nports = [7]\n\
         [[deny]]\nid = 'trial'\nhosts = ['trial.test']\nmode = 'report-only'\n",
    );
    type Case = (&'static str, &'static str, &'static str, Option<&'static str>, &'static [&'static str]);
    let cases: &[Case] = &[
        (
            "a host",
            "GET",
            "https://b.test/v1/*",
            None,
            &["id = \"b-test\"", "hosts = [\"b.test\"]", "methods = [\"GET\"]", "paths = [\"/v1/[*]\"]"],
        ),
        (
            "a scheme and a port, at a private address",
            "PUT",
            "http://b.test:81/",
            Some("10.0.0.5"),
            &[
                "id = \"b-test\"",
                "hosts = [\"b.test\"]",
                "ports = [81]",
                "schemes = [\"http\"]",
                "methods = [\"PUT\"]",
                "paths = [\"/\"]",
                "addresses = [\"10.0.0.5/32\"]",
            ],
        ),
        (
            "a method, with the addresses of the rule beside it",
            "POST",
            "https://wiki.corp.example/",
            None,
            &[
                "id = \"wiki-corp-example\"",
                "hosts = [\"wiki.corp.example\"]",
                "methods = [\"POST\"]",
                "paths = [\"/\"]",
                "addresses = [\"10.0.0.0/8\", \"private\"]",
            ],
        ),
        (
            "an address, whose id would be empty, and is taken",
            "GET",
            "https://[::]/",
            None,
            &["id = \"host-2\"", "networks = [\"::/128\"]", "methods = [\"GET\"]", "paths = [\"/\"]"],
        ),
        (
            "an address that a rule for any host does not open",
            "GET",
            "https://10.0.0.1:7/",
            None,
            &[
                "id = \"10-0-0-1\"",
                "networks = [\"10.0.0.1/32\"]",
                "ports = [7]",
                "methods = [\"GET\"]",
                "paths = [\"/\"]",
            ],
        ),
        ("a path that no pattern can state", "GET", "https://b.test/a//b", None, &[]),
        ("a method that no rule can state", "patch", "https://b.test/", None, &[]),
        ("a rule that has expired", "GET", "https://a.test/", None, &[]),
        ("what a rule on trial would deny", "GET", "https://trial.test/", None, &[]),
        ("a tunnel", "CONNECT", "https://b.test/", None, &[]),
        ("a metadata service", "GET", "http://169.254.169.254/", None, &[]),
        ("a name of one", "GET", "http://b.test/", Some("169.254.169.254"), &[]),
        ("an address of no purpose", "GET", "https://[4000::1]/", None, &[]),
        ("addresses that are missing instead", "GET", "https://wiki.corp.example/", Some("203.0.114.7"), &[]),
    ];
    for (name, method, url, peer, expected) in cases {
        let (method, url) = (method.parse().unwrap(), url.parse().unwrap());
        let asked = Asked { method, url, peer: peer.map(|peer| peer.parse().unwrap()) };
        let layer = policy.explain(&asked.request(), SystemTime::UNIX_EPOCH).layers.remove(0);
        let rule = layer.missing_rule.unwrap_or_default();
        assert_eq!(rule.lines().skip(1).collect::<Vec<_>>(), *expected, "{name}");
    }
}

#[test]
fn missing_addresses_are_for_every_rule_that_shares_connections() {
    let policy = read(
        "version = 1\nname = 'p'\n[[allow]]\nid = 'read'\nhosts = ['a.example']\nmethods = ['GET']\n\
         [[allow]]\nid = 'write'\nhosts = ['*.example']\nmethods = ['POST']\n\
         [[allow]]\nid = 'elsewhere'\nhosts = ['a.example']\nports = [8443]\n",
    );
    let asked = Asked {
        method: Method::POST,
        url: "https://a.example/".parse().unwrap(),
        peer: Some("::ffff:10.1.2.3".parse().unwrap()),
    };
    let layer = policy.explain(&asked.request(), SystemTime::UNIX_EPOCH).layers.remove(0);
    let missing = layer.missing_addresses.unwrap();
    assert_eq!(missing.rules.iter().map(RuleId::as_str).collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(missing.addresses, ["public", "10.1.2.3/32"]);
}

/// What a rule for networks says of a name, or of an address of another purpose than its network's.
#[test]
fn a_network_around_an_address_that_it_does_not_open_is_explained() {
    let policy = read(
        "version = 1\nname = 'p'\n[[allow]]\nid = 'wide'\nnetworks = ['0.0.0.0/0']\n\
         [[allow]]\nid = 'near'\nnetworks = ['10.1.0.0/16']\nports = [8443]\n",
    );
    type Case = (&'static str, &'static str, Option<&'static str>, &'static [(&'static str, &'static [Dimension])]);
    let cases: &[Case] = &[
        ("a public address", "https://203.0.114.7/", None, &[("wide", &[])]),
        ("a private address", "https://10.2.0.1/", None, &[("wide", &[Dimension::Network])]),
        (
            "the same in a rule that opens it",
            "https://10.1.0.1/",
            None,
            &[("wide", &[Dimension::Network]), ("near", &[Dimension::Port])],
        ),
        (
            "a name",
            "https://a.example/",
            Some("10.1.0.1"),
            &[("wide", &[Dimension::Network]), ("near", &[Dimension::Network, Dimension::Port])],
        ),
        ("a name without an address", "https://a.example/", None, &[]),
    ];
    for (name, url, peer, expected) in cases {
        let asked =
            Asked { method: Method::GET, url: url.parse().unwrap(), peer: peer.map(|peer| peer.parse().unwrap()) };
        let layer = policy.explain(&asked.request(), SystemTime::UNIX_EPOCH).layers.remove(0);
        let considered = layer.considered.iter().map(|rule| (rule.id.as_str(), rule.fails.as_slice()));
        assert_eq!(considered.collect::<Vec<_>>(), *expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_missing_rule_allows_this_request_and_nothing_else(
        outer in layer(), inner in layer(), asked in asked(), others in prop::collection::vec(asked(), 15), now in now(),
    ) {
        let before = read(&outer.whole()).narrowed_by(read(&inner.whole()));
        let layers = before.explain(&asked.request(), now).layers;
        let grown = |text: &Text, explained: &LayerExplanation| match &explained.missing_rule {
            Some(rule) => text.and(rule),
            None => text.whole(),
        };
        let (grown_outer, grown_inner) = (grown(&outer, &layers[0]), grown(&inner, &layers[1]));
        let after = read(&grown_outer).narrowed_by(read(&grown_inner));
        if layers.iter().all(|layer| layer.denial.is_none() || layer.missing_rule.is_some()) {
            prop_assert!(is_allowed(&after, asked.request(), now), "{asked:?}\n{grown_outer}\n{grown_inner}");
        }
        for (layer, text) in layers.iter().zip([&grown_outer, &grown_inner]) {
            for stage in asked.request().stages().filter(|_| layer.missing_rule.is_some()) {
                prop_assert!(is_allowed(&read(text), stage, now), "{stage:?}\n{text}");
            }
        }
        let neighbours = others.iter().flat_map(|other| {
            let host = Asked { url: other.url.clone(), ..asked.clone() };
            [other.clone(), Asked { method: other.method.clone(), ..asked.clone() }, host]
        });
        for other in neighbours.filter(|other| !other.is_the_same_as(&asked)) {
            let (was, is) = (is_allowed(&before, other.request(), now), is_allowed(&after, other.request(), now));
            prop_assert_eq!(was, is, "{:?} after {:?}\n{}\n{}", other, asked, grown_outer, grown_inner);
        }
    }

    #[test]
    fn no_missing_rule_is_overlooked(text in layer(), asked in asked(), now in now()) {
        let layer = read(&text.whole()).explain(&asked.request(), now).layers.remove(0);
        let host = match asked.url.host() {
            Host::Name(name) => format!("hosts = ['{}']", name.as_str()),
            Host::Ip(ip) => format!("networks = ['{}']", IpNet::from(ip.to_canonical())),
        };
        let (scheme, port, path) = (asked.url.scheme(), asked.url.port(), globset::escape(asked.url.path()));
        let rule = format!(
            "[[allow]]\nid = 'new'\n{host}\nschemes = ['{scheme}']\nports = [{port}]\nmethods = [\"{}\"]\npaths = [{path:?}]\n",
            asked.method
        );
        let peer = asked.peer.map(|ip| format!("addresses = ['{}']", IpNet::from(ip.to_canonical())));
        let addresses = ADDRESSES.iter().copied().chain(peer.as_deref()).chain([""]);
        let needs_another_cure = match layer.denial {
            None | Some((Reason::RuleExpired, _)) => true,
            // A further rule would be in conflict with the one that matches but for the address.
            Some((Reason::AddressNotAllowed | Reason::BoundaryNotAllowed, _)) => asked.peer.is_some(),
            Some(_) => false,
        };
        if !needs_another_cure && layer.missing_rule.is_none() && !asked.goes_to_metadata() {
            for (addresses, boundary) in addresses.flat_map(|line| BOUNDARIES.map(|boundary| (line, boundary))) {
                let text = text.and(&format!("{rule}{addresses}\n{boundary}\n"));
                if let Ok(policy) = Policy::from_toml(&text) {
                    let helps = asked.request().stages().all(|stage| is_allowed(&policy, stage, now));
                    prop_assert!(!helps, "{:?} {:?}\n{}", layer.denial, asked, text);
                }
            }
        }
    }

    #[test]
    fn no_missing_addresses_are_overlooked(text in layer(), asked in asked(), now in now()) {
        let layer = read(&text.whole()).explain(&asked.request(), now).layers.remove(0);
        prop_assert!(!asked.goes_to_metadata() || layer.missing_rule.is_none() && layer.missing_addresses.is_none());
        let is_about_addresses = matches!(layer.denial, Some((Reason::AddressNotAllowed, _)));
        if let (Some(peer), true, None) = (asked.peer, is_about_addresses, &layer.missing_addresses) {
            let text = text.with_address(IpNet::from(peer.to_canonical()));
            let helps = asked.request().stages().all(|stage| is_allowed(&read(&text), stage, now));
            prop_assert!(!helps || asked.goes_to_metadata(), "{:?}\n{}", asked, text);
        }
    }

    #[test]
    fn missing_addresses_allow_the_request(text in layer(), asked in asked(), now in now()) {
        let policy = read(&text.whole());
        let explained = policy.explain(&asked.request(), now);
        if let Some(missing) = &explained.layers[0].missing_addresses {
            let text = text.with_addresses(missing);
            for stage in asked.request().stages() {
                prop_assert!(is_allowed(&read(&text), stage, now), "{stage:?}\n{text}");
            }
        }
    }

    #[test]
    fn an_explanation_is_about_the_rules_that_decide(text in layer(), asked in asked(), now in now()) {
        let policy = read(&text.whole());
        let explained = policy.explain(&asked.request(), now);
        let layer = &explained.layers[0];
        let deciding = layer.rule.as_ref().map(|id| layer.considered.iter().find(|rule| rule.id == *id).unwrap());
        match (&explained.decision, layer.denial) {
            (Decision::Allow { rule, .. }, None) => {
                prop_assert_eq!(Some(*rule), layer.rule.as_ref());
                prop_assert!(deciding.unwrap().matches());
                prop_assert!(!layer.considered.iter().any(|rule| rule.effect == Effect::Deny && rule.matches()));
            }
            (Decision::Deny { reason, rule, mode, .. }, Some(denial)) => {
                prop_assert_eq!((*reason, *mode), denial);
                prop_assert_eq!(*rule, layer.rule.as_ref());
                match reason {
                    Reason::DeniedByRule => prop_assert!(deciding.unwrap().matches()),
                    Reason::RuleExpired => {
                        prop_assert!(deciding.unwrap().has_expired && deciding.unwrap().fails.is_empty());
                    }
                    Reason::AddressConflict => {
                        prop_assert!(layer.considered.iter().any(|rule| rule.conflicts_in_addresses));
                        prop_assert!(layer.considered.iter().any(|rule| rule.effect == Effect::Allow && rule.matches()));
                    }
                    // Not for want of a rule that allows it.
                    Reason::AmbiguousPath | Reason::ConnectMethod => {}
                    _ => prop_assert!(!layer.considered.iter().any(|rule| rule.effect == Effect::Allow && rule.matches())),
                }
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
