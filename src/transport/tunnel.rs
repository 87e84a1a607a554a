//! What carries a stream's bytes: a socket, or TLS to a proxy over it, within which the way was
//! opened.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::RawFd;
use std::time::Duration;

use super::overhead::ROUNDS;
use super::socket::Socket;
use super::stream::{Tls, is_later};

/// Used like a socket: nothing here waits.
#[derive(Debug)]
pub(super) struct Base {
    socket: Socket,
    tunnel: Option<Tunnel>,
}

#[derive(Debug)]
struct Tunnel {
    tls: Box<Tls>,
    /// The last read brought something: the session may hold more, of which no descriptor tells.
    may_have_more: bool,
}

impl Base {
    pub(super) fn new(socket: Socket) -> Base {
        Base {
            socket,
            tunnel: None,
        }
    }

    /// From now on everything goes through this session.
    pub(super) fn enter(&mut self, tls: Box<Tls>) {
        self.tunnel = Some(Tunnel {
            tls,
            may_have_more: true,
        });
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.raw_fd()
    }

    /// For a connection that lives long: what was sent is acknowledged in time, and little waits in
    /// the kernel.
    pub(super) fn watch_over(&self, unacknowledged: Duration, unsent: usize) {
        self.socket.set_user_timeout(unacknowledged);
        self.socket.set_unsent_limit(unsent);
    }

    pub(super) fn recv(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tunnel {
            None => self.socket.recv(buffer),
            Some(tunnel) => tunnel.recv(&self.socket, buffer),
        }
    }

    /// Like `recv` without taking anything.
    pub(super) fn peek(&mut self) -> io::Result<usize> {
        match &mut self.tunnel {
            None => self.socket.peek(),
            Some(tunnel) => tunnel.peek(&self.socket),
        }
    }

    /// Bytes were taken that the kernel does not have yet: a write of nothing sends them on.
    pub(super) fn is_behind(&self) -> bool {
        let tunnel = self.tunnel.as_ref();
        tunnel.is_some_and(|tunnel| tunnel.tls.session.wants_write())
    }

    /// A read may bring something although the descriptor is not readable.
    pub(super) fn may_have_more(&self) -> bool {
        let tunnel = self.tunnel.as_ref();
        tunnel.is_some_and(|tunnel| tunnel.may_have_more)
    }
}

impl Write for Base {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tunnel {
            None => self.socket.send(bytes),
            Some(tunnel) => tunnel.send(&self.socket, &[IoSlice::new(bytes)]),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tunnel {
            None => self.socket.send_vectored(pieces),
            Some(tunnel) => tunnel.send(&self.socket, pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tunnel {
    fn recv(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        match self.peek(socket)? {
            0 => Ok(0),
            _ => self.tls.session.reader().read(buffer),
        }
    }

    /// Records without data are not read for ever: the next look goes on with them.
    fn peek(&mut self, socket: &Socket) -> io::Result<usize> {
        for _ in 0..ROUNDS {
            match self.tls.session.reader().into_first_chunk() {
                Ok(chunk) => {
                    self.may_have_more = true;
                    return Ok(chunk.len());
                }
                Err(e) if is_later(&e) => {}
                // An end without TLS's closing alert may be anybody's.
                Err(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            }
            self.may_have_more = false;
            self.tls.more_now(socket)?;
            self.flush_if_possible(socket)?;
        }
        self.may_have_more = true;
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Takes nothing while anything taken before has not left.
    fn send(&mut self, socket: &Socket, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(socket)?;
        let taken = self.tls.session.writer().write_vectored(pieces)?;
        self.flush_if_possible(socket)?;
        Ok(taken)
    }

    fn flush(&mut self, mut socket: &Socket) -> io::Result<()> {
        while self.tls.session.wants_write() {
            self.tls.session.write_tls(&mut socket)?;
        }
        Ok(())
    }

    fn flush_if_possible(&mut self, socket: &Socket) -> io::Result<()> {
        match self.flush(socket) {
            Err(e) if !is_later(&e) => Err(e),
            _ => Ok(()),
        }
    }
}
