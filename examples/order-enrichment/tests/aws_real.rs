//! The guarded clients of the AWS SDK against real implementations of its services, over HTTP and over TLS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_ssm::types::ParameterType;
use egress_guard::{AwsHttpClient, Guard, Policy, Rule, denied};
use egress_guard_tests::{Names, NotInstalled, Service, TlsFront, ValidatedAudit};

#[path = "../local/table.rs"]
mod table;

const DYNAMODB: &str = "dynamodb.ap-northeast-1.amazonaws.com";
const SSM: &str = "ssm.ap-northeast-1.amazonaws.com";
const STS: &str = "sts.ap-northeast-1.amazonaws.com";

/// A service, over plain HTTP and over TLS, before a guard that allows one name.
struct Fixture {
    service: Service,
    front: TlsFront,
    audit: ValidatedAudit,
    guard: Guard,
}

impl Fixture {
    async fn new(service: Service, names: &[&str], allowed: &[&str]) -> Self {
        let front = TlsFront::start(names, service.address()).await;
        let rule = Rule::new("service").hosts(allowed.to_vec()).methods(["POST"]).paths(["/"]);
        let rule = rule.schemes(["http", "https"]).port_range(1024..=65535).addresses(["127.0.0.1/32"]);
        let audit = ValidatedAudit::new();
        let guard = Guard::new(Policy::builder("orders").allow(rule).build().unwrap(), audit.clone());
        Self { service, front, audit, guard }
    }

    fn http_client(&self) -> AwsHttpClient {
        let names = [DYNAMODB, SSM, STS].iter().fold(Names::new(), |names, name| names.with(name, &["127.0.0.1"]));
        self.guard.aws_http_client().resolver(names).only_root_certificates(self.front.ca_pem()).unwrap()
    }

    async fn config(&self, scheme: &str, name: &str) -> SdkConfig {
        let port = if scheme == "https" { self.front.port() } else { self.service.address().port() };
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(self.http_client());
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let config = config.region(Region::new("ap-northeast-1")).credentials_provider(credentials);
        config.endpoint_url(format!("{scheme}://{name}:{port}")).load().await
    }

    /// Every request was allowed and answered, on the first attempt and with success.
    fn assert_allowed(&self, requests: usize, connections: &[&str]) {
        assert!(self.audit.denials().is_empty());
        let outcomes = self.audit.of_type("outcome");
        assert_eq!(outcomes.len(), requests);
        for outcome in outcomes {
            assert_eq!((&outcome["outcome"], &outcome["status"]), (&"complete".into(), &200.into()), "{outcome}");
            assert_eq!((&outcome["attempt"], &outcome["peer_ip"]), (&1.into(), &"127.0.0.1".into()), "{outcome}");
        }
        let mut names = self.front.seen();
        names.dedup(); // moto closes each connection
        assert_eq!(names, connections, "the names of the TLS handshakes");
    }
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[tokio::test]
async fn an_item_is_put_into_dynamodb_and_read_again() {
    for scheme in ["http", "https"] {
        let Some(dynalite) = NotInstalled::or_skip(Service::dynalite().await) else { return };
        let fixture = Fixture::new(dynalite, &[DYNAMODB], &[DYNAMODB]).await;
        let client = aws_sdk_dynamodb::Client::new(&fixture.config(scheme, DYNAMODB).await);
        table::create(&client, "orders").await.unwrap();
        let before = fixture.audit.of_type("outcome").len();
        client.put_item().table_name("orders").item("id", text("7")).item("what", text("茶")).send().await.unwrap();
        let read = client.get_item().table_name("orders").key("id", text("7")).consistent_read(true).send().await;
        assert_eq!(read.unwrap().item.unwrap()["what"], text("茶"));
        let none = client.get_item().table_name("orders").key("id", text("8")).send().await.unwrap();
        assert_eq!(none.item, None);
        fixture.assert_allowed(before + 3, if scheme == "https" { &[DYNAMODB] } else { &[] });

        // What the service refuses is not the guard's denial.
        let error = client.get_item().table_name("other").key("id", text("7")).send().await.unwrap_err();
        assert!(denied(&error).is_none());
        assert!(error.into_service_error().is_resource_not_found_exception());
    }
}

#[tokio::test]
async fn a_parameter_is_read_and_sts_says_who_asks() {
    for scheme in ["http", "https"] {
        let Some(moto) = NotInstalled::or_skip(Service::moto().await) else { return };
        let fixture = Fixture::new(moto, &[SSM, STS], &[SSM, STS]).await;
        let parameters = aws_sdk_ssm::Client::new(&fixture.config(scheme, SSM).await);
        let put =
            parameters.put_parameter().name("/orders/partner").value("a secret").r#type(ParameterType::SecureString);
        put.send().await.unwrap();
        for (decrypted, expected) in [(true, "a secret"), (false, "kms:alias/aws/ssm:a secret")] {
            let read = parameters.get_parameter().name("/orders/partner").with_decryption(decrypted).send().await;
            assert_eq!(read.unwrap().parameter.unwrap().value.unwrap(), expected, "{scheme}");
        }
        let sts = aws_sdk_sts::Client::new(&fixture.config(scheme, STS).await);
        let identity = sts.get_caller_identity().send().await.unwrap();
        assert_eq!(identity.account.unwrap(), "123456789012");
        fixture.assert_allowed(4, if scheme == "https" { &[SSM, STS] } else { &[] });
    }
}

/// The reason of a denial, found in the SDK's error.
fn reason<E: Error + 'static>(result: Result<impl Sized, E>) -> String {
    let error = result.err().expect("an error");
    denied(&error).expect("a denial").reason().to_string()
}

#[tokio::test]
async fn what_the_policy_lacks_is_denied_at_once_and_never_sent() {
    let services = [NotInstalled::or_skip(Service::dynalite().await), NotInstalled::or_skip(Service::moto().await)];
    let [Some(dynalite), Some(moto)] = services else { return };
    let another = ["dynamodb.eu-west-1.amazonaws.com"];
    let table = Fixture::new(dynalite, &[DYNAMODB], &another).await;
    let others = Fixture::new(moto, &[SSM, STS], &another).await;
    for scheme in ["http", "https"] {
        let dynamodb = aws_sdk_dynamodb::Client::new(&table.config(scheme, DYNAMODB).await);
        let parameters = aws_sdk_ssm::Client::new(&others.config(scheme, SSM).await);
        let sts = aws_sdk_sts::Client::new(&others.config(scheme, STS).await);
        let mut quickest = [Duration::MAX; 4];
        let times = 3;
        // The machine may be busy, but hardly every time.
        for _ in 0..times {
            let mut at = 0;
            let mut assert_denied = |begun: Instant, reason: String| {
                assert_eq!(reason, "host-not-allowed", "{scheme}, call {at}");
                quickest[at] = quickest[at].min(begun.elapsed());
                at += 1;
            };
            let begun = Instant::now();
            assert_denied(begun, reason(dynamodb.put_item().table_name("orders").item("id", text("7")).send().await));
            let begun = Instant::now();
            assert_denied(begun, reason(dynamodb.get_item().table_name("orders").key("id", text("7")).send().await));
            let begun = Instant::now();
            assert_denied(begun, reason(parameters.get_parameter().name("/orders/partner").send().await));
            let begun = Instant::now();
            assert_denied(begun, reason(sts.get_caller_identity().send().await));
        }
        assert!(quickest.iter().all(|quickest| *quickest < Duration::from_millis(50)), "{scheme}: {quickest:?}");
    }
    let one_attempt_each = |fixture: &Fixture| {
        assert_eq!(fixture.audit.denials().len(), 2 * 2 * 3, "three times two calls, over HTTP and TLS");
        assert!(fixture.audit.of_type("outcome").is_empty());
        assert!(fixture.front.seen().is_empty());
    };
    one_attempt_each(&table);
    one_attempt_each(&others);
}

/// Run by the next test: a process that starts a service, and is killed.
#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn a_process_with_a_service() {
    let service = Service::dynalite().await.unwrap();
    println!("<{}>", service.address());
    std::io::stdout().flush().unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_service_ends_with_its_owner() {
    let Some(service) = NotInstalled::or_skip(Service::dynalite().await) else { return };
    let address = service.address();
    TcpStream::connect(address).unwrap();
    drop(service);
    assert_ends(address);

    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "a_process_with_a_service"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let address = lines.map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once('<')?;
        rest.split('>').next()?.parse().ok()
    });
    let address: SocketAddr = address.unwrap();
    TcpStream::connect(address).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_ends(address);
}

fn assert_ends(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the service at {address} still runs");
        std::thread::sleep(Duration::from_millis(50));
    }
}
