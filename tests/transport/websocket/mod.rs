//! WebSocket over loopback: against tungstenite's server, and against peers that write what they
//! like.

mod closing;
mod flood;
mod frames;
mod patience;
mod speaking;
mod upgrade;
mod ways;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use opamp::transport::websocket::{News, WebSocket};
use opamp::transport::{Failure, Headers, Resolver, Settings, Wake};
use tungstenite::handshake::derive_accept_key;

use crate::kit::{Got, LONG, Patience, Server, UID, settings};

/// A client under test.
pub(crate) struct Rig {
    socket: WebSocket,
    wake: Wake,
    watch: Arc<Patience>,
    headers: Headers,
}

impl Rig {
    fn new(server: &Server) -> Rig {
        Rig::with(settings(&url(server)))
    }

    fn with(settings: Settings) -> Rig {
        let wake = Wake::new().unwrap();
        let watch = Arc::new(Patience::default());
        let resolver = Resolver::default();
        Rig {
            socket: WebSocket::new(settings, wake.clone(), watch.clone(), resolver),
            wake,
            watch,
            headers: Headers::default(),
        }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        self.socket.connect(&Arc::new(self.headers.clone()), UID)
    }

    fn connected(server: &Server) -> Rig {
        let mut rig = Rig::new(server);
        rig.connect().unwrap();
        rig
    }

    fn send(&mut self, body: &[u8], marker: Option<u64>) {
        self.socket.send(body.to_vec(), marker);
    }

    /// What happens next.
    fn next(&mut self) -> News {
        let until = Instant::now() + LONG;
        loop {
            if let Some(news) = self.socket.rest(Some(LONG), &mut || true) {
                return news;
            }
            assert!(Instant::now() < until, "nothing happened");
        }
    }

    fn message(&mut self) -> Bytes {
        match self.next() {
            News::Message(bytes) => bytes,
            other => panic!("{} instead of a message", shown(&other)),
        }
    }

    fn written(&mut self) {
        match self.next() {
            News::Written(_) => {}
            other => panic!("{} instead of a written message", shown(&other)),
        }
    }

    fn over(&mut self) -> Failure {
        match self.next() {
            News::Over(failure) => failure,
            other => panic!("{} instead of the end", shown(&other)),
        }
    }
}

/// Not all of a large message.
fn shown(news: &News) -> String {
    format!("{news:?}").chars().take(200).collect()
}

fn url(server: &Server) -> String {
    format!("ws://{}/v1/opamp", server.addr)
}

/// One connection of tungstenite's server.
fn serving(script: impl FnOnce(tungstenite::WebSocket<TcpStream>) + Send + 'static) -> Server {
    Server::start(move |listener| {
        let peer = listener.accept().unwrap().0;
        script(tungstenite::accept(peer).unwrap());
    })
}

/// A peer that has upgraded and writes what it likes.
struct Raw(TcpStream);

impl Raw {
    fn serving(script: impl FnOnce(Raw) + Send + 'static) -> Server {
        Server::start(move |listener| script(Raw::accept(&listener)))
    }

    fn accept(listener: &TcpListener) -> Raw {
        let mut peer = listener.accept().unwrap().0;
        let got = Got::head(&mut peer).unwrap();
        peer.write_all(switching(&got, "").as_bytes()).unwrap();
        Raw(peer)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        self.write(&frame(first, payload));
    }

    /// The next frame of the client: its first byte, and its payload without the mask.
    fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        assert_ne!(head[1] & 0x80, 0, "a client masks its frames");
        let length = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes())),
            127 => u64::from_be_bytes(self.bytes()),
            short => u64::from(short),
        };
        let mask: [u8; 4] = self.bytes();
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).unwrap();
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
        Some((head[0], payload))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn until_gone(mut self) {
        let mut piece = vec![0; 64 * 1024];
        while matches!(self.0.read(&mut piece), Ok(1..)) {}
    }
}

/// What it accepts takes little that nobody reads.
#[allow(unsafe_code)] // std does not set it
fn narrow(listener: &TcpListener) {
    let bytes: libc::c_int = 4096;
    // SAFETY: an int and its length.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const bytes).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

/// The 101 that this request wants, with more headers.
fn switching(got: &Got, more: &str) -> String {
    let accept = derive_accept_key(got.header("sec-websocket-key").unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// Answers the request for a WebSocket.
pub(crate) fn upgrade(peer: &mut impl Write, got: &Got) {
    peer.write_all(switching(got, "").as_bytes()).unwrap();
}

/// A frame as a server writes it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(length as u8),
        126..65536 => {
            bytes.push(126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// Frames' first bytes, each of them final.
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const AT_ONCE: Duration = Duration::from_millis(50);
