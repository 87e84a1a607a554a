//! What should happen next, and when: wishes, and the gate that may forbid them.
//!
//! Nothing here is a timer that someone must remember to set: the next deadline is computed from what is true.
use std::time::Duration;

use super::{
    Action, Core, Policy, TryId, WarningKind,
    chance::{Chance, Purpose},
    config::defaults,
    link::{Awaited, Exchange, Leaving, Link},
    parts::{Part, Parts},
    report::{Draft, len_of},
    stop::Stage,
    time::{Time, micros},
    timers::{Deadline, Timer, earlier},
};
use crate::proto::AgentCapabilities;

/// How much longer than its limit an exchange may take before the core stops waiting for its transport.
const EXCHANGE_SLACK: Duration = Duration::from_secs(5);

/// What wants a message beside news and heartbeats.
#[derive(Default)]
pub(super) struct Wishes {
    /// The host asked for one.
    pub(super) poll: bool,
    /// The last try failed.
    pub(super) again: bool,
    /// The last exchange died on a kept connection, or in a freeze: repeat it, in silence, once.
    pub(super) repeat: bool,
    pub(super) full_by_host: bool,
    pub(super) full_by_server: bool,
    /// WebSocket only.
    pub(super) reconnect: bool,
}

/// What `poll` does next.
pub(super) enum Step {
    Connect,
    Build {
        goodbye: bool,
    },
    Reconnect,
    /// The Close frame of a connection that we end, with nothing before it.
    CloseNow,
    Close {
        id: TryId,
        code: Option<u16>,
    },
    Finish,
    Rest(Option<Deadline>),
}

impl Core {
    pub(super) fn step(&self) -> Step {
        if !self.is_started && self.stop.is_none() {
            return Step::Rest(None);
        }
        if let Link::Closing(closing) = &self.link {
            return match closing.order {
                Some(code) => Step::Close {
                    id: closing.id,
                    code,
                },
                None => Step::Rest(self.rest_until()),
            };
        }
        let is_to_leave = matches!(
            &self.link,
            Link::Open(session) if session.leaving == Some(Leaving::Wanted) && !session.unwritten
        );
        if is_to_leave {
            return self.leave_step();
        }
        if let Some(stop) = &self.stop {
            return self.stop_step(stop);
        }
        let plan = self.plan();
        match plan {
            Some(plan) if plan.at <= self.now => match &self.link {
                Link::Open(_) if self.wants_reconnect_by(self.now) => Step::Reconnect,
                Link::Down if self.config.policy == Policy::WebSocket => Step::Connect,
                _ => Step::Build { goodbye: false },
            },
            _ => Step::Rest(self.next_of(plan)),
        }
    }

    /// The next thing that the core will do by itself.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.next_of(if self.stop.is_none() {
            self.plan()
        } else {
            None
        })
    }

    fn next_of(&self, plan: Option<Deadline>) -> Option<Deadline> {
        let next = earlier(self.rest_until(), plan);
        if planted!(TimerInThePast) {
            let why = Timer::Heartbeat;
            return earlier(next, self.next_beat().map(|at| Deadline { at, why }));
        }
        next
    }

    /// The next thing to do that is no message and no connection.
    pub(super) fn rest_until(&self) -> Option<Deadline> {
        let told = earlier(self.events.next(), self.delivery.next());
        earlier(self.timers.next(), told)
    }

    /// When the next message or connection is due; `None` while it waits for something else than time.
    pub(super) fn plan(&self) -> Option<Deadline> {
        let wish = match &self.link {
            Link::Down if !self.is_started => None,
            Link::Down if self.config.policy == Policy::WebSocket => Some(Deadline {
                at: self.now,
                why: Timer::Heartbeat,
            }),
            Link::Down => self.wish(),
            Link::Open(session) if session.leaving.is_some() || session.unwritten => None,
            Link::Open(session) if session.sent == 0 => Some(Deadline {
                at: self.now,
                why: Timer::Change,
            }),
            Link::Open(session) => self.wish_after(session.busy_until()),
            _ => None,
        }?;
        match self.gate.closed(self.now) {
            Some(gate) if gate.until > wish.at => Some(Deadline {
                at: gate.until,
                why: gate.why,
            }),
            _ => Some(wish),
        }
    }

    /// The earliest wish, whether a gate forbids it or not.
    fn wish(&self) -> Option<Deadline> {
        self.wish_after(None)
    }

    /// All but a verdict come after this time.
    fn wish_after(&self, busy: Option<Time>) -> Option<Deadline> {
        let pending = self.reported.pending();
        let wishes = &self.wishes;
        let host = self.budgets.host.next();
        let is_asked = matches!(&self.link, Link::Open(session) if session.is_confirmation_late())
            && self.tickets.are_waiting();
        let by_host = wishes.poll || wishes.full_by_host || wishes.reconnect || is_asked;
        let verdict = pending.has(Part::RemoteConfigStatus).then(|| {
            if self.offers.is_provoked() {
                self.budgets.offer.next()
            } else {
                self.now
            }
        });
        let others = pending.without(Part::RemoteConfigStatus);
        let news = (by_host || !others.is_empty()).then_some(host);
        let full = wishes
            .full_by_server
            .then(|| self.budgets.full_report.next());
        let again = wishes.again.then_some(self.now);
        let mut first = None;
        for (why, at) in [
            (Timer::Heartbeat, again),
            (Timer::Heartbeat, self.next_beat()),
            (Timer::Change, news),
            (Timer::FullReport, full),
        ] {
            first = earlier(first, at.map(|at| Deadline { at, why }));
        }
        let answered = busy.zip(first).map(|(busy, first)| Deadline {
            at: first.at.max(busy),
            why: if first.at < busy {
                Timer::Patience
            } else {
                first.why
            },
        });
        let verdict = verdict.map(|at| Deadline {
            at: if planted!(VerdictWaits) {
                at.max(busy.unwrap_or(at))
            } else {
                at
            },
            why: Timer::Change,
        });
        earlier(answered.or(first), verdict)
    }

    /// When the next poll (HTTP, whatever the capabilities) or heartbeat (WebSocket) is due.
    pub(super) fn next_beat(&self) -> Option<Time> {
        let declared = self.reported.capabilities & AgentCapabilities::ReportsHeartbeat as u64 != 0;
        match self.config.policy {
            Policy::Http => Some(self.beat.next().unwrap_or(self.now)),
            Policy::WebSocket if declared && !self.beat.interval().is_zero() => self.beat.next(),
            Policy::WebSocket => None,
        }
    }

    fn wants_reconnect_by(&self, now: Time) -> bool {
        self.wishes.reconnect && self.budgets.host.next() <= now
    }

    pub(super) fn connect(&mut self) -> Action {
        let id = self.next_try();
        self.link = Link::Opening { id, thawed: false };
        self.wishes.again = false;
        self.wishes.repeat = false;
        self.wishes.reconnect = false;
        Action::Connect { id }
    }

    /// Builds the next message. `None`: something in it was too large and is held back, so the plan has changed.
    pub(super) fn build(&mut self, goodbye: bool, out: &mut Vec<u8>) -> Option<Action> {
        // A goodbye that is no stop is followed by a new connection, which carries what is pending.
        let bare = goodbye && self.stop.is_none();
        if !bare {
            self.begin_full_report();
        }
        let parts = if bare {
            Parts::NONE
        } else if goodbye {
            self.reported.pending_safe()
        } else {
            self.reported.pending()
        };
        let draft = Draft {
            uid: &self.identity.uid,
            sequence_num: self.next_number,
            parts: if planted!(LostPart) {
                parts.without(Part::EffectiveConfig)
            } else {
                parts
            },
            goodbye,
            request_uid: self.identity.wanted,
            reported: &self.reported,
        };
        let length = draft.encoded_len();
        if length > self.config.send_limit {
            if let Some(part) = draft.largest() {
                let fits_alone = draft.alone_len(part) <= self.config.send_limit;
                self.on_over_limit(part, fits_alone);
                return None;
            }
        }
        out.reserve(length);
        draft.encode(out);
        debug_assert_eq!(out.len(), length);
        Some(self.on_built(parts, goodbye, length))
    }

    /// The one place where a message counts as sent.
    fn on_built(&mut self, parts: Parts, goodbye: bool, length: usize) -> Action {
        self.next_number += 1;
        self.mark += 1;
        self.reported.on_built(parts, self.mark);
        self.beat.on_sent(self.now, &mut self.chance);
        self.journal.on_built(length as u64);
        let by_host = parts.iter().any(|part| part != Part::RemoteConfigStatus);
        if by_host || self.wishes.poll {
            self.budgets.host.spend(self.now);
        }
        let is_provoked = parts.has(Part::RemoteConfigStatus) && self.offers.is_provoked();
        if is_provoked && self.budgets.offer.next() <= self.now {
            self.budgets.offer.spend(self.now);
        }
        self.identity.is_used = true;
        self.wishes.poll = false;
        self.wishes.again = false;
        let repeats = std::mem::take(&mut self.wishes.repeat);
        let last_news = match &self.link {
            Link::Open(session) => session.last_news,
            _ => 0,
        };
        let has_news = !parts.is_empty() || self.tickets.want_message(last_news);
        let mark = self.mark;
        // A detach ends with a message that says no goodbye.
        let is_last = goodbye || self.stop.is_some();
        if let Some(stop) = self.stop.as_mut().filter(|_| !planted!(DisconnectTwice)) {
            stop.stage = Stage::LastInFlight;
        }
        let Link::Open(session) = &mut self.link else {
            let id = self.next_try();
            let opened = self.is_answered;
            self.link = Link::Exchange(Exchange {
                id,
                mark,
                opened,
                repeats,
                thawed: false,
                is_last,
            });
            return Action::Send { id, marker: None };
        };
        // Who waits for a confirmation that did not come asks for a pong, too: the peer's silence then counts.
        let asks = !has_news && self.tickets.are_waiting();
        let is_marked = !is_last && (has_news || asks);
        session.sent += 1;
        session.prodded = if asks { mark } else { session.last_news };
        session.is_unclear |= session.owed > 0;
        session.owed += 1;
        session.unwritten = true;
        if is_last {
            session.leaving = Some(Leaving::Said);
        } else {
            // What carries no news waits for its answer alone: one answer at a time, so that each finds its message.
            let ponged = !is_marked;
            session.awaited = (!session.is_quiet).then_some(Awaited {
                mark,
                ponged,
                answered: false,
                until: self.now,
            });
        }
        if is_marked {
            session.last_news = mark;
        }
        Action::Send {
            id: session.id,
            marker: (is_marked || has_news).then_some(mark),
        }
    }

    /// If the full state is wanted and its budget allows it, everything is pending again.
    fn begin_full_report(&mut self) {
        let wishes = &mut self.wishes;
        let budget = &mut self.budgets.full_report;
        if wishes.full_by_server && budget.next() <= self.now {
            budget.spend(self.now);
        } else if !wishes.full_by_host {
            return;
        }
        wishes.full_by_server = false;
        let by_host = std::mem::take(&mut wishes.full_by_host);
        self.reported.on_full_wanted(by_host);
    }

    /// HTTP-08: the largest part goes alone, or is held back; what fits goes on.
    fn on_over_limit(&mut self, part: Part, fits_alone: bool) {
        self.reported.on_over_limit(part, fits_alone);
        if !fits_alone {
            let limit = self.config.send_limit;
            self.warn_of_size(part, &format!("the limit of {limit} bytes"));
            self.settle();
        }
    }

    /// HTTP-24: the host is told once what can not be sent.
    pub(super) fn warn_of_size(&mut self, part: Part, by: &str) {
        let (name, length) = (part.name(), len_of(&self.reported, part));
        let text = format!(
            "the {name} of {length} bytes is too large for {by}: it is held back until it changes"
        );
        self.warn(WarningKind::RequestTooLarge, &text);
    }

    /// Every try begins here: a new id, and the time by which its transport must have ended it.
    fn next_try(&mut self) -> TryId {
        self.gate.on_try();
        self.last_try += 1;
        self.journal.attempts += 1;
        self.timers.set(
            Timer::Exchange,
            self.now + self.config.exchange_limit + EXCHANGE_SLACK,
        );
        TryId(self.last_try)
    }
}

/// The interval in force, and when the next message is due by it.
pub(super) struct Beat {
    of_host: Duration,
    of_server: Option<Duration>,
    sent: Option<Time>,
    due: Option<Time>,
    /// 0 is the shortest beat that the jitter allows, a million the mean, two the longest.
    jitter: u64,
    percent: u32,
}

impl Beat {
    pub(super) const fn new(of_host: Duration, of_server: Option<Duration>, percent: u32) -> Self {
        Self {
            of_host,
            of_server,
            sent: None,
            due: None,
            jitter: 1_000_000,
            percent,
        }
    }

    pub(super) fn interval(&self) -> Duration {
        self.of_server.unwrap_or(self.of_host)
    }

    pub(super) const fn of_server(&self) -> Option<Duration> {
        self.of_server
    }

    /// The host has the last word until the server speaks again.
    pub(super) fn set_by_host(&mut self, interval: Duration) {
        (self.of_host, self.of_server) = (interval, None);
        self.due = self.due();
    }

    pub(super) fn set_by_server(&mut self, interval: Duration) {
        self.of_server = Some(interval);
        self.due = self.due();
    }

    fn on_sent(&mut self, now: Time, chance: &mut Chance) {
        self.sent = Some(now);
        self.jitter = micros(chance.up_to(Purpose::Heartbeat, Duration::from_secs(2)));
        self.due = self.due();
    }

    /// `None` before the first message.
    const fn next(&self) -> Option<Time> {
        self.due
    }

    fn due(&self) -> Option<Time> {
        let interval = match self.interval() {
            Duration::ZERO => defaults::INTERVAL,
            interval => interval,
        };
        // A day of microseconds, times two million, is far below 2^64.
        let mean = micros(interval);
        let most = mean / 100 * u64::from(self.percent);
        let beat = mean - most + most * self.jitter / 1_000_000;
        Some(self.sent? + Duration::from_micros(beat))
    }
}
