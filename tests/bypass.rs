//! Known ways around an allowlist, each as real traffic against real servers.
//!
//! Every attack is run three times: by an unguarded client, where it must reach its goal, or the row could not fail;
//! by `guard.client`; and by `guard.reqwest`, where it must be stopped too or is named in its documentation as open.
//! What counts is what the servers saw.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use egress_guard::{ClientOptions, Guard, Policy, Rule};
use egress_guard_tests::{Names, Proxy, Server, ValidatedAudit};
use http::header::{AUTHORIZATION, HOST, HeaderValue, UPGRADE};
use http::{HeaderMap, Method};
use reqwest::{ClientBuilder, Request};
use tempfile::TempDir;

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
            .with("evil.test", &["127.0.0.2"])
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

    /// Every port is allowed, so that a port never is what stops an attack.
    fn policy() -> Policy {
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
        Policy::builder("bypass").allow(partner).allow(health).deny(no_post).deny(plain).build().unwrap()
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
enum Expected {
    /// Deny it, for this reason.
    Denied(&'static str),
    /// Send it to the allowed place without what made it an attack.
    Disarmed,
    /// Nothing: it is named in the documentation as what this client does not see.
    Open,
    /// Refuse to make a client of such a builder.
    Refused,
}
use Expected::{Denied, Disarmed, Open, Refused};

/// What came of an attack.
struct Result {
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

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unguarded,
    Client,
    Reqwest,
}

impl Attack {
    /// Runs the attack in a new world.
    async fn run(&self, kind: Kind) -> Result {
        let world = World::new().await;
        let audit = ValidatedAudit::new();
        let guard = Guard::new(World::policy(), audit.clone());
        let base = reqwest::Client::builder()
            .add_root_certificate(world.secure.ca())
            .pool_max_idle_per_host(0)
            .timeout(std::time::Duration::from_secs(10));
        let builder = (self.builder)(&world, base);
        let options = |builder| ClientOptions::from(builder).resolver(world.names.clone());
        match kind {
            Kind::Unguarded => {
                let client = builder.dns_resolver(world.names.clone()).build().unwrap();
                for request in (self.requests)(&world) {
                    let _ = client.execute(request).await;
                }
            }
            Kind::Client => {
                let client = match guard.client(options(builder)) {
                    Ok(client) => client,
                    Err(error) if error.is_builder() => return Result { reached: false, refused: true, audit },
                    Err(error) => panic!("{error}"),
                };
                for request in (self.requests)(&world) {
                    if let Err(error) = client.execute(request).await {
                        assert!(error.denied().is_some(), "only a denial may stop an attack: {error:?}");
                    }
                }
            }
            Kind::Reqwest => {
                let client = match guard.reqwest(options(builder)) {
                    Ok(client) => client,
                    Err(error) if error.is_builder() => return Result { reached: false, refused: true, audit },
                    Err(error) => panic!("{error}"),
                };
                for request in (self.requests)(&world) {
                    if let Err(error) = client.execute(request).await {
                        let stopped = egress_guard::denied(&error).is_some() || error.is_timeout();
                        assert!(stopped, "only a denial may stop an attack: {error:?}");
                    }
                }
            }
        }
        let served = [&world.allowed, &world.other, &world.secure, &world.forbidden, &world.literal, &world.socket];
        let seen: usize = served.iter().map(|server| server.seen().len()).sum();
        let allowed = audit.of_type("decision").iter().filter(|line| line["action"] == "allowed").count();
        if !matches!(kind, Kind::Unguarded) {
            assert!(seen == 0 || allowed > 0, "a server saw a request that no line explains");
        }
        Result { reached: (self.reached)(&world), refused: false, audit }
    }

    async fn check(&self, kind: Kind, expected: Expected) {
        let Result { reached, refused, audit } = self.run(kind).await;
        let denials = audit.denials();
        assert_eq!(refused, matches!(expected, Refused), "{kind:?}");
        match expected {
            Refused => {}
            Denied(reason) => {
                assert!(!reached, "the attack reached its goal past {kind:?}; denials: {denials:?}");
                assert!(denials.iter().any(|denial| denial == reason), "{reason} is not among {denials:?}");
            }
            Disarmed => {
                assert!(!reached, "the attack reached its goal past {kind:?}");
                assert!(denials.is_empty(), "what can be disarmed need not be denied: {denials:?}");
            }
            Open => assert!(reached, "{kind:?} is documented as open to this, and is not"),
        }
    }
}

/// For each attack a module with three tests.
macro_rules! attacks {
    ($($(#[$doc:meta])* $name:ident {
        $(builder: $builder:expr,)?
        requests: $requests:expr,
        reached: $reached:expr,
        client: $client:expr,
        reqwest: $reqwest:expr,
    })*) => {$(
        mod $name {
            use super::*;

            fn attack() -> Attack {
                #[allow(unused_mut, unused_assignments, reason = "most attacks leave the builder alone")]
                let mut builder: fn(&World, ClientBuilder) -> ClientBuilder = |_, builder| builder;
                $(builder = $builder;)?
                Attack { builder, requests: $requests, reached: $reached }
            }

            #[tokio::test]
            async fn reaches_its_goal_unguarded() {
                assert!(attack().run(Kind::Unguarded).await.reached, "the attack proves nothing: it fails without a guard too");
            }

            #[tokio::test]
            async fn is_stopped_by_the_client() {
                attack().check(Kind::Client, $client).await;
            }

            #[tokio::test]
            async fn is_stopped_by_plain_reqwest_or_documented() {
                attack().check(Kind::Reqwest, $reqwest).await;
            }
        }
    )*};
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
    }
    redirect_that_carries_a_custom_secret_along {
        requests: |world| {
            let location = format!("http://other.test:{}/ok/x", world.other.port());
            vec![with_header(world.redirect(302, &location), "x-api-key".parse().unwrap(), "S3CRET")]
        },
        reached: other_saw_secret,
        client: Disarmed,
        reqwest: Open,
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
        builder: |_, builder| builder.timeout(std::time::Duration::from_millis(300)),
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
