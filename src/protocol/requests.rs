//! What was asked for beside news and heartbeats.

/// What wants a message beside news and heartbeats.
#[derive(Default)]
pub(super) struct PendingRequests {
    /// The host asked for one.
    pub(super) poll: bool,
    /// The last try failed.
    pub(super) again: bool,
    /// The last exchange died on a kept connection, or in a freeze: repeat it, in silence, once.
    pub(super) repeat: bool,
    pub(super) full_by_host: bool,
    pub(super) full_by_server: bool,
    /// WebSocket only.
    pub(super) reconnect: bool,
}
