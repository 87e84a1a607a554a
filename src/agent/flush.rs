//! Those who wait until all that they have set is confirmed.

use std::time::Duration;

use crate::locks::{Condvar, Mutex};

use super::{
    convert,
    error::{Code, Error, Kind, Result},
    mailbox::{Mailbox, Report},
    queue::deadline_after,
    reason::Reason,
};
use crate::protocol::Outcome;

/// Marks the tickets of those who wait here; all others are told by an event.
const FLUSH: u64 = 1 << 63;
/// So many may wait at a time; with the completions of the queue they have room in the core.
const MOST: usize = 64;

pub(crate) fn is_flush(ticket: u64) -> bool {
    ticket & FLUSH != 0
}

/// The flushes of one run.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Tickets of those who wait, and how it ended.
    waiting: Vec<(u64, Option<Outcome>)>,
    is_over: bool,
}

impl State {
    /// Where a ticket stands; there are at most [`MOST`].
    fn place(&self, ticket: u64) -> Option<usize> {
        self.waiting
            .iter()
            .position(|(waiting, _)| *waiting == ticket)
    }
}

impl Flushes {
    pub(crate) fn wait(
        &self,
        mailbox: &Mailbox,
        ticket: u64,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let deadline = deadline_after(timeout);
        let ticket = ticket | FLUSH;
        let mut state = self.state.lock();
        if state.waiting.len() >= MOST {
            let text = "64 threads wait in a flush already";
            return Err(
                Error::new(Code::Again, Kind::Argument, text).because(Reason::TooManyWaiting)
            );
        }
        state.waiting.push((ticket, None));
        drop(state);
        let report = Report {
            ticket,
            tries: None,
            is_forced: false,
        };
        mailbox.put(|mail| mail.reports.push(report));
        let mut state = self.state.lock();
        let outcome = loop {
            let place = state.place(ticket);
            let is_done = place.is_some_and(|place| state.waiting[place].1.is_some());
            let is_late = !is_done && !state.is_over && self.changed.is_late(&mut state, deadline);
            if is_done || state.is_over || is_late {
                let place = state.place(ticket);
                break place.and_then(|place| state.waiting.swap_remove(place).1);
            }
        };
        let is_over = state.is_over;
        drop(state);
        match outcome {
            Some(Outcome::Confirmed) => Ok(()),
            Some(Outcome::HeldBack) => Err(Error::state(
                "a part of it is held back: the server refused it, or it is over the message limit",
            )
            .because(Reason::HeldBack)),
            None if !is_over => {
                withdraw(mailbox, ticket);
                Err(convert::timeout("not confirmed yet"))
            }
            _ => Err(Error::state("the agent stopped").because(Reason::Stopped)),
        }
    }

    pub(crate) fn on_done(&self, ticket: u64, outcome: Outcome) {
        // Who asked may have gone meanwhile.
        let mut state = self.state.lock();
        if let Some(place) = state.place(ticket) {
            state.waiting[place].1 = Some(outcome);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The run is over: nothing will be confirmed any more.
    pub(crate) fn end(&self) {
        self.state.lock().is_over = true;
        self.changed.notify_all();
    }
}

/// Nobody waits for it any more, so it must not take a place for as long as the server is away.
fn withdraw(mailbox: &Mailbox, ticket: u64) {
    mailbox.put(|mail| {
        let before = mail.reports.len();
        mail.reports.retain(|report| report.ticket != ticket);
        if mail.reports.len() == before {
            mail.withdrawn.push(ticket);
        }
    });
}
