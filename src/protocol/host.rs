//! What the host sets and asks for.
use std::time::Duration;

use super::{
    Carry, Change, Core, Event, FailKind, Failure, Outcome, Policy, Reached, RemoteConfigStatus,
    TryId, WarningKind, config::Uid, link::Link, timers::Timer,
};
use crate::proto::AgentCapabilities;

impl Core {
    pub(super) fn on_change(&mut self, change: Change) {
        if planted!(SetterThroughGate) {
            self.gate = super::Gate::default();
        }
        match change {
            Change::Description(value) => self.reported.set_description(value),
            Change::EffectiveConfig(value) => self.reported.set_effective_config(value),
            Change::RemoteConfigStatus(status) => self.on_verdict(&status),
            Change::Capabilities(value) => {
                self.reported
                    .set_capabilities(value | AgentCapabilities::ReportsStatus as u64);
            }
            Change::Interval(interval) => {
                self.beat.set_by_host(interval);
                self.on_interval();
            }
            Change::InstanceUid(uid) => self.on_uid_of_host(uid),
            Change::RequestInstanceUid => {
                self.wishes.poll |= !self.identity.wanted;
                self.identity.wanted = true;
            }
            Change::Headers => self.gate.on_headers(),
            Change::PollNow => self.wishes.poll = true,
            Change::ReportFullState => self.want_all_by_host(),
            Change::Reconnect => match (self.config.policy, &self.link) {
                (Policy::Http, _) => self.wishes.poll = true,
                (Policy::WebSocket, Link::Open(_)) => self.wishes.reconnect = true,
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
            Change::WithdrawReport(ticket) => self.tickets.withdraw(ticket),
        }
    }

    /// What waits for the next poll waits for it as it is now (HTTP-11, HTTP-21).
    pub(super) fn on_interval(&mut self) {
        if let (Policy::Http, Some(at)) = (self.config.policy, self.next_beat()) {
            self.gate.on_next_poll(self.now, at);
        }
    }

    /// The new uid is reported with all that is known of the agent, for to the server it is another one.
    pub(super) fn adopt(&mut self, uid: Uid) {
        let identity = &mut self.identity;
        let former = std::mem::replace(&mut identity.uid, uid);
        // One that no message has carried is nobody's: the server still uses the one before.
        if std::mem::take(&mut identity.is_used) {
            identity.former = Some(former);
        }
        identity.wanted = false;
    }

    pub(super) fn on_verdict_overdue(&mut self) {
        let seconds = self.config.applying_overdue.as_secs();
        if let Some(status) = self.offers.on_overdue(&self.config) {
            self.reported.set_status(&status);
            let text = format!("an offer was not applied within {seconds} s");
            self.warn(WarningKind::ApplyingOverdue, &text);
        } else if self.offers.is_host_busy() {
            let text = format!("an offer has no answer after {seconds} s");
            self.warn(WarningKind::OfferUnanswered, &text);
        }
    }

    /// The host owes a verdict from now on, or no longer.
    pub(super) fn expect_verdict(&mut self, within: Option<Duration>) {
        match within {
            Some(within) => self.timers.set(Timer::Verdict, self.now + within),
            None => self.timers.clear(Timer::Verdict),
        }
    }

    fn on_verdict(&mut self, status: &RemoteConfigStatus) {
        let mut known = Carry::new(self.identity.uid);
        self.offers.keep(&mut known);
        // The shell has refused it already, unless the offer changed on the way here.
        if !known.is_verdict_for(status.hash()) {
            return;
        }
        self.reported.set_status(status);
        let is_owed = self.offers.on_verdict(status);
        self.expect_verdict(is_owed.then_some(self.config.applying_overdue));
    }

    /// Also what was too large for the way is tried once more, be it by the next run.
    fn want_all_by_host(&mut self) {
        self.wishes.full_by_host = true;
        self.reported.try_too_large();
    }

    fn on_uid_of_host(&mut self, uid: Uid) {
        if uid != self.identity.uid && uid != [0; 16] {
            self.adopt(uid);
            self.want_all_by_host();
        }
    }

    fn on_report(&mut self, ticket: u64, tries: Option<u32>, force_message: bool) {
        self.wishes.poll |= force_message;
        let first = match &self.link {
            Link::Open(session) => session.id,
            _ => TryId(self.last_try + 1),
        };
        let message_after = force_message.then_some(self.mark);
        let wants = self.reported.generations();
        if !self.tickets.add(ticket, tries, wants, message_after, first) {
            let failure = Failure::new(FailKind::Bug, Reached::No, "too many reports wait");
            let outcome = Outcome::GaveUp(failure);
            let done = Event::ReportDone { ticket, outcome };
            self.events.push(done, self.now);
        }
    }
}
