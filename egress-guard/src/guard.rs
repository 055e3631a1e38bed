//! The guard: a policy and a sink, and the only place that asks the one and writes to the other.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::{HeaderMap, Method, Version, header};
use jiff::Timestamp;

use crate::audit::{AuditEvent, AuditRecord, AuditSink, Context};
use crate::decision::{Decision, Reason, Request};
use crate::denied::{Asked, Denied, MAX_PATH, shortened};
use crate::destination::{Destination, InvalidDestination, Scheme};
use crate::policy::{Policy, RuleId};

/// A policy in force, and the sink that hears of every decision.
///
/// Cheap to clone; clones share policy, sink and sequence numbers. Its methods wrap HTTP clients, each behind the
/// feature of its name:
///
/// | method | wraps | checks |
/// |---|---|---|
/// | `client` | a reqwest builder | every request and redirect, the name, the connection |
/// | `reqwest` | a reqwest builder, into an ordinary `reqwest::Client` | the name, the connection, every redirect's destination |
/// | [`layer`](Self::layer) | any tower stack of `http::Request` | every request |
/// | `lambda_layer` | the Lambda runtime | nothing: it names the invocation in every audit line |
///
/// ```
/// use egress_guard::{Guard, JsonLines, Policy, Rule};
///
/// let policy = Policy::builder("orders").allow(Rule::new("payments").hosts(["api.payments.example"])).build()?;
/// let guard = Guard::new(policy, JsonLines::stdout());
/// # Ok::<(), egress_guard::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Guard {
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    sink: Box<dyn AuditSink>,
    /// The number of the last audit line of this guard.
    seq: AtomicU64,
    /// The number of the last request of this guard, to tie an outcome to its decision.
    exchanges: AtomicU64,
}

impl Guard {
    /// Puts a policy in force. The first audit line, `egress_posture`, says so.
    ///
    /// If the sink fails to keep that line the guard is made all the same: it will fail again at the first request,
    /// and that request is then not sent.
    pub fn new(policy: Policy, sink: impl AuditSink) -> Self {
        let inner = Inner { policy, sink: Box::new(sink), seq: AtomicU64::new(0), exchanges: AtomicU64::new(0) };
        let guard = Self { inner: Arc::new(inner) };
        guard.posture();
        guard
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    fn posture(&self) {
        let context = Context::current();
        let policy = self.policy();
        let message = format!("egress policy `{}` in force: {} rules, all else denied", policy.name(), policy.rule_count());
        let record = AuditRecord {
            rule_count: Some(policy.rule_count()),
            ..self.record(AuditEvent::Posture, &context, message)
        };
        // See the constructor's documentation.
        let _ = self.inner.sink.record(&record);
    }

    /// Decides a whole request and records the decision; what comes back must be told how the request ends.
    pub(crate) fn admit(&self, attempt: &Attempt<'_>) -> Result<Exchange, Denied> {
        let context = Context::current();
        let id = self.inner.exchanges.fetch_add(1, Ordering::Relaxed) + 1;
        let line = Line { exchange: Some(id), ..Line::new(Stage::Request, attempt.client, attempt.hop) };
        if attempt.method == Method::CONNECT {
            // Its target is an authority, not a URL, so it comes before anything that reads one.
            return Err(self.record_unread(&context, &line, Some(attempt.method), Denied::connect_method(self.policy())));
        }
        let destination = match &attempt.destination {
            Ok(destination) => destination,
            Err(error) => {
                let denied = Denied::invalid(self.policy(), error);
                return Err(self.record_unread(&context, &line, Some(attempt.method), denied));
            }
        };
        let request = Request::new(attempt.method, destination);
        let decision = match self.policy().decide(&request) {
            Decision::Allow { rule } => match forbidden_in_any_request(attempt, destination) {
                None => Decision::Allow { rule },
                Some(reason) => Decision::Deny { reason, rule: None },
            },
            deny => deny,
        };
        let rule = self.carry_out(decision, &context, &line, &request, true)?;
        Ok(Exchange {
            guard: self.clone(),
            context,
            line,
            method: attempt.method.clone(),
            destination: destination.clone(),
            rule,
            bytes_sent: attempt.body_length,
            started: Instant::now(),
            response: None,
            settled: false,
        })
    }

    /// Decides what is known of a request at a later place. `record_allowed` says whether an allowed one is recorded
    /// too, or is already covered by the line of a whole request.
    #[cfg(feature = "reqwest")]
    pub(crate) fn judge(
        &self,
        stage: Stage,
        request: &Request<'_>,
        peer: Option<Peer>,
        record_allowed: bool,
    ) -> Result<(), Denied> {
        let line = Line { peer, ..Line::new(stage, REQWEST, None) };
        let decision = self.policy().decide(request);
        self.carry_out(decision, &Context::current(), &line, request, record_allowed).map(drop)
    }

    /// Denies what no policy can allow.
    #[cfg(feature = "reqwest")]
    pub(crate) fn refuse(&self, stage: Stage, request: &Request<'_>, reason: Reason) -> Denied {
        let line = Line::new(stage, REQWEST, None);
        let denied = Denied::new(self.policy(), reason, None, request);
        self.record_denied(&Context::current(), &line, request, &denied);
        denied
    }

    /// Denies a destination that cannot be read.
    #[cfg(feature = "reqwest")]
    pub(crate) fn refuse_unread(&self, stage: Stage, error: &InvalidDestination) -> Denied {
        let line = Line::new(stage, REQWEST, None);
        self.record_unread(&Context::current(), &line, None, Denied::invalid(self.policy(), error))
    }

    /// Records a decision and turns it into what the caller does.
    fn carry_out(
        &self,
        decision: Decision,
        context: &Context,
        line: &Line,
        request: &Request<'_>,
        record_allowed: bool,
    ) -> Result<RuleId, Denied> {
        match decision {
            Decision::Deny { reason, rule } => {
                let denied = Denied::new(self.policy(), reason, rule, request);
                self.record_denied(context, line, request, &denied);
                Err(denied)
            }
            Decision::Allow { rule } => {
                if record_allowed {
                    let message = format!("egress allowed by rule `{rule}`: {}", Asked(request));
                    let record = AuditRecord {
                        action: Some("allowed"),
                        rule_id: Some(rule.as_str()),
                        ..self.request_record(AuditEvent::Decision, context, line, request, message)
                    };
                    if self.inner.sink.record(&record).is_err() {
                        return Err(Denied::new(self.policy(), Reason::AuditFailed, None, request));
                    }
                }
                Ok(rule)
            }
        }
    }

    /// A denial stands whether or not it could be recorded.
    fn record_denied(&self, context: &Context, line: &Line, request: &Request<'_>, denied: &Denied) {
        let record = AuditRecord {
            level: "WARN",
            action: Some("denied"),
            reason: Some(denied.reason().as_str()),
            rule_id: denied.rule().map(RuleId::as_str),
            ..self.request_record(AuditEvent::Decision, context, line, request, denied.to_string())
        };
        let _ = self.inner.sink.record(&record);
    }

    fn record_unread(&self, context: &Context, line: &Line, method: Option<&Method>, denied: Denied) -> Denied {
        let record = AuditRecord {
            level: "WARN",
            action: Some("denied"),
            reason: Some(denied.reason().as_str()),
            exchange_id: line.exchange,
            client: Some(line.client),
            stage: Some(line.stage.as_str()),
            method: method.map(|method| shortened(method.as_str(), 32)),
            hop: line.hop,
            ..self.record(AuditEvent::Decision, context, denied.to_string())
        };
        let _ = self.inner.sink.record(&record);
        denied
    }

    fn request_record<'a>(
        &'a self,
        event_type: AuditEvent,
        context: &'a Context,
        line: &Line,
        request: &Request<'a>,
        message: String,
    ) -> AuditRecord<'a> {
        let peer_ip = line.peer.map(|peer| peer.remote.ip()).or(request.peer);
        let path = request.path.map(|path| shortened(path, MAX_PATH));
        AuditRecord {
            exchange_id: line.exchange,
            boundary: Some(self.policy().boundary(request.host, peer_ip).as_str()),
            client: Some(line.client),
            stage: Some(line.stage.as_str()),
            method: request.method.map(|method| shortened(method.as_str(), 32)),
            scheme: request.scheme.map(Scheme::as_str),
            host: Some(request.host),
            port: request.port,
            path,
            path_truncated: (path.map(str::len) != request.path.map(str::len)).then_some(true),
            peer_ip,
            peer_port: line.peer.map(|peer| peer.remote.port()),
            local_port: line.peer.map(|peer| peer.local.port()),
            hop: line.hop,
            ..self.record(event_type, context, message)
        }
    }

    /// What every line has.
    fn record<'a>(&'a self, event_type: AuditEvent, context: &'a Context, message: String) -> AuditRecord<'a> {
        let invocation = context.invocation();
        AuditRecord {
            timestamp: format!("{:.3}", Timestamp::now()),
            level: "INFO",
            message,
            request_id: invocation.map(|invocation| &*invocation.request_id),
            event_type,
            schema: "egress-guard/1",
            seq: self.inner.seq.fetch_add(1, Ordering::Relaxed) + 1,
            exchange_id: None,
            action: None,
            reason: None,
            rule_id: None,
            policy_id: self.policy().name(),
            mode: "enforce",
            rule_count: None,
            boundary: None,
            client: None,
            stage: None,
            method: None,
            scheme: None,
            host: None,
            port: None,
            path: None,
            path_truncated: None,
            peer_ip: None,
            peer_port: None,
            local_port: None,
            hop: None,
            outcome: None,
            status: None,
            bytes_sent: None,
            bytes_received: None,
            duration_ms: None,
            function_name: invocation.map(|invocation| &*invocation.function_name),
            function_version: invocation.map(|invocation| &*invocation.function_version),
            function_arn: invocation.map(|invocation| &*invocation.function_arn),
            xray_trace_id: invocation.and_then(|invocation| invocation.xray_trace_id.as_deref()),
            context_source: Some(context.source()),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("policy", self.policy()).finish_non_exhaustive()
    }
}

/// The `client` of audit lines.
#[cfg(feature = "reqwest")]
pub(crate) const REQWEST: &str = "reqwest";
pub(crate) const TOWER: &str = "tower";

/// The place where something is decided.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "only clients with their own connections go on"))]
pub(crate) enum Stage {
    /// A whole request.
    Request,
    /// A redirect that a client follows by itself.
    Redirect,
    /// A name, and the addresses it resolves to.
    Name,
    /// A connection.
    Connection,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Redirect => "redirect",
            Self::Name => "name",
            Self::Connection => "connection",
        }
    }
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What a line says beside the request.
#[derive(Debug)]
struct Line {
    stage: Stage,
    client: &'static str,
    exchange: Option<u64>,
    hop: Option<u32>,
    peer: Option<Peer>,
}

impl Line {
    fn new(stage: Stage, client: &'static str, hop: Option<u32>) -> Self {
        Self { stage, client, exchange: None, hop, peer: None }
    }
}

/// A request as an adapter hands it over.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) client: &'static str,
    pub(crate) method: &'a Method,
    pub(crate) destination: Result<Destination, InvalidDestination>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) version: Version,
    /// 0 for the first request, 1 for the first redirect; absent where the adapter does not follow redirects.
    pub(crate) hop: Option<u32>,
    pub(crate) body_length: Option<u64>,
}

/// What would take a request out of the guard's sight, or to another place than the URL says, whatever the policy.
fn forbidden_in_any_request(attempt: &Attempt<'_>, destination: &Destination) -> Option<Reason> {
    if attempt.version == Version::HTTP_3 {
        return Some(Reason::UnsupportedVersion);
    }
    let headers = attempt.headers;
    let mut hosts = headers.get_all(header::HOST).iter();
    if let Some(host) = hosts.next() {
        let same = host.to_str().is_ok_and(|host| destination.is_named_by_host_header(host));
        if !same || hosts.next().is_some() {
            return Some(Reason::HostHeader);
        }
    }
    if headers.contains_key(header::UPGRADE) {
        return Some(Reason::UpgradeHeader);
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(Reason::TransferEncodingHeader);
    }
    let to_a_proxy = [header::PROXY_AUTHORIZATION.as_str(), "proxy-connection"];
    to_a_proxy.iter().any(|name| headers.contains_key(*name)).then_some(Reason::ProxyHeader)
}

/// An allowed request on its way. However it ends, one outcome is recorded, at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Exchange {
    guard: Guard,
    context: Context,
    line: Line,
    method: Method,
    destination: Destination,
    rule: RuleId,
    bytes_sent: Option<u64>,
    started: Instant,
    response: Option<u16>,
    settled: bool,
}

impl Exchange {
    /// The response's head has arrived.
    pub(crate) fn responded(&mut self, status: http::StatusCode, peer: Option<Peer>) {
        self.response = Some(status.as_u16());
        self.line.peer = peer;
    }

    /// The exchange is over.
    pub(crate) fn settle(mut self, outcome: Outcome, bytes_received: Option<u64>) {
        self.record(outcome, bytes_received);
    }

    fn record(&mut self, outcome: Outcome, bytes_received: Option<u64>) {
        self.settled = true;
        let request = Request::new(&self.method, &self.destination);
        let message = format!("egress {}: {}", outcome.as_str(), Asked(&request));
        let micros = self.started.elapsed().as_micros();
        let record = AuditRecord {
            action: Some("allowed"),
            rule_id: Some(self.rule.as_str()),
            outcome: Some(outcome.as_str()),
            status: self.response,
            bytes_sent: self.response.and(self.bytes_sent),
            bytes_received,
            #[allow(clippy::cast_precision_loss, reason = "exact for 285 years of microseconds")]
            duration_ms: Some(micros as f64 / 1000.0),
            ..self.guard.request_record(AuditEvent::Outcome, &self.context, &self.line, &request, message)
        };
        // The request has been sent; there is nothing left to refuse.
        let _ = self.guard.inner.sink.record(&record);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.settled {
            self.record(Outcome::Cancelled, None);
        }
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "a tower stack follows redirects above the layer"))]
pub(crate) enum Outcome {
    /// The response was read to its end.
    Complete,
    /// The response was given up before its end.
    Aborted,
    /// The caller gave up before there was a response.
    Cancelled,
    /// A later place denied it.
    Denied,
    /// There was no response, or it broke off.
    Failed,
    /// The response was a redirect, and is followed.
    Redirected,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Redirected => "redirected",
        }
    }

    /// The outcome of a request that ended in an error.
    pub(crate) fn of_error(error: &(dyn std::error::Error + 'static)) -> Self {
        if crate::denied::denied(error).is_some() { Self::Denied } else { Self::Failed }
    }
}
