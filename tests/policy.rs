//! What a policy's owner states beyond hosts and ports: layers, modes, dates and the boundary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egress_guard::{Decision, Destination, Host, Mode, Policy, PolicyBuilder, Request, Rule};
use http::Method;
use proptest::prelude::*;

/// Midnight, UTC, of 2027-03-31.
fn day() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_806_451_200)
}

fn before() -> SystemTime {
    day() - Duration::from_secs(1)
}

fn read(rules: &str) -> Policy {
    named("orders", rules)
}

fn named(name: &str, rules: &str) -> Policy {
    let text = format!("version = 1\nname = '{name}'\n{rules}");
    Policy::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// `allow RULES`, or `deny` or `report` with the reason, the rule if one denies, and the policy.
fn said(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allow { rule, baseline_rules } => {
            let rules: Vec<String> = baseline_rules.iter().chain([rule]).map(ToString::to_string).collect();
            format!("allow {}", rules.join("/"))
        }
        Decision::Deny { reason, rule, policy, mode } => {
            let verb = if *mode == Mode::Enforce { "deny" } else { "report" };
            let rule = rule.as_ref().map(|rule| format!(" {rule}")).unwrap_or_default();
            format!("{verb} {reason}{rule} ({policy})")
        }
    }
}

fn decide(policy: &Policy, method: &str, url: &str, now: SystemTime) -> String {
    let (method, destination): (Method, Destination) = (method.parse().unwrap(), url.parse().unwrap());
    said(&policy.decide(&Request::new(&method, &destination), now))
}

#[test]
fn every_layer_must_allow_and_none_may_deny() {
    let organisation = named(
        "organisation",
        "[[allow]]\nid = 'partners'\nhosts = ['.partner.example', 'www.example.org']\n\
         [[deny]]\nid = 'no-admin'\nhosts = ['*.partner.example']\npaths = ['/admin/**']\n",
    );
    let team = named("team", "[[allow]]\nid = 'all-partners'\nhosts = ['.partner.example']\n");
    let function = read(
        "[[allow]]\nid = 'api'\nhosts = ['api.partner.example', 'own.example.net']\nmethods = ['GET']\n\
         [[deny]]\nid = 'no-legacy'\nhosts = ['old.partner.example']\n",
    );
    let policy = organisation.narrowed_by(team).narrowed_by(function);
    let cases = [
        ("allowed by all", "GET", "https://api.partner.example/", "allow partners/all-partners/api"),
        ("not by the function", "POST", "https://api.partner.example/", "deny method-not-allowed (orders)"),
        ("not by the team", "GET", "https://www.example.org/", "deny host-not-allowed (team)"),
        ("not by the organisation", "GET", "https://own.example.net/", "deny host-not-allowed (organisation)"),
        (
            "denied by the outermost",
            "GET",
            "https://api.partner.example/admin/x",
            "deny denied-by-rule no-admin (organisation)",
        ),
        ("denied by the innermost", "GET", "https://old.partner.example/", "deny denied-by-rule no-legacy (orders)"),
    ];
    for (name, method, url, expected) in cases {
        assert_eq!(decide(&policy, method, url, day()), expected, "{name}");
    }
    assert_eq!((policy.name(), policy.rule_count()), ("orders", 5));
}

#[test]
fn layers_can_be_joined_in_any_order_of_brackets() {
    let layer = |name: &str| named(name, &format!("[[allow]]\nid = 'of-{name}'\nhosts = ['a.example']\n"));
    let left = layer("a").narrowed_by(layer("b")).narrowed_by(layer("c"));
    let right = layer("a").narrowed_by(layer("b").narrowed_by(layer("c")));
    for policy in [left, right] {
        assert_eq!(decide(&policy, "GET", "https://a.example/", day()), "allow of-a/of-b/of-c");
    }
}

#[test]
fn from_its_last_day_a_rule_only_denies() {
    let policy = read(
        "[[allow]]\nid = 'pilot'\nhosts = ['pilot.example']\nmethods = ['GET']\nexpires = 2027-03-31\n\
         [[allow]]\nid = 'both-old'\nhosts = ['both.example']\nexpires = 2027-03-31\n\
         [[allow]]\nid = 'both-new'\nhosts = ['both.example']\n\
         [[allow]]\nid = 'wide'\nhosts = ['*.wide.example']\n\
         [[deny]]\nid = 'block'\nhosts = ['bad.wide.example']\nexpires = 2027-03-31\n\
         [[deny]]\nid = 'trial'\nhosts = ['trial.wide.example']\nmode = 'report-only'\nexpires = 2027-03-31\n",
    );
    let cases = [
        ("an allow rule", "GET", "https://pilot.example/", "allow pilot", "deny rule-expired pilot (orders)"),
        (
            "what it never allowed",
            "PUT",
            "https://pilot.example/",
            "deny method-not-allowed (orders)",
            "deny method-not-allowed (orders)",
        ),
        ("another rule allows it", "GET", "https://both.example/", "allow both-old", "allow both-new"),
        (
            "a deny rule goes on",
            "GET",
            "https://bad.wide.example/",
            "deny denied-by-rule block (orders)",
            "deny denied-by-rule block (orders)",
        ),
        (
            "a report-only one begins to deny",
            "GET",
            "https://trial.wide.example/",
            "report denied-by-rule trial (orders)",
            "deny denied-by-rule trial (orders)",
        ),
    ];
    for (name, method, url, until, from) in cases {
        assert_eq!(decide(&policy, method, url, before()), until, "{name}, before");
        assert_eq!(decide(&policy, method, url, day()), from, "{name}, from the day on");
    }
}

#[test]
fn a_policy_reports_only_until_its_day() {
    let policy = read(
        "mode = 'report-only'\nreport_only_until = 2027-03-31\n\
         [[allow]]\nid = 'api'\nhosts = ['api.example.com']\n[[deny]]\nid = 'no-x'\nhosts = ['x.example.com']\n",
    );
    let cases = [
        ("allowed", "https://api.example.com/", "allow api", "allow api"),
        ("unlisted", "https://evil.example/", "report host-not-allowed (orders)", "deny host-not-allowed (orders)"),
        (
            "denied by rule",
            "https://x.example.com/",
            "report denied-by-rule no-x (orders)",
            "deny denied-by-rule no-x (orders)",
        ),
        (
            "metadata",
            "http://169.254.169.254/",
            "report ip-literal-not-allowed (orders)",
            "deny ip-literal-not-allowed (orders)",
        ),
    ];
    for (name, url, until, from) in cases {
        assert_eq!(decide(&policy, "GET", url, before()), until, "{name}, before");
        assert_eq!(decide(&policy, "GET", url, day()), from, "{name}, from the day on");
    }
    assert_eq!((policy.mode(before()), policy.mode(day())), (Mode::ReportOnly, Mode::Enforce));
    let url: Destination = "https://evil.example/".parse().unwrap();
    let connect = policy.decide(&Request::new(&Method::CONNECT, &url), before());
    assert_eq!(said(&connect), "deny connect-method (orders)", "what no rule can allow is denied in every mode");
}

#[test]
fn one_layer_that_enforces_is_enough() {
    let reporting =
        "mode = 'report-only'\nreport_only_until = 2027-03-31\n[[allow]]\nid = 'a'\nhosts = ['a.example']\n";
    let enforcing = "[[allow]]\nid = 'b'\nhosts = ['a.example', 'b.example']\n";
    for policy in [
        named("reporting", reporting).narrowed_by(named("enforcing", enforcing)),
        named("enforcing", enforcing).narrowed_by(named("reporting", reporting)),
    ] {
        assert_eq!(decide(&policy, "GET", "https://b.example/", before()), "report host-not-allowed (reporting)");
        assert_eq!(decide(&policy, "GET", "https://c.example/", before()), "deny host-not-allowed (enforcing)");
        assert_eq!(policy.mode(before()), Mode::Enforce);
    }
}

#[test]
fn a_rule_can_be_about_one_side_of_the_boundary() {
    let policy = read(
        "[internal]\nhosts = ['.corp.example']\nnetworks = ['10.0.0.0/8']\n\
         [[allow]]\nid = 'mixed'\nhosts = ['*.mixed.example']\naddresses = ['public', 'internal']\nboundary = 'internal'\n\
         [[allow]]\nid = 'corp'\nhosts = ['a.corp.example']\nboundary = 'internal'\n\
         [[allow]]\nid = 'never'\nhosts = ['b.corp.example']\nboundary = 'external'\n\
         [[allow]]\nid = 'lan'\nnetworks = ['10.1.0.0/16', '203.0.114.0/24']\nboundary = 'internal'\n\
         [[allow]]\nid = 'any'\nhosts = ['*.any.example']\naddresses = ['public', 'internal']\n\
         [[deny]]\nid = 'no-inside'\nhosts = ['x.any.example']\nboundary = 'internal'\nmethods = ['DELETE']\n",
    );
    let name = |host: &str, ip: Option<&str>| {
        let host: Host = host.parse().unwrap();
        let request = Request::connection(egress_guard::Scheme::Https, &host, 443);
        said(&policy.decide(&ip.map_or(request, |ip| request.peer(ip.parse().unwrap())), day()))
    };
    let cases = [
        ("an address that is not known yet", "a.mixed.example", None, "allow mixed"),
        ("an internal address", "a.mixed.example", Some("10.2.3.4"), "allow mixed"),
        ("a public address", "a.mixed.example", Some("203.0.115.1"), "deny boundary-not-allowed (orders)"),
        ("an internal name at a public address", "a.corp.example", Some("203.0.115.1"), "allow corp"),
        ("an internal name for an external rule", "b.corp.example", None, "deny boundary-not-allowed (orders)"),
        ("a literal inside", "10.1.2.3", None, "allow lan"),
        ("a literal outside", "203.0.114.7", None, "deny boundary-not-allowed (orders)"),
        ("a name that is not denied outside", "x.any.example", Some("203.0.115.1"), "allow any"),
        (
            "a connection inside carries every method",
            "x.any.example",
            Some("10.2.3.4"),
            "deny denied-by-rule no-inside (orders)",
        ),
        ("a name that may lie on either side", "x.any.example", None, "allow any"),
    ];
    for (case, host, ip, expected) in cases {
        assert_eq!(name(host, ip), expected, "{case}");
    }
}

/// Two rules for a host that differ in their side of the boundary must not share connections.
#[test]
fn a_boundary_is_kept_on_shared_connections() {
    let policy = read(
        "[internal]\nnetworks = ['10.0.0.0/8']\n\
         [[allow]]\nid = 'in'\nhosts = ['a.example']\nmethods = ['POST']\naddresses = ['public', 'internal']\nboundary = 'internal'\n\
         [[allow]]\nid = 'out'\nhosts = ['a.example']\nmethods = ['GET']\naddresses = ['public', 'internal']\n",
    );
    assert_eq!(decide(&policy, "POST", "https://a.example/", day()), "deny address-conflict (orders)");
}

/// A rule in conflict with one that matches stays in conflict when the first that matches expires.
#[test]
fn a_day_that_comes_ends_no_conflict_of_addresses() {
    let policy = read(
        "[[allow]]\nid = 'private'\nhosts = ['a.example']\naddresses = ['private']\nexpires = 2027-03-31\n\
         [[allow]]\nid = 'get'\nhosts = ['a.example']\nmethods = ['GET']\n\
         [[allow]]\nid = 'any'\nhosts = ['a.example']\n",
    );
    for now in [before(), day()] {
        assert_eq!(decide(&policy, "POST", "https://a.example/", now), "deny address-conflict (orders)");
    }
}

const HOSTS: &[&str] = &["a.example", "b.a.example", "c.example", "x.c.example"];

/// A rule that still lacks its id.
type Unnamed = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);

fn any_rule() -> impl Strategy<Value = Unnamed> {
    let host =
        prop::sample::select(&["a.example", "*.a.example", ".a.example", "c.example", "*.c.example", ".c.example"][..]);
    let method = prop::option::of(prop::sample::select(&["GET", "POST"][..]));
    let path = prop::option::of(prop::sample::select(&["/x", "/x/**", "/**"][..]));
    let expires = prop::option::of(prop::sample::select(&["2027-03-30", "2027-03-31", "2027-04-01"][..]));
    (host, method, path, expires)
}

fn rule(number: usize, (host, method, path, expires): Unnamed) -> Rule {
    let rule = Rule::new(format!("rule-{number}")).hosts([host]);
    let rule = method.into_iter().fold(rule, |rule, method| rule.methods([method]));
    let rule = path.into_iter().fold(rule, |rule, path| rule.paths([path]));
    expires.into_iter().fold(rule, Rule::expires)
}

/// A layer of up to three allow rules and up to two deny rules, some of which only report.
fn any_layer() -> impl Strategy<Value = Policy> {
    let allow = prop::collection::vec(any_rule(), 0..4);
    let deny = prop::collection::vec((any_rule(), any::<bool>()), 0..3);
    let until = prop::option::of(prop::sample::select(&["2027-03-31", "2027-04-01"][..]));
    (allow, deny, until).prop_map(|(allow, deny, until)| {
        let builder = until.into_iter().fold(Policy::builder("p"), PolicyBuilder::report_only_until);
        let (allow, deny) = (allow.into_iter().enumerate(), deny.into_iter().enumerate());
        let builder = allow.fold(builder, |builder, (number, unnamed)| builder.allow(rule(number, unnamed)));
        let builder = deny.fold(builder, |builder, (number, (unnamed, reports))| {
            let rule = rule(10 + number, unnamed);
            builder.deny(if reports { rule.report_only() } else { rule })
        });
        builder.build().unwrap()
    })
}

fn every_request(mut visit: impl FnMut(&Request<'_>, &str)) {
    for host in HOSTS {
        for path in ["/x", "/x/y", "/a//b"] {
            for method in [Method::GET, Method::POST] {
                let url = format!("https://{host}{path}");
                let destination: Destination = url.parse().unwrap();
                visit(&Request::new(&method, &destination), &format!("{method} {url}"));
                visit(&Request::to(&destination), &url);
                visit(&Request::name(destination.host()), host);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_layer_never_allows_what_was_denied(base in any_layer(), narrower in any_layer(), inside in any::<bool>()) {
        let both = if inside {
            base.clone().narrowed_by(narrower)
        } else {
            narrower.narrowed_by(base.clone())
        };
        every_request(|request, name| for now in [before(), day()] {
            if base.decide(request, now).is_enforced_denial() {
                assert!(both.decide(request, now).is_enforced_denial(), "{name}");
            }
        });
    }

    #[test]
    fn time_never_allows_what_was_denied(policy in any_layer()) {
        every_request(|request, name| {
            if policy.decide(request, before()).is_enforced_denial() {
                assert!(policy.decide(request, day()).is_enforced_denial(), "{name}");
            }
        });
    }

    #[test]
    fn an_explanation_says_what_the_decision_says(outer in any_layer(), inner in any_layer()) {
        let policy = outer.narrowed_by(inner);
        every_request(|request, name| {
            let (decision, explained) = (policy.decide(request, day()), policy.explain(request, day()));
            assert_eq!(decision, explained.decision, "{name}");
            let denials = explained.layers.iter().filter_map(|layer| layer.denial);
            match decision {
                Decision::Allow { .. } => assert_eq!(denials.count(), 0, "{name}"),
                Decision::Deny { reason, mode, .. } => {
                    assert!(denials.collect::<Vec<_>>().contains(&(reason, mode)), "{name}");
                }
            }
        });
    }
}
