//! The one loop: the core says what to do, a transport does it, and in between the thread sleeps.

use std::{sync::Arc, time::Duration};

use super::{
    convert, panics,
    run::{Next, Run, Sending},
    stack,
};
use crate::{
    protocol::Fact,
    transport::{Answer, Failure, Request, Traffic, host, http},
};

/// The stack is given back before rests of at least this; each time costs some 25 us.
const LONG_REST: Duration = Duration::from_secs(5);

/// How messages travel in this run.
pub(crate) enum Link {
    Http(Box<http::Http>),
    Host(Box<host::Host>),
}

/// Runs until the core has stopped. `Err`: a bug of ours ended it; its text.
pub(crate) fn work(run: &Arc<Run>, mut link: Link) -> Result<(), String> {
    panics::contain(|| turn_after_turn(run, &mut link))
}

fn turn_after_turn(run: &Run, link: &mut Link) {
    let lowest = stack::lowest();
    run.begin();
    loop {
        match run.turn() {
            Next::Send(sending) => exchange(run, link, sending),
            Next::Rest {
                limit,
                is_answer_likely,
            } => {
                let is_long = limit.is_none_or(|rest| rest >= LONG_REST) && !is_answer_likely;
                if let Some(lowest) = lowest.filter(|_| is_long) {
                    stack::give_back(lowest);
                }
                run.mailbox.wake().wait(limit);
            }
            Next::Over => return,
        }
    }
}

fn exchange(run: &Run, link: &mut Link, sending: Sending) {
    let Sending {
        id,
        body,
        headers,
        instance_uid,
        on_new_connection,
    } = sending;
    let request = Request {
        headers: &headers,
        instance_uid: &instance_uid,
        body: &body,
    };
    let result = link.exchange(&request, on_new_connection);
    if let Link::Host(_) = link {
        run.queue.withdraw_request();
    }
    let fact = match result {
        Ok(answer) => Fact::Message(answer.body),
        Err(failure) => Fact::Over(convert::failure_of(failure)),
    };
    run.on_exchange_over(id, body, fact);
}

impl Link {
    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        match self {
            Self::Http(http) => http.traffic(),
            Self::Host(host) => host.traffic(),
        }
    }

    fn exchange(
        &mut self,
        request: &Request<'_>,
        on_new_connection: bool,
    ) -> Result<Answer, Failure> {
        match self {
            Self::Http(http) => {
                if on_new_connection {
                    http.forget();
                }
                http.exchange(request)
            }
            Self::Host(host) => host.exchange(request),
        }
    }
}
