//! An HTTP server that records what it sees.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::tls::certificate;

/// A request as a server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The request target as it was sent.
    pub target: String,
    /// The version.
    pub version: Version,
    /// The name that the client asked for in the TLS handshake.
    pub sni: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Seen {
    /// A header's value, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An HTTP/1.1 and HTTP/2 server on a loopback address, gone when it is dropped.
///
/// | path | answer |
/// |---|---|
/// | `/redirect/STATUS?LOCATION` | that redirect |
/// | `/slow` | after five seconds |
/// | `/bytes?N` | N bytes |
/// | `/endless` | one byte every ten milliseconds |
/// | `/broken` | a response that breaks off |
/// | any other | `200`, and the server's name |
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    address: Option<SocketAddr>,
    ca: Option<String>,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answer: Mutex<Option<Box<Answer>>>,
}

type Answer = dyn FnMut(&Seen) -> Option<Response<Bytes>> + Send;

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on any port of a loopback address.
    ///
    /// # Panics
    ///
    /// When the address is not a loopback address or cannot be listened on.
    pub async fn http(name: &'static str, ip: &str) -> Self {
        Self::listen(name, ip, None).await
    }

    /// The same with TLS, for the given names, by a certificate that is its own authority; see [`Server::ca`].
    ///
    /// # Panics
    ///
    /// As [`Server::http`].
    pub async fn https(name: &'static str, ip: &str, names: &[&str]) -> Self {
        Self::listen(name, ip, Some(names)).await
    }

    async fn listen(name: &'static str, ip: &str, tls: Option<&[&str]>) -> Self {
        let ip: std::net::IpAddr = ip.parse().expect("an IP address");
        assert!(ip.is_loopback(), "only loopback is ever listened on");
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address can be listened on");
        let address = listener.local_addr().ok();
        let (acceptor, ca) = tls.map(|names| certificate(names, &["h2", "http/1.1"])).unzip();
        let shared = Arc::<Shared>::default();
        let log = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, acceptor): (_, Option<TlsAcceptor>) = (Arc::clone(&log), acceptor.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    match acceptor {
                        None => serve(name, log, None, stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let sni = stream.get_ref().1.server_name().map(str::to_owned);
                                serve(name, log, sni, stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { name, address, ca, shared, task }
    }

    /// Listens on a unix socket.
    ///
    /// # Panics
    ///
    /// When the path cannot be listened on.
    #[must_use]
    pub fn unix(name: &'static str, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the path can be listened on");
        let shared = Arc::<Shared>::default();
        let log = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(name, Arc::clone(&log), None, stream));
            }
        });
        Self { name, address: None, ca: None, shared, task }
    }

    /// Answers with what this says, where it says something.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    #[must_use]
    pub fn answering(self, answer: impl FnMut(&Seen) -> Option<Response<Bytes>> + Send + 'static) -> Self {
        *self.shared.answer.lock().unwrap() = Some(Box::new(answer));
        self
    }

    /// The address; a unix socket has none.
    ///
    /// # Panics
    ///
    /// For a unix socket.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a server with an address")
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// The certificate to trust, in PEM.
    ///
    /// # Panics
    ///
    /// For a server without TLS.
    #[must_use]
    pub fn ca(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_pem(self.ca_pem().as_bytes()).expect("a certificate")
    }

    /// The same as text.
    ///
    /// # Panics
    ///
    /// For a server without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.as_ref().expect("a server with TLS")
    }

    /// A TLS configuration for hyper clients that trusts this server alone.
    ///
    /// # Panics
    ///
    /// For a server without TLS.
    #[must_use]
    pub fn trusting(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        let pem = self.ca_pem().as_bytes();
        let certificate = rustls::pki_types::CertificateDer::from_pem_slice(pem).expect("a certificate");
        roots.add(certificate).expect("a certificate that can be trusted");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        config.expect("TLS 1.2 and 1.3").with_root_certificates(roots).with_no_client_auth()
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it saw so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve<S>(name: &'static str, shared: Arc<Shared>, sni: Option<String>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(name, Arc::clone(&shared), sni.clone(), request));
    // A client that goes away is no fault.
    let _ =
        auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn answer(
    name: &'static str,
    shared: Arc<Shared>,
    sni: Option<String>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let switches = request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE);
    let upgrade = switches.then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let seen = Seen {
        method: head.method.clone(),
        target: head.uri.to_string(),
        version: head.version,
        sni,
        headers: head.headers,
        body: Bytes::new(),
    };
    // Recorded before the body is read: a request that breaks off has been seen all the same.
    let at = {
        let mut log = shared.seen.lock().unwrap();
        log.push(seen);
        log.len() - 1
    };
    if let Some(upgrade) = upgrade {
        tokio::spawn(echo(upgrade));
        let status = if head.method == Method::CONNECT { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
        return Ok(respond(status, &[("connection", "upgrade"), ("upgrade", "websocket")], Bytes::new()));
    }
    if let Ok(body) = body.collect().await {
        shared.seen.lock().unwrap()[at].body = body.to_bytes();
    }
    let seen = shared.seen.lock().unwrap()[at].clone();
    if let Some(answer) = shared.answer.lock().unwrap().as_mut().and_then(|answer| answer(&seen)) {
        return Ok(answer.map(whole));
    }
    if let Some(status) = path.strip_prefix("/redirect/") {
        let status = status.parse().expect("a status");
        return Ok(respond(status, &[("location", &query)], Bytes::new()));
    }
    Ok(match path.as_str() {
        "/slow" => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            respond(StatusCode::OK, &[], name.into())
        }
        "/bytes" => respond(StatusCode::OK, &[], vec![b'x'; query.parse().expect("a number")].into()),
        "/endless" => Response::new(frames(usize::MAX, false)),
        "/broken" => Response::new(frames(3, true)),
        _ => respond(StatusCode::OK, &[], name.into()),
    })
}

fn respond(status: StatusCode, headers: &[(&str, &str)], body: Bytes) -> Response<Body> {
    let response = headers
        .iter()
        .fold(Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(whole(body)).expect("a response")
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A byte every ten milliseconds, and then the end or a failure.
fn frames(count: usize, breaks: bool) -> Body {
    let frames = futures_util::stream::unfold(0, move |sent| async move {
        if sent < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok(Frame::data(Bytes::from_static(b"x"))), sent + 1))
        } else {
            breaks.then(|| (Err(std::io::Error::other("broken off")), usize::MAX))
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

async fn echo(upgrade: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut stream = TokioIo::new(upgraded);
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
