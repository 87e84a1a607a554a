//! What an HTTP answer means for an exchange, whoever received it.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;

use super::gunzip::Gunzip;
use super::quote::{MOST_SHOWN, shown};
use super::room::lengthen;
use super::{Answer, FailKind, Failure, ReachedServer};

/// A body that is only shown, or read away to keep its connection, is read up to this.
const MOST_DRAINED: usize = 64 * 1024;
/// Looked through for something to show.
const MOST_SEARCHED: usize = 8 * 1024;
const CHUNK: usize = 64 * 1024;
/// A century: larger waits than anybody means, small enough to add to any clock.
const MOST_WAIT: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The part of an answer's head that matters here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
    pub(crate) content_length: Option<u64>,
    pub(crate) retry_after: Option<&'a str>,
}

/// What to do with the body.
pub(crate) enum Plan {
    /// It is the message.
    Take { is_gzip: bool },
    /// It is shown at most.
    Show { kind: FailKind, text: String },
    /// It is not even read.
    Leave { kind: FailKind, text: String },
}

/// Why a body could not be read.
pub(crate) enum BodyError {
    /// The source of the bytes failed.
    Source(io::Error),
    TooLarge,
    NoMemory(usize),
    BadGzip(io::Error),
}

impl Head<'_> {
    pub(crate) fn plan(&self, limit: usize) -> Plan {
        if !matches!(self.status, 200 | 204) {
            return Plan::Show {
                kind: FailKind::Status,
                text: status_text(self.status),
            };
        }
        let is_gzip = self.is_gzip();
        if let Some(other) = self
            .content_encoding
            .filter(|e| !is_gzip && !is_identity(e))
        {
            let found = shown(other, 32);
            let text = format!("the content encoding is \"{found}\", not gzip");
            return Plan::Show {
                kind: FailKind::Decode,
                text,
            };
        }
        let most = if is_gzip {
            most_packed(limit)
        } else {
            limit as u64
        };
        if let Some(length) = self.content_length.filter(|&n| n > most) {
            let text = format!("the answer has {length} bytes, the limit is {limit}");
            return Plan::Leave {
                kind: FailKind::Size,
                text,
            };
        }
        if self.content_length == Some(0) || self.has_fitting_type() {
            return Plan::Take { is_gzip };
        }
        let found = shown(self.content_type.unwrap_or_default(), 64);
        let text = format!("the content type is \"{found}\", not application/x-protobuf");
        Plan::Show {
            kind: FailKind::Decode,
            text,
        }
    }

    pub(crate) fn is_gzip(&self) -> bool {
        self.content_encoding.is_some_and(|encoding| {
            let encoding = encoding.trim_ascii();
            encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip")
        })
    }

    fn has_fitting_type(&self) -> bool {
        let Some(whole) = self.content_type else {
            return true;
        };
        let mut parts = whole.as_bytes().split(|&byte| byte == b';');
        let bare = parts.next().unwrap_or_default().trim_ascii();
        [
            &b"application/x-protobuf"[..],
            b"application/protobuf",
            b"application/octet-stream",
        ]
        .iter()
        .any(|fit| bare.eq_ignore_ascii_case(fit))
    }

    /// The begin of a body that is only shown, without gzip.
    fn readable(&self, body: Vec<u8>) -> Vec<u8> {
        if !self.is_gzip() {
            return body;
        }
        let mut plain = Vec::new();
        let _ = Gunzip::new(&body[..])
            .take(MOST_SEARCHED as u64)
            .read_to_end(&mut plain);
        plain
    }

    /// A failure after an answer of this head.
    pub(crate) fn failure(&self, kind: FailKind, text: String) -> Failure {
        Failure {
            status: Some(self.status),
            retry_after: self
                .retry_after
                .and_then(|v| retry_after(v, SystemTime::now())),
            ..Failure::new(kind, ReachedServer::Maybe, text)
        }
    }

    /// For [`Plan::Show`]: the text with an excerpt of the body. An empty 200 is fine whatever its
    /// content type says, if `is_ended`: what did not come is not empty.
    pub(crate) fn shown(
        &self,
        kind: FailKind,
        text: String,
        body: Vec<u8>,
        is_ended: bool,
    ) -> Result<Answer, Failure> {
        if body.is_empty() && is_ended && kind == FailKind::Decode {
            return Ok(Answer {
                status: self.status,
                body: Bytes::new(),
            });
        }
        let excerpt = excerpt(&self.readable(body));
        let text = if excerpt.is_empty() {
            text
        } else {
            format!("{text}: {excerpt}")
        };
        Err(self.failure(kind, text))
    }

    pub(crate) fn body_failure(&self, error: BodyError, limit: usize) -> Failure {
        match error {
            BodyError::TooLarge => self.failure(
                FailKind::Size,
                format!("the answer passed the limit of {limit} bytes"),
            ),
            BodyError::NoMemory(n) => self.failure(
                FailKind::Size,
                format!("no memory for an answer of {n} bytes"),
            ),
            BodyError::BadGzip(e) => self.failure(
                FailKind::Decode,
                format!("the answer is not valid gzip: {e}"),
            ),
            BodyError::Source(e) => self.failure(FailKind::Io, e.to_string()),
        }
    }
}

/// Seconds or an HTTP-date. What lies in the past, is zero or makes no sense is absent: a server
/// that says "now" beside a refusal is met with the backoff. By a clock that stands before 1970 no
/// date makes sense.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().map_or(MOST_WAIT, Duration::from_secs)
    } else {
        now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        httpdate::parse_http_date(value)
            .ok()?
            .duration_since(now)
            .ok()?
    };
    Some(wait.min(MOST_WAIT)).filter(|wait| !wait.is_zero())
}

/// A whole plain body, at most `limit` bytes, in one buffer that is made once when the length is
/// known.
pub(crate) fn read_plain(
    source: &mut impl Read,
    length: Option<u64>,
    limit: usize,
) -> Result<Bytes, BodyError> {
    let mut body = Vec::new();
    if let Some(length) = length
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n <= limit)
    {
        body.try_reserve_exact(length)
            .map_err(|_| BodyError::NoMemory(length))?;
    }
    read_bounded(source, &mut body, limit)?;
    Ok(body.into())
}

/// The same with gzip undone. A bomb costs no more than the limit and the decoder's window, and
/// what unpacks to nothing ends, too.
pub(crate) fn read_gzip(source: &mut impl Read, limit: usize) -> Result<Bytes, BodyError> {
    let mut noting = Noting {
        source,
        has_failed: false,
        come: 0,
        most: most_packed(limit),
    };
    let mut body = Vec::new();
    let result = read_bounded(&mut Gunzip::new(&mut noting), &mut body, limit);
    match result {
        Ok(()) => Ok(body.into()),
        // A body of no bytes is an empty message, whatever its encoding says.
        Err(BodyError::Source(_)) if noting.come > noting.most => Err(BodyError::TooLarge),
        Err(BodyError::Source(_)) if noting.come == 0 && !noting.has_failed => Ok(Bytes::new()),
        Err(BodyError::Source(e)) if !noting.has_failed => Err(BodyError::BadGzip(e)),
        Err(e) => Err(e),
    }
}

/// With what gzip adds to bytes that it can not compress.
fn most_packed(limit: usize) -> u64 {
    (limit as u64).saturating_add(limit as u64 / 1024 + 1024)
}

/// Reads away at most [`MOST_DRAINED`] bytes, and answers the first of them.
pub(crate) fn drain(source: &mut impl Read, head: &Head<'_>, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let is_short = head.content_length.is_none_or(|n| n <= MOST_DRAINED as u64);
    // Of a long one only what is shown: its connection is given up.
    let most = limit.min(if is_short {
        MOST_DRAINED
    } else {
        MOST_SEARCHED
    }) as u64;
    // An excerpt is worth having even when the rest does not come.
    let _ = source.by_ref().take(most).read_to_end(&mut body);
    if is_short && body.len() as u64 == most {
        let _ = source.read(&mut [0]);
    }
    body
}

pub(crate) fn status_text(status: u16) -> String {
    let named = named(status);
    match status {
        300..400 => format!("{named} (not followed)"),
        200..300 => format!("{named} (unexpected)"),
        _ => named,
    }
}

pub(crate) fn not_followed(status: u16, why: &str) -> String {
    format!("{} (not followed: {why})", named(status))
}

fn named(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|s| s.canonical_reason());
    let reason = reason.map(|r| format!(" {r}")).unwrap_or_default();
    format!("HTTP {status}{reason}")
}

fn is_identity(encoding: &str) -> bool {
    encoding.trim().is_empty() || encoding.trim().eq_ignore_ascii_case("identity")
}

fn excerpt(body: &[u8]) -> String {
    let body = &body[..body.len().min(MOST_SEARCHED)];
    // No text, perhaps a message under a wrong content type: what it offers is not for a log.
    if body
        .iter()
        .any(|&byte| byte.is_ascii_control() && !b"\t\n\x0c\r\x1b".contains(&byte))
    {
        return String::new();
    }
    shown(&String::from_utf8_lossy(body), MOST_SHOWN)
}

/// Reads to the end. Grows by doubling, never past the limit, and never without asking.
fn read_bounded(source: &mut impl Read, body: &mut Vec<u8>, limit: usize) -> Result<(), BodyError> {
    loop {
        if body.len() == limit {
            return match source.read(&mut [0]).map_err(BodyError::Source)? {
                0 => Ok(()),
                _ => Err(BodyError::TooLarge),
            };
        }
        if body.len() == body.capacity() {
            // A body of known length is whole here: its end is asked for without growing.
            let mut probe = [0; 32];
            let n = source.read(&mut probe[..32.min(limit - body.len())]);
            let n = n.map_err(BodyError::Source)?;
            if n == 0 {
                return Ok(());
            }
            let more = body.len().max(CHUNK / 16).min(limit - body.len()).max(n);
            body.try_reserve_exact(more)
                .map_err(|_| BodyError::NoMemory(body.len() + more))?;
            body.extend_from_slice(&probe[..n]);
            continue;
        }
        let start = body.len();
        let room = (body.capacity() - start).min(limit - start).min(CHUNK);
        lengthen(body, start + room);
        let result = source.read(&mut body[start..]);
        body.truncate(start + result.as_ref().map_or(0, |&n| n));
        if result.map_err(BodyError::Source)? == 0 {
            return Ok(());
        }
    }
}

/// Tells a failure of the source from one of the decoder, and an end that never comes from both.
struct Noting<'a, R> {
    source: &'a mut R,
    has_failed: bool,
    come: u64,
    most: u64,
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.source.read(buffer);
        self.has_failed |= result.is_err();
        self.come += *result.as_ref().unwrap_or(&0) as u64;
        if self.come > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Secrets;

    #[test]
    fn retry_after_takes_what_makes_sense() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let of = |value| retry_after(value, now).map(|d| d.as_secs());
        assert_eq!(of("120"), Some(120));
        assert_eq!(of(" 7 "), Some(7));
        assert_eq!(of("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(of("Sun, 06 Nov 1984 08:49:37 GMT"), None);
        for nothing in ["0", "-5", "", "soon", "1.5", "+3", "12 s"] {
            assert_eq!(of(nothing), None, "{nothing:?}");
        }
        assert_eq!(of("99999999999999999999999"), Some(MOST_WAIT.as_secs()));
        let unset = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:37 GMT", unset), None);
        assert_eq!(retry_after("7", unset), Some(Duration::from_secs(7)));
    }

    #[test]
    fn an_excerpt_is_of_text_alone() {
        let (headers, proxies) = Default::default();
        let told = |body: &[u8]| Secrets::new(&headers, &proxies).judged(&excerpt(body));
        // A configuration that is offered under a wrong content type.
        let offer = b"\x1a\x10\x0a\x0e\x0a\x0c\x0a\x01a\x12\x07\x0a\x05a: 1\n";
        assert_eq!(told(offer), "");
        assert_eq!(
            told(b"\x1b[31mrefused\r\n<b>now</b>"),
            "[31mrefused <b>now</b>"
        );
        assert_eq!(told(&[0xff, 0xfe, b'x']), "\u{fffd}\u{fffd}x");
        assert_eq!(told("\u{e9}".repeat(1000).as_bytes()).len(), 256);
    }
}
