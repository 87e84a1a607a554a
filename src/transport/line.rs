//! The way to the server: connections made, kept between exchanges, renewed and dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::clock;
use super::dial::{DialError, dial, dial_unix};
use super::endpoint::without_zone;
use super::redirect::Sent;
use super::resolve::{ResolveError, Resolver};
use super::socket::Socket;
use super::stream::Stream;
use super::tls::ConfigCache;
use super::traffic::Place;
use super::vigil::{Cut, Vigil};
use super::{Endpoint, FailKind, Failure, Hop, Proxy, ReachedServer, Settings, Traffic, Wake};

pub(crate) struct Line {
    pub(crate) settings: Settings,
    pub(crate) wake: Wake,
    pub(crate) traffic: Arc<Traffic>,
    resolver: Resolver,
    configs: ConfigCache,
    /// Where the running try is: the endpoint, or where redirects have led.
    at: Endpoint,
    hops: u32,
    /// Redirects have led to another server since the endpoint.
    has_left: bool,
    kept: Option<Kept>,
    dialled: u64,
}

/// A connection with what decides how long it is used.
pub(crate) struct Kept {
    pub(crate) stream: Stream,
    pub(crate) term: Term,
}

#[derive(Clone, Copy)]
pub(crate) struct Term {
    /// Not used any more from then on.
    renew_at: Instant,
    /// The machine's sleep so far: a connection does not survive more of it.
    suspended: Duration,
}

impl Line {
    pub(crate) fn new(settings: Settings, wake: Wake, resolver: Resolver) -> Line {
        Line {
            at: settings.endpoint.clone(),
            hops: 0,
            has_left: false,
            settings,
            wake,
            traffic: Arc::default(),
            resolver,
            configs: ConfigCache::default(),
            kept: None,
            dialled: 0,
        }
    }

    /// The kept connection, unless it is too old, slept with the machine, or was closed.
    pub(crate) fn take(&mut self) -> Option<Kept> {
        let mut kept = self.kept.take()?;
        let has_slept = clock::suspended() > kept.term.suspended + Duration::from_secs(1);
        if has_slept || kept.term.renew_at <= Instant::now() || !kept.stream.is_alive() {
            self.traffic.on_closed();
            return None;
        }
        Some(kept)
    }

    pub(crate) fn keep(&mut self, mut kept: Kept) {
        kept.stream.rest();
        self.kept = Some(kept);
    }

    pub(crate) fn forget(&mut self) {
        if self.kept.take().is_some() {
            self.traffic.on_closed();
        }
        self.resolver.forget();
    }

    /// Where the next request goes.
    pub(crate) fn at(&self) -> &Endpoint {
        &self.at
    }

    pub(crate) fn is_redirected(&self) -> bool {
        self.hops > 0
    }

    /// Another server than the host's own: neither its headers nor its certificate are for this
    /// one. Nor are they for what another server chose here, unless that is just what the host
    /// asked for.
    pub(crate) fn is_away(&self) -> bool {
        let home = &self.settings.endpoint;
        let is_home = self.at.has_origin_of(home) && target(&self.at) == target(home);
        self.has_left && !is_home
    }

    /// Follows a redirect; `Err` says why not.
    pub(crate) fn redirect(
        &mut self,
        status: u16,
        location: Option<&str>,
        sent: Sent,
    ) -> Result<Hop, String> {
        let place = (&self.settings.endpoint, &self.at, self.hops);
        let to = self.settings.redirects.follow(place, location, sent)?;
        let hop = Hop {
            from: self.at.as_str().to_owned(),
            to: to.as_str().to_owned(),
            status,
            number: self.hops + 1,
        };
        self.go_to(to, hop.number);
        Ok(hop)
    }

    /// The next try begins at the endpoint again.
    pub(crate) fn go_home(&mut self) {
        self.go_to(self.settings.endpoint.clone(), 0);
    }

    fn go_to(&mut self, place: Endpoint, hops: u32) {
        let (is_same, was_away) = (place.has_origin_of(&self.at), self.is_away());
        self.has_left =
            hops > 0 && (self.has_left || !place.has_origin_of(&self.settings.endpoint));
        (self.at, self.hops) = (place, hops);
        // A connection is made with our certificate or without.
        if !(is_same && was_away == self.is_away()) && self.kept.take().is_some() {
            self.traffic.on_closed();
        }
    }

    /// A new connection, each step within its bound. Certificates and keys are read again.
    pub(crate) fn connect(&mut self, vigil: &mut Vigil) -> Result<Kept, Failure> {
        let endpoint = self.at.clone();
        let limits = self.settings.limits;
        let proxy = self.settings.proxies.of(&endpoint);
        let proxy = proxy
            .map_err(|e| refusal(FailKind::Proxy, e.to_string()))?
            .cloned();
        let (socket, place) = self.dial(&endpoint, proxy.as_ref(), vigil)?;
        let mut stream = Stream::plain(socket);
        if let Some(proxy) = &proxy {
            if proxy.is_tls() {
                stream = self.secure(stream, (proxy.host(), true), &proxy.to_string(), vigil)?;
            }
            if !proxy.passes_on(&endpoint) {
                self.open_way(proxy, &endpoint, &mut stream, vigil)?;
            }
        }
        if endpoint.scheme().is_tls() {
            let whom = (endpoint.host(), !self.is_away());
            stream = self.secure(stream, whom, &self.place(), vigil)?;
        }
        self.traffic.on_connected(place, stream.tls_version());
        self.dialled += 1;
        let age = spread(limits.connection_age, self.settings.seed, self.dialled);
        let term = Term {
            renew_at: Instant::now() + age,
            suspended: clock::suspended(),
        };
        Ok(Kept { stream, term })
    }

    /// Connects to the socket, the proxy, or the server itself.
    fn dial(
        &self,
        endpoint: &Endpoint,
        proxy: Option<&Proxy>,
        vigil: &mut Vigil,
    ) -> Result<(Socket, Place), Failure> {
        let bound = self.settings.limits.connect;
        let (host, port, whom, place) = match proxy {
            Some(proxy) => (proxy.host(), proxy.port(), "the proxy ", proxy.to_string()),
            None => (endpoint.host(), endpoint.port(), "", endpoint.place()),
        };
        let refused = |e| match e {
            DialError::Cut(cut) => self.failure_with(&place, &cut, ReachedServer::No),
            DialError::Refused(text) => {
                refusal(FailKind::Connect, format!("connect to {whom}{text}"))
            }
        };
        if let Some(path) = endpoint.socket() {
            let socket = dial_unix(path, vigil, bound).map_err(refused)?;
            return Ok((socket, Place::Socket(path.clone())));
        }
        let addresses = self.resolve(whom, (host, port), vigil)?;
        let (socket, address) = dial(&addresses, vigil, bound).map_err(refused)?;
        Ok((socket, Place::Address(address)))
    }

    fn resolve(
        &self,
        whom: &str,
        (host, port): (&str, u16),
        vigil: &mut Vigil,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let bound = self.settings.limits.resolve;
        self.resolver
            .resolve(host, port, &self.wake, vigil, bound)
            .map_err(|e| match e {
                ResolveError::Cut(cut) => {
                    self.failure_with(&format!("{whom}{host}:{port}"), &cut, ReachedServer::No)
                }
                ResolveError::Failed(text) => {
                    refusal(FailKind::Resolve, format!("resolve {whom}{text}"))
                }
            })
    }

    /// Lets the proxy connect to the server.
    fn open_way(
        &self,
        proxy: &Proxy,
        endpoint: &Endpoint,
        stream: &mut Stream,
        vigil: &mut Vigil,
    ) -> Result<(), Failure> {
        let mut host = without_zone(endpoint.host()).to_owned();
        if proxy.wants_address() {
            let addresses = self.resolve("", (&host, endpoint.port()), vigil)?;
            host = addresses.first().map_or(host, |a| a.ip().to_string());
        }
        let to = (host.as_str(), endpoint.port());
        let (headers, limits) = (&self.settings.proxies.headers, &self.settings.limits);
        proxy.open(stream, to, headers, vigil, limits)
    }

    /// TLS with `host`, called `place` in texts, which may see our certificate or not.
    fn secure(
        &mut self,
        stream: Stream,
        (host, is_ours): (&str, bool),
        place: &str,
        vigil: &mut Vigil,
    ) -> Result<Stream, Failure> {
        let unfit = |text: String| refusal(FailKind::Tls, format!("TLS with {place}: {text}"));
        let trust = self.settings.trust.as_ref();
        let trust = trust.ok_or_else(|| unfit("not set up".to_owned()))?;
        let config = trust
            .config(&mut self.configs, is_ours)
            .map_err(|e| unfit(e.to_string()))?;
        let name = ServerName::try_from(without_zone(host).to_owned())
            .map_err(|_| unfit(format!("{host} is not a valid host name for TLS")))?;
        stream
            .secure(config, name, vigil, self.settings.limits.tls)
            .map_err(|cut| self.failure_with(place, &cut, ReachedServer::No))
    }

    /// In words that name the server, not its path and query.
    pub(crate) fn failure(&self, cut: &Cut, reached: ReachedServer) -> Failure {
        self.failure_with(&self.place(), cut, reached)
    }

    /// The server, and the proxy on the way to it: what fails behind a proxy may be its fault.
    fn place(&self) -> String {
        let server = self.at.place();
        match self.settings.proxies.of(&self.at) {
            Ok(Some(proxy)) => format!("{server} through {proxy}"),
            _ => server,
        }
    }

    /// For what an answer says: with a proxy in between, whose answer it is can only be guessed.
    pub(crate) fn on_its_way(&self, failure: Failure) -> Failure {
        let Ok(Some(proxy)) = self.settings.proxies.of(&self.at) else {
            return failure;
        };
        if failure.status.is_none() || failure.text.contains(&proxy.to_string()) {
            return failure;
        }
        let url = self.at.as_str().split('?').next().unwrap_or_default();
        Failure {
            text: format!("{url} through {proxy}: {}", failure.text).into(),
            ..failure
        }
    }

    fn failure_with(&self, place: &str, cut: &Cut, reached: ReachedServer) -> Failure {
        let (kind, text) = match cut {
            Cut::GivenUp => (FailKind::GivenUp, "given up".to_owned()),
            Cut::Timeout(step) => (
                FailKind::Timeout,
                format!("timeout with {place}: {}", step.overdue()),
            ),
            Cut::Closed(text) => (FailKind::Io, format!("connection to {place}: {text}")),
            Cut::Tls(text) => (FailKind::Tls, format!("TLS with {place}: {text}")),
            Cut::Io(e) => (FailKind::Io, format!("connection to {place}: {e}")),
        };
        Failure::new(kind, reached, text)
    }
}

/// What is asked for: a URL that ends with the host asks for its root.
fn target(endpoint: &Endpoint) -> &str {
    let path = endpoint.path_and_query();
    path.strip_prefix('/').unwrap_or(path)
}

fn refusal(kind: FailKind, text: String) -> Failure {
    Failure::new(kind, ReachedServer::No, text)
}

/// Up to a tenth less than `age`, so that a fleet does not renew in step.
fn spread(age: Duration, seed: u64, count: u64) -> Duration {
    let mut mixed = seed ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    age - age.mul_f64(0.1 * (mixed >> 11) as f64 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread_over_the_last_tenth() {
        let hour = Duration::from_secs(3600);
        let ages: Vec<_> = (0..1000)
            .map(|seed| spread(hour, seed, 1).as_secs())
            .collect();
        assert!(ages.iter().all(|age| (3240..=3600).contains(age)));
        for slice in (3240..3600).step_by(36) {
            let count = ages
                .iter()
                .filter(|age| (slice..slice + 36).contains(*age))
                .count();
            assert!((50..200).contains(&count), "{count} of 1000 in {slice}");
        }
        assert_ne!(spread(hour, 1, 1), spread(hour, 1, 2));
    }
}
