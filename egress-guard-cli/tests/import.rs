//! `egress-guard import` as its user runs it: real lists, what they mean there and here, and what is no list at all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use egress_guard::{Decision, Destination, Mode, Policy, Request};
use serde_json::{Value, json};

/// What a run of the command gave.
struct Imported {
    status: Option<i32>,
    policy: String,
    said: String,
}

fn import(arguments: &[&str], input: impl AsRef<[u8]>) -> Imported {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egress-guard"));
    command.current_dir(data("")).arg("import").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that does not read has closed its end.
    let _ = stdin.write_all(input.as_ref());
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    Imported {
        status: status.code(),
        policy: String::from_utf8(stdout).unwrap(),
        said: String::from_utf8(stderr).unwrap(),
    }
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

impl Imported {
    /// The policy, which must load.
    fn load(&self) -> Policy {
        Policy::from_toml(&self.policy).unwrap_or_else(|error| panic!("{error}\n{}{}", self.policy, self.said))
    }

    /// What did not carry over, without the dashes.
    fn left(&self) -> Vec<&str> {
        let lines = self.policy.lines().skip_while(|line| *line != "# Did not carry over:").skip(1);
        lines.map_while(|line| line.strip_prefix("# - ")).collect()
    }

    fn allows(&self, url: &str) -> bool {
        is_allowed(&self.load(), url)
    }
}

fn is_allowed(policy: &Policy, url: &str) -> bool {
    url.parse::<Destination>().is_ok_and(|destination| {
        matches!(
            policy.decide(&Request::new(&http::Method::GET, &destination), SystemTime::now()),
            Decision::Allow { .. }
        )
    })
}

// ----- real lists -----

#[test]
fn real_lists_import_and_load() {
    let cases: &[(&[&str], i32, usize)] = &[
        (&["--from", "squid", "squid/web_names.txt"], 0, 1),
        // `.aws` is a whole top-level domain.
        (&["--from", "squid", "squid/web_wildcards.txt"], 1, 1),
        (&["--from", "smokescreen", "smokescreen/mitm_config.yaml"], 1, 1),
        (&["--from", "smokescreen", "smokescreen/no_default.yaml"], 0, 3),
        (&["--from", "smokescreen", "smokescreen/sample_config.yaml", "--service", "enforce-dummy-srv"], 0, 1),
        (&["--from", "smokescreen", "smokescreen/sample_config.yaml", "--service", "report-dummy-srv"], 1, 1),
        (&["--from", "smokescreen", "smokescreen/sample_config.yaml", "--service", "open-dummy-srv"], 1, 0),
        (&["--from", "smokescreen", "smokescreen/sample_config.yaml", "--service", "dummy-glob"], 0, 1),
        (&["--from", "smokescreen", "smokescreen/sample_config_with_global.yaml", "--service", "dummy-glob"], 0, 3),
        (
            &[
                "--from",
                "smokescreen",
                "smokescreen/cmd_sample_config.yaml",
                "--service",
                "egressneedingservice-enforce",
            ],
            1,
            0,
        ),
        (
            &["--from", "smokescreen", "smokescreen/cmd_sample_config.yaml", "--service", "egressneedingservice-open"],
            1,
            0,
        ),
        (&["--from", "smokescreen", "smokescreen/acl.yaml", "--service", "test-trusted-srv"], 0, 2),
        (&["--from", "smokescreen", "smokescreen/acl.yaml", "--service", "test-mitm"], 1, 1),
        (
            &["--from", "smokescreen", "smokescreen/acl.yaml", "--service", "test-external-connect-proxy-allowed-srv"],
            1,
            1,
        ),
    ];
    for (arguments, status, rules) in cases {
        let imported = import(arguments, "");
        assert_eq!(imported.status, Some(*status), "{arguments:?}: {}{}", imported.policy, imported.said);
        assert_eq!(imported.load().rule_count(), *rules, "{arguments:?}: {}", imported.policy);
        assert_eq!(imported.left().is_empty(), *status == 0, "{arguments:?}: {}", imported.policy);
    }
}

#[test]
fn a_whole_policy_looks_like_this() {
    let arguments =
        ["--from", "smokescreen", "--service", "report-dummy-srv", "smokescreen/sample_config_with_global.yaml"];
    let expected = r#"# Made from smokescreen/sample_config_with_global.yaml by `egress-guard import --from smokescreen`.
#
# Did not carry over:
# - line 14: the action `report` lets everything pass and reports what is not listed; here that is denied: to see first what would be denied, write mode = "report-only" and report_only_until, a date, below the policy's name
#
# How the list is understood:
# - Line 39: `conflictingexample.com` is not allowed, for the global deny list (line 44) goes before.
# - Smokescreen lets every port pass; here https on 443 and http on 80 are allowed. Add `ports` for others, and remove "http" if all of it is https.

version = 1
name = "report-dummy-srv"

[[allow]]
id = "imported"
hosts = [
    "example3.com",
]
schemes = ["https", "http"]
reason = "allowed_domains of the service"
owner = "security"

[[allow]]
id = "imported-global"
hosts = [
    "goodexample1.com",
    "goodexample2.com",
    "goodexample3.com",
]
schemes = ["https", "http"]
reason = "global_allow_list"

[[deny]]
id = "imported-global-deny"
hosts = [
    "badexample1.com",
    "badexample2.com",
    "conflictingexample.com",
]
reason = "global_deny_list"
"#;
    assert_eq!(import(&arguments, "").policy, expected);
}

macro_rules! rows {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/", $file))
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
    };
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().map(|item| item.as_str().unwrap()).collect()).unwrap_or_default()
}

/// Probes that are decided otherwise on purpose.
const DIFFERENCES: &[(&str, &str)] = &[
    ("http://ghcr.io/x", "an entry without a port means 443 to harden-runner, and not every port"),
    ("https://ghcr.io:8443/x", "an entry without a port means 443 to harden-runner, and not every port"),
    ("https://a.c.lencr.org:80/x", "port 80 is taken for http; harden-runner knows no schemes"),
    ("https://a.ubuntu.com:80/x", "port 80 is taken for http; harden-runner knows no schemes"),
];

#[test]
fn real_lists_of_endpoints_decide_as_their_probes_expect() {
    let mut policies = HashMap::new();
    for row in rows!("harden_runner.jsonl") {
        let endpoints: Vec<&str> =
            row["endpoints"].as_array().unwrap().iter().map(|endpoint| text(endpoint, "raw")).collect();
        let bare = import(&["--from", "harden-runner", "--name", "list"], endpoints.join("\n"));
        assert_eq!(bare.status, Some(0), "{}{}", bare.policy, bare.said);
        // The same list as it stands in a workflow.
        let block = endpoints.iter().fold(String::new(), |block, endpoint| block + "            " + endpoint + "\n");
        let workflow = format!(
            "jobs:\n  build:\n    steps:\n      - uses: step-security/harden-runner@v2\n        with:\n          egress-policy: block\n          \
             allowed-endpoints: >\n{block}      - run: make\n"
        );
        let in_workflow = import(&["--from", "harden-runner", "--name", "list"], workflow);
        let rules = |imported: &Imported| imported.policy.split("version = 1").nth(1).map(str::to_owned);
        assert_eq!(rules(&bare), rules(&in_workflow), "{}", in_workflow.policy);
        policies.insert(text(&row, "id").to_owned(), bare.load());
    }
    let mut differ = BTreeSet::new();
    let mut probes = 0;
    for row in rows!("harden_runner_probes.jsonl") {
        probes += 1;
        let allowed = is_allowed(&policies[text(&row, "policy_id")], text(&row, "input"));
        if (text(&row, "expect") == "allow" && !allowed) || (text(&row, "expect") == "deny" && allowed) {
            differ.insert((text(&row, "input").to_owned(), allowed));
        }
    }
    assert_eq!(probes, 2140);
    // All of them narrower.
    let known = DIFFERENCES.iter().map(|(url, _)| ((*url).to_owned(), false));
    assert_eq!(differ, known.collect::<BTreeSet<_>>(), "left: what differs; right: what is known to");
}

/// What Smokescreen's own tests say of a host and an ACL.
#[test]
fn smokescreens_own_tests_hold_for_the_imported_policy() {
    let mut checked = 0;
    for row in rows!("allowlist_match.jsonl").filter(|row| text(row, "source") == "smokescreen") {
        let system = text(&row, "system");
        let action = ["report", "open"].into_iter().find(|action| system.contains(action)).unwrap_or("enforce");
        let acl = json!({
            "version": "v1",
            "services": [{"name": "s", "project": "p", "action": action, "allowed_domains": texts(&row["patterns"])}],
            "global_allow_list": texts(&row["global_allow"]),
            "global_deny_list": texts(&row["global_deny"]),
        });
        let imported = import(&["--from", "smokescreen"], acl.to_string());
        if imported.status == Some(2) {
            // Smokescreen's matching is tested with globs that its loading refuses.
            assert!(imported.said.contains("Smokescreen refuses"), "{row}: {}", imported.said);
            continue;
        }
        checked += 1;
        let allowed = imported.allows(&format!("https://{}/", text(&row, "input")));
        let lets_everything_pass = action != "enforce" && imported.status == Some(1) && !allowed;
        assert!(allowed == (text(&row, "expect") == "match") || lets_everything_pass, "{row}\n{}", imported.policy);
    }
    assert!(checked >= 28, "{checked}");
}

// ----- what is no list -----

#[test]
fn what_cannot_be_read_is_an_error_with_its_place_and_cure() {
    let smokescreen = ["--from", "smokescreen"];
    let file = |name: &'static str| [smokescreen[0], smokescreen[1], name];
    let cases: &[(&[&str], &[u8], &[&str])] = &[
        (
            &file("smokescreen/contains_invalid_glob.yaml"),
            b"",
            &["smokescreen/contains_invalid_glob.yaml cannot be imported, 1 fault", "line 8: Smokescreen refuses `*bob.example.com`", "write"],
        ),
        (&file("smokescreen/contains_middle_glob.yaml"), b"", &["line 8: Smokescreen refuses `bob.ex*ample.com`", "write"]),
        (
            &file("smokescreen/unknown_action.yaml"),
            b"",
            &["line 13: service `report-dummy-srv` has the unknown action `purposely_unknown_action`: write enforce, report or open"],
        ),
        (
            &file("smokescreen/sample_config.yaml"),
            b"",
            &["line 3: there are 4 services", "--service: enforce-dummy-srv, report-dummy-srv, open-dummy-srv, dummy-glob"],
        ),
        (
            &["--from", "smokescreen", "--service", "nobody", "smokescreen/sample_config.yaml"],
            b"",
            &["there is no service `nobody`", "enforce-dummy-srv"],
        ),
        (&file("smokescreen/nowhere.yaml"), b"", &["smokescreen/nowhere.yaml cannot be read"]),
        (
            &smokescreen,
            b"version: v2\nservices:\n- name: a\n  action: enforce\n- name: a\n  action: enforce\n  allowed_domains: [UPPER.example, '*']\n",
            &["4 faults", "line 1: the ACL is not of version v1", "line 5: two services have the name `a`", "write \"upper.example\""],
        ),
        (&smokescreen, b"version: v1\n", &["line 1: the ACL has no `services`"]),
        (&smokescreen, b"version: v1\nservices:\n  a: b\n", &["line 3: `services` is a mapping: write a list"]),
        (&smokescreen, b"version: v1\nservices: [a]\n", &["line 2: a service is a text: write a mapping"]),
        (
            &smokescreen,
            b"version: v1\nservices:\n- name: a\n  action: enforce\n  allowed_domains: a.example\n",
            &["line 5: `allowed_domains` is a text: write a list"],
        ),
        (
            &smokescreen,
            b"version: v1\nservices:\n- name: a\n  action: enforce\n  mitm_domains:\n  - domain: a.example\n",
            &["line 6: `a.example` is in mitm_domains but not in allowed_domains"],
        ),
        (&smokescreen, b"a.example\nb.example\n", &["line 1: the ACL is a text: write a mapping"]),
        (&smokescreen, b"version: v1\n\tservices: []\n", &["line 1: this cannot be read as YAML or JSON", "mend the syntax"]),
        (&["--from", "harden-runner"], b"jobs:\n  build:\n    steps: []\n", &["line 1: this is YAML without `allowed-endpoints`"]),
        (&["--from", "harden-runner"], b"# nothing\n", &["line 1: the list has no endpoint"]),
        (&["--from", "harden-runner"], b"with:\n  allowed-endpoints: [a]\n", &["line 2: `allowed-endpoints` is a list: write a text"]),
        (
            &["--from", "harden-runner"],
            b"inputs:\n  allowed-endpoints:\n    default: x\n",
            &["there is no list of `allowed-endpoints`"],
        ),
        (&["--from", "squid"], b"# nothing\n\n", &["line 1: the list has no entry"]),
        (&["--from", "squid"], b"", &["standard input is empty"]),
        (&["--from", "squid"], b"a.example\nb\xff.example\n", &["line 2 is not UTF-8: save it as UTF-8"]),
        (&["--from", "squid"], b"\xff\xfea\0", &["line 1 is not UTF-8"]),
        (&["--from", "network-firewall"], b"{\"RuleGroup\": {}}", &["line 1: there is no RulesSourceList"]),
        (&["--from", "network-firewall"], b"{\"RuleGroup\": ", &["line 1: this cannot be read as YAML or JSON"]),
        (
            &["--from", "network-firewall"],
            b"{\"Targets\": [],\n \"TargetTypes\": [\"TLS_SNI\"],\n \"GeneratedRulesType\": \"allow\"}",
            &["line 3: `GeneratedRulesType` is `allow`: write ALLOWLIST"],
        ),
        (
            &["--from", "network-firewall"],
            b"{\"Targets\": [],\n \"TargetTypes\": [\"QUIC_SNI\"],\n \"GeneratedRulesType\": \"ALLOWLIST\"}",
            &["line 2: `TargetTypes` lists `QUIC_SNI`: write TLS_SNI or HTTP_HOST"],
        ),
        (
            &["--from", "network-firewall"],
            b"{\"Targets\": [], \"GeneratedRulesType\": \"ALLOWLIST\"}",
            &["RulesSourceList has no `TargetTypes`: write TLS_SNI, HTTP_HOST or both"],
        ),
        (&["--from", "iptables"], b"", &["--from", "smokescreen"]),
        (&[], b"", &["--from"]),
        (&["--from", "squid", "--service", "a"], b"a.example", &["--service is for Smokescreen ACLs"]),
        (&["--from", "squid", "--name", "a b"], b"a.example", &["--name \"a b\"", "write 1 to 64 of"]),
        (&["--from", "squid", "--force"], b"a.example", &["--output"]),
    ];
    for (arguments, input, expected) in cases {
        let imported = import(arguments, input);
        let input = String::from_utf8_lossy(input);
        assert_eq!(imported.status, Some(2), "{arguments:?} {input}: {}", imported.said);
        assert_eq!(imported.policy, "", "{arguments:?} {input}");
        for expected in *expected {
            assert!(imported.said.contains(expected), "{arguments:?} {input}: {}", imported.said);
        }
    }
}

// ----- entries -----

/// An entry, the URL that its system would let pass or nothing, and what is said of it, or nothing.
type Case<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

fn check_entries(system: &str, cases: &[Case<'_>]) {
    for (entry, allowed, said) in cases {
        // Behind another entry, so that the rest of the list is seen to carry over.
        let imported = import(&["--from", system], format!("other.example\n{entry}\n"));
        let policy = imported.load();
        assert!(is_allowed(&policy, "https://other.example/"), "{entry}: {}", imported.policy);
        let found: Vec<&str> = imported.left();
        match said {
            Some(said) => {
                assert_eq!(imported.status, Some(1), "{entry}");
                assert!(
                    found.len() == 1 && found[0].starts_with("line 2: ") && found[0].contains(said),
                    "{entry}: {found:?}"
                );
            }
            None => assert!(found.is_empty() && imported.status == Some(0), "{entry}: {found:?}"),
        }
        if let Some(url) = allowed {
            assert!(is_allowed(&policy, url), "{entry}: {}", imported.policy);
        }
        let hosts = imported.policy.lines().filter(|line| line.starts_with("    \"")).count();
        assert_eq!(hosts, 1 + usize::from(allowed.is_some()), "{entry}: {}", imported.policy);
        assert!(!imported.policy.contains("password") && !imported.said.contains("password"), "{}", imported.policy);
    }
}

#[test]
fn entries_of_squid() {
    check_entries(
        "squid",
        &[
            (".example.com", Some("https://a.b.example.com/"), None),
            (".example.com", Some("http://example.com/"), None),
            ("API.Example.com", Some("https://api.example.com/"), None),
            ("\t api.example.com \t", Some("https://api.example.com/"), None),
            ("api.example.com # the API", Some("https://api.example.com/"), None),
            ("api.example.com\r", Some("https://api.example.com/"), None),
            ("_sip.example.com", Some("https://_sip.example.com/"), None),
            ("10.0.0.1", Some("https://10.0.0.1/"), None),
            ("[2001:DB8::1]", Some("https://[2001:db8::1]/"), None),
            ("other.example", None, None),
            ("#api.example.com", None, None),
            ("2001:db8::1", None, Some("networks = [\"2001:db8::1/128\"]")),
            ("[::ffff:10.0.0.1]", None, Some("write \"10.0.0.1/32\"")),
            ("10.0.0.0/8", None, Some("networks = [\"10.0.0.0/8\"]")),
            ("010.0.0.1", None, Some("is the IP address 8.0.0.1")),
            ("0x7f.1", None, Some("is the IP address 127.0.0.1")),
            ("10.0.0.1:80", None, Some("carries a port")),
            ("api.example.com:443", None, Some("ports = [443]")),
            ("https://user:password@api.example.com/v1", None, Some("write the host alone, \"api.example.com\"")),
            ("https://user:password@api.example.com/*", None, Some("`https://api.example.com/*` has a `*`")),
            ("api.example.com.", None, Some("write \"api.example.com\" in the list")),
            (".com", None, Some("matches names that anyone can register")),
            (".", None, Some("matches every host")),
            ("..example.com", None, Some("has an empty label")),
            ("*", None, Some("`*` has a `*`, which means nothing in such a list")),
            ("*.com", None, Some("write \".com\" in the list")),
            ("*.example.com", None, Some("write \".example.com\" in the list")),
            ("^.*\\.example\\.com$", None, Some("looks like a regular expression")),
            ("a.example.com b.example.com", None, Some("is several words")),
            ("acl names dstdomain .example.com", None, Some("is several words")),
            ("api.example.com#x", None, Some("has the character '#'")),
            ("b\u{fc}cher.example", None, Some("xn--bcher-kva.example")),
            ("a\u{1b}[2Jb.example.com", None, Some("\\u{1b}")),
            ("\u{202e}moc.example.com", None, Some("\\u{202e}")),
        ],
    );
}

#[test]
fn entries_of_harden_runner() {
    check_entries(
        "harden-runner",
        &[
            ("api.example.com:443", Some("https://api.example.com/"), None),
            ("api.example.com", Some("https://api.example.com/"), None),
            ("api.example.com:80", Some("http://api.example.com/"), None),
            ("api.example.com:8443", Some("https://api.example.com:8443/"), None),
            ("*.example.com:443", Some("https://a.b.example.com/"), None),
            ("*.Example.COM.:443\r", Some("https://a.example.com/"), None),
            ("data*.blob.example.com:443", Some("https://data7.blob.example.com/"), None),
            ("other.example \t other.example:443", None, None),
            ("# other.example:443", None, None),
            (".example.com:443", None, Some("write \"*.example.com\" in the list")),
            ("*:443", None, Some("matches every host")),
            ("*.com:443", None, Some("matches names that anyone can register")),
            ("*example.com:443", None, Some("write \"*.example.com\"")),
            ("*.ec2.*.example.com:443", None, Some("heeds but the first")),
            ("10.0.0.1:443", None, Some("networks = [\"10.0.0.1/32\"]")),
            ("[::1]:443", None, Some("carries a port")),
            ("::1", None, Some("networks = [\"::1/128\"]")),
            ("https://user:password@api.example.com:443", None, Some("write the host alone, \"api.example.com\"")),
            ("api.example.com:0", None, Some("names no port from 1 to 65535")),
            ("api.example.com:65536", None, Some("names no port from 1 to 65535")),
            ("api.example.com:https", None, Some("names no port from 1 to 65535")),
            ("a..example.com:443", None, Some("has an empty label")),
        ],
    );
}

#[test]
fn entries_of_network_firewall() {
    check_entries(
        "network-firewall",
        &[
            (".example.com", Some("https://a.b.example.com/"), None),
            (".example.com # Targets: all of it", Some("https://a.b.example.com/"), None),
            (".EXAMPLE.com", Some("https://example.com/"), None),
            ("api.example.com\r", Some("https://api.example.com/"), None),
            ("10.0.0.1", None, Some("networks = [\"10.0.0.1/32\"]")),
            ("[::1]", None, Some("networks = [\"::1/128\"]")),
            ("*.example.com", None, Some("write \".example.com\" in the list")),
            ("example.com.", None, Some("write \"example.com\" in the list")),
            (".com", None, Some("matches names that anyone can register")),
            ("https://example.com", None, Some("write the host alone")),
        ],
    );
}

#[test]
fn an_entry_that_is_too_long_is_named_in_part() {
    for system in ["squid", "harden-runner", "network-firewall"] {
        let imported = import(&["--from", system], format!("{}.example.com\n", "a".repeat(1_000_000)));
        assert_eq!(imported.status, Some(1));
        assert!(imported.left()[0].contains("is longer than a name can be"), "{:.200}", imported.left()[0]);
        assert!(imported.policy.len() < 2_000);
    }
}

// ----- where the meanings differ -----

/// How each system compares a host with an entry of its list, as its source does; both in lower case.
fn matches_there(system: &str, entry: &str, host: &str) -> bool {
    match system {
        // matchDomainName; Network Firewall's documentation says the same of its domains.
        "squid" | "network-firewall" => match entry.strip_prefix('.') {
            Some(name) => host == name || host.ends_with(entry),
            None => host == entry,
        },
        // matchWildcardDomain, and a map of names; both with their last dot.
        "harden-runner" => {
            let with_dot = |name: &str| if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
            let (entry, host) = (with_dot(entry), with_dot(host));
            let mut parts = entry.split('*');
            match (parts.next(), parts.next()) {
                (Some(before), Some(after)) => host.starts_with(before) && host.ends_with(after),
                _ => host == entry,
            }
        }
        // HostMatchesGlob.
        "smokescreen" => match entry.strip_prefix("*.") {
            Some(name) => host.ends_with(&format!(".{}", name.trim_end_matches('.'))),
            None => host == entry.trim_end_matches('.'),
        },
        other => panic!("{other}"),
    }
}

/// Each entry alone, in every shape that could mean one thing there and another here.
#[test]
fn no_entry_reaches_farther_than_it_does_there() {
    const BEFORE: &[&str] = &["", ".", "*.", "*", "**.", "..", "*..", ".*.", "*-", "a*.", "a*", "*.*.", "a.*."];
    const NAMES: &[&str] = &["test.example", "TEST.example", "a.test.example", "a.*.test.example", "a.test.*"];
    const AFTER: &[&str] = &["", ".", ".."];
    const HOSTS: &[&str] = &[
        "example",
        "test.example",
        "xtest.example",
        "x-test.example",
        "atest.example",
        "a.test.example",
        "ab.test.example",
        "b.test.example",
        "a.b.test.example",
        "b.a.test.example",
        "c.b.a.test.example",
        "a.b.c.test.example",
        "a.a.test.example",
        "a.test.test.example",
        "test.example.com",
    ];
    let mut carried_over = 0;
    for system in ["squid", "network-firewall", "harden-runner", "smokescreen"] {
        for (before, name, after) in BEFORE
            .iter()
            .flat_map(|before| NAMES.iter().flat_map(move |name| AFTER.iter().map(move |after| (before, name, after))))
        {
            let entry = format!("{before}{name}{after}");
            let list = match system {
                "smokescreen" => json!({"version": "v1", "services": [{"name": "s", "action": "enforce", "allowed_domains": [entry]}]}).to_string(),
                _ => entry.clone(),
            };
            let imported = import(&["--from", system], list);
            if imported.status == Some(2) {
                assert_eq!(system, "smokescreen", "{entry}: {}", imported.said);
                continue;
            }
            let policy = imported.load();
            for host in HOSTS {
                let allowed = is_allowed(&policy, &format!("https://{host}/"));
                let there = matches_there(system, &entry.to_ascii_lowercase(), host);
                assert!(there || !allowed, "{system}: `{entry}` allows {host}\n{}", imported.policy);
                // Narrower only where it is told.
                let told = imported.status == Some(1) || imported.policy.contains("a `*` within a name");
                assert!(allowed || !there || told, "{system}: `{entry}` denies {host}\n{}", imported.policy);
                carried_over += usize::from(allowed);
            }
        }
    }
    assert!(carried_over > 100, "{carried_over}");
}

#[test]
fn the_imported_rules_reach_as_far_as_the_list_and_no_farther() {
    // (system, list, what is allowed, what is not)
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        (
            "squid",
            ".example.com\napi.example.org\n10.0.0.1\n",
            &["https://example.com/", "http://a.b.example.com/", "https://api.example.org/", "https://10.0.0.1/"],
            &[
                "https://evilexample.com/",
                "https://a.api.example.org/",
                "https://api.example.org:8443/",
                "https://10.0.0.2/",
            ],
        ),
        (
            "harden-runner",
            "*.example.com:443 plain.example.org:80 api.example.org:8443 one.example.org",
            &[
                "https://a.b.example.com/",
                "http://plain.example.org/",
                "https://api.example.org:8443/",
                "https://one.example.org/",
            ],
            &[
                "https://example.com/",
                "http://a.example.com/",
                "https://plain.example.org/",
                "https://api.example.org/",
                "http://api.example.org:8443/",
                "http://one.example.org/",
                // The host of one entry with the port of another.
                "https://a.example.com:8443/",
            ],
        ),
        (
            "network-firewall",
            ".example.com\napi.example.org\n",
            &["https://example.com/", "https://a.b.example.com/", "https://api.example.org/"],
            &["http://example.com/", "https://a.api.example.org/", "https://example.com:8443/"],
        ),
        (
            "smokescreen",
            "version: v1\nservices:\n- name: s\n  action: enforce\n  allowed_domains: ['*.example.com', 8.8.8.8, 10.0.0.1]\n",
            &["https://a.b.example.com/", "http://a.example.com/", "https://8.8.8.8/"],
            &["https://example.com/", "https://a.example.com:8443/", "https://10.0.0.1/"],
        ),
    ];
    for (system, list, allowed, denied) in cases {
        let policy = import(&["--from", system], list).load();
        for url in *allowed {
            assert!(is_allowed(&policy, url), "{system}: {url}");
        }
        for url in *denied {
            assert!(!is_allowed(&policy, url), "{system}: {url}");
        }
    }
}

#[test]
fn names_may_lead_to_public_addresses_only() {
    for (system, list) in [
        ("squid", "api.example.com"),
        ("harden-runner", "api.example.com:443"),
        ("network-firewall", "api.example.com"),
    ] {
        let imported = import(&["--from", system], list);
        assert!(imported.policy.contains("Names may lead to public addresses only."), "{}", imported.policy);
        let destination = "https://api.example.com/".parse().unwrap();
        let request = Request::new(&http::Method::GET, &destination).peer("10.0.0.1".parse().unwrap());
        assert!(matches!(imported.load().decide(&request, SystemTime::now()), Decision::Deny { .. }));
    }
}

#[test]
fn what_smokescreen_does_beside_its_lists_is_told() {
    let service = "version: v1\nservices:\n- name: s\n  project: p\n  action: enforce\n";
    let cases = [
        ("  allowed_domain: [a.example]\n", "line 6: `allowed_domain` is no key that Smokescreen reads"),
        ("  allowed_domains: ['*.example', '*.com']\n", "line 6: host `*.com` matches names that anyone can register"),
        ("  allowed_domains: ['2001:4860:4860::8888']\n", "line 6: Smokescreen denies every IPv6 address in a URL"),
        (
            "  allowed_domains: [169.254.169.254]\n",
            "line 6: Smokescreen denies `169.254.169.254` with all special addresses",
        ),
        ("  allowed_external_proxies: [proxy.example]\n", "line 6: the proxy `proxy.example` does not carry over"),
        (
            "  allowed_domains: [a.example]\n  mitm_domains:\n  - domain: a.example\n",
            "line 8: the headers and logs of `a.example`",
        ),
        (
            "  allowed_domains: [a.b.example]\nglobal_allow_list: ['*.b.example']\nglobal_deny_list: ['*.a.b.example', a.b.example]\n",
            "line 6: `a.b.example` is allowed in spite of the global deny of `a.b.example` (line 8); not here",
        ),
        (
            "  allowed_domains: [.example.com]\n",
            "line 6: `.example.com` begins with a dot, so that no name is the same: write \"*.example.com\" in the list",
        ),
        ("global_allow_list: [.example.com]\n", "line 6: `.example.com` begins with a dot"),
        ("global_deny_list: [.example.com]\n", "line 6: `.example.com` begins with a dot"),
        ("x: 1\n", "line 6: `x` is no key that Smokescreen reads"),
    ];
    for (more, expected) in cases {
        let imported = import(&["--from", "smokescreen"], format!("{service}{more}"));
        let left = imported.left();
        assert!(left.len() == 1 && left[0].contains(expected), "{more}: {left:?}");
        assert_eq!(imported.status, Some(1));
    }
    for action in ["open", "report"] {
        let imported = import(&["--from", "smokescreen"], service.replace("enforce", action));
        assert!(
            imported.left()[0].contains(&format!("line 5: the action `{action}` lets everything pass")),
            "{}",
            imported.policy
        );
        assert_eq!(imported.load().rule_count(), 0);
        // The cure for `report` works as it is written.
        let until = "name = \"s\"\nmode = \"report-only\"\nreport_only_until = 2999-01-01";
        let reporting = Policy::from_toml(&imported.policy.replace("name = \"s\"", until)).unwrap();
        assert_eq!(reporting.mode(SystemTime::now()), Mode::ReportOnly);
    }
}

#[test]
fn a_denied_address_is_denied_to_names_that_lead_to_it() {
    let acl = "version: v1\nservices:\n- name: s\n  action: enforce\n  allowed_domains: [a.example]\nglobal_deny_list: [8.8.8.8]\n";
    let imported = import(&["--from", "smokescreen"], acl);
    assert_eq!(imported.status, Some(0));
    assert!(
        imported.policy.contains("- Line 6: `8.8.8.8` is denied here to names that lead to it, too."),
        "{}",
        imported.policy
    );
    let destination = "https://a.example/".parse().unwrap();
    let policy = imported.load();
    let decides = |peer: &str| {
        policy.decide(&Request::new(&http::Method::GET, &destination).peer(peer.parse().unwrap()), SystemTime::now())
    };
    assert!(matches!(decides("8.8.8.8"), Decision::Deny { .. }));
    assert!(matches!(decides("8.8.4.4"), Decision::Allow { .. }));
}

#[test]
fn every_list_of_a_workflow_is_taken_with_what_stands_beside_it() {
    let workflow = "\
on: push
env:
  LIST: &endpoints >-
    anchored.example:443
jobs:
  build:
    steps:
      - uses: step-security/harden-runner@v2
        with:
          egress-policy: audit
          allowed-endpoints: >
            folded.example:443

            *.folded.example:443 ${{ vars.MORE }}:443 after.folded.example:443
            # not.example:443
  test:
    steps:
      - uses: step-security/harden-runner@v2
        with: { allowed-endpoints: \"flow.example:443 flow.example:80\", use-policy-store: true }
  lint:
    steps:
      - with:
          allowed-endpoints: |
            literal.example
            bad.example:x
      - with: { allowed-endpoints: *endpoints }
      - with: { allowed-endpoints: }
";
    for text in [workflow.to_owned(), workflow.replace('\n', "\r\n"), format!("\u{feff}{workflow}")] {
        let imported = import(&["--from", "harden-runner"], &text);
        let expected = [
            "line 10: with `egress-policy: audit` the step may let everything pass and only record it",
            "line 14: `${{ vars.MORE }}:443` is known only when the workflow runs",
            "line 15: `#` begins no comment within a list of endpoints",
            "line 19: the endpoints of the policy store are not in this file",
            "line 25: `bad.example:x` names no port",
        ];
        let left = imported.left();
        assert_eq!(left.len(), expected.len(), "{left:?}");
        for (left, expected) in left.iter().zip(expected) {
            assert!(left.starts_with(expected), "{left}");
        }
        for note in
            ["The lists on lines 11, 19, 23, 26, 27 are put together", "Line 24: an endpoint without a port means 443"]
        {
            assert!(imported.policy.contains(note), "{note}: {}", imported.policy);
        }
        let policy = imported.load();
        for url in [
            "https://anchored.example/",
            "https://folded.example/",
            "https://a.folded.example/",
            "https://after.folded.example/",
            "https://flow.example/",
            "http://flow.example/",
            "https://literal.example/",
        ] {
            assert!(is_allowed(&policy, url), "{url}");
        }
        assert!(!is_allowed(&policy, "https://not.example/"));
    }
}

#[test]
fn a_rule_group_is_found_wherever_it_stands() {
    let list = |kind: &str, types: Value| json!({"Targets": [".example.com"], "TargetTypes": types, "GeneratedRulesType": kind});
    let allow = list("ALLOWLIST", json!(["TLS_SNI", "HTTP_HOST"]));
    let template = "\
Resources:
  Domains:
    Type: AWS::NetworkFirewall::RuleGroup
    Properties:
      RuleGroupName: !Sub '${AWS::StackName}-domains'
      RuleGroup:
        RulesSource:
          RulesSourceList:
            GeneratedRulesType: ALLOWLIST
            TargetTypes: [TLS_SNI, HTTP_HOST]
            Targets:
              - .example.com
";
    let forms = [
        allow.to_string(),
        json!({"RulesSourceList": allow}).to_string(),
        json!({"RulesSource": {"RulesSourceList": allow}}).to_string(),
        // As `aws network-firewall describe-rule-group` prints it.
        serde_json::to_string_pretty(&json!({
            "UpdateToken": "x",
            "RuleGroup": {
                "RulesSource": {"RulesSourceList": allow, "RulesString": null},
                "RuleVariables": {},
                "StatefulRuleOptions": {"RuleOrder": "DEFAULT_ACTION_ORDER"},
            },
            "RuleGroupResponse": {"RuleGroupName": "domains", "Type": "STATEFUL"},
        }))
        .unwrap()
        .replace("  ", "\t"),
        json!({"Resources": {"Domains": {"Properties": {"RuleGroup": {"RulesSource": {"RulesSourceList": allow}}}}}})
            .to_string(),
        template.to_owned(),
    ];
    for form in &forms {
        let imported = import(&["--from", "network-firewall"], form);
        assert_eq!(imported.status, Some(0), "{form}: {}{}", imported.policy, imported.said);
        for url in ["https://example.com/", "http://a.b.example.com/"] {
            assert!(imported.allows(url), "{form}: {}", imported.policy);
        }
    }
    for (types, https, http) in [(json!(["TLS_SNI"]), true, false), (json!(["HTTP_HOST"]), false, true)] {
        let imported = import(&["--from", "network-firewall"], list("ALLOWLIST", types).to_string());
        assert_eq!((imported.allows("https://example.com/"), imported.allows("http://example.com/")), (https, http));
        assert!(
            imported.policy.contains("The other protocol passes it there, and is denied here."),
            "{}",
            imported.policy
        );
    }
}

#[test]
fn a_denied_domain_of_network_firewall_is_denied_and_what_passed_there_is_told() {
    let list = |kind: &str, target: &str| json!({"RulesSourceList": {"Targets": [target], "TargetTypes": ["TLS_SNI"], "GeneratedRulesType": kind}});
    for kind in ["DENYLIST", "REJECTLIST"] {
        let alone = import(&["--from", "network-firewall"], list(kind, ".bad.example").to_string());
        assert_eq!(alone.status, Some(1));
        assert!(alone.left()[0].contains("what is not on a list of denied domains passes there"), "{:?}", alone.left());

        let both =
            json!([list("ALLOWLIST", ".example"), list("ALLOWLIST", "a.bad.example"), list(kind, ".bad.example")]);
        let both = import(&["--from", "network-firewall"], json!({"groups": both}).to_string());
        assert_eq!(both.status, Some(0), "{:?}", both.left());
        assert!(both.allows("https://good.example/"), "{}", both.policy);
        assert!(!both.allows("https://a.bad.example/"), "{}", both.policy);
    }
    let alert = import(&["--from", "network-firewall"], list("ALERTLIST", ".example.com").to_string());
    assert!(alert.left()[0].contains("an ALERTLIST neither allows nor denies"), "{:?}", alert.left());
    assert_eq!(alert.load().rule_count(), 0);
}

#[test]
fn what_only_a_deployment_knows_is_told() {
    let template = "\
RulesSource:
  RulesSourceList:
    GeneratedRulesType: ALLOWLIST
    TargetTypes: [TLS_SNI]
    Targets: [.example.com, !Ref Domain, {Ref: Domain}]
    Priority: 1
  RulesString: pass tls any any -> any any (sid:1;)
RuleVariables: {IPSets: {HOME_NET: {Definition: [10.0.0.0/8]}}}
";
    let imported = import(&["--from", "network-firewall"], template);
    let expected = [
        "line 5: a target is given by `!Ref`: write it out",
        "line 5: a target is a mapping: write a text",
        "line 6: `Priority` is no key of a domain list",
        "line 7: `RulesString` holds rules that are no domain list",
        "line 8: `RuleVariables` says whose traffic is meant",
    ];
    let left = imported.left();
    assert_eq!(left.len(), expected.len(), "{left:?}");
    for (left, expected) in left.iter().zip(expected) {
        assert!(left.starts_with(expected), "{left}");
    }
    assert!(imported.allows("https://example.com/"));
    let whole = template.replace("[.example.com, !Ref Domain, {Ref: Domain}]", "!Ref Domains");
    let whole = import(&["--from", "network-firewall"], whole);
    assert!(whole.left()[0].contains("`Targets` is given by `!Ref`"), "{:?}", whole.left());
    assert_eq!(whole.load().rule_count(), 0);
}

// ----- output -----

#[test]
fn an_output_file_is_never_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    let output = path.to_str().unwrap();
    let first = import(&["--from", "squid", "-o", output], "a.example\n*.b.example\n");
    assert_eq!((first.status, first.policy.as_str()), (Some(1), ""));
    assert!(first.said.contains("1 entry of standard input did not carry over"), "{}", first.said);
    assert!(first.said.contains("\n  line 2: `*.b.example` has a `*`"), "{}", first.said);
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(Policy::from_file(&path).is_ok());

    let second = import(&["--from", "squid", "-o", output], "c.example\n");
    assert_eq!(second.status, Some(2));
    assert!(
        second.said.contains("policy.toml cannot be written") && second.said.contains("--force replaces it"),
        "{}",
        second.said
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written);

    let forced = import(&["--from", "squid", "-o", output, "--force"], "c.example\n");
    assert_eq!((forced.status, forced.said.as_str()), (Some(0), ""));
    assert!(std::fs::read_to_string(&path).unwrap().contains("c.example"));

    let nowhere = folder.path().join("no/folder.toml");
    let nowhere = import(&["--from", "squid", "-o", nowhere.to_str().unwrap()], "c.example\n");
    assert!(nowhere.status == Some(2) && nowhere.said.contains("folder.toml cannot be written"), "{}", nowhere.said);
    // A list with a fault leaves no file.
    let faulty = folder.path().join("faulty.toml");
    assert_eq!(import(&["--from", "smokescreen", "-o", faulty.to_str().unwrap()], "a: [").status, Some(2));
    assert!(!faulty.exists());
}

#[test]
fn a_policy_is_named_after_its_service_or_its_file() {
    let acl = "version: v1\nservices:\n- name: a b\n  action: enforce\n";
    let cases: &[(&[&str], &str, &str)] = &[
        (&["--from", "squid", "squid/web_names.txt"], "", "web_names"),
        (&["--from", "squid", "--name", "orders", "squid/web_names.txt"], "", "orders"),
        (&["--from", "squid", "-"], "a.example", "imported"),
        (&["--from", "smokescreen", "smokescreen/no_default.yaml"], "", "dummy-srv"),
        // A service's name need not be an identifier.
        (&["--from", "smokescreen"], acl, "imported"),
    ];
    for (arguments, input, name) in cases {
        assert_eq!(import(arguments, input).load().name(), *name, "{arguments:?}");
    }
}

#[test]
fn a_list_cannot_write_into_the_policy_beside_its_hosts() {
    let project = "p\\\"\\n[[allow]]\\nid = \\\"x\\\"\\ndangerously_any_host = true";
    let acl = format!(
        "version: v1\n\"a\\n[[allow]]\\nid = 'y'\\ndangerously_any_host = true\": 1\nservices:\n- name: \"s\\n[[allow]]\"\n  project: \"{project}\"\n  action: enforce\n  allowed_domains: [a.example]\n"
    );
    let imported = import(&["--from", "smokescreen"], acl);
    assert_eq!(imported.left().len(), 2, "{}", imported.policy);
    assert_eq!(imported.load().rule_count(), 1, "{}", imported.policy);
    assert!(!imported.allows("https://b.example/"));
    // Quotes alone are an owner's right.
    let acl = "version: v1\nservices:\n- name: s\n  project: 'it''s \"us\" \\'\n  action: enforce\n  allowed_domains: [a.example]\n";
    let imported = import(&["--from", "smokescreen"], acl);
    assert_eq!(imported.load().rule_count(), 1);
    assert_eq!(imported.status, Some(0), "{}", imported.policy);
}

#[test]
fn long_lists_import_without_delay_and_bad_lines_are_all_told() {
    let mut list = String::new();
    for number in 0..20_000 {
        writeln!(list, "host-{number}.example{}.org", number % 100).unwrap();
    }
    let begun = Instant::now();
    let imported = import(&["--from", "squid"], &list);
    assert_eq!(imported.status, Some(0));
    assert!(imported.allows("https://host-19999.example99.org/"));
    // A multiple of what it takes; a quadratic step would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert_eq!(imported.policy.lines().filter(|line| line.starts_with("    \"")).count(), 20_000);

    let bad = import(&["--from", "squid"], list.replace(".org", ".org:443"));
    assert_eq!((bad.status, bad.left().len()), (Some(1), 20_000));
    assert_eq!(bad.load().rule_count(), 0);
}
