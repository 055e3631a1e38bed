//! The Lambda layer: every audit line names the invocation it belongs to, and an invocation has limits of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, SystemTime};

use lambda_runtime::{BoxFuture, Diagnostic, LambdaEvent, LambdaInvocation, SnapStartResource};
use tower_layer::Layer;
use tower_service::Service;

use crate::audit::{Context, InInvocation, Invocation, Ledger, Limits, OnlyInvocation, bounded};
use crate::denied::Denied;
use crate::guard::Guard;

impl Guard {
    /// A layer for [`lambda_runtime::Runtime::layer`] that puts the request id, the function's name, version and ARN,
    /// and the X-Ray trace id into every audit line written during an invocation, and sums the invocation up in a line
    /// of its own.
    ///
    /// It serves `run` and `run_concurrent` alike. For tasks that the handler spawns, and for streaming response
    /// bodies, which the runtime polls in a task of its own, see
    /// [`in_current_invocation`](crate::in_current_invocation).
    ///
    /// A denial is an error of the client that asked, and nothing else, unless [`fail_invocation`] or
    /// [`Guard::quarantining`] say so.
    ///
    /// ```no_run
    /// use egress_guard::{Guard, JsonLines, Policy};
    /// use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
    /// use serde_json::Value;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let guard = Guard::new(Policy::from_file("/opt/egress-guard/policy.toml")?, JsonLines::stdout());
    /// let handler = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
    /// Runtime::new(handler).layer(guard.lambda_layer().max_requests(100)).run().await
    /// # }
    /// ```
    ///
    /// [`fail_invocation`]: LambdaLayer::fail_invocation
    pub fn lambda_layer(&self) -> LambdaLayer {
        // With more than one invocation at a time, the process cannot tell which one a bare task belongs to.
        let concurrency = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").ok();
        let one_at_a_time = concurrency.is_none_or(|limit| matches!(limit.trim(), "" | "0" | "1"));
        LambdaLayer { guard: self.clone(), limits: Limits::default(), reserve: None, one_at_a_time }
    }
}

/// Layer that applies [`LambdaService`]; made by [`Guard::lambda_layer`].
///
/// Several may be given to one runtime and its handler, this one and that of [`fail_invocation`](Self::fail_invocation):
/// the limits of each hold, and the outermost sums up.
///
/// Its limits hold for each invocation by itself, and for what is known to belong to it: requests of a bare
/// `tokio::spawn` do not with `run_concurrent`. They count whole requests, so those of the ordinary clients
/// (`Guard::reqwest`), which nobody sees, they do not; each redirect and each retry of the AWS SDK counts as one.
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is given to a runtime"]
pub struct LambdaLayer {
    guard: Guard,
    limits: Limits,
    /// How much of the invocation's time is kept free at its end.
    reserve: Option<Duration>,
    one_at_a_time: bool,
}

impl LambdaLayer {
    /// Denies what exceeds so many requests, with the reason `request-limit`.
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.limits.requests = Some(requests);
        self
    }

    /// Denies what exceeds so many bytes in the bodies of requests, with the reason `byte-limit`; a body whose length is
    /// not known beforehand does.
    pub fn max_bytes_sent(mut self, bytes: u64) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// Begins no request, and no connection, in the last moments of an invocation, with the reason `deadline-near`:
    /// Lambda would end the process before it could be told what became of it.
    ///
    /// A deadline that is more than a day away, ahead or past, is an emulator's and not taken seriously.
    pub fn keep_free_before_deadline(mut self, time: Duration) -> Self {
        self.reserve = Some(time);
        self
    }

    /// Makes an invocation fail if something was denied in it, even if the handler takes no notice: its error is the
    /// first denial.
    ///
    /// What comes back is a layer for the handler instead of the runtime, because by the time that the runtime's layers
    /// hear of it the response has been sent.
    ///
    /// ```no_run
    /// # use egress_guard::{Guard, JsonLines, Policy};
    /// # use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
    /// # use serde_json::Value;
    /// use tower_layer::Layer;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
    /// let handler = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
    /// Runtime::new(guard.lambda_layer().fail_invocation().layer(handler)).run().await
    /// # }
    /// ```
    pub fn fail_invocation(self) -> FailingLambdaLayer {
        FailingLambdaLayer(self)
    }

    fn begin(&self, context: &lambda_runtime::Context) -> Running {
        let limits = Limits { until: self.until(context.deadline(), SystemTime::now()), ..self.limits };
        let around = match Context::current() {
            Context::Task(around) if *around.request_id == *bounded(&context.request_id, IDENTITY) => Some(around),
            _ => None,
        };
        let is_outermost = around.is_none();
        let invocation = Arc::new(identify(context, Ledger::new(limits, around)));
        let only = self.one_at_a_time.then(|| OnlyInvocation::begin(Arc::clone(&invocation)));
        Running { guard: self.guard.clone(), invocation, is_outermost, _only: only }
    }

    fn until(&self, deadline: SystemTime, now: SystemTime) -> Option<SystemTime> {
        let reserve = self.reserve?;
        let credible = |distance: &Duration| *distance <= Duration::from_secs(86_400);
        match deadline.duration_since(now) {
            // Where less is left than is to be kept free, nothing may begin.
            Ok(left) => Some(left).filter(credible).map(|left| now + left.saturating_sub(reserve)),
            Err(over) => Some(over.duration()).filter(credible).map(|_| now),
        }
    }
}

impl<S> Layer<S> for LambdaLayer {
    type Service = LambdaService<S>;

    fn layer(&self, inner: S) -> LambdaService<S> {
        LambdaService { inner, layer: self.clone() }
    }
}

/// Middleware that carries the invocation's identity through the handler.
#[derive(Clone, Debug)]
pub struct LambdaService<S> {
    inner: S,
    layer: LambdaLayer,
}

impl<S> Service<LambdaInvocation> for LambdaService<S>
where
    S: Service<LambdaInvocation>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LambdaFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: LambdaInvocation) -> LambdaFuture<S::Future> {
        let running = self.layer.begin(&call.context);
        running.carry(|| self.inner.call(call))
    }
}

/// Layer that makes an invocation fail after a denial; made by [`LambdaLayer::fail_invocation`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is given a handler"]
pub struct FailingLambdaLayer(LambdaLayer);

impl<S> Layer<S> for FailingLambdaLayer {
    type Service = FailingLambdaService<S>;

    fn layer(&self, inner: S) -> FailingLambdaService<S> {
        FailingLambdaService { inner, layer: self.0.clone() }
    }
}

/// Middleware that makes an invocation fail after a denial.
#[derive(Clone, Debug)]
pub struct FailingLambdaService<S> {
    inner: S,
    layer: LambdaLayer,
}

impl<S, T> Service<LambdaEvent<T>> for FailingLambdaService<S>
where
    S: Service<LambdaEvent<T>>,
    S::Error: From<Denied>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FailingLambdaFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, event: LambdaEvent<T>) -> FailingLambdaFuture<S::Future> {
        let running = self.layer.begin(&event.context);
        FailingLambdaFuture { inner: running.carry(|| self.inner.call(event)) }
    }
}

/// So that a handler may return a denial as its error: the platform then counts it under `egress_guard::Denied`.
impl From<Denied> for Diagnostic {
    fn from(denied: Denied) -> Self {
        Self { error_type: "egress_guard::Denied".to_owned(), error_message: denied.to_string() }
    }
}

/// So that a handler may return the client's error as its own.
#[cfg(feature = "reqwest")]
impl From<super::ClientError> for Diagnostic {
    fn from(error: super::ClientError) -> Self {
        let error_type = if error.denied().is_some() { "egress_guard::Denied" } else { "egress_guard::ClientError" };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

/// How many bytes each part of an invocation's identity takes in a line: the runtime takes these as they come.
const IDENTITY: usize = 192;

fn identify(context: &lambda_runtime::Context, ledger: Ledger) -> Invocation {
    let bounded = |text: &str| Box::from(bounded(text, IDENTITY));
    Invocation {
        request_id: bounded(&context.request_id),
        function_name: bounded(&context.env_config.function_name),
        function_version: bounded(&context.env_config.version),
        function_arn: bounded(&context.invoked_function_arn),
        xray_trace_id: context.xray_trace_id.as_deref().map(bounded),
        ledger,
    }
}

/// An invocation that is summed up as it ends, however it does.
#[derive(Debug)]
struct Running {
    guard: Guard,
    invocation: Arc<Invocation>,
    /// Of several layers one sums up.
    is_outermost: bool,
    _only: Option<OnlyInvocation>,
}

impl Running {
    fn carry<F: Future>(self, call: impl FnOnce() -> F) -> LambdaFuture<F> {
        let context = Context::Task(Arc::clone(&self.invocation));
        // A handler may do its work before it returns a future.
        let future = context.enter(call);
        LambdaFuture { inner: context.carry(future), running: self }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_outermost {
            self.guard.record_summary(&self.invocation);
        }
    }
}

pin_project_lite::pin_project! {
    /// Response future of [`LambdaService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LambdaFuture<F> {
        // In this order: what the future still holds is over before the invocation is summed up.
        #[pin]
        inner: InInvocation<F>,
        running: Running,
    }
}

impl<F: Future> Future for LambdaFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(context)
    }
}

pin_project_lite::pin_project! {
    /// Response future of [`FailingLambdaService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct FailingLambdaFuture<F> {
        #[pin]
        inner: LambdaFuture<F>,
    }
}

impl<F, T, E> Future for FailingLambdaFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: From<Denied>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Result<T, E>> {
        let mut inner = self.project().inner;
        let ended = task::ready!(inner.as_mut().poll(context));
        let denied = inner.running.invocation.ledger.first_denial();
        Poll::Ready(match (ended, denied) {
            (Ok(_), Some(denied)) => Err(denied.clone().into()),
            (ended, _) => ended,
        })
    }
}

/// Registered with [`lambda_runtime::Runtime::register_snapstart_resource`], the guard begins anew in each environment
/// that is restored from a snapshot: with its own `environment_id`, with lines and requests numbered from 1, and with a
/// posture line.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use egress_guard::{Guard, JsonLines, Policy};
/// # use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
/// # use serde_json::Value;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let guard = Guard::new(Policy::from_env()?, JsonLines::stdout());
/// # let handler = service_fn(|event: LambdaEvent<Value>| async move { Ok::<_, Error>(event.payload) });
/// Runtime::new(handler)
///     .layer(guard.lambda_layer())
///     .register_snapstart_resource(Arc::new(guard.clone()))
///     .run()
///     .await
/// # }
/// ```
impl SnapStartResource for Guard {
    /// Fails in quarantine: everything that is restored would begin in it, and the snapshot must not be made.
    fn before_snapshot(&self) -> BoxFuture<'_, Result<(), lambda_runtime::Error>> {
        let quarantined = self.policy().is_quarantined();
        Box::pin(async move {
            if quarantined {
                Err("egress was denied during initialisation, and is in quarantine".into())
            } else {
                Ok(())
            }
        })
    }

    fn after_restore(&self) -> BoxFuture<'_, Result<(), lambda_runtime::Error>> {
        self.begin_environment();
        Box::pin(async { Ok(()) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{MemorySink, Policy};

    #[test]
    fn a_deadline_counts_where_it_can_be_true() {
        let guard = Guard::new(Policy::builder("p").build().unwrap(), MemorySink::new());
        let layer = guard.lambda_layer().keep_free_before_deadline(Duration::from_secs(2));
        let now = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let seconds = Duration::from_secs;
        for (name, deadline, expected) in [
            ("usual", now + seconds(30), Some(now + seconds(28))),
            ("less than is kept free", now + seconds(1), Some(now)),
            ("just over", now - seconds(1), Some(now)),
            ("in 1970, as cargo lambda has it", UNIX_EPOCH + seconds(600), None),
            ("years ahead", now + seconds(1_000_000_000), None),
        ] {
            assert_eq!(layer.until(deadline, now), expected, "{name}");
        }
        assert_eq!(guard.lambda_layer().until(now + seconds(30), now), None, "nothing is kept free unasked");
    }
}
