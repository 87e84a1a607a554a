//! HTTP's CONNECT (RFC 9110, 9.3.6).

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Login, Refusal};
use crate::transport::answer::{retry_after, status_text};
use crate::transport::endpoint::place;
use crate::transport::head;
use crate::transport::headers::Headers;
use crate::transport::room::lengthen;
use crate::transport::stream::Stream;
use crate::transport::vigil::Vigil;

/// Longest head of a proxy's answer.
const MOST_HEAD: usize = 16 * 1024;
const PIECE: usize = 1024;

pub(super) fn basic(login: &Login) -> String {
    let whole = [&login.user[..], b":", &login.password[..]].concat();
    format!("Basic {}", STANDARD.encode(whole))
}

pub(super) fn request((host, port): (&str, u16), headers: &Headers) -> Vec<u8> {
    let place = place(host, port);
    let mut out = format!("CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n").into_bytes();
    for (name, value) in headers.iter() {
        for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Sends the request and reads the head of its answer; nothing may stand behind that, because the
/// server speaks only when it is spoken to.
pub(super) fn open(stream: &mut Stream, request: &[u8], vigil: &mut Vigil) -> Result<(), Refusal> {
    stream.send(request, &mut 0, vigil)?;
    let (mut come, mut begin) = (Vec::new(), 0);
    loop {
        let end = come.len();
        if end >= MOST_HEAD {
            let text = format!("sent a head of more than {MOST_HEAD} bytes");
            return Err(Refusal::Said(text));
        }
        lengthen(&mut come, end + PIECE);
        let n = stream.recv(&mut come[end..], vigil)?;
        come.truncate(end + n);
        if n == 0 {
            return Err(Refusal::Said("closed the connection".to_owned()));
        }
        loop {
            head::tidy(&mut come[begin..]).map_err(not_http)?;
            let mut slots = head::slots();
            let Some(head) = head::read(&come[begin..], &mut slots).map_err(not_http)? else {
                break;
            };
            begin += head.len;
            if head.is_interim() {
                continue;
            }
            let status = head.status;
            if !(200..300).contains(&status) {
                let wait = head.header("retry-after");
                return Err(Refusal::Status {
                    status,
                    retry_after: wait.and_then(|value| retry_after(value, SystemTime::now())),
                    text: status_text(status),
                });
            }
            return match begin == come.len() {
                true => Ok(()),
                false => Err(Refusal::Said("sent bytes behind its answer".to_owned())),
            };
        }
    }
}

fn not_http(why: String) -> Refusal {
    Refusal::Said(format!("does not speak HTTP: {why}"))
}
