//! What the host sets and asks for.
use super::{
    change::Change,
    config::Policy,
    core::Core,
    event::{Event, Outcome},
    failure::{FailKind, Failure, ReachedServer},
    interface::AttemptId,
    link::Link,
    value::Value,
};
use crate::proto::AgentCapabilities;

impl Core {
    pub(super) fn on_change(&mut self, change: Change) {
        if planted!(SetterThroughGate) {
            self.upstream.gate = Default::default();
        }
        match change {
            Change::Description(value) => self.state.reported.set(Value::Description(value)),
            Change::EffectiveConfig(value) => {
                self.state.reported.set(Value::EffectiveConfig(value))
            }
            Change::RemoteConfigStatus(status) => self.on_config_status(&status),
            Change::Capabilities(value) => {
                self.state
                    .reported
                    .set_capabilities(value | AgentCapabilities::ReportsStatus as u64);
            }
            Change::Interval(interval) => {
                self.upstream.heartbeat.set_by_host(interval);
                self.on_interval();
            }
            Change::InstanceUid(uid) => self.on_uid_of_host(uid),
            Change::RequestInstanceUid => {
                self.upstream.requests.poll |= !self.state.identity.wanted;
                self.state.identity.wanted = true;
            }
            Change::Headers => self.upstream.gate.on_headers(),
            Change::PollNow => self.upstream.requests.poll = true,
            Change::ReportFullState => self.want_all_by_host(),
            Change::Reconnect => match (self.upstream.policy, &self.upstream.link) {
                (Policy::Http, _) => self.upstream.requests.poll = true,
                (Policy::WebSocket, Link::Open(_)) => self.upstream.requests.reconnect = true,
                // Not connected: the next try makes a new connection anyway.
                (Policy::WebSocket, _) => {}
            },
            Change::Report {
                ticket,
                tries,
                force_message,
            } => {
                self.on_report(ticket, tries, force_message);
            }
            Change::WithdrawReport(ticket) => self.state.tickets.withdraw(ticket),
        }
    }

    fn on_report(&mut self, ticket: u64, tries: Option<u32>, force_message: bool) {
        self.upstream.requests.poll |= force_message;
        let first = match &self.upstream.link {
            Link::Open(session) => session.id,
            _ => AttemptId(self.upstream.last_attempt + 1),
        };
        let message_after = force_message.then_some(self.state.mark);
        let wants = self.state.reported.generations();
        if !self
            .state
            .tickets
            .add(ticket, tries, wants, message_after, first)
        {
            let failure = Failure::new(FailKind::Bug, ReachedServer::No, "too many reports wait");
            let outcome = Outcome::GaveUp(failure);
            let done = Event::SendDone { ticket, outcome };
            self.events.push(done, self.now);
        }
    }
}
