//! What waits for the host: bounded, the newest of each kind, in one order.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use crate::locks::{Condvar, Mutex};

use super::event::{Event, EventKind, Message};
use crate::transport::Wake;

/// Completions that may be asked for and not yet taken.
pub(crate) const REPORTS_MAX: usize = 64;
/// Log lines that wait; later ones are counted.
pub(crate) const LINES_MAX: usize = 256;

/// The queue between the worker and the host. Every wait is on its own condition variable; the
/// descriptor is touched only once the host has asked for it.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Between a start and the moment STOPPED was taken.
    is_open: bool,
    /// Bytes of messages that may wait.
    limit: usize,
    reports: usize,
    lines: usize,
    lines_lost: u64,
    /// A connection was told, and neither a message nor an error since.
    is_answer_due: bool,
    descriptor: Option<Wake>,
}

/// Why nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nothing {
    /// The time is over.
    Timeout,
    /// The agent is not running and STOPPED was taken.
    Closed,
}

impl Queue {
    /// A new run of the agent: nothing waits.
    pub(crate) fn open(&self, limit: usize) {
        let mut waiting = self.waiting.lock();
        waiting.clear();
        waiting.is_open = true;
        waiting.limit = limit;
    }

    /// Nothing can be taken any more; who waits is told so.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.clear();
        waiting.is_open = false;
        drop(waiting);
        self.changed.notify_all();
    }

    pub(crate) fn push(&self, kind: EventKind) {
        self.push_after(kind, 0);
    }

    /// `left_out`: so many of its kind never came here.
    pub(crate) fn push_after(&self, kind: EventKind, left_out: u64) {
        let mut waiting = self.waiting.lock();
        if !waiting.is_open {
            return;
        }
        waiting.push(kind, left_out);
        waiting.show();
        drop(waiting);
        self.changed.notify_one();
    }

    /// The last event. `alone`: what waits before it is dropped.
    pub(crate) fn push_stopped(&self, stopped: EventKind, alone: bool) {
        if alone {
            self.waiting.lock().clear();
        }
        self.push(stopped);
    }

    /// A place for one completion; `false`: none is left until the host takes some.
    pub(crate) fn reserve_report(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let is_free = waiting.reports < REPORTS_MAX;
        if is_free {
            waiting.reports += 1;
        }
        is_free
    }

    /// The completion will not come.
    pub(crate) fn release_report(&self) {
        let mut waiting = self.waiting.lock();
        waiting.reports = waiting.reports.saturating_sub(1);
    }

    /// The request's exchange is over: it need not be handed out any more.
    pub(crate) fn withdraw_request(&self) {
        let mut waiting = self.waiting.lock();
        let old = waiting.remove(|kind| matches!(kind, EventKind::Request(_)));
        waiting.show();
        drop(waiting);
        drop(old);
    }

    /// The next event, waited for until `deadline` (`None`: for ever).
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Result<Event, Nothing> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(event) = waiting.pop() {
                let is_last = matches!(event.kind, EventKind::Stopped { .. });
                waiting.is_open &= !is_last;
                waiting.show();
                drop(waiting);
                if is_last {
                    self.changed.notify_all();
                }
                return Ok(event);
            }
            if !waiting.is_open {
                return Err(Nothing::Closed);
            }
            let late = self.changed.is_late(&mut waiting, deadline);
            if late && waiting.events.is_empty() && waiting.is_open {
                return Err(Nothing::Timeout);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().events.len()
    }

    /// A descriptor that is readable exactly while something waits; made by the first call.
    pub(crate) fn descriptor(&self) -> io::Result<i32> {
        let mut waiting = self.waiting.lock();
        if waiting.descriptor.is_none() {
            waiting.descriptor = Some(Wake::new()?);
            waiting.show();
        }
        Ok(waiting.descriptor.as_ref().map_or(-1, Wake::raw_fd))
    }
}

impl Waiting {
    fn clear(&mut self) {
        self.events.clear();
        (self.reports, self.lines, self.lines_lost) = (0, 0, 0);
        self.is_answer_due = false;
        self.show();
    }

    fn push(&mut self, mut kind: EventKind, left_out: u64) {
        let mut missed = left_out;
        match &mut kind {
            EventKind::Connected => {
                missed += self.missed_of(|kind| matches!(kind, EventKind::Connected));
                // A message stays behind the connection that it came on.
                let messages = self.remove_messages();
                self.events.push_back(Event { kind, missed });
                self.events.extend(messages);
                return;
            }
            EventKind::Message(message) => missed += self.make_room_for(message),
            EventKind::Log { .. } => match self.make_room_for_line() {
                Some(lost) => missed = lost,
                None => return,
            },
            EventKind::SendDone { .. } => {}
            // All hops of the running try, and none of the last one's.
            EventKind::Redirect(hop) if hop.number > 1 => {}
            EventKind::Redirect(_) => {
                while let Some(old) = self.remove(|kind| matches!(kind, EventKind::Redirect(_))) {
                    missed += old.missed + 1;
                }
            }
            EventKind::ServerError { message, .. } => {
                missed += self.missed_of(|kind| matches!(kind, EventKind::ServerError { .. }));
                *message = message.take().filter(|message| self.has_room_for(message));
            }
            other => {
                let number = other.number();
                missed += self.missed_of(|kind| kind.number() == number);
            }
        }
        self.events.push_back(Event { kind, missed });
    }

    fn pop(&mut self) -> Option<Event> {
        let event = self.pop_due_answer().or_else(|| self.events.pop_front())?;
        match event.kind {
            EventKind::Connected => self.is_answer_due = true,
            EventKind::ConnectFailed(_) => self.is_answer_due = false,
            ref kind if is_answer(kind) => self.is_answer_due = false,
            EventKind::SendDone { .. } => self.reports = self.reports.saturating_sub(1),
            EventKind::Log { .. } => self.lines -= 1,
            _ => {}
        }
        Some(event)
    }

    /// Where a host hears of each answer and takes longer than the next one needs, message and
    /// error would for ever stay behind one more connection: one goes before the second of two that
    /// follow each other.
    fn pop_due_answer(&mut self) -> Option<Event> {
        let is_second =
            self.is_answer_due && matches!(self.events.front()?.kind, EventKind::Connected);
        is_second.then(|| self.remove(is_answer)).flatten()
    }

    fn remove(&mut self, is_it: impl Fn(&EventKind) -> bool) -> Option<Event> {
        let at = self.events.iter().position(|event| is_it(&event.kind))?;
        self.events.remove(at)
    }

    /// Takes the waiting event of that sort out; how many the next one then stands for.
    fn missed_of(&mut self, is_it: impl Fn(&EventKind) -> bool) -> u64 {
        self.remove(is_it).map_or(0, |old| old.missed + 1)
    }

    fn remove_messages(&mut self) -> Vec<Event> {
        let (messages, others): (Vec<_>, Vec<_>) = self
            .events
            .drain(..)
            .partition(|event| matches!(event.kind, EventKind::Message(_)));
        self.events.extend(others);
        messages
    }

    /// One message with an offer waits, and one without; the newest of each. Together they stay
    /// within the limit.
    fn make_room_for(&mut self, new: &Message) -> u64 {
        let has_offer = new.remote_config().is_some();
        let missed = self.missed_of(|kind| offers(kind) == Some(has_offer));
        if !self.has_room_for(new) {
            self.remove(|kind| offers(kind) == Some(false));
        }
        missed
    }

    fn has_room_for(&self, new: &Message) -> bool {
        let waiting: usize = self
            .events
            .iter()
            .map(|event| message_len(&event.kind))
            .sum();
        waiting + new.bytes().len() <= self.limit
    }

    fn make_room_for_line(&mut self) -> Option<u64> {
        if self.lines >= LINES_MAX {
            self.lines_lost += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.lines_lost))
    }

    /// Makes the descriptor tell whether something waits.
    fn show(&self) {
        let Some(descriptor) = &self.descriptor else {
            return;
        };
        match (self.events.is_empty(), descriptor.is_raised()) {
            (false, false) => descriptor.wake(),
            (true, true) => descriptor.clear(),
            _ => {}
        }
    }
}

/// What a server said, one way or the other.
fn is_answer(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Message(_) | EventKind::ServerError { .. })
}

/// For a message: whether it brings an offer.
fn offers(kind: &EventKind) -> Option<bool> {
    match kind {
        EventKind::Message(message) => Some(message.remote_config().is_some()),
        _ => None,
    }
}

fn message_len(kind: &EventKind) -> usize {
    match kind {
        EventKind::Message(message)
        | EventKind::ServerError {
            message: Some(message),
            ..
        } => message.bytes().len(),
        _ => 0,
    }
}

/// Until when to wait, for a bound that may be absent or beyond what a clock can hold.
pub(crate) fn deadline_after(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
