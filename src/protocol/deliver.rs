//! Offers of remote configurations on their way to the host: what it has not seen goes at once, what a server offers in turn
//! has a budget (LOG-11).
use bytes::Bytes;

use super::{
    Core, Event, Message, MessageParts, RemoteConfigStatus, WarningKind,
    offers::{Answer, May},
    time::Time,
    timers::{Deadline, Timer},
};
use crate::proto::{self, AgentCapabilities};

/// An offer and the message that brought it.
pub(super) struct Waiting {
    pub(super) offer: proto::AgentRemoteConfig,
    pub(super) flags: u64,
    pub(super) capabilities: u64,
    pub(super) raw: Bytes,
}

#[derive(Default)]
pub(super) struct Delivery {
    /// The newest offer, and when it may be delivered.
    waiting: Option<(Time, Waiting)>,
    /// Offers since the last delivery that a newer one took the place of.
    left_out: u64,
}

impl Delivery {
    pub(super) fn next(&self) -> Option<Deadline> {
        let why = Timer::Tell;
        self.waiting
            .as_ref()
            .map(|(at, _)| Deadline { at: *at, why })
    }
}

impl Core {
    /// An offer came: what to tell the host now, and how many it did not hear of.
    pub(super) fn on_remote_config(&mut self, mut waiting: Waiting) -> Option<(Message, u64)> {
        if self.reported.capabilities & AgentCapabilities::AcceptsRemoteConfig as u64 == 0 {
            return None;
        }
        // What the server said last holds.
        if let Some((_, old)) = self.delivery.waiting.take() {
            let is_same = old.offer.config_hash == waiting.offer.config_hash;
            self.delivery.left_out += u64::from(!is_same || old.offer.config_hash.is_empty());
        }
        let may = May {
            repeat: self.budgets.offer.next() <= self.now,
            known: self.budgets.known_offer.next() <= self.now || planted!(Storms),
            new: self.budgets.new_offer.next() <= self.now,
        };
        let offer = std::mem::take(&mut waiting.offer);
        match self.offers.on_offer(&self.config, offer, self.now, &may) {
            Answer::Nothing => None,
            Answer::Wait { offer, is_known } => {
                let at = if is_known {
                    self.budgets.known_offer.next()
                } else {
                    self.budgets.new_offer.next()
                };
                let waiting = Waiting { offer, ..waiting };
                self.delivery.waiting = Some((at, waiting));
                let is_first = is_known && self.budgets.known_offer.bites_first(self.now);
                self.warn_of_turns(is_first);
                None
            }
            Answer::Deliver {
                offer,
                repeats,
                is_known,
            } => {
                match (repeats, is_known) {
                    (true, _) => self.budgets.offer.spend(self.now),
                    (false, true) => self.budgets.known_offer.spend(self.now),
                    (false, false) => self.budgets.new_offer.spend(self.now),
                }
                let overdue = self.config.applying_overdue;
                self.expect_verdict(self.offers.is_host_busy().then_some(overdue));
                self.warn_of_provocation();
                let message = Message {
                    parts: MessageParts::REMOTE_CONFIG,
                    remote_config: Some(offer),
                    flags: waiting.flags,
                    capabilities: waiting.capabilities,
                    raw: waiting.raw,
                };
                Some((message, std::mem::take(&mut self.delivery.left_out)))
            }
            Answer::Status(status) => {
                self.answer_for_host(&status);
                None
            }
            Answer::Refuse { files, status } => {
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
        let Some((_, waiting)) = self.delivery.waiting.take_if(is_due) else {
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
        self.reported.set_status(status);
        self.expect_verdict(None);
        self.warn_of_provocation();
    }

    /// Two servers that do not agree, say, could have verdicts without end: they wait for a budget.
    fn warn_of_provocation(&mut self) {
        let is_first = self.offers.is_provoked() && self.budgets.offer.bites_first(self.now);
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
}
