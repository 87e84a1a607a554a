//! Frames: read as an agent must send them, written as a rule wants them.
use std::io::{self, Cursor};

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::Value as Json;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use crate::vocabulary::head::{BODY_LIMIT, invalid};
use crate::vocabulary::text::from_hex;

/// The mask of a frame that a server must not mask.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The most that a control frame may carry.
const CONTROL_LIMIT: usize = 125;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(try_from = "Json")]
pub(crate) struct Opcode(pub(crate) u8);

impl Opcode {
    pub(crate) const CONTINUATION: Self = Self(0);
    pub(crate) const TEXT: Self = Self(1);
    pub(crate) const BINARY: Self = Self(2);
    pub(crate) const CLOSE: Self = Self(8);
    pub(crate) const PING: Self = Self(9);
    pub(crate) const PONG: Self = Self(10);

    fn is_control(self) -> bool {
        self.0 & 8 != 0
    }
}

impl TryFrom<Json> for Opcode {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let named = match json.as_str() {
            Some("continuation") => Some(Self::CONTINUATION),
            Some("text") => Some(Self::TEXT),
            Some("binary") => Some(Self::BINARY),
            Some("close") => Some(Self::CLOSE),
            Some("ping") => Some(Self::PING),
            Some("pong") => Some(Self::PONG),
            _ => None,
        };
        let number = json.as_u64().filter(|number| *number < 16);
        named
            .or_else(|| number.map(|number| Self(number as u8)))
            .ok_or_else(|| format!("an opcode is a name or a number below 16, not {json}"))
    }
}

/// A frame, good or not.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) opcode: Opcode,
    pub(crate) is_final: bool,
    /// RSV1, RSV2 and RSV3 as 4, 2 and 1.
    pub(crate) reserved: u8,
    pub(crate) is_masked: bool,
    pub(crate) payload: Bytes,
}

impl Frame {
    pub(crate) fn new(opcode: Opcode, payload: impl Into<Bytes>) -> Self {
        Self {
            opcode,
            is_final: true,
            reserved: 0,
            is_masked: false,
            payload: payload.into(),
        }
    }

    /// Takes the next frame from what was read; none when it is not whole yet.
    pub(crate) fn take(buffer: &mut BytesMut) -> io::Result<Option<Self>> {
        let mut cursor = Cursor::new(&buffer[..]);
        let found = FrameHeader::parse(&mut cursor).map_err(|error| invalid(&error.to_string()))?;
        let Some((header, length)) = found else {
            return Ok(None);
        };
        let start = cursor.position() as usize;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > BODY_LIMIT {
            return Err(invalid("a frame over 512 MiB"));
        }
        if buffer.len() - start < length {
            buffer.reserve(start + length - buffer.len());
            return Ok(None);
        }
        buffer.advance(start);
        let mut payload = buffer.split_to(length);
        if let Some(mask) = header.mask {
            let keys = mask.iter().cycle();
            payload
                .iter_mut()
                .zip(keys)
                .for_each(|(byte, key)| *byte ^= key);
        }
        let bit = |is: bool, value: u8| if is { value } else { 0 };
        Ok(Some(Self {
            opcode: Opcode(header.opcode.into()),
            is_final: header.is_final,
            reserved: bit(header.rsv1, 4) | bit(header.rsv2, 2) | bit(header.rsv3, 1),
            is_masked: header.mask.is_some(),
            payload: payload.freeze(),
        }))
    }

    /// What RFC 6455 forbids an agent about it.
    pub(crate) fn breach(&self) -> Option<&'static str> {
        let is_control = self.opcode.is_control();
        if !self.is_masked {
            Some("a frame without a mask")
        } else if self.reserved != 0 {
            Some("a frame with reserved bits")
        } else if is_control && (!self.is_final || self.payload.len() > CONTROL_LIMIT) {
            Some("a control frame in fragments, or over 125 bytes")
        } else {
            None
        }
    }

    /// The head; `length` is the one that it declares.
    pub(crate) fn head(&self, length: u64) -> Vec<u8> {
        let header = FrameHeader {
            is_final: self.is_final,
            rsv1: self.reserved & 4 != 0,
            rsv2: self.reserved & 2 != 0,
            rsv3: self.reserved & 1 != 0,
            opcode: OpCode::from(self.opcode.0),
            mask: self.is_masked.then_some(MASK),
        };
        let mut head = Vec::new();
        header.format(length, &mut head).expect("a Vec takes all");
        head
    }

    /// The payload as it goes over the wire.
    pub(crate) fn body(&self) -> Bytes {
        if !self.is_masked {
            return self.payload.clone();
        }
        let keys = MASK.iter().cycle();
        self.payload
            .iter()
            .zip(keys)
            .map(|(byte, key)| byte ^ key)
            .collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(self.payload.len() as u64), self.body().to_vec()].concat()
    }
}

/// A frame as a rule writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameSpec {
    opcode: Opcode,
    #[serde(default = "yes")]
    is_final: bool,
    #[serde(default)]
    reserved_bits: u8,
    #[serde(default)]
    masked: bool,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    hex: Option<String>,
    /// That many zero bytes.
    #[serde(default)]
    size: Option<usize>,
}

fn yes() -> bool {
    true
}

impl FrameSpec {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.reserved_bits > 7 {
            return Err(format!(
                "reserved_bits are 4, 2 and 1, not {}",
                self.reserved_bits
            ));
        }
        self.hex
            .as_deref()
            .map_or(Ok(()), |hex| from_hex(hex).map(drop))
    }

    /// The zeros that it is to make.
    pub(crate) fn size(&self) -> usize {
        self.size.unwrap_or(0)
    }

    pub(crate) fn frame(&self) -> Frame {
        let payload = match (&self.text, &self.hex) {
            (Some(text), _) => text.clone().into_bytes(),
            (_, Some(hex)) => from_hex(hex).expect("checked when loaded"),
            _ => vec![0; self.size()],
        };
        Frame {
            opcode: self.opcode,
            is_final: self.is_final,
            reserved: self.reserved_bits,
            is_masked: self.masked,
            payload: payload.into(),
        }
    }
}

/// A Close frame: a code and a reason, or whatever bytes instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CloseSpec {
    /// Without one the frame is empty.
    code: Option<u16>,
    reason: String,
    /// The whole payload.
    hex: Option<String>,
    pub(crate) then: Then,
}

/// What follows a Close frame of ours.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// The agent's Close, for a bounded time, then the end of the connection.
    #[default]
    Wait,
    Close,
    Reset,
    /// Nothing: the connection stays open.
    Stay,
}

impl CloseSpec {
    pub(crate) fn of(code: u16, reason: &str) -> Self {
        Self {
            code: Some(code),
            reason: reason.to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        self.hex
            .as_deref()
            .map_or(Ok(()), |hex| from_hex(hex).map(drop))
    }

    pub(crate) fn payload(&self) -> Bytes {
        match (&self.hex, self.code) {
            (Some(hex), _) => from_hex(hex).expect("checked when loaded").into(),
            (None, Some(code)) => [&code.to_be_bytes()[..], self.reason.as_bytes()]
                .concat()
                .into(),
            (None, None) => Bytes::new(),
        }
    }
}

/// Code and reason of a Close frame's payload.
pub(crate) fn close_code(payload: &[u8]) -> (Option<u16>, String) {
    match payload {
        [high, low, reason @ ..] => (
            Some(u16::from_be_bytes([*high, *low])),
            String::from_utf8_lossy(reason).into_owned(),
        ),
        _ => (None, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written_and_not_before_it_is_whole() {
        for (size, is_masked, reserved) in [
            (0, true, 0),
            (125, false, 5),
            (126, true, 2),
            (70_000, true, 0),
        ] {
            let frame = Frame {
                is_masked,
                reserved,
                is_final: size != 126,
                ..Frame::new(Opcode::BINARY, vec![7; size])
            };
            let bytes = frame.bytes();
            for end in [0, 1, 2, 3, 5, bytes.len() - 1] {
                let mut part = BytesMut::from(&bytes[..end]);
                assert!(Frame::take(&mut part).unwrap().is_none(), "{size} {end}");
                assert_eq!(part.len(), end);
            }
            let mut whole = BytesMut::from(&bytes[..]);
            let read = Frame::take(&mut whole).unwrap().unwrap();
            assert!(whole.is_empty());
            assert_eq!(
                (read.payload, read.is_final),
                (frame.payload, frame.is_final)
            );
            assert_eq!((read.is_masked, read.reserved), (is_masked, reserved));
        }
    }
}
