//! What a layer lacks to allow a request: proposed, and then tried out, so that nothing is said that would not help.

use std::iter;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;

use super::MissingAddresses;
use crate::decision::matching::allow_fails;
use crate::decision::{LayerAnswer, Reason, Request};
use crate::destination::{Host, Scheme};
use crate::policy::draft::{RuleDraft, Text};
use crate::policy::{AddressClass, Addresses, Layer, RuleId, Subject, path_pattern_for, with_allow_rule};

impl Layer {
    /// The rule to add, where adding one is what helps.
    pub(super) fn missing_rule(&self, reason: Reason, request: &Request<'_>, now: SystemTime) -> Option<String> {
        let is_curable = match reason {
            Reason::HostNotAllowed
            | Reason::IpLiteralNotAllowed
            | Reason::SchemeNotAllowed
            | Reason::PortNotAllowed
            | Reason::MethodNotAllowed
            | Reason::PathNotAllowed
            | Reason::BoundaryNotAllowed => true,
            // Of a literal: another rule matches it as one of any host.
            Reason::AddressNotAllowed => matches!(request.host, Host::Ip(_)),
            _ => false,
        };
        if !is_curable || goes_to_metadata(request) {
            return None;
        }
        let draft = self.smallest_rule(request)?;
        let text = in_toml(&draft);
        let layer = with_allow_rule(self, draft).ok()?;
        layer.allows_at_every_stage(request, now).then_some(text)
    }

    /// The change of `addresses`, where that is what helps.
    pub(super) fn missing_addresses(
        &self,
        reason: Reason,
        request: &Request<'_>,
        now: SystemTime,
    ) -> Option<MissingAddresses> {
        let ip = request.peer.filter(|_| matches!(request.host, Host::Name(_)))?;
        if reason != Reason::AddressNotAllowed || goes_to_metadata(request) {
            return None;
        }
        let network = IpNet::from(ip.to_canonical());
        let before_the_address = Request { peer: None, ..*request };
        let sharing = self.rules_sharing_connections(request);
        let closest = sharing.iter().filter_map(|number| self.rules.get(*number as usize));
        let mut closest = closest.filter(|rule| allow_fails(self, rule, &before_the_address, Subject::Host).is_none());
        closest.find_map(|closest| {
            let mut opened = Addresses::clone(&closest.addresses);
            opened.texts.push(network.to_string());
            opened.networks = opened.networks.iter().map(|(known, ())| known).chain([network]).collect();
            let (layer, rules) = self.with_addresses(&sharing, &closest.addresses, &Arc::new(opened));
            let helps = layer.allows_at_every_stage(request, now);
            let addresses = closest.addresses.texts.iter().cloned().chain([network.to_string()]).collect();
            helps.then_some(MissingAddresses { rules, addresses })
        })
    }

    /// The layer with other addresses for some of its rules, and which these are.
    fn with_addresses(&self, numbers: &[u32], old: &Arc<Addresses>, new: &Arc<Addresses>) -> (Self, Vec<RuleId>) {
        let (mut layer, mut changed) = (self.clone(), Vec::new());
        for number in numbers {
            if let Some(rule) = layer.rules.get_mut(*number as usize).filter(|rule| Arc::ptr_eq(&rule.addresses, old)) {
                rule.addresses = Arc::clone(new);
                changed.push(rule.id.clone());
            }
        }
        (layer, changed)
    }

    fn allows_at_every_stage(&self, request: &Request<'_>, now: SystemTime) -> bool {
        request.stages().all(|stage| matches!(self.answer(&stage, now), LayerAnswer::Allow(_)))
    }

    /// A rule for this request alone, where one can be written.
    fn smallest_rule(&self, request: &Request<'_>) -> Option<RuleDraft> {
        let text = |text: String| vec![Text::from(text)];
        let mut rule = RuleDraft::default();
        rule.id = Some(Text::from(self.free_id(request.host)));
        match request.host {
            Host::Name(name) => rule.hosts = Some(text(name.as_str().to_owned())),
            Host::Ip(ip) => rule.networks = Some(text(IpNet::from(ip.to_canonical()).to_string())),
        }
        let port = request.port.filter(|port| request.scheme.map(Scheme::default_port) != Some(*port));
        rule.ports = port.map(|port| text(port.to_string()));
        let scheme = request.scheme.filter(|scheme| *scheme != Scheme::Https);
        rule.schemes = scheme.map(|scheme| text(scheme.to_string()));
        rule.methods = request.method.map(|method| text(method.to_string()));
        if let Some(path) = request.path {
            // Without a pattern the rule would allow every path.
            rule.paths = Some(text(path_pattern_for(path)?));
        }
        if let Host::Name(_) = request.host {
            // Rules that share connections must open the same addresses; if these do not, no further rule helps.
            let shared = self.rules_sharing_connections(request);
            let shared = shared.first().and_then(|number| self.rules.get(*number as usize)).map(|rule| &rule.addresses);
            match (shared, request.peer) {
                (Some(addresses), _) => {
                    if addresses.texts != ["public"] {
                        rule.addresses = Some(addresses.texts.iter().cloned().map(Text::from).collect());
                    }
                    rule.boundary = addresses.boundary.map(|side| Text::from(side.as_str().to_owned()));
                }
                (None, Some(peer)) if AddressClass::of(peer) != AddressClass::Public => {
                    rule.addresses = Some(text(IpNet::from(peer.to_canonical()).to_string()));
                }
                (None, _) => {}
            }
        }
        Some(rule)
    }

    /// The rules whose connections the request might travel over, whatever address they lead to.
    fn rules_sharing_connections(&self, request: &Request<'_>) -> Vec<u32> {
        let mut sharing = Vec::new();
        let anywhere = Request { peer: None, ..*request };
        self.visit_candidates(request.host, None, |number, rule, subject| {
            if self.shares_connections(rule, &anywhere, subject) {
                sharing.push(number);
            }
        });
        sharing.sort_unstable();
        sharing.dedup();
        sharing
    }

    /// An id for a rule about a host that no rule has yet.
    fn free_id(&self, host: &Host) -> String {
        let name: String = host.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        // Room for a number within the 64 characters of an id.
        let name = name.get(..56).unwrap_or(&name).trim_matches('-');
        let name = if name.is_empty() { "host" } else { name };
        let is_free = |id: &String| self.rules.iter().all(|rule| rule.id.as_str() != id);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }
}

/// A metadata service hands out credentials, and opening it is never the answer.
fn goes_to_metadata(request: &Request<'_>) -> bool {
    request.address().map(AddressClass::of) == Some(AddressClass::CloudMetadata)
}

/// The rule as a policy's owner would write it. Whatever is in it has been read, and holds no character that TOML
/// writes in another way than Rust.
fn in_toml(rule: &RuleDraft) -> String {
    let mut text = "[[allow]]\n".to_owned();
    let one = |key: &str, value: &Option<Text>| value.as_ref().map(|value| format!("{key} = {:?}\n", value.text));
    let list = |key: &str, values: &Option<Vec<Text>>| {
        let quoted = |value: &Text| if key == "ports" { value.text.clone() } else { format!("{:?}", value.text) };
        values
            .as_ref()
            .map(|values| format!("{key} = [{}]\n", values.iter().map(quoted).collect::<Vec<_>>().join(", ")))
    };
    text.extend(
        [
            one("id", &rule.id),
            list("hosts", &rule.hosts),
            list("networks", &rule.networks),
            list("ports", &rule.ports),
            list("schemes", &rule.schemes),
            list("methods", &rule.methods),
            list("paths", &rule.paths),
            list("addresses", &rule.addresses),
            one("boundary", &rule.boundary),
        ]
        .into_iter()
        .flatten(),
    );
    text
}
