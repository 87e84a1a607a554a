//! What the host's threads leave for the worker: the newest of each kind, and a wake-up.

use std::{sync::Arc, time::Duration};

use crate::locks::Mutex;

use super::config_map::ConfigMap;
use crate::{
    proto::AgentDescription,
    protocol::RemoteConfigStatus,
    transport::{Headers, Wake},
};

/// Shared by the client's setters, the agent's calls and the worker of one run.
#[derive(Debug)]
pub(crate) struct Mailbox {
    slot: Mutex<Slot>,
    wake: Wake,
}

#[derive(Debug, Default)]
struct Slot {
    /// Nothing most of the time, and then cheap to look at.
    mail: Option<Box<Mail>>,
    /// The run is over: nobody will read it.
    is_closed: bool,
}

/// Each entry replaces the one before; only completions add up, and those have a bound of their
/// own.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) description: Option<Arc<AgentDescription>>,
    pub(crate) effective_config: Option<ConfigMap>,
    pub(crate) verdict: Option<RemoteConfigStatus>,
    pub(crate) capabilities: Option<u64>,
    pub(crate) headers: Option<Arc<Headers>>,
    pub(crate) request_uid: bool,
    pub(crate) interval: Option<Duration>,
    pub(crate) poll_now: bool,
    pub(crate) report_full_state: bool,
    pub(crate) reconnect: bool,
    pub(crate) reports: Vec<Report>,
    /// Tickets that nobody waits for any more.
    pub(crate) withdrawn: Vec<u64>,
    pub(crate) stop: Option<Leave>,
}

/// How a run is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leave {
    pub(crate) within: Duration,
    /// Not on a detach.
    pub(crate) goodbye: bool,
}

impl Leave {
    /// Of two that come together: a detach stays one.
    pub(crate) fn merged(self, other: Option<Self>) -> Self {
        Self {
            goodbye: self.goodbye && other.is_none_or(|other| other.goodbye),
            ..self
        }
    }
}

/// Wants to hear when all that was set before is confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) ticket: u64,
    pub(crate) tries: Option<u32>,
    /// A message leaves even when nothing is pending.
    pub(crate) is_forced: bool,
}

impl Mailbox {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self {
            slot: Mutex::default(),
            wake,
        })
    }

    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Changes the mail and wakes the worker. `false`: the run is over, and nothing was taken.
    pub(crate) fn put(&self, change: impl FnOnce(&mut Mail)) -> bool {
        let mut slot = self.slot.lock();
        if slot.is_closed {
            return false;
        }
        change(slot.mail.get_or_insert_default());
        drop(slot);
        self.wake.wake();
        true
    }

    /// All of it, if there is any, and the wake-up with it.
    pub(crate) fn collect(&self) -> Option<Box<Mail>> {
        // Before the mail is looked at: what comes in between wakes again.
        if self.wake.is_raised() {
            self.wake.clear();
        }
        self.slot.lock().mail.take()
    }

    /// What came too late for the worker; nothing is taken from now on.
    pub(crate) fn close(&self) -> Mail {
        let mut slot = self.slot.lock();
        slot.is_closed = true;
        slot.mail.take().map_or_else(Mail::default, |mail| *mail)
    }
}
