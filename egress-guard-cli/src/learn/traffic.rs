//! What was sent, put together by endpoint, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use egress_guard::{AddressClass, Destination, Host, Request, Scheme};
use http::Method;
use jiff::Timestamp;

use super::line::{Asked, Refused, url};
use super::paths::{Full, Paths};
use super::usage::Usage;

/// How many endpoints, segments of paths and functions are kept, and addresses of an endpoint.
const ENDPOINTS: usize = 10_000;
const SEGMENTS: usize = 200_000;
const FUNCTIONS: usize = 1000;
const ADDRESSES: usize = 64;
/// HTTP has some forty methods, all extensions included.
const METHODS: usize = 64;
/// As long as a guard writes it at most.
const LONGEST_FUNCTION: usize = 192;

/// Where connections are shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    /// As audit lines write it.
    pub(super) host: Box<str>,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
}

impl From<&Destination> for Endpoint {
    fn from(destination: &Destination) -> Self {
        let host = destination.host().to_string().into();
        Self { host, scheme: destination.scheme(), port: destination.port() }
    }
}

/// How an endpoint was used.
#[derive(Debug)]
pub(super) struct Uses {
    pub(super) host: Host,
    pub(super) paths: Paths,
    pub(super) connections: Usage,
    /// Where its name led: every address that is not public, and one that is.
    pub(super) peers: BTreeSet<IpAddr>,
    has_public_peer: bool,
    /// Whether a line told of a request, be it learnt or not: where one did, connections are not an ordinary client's.
    had_requests: bool,
    methods: BTreeSet<Method>,
    ended: u64,
    answered: u64,
}

impl Uses {
    fn of(host: Host) -> Self {
        Self {
            host,
            paths: Paths::default(),
            connections: Usage::default(),
            peers: BTreeSet::new(),
            has_public_peer: false,
            had_requests: false,
            methods: BTreeSet::new(),
            ended: 0,
            answered: 0,
        }
    }

    /// Whether nothing is known but connections, as of an ordinary client.
    pub(super) fn is_connections(&self) -> bool {
        !self.had_requests && self.is_without_paths()
    }

    /// Whether its requests, of which none is learnt, are all that its connections can have been for.
    pub(super) fn is_refused(&self) -> bool {
        self.had_requests && self.is_without_paths()
    }

    fn is_without_paths(&self) -> bool {
        self.paths.is_empty() && self.connections.count > 0
    }

    /// Whether there is something that is learnt.
    pub(super) fn is_used(&self) -> bool {
        !self.paths.is_empty() || self.is_connections()
    }

    /// Whether its requests are known to have ended, and none with a response.
    pub(super) fn is_dead(&self) -> bool {
        self.ended > 0 && self.answered == 0
    }

    /// Calls `visit` with every request and connection that was learnt.
    pub(super) fn each(&self, endpoint: &Endpoint, visit: &mut impl FnMut(&Learnt, &Usage)) {
        let at = |path: &str| url(endpoint.scheme.as_str(), &endpoint.host, endpoint.port, path);
        let peers = || if self.peers.is_empty() { vec![None] } else { self.peers.iter().copied().map(Some).collect() };
        self.paths.each(&mut |(path, is_cut), method, usage| {
            if let Some(destination) = at(path) {
                let asked = Asked { destination, method: method.cloned(), is_cut };
                visit(&Learnt { asked, is_request: true, peers: peers() }, usage);
            }
        });
        if let (true, Some(destination)) = (self.is_connections(), at("/")) {
            let asked = Asked { destination, method: None, is_cut: false };
            visit(&Learnt { asked, is_request: false, peers: peers() }, &self.connections);
        }
    }
}

/// One request that was learnt, or one connection where no request is known.
#[derive(Clone, Debug)]
pub(super) struct Learnt {
    pub(super) asked: Asked,
    pub(super) is_request: bool,
    /// Where its connections led.
    peers: Vec<Option<IpAddr>>,
}

impl Learnt {
    /// Of which no address is known.
    pub(super) fn of(asked: Asked, is_request: bool) -> Self {
        Self { asked, is_request, peers: vec![None] }
    }

    /// What is known of it without an address.
    pub(super) fn request(&self) -> Request<'_> {
        let to = &self.asked.destination;
        if self.is_request { self.asked.request() } else { Request::connection(to.scheme(), to.host(), to.port()) }
    }

    /// Every question that a guard asks about it on the way.
    pub(super) fn questions(&self) -> impl Iterator<Item = Request<'_>> {
        let is_name = matches!(self.asked.destination.host(), Host::Name(_));
        self.peers.iter().flat_map(move |peer| {
            let request = self.request();
            peer.filter(|_| is_name).into_iter().fold(request, Request::peer).stages()
        })
    }
}

#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) endpoints: BTreeMap<Endpoint, Uses>,
    functions: BTreeSet<Rc<str>>,
    room: usize,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { endpoints: BTreeMap::new(), functions: BTreeSet::new(), room: SEGMENTS }
    }
}

/// When something was sent, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) function: Option<Rc<str>>,
}

impl Moment {
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        usage.add(self.at, self.function.as_ref());
        usage
    }
}

impl Traffic {
    /// A name that is kept once; none beyond what can be.
    pub(super) fn function(&mut self, name: &str) -> Option<Rc<str>> {
        if let Some(known) = self.functions.get(name) {
            return Some(Rc::clone(known));
        }
        let name: Rc<str> = name.into();
        (self.functions.len() < FUNCTIONS && name.len() <= LONGEST_FUNCTION)
            .then(|| self.functions.insert(Rc::clone(&name)))?;
        Some(name)
    }

    /// Notes that there was a request, whatever becomes of it. Where there is no room for its endpoint, there is none for
    /// its connections either.
    pub(super) fn had_request(&mut self, destination: &Destination) {
        if let Ok(uses) = self.uses(destination) {
            uses.had_requests = true;
        }
    }

    pub(super) fn request(&mut self, asked: &Asked, usage: &Usage) -> Result<(), Refused> {
        let mut room = self.room;
        let uses = self.uses(&asked.destination)?;
        uses.had_requests = true;
        let method = asked.method.as_ref().filter(|method| !uses.methods.contains(method));
        if method.is_some() && uses.methods.len() >= METHODS {
            return Err(Refused::TooMany);
        }
        let path = (asked.destination.path(), asked.is_cut);
        let added = uses.paths.add(path, asked.method.as_ref(), usage, &mut room);
        if added.is_ok() {
            uses.methods.extend(method.cloned());
        }
        self.room = room;
        added.map_err(|Full| Refused::TooMany)
    }

    pub(super) fn connection(
        &mut self,
        destination: &Destination,
        peer: Option<IpAddr>,
        usage: &Usage,
    ) -> Result<(), Refused> {
        let uses = self.uses(destination)?;
        uses.connections.merge(usage);
        peer.map_or(Ok(()), |peer| uses.peer(peer))
    }

    /// How a request ended. Of one that was not learnt nothing is.
    pub(super) fn outcome(&mut self, asked: &Asked, peer: Option<IpAddr>, is_answered: bool) -> Result<(), Refused> {
        let Some(uses) = self.endpoints.get_mut(&Endpoint::from(&asked.destination)) else { return Ok(()) };
        uses.ended += 1;
        uses.answered += u64::from(is_answered);
        match peer {
            Some(peer) if is_answered => uses.peer(peer),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with all that was learnt.
    pub(super) fn each(&self, mut visit: impl FnMut(&Endpoint, &Uses, &Learnt, &Usage)) {
        for (endpoint, uses) in &self.endpoints {
            uses.each(endpoint, &mut |learnt, usage| visit(endpoint, uses, learnt, usage));
        }
    }

    /// Adds what another one has learnt, and where its endpoint led to.
    pub(super) fn copy(&mut self, uses: &Uses, learnt: &Learnt, usage: &Usage) -> Result<(), Refused> {
        if learnt.is_request {
            self.request(&learnt.asked, usage)?;
        } else {
            self.connection(&learnt.asked.destination, None, usage)?;
        }
        let copied = self.uses(&learnt.asked.destination)?;
        uses.peers.iter().try_for_each(|peer| copied.peer(*peer))
    }

    fn uses(&mut self, destination: &Destination) -> Result<&mut Uses, Refused> {
        let endpoint = Endpoint::from(destination);
        if self.endpoints.len() >= ENDPOINTS && !self.endpoints.contains_key(&endpoint) {
            return Err(Refused::TooMany);
        }
        Ok(self.endpoints.entry(endpoint).or_insert_with(|| Uses::of(destination.host().clone())))
    }
}

impl Uses {
    fn peer(&mut self, peer: IpAddr) -> Result<(), Refused> {
        let peer = peer.to_canonical();
        if matches!(self.host, Host::Ip(_)) || self.peers.contains(&peer) {
            return Ok(());
        }
        if AddressClass::of(peer) == AddressClass::Public {
            if !std::mem::replace(&mut self.has_public_peer, true) {
                self.peers.insert(peer);
            }
            return Ok(());
        }
        if self.peers.len() >= ADDRESSES {
            return Err(Refused::TooMany);
        }
        self.peers.insert(peer);
        Ok(())
    }
}
