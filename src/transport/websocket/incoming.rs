//! From bytes to messages: frames of RFC 6455 taken apart and put together, within bounds.

use std::io::Cursor;

use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::super::FailKind;
use super::super::overhead::Overhead;
use super::super::room::lengthen;
use super::super::stream::Found;
use super::super::vigil::Cut;
use super::control::Payload;
use super::message::Assembly;

/// Heads, control frames and small messages are read into this much; longer payloads go where they
/// belong.
const INPUT: usize = 4 * 1024;

/// What the peer sent.
#[derive(PartialEq, Debug)]
pub(super) enum Item {
    /// A binary message, without its header.
    Message(Bytes),
    /// A message that is none; why.
    Skipped(&'static str),
    Ping(Payload),
    Pong(Payload),
    Close(Option<(u16, String)>),
}

/// What the peer must not do. The code is what it is told in the Close frame.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub(super) code: u16,
    pub(super) kind: FailKind,
    pub(super) text: String,
}

/// Collects what comes and takes it apart.
pub(super) struct Incoming {
    limit: usize,
    /// Come and not yet taken: `input[taken..filled]`.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    /// The data frame whose payload comes.
    frame: Option<Frame>,
    /// The message of which a frame has begun.
    message: Option<Assembly>,
    /// Fragments without a byte.
    overhead: Overhead,
}

#[derive(Clone, Copy)]
struct Frame {
    left: usize,
    is_final: bool,
}

impl Incoming {
    /// `begun`: what came behind the answer to the upgrade.
    pub(super) fn new(limit: usize, begun: Vec<u8>) -> Incoming {
        Incoming {
            limit,
            taken: 0,
            filled: begun.len(),
            input: begun,
            frame: None,
            message: None,
            overhead: Overhead::default(),
        }
    }

    /// Lets `read` put bytes where the next ones belong. Only when [`next`](Incoming::next) has
    /// nothing more.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<Found, Cut>,
    ) -> Result<Found, Cut> {
        if let (Some(frame), Some(message), true) = (
            &mut self.frame,
            &mut self.message,
            self.taken == self.filled,
        ) {
            // A payload that would fill the input goes past it.
            if frame.left >= INPUT {
                let found = message.fill(frame.left, read)?;
                frame.left -= found.count();
                return Ok(found);
            }
        }
        self.make_room();
        let found = read(&mut self.input[self.filled..])?;
        self.filled += found.count();
        Ok(found)
    }

    /// The next whole thing among what came; `None`: more must come first.
    pub(super) fn next(&mut self) -> Result<Option<Item>, Fault> {
        loop {
            if let Some(item) = self.take_payload() {
                return Ok(Some(item));
            }
            if self.frame.is_some() {
                return Ok(None);
            }
            let Some((head, length)) = self.head()? else {
                return Ok(None);
            };
            match head.opcode {
                OpCode::Data(data) => self.begin(data, head.is_final, length)?,
                OpCode::Control(control) => {
                    let Some(payload) = self.control_payload(&head, length)? else {
                        return Ok(None);
                    };
                    return item_of(control, payload).map(Some);
                }
            }
        }
    }

    /// Before a long wait: the input of a burst is given back.
    pub(super) fn rest(&mut self) {
        if self.taken == self.filled {
            (self.taken, self.filled, self.input) = (0, 0, Vec::new());
        }
    }

    /// The payload of the data frame under way, as far as it came; the message, if that ends it.
    fn take_payload(&mut self) -> Option<Item> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else {
            return None;
        };
        let n = frame.left.min(self.filled - self.taken);
        message.add(&self.input[self.taken..self.taken + n]);
        self.taken += n;
        frame.left -= n;
        if frame.left > 0 {
            return None;
        }
        let is_final = frame.is_final;
        self.frame = None;
        let message = self.message.take_if(|_| is_final)?;
        Some(match message.end() {
            Ok(bytes) => Item::Message(bytes),
            Err(why) => Item::Skipped(why),
        })
    }

    /// The head of the next frame and the length of its payload, once it is there. A data frame's
    /// is taken, a control frame's stays until its payload is there, too.
    fn head(&mut self) -> Result<Option<(FrameHeader, u64)>, Fault> {
        let mut cursor = Cursor::new(&self.input[self.taken..self.filled]);
        let parsed = FrameHeader::parse(&mut cursor);
        let size = usize::try_from(cursor.position()).unwrap_or_default();
        let parsed = parsed.map_err(|_| protocol("a frame of an unknown kind"))?;
        let Some((head, length)) = parsed else {
            return Ok(None);
        };
        if head.rsv1 || head.rsv2 || head.rsv3 {
            return Err(protocol("a frame of an extension that was not agreed on"));
        }
        if head.mask.is_some() {
            return Err(protocol("a masked frame"));
        }
        // The length of a control frame's head is computed below.
        if size != head.len(length) {
            return Err(protocol("a frame with a length written too long"));
        }
        if let OpCode::Data(_) = head.opcode {
            self.taken += size;
        }
        Ok(Some((head, length)))
    }

    fn begin(&mut self, data: Data, is_final: bool, length: u64) -> Result<(), Fault> {
        match (data, &self.message) {
            (Data::Continue, None) => return Err(protocol("a continuation of no message")),
            (Data::Continue, Some(_)) => {}
            (_, Some(_)) => return Err(protocol("a message inside another one")),
            (_, None) => self.message = Some(Assembly::new(data == Data::Text)),
        }
        let (limit, message) = (
            self.limit,
            self.message.get_or_insert_with(|| Assembly::new(false)),
        );
        let left = message
            .reserve(length, is_final, limit)
            .map_err(|text| Fault {
                code: 1009,
                kind: FailKind::Size,
                text,
            })?;
        self.frame = Some(Frame { left, is_final });
        if left > 0 || is_final {
            self.overhead.clear();
        } else if !self.overhead.bears(0, 1) {
            return Err(Fault::flood("more than 1,000 empty fragments"));
        }
        Ok(())
    }

    /// Checked before the payload is waited for.
    fn control_payload(
        &mut self,
        head: &FrameHeader,
        length: u64,
    ) -> Result<Option<Payload>, Fault> {
        if !head.is_final {
            return Err(protocol("a control frame in fragments"));
        }
        if length > Payload::MOST as u64 {
            return Err(protocol("a control frame of more than 125 bytes"));
        }
        let start = self.taken + head.len(length);
        let end = start + length as usize;
        if end > self.filled {
            return Ok(None);
        }
        self.taken = end;
        Ok(Some(Payload::new(&self.input[start..end])))
    }

    /// What is left is at most the beginning of a head or of a control frame.
    fn make_room(&mut self) {
        self.input.copy_within(self.taken..self.filled, 0);
        (self.taken, self.filled) = (0, self.filled - self.taken);
        self.input.truncate(INPUT);
        lengthen(&mut self.input, INPUT);
    }
}

fn item_of(control: Control, payload: Payload) -> Result<Item, Fault> {
    match control {
        Control::Ping => Ok(Item::Ping(payload)),
        Control::Pong => Ok(Item::Pong(payload)),
        Control::Close => close_of(payload.bytes()).map(Item::Close),
        Control::Reserved(_) => Err(protocol("a frame of an unknown kind")),
    }
}

fn close_of(payload: &[u8]) -> Result<Option<(u16, String)>, Fault> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        _ => return Err(protocol("a Close frame of one byte")),
    };
    // Registered since, for a gateway whose server is gone.
    const BAD_GATEWAY: u16 = 1014;
    if code != BAD_GATEWAY && !CloseCode::from(code).is_allowed() {
        return Err(protocol("a Close frame with a code that must not be sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason.to_owned()))),
        Err(_) => Err(Fault {
            code: 1007,
            ..protocol("a Close frame whose reason is not UTF-8")
        }),
    }
}

impl Fault {
    /// Nothing forbids it, but it is only work.
    pub(super) fn flood(what: &str) -> Fault {
        Fault {
            code: 1008,
            ..protocol(what)
        }
    }
}

fn protocol(what: &str) -> Fault {
    Fault {
        code: 1002,
        kind: FailKind::Protocol,
        text: format!("the server sent {what}"),
    }
}
