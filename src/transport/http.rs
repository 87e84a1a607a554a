//! Plain HTTP: one POST at a time over a kept connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use ureq::config::AutoHeaderValue;
use ureq::http::{self, HeaderMap, HeaderValue, Uri, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as Lookup};
use ureq::unversioned::transport::NextTimeout;

use super::answer::{self, BodyError, Head, Plan, shown};
use super::clock;
use super::dial::{DialError, dial};
use super::failure::{FailKind, Failure, Reached};
use super::resolve::{ResolveError, Resolver};
use super::stream::Stream;
use super::tls::ConfigCache;
use super::vigil::{Cut, Vigil};
use super::wire::{Dock, MOST_HEAD, Pier, Wire};
use super::{Answer, Limits, Request, Settings, Traffic, Wake, Watch};

/// The transport for http and https endpoints. Used by one thread, the worker.
pub struct Http {
    settings: Settings,
    uri: Uri,
    user_agent: HeaderValue,
    wake: Wake,
    watch: Arc<dyn Watch>,
    agent: ureq::Agent,
    dock: Arc<Dock>,
    kept: Option<Kept>,
    configs: ConfigCache,
    resolver: Resolver,
    traffic: Arc<Traffic>,
    dialled: u64,
}

/// A connection between two exchanges.
struct Kept {
    stream: Stream,
    /// Not used any more from then on.
    renew_at: Instant,
    /// The machine's sleep so far: a connection does not survive more of it.
    suspended: Duration,
}

const VERSION: &str = concat!("libopamp/", env!("CARGO_PKG_VERSION"));
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

impl Http {
    /// Opens nothing; the first exchange connects. To be called on the host's thread at start,
    /// because the HTTP library reads the environment when it is set up (and is then told to
    /// ignore what it found).
    pub fn new(settings: Settings, wake: Wake, watch: Arc<dyn Watch>) -> Http {
        Http::with_resolver(settings, wake, watch, Resolver::default())
    }

    /// The same with a resolver that outlives this transport: an agent that is started again shares
    /// the look-up that may still be under way.
    pub fn with_resolver(
        settings: Settings,
        wake: Wake,
        watch: Arc<dyn Watch>,
        resolver: Resolver,
    ) -> Http {
        let dock = Arc::new(Dock::default());
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .max_response_header_size(MOST_HEAD)
            .user_agent(AutoHeaderValue::None)
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            .build();
        let agent = ureq::Agent::with_parts(config, Pier(dock.clone()), NoLookup);
        Http {
            uri: settings.endpoint.as_str().parse().unwrap_or_default(),
            user_agent: user_agent(settings.user_agent_prefix.as_deref()),
            settings,
            wake,
            watch,
            agent,
            dock,
            kept: None,
            configs: ConfigCache::default(),
            resolver,
            traffic: Arc::default(),
            dialled: 0,
        }
    }

    /// Blocks until the answer, a failure, a deadline, or the watch's `Break`. On a kept connection
    /// when there is a good one; else it connects.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.traffic.on_exchange();
        let limits = self.settings.limits;
        if let Some(refusal) = too_large(request, &limits) {
            return Err(refusal);
        }
        let mut vigil = Vigil::begin(self.wake.clone(), self.watch.clone(), limits.exchange)
            .map_err(|cut| self.failure(cut, Reached::No))?;
        loop {
            let kept = self.take_kept();
            let is_reused = kept.is_some();
            let kept = match kept {
                Some(kept) => kept,
                None => self.connect(&mut vigil)?,
            };
            let Kept {
                stream,
                renew_at,
                suspended,
            } = kept;
            let (result, wire) = self.over(stream, vigil, request);
            let Some(wire) = wire else {
                self.traffic.on_closed();
                return result;
            };
            self.traffic.on_moved(wire.sent, wire.received);
            let Wire {
                mut stream,
                vigil: after,
                sent,
                received,
                is_reusable,
                cut,
                ..
            } = *wire;
            if is_reusable {
                stream.rest();
                self.kept = Some(Kept {
                    stream,
                    renew_at,
                    suspended,
                });
            } else {
                drop(stream);
                self.traffic.on_closed();
            }
            let has_died = is_reused && received == 0 && matches!(cut, Some(Cut::Closed(_)));
            // While nothing has left, nobody need know.
            if has_died && sent == 0 {
                vigil = after;
                continue;
            }
            return result.map_err(|failure| Failure {
                reused: has_died,
                ..failure
            });
        }
    }

    /// Drops the kept connection and what is known of the server's addresses; the next exchange
    /// connects anew.
    pub fn forget(&mut self) {
        if self.kept.take().is_some() {
            self.traffic.on_closed();
        }
        self.resolver.forget();
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// The kept connection, unless it is too old, slept with the machine, or was closed.
    fn take_kept(&mut self) -> Option<Kept> {
        let mut kept = self.kept.take()?;
        let has_slept = clock::suspended() > kept.suspended + Duration::from_secs(1);
        if has_slept || kept.renew_at <= Instant::now() || !kept.stream.is_alive() {
            self.traffic.on_closed();
            return None;
        }
        Some(kept)
    }

    fn connect(&mut self, vigil: &mut Vigil) -> Result<Kept, Failure> {
        let (host, port) = (self.settings.endpoint.host(), self.settings.endpoint.port());
        let limits = self.settings.limits;
        let addresses = self
            .resolver
            .resolve(host, port, &self.wake, vigil, limits.resolve)
            .map_err(|e| match e {
                ResolveError::Cut(cut) => self.failure(cut, Reached::No),
                ResolveError::Failed(text) => {
                    Failure::new(FailKind::Resolve, Reached::No, format!("resolve {text}"))
                }
            })?;
        let (socket, address) = dial(&addresses, vigil, limits.connect).map_err(|e| match e {
            DialError::Cut(cut) => self.failure(cut, Reached::No),
            DialError::Refused(text) => {
                Failure::new(FailKind::Connect, Reached::No, format!("connect to {text}"))
            }
        })?;
        let stream = if self.settings.endpoint.scheme().is_tls() {
            let refuse = |text: &dyn std::fmt::Display| {
                let text = format!("TLS with {host}:{port}: {text}");
                Failure::new(FailKind::Tls, Reached::No, text)
            };
            let trust = self
                .settings
                .trust
                .as_ref()
                .ok_or_else(|| refuse(&"not set up"))?;
            let config = trust.config(&mut self.configs).map_err(|e| refuse(&e))?;
            let name = ServerName::try_from(host.to_owned()).map_err(|e| refuse(&e))?;
            Stream::secure(socket, config, name, vigil, limits.tls)
                .map_err(|cut| self.failure(cut, Reached::No))?
        } else {
            Stream::plain(socket)
        };
        self.traffic.on_connected(address, stream.tls_version());
        self.dialled += 1;
        let age = spread(limits.connection_age, self.settings.seed, self.dialled);
        let renew_at = Instant::now() + age;
        Ok(Kept {
            stream,
            renew_at,
            suspended: clock::suspended(),
        })
    }

    /// One request and its answer over this connection; the wire comes back with what became of it.
    fn over(
        &self,
        stream: Stream,
        vigil: Vigil,
        request: &Request<'_>,
    ) -> (Result<Answer, Failure>, Option<Box<Wire>>) {
        let limits = &self.settings.limits;
        let head_size = self.head_size(request);
        let wire = Wire::new(
            stream,
            vigil,
            limits.first_byte,
            head_size,
            request.body.len(),
        );
        *self.dock.wire.lock() = Some(Box::new(wire));
        self.dock.is_draining.store(false, Relaxed);
        let result = match self.post(request) {
            Ok(post) => self.agent.run(post),
            Err(e) => Err(e.into()),
        };
        let result = match result {
            Ok(response) => self.judge(response, request),
            Err(e) => Err(Unfit::Broken(e)),
        };
        let wire = self.dock.wire.lock().take();
        let reached = match &wire {
            Some(wire) if wire.sent == 0 => Reached::No,
            _ => Reached::Maybe,
        };
        let result =
            result.map_err(
                |unfit| match (unfit, wire.as_ref().and_then(|w| w.cut.as_ref())) {
                    (Unfit::Answer(failure), _) => failure,
                    // Our own reason is exact; what the library made of it is not.
                    (Unfit::Broken(_), Some(cut)) => self.failure_of(cut, reached),
                    (Unfit::Broken(e), None) => {
                        let (kind, text) = broken(&e);
                        Failure::new(kind, reached, text)
                    }
                },
            );
        (result, wire)
    }

    fn post<'a>(&self, request: &Request<'a>) -> Result<http::Request<&'a [u8]>, http::Error> {
        let mut post = http::Request::post(self.uri.clone()).body(request.body)?;
        let headers = post.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
        headers.insert(header::ACCEPT_ENCODING, GZIP);
        headers.insert(
            "opamp-instance-uid",
            HeaderValue::from_str(request.instance_uid)?,
        );
        for (name, value) in request.headers.pairs() {
            headers.insert(name.clone(), value.clone());
        }
        Ok(post)
    }

    /// At least what the request's head takes: it must be collected whole.
    fn head_size(&self, request: &Request<'_>) -> usize {
        let ours = request
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 4);
        512 + 2 * self.settings.endpoint.as_str().len()
            + self.user_agent.len()
            + ours.sum::<usize>()
    }

    /// Reads what there is to read; the connection is free for the next exchange when all was.
    fn judge(
        &self,
        response: http::Response<ureq::Body>,
        request: &Request<'_>,
    ) -> Result<Answer, Unfit> {
        let limit = self.settings.limits.message;
        let (parts, mut body) = response.into_parts();
        let head = head_of(parts.status.as_u16(), &parts.headers);
        let mut source = body.as_reader();
        match head.plan(limit) {
            Plan::Take { is_gzip } => {
                let body = if is_gzip {
                    answer::read_gzip(&mut source, limit)
                } else {
                    answer::read_plain(&mut source, head.content_length, limit)
                };
                match body {
                    Ok(body) => Ok(Answer {
                        status: head.status,
                        body,
                    }),
                    Err(BodyError::Source(e)) => Err(Unfit::Broken(e.into())),
                    Err(e) => {
                        // What is left of a bad gzip is short, and its connection still good.
                        if matches!(e, BodyError::BadGzip(_)) {
                            self.dock.is_draining.store(true, Relaxed);
                            answer::drain(&mut source, &head, limit);
                        }
                        Err(Unfit::Answer(head.body_failure(e, limit)))
                    }
                }
            }
            Plan::Show { kind, text } => {
                self.dock.is_draining.store(true, Relaxed);
                let body = answer::drain(&mut source, &head, limit);
                head.shown(kind, text, &body, request.headers)
                    .map_err(Unfit::Answer)
            }
            Plan::Leave { kind, text } => Err(Unfit::Answer(head.failure(kind, text))),
        }
    }

    fn failure(&self, cut: Cut, reached: Reached) -> Failure {
        self.failure_of(&cut, reached)
    }

    fn failure_of(&self, cut: &Cut, reached: Reached) -> Failure {
        let (host, port) = (self.settings.endpoint.host(), self.settings.endpoint.port());
        let (kind, text) = match cut {
            Cut::GivenUp => (FailKind::GivenUp, "given up".to_owned()),
            Cut::Timeout(step) => (
                FailKind::Timeout,
                format!("timeout with {host}:{port}: {}", step.overdue()),
            ),
            Cut::Closed(text) => (FailKind::Io, format!("connection to {host}:{port}: {text}")),
            Cut::Tls(text) => (FailKind::Tls, format!("TLS with {host}:{port}: {text}")),
            Cut::Io(e) => (FailKind::Io, format!("connection to {host}:{port}: {e}")),
        };
        Failure::new(kind, reached, text)
    }
}

/// Why an exchange brought no answer: the server's, or a connection that broke.
enum Unfit {
    Answer(Failure),
    Broken(ureq::Error),
}

/// What the HTTP library asks for addresses gets none: the wire is connected already.
#[derive(Debug)]
struct NoLookup;

impl Lookup for NoLookup {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

fn head_of(status: u16, headers: &HeaderMap) -> Head<'_> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    Head {
        status,
        content_type: text(header::CONTENT_TYPE),
        content_encoding: text(header::CONTENT_ENCODING),
        content_length: text(header::CONTENT_LENGTH)
            .filter(|_| !headers.contains_key(header::TRANSFER_ENCODING))
            .and_then(|v| v.trim().parse().ok()),
        retry_after: text(header::RETRY_AFTER),
    }
}

pub(crate) fn too_large(request: &Request<'_>, limits: &Limits) -> Option<Failure> {
    let (length, limit) = (request.body.len(), limits.message);
    (length > limit).then(|| {
        let text = format!("the message has {length} bytes, the limit is {limit}");
        Failure::new(FailKind::Size, Reached::No, text)
    })
}

fn broken(error: &ureq::Error) -> (FailKind, String) {
    match error {
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => (
            FailKind::Io,
            "the connection ended in the middle of the answer".to_owned(),
        ),
        ureq::Error::LargeResponseHeader(..) => {
            let text = format!("the head of the answer is larger than {MOST_HEAD} bytes");
            (FailKind::Protocol, text)
        }
        e => {
            let text = format!(
                "the answer is not proper HTTP: {}",
                shown(&e.to_string(), 128)
            );
            (FailKind::Protocol, text)
        }
    }
}

pub(crate) fn user_agent(prefix: Option<&str>) -> HeaderValue {
    let whole = match prefix {
        Some(prefix) if !prefix.is_empty() => format!("{prefix} {VERSION}"),
        _ => VERSION.to_owned(),
    };
    HeaderValue::from_str(&whole).unwrap_or(HeaderValue::from_static(VERSION))
}

/// Up to a tenth less than `age`, so that a fleet does not renew in step.
fn spread(age: Duration, seed: u64, count: u64) -> Duration {
    let mut mixed = seed ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    age - age.mul_f64(0.1 * (mixed >> 11) as f64 / (1u64 << 53) as f64)
}
