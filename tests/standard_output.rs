//! Standard output that is closed, full, slow or not blocking: what has no line is not sent, and no line is torn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use egress_guard_tests::{Server, ValidatedAudit};

/// The requester, and what it says on standard error. Killed when it is dropped.
struct Requester {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Requester {
    fn start(server: &Server, output: impl Into<Stdio>) -> Self {
        Self::start_by(&mut Command::new(REQUESTER), server, output)
    }

    fn start_by(command: &mut Command, server: &Server, output: impl Into<Stdio>) -> Self {
        let command = command.env("PORT", server.port().to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::piped()).spawn().unwrap();
        // What it still has of the output would keep a pipe open.
        command.stdout(Stdio::null());
        let said = BufReader::new(child.stderr.take().unwrap());
        Self { child, said }
    }

    /// Lets it make a request, and gives what it says of it.
    fn request(&mut self) -> String {
        self.make_requests(1);
        let mut said = String::new();
        self.said.read_line(&mut said).unwrap();
        said
    }

    fn make_requests(&mut self, count: usize) {
        self.child.stdin.as_mut().unwrap().write_all(&vec![b'\n'; count]).unwrap();
    }

    /// Lets it end, and gives what else it has said.
    fn end(mut self) -> (ExitStatus, String) {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.said.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const REQUESTER: &str = env!("CARGO_BIN_EXE_requester");

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_lost_in_standard_output_is_not_sent() {
    let closed = || {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$0" >&-"#, REQUESTER]);
        shell
    };
    let plain = || Command::new(REQUESTER);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let lost = "standard output is closed or /dev/null, where audit lines would be lost; leave it open, or give the guard \
                another sink (audit-failed)";
    let cases: [(&str, Command, Stdio, &str); 5] = [
        ("closed", closed(), Stdio::null(), lost),
        ("the null device", plain(), Stdio::null(), lost),
        ("the null device, as a shell opens it", plain(), File::create("/dev/null").unwrap().into(), lost),
        ("a full disk", plain(), full.into(), "No space left on device (os error 28) (audit-failed)"),
        ("a pipe that nobody reads any more", plain(), writer.into(), "Broken pipe (os error 32) (audit-failed)"),
    ];
    for (name, mut command, output, expected) in cases {
        let server = Server::http("server", "127.0.0.1").await;
        let mut requester = Requester::start_by(&mut command, &server, output);
        for _ in 0..3 {
            let said = requester.request();
            assert!(said.trim_end().ends_with(expected), "{name}: {said}");
        }
        assert!(requester.end().0.success(), "{name}");
        assert!(server.seen().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_reader_is_gone_nothing_is_sent_any_more() {
    let server = Server::http("server", "127.0.0.1").await;
    let (reader, writer) = io::pipe().unwrap();
    let mut requester = Requester::start(&server, writer);
    assert_eq!(requester.request(), "0 sent\n");
    drop(reader);
    let said = requester.request();
    assert!(said.ends_with("Broken pipe (os error 32) (audit-failed)\n"), "{said}");
    assert_eq!(server.seen().len(), 1);
}

/// Rust ignores the signal. Where a function's own code has set it back, the kernel ends the process instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_the_broken_pipe_kills_has_sent_nothing() {
    let server = Server::http("server", "127.0.0.1").await;
    let (reader, writer) = io::pipe().unwrap();
    let mut requester =
        Requester::start_by(Command::new(REQUESTER).env("SIGPIPE_AT_ITS_DEFAULT", "1"), &server, writer);
    assert_eq!(requester.request(), "0 sent\n");
    drop(reader);
    assert_eq!(requester.request(), "");
    assert_eq!(requester.end().0.signal(), Some(13));
    assert_eq!(server.seen().len(), 1);
}

/// More than a pipe holds.
const MANY: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_slow_reader() {
    let (reader, writer) = io::pipe().unwrap();
    requests_wait(reader, writer.into()).await;
}

/// Another process that has the pipe can make it so that a write fails instead of waiting, and so can this one.
#[tokio::test(flavor = "multi_thread")]
async fn they_wait_as_well_if_the_pipe_does_not_block() {
    let (reader, writer) = io::pipe().unwrap();
    // This is what sets the flag, in what all owners of the pipe share.
    let writer = tokio::net::unix::pipe::Sender::from_owned_fd(writer.into()).unwrap();
    requests_wait(reader, writer.into_nonblocking_fd().unwrap()).await;
}

async fn requests_wait(mut reader: PipeReader, writer: OwnedFd) {
    let server = Server::http("server", "127.0.0.1").await;
    let mut requester = Requester::start(&server, writer);
    requester.make_requests(MANY);
    let seen = stable(|| server.seen().len()).await;
    assert!(seen > 10 && seen < MANY, "{seen} requests do not fill the pipe");

    let mut output = String::new();
    let reading = std::thread::spawn(move || reader.read_to_string(&mut output).map(|_| output).unwrap());
    let (status, said) = requester.end();
    assert!(status.success() && said.lines().count() == MANY, "{said}");
    assert!(said.lines().all(|line| line.ends_with(" sent")), "{said}");
    assert_eq!(server.seen().len(), MANY);

    let output = reading.join().unwrap();
    let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.iter().for_each(ValidatedAudit::validate);
    assert!(lines.iter().zip(1..).all(|(line, number)| line["seq"] == number), "a line is missing");
    assert_eq!(lines.iter().filter(|line| line["event_type"] == "egress_outcome").count(), MANY);
}

/// A number that has not changed for a while.
async fn stable(number: impl Fn() -> usize) -> usize {
    let mut unchanged = 0;
    let mut last = number();
    while unchanged < 20 || last == 0 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        unchanged = if number() == last { unchanged + 1 } else { 0 };
        last = number();
    }
    last
}
