//! The bounds of one exchange and of a connection.

use std::time::Duration;

/// The stack and what a burst or an exchange needed are given back before rests of at least this;
/// each time costs some 25 us.
pub const LONG_REST: Duration = Duration::from_secs(5);

/// Each step has its own bound; the whole exchange, connecting included, has one on top.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    pub resolve: Duration,
    /// TCP connect, over all addresses together.
    pub connect: Duration,
    pub tls: Duration,
    /// A proxy opening the way, TLS with it not included.
    pub proxy: Duration,
    /// From the last byte sent to the first byte of the answer.
    pub first_byte: Duration,
    pub exchange: Duration,
    /// Bytes of a message in either direction, after decompression.
    pub message: usize,
    /// Age at which a kept connection is renewed between two exchanges, up to 10 % earlier.
    pub connection_age: Duration,
    /// WebSocket: the peer is asked for a sign of life after so much silence,
    pub ping: Duration,
    /// and given this long to give one, but no longer than the silence took.
    pub pong: Duration,
    /// WebSocket: for the echo of the peer's Close to leave.
    pub close: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            proxy: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            exchange: Duration::from_secs(60),
            message: 64 * 1024 * 1024,
            connection_age: Duration::from_secs(3600),
            ping: Duration::from_secs(30),
            pong: Duration::from_secs(10),
            close: Duration::from_secs(1),
        }
    }
}
