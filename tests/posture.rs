//! What the audit says of layers, of modes, and of what is in force.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use egress_guard::{Client, ClientOptions, Guard, Policy, PolicySource, Rule};
use egress_guard_tests::{Names, Server, ValidatedAudit};

const FAR: &str = "2999-12-31";
const PAST: &str = "2026-01-01";

fn names() -> Names {
    Names::new().with("api.test", &["127.0.0.1"]).with("other.test", &["127.0.0.1"]).with("far.test", &["127.0.0.2"])
}

fn open(rule: Rule) -> Rule {
    rule.schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"])
}

fn guarded(policy: Policy) -> (Client, Guard, ValidatedAudit) {
    let audit = ValidatedAudit::new();
    let guard = Guard::new(policy, audit.clone());
    let client = guard.client(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap();
    (client, guard, audit)
}

#[tokio::test]
async fn each_layer_has_its_posture_line_and_its_rule_in_every_line() {
    let server = Server::http("server", "127.0.0.1").await;
    let layer = |name: &str, hosts: &[&str]| {
        let rule = open(Rule::new(format!("of-{name}")).hosts(hosts.iter().copied()));
        Policy::builder(name).allow(rule).owner(format!("{name}-owner")).build().unwrap()
    };
    let policy = layer("organisation", &["*.test"]).narrowed_by(layer("team", &["api.test", "far.test"]));
    let (http, _guard, audit) = guarded(policy.narrowed_by(layer("orders", &["api.test", "other.test"])));

    let posture = audit.of_type("posture");
    let told: Vec<_> = posture.iter().map(|line| (&line["policy_id"], &line["layer"], &line["layer_count"])).collect();
    assert_eq!(serde_json::json!(told), serde_json::json!([["organisation", 1, 3], ["team", 2, 3], ["orders", 3, 3]]));

    let url = |host: &str| format!("http://{host}:{}/", server.port());
    http.get(url("api.test")).send().await.unwrap().bytes().await.unwrap();
    for line in audit.lines().iter().filter(|line| line["action"] == "allowed") {
        let rules = (&line["rule_id"], &line["baseline_rule_id"], &line["policy_id"]);
        assert_eq!(rules, (&"of-orders".into(), &"of-organisation/of-team".into(), &"orders".into()), "{line}");
    }

    let error = http.get(url("other.test")).send().await.unwrap_err();
    let denied = error.denied().unwrap();
    assert_eq!(denied.policy(), "team");
    assert!(denied.to_string().ends_with("; ask team-owner (host-not-allowed)"), "{denied}");
    let line = audit.of_type("decision").pop().unwrap();
    assert_eq!((&line["denied_by"], &line["policy_id"]), (&"team".into(), &"orders".into()));
}

#[tokio::test]
async fn a_policy_that_only_reports_lets_through_and_tells() {
    let server = Server::http("server", "127.0.0.1").await;
    let policy = Policy::builder("orders")
        .allow(open(Rule::new("api").hosts(["api.test", "*.api.test"])))
        .deny(Rule::new("no-x").hosts(["x.api.test"]))
        .report_only_until(FAR)
        .build()
        .unwrap();
    let (http, guard, audit) = guarded(policy);
    let posture = &audit.of_type("posture")[0];
    assert_eq!((&posture["mode"], &posture["report_only_until"]), (&"report-only".into(), &FAR.into()));
    assert_eq!(posture["message"], "egress policy `orders` only reports until 2999-12-31: 2 rules");

    let url = |host: &str| format!("http://{host}:{}/", server.port());
    http.get(url("api.test")).send().await.unwrap().bytes().await.unwrap();
    assert!(audit.lines().iter().all(|line| line.get("would_deny").is_none()));

    http.get(url("other.test")).send().await.unwrap().bytes().await.unwrap();
    let decision = &audit.decisions_at("request")[1];
    assert_eq!((&decision["action"], &decision["would_deny"]), (&"allowed".into(), &true.into()));
    assert_eq!((&decision["reason"], &decision["level"]), (&"host-not-allowed".into(), &"WARN".into()));
    assert!(decision["message"].as_str().unwrap().starts_with("report-only, sent all the same: egress denied by"));
    let outcome = &audit.of_type("outcome")[1];
    assert_eq!((&outcome["outcome"], &outcome["would_deny"]), (&"complete".into(), &true.into()));

    // What no policy can allow is denied in every mode.
    let error = http.get(url("other.test")).header("upgrade", "websocket").send().await.unwrap_err();
    assert_eq!(error.denied().unwrap().reason().as_str(), "upgrade-header");

    let plain = guard.reqwest(ClientOptions::from(reqwest::Client::builder()).resolver(names())).unwrap();
    assert!(plain.get(url("other.test")).send().await.is_ok());
    let connection = audit.decisions_at("connection").pop().unwrap();
    assert_eq!((&connection["would_deny"], &connection["reason"]), (&true.into(), &"host-not-allowed".into()));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_policy_whose_day_has_passed_is_enforced_and_says_so() {
    let policy = Policy::builder("orders").report_only_until(PAST).build().unwrap();
    let (http, _guard, audit) = guarded(policy);
    let posture = &audit.of_type("posture")[0];
    assert_eq!(posture["mode"], "enforce");
    assert_eq!(
        posture["message"],
        "egress policy `orders` in force, report-only ended on 2026-01-01: 0 rules, all else denied"
    );
    assert!(http.get("http://api.test:9/").send().await.is_err());
}

#[tokio::test]
async fn a_deny_rule_that_only_reports_is_named() {
    let server = Server::http("server", "127.0.0.1").await;
    let policy = Policy::builder("orders")
        .allow(open(Rule::new("api").hosts(["*.test"])))
        .deny(Rule::new("no-other").hosts(["other.test"]).report_only())
        .build()
        .unwrap();
    let (http, _guard, audit) = guarded(policy);
    http.get(format!("http://other.test:{}/", server.port())).send().await.unwrap().bytes().await.unwrap();
    let decision = &audit.decisions_at("request")[0];
    assert_eq!((&decision["rule_id"], &decision["reason"]), (&"no-other".into(), &"denied-by-rule".into()));
    assert_eq!((&decision["would_deny"], &decision["mode"]), (&true.into(), &"enforce".into()));
}

#[tokio::test]
async fn an_expired_rule_names_its_day_and_whom_to_ask() {
    let policy = Policy::builder("orders")
        .allow(open(Rule::new("pilot").hosts(["api.test"]).owner("pilot-team").expires(PAST)))
        .owner("network-team")
        .build()
        .unwrap();
    let (http, _guard, audit) = guarded(policy);
    let error = http.get("http://api.test:9/x").send().await.unwrap_err();
    assert_eq!(
        error.denied().unwrap().to_string(),
        "egress denied by policy `orders`: GET http://api.test:9/x: rule `pilot` allowed it until 2026-01-01; if it is \
         still needed, have `expires` of the rule moved; ask pilot-team (rule-expired)"
    );
    let line = &audit.decisions_at("request")[0];
    assert_eq!((&line["rule_id"], &line["reason"]), (&"pilot".into(), &"rule-expired".into()));
}

#[tokio::test]
async fn the_boundary_is_the_outermost_owners() {
    let server = Server::http("server", "127.0.0.1").await;
    let rule = || open(Rule::new("api").hosts(["*.test"]));
    let baseline = Policy::builder("organisation").allow(rule()).internal_hosts(["other.test"]).build().unwrap();
    let function = Policy::builder("orders").allow(rule()).internal_hosts(["api.test"]).build().unwrap();
    let (http, _guard, audit) = guarded(baseline.narrowed_by(function));
    for host in ["api.test", "other.test"] {
        http.get(format!("http://{host}:{}/", server.port())).send().await.unwrap().bytes().await.unwrap();
    }
    let told: Vec<_> = audit.decisions_at("request").iter().map(|line| line["boundary"].clone()).collect();
    assert_eq!(told, ["external", "internal"]);
}

#[test]
fn the_posture_says_where_the_policy_comes_from_and_what_is_compiled_in() {
    let text = "version = 1\nname = 'orders'\n";
    let (_, _, audit) = guarded(PolicySource::text("the built-in policy", text).load().unwrap());
    let line = &audit.of_type("posture")[0];
    assert_eq!(line["policy_source"], "the built-in policy");
    assert_eq!(line["policy_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(line["adapters"], "tower,appconfig,aws-sdk,blocking,hyper-util,lambda,reqwest,reqwest-middleware");
}
