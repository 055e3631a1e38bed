//! The Lambda layer: every audit line names the invocation it belongs to.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use lambda_runtime::{Diagnostic, LambdaInvocation};
use tower_layer::Layer;
use tower_service::Service;

use crate::audit::{Context, InInvocation, Invocation, OnlyInvocation};
use crate::denied::{Denied, shortened};
use crate::guard::Guard;

impl Guard {
    /// A layer for [`lambda_runtime::Runtime::layer`] that puts the request id, the function's name, version and ARN,
    /// and the X-Ray trace id into every audit line written during an invocation.
    ///
    /// It serves `run` and `run_concurrent` alike. For tasks that the handler spawns, and for streaming response
    /// bodies, which the runtime polls in a task of its own, see
    /// [`in_current_invocation`](crate::in_current_invocation).
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
    /// Runtime::new(handler).layer(guard.lambda_layer()).run().await
    /// # }
    /// ```
    #[must_use]
    pub fn lambda_layer(&self) -> LambdaLayer {
        // With more than one invocation at a time, the process cannot tell which one a bare task belongs to.
        let concurrency = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").ok();
        let one_at_a_time = concurrency.is_none_or(|limit| matches!(limit.trim(), "" | "0" | "1"));
        LambdaLayer { one_at_a_time }
    }
}

/// Layer that applies [`LambdaService`]; made by [`Guard::lambda_layer`].
#[derive(Clone, Debug)]
pub struct LambdaLayer {
    one_at_a_time: bool,
}

impl<S> Layer<S> for LambdaLayer {
    type Service = LambdaService<S>;

    fn layer(&self, inner: S) -> LambdaService<S> {
        LambdaService { inner, one_at_a_time: self.one_at_a_time }
    }
}

/// Middleware that carries the invocation's identity through the handler.
#[derive(Clone, Debug)]
pub struct LambdaService<S> {
    inner: S,
    one_at_a_time: bool,
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
        let invocation = Arc::new(identify(&call.context));
        let only = self.one_at_a_time.then(|| OnlyInvocation::begin(Arc::clone(&invocation)));
        let context = Context::Task(invocation);
        // A handler may do its work before it returns a future.
        let future = context.enter(|| self.inner.call(call));
        LambdaFuture { inner: context.carry(future), _only: only }
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

fn identify(context: &lambda_runtime::Context) -> Invocation {
    // Bounded, so that a line is: the runtime takes these as they come.
    let bounded = |text: &str| Box::from(shortened(text, 192));
    Invocation {
        request_id: bounded(&context.request_id),
        function_name: bounded(&context.env_config.function_name),
        function_version: bounded(&context.env_config.version),
        function_arn: bounded(&context.invoked_function_arn),
        xray_trace_id: context.xray_trace_id.as_deref().map(bounded),
    }
}

pin_project_lite::pin_project! {
    /// Response future of [`LambdaService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LambdaFuture<F> {
        #[pin]
        inner: InInvocation<F>,
        _only: Option<OnlyInvocation>,
    }
}

impl<F: Future> Future for LambdaFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(context)
    }
}
