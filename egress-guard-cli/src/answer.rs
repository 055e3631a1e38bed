//! What a policy answers about a request, as the commands print it.

use std::net::IpAddr;
use std::time::SystemTime;

use egress_guard::{Decision, Destination, Host, Mode, Policy, Reason, Request};
use http::Method;
use serde::Serialize;

/// A request as somebody asks about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) destination: &'a Destination,
    /// What the name, if it is one, resolves to.
    pub(crate) resolve: Option<IpAddr>,
}

impl<'a> Asked<'a> {
    /// What the policy decides, and the question on which it does: a guard asks several on the way.
    pub(crate) fn decide<'p>(&self, policy: &'p Policy, now: SystemTime) -> (Question<'a>, Decision<'p>) {
        let answer = |question: Question<'a>| (question, policy.decide(&question.request, now));
        let weight = |decision: &Decision<'_>| match decision {
            Decision::Allow { .. } => 0,
            Decision::Deny { mode: Mode::ReportOnly, .. } => 1,
            Decision::Deny { mode: Mode::Enforce, .. } => 2,
        };
        let mut decisive = answer(Question { request: self.whole(), stage: Stage::Whole });
        for next in self.lesser_questions().map(answer) {
            if weight(&next.1) > weight(&decisive.1) {
                decisive = next;
            }
        }
        decisive
    }

    /// The address that the request goes to, as far as it is known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.destination.host() {
            Host::Name(_) => self.resolve,
            Host::Ip(ip) => Some(*ip),
        }
    }

    fn whole(&self) -> Request<'a> {
        let request = Request::new(self.method, self.destination);
        let is_name = matches!(self.destination.host(), Host::Name(_));
        self.resolve.filter(|_| is_name).into_iter().fold(request, Request::peer)
    }

    /// The questions of [`Request::stages`] after the whole one.
    fn lesser_questions(&self) -> impl Iterator<Item = Question<'a>> {
        let stages: &[Stage] = match self.destination.host() {
            Host::Name(_) => &[Stage::Request, Stage::Name, Stage::Connection],
            Host::Ip(_) => &[Stage::Connection],
        };
        self.whole().stages().skip(1).zip(stages).map(|(request, stage)| Question { request, stage: *stage })
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) request: Request<'a>,
    pub(crate) stage: Stage,
}

/// How much of a request is known where a guard asks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All that was asked about.
    Whole,
    /// All but the address.
    Request,
    /// The name and its address.
    Name,
    /// Scheme, host, port and address.
    Connection,
}

impl Stage {
    /// Its name, if it is no more than a part of what was asked.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::Request => Some("request"),
            Self::Name => Some("name"),
            Self::Connection => Some("connection"),
        }
    }
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer<'a> {
    pub(crate) url: &'a str,
    /// `allowed`, `denied` or `invalid`.
    pub(crate) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) baseline_rule_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_code")]
    pub(crate) reason: Option<Reason>,
    /// Which policy denies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) would_deny: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) destination: Option<Place>,
    #[serde(skip)]
    pub(crate) explanation: Option<String>,
}

impl<'a> Answer<'a> {
    pub(crate) fn is_allowed(&self) -> bool {
        self.action == "allowed"
    }

    /// A URL that cannot be read is not sent.
    pub(crate) fn invalid(url: &'a str, error: &egress_guard::InvalidDestination) -> Self {
        let explanation = Some(error.to_string());
        Self { url, action: "invalid", reason: Some(Reason::from(error)), explanation, ..Self::default() }
    }

    pub(crate) fn new(url: &'a str, destination: &Destination, decision: &Decision<'_>) -> Self {
        let answer = match decision {
            Decision::Allow { rule, baseline_rules } => Self {
                action: "allowed",
                rule_id: Some(rule.to_string()),
                baseline_rule_ids: baseline_rules.iter().map(ToString::to_string).collect(),
                ..Self::default()
            },
            Decision::Deny { reason, rule, policy, mode } => {
                let is_reported = *mode == Mode::ReportOnly;
                Self {
                    action: if is_reported { "allowed" } else { "denied" },
                    rule_id: rule.as_ref().map(ToString::to_string),
                    reason: Some(*reason),
                    policy: Some(policy.to_string()),
                    mode: is_reported.then(|| mode.as_str()),
                    would_deny: is_reported.then_some(true),
                    ..Self::default()
                }
            }
        };
        Self { url, destination: Some(Place::from(destination)), ..answer }
    }
}

fn as_code<S: serde::Serializer>(reason: &Option<Reason>, serializer: S) -> Result<S::Ok, S::Error> {
    reason.map(Reason::as_str).serialize(serializer)
}

#[derive(Debug, Serialize)]
pub(crate) struct Place {
    scheme: &'static str,
    host: String,
    port: u16,
    path: String,
}

impl From<&Destination> for Place {
    fn from(destination: &Destination) -> Self {
        Self {
            scheme: destination.scheme().as_str(),
            host: destination.host().to_string(),
            port: destination.port(),
            path: destination.path().to_owned(),
        }
    }
}
