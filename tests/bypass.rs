//! Known ways around an allowlist, each as real traffic against real servers.
//!
//! Every attack is run by an unguarded client, where it must reach its goal, or the row could not fail; and by every
//! kind of guarded client, where it must be stopped or is named in the documentation as open. What counts is what the
//! servers saw. `cargo test -p egress-guard-tests --test bypass -- --nocapture` prints the table that
//! `docs/bypass.md` shows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::error::Error;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use egress_guard::{ClientOptions, Denied as Denial, Guard, Policy, Rule, denied};
use egress_guard_tests::{Names, Proxy, Server, ValidatedAudit};
use http::header::{AUTHORIZATION, HOST, HeaderValue, UPGRADE};
use http::{HeaderMap, Method};
use http_body_util::Full;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest::{ClientBuilder, Request};
use tempfile::TempDir;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::follow_redirect::FollowRedirectLayer;

/// An allowed server, one that plays the forbidden place, and everything that could lead from one to the other.
struct World {
    allowed: Server,
    /// Allowed too, under another name.
    other: Server,
    secure: Server,
    forbidden: Server,
    /// Allowed as an IP literal.
    literal: Server,
    proxy: Proxy,
    socket: Server,
    socket_path: std::path::PathBuf,
    _folder: TempDir,
    names: Names,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket_path = folder.path().join("socket");
        let names = Names::new()
            .with("allowed.test", &["127.0.0.1"])
            .with("other.test", &["127.0.0.1"])
            .with("ported.test", &["127.0.0.1"])
            .with("evil.test", &["127.0.0.2"])
            .with("localhost", &["127.0.0.2"])
            .with("private.test", &["127.0.0.2"])
            .with("mixed.test", &["127.0.0.2", "127.0.0.1"])
            .with("rebind.test", &["127.0.0.1"])
            .with("rebind.test", &["127.0.0.2"]);
        Self {
            allowed: Server::http("allowed", "127.0.0.1").await,
            other: Server::http("other", "127.0.0.1").await,
            secure: Server::https("secure", "127.0.0.1", &["allowed.test"]).await,
            forbidden: Server::http("forbidden", "127.0.0.2").await,
            literal: Server::http("literal", "127.0.0.4").await,
            proxy: Proxy::listen("127.0.0.3").await,
            socket: Server::unix("socket", &socket_path),
            socket_path,
            _folder: folder,
            names,
        }
    }

    /// Every port is allowed, so that a port is what stops an attack in one row alone.
    fn policy(&self) -> Policy {
        let names = ["allowed.test", "other.test", "private.test", "mixed.test", "rebind.test"];
        let partner = Rule::new("partner")
            .hosts(names)
            .schemes(["http", "https"])
            .port_range(1..=65535)
            .methods(["GET", "POST"])
            .paths(["/", "/ok/**", "/redirect/**"])
            .addresses(["127.0.0.1/32"]);
        // POST nowhere but here.
        let no_post = Rule::new("get-only").hosts(["other.test"]).methods(["POST"]);
        let plain =
            Rule::new("no-plain-http-on-secure").hosts(["allowed.test"]).schemes(["http"]).paths(["/ok/downgraded"]);
        let health =
            Rule::new("health").networks(["127.0.0.4/32"]).schemes(["http"]).port_range(1..=65535).paths(["/health"]);
        let ported = Rule::new("ported").hosts(["ported.test"]).schemes(["http"]).port(self.allowed.port());
        let ported = ported.addresses(["127.0.0.1/32"]);
        Policy::builder("bypass").allow(partner).allow(ported).allow(health).deny(no_post).deny(plain).build().unwrap()
    }

    fn allowed(&self, path: &str) -> String {
        format!("http://allowed.test:{}{path}", self.allowed.port())
    }

    fn at_forbidden(&self, host: &str) -> String {
        format!("http://{host}:{}/ok/x", self.forbidden.port())
    }

    fn redirect(&self, status: u16, location: &str) -> Request {
        get(&self.allowed(&format!("/redirect/{status}?{location}")))
    }
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

fn with_header(mut request: Request, name: http::HeaderName, value: &str) -> Request {
    request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    request
}

/// What a guarded client must do about an attack.
#[derive(Clone, Copy)]
enum Expected {
    /// Deny it, for this reason.
    Denied(&'static str),
    /// Send it to the allowed place without what made it an attack.
    Disarmed,
    /// Nothing: it is named in the documentation as what this client does not see.
    Open,
    /// Refuse to make a client of such a builder.
    Refused,
    /// Stop it, one way or the other.
    Stopped,
    /// The attack needs what this client does not have.
    NotApplicable,
}
use Expected::{Denied, Disarmed, NotApplicable, Open, Refused, Stopped};

/// What came of an attack.
struct Outcome {
    reached: bool,
    refused: bool,
    audit: ValidatedAudit,
}

struct Attack {
    /// What the application does to the builder.
    builder: fn(&World, ClientBuilder) -> ClientBuilder,
    requests: fn(&World) -> Vec<Request>,
    reached: fn(&World) -> bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Unguarded,
    Client,
    Reqwest,
    Blocking,
    UnguardedHyper,
    Hyper,
    UnguardedAws,
    Aws,
}

impl Attack {
    /// Runs the attack in a new world.
    async fn run(&self, kind: Kind) -> Outcome {
        let world = World::new().await;
        let audit = ValidatedAudit::new();
        let guard = Guard::new(world.policy(), audit.clone());
        let base = reqwest::Client::builder()
            .add_root_certificate(world.secure.ca())
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(10));
        let builder = (self.builder)(&world, base);
        let requests = (self.requests)(&world);
        let done = match kind {
            Kind::Unguarded => {
                let client = builder.dns_resolver(world.names.clone()).build().unwrap();
                for request in requests {
                    let _ = client.execute(request).await;
                }
                Ok(())
            }
            Kind::Client => send_all(guard.client(options(builder, &world)), requests).await,
            Kind::Reqwest => send_all(guard.reqwest(options(builder, &world)), requests).await,
            Kind::Blocking => {
                let (guard, options) = (guard.clone(), options(builder, &world));
                let send = move || send_all_blocking(guard.reqwest_blocking(options), requests);
                tokio::task::spawn_blocking(send).await.unwrap()
            }
            Kind::UnguardedHyper | Kind::Hyper => {
                send_all_by_hyper(&world, (kind == Kind::Hyper).then_some(&guard), requests).await;
                Ok(())
            }
            Kind::UnguardedAws | Kind::Aws => {
                send_all_by_the_aws_sdk(&world, (kind == Kind::Aws).then_some(&guard), requests).await;
                Ok(())
            }
        };
        let served = [&world.allowed, &world.other, &world.secure, &world.forbidden, &world.literal, &world.socket];
        let seen: usize = served.iter().map(|server| server.seen().len()).sum();
        let allowed = audit.of_type("decision").iter().filter(|line| line["action"] == "allowed").count();
        if !matches!(kind, Kind::Unguarded | Kind::UnguardedHyper | Kind::UnguardedAws) {
            assert!(seen == 0 || allowed > 0, "a server saw a request that no line explains");
        }
        Outcome { reached: (self.reached)(&world), refused: done.is_err(), audit }
    }

    async fn check(&self, kind: Kind, expected: Expected) {
        if matches!(expected, NotApplicable) {
            return;
        }
        let Outcome { reached, refused, audit } = self.run(kind).await;
        let denials = audit.denials();
        assert_eq!(refused, matches!(expected, Refused), "{kind:?}");
        match expected {
            NotApplicable | Refused => {}
            Denied(reason) => {
                assert!(!reached, "the attack reached its goal past {kind:?}; denials: {denials:?}");
                assert!(denials.iter().any(|denial| denial == reason), "{reason} is not among {denials:?}");
            }
            Disarmed => {
                assert!(!reached, "the attack reached its goal past {kind:?}");
                assert!(denials.is_empty(), "what can be disarmed need not be denied: {denials:?}");
            }
            Stopped => assert!(!reached, "the attack reached its goal past {kind:?}; denials: {denials:?}"),
            Open => assert!(reached, "{kind:?} is documented as open to this, and is not"),
        }
    }
}

fn options(builder: ClientBuilder, world: &World) -> ClientOptions {
    ClientOptions::from(builder).resolver(world.names.clone())
}

/// A builder that is refused.
struct BuilderRefused;

fn made<C>(client: Result<C, egress_guard::ClientError>) -> Result<C, BuilderRefused> {
    client.map_err(|error| {
        assert!(error.is_builder(), "{error}");
        BuilderRefused
    })
}

/// Only a denial may stop an attack, or a server that waits for what never comes.
fn assert_stopped(denial: Option<&Denial>, timed_out: bool, error: &dyn Error) {
    assert!(denial.is_some() || timed_out, "neither sent nor denied: {error:?}");
}

async fn send_all<C>(client: Result<C, egress_guard::ClientError>, requests: Vec<Request>) -> Result<(), BuilderRefused>
where
    C: Service<Request>,
    C::Error: Error + 'static,
{
    let mut client = made(client)?;
    for request in requests {
        if let Err(error) = client.ready().await.unwrap_or_else(|error| panic!("{error}")).call(request).await {
            let reqwest = (&error as &dyn std::any::Any).downcast_ref::<reqwest::Error>();
            assert_stopped(denied(&error), reqwest.is_some_and(reqwest::Error::is_timeout), &error);
        }
    }
    Ok(())
}

fn send_all_blocking(
    client: Result<reqwest::blocking::Client, egress_guard::ClientError>,
    requests: Vec<Request>,
) -> Result<(), BuilderRefused> {
    let client = made(client)?;
    for request in requests {
        let mut blocking = reqwest::blocking::Request::new(request.method().clone(), request.url().clone());
        *blocking.headers_mut() = request.headers().clone();
        if let Err(error) = client.execute(blocking) {
            assert_stopped(denied(&error), error.is_timeout(), &error);
        }
    }
    Ok(())
}

/// A tower stack over hyper-util, as its users build it: redirects above the guard, TLS within its connector.
async fn send_all_by_hyper(world: &World, guard: Option<&Guard>, requests: Vec<Request>) {
    let client = || {
        let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        builder.pool_max_idle_per_host(0);
        builder
    };
    let redirects = ServiceBuilder::new().layer(FollowRedirectLayer::new());
    for request in requests {
        let Some(request) = as_http(&request, Full::<Bytes>::default()) else { continue };
        match guard {
            None => {
                let mut http = HttpConnector::new_with_resolver(world.names.clone());
                http.enforce_http(false);
                let client = client().build::<_, Full<Bytes>>(https(world, http));
                let _ = tokio::time::timeout(PATIENCE, redirects.clone().service(client).oneshot(request)).await;
            }
            Some(guard) => {
                let mut http = HttpConnector::new_with_resolver(guard.resolver(world.names.clone()));
                http.enforce_http(false);
                let client = client().build::<_, Full<Bytes>>(guard.connector(https(world, http)));
                let stack = redirects.clone().layer(guard.layer()).service(client);
                if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, stack.oneshot(request)).await {
                    assert!(denied(&*error).is_some(), "neither sent nor denied: {error:?}");
                }
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_millis(500);

/// The request as it is, if hyper's types can hold it.
fn as_http<B>(request: &Request, body: B) -> Option<http::Request<B>> {
    let mut uri = http::Request::builder().method(request.method()).uri(request.url().as_str());
    *uri.headers_mut().unwrap() = request.headers().clone();
    uri.body(body).ok()
}

/// What a request of the SDK comes to below its retries. It follows no redirects, and has hyper's client inside.
async fn send_all_by_the_aws_sdk(world: &World, guard: Option<&Guard>, requests: Vec<Request>) {
    for request in requests {
        let Some(guard) = guard else {
            let Some(request) = as_http(&request, Full::<Bytes>::default()) else { continue };
            let mut http = HttpConnector::new_with_resolver(world.names.clone());
            http.enforce_http(false);
            let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(https(world, http));
            let _ = tokio::time::timeout(PATIENCE, client.request(request)).await;
            continue;
        };
        let Some(Ok(request)) = as_http(&request, SdkBody::empty()).map(HttpRequest::try_from) else { continue };
        let http = guard.aws_http_client().resolver(world.names.clone());
        let http = http.only_root_certificates(world.secure.ca_pem()).unwrap();
        let components = RuntimeComponentsBuilder::for_tests().build().unwrap();
        let connector = http.http_connector(&HttpConnectorSettings::default(), &components);
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, connector.call(request)).await {
            assert!(denied(&error).is_some(), "neither sent nor denied: {error:?}");
            assert!(error.is_user(), "the SDK would try again: {error:?}");
        }
    }
}

fn https<R>(world: &World, http: HttpConnector<R>) -> hyper_rustls::HttpsConnector<HttpConnector<R>> {
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(world.secure.trusting());
    builder.https_or_http().enable_all_versions().wrap_connector(http)
}

/// A row: its name, its attack, and what each guarded client must do.
struct Row {
    name: &'static str,
    attack: Attack,
    client: Expected,
    reqwest: Expected,
    hyper: Expected,
    aws: Expected,
}

/// For each attack a module with a test for each kind of client, and all of them as rows of the table.
macro_rules! attacks {
    ($($(#[$doc:meta])* $name:ident {
        $(builder: $builder:expr,)?
        requests: $requests:expr,
        reached: $reached:expr,
        client: $client:expr,
        reqwest: $reqwest:expr,
        $(hyper: $hyper:expr,)?
    })*) => {
        $(mod $name {
            use super::*;

            pub(super) fn row() -> Row {
                #[allow(unused_mut, unused_assignments, reason = "most attacks leave the builder alone")]
                let mut builder: fn(&World, ClientBuilder) -> ClientBuilder = |_, builder| builder;
                #[allow(unused_mut, unused_assignments, reason = "most are stopped by the stack")]
                let mut hyper = Stopped;
                // hyper has no builder that could bring anything along.
                $(builder = $builder; hyper = NotApplicable;)?
                // Nor has the SDK, and what it lacks besides is the redirects.
                let aws = hyper;
                $(hyper = $hyper;)?
                let attack = Attack { builder, requests: $requests, reached: $reached };
                Row { name: stringify!($name), attack, client: $client, reqwest: $reqwest, hyper, aws }
            }

            #[tokio::test]
            async fn reaches_its_goal_unguarded() {
                let reached = row().attack.run(Kind::Unguarded).await.reached;
                assert!(reached, "the attack proves nothing: it fails without a guard too");
            }

            #[tokio::test]
            async fn is_stopped_by_the_client() {
                row().attack.check(Kind::Client, row().client).await;
            }

            #[tokio::test]
            async fn is_stopped_by_plain_reqwest_or_documented() {
                row().attack.check(Kind::Reqwest, row().reqwest).await;
            }

            #[tokio::test]
            async fn is_stopped_by_blocking_reqwest_or_documented() {
                row().attack.check(Kind::Blocking, row().reqwest).await;
            }

            #[tokio::test]
            async fn is_stopped_by_the_hyper_stack_or_documented() {
                row().attack.check(Kind::Hyper, row().hyper).await;
            }

            #[tokio::test]
            async fn is_stopped_by_the_client_of_the_aws_sdk() {
                row().attack.check(Kind::Aws, row().aws).await;
            }
        })*

        fn rows() -> Vec<Row> {
            vec![$($name::row()),*]
        }
    };
}

/// The table of `docs/bypass.md`, made anew: what an unguarded client lets through, and what the guarded ones do.
#[tokio::test]
async fn the_table_is_as_documented() {
    let mut table =
        "| attack | unguarded | `client` | `reqwest` | `reqwest_blocking` | hyper stack | AWS SDK |\n".to_owned();
    table += "|---|---|---|---|---|---|---|\n";
    for Row { name, attack, client, reqwest, hyper, aws } in rows() {
        let unguarded = if attack.run(Kind::Unguarded).await.reached { "reached" } else { "stopped" };
        let mut cells = vec![name.replace('_', " "), unguarded.to_owned()];
        let kinds = [
            (Kind::Client, client),
            (Kind::Reqwest, reqwest),
            (Kind::Blocking, reqwest),
            (Kind::Hyper, hyper),
            (Kind::Aws, aws),
        ];
        for (kind, expected) in kinds {
            cells.push(match expected {
                NotApplicable => "-".to_owned(),
                // These two may lack what the attack needs even unguarded.
                _ if kind == Kind::Hyper && !attack.run(Kind::UnguardedHyper).await.reached => "-".to_owned(),
                _ if kind == Kind::Aws && !attack.run(Kind::UnguardedAws).await.reached => "-".to_owned(),
                _ => describe(&attack.run(kind).await),
            });
        }
        table += &format!("| {} |\n", cells.join(" | "));
    }
    println!("{table}");
    let page = include_str!("../docs/bypass.md");
    assert!(page.contains(&table), "docs/bypass.md does not show this table:\n{table}");
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { reached, refused, audit } = outcome;
    match (refused, reached, audit.denials().first()) {
        (true, ..) => "builder refused".to_owned(),
        (_, true, _) => "**open**".to_owned(),
        (_, false, Some(reason)) => reason.clone(),
        (_, false, None) => "disarmed".to_owned(),
    }
}

fn forbidden_was_reached(world: &World) -> bool {
    !world.forbidden.seen().is_empty()
}

fn proxy_was_reached(world: &World) -> bool {
    !world.proxy.seen().is_empty()
}

fn other_saw_secret(world: &World) -> bool {
    world.other.seen().iter().any(|seen| seen.headers.values().any(|value| value.as_bytes().ends_with(b"S3CRET")))
}

attacks! {
    another_host {
        requests: |world| vec![get(&world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }

    url_with_the_allowed_host_as_user {
        requests: |world| vec![get(&world.at_forbidden("allowed.test@evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("user-info"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_a_backslash_before_the_at_sign {
        requests: |world| vec![get(&format!("http://evil.test:{}\\@allowed.test/ok/x", world.forbidden.port()))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_the_allowed_host_in_the_fragment {
        requests: |world| vec![get(&format!("http://evil.test:{}#.allowed.test/ok/x", world.forbidden.port()))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_too_many_slashes {
        requests: |world| vec![get(&world.at_forbidden("evil.test").replace("//", "////"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_without_slashes {
        requests: |world| vec![get(&world.at_forbidden("evil.test").replace("//", ""))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_tab_and_newline_in_the_host {
        requests: |world| vec![get(&world.at_forbidden("ev\til.te\nst"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_a_percent_encoded_host {
        requests: |world| vec![get(&world.at_forbidden("%65vil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_a_full_width_host {
        requests: |world| vec![get(&world.at_forbidden("\u{ff45}vil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_with_a_soft_hyphen_in_the_host {
        requests: |world| vec![get(&world.at_forbidden("ev\u{ad}il.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    url_in_upper_case_with_a_trailing_dot {
        requests: |world| vec![get(&world.at_forbidden("EVIL.TEST."))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    localhost_by_name {
        requests: |world| vec![get(&world.at_forbidden("localhost"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    another_port_of_an_allowed_host {
        requests: |world| vec![get(&format!("http://ported.test:{}/ok/x", world.other.port()))],
        reached: |world| !world.other.seen().is_empty(),
        client: Denied("port-not-allowed"),
        reqwest: Denied("port-not-allowed"),
    }

    redirect_301_to_another_host {
        requests: |world| vec![world.redirect(301, &world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_302_to_another_host {
        requests: |world| vec![world.redirect(302, &world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_303_to_another_host {
        requests: |world| vec![world.redirect(303, &world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_307_to_another_host {
        requests: |world| vec![world.redirect(307, &world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_308_to_another_host {
        requests: |world| vec![world.redirect(308, &world.at_forbidden("evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_relative_to_the_protocol {
        requests: |world| vec![world.redirect(302, world.at_forbidden("evil.test").trim_start_matches("http:"))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_with_backslashes {
        requests: |world| vec![world.redirect(302, &format!("\\\\evil.test:{}\\ok\\x", world.forbidden.port()))],
        reached: forbidden_was_reached,
        client: Denied("host-not-allowed"),
        reqwest: Denied("host-not-allowed"),
    }
    redirect_with_the_allowed_host_as_user {
        requests: |world| vec![world.redirect(302, &world.at_forbidden("allowed.test@evil.test"))],
        reached: forbidden_was_reached,
        client: Denied("user-info"),
        reqwest: Denied("user-info"),
    }
    redirect_to_an_ip_literal {
        requests: |world| vec![world.redirect(302, &world.at_forbidden("127.0.0.2"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    redirect_to_a_decimal_ip {
        requests: |world| vec![world.redirect(302, &world.at_forbidden("2130706434"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    redirect_to_an_allowed_name_at_a_forbidden_address {
        requests: |world| vec![world.redirect(302, &world.at_forbidden("private.test"))],
        reached: forbidden_was_reached,
        client: Denied("address-not-allowed"),
        reqwest: Denied("address-not-allowed"),
    }
    redirect_to_a_forbidden_path {
        requests: |world| vec![world.redirect(302, "/admin")],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.target == "/admin"),
        client: Denied("path-not-allowed"),
        reqwest: Denied("path-not-allowed"),
    }
    redirect_307_that_keeps_a_post {
        requests: |world| {
            let mut request = world.redirect(307, &format!("http://other.test:{}/ok/x", world.other.port()));
            *request.method_mut() = Method::POST;
            vec![request]
        },
        reached: |world| world.other.seen().iter().any(|seen| seen.method == Method::POST),
        client: Denied("denied-by-rule"),
        reqwest: Open,
    }
    redirect_that_downgrades_to_plain_http {
        requests: |world| {
            let url = format!("https://allowed.test:{}/redirect/302?", world.secure.port());
            vec![get(&(url + &world.allowed("/ok/downgraded")))]
        },
        reached: |world| world.allowed.seen().iter().any(|seen| seen.target.ends_with("/ok/downgraded")),
        client: Denied("denied-by-rule"),
        reqwest: Denied("denied-by-rule"),
    }
    redirect_that_carries_the_host_header_along {
        requests: |world| {
            let location = format!("http://other.test:{}/ok/x", world.other.port());
            let host = format!("allowed.test:{}", world.allowed.port());
            vec![with_header(world.redirect(302, &location), HOST, &host)]
        },
        reached: |world| world.other.seen().iter().any(|seen| seen.header("host").unwrap().starts_with("allowed.test")),
        client: Disarmed,
        reqwest: Open,
    }
    redirects_that_bring_a_dropped_authorization_back {
        requests: |world| {
            let location = format!("http://other.test:{}/redirect/302?/ok/x", world.other.port());
            vec![with_header(world.redirect(302, &location), AUTHORIZATION, "Bearer S3CRET")]
        },
        reached: other_saw_secret,
        client: Disarmed,
        reqwest: Open,
        hyper: Open,
    }
    redirect_that_carries_a_custom_secret_along {
        requests: |world| {
            let location = format!("http://other.test:{}/ok/x", world.other.port());
            vec![with_header(world.redirect(302, &location), "x-api-key".parse().unwrap(), "S3CRET")]
        },
        reached: other_saw_secret,
        client: Disarmed,
        reqwest: Open,
        hyper: Open,
    }
    redirect_that_carries_a_secret_of_the_builder_along {
        builder: |_, builder| {
            let secret = [("x-api-key".parse().unwrap(), HeaderValue::from_static("S3CRET"))];
            builder.default_headers(HeaderMap::from_iter(secret))
        },
        requests: |world| {
            let location = format!("http://other.test:{}/redirect/302?/ok/x", world.other.port());
            vec![world.redirect(302, &location)]
        },
        reached: other_saw_secret,
        client: Disarmed,
        reqwest: Open,
    }

    ip_in_dotted_form {
        requests: |world| vec![get(&world.at_forbidden("127.0.0.2"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_in_decimal {
        requests: |world| vec![get(&world.at_forbidden("2130706434"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_in_octal {
        requests: |world| vec![get(&world.at_forbidden("0177.0.0.02"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_in_hexadecimal {
        requests: |world| vec![get(&world.at_forbidden("0x7f000002"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_in_short_form {
        requests: |world| vec![get(&world.at_forbidden("127.2"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_with_a_trailing_dot {
        requests: |world| vec![get(&world.at_forbidden("127.0.0.2."))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_mapped_into_ipv6 {
        requests: |world| vec![get(&world.at_forbidden("[::ffff:127.0.0.2]"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_mapped_into_ipv6_in_hexadecimal {
        requests: |world| vec![get(&world.at_forbidden("[::ffff:7f00:2]"))],
        reached: forbidden_was_reached,
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }
    ip_of_an_allowed_host {
        requests: |world| vec![get(&format!("http://127.0.0.1:{}/ok/x", world.allowed.port()))],
        reached: |world| !world.allowed.seen().is_empty(),
        client: Denied("ip-literal-not-allowed"),
        reqwest: Denied("ip-literal-not-allowed"),
    }

    allowed_name_at_a_forbidden_address {
        requests: |world| vec![get(&world.at_forbidden("private.test"))],
        reached: forbidden_was_reached,
        client: Denied("address-not-allowed"),
        reqwest: Denied("address-not-allowed"),
    }
    allowed_name_that_changes_its_address {
        requests: |world| {
            let good = get(&format!("http://rebind.test:{}/ok/x", world.allowed.port()));
            vec![good, get(&world.at_forbidden("rebind.test"))]
        },
        reached: forbidden_was_reached,
        client: Denied("address-not-allowed"),
        reqwest: Denied("address-not-allowed"),
    }
    resolver_override_to_a_forbidden_address {
        builder: |world, builder| builder.resolve("allowed.test", world.forbidden.address()),
        requests: |world| vec![get(&world.at_forbidden("allowed.test"))],
        reached: forbidden_was_reached,
        client: Denied("resolver-override"),
        reqwest: Denied("resolver-override"),
    }
    /// A rule allows the address as a literal, which is no reason to reach it under a name.
    resolver_override_to_an_address_of_another_rule {
        builder: |world, builder| builder.resolve("allowed.test", world.literal.address()),
        requests: |world| vec![get(&format!("http://allowed.test:{}/ok/x", world.literal.port()))],
        reached: |world| !world.literal.seen().is_empty(),
        client: Denied("resolver-override"),
        reqwest: Denied("resolver-override"),
    }
    resolver_override_to_another_port {
        builder: |world, builder| builder.resolve("allowed.test", world.forbidden.address()),
        requests: |_| vec![get("http://allowed.test/ok/x")],
        reached: forbidden_was_reached,
        client: Denied("resolver-override"),
        reqwest: Denied("resolver-override"),
    }

    proxy_for_plain_http {
        builder: |world, builder| builder.proxy(reqwest::Proxy::http(format!("http://{}", world.proxy.address())).unwrap()),
        requests: |world| vec![get(&world.allowed("/ok/x"))],
        reached: proxy_was_reached,
        client: Disarmed,
        reqwest: Disarmed,
    }
    proxy_that_tunnels_https {
        builder: |world, builder| builder.proxy(reqwest::Proxy::https(format!("http://{}", world.proxy.address())).unwrap()),
        requests: |world| vec![get(&format!("https://allowed.test:{}/ok/x", world.secure.port()))],
        reached: proxy_was_reached,
        client: Disarmed,
        reqwest: Disarmed,
    }
    proxy_that_resolves_names {
        builder: |world, builder| builder.proxy(reqwest::Proxy::all(format!("socks5h://{}", world.proxy.address())).unwrap()),
        requests: |world| vec![get(&world.allowed("/ok/x"))],
        reached: proxy_was_reached,
        client: Disarmed,
        reqwest: Disarmed,
    }
    unix_socket {
        builder: |world, builder| builder.unix_socket(world.socket_path.clone()),
        requests: |world| vec![get(&world.allowed("/ok/x"))],
        reached: |world| !world.socket.seen().is_empty(),
        client: Denied("no-peer-address"),
        reqwest: Denied("no-peer-address"),
    }

    host_header_of_another_place {
        requests: |world| vec![with_header(get(&world.allowed("/ok/x")), HOST, "evil.test")],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.header("host") == Some("evil.test")),
        client: Denied("host-header"),
        reqwest: Open,
    }
    host_header_twice {
        requests: |world| {
            let host = format!("allowed.test:{}", world.allowed.port());
            vec![with_header(with_header(get(&world.allowed("/ok/x")), HOST, &host), HOST, "evil.test")]
        },
        reached: |world| world.allowed.seen().iter().any(|seen| seen.headers.get_all(HOST).iter().count() == 2),
        client: Denied("host-header"),
        reqwest: Open,
    }
    host_header_of_the_builder {
        builder: |_, builder| builder.default_headers(HeaderMap::from_iter([(HOST, HeaderValue::from_static("evil.test"))])),
        requests: |world| vec![get(&world.allowed("/ok/x"))],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.header("host") == Some("evil.test")),
        client: Refused,
        reqwest: Refused,
    }
    upgrade_header_of_the_builder {
        builder: |_, builder| {
            let upgrade = [(UPGRADE, HeaderValue::from_static("websocket"))];
            builder.default_headers(HeaderMap::from_iter(upgrade))
        },
        requests: |world| vec![with_header(get(&world.allowed("/ok/x")), http::header::CONNECTION, "upgrade")],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.headers.contains_key(UPGRADE)),
        client: Refused,
        reqwest: Refused,
    }
    content_length_that_is_not_the_bodys {
        builder: |_, builder| builder.timeout(Duration::from_millis(300)),
        requests: |world| vec![with_header(get(&world.allowed("/ok/x")), http::header::CONTENT_LENGTH, "33")],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.header("content-length") == Some("33")),
        client: Denied("content-length-header"),
        reqwest: Open,
    }
    host_header_beside_the_authority_of_http2 {
        requests: |world| {
            let url = format!("https://allowed.test:{}/ok/x", world.secure.port());
            vec![with_header(get(&url), HOST, "evil.test")]
        },
        reached: |world| {
            let seen = world.secure.seen();
            seen.iter().any(|seen| seen.version == http::Version::HTTP_2 && seen.header("host") == Some("evil.test"))
        },
        client: Denied("host-header"),
        reqwest: Open,
    }

    connect_through_an_allowed_host {
        requests: |world| {
            let mut request = get(&world.allowed("/"));
            *request.method_mut() = Method::CONNECT;
            vec![request]
        },
        reached: |world| world.allowed.seen().iter().any(|seen| seen.method == Method::CONNECT),
        client: Denied("connect-method"),
        reqwest: Open,
    }
    upgrade_to_another_protocol {
        requests: |world| {
            let request = with_header(get(&world.allowed("/ok/x")), http::header::CONNECTION, "upgrade");
            vec![with_header(request, UPGRADE, "websocket")]
        },
        reached: |world| world.allowed.seen().iter().any(|seen| seen.headers.contains_key(UPGRADE)),
        client: Denied("upgrade-header"),
        reqwest: Open,
    }
    method_that_no_rule_lists {
        requests: |world| {
            let mut request = get(&world.allowed("/ok/x"));
            *request.method_mut() = Method::DELETE;
            vec![request]
        },
        reached: |world| world.allowed.seen().iter().any(|seen| seen.method == Method::DELETE),
        client: Denied("method-not-allowed"),
        reqwest: Open,
    }
    path_with_dot_segments {
        requests: |world| vec![get(&world.allowed("/ok/../admin"))],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.target == "/admin"),
        client: Denied("path-not-allowed"),
        reqwest: Open,
    }
    path_with_encoded_dot_segments {
        requests: |world| vec![get(&world.allowed("/ok/%2e%2e/admin"))],
        reached: |world| world.allowed.seen().iter().any(|seen| seen.target == "/admin"),
        client: Denied("path-not-allowed"),
        reqwest: Open,
    }
    path_that_no_rule_lists {
        requests: |world| vec![get(&world.allowed("/admin"))],
        reached: |world| !world.allowed.seen().is_empty(),
        client: Denied("path-not-allowed"),
        reqwest: Open,
    }
}

#[tokio::test]
async fn of_a_mixed_answer_only_the_allowed_address_is_dialled() {
    for kind in [Kind::Client, Kind::Reqwest] {
        let attack = Attack {
            builder: |_, builder| builder,
            requests: |world| vec![get(&format!("http://mixed.test:{}/ok/x", world.allowed.port()))],
            reached: |world| world.allowed.seen().len() == 1 && world.forbidden.seen().is_empty(),
        };
        let result = attack.run(kind).await;
        assert!(result.reached, "only the allowed address: {kind:?}");
        assert_eq!(result.audit.denials(), ["address-not-allowed"], "the address left out is recorded");
    }
}

/// reqwest reads the environment when a client is built, so this needs a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_never_used() {
    let proxy = Proxy::listen("127.0.0.3").await;
    let proxy_url = format!("http://{}", proxy.address());
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_process_with_proxies_in_its_environment", "--ignored", "--nocapture"]);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(variable, &proxy_url);
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.seen().len(), 1, "the unguarded client alone uses it: {:?}", proxy.seen());
}

#[tokio::test]
#[ignore = "run by proxies_of_the_environment_are_never_used"]
async fn a_process_with_proxies_in_its_environment() {
    let attack = Attack {
        builder: |_, builder| builder,
        requests: |world| vec![get(&world.allowed("/ok/x"))],
        reached: |world| !world.allowed.seen().is_empty(),
    };
    assert!(!attack.run(Kind::Unguarded).await.reached, "an unguarded client asks the proxy");
    assert!(attack.run(Kind::Client).await.reached, "a guarded one goes to the server itself");
    assert!(attack.run(Kind::Reqwest).await.reached, "and so does an ordinary one");
}
