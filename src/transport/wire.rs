//! A connection as the HTTP library sees it, with what has to be known of it afterwards.
//!
//! The library gets a [`Berth`] for one exchange; when it lets go, the wire is back in its dock. So
//! keeping, renewing and dropping connections stays with us, and with it every error.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::stream::Stream;
use super::vigil::{Cut, Step, Vigil};

/// Request bytes are collected up to this before they are sent, head and body together.
const MOST_COLLECTED: usize = 64 * 1024;
/// Answers are read into this much; while more than that lies ready, into [`LARGE`].
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;
const LONGEST_DRAIN: Duration = Duration::from_secs(1);
/// Longest head of an answer.
pub(crate) const MOST_HEAD: usize = 64 * 1024;

/// One connection during one exchange.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) vigil: Vigil,
    first_byte: Duration,
    buffers: Pieces,
    /// Bytes the kernel took, and bytes that came.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Why the library was given an error: ours is exact, the library's own is not.
    pub(crate) cut: Option<Cut>,
    /// The answer was read to its end and the peer keeps the connection.
    is_whole: bool,
}

/// Where a wire lies while the library does not hold it.
#[derive(Debug, Default)]
pub(crate) struct Dock {
    pub(crate) wire: Mutex<Option<Box<Wire>>>,
    /// The rest of the answer is only read to keep the connection: not for long.
    pub(crate) is_draining: AtomicBool,
}

/// Hands the library the wire that lies in the dock.
#[derive(Debug)]
pub(crate) struct Pier(pub(crate) Arc<Dock>);

#[derive(Debug)]
pub(crate) struct Berth {
    wire: Option<Box<Wire>>,
    dock: Arc<Dock>,
    /// What the library sees should it use a berth that has lost its wire.
    none: Pieces,
}

/// What is being sent and what has come.
#[derive(Debug, Default)]
struct Pieces {
    out: Vec<u8>,
    /// Collected and not yet sent: `out[..pending]`.
    pending: usize,
    input: Vec<u8>,
    /// Come and not yet consumed: `input[taken..filled]`.
    taken: usize,
    filled: usize,
    has_progress: bool,
}

impl Wire {
    /// `head` and `body` are the request's sizes, an estimate not too small for the first.
    pub(crate) fn new(
        stream: Stream,
        vigil: Vigil,
        first_byte: Duration,
        head: usize,
        body: usize,
    ) -> Wire {
        let room = head
            .saturating_add(body)
            .clamp(head, MOST_COLLECTED.max(head));
        let buffers = Pieces {
            out: vec![0; room],
            ..Pieces::default()
        };
        Wire {
            stream,
            vigil,
            first_byte,
            buffers,
            sent: 0,
            received: 0,
            cut: None,
            is_whole: false,
        }
    }

    /// Whether the connection may carry another exchange.
    pub(crate) fn is_reusable(&self) -> bool {
        self.is_whole && self.cut.is_none() && !self.stream.is_sending_over()
    }

    /// Whether the peer ended the connection before a byte of an answer.
    pub(crate) fn has_died(&self) -> bool {
        self.received == 0 && matches!(self.cut, Some(Cut::Closed(_)))
    }

    fn flush(&mut self) -> Result<(), Cut> {
        let pending = std::mem::take(&mut self.buffers.pending);
        self.stream.send(
            &self.buffers.out[..pending],
            &mut self.sent,
            &mut self.vigil,
        )
    }

    fn fill(&mut self) -> Result<bool, Cut> {
        if self.buffers.pending > 0 {
            self.vigil.enter(Step::Send, None);
            self.flush()?;
        }
        if self.received == 0 && self.vigil.step() != Step::FirstByte {
            self.vigil.enter(Step::FirstByte, Some(self.first_byte));
        }
        self.buffers
            .make_room(if self.stream.has_more() { LARGE } else { SMALL });
        let space = &mut self.buffers.input[self.buffers.filled..];
        let n = self.stream.recv(space, &mut self.vigil)?;
        if self.received == 0 {
            if n == 0 {
                return Err(Cut::Closed(
                    "the server closed the connection without an answer",
                ));
            }
            self.vigil.enter(Step::Body, None);
        }
        self.received += n as u64;
        self.buffers.filled += n;
        Ok(n > 0)
    }

    fn on_cut(&mut self, cut: Cut) -> ureq::Error {
        self.cut.get_or_insert(cut);
        // Not a kind that the library takes for an orderly end of the body.
        io::Error::from(io::ErrorKind::Other).into()
    }
}

impl Transport for Berth {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.wire {
            Some(wire) => &mut wire.buffers,
            None => &mut self.none,
        }
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let wire = self.wire.as_mut().ok_or_else(lost)?;
        wire.buffers.pending += amount;
        if wire.buffers.pending < wire.buffers.out.len() {
            return Ok(());
        }
        wire.vigil.enter(Step::Send, None);
        wire.flush().map_err(|cut| wire.on_cut(cut))
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let wire = self.wire.as_mut().ok_or_else(lost)?;
        if self.dock.is_draining.swap(false, Relaxed) {
            wire.vigil.enter(Step::Body, Some(LONGEST_DRAIN));
        }
        wire.fill().map_err(|cut| wire.on_cut(cut))
    }

    /// Asked once, when the answer has been read whole and the peer did not say `close`.
    fn is_open(&mut self) -> bool {
        if let Some(wire) = &mut self.wire {
            wire.is_whole = true;
        }
        self.wire.is_some()
    }

    fn is_tls(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.stream.is_tls())
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        *self.dock.wire.lock() = self.wire.take();
    }
}

impl Connector for Pier {
    type Out = Berth;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Berth>, ureq::Error> {
        let wire = self.0.wire.lock().take();
        let dock = self.0.clone();
        Ok(wire.map(|wire| Berth {
            wire: Some(wire),
            dock,
            none: Pieces::default(),
        }))
    }
}

impl Pieces {
    /// At least `space` bytes behind what has come.
    fn make_room(&mut self, space: usize) {
        if self.taken > 0 {
            self.input.copy_within(self.taken..self.filled, 0);
            (self.taken, self.filled) = (0, self.filled - self.taken);
        }
        if self.input.is_empty() {
            // The allocator's zeros: a loop optimised for size takes longer than the exchange around it.
            self.input = vec![0; space];
        } else if self.input.len() - self.filled < space {
            self.input.resize(self.filled + space, 0);
        }
    }
}

impl Buffers for Pieces {
    fn output(&mut self) -> &mut [u8] {
        &mut self.out[self.pending..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.taken..self.filled]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut self.input[self.filled..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.has_progress = amount > 0;
        self.taken += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // The first is for chunked bodies only; ours always has its length.
        (&mut [], &mut self.out[self.pending..])
    }

    fn can_use_input(&self) -> bool {
        self.taken < self.filled && self.has_progress
    }
}

fn lost() -> ureq::Error {
    io::Error::from(io::ErrorKind::NotConnected).into()
}
