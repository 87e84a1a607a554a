//! The remote configurations offered, and the host's verdicts on them.
use std::sync::Arc;

use bytes::Bytes;

use super::{
    change::{ConfigState, RemoteConfigStatus},
    config::Config,
    digest::digest,
    event::RemoteConfig,
    offer_memory::OfferMemory,
    persistent_state::PersistentState,
    time::Time,
};
use crate::proto;

/// The last offer that was delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferState {
    pub hash: Bytes,
    pub delivered: Time,
    /// `Unset`: the host has not answered.
    pub state: ConfigState,
}

/// What to do with an offer.
pub(super) enum OfferDecision {
    /// It was delivered already, or is answered already.
    Nothing,
    Deliver {
        offer: RemoteConfig,
        /// It is the last one once more, only because the budget allowed it.
        repeats: bool,
        /// It came before.
        is_known: bool,
    },
    /// To be delivered when its budget allows it, if none comes after it.
    Wait {
        offer: proto::AgentRemoteConfig,
        is_known: bool,
    },
    /// Answered without bothering the host.
    Status(RemoteConfigStatus),
    /// Refused without bothering the host, which is warned.
    Refuse {
        files: usize,
        status: Option<RemoteConfigStatus>,
    },
}

/// What the budgets allow.
pub(super) struct May {
    /// The same offer once more.
    pub(super) repeat: bool,
    /// One that alternates with others.
    pub(super) known: bool,
    pub(super) new: bool,
}

#[derive(Default)]
pub(super) struct Offers {
    /// The last one that the host got, or that was answered for it.
    last: Option<OfferState>,
    /// A digest of the last offer without a hash.
    nameless: Option<u64>,
    reported: Option<RemoteConfigStatus>,
    memory: OfferMemory,
}

impl Offers {
    /// An offer that the host never answered is forgotten, so that it is delivered again.
    pub(super) fn new(carry: &PersistentState, now: Time) -> Self {
        let answered = carry
            .verdict
            .as_ref()
            .filter(|verdict| verdict.state() != ConfigState::Unset);
        let last = answered
            .filter(|verdict| carry.last_offer.as_ref() == Some(verdict.hash()))
            .map(|verdict| OfferState {
                hash: verdict.hash().clone(),
                delivered: now,
                state: verdict.state(),
            });
        Self {
            last,
            nameless: None,
            reported: carry.verdict.clone(),
            memory: OfferMemory::new(carry.applied.clone(), carry.failed.clone()),
        }
    }

    pub(super) fn keep(&self, carry: &mut PersistentState) {
        carry.last_offer = self.last.as_ref().map(|last| last.hash.clone());
        carry.verdict = self.reported.clone();
        carry.applied = self.memory.applied().cloned();
        carry.failed = self.memory.failed().clone();
    }

    pub(super) const fn last(&self) -> Option<&OfferState> {
        self.last.as_ref()
    }

    pub(super) fn on_offer(
        &mut self,
        config: &Config,
        offer: proto::AgentRemoteConfig,
        now: Time,
        may: &May,
    ) -> OfferDecision {
        let hash = Bytes::copy_from_slice(&offer.config_hash);
        let map = offer.config.unwrap_or_default();
        if hash.is_empty() {
            return self.on_offer_without_hash(config, map, now, may);
        }
        let same = self
            .last
            .as_ref()
            .filter(|last| last.hash == hash)
            .map(|last| last.state);
        match same {
            Some(ConfigState::Failed) if config.redeliver_failed && may.repeat => {}
            Some(_) => return OfferDecision::Nothing,
            None if self.is_host_busy() => {}
            None if self.memory.applied() == Some(&hash) => {
                let status = RemoteConfigStatus::applied(hash);
                return self.answer(status, now);
            }
            None => {
                let failed = self.memory.failure_of(&hash);
                if let Some(failed) = failed.filter(|_| !config.redeliver_failed) {
                    let status = RemoteConfigStatus::failed(hash, failed.error.clone());
                    return self.answer(status, now);
                }
            }
        }
        if map.config_map.len() > config.offer_files_limit {
            let files = map.config_map.len();
            let text = format!("{files} files, the limit is {}", config.offer_files_limit);
            let status = RemoteConfigStatus::failed(hash, text.into());
            self.on_verdict(&status);
            self.note(status.hash().clone(), ConfigState::Failed, now);
            self.memory.on_answered();
            return OfferDecision::Refuse {
                files,
                status: Some(status),
            };
        }
        let (repeats, is_known) = (same.is_some(), self.memory.has_seen(digest([&hash[..]])));
        if !repeats && !may.allows(is_known) {
            let offer = waiting(map, hash);
            return OfferDecision::Wait { offer, is_known };
        }
        self.note(hash.clone(), ConfigState::Unset, now);
        let offer = RemoteConfig {
            files: Arc::new(map),
            hash,
        };
        OfferDecision::Deliver {
            offer,
            repeats,
            is_known,
        }
    }

    /// The host's word, which the caller has checked with [`PersistentState::is_verdict_for`].
    /// Answers whether the host still owes the last word on the last offer.
    pub(super) fn on_verdict(&mut self, status: &RemoteConfigStatus) -> bool {
        let hash = status.hash();
        match status.state() {
            ConfigState::Applied => {
                self.memory.on_applied(hash);
                // A later offer without a hash is what the agent runs.
                if self.last.as_ref().is_some_and(|last| last.hash.is_empty()) {
                    self.memory.forget_applied();
                }
            }
            ConfigState::Failed => self.memory.on_failed(hash, status.shared_error()),
            ConfigState::Unset => self.memory.forget_applied(),
            ConfigState::Applying => {}
        }
        self.reported = Some(status.clone());
        match &mut self.last {
            Some(last) if last.hash == *hash => last.state = status.state(),
            _ => {}
        }
        self.is_host_busy()
    }

    /// The time for the last word is over; the verdict that the host should have given, if it had
    /// begun.
    pub(super) fn on_overdue(&mut self, config: &Config) -> Option<RemoteConfigStatus> {
        let last = self
            .last
            .as_ref()
            .filter(|last| last.state == ConfigState::Applying)?;
        let text = format!(
            "not finished within {} s",
            config.applying_overdue.as_secs()
        );
        let status = RemoteConfigStatus::failed(last.hash.clone(), text.into());
        self.on_verdict(&status);
        Some(status)
    }

    /// Whether a verdict on the last offer must be held in a budget.
    pub(super) const fn is_rate_limited(&self) -> bool {
        self.memory.is_rate_limited()
    }

    /// Whether the host has not come to an end with the last offer, so that no older verdict holds.
    pub(super) fn is_host_busy(&self) -> bool {
        self.last.as_ref().is_some_and(|last| {
            let open = matches!(last.state, ConfigState::Unset | ConfigState::Applying);
            open && !last.hash.is_empty()
        })
    }

    /// Whether the last offer, if there was one, has APPLIED or FAILED.
    pub(super) fn is_last_answered(&self) -> bool {
        self.last.as_ref().is_none_or(|last| {
            let is_done = matches!(last.state, ConfigState::Applied | ConfigState::Failed);
            is_done && !last.hash.is_empty()
        })
    }

    /// No status can name it, and it makes what was applied before a thing of the past.
    fn on_offer_without_hash(
        &mut self,
        config: &Config,
        map: proto::AgentConfigMap,
        now: Time,
        may: &May,
    ) -> OfferDecision {
        let files = map.config_map.iter();
        let words = files
            .flat_map(|(name, file)| [name.as_bytes(), file.content_type.as_bytes(), &file.body]);
        let digest = digest(words);
        let repeats = self.nameless == Some(digest);
        if repeats && !may.repeat {
            return OfferDecision::Nothing;
        }
        let is_known = self.memory.has_seen(digest);
        let files = map.config_map.len();
        if files > config.offer_files_limit {
            return OfferDecision::Refuse {
                files,
                status: None,
            };
        }
        if !repeats && !may.allows(is_known) {
            let offer = waiting(map, Bytes::new());
            return OfferDecision::Wait { offer, is_known };
        }
        self.nameless = Some(digest);
        self.note_as(digest, Bytes::new(), ConfigState::Unset, now);
        self.memory.forget_applied();
        let offer = RemoteConfig {
            files: Arc::new(map),
            hash: Bytes::new(),
        };
        OfferDecision::Deliver {
            offer,
            repeats,
            is_known,
        }
    }

    fn answer(&mut self, status: RemoteConfigStatus, now: Time) -> OfferDecision {
        self.note(status.hash().clone(), status.state(), now);
        self.reported = Some(status.clone());
        self.memory.on_answered();
        OfferDecision::Status(status)
    }

    fn note(&mut self, hash: Bytes, state: ConfigState, delivered: Time) {
        self.note_as(digest([&hash[..]]), hash, state, delivered);
    }

    fn note_as(&mut self, seen: u64, hash: Bytes, state: ConfigState, delivered: Time) {
        self.memory.on_seen(seen);
        self.last = Some(OfferState {
            hash,
            delivered,
            state,
        });
    }
}

impl May {
    const fn allows(&self, is_known: bool) -> bool {
        if is_known { self.known } else { self.new }
    }
}

fn waiting(map: proto::AgentConfigMap, hash: Bytes) -> proto::AgentRemoteConfig {
    proto::AgentRemoteConfig {
        config: Some(map),
        config_hash: hash,
    }
}
