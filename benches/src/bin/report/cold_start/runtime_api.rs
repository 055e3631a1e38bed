//! Lambda's Runtime API for one invocation of each process, and the server that the function asks: both note when
//! they hear of it.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// What a function does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It asks for an invocation.
    Ready,
    /// The request it was invoked for arrives.
    Requested,
    /// It answers the invocation.
    Answered,
    /// It asks for another one, and gets none.
    Waiting,
}

#[derive(Debug)]
pub(super) struct RuntimeApi {
    pub(super) port: u16,
    events: Receiver<(Event, Result<Instant, String>)>,
}

impl RuntimeApi {
    pub(super) fn start() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        let (sender, events) = channel();
        let state = State { port, events: sender, is_invoked: Arc::default() };
        std::thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, state.clone()));
                }
            });
        });
        Ok(Self { port, events })
    }

    /// The environment that Lambda gives a function.
    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        [
            ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", self.port)),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream".to_owned()),
        ]
    }

    /// When it happened. Anything else is a fault.
    pub(super) fn wait_for(&self, wanted: Event) -> Result<Instant, Failure> {
        match self.events.recv_timeout(Duration::from_secs(10)) {
            Ok((event, Ok(at))) if event == wanted => Ok(at),
            other => Err(format!("{other:?} where {wanted:?} was expected").into()),
        }
    }
}

#[derive(Clone)]
struct State {
    port: u16,
    events: Sender<(Event, Result<Instant, String>)>,
    is_invoked: Arc<AtomicBool>,
}

async fn serve(stream: TcpStream, state: State) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, state.clone()));
    // A function that is ended is no fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: State) -> Result<Response<Full<Bytes>>, Infallible> {
    let now = Instant::now();
    let tell = |event, at| drop(state.events.send((event, at)));
    let path = request.uri().path().to_owned();
    let Some(rest) = path.strip_prefix("/2018-06-01/runtime/invocation/") else {
        tell(Event::Requested, Ok(now));
        return Ok(Response::new(Full::from("shipped")));
    };
    if rest == "next" {
        if state.is_invoked.fetch_not(Ordering::Relaxed) {
            tell(Event::Waiting, Ok(now));
            return std::future::pending().await;
        }
        tell(Event::Ready, Ok(now));
        return Ok(invocation(state.port));
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let at = if rest.ends_with("/response") { Ok(now) } else { Err(String::from_utf8_lossy(&body).into_owned()) };
    tell(Event::Answered, at);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

fn invocation(port: u16) -> Response<Full<Bytes>> {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + Duration::from_secs(30);
    let event = serde_json::json!({ "url": format!("http://localhost:{port}/v1/items/42?expand=all") });
    let response = Response::builder()
        .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:bench")
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1")
        .body(Full::from(event.to_string()));
    response.unwrap_or_default()
}
