use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::lint::source::Source;

const HEAD: &str = "version = 1\nname = 'p'\nowner = 'o'\n";

fn settings() -> Settings {
    Settings { today: "2026-01-01".parse().unwrap(), soon: 30 }
}

/// Each finding as its code and the value that it is about.
fn found(text: &str, is_json: bool) -> Vec<(String, String)> {
    let source = Source::new("policy".as_ref(), text.to_owned());
    let findings = lint(text, is_json, &settings());
    let value = |finding: &Finding| finding.offset.and_then(|at| text.get(source.token(at))).unwrap_or_default();
    findings.iter().map(|finding| (finding.code_name(), value(finding).to_owned())).collect()
}

/// A name, a policy, and the codes and values that are found in it.
type Case = (&'static str, String, &'static [(&'static str, &'static str)]);

#[test]
fn each_warning_has_its_code_and_its_place() {
    let rule = |table: &str, keys: &str| format!("{HEAD}[[{table}]]\nid = 'a'\nreason = 'r'\n{keys}\n");
    let allow = |keys: &str| rule("allow", keys);
    let exact = |keys: &str| allow(&format!("hosts = ['a.example.com']\n{keys}"));
    let wild = |host: &str| allow(&format!("hosts = ['{host}']\nmethods = ['GET']"));
    let network = |network: &str| allow(&format!("networks = ['{network}']\nmethods = ['GET']"));
    let deny = |keys: &str| {
        wild("*.example.com") + &format!("[[deny]]\nid = 'd'\nreason = 'r'\nhosts = ['x.example.com']\n{keys}\n")
    };
    let report_only = |until: &str| {
        format!("{HEAD}mode = 'report-only'\nreport_only_until = {until}\n{}", exact("").replace(HEAD, ""))
    };
    let unnamed = |owner: &str| {
        format!("version = 1\nname = 'p'\n{owner}[[allow]]\nid = 'a'\nhosts = ['a.example.com']\nreason = 'r'\n")
    };
    let internal = |keys: &str, rest: &str| format!("{HEAD}[internal]\n{keys}\n{}", rest.replace(HEAD, ""));

    let cases: Vec<Case> = vec![
        ("nothing to say", exact("ports = [443, 8443]"), &[]),
        // Services.
        ("services", allow("services = ['ssm', 'iam']\nregions = ['eu-west-1']"), &[]),
        (
            "a wildcard in a bucket",
            allow("services = ['s3']\nregions = ['eu-west-1', 'eu-west-2']\nbuckets = ['o-*']\nmethods = ['GET']"),
            &[("shared-suffix", "'o-*'")],
        ),
        (
            "an interface endpoint",
            allow("services = ['ssm']\nregions = ['eu-west-1']\nvpc_endpoints = ['vpce-01234567']"),
            &[],
        ),
        (
            "a service whose names are listed",
            allow(
                "hosts = ['*.eu-west-1.amazonaws.com', '*.eu-west-1.api.aws', 'a.example.com']\nmethods = ['GET']\n\
                   services = ['ssm', 'iam']\nregions = ['eu-west-1']",
            ),
            &[("shared-suffix", "'*.eu-west-1.amazonaws.com'"), ("covered-host", "'ssm'")],
        ),
        (
            "a service of which some names are listed",
            allow("hosts = ['*.eu-west-1.api.aws']\nmethods = ['GET']\nservices = ['ssm']\nregions = ['eu-west-1']"),
            &[],
        ),
        // Suffixes.
        ("a private suffix", wild("*.github.io"), &[("shared-suffix", "'*.github.io'")]),
        ("names of addresses", wild("*.nip.io"), &[("shared-suffix", "'*.nip.io'")]),
        ("of addresses, further below", wild("*.0.113.203.sslip.io"), &[("shared-suffix", "'*.0.113.203.sslip.io'")]),
        ("a catcher of requests", wild("*.oastify.com"), &[("shared-suffix", "'*.oastify.com'")]),
        ("buckets", wild("*.storage.googleapis.com"), &[("shared-suffix", "'*.storage.googleapis.com'")]),
        ("above buckets", wild("*.googleapis.com"), &[("shared-suffix", "'*.googleapis.com'")]),
        ("a bucket that is mine", wild("*.mine.storage.googleapis.com"), &[]),
        ("storage accounts", wild("*.queue.core.windows.net"), &[("shared-suffix", "'*.queue.core.windows.net'")]),
        (
            "buckets of a region",
            wild("*.s3.eu-central-1.wasabisys.com"),
            &[("shared-suffix", "'*.s3.eu-central-1.wasabisys.com'")],
        ),
        ("customers", wild("*.atlassian.net"), &[("shared-suffix", "'*.atlassian.net'")]),
        ("with its apex", wild(".github.io"), &[("shared-suffix", "'.github.io'")]),
        ("an ICANN suffix", wild("*.co.uk"), &[("shared-suffix", "'*.co.uk'")]),
        ("an internationalized one", wild("*.xn--55qx5d.cn"), &[("shared-suffix", "'*.xn--55qx5d.cn'")]),
        ("a wildcard of the list", wild("*.foo.kawasaki.jp"), &[("shared-suffix", "'*.foo.kawasaki.jp'")]),
        ("above a wildcard of the list", wild("*.kawasaki.jp"), &[("shared-suffix", "'*.kawasaki.jp'")]),
        ("an exception of the list", wild("*.city.kawasaki.jp"), &[]),
        (
            "a suffix with its region",
            wild("*.execute-api.eu-west-1.amazonaws.com"),
            &[("shared-suffix", "'*.execute-api.eu-west-1.amazonaws.com'")],
        ),
        (
            "within a label",
            wild("bucket-*.s3.eu-west-1.amazonaws.com"),
            &[("shared-suffix", "'bucket-*.s3.eu-west-1.amazonaws.com'")],
        ),
        ("below one's own label", wild("*.my-name.github.io"), &[]),
        ("above suffixes", wild("*.amazonaws.com"), &[("shared-suffix", "'*.amazonaws.com'")]),
        ("a label that could be s3", wild("ec2.*.amazonaws.com"), &[("shared-suffix", "'ec2.*.amazonaws.com'")]),
        ("a label that could not", wild("ec2.us-*.amazonaws.com"), &[]),
        (
            "a machine of anybody's",
            wild("ec2-*.compute-1.amazonaws.com"),
            &[("shared-suffix", "'ec2-*.compute-1.amazonaws.com'")],
        ),
        ("one owner's names", wild("a.*.example.com"), &[]),
        ("a name that is not sold", wild("*.test"), &[]),
        ("a host without a wildcard", wild("s3.amazonaws.com"), &[]),
        ("what is internal", internal("hosts = ['.github.io']", &exact("")), &[("shared-suffix", "'.github.io'")]),
        ("a deny rule may reach far", deny("").replace("x.example.com", "*.github.io"), &[]),
        // Names of one network.
        ("anything internal", wild("*.internal"), &[("local-name", "'*.internal'")]),
        ("a zone of its own", wild(".corp.local"), &[("local-name", "'.corp.local'")]),
        ("one host", wild("db.corp.local"), &[]),
        ("a zone that is stated", internal("hosts = ['.corp.local']", &wild("*.db.corp.local")), &[]),
        (
            "another zone than is stated",
            internal("hosts = ['.corp.local']", &wild("*.local")),
            &[("local-name", "'*.local'")],
        ),
        // Days.
        ("an expired rule", exact("expires = 2026-01-01"), &[("expired-rule", "2026-01-01")]),
        ("one that expires tomorrow", exact("expires = 2026-01-02"), &[("expires-soon", "2026-01-02")]),
        ("one that expires in a month", exact("expires = '2026-01-31'"), &[("expires-soon", "'2026-01-31'")]),
        ("one that expires later", exact("expires = 2026-02-01"), &[]),
        ("the last day", exact("expires = 9999-01-01"), &[]),
        ("a deny rule that expires", deny("expires = 2026-06-01"), &[("expires-no-effect", "2026-06-01")]),
        ("and states its mode", deny("expires = 2025-06-01\nmode = 'enforce'"), &[("expires-no-effect", "2025-06-01")]),
        (
            "a trial that has ended",
            deny("expires = 2025-12-31\nmode = 'report-only'"),
            &[("report-only-ended", "2025-12-31")],
        ),
        ("a trial", deny("expires = 2026-04-01\nmode = 'report-only'"), &[]),
        ("a long trial", deny("expires = 2026-04-02\nmode = 'report-only'"), &[("report-only-long", "2026-04-02")]),
        ("a trial without an end", deny("mode = 'report-only'"), &[("report-only-long", "'report-only'")]),
        ("a policy's trial that has ended", report_only("2026-01-01"), &[("report-only-ended", "2026-01-01")]),
        ("a policy's trial", report_only("2026-04-01"), &[]),
        ("a policy's long trial", report_only("2026-04-02"), &[("report-only-long", "2026-04-02")]),
        // Readers.
        ("no owner of the one rule", unnamed(""), &[("missing-owner", "'a'")]),
        ("an empty owner", unnamed("owner = ' '\n"), &[("missing-owner", "'a'")]),
        ("an owner of the rule", unnamed("") + "owner = 'o'", &[]),
        (
            "no owner at all",
            unnamed("") + "[[deny]]\nid = 'd'\nhosts = ['b.example.com']\nreason = 'r'",
            &[("missing-owner", "'p'")],
        ),
        (
            "no owner of some rules",
            unnamed("") + "[[deny]]\nid = 'd'\nhosts = ['b.example.com']\nreason = 'r'\nowner = 'o'",
            &[("missing-owner", "'a'")],
        ),
        ("no reason", exact("").replace("reason = 'r'\n", ""), &[("missing-reason", "'a'")]),
        ("an empty reason", exact("").replace("'r'", "''"), &[("missing-reason", "'a'")]),
        ("no reason to deny", deny("").replace("id = 'd'\nreason = 'r'", "id = 'd'"), &[("missing-reason", "'d'")]),
        // Openness.
        ("plain http", exact("schemes = ['https', 'http']"), &[("plain-http", "'http'")]),
        ("plain http on its port", exact("schemes = ['http']\nports = [80]"), &[("plain-http", "'http'")]),
        ("the port of plain http", exact("ports = [443, 80]"), &[("plain-http", "80")]),
        (
            "plain http that stays on the machine",
            allow(
                "hosts = ['localhost']\nnetworks = ['127.0.0.1/32', '::1/128']\nschemes = ['http']\naddresses = ['127.0.0.0/8']",
            ),
            &[],
        ),
        ("plain http to private addresses", network("10.0.0.0/16") + "schemes = ['http']", &[("plain-http", "'http'")]),
        (
            "a wildcard alone",
            allow("hosts = ['a.example.com', '*.example.org']"),
            &[("any-method-any-path", "'*.example.org'")],
        ),
        ("with a path", allow("hosts = ['*.example.org']\npaths = ['/v1/**']"), &[]),
        (
            "a network alone",
            allow("networks = ['10.0.0.1/32', '10.0.1.0/24']"),
            &[("any-method-any-path", "'10.0.1.0/24'")],
        ),
        ("one address", allow("networks = ['10.0.0.1/32']"), &[]),
        ("any host", allow("dangerously_any_host = true"), &[("any-host", "'a'")]),
        ("1024 ports", exact("ports = ['8000-9023', 8000]"), &[]),
        ("1025 ports", exact("ports = [443, '8000-9023']"), &[("wide-ports", "'8000-9023'")]),
        ("a wide network", network("10.0.0.0/15"), &[("wide-network", "'10.0.0.0/15'")]),
        ("a network", network("10.0.0.0/16"), &[]),
        ("all of IPv4", network("0.0.0.0/0"), &[("wide-network", "'0.0.0.0/0'")]),
        ("a wide network of IPv6", network("2001::/31"), &[("wide-network", "'2001::/31'")]),
        ("a network of IPv6", network("2001:db8::/32"), &[]),
        ("wide addresses", exact("addresses = ['private', '10.0.0.0/8']"), &[("wide-network", "'10.0.0.0/8'")]),
        (
            "a private block that is internal",
            internal("networks = ['10.0.0.0/8', 'fc00::/7']", &exact("addresses = ['internal']")),
            &[],
        ),
        (
            "more than a private block",
            internal("networks = ['10.0.0.0/7']", &exact("")),
            &[("wide-network", "'10.0.0.0/7'")],
        ),
        ("a metadata service", network("169.254.169.254/32"), &[("metadata", "'169.254.169.254/32'")]),
        ("one of another cloud", network("fd00:ec2::254/128"), &[("metadata", "'fd00:ec2::254/128'")]),
        ("one behind a translator", network("64:ff9b::a9fe:a9fe/128"), &[("metadata", "'64:ff9b::a9fe:a9fe/128'")]),
        (
            "one that a name may resolve to",
            exact("addresses = ['169.254.170.2/32']"),
            &[("metadata", "'169.254.170.2/32'")],
        ),
        ("a network around one, which does not open it", network("169.254.0.0/16"), &[]),
        (
            "one that is internal and opened",
            internal("networks = ['169.254.169.254/32']", &exact("addresses = ['internal']")),
            &[("metadata", "'169.254.169.254/32'")],
        ),
        ("one that is only internal", internal("networks = ['169.254.169.254/32']", &exact("")), &[]),
        ("no rule", HEAD.to_owned(), &[("empty-policy", "'p'")]),
        ("no allow rule", format!("{HEAD}[[deny]]\nid = 'd'\nhosts = ['*']\nreason = 'r'"), &[("empty-policy", "'p'")]),
        // Coverage has more cases of its own.
        (
            "a rule, a host and a network that are covered",
            allow(
                "hosts = ['*.example.com', 'b.example.com']\nnetworks = ['10.0.0.0/16', '10.0.1.0/24']\npaths = ['/v1']",
            ) + "[[allow]]\nid = 'b'\nreason = 'r'\nhosts = ['c.example.com']\npaths = ['/v1']",
            &[("covered-host", "'b.example.com'"), ("covered-network", "'10.0.1.0/24'"), ("covered-rule", "'b'")],
        ),
        // Faults.
        (
            "a fault of the shape, beside which nothing else is known",
            exact("host = ['*.github.io']").replace("a.example.com", "*.github.io"),
            &[("invalid-policy", "host")],
        ),
        (
            "a fault of a value, and warnings of the others, but for coverage",
            allow("hosts = ['*', '*.github.io', 'a.github.io']\nports = [0]\nmethods = ['GET']"),
            &[("invalid-policy", "'*'"), ("shared-suffix", "'*.github.io'"), ("invalid-policy", "0")],
        ),
        ("a fault that would be a warning too", wild("*.uk"), &[("invalid-policy", "'*.uk'")]),
        ("an empty file", String::new(), &[("invalid-policy", "")]),
        (
            "a rule without id",
            format!("{HEAD}[[allow]]\nhosts = ['a.example.com']\n"),
            &[("invalid-policy", "[[allow]]")],
        ),
    ];
    for (name, text, expected) in cases {
        let found = found(&text, false);
        let found: Vec<(&str, &str)> = found.iter().map(|(code, value)| (&**code, &**value)).collect();
        assert_eq!(found, expected, "{name}:\n{text}");
    }
}

#[test]
fn json_has_the_same_warnings_as_toml() {
    let text = "{\"version\":1,\"name\":\"p\",\"allow\":[{\"id\":\"a\",\"hosts\":[\"*.github.io\"],\"ports\":[80,\"1-2000\"],\
                \"expires\":\"2026-01-02\"}]}";
    let expected = [
        ("missing-owner", "\"a\""),
        ("missing-reason", "\"a\""),
        ("shared-suffix", "\"*.github.io\""),
        ("any-method-any-path", "\"*.github.io\""),
        ("plain-http", "80"),
        ("wide-ports", "\"1-2000\""),
        ("expires-soon", "\"2026-01-02\""),
    ];
    assert_eq!(found(text, true), expected.map(|(code, value)| (code.to_owned(), value.to_owned())));
}

/// Rows that are judged otherwise on purpose, by id.
const DIFFERENCES: &[(&str, &str)] =
    &[("lint-063", "each account of R2 has its name there, though the list has it not")];

#[test]
fn patterns_that_are_dangerous() {
    let differences: BTreeMap<&str, &str> = DIFFERENCES.iter().copied().collect();
    let mut rows = 0;
    for row in include_str!("../../../../tests/data/policy_lint.jsonl").lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let pattern = row["pattern"].as_str().unwrap();
        let text = format!("{HEAD}[[allow]]\nid = 'a'\nreason = 'r'\nhosts = ['{pattern}']\nmethods = ['GET']\n");
        let codes: Vec<String> = found(&text, false).into_iter().map(|(code, _)| code).collect();
        let as_expected = match row["expect"].as_str().unwrap() {
            "reject" => codes == ["invalid-policy"],
            "warn" => codes == ["shared-suffix"] || codes == ["local-name"],
            "ok" => codes.is_empty(),
            "either" => true,
            other => panic!("{other}"),
        };
        let id = row["id"].as_str().unwrap();
        assert_eq!(as_expected, !differences.contains_key(id), "{id}: {pattern}: {codes:?}");
        rows += 1;
    }
    assert!(rows >= 40, "{rows}");
}

/// AWS gives names to its customers below all of these but the last four, which are its own services'.
#[test]
fn wildcards_over_names_of_aws() {
    let mut judged = BTreeMap::new();
    for row in include_str!("../../../../tests/data/aws_wildcard_hosts.jsonl").lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let pattern = row["pattern"].as_str().unwrap().to_owned();
        let text = format!("{HEAD}[[allow]]\nid = 'a'\nreason = 'r'\nhosts = ['{pattern}']\nmethods = ['GET']\n");
        judged.insert(pattern, found(&text, false).into_iter().map(|(code, _)| code).collect::<Vec<_>>().join(" "));
    }
    let expected = [
        ("*.amazonaws.com", "shared-suffix"),
        ("*.api.aws", ""),
        ("*.iot.us-east-1.amazonaws.com", ""),
        ("*.on.aws", "shared-suffix"),
        ("*.s3.us-east-1.amazonaws.com", "shared-suffix"),
        ("dynamodb.us-east-1.amazonaws.com", ""),
        ("kinesis.us-east-1.amazonaws.com", ""),
        ("mybucket.s3.us-east-1.amazonaws.com", ""),
        ("sqs.us-east-1.amazonaws.com", ""),
    ];
    let judged: Vec<(&str, &str)> = judged.iter().map(|(pattern, codes)| (&**pattern, &**codes)).collect();
    assert_eq!(judged, expected);
}

/// Ten thousand hosts, in shapes that invite comparing each with each.
#[test]
fn ten_thousand_hosts_take_no_time() {
    let hosts = |host: &dyn Fn(usize) -> String| {
        (0..10_000).map(|number| format!("'{}'", host(number))).collect::<Vec<_>>().join(",\n")
    };
    let one_rule =
        |list: &str| format!("{HEAD}[[allow]]\nid = 'a'\nreason = 'r'\nmethods = ['GET']\nhosts = [{list}]\n");
    let rules = |keys: &dyn Fn(usize) -> String| -> String {
        let rule = |number| format!("[[allow]]\nid = 'r{number}'\nreason = 'r'\n{}\n", keys(number));
        HEAD.to_owned() + &(0..10_000).map(rule).collect::<String>()
    };
    let networks = (0..10_000).map(|n| format!("'10.{}.{}.0/24'", n / 256, n % 256)).collect::<Vec<_>>().join(",");
    let cases: &[(&str, String, usize)] = &[
        ("names", one_rule(&hosts(&|n| format!("h{n}.example.com"))), 0),
        ("names below a wildcard", one_rule(&(hosts(&|n| format!("h{n}.example.com")) + ", '*.example.com'")), 10_000),
        ("buckets", one_rule(&hosts(&|n| format!("bucket-{n}-*.s3.eu-west-1.amazonaws.com"))), 10_000),
        ("wildcards within wildcards", one_rule(&hosts(&|n| format!("*.{}example.com", "a.".repeat(n % 50)))), 9_999),
        ("one name twice and again", one_rule(&hosts(&|_| "a.example.com".to_owned())), 9_999),
        (
            "networks",
            format!("{HEAD}[[allow]]\nid = 'a'\nreason = 'r'\nmethods = ['GET']\nnetworks = [{networks}]\n"),
            0,
        ),
        ("a rule for each name", rules(&|n| format!("hosts = ['h{n}.example.com']")), 0),
        ("a rule for each path of a name", rules(&|n| format!("hosts = ['a.example.com']\npaths = ['/{n}']")), 0),
        ("one rule again and again", rules(&|_| "hosts = ['a.example.com']".to_owned()), 9_999),
        ("faulty names", one_rule(&hosts(&|n| format!("h{n}.example.com:443"))), 10_000),
    ];
    for (name, text, expected) in cases {
        let begin = std::time::Instant::now();
        let found = lint(text, false, &settings()).len();
        assert_eq!(found, *expected, "{name}");
        // Each with each would be a hundred million comparisons.
        assert!(begin.elapsed().as_secs() < 20, "{name}: {:?}", begin.elapsed());
    }
}
