//! A proxy that forwards nothing and records that it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Takes connections as an HTTP or SOCKS proxy would, and records the first bytes of each.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on any port of a loopback address.
    ///
    /// # Panics
    ///
    /// When the address cannot be listened on.
    pub async fn listen(ip: &str) -> Self {
        let ip: std::net::IpAddr = ip.parse().expect("an IP address");
        assert!(ip.is_loopback(), "only loopback is ever listened on");
        let listener = TcpListener::bind((ip, 0)).await.expect("a loopback address can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut first = [0; 1024];
                let length = stream.read(&mut first).await.unwrap_or(0);
                log.lock().unwrap().push(String::from_utf8_lossy(&first[..length]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        Self { address, seen, task }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients said first, one text for each connection.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
