use std::cell::Cell;

use egress_guard::draft::{PolicyDraft, RuleDraft, Text};
use egress_guard::{Decision, Destination, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::learning::Learning;
use super::*;
use crate::logs::{Entry, Place};

/// A line of a log, as `GET https://host/path`, where `CONNECTION` and `REDIRECT` say the stage; behind it ` @ADDRESS`, and
/// `key=value` for what is different.
fn line(text: &str) -> String {
    thread_local!(static SEQ: Cell<u64> = const { Cell::new(0) });
    let seq = SEQ.replace(SEQ.get() + 1);
    let mut words = text.split(' ');
    let (method, url) = (words.next().unwrap(), words.next().unwrap());
    let to: Destination = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    let mut line = json!({
        "timestamp": "2026-11-24T10:00:00.000Z", "level": "INFO", "message": "", "event_type": "egress_decision",
        "schema": "egress-guard/1", "environment_id": 1, "seq": seq, "action": "allowed", "policy_id": "orders",
        "mode": "report-only", "client": "reqwest", "stage": "request", "method": method,
        "scheme": to.scheme().as_str(), "host": to.host().to_string(), "port": to.port(), "path": to.path(),
        "boundary": "external", "context_source": "none",
    });
    let object = line.as_object_mut().unwrap();
    match method {
        "CONNECTION" => {
            object.insert("stage".into(), "connection".into());
            object.retain(|key, _| !["method", "path"].contains(&key.as_str()));
        }
        "REDIRECT" => {
            object.insert("stage".into(), "redirect".into());
            object.remove("method");
        }
        _ => {}
    }
    for word in words {
        let (key, value) = word.strip_prefix('@').map_or_else(|| word.split_once('=').unwrap(), |ip| ("peer_ip", ip));
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        object.insert(key.into(), value);
    }
    line.to_string()
}

fn read(lines: &[impl AsRef<str>]) -> Read {
    read_of(&[], lines)
}

fn read_of(functions: &[String], lines: &[impl AsRef<str>]) -> Read {
    let mut read = Read::of(functions, &[]);
    for (number, line) in (1..).zip(lines) {
        let entry = Entry { text: line.as_ref(), place: Place { file: "log", number }, is_behind_text: false };
        read.entry(entry);
    }
    read.finish();
    read
}

const EMPTY: &str = "version = 1\nname = \"orders\"\n";

fn learn(lines: &[impl AsRef<str>], base: &str) -> (Read, Learning) {
    learn_with(lines, base, 3)
}

fn learn_with(lines: &[impl AsRef<str>], base: &str, wildcard_from: usize) -> (Read, Learning) {
    let read = read(lines);
    let base = Base::of(base).unwrap();
    let learning = Learning::of(&read, base, wildcard_from, 4).unwrap_or_else(|error| panic!("{error}"));
    (read, learning)
}

/// A rule in one line.
fn told(rule: &RuleDraft) -> String {
    let texts = |list: &Option<Vec<Text>>| {
        list.as_ref().map(|list| list.iter().map(|text| text.text.clone()).collect::<Vec<_>>().join(","))
    };
    let named = |name: &str, list: &Option<Vec<Text>>| texts(list).map(|text| format!("{name}{text}"));
    let is_service = rule.services.is_some();
    let parts = [
        texts(&rule.methods),
        texts(&rule.hosts).filter(|_| !is_service),
        texts(&rule.networks),
        texts(&rule.services),
        texts(&rule.regions),
        named("buckets=", &rule.buckets),
        named(":", &rule.ports),
        named("schemes=", &rule.schemes),
        texts(&rule.paths),
        named("@", &rule.addresses),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn rules_of(policy: &str) -> Vec<String> {
    PolicyDraft::from_toml(policy).unwrap().allow.iter().map(told).collect()
}

#[test]
fn rules_are_as_wide_as_what_was_sent_and_no_wider() {
    let many = |count: usize, text: fn(usize) -> String| (0..count).map(text).collect::<Vec<_>>();
    let some = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases: Vec<(&str, Vec<String>, &[&str])> = vec![
        ("one request", some(&["GET https://a.example/v1"]), &["GET a.example /v1"]),
        ("two methods", some(&["GET https://a.example/v1", "PUT https://a.example/v1"]), &["GET,PUT a.example /v1"]),
        (
            "two methods for two paths",
            some(&["GET https://a.example/v1", "PUT https://a.example/v2"]),
            &["GET a.example /v1", "PUT a.example /v2"],
        ),
        ("one id", some(&["GET https://a.example/v1/17"]), &["GET a.example /v1/17"]),
        ("two ids", some(&["GET https://a.example/v1/17", "GET https://a.example/v1/18"]), &["GET a.example /v1/*"]),
        (
            "ids in the middle",
            some(&[
                "GET https://a.example/o/17/items",
                "GET https://a.example/o/18/items",
                "GET https://a.example/o/18",
            ]),
            &["GET a.example /o/*,/o/*/items"],
        ),
        (
            "a word beside ids",
            some(&["GET https://a.example/o/17", "GET https://a.example/o/18", "GET https://a.example/o/search"]),
            &["GET a.example /o/*"],
        ),
        (
            "a word beside ids, with another method",
            some(&["GET https://a.example/o/17", "GET https://a.example/o/18", "POST https://a.example/o/search"]),
            &["GET a.example /o/*", "POST a.example /o/search"],
        ),
        (
            "files by day",
            some(&["PUT https://a.example/f/orders-2026-11-23.csv", "PUT https://a.example/f/orders-2026-11-24.csv"]),
            &["PUT a.example /f/orders-*.csv"],
        ),
        (
            "as many words as are listed",
            many(4, |n| format!("GET https://a.example/{}", ["a", "b", "c", "d"][n])),
            &["GET a.example /a,/b,/c,/d"],
        ),
        (
            "more words",
            many(5, |n| format!("GET https://a.example/v1/{}", ["a", "b", "c", "d", "e"][n])),
            &["GET a.example /v1/*"],
        ),
        (
            "more paths at several depths: the deepest folder first",
            some(&[
                "GET https://a.example/a",
                "GET https://a.example/b/c",
                "GET https://a.example/b/d/e",
                "GET https://a.example/b/d/f",
                "GET https://a.example/b/d/g/h",
            ]),
            &["GET a.example /a,/b/c,/b/d/**"],
        ),
        (
            "the root, and a last slash",
            some(&["GET https://a.example/", "GET https://a.example/v1/"]),
            &["GET a.example /,/v1/"],
        ),
        ("stars of the path itself", some(&["GET https://a.example/*/[x]"]), &["GET a.example /[*]/[[]x[]]"]),
        ("two ports", some(&["GET https://a.example/", "GET https://a.example:8443/"]), &["GET a.example :443,8443 /"]),
        (
            "two schemes",
            some(&["GET https://a.example/", "GET http://a.example/"]),
            &["GET a.example schemes=https,http /"],
        ),
        (
            "two schemes and ports are not four",
            some(&["GET https://a.example:8443/", "GET http://a.example:8080/"]),
            &["GET a.example :8080 schemes=http /", "GET a.example :8443 /"],
        ),
        (
            "hosts of one owner that are used alike",
            some(&["GET https://a.o.example/", "GET https://b.o.example/"]),
            &["GET a.o.example,b.o.example /"],
        ),
        (
            "hosts of two owners",
            some(&["GET https://a.example/", "GET https://b.example/"]),
            &["GET a.example /", "GET b.example /"],
        ),
        (
            "many names of one owner",
            many(3, |n| format!("GET https://s{n}.o.example/f/{n}")),
            &["GET *.o.example /f/*"],
        ),
        (
            "many names that are not used alike",
            some(&["GET https://s1.o.example/a", "GET https://s2.o.example/b", "GET https://s3.o.example/c"]),
            &["GET s1.o.example /a", "GET s2.o.example /b", "GET s3.o.example /c"],
        ),
        (
            "many names of many owners",
            many(3, |n| format!("GET https://o{n}.github.io/")),
            &["GET o0.github.io /", "GET o1.github.io /", "GET o2.github.io /"],
        ),
        (
            "many names below a top-level name",
            many(3, |n| format!("GET https://o{n}.example/")),
            &["GET o0.example /", "GET o1.example /", "GET o2.example /"],
        ),
        (
            "many names of AWS",
            many(3, |n| format!("GET https://{n}xyz.execute-api.eu-west-1.amazonaws.com/")),
            &[
                "GET 0xyz.execute-api.eu-west-1.amazonaws.com /",
                "GET 1xyz.execute-api.eu-west-1.amazonaws.com /",
                "GET 2xyz.execute-api.eu-west-1.amazonaws.com /",
            ],
        ),
        (
            "many names in one network",
            many(3, |n| format!("GET http://h{n}.corp.internal/")),
            &["GET h0.corp.internal,h1.corp.internal,h2.corp.internal schemes=http /"],
        ),
        (
            "many names of which nothing but connections is known",
            many(3, |n| format!("CONNECTION https://h{n}.o.example/")),
            &["h0.o.example,h1.o.example,h2.o.example"],
        ),
        (
            "a name beside the wildcard that is not used alike",
            some(&[
                "GET https://s1.o.example/",
                "GET https://s2.o.example/",
                "GET https://s3.o.example/",
                "PUT https://w.o.example/x",
            ]),
            &["GET *.o.example /", "PUT w.o.example /x"],
        ),
        ("a service of AWS", some(&["POST https://dynamodb.eu-west-1.amazonaws.com/"]), &["POST dynamodb eu-west-1 /"]),
        (
            "a bucket",
            some(&[
                "GET https://orders.s3.eu-west-1.amazonaws.com/1",
                "GET https://orders.s3.eu-west-1.amazonaws.com/2",
            ]),
            &["GET s3 eu-west-1 buckets=orders /1,/2"],
        ),
        (
            "buckets and queues by path stay whose they are",
            many(6, |n| format!("GET https://sqs.eu-west-1.amazonaws.com/11112222333{n}/q")),
            &[
                "GET sqs eu-west-1 /111122223330/q,/111122223331/q,/111122223332/q,/111122223333/q,/111122223334/q,/111122223335/q",
            ],
        ),
        (
            "a private address",
            some(&["GET https://a.example/", "CONNECTION https://a.example/ @10.0.0.5"]),
            &["GET a.example / @10.0.0.5/32"],
        ),
        (
            "private and public addresses",
            some(&[
                "GET https://a.example/",
                "CONNECTION https://a.example/ @10.0.0.5",
                "CONNECTION https://a.example/ @203.0.114.7",
            ]),
            &["GET a.example / @public,10.0.0.5/32"],
        ),
        (
            "a proxy's address is not the host's",
            some(&["GET https://a.example/", "CONNECTION https://a.example/ @10.0.0.5 peer_is_proxy=true"]),
            &["GET a.example /"],
        ),
        ("an IP literal", some(&["GET https://10.1.2.3:8443/x"]), &["GET 10.1.2.3/32 :8443 /x"]),
        ("an IPv6 literal", some(&["GET https://[fd00::1]/x"]), &["GET fd00::1/128 /x"]),
        ("an ordinary client", some(&["CONNECTION https://a.example/ @203.0.114.7"]), &["a.example"]),
        (
            "a redirect that it follows",
            some(&["REDIRECT https://a.example/x", "CONNECTION https://a.example/"]),
            &["a.example /x"],
        ),
        (
            "of a long path what is known",
            some(&["GET https://a.example/a/b/cd path_truncated=true"]),
            &["GET a.example /a/b/**"],
        ),
        (
            "what was denied is not learnt",
            some(&["GET https://a.example/", "GET https://b.example/ action=denied reason=host-not-allowed"]),
            &["GET a.example /"],
        ),
        (
            "no wildcard over what was denied",
            some(&[
                "GET https://s1.o.example/",
                "GET https://s2.o.example/",
                "GET https://s3.o.example/",
                "GET https://evil.o.example/ action=denied reason=host-not-allowed",
            ]),
            &["GET s1.o.example,s2.o.example,s3.o.example /"],
        ),
        (
            "nor a service of which another name was denied",
            some(&[
                "POST https://dynamodb.eu-west-1.amazonaws.com/",
                "POST https://dynamodb-fips.eu-west-1.amazonaws.com/ action=denied reason=host-not-allowed",
                "POST https://dynamodb.eu-west-1.api.aws/ action=denied reason=host-not-allowed",
            ]),
            &["POST dynamodb.eu-west-1.amazonaws.com /"],
        ),
        (
            "names of a service that lead to different addresses",
            some(&[
                "POST https://sqs.eu-west-1.amazonaws.com/",
                "POST https://sqs.eu-west-1.api.aws/",
                "CONNECTION https://sqs.eu-west-1.api.aws/ @10.0.0.5",
            ]),
            &["POST sqs.eu-west-1.amazonaws.com /", "POST sqs.eu-west-1.api.aws / @10.0.0.5/32"],
        ),
        (
            "nor a path",
            some(&[
                "GET https://a.example/1",
                "GET https://a.example/2",
                "GET https://a.example/3 action=denied reason=path-not-allowed",
            ]),
            &["GET a.example /1,/2"],
        ),
    ];
    for (name, lines, expected) in cases {
        let lines: Vec<String> = lines.iter().map(|text| line(text)).collect();
        let (read, learning) = learn(&lines, EMPTY);
        assert_eq!(rules_of(&learning.policy), expected, "{name}\n{}", learning.policy);
        assert!(read.refused.is_empty() && learning.standing.is_empty(), "{name}: {read:?}");
        // The order of the lines makes no difference.
        let turned: Vec<String> = lines.into_iter().rev().collect();
        assert_eq!(learn(&turned, EMPTY).1.policy, learning.policy, "{name}");
    }
}

#[test]
fn what_is_dangerous_in_itself_is_told_and_not_learnt() {
    let long = format!("GET https://a.example/{}", "x/".repeat(100_000));
    let cases = [
        ("a metadata service", "GET http://169.254.169.254/latest", "metadata service"),
        ("in IPv6", "GET http://[fd00:ec2::254]/latest", "metadata service"),
        ("by its name", "GET http://metadata.google.internal/x", "metadata service"),
        ("behind a name", "CONNECTION http://a.example/ @169.254.169.254", "metadata service"),
        (
            "behind a name, in an outcome",
            "GET http://a.example/ event_type=egress_outcome status=200 @169.254.169.254",
            "metadata service",
        ),
        ("no host's address", "GET http://0.0.0.0/", "unspecified"),
        ("a group's address", "GET http://224.0.0.1/", "multicast"),
        ("two readings", "GET https://a.example/a%2fb", "two ways"),
        ("a deny rule", "GET https://a.example/ reason=denied-by-rule rule_id=no would_deny=true", "deny rule"),
        ("an end", "GET https://a.example/ reason=rule-expired rule_id=old would_deny=true", "expired"),
        ("a first segment that is cut", "GET https://a.example/tenant path_truncated=true", "first segment"),
        ("a method in lower case", "get https://a.example/", "upper case"),
        ("a tunnel", "CONNECT https://a.example/", "upper case"),
        ("a host that no guard writes", "GET https://a.example/ host=A.example", "no guard writes"),
        ("a host with a port", "GET https://a.example/ host=a.example:80", "no guard writes"),
        ("a host with a user", "GET https://a.example/ host=x@a.example", "no guard writes"),
        ("a path with a query", "GET https://a.example/ path=/a?b", "no guard writes"),
        ("a path to elsewhere", "GET https://a.example/ path=@evil.example/", "no guard writes"),
        ("a path that climbs", "GET https://a.example/ path=/a/../b", "no guard writes"),
        ("a scheme", "GET https://a.example/ scheme=ftp", "no guard writes"),
        ("a path longer than a guard writes", long.as_str(), "no guard writes"),
        ("a port of none", "GET https://a.example/ port=0", "no guard writes"),
    ];
    for (name, text, expected) in cases {
        let (read, learning) = learn(&[line(text), line("GET https://other.example/")], EMPTY);
        assert_eq!(rules_of(&learning.policy), ["GET other.example /"], "{name}");
        let why: Vec<String> = read.refused.keys().map(|(refused, _)| refused.why()).collect();
        assert!(why.len() == 1 && why[0].contains(expected), "{name}: {why:?}");
    }
}

#[test]
fn nothing_is_generalised_over_what_was_reported_for_a_rule_or_was_denied_too_often_to_keep() {
    let hosts = ["s1", "s2", "s3"].map(|host| line(&format!("GET https://{host}.o.example/v1/x")));
    let paths = [17, 18].map(|id| line(&format!("GET https://a.example/v1/{id}")));
    let sent = [hosts.as_slice(), &paths].concat();
    assert_eq!(rules_of(&learn(&sent, EMPTY).1.policy), ["GET a.example /v1/*", "GET *.o.example /v1/x"]);
    let exact = ["GET a.example /v1/17,/v1/18", "GET s1.o.example,s2.o.example,s3.o.example /v1/x"];
    for reported in ["reason=denied-by-rule rule_id=no", "reason=rule-expired rule_id=old"] {
        let reported = ["https://evil.o.example/v1/x", "https://a.example/v1/19"]
            .map(|url| line(&format!("GET {url} would_deny=true {reported}")));
        let (read, learning) = learn(&[sent.as_slice(), &reported].concat(), EMPTY);
        assert_eq!(rules_of(&learning.policy), exact, "{}", learning.policy);
        assert!(!read.denied_more && learning.overtaken.is_empty());
    }
    let denied: Vec<String> = (0..1001)
        .map(|n| line(&format!("GET https://h{n}.other.example/ action=denied reason=host-not-allowed")))
        .collect();
    let siblings: Vec<String> = (0..1100).map(|n| line(&format!("GET https://b.example/v1/w{n}"))).collect();
    let (read, learning) = learn(&[sent.as_slice(), &siblings, &denied].concat(), EMPTY);
    assert!(read.denied_more && !learning.policy.contains('*'), "{}", learning.policy);
    assert!(exact.iter().all(|rule| rules_of(&learning.policy).contains(&(*rule).to_owned())));
    assert_eq!(read.refused.values().sum::<u64>(), 100, "what only a `*` can say");
    let (read, _) = learn(&[sent.as_slice(), &denied[1..], &denied[1..]].concat(), EMPTY);
    assert!(!read.denied_more, "the same again is no more");
}

#[test]
fn what_may_be_several_owners_is_generalised_only_where_that_is_asked_for() {
    let token = |n| format!("POST https://login.example/tenant-{n}/oauth2/token");
    let many = |text: &dyn Fn(usize) -> String| (0..6).map(|n| line(&text(n))).collect::<Vec<_>>();
    let hosts = many(&|n| format!("GET https://s{n}.o.example/"));
    let (tenants, ids) = (many(&|n| token(n)), many(&|n| format!("GET https://a.example/{n}")));
    let buckets = many(&|n| format!("GET https://storage.googleapis.com/bucket-{n}/x"));
    let shared = many(&|n| format!("GET https://s{n}.nip.io/"));
    for (name, lines) in
        [("hosts", &hosts), ("tenants", &tenants), ("ids", &ids), ("buckets", &buckets), ("shared", &shared)]
    {
        let (read, learning) = learn_with(lines, EMPTY, 0);
        assert!(!learning.policy.contains('*') && read.refused.is_empty(), "{name}: {}", learning.policy);
        let (_, learning) = learn_with(lines, EMPTY, 7);
        assert!(!learning.policy.contains('*'), "{name}: {}", learning.policy);
        let (_, learning) = learn_with(lines, EMPTY, 6);
        let is_wild = !["buckets", "shared"].contains(&name);
        assert_eq!(learning.policy.contains("# `*` stands for "), is_wild, "{name}: {}", learning.policy);
        assert_eq!(learning.policy.replace("# `*`", "").contains('*'), is_wild, "{name}: {}", learning.policy);
    }
    assert_eq!(rules_of(&learn_with(&tenants, EMPTY, 6).1.policy), ["POST login.example /tenant-*/oauth2/token"]);
}

#[test]
fn what_may_be_a_secret_is_no_part_of_the_policy_or_told() {
    let signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    let cases = [
        ("/services/T0AB/B0AB/aB3dE6gH9jK2mN5pQ8sT1vW4", "POST h.example /services/T0AB/B0AB/*", false),
        (&format!("/reset/{signed}/confirm"), "POST h.example /reset/*/confirm", false),
        ("/keys/AbCdEf-GhIjKlMnOpQr-StUv3xyz", "POST h.example /keys/*", false),
        (
            "/bot123456:AAH-DEF1234ghIkl_zyx57W2v1u123ew11/send",
            "POST h.example /bot123456:AAH-DEF1234ghIkl_zyx57W2v1u123ew11/send",
            true,
        ),
        ("/v1/list-of-all-orders-in-2026-and-later", "POST h.example /v1/list-of-all-orders-in-2026-and-later", false),
        ("/o/0f8fad5b-d9cb-469f-a165-70867728950e", "POST h.example /o/0f8fad5b-d9cb-469f-a165-70867728950e", false),
    ];
    for (path, expected, is_told) in cases {
        let (_, learning) = learn(&[line(&format!("POST https://h.example{path}"))], EMPTY);
        assert_eq!(rules_of(&learning.policy), [expected]);
        assert_eq!(learning.policy.contains("# a path may hold a secret"), is_told, "{}", learning.policy);
        assert_eq!(learning.secretive.len(), usize::from(is_told));
    }
}

#[test]
fn a_redirect_without_a_method_has_the_methods_of_its_path_or_is_told() {
    let hint = "# only redirects that an ordinary client followed were seen";
    let (_, learning) = learn(&[line("REDIRECT https://a.example/x"), line("GET https://a.example/x")], EMPTY);
    assert_eq!(rules_of(&learning.policy), ["GET a.example /x"]);
    assert!(!learning.policy.contains(hint));
    let (_, learning) = learn(&[line("REDIRECT https://a.example/x"), line("GET https://a.example/y")], EMPTY);
    assert_eq!(rules_of(&learning.policy), ["a.example /x", "GET a.example /y"]);
    assert_eq!(learning.policy.matches(hint).count(), 1, "{}", learning.policy);
}

#[test]
fn lines_outside_of_an_invocation_are_of_the_function_of_their_environment() {
    let of = ["orders".to_owned()];
    let mine = [
        line("GET https://secrets.example/ environment_id=7"),
        line("GET https://a.example/ environment_id=7 function_name=orders"),
        line("GET https://later.example/ environment_id=7"),
    ];
    let others = [
        line("GET https://b.example/ environment_id=8"),
        line("GET https://c.example/ environment_id=8 function_name=refunds"),
        line("GET https://d.example/ environment_id=8"),
    ];
    let read = read_of(&of, &[mine.as_slice(), &others].concat());
    let hosts: Vec<&str> = read.traffic.endpoints.keys().map(|endpoint| &*endpoint.host).collect();
    assert_eq!((hosts, read.outside()), (vec!["a.example", "later.example", "secrets.example"], 0));
    // Of an environment that nothing is known of, nothing is learnt, and that is told.
    let unknown = [
        line("GET https://x.example/ environment_id=9"),
        line("GET https://y.example/ environment_id=9 action=denied reason=host-not-allowed"),
    ];
    let read = read_of(&of, &[mine.as_slice(), &unknown].concat());
    assert_eq!((read.traffic.endpoints.len(), read.outside()), (3, 1));
    // In bounded memory.
    let many: Vec<String> = (0..300)
        .map(|n| line(&format!("GET https://x.example/ environment_id={n} message={}", "x".repeat(200_000))))
        .collect();
    let read = read_of(&of, &[many.as_slice(), &mine].concat());
    assert_eq!(read.outside(), 299, "the one of environment 7 was among the first");
}

#[test]
fn a_line_behind_other_text_is_told_and_not_learnt() {
    let mut read = Read::default();
    let lines = [line("GET https://a.example/"), line("CONNECTION https://b.example/"), line("GET https://c.example/")];
    for (number, text) in (1..).zip(&lines) {
        let place = Place { file: "log", number };
        read.entry(Entry { text, place, is_behind_text: number < 3 });
    }
    read.finish();
    let learning = Learning::of(&read, Base::of(EMPTY).unwrap(), 3, 4).unwrap();
    assert_eq!(rules_of(&learning.policy), ["GET c.example /"]);
    let places: Vec<&str> = read.refused.keys().map(|(_, place)| place.as_str()).collect();
    assert_eq!(places, ["a.example:443", "b.example:443"]);
    assert!(read.refused.keys().all(|(refused, _)| refused.why().contains("other text stands before it")));
}

#[test]
fn forged_methods_are_bounded() {
    let name = |n: usize| n.to_string().bytes().map(|digit| char::from(b'A' + digit - b'0')).collect::<String>();
    let methods: Vec<String> = (0..2000).map(|n| line(&format!("X{} https://a.example/", name(n)))).collect();
    let (read, learning) = learn(&methods, EMPTY);
    assert_eq!(read.refused.values().sum::<u64>(), 2000 - 64);
    assert_eq!(PolicyDraft::from_toml(&learning.policy).unwrap().allow[0].methods.as_ref().unwrap().len(), 64);
    // On paths that are there already, methods take up room too.
    let (mut paths, mut room, usage) = (paths::Paths::default(), 4, usage::Usage::default());
    let added = (0..9).map(|n| paths.add(("/a", false), Some(&name(n).parse().unwrap()), &usage, &mut room).is_ok());
    assert_eq!(added.filter(|is_added| *is_added).count(), 2);
}

/// The line of the connection that a request was sent on, which says nothing of what kept the request from being learnt.
fn connection_of(request: &str) -> String {
    let mut line: Value = serde_json::from_str(request).unwrap();
    let object = line.as_object_mut().unwrap();
    const OWN: [&str; 8] = ["method", "path", "path_truncated", "reason", "rule_id", "would_deny", "peer_ip", "status"];
    object.retain(|key, _| !OWN.contains(&key.as_str()));
    object.insert("event_type".into(), "egress_decision".into());
    object.insert("action".into(), "allowed".into());
    object.insert("stage".into(), "connection".into());
    line.to_string()
}

#[test]
fn the_connection_of_a_request_that_is_not_learnt_opens_no_host() {
    let long = format!("GET https://a.example/{}", "x/".repeat(100_000));
    let requests = [
        "GET https://a.example/a%2fb",
        "GET https://a.example/a//b",
        "GET https://a.example/ reason=denied-by-rule rule_id=no would_deny=true",
        "GET https://a.example/ reason=rule-expired rule_id=old would_deny=true",
        "GET https://a.example/ action=denied reason=path-not-allowed",
        "GET https://a.example/ action=denied reason=quarantined",
        "GET https://a.example/ action=odd",
        "get https://a.example/",
        "CONNECT https://a.example/",
        "GET https://a.example/ path=/a?b",
        "GET https://a.example/ path=/a/../b",
        "REDIRECT https://a.example/a%2fb",
        "GET https://a.example/ @169.254.169.254",
        "GET https://a.example/ event_type=egress_outcome status=200",
        "GET https://a.example/ event_type=egress_outcome status=200 @169.254.169.254",
        long.as_str(),
    ];
    for text in requests {
        let name = text.get(..60).unwrap_or(text);
        let (request, other) = (line(text), line("GET https://other.example/"));
        let connection = connection_of(&request);
        for lines in [[&request, &connection, &other], [&connection, &request, &other]] {
            let (read, learning) = learn(&lines, EMPTY);
            assert_eq!(rules_of(&learning.policy), ["GET other.example /"], "{name}");
            let why: Vec<String> = read.refused.keys().map(|(refused, _)| refused.why()).collect();
            assert!(why.iter().any(|why| why.contains("no request to it is learnt")), "{name}: {why:?}");
        }
        assert_eq!(rules_of(&learn(&[connection], EMPTY).1.policy), ["a.example"], "{name}: an ordinary client's");
    }
}

#[test]
fn nor_does_one_of_a_request_for_which_there_is_no_room() {
    let mut lines: Vec<String> =
        (0..700).map(|n| line(&format!("GET https://a.example/{n}{}", "/x".repeat(300)))).collect();
    lines.push(line(&format!("GET https://late.example/only{}", "/this".repeat(150))));
    lines.push(connection_of(lines.last().unwrap()));
    let read = read(&lines);
    let late = read.traffic.endpoints.iter().find(|(endpoint, _)| &*endpoint.host == "late.example").unwrap().1;
    assert!(!late.is_used() && late.is_refused());
    assert!(read.refused.keys().any(|(_, place)| place == "late.example:443"), "{:?}", read.refused);
    // What there was room for is learnt all the same.
    let learning = Learning::of(&read, Base::of(EMPTY).unwrap(), 0, 4).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(learning.added.len(), 1);
}

#[test]
fn forged_text_ends_neither_a_comment_nor_a_string() {
    let evil = "a\n[[allow]]\nid = \"x\"\ndangerously_any_host = true\n#\r\u{2028}\u{1b}[2J";
    let mut forged: Value = serde_json::from_str(&line("GET https://a.example/v1")).unwrap();
    forged["function_name"] = evil.into();
    forged["policy_id"] = evil.into();
    let (read, learning) = learn(&[forged.to_string()], EMPTY);
    assert_eq!(rules_of(&learning.policy), ["GET a.example /v1"]);
    assert!(!learning.policy.contains(['\r', '\u{1b}', '\u{2028}']), "{}", learning.policy);
    assert_eq!(read.all().0.count, 1);
    for key in ["host", "path", "method", "scheme"] {
        let mut forged: Value = serde_json::from_str(&line("GET https://a.example/v1")).unwrap();
        forged[key] = evil.into();
        let (read, learning) = learn(&[forged.to_string()], EMPTY);
        assert!(rules_of(&learning.policy).is_empty() && read.refused.len() == 1, "{key}: {}", learning.policy);
    }
}

#[test]
fn more_than_can_be_kept_is_generalised_or_told() {
    let paths: Vec<String> = (0..3000)
        .map(|n| line(&format!("GET https://a.example/o/w{}x/end", "abcdefghij".repeat(n % 7) + &n.to_string())))
        .collect();
    let (read, learning) = learn(&paths, EMPTY);
    assert_eq!(rules_of(&learning.policy), ["GET a.example /o/*/end"]);
    assert!(read.refused.is_empty());
    let word = |n: usize| ["a", "b", "c", "d"][n % 4];
    let tree = |n: usize| (0..8).map(|depth| format!("/{}", word(n >> (2 * depth)))).collect::<String>();
    let folders: Vec<String> = (0..4096).map(|n| line(&format!("GET https://a.example{}", tree(n)))).collect();
    assert_eq!(rules_of(&learn(&folders, EMPTY).1.policy), ["GET a.example /a/**,/b/**,/c/**,/d/**"]);
    let objects: Vec<String> =
        (0..1200).map(|n| line(&format!("GET https://s3.eu-west-1.amazonaws.com/bucket-{n}/x"))).collect();
    let (read, learning) = learn(&objects, EMPTY);
    assert!(
        rules_of(&learning.policy)[0].ends_with("/bucket-999/x") && !learning.policy.contains("*"),
        "{}",
        learning.policy
    );
    assert_eq!(read.refused.values().sum::<u64>(), 200, "no bucket of a stranger");
    let deep: Vec<String> =
        (0..1000).map(|n| line(&format!("GET https://a.example/{n}{}", "/x".repeat(300)))).collect();
    let (read, _) = learn(&deep, EMPTY);
    assert!(read.refused.values().sum::<u64>() > 300);
}

// ----- merging -----

const MINE: &str = r#"# Mine.
version = 1   # keep
name = "orders"

# the payments people
  [[allow]]
  id = "payments" # do not touch
  hosts = ["api.payments.example"]
  methods = ["POST"]

# once
[[allow]]
id = "gone"
hosts = ["gone.example"]

[[allow]]
id = "old"
hosts = ["old.example"]
expires = 2020-01-01

[[allow]]
id = "inside"
hosts = ["inside.example"]
methods = ["GET"]
addresses = ["private"]

[[deny]]
id = "no"
hosts = ["*.evil.example"]
# the end
"#;

#[test]
fn what_is_missing_is_added_and_all_else_stays_as_it_was() {
    let lines = [
        line("POST https://api.payments.example/v1"),
        line("GET https://api.payments.example/v1"),
        line("GET https://x.evil.example/"),
        line("GET https://old.example/"),
        line("PUT https://inside.example/"),
        line("CONNECTION https://inside.example/ @10.0.0.5"),
        line("GET https://new.example/ function_name=orders"),
    ];
    let (read, learning) = learn(&lines, MINE);
    let new = "\n# used 1 time in 2026-11-24..2026-11-24\n[[allow]]\nid = \"inside-example\"\nhosts = [\"inside.example\"]\n\
               methods = [\"PUT\"]\npaths = [\"/\"]\naddresses = [\"private\"]\n\
               \n# used 1 time in 2026-11-24..2026-11-24, by orders\n[[allow]]\nid = \"new-example\"\nhosts = [\"new.example\"]\n\
               methods = [\"GET\"]\npaths = [\"/\"]\n\
               \n# used 1 time in 2026-11-24..2026-11-24\n[[allow]]\nid = \"api-payments-example\"\n\
               hosts = [\"api.payments.example\"]\nmethods = [\"GET\"]\npaths = [\"/v1\"]\n";
    let mark = "# not used in 2026-11-24..2026-11-24 (6 requests)\n";
    let expected = MINE
        .replace("# once\n", &format!("# once\n{mark}"))
        .replace("\n[[allow]]\nid = \"old\"", &format!("\n{mark}[[allow]]\nid = \"old\""))
        .replace("\n[[allow]]\nid = \"inside\"", &format!("\n{mark}[[allow]]\nid = \"inside\""))
        .replace("\n[[deny]]", &format!("{new}\n[[deny]]"));
    assert_eq!(learning.policy, expected);
    let standing: Vec<_> = learning.standing.keys().map(|why| (why.reason, why.rule.as_deref())).collect();
    assert_eq!(standing, [("denied-by-rule", Some("no")), ("rule-expired", Some("old"))]);
    assert!(read.refused.is_empty());

    let (_, again) = learn(&lines, &learning.policy);
    assert_eq!(again.policy, learning.policy, "merged twice");
    assert!(again.added.is_empty());
    let (_, later) = learn(&[line("GET https://gone.example/ timestamp=2026-12-01T00:00:00.000Z")], &learning.policy);
    assert!(later.policy.contains("# once\n# used 1 time in 2026-12-01..2026-12-01\n[[allow]]"), "{}", later.policy);
    assert_eq!(later.policy.matches("# not used in 2026-12-01..2026-12-01 (1 request)\n").count(), 6);
    assert_eq!(later.policy.matches("2026-11-24").count(), 0, "older marks are renewed");
}

#[test]
fn newlines_and_a_byte_order_mark_stay() {
    let lines = [line("GET https://new.example/")];
    let plain = learn(&lines, MINE).1.policy;
    for (name, change) in [
        ("newlines of Windows", (|text| text.replace('\n', "\r\n")) as fn(&str) -> String),
        ("a byte order mark", |text| format!("\u{feff}{text}")),
        ("both", |text| format!("\u{feff}{}", text.replace('\n', "\r\n"))),
    ] {
        let (_, learning) = learn(&lines, &change(MINE));
        assert_eq!(learning.policy, change(&plain), "{name}");
        assert_eq!(learn(&lines, &learning.policy).1.policy, learning.policy, "{name}, merged twice");
    }
}

#[test]
fn an_empty_list_gives_way_to_the_first_rule_which_has_its_comments() {
    let lines = [line("GET https://new.example/")];
    let empty = "# what orders may call\nallow = [\n  # ask the platform's team\n] # nothing yet\n";
    let (_, learning) = learn(&lines, &format!("{EMPTY}{empty}owner = \"shop\"\n"));
    let comments = "\n# what orders may call\n# ask the platform's team\n# nothing yet\n# ";
    assert!(learning.policy.contains(comments) && !learning.policy.contains("allow = "), "{}", learning.policy);
    assert!(learning.policy.starts_with(&format!("{EMPTY}owner = \"shop\"\n")), "{}", learning.policy);
    assert_eq!(rules_of(&learning.policy), ["GET new.example /"]);
    assert_eq!(rules_of(&learn(&lines, &format!("{EMPTY}allow = []")).1.policy), ["GET new.example /"]);
}

#[test]
fn a_rule_is_never_loosened_to_let_something_through() {
    let cases = [
        (
            "addresses",
            "[[allow]]\nid = \"a\"\nhosts = [\"a.example\"]\n",
            "CONNECTION https://a.example/ @10.0.0.5",
            "address-not-allowed",
            "addresses = [\"public\", \"10.0.0.5/32\"] in a",
        ),
        (
            "a deny rule that only reports",
            "[[allow]]\nid = \"a\"\nhosts = [\"a.example\"]\n[[deny]]\nid = \"d\"\nhosts = [\"a.example\"]\nmode = \"report-only\"\nexpires = 2099-01-01\n",
            "GET https://a.example/",
            "denied-by-rule",
            "ask its owner",
        ),
        (
            "a denied network",
            "[[deny]]\nid = \"d\"\nnetworks = [\"10.0.0.0/8\"]\n",
            "CONNECTION https://a.example/ @10.0.0.5",
            "denied-by-rule",
            "ask its owner",
        ),
    ];
    for (name, rules, sent, reason, cure) in cases {
        let base = format!("{EMPTY}{rules}");
        let (_, learning) =
            learn(&[line("GET https://b.example/ action=denied reason=quarantined"), line(sent)], &base);
        let standing: Vec<_> = learning.standing.keys().collect();
        assert!(
            standing.len() == 1 && standing[0].reason == reason && standing[0].cure.contains(cure),
            "{name}: {standing:?}"
        );
    }
}

// ----- properties -----

fn sent() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec![
        "a.example",
        "b.a.example",
        "c.a.example",
        "d.a.example",
        "e.a.example",
        "x.b.a.example",
        "o.github.io",
        "p.github.io",
        "dynamodb.eu-west-1.amazonaws.com",
        "streams.dynamodb.eu-west-1.amazonaws.com",
        "s3.eu-west-1.amazonaws.com",
        "f.s3.eu-west-1.amazonaws.com",
        "orders.s3.eu-west-1.amazonaws.com",
        "10.0.0.7",
        "203.0.114.9",
        "localhost",
        "db.corp.internal",
    ]);
    let segment = prop::sample::select(vec![
        "v1", "17", "18", "*", "x.csv", "y-1.csv", "y-2.csv", "a", "b", "c", "[", "%20", "a%2C",
    ]);
    let path = (prop::collection::vec(segment, 0..4), any::<bool>()).prop_map(|(segments, is_folder)| {
        format!("/{}{}", segments.join("/"), if is_folder && !segments.is_empty() { "/" } else { "" })
    });
    let scheme = prop::sample::select(vec!["https", "https", "http"]);
    let port = prop::sample::select(vec!["", "", ":8443", ":8080"]);
    let method = prop::sample::select(vec!["GET", "GET", "POST", "CONNECTION", "REDIRECT"]);
    let rest =
        prop::sample::select(vec!["", "", "", " @10.0.0.5", " @10.0.0.6", " @203.0.114.7", " path_truncated=true"]);
    (scheme, host, port, path, method, rest)
        .prop_map(|(scheme, host, port, path, method, rest)| format!("{method} {scheme}://{host}{port}{path}{rest}"))
        .prop_filter("whose it is, is not known", |text| {
            !text.contains("truncated") || text.matches('/').count() > 3 || text.starts_with("CONNECTION")
        })
}

/// The lines that a guard leaves: the address stands on the connection's.
fn lines_of(sent: &[String]) -> Vec<String> {
    let lines = sent.iter().flat_map(|text| match text.split_once(" @") {
        Some((request, ip)) if !text.starts_with("CONNECTION") => {
            let url = request.split_once(' ').unwrap().1;
            vec![line(request), line(&format!("CONNECTION {url} @{ip}"))]
        }
        _ => vec![line(text)],
    });
    lines.collect()
}

/// Of a request as [`sent`] writes it, what a guard would ask.
fn is_allowed(policy: &Policy, text: &str, rename: impl Fn(&str) -> String) -> bool {
    let mut words = text.split(' ');
    let (method, url) = (words.next().unwrap(), rename(words.next().unwrap()));
    let (to, peer) = (url.parse::<Destination>().unwrap(), words.find_map(|word| word.strip_prefix('@')?.parse().ok()));
    let method = method.parse().unwrap();
    let request = match text.split(' ').next().unwrap() {
        "CONNECTION" => Request::connection(to.scheme(), to.host(), to.port()),
        "REDIRECT" => Request::to(&to),
        _ => Request::new(&method, &to),
    };
    let request =
        peer.filter(|_| matches!(to.host(), egress_guard::Host::Name(_))).into_iter().fold(request, Request::peer);
    request.stages().all(|stage| matches!(policy.decide(&stage, std::time::SystemTime::now()), Decision::Allow { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_learnt_policy_allows_what_was_sent_and_needs_each_rule(sent in prop::collection::vec(sent(), 1..40)) {
        let lines = lines_of(&sent);
        let (read, learning) = learn(&lines, EMPTY);
        prop_assert!(read.refused.is_empty(), "{:?}", read.refused);
        let policy = Policy::from_toml(&learning.policy).unwrap();
        let is_wild = learning.policy.contains("\"*.");
        for text in &sent {
            prop_assert!(is_allowed(&policy, text, str::to_owned), "{text}\n{}", learning.policy);
            let other = |url: &str| url.replacen("://", "://not.", 1).replace("not.10.", "11.").replace("not.203.", "204.");
            prop_assert!(is_wild || !is_allowed(&policy, text, other), "another host: {text}\n{}", learning.policy);
        }
        // Another port, and another method of what is seen whole.
        let endpoints: std::collections::BTreeSet<_> = read.traffic.endpoints.keys().map(|endpoint| (&endpoint.host, endpoint.scheme, endpoint.port)).collect();
        for (host, scheme, port) in &endpoints {
            let url = format!("GET {scheme}://{host}:{}/v1", port + 1);
            prop_assert!(is_wild || endpoints.contains(&(*host, *scheme, port + 1)) || !is_allowed(&policy, &url, str::to_owned), "{url}\n{}", learning.policy);
        }
        prop_assert!(sent.iter().any(|text| !text.starts_with("GET") && !text.starts_with("POST"))
            || sent.iter().all(|text| !is_allowed(&policy, &text.replacen("GET", "PATCH", 1).replacen("POST", "PATCH", 1), str::to_owned)));
        // Each rule is needed.
        let document: toml_edit::DocumentMut = learning.policy.parse().unwrap();
        for at in 0..document["allow"].as_array_of_tables().unwrap().len() {
            let mut without = document.clone();
            without["allow"].as_array_of_tables_mut().unwrap().remove(at);
            let lesser = Policy::from_toml(&without.to_string()).unwrap();
            prop_assert!(sent.iter().any(|text| !is_allowed(&lesser, text, str::to_owned)), "rule {at} is not needed\n{}", learning.policy);
        }
        // Nothing to lint that learning has caused.
        let warnings = crate::lint::codes(&learning.policy);
        let own: Vec<&String> = warnings.iter().filter(|code| !["missing-owner", "missing-reason", "plain-http"].contains(&code.as_str())).collect();
        prop_assert!(own.is_empty(), "{own:?}\n{}", learning.policy);
        // Merging the same again changes nothing.
        let (_, again) = learn(&lines, &learning.policy);
        prop_assert_eq!(again.policy, learning.policy);
    }

    #[test]
    fn a_forged_line_opens_at_most_what_it_says(
        key in prop::sample::select(vec![
            "timestamp", "policy_id", "function_name", "host", "path", "method", "scheme", "port", "stage", "reason", "peer_ip",
            "path_truncated", "action", "event_type",
        ]),
        value in prop_oneof![
            any::<String>().prop_map(Value::from),
            "[a-z./%*\\[\\]{}\"#\n ]{0,20}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ],
    ) {
        let mut forged: Value = serde_json::from_str(&line("GET https://a.example/v1/x")).unwrap();
        forged[key] = value;
        let (_, learning) = learn(&[line("GET https://b.example/"), forged.to_string()], EMPTY);
        let rules = rules_of(&learning.policy);
        prop_assert!(rules.len() <= 2 && rules.iter().any(|rule| rule == "GET b.example /"), "{}", learning.policy);
        let odd = |c: char| c.is_control() && c != '\n';
        prop_assert!(!learning.policy.contains(odd), "{:?}", learning.policy);
    }

    #[test]
    fn merging_keeps_every_decision_that_allowed(
        before in prop::collection::vec(sent(), 1..20), after in prop::collection::vec(sent(), 1..20),
    ) {
        let (_, first) = learn(&lines_of(&before), EMPTY);
        let (_, both) = learn(&lines_of(&after), &first.policy);
        let policy = Policy::from_toml(&both.policy).unwrap();
        for text in &before {
            prop_assert!(is_allowed(&policy, text, str::to_owned), "{text}\n{}\n{}", first.policy, both.policy);
        }
        let denied = after.iter().filter(|text| !is_allowed(&policy, text, str::to_owned)).count();
        prop_assert_eq!(denied > 0, !both.standing.is_empty(), "{}\n{}", first.policy, both.policy);
        let (_, again) = learn(&lines_of(&after), &both.policy);
        prop_assert_eq!(again.policy, both.policy);
    }
}
