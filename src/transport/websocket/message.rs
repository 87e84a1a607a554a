//! A message put together from its frames, never larger than it must be.

use bytes::Bytes;

use super::super::room::lengthen;
use super::super::stream::Found;
use super::super::vigil::Cut;

/// What is read at a time: each piece is made, filled and kept.
const CHUNK: usize = 64 * 1024;

/// The frames of one message so far.
pub(super) struct Assembly {
    bytes: Vec<u8>,
    /// Announced so far, come or not.
    length: usize,
    /// Not even kept.
    is_text: bool,
}

impl Assembly {
    pub(super) fn new(is_text: bool) -> Assembly {
        Assembly {
            bytes: Vec::new(),
            length: 0,
            is_text,
        }
    }

    /// Makes room for the payload of one more frame. Of a fragmented message nobody knows the size,
    /// so its room grows by a sixteenth; all that is touched is what has come.
    pub(super) fn reserve(
        &mut self,
        length: u64,
        is_final: bool,
        limit: usize,
    ) -> Result<usize, String> {
        let too_large = || format!("the server sent a message of more than {limit} bytes");
        let length = usize::try_from(length).map_err(|_| too_large())?;
        // The header of a message is not part of what the limit counts.
        let whole = self.length.checked_add(length).ok_or_else(too_large)?;
        if whole > limit.saturating_add(1) {
            return Err(too_large());
        }
        self.length = whole;
        if self.is_text || whole <= self.bytes.capacity() {
            return Ok(length);
        }
        let room = if is_final {
            whole
        } else {
            (whole + whole / 16).min(limit + 1).max(whole)
        };
        self.bytes
            .try_reserve_exact(room - self.bytes.len())
            .map_err(|_| format!("no memory for a message of {whole} bytes"))?;
        Ok(length)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        if !self.is_text {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Lets `read` add up to `most` bytes.
    pub(super) fn fill(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<Found, Cut>,
    ) -> Result<Found, Cut> {
        let start = self.bytes.len();
        lengthen(&mut self.bytes, start + most.min(CHUNK));
        let result = read(&mut self.bytes[start..]);
        let n = result.as_ref().map_or(0, |found| found.count());
        self.bytes
            .truncate(if self.is_text { 0 } else { start + n });
        result
    }

    /// The ServerToAgent in it, or why there can be none.
    pub(super) fn end(self) -> Result<Bytes, &'static str> {
        match self.bytes.first() {
            _ if self.is_text => Err("a text message was skipped"),
            // A varint of value 0; its longer forms are not taken.
            Some(0) => Ok(Bytes::from(self.bytes).slice(1..)),
            Some(_) => Err("a message whose header is not 0 was skipped"),
            None => Err("a message without a header was skipped"),
        }
    }
}
