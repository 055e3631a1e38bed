//! What `services` and `regions` stand for is what botocore resolves, and nothing else.
//!
//! `data/endpoints.txt` has a sample of its answers, written by `.ci/endpoints`; where `EGRESS_GUARD_ENDPOINTS` names a
//! file with all of them, that is read instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::time::SystemTime;
use std::{env, fs};

use egress_guard::draft::{HostPattern, PolicyDraft};
use egress_guard::{Decision, Destination, Policy, Request};

const SAMPLE: &str = include_str!("data/endpoints.txt");

/// One line: the hosts of a service in a region; of which kind, `own`, `account` or `bucket`.
struct Case<'t> {
    service: &'t str,
    region: &'t str,
    kind: &'t str,
    hosts: BTreeSet<&'t str>,
}

impl<'t> Case<'t> {
    fn of(line: &'t str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let [service, region, kind, hosts] = columns[..] else { panic!("{line}") };
        Self { service, region, kind, hosts: hosts.split(' ').collect() }
    }

    /// A policy that allows these hosts by their service.
    fn policy(&self) -> String {
        let narrowed = match self.kind {
            "own" => "",
            "account" => "accounts = ['919191919191']",
            "bucket" => "buckets = ['bucket-of-egress-guard', 'bucket-of-egress-guard--zid9-az9--x-s3']",
            other => panic!("{other}"),
        };
        let Self { service, region, .. } = self;
        format!(
            "version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nservices = ['{service}']\nregions = ['{region}']\n{narrowed}\n"
        )
    }
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let cases: Vec<Case<'_>> = text.lines().filter(|line| !line.starts_with('#')).map(Case::of).collect();
    assert!(cases.len() > 1000);
    cases
}

fn allows(policy: &Policy, host: &str) -> bool {
    let destination: Destination = format!("https://{host}/").parse().unwrap();
    matches!(policy.decide(&Request::to(&destination), SystemTime::now()), Decision::Allow { .. })
}

/// Below these lie only names of AWS.
const SUFFIXES: &[&str] = &[
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "amazonaws.cn",
    "amazonaws-eusc.eu",
    "amazonaws-us-gov.com",
    "api.amazonwebservices.com.cn",
    "api.amazonwebservices.eu",
    "api.aws",
    "aws.amazon.com",
    "on.aws",
    "signin.aws",
    "adc-e.uk",
    "aws.ic.gov",
    "aws.scloud",
    "c2s.ic.gov",
    "c2shome.ic.gov",
    "hci.ic.gov",
    "sgov.gov",
];

#[test]
fn services_stand_for_what_botocore_resolves_and_for_nothing_else() {
    let all = env::var("EGRESS_GUARD_ENDPOINTS").ok().map(|path| fs::read_to_string(path).unwrap());
    let cases = cases(all.as_deref().unwrap_or(SAMPLE));
    for (number, case) in cases.iter().enumerate() {
        let text = case.policy();
        let draft = PolicyDraft::from_toml(&text).unwrap();
        let listed: BTreeSet<&str> = draft.allow[0].hosts.iter().flatten().map(|host| host.text.as_str()).collect();
        assert_eq!(listed, case.hosts, "{text}");
        let policy = Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for host in &case.hosts {
            assert!(allows(&policy, host), "{host}\n{text}");
            let is_below = |suffix: &&str| host.strip_suffix(*suffix).is_some_and(|rest| rest.ends_with('.'));
            assert!(SUFFIXES.iter().any(is_below), "{host}");
        }
        // Others from all over the list, and the neighbours.
        let others = [1, 2, 7, 101, 499, 997].map(|step| &cases[(number + step) % cases.len()]);
        for host in others.iter().flat_map(|other| &other.hosts).filter(|host| !case.hosts.contains(*host)) {
            assert!(!allows(&policy, host), "{host}\n{text}");
        }
    }
}

#[test]
fn regions_and_services_that_are_not_written_are_not_reached() {
    let read = |rule: &str| {
        let text = format!("version = 1\nname = 'p'\n[[allow]]\nid = 'a'\n{rule}");
        Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    };
    let endpoint = "vpce-0123456789abcdef0";
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "services = ['dynamodb', 'ssm']\nregions = ['ap-northeast-1', 'us-gov-west-1']",
            &["ssm-fips.ap-northeast-1.amazonaws.com", "dynamodb.us-gov-west-1.amazonaws.com"],
            &[
                "dynamodb.ap-northeast-2.amazonaws.com",
                "dynamodb.us-gov-west-1.amazonaws.com.cn",
                "sqs.ap-northeast-1.amazonaws.com",
                "x.ssm.ap-northeast-1.amazonaws.com",
                "111122223333.ddb.ap-northeast-1.amazonaws.com",
                "vpce-0123456789abcdef0-abcdefgh.ssm.ap-northeast-1.vpce.amazonaws.com",
            ],
        ),
        (
            "services = ['s3']\nregions = ['eu-west-1']",
            &["s3.eu-west-1.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com"],
            &["orders.s3.eu-west-1.amazonaws.com", "s3.amazonaws.com", "orders.s3.amazonaws.com"],
        ),
        (
            "services = ['s3']\nregions = ['eu-west-1']\nbuckets = ['orders-*']",
            &["orders-7.s3.eu-west-1.amazonaws.com", "orders-7.s3-fips.dualstack.eu-west-1.amazonaws.com"],
            &[
                "s3.eu-west-1.amazonaws.com",
                "orders.s3.eu-west-1.amazonaws.com",
                "x.orders-7.s3.eu-west-1.amazonaws.com",
                "orders-7.x.s3.eu-west-1.amazonaws.com",
                "orders-7.s3.eu-west-2.amazonaws.com",
                "orders-7.s3-accelerate.amazonaws.com",
            ],
        ),
        (
            "services = ['s3']\nregions = ['eu-west-1', 'cn-north-1']\nbuckets = ['*-orders', 'a*z']",
            &["my-orders.s3.eu-west-1.amazonaws.com", "abz.s3.cn-north-1.amazonaws.com.cn"],
            &["orders.s3.eu-west-1.amazonaws.com", "x.my-orders.s3.eu-west-1.amazonaws.com"],
        ),
        (
            &format!("services = ['dynamodb']\nregions = ['eu-west-1']\nvpc_endpoints = ['{endpoint}']"),
            &[
                "vpce-0123456789abcdef0-abcdefgh.dynamodb.eu-west-1.vpce.amazonaws.com",
                "vpce-0123456789abcdef0-abcdefgh-eu-west-1a.dynamodb.eu-west-1.vpce.amazonaws.com",
            ],
            &[
                "dynamodb.eu-west-1.amazonaws.com",
                "vpce-0123456789abcdef1-abcdefgh.dynamodb.eu-west-1.vpce.amazonaws.com",
                "vpce-0123456789abcdef0-abcdefgh.dynamodb.eu-west-2.vpce.amazonaws.com",
                "vpce-0123456789abcdef0-abcdefgh.sqs.eu-west-1.vpce.amazonaws.com",
                "x.vpce-0123456789abcdef0-abcdefgh.dynamodb.eu-west-1.vpce.amazonaws.com",
            ],
        ),
        (
            &format!(
                "services = ['s3']\nregions = ['eu-west-1']\nvpc_endpoints = ['{endpoint}']\nbuckets = ['orders']"
            ),
            &["orders.bucket.vpce-0123456789abcdef0-abcdefgh.s3.eu-west-1.vpce.amazonaws.com"],
            &[
                "bucket.vpce-0123456789abcdef0-abcdefgh.s3.eu-west-1.vpce.amazonaws.com",
                "others.bucket.vpce-0123456789abcdef0-abcdefgh.s3.eu-west-1.vpce.amazonaws.com",
                "orders.s3.eu-west-1.amazonaws.com",
            ],
        ),
    ];
    for (rule, reached, not_reached) in cases {
        let policy = read(rule);
        for host in *reached {
            assert!(allows(&policy, host), "{host}\n{rule}");
        }
        for host in *not_reached {
            assert!(!allows(&policy, host), "{host}\n{rule}");
        }
    }
}

#[test]
fn tools_see_what_services_stand_for_and_where_it_was_written() {
    let text = "version = 1\nname = 'p'\n[[allow]]\nid = 'a'\nhosts = ['a.example']\nservices = ['s3', 'iam']\n\
                regions = ['eu-west-1']\nbuckets = ['orders']\n";
    let draft = PolicyDraft::from_toml(text).unwrap();
    let rule = &draft.allow[0];
    let hosts = rule.hosts.as_ref().unwrap();
    let origin = |name: &str| {
        let host = hosts.iter().find(|host| host.text == name).unwrap();
        assert!(host.text.parse::<HostPattern>().is_ok());
        rule.origin(host).map(|(key, entry)| (key, entry.text.as_str()))
    };
    assert_eq!(origin("a.example"), None);
    assert_eq!(origin("iam.amazonaws.com"), Some(("services", "iam")));
    assert_eq!(origin("orders.s3.eu-west-1.amazonaws.com"), Some(("buckets", "orders")));
    assert_eq!(hosts.iter().find(|host| host.text.starts_with("orders")).unwrap().offset, text.find("'orders'"));
}
