//! Events on their way to the application. What a peer can provoke has a rate limit per kind: the
//! newest waits, those left out are counted (LOG-11).
use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    event::{Event, ServerErrorKind, WarningKind},
    rate_limit::ServerRateLimit,
    time::Time,
    timers::{Deadline, Timer},
};

/// The raw bytes of an error that waits are dropped beyond this: each kind may keep one.
const KEPT_RAW: usize = 64 << 10;

/// What has a budget of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Warning(WarningKind),
    ServerError,
    NewUid,
    /// Over WebSocket: nobody asked for this message.
    Unasked,
    UnaskedAnswer,
}

impl Kind {
    /// `None`: bounded otherwise, by the backoff, say, or by what the host does.
    const fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Warning { kind, .. } => Some(Self::Warning(*kind)),
            Event::ServerError { kind, .. } => match kind {
                // It ends the connection, and its wait has a budget.
                ServerErrorKind::Unavailable => None,
                ServerErrorKind::Unknown | ServerErrorKind::BadRequest => Some(Self::ServerError),
            },
            Event::NewUid(_) => Some(Self::NewUid),
            _ => None,
        }
    }
}

struct Throttle {
    kind: Kind,
    budget: ServerRateLimit,
    held: Option<Event>,
    left_out: u64,
}

#[derive(Default)]
pub(super) struct EventQueue {
    /// Each with how many of its kind were left out before it.
    ready: VecDeque<(Event, u64)>,
    /// Of the kinds that came up so far.
    throttles: Vec<Throttle>,
    /// When the first of what is held may be told.
    due: Option<Time>,
}

impl EventQueue {
    pub(super) fn push(&mut self, event: Event, now: Time) {
        self.push_as(Kind::of(&event), event, now);
    }

    pub(super) fn push_as(&mut self, kind: Option<Kind>, event: Event, now: Time) {
        match kind {
            Some(kind) if !planted!(Storms) => self.throttle(kind, event, now),
            _ => self.ready.push_back((event, 0)),
        }
    }

    /// One that has a budget elsewhere.
    pub(super) fn push_after(&mut self, event: Event, left_out: u64) {
        self.ready.push_back((event, left_out));
    }

    pub(super) fn pop(&mut self) -> Option<(Event, u64)> {
        self.ready.pop_front()
    }

    /// Tells what has waited long enough.
    pub(super) fn release(&mut self, now: Time) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        for throttle in &mut self.throttles {
            if throttle.held.is_some() && throttle.budget.next() <= now {
                throttle.budget.spend(now);
                self.ready.extend(throttle.take());
            }
        }
        let waiting = self.throttles.iter().filter(|it| it.held.is_some());
        self.due = waiting.map(|it| it.budget.next()).min();
    }

    /// The end: nothing waits any longer.
    pub(super) fn release_all(&mut self) {
        self.due = None;
        let held = self.throttles.iter_mut().filter_map(Throttle::take);
        self.ready.extend(held);
    }

    pub(super) fn next(&self) -> Option<Deadline> {
        let why = Timer::Tell;
        self.due.map(|at| Deadline { at, why })
    }

    fn throttle(&mut self, kind: Kind, event: Event, now: Time) {
        let at = self.throttles.iter().position(|it| it.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.throttles.push(Throttle {
                kind,
                budget: ServerRateLimit::default(),
                held: None,
                left_out: 0,
            });
            self.throttles.len() - 1
        });
        let throttle = &mut self.throttles[at];
        let next = throttle.budget.next();
        if throttle.held.is_none() && next <= now {
            throttle.budget.spend(now);
            self.ready.push_back((event, 0));
            return;
        }
        if throttle.held.replace(slim(event)).is_some() {
            throttle.left_out += 1;
        }
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
    }
}

impl Throttle {
    fn take(&mut self) -> Option<(Event, u64)> {
        let event = self.held.take()?;
        Some((event, std::mem::take(&mut self.left_out)))
    }
}

fn slim(mut event: Event) -> Event {
    if let Event::ServerError { raw, .. } = &mut event {
        if raw.len() > KEPT_RAW {
            *raw = Bytes::new();
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const fn bad(text: std::sync::Arc<str>) -> Event {
        let kind = WarningKind::BadMessage;
        Event::Warning { kind, text }
    }

    #[test]
    fn a_storm_is_three_events_then_ever_fewer_and_the_newest_is_among_them() {
        let (mut queue, mut now) = (EventQueue::default(), Time::from_micros(1_000_000_000));
        let begin = now;
        let (mut heard, mut count) = (Vec::new(), 0);
        // given 100 a second for 20 s
        for tick in 0..2000 {
            now = begin + Duration::from_millis(tick * 10);
            queue.release(now);
            queue.push(bad(tick.to_string().into()), now);
            while let Some((_, left_out)) = queue.pop() {
                heard.push(now.since(begin).as_secs());
                count += 1 + left_out;
            }
        }
        assert_eq!(heard, [0, 0, 0, 1, 3, 7, 15]);
        // when it ends, then the last one comes, and none was lost
        let next = queue.next().expect("one waits").at;
        queue.release(next);
        let (last, left_out) = queue.pop().expect("the newest");
        assert_eq!(last, bad("1999".into()));
        assert_eq!(count + 1 + left_out, 2000);
        assert_eq!(queue.next(), None);
        // and a calm minute later all is at once again
        queue.push(bad("again".into()), next + Duration::from_secs(60));
        assert!(queue.pop().is_some());
    }

    #[test]
    fn one_kind_does_not_keep_another_waiting() {
        let (mut queue, now) = (EventQueue::default(), Time::from_micros(1_000_000_000));
        (0..10).for_each(|_| queue.push(bad("".into()), now));
        queue.push(Event::NewUid([1; 16]), now);
        let heard: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(heard.last(), Some(&(Event::NewUid([1; 16]), 0)));
        // and the end keeps nothing back
        queue.release_all();
        assert_eq!(queue.pop(), Some((bad("".into()), 6)));
    }
}
