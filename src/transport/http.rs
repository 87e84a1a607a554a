//! Plain HTTP: one POST at a time over a kept connection.

use std::sync::Arc;

use super::answer::{self, BodyError, Plan};
use super::body::Body;
use super::failure::{FailKind, Failure, ReachedServer};
use super::gzip::gzip;
use super::head::{self, RawHead};
use super::line::{Kept, Line};
use super::opening::Opening;
use super::redirect::{Sent, turned_down};
use super::resolve::Resolver;
use super::room::lengthen;
use super::vigil::{Cut, Vigil};
use super::wire::{Broken, MOST_HEAD, Wire};
use super::{Answer, Headers, Limits, Request, Secrets, Settings, Traffic, Wake, Watch};

/// The transport for http, https and http+unix endpoints. Used by one thread, the worker.
pub struct Http {
    line: Line,
    watch: Arc<dyn Watch>,
    opening: Opening,
    user_agent: String,
    /// The server has refused a message as gzip and taken it plain.
    is_gzip_refused: bool,
    /// The request as it leaves, and the answer as far as its head goes; both used again each time.
    out: Vec<u8>,
    input: Vec<u8>,
}

const VERSION: &str = concat!("libopamp/", env!("CARGO_PKG_VERSION"));
/// Of a request's body this much is sent together with the head.
const MOST_COLLECTED: usize = 64 * 1024;
/// An answer's head is read into this much, and more only where it does not fit.
const INPUT: usize = 4 * 1024;

impl Http {
    /// Opens nothing; the first exchange connects.
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
        Http {
            opening: Opening::new(&settings.endpoint, &settings.proxies),
            user_agent: user_agent(settings.user_agent_prefix.as_deref()),
            line: Line::new(settings, wake, resolver),
            is_gzip_refused: false,
            watch,
            out: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Blocks until the answer, a failure, a deadline, or the watch's `Break`. On a kept connection
    /// when there is a good one; else it connects.
    pub fn exchange(&mut self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.line.traffic.on_exchange();
        let limits = self.line.settings.limits;
        if let Some(refusal) = too_large(request, &limits) {
            return Err(refusal);
        }
        let mut vigil = Vigil::begin(self.line.wake.clone(), self.watch.clone(), limits.exchange)
            .map_err(|cut| self.line.failure(&cut, ReachedServer::No))?;
        let result = self.follow(request, &mut vigil).map_err(|failure| {
            let secrets = Secrets::new(request.headers, &self.line.settings.proxies);
            secrets.in_failure(failure)
        });
        if self.line.is_redirected() {
            self.line.go_home();
            self.open();
        }
        // What a large message needed is given back.
        self.out.clear();
        self.out.shrink_to(INPUT);
        self.input.truncate(INPUT);
        self.input.shrink_to(INPUT);
        result
    }

    /// Drops the kept connection and what is known of the server's addresses; the next exchange
    /// connects anew.
    pub fn forget(&mut self) {
        self.line.forget();
    }

    /// Before a long wait: the next exchange makes its room anew.
    pub fn rest(&mut self) {
        (self.out, self.input) = (Vec::new(), Vec::new());
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.line.traffic.clone()
    }

    /// The exchange, wherever it leads, all within its one bound.
    fn follow(&mut self, request: &Request<'_>, vigil: &mut Vigil) -> Result<Answer, Failure> {
        let mut packed = self
            .packed(request.body, vigil)
            .map_err(|cut| self.line.failure(&cut, ReachedServer::No))?;
        let mut was_refused = false;
        loop {
            let sent = Request {
                body: packed.as_deref().unwrap_or(request.body),
                ..*request
            };
            self.write(&sent, packed.is_some());
            let said = self.carry_out(&sent, vigil);
            let (answer, location) = match said {
                Ok(said) => (said.answer, said.location),
                Err(failure) => (Err(failure), None),
            };
            let failure = match answer {
                // Who redirected the message has seen it.
                Err(failure) if self.line.is_redirected() => Failure {
                    reached: ReachedServer::Maybe,
                    ..failure
                },
                Err(failure) => failure,
                answer => {
                    self.is_gzip_refused |= was_refused;
                    return answer;
                }
            };
            // Some do not know the encoding, some try to read the message in it.
            if matches!(failure.status, Some(400 | 415)) && packed.take().is_some() {
                was_refused = true;
                continue;
            }
            let hop = match failure.status {
                Some(status @ (307 | 308)) => {
                    self.line.redirect(status, location.as_deref(), Sent::Post)
                }
                Some(301..=303) => Err(turned_down(self.line.at(), location.as_deref())),
                _ => return Err(self.line.on_its_way(failure)),
            };
            let hop = hop.map_err(|why| {
                let status = failure.status.unwrap_or_default();
                let text = answer::not_followed(status, &why).into();
                self.line.on_its_way(Failure { text, ..failure })
            })?;
            self.open();
            let secrets = Secrets::new(request.headers, &self.line.settings.proxies);
            self.watch.on_redirect(secrets.in_hop(hop));
        }
    }

    /// The body as gzip, where that is wanted and worth it.
    fn packed(&self, body: &[u8], vigil: &mut Vigil) -> Result<Option<Vec<u8>>, Cut> {
        match self.line.settings.compress_above {
            Some(above) if body.len() > above && !self.is_gzip_refused => gzip(body, vigil),
            _ => Ok(None),
        }
    }

    /// For the place where the line goes now.
    fn open(&mut self) {
        self.opening = Opening::new(self.line.at(), &self.line.settings.proxies);
    }

    /// The head, and the body as far as it is sent together with the head.
    fn write(&mut self, request: &Request<'_>, is_gzip: bool) {
        let none = Headers::default();
        let headers = match self.line.is_away() {
            true => &none,
            false => request.headers,
        };
        let is_ours = |name: &str| headers.iter().all(|(n, _)| n != name);
        let length = request.body.len().to_string();
        let (opening, out) = (&self.opening, &mut self.out);
        out.clear();
        out.extend_from_slice(opening.line.as_bytes());
        let mut line = |name: &str, value: &[u8]| {
            for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        };
        for (name, value) in [("host", &opening.host), ("user-agent", &self.user_agent)] {
            if is_ours(name) {
                line(name, value.as_bytes());
            }
        }
        line("content-type", b"application/x-protobuf");
        if is_gzip {
            line("content-encoding", b"gzip");
        }
        line("accept-encoding", b"gzip");
        line("opamp-instance-uid", request.instance_uid.as_bytes());
        line("content-length", length.as_bytes());
        let to_proxy = opening.to_proxy.iter().flat_map(Headers::iter);
        for (name, value) in headers.iter().chain(to_proxy) {
            line(name, value);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&request.body[..request.body.len().min(MOST_COLLECTED)]);
    }

    fn carry_out(&mut self, request: &Request<'_>, vigil: &mut Vigil) -> Result<Said, Failure> {
        loop {
            let kept = self.line.take();
            let is_reused = kept.is_some();
            let Kept { stream, term } = match kept {
                Some(kept) => kept,
                None => self.line.connect(vigil)?,
            };
            let mut wire = Wire::new(stream, vigil, self.line.settings.limits.first_byte);
            let result = self.over(&mut wire, request);
            let traffic = &self.line.traffic;
            traffic.on_moved(wire.sent, wire.received);
            let has_died = is_reused && has_died(&wire, &result);
            let has_left = wire.sent > 0;
            let is_whole = matches!(&result, Ok(said) if said.is_whole);
            let stream = wire.stream;
            if is_whole && !stream.is_sending_over() {
                self.line.keep(Kept { stream, term });
            } else {
                drop(stream);
                traffic.on_closed();
            }
            // While nothing has left, nobody need know.
            if has_died && !has_left {
                continue;
            }
            return result.map_err(|broken| Failure {
                reused: has_died,
                ..broken.failure(&self.line, has_left)
            });
        }
    }

    /// One request and its answer over this connection.
    fn over(&mut self, wire: &mut Wire<'_>, request: &Request<'_>) -> Result<Said, Broken> {
        let rest = request.body.get(MOST_COLLECTED..).unwrap_or_default();
        let mut unsent = [&self.out[..], rest];
        wire.send(&mut unsent)?;
        let (mut begin, mut end, mut passed_over) = (0, 0, 0);
        loop {
            if end == self.input.len() {
                self.input.copy_within(begin..end, 0);
                (begin, end) = (0, end - begin);
                if end >= MOST_HEAD {
                    return Err(Broken::LongHead);
                }
                lengthen(&mut self.input, end + INPUT.max(end));
            }
            let n = wire.recv(&mut self.input[end..])?;
            if n == 0 {
                return Err(Broken::Ended);
            }
            end += n;
            loop {
                let (mut slots, mut others) = (head::slots(), head::slots());
                let head = match head::read_plain(&self.input[begin..end], &mut slots) {
                    Some(head) => head,
                    None => {
                        head::tidy(&mut self.input[begin..end]).map_err(Broken::Malformed)?;
                        let head = head::read(&self.input[begin..end], &mut others);
                        head.map_err(Broken::Malformed)?
                    }
                };
                let Some(head) = head else {
                    break;
                };
                let come = &self.input[..end];
                begin += head.len;
                if !head.is_interim() {
                    let limit = self.line.settings.limits.message;
                    let early = &come[begin..];
                    let is_through_proxy = self.opening.to_proxy.is_some();
                    return said(wire, &head, early, is_through_proxy, limit);
                }
                passed_over += head.len;
                if passed_over > MOST_HEAD {
                    return Err(Broken::LongHead);
                }
            }
            if passed_over > 0 {
                wire.send_on(&mut unsent)?;
            }
        }
    }
}

/// What the server said, and whether the connection can carry another exchange.
struct Said {
    answer: Result<Answer, Failure>,
    is_whole: bool,
    /// Where a redirect leads.
    location: Option<String>,
}

/// Reads what there is to read of an answer whose head has come.
fn said(
    wire: &mut Wire<'_>,
    head: &RawHead<'_, '_>,
    early: &[u8],
    is_through_proxy: bool,
    limit: usize,
) -> Result<Said, Broken> {
    let is_kept = head.is_kept();
    let framing = head.framing().map_err(Broken::Malformed)?;
    let location = head
        .header("location")
        .filter(|_| (300..400).contains(&head.status))
        .map(str::to_owned);
    let head = head.judged(framing);
    let mut body = Body::new(wire, framing, early);
    let answer = match head.plan(limit) {
        Plan::Take { is_gzip } => {
            let taken = if is_gzip {
                answer::read_gzip(&mut body, limit)
            } else {
                answer::read_plain(&mut body, head.content_length, limit)
            };
            match taken {
                Ok(body) => Ok(Answer {
                    status: head.status,
                    body,
                }),
                Err(BodyError::Source(_)) => return Err(body.into_broken()),
                Err(e) => {
                    // What is left of a bad gzip is short, and its connection still good.
                    if matches!(e, BodyError::BadGzip(_)) {
                        body.hurry();
                        answer::drain(&mut body, &head, limit);
                    }
                    Err(head.body_failure(e, limit))
                }
            }
        }
        Plan::Show { kind, text } => {
            body.hurry();
            let come = answer::drain(&mut body, &head, limit);
            let kind = match head.status {
                407 if is_through_proxy => FailKind::Proxy,
                _ => kind,
            };
            head.shown(kind, text, come, !body.has_failed())
        }
        Plan::Leave { kind, text } => Err(head.failure(kind, text)),
    };
    Ok(Said {
        answer,
        is_whole: is_kept && body.is_whole(),
        location,
    })
}

/// Whether the peer ended the connection before a byte of an answer.
fn has_died(wire: &Wire<'_>, result: &Result<Said, Broken>) -> bool {
    wire.received == 0 && matches!(result, Err(Broken::Cut(Cut::Closed(_))))
}

pub(crate) fn too_large(request: &Request<'_>, limits: &Limits) -> Option<Failure> {
    let (length, limit) = (request.body.len(), limits.message);
    (length > limit).then(|| {
        let text = format!("the message has {length} bytes, the limit is {limit}");
        Failure::new(FailKind::Size, ReachedServer::No, text)
    })
}

pub(crate) fn user_agent(prefix: Option<&str>) -> String {
    match prefix {
        Some(prefix) if !prefix.is_empty() => format!("{prefix} {VERSION}"),
        _ => VERSION.to_owned(),
    }
}
