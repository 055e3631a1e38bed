//! `egress-guard report --format html`: the same figures, and nothing that a log brings in is more than text.
//!
//! `EGRESS_GUARD_PICTURE=docs/report.png cargo test -p egress-guard-cli --test report_page` makes the picture anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod browser;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use browser::Browser;
use scraper::{Html, Selector};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sample() -> PathBuf {
    root().join("docs/report.in/sample.log.gz")
}

fn report(log: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_egress-guard")).arg("report").args(arguments).arg(log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What somebody might put into a log to take over who reads it.
const HOSTILE: &[&str] = &[
    "<script>document.documentElement.dataset.taken=1</script>",
    "\"onload=\"document.documentElement.dataset.taken=1",
    "'><img src=x onerror=document.documentElement.dataset.taken=1>",
    "</style><style>@import url(http://evil.example/)</style>",
    "</title><svg onload=document.documentElement.dataset.taken=1>",
    "javascript:document.documentElement.dataset.taken=1",
    "{{ 7 * 7 }}&lt;b&gt;",
    "safe\u{202e}elpmaxe.live\u{2066}\u{200b}\u{1b}[2J\u{7}",
];

/// A log in which every text is hostile.
fn hostile_log(folder: &Path) -> PathBuf {
    let long = "a".repeat(5_000);
    let mut lines = Vec::new();
    for number in 0..100_usize {
        let text = HOSTILE[number % HOSTILE.len()];
        for (event, action) in
            [("egress_decision", "denied"), ("egress_decision", "allowed"), ("egress_outcome", "allowed")]
        {
            let host = if number == 99 { long.clone() } else { format!("{text}{}", number % 30) };
            lines.push(json!({
                "timestamp": format!("2026-11-23T{:02}:00:00.000Z", number % 24),
                "level": "WARN", "message": text, "event_type": event, "schema": "egress-guard/1",
                "environment_id": number, "seq": lines.len(), "policy_id": text, "mode": text,
                "policy_sha256": text, "action": action, "reason": text, "rule_id": text, "stage": "request",
                "function_name": format!("{text}{number}"), "host": host, "port": 443, "boundary": text,
                "would_deny": number % 2 == 0, "outcome": text, "status": 200, "bytes_sent": 7, "bytes_received": 9,
                "duration_ms": 1.5, "exchange_id": number,
            }));
        }
    }
    let path = folder.join("hostile.log");
    fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    path
}

fn texts(page: &Html, selector: &str) -> Vec<String> {
    let clean = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    page.select(&Selector::parse(selector).unwrap()).map(|element| clean(element.text().collect())).collect()
}

#[test]
fn the_page_is_well_formed_and_says_what_the_json_says() {
    let page = Html::parse_document(&report(&sample(), &["--format", "html"]));
    assert_eq!(page.errors, Vec::<String>::new());
    let report: Value = serde_json::from_str(&report(&sample(), &["--format", "json"])).unwrap();
    let totals = &report["totals"];
    assert_eq!(texts(&page, ".figures .number"), [totals["denied"].to_string(), totals["would_deny"].to_string()]);
    for (id, table) in [("denials", "denials"), ("would-deny", "would_deny")] {
        for (number, row) in report[table]["rows"].as_array().unwrap().iter().enumerate() {
            let cells = texts(&page, &format!("#{id}-{} > *", number + 1));
            assert_eq!(cells[0], row["function"].as_str().unwrap());
            assert!(cells[1].contains(row["host"].as_str().unwrap()), "{cells:?}");
            assert_eq!(
                (&cells[2], &cells[5]),
                (&row["reason"].as_str().unwrap().to_owned(), &row["count"].to_string())
            );
        }
    }
    for (id, table) in
        [("functions", "functions"), ("rules", "rules"), ("outcomes", "outcomes"), ("policies", "policies")]
    {
        let rows = report[table]["rows"].as_array().unwrap().len();
        assert_eq!(texts(&page, &format!("tr[id^={id}-]")).len(), rows, "{table}");
    }
    let bars = texts(&page, "details tbody").remove(0);
    assert_eq!(bars.matches("Nov 2026").count(), report["timeline"]["buckets"].as_array().unwrap().len());
}

#[test]
fn rows_that_are_not_shown_are_counted() {
    let page = Html::parse_document(&report(&sample(), &["--format", "html", "--top", "3"]));
    assert_eq!(texts(&page, "tr[id^=denials-]").len(), 3);
    let whole: Value = serde_json::from_str(&report(&sample(), &["--format", "json", "--top", "3"])).unwrap();
    let others = &whole["denials"]["others"];
    let foot = texts(&page, "section[aria-labelledby=denials] tfoot tr");
    assert_eq!(foot.len(), 1);
    let of = format!("{} others{}", others["rows"], others["count"]);
    assert!(foot[0].replace(' ', "").starts_with(&of.replace(' ', "")), "{foot:?}");
}

#[test]
fn nothing_in_a_log_becomes_markup_or_hides() {
    let folder = tempfile::tempdir().unwrap();
    let text = report(&hostile_log(folder.path()), &["--format", "html"]);
    assert!(text.len() < 1_000_000, "{}", text.len());
    let page = Html::parse_document(&text);
    assert_eq!(page.errors, Vec::<String>::new());
    assert!(texts(&page, ".figures .number").iter().all(|number| number != "0"), "its lines are read");
    for forbidden in
        ["script", "img", "link", "iframe", "object", "base", "form", "[onload]", "[onerror]", "[style]", "[src]"]
    {
        assert!(texts(&page, forbidden).is_empty(), "{forbidden}");
    }
    assert_eq!(texts(&page, "style").len(), 1);
    for link in page.select(&Selector::parse("a").unwrap()) {
        let href = link.value().attr("href").unwrap();
        assert!(
            href.strip_prefix('#').is_some_and(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')),
            "{href}"
        );
    }
    let hidden = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(|c| hidden(*c)), None);
    // As text, it is all there.
    let shown = texts(&page, "body").join("");
    for text in ["<script>document", "\"onload=\"", "</style><style>", "{{ 7 * 7 }}&lt;b&gt;", "safe\\u{202e}elpmaxe"] {
        assert!(shown.contains(text), "{text}");
    }
}

#[test]
fn a_browser_runs_nothing_asks_for_nothing_and_shows_all_of_it() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.log");
    fs::write(&empty, "").unwrap();
    for (name, log) in [("sample", sample()), ("hostile", hostile_log(folder.path())), ("empty", empty)] {
        let file = folder.path().join(format!("{name}.html"));
        fs::write(&file, report(&log, &["--format", "html"])).unwrap();
        for (width, scheme) in [(360, "light"), (360, "dark"), (768, "light"), (1440, "light"), (1440, "dark")] {
            browser.size(width, 900, scheme);
            browser.open(&file);
            assert_eq!(browser.requests(), Vec::<String>::new(), "{name}");
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{name}");
            assert_eq!(browser.evaluate("document.documentElement.dataset.taken ?? null"), Value::Null, "{name}");
            let across = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(across <= u64::from(width), "{name} is {across} wide at {width}");
            let back = browser.evaluate("getComputedStyle(document.body).backgroundColor");
            assert_eq!(back, if scheme == "dark" { "rgb(19, 20, 23)" } else { "rgb(246, 246, 244)" }, "{name}");
            assert!(
                browser.evaluate("document.querySelector('.figure .number').getBoundingClientRect().bottom < 400")
                    == true
            );
        }
    }
    if let Some(path) = std::env::var_os("EGRESS_GUARD_PICTURE") {
        browser.size(1200, 1470, "light");
        browser.open(&folder.path().join("sample.html"));
        fs::write(root().join(path), BASE64_STANDARD.decode(browser.picture()).unwrap()).unwrap();
    }
}

#[test]
fn an_accessibility_checker_has_nothing_to_say() {
    let checker = root().join("target/browser/node_modules/axe-core/axe.min.js");
    let Ok(checker) = fs::read_to_string(&checker) else {
        assert!(egress_guard_tests::may_skip(), "axe-core is not at {}: run `.ci/browser`", checker.display());
        eprintln!("skipped: axe-core is not installed; `.ci/browser` does it");
        return;
    };
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, report(&sample(), &["--format", "html"])).unwrap();
    for (width, scheme) in [(360, "light"), (1440, "light"), (1440, "dark")] {
        browser.size(width, 900, scheme);
        browser.open(&file);
        browser.evaluate(&format!("{checker};0"));
        let found = browser.evaluate(
            "axe.run(document).then(r => [r.passes.length, r.violations.map(v => v.id + ' ' + v.nodes.slice(0, 3).map(n => n.html + n.failureSummary))])",
        );
        assert!(found[0].as_u64().unwrap() > 10, "{found}");
        assert_eq!(found[1], json!([]), "{width} {scheme}");
    }
}

/// Otherwise the tests above could not fail.
#[test]
fn without_its_policy_and_its_escapes_the_browser_would_be_seen_to_act() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let page = report(&sample(), &["--format", "html"]);
    let attack = format!("{}<img src=http://127.0.0.1:1/><p style='width: 3000px'>wide</p></body>", HOSTILE[0]);
    let attacked = page.replace("</body>", &attack);

    fs::write(&file, attacked.replace("Content-Security-Policy", "x")).unwrap();
    browser.size(360, 900, "light");
    browser.open(&file);
    assert_eq!(browser.evaluate("document.documentElement.dataset.taken"), "1");
    assert_eq!(browser.requests(), ["http://127.0.0.1:1/"]);
    assert!(browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap() > 3000);

    // With the policy, even markup that had slipped through would do nothing.
    fs::write(&file, attacked).unwrap();
    browser.open(&file);
    assert_eq!(browser.evaluate("document.documentElement.dataset.taken ?? null"), Value::Null);
    assert!(!browser.complaints().is_empty());
    assert!(browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap() <= 360);
}
