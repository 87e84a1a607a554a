//! From messages to bytes: what is to leave, in which order, and how far it has come.

use bytes::Bytes;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use super::super::stream::Stream;
use super::super::vigil::Cut;
use super::control::Payload;

/// Longer messages leave in fragments of this size, so that the answer to a ping never waits for
/// long, and that TLS, which encrypts what it is given at once, holds little.
const FRAGMENT: usize = 64 * 1024;
/// What is kept of the buffer once it is empty.
const KEPT: usize = 4 * 1024;
/// Masks are drawn together: one system call for many frames.
const MASKS: usize = 64;

/// One message at a time, with control frames before it and between its fragments.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Frames on their way: `wire[left..]` must still leave.
    wire: Vec<u8>,
    left: usize,
    message: Option<Message>,
    pong: Option<Payload>,
    ping: Option<Payload>,
    close: Option<Payload>,
    /// No more of the message leaves.
    is_cut_short: bool,
    /// A Close frame was made: nothing may follow it.
    is_closed: bool,
    masks: Masks,
}

struct Message {
    body: Vec<u8>,
    /// Bytes of it, its header included, that were made frames.
    framed: usize,
    marker: Option<u64>,
    /// The kernel has taken a byte of it, perhaps.
    has_begun: bool,
}

/// What became of a try to send.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// All that was to leave has left.
    All,
    /// The rest must wait until the kernel has room.
    Some,
    /// The message and its ping have left; there may be more to send. Its buffer comes back.
    Message(Vec<u8>),
}

impl Outgoing {
    /// The last one has left before.
    pub(super) fn put_message(&mut self, body: Vec<u8>, marker: Option<u64>) {
        debug_assert!(self.message.is_none(), "one message at a time");
        self.message = Some(Message {
            body,
            framed: 0,
            marker,
            has_begun: false,
        });
    }

    /// Answers a ping. Of several that came meanwhile only the last is answered, as the RFC allows.
    pub(super) fn put_pong(&mut self, of_ping: Payload) {
        self.pong = Some(of_ping);
    }

    /// Asks for a sign of life.
    pub(super) fn put_ping(&mut self) {
        self.ping = Some(Payload::new(&[]));
    }

    /// The last frame, behind the message that is under way.
    pub(super) fn put_close(&mut self, payload: Payload) {
        self.close = Some(payload);
    }

    /// The last frame, as soon as possible: the rest of a message is of no use to a peer that has
    /// sent its Close.
    pub(super) fn put_echo(&mut self, payload: Payload) {
        self.is_cut_short = true;
        self.put_close(payload);
    }

    /// A message is to leave, and surely no byte of it has.
    pub(super) fn has_all(&self) -> bool {
        self.message
            .as_ref()
            .is_some_and(|message| !message.has_begun)
    }

    /// Sends what can be sent now. `moved` counts the bytes.
    pub(super) fn flush(&mut self, stream: &mut Stream, moved: &mut u64) -> Result<Sent, Cut> {
        loop {
            while self.left < self.wire.len() {
                let n = stream.send_now(&self.wire[self.left..])?;
                if n == 0 {
                    return Ok(Sent::Some);
                }
                self.left += n;
                *moved += n as u64;
                if let Some(message) = self.message.as_mut().filter(|message| message.framed > 0) {
                    message.has_begun = true;
                }
            }
            if stream.owes()? {
                return Ok(Sent::Some);
            }
            self.wire.clear();
            self.wire.shrink_to(KEPT);
            self.left = 0;
            if let Some(message) = self.message.take_if(|message| message.is_framed()) {
                return Ok(Sent::Message(message.body));
            }
            if !self.frame_next()? {
                return Ok(Sent::All);
            }
        }
    }

    /// Makes frames of what is next; `false` when there is nothing.
    fn frame_next(&mut self) -> Result<bool, Cut> {
        if self.is_closed {
            return Ok(false);
        }
        for (kind, payload) in [
            (Control::Pong, self.pong.take()),
            (Control::Ping, self.ping.take()),
        ] {
            if let Some(payload) = payload {
                self.frame_control(kind, &payload)?;
            }
        }
        if self.message.is_some() && !self.is_cut_short {
            self.frame_fragment()?;
        } else if let Some(payload) = self.close.take() {
            self.frame_control(Control::Close, &payload)?;
            self.is_closed = true;
        }
        Ok(!self.wire.is_empty())
    }

    fn frame_control(&mut self, kind: Control, payload: &Payload) -> Result<(), Cut> {
        let payload = Bytes::copy_from_slice(payload.bytes());
        self.frame(OpCode::Control(kind), true, payload)
    }

    /// The next piece of the message, and its ping right behind the last one.
    fn frame_fragment(&mut self) -> Result<(), Cut> {
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        let opcode = OpCode::Data(if message.framed == 0 {
            Data::Binary
        } else {
            Data::Continue
        });
        let payload = message.next_fragment();
        let is_final = message.is_framed();
        let marker = message.marker.filter(|_| is_final);
        self.frame(opcode, is_final, payload)?;
        match marker {
            Some(marker) => self.frame_control(Control::Ping, &Payload::of_marker(marker)),
            None => Ok(()),
        }
    }

    fn frame(&mut self, opcode: OpCode, is_final: bool, payload: Bytes) -> Result<(), Cut> {
        let head = FrameHeader {
            is_final,
            opcode,
            mask: Some(self.masks.next()?),
            ..FrameHeader::default()
        };
        self.wire
            .reserve(head.len(payload.len() as u64) + payload.len());
        // Into memory; there is nothing that could fail.
        let _ = Frame::from_payload(head, payload).format(&mut self.wire);
        Ok(())
    }
}

impl Message {
    /// The header, a byte of 0, and the body.
    fn length(&self) -> usize {
        self.body.len() + 1
    }

    fn is_framed(&self) -> bool {
        self.framed == self.length()
    }

    fn next_fragment(&mut self) -> Bytes {
        let end = (self.framed + FRAGMENT).min(self.length());
        let mut piece = Vec::with_capacity(end - self.framed);
        if self.framed == 0 {
            piece.push(0);
        }
        piece.extend_from_slice(&self.body[self.framed.saturating_sub(1)..end - 1]);
        self.framed = end;
        piece.into()
    }
}

/// Unpredictable, as the RFC wants them.
struct Masks {
    drawn: [u8; 4 * MASKS],
    used: usize,
}

impl Default for Masks {
    fn default() -> Masks {
        Masks {
            drawn: [0; 4 * MASKS],
            used: MASKS,
        }
    }
}

impl Masks {
    fn next(&mut self) -> Result<[u8; 4], Cut> {
        if self.used == MASKS {
            super::draw(&mut self.drawn)?;
            self.used = 0;
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.drawn[4 * self.used..][..4]);
        self.used += 1;
        Ok(mask)
    }
}
