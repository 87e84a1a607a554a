//! What a control frame carries, and how our own pings are told apart.

/// The payload of a control frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload {
    bytes: [u8; Self::MOST],
    length: u8,
}

/// Before a marker, so that no other ping of ours looks like it.
const MARKED: u8 = b'm';

impl Payload {
    /// RFC 6455, 5.5.
    pub(super) const MOST: usize = 125;

    /// At most [`MOST`](Payload::MOST) bytes; the rest is left out.
    pub(super) fn new(from: &[u8]) -> Payload {
        let length = from.len().min(Self::MOST);
        let mut bytes = [0; Self::MOST];
        bytes[..length].copy_from_slice(&from[..length]);
        Payload {
            bytes,
            length: length as u8,
        }
    }

    /// Of a ping behind the message with this marker.
    pub(super) fn of_marker(marker: u64) -> Payload {
        let mut bytes = [MARKED; 9];
        bytes[1..].copy_from_slice(&marker.to_be_bytes());
        Payload::new(&bytes)
    }

    /// Of a Close frame: a code without a reason.
    pub(super) fn of_code(code: u16) -> Payload {
        Payload::new(&code.to_be_bytes())
    }

    pub(super) fn marker(&self) -> Option<u64> {
        match self.bytes() {
            [MARKED, rest @ ..] => Some(u64::from_be_bytes(rest.try_into().ok()?)),
            _ => None,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.bytes().fmt(f)
    }
}
