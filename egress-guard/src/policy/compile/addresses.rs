//! What the names of a rule may resolve to.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::Boundary;
use super::super::draft::{BorrowedRule, BorrowedText, Text};
use super::super::rule::{Addresses, Effect, RuleId};
use super::super::value::parse_network;
use super::Compiler;

impl Compiler {
    pub(super) fn addresses(&mut self, effect: Effect, id: &RuleId, draft: &BorrowedRule<'_>) -> Arc<Addresses> {
        let texts = draft.addresses.as_deref();
        let offset = texts.and_then(|texts| texts.first()).and_then(|text| text.offset).or(draft.offset);
        if texts.is_some() && effect == Effect::Deny {
            self.fault(
                offset,
                format!("deny rule `{id}` states `addresses`"),
                "write networks, as in networks = [\"10.20.0.0/16\"]; they deny every name that resolves into them",
            );
        }
        if texts.is_some() && draft.hosts.is_none() && !draft.any_host {
            self.fault(
                offset,
                format!("rule `{id}` states `addresses` but lists no hosts"),
                "remove it: `addresses` says what names may resolve to, and `networks` already lists addresses",
            );
        }
        if texts.is_some_and(<[_]>::is_empty) && !draft.unread {
            self.empty(id, draft, "addresses");
        }
        if let (None, None, Some(usual)) = (texts, &draft.boundary, &self.usual_addresses) {
            return Arc::clone(usual);
        }
        let public = [Text::from(Cow::Borrowed("public"))];
        let stated = texts.unwrap_or(&public);
        let mut written: Vec<String> = stated.iter().map(|text| text.text.clone().into_owned()).collect();
        written.sort_unstable();
        written.dedup();
        // A boundary, too, says which connections the rule may use.
        let key = (written, self.boundary(draft.boundary.as_ref()));
        // Even where they are known: each rule's faults have a place of their own.
        let parsed = self.parse_addresses(stated);
        let (written, boundary) = (key.0.clone(), key.1);
        let make = || Arc::new(Addresses { texts: written, boundary, ..parsed });
        let shared = Arc::clone(self.addresses.entry(key).or_insert_with(make));
        if texts.is_none() && draft.boundary.is_none() {
            self.usual_addresses = Some(Arc::clone(&shared));
        }
        shared
    }

    fn parse_addresses(&mut self, texts: &[BorrowedText<'_>]) -> Addresses {
        let mut addresses = Addresses::default();
        let mut networks = Vec::new();
        for Text { text, offset } in texts {
            match &**text {
                "public" => addresses.public = true,
                "private" => addresses.private = true,
                "internal" if self.internal_networks.is_empty() => {
                    if !self.internal_is_faulty {
                        self.fault(
                            *offset,
                            "addresses = [\"internal\"] opens nothing: [internal] lists no networks",
                            "list them, as in [internal] networks = [\"10.0.0.0/8\"]",
                        );
                    }
                }
                "internal" => networks.extend_from_slice(&self.internal_networks),
                other => match parse_network(other) {
                    Ok(network) => networks.push(network),
                    Err((problem, cure))
                        if other.contains(['/', ':']) || other.starts_with(|c: char| c.is_ascii_digit()) =>
                    {
                        self.fault(*offset, problem, cure);
                    }
                    Err(_) => self.fault(
                        *offset,
                        format!("{other:?} is no kind of address"),
                        "write \"public\", \"private\", \"internal\" or a network such as \"10.20.0.0/16\"",
                    ),
                },
            }
        }
        addresses.networks = networks.into_iter().collect();
        addresses
    }

    fn boundary(&mut self, text: Option<&BorrowedText<'_>>) -> Option<Boundary> {
        let Text { text, offset } = text?;
        match &**text {
            "internal" if self.internal.is_empty() => {
                if !self.internal_is_faulty {
                    self.fault(
                        *offset,
                        "boundary \"internal\" can never match: [internal] lists nothing",
                        "list what is yours, as in [internal] hosts = [\".corp.example.com\"]",
                    );
                }
                None
            }
            "internal" => Some(Boundary::Internal),
            "external" => Some(Boundary::External),
            other => {
                let cure = "write \"internal\" or \"external\", or remove it for both";
                self.fault(*offset, format!("boundary {other:?} is unknown"), cure);
                None
            }
        }
    }
}
