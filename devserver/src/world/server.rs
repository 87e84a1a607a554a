//! What all connections share: the state, the clock, and the news that something changed.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value as Json, json};
use tokio::sync::{Notify, watch};

use crate::world::allowed_hosts::AllowedHosts;
use crate::world::state::{Port, State};
use crate::world::tls::Tls;

pub(crate) struct Server {
    state: Mutex<State>,
    changed: Notify,
    started: Instant,
    /// What the OpAMP port shall do; the listening task follows.
    pub(crate) port: watch::Sender<Port>,
    /// Held by the call that moves the port: one that contradicts it comes after it.
    pub(crate) moving: tokio::sync::Mutex<()>,
    pub(crate) tls: Option<Tls>,
    pub(crate) hosts: AllowedHosts,
    pub(crate) address: SocketAddr,
    pub(crate) api_address: SocketAddr,
}

impl Server {
    pub(crate) fn new(
        address: SocketAddr,
        api_address: SocketAddr,
        tls: Option<Tls>,
        hosts: AllowedHosts,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(tls.is_some())),
            changed: Notify::new(),
            started: Instant::now(),
            port: watch::Sender::new(Port::Accepts),
            moving: tokio::sync::Mutex::new(()),
            tls,
            hosts,
            address,
            api_address,
        }
    }

    /// Time since the server started.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Reads the state.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state, then wakes all who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let result = change(&mut self.state.lock(), self.now());
        self.changed.notify_waiters();
        result
    }

    /// Returns after the next change; made before a look at the state, it misses none.
    pub(crate) fn change_after_now(&self) -> impl Future<Output = ()> + '_ {
        let mut next = Box::pin(self.changed.notified());
        next.as_mut().enable();
        next
    }

    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/v1/opamp", self.address)
    }

    pub(crate) fn socket_endpoint(&self) -> String {
        self.endpoint().replacen("http", "ws", 1)
    }

    /// One for each transport.
    pub(crate) fn endpoints(&self) -> Json {
        json!({"http": self.endpoint(), "ws": self.socket_endpoint()})
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}/api", self.api_address)
    }
}
