//! The resolver: which names are looked up, and which of their addresses may be dialled.

use std::net::SocketAddr;
use std::sync::Arc;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use tower_service::Service;

use super::super::BoxError;
use super::connector::Connecting;
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::Host;
use crate::guard::{Guard, Stage};

/// Looks up only names that some rule allows, and hands on only addresses that the rule opens. What is handed on is
/// what is dialled, so an answer that changes between check and use (DNS rebinding) changes nothing.
pub(super) struct GuardedResolver {
    guard: Guard,
    inner: Arc<dyn Resolve>,
}

impl GuardedResolver {
    pub(super) fn new(guard: Guard, inner: Arc<dyn Resolve>) -> Self {
        Self { guard, inner }
    }

    fn begin(&self, name: &Name) -> Result<Host, Denied> {
        let host = Host::parse(name.as_str()).map_err(|error| self.guard.refuse_unread(Stage::Name, &error))?;
        self.guard.judge(Stage::Name, &Request::name(&host), None, false)?;
        // A look-up that no guarded connection asked for comes from a connector that the guard does not see.
        if Connecting::note_name(&host) {
            Ok(host)
        } else {
            Err(self.guard.refuse(Stage::Name, &Request::name(&host), Reason::UnsupportedVersion))
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match self.begin(&name) {
            Ok(host) => host,
            Err(denied) => return Box::pin(async { Err(denied.into()) }),
        };
        let answer = self.inner.resolve(name);
        let guard = self.guard.clone();
        Box::pin(async move {
            let mut allowed = Vec::new();
            let mut first_denied = None;
            for address in answer.await? {
                let request = Request::name(&host).peer(address.ip());
                match guard.judge(Stage::Name, &request, None, false) {
                    // Port 0 stands for the URL's port; another would be dialled in its place.
                    Ok(()) => allowed.push(SocketAddr::new(address.ip(), 0)),
                    Err(denied) => {
                        first_denied.get_or_insert(denied);
                    }
                }
            }
            match first_denied {
                Some(denied) if allowed.is_empty() => Err(denied.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// The system's resolver, `getaddrinfo` on a thread of its own, as reqwest uses it by default.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().parse().map_err(BoxError::from)?;
            let addresses = GaiResolver::new().call(name).await?;
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
