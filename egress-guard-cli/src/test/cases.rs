//! The file of cases: requests, and what the policy should say of each. All its faults are reported at once.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use egress_guard::{Destination, Host, InvalidDestination, Reason};
use http::Method;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::said::{Outcome, Said};
use crate::policy_args::parse_time;

/// One request, and what is expected of it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) name: Option<String>,
    /// Method and URL, as they are written.
    pub(super) request: String,
    pub(super) method: Method,
    pub(super) url: String,
    /// That a URL cannot be read can be what is expected.
    pub(super) destination: Result<Destination, InvalidDestination>,
    pub(super) resolve: Option<IpAddr>,
    pub(super) at: Option<SystemTime>,
    pub(super) expected: Said,
}

/// Reads all files, in their order, or says all that is wrong with any of them.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Case>, String> {
    let (mut cases, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| format!("{name} cannot be read: {error}"));
        match text.and_then(|text| read(&name, &text)) {
            Ok(read) => cases.extend(read),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(cases) } else { Err(faults.join("\n")) }
}

/// Reads the cases of one file, at least one.
fn read(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut reader = Reader { file, text, faults: Vec::new() };
    let cases = reader.cases();
    let mut faults = reader.faults;
    if faults.is_empty() {
        return Ok(cases);
    }
    faults.sort_by_key(|fault| fault.offset);
    let shown = |Fault { offset, problem, cure }: &Fault| {
        let (line, column) = place(text, *offset);
        format!("\n  line {line}, column {column}: {problem}: {cure}")
    };
    let (count, s) = (faults.len(), if faults.len() == 1 { "" } else { "s" });
    Err(format!("{file} cannot be used, {count} fault{s}{}", faults.iter().map(shown).collect::<String>()))
}

struct Fault {
    offset: usize,
    problem: String,
    cure: String,
}

/// Line and column of a byte, from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, last_line.chars().count() + 1)
}

const KEYS: &[&str] = &["name", "request", "requests", "resolve", "at", "expect", "rule", "reason", "policy"];

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    faults: Vec<Fault>,
}

/// What stands in one `[[case]]`.
#[derive(Default)]
struct Draft {
    name: Option<String>,
    requests: Vec<Spanned<String>>,
    resolve: Option<Spanned<IpAddr>>,
    at: Option<SystemTime>,
    outcome: Option<Outcome>,
    rule: Option<String>,
    reason: Option<Reason>,
    policy: Option<String>,
}

impl Reader<'_> {
    fn fault(&mut self, offset: usize, problem: impl Into<String>, cure: impl Into<String>) {
        self.faults.push(Fault { offset, problem: problem.into(), cure: cure.into() });
    }

    fn cases(&mut self) -> Vec<Case> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            self.fault(offset, format!("this is not TOML: {}", error.message()), "mend the syntax (https://toml.io)");
        }
        if !errors.is_empty() {
            return Vec::new();
        }
        let mut cases = Vec::new();
        for (key, value) in root.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("case", DeValue::Array(items)) => cases.extend(items.iter().flat_map(|item| self.case(item))),
                ("case", _) => {
                    self.fault(value.span().start, "`case` is not a list", "write [[case]] with two brackets");
                }
                (other, _) => self.unknown(key.span().start, other, "a file of cases", &["case"]),
            }
        }
        if cases.is_empty() && self.faults.is_empty() {
            let cure = "write one, as in [[case]] request = \"GET https://api.example.com/\", expect = \"allowed\"";
            self.fault(0, "there is no case", cure);
        }
        cases
    }

    fn case(&mut self, item: &Spanned<DeValue<'_>>) -> Vec<Case> {
        let at = item.span().start;
        let DeValue::Table(table) = item.get_ref() else {
            self.fault(at, "a case is not a table", "write [[case]] with two brackets");
            return Vec::new();
        };
        let faults = self.faults.len();
        let draft = self.draft(table);
        let key = |wanted: &str| table.keys().find(|key| key.get_ref() == wanted).map(|key| key.span().start);
        match (key("request").is_some(), key("requests").is_some()) {
            (false, false) => {
                self.fault(at, "a case has no request", "write request = \"GET https://api.example.com/\"");
            }
            (true, true) => self.fault(at, "a case has `request` and `requests`", "write all of them in `requests`"),
            _ => {}
        }
        if key("expect").is_none() {
            self.fault(at, "a case expects nothing", "write expect = \"allowed\", \"denied\" or \"reported\"");
        }
        for about_denials in ["reason", "policy"] {
            if let (Some(at), Some(Outcome::Allowed)) = (key(about_denials), draft.outcome) {
                let problem =
                    format!("a case expects \"allowed\" and states `{about_denials}`, which is about denials");
                self.fault(at, problem, "remove it, or write expect = \"denied\" or \"reported\"");
            }
        }
        let cases = self.with_requests(draft);
        // What is at fault is not tried.
        if self.faults.len() > faults { Vec::new() } else { cases }
    }

    fn draft(&mut self, table: &DeTable<'_>) -> Draft {
        let mut draft = Draft::default();
        for (key, value) in table {
            let at = value.span().start;
            match key.get_ref().as_ref() {
                "name" => draft.name = self.string("name", value),
                "request" => {
                    let request = self.string("request", value);
                    draft.requests.extend(request.map(|text| Spanned::new(value.span(), text)));
                }
                "requests" => draft.requests.extend(self.requests(value)),
                "resolve" => draft.resolve = self.resolve(value),
                "at" => draft.at = self.time(value),
                "expect" => draft.outcome = self.string("expect", value).and_then(|text| self.outcome(at, &text)),
                "rule" => draft.rule = self.string("rule", value),
                "reason" => draft.reason = self.string("reason", value).and_then(|text| self.reason(at, &text)),
                "policy" => draft.policy = self.string("policy", value),
                other => self.unknown(key.span().start, other, "[[case]]", KEYS),
            }
        }
        draft
    }

    fn with_requests(&mut self, draft: Draft) -> Vec<Case> {
        let Draft { name, requests, resolve, at, outcome, rule, reason, policy } = draft;
        let expected = outcome.map(|outcome| Said { outcome, rule, reason, policy });
        let mut cases = Vec::new();
        for request in &requests {
            let offset = request.span().start;
            let text = request.get_ref().as_str();
            let Some((method, url)) = self.request(offset, text) else { continue };
            let destination: Result<Destination, _> = url.parse();
            if let Err(error) = &destination {
                self.unreadable(offset, error, expected.as_ref());
            }
            if let (Some(address), Ok(Host::Ip(ip))) = (&resolve, destination.as_ref().map(Destination::host)) {
                let problem = format!("`resolve` says what a name resolves to, and a URL has the address {ip}");
                self.fault(address.span().start, problem, "remove it, or give the request a case of its own");
            }
            cases.extend(expected.clone().map(|expected| Case {
                file: self.file.to_owned(),
                line: place(self.text, offset).0,
                name: name.clone(),
                request: text.to_owned(),
                method,
                url: url.to_owned(),
                destination,
                resolve: resolve.as_ref().map(|address| *address.get_ref()),
                at,
                expected,
            }));
        }
        cases
    }

    /// A slip in a URL must not pass for a denial.
    fn unreadable(&mut self, offset: usize, error: &InvalidDestination, expected: Option<&Said>) {
        let reason = Reason::from(error);
        if !expected.is_some_and(|said| said.outcome == Outcome::Denied && said.reason == Some(reason)) {
            let cure = format!("mend the URL, or state expect = \"denied\" and reason = \"{reason}\" if that is meant");
            self.fault(offset, format!("{error}, so no policy is asked"), cure);
        }
    }

    fn request<'r>(&mut self, offset: usize, text: &'r str) -> Option<(Method, &'r str)> {
        let Some((method, url)) = text.trim().split_once(char::is_whitespace) else {
            let cure = "write method and URL, as in \"GET https://api.example.com/\"";
            self.fault(offset, format!("request {text:?} is not a method and a URL"), cure);
            return None;
        };
        let read = Method::from_bytes(method.as_bytes());
        if read.is_err() {
            self.fault(
                offset,
                format!("{method:?} is no HTTP method"),
                "write a method such as \"POST\" before the URL",
            );
        }
        Some((read.ok()?, url.trim_start()))
    }

    fn requests(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Spanned<String>> {
        let cure = "write requests = [\"GET https://api.example.com/\"]";
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(value.span().start, "`requests` is not a list", cure);
            return Vec::new();
        };
        if items.is_empty() {
            self.fault(value.span().start, "`requests` is empty", cure);
        }
        let text = |item: &Spanned<DeValue<'_>>| Some(Spanned::new(item.span(), self.string("requests", item)?));
        items.iter().filter_map(text).collect()
    }

    fn string(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text.to_string());
        }
        self.fault(value.span().start, format!("`{key}` is not text"), "write it in quotes");
        None
    }

    fn resolve(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Spanned<IpAddr>> {
        let text = self.string("resolve", value)?;
        let address = text.parse();
        if address.is_err() {
            let cure = "write the address alone, as in resolve = \"203.0.114.7\"";
            self.fault(value.span().start, format!("{text:?} is no IP address"), cure);
        }
        Some(Spanned::new(value.span(), address.ok()?))
    }

    fn time(&mut self, value: &Spanned<DeValue<'_>>) -> Option<SystemTime> {
        let text = match value.get_ref() {
            DeValue::Datetime(time) => time.to_string(),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        parse_time(&text).map_err(|cure| self.fault(value.span().start, "`at` is no day and no time", cure)).ok()
    }

    fn outcome(&mut self, offset: usize, text: &str) -> Option<Outcome> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
        if outcome.is_none() {
            let cure = "write \"allowed\", \"denied\", or \"reported\" for what would be denied if it were enforced";
            self.fault(offset, format!("{text:?} is nothing that can be expected"), cure);
        }
        outcome
    }

    fn reason(&mut self, offset: usize, text: &str) -> Option<Reason> {
        let reason = Reason::ALL.iter().find(|reason| reason.as_str() == text).copied();
        if reason.is_none() {
            let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            let cure = similar(text, &codes)
                .map_or_else(|| "write a code of docs/audit.md".to_owned(), |code| format!("write \"{code}\""));
            self.fault(offset, format!("{text:?} is no reason"), cure);
        }
        reason
    }

    fn unknown(&mut self, offset: usize, key: &str, table: &str, known: &[&str]) {
        let cure = similar(key, known).map_or_else(
            || format!("remove it; the keys are {}", known.join(", ")),
            |known| format!("write `{known}`"),
        );
        self.fault(offset, format!("`{}` is no key of {table}", key.escape_debug()), cure);
    }
}

fn similar<'k>(text: &str, known: &[&'k str]) -> Option<&'k str> {
    let rated = known.iter().map(|known| (strsim::jaro_winkler(text, known), *known));
    let near = rated.filter(|(similarity, _)| *similarity > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map(|(_, known)| known)
}
