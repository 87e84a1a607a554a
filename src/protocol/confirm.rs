//! Which messages the server has taken in.
use std::time::Duration;

use super::{
    config::Policy, core::Core, event::Event, event_queue::Kind, interface::AttemptId, link::Link,
    reported::MessageIndex, timers::Timer,
};

/// WebSocket: a peer that has read news and says nothing for so long has no answer to them.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Core {
    pub(super) fn on_pong(&mut self, marker: u64) {
        let Link::Open(session) = &mut self.upstream.link else {
            return;
        };
        session.thawed = false;
        // A marker that we never sent proves nothing.
        if marker <= session.last_news {
            session.ponged = session.ponged.max(marker);
            if session.heard_after < marker {
                session.unanswered = Some(marker);
            }
            session.on_awaited(|awaited| awaited.ponged |= awaited.mark <= marker);
        }
        // Of a quiet peer what it says beside is no answer.
        let is_owed = session.unanswered.is_some() || session.is_quiet;
        if is_owed && session.leaving.is_none() && session.silent_since.is_none() {
            session.silent_since = Some(session.ponged);
            session.was_patient = false;
            self.timers
                .set(Timer::Response, self.now + RESPONSE_TIMEOUT);
        }
    }

    /// Good news from the peer: what it has read by now is confirmed (rule 5 of the design). Not on
    /// the way out: it may have refused with UNAVAILABLE what it read.
    pub(super) fn on_answer(&mut self) {
        let upto = match &mut self.upstream.link {
            Link::Exchange(exchange) => exchange.mark,
            Link::Open(session) if session.leaving.is_none() => {
                session.answered = true;
                session.unanswered = None;
                session.on_awaited(|awaited| awaited.answered = true);
                if planted!(AnyMessageConfirms) {
                    session.last_news
                } else {
                    session.ponged
                }
            }
            _ => return,
        };
        self.clear_response_timeout();
        self.on_confirmed(upto);
    }

    /// The server has taken in all messages up to this one.
    fn on_confirmed(&mut self, upto: MessageIndex) {
        self.state.reported.on_confirmed(upto);
        self.state.tickets.on_confirmed(upto);
    }

    /// The peer has answered.
    pub(super) fn clear_response_timeout(&mut self) {
        if let Link::Open(session) = &mut self.upstream.link {
            if session.silent_since.take().is_some() {
                self.timers.clear(Timer::Response);
            }
        }
    }

    /// The peer has read news, and neither answered nor refused them nor closed: that is all it has
    /// to say. On this connection nothing waits for answers any more (SYNC-02, SYNC-27).
    pub(super) fn on_response_timeout(&mut self) {
        let Link::Open(session) = &mut self.upstream.link else {
            return;
        };
        if session.thawed && !std::mem::replace(&mut session.was_patient, true) {
            // It may be dead since long: what it does not say counts from now.
            return self
                .timers
                .set(Timer::Response, self.now + RESPONSE_TIMEOUT);
        }
        let Some(read) = session.silent_since.take() else {
            return;
        };
        session.is_quiet = true;
        session.awaited = None;
        if session.ponged > read {
            session.silent_since = Some(session.ponged);
            self.timers
                .set(Timer::Response, self.now + RESPONSE_TIMEOUT);
        }
        if !planted!(PongConfirmsNothing) {
            self.on_confirmed(read);
        }
    }

    /// Takes the link down; what was on its way is no longer.
    pub(super) fn take_link(&mut self) -> Link {
        for timer in [Timer::CloseWait, Timer::Exchange, Timer::Response] {
            self.timers.clear(timer);
        }
        std::mem::take(&mut self.upstream.link)
    }

    /// Any decoded message but UNAVAILABLE: the way and the server work.
    pub(super) fn on_decoded(&mut self) {
        self.on_success();
        let is_first = !self.upstream.is_answered || self.journal.failures_in_a_row > 0;
        let is_first = is_first && self.upstream.policy == Policy::Http;
        if is_first {
            self.emit_connected();
        } else if self.config.tell_every_answer && self.stop.is_none() {
            let kind = self.upstream.link.is_unasked();
            let kind = kind.then_some(Kind::UnaskedAnswer);
            self.events.push_as(kind, Event::Answered, self.now);
        }
        if let Link::Exchange(_) = &self.upstream.link {
            self.end_exchange();
            self.upstream.backoffs = 0;
            self.upstream.is_answered = true;
        }
    }

    /// HTTP: the exchange is over.
    pub(super) fn end_exchange(&mut self) -> AttemptId {
        let id = self
            .upstream
            .link
            .id()
            .unwrap_or(AttemptId(self.upstream.last_attempt));
        self.take_link();
        id
    }

    pub(super) fn on_success(&mut self) {
        self.journal.last_success = Some(self.now);
    }
}
