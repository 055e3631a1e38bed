//! A proxy that records what it is asked, and forwards within this machine if it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
        Self::start(ip, false).await
    }

    /// The same, and whatever host it is asked for, it forwards to 127.0.0.1 and the port that it is asked for.
    ///
    /// # Panics
    ///
    /// As [`listen`](Self::listen).
    pub async fn forwarding(ip: &str) -> Self {
        Self::start(ip, true).await
    }

    async fn start(ip: &str, forwards: bool) -> Self {
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
                let head = String::from_utf8_lossy(&first[..length]).into_owned();
                log.lock().unwrap().push(head.clone());
                if forwards {
                    tokio::spawn(forward(stream, head));
                    continue;
                }
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

/// A head is small enough to come in one piece.
async fn forward(mut client: TcpStream, head: String) -> Option<()> {
    let mut words = head.split(' ');
    let (method, asked) = (words.next()?, words.next()?);
    let authority = asked.strip_prefix("http://").unwrap_or(asked).split('/').next()?;
    let port: u16 = authority.rsplit_once(':')?.1.parse().ok()?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    } else {
        server.write_all(head.as_bytes()).await.ok()?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
