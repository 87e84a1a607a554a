//! What moves bytes: resolve, connect, TLS, plain HTTP, WebSocket, and the host's own HTTP stack.
//!
//! A transport carries out one exchange, or one connection, at a time on the caller's thread and
//! blocks it. Every wait
//! is one `ppoll` on the socket and the [`Wake`], so whatever is going on, a wake-up or the
//! [`Watch`]'s instant is noticed at once. Nothing here knows what a message means.
//!
//! Deadlines are [`std::time::Instant`]s: they count while the process is stopped, not while the
//! machine sleeps. A kept connection that slept with the machine is renewed before it is used.

mod answer;
mod body;
mod clock;
mod dial;
pub mod endpoint;
pub mod failure;
pub mod fds;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gunzip;
mod gzip;
mod head;
pub mod headers;
pub mod host;
pub mod http;
pub mod limits;
mod line;
mod opening;
mod overhead;
pub mod proxy;
pub mod quote;
pub mod redirect;
pub mod resolve;
mod room;
pub mod signals;
mod socket;
mod stream;
mod suggestion;
pub mod tls;
pub mod traffic;
mod tunnel;
mod variables;
mod vigil;
pub mod wake;
pub mod websocket;
mod wire;

use std::ops::ControlFlow;
use std::time::Instant;

use bytes::Bytes;

pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use failure::{FailKind, Failure, ReachedServer};
pub use headers::{HeaderError, Headers};
pub use limits::{LONG_REST, Limits};
pub use proxy::{Proxies, Proxy, ProxyError, ProxyFault};
pub use quote::Secrets;
pub use redirect::{Hop, Redirects};
pub use resolve::Resolver;
pub use suggestion::explain;
pub use traffic::{Facts, Place, Traffic};
pub use wake::Wake;

/// Asked while an exchange blocks: at its start, whenever the wake descriptor fires, and when the
/// instant given last has passed.
pub trait Watch: Send + Sync {
    /// Runs on the worker thread. `Break` ends the exchange within milliseconds with
    /// [`FailKind::GivenUp`]; `Continue(Some(at))` asks to be called again at `at`.
    fn check(&self) -> ControlFlow<(), Option<Instant>>;

    /// The exchange goes on at another place.
    fn on_redirect(&self, _hop: Hop) {}
}

/// How to reach the server. Plain data, fixed for the life of a transport.
#[derive(Clone, Debug)]
pub struct Settings {
    pub endpoint: Endpoint,
    /// For TLS, with the server or with a proxy: what [`tls::TlsSettings::at_start`] made of the
    /// host's wishes.
    pub trust: Option<tls::Trust>,
    pub proxies: Proxies,
    pub redirects: Redirects,
    pub limits: Limits,
    /// Bodies of HTTP requests larger than this are sent as gzip.
    pub compress_above: Option<usize>,
    /// Put before the library's own `User-Agent`; already checked by [`headers::check_prefix`].
    pub user_agent_prefix: Option<String>,
    /// Decides about the spread of the maximum age of connections.
    pub seed: u64,
}

/// One message to the server.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The host's headers as they are now.
    pub headers: &'a Headers,
    /// Canonical text of the instance uid that the body carries.
    pub instance_uid: &'a str,
    /// One encoded AgentToServer.
    pub body: &'a [u8],
}

/// A 200 or 204 of a fitting content type. The body is empty for 204 and for an empty 200, and not
/// yet decoded as protobuf.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Bytes,
}
