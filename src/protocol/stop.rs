//! The end of an agent, and of a WebSocket connection that we end ourselves.
//!
//! `build` in `send.rs` is the only place that sets agent_disconnect, and these steps are the only
//! ones that ask for it.
use std::time::Duration;

use super::{
    confirm::RESPONSE_TIMEOUT,
    core::{Core, Stage, Stop},
    event::Event,
    link::{CLOSE_NORMAL, Closing, Exchange, Leaving, Link},
    requests::PendingRequests,
    timers::{Timer, Timers},
};

/// RFC 6455: an endpoint goes away.
const CLOSE_GOING_AWAY: u16 = 1001;

/// The Close frame leaves before the cut, whatever the host sets.
const CLOSE_LEAST: Duration = Duration::from_millis(1);

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
        self.timers.clear(Timer::ConfigStatus);
        self.upstream.requests = PendingRequests::default();
        match &mut self.upstream.link {
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

    /// What was to be said is written: a Close frame, and the wait for the peer's.
    pub(super) fn begin_close(&mut self) {
        let Link::Open(session) = &mut self.upstream.link else {
            return;
        };
        self.state.reported.on_lost_unread(session.ponged);
        self.upstream.link = Link::Closing(Closing::of(session));
        self.timers.clear(Timer::Response);
        let wait = self.config.close_wait.max(CLOSE_LEAST);
        self.timers.set(Timer::CloseWait, self.now + wait);
        if let Some(stop) = &mut self.stop {
            stop.stage = Stage::Closing;
        }
    }

    pub(super) fn finish(&mut self) {
        self.timers = Timers::default();
        self.warn_of_left_out();
        if let Some(stop) = &mut self.stop {
            stop.stage = Stage::Done;
        }
        let ended = self.state.tickets.on_stopped();
        self.end_reports(ended);
        self.events.release_all();
        self.events.push(Event::Stopped, self.now);
        let state = self.agent_state();
        self.journal.note(state, self.now);
    }

    /// HTTP: the last message was too large for the way; it goes once more without what made it so.
    /// Within the grace, and there are only so many parts.
    pub(super) fn say_again(&mut self) {
        if let Some(stop) = self.stop.as_mut().filter(|stop| self.now < stop.by) {
            stop.stage = Stage::Wanted;
        }
    }

    /// WS-15: every end that we begin on a working connection starts with a goodbye, and all of it
    /// is bounded.
    pub(super) fn send_disconnect(&mut self) {
        if let Link::Open(session) = &mut self.upstream.link {
            if session.leaving.is_none() {
                session.leaving = Some(Leaving::Wanted);
                // Also for a host that waits for no Close the goodbye gets its time to leave.
                let wait = self.config.close_wait.max(RESPONSE_TIMEOUT);
                self.timers.set(Timer::CloseWait, self.now + wait);
            }
        }
    }

    pub(super) fn leave_to_reconnect(&mut self) {
        self.upstream.requests.reconnect = false;
        self.state.limits.host.spend(self.now);
        self.send_disconnect();
    }

    /// No more waiting for what is on its way: its end is all that is awaited.
    pub(super) fn cut(&mut self) {
        if let Link::Open(session) = &self.upstream.link {
            self.state.reported.on_lost_unread(session.ponged);
        }
        self.upstream.link.cut(self.stop.is_some());
        for timer in [Timer::CloseWait, Timer::Exchange, Timer::Response] {
            self.timers.clear(timer);
        }
    }
}
