//! TLS for servers on loopback: a certificate for any names, and a front for a server that speaks plain HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Takes TLS connections under a service's names and passes on what they carry, gone when it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    port: u16,
    ca: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Listens on any port of 127.0.0.1, before an HTTP/1.1 server on loopback.
    ///
    /// # Panics
    ///
    /// When there is no port, or the server is not on loopback.
    pub async fn start(names: &[&str], server: SocketAddr) -> Self {
        assert!(server.ip().is_loopback(), "only loopback is ever dialled");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("127.0.0.1 can be listened on");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (acceptor, ca) = certificate(names, &["http/1.1"]);
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(acceptor.clone(), stream, server, Arc::clone(&log)));
            }
        });
        Self { port, ca, seen, task }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate to trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The names that clients asked for in their TLS handshakes, one for each connection.
    ///
    /// # Panics
    ///
    /// Never, unless another caller panicked before.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr, log: Arc<Mutex<Vec<String>>>) {
    let Ok(mut client) = acceptor.accept(stream).await else { return };
    let name = client.get_ref().1.server_name().unwrap_or_default().to_owned();
    log.lock().unwrap().push(name);
    if let Ok(mut server) = TcpStream::connect(server).await {
        // Whoever goes away first, it is no fault.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

/// A certificate for these names that is its own authority, and its key, in PEM; for a server that is a program.
///
/// # Panics
///
/// When one of the names is none.
#[must_use]
pub fn certificate_in_pem(names: &[&str]) -> (String, String) {
    let issued = issue(names);
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}

fn issue(names: &[&str]) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    rcgen::generate_simple_self_signed(names).expect("a certificate")
}

/// A certificate that is its own authority, ready to be shown, and in PEM.
pub(crate) fn certificate(names: &[&str], protocols: &[&str]) -> (TlsAcceptor, String) {
    let issued = issue(names);
    let key = PrivateKeyDer::Pkcs8(issued.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .expect("a key that fits");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), issued.cert.pem())
}
