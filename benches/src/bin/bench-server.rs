//! The server that clients are measured against: HTTP/1.1 on a loopback address, in a process of its own, on one thread.
//!
//! It prints its port, and ends when its standard input does.

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// An answer as an API gives one.
const ANSWER: &[u8] = br#"{"id":"42","state":"shipped","items":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}]}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let answer = service_fn(|_: Request<Incoming>| async {
        let response = Response::new(Full::new(ANSWER));
        Ok::<_, Infallible>(response)
    });
    // A client that goes away is no fault.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}
