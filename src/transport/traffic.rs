//! What a snapshot tells about the connection, readable from any thread at any time.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::locks::Mutex;

/// Counters and facts of one transport; shared as `Arc<Traffic>`.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    connections: AtomicU64,
    exchanges: AtomicU64,
    peer: Mutex<Option<Peer>>,
}

/// The other end of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Address(SocketAddr),
    Socket(Arc<Path>),
}

#[derive(Clone, Debug)]
struct Peer {
    place: Place,
    tls: Option<&'static str>,
    since: Instant,
}

/// One reading of [`Traffic`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Bytes of HTTP and WebSocket that left and came, headers included, TLS framing not. With the
    /// host's own stack: the bodies.
    pub bytes_out: u64,
    pub bytes_in: u64,
    /// Connections made so far, and exchanges begun.
    pub connections: u64,
    pub exchanges: u64,
    /// The live connection: its other end, TLS version if any, and since when.
    pub peer: Option<Place>,
    pub tls: Option<&'static str>,
    pub since: Option<Instant>,
}

impl Traffic {
    pub fn facts(&self) -> Facts {
        let peer = self.peer.lock().clone();
        Facts {
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            connections: self.connections.load(Relaxed),
            exchanges: self.exchanges.load(Relaxed),
            tls: peer.as_ref().and_then(|p| p.tls),
            since: peer.as_ref().map(|p| p.since),
            peer: peer.map(|p| p.place),
        }
    }

    /// Whether there is a live connection.
    pub fn is_connected(&self) -> bool {
        self.peer.lock().is_some()
    }

    pub(crate) fn on_moved(&self, out: u64, into: u64) {
        self.bytes_out.fetch_add(out, Relaxed);
        self.bytes_in.fetch_add(into, Relaxed);
    }

    pub(crate) fn on_exchange(&self) {
        self.exchanges.fetch_add(1, Relaxed);
    }

    pub(crate) fn on_connected(&self, place: Place, tls: Option<&'static str>) {
        self.connections.fetch_add(1, Relaxed);
        *self.peer.lock() = Some(Peer {
            place,
            tls,
            since: Instant::now(),
        });
    }

    pub(crate) fn on_closed(&self) {
        *self.peer.lock() = None;
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => address.fmt(f),
            Place::Socket(path) => path.display().fmt(f),
        }
    }
}
