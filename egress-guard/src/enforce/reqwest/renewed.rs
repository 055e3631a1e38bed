//! A client that is made again when the policy is replaced.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::HeaderName;

use super::error::ClientError;
use crate::guard::Guard;
use crate::policy::Policy;

/// A reqwest client, and the names of the default headers that its builder carried.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) http: ::reqwest::Client,
    pub(super) builder_headers: Vec<HeaderName>,
}

pub(super) type MakeAgain = Box<dyn Fn() -> Result<Made, ClientError> + Send + Sync>;

/// A reqwest client keeps its connections for itself; to give them up, another one takes its place.
pub(super) struct Renewed {
    current: ArcSwap<(Arc<Policy>, Arc<Made>)>,
    again: Option<MakeAgain>,
}

impl Renewed {
    pub(super) fn new(under: Arc<Policy>, first: Made, again: Option<MakeAgain>) -> Self {
        Self { current: ArcSwap::from_pointee((under, Arc::new(first))), again }
    }

    /// The client as it is, for building requests.
    pub(super) fn current(&self) -> Arc<Made> {
        Arc::clone(&self.current.load().1)
    }

    /// The client for the policy in force.
    pub(super) fn under_policy_of(&self, guard: &Guard) -> Result<Arc<Made>, ClientError> {
        let current = self.current.load();
        let Some(again) = &self.again else { return Ok(Arc::clone(&current.1)) };
        let in_force = guard.in_force();
        if Arc::ptr_eq(&current.0, &in_force) {
            return Ok(Arc::clone(&current.1));
        }
        let made = Arc::new(again()?);
        self.current.store(Arc::new((in_force, Arc::clone(&made))));
        Ok(made)
    }
}
