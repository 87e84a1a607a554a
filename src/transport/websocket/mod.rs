//! WebSocket: one connection on which both sides speak when they like.
//!
//! ```text
//!   connect ──► upgrade (blocks, can be cut) ──► session: rest ──► one News after the other ──► Over
//!                                                  send, close: taken up by the next rest
//! ```
//!
//! Frame heads and masking are tungstenite's; what a frame may be, how large, and every wait are
//! ours, because a peer is judged by the head of a frame, before a byte of its payload is kept.

mod control;
mod incoming;
mod message;
mod outgoing;
mod pulse;
mod session;
mod upgrade;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::answer::not_followed;
use super::line::Line;
use super::quote::{MOST_SHOWN, Secrets, shown};
use super::redirect::Sent;
use super::vigil::{Cut, Step, Vigil};
use super::wire::Wire;
use super::{FailKind, Failure, Headers, ReachedServer, Resolver, Settings, Traffic, Wake, Watch};
use session::{End, Session, Sight};
use upgrade::{Refusal, Upgrade};

/// The transport for ws and wss endpoints. Used by one thread, the worker.
pub struct WebSocket {
    line: Line,
    watch: Arc<dyn Watch>,
    session: Option<Session>,
    /// Those of the upgrade: what the peer says must not bring them into a text.
    headers: Arc<Headers>,
}

/// What happened on the connection.
#[derive(Debug)]
pub enum News {
    /// The last message and its ping are in the kernel; the buffer comes back.
    Written(Vec<u8>),
    /// The peer has read up to this marker.
    Pong(u64),
    /// One binary message, without its header.
    Message(Bytes),
    /// A message that can be none of ours; the connection goes on.
    Skipped(&'static str),
    /// The peer broke the rules. It can still be written to, but is not read any more; the code is
    /// for the Close frame.
    Broken { code: u16, failure: Failure },
    /// The process or the machine stood still: what comes next may be the end of a dead connection.
    Thawed,
    /// There is no connection any more.
    Over(Failure),
}

/// From the kernel.
fn draw(bytes: &mut [u8]) -> Result<(), Cut> {
    let drawn = getrandom::getrandom(bytes);
    drawn.map_err(|_| Cut::Io(io::Error::other("the system gives no random bytes")))
}

impl WebSocket {
    /// Opens nothing.
    pub fn new(
        settings: Settings,
        wake: Wake,
        watch: Arc<dyn Watch>,
        resolver: Resolver,
    ) -> WebSocket {
        WebSocket {
            line: Line::new(settings, wake, resolver),
            watch,
            session: None,
            headers: Arc::default(),
        }
    }

    /// Blocks until the connection is upgraded, or a failure, a deadline, or the watch's `Break`.
    pub fn connect(&mut self, headers: &Arc<Headers>, instance_uid: &str) -> Result<(), Failure> {
        self.session = None;
        self.headers = headers.clone();
        let result = self.follow(headers, instance_uid);
        result.map_err(|failure| self.secrets().in_failure(failure))
    }

    /// The upgrade, wherever it leads.
    fn follow(&mut self, headers: &Headers, instance_uid: &str) -> Result<(), Failure> {
        let limits = self.line.settings.limits;
        let mut vigil = Vigil::begin(self.line.wake.clone(), self.watch.clone(), limits.exchange)
            .map_err(|cut| self.line.failure(&cut, ReachedServer::No))?;
        self.line.go_home();
        loop {
            let (failure, location) = match self.upgrade(headers, instance_uid, &mut vigil) {
                Ok(session) => {
                    self.session = Some(session);
                    return Ok(());
                }
                Err(refused) => refused,
            };
            let redirected = failure
                .status
                .filter(|&status| Sent::Upgrade.is_redirected_by(status));
            let Some(status) = redirected else {
                return Err(self.line.on_its_way(failure));
            };
            let hop = self
                .line
                .redirect(status, location.as_deref(), Sent::Upgrade);
            let hop = hop.map_err(|why| {
                let text = format!("WebSocket upgrade: {}", not_followed(status, &why)).into();
                self.line.on_its_way(Failure { text, ..failure })
            })?;
            self.watch.on_redirect(self.secrets().in_hop(hop));
        }
    }

    /// One connection and its upgrade; a refusal comes with its Location.
    fn upgrade(
        &mut self,
        headers: &Headers,
        instance_uid: &str,
        vigil: &mut Vigil,
    ) -> Result<Session, (Failure, Option<String>)> {
        let limits = self.line.settings.limits;
        let stream = self.line.connect(vigil).map_err(|f| (f, None))?.stream;
        let mut wire = Wire::new(stream, vigil, limits.first_byte);
        let upgrade = Upgrade {
            settings: &self.line.settings,
            endpoint: self.line.at(),
            is_away: self.line.is_away(),
            headers,
            instance_uid,
        };
        let result = upgrade.over(&mut wire);
        self.line.traffic.on_moved(wire.sent, wire.received);
        let refusal = match result {
            Ok(begun) => return Ok(Session::new(wire.stream, begun, &limits)),
            Err(refusal) => refusal,
        };
        drop(wire);
        self.line.traffic.on_closed();
        Err(match refusal {
            Refusal::Answer { failure, location } => (failure, location),
            Refusal::Broken(broken) => {
                let failure = broken.failure(&self.line, false);
                let text = format!("WebSocket upgrade: {}", failure.text);
                (Failure::new(failure.kind, ReachedServer::No, text), None)
            }
        })
    }

    /// The message and behind it, with a marker, a ping that carries it. The last one was written
    /// before.
    pub fn send(&mut self, body: Vec<u8>, marker: Option<u64>) {
        if let Some(session) = &mut self.session {
            session.send(body, marker);
        }
    }

    /// A Close frame behind what is under way; then the peer's is awaited.
    pub fn close(&mut self, code: u16) {
        if let Some(session) = &mut self.session {
            session.close(code);
        }
    }

    /// Ends the connection now; how far its last message came.
    pub fn cut(&mut self) -> Failure {
        let reached = self.drop_session();
        self.failure(&Cut::GivenUp, reached)
    }

    fn secrets(&self) -> Secrets<'_> {
        Secrets::new(&self.headers, &self.line.settings.proxies)
    }

    /// Moves bytes and waits: for news, for a wake-up (which is left raised), or for `limit`
    /// (`None` in both cases). `on_long_wait` is called before a wait that may take seconds, and
    /// says whether it is likely to: what the next news need is kept otherwise.
    pub fn rest(
        &mut self,
        limit: Option<Duration>,
        on_long_wait: &mut dyn FnMut() -> bool,
    ) -> Option<News> {
        let Some(session) = &mut self.session else {
            self.line.wake.wait(limit);
            return None;
        };
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        let sight = session.rest(&self.line.wake, until, &self.line.traffic, on_long_wait)?;
        Some(match sight {
            Sight::Written(buffer) => News::Written(buffer),
            Sight::Pong(marker) => News::Pong(marker),
            Sight::Message(bytes) => News::Message(bytes),
            Sight::Skipped(why) => News::Skipped(why),
            Sight::Thawed => News::Thawed,
            Sight::Broken(fault) => News::Broken {
                code: fault.code,
                failure: Failure::new(fault.kind, ReachedServer::Maybe, fault.text),
            },
            Sight::Over(end) => {
                let reached = self.drop_session();
                let failure = match end {
                    End::Cut(cut) => self.failure(&cut, reached),
                    End::Closed(close) => self.closed(close.as_ref(), reached),
                };
                News::Over(self.secrets().in_failure(failure))
            }
        })
    }

    /// Drops what is known of the server's addresses; the next connect looks them up.
    pub fn forget(&mut self) {
        self.line.forget();
    }

    pub fn traffic(&self) -> Arc<Traffic> {
        self.line.traffic.clone()
    }

    fn drop_session(&mut self) -> ReachedServer {
        let session = self.session.take();
        if session.is_some() {
            self.line.traffic.on_closed();
        }
        match session {
            Some(session) if session.has_all() => ReachedServer::No,
            _ => ReachedServer::Maybe,
        }
    }

    fn failure(&self, cut: &Cut, reached: ReachedServer) -> Failure {
        match cut {
            // The kernel's own patience is the same as ours.
            Cut::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.line.failure(&Cut::Timeout(Step::Pong), reached)
            }
            cut => self.line.failure(cut, reached),
        }
    }

    /// The peer's Close in words; a code without a meaning of its own is an end as any other.
    fn closed(&self, close: Option<&(u16, String)>, reached: ReachedServer) -> Failure {
        let (kind, text) = match close {
            None => (FailKind::Io, "the server closed it with no code".to_owned()),
            Some((code, reason)) => {
                let kind = match code {
                    1009 => FailKind::Size,
                    _ => FailKind::Io,
                };
                let reason = shown(reason, MOST_SHOWN);
                let colon = if reason.is_empty() { "" } else { ": " };
                (
                    kind,
                    format!("the server closed it with code {code}{colon}{reason}"),
                )
            }
        };
        let place = self.line.failure(&Cut::Closed(""), reached);
        Failure::new(kind, reached, format!("{}{text}", place.text))
    }
}
