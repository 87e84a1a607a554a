//! What is fixed while an agent runs, and what a restart keeps.
use std::time::Duration;

/// An instance uid.
pub type Uid = [u8; 16];

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Each message is an exchange, and its answer confirms.
    Http,
    /// A connection is opened first; a pong and then a message confirm.
    WebSocket,
}

/// The values that this release uses unless the host says otherwise. The table of defaults names
/// them.
pub mod defaults {
    use std::time::Duration;

    pub const INTERVAL: Duration = Duration::from_secs(30);
    /// The bounds of what the host may set.
    pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
    pub const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
    /// The bounds within which a server's interval is taken.
    pub const SERVER_INTERVAL_MIN: Duration = Duration::from_secs(1);
    pub const SERVER_INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
    /// Each wait between two polls is longer or shorter by up to this part of it.
    pub const INTERVAL_JITTER_PERCENT: u32 = 10;
    pub const FIRST_RETRY_SPREAD: Duration = Duration::from_secs(5);
    pub const BACKOFF_BASE: Duration = Duration::from_secs(2);
    pub const BACKOFF_TOP: Duration = Duration::from_secs(300);
    /// Retry-After and UNAVAILABLE are believed up to this.
    pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(3600);
    pub const RETRY_AFTER_JITTER: Duration = Duration::from_secs(30);
    /// The least wait after 429, 503 and UNAVAILABLE that name no time.
    pub const OVERLOAD_FLOOR: Duration = Duration::from_secs(30);
    pub const STABLE_SESSION: Duration = Duration::from_secs(30);
    pub const HOST_CHANGE_BURST: u32 = 10;
    pub const HOST_CHANGE_PERIOD: Duration = Duration::from_secs(1);
    pub const MESSAGE_LIMIT: usize = 64 << 20;
    pub const FIELD_LIMIT: u32 = 200_000;
    /// Deliveries of offers that the host has not seen.
    pub const OFFER_BURST: u32 = 32;
    pub const OFFER_PERIOD: Duration = Duration::from_secs(1);
    pub const OFFER_FILES_LIMIT: usize = 10_000;
    pub const APPLYING_OVERDUE: Duration = Duration::from_secs(600);
    pub const CLOSE_WAIT: Duration = Duration::from_secs(1);
    pub const TEXT_LIMIT: usize = 256;
    /// A whole exchange, the transport's own bound; the core only notices that it was passed by
    /// far.
    pub const EXCHANGE_LIMIT: Duration = Duration::from_secs(60);
}

/// Fixed while the agent runs. `Config::new` gives the defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub policy: Policy,
    /// Between two messages, as set by the host; zero: no WebSocket heartbeats.
    pub interval: Duration,
    pub interval_jitter_percent: u32,
    pub server_interval_min: Duration,
    pub server_interval_max: Duration,
    pub first_retry_spread: Duration,
    pub backoff_base: Duration,
    pub backoff_top: Duration,
    pub retry_after_cap: Duration,
    pub retry_after_jitter: Duration,
    pub overload_floor: Duration,
    pub stable_session: Duration,
    pub host_change_burst: u32,
    pub host_change_period: Duration,
    /// Bytes of a message, in either direction.
    pub send_limit: usize,
    pub receive_limit: usize,
    pub field_limit: u32,
    pub offer_files_limit: usize,
    pub applying_overdue: Duration,
    pub close_wait: Duration,
    /// Bytes of a peer's text in an event.
    pub text_limit: usize,
    pub exchange_limit: Duration,
    /// Connected and Message events for every answer, also an empty one (LOG-06).
    pub tell_every_answer: bool,
    /// Deliver an offer again that has FAILED before (RCV-04).
    pub redeliver_failed: bool,
}

impl Config {
    /// All defaults.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            interval: defaults::INTERVAL,
            interval_jitter_percent: defaults::INTERVAL_JITTER_PERCENT,
            server_interval_min: defaults::SERVER_INTERVAL_MIN,
            server_interval_max: defaults::SERVER_INTERVAL_MAX,
            first_retry_spread: defaults::FIRST_RETRY_SPREAD,
            backoff_base: defaults::BACKOFF_BASE,
            backoff_top: defaults::BACKOFF_TOP,
            retry_after_cap: defaults::RETRY_AFTER_CAP,
            retry_after_jitter: defaults::RETRY_AFTER_JITTER,
            overload_floor: defaults::OVERLOAD_FLOOR,
            stable_session: defaults::STABLE_SESSION,
            host_change_burst: defaults::HOST_CHANGE_BURST,
            host_change_period: defaults::HOST_CHANGE_PERIOD,
            send_limit: defaults::MESSAGE_LIMIT,
            receive_limit: defaults::MESSAGE_LIMIT,
            field_limit: defaults::FIELD_LIMIT,
            offer_files_limit: defaults::OFFER_FILES_LIMIT,
            applying_overdue: defaults::APPLYING_OVERDUE,
            close_wait: defaults::CLOSE_WAIT,
            text_limit: defaults::TEXT_LIMIT,
            exchange_limit: defaults::EXCHANGE_LIMIT,
            tell_every_answer: false,
            redeliver_failed: false,
        }
    }
}
