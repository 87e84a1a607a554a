//! One connection, plain or TLS, on which every wait can be cut.

mod now;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use super::overhead::{Overhead, ROUNDS, Records};
use super::room::lengthen;
use super::socket::Socket;
use super::tls::describe;
use super::tunnel::Base;
use super::vigil::{Cut, Step, Vigil};

pub(crate) use now::Found;

/// Encrypted bytes are read into this much; while more than that lies ready, into [`LARGE`].
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;
/// Of a peer that makes work and says nothing: tickets, key updates, empty records.
const NO_DATA: &str = "more than 1,000 TLS records, or 1 MiB, without data";

#[derive(Debug)]
pub(crate) struct Stream {
    base: Base,
    tls: Option<Box<Tls>>,
    /// The last read filled its buffer, so the next one will hardly have to wait.
    has_more: bool,
    /// Sending has failed, or the peer spoke before the request was whole.
    is_sending_over: bool,
}

#[derive(Debug)]
pub(super) struct Tls {
    pub(super) session: ClientConnection,
    /// Received and not yet taken by the session: `raw[taken..filled]`.
    raw: Vec<u8>,
    taken: usize,
    filled: usize,
    records: Records,
    overhead: Overhead,
}

impl Stream {
    pub(crate) fn plain(socket: Socket) -> Stream {
        Stream {
            base: Base::new(socket),
            tls: None,
            has_more: false,
            is_sending_over: false,
        }
    }

    /// A stream over this one after a whole handshake; over TLS to a proxy it is TLS within TLS.
    pub(crate) fn secure(
        mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        vigil: &mut Vigil,
        bound: Duration,
    ) -> Result<Stream, Cut> {
        vigil.enter(Step::Tls, Some(bound));
        let session = ClientConnection::new(config, name).map_err(|e| Cut::Tls(describe(&e)))?;
        let tls = Tls {
            session,
            raw: Vec::new(),
            taken: 0,
            filled: 0,
            records: Records::default(),
            overhead: Overhead::default(),
        };
        if let Some(to_proxy) = self.tls.replace(Box::new(tls)) {
            self.base.enter(to_proxy);
        }
        self.has_more = false;
        self.handshake(vigil)?;
        Ok(self)
    }

    /// The request could not be sent whole, or the peer did not want it so.
    pub(crate) fn is_sending_over(&self) -> bool {
        self.is_sending_over
    }

    /// The peer only said that it goes on reading.
    pub(crate) fn send_again(&mut self) {
        self.is_sending_over = false;
    }

    /// For the snapshot: "TLS 1.3" or nothing.
    pub(crate) fn tls_version(&self) -> Option<&'static str> {
        match self.tls.as_ref()?.session.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
            rustls::ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
            _ => Some("TLS"),
        }
    }

    /// Sends all, `left` counting what the kernel has taken. Where the peer answers or closes
    /// before it has the whole, the rest stays behind without an error: what it said decides.
    /// Answers how many of the bytes were taken.
    pub(crate) fn send(
        &mut self,
        bytes: &[u8],
        left: &mut u64,
        vigil: &mut Vigil,
    ) -> Result<usize, Cut> {
        if self.tls.is_some() {
            return self.send_tls(bytes, left, vigil);
        }
        let mut rest = bytes;
        while (!rest.is_empty() || self.base.is_behind()) && !self.is_sending_over {
            vigil.look()?;
            match self.base.write(rest) {
                Ok(n) => {
                    *left += n as u64;
                    rest = &rest[n..];
                }
                Err(e) if is_later(&e) => {
                    let ready = vigil.wait(self.base.raw_fd(), libc::POLLIN | libc::POLLOUT)?;
                    self.is_sending_over = ready & libc::POLLIN != 0;
                }
                Err(e) => self.on_send_error(e, *left)?,
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// At least one byte, or 0 at the peer's orderly end.
    pub(crate) fn recv(&mut self, buffer: &mut [u8], vigil: &mut Vigil) -> Result<usize, Cut> {
        let n = match &mut self.tls {
            None => recv_raw(&mut self.base, buffer, &mut self.has_more, vigil)?,
            Some(_) => self.recv_tls(buffer, vigil)?,
        };
        Ok(n)
    }

    /// Before a kept connection is used: one system call when it is still good. Bytes that nobody
    /// asked for make it useless, except for TLS's own, which are processed, and which do not come
    /// for ever.
    pub(crate) fn is_alive(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let is_quiet = match &mut self.tls {
                Some(tls) => tls.process().is_ok_and(|n| n == 0) && !tls.session.wants_write(),
                None => true,
            };
            if !is_quiet {
                return false;
            }
            match self.base.peek() {
                Err(e) if is_later(&e) => return true,
                Err(_) | Ok(0) => return false,
                Ok(_) => {}
            }
            let Some(tls) = &mut self.tls else {
                return false;
            };
            if tls.fill_now(&mut self.base).is_err() {
                return false;
            }
        }
        false
    }

    /// After an exchange: what a large body needed is given back.
    pub(crate) fn rest(&mut self) {
        self.has_more = false;
        if let Some(tls) = self.tls.as_mut().filter(|tls| tls.taken == tls.filled) {
            (tls.taken, tls.filled, tls.raw) = (0, 0, Vec::new());
        }
    }

    fn handshake(&mut self, vigil: &mut Vigil) -> Result<(), Cut> {
        loop {
            self.flush_tls(&mut 0, vigil)?;
            let Some(tls) = &mut self.tls else {
                return Ok(());
            };
            if !tls.session.is_handshaking() {
                return Ok(());
            }
            if let Err(cut) = tls.more(&mut self.base, &mut self.has_more, vigil) {
                // The peer is told why, when that can be done at once.
                let _ = tls.session.write_tls(&mut self.base);
                return Err(match cut {
                    Cut::Closed(_) => Cut::Tls("the server closed the connection".to_owned()),
                    cut => cut,
                });
            }
            self.has_more = false;
        }
    }

    fn send_tls(&mut self, bytes: &[u8], left: &mut u64, vigil: &mut Vigil) -> Result<usize, Cut> {
        let mut rest = bytes;
        loop {
            // Also what was taken before the peer spoke.
            self.flush_tls(left, vigil)?;
            match &mut self.tls {
                Some(tls) if !rest.is_empty() && !self.is_sending_over => {
                    // Takes at most 64 KiB at a time, the session's own bound.
                    let taken = tls.session.writer().write(rest).map_err(Cut::Io)?;
                    rest = &rest[taken..];
                }
                _ => return Ok(bytes.len() - rest.len()),
            }
        }
    }

    fn flush_tls(&mut self, left: &mut u64, vigil: &mut Vigil) -> Result<(), Cut> {
        loop {
            let Some(tls) = &mut self.tls else {
                return Ok(());
            };
            let has_more = tls.session.wants_write();
            if !(has_more || self.base.is_behind()) || self.is_sending_over {
                return Ok(());
            }
            vigil.look()?;
            let result = if has_more {
                tls.session.write_tls(&mut self.base)
            } else {
                self.base.write(&[])
            };
            match result {
                Ok(n) => *left += n as u64,
                Err(e) if is_later(&e) => {
                    let is_handshaking = tls.session.is_handshaking();
                    let events = if is_handshaking {
                        libc::POLLOUT
                    } else {
                        libc::POLLIN | libc::POLLOUT
                    };
                    let ready = vigil.wait(self.base.raw_fd(), events)?;
                    if ready & libc::POLLIN != 0 {
                        // Session tickets come unasked; only an answer ends the request early.
                        let is_open = tls.fill_now(&mut self.base).is_ok();
                        self.is_sending_over = !is_open || tls.process()? > 0;
                    }
                }
                Err(e) => self.on_send_error(e, *left)?,
            }
        }
    }

    fn recv_tls(&mut self, buffer: &mut [u8], vigil: &mut Vigil) -> Result<usize, Cut> {
        loop {
            let Some(tls) = &mut self.tls else {
                return Ok(0);
            };
            match tls.session.reader().read(buffer) {
                Ok(n) => return Ok(n),
                Err(e) if is_later(&e) => {}
                // EOF without close_notify: the answer may have been cut short by anybody.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Cut::Closed(
                        "the connection ended without TLS's closing alert",
                    ));
                }
                Err(e) => return Err(Cut::Io(e)),
            }
            vigil.look()?;
            tls.more(&mut self.base, &mut self.has_more, vigil)?;
            // A key update is answered at once; should that block, the next send takes it along.
            if tls.session.wants_write() {
                let _ = tls.session.write_tls(&mut self.base);
            }
        }
    }

    /// Nothing can be sent any more; before a byte has left that is the end, afterwards the peer
    /// may have said why.
    fn on_send_error(&mut self, error: io::Error, left: u64) -> Result<(), Cut> {
        match closed(&error) {
            Some(_) if left > 0 => {
                self.is_sending_over = true;
                Ok(())
            }
            Some(text) => Err(Cut::Closed(text)),
            None => Err(Cut::Io(error)),
        }
    }
}

impl Tls {
    /// Gets encrypted bytes, waiting for them when there are none, and processes them. At the
    /// peer's end without notice the session's reader says so.
    fn more(&mut self, base: &mut Base, has_more: &mut bool, vigil: &mut Vigil) -> Result<(), Cut> {
        if self.taken == self.filled {
            self.make_room(if *has_more { LARGE } else { SMALL });
            let n = recv_raw(base, &mut self.raw, has_more, vigil)?;
            (self.taken, self.filled) = (0, n);
            if n == 0 {
                if self.session.is_handshaking() {
                    return Err(Cut::Closed("the server closed the connection"));
                }
                self.session.read_tls(&mut io::empty()).map_err(Cut::Io)?;
            }
        }
        self.process().map(|_| ())
    }

    /// Like [`more`](Tls::more) without a wait; an error also for the peer's end.
    fn fill_now(&mut self, base: &mut Base) -> Result<(), ()> {
        if self.taken < self.filled {
            return Ok(());
        }
        self.make_room(SMALL);
        match base.recv(&mut self.raw) {
            Ok(0) => Err(()),
            Ok(n) => {
                (self.taken, self.filled) = (0, n);
                Ok(())
            }
            Err(e) if is_later(&e) => Ok(()),
            Err(_) => Err(()),
        }
    }

    /// Like [`more`](Tls::more) for a session that itself carries another one: what is not there
    /// yet is `WouldBlock`.
    pub(super) fn more_now(&mut self, socket: &Socket) -> io::Result<()> {
        if self.taken == self.filled {
            self.make_room(SMALL);
            let n = socket.recv(&mut self.raw)?;
            (self.taken, self.filled) = (0, n);
            if n == 0 {
                self.session.read_tls(&mut io::empty())?;
            }
        }
        match self.process() {
            Ok(_) => Ok(()),
            Err(Cut::Io(e)) => Err(e),
            Err(Cut::Tls(text)) => Err(io::Error::new(io::ErrorKind::InvalidData, text)),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Feeds the session until it has plain bytes, whose number is answered, or wants more.
    fn process(&mut self) -> Result<usize, Cut> {
        loop {
            if self.taken < self.filled {
                let mut rest = &self.raw[self.taken..self.filled];
                let n = self.session.read_tls(&mut rest).map_err(Cut::Io)?;
                let records = self.records.count(&self.raw[self.taken..self.taken + n]);
                self.taken += n;
                if !self.overhead.bears(n, records) {
                    return Err(Cut::Tls(NO_DATA.to_owned()));
                }
            }
            let state = self
                .session
                .process_new_packets()
                .map_err(|e| Cut::Tls(describe(&e)))?;
            let readable = state.plaintext_bytes_to_read();
            if readable > 0 {
                self.overhead.clear();
            }
            let readable = readable + usize::from(state.peer_has_closed());
            if readable > 0 || self.taken == self.filled {
                return Ok(readable);
            }
        }
    }

    fn make_room(&mut self, space: usize) {
        lengthen(&mut self.raw, space);
    }
}

fn recv_raw(
    base: &mut Base,
    buffer: &mut [u8],
    has_more: &mut bool,
    vigil: &mut Vigil,
) -> Result<usize, Cut> {
    let mut is_likely = *has_more || base.may_have_more();
    loop {
        if is_likely {
            vigil.look()?;
        } else {
            vigil.wait(base.raw_fd(), libc::POLLIN)?;
        }
        match base.recv(buffer) {
            Ok(n) => {
                *has_more = n == buffer.len();
                return Ok(n);
            }
            Err(e) if is_later(&e) => is_likely = base.may_have_more(),
            Err(e) => {
                return Err(match closed(&e) {
                    Some(text) => Cut::Closed(text),
                    None => Cut::Io(e),
                });
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The peer is told that the end is meant, when that can be done at once.
        if let Some(tls) = self
            .tls
            .as_mut()
            .filter(|tls| !tls.session.is_handshaking())
        {
            tls.session.send_close_notify();
            let _ = tls.session.write_tls(&mut self.base);
        }
    }
}

pub(super) fn is_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn closed(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::ConnectionReset => Some("the server reset the connection"),
        io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => {
            Some("the server closed the connection")
        }
        io::ErrorKind::ConnectionAborted => Some("the connection was aborted"),
        _ => None,
    }
}
