//! Everything that `docs/policy.md` shows is true: its policies, its faults, and the rows of its tables.
//!
//! A table that begins with `request` is decided by the policies of its section, each narrowed by the next.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use egress_guard::{
    AuditRecord, AuditSink, Decision, Destination, Guard, Host, MemorySink, Mode, Policy, Reason, Request, Rule, denied,
};
use http::{Method, Version};
use http_body_util::Full;
use tower::{ServiceBuilder, ServiceExt};

const PAGE: &str = include_str!("../docs/policy.md");

/// The part of the page below one heading.
#[derive(Default)]
struct Section {
    heading: &'static str,
    /// Language and text.
    blocks: Vec<(&'static str, String)>,
    /// Rows of cells, the head first.
    tables: Vec<Vec<Vec<&'static str>>>,
}

fn sections() -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let (mut in_block, mut in_table) = (false, false);
    // How to set up an editor is not about the language.
    for line in PAGE.split("\n## In your editor").next().unwrap().lines() {
        let section = sections.last_mut().unwrap();
        let is_row = line.starts_with('|') && !in_block;
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block;
            if in_block {
                section.blocks.push((language, String::new()));
            }
        } else if in_block {
            section.blocks.last_mut().unwrap().1.extend([line, "\n"]);
        } else if is_row {
            if !in_table {
                section.tables.push(Vec::new());
            }
            if !line.starts_with("|---") {
                let cells = line.trim_matches('|').split(" |").map(str::trim);
                section.tables.last_mut().unwrap().push(cells.collect());
            }
        } else if let Some(heading) = line.strip_prefix("## ") {
            sections.push(Section { heading, ..Section::default() });
        }
        in_table = is_row;
    }
    sections
}

impl Section {
    fn named(heading: &str) -> Self {
        sections().into_iter().find(|section| section.heading == heading).unwrap_or_else(|| panic!("no {heading}"))
    }

    /// The rows of the table whose head begins so.
    fn rows(&self, head: &[&str]) -> Vec<Vec<&'static str>> {
        let table = self.tables.iter().find(|table| table[0].starts_with(head));
        let rows = table.unwrap_or_else(|| panic!("{} has no table of {head:?}", self.heading))[1..].to_vec();
        assert!(!rows.is_empty());
        rows
    }

    /// The policies that are not there to be refused.
    fn policies(&self) -> Vec<Policy> {
        let is_refused = |number: usize| self.blocks.get(number + 1).is_some_and(|(language, _)| *language == "text");
        let blocks = self.blocks.iter().enumerate().filter(|(number, _)| !is_refused(*number));
        let policies = blocks.filter_map(|(_, (language, text))| match *language {
            "toml" if text.contains("version = 1") => Some(Policy::from_toml(text)),
            "toml" => Some(Policy::from_toml(&format!("version = 1\nname = \"page\"\n{text}"))),
            "json" => Some(Policy::from_json(text)),
            "text" => None,
            other => panic!("{}: nothing tests a block in {other}", self.heading),
        });
        policies.map(|policy| policy.unwrap_or_else(|error| panic!("{}: {error}", self.heading))).collect()
    }
}

/// What stands between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn before() -> SystemTime {
    from() - Duration::from_secs(1)
}

/// Midnight, UTC, of 2027-03-31.
fn from() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_806_451_200)
}

/// Decides what a cell asks for, and says it as the page does: `GET URL`, name `HOST` or connection `URL`, and perhaps
/// at `ADDRESS`.
fn decide(policy: &Policy, is_layered: bool, asked: &str, now: SystemTime) -> String {
    let parts = spans(asked);
    let (method, url) = parts[0].split_once(' ').unwrap_or(("GET", parts[0]));
    let (method, host): (Method, Option<Host>) = (method.parse().unwrap(), url.parse().ok());
    let destination = url.parse::<Destination>();
    let request = match (&destination, &host) {
        _ if asked.starts_with("name ") => Request::name(host.as_ref().unwrap()),
        (Ok(to), _) if asked.starts_with("connection ") => Request::connection(to.scheme(), to.host(), to.port()),
        (Ok(to), _) => Request::new(&method, to),
        (Err(error), _) => return format!("denied: `{}`", Reason::from(error)),
    };
    let request = parts.get(1).map_or(request, |peer| request.peer(peer.parse().unwrap()));
    match policy.decide(&request, now) {
        Decision::Allow { rule, baseline_rules } => {
            let rules: Vec<String> = baseline_rules.iter().chain([&rule]).map(|rule| format!("`{rule}`")).collect();
            format!("allowed by {}", rules.join(", "))
        }
        Decision::Deny { reason, rule, policy, mode } => {
            let verb = if mode == Mode::Enforce { "denied" } else { "reported" };
            let rule = rule.map(|rule| format!(", `{rule}`")).unwrap_or_default();
            let policy = if is_layered { format!(" ({policy})") } else { String::new() };
            format!("{verb}: `{reason}`{rule}{policy}")
        }
    }
}

#[test]
fn every_policy_can_be_read() {
    let policies: usize = sections().iter().map(|section| section.policies().len()).sum();
    assert!(policies >= 6, "{policies}");
}

#[test]
fn what_is_refused_is_refused_in_these_words() {
    let mut refused = 0;
    for section in sections() {
        for pair in section.blocks.windows(2) {
            let [(_, policy), ("text", said)] = pair else { continue };
            assert_eq!(Policy::from_toml(policy).unwrap_err().to_string(), said.trim_end());
            refused += 1;
        }
    }
    assert!(refused > 0);
}

#[test]
fn every_request_is_decided_as_its_row_says() {
    let mut rows = 0;
    for section in sections() {
        for table in section.tables.iter().filter(|table| table[0][0] == "request") {
            let policies = section.policies();
            let is_layered = policies.len() > 1;
            let policy = policies.into_iter().reduce(Policy::narrowed_by).unwrap();
            for row in &table[1..] {
                for (head, said) in table[0].iter().zip(row).skip(1) {
                    let now = match *head {
                        "decision" | "before 2027-03-31" => before(),
                        "from 2027-03-31 on" => from(),
                        other => panic!("which day is {other}?"),
                    };
                    assert_eq!(decide(&policy, is_layered, row[0], now), *said, "{} {head}", row[0]);
                    rows += 1;
                }
            }
        }
    }
    assert!(rows >= 40, "{rows}");
}

/// For each row the span in its first cell, and the spans of its second and third, which match and do not.
fn matching(heading: &str, head: &[&str], mut matches: impl FnMut(&str, &str) -> bool) {
    for row in Section::named(heading).rows(head) {
        let pattern = spans(row[0])[0];
        for (cell, expected) in [(row[1], true), (row[2], false)] {
            assert!(!spans(cell).is_empty(), "{pattern}");
            for value in spans(cell) {
                assert_eq!(matches(pattern, value), expected, "{pattern} and {value}");
            }
        }
    }
}

fn allows(rule: Rule, request: &Request<'_>) -> bool {
    let policy = Policy::builder("page").internal_networks(["10.0.0.0/8"]).allow(rule).build().unwrap();
    matches!(policy.decide(request, before()), Decision::Allow { .. })
}

#[test]
fn hosts_match_as_their_rows_say() {
    matching("Hosts", &["pattern", "matches", "does not match"], |pattern, name| {
        allows(Rule::new("rule").hosts([pattern]), &Request::name(&name.parse().unwrap()))
    });
}

#[test]
fn networks_open_what_their_rows_say() {
    matching("Networks", &["network", "opens", "does not open"], |network, literal| {
        allows(Rule::new("rule").networks([network]), &Request::name(&literal.parse().unwrap()))
    });
}

#[test]
fn addresses_open_what_their_rows_say() {
    let host: Host = "a.example".parse().unwrap();
    matching("Addresses", &["address", "a name may resolve to", "but not to"], |class, address| {
        let request = Request::name(&host).peer(address.parse().unwrap());
        allows(Rule::new("rule").hosts(["a.example"]).addresses([class]), &request)
    });
}

#[test]
fn paths_match_as_their_rows_say() {
    matching("Paths", &["pattern", "matches", "does not match"], |pattern, path| {
        let destination: Destination = format!("https://a.example{path}").parse().unwrap();
        allows(Rule::new("rule").hosts(["a.example"]).paths([pattern]), &Request::to(&destination))
    });
}

#[test]
fn refused_hosts_are_told_what_to_write() {
    for row in Section::named("Hosts").rows(&["refused", "write"]) {
        let host = spans(row[0])[0];
        let error = Policy::builder("page").allow(Rule::new("rule").hosts([host])).build().unwrap_err();
        for cure in spans(row[1]) {
            assert!(error.faults()[0].cure().contains(cure), "{cure}: {error}");
        }
    }
}

#[test]
fn a_wildcard_may_stand_right_below_the_names_that_are_never_sold() {
    let sentence = PAGE.split("never sold: ").nth(1).unwrap().split(".\n").next().unwrap();
    assert!(spans(sentence).len() > 3);
    for name in spans(sentence) {
        let rule = Rule::new("rule").hosts([format!("*.{name}")]);
        assert!(Policy::builder("page").allow(rule).build().is_ok(), "{name}");
    }
}

#[test]
fn the_tables_of_keys_list_every_key() {
    let keys_in = |text: &str| -> BTreeSet<String> {
        let error = Policy::from_toml(text).unwrap_err();
        let keys = error.faults().iter().find_map(|fault| fault.cure().split_once("the keys are ")).unwrap().1;
        keys.split(", ").map(str::to_owned).collect()
    };
    let head = "version = 1\nname = 'p'\n";
    for (title, text) in [
        ("key of the policy", format!("{head}unheard_of = 1\n")),
        ("key of a rule", format!("{head}[[allow]]\nid = 'a'\nhosts = ['a.example']\nunheard_of = 1\n")),
    ] {
        let rows = Section::named("Keys").rows(&[title]);
        let listed: BTreeSet<String> = rows.iter().map(|row| spans(row[0])[0].to_owned()).collect();
        assert_eq!(listed, keys_in(&text), "left: {title}, right: the language");
    }
}

struct Broken;

impl AuditSink for Broken {
    fn record(&self, _: &AuditRecord<'_>) -> io::Result<()> {
        Err(io::Error::other("broken"))
    }
}

/// Three of the reasons are a connection's, which is refused without asking the policy; the others are tried here.
#[tokio::test]
async fn what_the_page_says_is_denied_in_every_mode_is() {
    let policy = Policy::builder("page").report_only_until("9999-12-31").build().unwrap();
    let get = || http::Request::get("https://unlisted.example/");
    let header = |name: &str, value: &str| get().header(name, value);
    let cases = [
        ("invalid-destination", get().uri("ftp://unlisted.example/")),
        ("not-normalized", get().uri("https://unlisted.example/a/../b")),
        ("user-info", get().uri("https://user@unlisted.example/")),
        ("connect-method", get().method(Method::CONNECT).uri("unlisted.example:443")),
        ("host-header", header("host", "other.example")),
        ("content-length-header", header("content-length", "7")),
        ("transfer-encoding-header", header("transfer-encoding", "chunked")),
        ("upgrade-header", header("upgrade", "websocket")),
        ("proxy-header", header("proxy-authorization", "Basic eDp5")),
        ("unsupported-version", get().version(Version::HTTP_3)),
        ("audit-failed", get()),
    ];
    let answer = async |request: http::request::Builder, guard: Guard| {
        let client = tower::service_fn(async |_| Ok::<_, io::Error>(http::Response::new(Full::<Bytes>::default())));
        let http = ServiceBuilder::new().layer(guard.layer()).service(client);
        http.oneshot(request.body(Full::<Bytes>::default()).unwrap()).await.map(drop)
    };
    answer(get(), Guard::new(policy.clone(), MemorySink::new())).await.expect("a request that is only reported");
    let mut codes = BTreeSet::from(["proxied-connection", "no-peer-address", "resolver-override"]);
    for (code, request) in cases {
        let guard = match code {
            "audit-failed" => Guard::new(policy.clone(), Broken),
            _ => Guard::new(policy.clone(), MemorySink::new()),
        };
        let error = answer(request, guard).await.expect_err(code);
        assert_eq!(denied(&*error).expect(code).reason().as_str(), code);
        codes.insert(code);
    }
    let listed = PAGE.split("is denied in every mode").nth(1).unwrap().split("\n\n").next().unwrap();
    let listed = spans(listed).into_iter().filter(|span| span.contains('-') && span.to_lowercase() == *span);
    assert_eq!(listed.collect::<BTreeSet<_>>(), codes, "left: the page");
}
