// Every number that a host may set, with its default and its range. One table: setters check against it, and build.rs
// makes the enumerators and the table of defaults in opamp.h from it (so nothing but this table may stand here).

/// One settable number.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its enumerator in the header, without the prefix.
    pub name: &'static str,
    /// Its stable number: rows are only ever appended.
    pub id: i32,
    pub default: u64,
    pub min: u64,
    pub max: u64,
    /// What it bounds or does, one line.
    pub what: &'static str,
}

const DAY_MS: u64 = 86_400_000;

/// The rows of the table, and for each its name as a constant that holds its id.
macro_rules! options {
    ($($id:literal $name:ident = $default:expr, $min:literal .. $max:expr, $what:literal;)*) => {
        $(pub const $name: i32 = $id;)*
        pub const TABLE: [Row; [$($id),*].len()] = [$(Row {
            name: stringify!($name),
            id: $id,
            default: $default,
            min: $min,
            max: $max,
            what: $what,
        }),*];
    };
}

#[rustfmt::skip]
options! {
    1 RESOLVE_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "one look-up of the host's name";
    2 CONNECT_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "TCP connect, all addresses together";
    3 TLS_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "the TLS handshake";
    4 FIRST_BYTE_TIMEOUT_MS = 10_000, 1 .. DAY_MS, "from the last byte sent to the first of the answer";
    5 EXCHANGE_TIMEOUT_MS = 60_000, 1 .. DAY_MS, "a whole exchange, connecting included";
    6 MESSAGE_LIMIT_BYTES = 64 << 20, 1_024 .. 1 << 31, "one message, both ways, after decompression";
    7 FIELD_LIMIT = 200_000, 100 .. 100_000_000, "protobuf fields in a received message";
    8 FILE_LIMIT = 10_000, 1 .. 10_000_000, "files in a configuration offer";
    9 STOP_GRACE_MS = 2_000, 0 .. DAY_MS, "how long a stop may still talk to the server";
    10 APPLYING_TIMEOUT_MS = 600_000, 1 .. 30 * DAY_MS, "an APPLYING without an end becomes FAILED";
    11 SERVER_INTERVAL_MIN_MS = 1_000, 10 .. DAY_MS, "smallest interval taken from a server";
    12 SERVER_INTERVAL_MAX_MS = DAY_MS, 10 .. DAY_MS, "largest interval taken from a server";
    13 RETRY_AFTER_MAX_MS = 3_600_000, 0 .. DAY_MS, "largest wait taken from a server";
    14 RETRY_AFTER_JITTER_MS = 30_000, 0 .. DAY_MS, "spread on top of a wait taken from a server";
    15 RETRY_AFTER_MIN_MS = 30_000, 0 .. DAY_MS, "least wait after 429, 503 or UNAVAILABLE without a time";
    16 FIRST_RETRY_MAX_MS = 5_000, 0 .. DAY_MS, "the first retry comes within this time";
    17 BACKOFF_BASE_MS = 2_000, 1 .. DAY_MS, "top of the second retry's delay, doubled for each further one";
    18 BACKOFF_MAX_MS = 300_000, 1 .. DAY_MS, "top of any retry's delay";
    19 CONNECTION_MAX_AGE_MS = 3_600_000, 1 .. 30 * DAY_MS, "a kept HTTP connection is renewed, 10 % jitter";
    20 CHANGE_BURST = 10, 1 .. 1_000, "messages that changes of the host may cause at once";
    21 CHANGE_INTERVAL_MS = 1_000, 0 .. DAY_MS, "then one in this time";
    22 DELIVER_EVERY_RESPONSE = 0, 0 .. 1, "1: on_connect and on_message for every answer";
    23 REDELIVER_FAILED = 0, 0 .. 1, "1: an offer that FAILED before is delivered again";
    24 PING_INTERVAL_MS = 30_000, 10 .. DAY_MS, "WebSocket: the server is pinged after so much silence";
    25 PONG_TIMEOUT_MS = 10_000, 10 .. DAY_MS, "WebSocket: then it has this long to show a sign of life, at most PING_INTERVAL_MS";
    26 CLOSE_TIMEOUT_MS = 1_000, 0 .. DAY_MS, "WebSocket: for the server's Close, once ours was sent";
    27 STABLE_CONNECTION_MS = 30_000, 0 .. DAY_MS, "WebSocket: a connection that lived this long starts the retries anew";
    28 PROXY_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "a proxy opening the way to the server";
    29 REDIRECT_LIMIT = 5, 0 .. 20, "redirects followed in one try; 0: none";
    30 COMPRESS_ABOVE_BYTES = 0, 0 .. 1 << 31, "larger HTTP requests leave as gzip if smaller, until a server takes only plain ones; 0: never";
    49 ACCEPT_EXPIRED_CA = 0, 0 .. 1, "1: expired CA certificates that are trusted still vouch for servers";
}

/// The heartbeat or polling interval of an agent.
pub const INTERVAL_MS: u64 = 30_000;
pub const INTERVAL_MIN_MS: u64 = 10;
pub const INTERVAL_MAX_MS: u64 = DAY_MS;
