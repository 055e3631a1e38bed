//! The HTTP client of the AWS SDK: real clients of the SDK against servers on loopback, under the services' own names.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, SharedHttpClient};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use bytes::Bytes;
use egress_guard::{AppConfig, AwsHttpClient, Guard, Policy, Rule, denied};
use egress_guard_tests::{
    AppConfigExtension, Names, NotInstalled, Proxy, Seen, Server, Service, ValidatedAudit, certificate_in_pem, dynamodb,
};
use http::{Response, StatusCode};
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

const DYNAMODB: &str = "dynamodb.ap-northeast-1.amazonaws.com";
const STS: &str = "sts.ap-northeast-1.amazonaws.com";

fn names() -> Names {
    Names::new().with(DYNAMODB, &["127.0.0.1"]).with(STS, &["127.0.0.1"])
}

/// Every port is allowed, and of the addresses only that of the service.
fn table() -> Rule {
    let rule = Rule::new("table").hosts([DYNAMODB]).schemes(["http", "https"]).port_range(1..=65535);
    rule.methods(["POST"]).paths(["/"]).addresses(["127.0.0.1/32"])
}

fn policy(rule: Rule) -> Policy {
    Policy::builder("orders").allow(rule).build().unwrap()
}

/// A service, a guard before it, and what the guard records.
struct Fixture {
    server: Server,
    audit: ValidatedAudit,
    guard: Guard,
}

impl Fixture {
    fn new(server: Server, policy: Policy) -> Self {
        let audit = ValidatedAudit::new();
        Self { server, guard: Guard::new(policy, audit.clone()), audit }
    }

    /// DynamoDB over plain HTTP, allowed.
    async fn plain(errors: &[(StatusCode, &'static str)]) -> Self {
        Self::new(Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(errors)), policy(table()))
    }

    fn http_client(&self) -> AwsHttpClient {
        self.guard.aws_http_client().resolver(names())
    }

    fn endpoint(&self, scheme: &str) -> String {
        format!("{scheme}://{DYNAMODB}:{}", self.server.port())
    }

    async fn client(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&config(self.http_client(), &self.endpoint("http")).await)
    }

    /// One key of all decisions of a stage.
    fn told(&self, stage: &str, key: &str) -> Vec<Value> {
        self.audit.decisions_at(stage).iter().map(|line| line[key].clone()).collect()
    }

    fn outcomes(&self, key: &str) -> Vec<Value> {
        self.audit.of_type("outcome").iter().map(|line| line[key].clone()).collect()
    }
}

async fn config(http: AwsHttpClient, endpoint: &str) -> SdkConfig {
    // Quick to try again, so that a test which waits for a retry need not be patient.
    let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(20));
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).retry_config(retries);
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = config.region(Region::new("ap-northeast-1")).credentials_provider(credentials);
    config.endpoint_url(endpoint).load().await
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

async fn put(client: &aws_sdk_dynamodb::Client) -> Result<(), impl Error + 'static + use<>> {
    client.put_item().table_name("orders").item("id", text("7")).item("what", text("tea")).send().await.map(drop)
}

async fn get(
    client: &aws_sdk_dynamodb::Client,
) -> Result<Option<HashMap<String, AttributeValue>>, impl Error + 'static + use<>> {
    client.get_item().table_name("orders").key("id", text("7")).send().await.map(|output| output.item)
}

fn reason(error: &(dyn Error + 'static)) -> &'static str {
    denied(error).unwrap_or_else(|| panic!("a denial, not {}", DisplayErrorContext(error))).reason().as_str()
}

#[tokio::test]
async fn an_item_is_put_and_read_again() {
    for scheme in ["http", "https"] {
        let server = match scheme {
            "http" => Server::http("dynamodb", "127.0.0.1").await,
            _ => Server::https("dynamodb", "127.0.0.1", &["*.ap-northeast-1.amazonaws.com"]).await,
        };
        let fixture = Fixture::new(server.answering(dynamodb(&[])), policy(table()));
        let http = match scheme {
            "http" => fixture.http_client(),
            _ => fixture.http_client().only_root_certificates(fixture.server.ca_pem()).unwrap(),
        };
        let client = aws_sdk_dynamodb::Client::new(&config(http, &fixture.endpoint(scheme)).await);
        put(&client).await.unwrap();
        assert_eq!(get(&client).await.unwrap().unwrap()["what"], text("tea"));

        let seen = fixture.server.seen();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].sni.as_deref(), (scheme == "https").then_some(DYNAMODB));
        assert!(seen[0].header("user-agent").unwrap().starts_with("aws-sdk-rust/"), "{seen:?}");

        let connections = fixture.audit.decisions_at("connection");
        assert_eq!(connections.len(), 1, "kept for the second request");
        let connection = &connections[0];
        assert_eq!((&connection["client"], &connection["host"]), (&"aws_sdk".into(), &DYNAMODB.into()));
        assert_eq!(connection["peer_port"], fixture.server.port());
        let [request, _] = &fixture.audit.decisions_at("request")[..] else { panic!("two requests") };
        assert_eq!((&request["client"], &request["attempt"]), (&"aws_sdk".into(), &1.into()));
        assert_eq!(
            (&request["method"], &request["path"], &request["scheme"]),
            (&"POST".into(), &"/".into(), &scheme.into())
        );
        for outcome in fixture.audit.of_type("outcome") {
            assert_eq!((&outcome["outcome"], &outcome["status"]), (&"complete".into(), &200.into()));
            assert_eq!((&outcome["peer_ip"], &outcome["attempt"]), (&"127.0.0.1".into(), &1.into()));
            assert_eq!(outcome["local_port"], connection["local_port"]);
            assert!(outcome["bytes_sent"].as_u64().unwrap() > 10, "{outcome}");
        }
    }
}

#[tokio::test]
async fn what_the_policy_lacks_is_denied_at_once_and_never_sent() {
    let any_port = || Rule::new("table").port_range(1..=65535).addresses(["127.0.0.1/32"]);
    let plain = || any_port().hosts([DYNAMODB]).schemes(["http"]);
    let elsewhere = Rule::new("table").hosts([DYNAMODB]).schemes(["http"]).port_range(1..=65535);
    let cases = [
        ("another host", any_port().hosts(["s3.amazonaws.com"]).schemes(["http"]), DYNAMODB, "host-not-allowed"),
        ("TLS alone", any_port().hosts([DYNAMODB]), DYNAMODB, "scheme-not-allowed"),
        ("another port", Rule::new("x").hosts([DYNAMODB]).schemes(["http"]), DYNAMODB, "port-not-allowed"),
        ("another method", plain().methods(["GET"]), DYNAMODB, "method-not-allowed"),
        ("another path", plain().paths(["/x"]), DYNAMODB, "path-not-allowed"),
        ("an address", plain(), "127.0.0.1", "ip-literal-not-allowed"),
        ("an address in decimal", plain(), "2130706433", "not-normalized"),
        ("a name at an address that is not open", elsewhere, DYNAMODB, "address-not-allowed"),
    ];
    for (name, rule, host, expected) in cases {
        let mut quickest = Duration::MAX;
        // The machine may be busy, but hardly every time.
        for _ in 0..5 {
            let server = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
            let fixture = Fixture::new(server, policy(rule.clone()));
            let endpoint = format!("http://{host}:{}", fixture.server.port());
            let config = config(fixture.http_client(), &endpoint).await;
            let retries = RetryConfig::standard().with_initial_backoff(Duration::from_secs(1));
            let patient = aws_sdk_dynamodb::config::Builder::from(&config).retry_config(retries).build();
            let client = aws_sdk_dynamodb::Client::from_conf(patient);
            let begun = Instant::now();
            let error = put(&client).await.unwrap_err();
            quickest = quickest.min(begun.elapsed());
            assert_eq!(reason(&error), expected, "{name}");
            assert_eq!(fixture.audit.denials(), [expected], "{name}: one attempt");
            assert!(fixture.server.seen().is_empty(), "{name}");
        }
        assert!(quickest < Duration::from_millis(50), "{name}: {quickest:?}");
    }
}

#[tokio::test]
async fn every_attempt_is_recorded() {
    let cases = [
        (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        (StatusCode::BAD_REQUEST, "ThrottlingException"),
        (StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
    ];
    for error in cases {
        let fixture = Fixture::plain(&[error, error]).await;
        put(&fixture.client().await).await.unwrap();
        assert_eq!(fixture.told("request", "attempt"), [1, 2, 3], "{error:?}");
        assert_eq!(fixture.outcomes("attempt"), [1, 2, 3], "{error:?}");
        assert_eq!(fixture.outcomes("status"), [error.0.as_u16(), error.0.as_u16(), 200], "{error:?}");
        let said: Vec<_> =
            fixture.server.seen().iter().map(|seen| seen.header("amz-sdk-request").unwrap().to_owned()).collect();
        assert!(said[2].contains("attempt=3"), "{said:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_before_an_answer_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let breaking = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    // Bound and not listened on, so that nobody else can be there.
    let refusing = tokio::net::TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    for (name, port) in [("broken off", breaking), ("refused", refusing.local_addr().unwrap().port())] {
        let fixture = Fixture::plain(&[]).await;
        let config = config(fixture.http_client(), &format!("http://{DYNAMODB}:{port}")).await;
        let error = put(&aws_sdk_dynamodb::Client::new(&config)).await.unwrap_err();
        assert!(denied(&error).is_none(), "{name}");
        assert_eq!(fixture.told("request", "attempt"), [1, 2, 3], "{name}");
        assert_eq!(fixture.outcomes("outcome"), ["failed"; 3], "{name}");
    }
}

#[tokio::test]
async fn the_sdk_can_give_up_a_connection() {
    let fixture = Fixture::plain(&[(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")]).await;
    let client = fixture.client().await;
    put(&client).await.unwrap();
    put(&client).await.unwrap();
    let ports = fixture.outcomes("local_port");
    assert_ne!(ports[0], ports[1], "after a server's error");
    assert_eq!(ports[1], ports[2], "and only then");
}

#[tokio::test]
async fn a_name_that_comes_to_lead_elsewhere_is_denied_and_not_tried_again() {
    let forbidden = Server::http("forbidden", "127.0.0.2").await.answering(dynamodb(&[]));
    let mut dynamodb = dynamodb(&[]);
    let closing = move |seen: &Seen| {
        let mut response = dynamodb(seen)?;
        response.headers_mut().insert("connection", "close".parse().unwrap());
        Some(response)
    };
    let server = Server::http("dynamodb", "127.0.0.1").await.answering(closing);
    let fixture = Fixture::new(server, policy(table()));
    let names = Names::new().with(DYNAMODB, &["127.0.0.1"]).with(DYNAMODB, &["127.0.0.2"]);
    let http = fixture.guard.aws_http_client().resolver(names);
    let client = aws_sdk_dynamodb::Client::new(&config(http, &fixture.endpoint("http")).await);
    put(&client).await.unwrap();
    let error = put(&client).await.unwrap_err();
    assert_eq!(reason(&error), "address-not-allowed");
    assert_eq!(fixture.audit.denials(), ["address-not-allowed"]);
    let denial = &fixture.audit.decisions_at("name")[0];
    assert_eq!((&denial["client"], &denial["peer_ip"]), (&"aws_sdk".into(), &"127.0.0.2".into()));
    assert_eq!(fixture.outcomes("outcome"), ["complete", "denied"]);
    assert_eq!((fixture.server.seen().len(), forbidden.seen().len()), (1, 0));
}

#[tokio::test]
async fn one_client_serves_several_services() {
    let fixture = Fixture::plain(&[]).await;
    let shared = SharedHttpClient::new(fixture.http_client());
    let config = config(fixture.http_client(), &fixture.endpoint("http")).await;
    let of_a_service = aws_sdk_dynamodb::config::Builder::from(&config).http_client(shared.clone()).build();
    put(&aws_sdk_dynamodb::Client::from_conf(of_a_service)).await.unwrap();
    let sts = aws_sdk_sts::config::Builder::from(&config).http_client(shared);
    let sts = sts.endpoint_url(format!("http://{STS}:{}", fixture.server.port())).build();
    let error = aws_sdk_sts::Client::from_conf(sts).get_caller_identity().send().await.unwrap_err();
    assert_eq!(reason(&error), "host-not-allowed");
    assert_eq!(fixture.server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_hears_nothing() {
    let server = || Server::https("dynamodb", "127.0.0.1", &["*.ap-northeast-1.amazonaws.com"]);
    let (other, misnamed) = (server().await, Server::https("dynamodb", "127.0.0.1", &["other.test"]).await);
    let (of_another, of_the_misnamed) = (other.ca_pem().to_owned(), misnamed.ca_pem().to_owned());
    let cases = [
        ("by the system's roots alone", server().await, None),
        ("by another authority's", server().await, Some(of_another)),
        ("under its name", misnamed, Some(of_the_misnamed)),
    ];
    for (name, server, pem) in cases {
        let fixture = Fixture::new(server.answering(dynamodb(&[])), policy(table()));
        let http = match &pem {
            Some(pem) => fixture.http_client().add_root_certificates(pem).unwrap(),
            None => fixture.http_client(),
        };
        let config = config(http, &fixture.endpoint("https")).await.into_builder();
        let client = aws_sdk_dynamodb::Client::new(&config.retry_config(RetryConfig::disabled()).build());
        let error = put(&client).await.unwrap_err();
        assert!(DisplayErrorContext(&error).to_string().contains("invalid peer certificate"), "{name}");
        assert!(denied(&error).is_none(), "{name}");
        assert_eq!(fixture.outcomes("outcome"), ["failed"], "{name}");
        assert!(fixture.server.seen().is_empty(), "{name}");
    }
}

/// A server that takes connections and says nothing.
#[tokio::test]
async fn the_timeouts_of_the_sdk_hold() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let patience = Duration::from_millis(100);
    let none = TimeoutConfig::builder().disable_connect_timeout().disable_read_timeout();
    let cases = [
        ("https", none.clone().connect_timeout(patience), "HTTP connect timeout occurred after 100ms"),
        ("http", none.read_timeout(patience), "HTTP read timeout occurred after 100ms"),
    ];
    for (scheme, timeouts, expected) in cases {
        let fixture = Fixture::plain(&[]).await;
        let config = config(fixture.http_client(), &format!("{scheme}://{DYNAMODB}:{port}")).await.into_builder();
        let config = config.timeout_config(timeouts.build()).retry_config(RetryConfig::standard().with_max_attempts(2));
        let begun = Instant::now();
        let error = put(&aws_sdk_dynamodb::Client::new(&config.build())).await.unwrap_err();
        let told = DisplayErrorContext(&error).to_string();
        assert!(told.contains(expected), "{told}");
        assert!(begun.elapsed() >= patience * 2 && begun.elapsed() < Duration::from_secs(10), "{expected}");
        assert_eq!(fixture.told("request", "attempt"), [1, 2], "a timeout is tried again");
        assert_eq!(fixture.outcomes("outcome"), ["failed", "failed"]);
    }
}

/// A guard whose policy is replaced while it is in use.
struct Followed {
    extension: AppConfigExtension,
    fixture: Fixture,
}

impl Followed {
    async fn new() -> Self {
        let extension = AppConfigExtension::start().await;
        extension.deploy("policy", table_in_text());
        let source = AppConfig::new("orders", "test", "policy").port(extension.port());
        let audit = ValidatedAudit::new();
        let guard = Guard::follow(source.poll_every(Duration::from_millis(10)), audit.clone()).await.unwrap();
        let server = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
        Self { extension, fixture: Fixture { server, audit, guard } }
    }

    async fn replace(&self, policy: String) {
        self.extension.deploy("policy", policy);
        let replaced = async {
            while self.fixture.audit.of_type("posture").len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), replaced).await.unwrap();
    }
}

#[tokio::test]
async fn a_replaced_policy_ends_connections_that_it_denies() {
    let followed = Followed::new().await;
    let fixture = &followed.fixture;
    let client = fixture.client().await;
    put(&client).await.unwrap();
    put(&client).await.unwrap();
    assert_eq!(fixture.audit.decisions_at("connection").len(), 1, "the second request shares it");
    followed.replace(table_in_text().replace("127.0.0.1/32", "127.0.0.9/32")).await;
    assert_eq!(reason(&put(&client).await.unwrap_err()), "address-not-allowed");
    assert_eq!(fixture.server.seen().len(), 2, "nothing went over the idle connection");
}

#[tokio::test]
async fn a_policy_that_comes_to_state_a_proxy_needs_no_new_client() {
    let followed = Followed::new().await;
    let client = followed.fixture.client().await;
    put(&client).await.unwrap();
    let proxy = Proxy::forwarding("127.0.0.5").await;
    let way = format!(
        "[[allow]]\nid = 'way'\nnetworks = ['127.0.0.5/32']\nschemes = ['http']\nports = [{}]\n",
        proxy.address().port()
    );
    followed.replace(format!("proxy = 'http://{}'\n{}{way}", proxy.address(), table_in_text())).await;
    put(&client).await.unwrap();
    assert_eq!((followed.fixture.server.seen().len(), proxy.seen().len()), (2, 1));
}

#[tokio::test]
async fn the_proxy_of_the_policy_is_the_way_and_a_destination_like_any_other() {
    let cases = [
        ("named", "proxy.test", &["proxy.test"][..], None),
        ("a literal", "127.0.0.5", &[][..], None),
        ("without a rule", "proxy.test", &["other.test"][..], Some("host-not-allowed")),
        ("elsewhere", "moved.test", &["moved.test"][..], Some("address-not-allowed")),
        ("a literal without a rule", "127.0.0.6", &[][..], Some("ip-literal-not-allowed")),
    ];
    for (name, host, hosts, expected) in cases {
        for scheme in ["http", "https"] {
            let ip = if host == "127.0.0.6" { host } else { "127.0.0.5" };
            let proxy = Proxy::forwarding(ip).await;
            let way = Rule::new("way").schemes(["http"]).port(proxy.address().port()).networks(["127.0.0.5/32"]);
            let way = if hosts.is_empty() { way } else { way.hosts(hosts.iter().copied()).addresses(["127.0.0.5/32"]) };
            let url = format!("http://{host}:{}", proxy.address().port());
            // Where a proxy looks the name up, its addresses are not known.
            let table = Rule::new("table").hosts([DYNAMODB]).schemes(["http", "https"]).port_range(1..=65535);
            let policy = Policy::builder("orders").proxy(url).allow(table).allow(way).build().unwrap();
            let server = match scheme {
                "http" => Server::http("dynamodb", "127.0.0.1").await,
                _ => Server::https("dynamodb", "127.0.0.1", &[DYNAMODB]).await,
            };
            let fixture = Fixture::new(server.answering(dynamodb(&[])), policy);
            let names = Names::new().with("proxy.test", &["127.0.0.5"]).with("moved.test", &["127.0.0.6"]);
            let http = fixture.guard.aws_http_client().resolver(names);
            let http = match scheme {
                "http" => http,
                _ => http.only_root_certificates(fixture.server.ca_pem()).unwrap(),
            };
            let client = aws_sdk_dynamodb::Client::new(&config(http, &fixture.endpoint(scheme)).await);
            match (put(&client).await, expected) {
                (Ok(()), None) => {
                    let tunnel = format!("CONNECT {DYNAMODB}:{} HTTP/1.1", fixture.server.port());
                    assert!(proxy.seen()[0].starts_with(&tunnel), "{name}: {:?}", proxy.seen());
                    assert_eq!(fixture.told("connection", "host"), [host], "{name}");
                    assert_eq!(fixture.outcomes("peer_ip"), ["127.0.0.5"], "{name}");
                }
                (Err(error), Some(expected)) => {
                    assert_eq!(reason(&error), expected, "{name}");
                    assert_eq!(fixture.audit.denials(), [expected], "{name}");
                    assert!(proxy.seen().is_empty() && fixture.server.seen().is_empty(), "{name}");
                }
                (result, _) => panic!("{name}, {scheme}: {result:?}"),
            }
        }
    }
}

/// What the documentation says closes the way past the guard. If this fails, it does not any more.
#[tokio::test]
async fn without_its_default_features_the_sdk_has_no_other_client() {
    let fixture = Fixture::plain(&[]).await;
    let config = config(fixture.http_client(), &format!("http://127.0.0.1:{}", fixture.server.port())).await;
    let bare = aws_sdk_dynamodb::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(config.region().cloned())
        .credentials_provider(config.credentials_provider().unwrap())
        .endpoint_url(config.endpoint_url().unwrap());
    let error = put(&aws_sdk_dynamodb::Client::from_conf(bare.build())).await.unwrap_err();
    let told = DisplayErrorContext(&error).to_string();
    assert!(told.contains("No HTTP client was available to send this request"), "{told}");
    assert!(fixture.server.seen().is_empty());
}

/// The instance metadata service, as a client that has no credentials asks it.
fn metadata(seen: &Seen) -> Option<Response<Bytes>> {
    let token = Response::builder().header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    Some(match seen.target.as_str() {
        "/latest/api/token" => token.body("token".into()).unwrap(),
        "/latest/meta-data/iam/security-credentials/" => Response::new("role".into()),
        _ => Response::new(CREDENTIALS.into()),
    })
}

const CREDENTIALS: &str = r#"{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
    "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "secret", "Token": "token", "Expiration": "2099-01-01T00:00:00Z"}"#;

#[tokio::test]
async fn credentials_of_the_metadata_service_pass_the_guard() {
    for allowed in [true, false] {
        let server = Server::http("metadata", "127.0.0.1").await.answering(metadata);
        let rule = Rule::new("metadata").networks(["127.0.0.1/32"]).schemes(["http"]).port(server.port());
        let fixture = Fixture::new(server, policy(if allowed { rule } else { table() }));
        let config = ProviderConfig::without_region().with_http_client(fixture.http_client());
        let metadata = aws_config::imds::Client::builder().configure(&config);
        let metadata = metadata.endpoint(format!("http://127.0.0.1:{}", fixture.server.port())).unwrap().build();
        let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(metadata).build();
        let result = provider.provide_credentials().await;
        if allowed {
            assert_eq!(result.unwrap().access_key_id(), "AKIDEXAMPLE");
            let paths = fixture.told("request", "path");
            assert_eq!(paths[0], "/latest/api/token");
            assert_eq!(paths.len(), fixture.server.seen().len());
            assert!(fixture.told("request", "attempt").iter().all(Value::is_null), "its client does not tell");
        } else {
            let error = result.unwrap_err();
            assert_eq!(reason(&error), "ip-literal-not-allowed");
            assert_eq!(fixture.audit.denials(), ["ip-literal-not-allowed"], "one attempt");
            assert!(fixture.server.seen().is_empty());
        }
    }
}

/// A service of the SDK's credentials: a container's endpoint, and STS.
fn credentials(seen: &Seen) -> Option<Response<Bytes>> {
    if seen.target == "/credentials" {
        return Some(Response::new(CREDENTIALS.into()));
    }
    let asked = String::from_utf8_lossy(&seen.body);
    asked.contains("Action=AssumeRoleWithWebIdentity").then(|| {
        let answer = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>
            <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
            <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>
            <Arn>arn:aws:sts::123456789012:assumed-role/orders/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId>
            </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"#;
        Response::new(answer.into())
    })
}

/// Makes a table, puts an item and reads it again.
async fn use_a_table(client: &aws_sdk_dynamodb::Client) {
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let table = client.create_table().table_name("orders").billing_mode(BillingMode::PayPerRequest).key_schema(key);
    table.attribute_definitions(attribute.build().unwrap()).send().await.unwrap();
    let status =
        || async { client.describe_table().table_name("orders").send().await.unwrap().table.unwrap().table_status };
    while status().await != Some(TableStatus::Active) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    put(client).await.unwrap();
    assert_eq!(get(client).await.unwrap().unwrap()["what"], text("tea"));
}

#[tokio::test]
async fn dynalite_is_reached_if_the_policy_allows_it() {
    let Some(dynalite) = NotInstalled::or_skip(Service::dynalite().await) else { return };
    let endpoint = format!("http://{DYNAMODB}:{}", dynalite.address().port());
    let audit = ValidatedAudit::new();
    let http = Guard::new(policy(table()), audit.clone()).aws_http_client().resolver(names());
    use_a_table(&aws_sdk_dynamodb::Client::new(&config(http, &endpoint).await)).await;
    assert!(audit.denials().is_empty());

    let http = Guard::new(policy(Rule::new("x").hosts(["x.test"])), audit.clone()).aws_http_client().resolver(names());
    let error = get(&aws_sdk_dynamodb::Client::new(&config(http, &endpoint).await)).await.unwrap_err();
    assert_eq!(reason(&error), "host-not-allowed");
}

#[tokio::test]
async fn moto_is_reached_over_tls_if_the_policy_allows_it() {
    let (certificate, key) = certificate_in_pem(&["*.ap-northeast-1.amazonaws.com"]);
    let folder = tempfile::tempdir().unwrap();
    let paths = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&paths[0], &certificate).unwrap();
    std::fs::write(&paths[1], key).unwrap();
    let moto = Service::moto_over_tls(&paths[0], &paths[1]).await;
    let Some(moto) = NotInstalled::or_skip(moto) else { return };
    let port = moto.address().port();
    let audit = ValidatedAudit::new();
    let http = Guard::new(policy(table()), audit.clone()).aws_http_client().resolver(names());
    let http = http.only_root_certificates(&certificate).unwrap();
    let config = config(http, &format!("https://{DYNAMODB}:{port}")).await;
    use_a_table(&aws_sdk_dynamodb::Client::new(&config)).await;
    assert!(audit.denials().is_empty());

    let sts = config.into_builder().endpoint_url(format!("https://{STS}:{port}")).build();
    let error = aws_sdk_sts::Client::new(&sts).get_caller_identity().send().await.unwrap_err();
    assert_eq!(reason(&error), "host-not-allowed");
    assert_eq!(audit.denials(), ["host-not-allowed"]);
}

/// Run by the next tests: a function that reads an item, in a process with an environment of its own.
#[tokio::test]
#[ignore = "run by the other tests, in a process of its own"]
async fn a_process_that_reads_an_item() {
    let audit = ValidatedAudit::new();
    let guard = Guard::new(Policy::from_env().unwrap(), audit.clone());
    let http = guard.aws_http_client().resolver(names());
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let client = aws_sdk_dynamodb::Client::new(&config);
    match get(&client).await {
        Ok(item) => println!("<read {}>", item.is_some()),
        Err(error) => println!("<{}>", denied(&error).map_or("another error", |denied| denied.reason().as_str())),
    }
    for line in audit.of_type("decision") {
        println!(
            "<{} {} {}>",
            line["stage"].as_str().unwrap(),
            line["host"].as_str().unwrap(),
            line["action"].as_str().unwrap()
        );
    }
    // What the proxies of the environment do for a client that asks them; without any, nothing listens there.
    if std::env::var_os("HTTP_PROXY").is_some() {
        let _ = reqwest::get("http://127.0.0.2:9/unguarded").await;
    }
}

/// What the process says, with these variables.
async fn in_environment(policy: &str, variables: &[(&str, String)]) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "a_process_that_reads_an_item"])
        .env_clear()
        .env("EGRESS_GUARD_POLICY", policy)
        .env("AWS_REGION", "ap-northeast-1")
        .env("AWS_CONFIG_FILE", "/nowhere")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let output = String::from_utf8(output.stdout).unwrap();
    output.split('<').skip(1).map(|text| text.split('>').next().unwrap().to_owned()).collect()
}

fn keys() -> [(&'static str, String); 2] {
    [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".into()), ("AWS_SECRET_ACCESS_KEY", "secret".into())]
}

fn table_in_text() -> String {
    format!(
        "version = 1\nname = 'orders'\n[[allow]]\nid = 'table'\nhosts = ['{DYNAMODB}']\nschemes = ['http']\n\
         ports = ['1-65535']\naddresses = ['127.0.0.1/32']\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_never_used() {
    let proxy = Proxy::listen("127.0.0.3").await;
    let server = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
    let mut variables = keys().to_vec();
    variables.push(("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{DYNAMODB}:{}", server.port())));
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        variables.push((variable, format!("http://{}", proxy.address())));
    }
    let told = in_environment(&table_in_text(), &variables).await;
    assert_eq!(told[0], "read false", "{told:?}");
    assert_eq!(server.seen().len(), 1);
    let [unguarded] = &proxy.seen()[..] else { panic!("the unguarded client alone uses it: {:?}", proxy.seen()) };
    assert!(unguarded.starts_with("GET http://127.0.0.2:9/unguarded"), "{unguarded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_container_and_of_a_web_identity_pass_the_guard() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    let token = token.to_str().unwrap();
    let sts = format!(
        "[[allow]]\nid = 'sts'\nhosts = ['{STS}']\nschemes = ['http']\nports = ['1-65535']\naddresses = ['127.0.0.1/32']\n"
    );
    let container =
        "[[allow]]\nid = 'container'\nnetworks = ['127.0.0.1/32']\nschemes = ['http']\nports = ['1-65535']\n";
    let cases = [("a container", "127.0.0.1", container), ("a web identity", STS, sts.as_str())];
    for (name, host, rule) in cases {
        for allowed in [true, false] {
            let server = Server::http("dynamodb", "127.0.0.1").await.answering(dynamodb(&[]));
            let source = Server::http("credentials", "127.0.0.1").await.answering(credentials);
            let mut variables = vec![("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{DYNAMODB}:{}", server.port()))];
            if host == STS {
                variables.push(("AWS_ENDPOINT_URL_STS", format!("http://{STS}:{}", source.port())));
                variables.push(("AWS_WEB_IDENTITY_TOKEN_FILE", token.into()));
                variables.push(("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/orders".into()));
            } else {
                let url = format!("http://127.0.0.1:{}/credentials", source.port());
                variables.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", url));
            }
            let policy = table_in_text() + if allowed { rule } else { "" };
            let told = in_environment(&policy, &variables).await;
            if allowed {
                assert_eq!(told[0], "read false", "{name}: {told:?}");
                assert_eq!(told[1], format!("request {host} allowed"), "{name}: {told:?}");
                assert_eq!((source.seen().len(), server.seen().len()), (1, 1), "{name}");
            } else {
                assert_eq!(told[1..], [format!("request {host} denied")], "{name}: one attempt, and no more: {told:?}");
                assert_eq!((source.seen().len(), server.seen().len()), (0, 0), "{name}");
            }
        }
    }
}
