//! What an agent is and has said, whatever server it talks to.
use super::{
    config::{Config, Uid},
    delivery::Delivery,
    offers::Offers,
    persistent_state::PersistentState,
    rate_limit::{ServerRateLimit, UpdateRateLimit},
    reported::{MessageIndex, ReportedState},
    tickets::Tickets,
    time::Time,
    value::Value,
};

pub(super) struct State {
    pub(super) identity: Identity,
    /// The sequence number of the next message.
    pub(super) next_number: u64,
    /// The message built last.
    pub(super) mark: MessageIndex,
    pub(super) reported: ReportedState,
    pub(super) offers: Offers,
    pub(super) delivery: Delivery,
    pub(super) tickets: Tickets,
    pub(super) limits: Limits,
}

/// Who we are to the server.
pub(super) struct Identity {
    pub(super) uid: Uid,
    /// Still accepted, until the server uses the new one (RCV-09).
    pub(super) former: Option<Uid>,
    /// A message has carried the present one.
    pub(super) is_used: bool,
    /// Ours is temporary (SYNC-11).
    pub(super) wanted: bool,
}

/// Rate limits of what the application and the server can trigger.
pub(super) struct Limits {
    pub(super) host: UpdateRateLimit,
    pub(super) full_report: ServerRateLimit,
    /// Statuses of offers that come back, and the same offer once more.
    pub(super) offer: ServerRateLimit,
    /// Deliveries of offers that alternate.
    pub(super) known_offer: ServerRateLimit,
    /// Deliveries of others.
    pub(super) new_offer: UpdateRateLimit,
}

impl State {
    pub(super) fn new(config: &Config, carry: &PersistentState, now: Time) -> Self {
        let mut reported = ReportedState::new(carry.too_large);
        if let Some(verdict) = &carry.verdict {
            reported.set(Value::RemoteConfigStatus(verdict.clone()));
        }
        Self {
            identity: Identity {
                uid: carry.instance_uid,
                former: None,
                is_used: false,
                wanted: carry.request_instance_uid,
            },
            next_number: carry.sequence_num,
            mark: 0,
            reported,
            offers: Offers::new(carry, now),
            delivery: Delivery::default(),
            tickets: Tickets::default(),
            limits: Limits {
                host: UpdateRateLimit::new(config.host_change_burst, config.host_change_period),
                full_report: ServerRateLimit::default(),
                offer: ServerRateLimit::default(),
                known_offer: ServerRateLimit::default(),
                new_offer: UpdateRateLimit::default(),
            },
        }
    }
}

impl Identity {
    /// Another uid is in use from now on.
    pub(super) fn adopt(&mut self, uid: Uid) {
        let former = std::mem::replace(&mut self.uid, uid);
        // One that no message has carried is nobody's: the server still uses the one before.
        if std::mem::take(&mut self.is_used) {
            self.former = Some(former);
        }
        self.wanted = false;
    }
}
