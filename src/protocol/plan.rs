//! What should happen next, and when: what is asked for, and the gate that may forbid it.
//!
//! Nothing here is a timer that someone must remember to set: the next deadline is computed from
//! what is true.
use super::{
    config::Policy,
    core::{Core, Stage, Stop},
    interface::AttemptId,
    link::{Leaving, Link},
    parts::Part,
    time::Time,
    timers::{Deadline, Timer, earlier},
};
use crate::proto::AgentCapabilities;

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
        id: AttemptId,
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
        if let Link::Closing(closing) = &self.upstream.link {
            return match closing.order {
                Some(code) => Step::Close {
                    id: closing.id,
                    code,
                },
                None => Step::Rest(self.rest_until()),
            };
        }
        let is_to_leave = matches!(
            &self.upstream.link,
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
            Some(plan) if plan.at <= self.now => match &self.upstream.link {
                Link::Open(_) if self.wants_reconnect_by(self.now) => Step::Reconnect,
                Link::Down if self.upstream.policy == Policy::WebSocket => Step::Connect,
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
            return earlier(next, self.next_heartbeat().map(|at| Deadline { at, why }));
        }
        next
    }

    /// The next thing to do that is no message and no connection.
    pub(super) fn rest_until(&self) -> Option<Deadline> {
        let told = earlier(self.events.next(), self.state.delivery.next());
        earlier(self.timers.next(), told)
    }

    /// When the next message or connection is due; `None` while it waits for something else than
    /// time.
    pub(super) fn plan(&self) -> Option<Deadline> {
        let next_request = match &self.upstream.link {
            Link::Down if !self.is_started => None,
            Link::Down if self.upstream.policy == Policy::WebSocket => Some(Deadline {
                at: self.now,
                why: Timer::Heartbeat,
            }),
            Link::Down => self.next_request(),
            Link::Open(session) if session.leaving.is_some() || session.unwritten => None,
            Link::Open(session) if session.sent == 0 => Some(Deadline {
                at: self.now,
                why: Timer::Change,
            }),
            Link::Open(session) => self.next_request_after(session.busy_until()),
            _ => None,
        }?;
        match self.upstream.gate.closed(self.now) {
            Some(gate) if gate.until > next_request.at => Some(Deadline {
                at: gate.until,
                why: gate.why,
            }),
            _ => Some(next_request),
        }
    }

    /// The earliest next_request, whether a gate forbids it or not.
    fn next_request(&self) -> Option<Deadline> {
        self.next_request_after(None)
    }

    /// All but a verdict come after this time.
    fn next_request_after(&self, busy: Option<Time>) -> Option<Deadline> {
        let pending = self.state.reported.pending();
        let requests = &self.upstream.requests;
        let host = self.state.limits.host.next();
        let is_asked = matches!(&self.upstream.link, Link::Open(session) if session.is_confirmation_late())
            && self.state.tickets.are_waiting();
        let by_host = requests.poll || requests.full_by_host || requests.reconnect || is_asked;
        let verdict = pending.has(Part::RemoteConfigStatus).then(|| {
            if self.state.offers.is_rate_limited() {
                self.state.limits.offer.next()
            } else {
                self.now
            }
        });
        let others = pending.without(Part::RemoteConfigStatus);
        let news = (by_host || !others.is_empty()).then_some(host);
        let full = requests
            .full_by_server
            .then(|| self.state.limits.full_report.next());
        let again = requests.again.then_some(self.now);
        let mut first = None;
        for (why, at) in [
            (Timer::Heartbeat, again),
            (Timer::Heartbeat, self.next_heartbeat()),
            (Timer::Change, news),
            (Timer::FullReport, full),
        ] {
            first = earlier(first, at.map(|at| Deadline { at, why }));
        }
        let answered = busy.zip(first).map(|(busy, first)| Deadline {
            at: first.at.max(busy),
            why: if first.at < busy {
                Timer::Response
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
    pub(super) fn next_heartbeat(&self) -> Option<Time> {
        let declared =
            self.state.reported.capabilities & AgentCapabilities::ReportsHeartbeat as u64 != 0;
        match self.upstream.policy {
            Policy::Http => Some(self.upstream.heartbeat.next().unwrap_or(self.now)),
            Policy::WebSocket if declared && !self.upstream.heartbeat.interval().is_zero() => {
                self.upstream.heartbeat.next()
            }
            Policy::WebSocket => None,
        }
    }

    fn wants_reconnect_by(&self, now: Time) -> bool {
        self.upstream.requests.reconnect && self.state.limits.host.next() <= now
    }

    /// What is left to do when nothing is on its way.
    pub(super) fn stop_step(&self, stop: &Stop) -> Step {
        let Link::Down = self.upstream.link else {
            return Step::Rest(self.rest_until());
        };
        if stop.stage == Stage::Done {
            return Step::Rest(None);
        }
        let has_way = self.upstream.is_answered && self.upstream.gate.closed(self.now).is_none();
        let is_due = stop.stage == Stage::Wanted && self.now < stop.by;
        match self.upstream.policy {
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

    /// Before the end that is begun something is to be said: the goodbye, or on a detach what is
    /// pending.
    fn has_last_words(&self) -> bool {
        let may_report = || self.upstream.gate.closed(self.now).is_none();
        self.says_goodbye() || !self.state.reported.pending().is_empty() && may_report()
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
}
