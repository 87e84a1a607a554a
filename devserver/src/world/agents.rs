//! What the server remembers of each agent, between polls and after it went.
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::vocabulary::codec;
use crate::vocabulary::text::{hex, millis};
use crate::vocabulary::wire::proto::{
    AgentCapabilities, ConnectionSettingsStatuses, RemoteConfigStatuses,
};
use crate::vocabulary::wire::{AgentToServer, short};

/// How an agent went that said so.
const DISCONNECTED: &str = "AgentDisconnect";

pub(crate) struct Agent {
    pub(crate) uid: Uuid,
    /// The uids it had before the server gave it another.
    pub(crate) former: Vec<Uuid>,
    pub(crate) first_seen: Duration,
    pub(crate) last_seen: Duration,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) transport: &'static str,
    /// The number of the connection that its last message came on.
    pub(crate) connection: u64,
    pub(crate) messages: u64,
    pub(crate) heartbeats: u64,
    /// The newest of every part that it ever sent, and of number and capabilities.
    pub(crate) known: AgentToServer,
    /// When it went and how.
    pub(crate) gone: Option<(Duration, &'static str)>,
    pub(crate) offers: Vec<Offered>,
    /// Answers that wait for its next messages.
    pub(crate) next: VecDeque<Next>,
    pub(crate) watch: Watch,
}

/// An answer given once, in place of or over the usual one.
#[derive(Clone, Debug)]
pub(crate) struct Next {
    /// An encoded ServerToAgent.
    pub(crate) message: Vec<u8>,
    /// Nothing of the usual answer but the uid.
    pub(crate) is_alone: bool,
    /// These bytes and nothing else.
    pub(crate) is_raw: bool,
}

/// What the verdicts need to remember.
#[derive(Default)]
pub(crate) struct Watch {
    /// How many answers in a row asked for the full state.
    pub(crate) asked_full: u32,
    /// Over WebSocket the full state may come behind messages that crossed the question.
    pub(crate) owes_full: bool,
    /// The last answer was spoiled, or never left: much is allowed.
    pub(crate) excused: bool,
    /// Exchanges that may have been lost on the way since its last message.
    pub(crate) lost: u64,
    /// The interval it was told.
    pub(crate) interval: Option<Duration>,
    /// The hash of the connection settings that told it, and the interval before.
    pub(crate) interval_offer: Option<(Bytes, Option<Duration>)>,
    /// A hash of its last message's bytes.
    pub(crate) last_body: Option<u64>,
    /// Until then it was told to be silent, and the row that says so.
    pub(crate) not_before: Option<(Duration, &'static str)>,
    /// The last capabilities it was told.
    pub(crate) told_capabilities: Option<u64>,
    /// When its messages of the last second came.
    pub(crate) recent: VecDeque<Duration>,
    /// The index of its last message.
    pub(crate) last_index: u64,
}

/// An offer that was put into an answer to this agent.
pub(crate) struct Offered {
    pub(crate) hash: Vec<u8>,
    pub(crate) first_at: Duration,
    pub(crate) times: u64,
    pub(crate) status: Option<RemoteConfigStatuses>,
    pub(crate) verdict_at: Option<Duration>,
    pub(crate) error: String,
}

impl Agent {
    pub(crate) fn new(uid: Uuid, now: Duration) -> Self {
        Self {
            uid,
            former: Vec::new(),
            first_seen: now,
            last_seen: now,
            peer: None,
            transport: "",
            connection: 0,
            messages: 0,
            heartbeats: 0,
            known: AgentToServer::default(),
            gone: None,
            offers: Vec::new(),
            next: VecDeque::new(),
            watch: Watch::default(),
        }
    }

    pub(crate) fn can(&self, capability: AgentCapabilities) -> bool {
        self.known.capabilities & capability as u64 != 0
    }

    /// Another process under the same uid, or another run of the same: it begins with the full
    /// state, which may be less than the former one's. Where the number simply goes on, what is
    /// left out may be what was confirmed.
    pub(crate) fn is_new_run(&self, message: &AgentToServer) -> bool {
        let number = message.sequence_num;
        let has_gone = self.gone.is_some_and(|(_, why)| why == DISCONNECTED);
        let begins = has_gone && number != self.known.sequence_num.wrapping_add(1);
        message.agent_description.is_some() && (number == 0 || begins)
    }

    /// What was reported belongs to the former run.
    pub(crate) fn begin_run(&mut self) {
        let sequence_num = self.known.sequence_num;
        self.known = AgentToServer {
            sequence_num,
            ..Default::default()
        };
        self.watch.asked_full = 0;
        self.watch.owes_full = false;
    }

    /// The same bytes again, after an exchange that was refused or lost.
    pub(crate) fn is_repeated(&self, body: u64) -> bool {
        let has_no_response = self.watch.excused || self.watch.lost > 0;
        has_no_response && self.watch.last_body == Some(body)
    }

    /// An interval in connection settings is for agents that report heartbeats.
    pub(crate) fn on_interval(&mut self, interval: Duration, settings: &Bytes) {
        if self.can(AgentCapabilities::ReportsHeartbeat) {
            let before = self.watch.interval.replace(interval);
            self.watch.interval_offer = Some((settings.clone(), before));
        }
    }

    /// Takes over what a message says. The caller has judged it before.
    pub(crate) fn take(&mut self, message: &AgentToServer, now: Duration) {
        let known = &mut self.known;
        known.instance_uid = message.instance_uid.clone();
        known.sequence_num = message.sequence_num;
        known.capabilities = message.capabilities;
        keep(&mut known.agent_description, &message.agent_description);
        keep(&mut known.health, &message.health);
        keep(&mut known.effective_config, &message.effective_config);
        keep(
            &mut known.remote_config_status,
            &message.remote_config_status,
        );
        keep(&mut known.package_statuses, &message.package_statuses);
        keep(&mut known.custom_capabilities, &message.custom_capabilities);
        keep(
            &mut known.available_components,
            &message.available_components,
        );
        keep(
            &mut known.connection_settings_status,
            &message.connection_settings_status,
        );
        self.messages += 1;
        self.last_seen = now;
        self.gone = message.agent_disconnect.map(|_| (now, DISCONNECTED));
        self.take_settings_status(message);
        self.take_verdict(message, now);
    }

    /// An interval that the agent could not apply is not in force.
    fn take_settings_status(&mut self, message: &AgentToServer) {
        let Some(status) = &message.connection_settings_status else {
            return;
        };
        let is_failed = status.status() == ConnectionSettingsStatuses::Failed;
        let hash = &status.last_connection_settings_hash;
        let offer = self
            .watch
            .interval_offer
            .take_if(|(of, _)| is_failed && of == hash);
        if let Some((_, before)) = offer {
            self.watch.interval = before;
        }
    }

    fn take_verdict(&mut self, message: &AgentToServer, now: Duration) {
        let Some(status) = &message.remote_config_status else {
            return;
        };
        let hash = &status.last_remote_config_hash[..];
        if let Some(offer) = self
            .offers
            .iter_mut()
            .rev()
            .find(|offer| offer.hash == hash)
        {
            offer.status = Some(status.status());
            offer.verdict_at = Some(now);
            offer.error = status.error_message.clone();
        }
    }

    /// Whether the agent has said anything about the offer with that hash.
    pub(crate) fn has_answered(&self, hash: &[u8]) -> bool {
        let status = self.known.remote_config_status.as_ref();
        status.is_some_and(|status| {
            status.last_remote_config_hash == hash && status.status() != RemoteConfigStatuses::Unset
        })
    }

    /// Whether the last answers to this agent carried that offer.
    pub(crate) fn was_offered(&self, hash: &[u8]) -> bool {
        self.offers.last().is_some_and(|offer| offer.hash == hash)
    }

    pub(crate) fn on_offered(&mut self, hash: &[u8], now: Duration) {
        match self.offers.last_mut() {
            Some(last) if last.hash == hash => last.times += 1,
            _ => self.offers.push(Offered {
                hash: hash.to_vec(),
                first_at: now,
                times: 1,
                status: None,
                verdict_at: None,
                error: String::new(),
            }),
        }
    }

    pub(crate) fn show(&self, now: Duration) -> Json {
        let known = codec::show("AgentToServer", &self.known.encode_to_vec(), false);
        json!({
            "uid": self.uid.to_string(),
            "former_uids": self.former.iter().map(Uuid::to_string).collect::<Vec<_>>(),
            "transport": self.transport,
            "peer": self.peer.map(|peer| peer.to_string()),
            "first_seen_ms": millis(self.first_seen),
            "last_seen_ms": millis(self.last_seen),
            "silent_for_ms": millis(now.saturating_sub(self.last_seen)),
            "connected": self.gone.is_none(),
            "gone": self.gone.map(|(at, why)| json!({"at_ms": millis(at), "why": why})),
            "messages": self.messages,
            "heartbeats": self.heartbeats,
            "interval_ms": self.watch.interval.map(millis),
            "reported": known.unwrap_or_else(|error| json!({"error": error})),
            "declared_but_never_reported": self.never_reported(),
            "answers_waiting": self.next.len(),
            "offers": self.offers.iter().map(Offered::show).collect::<Vec<_>>(),
        })
    }

    fn never_reported(&self) -> Vec<&'static str> {
        let known = &self.known;
        let parts = [
            (
                AgentCapabilities::ReportsHealth,
                "health",
                known.health.is_some(),
            ),
            (
                AgentCapabilities::ReportsEffectiveConfig,
                "effective_config",
                known.effective_config.is_some(),
            ),
            (
                AgentCapabilities::ReportsRemoteConfig,
                "remote_config_status",
                known.remote_config_status.is_some(),
            ),
            (
                AgentCapabilities::ReportsPackageStatuses,
                "package_statuses",
                known.package_statuses.is_some(),
            ),
            (
                AgentCapabilities::ReportsAvailableComponents,
                "available_components",
                known.available_components.is_some(),
            ),
        ];
        let missing = parts
            .into_iter()
            .filter(|(bit, _, is)| self.can(*bit) && !is);
        missing.map(|(_, name, _)| name).collect()
    }
}

impl Offered {
    fn show(&self) -> Json {
        let took = self
            .verdict_at
            .map(|at| millis(at.saturating_sub(self.first_at)));
        json!({
            "hash": hex(&self.hash),
            "offered_at_ms": millis(self.first_at),
            "times": self.times,
            "status": self.status.map(|status| short(status.as_str_name())),
            "error_message": self.error,
            "offer_to_verdict_ms": took,
        })
    }
}

fn keep<T: Clone>(known: &mut Option<T>, new: &Option<T>) {
    if new.is_some() {
        known.clone_from(new);
    }
}
