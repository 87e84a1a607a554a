//! Reports: "tell me when all that I have set is confirmed".
use super::{
    event::Outcome,
    failure::Failure,
    interface::AttemptId,
    reported::{GenerationSet, MessageIndex, ReportedState},
};

/// More than a shell lets wait at a time.
const MOST: usize = 128;

struct Ticket {
    ticket: u64,
    /// What was set when it was asked for.
    wants: GenerationSet,
    /// A message built after this one must be confirmed, too.
    message_after: Option<MessageIndex>,
    tries_left: Option<u32>,
    /// Earlier tries do not count.
    from: AttemptId,
}

#[derive(Default)]
pub(super) struct Tickets {
    waiting: Vec<Ticket>,
    /// The newest message that the server has confirmed.
    confirmed: MessageIndex,
}

impl Tickets {
    /// `false`: too many wait.
    pub(super) fn add(
        &mut self,
        ticket: u64,
        tries: Option<u32>,
        wants: GenerationSet,
        message_after: Option<MessageIndex>,
        from: AttemptId,
    ) -> bool {
        let has_room = self.waiting.len() < MOST;
        if has_room {
            self.waiting.push(Ticket {
                ticket,
                wants,
                message_after,
                tries_left: tries,
                from,
            });
        }
        has_room
    }

    pub(super) fn withdraw(&mut self, ticket: u64) {
        self.waiting.retain(|waiting| waiting.ticket != ticket);
    }

    pub(super) fn on_confirmed(&mut self, mark: MessageIndex) {
        self.confirmed = self.confirmed.max(mark);
    }

    /// A try failed; answers the tickets that had it as their last one.
    pub(super) fn on_failed(&mut self, id: AttemptId, failure: &Failure) -> Vec<(u64, Outcome)> {
        self.end(|ticket| {
            let left = ticket.tries_left.as_mut().filter(|_| id >= ticket.from)?;
            *left = left.saturating_sub(1);
            (*left == 0).then(|| Outcome::GaveUp(failure.clone()))
        })
    }

    /// Answers the tickets that are decided now.
    pub(super) fn settled(&mut self, reported: &ReportedState) -> Vec<(u64, Outcome)> {
        let confirmed = self.confirmed;
        self.end(|ticket| {
            let (missing, held_back) = reported.missing(&ticket.wants);
            if held_back {
                return Some(Outcome::HeldBack);
            }
            let message = ticket.message_after.is_none_or(|after| confirmed > after);
            (missing.is_empty() && message).then_some(Outcome::Confirmed)
        })
    }

    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a ticket still waits for a message of its own; `sent` was the last one on this
    /// connection that may be it.
    pub(super) fn want_message(&self, sent: MessageIndex) -> bool {
        self.waiting.iter().any(|ticket| {
            ticket
                .message_after
                .is_some_and(|after| self.confirmed <= after && sent <= after)
        })
    }

    pub(super) fn on_stopped(&mut self) -> Vec<(u64, Outcome)> {
        self.end(|_| Some(Outcome::Stopped))
    }

    /// An empty vector does not allocate.
    fn end(&mut self, mut how: impl FnMut(&mut Ticket) -> Option<Outcome>) -> Vec<(u64, Outcome)> {
        let mut ended = Vec::new();
        if self.waiting.is_empty() {
            return ended;
        }
        self.waiting.retain_mut(|ticket| match how(ticket) {
            Some(outcome) => {
                ended.push((ticket.ticket, outcome));
                false
            }
            None => true,
        });
        ended
    }
}
