//! The bridge to `tracing`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::io;
use std::sync::{Arc, Mutex};

use egress_guard::{ClientOptions, Guard, Policy, TracingSink};
use egress_guard_tests::Names;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_record_is_an_event_with_its_fields() {
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(written.clone()).finish();
    let _current = ::tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let guard = Guard::new(Policy::builder("orders").build().unwrap(), TracingSink::new());
    // Even a broken guard would find no such name.
    let options = ClientOptions::from(reqwest::Client::builder()).resolver(Names::new());
    let http = guard.client(options).unwrap();
    http.get("https://not-listed.test/path?key=S3CRET").send().await.unwrap_err();

    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("egress_guard: egress policy `orders` in force"), "{text}");
    assert!(lines[1].contains("WARN egress_guard: egress denied by policy `orders`"), "{text}");
    for field in ["reason=\"host-not-allowed\"", "host=not-listed.test", "port=443", "method=\"GET\"", "path=\"/path\""]
    {
        assert!(lines[1].contains(field), "{field}: {text}");
    }
    assert!(!text.contains("S3CRET"), "{text}");
}
