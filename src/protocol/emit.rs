//! What the application is told.
use super::{
    core::{Core, Stage, Stop},
    event::{Event, Outcome, WarningKind, clipped},
    journal::AgentState,
    link::Link,
    parts::Part,
};

impl Core {
    /// Ends the reports that are decided and notes where we stand.
    pub(super) fn settle(&mut self) {
        let ended = self.state.tickets.settled(&self.state.reported);
        if !ended.is_empty() {
            self.end_reports(ended);
        }
        let state = self.agent_state();
        self.journal.note(state, self.now);
    }

    pub(super) fn end_reports(&mut self, ended: Vec<(u64, Outcome)>) {
        let done = |(ticket, outcome)| Event::SendDone { ticket, outcome };
        ended
            .into_iter()
            .for_each(|end| self.events.push(done(end), self.now));
    }

    pub(super) fn warn(&mut self, kind: WarningKind, text: &str) {
        let text = clipped(text, self.config.text_limit);
        self.events.push(Event::Warning { kind, text }, self.now);
    }

    /// HTTP-24: the host is told once what can not be sent.
    pub(super) fn warn_of_size(&mut self, part: Part, by: &str) {
        self.warn_of(part, by, "it is held back until it changes");
    }

    /// The last message went without what might have kept it from arriving (HTTP-24).
    pub(super) fn warn_of_left_out(&mut self) {
        let has_spoken = |stop: &Stop| stop.stage != Stage::Wanted;
        if self.stop.as_ref().is_some_and(has_spoken) {
            for part in self.state.reported.left_out().iter() {
                self.warn_of(part, "the last message", "it was not reported");
            }
        }
    }

    fn warn_of(&mut self, part: Part, by: &str, fate: &str) {
        let (name, length) = (part.name(), self.state.reported.len_of(part));
        let text = format!("the {name} of {length} bytes is too large for {by}: {fate}");
        self.warn(WarningKind::RequestTooLarge, &text);
    }

    pub(super) fn emit_connected(&mut self) {
        let after_failures = std::mem::take(&mut self.journal.failures_in_a_row);
        self.events
            .push(Event::Connected { after_failures }, self.now);
    }

    /// Whether [`Event::Stopped`] was told or is about to be.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.stage == Stage::Done)
    }

    pub(super) fn agent_state(&self) -> AgentState {
        let has_failed = self.journal.failures_in_a_row > 0;
        match (&self.stop, &self.upstream.link) {
            _ if self.is_stopped() => AgentState::Stopped,
            (Some(_), _) => AgentState::Stopping,
            _ if !self.is_started => AgentState::Idle,
            (None, Link::Open(_)) => AgentState::Connected,
            (None, Link::Down) if has_failed || self.upstream.gate.closed(self.now).is_some() => {
                AgentState::Waiting
            }
            _ if self.upstream.is_answered && !has_failed => AgentState::Connected,
            _ => AgentState::Connecting,
        }
    }
}
