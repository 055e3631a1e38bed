//! Which Lambda invocation a request belongs to.

#[cfg(feature = "lambda")]
use std::sync::Arc;

use super::ledger::Ledger;

/// One invocation: its identity, as audit lines carry it, and its account.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: Box<str>,
    pub(crate) function_name: Box<str>,
    pub(crate) function_version: Box<str>,
    pub(crate) function_arn: Box<str>,
    pub(crate) xray_trace_id: Option<Box<str>>,
    pub(crate) ledger: Ledger,
}

/// The invocation that some code runs in, and how that is known.
#[derive(Clone, Debug)]
pub(crate) enum Context {
    /// The task carries it.
    #[cfg(feature = "lambda")]
    Task(Arc<Invocation>),
    /// The task does not, but the process handles one invocation at a time and this is the one.
    #[cfg(feature = "lambda")]
    Process(Arc<Invocation>),
    /// There is none, or it cannot be told which.
    Unknown,
}

impl Context {
    pub(crate) fn invocation(&self) -> Option<&Invocation> {
        match self {
            #[cfg(feature = "lambda")]
            Self::Task(invocation) | Self::Process(invocation) => Some(invocation),
            Self::Unknown => None,
        }
    }

    pub(crate) const fn source(&self) -> &'static str {
        match self {
            #[cfg(feature = "lambda")]
            Self::Task(_) => "task",
            #[cfg(feature = "lambda")]
            Self::Process(_) => "process",
            Self::Unknown => "none",
        }
    }
}

#[cfg(not(feature = "lambda"))]
impl Context {
    pub(crate) fn current() -> Self {
        Self::Unknown
    }
}

/// Runs what no invocation is to be charged with.
#[cfg(feature = "hyper-util")]
pub(crate) fn outside_of_invocations<R>(call: impl FnOnce() -> R) -> R {
    #[cfg(feature = "lambda")]
    return Context::Unknown.enter(call);
    #[cfg(not(feature = "lambda"))]
    call()
}

#[cfg(feature = "lambda")]
pub use carried::{InInvocation, in_current_invocation};

#[cfg(feature = "lambda")]
mod carried {
    use std::fmt;
    use std::pin::Pin;
    use std::sync::{PoisonError, RwLock};
    use std::task::Poll;

    use tokio::task::futures::TaskLocalFuture;

    use super::{Arc, Context, Invocation};

    tokio::task_local! {
        /// Absent in what was begun outside of an invocation.
        static CARRIED: Option<Context>;
    }

    /// The one invocation of a process that handles one at a time.
    static ONLY: RwLock<Option<Arc<Invocation>>> = RwLock::new(None);

    impl Context {
        pub(crate) fn current() -> Self {
            CARRIED.try_with(Option::clone).ok().flatten().unwrap_or_else(|| {
                let only = ONLY.read().unwrap_or_else(PoisonError::into_inner);
                only.as_ref().map_or(Self::Unknown, |invocation| Self::Process(Arc::clone(invocation)))
            })
        }

        /// Runs `call` with this context, for what a service does before it returns its future.
        pub(crate) fn enter<R>(&self, call: impl FnOnce() -> R) -> R {
            CARRIED.sync_scope(Some(self.clone()), call)
        }

        pub(crate) fn carry<F: Future>(self, future: F) -> InInvocation<F> {
            // What begins outside of an invocation may run in one later.
            let carried = Some(self).filter(|context| context.invocation().is_some());
            InInvocation { inner: CARRIED.scope(carried, future) }
        }
    }

    /// Makes an invocation the process's only one for as long as this lives.
    #[derive(Debug)]
    pub(crate) struct OnlyInvocation {
        invocation: Arc<Invocation>,
        before: Option<Arc<Invocation>>,
    }

    impl OnlyInvocation {
        pub(crate) fn begin(invocation: Arc<Invocation>) -> Self {
            let before = ONLY.write().unwrap_or_else(PoisonError::into_inner).replace(Arc::clone(&invocation));
            Self { invocation, before }
        }
    }

    impl Drop for OnlyInvocation {
        fn drop(&mut self) {
            let mut only = ONLY.write().unwrap_or_else(PoisonError::into_inner);
            if only.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.invocation)) {
                // A layer around this one's may have begun the same invocation.
                let is_same = |before: &Arc<Invocation>| before.request_id == self.invocation.request_id;
                *only = self.before.take().filter(is_same);
            }
        }
    }

    /// Carries the invocation that the caller runs in along with a future, for a task of its own.
    ///
    /// Audit lines name the invocation by the task they are written in, and a task does not inherit it. In a process
    /// that handles one invocation at a time a line from a bare `tokio::spawn` still finds it, marked
    /// `"context_source":"process"`; with `run_concurrent` it carries no `requestId` at all. Wrapped in this function
    /// it always does.
    ///
    /// The invocation is taken when this is called, not when the future is first polled.
    ///
    /// ```
    /// use egress_guard::in_current_invocation;
    ///
    /// # async fn handler(http: reqwest::Client) -> Result<(), tokio::task::JoinError> {
    /// let call = tokio::spawn(in_current_invocation(async move {
    ///     http.get("https://api.example.com/").send().await
    /// }));
    /// # call.await?; Ok(())
    /// # }
    /// ```
    pub fn in_current_invocation<F: Future>(future: F) -> InInvocation<F> {
        Context::current().carry(future)
    }

    pin_project_lite::pin_project! {
        /// Future of [`in_current_invocation`].
        #[must_use = "futures do nothing unless polled"]
        pub struct InInvocation<F> {
            #[pin]
            inner: TaskLocalFuture<Option<Context>, F>,
        }
    }

    impl<F: Future> Future for InInvocation<F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<F::Output> {
            self.project().inner.poll(context)
        }
    }

    impl<F> fmt::Debug for InInvocation<F> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("InInvocation").finish_non_exhaustive()
        }
    }
}

#[cfg(feature = "lambda")]
pub(crate) use carried::OnlyInvocation;
