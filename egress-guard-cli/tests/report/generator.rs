//! Logs of functions that never were, as the guard would have written them: always the same for the same seed.

use std::io::{self, Write};

use fastrand::Rng;
use jiff::Timestamp;
use serde::Serialize;

/// What is to be generated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    /// At least so many audit lines; the last invocation comes to its end.
    pub lines: u64,
    /// The first day, and how many.
    pub from: Timestamp,
    pub days: u32,
    /// Further functions beside the three that have a character.
    pub workers: u32,
    /// Whether there is what no good log has: lines that are torn, lost, or not the library's.
    pub is_damaged: bool,
}

impl Plan {
    /// The log that is kept in the repository.
    pub fn sample() -> Self {
        let from = Timestamp::from_second(1_795_392_000).unwrap();
        Self { seed: 1, lines: 3000, from, days: 1, workers: 0, is_damaged: true }
    }
}

/// Writes the log; how many audit lines it has.
pub fn generate(plan: &Plan, output: &mut impl Write) -> io::Result<u64> {
    let mut log = Log::new(plan, output);
    let milliseconds = i64::from(plan.days) * 86_400_000;
    while log.written < plan.lines {
        // As far into the time as into the lines, so that both end together.
        let due = i128::from(milliseconds) * i128::from(log.written) / i128::from(plan.lines);
        log.now = log.now.max(plan.from.as_millisecond() + due as i64);
        log.invocation()?;
    }
    Ok(log.written)
}

struct Host {
    name: &'static str,
    rule: &'static str,
    boundary: &'static str,
    peer: &'static str,
    paths: &'static [&'static str],
}

const HOSTS: &[Host] = &[
    Host {
        name: "api.payments.example",
        rule: "payments-api",
        boundary: "external",
        peer: "203.0.113.10",
        paths: &["/v1/charges", "/v1/refunds", "/v1/customers/8841"],
    },
    Host {
        name: "ledger.corp.example.com",
        rule: "ledger",
        boundary: "internal",
        peer: "10.20.0.14",
        paths: &["/entries", "/accounts/17/balance"],
    },
    Host {
        name: "events.eu-west-1.amazonaws.com",
        rule: "aws",
        boundary: "external",
        peer: "198.51.100.61",
        paths: &["/"],
    },
    Host {
        name: "reports-archive.s3.eu-west-1.amazonaws.com",
        rule: "archive",
        boundary: "external",
        peer: "198.51.100.80",
        paths: &["/2026/11/summary.parquet", "/2026/11/%C3%BCbersicht.csv"],
    },
    Host {
        name: "images.cdn.example",
        rule: "images",
        boundary: "external",
        peer: "2001:db8:40::7",
        paths: &["/thumb/small.png", "/thumb/large.png"],
    },
    Host { name: "rates.fx.example", rule: "rates", boundary: "external", peer: "203.0.113.77", paths: &["/latest"] },
];

const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT"];

struct Function {
    name: String,
    policy: &'static str,
    mode: &'static str,
    client: &'static str,
    hosts: &'static [usize],
    environments: Vec<Environment>,
}

struct Environment {
    id: u64,
    seq: u64,
    exchange: u64,
    invocations: u64,
    connected: Vec<&'static str>,
    sha256: &'static str,
    is_quarantined: bool,
}

const ORDERS: &str = "3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b";
const ORDERS_NEW: &str = "9b74c9897bac770ffc029102a200c5de5f6b5a1e3b6e0d8f3d4c1a2b9e8f7a60";
const REPORTS: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
const BROKEN: &str = "00000000c0ffee00000000000000000000000000000000000000000000000bad";

/// A line, in the order of the library's keys.
#[derive(Default, Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'static str,
    message: String,
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    event_type: &'static str,
    schema: &'static str,
    environment_id: u64,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exchange_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny: Option<bool>,
    policy_id: &'static str,
    policy_sha256: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_policy_sha256: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_policy_sha256: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_source: Option<&'static str>,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_only_until: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapters: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspicious_environment: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    boundary: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_ip: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hop: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    denied_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xray_trace_id: Option<&'a str>,
    context_source: &'static str,
}

/// An invocation's account.
#[derive(Default)]
struct Account {
    allowed: u64,
    would_deny: u64,
    denied: u64,
    hosts: Vec<String>,
    sent: u64,
    received: u64,
    milliseconds: f64,
}

struct Log<'a, W> {
    plan: &'a Plan,
    output: &'a mut W,
    random: Rng,
    functions: Vec<Function>,
    /// Milliseconds since 1970.
    now: i64,
    written: u64,
    line: Vec<u8>,
    request_id: String,
    arn: String,
    trace: String,
    at: usize,
    environment: usize,
    /// Of the next decisions.
    context: &'static str,
    was_rejected: bool,
}

impl<'a, W: Write> Log<'a, W> {
    fn new(plan: &'a Plan, output: &'a mut W) -> Self {
        let function = |name: &str, policy, mode, client, hosts| Function {
            name: name.to_owned(),
            policy,
            mode,
            client,
            hosts,
            environments: Vec::new(),
        };
        let mut functions = vec![
            function("orders", "orders", "enforce", "reqwest", &[0, 1, 2, 5]),
            function("reports", "reports", "report-only", "aws_sdk", &[2, 3, 5]),
            function("thumbnails", "orders", "enforce", "hyper", &[3, 4]),
        ];
        let hosts: [&[usize]; 4] = [&[0, 2], &[1, 3, 5], &[2], &[4, 3]];
        for worker in 0..plan.workers {
            let hosts = hosts[worker as usize % hosts.len()];
            functions.push(function(&format!("worker-{worker:03}"), "orders", "enforce", "reqwest", hosts));
        }
        let random = Rng::with_seed(plan.seed);
        let (request_id, arn, trace) = (String::new(), String::new(), String::new());
        let now = plan.from.as_millisecond();
        Self {
            plan,
            output,
            random,
            functions,
            now,
            written: 0,
            line: Vec::new(),
            request_id,
            arn,
            trace,
            at: 0,
            environment: 0,
            context: "task",
            was_rejected: false,
        }
    }

    /// How much of the time is over, from 0 to 1.
    fn progress(&self) -> f64 {
        (self.now - self.plan.from.as_millisecond()) as f64 / (f64::from(self.plan.days) * 86_400_000.0)
    }

    fn invocation(&mut self) -> io::Result<()> {
        // Half of what happens is of the first three.
        self.at = if self.random.bool() { self.random.usize(..3) } else { self.random.usize(..self.functions.len()) };
        self.choose_environment()?;
        self.begin()?;
        let mut account = Account::default();
        let is_attacked = self.at == 2 && (0.58..0.62).contains(&self.progress());
        let requests = if is_attacked { 6 } else { self.random.u32(1..5) };
        for _ in 0..requests {
            self.tick(1, 40);
            match self.random.u32(..1000) {
                _ if self.functions[self.at].environments[self.environment].is_quarantined => {
                    self.quarantined(&mut account)?;
                }
                _ if is_attacked => self.attack(&mut account)?,
                0..4 => self.denied(&mut account, "api.payments.example", Some("/admin"), "path-not-allowed", None)?,
                4..8 => self.denied(
                    &mut account,
                    "legacy.payments.example",
                    Some("/"),
                    "denied-by-rule",
                    Some("no-legacy"),
                )?,
                8..10 => self.denied(&mut account, "2001:db8::53", Some("/"), "ip-literal-not-allowed", None)?,
                10..13 => self.name_denied(&mut account)?,
                13..60 if self.functions[self.at].mode == "report-only" => self.reported(&mut account)?,
                _ => self.allowed(&mut account)?,
            }
        }
        self.end(&account)
    }

    fn choose_environment(&mut self) -> io::Result<()> {
        let is_changed = self.progress() >= 0.5;
        let function = &mut self.functions[self.at];
        // Environments live for so many invocations, and there are two of each function at a time.
        function.environments.retain(|environment| environment.invocations < 40);
        if function.environments.len() < 2 {
            let sha256 = if function.policy == "orders" { ORDERS } else { REPORTS };
            let id = self.random.u64(1..1 << 53);
            let (seq, exchange, invocations, connected) = (0, 0, 0, Vec::new());
            function.environments.push(Environment {
                id,
                seq,
                exchange,
                invocations,
                connected,
                sha256,
                is_quarantined: false,
            });
            self.environment = function.environments.len() - 1;
            let is_suspicious = self.random.u32(..6) == 0;
            self.posture(None, None, is_suspicious)?;
            // Some ask before any invocation.
            if self.random.u32(..3) == 0 {
                self.context = "none";
                self.allowed(&mut Account::default())?;
                self.context = "task";
            }
        } else {
            self.environment = self.random.usize(..function.environments.len());
        }
        let (at, number) = (self.at, self.environment);
        let environment = &mut self.functions[at].environments[number];
        environment.invocations += 1;
        if is_changed && environment.sha256 == ORDERS {
            environment.sha256 = ORDERS_NEW;
            self.posture(Some(ORDERS), None, false)?;
        }
        if !self.was_rejected && self.progress() > 0.66 && self.at == 1 {
            self.was_rejected = true;
            self.posture(None, Some(BROKEN), false)?;
        }
        Ok(())
    }

    fn posture(
        &mut self,
        previous: Option<&'static str>,
        rejected: Option<&'static str>,
        is_suspicious: bool,
    ) -> io::Result<()> {
        let function = &self.functions[self.at];
        let (policy, is_reporting) = (function.policy, function.mode == "report-only");
        let rules = if is_reporting { 4 } else { 6 };
        let message = match rejected {
            Some(_) => format!("egress policy `{policy}` stays in force: the new one cannot be used"),
            None if is_reporting => format!("egress policy `{policy}` only reports until 2027-03-31: {rules} rules"),
            None => format!("egress policy `{policy}` in force: {rules} rules, all else denied"),
        };
        self.write(Line {
            level: if is_suspicious || rejected.is_some() { "WARN" } else { "INFO" },
            message,
            event_type: "egress_posture",
            previous_policy_sha256: previous,
            rejected_policy_sha256: rejected,
            policy_source: Some("file /opt/egress-guard/policy.toml"),
            report_only_until: is_reporting.then_some("2027-03-31"),
            rule_count: Some(rules),
            adapters: Some("tower,aws-sdk,hyper-util,lambda,reqwest"),
            suspicious_environment: is_suspicious.then_some("HTTPS_PROXY,SSL_CERT_FILE"),
            context_source: "none",
            ..Line::default()
        })
    }

    fn begin(&mut self) -> io::Result<()> {
        let name = &self.functions[self.at].name;
        let id = self.random.u128(..);
        let hex = format!("{id:032x}");
        self.request_id = format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
        self.arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}");
        self.trace = format!("Root=1-{:08x}-{};Parent={};Sampled=1", self.now / 1000, &hex[..24], &hex[16..]);
        writeln!(self.output, "START RequestId: {} Version: 7", self.request_id)
    }

    fn end(&mut self, account: &Account) -> io::Result<()> {
        self.tick(1, 5);
        if self.random.u32(..10) == 0 {
            let own = serde_json::json!({ "level": "INFO", "message": "order stored", "requestId": self.request_id });
            writeln!(self.output, "{own}")?;
        }
        // Some end at the deadline.
        if self.random.u32(..200) > 0 {
            let (allowed, denied, count) = (account.allowed, account.denied, account.hosts.len() as u64);
            self.write(Line {
                level: if account.would_deny + denied > 0 { "WARN" } else { "INFO" },
                message: format!(
                    "egress of the invocation: {allowed} requests to {count} destinations, {denied} denied"
                ),
                event_type: "egress_summary",
                allowed_count: Some(allowed),
                would_deny_count: Some(account.would_deny),
                denied_count: Some(denied),
                destination_count: Some(count),
                bytes_sent: Some(account.sent),
                bytes_received: Some(account.received),
                duration_ms: Some(account.milliseconds),
                context_source: "task",
                ..Line::default()
            })?;
        }
        writeln!(self.output, "END RequestId: {}", self.request_id)
    }

    fn allowed(&mut self, account: &mut Account) -> io::Result<()> {
        let hosts = self.functions[self.at].hosts;
        let is_late = self.progress() > 0.84;
        // One destination comes up late.
        let host = match *self.random.choice(hosts).unwrap() {
            5 if !is_late => &HOSTS[2],
            host => &HOSTS[host],
        };
        let method = *self.random.choice(METHODS).unwrap();
        let path = *self.random.choice(host.paths).unwrap();
        let environment = &mut self.functions[self.at].environments[self.environment];
        environment.exchange += 1;
        let exchange = Some(environment.exchange);
        let is_connected = environment.connected.contains(&host.name);
        if !is_connected {
            environment.connected.push(host.name);
        }
        let context_source = self.context;
        let request = |message: String, event_type| Line {
            level: "INFO",
            message,
            event_type,
            action: Some("allowed"),
            rule_id: Some(host.rule),
            boundary: Some(host.boundary),
            scheme: Some("https"),
            host: Some(host.name),
            port: Some(443),
            context_source,
            ..Line::default()
        };
        let whole = |message, event_type, stage| Line {
            exchange_id: exchange,
            stage: Some(stage),
            method: Some(method),
            path: Some(path),
            hop: Some(0),
            ..request(message, event_type)
        };
        let url = format!("{method} https://{}{path}", host.name);
        self.write(whole(format!("egress allowed by rule `{}`: {url}", host.rule), "egress_decision", "request"))?;
        account.allowed += 1;
        let destination = format!("{}:443", host.name);
        if !account.hosts.contains(&destination) {
            account.hosts.push(destination);
        }
        if !is_connected {
            self.tick(1, 20);
            let local_port = Some(self.random.u16(32768..60999));
            let message = format!("egress allowed by rule `{}`: connection to {}:443", host.rule, host.name);
            let connection = request(message, "egress_decision");
            self.write(Line {
                stage: Some("connection"),
                peer_ip: Some(host.peer),
                peer_port: Some(443),
                local_port,
                ..connection
            })?;
        }
        let (outcome, status) = match self.random.u32(..100) {
            0 => ("failed", None),
            1 => ("cancelled", None),
            2 => ("aborted", Some(200)),
            3 => ("redirected", Some(307)),
            4..6 => ("complete", Some(503)),
            6..9 => ("complete", Some(404)),
            _ => ("complete", Some(200)),
        };
        let sent = status.map(|_| if method == "GET" { 0 } else { self.random.u64(20..4000) });
        let received = status.map(|_| self.random.u64(2..60_000));
        let milliseconds = self.random.u32(800..250_000);
        self.now += i64::from(milliseconds / 1000);
        let duration = f64::from(milliseconds) / 1000.0;
        account.sent += sent.unwrap_or_default();
        account.received += received.unwrap_or_default();
        account.milliseconds += duration;
        let ended = whole(format!("egress ended, {outcome}: {url}"), "egress_outcome", "request");
        self.write(Line {
            outcome: Some(outcome),
            status,
            bytes_sent: sent,
            bytes_received: received,
            duration_ms: Some(duration),
            peer_ip: Some(host.peer),
            ..ended
        })?;
        if outcome == "redirected" {
            account.allowed += 1;
            let message = format!("egress allowed by rule `{}`: redirect to https://{}/moved", host.rule, host.name);
            let redirect = request(message, "egress_decision");
            self.write(Line { stage: Some("redirect"), path: Some("/moved"), hop: Some(1), ..redirect })?;
        }
        Ok(())
    }

    fn denied(
        &mut self,
        account: &mut Account,
        host: &str,
        path: Option<&'static str>,
        reason: &'static str,
        rule: Option<&'static str>,
    ) -> io::Result<()> {
        // What the policy that only reports would deny, it lets through.
        if self.functions[self.at].mode == "report-only" && reason != "quarantined" {
            return self.allowed(account);
        }
        account.denied += 1;
        self.write(Line {
            level: "WARN",
            message: format!("egress to https://{host} denied: {reason}"),
            event_type: "egress_decision",
            action: Some("denied"),
            reason: Some(reason),
            rule_id: rule,
            boundary: Some("external"),
            stage: Some("request"),
            method: Some("GET"),
            scheme: Some("https"),
            host: Some(host),
            port: Some(443),
            path,
            hop: Some(0),
            context_source: "task",
            ..Line::default()
        })
    }

    /// Ever new hosts, as malware tries them; after a while the guard is in quarantine.
    fn attack(&mut self, account: &mut Account) -> io::Result<()> {
        let host = format!("x{:08x}.exfil.example", self.random.u32(..));
        self.denied(account, &host, Some("/"), "host-not-allowed", None)?;
        let is_enough = self.random.u32(..40) == 0;
        self.functions[self.at].environments[self.environment].is_quarantined |= is_enough;
        Ok(())
    }

    fn quarantined(&mut self, account: &mut Account) -> io::Result<()> {
        self.denied(account, "images.cdn.example", Some("/thumb/small.png"), "quarantined", None)
    }

    fn name_denied(&mut self, account: &mut Account) -> io::Result<()> {
        account.denied += 1;
        self.write(Line {
            level: "WARN",
            message: "egress to rates.fx.example (169.254.169.254) denied: address-not-allowed".to_owned(),
            event_type: "egress_decision",
            action: Some("denied"),
            reason: Some("address-not-allowed"),
            rule_id: Some("rates"),
            boundary: Some("external"),
            stage: Some("name"),
            host: Some("rates.fx.example"),
            peer_ip: Some("169.254.169.254"),
            context_source: "task",
            ..Line::default()
        })
    }

    fn reported(&mut self, account: &mut Account) -> io::Result<()> {
        account.allowed += 1;
        account.would_deny += 1;
        let host = self.random.choice(["telemetry.vendor.example", "pypi.mirror.example"]).unwrap();
        let environment = &mut self.functions[self.at].environments[self.environment];
        environment.exchange += 1;
        let exchange_id = Some(environment.exchange);
        let line = |message: String, event_type| Line {
            level: "WARN",
            message,
            event_type,
            exchange_id,
            action: Some("allowed"),
            would_deny: Some(true),
            boundary: Some("external"),
            stage: Some("request"),
            method: Some("POST"),
            scheme: Some("https"),
            host: Some(host),
            port: Some(8443),
            path: Some("/ingest"),
            hop: Some(0),
            context_source: "task",
            ..Line::default()
        };
        let message = format!("report-only, sent all the same: egress to https://{host}:8443 denied: host-not-allowed");
        self.write(Line { reason: Some("host-not-allowed"), ..line(message, "egress_decision") })?;
        self.tick(1, 60);
        account.sent += 512;
        let ended = line(format!("egress ended, complete: POST https://{host}:8443/ingest"), "egress_outcome");
        self.write(Line {
            level: "INFO",
            outcome: Some("complete"),
            status: Some(202),
            bytes_sent: Some(512),
            bytes_received: Some(0),
            duration_ms: Some(40.125),
            ..ended
        })
    }

    fn tick(&mut self, from: i64, to: i64) {
        self.now += self.random.i64(from..=to);
    }

    fn write(&mut self, line: Line<'_>) -> io::Result<()> {
        let timestamp = format!("{:.3}", Timestamp::from_millisecond(self.now).unwrap());
        let function = &mut self.functions[self.at];
        let environment = &mut function.environments[self.environment];
        environment.seq += 1;
        let in_invocation = line.context_source == "task";
        let is_decided = matches!(line.event_type, "egress_decision" | "egress_outcome");
        let line = Line {
            timestamp: &timestamp,
            request_id: in_invocation.then_some(&*self.request_id),
            schema: "egress-guard/1",
            environment_id: environment.id,
            seq: environment.seq,
            policy_id: function.policy,
            policy_sha256: environment.sha256,
            mode: function.mode,
            quarantined: environment.is_quarantined.then_some(true),
            client: is_decided.then_some(function.client),
            function_name: in_invocation.then_some(&*function.name),
            function_version: in_invocation.then_some("7"),
            function_arn: in_invocation.then_some(&*self.arn),
            xray_trace_id: in_invocation.then_some(&*self.trace),
            ..line
        };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &line)?;
        self.line.push(b'\n');
        self.written += 1;
        match self.random.u32(..700) {
            // Lost on its way.
            0 if self.plan.is_damaged => {}
            // Torn: another process wrote in between.
            1 if self.plan.is_damaged => {
                self.output.write_all(&self.line[..self.line.len() / 2])?;
                self.output.write_all(b"\n")?;
            }
            2 if self.plan.is_damaged => {
                self.output.write_all(b"thread 'main' panicked: \x1b[31m\"egress_\" is no audit line {\n")?;
                self.output.write_all(&self.line)?;
            }
            _ => self.output.write_all(&self.line)?,
        }
        Ok(())
    }
}
