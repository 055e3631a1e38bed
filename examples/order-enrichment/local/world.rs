//! The servers on loopback, and what the tests of this example find in them.

use std::fs;
use std::path::PathBuf;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_ssm::types::ParameterType;
use egress_guard::{Guard, MemorySink, Policy, Rule};
use egress_guard_tests::{NotInstalled, Proxy, Server, Service, TlsFront};
use http::{Response, StatusCode};
use serde_json::json;
use tempfile::TempDir;

use crate::table;

pub(crate) const REGION: &str = "ap-northeast-1";
pub(crate) const PARTNER: &str = "api.partner.example";
/// A host that no rule lists.
pub(crate) const STRANGER: &str = "collect.example";

const TOKEN: &str = "the partner's token";

/// The name of a service's API.
pub(crate) fn aws(service: &str) -> String {
    format!("{service}.{REGION}.amazonaws.com")
}

pub(crate) struct World {
    pub(crate) dynamodb: Result<Aws, NotInstalled>,
    pub(crate) moto: Result<Aws, NotInstalled>,
    pub(crate) partner: Server,
    pub(crate) stranger: Server,
    pub(crate) proxy: Proxy,
    folder: TempDir,
}

/// A process that implements services, and TLS under their names before it.
pub(crate) struct Aws {
    service: Service,
    pub(crate) front: TlsFront,
}

/// The names of connections to dynalite and to moto, and the requests to the partner and to the stranger.
#[derive(Clone)]
pub(crate) struct Seen(pub(crate) [Vec<String>; 4]);

impl Seen {
    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (seen, before) in self.0.iter_mut().zip(&before.0) {
            seen.drain(..before.len());
        }
        self
    }
}

impl World {
    pub(crate) const TABLE: &str = "orders";
    pub(crate) const PARAMETER: &str = "/order-enrichment/partner";
    /// A parameter into which somebody wrote another place.
    pub(crate) const CHANGED_PARAMETER: &str = "/order-enrichment/changed";

    pub(crate) async fn start() -> Result<Self, String> {
        let (dynamodb, moto) = tokio::join!(Service::dynalite(), Service::moto());
        let world = Self {
            dynamodb: Aws::start(dynamodb, &["dynamodb"]).await,
            moto: Aws::start(moto, &["ssm", "sts"]).await,
            partner: Server::https("partner", "127.0.0.1", &[PARTNER]).await.answering(partner),
            stranger: Server::https("stranger", "127.0.0.2", &[STRANGER]).await,
            proxy: Proxy::listen("127.0.0.5").await,
            folder: tempfile::tempdir().map_err(|error| format!("there is no room for temporary files: {error}"))?,
        };
        let fronts = [&world.dynamodb, &world.moto].into_iter().flatten().map(|aws| aws.front.ca_pem());
        let roots: String = fronts.chain([world.partner.ca_pem(), world.stranger.ca_pem()]).collect();
        fs::write(world.roots(), roots).map_err(|error| format!("{}: {error}", world.roots().display()))?;
        world.fill().await?;
        Ok(world)
    }

    pub(crate) fn missing(&self) -> impl Iterator<Item = &NotInstalled> {
        [&self.dynamodb, &self.moto].into_iter().filter_map(|aws| aws.as_ref().err())
    }

    /// The certificates of all servers.
    pub(crate) fn roots(&self) -> PathBuf {
        self.folder.path().join("roots.pem")
    }

    /// Writes a policy into a file.
    pub(crate) fn policy(&self, text: &str) -> Result<String, String> {
        let file = self.folder.path().join("policy.toml");
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(file.to_string_lossy().into_owned())
    }

    /// The services' own names, at the ports that the servers have here.
    pub(crate) fn endpoints(&self) -> Vec<(String, String)> {
        let variable = |service: &str, aws_of: &Aws| {
            let url = format!("https://{}:{}", aws(service), aws_of.front.port());
            (format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()), url)
        };
        let dynamodb = self.dynamodb.iter().map(|dynamodb| variable("dynamodb", dynamodb));
        let moto = self.moto.iter().flat_map(|moto| ["ssm", "sts"].map(|service| variable(service, moto)));
        dynamodb.chain(moto).collect()
    }

    /// What the servers have seen so far.
    pub(crate) fn seen(&self) -> Seen {
        let asked_under = |aws: &Result<Aws, NotInstalled>| aws.as_ref().map_or(Vec::new(), |aws| aws.front.seen());
        let shown = |seen: egress_guard_tests::Seen| format!("{} {}", seen.method, path(&seen));
        let requests = |server: &Server| server.seen().into_iter().map(shown).collect();
        let [dynamodb, moto] = [&self.dynamodb, &self.moto].map(asked_under);
        Seen([dynamodb, moto, requests(&self.partner), requests(&self.stranger)])
    }

    /// What the table says of an order, to somebody other than the function.
    pub(crate) async fn stored(&self, id: &str) -> Result<Option<serde_json::Value>, String> {
        let Ok(dynamodb) = &self.dynamodb else { return Ok(None) };
        let client = aws_sdk_dynamodb::Client::new(&dynamodb.config().await?);
        let key = AttributeValue::S(id.to_owned());
        let answer = client.get_item().table_name(Self::TABLE).key("id", key).consistent_read(true).send().await;
        let item = answer.map_err(|error| format!("dynalite: {}", DisplayErrorContext(error)))?.item;
        let texts = item.map(|item| {
            let pairs = item.into_iter().filter_map(|(name, value)| Some((name, value.as_s().ok()?.clone().into())));
            serde_json::Value::Object(pairs.collect())
        });
        Ok(texts)
    }

    /// The table and the parameters, as a deployment would have made them.
    async fn fill(&self) -> Result<(), String> {
        if let Ok(dynamodb) = &self.dynamodb {
            let client = aws_sdk_dynamodb::Client::new(&dynamodb.config().await?);
            table::create(&client, Self::TABLE)
                .await
                .map_err(|error| format!("dynalite: {}", DisplayErrorContext(&*error)))?;
        }
        let Ok(moto) = &self.moto else { return Ok(()) };
        let parameters = aws_sdk_ssm::Client::new(&moto.config().await?);
        let places = [
            (Self::PARAMETER, PARTNER, self.partner.port()),
            (Self::CHANGED_PARAMETER, STRANGER, self.stranger.port()),
        ];
        for (name, host, port) in places {
            let value = json!({ "url": format!("https://{host}:{port}/v1"), "token": TOKEN }).to_string();
            let put = parameters.put_parameter().name(name).value(value).r#type(ParameterType::SecureString);
            put.send().await.map_err(|error| format!("moto: {}", DisplayErrorContext(error)))?;
        }
        Ok(())
    }
}

impl Aws {
    async fn start(service: Result<Service, NotInstalled>, services: &[&str]) -> Result<Self, NotInstalled> {
        let service = service?;
        let names: Vec<String> = services.iter().map(|service| aws(service)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let front = TlsFront::start(&names, service.address()).await;
        Ok(Self { service, front })
    }

    /// Straight to the service, past the front, whose record is of the function alone.
    async fn config(&self) -> Result<SdkConfig, String> {
        let rule =
            Rule::new("service").networks(["127.0.0.1/32"]).schemes(["http"]).port(self.service.address().port());
        let policy = Policy::builder("local").allow(rule).build().map_err(|error| error.to_string())?;
        let guard = Guard::new(policy, MemorySink::new());
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(guard.aws_http_client());
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "local");
        let config = config.region(Region::new(REGION)).credentials_provider(credentials);
        Ok(config.endpoint_url(format!("http://{}", self.service.address())).load().await)
    }
}

/// HTTP/2 has the whole URL.
fn path(seen: &egress_guard_tests::Seen) -> String {
    seen.target.parse().map_or(String::new(), |url: http::Uri| url.path().to_owned())
}

/// The partner knows customers, and only tells whom it knows.
fn partner(seen: &egress_guard_tests::Seen) -> Option<Response<bytes::Bytes>> {
    let known = seen.header("authorization") == Some(&format!("Bearer {TOKEN}"));
    let status = match path(seen).strip_prefix("/v1/customers/") {
        _ if !known => StatusCode::UNAUTHORIZED,
        Some("c-17") => return Some(Response::new(json!({ "segment": "gold" }).to_string().into())),
        _ => StatusCode::NOT_FOUND,
    };
    Some(Response::builder().status(status).body(bytes::Bytes::new()).expect("a response"))
}
