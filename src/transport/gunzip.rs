//! Undoes gzip (RFC 1952) as bytes come: the members one after the other, each checked by its sum
//! and length. Its own, because the usual crate brings tables and code for checksums that weigh
//! more than all of this.

use std::io::{self, ErrorKind, Read};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::overhead::{MOST_BYTES, Overhead};

const BUFFER: usize = 8 * 1024;
const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const RESERVED_FLAGS: u8 = 0xE0;

pub(super) struct Gunzip<R> {
    input: Input<R>,
    inflater: Box<InflateState>,
    phase: Phase,
    sum: u32,
    length: u32,
    /// Members of nothing: each costs a new window.
    overhead: Overhead,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    First,
    Body,
    Between,
    Over,
}

impl<R: Read> Gunzip<R> {
    pub(super) fn new(source: R) -> Self {
        let input = Input {
            source,
            bytes: vec![0; BUFFER],
            start: 0,
            end: 0,
            allowance: MOST_BYTES,
        };
        Self {
            input,
            inflater: InflateState::new_boxed(DataFormat::Raw),
            phase: Phase::First,
            sum: 0,
            length: 0,
            overhead: Overhead::default(),
        }
    }

    /// Begins a member; false where there is none any more.
    fn begin(&mut self) -> io::Result<bool> {
        if self.phase == Phase::Between && self.input.fill()?.is_empty() {
            return Ok(false);
        }
        let head: [u8; 10] = self.input.take()?;
        let flags = head[3];
        if head[..3] != [0x1f, 0x8b, 8] || flags & RESERVED_FLAGS != 0 {
            return Err(wrong("no gzip header"));
        }
        if flags & FLAG_EXTRA != 0 {
            let length = u16::from_le_bytes(self.input.take()?);
            for _ in 0..length {
                self.input.take::<1>()?;
            }
        }
        for text in [FLAG_NAME, FLAG_COMMENT] {
            while flags & text != 0 && self.input.take()? != [0] {}
        }
        if flags & FLAG_HEADER_CRC != 0 {
            self.input.take::<2>()?;
        }
        self.inflater.reset(DataFormat::Raw);
        (self.sum, self.length) = (0, 0);
        Ok(true)
    }

    /// Some bytes of the member; 0 at its end.
    fn body(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.input.fill()?;
            let is_over = input.is_empty();
            let result = inflate(&mut self.inflater, input, out, MZFlush::None);
            self.input.start += result.bytes_consumed;
            if result.bytes_written > 0 {
                let written = &out[..result.bytes_written];
                self.sum = crc32(self.sum, written);
                // The length stands in the trailer modulo 2^32.
                self.length = self.length.wrapping_add(written.len() as u32);
                self.overhead.clear();
                self.input.allow(written.len());
                return Ok(result.bytes_written);
            }
            match result.status {
                Ok(MZStatus::StreamEnd) => return Ok(0),
                Ok(_) | Err(MZError::Buf) if !is_over => {}
                Ok(_) | Err(MZError::Buf) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(_) => return Err(wrong("broken deflate data")),
            }
        }
    }

    fn check_trailer(&mut self) -> io::Result<()> {
        let sum = u32::from_le_bytes(self.input.take()?);
        let length = u32::from_le_bytes(self.input.take()?);
        if (sum, length) != (self.sum, self.length) {
            Err(wrong("the checksum does not match"))
        } else if length == 0 && !self.overhead.bears(0, 1) {
            Err(wrong("more than 1,000 empty members"))
        } else {
            Ok(())
        }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && self.phase != Phase::Over {
            if self.phase != Phase::Body {
                self.phase = if self.begin()? {
                    Phase::Body
                } else {
                    Phase::Over
                };
                continue;
            }
            match self.body(out)? {
                0 => {
                    self.check_trailer()?;
                    self.phase = Phase::Between;
                }
                written => return Ok(written),
            }
        }
        Ok(0)
    }
}

/// A source with a small buffer in front of it.
struct Input<R> {
    source: R,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// What may still come without anything coming of it.
    allowance: usize,
}

impl<R: Read> Input<R> {
    /// Bytes were brought. What can not be packed grows by its heads: a sixteenth is plenty.
    fn allow(&mut self, brought: usize) {
        self.allowance = self
            .allowance
            .saturating_add(brought + brought.div_ceil(16));
    }

    /// What waits, after a read where nothing does; empty at the end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            match self.source.read(&mut self.bytes) {
                Ok(read) => {
                    (self.start, self.end) = (0, read);
                    let left = self.allowance.checked_sub(read);
                    self.allowance = left.ok_or_else(|| wrong("more than 1 MiB of it is empty"))?;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.bytes[self.start..self.end])
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut taken = [0; N];
        for byte in &mut taken {
            *byte = *self.fill()?.first().ok_or(ErrorKind::UnexpectedEof)?;
            self.start += 1;
        }
        Ok(taken)
    }
}

fn wrong(text: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let (mut value, mut bit) = (index as u32, 0);
        while bit < 8 {
            value = (value >> 1) ^ if value & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

pub(super) fn crc32(sum: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xFF) as usize];
    !bytes.iter().fold(!sum, step)
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, GzBuilder, write::GzEncoder};
    use std::io::Write;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    }

    fn undo(packed: impl Read) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Gunzip::new(packed).read_to_end(&mut plain).map(|_| plain)
    }

    /// Long enough for several buffers, and not all alike.
    fn sample() -> Vec<u8> {
        let mut state = 1_u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state & 0x100 == 0 {
                b'a'
            } else {
                (state >> 24) as u8
            }
        };
        (0..60_000).map(next).collect()
    }

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let most = out.len().min(1);
            self.0.read(&mut out[..most])
        }
    }

    #[test]
    fn undoes_what_gzip_did() {
        for plain in [&b""[..], b"x", &sample()] {
            assert!(undo(&gzip(plain)[..]).expect("good") == plain);
            assert!(undo(Slow(&gzip(plain))).expect("good") == plain);
        }
    }

    #[test]
    fn takes_every_member_and_every_field_of_a_header() {
        let builder = GzBuilder::new().filename("a").comment("b").extra("c");
        let mut encoder = builder.write(gzip(b"one "), Compression::fast());
        encoder.write_all(b"two").expect("a vector takes all");
        let mut packed = encoder.finish().expect("a vector takes all");
        assert_eq!(undo(&packed[..]).expect("good"), b"one two");
        packed.push(0);
        assert!(undo(&packed[..]).is_err());
    }

    #[test]
    fn refuses_what_is_cut_changed_or_none() {
        let plain = sample();
        let packed = gzip(&plain);
        for length in (0..packed.len()).step_by(4_999).chain([packed.len() - 1]) {
            let error = undo(&packed[..length]).expect_err("cut");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length}");
        }
        for at in [
            0,
            1,
            2,
            3,
            packed.len() / 2,
            packed.len() - 8,
            packed.len() - 1,
        ] {
            let mut changed = packed.clone();
            changed[at] ^= 0xE1;
            assert!(undo(&changed[..]).is_err(), "{at}");
        }
        assert!(undo(&b"<html>no gzip</html>"[..]).is_err());
    }

    /// [LOG-11] Each of them took 44 s.
    #[test]
    fn what_holds_nothing_is_not_read_for_long() {
        let empty_members = gzip(b"").repeat(3_300_000);
        let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let block = [0, 0, 0, 0xff, 0xff];
        let empty_blocks = [&head[..], &block.repeat(13_000_000)].concat();
        // A name without an end.
        let mut name = vec![b'n'; 64 << 20];
        name[..10].copy_from_slice(&[0x1f, 0x8b, 8, FLAG_NAME, 0, 0, 0, 0, 0, 255]);
        let tiny_members = gzip(b"x").repeat(3_000_000);
        for (packed, most) in [
            (empty_members, 40 * 1024),
            (empty_blocks, 2 * MOST_BYTES),
            (name, 2 * MOST_BYTES),
            (tiny_members, 2 * MOST_BYTES),
        ] {
            let mut rest = &packed[..];
            assert!(undo(&mut rest).is_err());
            assert!(packed.len() - rest.len() <= most, "{}", rest.len());
        }
    }

    #[test]
    fn small_members_and_flushed_blocks_are_read() {
        let members = gzip(&sample()[..1000]).repeat(5000);
        assert_eq!(undo(&members[..]).expect("good").len(), 5_000_000);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        for piece in sample().chunks(100) {
            encoder.write_all(piece).expect("a vector takes all");
            encoder.flush().expect("a vector takes all");
        }
        let flushed = encoder.finish().expect("a vector takes all");
        assert!(undo(&flushed[..]).expect("good") == sample());
    }

    #[test]
    fn hands_on_an_error_of_the_source() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::ConnectionReset.into())
            }
        }
        let error = undo((&gzip(&sample())[..100]).chain(Broken)).expect_err("broken");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}
