//! The servers, the invocations, and what is compared at the end.

use std::time::Duration;

use egress_guard_tests::{Answer, Function, Proxy, RuntimeApi, Seen, Server};
use serde_json::{Value, json};

/// The partner, and everything that the function must not reach. Loopback addresses play the forbidden places, so that
/// a bug, or the deliberately broken policy, sends nothing to a real one.
pub(crate) struct World {
    partner: Server,
    /// A host that no rule lists.
    stranger: Server,
    /// Plays the cloud's metadata service.
    metadata: Server,
    /// Plays an internal address that an allowed name resolves to.
    internal: Server,
    proxy: Proxy,
}

impl World {
    /// The names of the demonstration, in place of DNS.
    pub(crate) const NAMES: &str = "partner.test=127.0.0.1,stranger.test=127.0.0.2,mirror.test=127.0.0.4";

    pub(crate) async fn start() -> Self {
        Self {
            partner: Server::http("partner", "127.0.0.1").await,
            stranger: Server::http("stranger", "127.0.0.2").await,
            metadata: Server::http("metadata", "127.0.0.3").await,
            internal: Server::http("internal", "127.0.0.4").await,
            proxy: Proxy::listen("127.0.0.5").await,
        }
    }

    pub(crate) fn proxy_url(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    fn servers(&self) -> [&Server; 4] {
        [&self.partner, &self.stranger, &self.metadata, &self.internal]
    }

    fn partner_host(&self) -> String {
        format!("partner.test:{}", self.partner.port())
    }

    /// How many requests each server has seen, the proxy last.
    fn counts(&self) -> [usize; 5] {
        let [partner, stranger, metadata, internal] = self.servers().map(|server| server.seen().len());
        [partner, stranger, metadata, internal, self.proxy.seen().len()]
    }
}

/// One invocation: what the order says, and what must come of it.
pub(crate) struct Scenario {
    asked: &'static str,
    order: Value,
    expected: Expected,
}

enum Expected {
    Allowed,
    Denied(&'static str),
}

/// One row of the table.
pub(crate) struct Report {
    pub(crate) asked: String,
    pub(crate) decided: String,
    pub(crate) seen: String,
    pub(crate) faults: Vec<String>,
}

pub(crate) fn scenarios(world: &World) -> Vec<Scenario> {
    use Expected::{Allowed, Denied};
    let host = world.partner_host();
    let order = |path: &str| json!({ "id": "order", "url": format!("http://{host}{path}") });
    let with = |mut order: Value, key: &str, value: Value| {
        order[key] = value;
        order
    };
    let metadata = format!("http://{}/latest/meta-data/iam/", world.metadata.address());
    let stranger = format!("http://stranger.test:{}/orders/1", world.stranger.port());
    let mirror = format!("http://mirror.test:{}/orders/1", world.internal.port());
    let scenario = |asked, order, expected| Scenario { asked, order, expected };
    vec![
        scenario("an allowed call", order("/orders/1"), Allowed),
        scenario("a host that is not listed", with(order(""), "url", stranger.into()), Denied("host-not-allowed")),
        scenario(
            "a redirect to the metadata service",
            order(&format!("/redirect/307?{metadata}")),
            Denied("ip-literal-not-allowed"),
        ),
        scenario(
            "an allowed name at a forbidden address",
            with(order(""), "url", mirror.into()),
            Denied("address-not-allowed"),
        ),
        scenario(
            "a method that the rule does not allow",
            with(order("/orders/1"), "method", "DELETE".into()),
            Denied("method-not-allowed"),
        ),
        scenario("a path that a deny rule names", order("/orders/export/all"), Denied("denied-by-rule")),
        scenario(
            "a foreign Host header",
            with(order("/orders/1"), "headers", json!([["host", "stranger.test"]])),
            Denied("host-header"),
        ),
        scenario(
            "a doubled Host header",
            with(order("/orders/1"), "headers", json!([["host", host], ["host", host]])),
            Denied("host-header"),
        ),
        scenario("HTTP_PROXY in the environment", order("/orders/2"), Allowed),
    ]
}

impl Scenario {
    /// Sends the invocation and compares what was answered, recorded and seen.
    pub(crate) async fn play(
        self,
        number: usize,
        api: &RuntimeApi,
        function: &mut Function,
        world: &World,
    ) -> Result<Report, String> {
        let request_id = format!("invocation-{number}");
        let before = world.counts();
        let patience = Duration::from_secs(10);
        let answer = tokio::select! {
            answer = api.invoke(&request_id, self.order.clone(), patience) => answer,
            ended = function.ended() => return Err(ended),
        };
        let answer = answer.ok_or_else(|| format!("{}: the function gave no answer", self.asked))?;
        let lines = function.lines_of(&request_id).await;
        let mut report = Report {
            asked: self.asked.to_owned(),
            decided: decisions(&lines).join(", then "),
            seen: String::new(),
            faults: Vec::new(),
        };
        self.compare_answer(&answer, &lines, &mut report);
        self.compare_servers(before, world, &mut report);
        Ok(report)
    }

    fn compare_answer(&self, answer: &Answer, lines: &[Value], report: &mut Report) {
        if lines.is_empty() {
            report.faults.push(format!("{}: the invocation left no audit line", self.asked));
        }
        let recorded = lines.iter().find_map(|line| line["reason"].as_str());
        let answered = match answer {
            Answer::Response(answer) => answer["reason"].as_str(),
            Answer::Error(_) => Some("an error"),
        };
        let expected = match self.expected {
            Expected::Allowed => None,
            Expected::Denied(reason) => Some(reason),
        };
        for (what, found) in [("recorded", recorded), ("answered", answered)] {
            if found != expected {
                let show =
                    |reason: Option<&str>| reason.map_or("allowed".to_owned(), |reason| format!("denied: {reason}"));
                report.faults.push(format!("{}: {what} {}, expected {}", self.asked, show(found), show(expected)));
            }
        }
    }

    /// Only the partner may see anything, and nothing that the policy forbids it to be sent.
    fn compare_servers(&self, before: [usize; 5], world: &World, report: &mut Report) {
        let mut seen = Vec::new();
        for (server, before) in world.servers().into_iter().zip(before) {
            for request in server.seen().into_iter().skip(before) {
                let target = request.target.split('?').next().unwrap_or_default();
                let shown = format!("{}: {} {target}", server.name(), request.method);
                if !(server.name() == world.partner.name() && is_allowed(&request, world)) {
                    report.faults.push(format!("{}: a forbidden request was seen by {shown}", self.asked));
                }
                seen.push(shown);
            }
        }
        if !world.proxy.seen().is_empty() {
            report.faults.push(format!("{}: the proxy was asked", self.asked));
            seen.push("proxy".to_owned());
        }
        if matches!(self.expected, Expected::Allowed) && seen.is_empty() {
            report.faults.push(format!("{}: an allowed request never arrived", self.asked));
        }
        report.seen = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
    }
}

fn is_allowed(request: &Seen, world: &World) -> bool {
    let host: Vec<_> = request.headers.get_all("host").iter().collect();
    request.method == "POST" && host == [world.partner_host().as_str()] && !request.target.contains("/export/")
}

fn decisions(lines: &[Value]) -> Vec<String> {
    let decisions = lines.iter().filter(|line| line["event_type"] == "egress_decision");
    let of_interest = decisions.filter(|line| Function::is_request(line) || line["action"] == "denied");
    of_interest
        .map(|line| match (line["action"].as_str(), line["rule_id"].as_str(), line["reason"].as_str()) {
            (Some("allowed"), Some(rule), _) => format!("allowed by {rule}"),
            (_, Some(rule), Some(reason)) => format!("denied: {reason} {rule}"),
            (_, _, reason) => format!("denied: {}", reason.unwrap_or_default()),
        })
        .collect()
}
