//! error_response.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    core::Core,
    event::{Event, ServerErrorKind, clipped},
    failure::{FailKind, Failure, ReachedServer},
    link::Link,
    parts::Parts,
};
use crate::proto::{self, ServerErrorResponseType, server_error_response::Details};

impl Core {
    /// RCV-01; other fields of such a message are ignored.
    pub(super) fn on_error_response(&mut self, error: &proto::ServerErrorResponse, raw: &Bytes) {
        let text = clipped(&error.error_message, self.config.text_limit);
        match ServerErrorResponseType::try_from(error.r#type) {
            Ok(ServerErrorResponseType::Unavailable) => self.on_unavailable(error, text, raw),
            Ok(ServerErrorResponseType::BadRequest) => {
                self.on_refused(ServerErrorKind::BadRequest, text, raw);
            }
            Ok(ServerErrorResponseType::Unknown) | Err(_) => {
                self.on_refused(ServerErrorKind::Unknown, text, raw);
            }
        }
    }

    /// The same message would be refused again: what it carried is held back (HTTP-09).
    fn on_refused(&mut self, kind: ServerErrorKind, text: Arc<str>, raw: &Bytes) {
        let Some(id) = self.upstream.link.id() else {
            return;
        };
        let held_back = self.hold_back_rejected();
        self.clear_response_timeout();
        self.on_decoded();
        let failure = Failure::new(FailKind::Server, ReachedServer::Maybe, text.clone());
        let event = Event::ServerError {
            kind,
            text,
            retry_in: None,
            held_back,
            raw: raw.clone(),
        };
        self.events.push(event, self.now);
        // Reports that wait for what is held back end as such, the others have had a try.
        self.settle();
        self.expire_reports(id, &failure);
        self.journal.last_error = Some((self.now, failure));
    }

    /// Holds back what was refused. Over WebSocket an error names no message: it is about the one
    /// that was read and not yet answered, else about the last one with news.
    fn hold_back_rejected(&mut self) -> Parts {
        match &mut self.upstream.link {
            Link::Exchange(exchange) => self.state.reported.on_refused(exchange.mark),
            Link::Open(session) => {
                session.awaited = None;
                let parts = match session.unanswered.take() {
                    Some(mark) => self.state.reported.on_refused_upto(mark),
                    None => self.state.reported.on_refused(session.last_news),
                };
                let parts = if parts.is_empty() {
                    self.state.reported.on_refused_upto(session.ponged)
                } else {
                    parts
                };
                if session.is_unclear {
                    self.state.reported.on_refused_by_guess(parts);
                }
                parts
            }
            _ => Parts::NONE,
        }
    }

    /// WS-11, HTTP-10: stay away for as long as it says, then report what was not confirmed.
    fn on_unavailable(&mut self, error: &proto::ServerErrorResponse, text: Arc<str>, raw: &Bytes) {
        let Some(id) = self.upstream.link.id() else {
            return;
        };
        self.delay_next_attempt(wait_asked_by(error));
        if let Link::Exchange(_) = &self.upstream.link {
            self.end_exchange();
        } else {
            self.send_disconnect();
        }
        self.state.reported.on_lost();
        self.upstream.is_answered = false;
        self.upstream.requests.again = true;
        self.journal.failures_in_a_row += 1;
        let failure = Failure::new(FailKind::Server, ReachedServer::Maybe, text.clone());
        self.expire_reports(id, &failure);
        self.journal.last_error = Some((self.now, failure));
        let retry_in = self
            .upstream
            .gate
            .closed(self.now)
            .map(|gate| gate.until.since(self.now));
        let (kind, held_back) = (
            ServerErrorKind::Unavailable,
            self.state.reported.held_back(),
        );
        let event = Event::ServerError {
            kind,
            text,
            retry_in,
            held_back,
            raw: raw.clone(),
        };
        self.events.push(event, self.now);
    }
}

pub(super) fn is_unavailable(error: &proto::ServerErrorResponse) -> bool {
    error.r#type == ServerErrorResponseType::Unavailable as i32
}

pub(super) fn wait_asked_by(error: &proto::ServerErrorResponse) -> Option<Duration> {
    let Some(Details::RetryInfo(info)) = &error.details else {
        return None;
    };
    let wait = Duration::from_nanos(info.retry_after_nanoseconds);
    (!wait.is_zero()).then_some(wait)
}
