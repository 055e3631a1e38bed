//! A resolver that knows only what it was told.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use hyper_util::client::legacy::connect::dns::Name as HyperName;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower::Service;

/// Names and their addresses. A name with several answers gives one after the other, and stays at the last.
#[derive(Clone, Debug, Default)]
pub struct Names {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    /// A resolver that knows no name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an answer for a name.
    ///
    /// # Panics
    ///
    /// When an address is none, or not a loopback one.
    #[must_use]
    pub fn with(mut self, name: &str, addresses: &[&str]) -> Self {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().expect("an IP address")).collect();
        assert!(addresses.iter().all(|address| address.to_canonical().is_loopback()), "only loopback is ever dialled");
        self.answers.entry(name.to_owned()).or_default().push(addresses);
        self
    }

    /// Every name that was asked for, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|earlier| *earlier == name).count();
        asked.push(name.to_owned());
        let answers = self.answers.get(name.trim_end_matches('.'))?;
        answers.get(before).or(answers.last()).cloned()
    }
}

/// For hyper-util's connector.
impl Service<HyperName> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = String;
    type Future = std::future::Ready<Result<Self::Response, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: HyperName) -> Self::Future {
        let answer = self.answer(name.as_str()).ok_or_else(|| format!("no such name: {name}"));
        let addresses = |answer: Vec<IpAddr>| answer.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect::<Vec<_>>();
        std::future::ready(answer.map(|answer| addresses(answer).into_iter()))
    }
}

/// For the AWS SDK.
impl ResolveDns for Names {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let answer = self.answer(name);
        DnsFuture::ready(answer.ok_or_else(|| ResolveDnsError::new(format!("no such name: {name}"))))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = self.answer(name.as_str());
        Box::pin(async move {
            let addresses = answer.ok_or_else(|| format!("no such name: {}", name.as_str()))?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
