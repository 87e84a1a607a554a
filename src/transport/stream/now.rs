//! What can be moved without a wait: for a connection on which both sides speak when they like.

use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::time::Duration;

use super::super::vigil::Cut;
use super::{Base, LARGE, SMALL, Stream, Tls, closed, is_later};

/// What a look for bytes found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Bytes(usize),
    Nothing,
    /// The peer's orderly end.
    End,
}

impl Found {
    pub(crate) fn count(self) -> usize {
        match self {
            Found::Bytes(n) => n,
            Found::Nothing | Found::End => 0,
        }
    }
}

impl Stream {
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.base.raw_fd()
    }

    /// For a connection that lives long: what is sent is acknowledged within this time or the
    /// connection is dead, and the kernel keeps little that is not yet sent.
    pub(crate) fn watch_over(&self, unacknowledged: Duration) {
        self.base.watch_over(unacknowledged, LARGE);
    }

    /// Hands on what can be handed on, and answers how many of the bytes were taken. They have left
    /// for the kernel once [`owes`](Stream::owes) says so.
    pub(crate) fn send_now(&mut self, bytes: &[u8]) -> Result<usize, Cut> {
        let Some(tls) = &mut self.tls else {
            return count(self.base.write(bytes));
        };
        // One piece at a time, so that the session never holds more than that.
        if !tls.flush_now(&mut self.base)? {
            return Ok(0);
        }
        let taken = tls.session.writer().write(bytes).map_err(Cut::Io)?;
        tls.flush_now(&mut self.base)?;
        Ok(taken)
    }

    /// Whether a session holds bytes that the kernel has not taken yet; tries to hand them on.
    pub(crate) fn owes(&mut self) -> Result<bool, Cut> {
        if let Some(tls) = &mut self.tls {
            if !tls.flush_now(&mut self.base)? {
                return Ok(true);
            }
        }
        if self.base.is_behind() {
            count(self.base.write(&[]))?;
        }
        Ok(self.base.is_behind())
    }

    /// What lies ready, without a wait.
    pub(crate) fn recv_now(&mut self, buffer: &mut [u8]) -> Result<Found, Cut> {
        let Some(tls) = &mut self.tls else {
            let found = find(self.base.recv(buffer))?;
            self.has_more = found == Found::Bytes(buffer.len());
            return Ok(found);
        };
        // One round: a peer that sends records without data keeps nobody from looking around.
        for is_second in [false, true] {
            match tls.session.reader().read(buffer) {
                Ok(0) => return Ok(Found::End),
                Ok(n) => return Ok(Found::Bytes(n)),
                Err(e) if is_later(&e) => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Cut::Closed(
                        "the connection ended without TLS's closing alert",
                    ));
                }
                Err(e) => return Err(Cut::Io(e)),
            }
            if is_second {
                break;
            }
            if tls.taken == tls.filled {
                tls.make_room(if self.has_more { LARGE } else { SMALL });
                match find(self.base.recv(&mut tls.raw))? {
                    Found::Nothing => {
                        self.has_more = false;
                        break;
                    }
                    Found::End => {
                        tls.session.read_tls(&mut io::empty()).map_err(Cut::Io)?;
                    }
                    Found::Bytes(n) => {
                        self.has_more = n == tls.raw.len();
                        (tls.taken, tls.filled) = (0, n);
                    }
                }
            }
            let result = tls.process();
            // Alerts and key updates leave at once where they can.
            let _ = tls.session.write_tls(&mut self.base);
            result?;
        }
        Ok(Found::Nothing)
    }

    /// Whether the next look finds something without asking the kernel, or very likely.
    pub(crate) fn is_ready(&mut self) -> bool {
        let in_session = match &mut self.tls {
            Some(tls) => tls.taken < tls.filled || tls.has_plain(),
            None => false,
        };
        in_session || self.has_more || self.base.may_have_more()
    }

    /// Before a long wait: what a burst needed is given back.
    pub(crate) fn rest_now(&mut self) {
        if !self.is_ready() {
            self.rest();
        }
    }
}

impl Tls {
    /// `true` when nothing is left to hand on.
    fn flush_now(&mut self, base: &mut Base) -> Result<bool, Cut> {
        while self.session.wants_write() {
            match self.session.write_tls(base) {
                Ok(_) => {}
                Err(e) if is_later(&e) => return Ok(false),
                Err(e) => return Err(broken(e)),
            }
        }
        Ok(true)
    }

    fn has_plain(&mut self) -> bool {
        self.session
            .process_new_packets()
            .is_ok_and(|state| state.plaintext_bytes_to_read() > 0 || state.peer_has_closed())
    }
}

/// Of what was handed on; 0: later.
fn count(result: io::Result<usize>) -> Result<usize, Cut> {
    match result {
        Ok(n) => Ok(n),
        Err(e) if is_later(&e) => Ok(0),
        Err(e) => Err(broken(e)),
    }
}

fn find(result: io::Result<usize>) -> Result<Found, Cut> {
    match result {
        Ok(0) => Ok(Found::End),
        Ok(n) => Ok(Found::Bytes(n)),
        Err(e) if is_later(&e) => Ok(Found::Nothing),
        Err(e) => Err(broken(e)),
    }
}

fn broken(error: io::Error) -> Cut {
    match closed(&error) {
        Some(text) => Cut::Closed(text),
        None => Cut::Io(error),
    }
}
