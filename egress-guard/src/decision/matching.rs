//! Whether one rule matches a request, dimension by dimension.

use super::{Reason, Request};
use crate::policy::{CompiledRule, Layer, Subject, is_ambiguous};

/// What a rule can say of a request, beside the host that put it in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dimension {
    /// `schemes`.
    Scheme,
    /// `ports`.
    Port,
    /// `methods`.
    Method,
    /// `paths`.
    Path,
    /// `addresses`, of an allow rule.
    Address,
    /// `boundary`.
    Boundary,
    /// `networks`, of an allow rule: one lies around the address, and does not open it.
    Network,
}

impl Dimension {
    /// In the order in which they are tested; how far a rule got says how close it came.
    pub(super) const ALL: [Self; 6] =
        [Self::Scheme, Self::Port, Self::Method, Self::Path, Self::Address, Self::Boundary];

    /// The key of a policy that states it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Scheme => "schemes",
            Self::Port => "ports",
            Self::Method => "methods",
            Self::Path => "paths",
            Self::Address => "addresses",
            Self::Boundary => "boundary",
            Self::Network => "networks",
        }
    }
}

/// How an allow rule fails to match, if it does. What is not known matches.
pub(super) fn allow_fails(
    layer: &Layer,
    rule: &CompiledRule,
    request: &Request<'_>,
    subject: Subject,
) -> Option<Reason> {
    Dimension::ALL.into_iter().find_map(|dimension| allow_fails_in(dimension, layer, rule, request, subject))
}

pub(super) fn allow_fails_in(
    dimension: Dimension,
    layer: &Layer,
    rule: &CompiledRule,
    request: &Request<'_>,
    subject: Subject,
) -> Option<Reason> {
    let (fails, reason) = match dimension {
        Dimension::Scheme => {
            (request.scheme.is_some_and(|scheme| !rule.matches_scheme(scheme)), Reason::SchemeNotAllowed)
        }
        Dimension::Port => {
            (request.port.is_some_and(|port| !rule.matches_port(port, request.scheme)), Reason::PortNotAllowed)
        }
        Dimension::Method => {
            (request.method.is_some_and(|method| !rule.matches_method(method)), Reason::MethodNotAllowed)
        }
        Dimension::Path => match (rule.paths(), request.path) {
            (Some(_), Some(path)) if is_ambiguous(path) => (true, Reason::AmbiguousPath),
            (Some(paths), Some(path)) => (!paths.matches(path), Reason::PathNotAllowed),
            _ => (false, Reason::PathNotAllowed),
        },
        Dimension::Address => {
            // A rule's networks have already opened a literal; its hosts open what `addresses` says.
            let closed = request.address().is_some_and(|ip| subject == Subject::Host && !rule.addresses.open(ip));
            (closed, Reason::AddressNotAllowed)
        }
        Dimension::Boundary => {
            let differs = rule.addresses.boundary.is_some_and(|wanted| {
                layer.boundary(request.host, request.peer, request.via).is_some_and(|boundary| boundary != wanted)
            });
            (differs, Reason::BoundaryNotAllowed)
        }
        Dimension::Network => (subject == Subject::Address, Reason::IpLiteralNotAllowed),
    };
    fails.then_some(reason)
}

/// The reasons of [`allow_fails`], in the order in which it tests.
const PROGRESS: &[Reason] = &[
    Reason::SchemeNotAllowed,
    Reason::PortNotAllowed,
    Reason::MethodNotAllowed,
    Reason::PathNotAllowed,
    Reason::AmbiguousPath,
    Reason::AddressNotAllowed,
    Reason::BoundaryNotAllowed,
];

/// Of two ways to fail, the one that went further.
pub(super) fn closer(known: Option<Reason>, other: Reason) -> Option<Reason> {
    let progress = |reason: Reason| PROGRESS.iter().position(|step| *step == reason);
    known.filter(|known| progress(*known) >= progress(other)).or(Some(other))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    Ambiguous,
}

/// Whether a deny rule matches. What is not known does not match, with one exception: a connection to an address that
/// is denied, by its network or by its side of the boundary, is denied whatever the rule says about methods and paths,
/// because nothing is checked against the address again once the connection stands.
pub(super) fn deny_matches(layer: &Layer, rule: &CompiledRule, request: &Request<'_>, subject: Subject) -> Match {
    let mut ambiguous = false;
    for dimension in Dimension::ALL {
        match deny_matches_in(dimension, layer, rule, request, subject) {
            Match::Yes => {}
            Match::No => return Match::No,
            Match::Ambiguous => ambiguous = true,
        }
    }
    if ambiguous { Match::Ambiguous } else { Match::Yes }
}

pub(super) fn deny_matches_in(
    dimension: Dimension,
    layer: &Layer,
    rule: &CompiledRule,
    request: &Request<'_>,
    subject: Subject,
) -> Match {
    let by_address = || {
        subject != Subject::Host
            || rule.addresses.boundary.is_some() && layer.boundary(request.host, None, request.via).is_none()
    };
    let matches = match dimension {
        Dimension::Scheme => {
            rule.conditions.schemes.is_none() || request.scheme.is_some_and(|scheme| rule.matches_scheme(scheme))
        }
        Dimension::Port => {
            rule.conditions.ports.is_none() || request.port.is_some_and(|port| rule.matches_port(port, request.scheme))
        }
        Dimension::Method => match request.method {
            Some(method) => rule.matches_method(method),
            None => rule.conditions.methods.is_none() || by_address(),
        },
        Dimension::Path => match (rule.paths(), request.path) {
            (None, _) => true,
            (Some(_), Some(path)) if is_ambiguous(path) => return Match::Ambiguous,
            (Some(paths), Some(path)) => paths.matches(path),
            (Some(_), None) => by_address(),
        },
        Dimension::Address | Dimension::Network => true,
        Dimension::Boundary => rule
            .addresses
            .boundary
            .is_none_or(|wanted| layer.boundary(request.host, request.peer, request.via) == Some(wanted)),
    };
    if matches { Match::Yes } else { Match::No }
}
