//! The Lambda Runtime API, as much of it as a function needs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

/// One invocation to hand out.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request id.
    pub request_id: String,
    /// The event.
    pub event: Value,
}

/// What a function answered to an invocation.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Its response.
    Response(Value),
    /// The error that it reported.
    Error(Value),
}

/// A server of the Runtime API (version 2018-06-01) on 127.0.0.1, gone when it is dropped.
///
/// Events wait in a queue; any number of workers may ask for the next one, as concurrent functions do.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Mutex<VecDeque<(Invocation, oneshot::Sender<Answer>)>>,
    running: Mutex<Vec<(String, oneshot::Sender<Answer>)>>,
    arrived: Notify,
    polls: AtomicUsize,
}

impl RuntimeApi {
    /// The function's ARN, as each invocation has it.
    pub const ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:orders";

    /// Listens on any port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("127.0.0.1 can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, state, task }
    }

    /// The environment that Lambda gives a function to find this.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", self.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "orders".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/orders".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream".to_owned()),
        ]
    }

    /// How often a function asked for an invocation.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.state.polls.load(Ordering::Relaxed)
    }

    /// Hands an event to the function and waits for its answer, or until `patience` is over.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    pub async fn invoke(&self, request_id: &str, event: Value, patience: Duration) -> Option<Answer> {
        let (sender, receiver) = oneshot::channel();
        let invocation = Invocation { request_id: request_id.to_owned(), event };
        self.state.waiting.lock().unwrap().push_back((invocation, sender));
        self.state.arrived.notify_one();
        tokio::time::timeout(patience, receiver).await.ok()?.ok()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn next(&self) -> Invocation {
        loop {
            let arrived = self.arrived.notified();
            if let Some((invocation, sender)) = self.waiting.lock().unwrap().pop_front() {
                self.running.lock().unwrap().push((invocation.request_id.clone(), sender));
                // Another worker may wait for another event.
                self.arrived.notify_one();
                return invocation;
            }
            arrived.await;
        }
    }

    fn finish(&self, request_id: &str, answer: Answer) {
        let mut running = self.running.lock().unwrap();
        if let Some(at) = running.iter().position(|(id, _)| id == request_id) {
            let _ = running.swap_remove(at).1.send(answer);
        }
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    // A snapshot is restored as soon as it is taken.
    if path == "/2018-06-01/runtime/restore/next" {
        return Ok(plain(StatusCode::OK));
    }
    let Some(rest) = path.strip_prefix("/2018-06-01/runtime/invocation/") else {
        return Ok(plain(StatusCode::NOT_FOUND));
    };
    if request.method() == Method::GET && rest == "next" {
        state.polls.fetch_add(1, Ordering::Relaxed);
        let Invocation { request_id, event } = state.next().await;
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(30);
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", request_id)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", RuntimeApi::ARN)
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1")
            .body(Full::new(event.to_string().into()));
        return Ok(response.expect("a response"));
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| text());
    match rest.rsplit_once('/') {
        Some((request_id, "response")) => state.finish(request_id, Answer::Response(value)),
        Some((request_id, "error")) => state.finish(request_id, Answer::Error(value)),
        _ => return Ok(plain(StatusCode::NOT_FOUND)),
    }
    Ok(plain(StatusCode::ACCEPTED))
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
