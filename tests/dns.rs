//! Names over real DNS: a server on loopback that answers with TTL 0 and changes its mind, and a real stub resolver that
//! asks nobody else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use egress_guard::{Client, ClientError, ClientOptions, Guard, Policy, Rule};
use egress_guard_tests::{Server, ValidatedAudit};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Metadata, ResponseCode};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use reqwest::dns::{Addrs, Name as ReqwestName, Resolve, Resolving};
use tokio::net::{TcpListener, UdpSocket};

/// What the server says of a name, once.
#[derive(Clone)]
enum Answer {
    Addresses(&'static [&'static str]),
    Alias(&'static str),
    /// Over UDP only the note that it is too long; over TCP the addresses.
    Truncated(&'static [&'static str]),
    Slow(Duration),
}
use Answer::{Addresses, Alias, Slow, Truncated};

/// Answers in turn, and stays at the last.
#[derive(Clone, Default)]
struct Zone {
    answers: HashMap<&'static str, Vec<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Zone {
    fn with(mut self, name: &'static str, answer: Answer) -> Self {
        self.answers.entry(name).or_default().push(answer);
        self
    }

    fn answer(&self, name: &str) -> Option<Answer> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|earlier| *earlier == name).count();
        asked.push(name.to_owned());
        let answers = self.answers.get(name)?;
        answers.get(before).or(answers.last()).cloned()
    }

    fn records(&self, name: &Name, wanted: RecordType) -> (Vec<Record>, bool, bool) {
        let addresses = |list: &[&str]| -> Vec<Record> {
            let ips = list.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
            let of_type = ips.filter(|ip| ip.is_ipv4() == (wanted == RecordType::A));
            of_type.map(|ip| Record::from_rdata(name.clone(), 0, RData::from(ip))).collect()
        };
        match self.answer(&name.to_ascii().to_ascii_lowercase()) {
            Some(Addresses(list)) => (addresses(list), false, true),
            Some(Truncated(list)) => (addresses(list), true, true),
            Some(Alias(target)) => {
                let alias = RData::CNAME(hickory_server::proto::rr::rdata::CNAME(Name::from_ascii(target).unwrap()));
                let (mut records, ..) = self.records(&Name::from_ascii(target).unwrap(), wanted);
                records.insert(0, Record::from_rdata(name.clone(), 0, alias));
                (records, false, true)
            }
            Some(Slow(_)) | None => (Vec::new(), false, false),
        }
    }
}

#[async_trait]
impl RequestHandler for Zone {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let info = request.request_info().unwrap();
        let (name, wanted) = (Name::from(info.query.name()), info.query.query_type());
        // One question for both families is asked as two; the answer in turn goes by the first.
        if let Some(Slow(delay)) = self.answers.get(name.to_ascii().as_str()).and_then(|answers| answers.first()) {
            self.asked.lock().unwrap().push(name.to_ascii());
            tokio::time::sleep(*delay).await;
        }
        let (records, truncated, exists) =
            if wanted == RecordType::A { self.records(&name, wanted) } else { (Vec::new(), false, true) };
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let over_udp = request.protocol() == hickory_server::net::xfer::Protocol::Udp;
        metadata.truncation = truncated && over_udp;
        if !exists {
            metadata.response_code = ResponseCode::NXDomain;
        }
        let records = if metadata.truncation { Vec::new() } else { records };
        let response = MessageResponseBuilder::from_message_request(request).build(metadata, &records, [], [], []);
        to.send_response(response).await.unwrap()
    }
}

/// hickory's resolver as reqwest takes one, with a search list, as a VPC may set it.
struct Hickory(TokioResolver);

impl Resolve for Hickory {
    fn resolve(&self, name: ReqwestName) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let answer = resolver.lookup_ip(name.as_str()).await?;
            Ok(Box::new(answer.iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

struct Fixture {
    http: Client,
    good: Server,
    bad: Server,
    audit: ValidatedAudit,
    zone: Zone,
    _dns: hickory_server::Server<Zone>,
}

impl Fixture {
    async fn new(zone: Zone) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connections = [
            with_port(ConnectionConfig::udp(), udp.local_addr().unwrap().port()),
            with_port(ConnectionConfig::tcp(), tcp.local_addr().unwrap().port()),
        ];
        let mut dns = hickory_server::Server::new(zone.clone());
        dns.register_socket(udp);
        dns.register_listener(tcp, Duration::from_secs(5), 4096);

        let name_server = NameServerConfig::new(IpAddr::from([127, 0, 0, 1]), true, connections.to_vec());
        let search = vec![Name::from_ascii("corp.test.").unwrap()];
        let config = ResolverConfig::from_parts(None, search, vec![name_server]);
        let mut resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        resolver.options_mut().cache_size = 0;
        resolver.options_mut().ndots = 3;

        let rule =
            Rule::new("api").hosts(["*.test"]).schemes(["http"]).port_range(1..=65535).addresses(["127.0.0.1/32"]);
        let deny = Rule::new("no-secrets").hosts(["*.secret.test"]);
        let audit = ValidatedAudit::new();
        let guard = Guard::new(Policy::builder("dns").allow(rule).deny(deny).build().unwrap(), audit.clone());
        let builder = reqwest::Client::builder().pool_max_idle_per_host(0);
        let http = guard.client(ClientOptions::from(builder).resolver(Hickory(resolver.build().unwrap()))).unwrap();
        let (good, bad) = (Server::http("good", "127.0.0.1").await, Server::http("bad", "127.0.0.2").await);
        Self { http, good, bad, audit, zone, _dns: dns }
    }

    async fn get(&self, name: &str, server: &Server) -> Result<reqwest::Response, ClientError> {
        self.http.get(format!("http://{name}:{}/", server.port())).send().await
    }

    fn asked(&self) -> Vec<String> {
        self.zone.asked.lock().unwrap().clone()
    }
}

fn with_port(mut connection: ConnectionConfig, port: u16) -> ConnectionConfig {
    connection.port = port;
    connection
}

fn reason(result: Result<reqwest::Response, ClientError>) -> String {
    let error = result.expect_err("a denial");
    error.denied().unwrap_or_else(|| panic!("a denial, not {error:?}")).reason().to_string()
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_never_followed_to_a_forbidden_address() {
    let zone = Zone::default().with("a.rebind.test.", Addresses(&["127.0.0.1"]));
    let zone = zone.with("a.rebind.test.", Addresses(&["127.0.0.2"])).with("a.rebind.test.", Addresses(&["127.0.0.1"]));
    let fixture = Fixture::new(zone).await;
    assert!(fixture.get("a.rebind.test", &fixture.good).await.is_ok());
    assert_eq!(reason(fixture.get("a.rebind.test", &fixture.bad).await), "address-not-allowed");
    assert!(fixture.get("a.rebind.test", &fixture.good).await.is_ok());
    assert!(fixture.bad.seen().is_empty());
    assert_eq!(fixture.asked().len(), 3, "nothing is remembered between check and use: {:?}", fixture.asked());
}

#[tokio::test]
async fn an_alias_of_a_private_name_is_judged_by_its_address() {
    let zone = Zone::default().with("a.alias.test.", Alias("inside.corp.test."));
    let fixture = Fixture::new(zone.with("inside.corp.test.", Addresses(&["127.0.0.2"]))).await;
    assert_eq!(reason(fixture.get("a.alias.test", &fixture.bad).await), "address-not-allowed");
    assert!(fixture.bad.seen().is_empty());
}

#[tokio::test]
async fn of_a_mixed_answer_the_allowed_address_is_used() {
    let zone = Zone::default().with("a.mixed.test.", Addresses(&["127.0.0.2", "127.0.0.1"]));
    let fixture = Fixture::new(zone).await;
    assert!(fixture.get("a.mixed.test", &fixture.good).await.is_ok());
    assert!(fixture.bad.seen().is_empty());
    assert_eq!(fixture.audit.denials(), ["address-not-allowed"], "what was left out is recorded");
}

#[tokio::test]
async fn a_denied_name_causes_no_dns_packet() {
    let fixture = Fixture::new(Zone::default()).await;
    assert_eq!(reason(fixture.get("stolen-data.secret.test", &fixture.bad).await), "denied-by-rule");
    assert_eq!(reason(fixture.get("stolen-data.evil.example", &fixture.bad).await), "host-not-allowed");
    assert!(fixture.asked().is_empty(), "{:?}", fixture.asked());
}

/// The search list would complete a name that does not exist to one that does, in another domain.
#[tokio::test]
async fn names_are_looked_up_as_absolute_names() {
    let zone = Zone::default().with("api.example.test.corp.test.", Addresses(&["127.0.0.1"]));
    let fixture = Fixture::new(zone).await;
    let error = fixture.get("api.example.test", &fixture.good).await.unwrap_err();
    assert!(error.denied().is_none() && error.is_connect(), "{error:?}");
    assert!(fixture.good.seen().is_empty());
    assert!(fixture.asked().iter().all(|name| name == "api.example.test."), "{:?}", fixture.asked());
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_failure_and_no_denial() {
    let fixture = Fixture::new(Zone::default()).await;
    let error = fixture.get("missing.example.test", &fixture.good).await.unwrap_err();
    assert!(error.denied().is_none(), "{error:?}");
    assert_eq!(fixture.audit.of_type("outcome")[0]["outcome"], "failed");
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_and_judged() {
    let zone = Zone::default().with("a.long.test.", Truncated(&["127.0.0.2"]));
    let fixture = Fixture::new(zone).await;
    assert_eq!(reason(fixture.get("a.long.test", &fixture.bad).await), "address-not-allowed");
    assert!(fixture.asked().len() >= 2, "over UDP and over TCP: {:?}", fixture.asked());
}

/// On one thread, the slow one polled first: a look-up that blocked would be over before the quick one began.
#[tokio::test(flavor = "current_thread")]
async fn a_slow_answer_never_blocks_the_thread() {
    let zone = Zone::default().with("a.slow.test.", Slow(Duration::from_secs(60)));
    let fixture = Fixture::new(zone.with("a.quick.test.", Addresses(&["127.0.0.1"]))).await;
    tokio::select! {
        biased;
        slow = fixture.get("a.slow.test", &fixture.good) => panic!("the slow one came first: {slow:?}"),
        quick = fixture.get("a.quick.test", &fixture.good) => assert!(quick.is_ok(), "{quick:?}"),
    }
    assert!(fixture.asked().contains(&"a.slow.test.".to_owned()), "{:?}", fixture.asked());
}
