//! Connections and messages.
use std::time::Duration;

use super::{
    compose::Draft,
    core::{Core, Stage},
    interface::{Action, AttemptId},
    link::{Awaited, Exchange, Leaving, Link},
    parts::{Part, Parts},
    timers::Timer,
};

/// How much longer than its limit an exchange may take before the core stops waiting for its
/// transport.
const EXCHANGE_SLACK: Duration = Duration::from_secs(5);

impl Core {
    pub(super) fn connect(&mut self) -> Action {
        let id = self.begin_attempt();
        self.upstream.link = Link::Opening { id, thawed: false };
        self.upstream.requests.again = false;
        self.upstream.requests.repeat = false;
        self.upstream.requests.reconnect = false;
        Action::Connect { id }
    }

    /// Builds the next message. `None`: something in it was too large and is held back, so the plan
    /// has changed.
    pub(super) fn build(&mut self, goodbye: bool, out: &mut Vec<u8>) -> Option<Action> {
        // A goodbye that is no stop is followed by a new connection, which carries what is pending.
        let bare = goodbye && self.stop.is_none();
        if !bare {
            self.begin_full_report();
        }
        let parts = if bare {
            Parts::NONE
        } else if goodbye {
            self.state.reported.pending_safe()
        } else {
            self.state.reported.pending()
        };
        let draft = Draft {
            uid: &self.state.identity.uid,
            sequence_num: self.state.next_number,
            parts: if planted!(LostPart) {
                parts.without(Part::EffectiveConfig)
            } else {
                parts
            },
            goodbye,
            request_uid: self.state.identity.wanted,
            reported: &self.state.reported,
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
        self.state.next_number += 1;
        self.state.mark += 1;
        self.state.reported.on_built(parts, self.state.mark);
        self.upstream.heartbeat.on_sent(self.now, &mut self.random);
        self.journal.on_built(length as u64);
        let by_host = parts.iter().any(|part| part != Part::RemoteConfigStatus);
        if by_host || self.upstream.requests.poll {
            self.state.limits.host.spend(self.now);
        }
        let is_rate_limited =
            parts.has(Part::RemoteConfigStatus) && self.state.offers.is_rate_limited();
        if is_rate_limited && self.state.limits.offer.next() <= self.now {
            self.state.limits.offer.spend(self.now);
        }
        self.state.identity.is_used = true;
        self.upstream.requests.poll = false;
        self.upstream.requests.again = false;
        let repeats = std::mem::take(&mut self.upstream.requests.repeat);
        let last_news = match &self.upstream.link {
            Link::Open(session) => session.last_news,
            _ => 0,
        };
        let has_news = !parts.is_empty() || self.state.tickets.want_message(last_news);
        let mark = self.state.mark;
        // A detach ends with a message that says no goodbye.
        let is_last = goodbye || self.stop.is_some();
        if let Some(stop) = self.stop.as_mut().filter(|_| !planted!(DisconnectTwice)) {
            stop.stage = Stage::LastInFlight;
        }
        let Link::Open(session) = &mut self.upstream.link else {
            let id = self.begin_attempt();
            let opened = self.upstream.is_answered;
            self.upstream.link = Link::Exchange(Exchange {
                id,
                mark,
                opened,
                repeats,
                thawed: false,
                is_last,
            });
            return Action::Send { id, marker: None };
        };
        // Who waits for a confirmation that did not come asks for a pong, too: the peer's silence
        // then counts.
        let asks = !has_news && self.state.tickets.are_waiting();
        let is_marked = !is_last && (has_news || asks);
        session.sent += 1;
        session.prodded = if asks { mark } else { session.last_news };
        session.is_unclear |= session.owed > 0;
        session.owed += 1;
        session.unwritten = true;
        if is_last {
            session.leaving = Some(Leaving::Said);
        } else {
            // What carries no news waits for its answer alone: one answer at a time, so that each
            // finds its message.
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
        let requests = &mut self.upstream.requests;
        let budget = &mut self.state.limits.full_report;
        if requests.full_by_server && budget.next() <= self.now {
            budget.spend(self.now);
        } else if !requests.full_by_host {
            return;
        }
        requests.full_by_server = false;
        let by_host = std::mem::take(&mut requests.full_by_host);
        self.state.reported.on_full_wanted(by_host);
    }

    /// HTTP-08: the largest part goes alone, or is held back; what fits goes on.
    fn on_over_limit(&mut self, part: Part, fits_alone: bool) {
        self.state.reported.on_over_limit(part, fits_alone);
        if !fits_alone {
            let limit = self.config.send_limit;
            self.warn_of_size(part, &format!("the limit of {limit} bytes"));
            self.settle();
        }
    }

    /// Every try begins here: a new id, and the time by which its transport must have ended it.
    fn begin_attempt(&mut self) -> AttemptId {
        self.upstream.gate.on_try();
        self.upstream.last_attempt += 1;
        self.journal.attempts += 1;
        self.timers.set(
            Timer::Exchange,
            self.now + self.config.exchange_limit + EXCHANGE_SLACK,
        );
        AttemptId(self.upstream.last_attempt)
    }
}
