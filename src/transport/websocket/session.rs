//! One connection after its upgrade: what comes, what leaves, and one wait for both.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::overhead::Rate;
use super::super::stream::{Found, Stream};
use super::super::vigil::{Cut, Step};
use super::super::wake::{poll_entry, ppoll};
use super::super::{LONG_REST, Limits, Traffic, Wake};
use super::control::Payload;
use super::incoming::{Fault, Incoming, Item};
use super::outgoing::{Outgoing, Sent};
use super::pulse::{Beat, Pulse};

/// What a session saw.
pub(super) enum Sight {
    Written(Vec<u8>),
    Pong(u64),
    Message(Bytes),
    Skipped(&'static str),
    Broken(Fault),
    Thawed,
    Over(End),
}

/// How it ended.
pub(super) enum End {
    Cut(Cut),
    /// The peer's Close, by now echoed.
    Closed(Option<(u16, String)>),
}

pub(super) struct Session {
    stream: Stream,
    incoming: Incoming,
    outgoing: Outgoing,
    pulse: Pulse,
    close: Duration,
    stage: Stage,
    /// Of what brings nothing: pings, pongs, messages that are none or say nothing.
    rate: Rate,
}

enum Stage {
    Open,
    /// The peer broke the rules: what it sends is only read away.
    Broken,
    /// The peer's Close came; ours is to leave, but not for longer than this.
    Echoing {
        until: Instant,
        close: Option<(u16, String)>,
    },
}

/// Why a wait ended.
enum Waited {
    Readable,
    Writable,
    Thawed,
    /// Own deadlines are to be looked at.
    Due,
    /// Somebody else's turn: a wake-up, or the time that was asked for.
    Elsewhere,
}

impl Session {
    /// `begun`: what came behind the upgrade.
    pub(super) fn new(stream: Stream, begun: Vec<u8>, limits: &Limits) -> Session {
        let pulse = Pulse::new(limits.ping, limits.pong);
        stream.watch_over(pulse.patience());
        Session {
            stream,
            incoming: Incoming::new(limits.message, begun),
            outgoing: Outgoing::default(),
            pulse,
            close: limits.close,
            stage: Stage::Open,
            rate: Rate::new(Instant::now()),
        }
    }

    pub(super) fn send(&mut self, body: Vec<u8>, marker: Option<u64>) {
        self.outgoing.put_message(body, marker);
    }

    pub(super) fn close(&mut self, code: u16) {
        self.outgoing.put_close(Payload::of_code(code));
    }

    /// A message that was to be sent is surely still here, all of it.
    pub(super) fn has_all(&self) -> bool {
        self.outgoing.has_all()
    }

    /// Moves bytes and waits, until something is seen, the wake is raised, or `until` has come.
    pub(super) fn rest(
        &mut self,
        wake: &Wake,
        until: Option<Instant>,
        traffic: &Traffic,
        on_long_wait: &mut dyn FnMut() -> bool,
    ) -> Option<Sight> {
        match self.rest_or_end(wake, until, traffic, on_long_wait) {
            Ok(sight) => sight,
            Err(cut) => Some(Sight::Over(End::Cut(cut))),
        }
    }

    fn rest_or_end(
        &mut self,
        wake: &Wake,
        until: Option<Instant>,
        traffic: &Traffic,
        on_long_wait: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Sight>, Cut> {
        loop {
            if let Some(sight) = self.flush(traffic)? {
                return Ok(Some(sight));
            }
            if let Some(sight) = self.take_in() {
                return Ok(Some(sight));
            }
            // The answer to a ping does not wait for the next turn.
            if let Some(sight) = self.flush(traffic)? {
                return Ok(Some(sight));
            }
            match self.wait(wake, until, on_long_wait)? {
                Waited::Readable => self.read(traffic)?,
                Waited::Writable => {}
                Waited::Thawed => return Ok(Some(Sight::Thawed)),
                Waited::Due => self.on_due()?,
                Waited::Elsewhere => return Ok(None),
            }
        }
    }

    fn flush(&mut self, traffic: &Traffic) -> Result<Option<Sight>, Cut> {
        let mut moved = 0;
        let result = self.outgoing.flush(&mut self.stream, &mut moved);
        if moved > 0 {
            traffic.on_moved(moved, 0);
        }
        let is_stuck = matches!(result, Ok(Sent::Some));
        self.pulse.on_sent(is_stuck, moved > 0, Instant::now());
        match result? {
            Sent::Message(buffer) => Ok(Some(Sight::Written(buffer))),
            Sent::Some => Ok(None),
            Sent::All => Ok(self.echoed().map(Sight::Over)),
        }
    }

    /// The end, once our Close has left behind the peer's.
    fn echoed(&mut self) -> Option<End> {
        match &mut self.stage {
            Stage::Echoing { close, .. } => Some(End::Closed(close.take())),
            _ => None,
        }
    }

    /// The next thing of what came.
    fn take_in(&mut self) -> Option<Sight> {
        while let Stage::Open = self.stage {
            let next = self.incoming.next().and_then(|item| self.judged(item));
            match next {
                Ok(None) => return None,
                Ok(Some(Item::Message(bytes))) => return Some(Sight::Message(bytes)),
                Ok(Some(Item::Skipped(why))) => return Some(Sight::Skipped(why)),
                Ok(Some(Item::Ping(payload))) => self.outgoing.put_pong(payload),
                Ok(Some(Item::Pong(payload))) => {
                    if let Some(marker) = payload.marker() {
                        return Some(Sight::Pong(marker));
                    }
                }
                Ok(Some(Item::Close(close))) => self.on_close(close),
                Err(fault) => {
                    self.stage = Stage::Broken;
                    return Some(Sight::Broken(fault));
                }
            }
        }
        None
    }

    /// Nobody needs many pings a second, and each wakes the machine.
    fn judged(&mut self, item: Option<Item>) -> Result<Option<Item>, Fault> {
        let says_something = match &item {
            Some(Item::Message(bytes)) => !bytes.is_empty(),
            Some(Item::Close(_)) | None => true,
            Some(_) => false,
        };
        if says_something || self.rate.bears(Instant::now()) {
            return Ok(item);
        }
        Err(Fault::flood(
            "more than 100 frames per second without content",
        ))
    }

    fn on_close(&mut self, close: Option<(u16, String)>) {
        let echo = match &close {
            Some((code, _)) => Payload::of_code(*code),
            None => Payload::new(&[]),
        };
        self.outgoing.put_echo(echo);
        let until = Instant::now() + self.close;
        self.stage = Stage::Echoing { until, close };
    }

    fn read(&mut self, traffic: &Traffic) -> Result<(), Cut> {
        let stream = &mut self.stream;
        let found = match self.stage {
            Stage::Open => self.incoming.fill(|buffer| stream.recv_now(buffer))?,
            _ => stream.recv_now(&mut [0; 4096])?,
        };
        match found {
            Found::Bytes(n) => {
                self.pulse.on_heard(Instant::now());
                traffic.on_moved(0, n as u64);
                Ok(())
            }
            Found::Nothing => Ok(()),
            Found::End => Err(Cut::Closed("the server closed it without a Close frame")),
        }
    }

    /// One system call, or none when more bytes lie ready.
    fn wait(
        &mut self,
        wake: &Wake,
        until: Option<Instant>,
        on_long_wait: &mut dyn FnMut() -> bool,
    ) -> Result<Waited, Cut> {
        let now = Instant::now();
        if wake.is_raised() || until.is_some_and(|until| until <= now) {
            return Ok(Waited::Elsewhere);
        }
        if self.is_overdue(now) {
            return Ok(if self.pulse.has_thawed(now) {
                Waited::Thawed
            } else {
                Waited::Due
            });
        }
        if self.stream.is_ready() {
            return Ok(Waited::Readable);
        }
        let own = self.next_due();
        let limit = until
            .map_or(own, |until| until.min(own))
            .saturating_duration_since(now);
        if limit >= LONG_REST && on_long_wait() {
            self.incoming.rest();
            self.stream.rest_now();
        }
        let room = if self.pulse.is_stuck() {
            libc::POLLOUT
        } else {
            0
        };
        let mut set = [
            poll_entry(wake.raw_fd(), libc::POLLIN),
            poll_entry(self.stream.raw_fd(), libc::POLLIN | room),
        ];
        ppoll(&mut set, Some(limit)).map_err(Cut::Io)?;
        let now = Instant::now();
        Ok(if self.pulse.has_thawed(now) {
            Waited::Thawed
        } else if set[1].revents & !libc::POLLOUT != 0 {
            Waited::Readable
        } else if own <= now {
            // Judged only when a look has just found nothing to read.
            Waited::Due
        } else if set[1].revents != 0 {
            Waited::Writable
        } else {
            Waited::Elsewhere
        })
    }

    fn next_due(&self) -> Instant {
        match self.stage {
            Stage::Echoing { until, .. } => until,
            _ => self.pulse.next(),
        }
    }

    /// A peer that sends is not silent, but it may still take nothing.
    fn is_overdue(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Echoing { until, .. } => until <= now,
            _ => self.pulse.is_stuck_for_long(now),
        }
    }

    fn on_due(&mut self) -> Result<(), Cut> {
        if let Stage::Echoing { .. } = self.stage {
            return Err(Cut::Closed("the server closed it and took no Close frame"));
        }
        match self.pulse.beat(Instant::now()) {
            Some(Beat::Ping) => self.outgoing.put_ping(),
            Some(Beat::Silent) => return Err(Cut::Timeout(Step::Pong)),
            Some(Beat::Stuck) => return Err(Cut::Timeout(Step::Send)),
            None => {}
        }
        Ok(())
    }
}
