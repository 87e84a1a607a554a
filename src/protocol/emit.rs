//! What the application is told.
use super::{
    core::{Core, Stage},
    event::{Event, Outcome, WarningKind, clipped},
    event_queue::Kind,
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
        let done = |(ticket, outcome)| Event::ReportDone { ticket, outcome };
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
        let (name, length) = (part.name(), self.state.reported.len_of(part));
        let text = format!(
            "the {name} of {length} bytes is too large for {by}: it is held back until it changes"
        );
        self.warn(WarningKind::RequestTooLarge, &text);
    }

    pub(super) fn tell_connected(&mut self) {
        let after_failures = std::mem::take(&mut self.journal.failures_in_a_row);
        let kind = self
            .upstream
            .link
            .is_unasked()
            .then_some(Kind::UnaskedConnected);
        let connected = Event::Connected { after_failures };
        self.events.push_as(kind, connected, self.now);
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
