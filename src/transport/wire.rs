//! One connection during one exchange, with what has to be known of it afterwards.

use std::time::Duration;

use super::line::Line;
use super::stream::Stream;
use super::vigil::{Cut, Step, Vigil};
use super::{FailKind, Failure, ReachedServer};

const LONGEST_DRAIN: Duration = Duration::from_secs(1);
/// Longest head of an answer.
pub(crate) const MOST_HEAD: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Wire<'v> {
    pub(crate) stream: Stream,
    pub(crate) vigil: &'v mut Vigil,
    first_byte: Duration,
    /// Bytes the kernel took, and bytes that came.
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Broken {
    Cut(Cut),
    /// The peer ended it in the middle.
    Ended,
    LongHead,
    /// Not HTTP, and why not.
    Malformed(String),
}

impl<'v> Wire<'v> {
    pub(crate) fn new(stream: Stream, vigil: &'v mut Vigil, first_byte: Duration) -> Wire<'v> {
        Wire {
            stream,
            vigil,
            first_byte,
            sent: 0,
            received: 0,
        }
    }

    /// Sends one piece after the other. Where the peer speaks first, something is left of them:
    /// what it says decides.
    pub(crate) fn send(&mut self, pieces: &mut [&[u8]]) -> Result<(), Cut> {
        self.vigil.enter(Step::Send, None);
        for piece in pieces {
            let taken = self.stream.send(piece, &mut self.sent, self.vigil)?;
            *piece = &piece[taken..];
        }
        Ok(())
    }

    /// What the peer said was not the answer: it still waits for what is left.
    pub(crate) fn send_on(&mut self, pieces: &mut [&[u8]]) -> Result<(), Cut> {
        if self.stream.is_sending_over() {
            self.stream.send_again();
            self.send(pieces)?;
            self.vigil.enter(Step::Body, None);
        }
        Ok(())
    }

    /// Some bytes of the answer, or 0 where it ends; an answer without a byte is an error.
    pub(crate) fn recv(&mut self, space: &mut [u8]) -> Result<usize, Cut> {
        if self.received == 0 {
            self.vigil.enter(Step::FirstByte, Some(self.first_byte));
        }
        let n = self.stream.recv(space, self.vigil)?;
        if self.received == 0 {
            if n == 0 {
                return Err(Cut::Closed(
                    "the server closed the connection without an answer",
                ));
            }
            self.vigil.enter(Step::Body, None);
        }
        self.received += n as u64;
        Ok(n)
    }

    /// The rest of the answer is only read to keep the connection: not for long.
    pub(crate) fn hurry(&mut self) {
        self.vigil.enter(Step::Body, Some(LONGEST_DRAIN));
    }
}

impl Broken {
    /// `has_left`: a byte of the request has.
    pub(crate) fn failure(self, line: &Line, has_left: bool) -> Failure {
        let reached = if has_left {
            ReachedServer::Maybe
        } else {
            ReachedServer::No
        };
        let (kind, text) = match self {
            Broken::Cut(cut) => return line.failure(&cut, reached),
            Broken::Ended => (
                FailKind::Io,
                "the connection ended in the middle of the answer".to_owned(),
            ),
            Broken::LongHead => (
                FailKind::Protocol,
                format!("the head of the answer is larger than {MOST_HEAD} bytes"),
            ),
            Broken::Malformed(why) => (
                FailKind::Protocol,
                format!("the answer is not proper HTTP: {why}"),
            ),
        };
        Failure::new(kind, reached, text)
    }
}

impl From<Cut> for Broken {
    fn from(cut: Cut) -> Broken {
        Broken::Cut(cut)
    }
}
