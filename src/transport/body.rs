//! The body of an answer as it comes, whatever frames it.

use std::io::{self, Read};

use super::head::{Framing, is_text, is_token};
use super::room::lengthen;
use super::wire::{Broken, MOST_HEAD, Wire};

/// What stands between the chunks may be so much longer than the chunks are.
const MOST_EXCESS: usize = 64 * 1024;
/// Chunks are read through a buffer of this size, which also bounds the lines between them.
const BUFFER: usize = 4 * 1024;

/// Reads until the body's end and not a byte further.
#[derive(Debug)]
pub(crate) struct Body<'a, 'v> {
    wire: &'a mut Wire<'v>,
    /// Came along with the head.
    early: &'a [u8],
    rest: Rest,
    /// The peer ended the connection.
    is_closed: bool,
    /// Why reading failed: what [`Read`] can say is less exact.
    broken: Option<Broken>,
}

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunked(Chunks),
    Close,
}

#[derive(Debug)]
struct Chunks {
    /// Come and not yet consumed: `buffer[taken..]`.
    buffer: Vec<u8>,
    taken: usize,
    phase: Phase,
    /// By how much the lines so far are longer than what is worth their chunks.
    excess: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Phase {
    Size,
    Data(u64),
    DataEnd,
    /// So many bytes of it have come.
    Trailer(usize),
    Over,
}

impl<'a, 'v> Body<'a, 'v> {
    pub(crate) fn new(wire: &'a mut Wire<'v>, framing: Framing, early: &'a [u8]) -> Body<'a, 'v> {
        let (rest, early) = match framing {
            Framing::Length(length) => (Rest::Length(length), early),
            Framing::Close => (Rest::Close, early),
            Framing::Chunked => (Rest::Chunked(Chunks::new(early)), &[][..]),
        };
        Body {
            wire,
            early,
            rest,
            is_closed: false,
            broken: None,
        }
    }

    /// Read to its end with nothing behind it, so that the connection can carry another answer.
    pub(crate) fn is_whole(&self) -> bool {
        let is_over = match &self.rest {
            Rest::Length(left) => *left == 0,
            Rest::Chunked(chunks) => chunks.phase == Phase::Over && chunks.waiting().is_empty(),
            Rest::Close => false,
        };
        is_over && self.early.is_empty() && !self.is_closed && self.broken.is_none()
    }

    /// See [`Wire::hurry`].
    pub(crate) fn hurry(&mut self) {
        self.wire.hurry();
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.broken.is_some()
    }

    /// Why a read failed.
    pub(crate) fn into_broken(self) -> Broken {
        self.broken.unwrap_or(Broken::Ended)
    }

    fn some(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        match &mut self.rest {
            Rest::Length(0) => Ok(0),
            Rest::Length(left) => {
                let most = clamped(*left, out.len());
                let n = plain(self.wire, &mut self.early, &mut out[..most])?;
                *left -= n as u64;
                if n == 0 { Err(Broken::Ended) } else { Ok(n) }
            }
            Rest::Chunked(chunks) => chunks.read(self.wire, &mut self.is_closed, out),
            Rest::Close if self.is_closed => Ok(0),
            Rest::Close => {
                let n = plain(self.wire, &mut self.early, out)?;
                self.is_closed = n == 0;
                Ok(n)
            }
        }
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.broken.is_none() {
            match self.some(out) {
                Ok(n) => return Ok(n),
                Err(broken) => self.broken = Some(broken),
            }
        }
        Err(io::ErrorKind::Other.into())
    }
}

impl Chunks {
    fn new(early: &[u8]) -> Chunks {
        Chunks {
            buffer: early.to_vec(),
            taken: 0,
            phase: Phase::Size,
            excess: 0,
        }
    }

    fn read(
        &mut self,
        wire: &mut Wire<'_>,
        is_closed: &mut bool,
        out: &mut [u8],
    ) -> Result<usize, Broken> {
        loop {
            let phase = self.phase;
            match phase {
                Phase::Over => return Ok(0),
                Phase::Data(left) if !self.waiting().is_empty() || out.len() >= BUFFER => {
                    return self.data(wire, left, out);
                }
                Phase::Data(_) => {}
                _ if self.line()? => continue,
                _ => {}
            }
            if !self.fill(wire)? {
                *is_closed = true;
                // Whole is also what lacks only the empty line after the last chunk.
                if !matches!(self.phase, Phase::Trailer(_)) {
                    return Err(Broken::Ended);
                }
                self.phase = Phase::Over;
            }
        }
    }

    fn data(&mut self, wire: &mut Wire<'_>, left: u64, out: &mut [u8]) -> Result<usize, Broken> {
        let most = clamped(left, out.len());
        let mut waiting = self.waiting();
        let before = waiting.len();
        let n = plain(wire, &mut waiting, &mut out[..most])?;
        self.taken += before - waiting.len();
        if n == 0 {
            return Err(Broken::Ended);
        }
        self.phase = match left - n as u64 {
            0 => Phase::DataEnd,
            left => Phase::Data(left),
        };
        Ok(n)
    }

    /// Consumes one line between the chunks; `false` while it is not whole.
    fn line(&mut self) -> Result<bool, Broken> {
        let waiting = self.waiting();
        let end = waiting.iter().position(|&byte| byte == b'\n');
        // However much has come at once.
        let Some(end) = end.filter(|&end| end < BUFFER) else {
            return self.unfinished();
        };
        // Some end a line at a bare LF, some do not: what they find behind it is not the same.
        let Some((b'\r', line)) = waiting[..end].split_last() else {
            return malformed(match self.phase {
                Phase::DataEnd => "a chunk is longer than it says",
                _ => "a line between chunks ends with a bare LF",
            });
        };
        let next = match self.phase {
            Phase::Size => match chunk_size(line)? {
                0 => Phase::Trailer(0),
                size => Phase::Data(size),
            },
            Phase::DataEnd if line.is_empty() => Phase::Size,
            Phase::DataEnd => return malformed("a chunk is longer than it says"),
            _ if line.is_empty() => Phase::Over,
            phase if !is_field(line) && !is_fold(line, phase) => {
                return malformed("a trailer is not a header field");
            }
            Phase::Trailer(come) if come + end < MOST_HEAD => Phase::Trailer(come + end + 1),
            _ => return malformed("a trailer without an end"),
        };
        if let Phase::Data(size) = next {
            // An extension for each byte is only work.
            let worth = usize::try_from(size)
                .unwrap_or(usize::MAX)
                .saturating_add(16);
            self.excess = (self.excess + line.len()).saturating_sub(worth);
            if self.excess > MOST_EXCESS {
                return malformed("chunk extensions larger than the chunks");
            }
        }
        self.taken += end + 1;
        self.phase = next;
        Ok(true)
    }

    fn unfinished(&self) -> Result<bool, Broken> {
        if self.waiting().len() >= BUFFER {
            return malformed("a line between chunks is too long");
        }
        Ok(false)
    }

    /// More behind what waits; `false` at the connection's end.
    fn fill(&mut self, wire: &mut Wire<'_>) -> Result<bool, Broken> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let filled = self.buffer.len();
        lengthen(&mut self.buffer, filled + BUFFER);
        let n = wire.recv(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + n.as_ref().map_or(0, |&n| n));
        Ok(n? > 0)
    }

    fn waiting(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }
}

/// RFC 9112, 7.1: hexadecimal digits, and perhaps extensions, which mean nothing here.
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let is_extension = matches!(rest.trim_ascii_start(), [] | [b';', ..]);
    let text = std::str::from_utf8(digits).unwrap_or_default();
    match u64::from_str_radix(text, 16) {
        _ if digits.is_empty() => malformed("a chunk without a size"),
        Ok(size) if is_extension && rest.iter().all(|&b| is_text(b)) => Ok(size),
        _ => malformed("a chunk whose size is not a number"),
    }
}

/// RFC 9112, 5: a name, a colon at once, a value.
fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return false;
    };
    let (name, value) = line.split_at(colon);
    colon > 0 && name.iter().all(|&b| is_token(b)) && value.iter().all(|&b| is_text(b))
}

/// RFC 9112, 5.2: more of the trailer before.
fn is_fold(line: &[u8], phase: Phase) -> bool {
    let is_blank = matches!(line.first(), Some(b' ' | b'\t'));
    is_blank && phase != Phase::Trailer(0) && line.iter().all(|&b| is_text(b))
}

fn malformed<T>(why: &str) -> Result<T, Broken> {
    Err(Broken::Malformed(why.into()))
}

/// What has come already, else what comes.
fn plain(wire: &mut Wire<'_>, early: &mut &[u8], out: &mut [u8]) -> Result<usize, Broken> {
    if early.is_empty() {
        return Ok(wire.recv(out)?);
    }
    let n = early.len().min(out.len());
    out[..n].copy_from_slice(&early[..n]);
    *early = &early[n..];
    Ok(n)
}

fn clamped(left: u64, most: usize) -> usize {
    usize::try_from(left).map_or(most, |left| left.min(most))
}
