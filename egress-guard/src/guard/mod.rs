//! The guard: a policy and a sink, and the only place that asks the one and writes to the other.

mod environment;
mod exchange;
mod grant;
mod line;
#[cfg(feature = "appconfig")]
mod live;
mod posture;
mod quarantine;
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
mod stages;
#[cfg(feature = "lambda")]
mod summary;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Version};

use environment::Environment;
pub(crate) use exchange::{Exchange, Outcome};
use grant::Grant;
#[cfg(feature = "aws-sdk")]
pub(crate) use line::AWS_SDK;
#[cfg(feature = "hyper-util")]
pub(crate) use line::HYPER;
use line::Line;
#[cfg(feature = "reqwest")]
pub(crate) use line::REQWEST;
pub(crate) use line::{Peer, Stage, TOWER};
#[cfg(feature = "appconfig")]
pub(crate) use live::WeakGuard;
#[cfg(any(feature = "hyper-util", feature = "reqwest"))]
pub(crate) use stages::At;

use crate::audit::{AuditEvent, AuditRecord, AuditSink, Context};
use crate::decision::{Answer, Denial, Reason, Request};
use crate::denied::{Asked, Denied, shortened};
use crate::destination::{Destination, InvalidDestination, Scheme};
use crate::policy::{Mode, Policy, RuleId};

/// A policy in force, and the sink that hears of every decision.
///
/// Cheap to clone; clones share policy, sink and sequence numbers. Its methods wrap HTTP clients, each behind the
/// feature of its name:
///
/// | method | wraps | checks |
/// |---|---|---|
/// | `client` | a reqwest builder | every request and redirect, the name, the connection |
/// | `reqwest` | a reqwest builder, into an ordinary `reqwest::Client` | the name, the connection, every redirect's destination |
/// | `aws_http_client` | the AWS SDK's HTTP client | every attempt of every request, the name, the connection |
/// | [`layer`](Self::layer) | any tower stack of `http::Request` | every request |
/// | `connector`, `resolver` | hyper-util's connector and resolver | the connection; the name |
/// | `lambda_layer` | the Lambda runtime | an invocation's limits; it names the invocation in every audit line |
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
    policy: ArcSwap<Policy>,
    sink: Box<dyn AuditSink>,
    clock: fn() -> SystemTime,
    environment: Environment,
    /// Whether an enforced denial begins a quarantine.
    quarantines: bool,
    /// How many layers were only reporting when the posture was last recorded.
    reporting: AtomicUsize,
    /// Wakes whoever must look again once the policy is replaced.
    #[cfg(feature = "hyper-util")]
    replaced: tokio::sync::watch::Sender<()>,
}

impl Guard {
    /// Puts a policy in force. The first audit lines, `egress_posture`, say so: one for each layer.
    ///
    /// If the sink fails to keep them the guard is made all the same: it will fail again at the first request, and
    /// that request is then not sent.
    pub fn new(policy: Policy, sink: impl AuditSink) -> Self {
        Self::with_clock(policy, sink, false, SystemTime::now)
    }

    /// The same, with a quarantine: from the first denial on that is enforced, but for those by a limit of the
    /// Lambda layer, nothing is allowed any more, in any
    /// invocation and by any client of this guard, until Lambda replaces the execution environment.
    ///
    /// Code that tries what is not allowed may not be its owner's any more, and what it tries next may be allowed. Every
    /// line from then on is marked `quarantined`, a posture line says that it begins, and denials have that reason.
    ///
    /// Requests that are under way are let end, but for those over a guarded connector and the AWS SDK, whose connections
    /// end. Nobody can close the connections that an ordinary client (`reqwest`, `reqwest_blocking`) keeps, so one of a
    /// guard like this keeps none, and speaks HTTP/1.1 only.
    ///
    /// ```
    /// use egress_guard::{Guard, JsonLines, Policy};
    ///
    /// let guard = Guard::quarantining(Policy::builder("orders").build()?, JsonLines::stdout());
    /// # Ok::<(), egress_guard::PolicyError>(())
    /// ```
    pub fn quarantining(policy: Policy, sink: impl AuditSink) -> Self {
        Self::with_clock(policy, sink, true, SystemTime::now)
    }

    fn with_clock(policy: Policy, sink: impl AuditSink, quarantines: bool, clock: fn() -> SystemTime) -> Self {
        let reporting = AtomicUsize::new(posture::layers_that_only_report(&policy, clock()));
        let inner = Inner {
            policy: ArcSwap::from_pointee(policy),
            sink: Box::new(sink),
            clock,
            environment: Environment::new(),
            quarantines,
            reporting,
            #[cfg(feature = "hyper-util")]
            replaced: tokio::sync::watch::Sender::new(()),
        };
        let guard = Self { inner: Arc::new(inner) };
        guard.record_posture(&guard.moment(), None);
        guard
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::clone(&self.inner.policy.load())
    }

    /// The same, shared: two of these are one policy if they are one allocation.
    #[cfg(any(feature = "hyper-util", feature = "reqwest"))]
    pub(crate) fn in_force(&self) -> Arc<Policy> {
        self.inner.policy.load_full()
    }

    /// Hears of every replacement of the policy from now on.
    #[cfg(feature = "hyper-util")]
    pub(crate) fn replacements(&self) -> tokio::sync::watch::Receiver<()> {
        self.inner.replaced.subscribe()
    }

    /// What is in force as something is decided: all of it is decided, and recorded, by this.
    fn moment(&self) -> Moment {
        let policy = self.inner.policy.load_full();
        let moment = Moment { policy, context: Context::current(), now: (self.inner.clock)() };
        self.note_end_of_report_only(&moment);
        moment
    }

    /// Decides a whole request and records the decision; what comes back must be told how the request ends.
    pub(crate) fn admit(
        &self,
        destination: Result<Destination, InvalidDestination>,
        attempt: &Attempt<'_>,
    ) -> Result<Exchange, Denied> {
        let moment = self.moment();
        let policy = &moment.policy;
        let id = self.inner.environment.next_request();
        let line = Line::new(Stage::Request, attempt.client, attempt.hop);
        let line = Line { exchange: Some(id), attempt: attempt.number, ..line };
        if attempt.method == Method::CONNECT {
            // Its target is an authority, not a URL, so it comes before anything that reads one.
            let denied = Denied::bare(policy, Reason::ConnectMethod);
            return Err(self.record_unread(&moment, &line, Some(attempt.method), denied));
        }
        let destination = match destination {
            Ok(destination) => destination,
            Err(error) => {
                let denied = Denied::invalid(policy, &error);
                return Err(self.record_unread(&moment, &line, Some(attempt.method), denied));
            }
        };
        let request = Request::new(attempt.method, &destination);
        let mut answer = policy.answer(&request, moment.now);
        let forbidden = || {
            let limit = |length| moment.context.invocation()?.ledger.take(moment.now, length).err();
            forbidden_in_any_request(attempt, &destination).or_else(|| limit(attempt.body_length))
        };
        if !answer.is_enforced_denial()
            && let Some(reason) = forbidden()
        {
            answer = Answer::Deny(Denial::by(policy.innermost(), reason, None, Mode::Enforce));
        }
        let grant = self.carry_out(&answer, &moment, &line, &request, true)?;
        // While its line was written, another denial may have begun the quarantine.
        let overtaken = self.is_quarantined().then(|| {
            let denial = Denial::by(moment.policy.innermost(), Reason::Quarantined, None, Mode::Enforce);
            Denied::new(&denial, &request)
        });
        let exchange = Exchange::begin(self.clone(), moment, line, attempt, destination, grant);
        match overtaken {
            None => Ok(exchange),
            Some(denied) => {
                exchange.settle(Outcome::Denied(denied.reason()), None);
                Err(denied)
            }
        }
    }

    /// Records a decision and turns it into what the caller does.
    fn carry_out(
        &self,
        answer: &Answer<'_>,
        moment: &Moment,
        line: &Line,
        request: &Request<'_>,
        record_allowed: bool,
    ) -> Result<Grant, Denied> {
        let denial = match answer {
            Answer::Allow(rules) => {
                let grant = Grant::by(rules);
                if record_allowed {
                    let message = Asked(request).after(["egress allowed by rule `", rules.rule.id.as_str(), "`: "]);
                    let mut record = self.request_record(AuditEvent::Decision, moment, line, request, message);
                    record.action = Some("allowed");
                    grant.stamp(&mut record);
                    self.record_granted(&record, moment, request)?;
                }
                return Ok(grant);
            }
            Answer::Deny(denial) => denial,
        };
        let denied = Denied::new(denial, request);
        if denial.mode == Mode::Enforce {
            self.record_denied(moment, line, request, &denied);
            return Err(denied);
        }
        let grant = Grant::despite(denial);
        let message = format!("report-only, sent all the same: {denied}");
        let mut record = self.request_record(AuditEvent::Decision, moment, line, request, message);
        record.level = "WARN";
        record.action = Some("allowed");
        record.reason = Some(denied.reason().as_str());
        record.denied_by = moment.denied_by(&denied);
        grant.stamp(&mut record);
        self.record_granted(&record, moment, request)?;
        Ok(grant)
    }

    /// What cannot be recorded is not sent.
    fn record_granted(&self, record: &AuditRecord<'_>, moment: &Moment, request: &Request<'_>) -> Result<(), Denied> {
        let recorded = self.inner.sink.record(record);
        recorded.map_err(|cause| {
            let denied = Denied::audit_failed(&moment.policy, request, &cause);
            moment.count_denied(&denied);
            denied
        })
    }

    fn record_denied(&self, moment: &Moment, line: &Line, request: &Request<'_>, denied: &Denied) {
        self.deny(moment, denied, || self.denial_record(moment, line, request, denied));
    }

    fn denial_record<'a>(
        &self,
        moment: &'a Moment,
        line: &Line,
        request: &Request<'a>,
        denied: &'a Denied,
    ) -> AuditRecord<'a> {
        AuditRecord {
            level: "WARN",
            action: Some("denied"),
            reason: Some(denied.reason().as_str()),
            rule_id: denied.rule().map(RuleId::as_str),
            denied_by: moment.denied_by(denied),
            ..self.request_record(AuditEvent::Decision, moment, line, request, denied.to_string())
        }
    }

    fn record_unread(&self, moment: &Moment, line: &Line, method: Option<&Method>, denied: Denied) -> Denied {
        self.deny(moment, &denied, || AuditRecord {
            level: "WARN",
            action: Some("denied"),
            reason: Some(denied.reason().as_str()),
            exchange_id: line.exchange,
            client: Some(line.client),
            stage: Some(line.stage.as_str()),
            method: method.map(|method| shortened(method.as_str(), 32)),
            hop: line.hop,
            attempt: line.attempt,
            ..self.record(AuditEvent::Decision, moment, denied.to_string())
        });
        denied
    }

    /// A denial stands whether or not it could be recorded. The quarantine that it begins is told in its line.
    fn deny<'a>(&self, moment: &Moment, denied: &Denied, record: impl FnOnce() -> AuditRecord<'a>) {
        moment.count_denied(denied);
        let quarantine_begins = !is_a_limit(denied.reason()) && self.begin_quarantine();
        let _ = self.inner.sink.record(&record());
        if quarantine_begins {
            self.announce_quarantine(moment);
        }
    }

    fn request_record<'a>(
        &self,
        event_type: AuditEvent,
        moment: &'a Moment,
        line: &Line,
        request: &Request<'a>,
        message: String,
    ) -> AuditRecord<'a> {
        let peer_ip = line.peer.map(|peer| peer.remote.ip()).or(request.peer);
        let path = request.path.map(|path| shortened(path, PATH_IN_A_LINE));
        // Set one by one: a record is large, and the update syntax copies it.
        let mut record = self.record(event_type, moment, message);
        record.exchange_id = line.exchange;
        record.boundary = Some(moment.policy.boundary(request.host, request.port, peer_ip).as_str());
        record.client = Some(line.client);
        record.stage = Some(line.stage.as_str());
        record.method = request.method.map(|method| shortened(method.as_str(), 32));
        record.scheme = request.scheme.map(Scheme::as_str);
        record.host = Some(request.host);
        record.port = request.port;
        record.path = path;
        record.path_truncated = (path.map(str::len) != request.path.map(str::len)).then_some(true);
        record.peer_ip = peer_ip;
        let is_proxied = line.peer.is_some() && moment.policy.via(request.host, request.port).is_some();
        record.peer_is_proxy = is_proxied.then_some(true);
        record.peer_port = line.peer.map(|peer| peer.remote.port());
        record.local_port = line.peer.map(|peer| peer.local.port());
        record.hop = line.hop;
        record.attempt = line.attempt;
        record
    }

    /// What every line has.
    fn record<'a>(&self, event_type: AuditEvent, moment: &'a Moment, message: String) -> AuditRecord<'a> {
        let number = self.inner.environment.next_line();
        let mut record = AuditRecord::new(event_type, number, moment.now, &moment.policy, &moment.context, message);
        record.quarantined = self.is_quarantined().then_some(true);
        record
    }
}

/// What is in force as something is decided.
#[derive(Debug)]
pub(crate) struct Moment {
    policy: Arc<Policy>,
    context: Context,
    now: SystemTime,
}

impl Moment {
    fn count_denied(&self, denied: &Denied) {
        if let Some(invocation) = self.context.invocation() {
            invocation.ledger.note_denied(denied);
        }
    }

    /// Which of several layers denies.
    fn denied_by<'a>(&self, denied: &'a Denied) -> Option<&'a str> {
        (self.policy.layers().count() > 1).then(|| denied.policy())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("policy", &self.policy()).finish_non_exhaustive()
    }
}

/// Whether a denial is about how much an invocation sends, and not about what.
fn is_a_limit(reason: Reason) -> bool {
    matches!(reason, Reason::ByteLimit | Reason::DeadlineNear | Reason::RequestLimit)
}

/// How much of a path an audit line carries, in bytes.
const PATH_IN_A_LINE: usize = 768;

/// A request as an adapter hands it over.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) client: &'static str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) version: Version,
    /// 0 for the first request, 1 for the first redirect; absent where the adapter does not follow redirects.
    pub(crate) hop: Option<u32>,
    /// 1 for the first attempt of a client that retries above the adapter, and says which one this is.
    pub(crate) number: Option<u32>,
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
    if !content_length_is_true(headers, attempt.body_length) {
        return Some(Reason::ContentLengthHeader);
    }
    headers.keys().find_map(header_denied_in_any_request)
}

/// A length that is doubled, no number, or not the body's would let the server take the rest of the body, or the next
/// request on the connection, for something that nobody checked. The length of a stream is enforced as it is sent.
fn content_length_is_true(headers: &HeaderMap, body_length: Option<u64>) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return true };
    let digits = length.to_str().ok().filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|digits| digits.parse::<u64>().ok());
    lengths.next().is_none() && length.is_some_and(|length| body_length.is_none_or(|body| body == length))
}

/// Why a header is denied wherever it leads, if it is.
pub(crate) fn header_denied_in_any_request(name: &HeaderName) -> Option<Reason> {
    match name.as_str() {
        "upgrade" => Some(Reason::UpgradeHeader),
        "transfer-encoding" => Some(Reason::TransferEncodingHeader),
        "proxy-authorization" | "proxy-connection" => Some(Reason::ProxyHeader),
        _ => None,
    }
}
