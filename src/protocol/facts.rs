//! What the transport saw: a try begins, goes on, fails, ends.
use std::time::Duration;

use super::{
    Core, Event, Fact, FailKind, Failure, Policy, Reached, TryId, WarningKind, backoff,
    chance::Purpose,
    config::defaults,
    failure::Remedy,
    link::{Exchange, Leaving, Link, Session},
    parts::Mark,
    timers::Timer,
    told::Kind,
};

/// WebSocket: a peer that has read news and says nothing for so long has no answer to them.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long the next news wait for the answer to the last message (WebSocket): so that most errors find theirs.
const PAUSE: Duration = Duration::from_millis(50);

impl Core {
    pub(super) fn on_fact(&mut self, fact: Fact) {
        match &fact {
            Fact::Message(_) => self.link.uncut(true),
            Fact::Over(failure) => self.link.uncut(failure.status.is_some()),
            _ => {}
        }
        match fact {
            Fact::Opened => self.on_opened(),
            Fact::Written => self.on_written(),
            Fact::Pong { marker } => self.on_pong(marker),
            Fact::Message(bytes) => self.on_message(&bytes),
            Fact::Skipped(text) => self.on_skipped(&text),
            Fact::Broken { code, failure } => self.on_broken(code, failure),
            Fact::Thawed => self.link.on_thaw(),
            Fact::Over(failure) => self.on_over(failure),
        }
    }

    fn on_opened(&mut self) {
        if planted!(BackoffResetOnConnect) {
            self.backoffs = 0;
        }
        match &mut self.link {
            Link::Exchange(exchange) => exchange.opened = true,
            Link::Opening { id, .. } => {
                let session = Session::new(*id, self.now);
                self.link = Link::Open(session);
                self.timers.clear(Timer::Exchange);
                self.on_success();
                self.tell_connected();
            }
            _ => {}
        }
    }

    fn on_written(&mut self) {
        let Link::Open(session) = &mut self.link else {
            return;
        };
        session.unwritten = false;
        if let Some(awaited) = &mut session.awaited {
            awaited.until = self.now + PAUSE;
        }
        if session.leaving == Some(Leaving::Said) {
            self.begin_close();
        }
    }

    fn on_pong(&mut self, marker: u64) {
        let Link::Open(session) = &mut self.link else {
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
            self.timers.set(Timer::Patience, self.now + PATIENCE);
        }
    }

    /// Good news from the peer: what it has read by now is confirmed (rule 5 of the design). Not on the way out: it may have
    /// refused with UNAVAILABLE what it read.
    pub(super) fn on_answer(&mut self) {
        let upto = match &mut self.link {
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
        self.clear_patience();
        self.on_confirmed(upto);
    }

    /// The server has taken in all messages up to this one.
    fn on_confirmed(&mut self, upto: Mark) {
        self.reported.on_confirmed(upto);
        self.tickets.on_confirmed(upto);
    }

    /// A message that is none.
    fn on_skipped(&mut self, text: &str) {
        if let Link::Open(session) = &mut self.link {
            session.on_heard();
            session.unanswered = None;
            self.journal.messages_received += 1;
            self.warn(WarningKind::BadMessage, text);
        }
    }

    /// The peer's fault ends the connection, unless we are on the way out already.
    fn on_broken(&mut self, code: u16, failure: Failure) {
        let Link::Open(session) = &mut self.link else {
            return;
        };
        session.code = code;
        if session.leaving.is_none() {
            session.fault = Some(failure);
            self.forgive_if_stable();
            self.leave();
        }
    }

    /// After a session that lasted and in which the server spoke, its failure is the first of a row (WS-10).
    fn forgive_if_stable(&mut self) {
        let Link::Open(session) = &self.link else {
            return;
        };
        if session.answered && self.now.since(session.since) >= self.config.stable_session {
            self.backoffs = 0;
        }
    }

    /// The peer has answered.
    pub(super) fn clear_patience(&mut self) {
        if let Link::Open(session) = &mut self.link {
            if session.silent_since.take().is_some() {
                self.timers.clear(Timer::Patience);
            }
        }
    }

    /// The peer has read news, and neither answered nor refused them nor closed: that is all it has to say. On this
    /// connection nothing waits for answers any more (SYNC-02, SYNC-27).
    pub(super) fn on_patience_over(&mut self) {
        let Link::Open(session) = &mut self.link else {
            return;
        };
        if session.thawed && !std::mem::replace(&mut session.was_patient, true) {
            // It may be dead since long: what it does not say counts from now.
            return self.timers.set(Timer::Patience, self.now + PATIENCE);
        }
        let Some(read) = session.silent_since.take() else {
            return;
        };
        session.is_quiet = true;
        session.awaited = None;
        if session.ponged > read {
            session.silent_since = Some(session.ponged);
            self.timers.set(Timer::Patience, self.now + PATIENCE);
        }
        if !planted!(PongConfirmsNothing) {
            self.on_confirmed(read);
        }
    }

    /// Takes the link down; what was on its way is no longer.
    pub(super) fn take_link(&mut self) -> Link {
        for timer in [Timer::CloseWait, Timer::Exchange, Timer::Patience] {
            self.timers.clear(timer);
        }
        std::mem::take(&mut self.link)
    }

    fn on_over(&mut self, failure: Failure) {
        self.forgive_if_stable();
        let link = self.take_link();
        if failure.reached == Reached::No && link.has_unsent() && !planted!(NumberNotGivenBack) {
            self.next_number -= 1;
            self.journal.on_unsent();
        }
        match link {
            Link::Exchange(exchange) => self.on_exchange_failed(&exchange, failure),
            Link::Opening { id, thawed } => {
                // A status is an answer, not a dead connection.
                if !thawed || failure.status.is_some() || self.stop.is_some() {
                    self.on_failed(id, failure);
                }
            }
            Link::Open(session) => self.on_session_lost(session, failure),
            Link::Closing(closing) => {
                self.reported.on_lost();
                if let Some(fault) = closing.fault {
                    self.on_failed(closing.id, fault);
                } else if !closing.meant && (!closing.thawed || failure.status.is_some()) {
                    self.on_failed(closing.id, failure);
                }
                self.wishes.again = true;
            }
            Link::Down => {}
        }
    }

    fn on_exchange_failed(&mut self, exchange: &Exchange, failure: Failure) {
        let refused = Remedy::of(&failure) == Remedy::HoldBack;
        if refused {
            self.on_too_large(&failure, |mark| mark == exchange.mark);
        }
        self.reported.on_lost();
        // A status is an answer, not a dead connection.
        let died = (failure.reused || exchange.thawed) && failure.status.is_none();
        if died && !exchange.repeats && self.stop.is_none() {
            self.wishes.repeat = true;
            self.wishes.again = true;
            return;
        }
        self.on_failed(exchange.id, failure);
    }

    fn on_session_lost(&mut self, session: Session, failure: Failure) {
        self.reported.on_lost_unread(session.ponged);
        if let Some(fault) = session.fault {
            self.reported.on_lost();
            return self.on_failed(session.id, fault);
        }
        let is_leaving = session.leaving.is_some();
        if failure.kind == FailKind::Size && !is_leaving {
            // What it has read was not too large.
            self.on_too_large(&failure, |mark| mark > session.ponged);
        }
        self.reported.on_lost();
        let frozen = session.thawed && self.stop.is_none();
        if !is_leaving && !frozen {
            self.on_failed(session.id, failure);
        }
    }

    /// 413, 1009: what is left of the message goes without its largest part (HTTP-24).
    fn on_too_large(&mut self, failure: &Failure, is_suspect: impl Fn(Mark) -> bool) {
        if let Some(part) = self.reported.on_too_large(is_suspect) {
            let by = match failure.status {
                Some(status) => format!("the server or a proxy (HTTP {status})"),
                None => "the server or a proxy (WebSocket close 1009)".to_owned(),
            };
            self.warn_of_size(part, &by);
        }
    }

    /// One failed try: when comes the next, who has given up, and the host is told.
    pub(super) fn on_failed(&mut self, id: TryId, failure: Failure) {
        // Who finds a message too large is there, and may be told goodbye.
        self.is_answered &= Remedy::of(&failure) == Remedy::HoldBack;
        self.journal.failures_in_a_row += 1;
        self.journal.last_error = Some((self.now, failure.clone()));
        match (self.config.policy, Remedy::of(&failure)) {
            (_, Remedy::Backoff) => {
                let until = self.now + self.next_backoff();
                self.gate.close(until, Timer::Backoff);
            }
            (_, Remedy::Wait) => self.put_off(failure.retry_after),
            (Policy::Http, Remedy::HoldBack) => {}
            (_, remedy) => self.wait_for_next_poll(remedy),
        }
        self.wishes.again |= Remedy::of(&failure) != Remedy::HoldBack;
        self.give_up(id, &failure);
        let retry_in = self.retry_in();
        let failed = Event::ConnectFailed { failure, retry_in };
        self.events.push(failed, self.now);
    }

    /// Ends the reports whose last try this was.
    pub(super) fn give_up(&mut self, id: TryId, failure: &Failure) {
        let ended = self.tickets.on_failed(id, failure);
        self.end_reports(ended);
    }

    pub(super) fn retry_in(&self) -> Option<Duration> {
        self.plan()
            .filter(|_| self.stop.is_none())
            .map(|plan| plan.at.since(self.now))
    }

    /// The server asked us to stay away, for a time that it named or not (HTTP-10, WS-11).
    pub(super) fn put_off(&mut self, asked: Option<Duration>) {
        let config = &self.config;
        let jitter = self
            .chance
            .up_to(Purpose::RetryAfter, config.retry_after_jitter);
        let (cap, floor) = (config.retry_after_cap, config.overload_floor);
        let backoff = self.next_backoff();
        let wait = match asked {
            Some(asked) => asked.min(cap) + jitter,
            None => backoff.max(floor + jitter),
        };
        // A server that asks for no time to speak of is still not asked all the time.
        let until = (self.now + wait).max(self.budgets.put_off.next());
        self.budgets.put_off.spend(self.now);
        self.gate.close(until, Timer::RetryAfter);
    }

    /// It says so again: what the host was told of the next try holds, unless the time asked for is longer (LOG-01).
    pub(super) fn put_off_further(&mut self, asked: Option<Duration>) {
        let config = &self.config;
        let least = asked.map_or(config.overload_floor, |asked| {
            asked.min(config.retry_after_cap)
        });
        let is_enough = |until| self.now + least <= until;
        if !self.gate.asked_until(self.now).is_some_and(is_enough) {
            self.put_off(asked);
        }
    }

    /// It would be refused again: wait for the next poll, or for new headers (HTTP-11, WS-12).
    fn wait_for_next_poll(&mut self, remedy: Remedy) {
        let until = match (self.config.policy, self.next_beat()) {
            (Policy::Http, Some(beat)) if remedy == Remedy::LaterPoll => {
                beat.max(self.now + self.next_backoff())
            }
            (Policy::Http, Some(beat)) => beat,
            _ => {
                let interval = match self.beat.interval() {
                    Duration::ZERO => defaults::INTERVAL,
                    interval => interval,
                };
                self.now + self.next_backoff().max(interval)
            }
        };
        match remedy {
            Remedy::NewHeaders => self.gate.close_for_headers(until),
            _ => self.gate.close(until, Timer::NextPoll),
        }
    }

    fn next_backoff(&mut self) -> Duration {
        self.backoffs = self.backoffs.saturating_add(1);
        backoff::delay(&self.config, self.backoffs, &mut self.chance)
    }

    pub(super) fn tell_connected(&mut self) {
        let after_failures = std::mem::take(&mut self.journal.failures_in_a_row);
        let kind = self.is_unasked().then_some(Kind::UnaskedConnected);
        let connected = Event::Connected { after_failures };
        self.events.push_as(kind, connected, self.now);
    }

    pub(super) fn on_success(&mut self) {
        self.journal.last_success = Some(self.now);
    }
}
