//! A policy that is kept up to date from AWS AppConfig.

use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::audit::AuditSink;
use crate::denied::shortened;
use crate::guard::{Guard, WeakGuard};
use crate::policy::{Policy, PolicyError, PolicyFault};
use crate::source::{Requirements, sha256};

/// A policy in [AWS AppConfig](https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-integration-lambda-extensions.html),
/// as its Lambda extension serves it on loopback.
///
/// The extension is a process of its own, which fetches the configuration from AWS; the guard does not see that. What
/// the guard reads from it goes to 127.0.0.1 and nowhere else.
///
/// ```no_run
/// use egress_guard::{AppConfig, Guard, JsonLines, PolicySource};
///
/// # async fn start() -> Result<(), egress_guard::PolicyError> {
/// let baseline = PolicySource::baseline_from_env().load()?;
/// let source = AppConfig::new("orders", "production", "egress-policy").narrowing(baseline);
/// let guard = Guard::follow(source, JsonLines::stdout()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a source is followed by `Guard::follow`"]
pub struct AppConfig {
    application: String,
    environment: String,
    configuration: String,
    signature_configuration: Option<String>,
    port: Option<u16>,
    interval: Duration,
    baseline: Option<Policy>,
    requirements: Requirements,
}

impl AppConfig {
    /// The names of the application, its environment and the configuration profile that holds the policy, TOML or JSON.
    pub fn new(
        application: impl Into<String>,
        environment: impl Into<String>,
        configuration: impl Into<String>,
    ) -> Self {
        Self {
            application: application.into(),
            environment: environment.into(),
            configuration: configuration.into(),
            signature_configuration: None,
            port: None,
            interval: Duration::from_secs(45),
            baseline: None,
            requirements: Requirements::default(),
        }
    }

    /// Requires the policy to be signed by the owner of this minisign public key. The signature, the content of the
    /// `.minisig` file, is a configuration profile of its own. While one of the two is rolled out before the other they do
    /// not fit, and the last good policy stays in force.
    pub fn signed_by(mut self, public_key: impl Into<String>, signature_configuration: impl Into<String>) -> Self {
        self.requirements.require_key(public_key.into());
        self.signature_configuration = Some(signature_configuration.into());
        self
    }

    /// Narrows this baseline by the policy, which can then tighten it and never loosen it.
    pub fn narrowing(self, baseline: Policy) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    /// How often the extension is asked, every 45 seconds by default, as often as it asks AWS by default.
    ///
    /// A frozen environment asks nobody: after a thaw the last policy is in force until the next answer has come.
    pub fn poll_every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// The port that the extension listens on; without this, `AWS_APPCONFIG_EXTENSION_HTTP_PORT` says, or it is 2772.
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Where the policy comes from, in errors and posture lines.
    fn source(&self) -> String {
        format!("AppConfig {}/{}/{}", self.application, self.environment, self.configuration)
    }

    fn failed(&self, problem: impl Into<String>, cure: &str) -> PolicyError {
        PolicyError::new(format!("the policy {}", self.source()), vec![PolicyFault::new(None, problem, cure)])
    }

    async fn fetch(&self, configuration: &str) -> Result<Bytes, PolicyError> {
        let port = match (self.port, std::env::var(PORT)) {
            (Some(port), _) => port,
            (None, Err(std::env::VarError::NotPresent)) => 2772,
            (None, text) => text.ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
                self.failed(format!("{PORT} is no port"), "set it to a number from 1 to 65535, or remove it")
            })?,
        };
        let path =
            ["applications", &self.application, "environments", &self.environment, "configurations", configuration];
        let answer = tokio::time::timeout(PATIENCE, get(port, &path)).await.unwrap_or(Err("no answer in time".into()));
        answer.map_err(|error| {
            let problem = format!("the extension on 127.0.0.1:{port} does not give `{configuration}`: {error}");
            let cure = "add the AppConfig Lambda extension as a layer, allow the function's role \
                        appconfig:StartConfigurationSession and appconfig:GetLatestConfiguration, and check the names";
            self.failed(problem, cure)
        })
    }

    /// The policy's text, and its signature if one is required.
    async fn read(&self) -> Result<Answer, PolicyError> {
        let text = self.fetch(&self.configuration).await?;
        let signature = match &self.signature_configuration {
            Some(configuration) => Some(self.fetch(configuration).await?),
            None => None,
        };
        Ok(Answer { text, signature })
    }

    fn accept(&self, answer: &Answer) -> Result<Policy, PolicyError> {
        let signature = || {
            let signature = answer.signature.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            Ok(signature.into_owned())
        };
        let policy = self.requirements.accept(&self.source(), &answer.text, signature)?;
        Ok(match &self.baseline {
            Some(baseline) => baseline.clone().narrowed_by(policy),
            None => policy,
        })
    }

    /// Asks again and again, as long as the guard is in use.
    async fn keep_up_to_date(self, guard: WeakGuard, mut last: Answer) {
        let mut last_failure = None;
        loop {
            tokio::time::sleep(self.interval).await;
            let read = self.read().await;
            let Some(guard) = guard.upgrade() else { return };
            match read {
                Ok(answer) if answer == last => last_failure = None,
                Ok(answer) => {
                    match self.accept(&answer) {
                        Ok(policy) => guard.replace_policy(policy),
                        Err(error) => guard.keep_policy(Some(&sha256(&answer.text)), &error),
                    }
                    (last, last_failure) = (answer, None);
                }
                // Said once, not at every attempt.
                Err(error) if last_failure.as_ref() == Some(&error) => {}
                Err(error) => {
                    guard.keep_policy(None, &error);
                    last_failure = Some(error);
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    text: Bytes,
    signature: Option<Bytes>,
}

impl Guard {
    /// Puts a policy in force that is kept up to date: a new one applies to the next request, whole or not at all.
    ///
    /// A posture line tells of each change with both hashes. A new policy that is broken, unsigned or cannot be had is
    /// told of in a posture line too, with level `WARN`, and the last good one stays in force.
    ///
    /// # Connections
    ///
    /// A request is decided by the policy in force when it is sent, on a pooled connection too. What only a connection can
    /// tell, its address and in an ordinary client the destination as a whole, was decided when it was made:
    ///
    /// | client | once the policy is replaced |
    /// |---|---|
    /// | `connector`, and so tonic; `aws_http_client` | a connection that the new policy denies ends, idle or in use |
    /// | `client` from [`ClientOptions::from_fn`](crate::ClientOptions::from_fn) | requests go over new connections; a response on its way is read to its end |
    /// | `client` otherwise, `middleware` | every request is decided anew; a kept connection to an address that is no longer open is used until it is idle for as long as the builder's `pool_idle_timeout` says |
    /// | `reqwest`, `reqwest_blocking` | a kept connection is used as long as it lasts, also for a host that is no longer allowed: set `pool_max_idle_per_host(0)` on their builder, or make them anew |
    ///
    /// # Errors
    ///
    /// When there is no first policy: the extension does not answer, or what it gives is not signed or has faults.
    pub async fn follow(source: AppConfig, sink: impl AuditSink) -> Result<Self, PolicyError> {
        let answer = source.read().await?;
        let guard = Self::new(source.accept(&answer)?, sink);
        tokio::spawn(source.keep_up_to_date(guard.downgrade(), answer));
        Ok(guard)
    }
}

const PORT: &str = "AWS_APPCONFIG_EXTENSION_HTTP_PORT";

/// The extension gives up on AWS after three seconds by default.
const PATIENCE: Duration = Duration::from_secs(5);

/// AppConfig takes configurations of up to 2 MB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One request over a connection of its own to this port of loopback.
async fn get(port: u16, path: &[&str]) -> Result<Bytes, BoxError> {
    // Each name becomes one segment of the path, whatever it holds.
    let mut url = url::Url::parse("http://localhost/")?;
    url.path_segments_mut().map_err(|()| "no path")?.clear().extend(path);
    let uri: Uri = url.path().parse()?;
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
    // It ends with the sender. What goes wrong in it, the exchange says too.
    tokio::spawn(async { drop(connection.await) });
    let request = http::Request::get(uri).header(http::header::HOST, "localhost").body(Empty::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await?.to_bytes();
    if status.is_success() {
        return Ok(body);
    }
    let said = String::from_utf8_lossy(&body);
    Err(format!("it answers {status}, {:?}", shortened(&said, 200)).into())
}
