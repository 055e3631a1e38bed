//! Pairs of policies of the whole language, and what the library decides of requests, beside what the comparison lists.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egress_guard::draft::PolicyDraft;
use egress_guard::{Destination, Policy, Request};
use http::Method;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::days::Looser;

const TODAY: &str = "2027-03-31";
/// Days on and after that day, and when they begin.
const DAYS: &[(&str, u64)] = &[(TODAY, 0), ("2027-04-01", 1), ("2027-04-02", 2), ("2027-05-01", 31)];

fn begin_of(days_later: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_806_451_200 + days_later * 86_400)
}

/// The lines of a rule, one for each key.
type Lines = Vec<&'static str>;

#[derive(Clone, Debug)]
struct Pieces {
    head: Lines,
    allow: Vec<Lines>,
    deny: Vec<Lines>,
}

impl Pieces {
    fn text(&self) -> String {
        let mut text = format!("version = 1\nname = 'p'\n{}\n", self.head.join("\n"));
        for (table, rules) in [("allow", &self.allow), ("deny", &self.deny)] {
            for (number, lines) in rules.iter().enumerate() {
                text += &format!("[[{table}]]\nid = '{table}{number}'\n{}\n", lines.join("\n"));
            }
        }
        text
    }
}

const SUBJECTS: &[&str] = &[
    "hosts = ['a.example']",
    "hosts = ['*.a.example']",
    "hosts = ['.a.example']",
    "hosts = ['b.a.example', 'c.example']",
    "hosts = ['b-*.c.example', '*.*.c.example']",
    "hosts = ['db.internal']\nnetworks = ['10.0.0.0/8']",
    "hosts = ['.a.example']\nnetworks = ['203.0.114.0/24']",
    "networks = ['203.0.114.7/32', '10.0.0.0/16']",
    "networks = ['0.0.0.0/0', '::/0']",
    "networks = ['64:ff9b::/96', '169.254.169.254/32']",
];

/// One line for each of the other keys; an empty one, for its default, is as likely as all others.
const KEYS: &[&[&str]] = &[
    &["methods = ['GET']", "methods = ['GET', 'POST']", "methods = ['PUT']"],
    &["paths = ['/v1/**']", "paths = ['/v1/x']", "paths = ['/**']", "paths = ['/v1/*']", "paths = ['/{v1,v2}/**']"],
    &["ports = [443]", "ports = ['440-450']", "ports = [8443]", "ports = [443, 8443]"],
    &["schemes = ['https']", "schemes = ['http', 'https']"],
    &["boundary = 'internal'", "boundary = 'external'"],
    &["expires = 2027-03-30", "expires = 2027-03-31", "expires = 2027-04-01", "expires = 2027-04-02"],
];

const ADDRESSES: &[&str] = &[
    "addresses = ['public']",
    "addresses = ['private']",
    "addresses = ['public', 'private']",
    "addresses = ['internal']",
    "addresses = ['10.0.0.0/8']",
    "addresses = ['public', '10.0.0.0/16']",
];

const HEADS: &[&[&str]] = &[
    &["proxy = 'http://c.example:8443'"],
    &[
        "mode = 'report-only'\nreport_only_until = 2027-03-31",
        "mode = 'report-only'\nreport_only_until = 2027-04-01",
        "mode = 'report-only'\nreport_only_until = 2027-05-01",
    ],
    &[
        "internal = { hosts = ['.a.example'] }",
        "internal = { networks = ['10.0.0.0/8'] }",
        "internal = { networks = ['10.0.0.0/16'] }",
        "internal = { hosts = ['b.a.example'], networks = ['10.0.0.0/8'] }",
    ],
];

fn line(lines: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just(""), 1 => select(lines)]
}

fn rule(allows: bool) -> impl Strategy<Value = Lines> {
    let every = if allows { "dangerously_any_host = true" } else { "hosts = ['*']" };
    let subject = prop_oneof![9 => select(SUBJECTS), 1 => Just(every)];
    let own = line(if allows { ADDRESSES } else { &["mode = 'report-only'"] });
    let keys: Vec<_> = KEYS.iter().map(|lines| line(lines)).collect();
    (subject, own, keys).prop_map(|(subject, own, keys)| [vec![subject, own], keys].concat())
}

fn head() -> impl Strategy<Value = Lines> {
    let rarely = |lines: &'static [&'static str]| prop_oneof![9 => Just(""), 1 => select(lines)];
    (rarely(HEADS[0]), rarely(HEADS[1]), line(HEADS[2])).prop_map(|(proxy, mode, internal)| vec![proxy, mode, internal])
}

fn pieces() -> impl Strategy<Value = Pieces> {
    (head(), prop::collection::vec(rule(true), 0..4), prop::collection::vec(rule(false), 0..3))
        .prop_map(|(head, allow, deny)| Pieces { head, allow, deny })
}

/// A policy and another one that differs from it in a few lines, rules or their order.
fn pairs() -> impl Strategy<Value = (String, String)> {
    let edit = (0..7_u8, any::<bool>(), any::<[Index; 3]>());
    (pieces(), pieces(), prop::collection::vec(edit, 0..4), any::<bool>()).prop_filter_map(
        "a policy with a fault",
        |(old, other, edits, turned)| {
            let new = edits.into_iter().fold(old.clone(), |new, edit| edited(new, &other, edit));
            let texts = if turned { (new.text(), old.text()) } else { (old.text(), new.text()) };
            [&texts.0, &texts.1].iter().all(|text| Policy::from_toml(text).is_ok()).then_some(texts)
        },
    )
}

fn edited(mut policy: Pieces, other: &Pieces, (kind, is_allow, [rule, source, key]): (u8, bool, [Index; 3])) -> Pieces {
    if kind == 0 {
        let key = key.index(policy.head.len());
        policy.head[key] = other.head[key];
        return policy;
    }
    let (rules, others) = if is_allow { (&mut policy.allow, &other.allow) } else { (&mut policy.deny, &other.deny) };
    let count = rules.len();
    match kind {
        1 if !others.is_empty() => rules.insert(rule.index(count + 1), source.get(others).clone()),
        2 if count > 0 => drop(rules.remove(rule.index(count))),
        3 if count > 0 => rules.rotate_left(rule.index(count)),
        _ if count > 0 && !others.is_empty() => {
            let (rule, source) = (rule.index(count), source.get(others));
            let key = key.index(source.len());
            rules[rule][key] = source[key];
        }
        _ => {}
    }
    policy
}

type Asked = (Method, Destination, Option<IpAddr>);

static REQUESTS: LazyLock<Vec<Asked>> = LazyLock::new(|| {
    let names = ["a.example", "b.a.example", "c.example", "b-1.c.example", "x.y.c.example", "db.internal"];
    let literals =
        ["203.0.114.7", "203.0.114.8", "10.0.3.4", "[::ffff:10.0.3.4]", "[64:ff9b::a00:304]", "169.254.169.254"];
    let peers = [None, Some("203.0.114.7"), Some("10.0.3.4"), Some("10.9.0.1"), Some("64:ff9b::a00:304")];
    let peers = peers.map(|peer| peer.map(|ip| ip.parse().unwrap()));
    let mut requests = Vec::new();
    for (host, peers) in names.map(|name| (name, &peers[..])).into_iter().chain(literals.map(|ip| (ip, &peers[..1]))) {
        for (scheme, port) in [("https", 443), ("https", 8443), ("http", 80), ("http", 443)] {
            for path in ["/v1/x", "/v1/x/y", "/v1/", "/v1", "/V1/x", "/v1//x", "/"] {
                for method in ["GET", "POST", "PUT", "put"] {
                    let destination: Destination = format!("{scheme}://{host}:{port}{path}").parse().unwrap();
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    requests.extend(peers.iter().map(|peer| (method.clone(), destination.clone(), *peer)));
                }
            }
        }
    }
    requests
});

/// `PROPTEST_CASES` asks for more.
fn few_unless_asked() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if asked { config.cases } else { 80 }, ..config }
}

/// Whether it is sent: by a client that asks at one place, and by one that asks at all.
fn is_sent(policy: &Policy, (method, destination, peer): &Asked, now: SystemTime) -> [bool; 2] {
    let request = Request::new(method, destination);
    let request = peer.map_or(request, |peer| request.peer(peer));
    let is_sent = |request: &Request<'_>| !policy.decide(request, now).is_enforced_denial();
    [is_sent(&request), request.stages().all(|stage| is_sent(&stage))]
}

proptest! {
    #![proptest_config(few_unless_asked())]

    #[test]
    fn whatever_is_newly_allowed_is_listed(
        (old, new) in pairs(),
        asked in prop::collection::vec(any::<Index>(), 120),
    ) {
        let (old_policy, new_policy) = (Policy::from_toml(&old).unwrap(), Policy::from_toml(&new).unwrap());
        let (old_draft, new_draft) = (PolicyDraft::from_toml(&old).unwrap(), PolicyDraft::from_toml(&new).unwrap());
        let listed = Looser::between(TODAY, &old_draft, &new_draft);
        let text_of = |text: &Option<egress_guard::draft::Text>| text.as_ref().map(|text| text.text.clone());
        // Told in a line of its own.
        prop_assume!(text_of(&old_draft.proxy) == text_of(&new_draft.proxy));
        let until = text_of(&new_draft.report_only_until);
        let is_told = |day: &str| {
            until > text_of(&old_draft.report_only_until) && until.as_deref().is_some_and(|until| day < until)
        };
        for (day, later) in DAYS.iter().filter(|(day, _)| !is_told(day)) {
            for asked in asked.iter().map(|index| index.get(&REQUESTS)) {
                let (before, after) =
                    (is_sent(&old_policy, asked, begin_of(*later)), is_sent(&new_policy, asked, begin_of(*later)));
                let is_newly_sent = before.iter().zip(after).any(|(before, after)| !before && after);
                if is_newly_sent {
                    let (method, destination, peer) = asked;
                    prop_assert!(
                        listed.by(day).any(|area| area.is_about(method, destination, *peer)),
                        "on {day} {method} {destination} at {peer:?} is newly allowed\n{old}\n---\n{new}"
                    );
                }
            }
        }
    }

    /// Time takes away what is allowed, and gives nothing.
    #[test]
    fn what_is_denied_on_one_day_is_not_allowed_on_a_later_one(
        (text, _) in pairs(),
        asked in prop::collection::vec(any::<Index>(), 120),
    ) {
        let policy = Policy::from_toml(&text).unwrap();
        for asked in asked.iter().map(|index| index.get(&REQUESTS)) {
            let days = DAYS.iter().map(|(_, later)| is_sent(&policy, asked, begin_of(*later))).collect::<Vec<_>>();
            prop_assert!(days.iter().zip(days.iter().skip(1)).all(|(day, next)| next <= day), "{asked:?}\n{text}");
        }
    }
}

#[test]
fn requests_are_newly_allowed_often_enough() {
    let allow = Policy::from_toml("version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ['.a.example']\n").unwrap();
    let sent = REQUESTS.iter().filter(|asked| is_sent(&allow, asked, begin_of(0))[1]).count();
    assert!(sent > 50, "{sent} of {}", REQUESTS.len());
}
