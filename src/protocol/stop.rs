//! The end of an agent, and of a WebSocket connection that we end ourselves.
//!
//! `build` in `plan.rs` is the only place that sets agent_disconnect, and these steps are the only ones that ask for it.
use std::time::Duration;

use super::{
    Core, Event, Policy,
    facts::PATIENCE,
    link::{Exchange, Leaving, Link},
    plan::{Step, Wishes},
    time::Time,
    timers::{Timer, Timers},
};

/// Stop is a state with a deadline.
pub(super) struct Stop {
    pub(super) by: Time,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Wanted,
    /// The goodbye is on its way.
    LastInFlight,
    /// WebSocket: the Close frame was sent.
    Closing,
    Done,
}

impl Core {
    pub(super) fn on_stop(&mut self, within: Duration) {
        let by = self.now + within;
        let by = self.stop.as_ref().map_or(by, |stop| stop.by.min(by));
        match &mut self.stop {
            Some(stop) => stop.by = by,
            None => {
                self.stop = Some(Stop {
                    by,
                    stage: Stage::Wanted,
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
            Link::Open(session) if session.leaving.is_none() => {
                session.leaving = Some(Leaving::Wanted);
            }
            _ => {}
        }
    }

    /// What is left to do when nothing is on its way.
    pub(super) fn stop_step(&self, stop: &Stop) -> Step {
        let Link::Down = self.link else {
            return Step::Rest(self.timers.next());
        };
        if stop.stage == Stage::Done {
            return Step::Rest(None);
        }
        let has_way = self.is_answered && self.gate.closed(self.now).is_none();
        let is_due = stop.stage == Stage::Wanted && self.now < stop.by;
        match self.config.policy {
            Policy::Http if has_way && is_due => Step::Build { goodbye: true },
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

    pub(super) fn finish(&mut self) {
        self.timers = Timers::default();
        if let Some(stop) = &mut self.stop {
            stop.stage = Stage::Done;
        }
        let ended = self.tickets.on_stopped();
        self.end_reports(ended);
        self.events.push_back(Event::Stopped);
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
