//! The one loop: the core says what to do, a transport does it, and in between the thread sleeps.

use std::{sync::Arc, time::Duration};

use super::{
    convert, panics,
    run::{Begin, Next, Run},
    stack,
};
use crate::{
    protocol::{AttemptId, Fact},
    transport::{Answer, Failure, LONG_REST, Request, Traffic, host, http, websocket::WebSocket},
};

/// How messages travel in this run.
pub(crate) enum Link {
    Http(Box<http::Http>),
    Host(Box<host::Host>),
    WebSocket(Box<WebSocket>, Option<AttemptId>),
}

/// Runs until the core has stopped. `Err`: a bug of ours ended it; its text.
pub(crate) fn work(run: &Arc<Run>, mut link: Link) -> Result<(), String> {
    panics::contain(|| turn_after_turn(run, &mut link))
}

fn turn_after_turn(run: &Run, link: &mut Link) {
    let lowest = stack::lowest();
    run.begin();
    loop {
        panics::plant("the worker");
        match run.turn() {
            Next::Exchange(begin, body) => exchange(run, link, &begin, body),
            Next::Connect(begin) => link.connect(run, begin),
            Next::Send { body, marker } => link.send(body, marker),
            Next::Close { id, code } => link.close(run, id, code),
            Next::Rest {
                limit,
                is_answer_likely,
            } => {
                link.rest(run, limit, &mut || {
                    if let Some(lowest) = lowest.filter(|_| !is_answer_likely) {
                        stack::give_back(lowest);
                    }
                    !is_answer_likely
                });
            }
            Next::Over => return,
        }
    }
}

fn exchange(run: &Run, link: &mut Link, begin: &Begin, body: Vec<u8>) {
    let request = Request {
        headers: &begin.headers,
        instance_uid: &begin.instance_uid,
        body: &body,
    };
    let result = link.exchange(&request, begin.on_new_connection);
    if let Link::Host(_) = link {
        run.queue.withdraw_request();
    }
    let fact = match result {
        Some(Ok(answer)) => Fact::Message(answer.body),
        Some(Err(failure)) => Fact::Over(convert::failure_of(failure)),
        None => return,
    };
    run.on_exchange_over(begin.id, body, fact);
}

impl Link {
    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        match self {
            Self::Http(http) => http.traffic(),
            Self::Host(host) => host.traffic(),
            Self::WebSocket(socket, _) => socket.traffic(),
        }
    }

    /// `None`: messages have no answers of their own here.
    fn exchange(
        &mut self,
        request: &Request<'_>,
        on_new_connection: bool,
    ) -> Option<Result<Answer, Failure>> {
        match self {
            Self::Http(http) => {
                if on_new_connection {
                    http.forget();
                }
                Some(http.exchange(request))
            }
            Self::Host(host) => Some(host.exchange(request)),
            Self::WebSocket(..) => None,
        }
    }

    fn connect(&mut self, run: &Run, begin: Begin) {
        let Self::WebSocket(socket, id) = self else {
            return;
        };
        if begin.on_new_connection {
            socket.forget();
        }
        let fact = match socket.connect(&begin.headers, &begin.instance_uid) {
            Ok(()) => Fact::Opened,
            Err(failure) => Fact::Over(convert::failure_of(failure)),
        };
        *id = Some(begin.id);
        run.on_fact(begin.id, fact, Vec::new());
    }

    fn send(&mut self, body: Vec<u8>, marker: Option<u64>) {
        if let Self::WebSocket(socket, _) = self {
            socket.send(body, marker);
        }
    }

    /// Of an exchange its own watch knows that it is to end.
    fn close(&mut self, run: &Run, id: AttemptId, code: Option<u16>) {
        let Self::WebSocket(socket, _) = self else {
            return;
        };
        match code {
            Some(code) => socket.close(code),
            None => {
                let failure = convert::failure_of(socket.cut());
                run.on_fact(id, Fact::Over(failure), Vec::new());
            }
        }
    }

    fn rest(&mut self, run: &Run, limit: Option<Duration>, on_long_wait: &mut dyn FnMut() -> bool) {
        let Self::WebSocket(socket, Some(id)) = self else {
            let is_long = limit.is_none_or(|rest| rest >= LONG_REST);
            if is_long && on_long_wait() {
                if let Self::Http(http) = self {
                    http.rest();
                }
            }
            run.mailbox.wake().wait(limit);
            return;
        };
        if let Some(news) = socket.rest(limit, on_long_wait) {
            let (fact, buffer) = convert::fact_of(news);
            run.on_fact(*id, fact, buffer);
        }
    }
}
