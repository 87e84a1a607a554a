//! A stream socket, TCP or unix, that never raises SIGPIPE, never blocks, and is closed on exec.

#![allow(unsafe_code)] // std's TcpStream neither connects cancellably nor sends vectors silently

use std::io::{self, IoSlice, Write};
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use super::fds;

#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// More pieces than this are sent by the next call.
const MOST_PIECES: usize = 64;

impl Socket {
    /// Begins to connect. Wait for writability, then ask [`connected`](Socket::connected).
    pub(crate) fn connecting(to: &SocketAddr) -> io::Result<Socket> {
        let family = if to.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let socket = Socket::new(family)?;
        // The whole request leaves in one piece, so waiting to fill a segment only delays it.
        socket.set_no_delay();
        match socket.start_connect(to) {
            Ok(()) => Ok(socket),
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(socket),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(socket),
            Err(e) => Err(e),
        }
    }

    /// Connects to a unix socket. `WouldBlock`: its backlog is full, to be tried again.
    pub(crate) fn connect_unix(to: &Path) -> io::Result<Socket> {
        let socket = Socket::new(libc::AF_UNIX)?;
        let bytes = to.as_os_str().as_bytes();
        // SAFETY: plain data, valid when zeroed, and so is the NUL behind the path.
        let mut address: libc::sockaddr_un = unsafe { zeroed() };
        address.sun_family = libc::AF_UNIX as _;
        if bytes.len() >= address.sun_path.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (room, byte) in address.sun_path.iter_mut().zip(bytes) {
            *room = *byte as libc::c_char;
        }
        let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        // SAFETY: an address of the stated family and length.
        let result = unsafe { libc::connect(socket.raw_fd(), (&raw const address).cast(), length) };
        if result == 0 {
            Ok(socket)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn new(family: libc::c_int) -> io::Result<Socket> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket takes no pointer, and its result is nobody's yet.
        unsafe { fds::adopt(libc::socket(family, kind, 0)).map(Socket) }
    }

    /// The outcome of a connect that has become writable.
    pub(crate) fn connected(&self) -> io::Result<()> {
        let mut error: libc::c_int = 0;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: an int and its length, both valid for writes.
        let result = unsafe {
            libc::getsockopt(
                self.raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                (&raw mut error).cast(),
                &raw mut length,
            )
        };
        match (result, error) {
            (0, 0) => Ok(()),
            (0, error) => Err(io::Error::from_raw_os_error(error)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the slice is readable for its length.
        unsafe {
            let flags = libc::MSG_NOSIGNAL;
            counted(libc::send(
                self.raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                flags,
            ))
        }
    }

    pub(crate) fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: IoSlice has the layout of iovec; msghdr is valid when zeroed, and points to
        // `pieces` only during the call.
        unsafe {
            let mut message: libc::msghdr = zeroed();
            message.msg_iov = pieces.as_ptr().cast_mut().cast();
            message.msg_iovlen = pieces.len().min(MOST_PIECES) as _;
            counted(libc::sendmsg(
                self.raw_fd(),
                &raw const message,
                libc::MSG_NOSIGNAL,
            ))
        }
    }

    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_with(buffer, 0)
    }

    /// One byte without taking it: EAGAIN when nothing lies there, 0 at the end.
    pub(crate) fn peek(&self) -> io::Result<usize> {
        self.recv_with(&mut [0], libc::MSG_PEEK)
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn recv_with(&self, buffer: &mut [u8], flags: libc::c_int) -> io::Result<usize> {
        // SAFETY: the slice is writable for its length.
        unsafe {
            counted(libc::recv(
                self.raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                flags,
            ))
        }
    }

    /// What was sent and is not acknowledged within this time ends the connection.
    pub(crate) fn set_user_timeout(&self, within: Duration) {
        let millis = libc::c_int::try_from(within.as_millis()).unwrap_or(libc::c_int::MAX);
        self.set(libc::TCP_USER_TIMEOUT, millis);
    }

    /// The kernel takes no more while it holds this many bytes that it has not sent.
    pub(crate) fn set_unsent_limit(&self, bytes: usize) {
        let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
        self.set(libc::TCP_NOTSENT_LOWAT, bytes);
    }

    fn set_no_delay(&self) {
        self.set(libc::TCP_NODELAY, 1);
    }

    /// One of TCP's options; without effect when that fails.
    fn set(&self, option: libc::c_int, value: libc::c_int) {
        // SAFETY: an int and its length.
        unsafe {
            libc::setsockopt(
                self.raw_fd(),
                libc::IPPROTO_TCP,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }

    fn start_connect(&self, to: &SocketAddr) -> io::Result<()> {
        let result = match to {
            SocketAddr::V4(v4) => {
                // SAFETY: plain data, valid when zeroed.
                let mut address: libc::sockaddr_in = unsafe { zeroed() };
                address.sin_family = libc::AF_INET as _;
                address.sin_port = v4.port().to_be();
                address.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                // SAFETY: an address of the stated family and length.
                unsafe { libc::connect(self.raw_fd(), (&raw const address).cast(), length) }
            }
            SocketAddr::V6(v6) => {
                // SAFETY: plain data, valid when zeroed.
                let mut address: libc::sockaddr_in6 = unsafe { zeroed() };
                address.sin6_family = libc::AF_INET6 as _;
                address.sin6_port = v6.port().to_be();
                address.sin6_addr.s6_addr = v6.ip().octets();
                address.sin6_flowinfo = v6.flowinfo();
                address.sin6_scope_id = v6.scope_id();
                let length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                // SAFETY: an address of the stated family and length.
                unsafe { libc::connect(self.raw_fd(), (&raw const address).cast(), length) }
            }
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// How a TLS session reaches its socket: std's own would raise SIGPIPE.
impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        fds::remove(self.raw_fd());
        // A forked child may hold a copy: shutdown ends the connection in spite of it.
        // SAFETY: the descriptor is still open here.
        unsafe { libc::shutdown(self.raw_fd(), libc::SHUT_RDWR) };
    }
}

fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
