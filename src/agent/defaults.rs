// Every number that an application may set, with its default and its range. One table: setters
// check against it, and build.rs makes the enumerators and the table of defaults in opamp.h from it
// (so nothing but this table may stand here).

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
    1 RESOLVE_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "name resolution";
    2 CONNECT_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "TCP connect, over all addresses together";
    3 TLS_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "TLS handshake";
    4 FIRST_BYTE_TIMEOUT_MS = 10_000, 1 .. DAY_MS, "last byte of request to first byte of response";
    5 EXCHANGE_TIMEOUT_MS = 60_000, 1 .. DAY_MS, "whole exchange, including connecting";
    6 MESSAGE_LIMIT_BYTES = 64 << 20, 1_024 .. 1 << 31,
        "message size, both directions, after decompression";
    7 FIELD_LIMIT = 200_000, 100 .. 100_000_000, "most protobuf fields in a received message";
    8 FILE_LIMIT = 10_000, 1 .. 10_000_000, "most files in a remote configuration";
    9 STOP_GRACE_MS = 2_000, 0 .. DAY_MS, "how long a stop may wait for the server";
    10 APPLYING_TIMEOUT_MS = 600_000, 1 .. 30 * DAY_MS, "after this, APPLYING becomes FAILED";
    11 SERVER_INTERVAL_MIN_MS = 1_000, 10 .. DAY_MS, "smallest interval accepted from a server";
    12 SERVER_INTERVAL_MAX_MS = DAY_MS, 10 .. DAY_MS, "largest interval accepted from a server";
    13 RETRY_AFTER_MAX_MS = 3_600_000, 0 .. DAY_MS, "longest delay accepted from a server";
    14 RETRY_AFTER_JITTER_MS = 30_000, 0 .. DAY_MS, "jitter added to a delay from a server";
    15 RETRY_AFTER_MIN_MS = 30_000, 0 .. DAY_MS,
        "least delay after 429, 503, UNAVAILABLE without one";
    16 FIRST_RETRY_MAX_MS = 5_000, 0 .. DAY_MS, "longest delay of the first retry";
    17 BACKOFF_BASE_MS = 2_000, 1 .. DAY_MS, "longest delay of the second retry, doubled per retry";
    18 BACKOFF_MAX_MS = 300_000, 1 .. DAY_MS, "longest delay of any retry";
    19 CONNECTION_MAX_AGE_MS = 3_600_000, 1 .. 30 * DAY_MS,
        "age at which HTTP reconnects, 10 % jitter";
    20 CHANGE_BURST = 10, 1 .. 1_000, "messages that updates may trigger at once";
    21 CHANGE_INTERVAL_MS = 1_000, 0 .. DAY_MS, "after such a burst, one message per";
    22 DELIVER_EVERY_RESPONSE = 0, 0 .. 1, "1: on_connect and on_message for every response";
    23 REDELIVER_FAILED = 0, 0 .. 1, "1: deliver offers again that FAILED before";
    24 PING_INTERVAL_MS = 30_000, 10 .. DAY_MS, "WebSocket: ping after this much silence";
    25 PONG_TIMEOUT_MS = 10_000, 10 .. DAY_MS,
        "WebSocket: then for any traffic, at most PING_INTERVAL_MS";
    26 CLOSE_TIMEOUT_MS = 1_000, 0 .. DAY_MS, "WebSocket: for the server's Close, after ours";
    27 STABLE_CONNECTION_MS = 30_000, 0 .. DAY_MS,
        "WebSocket: connection age that resets the backoff";
    28 PROXY_TIMEOUT_MS = 5_000, 1 .. DAY_MS, "time for a proxy to open the tunnel";
    29 REDIRECT_LIMIT = 5, 0 .. 20, "redirects followed per attempt; 0: none";
    30 COMPRESS_ABOVE_BYTES = 0, 0 .. 1 << 31,
        "gzip larger HTTP requests that shrink, until a server refuses; 0: never";
    49 ACCEPT_EXPIRED_CA = 0, 0 .. 1, "1: expired CA certificates that are trusted stay trusted";
}

/// The heartbeat or polling interval of an agent.
pub const INTERVAL_MS: u64 = 30_000;
pub const INTERVAL_MIN_MS: u64 = 10;
pub const INTERVAL_MAX_MS: u64 = DAY_MS;
