//! What the transport saw: a try begins, goes on, fails, ends.
use std::time::Duration;

use super::{
    config::Policy,
    core::Core,
    event::WarningKind,
    failure::{FailKind, Failure, ReachedServer, RetryPolicy},
    interface::Fact,
    link::{Exchange, Leaving, Link, Session},
    reported::MessageIndex,
    timers::Timer,
};

/// How long the next news wait for the answer to the last message (WebSocket): so that most errors
/// find theirs.
const PAUSE: Duration = Duration::from_millis(50);

impl Core {
    pub(super) fn on_fact(&mut self, fact: Fact) {
        match &fact {
            Fact::Message(_) => self.upstream.link.uncut(true),
            Fact::Over(failure) => self.upstream.link.uncut(failure.status.is_some()),
            _ => {}
        }
        match fact {
            Fact::Opened => self.on_opened(),
            Fact::Written => self.on_written(),
            Fact::Pong { marker } => self.on_pong(marker),
            Fact::Message(bytes) => self.on_message(&bytes),
            Fact::Skipped(text) => self.on_skipped(&text),
            Fact::Broken { code, failure } => self.on_broken(code, failure),
            Fact::Thawed => self.upstream.link.on_thaw(),
            Fact::Over(failure) => self.on_over(failure),
        }
    }

    fn on_opened(&mut self) {
        if planted!(BackoffResetOnConnect) {
            self.upstream.backoffs = 0;
        }
        match &mut self.upstream.link {
            Link::Exchange(exchange) => exchange.opened = true,
            Link::Opening { id, .. } => {
                let session = Session::new(*id, self.now);
                self.upstream.link = Link::Open(session);
                self.timers.clear(Timer::Exchange);
                self.on_success();
                self.emit_connected();
            }
            _ => {}
        }
    }

    fn on_written(&mut self) {
        let Link::Open(session) = &mut self.upstream.link else {
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

    /// A message that is none.
    fn on_skipped(&mut self, text: &str) {
        if let Link::Open(session) = &mut self.upstream.link {
            session.on_heard();
            session.unanswered = None;
            self.journal.messages_received += 1;
            self.warn(WarningKind::BadMessage, text);
        }
    }

    /// The peer's fault ends the connection, unless we are on the way out already.
    fn on_broken(&mut self, code: u16, failure: Failure) {
        let Link::Open(session) = &mut self.upstream.link else {
            return;
        };
        session.code = code;
        if session.leaving.is_none() {
            session.fault = Some(failure);
            self.reset_backoff_if_stable();
            self.send_disconnect();
        }
    }

    fn on_over(&mut self, failure: Failure) {
        self.reset_backoff_if_stable();
        let link = self.take_link();
        if failure.reached == ReachedServer::No
            && link.has_unsent()
            && !planted!(NumberNotGivenBack)
        {
            self.state.next_number -= 1;
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
                let is_socket = self.upstream.policy == Policy::WebSocket;
                if is_socket && failure.kind == FailKind::Size && self.stop.is_some() {
                    // Said of the goodbye.
                    let last = self.state.mark;
                    self.on_too_large(&failure, |mark| mark == last);
                }
                self.state.reported.on_lost();
                if let Some(fault) = closing.fault {
                    self.on_failed(closing.id, fault);
                } else if !closing.meant && (!closing.thawed || failure.status.is_some()) {
                    self.on_failed(closing.id, failure);
                }
                self.upstream.requests.again = true;
            }
            Link::Down => {}
        }
    }

    fn on_exchange_failed(&mut self, exchange: &Exchange, failure: Failure) {
        let refused = RetryPolicy::of(&failure) == RetryPolicy::HoldBack;
        if refused {
            let can_shrink = exchange.is_last && self.state.reported.has_values_in(exchange.mark);
            self.on_too_large(&failure, |mark| mark == exchange.mark);
            if can_shrink {
                self.say_again();
            }
        }
        self.state.reported.on_lost();
        // A status is an answer, not a dead connection.
        let died = (failure.reused || exchange.thawed) && failure.status.is_none();
        if died && !exchange.repeats && self.stop.is_none() {
            self.upstream.requests.repeat = true;
            self.upstream.requests.again = true;
            return;
        }
        self.on_failed(exchange.id, failure);
    }

    fn on_session_lost(&mut self, session: Session, failure: Failure) {
        self.state.reported.on_lost_unread(session.ponged);
        if let Some(fault) = session.fault {
            self.state.reported.on_lost();
            return self.on_failed(session.id, fault);
        }
        let is_leaving = session.leaving.is_some();
        if failure.kind == FailKind::Size && (!is_leaving || self.stop.is_some()) {
            // What it has read was not too large.
            self.on_too_large(&failure, |mark| mark > session.ponged);
        }
        self.state.reported.on_lost();
        let frozen = session.thawed && self.stop.is_none();
        if !is_leaving && !frozen {
            self.on_failed(session.id, failure);
        }
    }

    /// 413, 1009: what is left of the message goes without its largest part (HTTP-24).
    fn on_too_large(&mut self, failure: &Failure, is_suspect: impl Fn(MessageIndex) -> bool) {
        if let Some(part) = self.state.reported.on_too_large(is_suspect) {
            let by = match failure.status {
                Some(status) => format!("the server or a proxy (HTTP {status})"),
                None => "the server or a proxy (WebSocket close 1009)".to_owned(),
            };
            self.warn_of_size(part, &by);
        }
    }
}
