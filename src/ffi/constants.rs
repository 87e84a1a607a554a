//! Constants that only the header needs: the agent has its own types for them, and a test compares
//! the numbers.
#![allow(dead_code)]

/// Where events go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_delivery {
    /// To the callbacks, on a thread of the library. The default.
    OPAMP_DELIVERY_THREAD = 0,
    /// To whoever calls opamp_agent_dispatch or opamp_agent_next_event.
    OPAMP_DELIVERY_POLL = 1,
}

/// What an agent may declare with opamp_client_set_capabilities: AgentCapabilities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_capability {
    /// Must be there. On by default.
    OPAMP_CAPABILITY_REPORTS_STATUS = 1,
    /// The server may offer configurations; gives it power over the host.
    OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG = 2,
    OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG = 4,
    OPAMP_CAPABILITY_ACCEPTS_PACKAGES = 8,
    OPAMP_CAPABILITY_REPORTS_PACKAGE_STATUSES = 16,
    OPAMP_CAPABILITY_REPORTS_OWN_TRACES = 32,
    OPAMP_CAPABILITY_REPORTS_OWN_METRICS = 64,
    OPAMP_CAPABILITY_REPORTS_OWN_LOGS = 128,
    OPAMP_CAPABILITY_ACCEPTS_OPAMP_CONNECTION_SETTINGS = 256,
    OPAMP_CAPABILITY_ACCEPTS_OTHER_CONNECTION_SETTINGS = 512,
    OPAMP_CAPABILITY_ACCEPTS_RESTART_COMMAND = 1024,
    OPAMP_CAPABILITY_REPORTS_HEALTH = 2048,
    /// The verdicts on offered configurations are reported.
    OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG = 4096,
    /// On by default.
    OPAMP_CAPABILITY_REPORTS_HEARTBEAT = 8192,
    OPAMP_CAPABILITY_REPORTS_AVAILABLE_COMPONENTS = 16384,
    OPAMP_CAPABILITY_REPORTS_CONNECTION_SETTINGS_STATUS = 32768,
}

/// The host's verdict on an offered configuration: RemoteConfigStatuses of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_remote_config_state {
    /// There is none. Set before the first offer alone, without a hash.
    OPAMP_REMOTE_CONFIG_UNSET = 0,
    OPAMP_REMOTE_CONFIG_APPLIED = 1,
    OPAMP_REMOTE_CONFIG_APPLYING = 2,
    /// Goes with an error text.
    OPAMP_REMOTE_CONFIG_FAILED = 3,
}

/// How much is told; a level includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_log_level {
    OPAMP_LOG_OFF = 0,
    OPAMP_LOG_ERROR = 1,
    OPAMP_LOG_WARN = 2,
    OPAMP_LOG_INFO = 3,
    OPAMP_LOG_DEBUG = 4,
}

/// What a server's error_response says it is: ServerErrorResponseType of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_server_error_type {
    OPAMP_SERVER_ERROR_UNKNOWN = 0,
    /// What was reported is held back until it changes, or until the application asks for a full
    /// report.
    OPAMP_SERVER_ERROR_BAD_REQUEST = 1,
    /// The library tries again when the server asked for it, else after a delay.
    OPAMP_SERVER_ERROR_UNAVAILABLE = 2,
}

/// What a message brought: bits of opamp_message_parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_message_part {
    /// An offered configuration.
    OPAMP_MESSAGE_PART_REMOTE_CONFIG = 1,
}

/// What a message asked of the library, which has acted on it: ServerToAgentFlags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_message_flag {
    OPAMP_MESSAGE_FLAG_REPORT_FULL_STATE = 1,
    OPAMP_MESSAGE_FLAG_REPORT_AVAILABLE_COMPONENTS = 2,
}

/// What a server said of itself: ServerCapabilities of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_server_capability {
    OPAMP_SERVER_CAPABILITY_ACCEPTS_STATUS = 1,
    OPAMP_SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG = 2,
    OPAMP_SERVER_CAPABILITY_ACCEPTS_EFFECTIVE_CONFIG = 4,
    OPAMP_SERVER_CAPABILITY_OFFERS_PACKAGES = 8,
    OPAMP_SERVER_CAPABILITY_ACCEPTS_PACKAGES_STATUS = 16,
    OPAMP_SERVER_CAPABILITY_OFFERS_CONNECTION_SETTINGS = 32,
    OPAMP_SERVER_CAPABILITY_ACCEPTS_CONNECTION_SETTINGS_REQUEST = 64,
}

/// The numbers of a snapshot. Counters are of the present run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_snapshot_field {
    /// One of `enum opamp_agent_state`.
    OPAMP_SNAPSHOT_STATE = 1,
    /// How long it has been in that state.
    OPAMP_SNAPSHOT_STATE_AGE_MS = 2,
    /// When it will do something by itself; not found: never.
    OPAMP_SNAPSHOT_NEXT_TRY_MS = 3,
    /// Why then: one of `enum opamp_wait_reason`.
    OPAMP_SNAPSHOT_NEXT_TRY_REASON = 4,
    /// How long ago the server last answered well; not found: never.
    OPAMP_SNAPSHOT_LAST_SUCCESS_AGE_MS = 5,
    /// Exchanges tried.
    OPAMP_SNAPSHOT_ATTEMPTS = 6,
    /// Failures in a row; 0 after a success.
    OPAMP_SNAPSHOT_FAILURES = 7,
    OPAMP_SNAPSHOT_MESSAGES_SENT = 8,
    OPAMP_SNAPSHOT_MESSAGES_RECEIVED = 9,
    OPAMP_SNAPSHOT_BYTES_SENT = 10,
    OPAMP_SNAPSHOT_BYTES_RECEIVED = 11,
    /// The number of the next message.
    OPAMP_SNAPSHOT_SEQUENCE_NUM = 12,
    /// Bits of `enum opamp_server_capability`; 0: the server has not said.
    OPAMP_SNAPSHOT_SERVER_CAPABILITIES = 13,
    /// What the server has not confirmed yet: bits of `enum opamp_part`.
    OPAMP_SNAPSHOT_PENDING = 14,
    /// What the server refused, held back until it changes or until the application asks for a full
    /// report: bits of `enum opamp_part`.
    OPAMP_SNAPSHOT_HELD_BACK = 15,
    /// Between two messages, as in force.
    OPAMP_SNAPSHOT_INTERVAL_MS = 16,
    /// One of `enum opamp_transport`.
    OPAMP_SNAPSHOT_TRANSPORT = 17,
    /// 1: the host has not answered the last offer.
    OPAMP_SNAPSHOT_PENDING_OFFER = 18,
    /// Events that wait for the host.
    OPAMP_SNAPSHOT_EVENTS_WAITING = 19,
    /// Connections made.
    OPAMP_SNAPSHOT_CONNECTIONS = 20,
    /// How long ago the last failure was; not found: there was none.
    OPAMP_SNAPSHOT_LAST_ERROR_AGE_MS = 21,
}

/// Where an agent stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_agent_state {
    OPAMP_AGENT_STOPPED = 0,
    /// The server has not answered since the start or the last failure, and a try is on its way.
    OPAMP_AGENT_CONNECTING = 1,
    /// The last try succeeded.
    OPAMP_AGENT_CONNECTED = 2,
    /// The last try failed; the next one comes after a wait.
    OPAMP_AGENT_WAITING = 3,
    OPAMP_AGENT_STOPPING = 4,
}

/// What an agent waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_wait_reason {
    /// The end of the stop grace.
    OPAMP_WAIT_STOP = 1,
    /// The peer's end of a close.
    OPAMP_WAIT_CLOSE = 2,
    /// The answer of an exchange.
    OPAMP_WAIT_EXCHANGE = 3,
    /// A peer that leaves a message without an answer.
    OPAMP_WAIT_RESPONSE = 4,
    /// The host's verdict on an offer.
    OPAMP_WAIT_CONFIG_STATUS = 5,
    /// The next poll.
    OPAMP_WAIT_HEARTBEAT = 6,
    /// The budget of changes by the host.
    OPAMP_WAIT_CHANGE = 7,
    /// The budget of full reports that the server asks for.
    OPAMP_WAIT_FULL_REPORT = 8,
    /// A retry after a failure.
    OPAMP_WAIT_BACKOFF = 9,
    /// The next poll, because the last answer would only repeat itself.
    OPAMP_WAIT_NEXT_POLL = 10,
    /// The server asked to wait.
    OPAMP_WAIT_RETRY_AFTER = 11,
    /// An event or offer that the server provokes too often waits for its budget.
    OPAMP_WAIT_TELL = 12,
}

/// A part of what an agent reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_part {
    OPAMP_PART_DESCRIPTION = 1,
    OPAMP_PART_EFFECTIVE_CONFIG = 2,
    OPAMP_PART_REMOTE_CONFIG_STATUS = 4,
    OPAMP_PART_CAPABILITIES = 8,
}

/// What carries the messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub enum opamp_transport {
    OPAMP_TRANSPORT_HTTP = 0,
    /// The host's own HTTP stack.
    OPAMP_TRANSPORT_CUSTOM = 1,
    OPAMP_TRANSPORT_WEBSOCKET = 2,
}
