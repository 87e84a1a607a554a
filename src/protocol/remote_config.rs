//! Offers of remote configurations on their way to the host: what it has not seen goes at once,
//! what a server offers in turn has a budget (LOG-11).
use std::time::Duration;

use super::{
    change::RemoteConfigStatus,
    core::Core,
    delivery::Waiting,
    event::{Event, Message, MessageParts, WarningKind},
    offers::{May, OfferDecision},
    persistent_state::PersistentState,
    time::Time,
    timers::Timer,
    value::Value,
};
use crate::proto::AgentCapabilities;

impl Core {
    /// An offer came: what to tell the host now, and how many it did not hear of.
    pub(super) fn on_remote_config(&mut self, mut waiting: Waiting) -> Option<(Message, u64)> {
        if self.state.reported.capabilities & AgentCapabilities::AcceptsRemoteConfig as u64 == 0 {
            return None;
        }
        // What the server said last holds.
        if let Some((_, old)) = self.state.delivery.waiting.take() {
            let is_same = old.offer.config_hash == waiting.offer.config_hash;
            self.state.delivery.left_out += u64::from(!is_same || old.offer.config_hash.is_empty());
        }
        let may = May {
            repeat: self.state.limits.offer.next() <= self.now,
            known: self.state.limits.known_offer.next() <= self.now || planted!(Storms),
            // Who has answered the last one sets the pace.
            new: self.state.limits.new_offer.next() <= self.now
                || self.state.offers.is_last_answered(),
        };
        let offer = std::mem::take(&mut waiting.offer);
        match self
            .state
            .offers
            .on_offer(&self.config, offer, self.now, &may)
        {
            OfferDecision::Nothing => None,
            OfferDecision::Wait { offer, is_known } => {
                let at = if is_known {
                    self.state.limits.known_offer.next()
                } else {
                    self.state.limits.new_offer.next()
                };
                let waiting = Waiting { offer, ..waiting };
                self.state.delivery.waiting = Some((at, waiting));
                let is_first = is_known && self.state.limits.known_offer.is_first_limited(self.now);
                self.warn_of_turns(is_first);
                None
            }
            OfferDecision::Deliver {
                offer,
                repeats,
                is_known,
            } => {
                match (repeats, is_known) {
                    (true, _) => self.state.limits.offer.spend(self.now),
                    (false, true) => self.state.limits.known_offer.spend(self.now),
                    (false, false) => self.state.limits.new_offer.spend(self.now),
                }
                let overdue = self.config.applying_overdue;
                self.expect_verdict(self.state.offers.is_host_busy().then_some(overdue));
                self.warn_of_provocation();
                let message = Message {
                    parts: MessageParts::REMOTE_CONFIG,
                    remote_config: Some(offer),
                    flags: waiting.flags,
                    capabilities: waiting.capabilities,
                    raw: waiting.raw,
                };
                Some((message, std::mem::take(&mut self.state.delivery.left_out)))
            }
            OfferDecision::Status(status) => {
                self.answer_for_host(&status);
                None
            }
            OfferDecision::Refuse { files, status } => {
                if let Some(status) = status {
                    self.answer_for_host(&status);
                }
                let text = format!("an offer of {files} files was refused");
                self.warn(WarningKind::OfferTooLarge, &text);
                None
            }
        }
    }

    /// Delivers what has waited long enough, if the agent is not stopping.
    pub(super) fn deliver_due(&mut self) {
        let is_due = |(at, _): &mut (Time, Waiting)| *at <= self.now;
        let Some((_, waiting)) = self.state.delivery.waiting.take_if(is_due) else {
            return;
        };
        if self.stop.is_some() {
            return;
        }
        if let Some((message, left_out)) = self.on_remote_config(waiting) {
            self.events.push_after(Event::Message(message), left_out);
        }
    }

    fn answer_for_host(&mut self, status: &RemoteConfigStatus) {
        self.report_status(status);
        self.expect_verdict(None);
        self.warn_of_provocation();
    }

    /// Two servers that do not agree, say, could have verdicts without end: they wait for a budget.
    fn warn_of_provocation(&mut self) {
        let is_first = self.state.offers.is_rate_limited()
            && self.state.limits.offer.is_first_limited(self.now);
        self.warn_of_turns(is_first);
    }

    fn warn_of_turns(&mut self, is_first: bool) {
        if is_first {
            self.warn(
                WarningKind::ServerAsksTooOften,
                "known configurations are offered in turn, again and again",
            );
        }
    }

    pub(super) fn on_verdict_overdue(&mut self) {
        let seconds = self.config.applying_overdue.as_secs();
        if let Some(status) = self.state.offers.on_overdue(&self.config) {
            self.report_status(&status);
            let text = format!("an offer was not applied within {seconds} s");
            self.warn(WarningKind::ApplyingOverdue, &text);
        } else if self.state.offers.is_host_busy() {
            let text = format!("an offer has no answer after {seconds} s");
            self.warn(WarningKind::OfferUnanswered, &text);
        }
    }

    /// The host owes a verdict from now on, or no longer.
    pub(super) fn expect_verdict(&mut self, within: Option<Duration>) {
        match within {
            Some(within) => self.timers.set(Timer::ConfigStatus, self.now + within),
            None => self.timers.clear(Timer::ConfigStatus),
        }
    }

    pub(super) fn on_config_status(&mut self, status: &RemoteConfigStatus) {
        let mut known = PersistentState::new(self.state.identity.uid);
        self.state.offers.keep(&mut known);
        // The shell has refused it already, unless the offer changed on the way here.
        if !known.is_verdict_for(status.hash()) {
            return;
        }
        self.report_status(status);
        let is_owed = self.state.offers.on_verdict(status);
        self.expect_verdict(is_owed.then_some(self.config.applying_overdue));
    }

    fn report_status(&mut self, status: &RemoteConfigStatus) {
        let value = Value::RemoteConfigStatus(status.clone());
        self.state.reported.set(value);
    }
}
