//! What the shell tells the core, and what the core asks of it.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{change::Change, event::Event, failure::Failure, timers::Deadline};

/// One exchange or one connection. A fact that names an old one is dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AttemptId(pub u64);

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// All that is known at the start was set: the first try may begin.
    Start,
    /// The time that [`Action::Wait`] named has come. Early or extra calls are harmless.
    Deadline,
    Host(Change),
    /// Report what is pending and say goodbye if there is a way, and end within this time.
    /// [`Event::Stopped`] is the end. Without a goodbye it is a detach: the server is not told that
    /// the agent is gone (LIFE-16), whatever stop follows.
    Stop {
        within: Duration,
        goodbye: bool,
    },
    /// What the transport saw of the try `id`.
    Link {
        id: AttemptId,
        fact: Fact,
    },
}

/// What a transport sees of a try. Each try ends with exactly one `Over` (on HTTP, with that or a
/// `Message`), also after [`Action::Close`]; nothing follows it.
///
/// A WebSocket connection is `Opened`, then any number of the others in the order in which they
/// happened, `Over`. Frames, masks, fragments, pings of the peer and the look after a silent peer
/// are the transport's; what they mean is the core's.
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// WebSocket: the upgrade is done. HTTP, optional: a connection stands and the request goes out
    /// on it (a stop does not wait for an exchange without one).
    Opened,
    /// WebSocket: every byte of the last `Send` and of its ping is in the kernel. A part of them is
    /// no fact: when the rest can not follow, `Over` is.
    Written,
    /// WebSocket: the peer has read up to this marker. Pongs to the transport's own pings stay with
    /// the transport.
    Pong { marker: u64 },
    /// One ServerToAgent, still encoded and without the header of a WebSocket message; bodies are
    /// slices of it. On HTTP it ends the exchange; an empty answer is an empty message.
    Message(Bytes),
    /// WebSocket: a whole message that can hold no ServerToAgent: a text frame, a header that is
    /// not 0. The host is told this text, and the connection goes on (WS-01, WS-06).
    Skipped(Arc<str>),
    /// WebSocket: the peer broke the protocol (1002, 1007) or sends a message over the limit
    /// (1009), but can still be written to. The transport reads no frame from now on, only away
    /// what comes until the end. The core answers as with every close that begins here (WS-15): a
    /// `Send` with the goodbye, a `Close` with this code; `failure` is what the host is told at the
    /// end, whatever `Over` then says. Where nothing can be written any more, `Over` is the fact.
    Broken { code: u16, failure: Failure },
    /// WebSocket: a wait of the transport's own (for its next ping, for a pong) ended more than
    /// [`SUSPENSION_GAP`] too late, so the process or the machine stood still. Comes before all
    /// that is seen afterwards. The core then takes the loss of the connection in silence
    /// (LIFE-12); the transport gives the peer a new ping and the whole time to answer it. (Of
    /// waits that [`Action::Wait`] named the core sees it itself.)
    Thawed,
    /// The exchange failed, or the connection or the attempt at one has ended. WebSocket:
    /// - a refused upgrade is [`Failure::of_status`], with its Retry-After; a wrong 101 is
    ///   `Protocol` without a status;
    /// - a Close frame of the peer, once it is echoed, is `Io` with code and reason in the text,
    ///   `Size` for 1009: what the last message carried is then too large for the way, as after a
    ///   413;
    /// - a peer that is silent, or does not read for too long, is `Timeout`;
    /// - `reached` is `No` only if `Written` is owed and no byte of that message has left; `reused`
    ///   is for HTTP.
    Over(Failure),
}

/// What the shell must do.
#[must_use]
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// WebSocket: open a connection. There is no other one: `Over` of the last one has come
    /// (WS-13).
    Connect { id: AttemptId },
    /// Send the message that `poll` has put into `out`. HTTP: begin the exchange `id`. WebSocket:
    /// on the connection `id`, behind its header (a byte 0), and behind it a ping that carries the
    /// marker, if there is one; no other `Send` follows before `Written` or `Over`.
    Send { id: AttemptId, marker: Option<u64> },
    /// With a code: send a WebSocket Close frame with it and wait for the peer's, without a time
    /// limit of the transport's own. It comes after `Written`; messages that arrive meanwhile are
    /// still facts, a Close of the peer is `Over`. Without one: cut the exchange or connection now;
    /// it may come at any time, also instead of a Close's end. Either way `Over` is awaited, and
    /// nothing else leaves before it.
    Close { id: AttemptId, code: Option<u16> },
    Tell {
        event: Event,
        /// So many of its kind were left out before it: a peer provoked too many (LOG-11).
        left_out: u64,
    },
    /// Nothing more to do until then; `None`: until something happens.
    Wait(Option<Deadline>),
}

/// A clock that jumped this far beyond the time we asked for stood still, or we did (LIFE-12).
pub const SUSPENSION_GAP: Duration = Duration::from_secs(5);
