//! A TLS 1.3 server that writes its records itself, so that it can say what no library would.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use ring::{aead, hkdf};
use rustls::{CipherSuite, KeyLog, ServerConfig, ServerConnection, StreamOwned};

use crate::tls::Pair;

/// What a server can send for ever without saying anything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nothing {
    Tickets,
    KeyUpdates,
    EmptyRecords,
}

impl Nothing {
    pub(crate) const ALL: [Nothing; 3] =
        [Nothing::Tickets, Nothing::KeyUpdates, Nothing::EmptyRecords];

    /// Of the others the TLS library bears fewer still, and says so in its own words.
    pub(crate) fn is_named_in(self, text: &str) -> bool {
        !matches!(self, Nothing::Tickets) || text.contains("without data")
    }
}

/// The session after its handshake: read as usual, written by hand.
pub(crate) struct Records<S: Read + Write> {
    session: StreamOwned<ServerConnection, S>,
    secret: Vec<u8>,
    keys: Keys,
}

struct Keys {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    number: u64,
}

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// Keeps the secret that the records after the handshake are made with.
#[derive(Debug, Default)]
struct Secret(Mutex<Vec<u8>>);

impl KeyLog for Secret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "SERVER_TRAFFIC_SECRET_0" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

impl<S: Read + Write> Records<S> {
    pub(crate) fn accept(peer: S, pair: &Pair) -> Records<S> {
        let secret = Arc::new(Secret::default());
        let mut config = ServerConfig::clone(&pair.server(None));
        config.key_log = secret.clone();
        config.send_tls13_tickets = 0;
        let session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut session = StreamOwned::new(session, peer);
        while session.conn.is_handshaking() {
            session.conn.complete_io(&mut session.sock).unwrap();
        }
        let suite = session.conn.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, CipherSuite::TLS13_AES_256_GCM_SHA384);
        let secret = secret.0.lock().unwrap().clone();
        let keys = Keys::of(&secret);
        Records {
            session,
            secret,
            keys,
        }
    }

    /// Until nobody takes it any more.
    pub(crate) fn flood(&mut self, with: Nothing) {
        while self.some(with, 64).is_ok() {}
    }

    pub(crate) fn some(&mut self, of: Nothing, count: usize) -> io::Result<()> {
        let mut all = Vec::new();
        for _ in 0..count {
            match of {
                Nothing::Tickets => {
                    let body = [
                        &[0, 1, 0, 0, 0, 0, 0, 7, 1, 9, 0, 16][..],
                        &[5; 16],
                        &[0, 0],
                    ];
                    let body = body.concat();
                    let whole = [&[4, 0, 0, body.len() as u8][..], &body].concat();
                    all.extend(self.keys.record(HANDSHAKE, &whole));
                }
                Nothing::KeyUpdates => {
                    all.extend(self.keys.record(HANDSHAKE, &[24, 0, 0, 1, 0]));
                    self.secret = expand(&self.secret, "traffic upd", 48);
                    self.keys = Keys::of(&self.secret);
                }
                Nothing::EmptyRecords => all.extend(self.keys.record(DATA, &[])),
            }
        }
        self.session.sock.write_all(&all)
    }
}

impl<S: Read + Write> Read for Records<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.session.read(buffer)
    }
}

impl<S: Read + Write> Write for Records<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(16 * 1024)];
        let record = self.keys.record(DATA, piece);
        self.session.sock.write_all(&record)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.session.sock.flush()
    }
}

impl<S: Read + Write> Records<S> {
    /// What this session goes through.
    pub(crate) fn carrier(&mut self) -> &mut S {
        &mut self.session.sock
    }
}

impl Records<TcpStream> {
    pub(crate) fn until_gone(mut self) {
        let mut piece = vec![0; 64 * 1024];
        while matches!(self.session.read(&mut piece), Ok(1..)) {}
    }
}

impl Keys {
    fn of(secret: &[u8]) -> Keys {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, &expand(secret, "key", 32)).unwrap();
        Keys {
            key: aead::LessSafeKey::new(key),
            iv: expand(secret, "iv", 12).try_into().unwrap(),
            number: 0,
        }
    }

    /// RFC 8446, 5.2 and 5.3.
    fn record(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let mut body = [content, &[kind]].concat();
        let length = (body.len() + 16) as u16;
        let head = [&[DATA, 3, 3][..], &length.to_be_bytes()].concat();
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number += 1;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let head_too = aead::Aad::from(&head[..]);
        self.key
            .seal_in_place_append_tag(nonce, head_too, &mut body)
            .unwrap();
        [head, body].concat()
    }
}

/// HKDF-Expand-Label of RFC 8446, 7.1.
fn expand(secret: &[u8], label: &str, length: usize) -> Vec<u8> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = format!("tls13 {label}");
    let parts = [
        &(length as u16).to_be_bytes()[..],
        &[label.len() as u8],
        label.as_bytes(),
        &[0],
    ];
    let key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA384, secret);
    let mut out = vec![0; length];
    let expanded = key.expand(&parts, Length(length)).unwrap();
    expanded.fill(&mut out).unwrap();
    out
}
