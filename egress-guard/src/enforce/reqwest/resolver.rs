//! The resolver: which names are looked up, and which of their addresses may be dialled.

use std::net::SocketAddr;
use std::sync::Arc;

use ::reqwest::dns::{Addrs, Name, Resolve, Resolving};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use tower_service::Service;

use super::super::{BoxError, absolute};
use super::connector::Connecting;
use crate::decision::{Reason, Request};
use crate::denied::Denied;
use crate::destination::Host;
use crate::guard::{At, Guard, REQWEST, Stage};

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

    /// What is looked up, and for which connection.
    fn begin(&self, name: &Name) -> Result<(Host, Connecting), Denied> {
        let host: Host =
            name.as_str().parse().map_err(|error| self.guard.refuse_unread(At(REQWEST, Stage::Name), &error))?;
        // A look-up that no guarded connection asked for comes from a connector that the guard does not see.
        let Some(connecting) = Connecting::current() else {
            return Err(self.guard.refuse(At(REQWEST, Stage::Name), &Request::name(&host), Reason::UnsupportedVersion));
        };
        let request = connecting.request(&host, self.guard.in_force().proxy());
        self.guard.judge(At(REQWEST, Stage::Name), &request, None, false)?;
        connecting.note_name(&host);
        Ok((host, connecting))
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, connecting) = match self.begin(&name) {
            Ok(begun) => begun,
            Err(denied) => return Box::pin(async { Err(denied.into()) }),
        };
        let answer = self.inner.resolve(absolute(name, &host));
        let guard = self.guard.clone();
        Box::pin(async move {
            let answer = answer.await?.map(|address| address.ip());
            let at = At(REQWEST, Stage::Name);
            let request = connecting.request(&host, guard.in_force().proxy());
            let allowed = guard.allowed_addresses(at, &request, answer)?;
            // Port 0 stands for the URL's port; another would be dialled in its place.
            Ok(Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
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
