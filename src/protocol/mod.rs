//! One OpAMP agent as a state machine: no socket, no clock, no thread, no chance of its own.
//!
//! ```text
//!   Input ──► handle ──► timers fire ─► the fact or change is taken in ─► timers fire
//!   Action ◄── poll  ◄── what was to be told ─► what must leave now, built now ─► when to come back
//! ```
//!
//! Rule of use: one [`Core::handle`], then [`Core::poll`] until it answers [`Action::Wait`]; only then the next `handle`.
//! (Before [`Input::Start`] any number of `handle`s may follow each other.) `handle` never fails: what a peer did wrong
//! becomes an [`Event`], what a host did wrong was refused before it came here.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

/// Whether a known bug is planted here: only in the simulation's test of itself.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(feature = "planted-bugs")]
        let is_planted = crate::protocol::planted::has(crate::protocol::planted::Bug::$bug);
        #[cfg(not(feature = "planted-bugs"))]
        let is_planted = false;
        is_planted
    }};
}

mod backoff;
mod budget;
mod chance;
mod change;
mod config;
mod deliver;
mod event;
mod facts;
mod failure;
mod gate;
mod host;
mod link;
mod offers;
mod parts;
mod plan;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod receive;
mod report;
mod sameness;
#[cfg(test)]
mod scenarios;
mod snapshot;
mod stop;
mod tickets;
mod time;
mod timers;
mod told;
mod walk;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

pub use change::{Change, ConfigState, RemoteConfigStatus, StatusError};
pub use config::{Carry, Config, Policy, Uid, defaults};
pub use event::{
    Event, Message, MessageParts, Outcome, RemoteConfig, ServerErrorKind, WarningKind,
};
pub use failure::{FailKind, Failure, Reached};
pub use parts::{Part, Parts, TooLarge};
pub use snapshot::{OfferState, Snapshot, State};
pub use time::Time;
pub use timers::{Deadline, Timer};
pub use walk::has_at_most;

pub use budget::PeerBudget;

use budget::HostBudget;
use chance::Chance;
use deliver::Delivery;
use gate::Gate;
use link::Link;
use offers::Offers;
use parts::{Mark, Reported};
use plan::{Beat, Step, Wishes};
use snapshot::Journal;
use stop::{Stage, Stop};
use tickets::Tickets;
use timers::Timers;
use told::Told;

/// One exchange or one connection. A fact that names an old one is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TryId(pub u64);

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// All that is known at the start was set: the first try may begin.
    Start,
    /// The time that [`Action::Wait`] named has come. Early or extra calls are harmless.
    Deadline,
    Host(Change),
    /// Report what is pending and say goodbye if there is a way, and end within this time. [`Event::Stopped`] is the end.
    /// Without a goodbye it is a detach: the server is not told that the agent is gone (LIFE-16), whatever stop follows.
    Stop {
        within: Duration,
        goodbye: bool,
    },
    /// What the transport saw of the try `id`.
    Link {
        id: TryId,
        fact: Fact,
    },
}

/// What a transport sees of a try. Each try ends with exactly one `Over` (on HTTP, with that or a `Message`), also after
/// [`Action::Close`]; nothing follows it.
///
/// A WebSocket connection is `Opened`, then any number of the others in the order in which they happened, `Over`. Frames,
/// masks, fragments, pings of the peer and the look after a silent peer are the transport's; what they mean is the core's.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// WebSocket: the upgrade is done. HTTP, optional: a connection stands and the request goes out on it (a stop does not
    /// wait for an exchange without one).
    Opened,
    /// WebSocket: every byte of the last `Send` and of its ping is in the kernel. A part of them is no fact: when the rest
    /// can not follow, `Over` is.
    Written,
    /// WebSocket: the peer has read up to this marker. Pongs to the transport's own pings stay with the transport.
    Pong { marker: u64 },
    /// One ServerToAgent, still encoded and without the header of a WebSocket message; bodies are slices of it. On HTTP it
    /// ends the exchange; an empty answer is an empty message.
    Message(Bytes),
    /// WebSocket: a whole message that can hold no ServerToAgent: a text frame, a header that is not 0. The host is told
    /// this text, and the connection goes on (WS-01, WS-06).
    Skipped(Arc<str>),
    /// WebSocket: the peer broke the protocol (1002, 1007) or sends a message over the limit (1009), but can still be
    /// written to. The transport reads no frame from now on, only away what comes until the end. The core answers as with
    /// every close that begins here (WS-15): a `Send` with the goodbye, a `Close` with this code; `failure` is what the
    /// host is told at the end, whatever `Over` then says. Where nothing can be written any more, `Over` is the fact.
    Broken { code: u16, failure: Failure },
    /// WebSocket: a wait of the transport's own (for its next ping, for a pong) ended more than [`FROZEN`] too late, so the
    /// process or the machine stood still. Comes before all that is seen afterwards. The core then takes the loss of the
    /// connection in silence (LIFE-12); the transport gives the peer a new ping and the whole time to answer it. (Of waits
    /// that [`Action::Wait`] named the core sees it itself.)
    Thawed,
    /// The exchange failed, or the connection or the attempt at one has ended. WebSocket:
    /// - a refused upgrade is [`Failure::of_status`], with its Retry-After; a wrong 101 is `Protocol` without a status;
    /// - a Close frame of the peer, once it is echoed, is `Io` with code and reason in the text, `Size` for 1009: what the
    ///   last message carried is then too large for the way, as after a 413;
    /// - a peer that is silent, or does not read for too long, is `Timeout`;
    /// - `reached` is `No` only if `Written` is owed and no byte of that message has left; `reused` is for HTTP.
    Over(Failure),
}

/// What the shell must do.
#[must_use]
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// WebSocket: open a connection. There is no other one: `Over` of the last one has come (WS-13).
    Connect { id: TryId },
    /// Send the message that `poll` has put into `out`. HTTP: begin the exchange `id`. WebSocket: on the connection `id`,
    /// behind its header (a byte 0), and behind it a ping that carries the marker, if there is one; no other `Send` follows
    /// before `Written` or `Over`.
    Send { id: TryId, marker: Option<u64> },
    /// With a code: send a WebSocket Close frame with it and wait for the peer's, without a time limit of the transport's
    /// own. It comes after `Written`; messages that arrive meanwhile are still facts, a Close of the peer is `Over`.
    /// Without one: cut the exchange or connection now; it may come at any time, also instead of a Close's end. Either way
    /// `Over` is awaited, and nothing else leaves before it.
    Close { id: TryId, code: Option<u16> },
    Tell {
        event: Event,
        /// So many of its kind were left out before it: a peer provoked too many (LOG-11).
        left_out: u64,
    },
    /// Nothing more to do until then; `None`: until something happens.
    Wait(Option<Deadline>),
}

/// One agent, from its start to its stop.
pub struct Core {
    config: Config,
    chance: Chance,
    now: Time,
    is_started: bool,
    /// `poll` has answered `Wait` since the last `handle`.
    is_drained: bool,
    /// What that `Wait` said: a clock far beyond it means that we were frozen.
    asleep_until: Option<Time>,

    identity: Identity,
    /// The number of the next message.
    next_number: u64,
    /// The message built last.
    mark: Mark,
    /// The try begun last.
    last_try: u64,

    reported: Reported,
    offers: Offers,
    delivery: Delivery,
    tickets: Tickets,
    beat: Beat,
    /// Of the last offer of connection settings.
    settings_hash: Bytes,
    link: Link,
    /// The server has answered, and the way to it has not failed since (HTTP).
    is_answered: bool,
    stop: Option<Stop>,

    timers: Timers,
    gate: Gate,
    wishes: Wishes,
    budgets: Budgets,
    /// The exponent of the backoff.
    backoffs: u32,
    events: Told,
    journal: Journal,
}

/// Who we are to the server.
struct Identity {
    uid: Uid,
    /// Still accepted, until the server uses the new one (RCV-09).
    former: Option<Uid>,
    /// A message has carried the present one.
    is_used: bool,
    /// Ours is temporary (SYNC-11).
    wanted: bool,
}

struct Budgets {
    host: HostBudget,
    full_report: PeerBudget,
    /// Verdicts on offers that come back, and the same offer once more.
    offer: PeerBudget,
    /// Deliveries of offers that alternate.
    known_offer: PeerBudget,
    /// Deliveries of others.
    new_offer: HostBudget,
    put_off: PeerBudget,
}

/// A clock that jumped this far beyond the time we asked for stood still, or we did (LIFE-12).
pub const FROZEN: Duration = Duration::from_secs(5);

impl Core {
    /// An agent that does nothing before [`Input::Start`]; set its parts first. `seed` decides all its chances: two agents
    /// with one seed are in step.
    #[must_use]
    pub fn new(config: Config, carry: Carry, now: Time, seed: u64) -> Self {
        let mut reported = Reported::new(carry.too_large);
        if let Some(verdict) = &carry.verdict {
            reported.set_status(verdict);
        }
        let mut gate = Gate::default();
        if let Some(until) = carry.retry_after {
            gate.close(until, Timer::RetryAfter);
        }
        Self {
            chance: Chance::new(seed),
            now,
            is_started: false,
            is_drained: true,
            asleep_until: None,
            identity: Identity {
                uid: carry.instance_uid,
                former: None,
                is_used: false,
                wanted: carry.request_instance_uid,
            },
            next_number: carry.sequence_num,
            mark: 0,
            last_try: 0,
            reported,
            offers: Offers::new(&carry, now),
            delivery: Delivery::default(),
            tickets: Tickets::default(),
            beat: Beat::new(
                config.interval,
                carry
                    .server_interval
                    .filter(|it| !it.is_zero() || config.policy == Policy::WebSocket),
                config.interval_jitter_percent,
            ),
            settings_hash: Bytes::new(),
            link: Link::Down,
            is_answered: false,
            stop: None,
            timers: Timers::default(),
            gate,
            wishes: Wishes::default(),
            budgets: Budgets {
                host: HostBudget::new(config.host_change_burst, config.host_change_period),
                full_report: PeerBudget::default(),
                offer: PeerBudget::default(),
                known_offer: PeerBudget::default(),
                new_offer: HostBudget::new(defaults::OFFER_BURST, defaults::OFFER_PERIOD),
                put_off: PeerBudget::default(),
            },
            backoffs: 0,
            events: Told::default(),
            journal: Journal::new(now),
            config,
        }
    }

    /// Takes in what happened at `now`.
    pub fn handle(&mut self, now: Time, input: Input) {
        debug_assert!(
            self.is_drained || !self.is_started,
            "poll until Wait comes before handle"
        );
        self.is_drained = false;
        self.now = self.now.max(now);
        if self
            .asleep_until
            .take()
            .is_some_and(|at| self.now > at + FROZEN)
        {
            self.link.on_thaw();
        }
        if self.is_stopped() {
            return;
        }
        self.fire_timers();
        self.take_in(input);
        self.fire_timers();
        self.settle();
    }

    /// The next thing to do. `out` is cleared, and filled for [`Action::Send`] only.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Action {
        out.clear();
        loop {
            if let Some((event, left_out)) = self.events.pop() {
                return Action::Tell { event, left_out };
            }
            match self.step() {
                Step::Connect => return self.connect(),
                Step::Build { goodbye } => {
                    if let Some(action) = self.build(goodbye, out) {
                        return action;
                    }
                }
                Step::Reconnect => self.leave_to_reconnect(),
                Step::CloseNow => self.begin_close(),
                Step::Close { id, code } => {
                    self.link.on_close_ordered();
                    return Action::Close { id, code };
                }
                Step::Finish => self.finish(),
                Step::Rest(deadline) => {
                    debug_assert!(
                        deadline.is_none_or(|deadline| deadline.at > self.now)
                            || planted!(TimerInThePast),
                        "a deadline in the past: {deadline:?} at {:?}",
                        self.now
                    );
                    self.is_drained = true;
                    self.asleep_until = deadline.map(|deadline| deadline.at);
                    return Action::Wait(deadline);
                }
            }
        }
    }

    /// The uid of the message that was built last, and of the next one.
    #[must_use]
    pub const fn instance_uid(&self) -> &Uid {
        &self.identity.uid
    }

    /// Whether [`Event::Stopped`] was told or is about to be.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.stage == Stage::Done)
    }

    /// What a restart keeps, as of now.
    #[must_use]
    pub fn carry(&self) -> Carry {
        let mut carry = Carry::new(self.identity.uid);
        carry.request_instance_uid = self.identity.wanted;
        carry.sequence_num = self.next_number;
        carry.server_interval = self.beat.of_server();
        carry.retry_after = self.gate.asked_until(self.now);
        carry.too_large = self.reported.too_large();
        self.offers.keep(&mut carry);
        carry
    }

    /// The interval in force, if a server set it.
    #[must_use]
    pub const fn server_interval(&self) -> Option<Duration> {
        self.beat.of_server()
    }

    /// The server has taken in the status of the last offer.
    #[must_use]
    pub fn is_status_known(&self) -> bool {
        let part = Part::RemoteConfigStatus;
        let waits = [self.reported.unconfirmed(), self.reported.held_back()];
        self.reported.is_allowed(part) && !waits.iter().any(|parts| parts.has(part))
    }

    fn take_in(&mut self, input: Input) {
        match input {
            Input::Start => self.on_start(),
            Input::Deadline => {}
            Input::Host(change) => self.on_change(change),
            Input::Stop { within, goodbye } => self.on_stop(within, goodbye),
            Input::Link { id, fact }
                if self.link.id() == Some(id) || planted!(StaleAnswerAccepted) =>
            {
                self.on_fact(fact);
            }
            Input::Link { .. } => self.journal.stale_facts += 1,
        }
    }

    /// What the last run was applying is still not finished (LOG-05).
    fn on_start(&mut self) {
        self.is_started = true;
        let overdue = self.config.applying_overdue;
        self.expect_verdict(self.offers.is_host_busy().then_some(overdue));
    }

    fn fire_timers(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::Stop | Timer::CloseWait | Timer::Exchange => self.cut(),
                Timer::Patience => self.on_patience_over(),
                Timer::Verdict => self.on_verdict_overdue(),
                // Computed, never set.
                _ => {}
            }
        }
        self.events.release(self.now);
        self.deliver_due();
    }

    /// Ends the reports that are decided and notes where we stand.
    fn settle(&mut self) {
        let ended = self.tickets.settled(&self.reported);
        if !ended.is_empty() {
            self.end_reports(ended);
        }
        let state = self.state();
        self.journal.note(state, self.now);
    }

    fn end_reports(&mut self, ended: Vec<(u64, Outcome)>) {
        let done = |(ticket, outcome)| Event::ReportDone { ticket, outcome };
        ended
            .into_iter()
            .for_each(|end| self.events.push(done(end), self.now));
    }

    fn warn(&mut self, kind: WarningKind, text: &str) {
        let text = event::clipped(text, self.config.text_limit);
        self.events.push(Event::Warning { kind, text }, self.now);
    }
}
