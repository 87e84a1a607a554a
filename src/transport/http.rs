//! Plain HTTP: one POST at a time over a kept connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ureq::config::AutoHeaderValue;
use ureq::http::{self, HeaderMap, HeaderValue, Uri, header};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as Lookup};
use ureq::unversioned::transport::NextTimeout;

use super::answer::{self, BodyError, Head, Plan, shown};
use super::failure::{FailKind, Failure, Reached};
use super::line::{Kept, Line};
use super::resolve::Resolver;
use super::stream::Stream;
use super::vigil::Vigil;
use super::wire::{Dock, MOST_HEAD, Pier, Wire};
use super::{Answer, Limits, Request, Settings, Traffic, Wake, Watch};

/// The transport for http, https and http+unix endpoints. Used by one thread, the worker.
pub struct Http {
    line: Line,
    uri: Uri,
    user_agent: HeaderValue,
    watch: Arc<dyn Watch>,
    agent: ureq::Agent,
    dock: Arc<Dock>,
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
            uri: settings.endpoint.uri().unwrap_or_default(),
            user_agent: user_agent(settings.user_agent_prefix.as_deref()),
            line: Line::new(settings, wake, resolver),
            watch,
            agent,
            dock,
        }
    }

    /// Blocks until the answer, a failure, a deadline, or the watch's `Break`. On a kept connection
    /// when there is a good one; else it connects.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        let traffic = self.traffic();
        traffic.on_exchange();
        let limits = self.line.settings.limits;
        if let Some(refusal) = too_large(request, &limits) {
            return Err(refusal);
        }
        let mut vigil = Vigil::begin(self.line.wake.clone(), self.watch.clone(), limits.exchange)
            .map_err(|cut| self.line.failure(&cut, Reached::No))?;
        loop {
            let kept = self.line.take();
            let is_reused = kept.is_some();
            let Kept { stream, term } = match kept {
                Some(kept) => kept,
                None => self.line.connect(&mut vigil)?,
            };
            let (result, wire) = self.over(stream, vigil, request);
            let Some(wire) = wire else {
                traffic.on_closed();
                return result;
            };
            let has_died = is_reused && wire.has_died();
            let has_left = wire.sent > 0;
            traffic.on_moved(wire.sent, wire.received);
            let is_reusable = wire.is_reusable();
            let Wire {
                stream,
                vigil: after,
                ..
            } = *wire;
            if is_reusable {
                self.line.keep(Kept { stream, term });
            } else {
                drop(stream);
                traffic.on_closed();
            }
            // While nothing has left, nobody need know.
            if has_died && !has_left {
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
        self.line.forget();
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.line.traffic.clone()
    }

    /// One request and its answer over this connection; the wire comes back with what became of it.
    fn over(
        &self,
        stream: Stream,
        vigil: Vigil,
        request: &Request<'_>,
    ) -> (Result<Answer, Failure>, Option<Box<Wire>>) {
        let limits = &self.line.settings.limits;
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
                    (Unfit::Broken(_), Some(cut)) => self.line.failure(cut, reached),
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
        512 + 2 * self.line.settings.endpoint.as_str().len()
            + self.user_agent.len()
            + ours.sum::<usize>()
    }

    /// Reads what there is to read; the connection is free for the next exchange when all was.
    fn judge(
        &self,
        response: http::Response<ureq::Body>,
        request: &Request<'_>,
    ) -> Result<Answer, Unfit> {
        let limit = self.line.settings.limits.message;
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
