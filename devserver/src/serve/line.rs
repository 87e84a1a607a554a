//! A TCP connection as a bad network makes it: bytes in single file, an end at the n-th byte, a
//! host that is gone.
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::{SockFilter, SockRef};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::vocabulary::cut::{How, Limit, Pace};

pub(crate) struct Line {
    tcp: TcpStream,
    sending: Option<Gate>,
    reading: Option<Gate>,
    pace: Option<(Pace, Option<Pin<Box<Sleep>>>)>,
    /// The rule that all this is for.
    rule: String,
}

struct Gate {
    left: usize,
    /// None: nothing more goes through, and that is all.
    how: Option<How>,
}

/// A rule ended the connection here.
#[derive(Debug)]
pub(crate) struct Tripped {
    pub(crate) rule: String,
    pub(crate) how: How,
}

impl fmt::Display for Tripped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "rule {}", self.rule)
    }
}

impl std::error::Error for Tripped {}

/// What a rule did, if this error comes from one.
pub(crate) fn tripped(error: &io::Error) -> Option<&Tripped> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

impl Line {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self {
            tcp,
            sending: None,
            reading: None,
            pace: None,
            rule: String::new(),
        }
    }

    pub(crate) fn spoil(
        &mut self,
        rule: &str,
        sending: Option<Limit>,
        reading: Option<Limit>,
        pace: Option<Pace>,
    ) {
        let gate = |limit: Limit| Gate {
            left: limit.bytes,
            how: limit.how.how(),
        };
        self.rule = rule.to_owned();
        self.sending = sending.map(gate);
        self.reading = reading.map(gate);
        self.pace = pace.map(|pace| (pace, None));
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The kernel throws every packet away that comes in, and so has nothing to send in return.
    pub(crate) fn vanish(&self) {
        const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);
        if let Err(error) = SockRef::from(&self.tcp).attach_filter(&[DROP]) {
            eprintln!("opamp-devserver: a connection can not vanish: {error}");
        }
    }

    /// The error that ends this connection here; none where it only goes dead.
    fn trip(&self, how: Option<How>) -> Option<io::Error> {
        match how {
            None => return None,
            Some(How::Vanish) => {
                self.vanish();
                return None;
            }
            Some(How::Reset) => drop(self.tcp.set_zero_linger()),
            Some(How::Close) => {}
        }
        let (rule, how) = (self.rule.clone(), how.unwrap_or(How::Close));
        Some(io::Error::other(Tripped { rule, how }))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(gate) = &self.reading else {
            return Pin::new(&mut self.tcp).poll_read(context, buffer);
        };
        let (left, how) = (gate.left, gate.how);
        if left == 0 {
            return self
                .trip(how)
                .map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        let mut piece = [0; 4096];
        let size = left.min(piece.len()).min(buffer.remaining());
        let mut piece = ReadBuf::new(&mut piece[..size]);
        ready!(Pin::new(&mut self.tcp).poll_read(context, &mut piece))?;
        buffer.put_slice(piece.filled());
        let read = piece.filled().len();
        self.reading.iter_mut().for_each(|gate| gate.left -= read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut size = bytes.len();
        if let Some((pace, pause)) = &mut self.pace {
            if let Some(waiting) = pause {
                ready!(waiting.as_mut().poll(context));
                *pause = None;
            }
            size = size.min(pace.bytes.max(1));
        }
        if let Some(gate) = &self.sending {
            let (left, how) = (gate.left, gate.how);
            if left == 0 {
                let ended = self.trip(how);
                // A line that is dead one way looks like a good one from this end.
                return Poll::Ready(ended.map_or(Ok(bytes.len()), Err));
            }
            size = size.min(left);
        }
        let sent = ready!(Pin::new(&mut self.tcp).poll_write(context, &bytes[..size]))?;
        self.sending.iter_mut().for_each(|gate| gate.left -= sent);
        if let Some((pace, pause)) = &mut self.pace {
            *pause = Some(Box::pin(sleep(pace.every.0)));
        }
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
