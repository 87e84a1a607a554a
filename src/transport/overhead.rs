//! What a peer sends without saying anything by it, and how much of that is borne: records without
//! data, fragments without bytes, members of nothing, pings at line rate.
//!
//! Every loop that a peer can feed looks at the wake and the deadline at least each 64 KiB or
//! [`ROUNDS`], and counts here what brought nothing.

use std::time::Instant;

/// A loop that can not look at the wake itself goes round so often at most.
pub(crate) const ROUNDS: usize = 16;
/// In a row.
pub(crate) const MOST_BYTES: usize = 1024 * 1024;
const MOST_PIECES: u32 = 1000;
/// Pings and the like.
const A_SECOND: u128 = 100;

/// What came since something was said last.
#[derive(Debug, Default)]
pub(crate) struct Overhead {
    bytes: usize,
    pieces: u32,
}

impl Overhead {
    /// More of it; `false`: the peer is not worth listening to any more.
    #[must_use]
    pub(crate) fn bears(&mut self, bytes: usize, pieces: u32) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.pieces = self.pieces.saturating_add(pieces);
        self.bytes <= MOST_BYTES && self.pieces <= MOST_PIECES
    }

    /// Something was said.
    pub(crate) fn clear(&mut self) {
        *self = Overhead::default();
    }
}

/// For what may come again and again on a long connection, but not fast. After a calm more may come
/// at once: a process that stood still finds together what was sent meanwhile.
#[derive(Debug)]
pub(crate) struct Rate {
    spare: u32,
    counted_at: Instant,
}

impl Rate {
    pub(crate) fn new(now: Instant) -> Rate {
        Rate {
            spare: MOST_PIECES,
            counted_at: now,
        }
    }

    /// One more; `false`: they come too fast.
    #[must_use]
    pub(crate) fn bears(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.counted_at).as_millis();
        let earned = since * A_SECOND / 1000;
        if earned > 0 {
            self.counted_at = now;
            let earned = u32::try_from(earned).unwrap_or(MOST_PIECES);
            self.spare = self.spare.saturating_add(earned).min(MOST_PIECES);
        }
        match self.spare.checked_sub(1) {
            Some(spare) => self.spare = spare,
            None => return false,
        }
        true
    }
}

/// The records of TLS in a stream of bytes, by their heads.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Bytes of the present one that are to come.
    left: usize,
    head: [u8; 5],
    /// Bytes of the head that have come.
    come: usize,
}

impl Records {
    /// How many begin in what comes next.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            let body = self.left.min(bytes.len());
            self.left -= body;
            bytes = &bytes[body..];
            while self.left == 0 && !bytes.is_empty() {
                self.head[self.come] = bytes[0];
                self.come += 1;
                bytes = &bytes[1..];
                if self.come == self.head.len() {
                    self.come = 0;
                    count += 1;
                    self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                }
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// [LOG-11]
    #[test]
    fn bytes_and_pieces_are_borne_in_a_row_only_so_far() {
        let mut overhead = Overhead::default();
        for _ in 0..MOST_PIECES {
            assert!(overhead.bears(1, 1));
        }
        assert!(!overhead.bears(1, 1));
        overhead.clear();
        assert!(overhead.bears(MOST_BYTES, 1));
        assert!(!overhead.bears(1, 0));
    }

    /// [LOG-11]
    #[test]
    fn a_hundred_a_second_are_borne_for_ever_and_a_thousand_after_a_calm() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        for _ in 0..20_000 {
            now += Duration::from_millis(10);
            assert!(rate.bears(now));
        }
        now += Duration::from_secs(3600);
        assert!((0..MOST_PIECES).all(|_| rate.bears(now)));
        assert!(!rate.bears(now));
        let mut rate = Rate::new(now);
        let fast = (0..20_000).take_while(|_| {
            now += Duration::from_millis(5);
            rate.bears(now)
        });
        assert!(fast.count() < 4000);
    }

    #[test]
    fn records_are_counted_however_they_are_cut() {
        let mut bytes = Vec::new();
        for length in [0_u16, 1, 4, 300, 16_401, 0, 0] {
            bytes.extend_from_slice(&[23, 3, 3]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.resize(bytes.len() + usize::from(length), 7);
        }
        for size in [1, 2, 3, 5, 7, 4096, bytes.len()] {
            let mut records = Records::default();
            let count: u32 = bytes.chunks(size).map(|piece| records.count(piece)).sum();
            assert_eq!(count, 7, "{size}");
        }
    }
}
