//! A tiny agent that speaks WebSocket, frame by frame.
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::{Answer, Server, UID, USUAL, connect, field, from_hex, number};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) is_final: bool,
    pub(crate) reserved: u8,
    pub(crate) opcode: u8,
    pub(crate) is_masked: bool,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Socket {
    pub(crate) tcp: TcpStream,
    pub(crate) uid: Vec<u8>,
    pub(crate) number: u64,
    pub(crate) capabilities: u64,
}

/// The request for a WebSocket, and its answer.
pub(crate) fn upgrade(server: &Server, lines: &[&str]) -> (TcpStream, Option<Answer>) {
    let mut tcp = ask(server, lines);
    let answer = Answer::read(&mut tcp);
    (tcp, answer)
}

/// The request alone, with these lines in place of, or beside, the usual ones; `Name:` leaves one
/// out.
pub(crate) fn ask(server: &Server, lines: &[&str]) -> TcpStream {
    let usual = [
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "User-Agent: test/1",
    ];
    let named = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let mut head = "GET /v1/opamp HTTP/1.1\r\n".to_owned();
    let own = [
        format!("Sec-WebSocket-Key: {KEY}"),
        format!("OpAMP-Instance-UID: {UID}"),
    ];
    let usual = usual.into_iter().chain(own.iter().map(String::as_str));
    for line in usual.filter(|usual| lines.iter().all(|line| named(line) != named(usual))) {
        head += &format!("{line}\r\n");
    }
    for line in lines.iter().filter(|line| !line.ends_with(':')) {
        head += &format!("{line}\r\n");
    }
    let mut tcp = connect(server.port);
    // A server that closes at once may be quicker than this write.
    let _ = tcp.write_all((head + "\r\n").as_bytes());
    tcp
}

impl Socket {
    pub(crate) fn open(server: &Server) -> Self {
        let (tcp, answer) = upgrade(server, &[]);
        assert_eq!(answer.expect("an answer").status, 101);
        Self::unheard(tcp)
    }

    /// One that has not heard the answer to its upgrade.
    pub(crate) fn unheard(tcp: TcpStream) -> Self {
        Self {
            tcp,
            uid: from_hex(&UID.replace('-', "")),
            number: 0,
            capabilities: USUAL,
        }
    }

    pub(crate) fn reopen(&mut self, server: &Server) {
        self.tcp = Self::open(server).tcp;
    }

    /// A message with these parts on top of uid, number and capabilities.
    pub(crate) fn message(&mut self, parts: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(field(1, &self.uid));
        bytes.extend(number(2, self.number));
        bytes.extend(number(4, self.capabilities));
        bytes.extend_from_slice(parts);
        self.number += 1;
        bytes
    }

    pub(crate) fn send(&mut self, parts: &[u8]) {
        let payload = self.message(parts);
        self.frame(BINARY, &payload);
    }

    /// Sends a message; the ServerToAgent that comes back, if the connection did not end.
    pub(crate) fn exchange(&mut self, parts: &[u8]) -> Option<Vec<u8>> {
        self.send(parts);
        self.next_message()
    }

    /// The next message's protobuf; pings and pongs are passed over.
    pub(crate) fn next_message(&mut self) -> Option<Vec<u8>> {
        loop {
            let frame = self.read()?;
            match frame.opcode {
                BINARY => return Some(frame.payload[1..].to_vec()),
                PING | PONG => {}
                _ => panic!("{frame:?} in place of a message"),
            }
        }
    }

    pub(crate) fn frame(&mut self, opcode: u8, payload: &[u8]) {
        self.raw(0x80 | opcode, Some([1, 2, 3, 4]), payload);
    }

    /// A frame whose first byte is given.
    pub(crate) fn raw(&mut self, first: u8, mask: Option<[u8; 4]>, payload: &[u8]) {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            size @ 0..=125 => bytes.push(bit | size as u8),
            size @ 126..=0xffff => {
                bytes.push(bit | 126);
                bytes.extend((size as u16).to_be_bytes());
            }
            size => {
                bytes.push(bit | 127);
                bytes.extend((size as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.unwrap_or_default().iter().filter(|_| mask.is_some()));
        let keys = mask.unwrap_or_default();
        let coded = payload
            .iter()
            .zip(keys.iter().cycle())
            .map(|(byte, key)| byte ^ key);
        bytes.extend(coded);
        let _ = self.tcp.write_all(&bytes);
    }

    pub(crate) fn close(&mut self, code: u16) {
        self.frame(CLOSE, &code.to_be_bytes());
    }

    /// AgentDisconnect, Close, and the server's Close and end.
    pub(crate) fn leave(&mut self) {
        self.send(&super::disconnect());
        self.close(1000);
        while self.read().is_some() {}
        let _ = self.tcp.shutdown(std::net::Shutdown::Both);
    }

    /// The next frame; none at the end of the connection.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let [first, second] = self.bytes()?;
        let size = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.bytes()?)),
            127 => u64::from_be_bytes(self.bytes()?),
            size => u64::from(size),
        };
        let is_masked = second & 0x80 != 0;
        let mask: [u8; 4] = if is_masked { self.bytes()? } else { [0; 4] };
        let mut payload = vec![0; size as usize];
        self.tcp.read_exact(&mut payload).ok()?;
        payload
            .iter_mut()
            .zip(mask.iter().cycle())
            .for_each(|(byte, key)| *byte ^= key);
        let (is_final, reserved) = (first & 0x80 != 0, first >> 4 & 7);
        Some(Frame {
            is_final,
            reserved,
            opcode: first & 15,
            is_masked,
            payload,
        })
    }

    fn bytes<const SIZE: usize>(&mut self) -> Option<[u8; SIZE]> {
        let mut bytes = [0; SIZE];
        match self.tcp.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ) =>
            {
                None
            }
            Err(error) => panic!("no frame: {error}"),
        }
    }
}

/// The payload of a Close frame.
pub(crate) fn code(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}
