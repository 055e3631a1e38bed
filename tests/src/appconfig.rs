//! The HTTP API of the AWS AppConfig Lambda extension, as much of it as a reader of configurations needs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The extension on 127.0.0.1, gone when it is dropped.
#[derive(Debug)]
pub struct AppConfigExtension {
    port: u16,
    answers: Answers,
    task: tokio::task::JoinHandle<()>,
}

/// What is answered at a path.
type Answers = Arc<Mutex<HashMap<String, (StatusCode, Bytes)>>>;

impl AppConfigExtension {
    /// Listens on any port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("127.0.0.1 can be listened on");
        let port = listener.local_addr().expect("a listener has an address").port();
        let answers = Answers::default();
        let shared = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answers = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&answers), request));
                tokio::spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, answers, task }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Deploys a configuration of the application `orders` in the environment `test`.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    pub fn deploy(&self, configuration: &str, text: impl Into<Bytes>) {
        self.put(configuration, StatusCode::OK, text.into());
    }

    /// Answers with an error from now on.
    ///
    /// # Panics
    ///
    /// As [`deploy`](Self::deploy).
    pub fn fail(&self, configuration: &str, status: StatusCode) {
        self.put(configuration, status, "{\"Message\":\"as asked\"}".into());
    }

    fn put(&self, configuration: &str, status: StatusCode, body: Bytes) {
        let path = format!("/applications/orders/environments/test/configurations/{configuration}");
        self.answers.lock().unwrap().insert(path, (status, body));
    }
}

impl Drop for AppConfigExtension {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(answers: Answers, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = answers.lock().unwrap().get(request.uri().path()).cloned();
    let (status, body) = known.unwrap_or((StatusCode::NOT_FOUND, Bytes::new()));
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}
