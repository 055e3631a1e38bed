//! Allow rules that open more than they should have to.

use std::net::IpAddr;

use egress_guard::AddressClass;
use egress_guard::draft::{HostPattern, PolicyDraft, RuleDraft, Text};
use ipnet::IpNet;

use super::super::code::Code;
use super::super::finding::{Finding, name, place, texts};
use super::super::ports::{self, Ports};

pub(super) fn check(draft: &PolicyDraft) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &draft.allow {
        let networks = || texts(&rule.networks).iter().chain(texts(&rule.addresses));
        findings.extend(any_host(rule));
        findings.extend(any_method_any_path(rule));
        findings.extend(plain_http(rule));
        findings.extend(wide_ports(rule));
        findings.extend(networks().filter_map(|text| wide_network(rule, text)));
        findings.extend(networks().filter_map(|text| metadata(rule, text)));
    }
    findings.extend(internal(draft));
    findings
}

fn any_host(rule: &RuleDraft) -> Option<Finding> {
    rule.any_host.then(|| {
        let problem = format!("rule `{}` allows every host", name(rule));
        Finding::in_rule(
            Code::AnyHost,
            rule,
            place(rule),
            problem,
            "list the hosts, as in hosts = [\"api.example.com\"]",
        )
    })
}

/// One warning a rule, at the first host or network that is many.
fn any_method_any_path(rule: &RuleDraft) -> Option<Finding> {
    if rule.methods.is_some() || rule.paths.is_some() {
        return None;
    }
    // The `*` in the name of an interface endpoint is of Amazon's choice.
    let is_endpoint = |host: &Text| rule.origin(host).is_some_and(|(key, _)| key == "services");
    let is_wildcard = |host: &&Text| {
        host.text.parse::<HostPattern>().is_ok_and(|pattern| pattern.is_wildcard()) && !is_endpoint(host)
    };
    let is_many = |network: &&Text| network.text.parse().is_ok_and(|network| !is_single(network));
    let first = texts(&rule.hosts).iter().find(is_wildcard).or_else(|| texts(&rule.networks).iter().find(is_many))?;
    let problem = format!("rule `{}` allows any method and any path, wherever `{}` leads", name(rule), first.text);
    let cure = "state what is needed, as in methods = [\"GET\"] or paths = [\"/v1/**\"]";
    Some(Finding::in_rule(Code::AnyMethodAnyPath, rule, first.offset, problem, cure))
}

fn plain_http(rule: &RuleDraft) -> Option<Finding> {
    let name = name(rule);
    if stays_on_this_machine(rule) {
        return None;
    }
    if let Some(http) = texts(&rule.schemes).iter().find(|scheme| scheme.text == "http") {
        let problem = format!("rule `{name}` allows plain http, which anyone on the way can read and change");
        return Some(Finding::in_rule(Code::PlainHttp, rule, http.offset, problem, "write schemes = [\"https\"]"));
    }
    let port = texts(&rule.ports).iter().find(|port| port.text == "80")?;
    let problem = format!("rule `{name}` allows port 80, which speaks plain http, for https alone");
    let cure = "remove the port, or write the one that https is served on";
    Some(Finding::in_rule(Code::PlainHttp, rule, port.offset, problem, cure))
}

/// Whether a rule is about this machine alone, as for a Lambda extension: what never leaves it needs no encryption.
fn stays_on_this_machine(rule: &RuleDraft) -> bool {
    let is_loopback = |text: &Text| text.text.parse().is_ok_and(is_loopback);
    let is_localhost = |text: &Text| text.text == "localhost" || text.text.ends_with(".localhost");
    !rule.any_host && texts(&rule.hosts).iter().all(is_localhost) && texts(&rule.networks).iter().all(is_loopback)
}

/// As many ports as no service needs.
const MANY_PORTS: usize = 1024;

fn wide_ports(rule: &RuleDraft) -> Option<Finding> {
    let listed = texts(&rule.ports);
    let count = Ports::of(listed.iter().filter_map(|text| ports::parse(&text.text))).count();
    let length = |text: &&Text| ports::parse(&text.text).map_or(0, |range| range.len());
    let widest = listed.iter().max_by_key(length).filter(|_| count > MANY_PORTS)?;
    let problem = format!("rule `{}` allows {count} ports", name(rule));
    Some(Finding::in_rule(Code::WidePorts, rule, widest.offset, problem, "list the ports that are meant"))
}

fn wide_network(rule: &RuleDraft, text: &Text) -> Option<Finding> {
    let network: IpNet = text.text.parse().ok()?;
    (is_wide(network, 16, 32) && !is_loopback(network)).then(|| {
        let problem = format!("rule `{}` opens the network {network}{}", name(rule), how_many(network));
        let cure = "write the networks that are meant, as in \"10.20.0.0/16\"";
        Finding::in_rule(Code::WideNetwork, rule, text.offset, problem, cure)
    })
}

fn metadata(rule: &RuleDraft, text: &Text) -> Option<Finding> {
    let address = metadata_address(text)?;
    let problem =
        format!("rule `{}` opens {address}, a cloud's metadata service, which hands out credentials", name(rule));
    Some(Finding::in_rule(Code::Metadata, rule, text.offset, problem, "remove it: a function has no use for it"))
}

/// `[internal]` opens its networks to rules with `addresses = ["internal"]`, and may be as wide as private networks are.
fn internal(draft: &PolicyDraft) -> impl Iterator<Item = Finding> {
    let is_opened = draft.allow.iter().flat_map(|rule| texts(&rule.addresses)).any(|text| text.text == "internal");
    draft.internal_networks.iter().filter_map(move |text| {
        let network: IpNet = text.text.parse().ok()?;
        if is_wide(network, 8, 7) {
            let problem = format!("the network {network} is internal{}", how_many(network));
            return Some(Finding::new(Code::WideNetwork, text.offset, problem, "write the networks that you own"));
        }
        let address = metadata_address(text).filter(|_| is_opened)?;
        let problem =
            format!("{address} is internal, and so opened: a cloud's metadata service, which hands out credentials");
        Some(Finding::new(Code::Metadata, text.offset, problem, "remove it: a function has no use for it"))
    })
}

/// A metadata service is opened by nothing but a network of its own.
fn metadata_address(text: &Text) -> Option<IpAddr> {
    let network: IpNet = text.text.parse().ok()?;
    let address = network.addr();
    (is_single(network) && AddressClass::of(address) == AddressClass::CloudMetadata).then_some(address)
}

fn is_single(network: IpNet) -> bool {
    network.prefix_len() == network.max_prefix_len()
}

/// Whether nothing in it is beyond this machine.
fn is_loopback(network: IpNet) -> bool {
    network.network().is_loopback() && network.broadcast().is_loopback()
}

fn is_wide(network: IpNet, length_v4: u8, length_v6: u8) -> bool {
    network.prefix_len() < if network.addr().is_ipv4() { length_v4 } else { length_v6 }
}

fn how_many(network: IpNet) -> String {
    match (network.prefix_len(), network) {
        (0, _) => ", which is every public address".to_owned(),
        (length, IpNet::V4(_)) => format!(", {} addresses", 1_u64 << (32 - length)),
        (_, IpNet::V6(_)) => String::new(),
    }
}
