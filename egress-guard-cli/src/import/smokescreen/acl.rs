//! The ACL as Smokescreen reads it: what Smokescreen would refuse is a fault, and all faults come at once.

use std::net::IpAddr;

use super::super::draft::{Fault, excerpt};
use super::super::yaml::{Entry, Node};

#[derive(Default)]
pub(super) struct Acl<'n> {
    line: usize,
    services: Vec<Service<'n>>,
    pub(super) allow: Vec<Glob<'n>>,
    pub(super) deny: Vec<Glob<'n>>,
    /// Keys of the whole that mean nothing.
    pub(super) ignored: Vec<Fault>,
}

pub(super) struct Service<'n> {
    pub(super) name: &'n str,
    pub(super) project: Option<(usize, &'n str)>,
    pub(super) action: (usize, &'n str),
    pub(super) domains: Vec<Glob<'n>>,
    /// Keys and values that have no place in a policy.
    pub(super) ignored: Vec<Fault>,
}

/// `example.com`, `*.example.com` or an IP address, in normal form: Smokescreen takes no other.
#[derive(Clone, Copy)]
pub(super) struct Glob<'n> {
    pub(super) line: usize,
    pub(super) text: &'n str,
}

impl<'n> Acl<'n> {
    pub(super) fn read(root: &'n Node) -> Result<Self, Vec<Fault>> {
        let mut acl = Self { line: root.line, ..Self::default() };
        let mut faults = Vec::new();
        let read = acl.read_entries(root, &mut faults);
        faults.extend(read.err());
        if faults.is_empty() { Ok(acl) } else { Err(faults) }
    }

    fn read_entries(&mut self, root: &'n Node, faults: &mut Vec<Fault>) -> Result<(), Fault> {
        let mut version = None;
        let mut has_services = false;
        for entry @ Entry { line, key, node } in root.entries("the ACL")? {
            match key.as_str() {
                "version" => version = Some(node.text("`version`")?),
                "services" => {
                    has_services = true;
                    for item in node.items("`services`")? {
                        let service = Service::read(item, faults)?;
                        if self.services.iter().any(|other| other.name == service.name) {
                            let problem = format!("two services have the name `{}`", excerpt(service.name));
                            faults.push(Fault::new(item.line, problem, "keep one of the two"));
                        }
                        self.services.push(service);
                    }
                    self.line = *line;
                }
                // It is for services that the file does not list; what is wrong with it is a fault all the same.
                "default" => {
                    Service::read(node, faults)?;
                }
                "global_allow_list" => self.allow = Glob::read_list(node, "`global_allow_list`", faults)?,
                "global_deny_list" => self.deny = Glob::read_list(node, "`global_deny_list`", faults)?,
                _ => self.ignored.push(ignored(entry)),
            }
        }
        if version != Some("v1") {
            faults.push(Fault::new(root.line, "the ACL is not of version v1", "write version: v1 as its first line"));
        }
        if !has_services {
            faults.push(Fault::new(root.line, "the ACL has no `services`", "list them, each with name and action"));
        }
        Ok(())
    }

    /// The service of a name; without one, the only service.
    pub(super) fn service(&self, name: Option<&str>) -> Result<&Service<'n>, Fault> {
        let found = match (name, self.services.as_slice()) {
            (Some(name), services) => services.iter().find(|service| service.name == name),
            (None, [service]) => Some(service),
            (None, _) => None,
        };
        found.ok_or_else(|| {
            let problem = match name {
                Some(name) => format!("there is no service `{}`", excerpt(name)),
                None => format!("there are {} services, and a function is one", self.services.len()),
            };
            let names: Vec<&str> = self.services.iter().map(|service| service.name).collect();
            Fault::new(self.line, problem, format!("choose one with --service: {}", names.join(", ")))
        })
    }
}

impl<'n> Service<'n> {
    fn read(node: &'n Node, faults: &mut Vec<Fault>) -> Result<Self, Fault> {
        let mut service =
            Self { name: "", project: None, action: (node.line, ""), domains: Vec::new(), ignored: Vec::new() };
        let mut mitm = Vec::new();
        for entry @ Entry { line, key, node } in node.entries("a service")? {
            match key.as_str() {
                "name" => service.name = node.text("`name`")?,
                "project" => service.project = Some((*line, node.text("`project`")?)),
                "action" => service.action = (*line, node.text("`action`")?),
                "allowed_domains" => service.domains = Glob::read_list(node, "`allowed_domains`", faults)?,
                "mitm_domains" => mitm = intercepted(node)?,
                "allowed_external_proxies" => {
                    let proxies = Glob::read_list(node, "`allowed_external_proxies`", faults)?;
                    service.ignored.extend(proxies.iter().map(|Glob { line, text }| {
                        let cure = "remove it: a guarded client uses no proxy";
                        Fault::new(*line, format!("the proxy `{}` does not carry over", excerpt(text)), cure)
                    }));
                }
                _ => service.ignored.push(ignored(entry)),
            }
        }
        let (line, action) = service.action;
        if !["enforce", "report", "open"].contains(&action) {
            let problem = format!("service `{}` has the unknown action `{}`", excerpt(service.name), excerpt(action));
            faults.push(Fault::new(line, problem, "write enforce, report or open"));
        }
        for (line, domain) in mitm {
            if service.domains.iter().all(|listed| listed.text != domain) {
                let problem = format!("`{}` is in mitm_domains but not in allowed_domains", excerpt(domain));
                faults.push(Fault::new(line, problem, "list it in both"));
            }
            let problem = format!("the headers and logs of `{}` in mitm_domains do not carry over", excerpt(domain));
            let cure = "set the headers in the function; audit lines have method, host and path";
            service.ignored.push(Fault::new(line, problem, cure));
        }
        Ok(service)
    }
}

fn intercepted(node: &Node) -> Result<Vec<(usize, &str)>, Fault> {
    node.items("`mitm_domains`")?
        .iter()
        .map(|item| match item.get("domain") {
            Some(domain) => Ok((domain.line, domain.text("`domain`")?)),
            None => Err(Fault::new(item.line, "an item of mitm_domains has no `domain`", "name one")),
        })
        .collect()
}

fn ignored(entry: &Entry) -> Fault {
    let problem = format!("`{}` is no key that Smokescreen reads", excerpt(&entry.key));
    Fault::new(entry.line, problem, "mend its spelling, or remove it")
}

impl<'n> Glob<'n> {
    fn read_list(node: &'n Node, what: &str, faults: &mut Vec<Fault>) -> Result<Vec<Self>, Fault> {
        let texts = node.texts(what)?;
        let globs: Vec<Self> = texts.into_iter().map(|(line, text)| Self { line, text }).collect();
        faults.extend(globs.iter().filter_map(Self::fault));
        Ok(globs)
    }

    /// Why Smokescreen would not start with this.
    fn fault(&self) -> Option<Fault> {
        let name = self.name();
        let normal = name.parse::<IpAddr>().map_or_else(|_| name.to_ascii_lowercase(), |ip| ip.to_string());
        let is_name = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        let (problem, cure) = if name.is_empty() || name == "*" {
            ("matches everything or nothing", "write a name, as in \"*.example.com\"".to_owned())
        } else if name.contains('*') {
            ("has a `*` that is not a whole first label", "write \"*.example.com\" or the name itself".to_owned())
        } else if normal != name {
            ("is not in normal form", format!("write \"{}{normal}\"", if self.is_wild() { "*." } else { "" }))
        } else if name.parse::<IpAddr>().is_err() && !name.chars().all(is_name) {
            ("is no name in ASCII", "write the host alone, a name beyond ASCII in its xn-- form".to_owned())
        } else {
            return None;
        };
        let problem = format!("Smokescreen refuses `{}`: it {problem}", excerpt(self.text));
        Some(Fault::new(self.line, problem, cure))
    }
}

impl Glob<'_> {
    fn is_wild(&self) -> bool {
        self.text.starts_with("*.")
    }

    /// Without the `*.` and the last dot, which Smokescreen does not compare.
    fn name(&self) -> &str {
        let name = self.text.strip_prefix("*.").unwrap_or(self.text);
        name.strip_suffix('.').unwrap_or(name)
    }

    pub(super) fn covers(&self, other: &Glob<'_>) -> bool {
        let below = || other.name().strip_suffix(self.name()).is_some_and(|rest| rest.ends_with('.'));
        match (self.is_wild(), other.is_wild()) {
            (false, wild) => !wild && self.name() == other.name(),
            (true, false) => below(),
            (true, true) => self.name() == other.name() || below(),
        }
    }

    /// Two globs have names in common only if one has all names of the other.
    pub(super) fn overlaps(&self, other: &Glob<'_>) -> bool {
        self.covers(other) || other.covers(self)
    }
}
