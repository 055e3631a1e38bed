//! Real implementations of AWS services, each in a process of its own on 127.0.0.1.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

/// How long a service may take until it answers; a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts a program and ends it as soon as standard input ends: when the [`Service`] is dropped, and also when the
/// process that has it is killed.
const WITH_ITS_OWNER: &str = r#"trap "" HUP INT; "$@" & service=$!; exec > /dev/null 2>&1; cat; kill "$service"; wait"#;

/// A service that was installed by `.ci/aws-local`, ended when this is dropped, or with this process.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    _owner: ChildStdin,
    _shell: Child,
}

impl Service {
    /// dynalite, an implementation of DynamoDB, with no table yet.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn dynalite() -> Result<Self, NotInstalled> {
        let needs = "Node.js 20 or newer, and npm";
        let program = find("dynalite", "EGRESS_GUARD_DYNALITE", "node/node_modules/.bin/dynalite", needs)?;
        Ok(Self::start(&program, ["--host", "--port"], &[]).await)
    }

    /// moto, an implementation of many services, with nothing in them yet.
    ///
    /// # Errors
    ///
    /// When it is not installed.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn moto() -> Result<Self, NotInstalled> {
        Self::moto_with(&[]).await
    }

    /// The same over its own TLS, with the certificate and the key of these files.
    ///
    /// # Errors
    ///
    /// As [`moto`](Self::moto).
    ///
    /// # Panics
    ///
    /// As [`moto`](Self::moto).
    pub async fn moto_over_tls(certificate: &Path, key: &Path) -> Result<Self, NotInstalled> {
        Self::moto_with(&["-c".as_ref(), certificate.as_ref(), "-k".as_ref(), key.as_ref()]).await
    }

    async fn moto_with(arguments: &[&OsStr]) -> Result<Self, NotInstalled> {
        let needs = "Python 3.11 or newer, with venv";
        let program = find("moto_server", "EGRESS_GUARD_MOTO", "python/bin/moto_server", needs)?;
        Ok(Self::start(&program, ["-H", "-p"], arguments).await)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    async fn start(program: &Path, [host, port]: [&str; 2], arguments: &[&OsStr]) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut shell = Command::new("sh")
            .args(["-c", WITH_ITS_OWNER, "sh"])
            .arg(program)
            .args([host, &address.ip().to_string(), port, &address.port().to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let owner = shell.stdin.take().expect("standard input is piped");
        let said = Arc::<Mutex<Vec<String>>>::default();
        let output = tokio::spawn(collect(shell.stdout.take(), Arc::clone(&said)));
        let errors = tokio::spawn(collect(shell.stderr.take(), Arc::clone(&said)));
        let ended = async { tokio::join!(output, errors) };
        let up = tokio::select! {
            up = tokio::time::timeout(PATIENCE, listening(address)) => up.is_ok(),
            _ = ended => false,
        };
        assert!(up, "{} does not start:\n{}", program.display(), said.lock().unwrap().join("\n"));
        Self { address, _owner: owner, _shell: shell }
    }
}

/// Not every service can be told to take any port. This one lies below those that the system hands out, so that nobody is
/// given it before the service takes it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_this_process = 10_000 + 100 * u16::try_from(std::process::id() % 200).expect("a small number");
    let mut ports = (0..100).map(|_| of_this_process + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a port is free")
}

async fn listening(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Reads until the end, so that the service never waits; what it says first can be a fault.
async fn collect(output: Option<impl AsyncRead + Unpin>, said: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let Some(output) = output else { return Ok(()) };
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        let mut said = said.lock().unwrap();
        if said.len() < 50 {
            said.push(line);
        }
    }
    Ok(())
}

/// A program that is not there, and how it comes to be.
#[derive(Clone, Debug)]
pub struct NotInstalled {
    program: &'static str,
    variable: &'static str,
    needs: &'static str,
    path: PathBuf,
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, variable, needs, path } = self;
        write!(
            f,
            "{program} is not at {}: install it with `.ci/aws-local`, which needs {needs}, or state where it is in \
             {variable}",
            path.display()
        )
    }
}

impl std::error::Error for NotInstalled {}

impl NotInstalled {
    /// The program's name.
    #[must_use]
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// A service, or what a test says before it leaves out what needs it.
    ///
    /// # Panics
    ///
    /// When nothing may be left out.
    pub fn or_skip(service: Result<Service, Self>) -> Option<Service> {
        let skip = |missing: &Self| {
            assert!(may_skip(), "{missing}");
            eprintln!("skipped: {missing}");
        };
        service.inspect_err(skip).ok()
    }
}

/// Whether a test may leave out what needs a program that is not installed: not where `EGRESS_GUARD_NO_SKIPS` is set.
#[must_use]
pub fn may_skip() -> bool {
    std::env::var_os("EGRESS_GUARD_NO_SKIPS").is_none()
}

/// The program that the variable names, or the one below `target`.
fn find(
    program: &'static str,
    variable: &'static str,
    place: &str,
    needs: &'static str,
) -> Result<PathBuf, NotInstalled> {
    let installed = || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/aws-local").join(place);
    let path = std::env::var_os(variable).map_or_else(installed, PathBuf::from);
    if path.is_file() { Ok(path) } else { Err(NotInstalled { program, variable, needs, path }) }
}
