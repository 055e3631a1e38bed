//! A process that is ended at any moment, in any way: every request that a server has seen has its line, and no line is torn.
//!
//! `EGRESS_GUARD_KILLS` says how many processes are ended, 60 without it; `.ci/run` ends 2,000.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::Duration;

use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use bytes::Bytes;
use egress_guard::{AuditRecord, AuditSink, ChainKey, Guard, JsonLines, Policy, Rule, in_current_invocation};
use egress_guard_tests::{Names, RuntimeApi, ValidatedAudit, certificate_in_pem};
use futures_util::StreamExt;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tower::{ServiceBuilder, ServiceExt};

/// How many processes are ended at a time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_the_process_each_request_has_its_whole_line() {
    let kills = std::env::var("EGRESS_GUARD_KILLS").map_or(60, |kills| kills.parse().expect("a number of kills"));
    let seed = fastrand::u64(..);
    let found = end_processes(kills, seed, Sink::Guards).await;
    eprintln!("{found}\nseed {seed}");
    assert_eq!(found.faults, [""; 0], "seed {seed}");
    assert_eq!(found.ends.values().sum::<usize>(), kills);
    assert_eq!(found.ends.len(), Ending::ALL.len(), "{found}");
    assert!(found.requests > 10 * kills && found.connections > kills, "{found}");
    assert!((3500..=4096).contains(&found.longest), "{found}");
}

/// A sink that writes in a task of its own loses lines, and one that writes piece by piece tears them; this finds both.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_queues_or_tears_is_found_out() {
    let queues = end_processes(24, 1, Sink::Queues).await;
    assert!(queues.faults.iter().any(|fault| fault.contains("has no line")), "{queues}");
    let tears = end_processes(24, 2, Sink::Tears).await;
    assert!(tears.faults.iter().any(|fault| fault.contains("no whole line")), "{tears}");
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// By the kernel, at any moment.
    Killed,
    /// The same, while nobody reads the pipe, which has been full for a while: whoever writes waits.
    KilledWhileThePipeIsFull,
    /// By a panic that aborts, as with `panic = "abort"`.
    PanicThatAborts,
    /// By [`std::process::abort`], in one of its tasks.
    Abort,
    /// By [`std::process::exit`], in one of its tasks.
    Exit,
    /// A task panics, and `main` ends.
    Panic,
    /// As Lambda ends a function at its deadline: a real function, killed within an invocation.
    Timeout,
    /// A real function in which a task exits within an invocation.
    FunctionExits,
}

impl Ending {
    const ALL: &[Self] = &[
        Self::Killed,
        Self::KilledWhileThePipeIsFull,
        Self::PanicThatAborts,
        Self::Abort,
        Self::Exit,
        Self::Panic,
        Self::Timeout,
        Self::FunctionExits,
    ];

    fn is_from_outside(self) -> bool {
        matches!(self, Self::Killed | Self::KilledWhileThePipeIsFull | Self::Timeout)
    }

    fn is_of_a_function(self) -> bool {
        matches!(self, Self::Timeout | Self::FunctionExits)
    }
}

/// What keeps the records of a process.
#[derive(Clone, Copy, Debug)]
enum Sink {
    Guards,
    Queues,
    Tears,
}

/// What has been found in the output of all processes, and what is wrong with it.
#[derive(Debug, Default)]
struct Found {
    ends: BTreeMap<Ending, usize>,
    requests: usize,
    connections: usize,
    /// Requests of which only the beginning arrived.
    cut_off: usize,
    lines: usize,
    longest: usize,
    faults: Vec<String>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ends, requests, connections, cut_off, lines, longest, faults } = self;
        write!(
            f,
            "{requests} requests over {connections} connections, {cut_off} of them cut off, {lines} audit lines, the longest \
             of {longest} bytes, {} faults; {ends:?}",
            faults.len()
        )
    }
}

async fn end_processes(kills: usize, seed: u64, sink: Sink) -> Found {
    let found = Mutex::new(Found::default());
    let ca = certificate_in_pem(&["api.test"]).0;
    let runs = futures_util::stream::iter(0..kills).map(|number| {
        let (found, ca) = (&found, &ca);
        let ending = Ending::ALL[number % Ending::ALL.len()];
        async move {
            let random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
            let (witness, output) = end_one(ending, random, sink, ca).await;
            found.lock().unwrap().add(ending, &witness, &output);
        }
    });
    runs.buffer_unordered(AT_ONCE).collect::<()>().await;
    found.into_inner().unwrap()
}

/// Runs the process until it has ended, and gives what the server saw and the whole output, to its end.
async fn end_one(ending: Ending, mut random: fastrand::Rng, sink: Sink, ca: &str) -> (Vec<Connection>, Vec<u8>) {
    let witness = Witness::start().await;
    let (mut reader, writer) = io::pipe().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "the_process", "--ignored", "--nocapture", "--quiet"])
        .env("ENDING", format!("{ending:?}"))
        .env("SINK", format!("{sink:?}"))
        .env("SEED", random.u64(..).to_string())
        .env("PORT", witness.port.to_string())
        .env("CA", ca)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .kill_on_drop(true);
    let api = RuntimeApi::start().await;
    if ending.is_of_a_function() {
        let longest = ["AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION"].map(|name| (name, "n".repeat(192)));
        command.envs(api.environment()).envs(longest);
    }
    let mut child = command.spawn().unwrap();
    // It has the writing ends, without which the pipe has an end.
    drop(command);
    let is_read_to_the_end = ending != Ending::KilledWhileThePipeIsFull;
    let at_first = if is_read_to_the_end { u64::MAX } else { random.u64(150_000..300_000) };
    let (ended_sender, ended_receiver) = mpsc::channel();
    let reading = tokio::task::spawn_blocking(move || {
        let mut output = Vec::new();
        reader.by_ref().take(at_first).read_to_end(&mut output).unwrap();
        ended_receiver.recv().unwrap();
        reader.read_to_end(&mut output).unwrap();
        output
    });
    let ended = async {
        if ending.is_from_outside() {
            witness.first_request().await;
            tokio::time::sleep(Duration::from_micros(random.u64(..25_000))).await;
            if !is_read_to_the_end {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            child.start_kill().unwrap();
        }
        tokio::time::timeout(Duration::from_secs(60), child.wait()).await.expect("the process ends").unwrap();
    };
    if ending.is_of_a_function() {
        let request_id = "r".repeat(192);
        let invocation = api.invoke(&request_id, Value::Null, Duration::from_secs(60));
        tokio::select! {
            () = ended => {}
            answer = invocation => panic!("{answer:?}"),
        }
    } else {
        ended.await;
    }
    ended_sender.send(()).unwrap();
    let output = reading.await.unwrap();
    (witness.everything().await, output)
}

impl Found {
    fn add(&mut self, ending: Ending, connections: &[Connection], output: &[u8]) {
        *self.ends.entry(ending).or_default() += 1;
        let mut fault = |text: String| self.faults.push(format!("{ending:?}: {text}"));
        let Ok(output) = std::str::from_utf8(output) else { return fault("its output is no UTF-8".to_owned()) };
        // Of an application that prints while it exits, Rust writes lines in pieces.
        let is_in_pieces = matches!(ending, Ending::Exit | Ending::FunctionExits);
        if !output.ends_with('\n')
            && (!is_in_pieces || output.lines().next_back().is_some_and(|last| last.contains(BEGIN_OF_AUDIT)))
        {
            fault(format!("no whole line: {:?}", output.lines().last()));
        }
        let (mut requests, mut local_ports) = (HashSet::new(), HashSet::new());
        for text in output.lines() {
            match Line::read(text, is_in_pieces) {
                Line::Audit(line) => {
                    ValidatedAudit::validate(&line);
                    self.lines += 1;
                    self.longest = self.longest.max(text.len() + 1);
                    let is_allowed = line["event_type"] == "egress_decision" && line["action"] == "allowed";
                    if is_allowed && line["stage"] == "request" && !requests.insert(identity(&line["path"]).to_owned())
                    {
                        fault(format!("a request has two lines: {text}"));
                    }
                    if is_allowed && line["stage"] == "connection" {
                        local_ports.insert(line["local_port"].as_u64().unwrap());
                    }
                }
                Line::Applications => {}
                Line::Broken => fault(format!("no whole line: {text:?}")),
            }
        }
        for connection in connections.iter().filter(|connection| !connection.targets.is_empty()) {
            self.connections += 1;
            if !local_ports.contains(&connection.client_port.into()) {
                fault(format!("the connection from {} has no line", connection.client_port));
            }
            for target in &connection.targets {
                self.requests += 1;
                let mut segments = target.split('/').skip(1);
                let (Some(identity), Some(_)) = (segments.next(), segments.next()) else {
                    self.cut_off += 1;
                    continue;
                };
                // An ordinary client is only seen as it connects.
                if !identity.starts_with(Kind::Ordinary.letter()) && !requests.contains(identity) {
                    fault(format!("the request {identity} has no line"));
                }
            }
        }
    }
}

fn identity(path: &Value) -> &str {
    path.as_str().unwrap().split('/').nth(1).unwrap()
}

/// A line of the output of a process.
enum Line {
    Audit(Value),
    /// Of the application, or the test harness around it.
    Applications,
    Broken,
}

impl Line {
    fn read(text: &str, is_in_pieces: bool) -> Self {
        let (before, line) = text.split_at(text.find(BEGIN_OF_AUDIT).unwrap_or(text.len()));
        let is_whole = before.starts_with(BEGIN) && before.ends_with(END) && before.matches(BEGIN).count() == 1;
        let is_of_the_harness = ![BEGIN, END, FILL].iter().any(|part| before.contains(part));
        if before.contains(['{', '}']) || before.contains("egress") {
            return Self::Broken;
        }
        match serde_json::from_str(line) {
            Ok(line) if before.is_empty() || is_in_pieces => Self::Audit(line),
            Err(_) if line.is_empty() && (is_whole || is_of_the_harness || is_in_pieces) => Self::Applications,
            _ => Self::Broken,
        }
    }
}

/// How every audit line begins.
const BEGIN_OF_AUDIT: &str = r#"{"timestamp":"#;

/// What the application's own lines consist of.
const BEGIN: &str = "application: ";
const FILL: &str = "....";
const END: &str = " done";

// ----- the server -----

/// Sees everything that arrives, down to a request that breaks off in its first line.
struct Witness {
    port: u16,
    connections: Arc<Mutex<Vec<Connection>>>,
    open: Arc<AtomicUsize>,
}

struct Connection {
    client_port: u16,
    /// The request targets, the last one maybe cut off.
    targets: Vec<String>,
}

impl Witness {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, open) = (Arc::<Mutex<Vec<Connection>>>::default(), Arc::<AtomicUsize>::default());
        let witness = Self { port, connections: Arc::clone(&connections), open: Arc::clone(&open) };
        tokio::spawn(async move {
            // Until nothing is open any more and nobody asks.
            while let Ok((stream, client)) = listener.accept().await {
                let (connections, open) = (Arc::clone(&connections), Arc::clone(&open));
                open.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let at = {
                        let mut connections = connections.lock().unwrap();
                        connections.push(Connection { client_port: client.port(), targets: Vec::new() });
                        connections.len() - 1
                    };
                    // A client that goes away is no fault.
                    let _ = Self::serve(stream, |target| connections.lock().unwrap()[at].targets.push(target)).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        witness
    }

    async fn serve(mut stream: TcpStream, seen: impl Fn(String)) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    break buffer.drain(..end + 4).collect::<Vec<u8>>();
                }
                // What breaks off with an error has arrived until then.
                if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    if !buffer.is_empty() {
                        seen(target(&buffer));
                    }
                    return Ok(());
                }
            };
            seen(target(&head));
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let length: usize = length.unwrap_or(0);
            while buffer.len() < length && stream.read_buf(&mut buffer).await? > 0 {}
            buffer.drain(..length.min(buffer.len()));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await?;
        }
    }

    async fn first_request(&self) {
        let has_come = || self.connections.lock().unwrap().iter().any(|connection| !connection.targets.is_empty());
        for _ in 0..60_000 {
            if has_come() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("no request comes");
    }

    /// All that has arrived, once the process is gone and every connection has been read to its end.
    async fn everything(self) -> Vec<Connection> {
        // A connection may wait to be accepted; one more behind it is accepted after it.
        drop(TcpStream::connect(("127.0.0.1", self.port)).await.unwrap());
        for _ in 0..60_000 {
            let is_the_last_accepted =
                self.connections.lock().unwrap().last().is_some_and(|last| last.targets.is_empty());
            if self.open.load(Ordering::SeqCst) == 0 && is_the_last_accepted {
                return std::mem::take(&mut self.connections.lock().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("a connection does not end");
    }
}

/// The second word.
fn target(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    // At least that something has arrived.
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

// ----- the process -----

/// A guarded client.
#[derive(Clone, Copy)]
enum Kind {
    Full,
    Ordinary,
    Layer,
    Aws,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Full, Self::Ordinary, Self::Layer, Self::Aws];

    const fn letter(self) -> char {
        match self {
            Self::Full => 'f',
            Self::Ordinary => 'o',
            Self::Layer => 'l',
            Self::Aws => 'a',
        }
    }
}

/// The longest name there is.
static FAR: LazyLock<String> =
    LazyLock::new(|| format!("{}.test", [62; 4].map(|length| "h".repeat(length - 1)).join(".")));

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "run by the other tests, in a process of its own"]
async fn the_process() {
    let rule = |layer: usize| {
        Rule::new(format!("{layer}{}", "r".repeat(63)))
            .hosts(["api.test", &FAR])
            .schemes(["http"])
            .port_range(1..=65535)
            .addresses(["127.0.0.1/32"])
    };
    let layer = |number| Policy::builder("p".repeat(64)).allow(rule(number)).build().unwrap();
    let policy = (1..9).fold(layer(0), |policy, number| policy.narrowed_by(layer(number)));
    let guard = match variable("SINK").as_str() {
        // One of two with the lines of a chain, which are longer.
        "Guards" if std::process::id().is_multiple_of(2) => Guard::new(
            policy,
            JsonLines::stdout().chained(ChainKey::from_bytes(b"a key of the tests, and no secret").unwrap()),
        ),
        "Guards" => Guard::new(policy, JsonLines::stdout()),
        "Queues" => Guard::new(policy, Queueing::new()),
        _ => Guard::new(policy, JsonLines::new(Tearing)),
    };
    if variable("ENDING") == "PanicThatAborts" {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            report(panic);
            std::process::abort();
        }));
    }
    let load = Load::new(&guard);
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return load.run().await;
    }
    let handler = service_fn(move |_: LambdaEvent<Value>| {
        let load = Arc::clone(&load);
        async move {
            load.run().await;
            Ok::<_, lambda_runtime::Error>(Value::Null)
        }
    });
    Runtime::new(handler).layer(guard.lambda_layer()).run().await.unwrap();
}

/// Clients that are used by many tasks at once, until the process ends.
struct Load {
    full: egress_guard::Client,
    ordinary: reqwest::Client,
    layer: Mutex<Layered>,
    aws: aws_sdk_sts::Client,
    origin: String,
    requests: AtomicU64,
    /// Which request ends the process.
    last: u64,
}

type Layered = tower::util::BoxCloneSyncService<Request<Full<Bytes>>, (), Box<dyn std::error::Error + Send + Sync>>;

impl Load {
    fn new(guard: &Guard) -> Arc<Self> {
        let names = || Names::new().with("api.test", &["127.0.0.1"]).with(&FAR, &["127.0.0.1"]);
        let options =
            || egress_guard::ClientOptions::from(reqwest::Client::builder().tls_certs_only([])).resolver(names());
        let connector = guard.connector(HttpConnector::new_with_resolver(guard.resolver(names())));
        let layered =
            ServiceBuilder::new().layer(guard.layer()).service(Hyper::builder(TokioExecutor::new()).build(connector));
        let aws = guard.aws_http_client().resolver(names()).only_root_certificates(variable("CA")).unwrap();
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let aws = aws_sdk_sts::Config::builder().behavior_version(BehaviorVersion::latest()).http_client(aws);
        let aws = aws.region(Region::new("eu-west-1")).credentials_provider(credentials);
        let mut random = fastrand::Rng::with_seed(variable("SEED").parse().unwrap());
        let from_outside = Ending::ALL.iter().filter(|ending| ending.is_from_outside());
        let lasts = from_outside.map(|ending| format!("{ending:?}")).any(|ending| ending == variable("ENDING"));
        Arc::new(Self {
            full: guard.client(options()).unwrap(),
            ordinary: guard.reqwest(options()).unwrap(),
            layer: Mutex::new(Layered::new(layered.map_response(drop).map_err(Into::into))),
            aws: aws_sdk_sts::Client::from_conf(aws.retry_config(RetryConfig::disabled()).build()),
            origin: format!(":{}", variable("PORT")),
            requests: AtomicU64::new(0),
            last: if lasts { u64::MAX } else { random.u64(1..120) },
        })
    }

    /// Returns once a task has panicked.
    async fn run(self: &Arc<Self>) {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..64 {
            let (load, kind) = (Arc::clone(self), Kind::ALL[number % 4]);
            tasks.spawn(in_current_invocation(async move {
                loop {
                    load.request(kind).await;
                }
            }));
        }
        let _ = tasks.join_next().await;
    }

    async fn request(&self, kind: Kind) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if number == self.last {
            end();
        }
        let host = if fastrand::bool() { "api.test" } else { &FAR };
        let url =
            format!("http://{host}{}/{}{number}/{}", self.origin, kind.letter(), "p".repeat(fastrand::usize(..1000)));
        // Some of these fail as the process ends.
        match kind {
            Kind::Full => drop(self.full.get(url).send().await),
            Kind::Ordinary => drop(self.ordinary.get(url).send().await),
            Kind::Layer => {
                let service = self.layer.lock().unwrap().clone();
                drop(service.oneshot(Request::get(url).body(Full::default()).unwrap()).await);
            }
            Kind::Aws => {
                let call = self.aws.get_caller_identity().customize();
                drop(call.config_override(aws_sdk_sts::Config::builder().endpoint_url(url)).send().await);
            }
        }
        let fill = FILL.repeat(fastrand::usize(1..=240));
        if fastrand::bool() {
            println!("{BEGIN}{fill}{END}");
        } else {
            // As loggers do: however long, a whole line at once.
            let line = format!("{BEGIN}{}{END}\n", fill.repeat(4));
            io::stdout().write_all(line.as_bytes()).unwrap();
        }
    }
}

fn end() {
    match variable("ENDING").as_str() {
        "Abort" => std::process::abort(),
        "Exit" | "FunctionExits" => std::process::exit(3),
        _ => panic!("as asked"),
    }
}

/// Hands its lines to a thread.
struct Queueing(mpsc::Sender<String>);

impl Queueing {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel::<String>();
        std::thread::spawn(move || {
            for line in receiver {
                io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
        Self(sender)
    }
}

impl AuditSink for Queueing {
    fn record(&self, record: &AuditRecord<'_>) -> io::Result<()> {
        self.0.send(format!("{}\n", serde_json::to_string(record)?)).map_err(io::Error::other)
    }
}

/// Takes a part of what it is given.
struct Tearing;

impl Write for Tearing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(300)];
        io::stdout().write_all(part)?;
        io::stdout().flush().map(|()| part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
