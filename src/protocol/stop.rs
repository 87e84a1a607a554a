//! The end of an agent, and of a WebSocket connection that we end ourselves.
//!
//! `build` in `plan.rs` is the only place that sets agent_disconnect, and these steps are the only ones that ask for it.
use std::time::Duration;

use super::{
    Core, Event, Policy,
    facts::PATIENCE,
    link::{CLOSE_NORMAL, Closing, Exchange, Leaving, Link},
    plan::{Step, Wishes},
    time::Time,
    timers::{Timer, Timers},
};

/// RFC 6455: an endpoint goes away.
const CLOSE_GOING_AWAY: u16 = 1001;

/// The Close frame leaves before the cut, whatever the host sets.
const CLOSE_LEAST: Duration = Duration::from_millis(1);

/// Stop is a state with a deadline.
pub(super) struct Stop {
    pub(super) by: Time,
    pub(super) stage: Stage,
    /// Not on a detach.
    pub(super) goodbye: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Wanted,
    /// The last message is on its way.
    LastInFlight,
    /// WebSocket: the Close frame was sent.
    Closing,
    Done,
}

impl Core {
    pub(super) fn on_stop(&mut self, within: Duration, goodbye: bool) {
        let by = self.now + within;
        let by = self.stop.as_ref().map_or(by, |stop| stop.by.min(by));
        match &mut self.stop {
            Some(stop) => {
                stop.by = by;
                stop.goodbye &= goodbye;
            }
            None => {
                self.stop = Some(Stop {
                    by,
                    stage: Stage::Wanted,
                    goodbye,
                })
            }
        }
        self.timers.set(Timer::Stop, by);
        self.timers.clear(Timer::Verdict);
        self.wishes = Wishes::default();
        match &mut self.link {
            Link::Exchange(Exchange { opened: false, .. }) | Link::Opening { .. } => {
                self.cut();
            }
            Link::Open(session) if session.leaving != Some(Leaving::Said) => {
                session.leaving = Some(Leaving::Wanted);
                // A code of the peer's fault stays.
                if !goodbye && session.code == CLOSE_NORMAL {
                    session.code = CLOSE_GOING_AWAY;
                }
            }
            _ => {}
        }
    }

    /// What is left to do when nothing is on its way.
    pub(super) fn stop_step(&self, stop: &Stop) -> Step {
        let Link::Down = self.link else {
            return Step::Rest(self.rest_until());
        };
        if stop.stage == Stage::Done {
            return Step::Rest(None);
        }
        let has_way = self.is_answered && self.gate.closed(self.now).is_none();
        let is_due = stop.stage == Stage::Wanted && self.now < stop.by;
        match self.config.policy {
            Policy::Http if has_way && is_due && self.has_last_words() => Step::Build {
                goodbye: self.says_goodbye(),
            },
            Policy::Http
                if planted!(HeartbeatAfterDisconnect)
                    && has_way
                    && stop.stage == Stage::LastInFlight =>
            {
                Step::Build { goodbye: false }
            }
            _ => Step::Finish,
        }
    }

    /// Before the end that is begun something is to be said: the goodbye, or on a detach what is pending.
    fn has_last_words(&self) -> bool {
        let may_report = || self.gate.closed(self.now).is_none();
        self.says_goodbye() || !self.reported.pending().is_empty() && may_report()
    }

    fn says_goodbye(&self) -> bool {
        planted!(GoodbyeOnDetach) || self.stop.as_ref().is_none_or(|stop| stop.goodbye)
    }

    /// The last message of a connection that we end, or its Close frame.
    pub(super) fn leave_step(&self) -> Step {
        match self.has_last_words() {
            true => Step::Build {
                goodbye: self.says_goodbye(),
            },
            false => Step::CloseNow,
        }
    }

    /// What was to be said is written: a Close frame, and the wait for the peer's.
    pub(super) fn begin_close(&mut self) {
        let Link::Open(session) = &mut self.link else {
            return;
        };
        self.reported.on_lost_unread(session.ponged);
        self.link = Link::Closing(Closing::of(session));
        self.timers.clear(Timer::Patience);
        let wait = self.config.close_wait.max(CLOSE_LEAST);
        self.timers.set(Timer::CloseWait, self.now + wait);
        if let Some(stop) = &mut self.stop {
            stop.stage = Stage::Closing;
        }
    }

    pub(super) fn finish(&mut self) {
        self.timers = Timers::default();
        if let Some(stop) = &mut self.stop {
            stop.stage = Stage::Done;
        }
        let ended = self.tickets.on_stopped();
        self.end_reports(ended);
        self.events.release_all();
        self.events.push(Event::Stopped, self.now);
        let state = self.state();
        self.journal.note(state, self.now);
    }

    /// WS-15: every end that we begin on a working connection starts with a goodbye, and all of it is bounded.
    pub(super) fn leave(&mut self) {
        if let Link::Open(session) = &mut self.link {
            if session.leaving.is_none() {
                session.leaving = Some(Leaving::Wanted);
                // Also for a host that waits for no Close the goodbye gets its time to leave.
                let wait = self.config.close_wait.max(PATIENCE);
                self.timers.set(Timer::CloseWait, self.now + wait);
            }
        }
    }

    pub(super) fn leave_to_reconnect(&mut self) {
        self.wishes.reconnect = false;
        self.budgets.host.spend(self.now);
        self.leave();
    }

    /// No more waiting for what is on its way: its end is all that is awaited.
    pub(super) fn cut(&mut self) {
        if let Link::Open(session) = &self.link {
            self.reported.on_lost_unread(session.ponged);
        }
        self.link.cut(self.stop.is_some());
        for timer in [Timer::CloseWait, Timer::Exchange, Timer::Patience] {
            self.timers.clear(timer);
        }
    }
}
