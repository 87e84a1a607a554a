//! From a reply and the fault that meets it to bytes, pauses and ends.
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use crate::reply::bodies::{gzip_zeros, many_fields, nested, sized, unknown_fields};
use crate::reply::compose::{Content, Reply, normalised, parts_of};
use crate::reply::step::Step;
use crate::vocabulary::action::{Action, Body, Close, Drop, Encoding, RetryAfter};
use crate::vocabulary::codec;
use crate::vocabulary::cut::{Cut, CutAfter, How};
use crate::vocabulary::text::{from_base64, from_hex};
use crate::world::timeline::{Sent, Way};

const PROTOBUF: &str = "application/x-protobuf";
const PAGE: &str = "<!doctype html><html><head><title>Sign in</title></head>\
                    <body><h1>Sign in to the network</h1></body></html>\n";

/// What to do with the connection, in this order.
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// As it stands in the timeline; `answers` is set already.
    pub(crate) sent: Sent,
    /// Until then the agent was told to be silent, counted from now.
    pub(crate) silence: Option<Duration>,
}

/// The answer to `reply` on a connection that the request wants to keep or not.
pub(crate) fn plan(reply: &Reply, keeps_alive: bool) -> Plan {
    let usual = Action::default();
    let action = reply.fault.as_ref().map_or(&usual, |fault| &fault.action);
    if let Some(dropped) = action.drop {
        return withheld(reply, Step::End(dropped.how()), dropped_text(dropped));
    }
    if action.silent {
        return withheld(reply, Step::Stall, "kept silent".into());
    }
    let draft = Draft::new(reply, action);
    let body = draft.coded(action);
    let size = action.content_length.unwrap_or(body.len() as u64);
    let (headers, head) = draft.head(action, keeps_alive, size);
    let mut steps = deliver(head.into(), body, action, chunk);
    match action.close {
        Some(Close::Reset) => steps.push(Step::End(How::Reset)),
        Some(Close::Vanish) => steps.push(Step::End(How::Vanish)),
        Some(Close::Silent | Close::Announced) => steps.push(Step::End(How::Close)),
        _ if !keeps_alive => steps.push(Step::End(How::Close)),
        _ => {}
    }
    let sent = Sent {
        answers: Some(reply.index),
        way: Way::Http(Some(draft.status), headers),
        size,
        parts: draft.message.as_ref().map(parts_of).unwrap_or_default(),
        message: draft.message,
        fault: fault_text(reply, format!("answered {}", draft.status)),
    };
    Plan {
        steps,
        sent,
        silence: silence(draft.status, action),
    }
}

/// The body that a rule makes of a good message, and the message that an agent may find in it.
pub(crate) fn body_of(good: Bytes, action: &Action) -> (Bytes, Option<Bytes>) {
    let good = overlaid(&good, action);
    let mut draft = Draft::of(200, PROTOBUF, good.clone(), Some(good));
    draft.set_body(action);
    (draft.body, draft.message)
}

fn withheld(reply: &Reply, step: Step, did: String) -> Plan {
    let sent = Sent {
        answers: Some(reply.index),
        way: Way::Http(None, Vec::new()),
        size: 0,
        message: None,
        parts: Vec::new(),
        fault: fault_text(reply, did),
    };
    Plan {
        steps: vec![step],
        sent,
        silence: None,
    }
}

pub(crate) fn dropped_text(dropped: Drop) -> String {
    let place = if dropped.is_unread() {
        "before reading"
    } else {
        "after reading"
    };
    let how = match dropped.how() {
        How::Close => "closed",
        How::Reset => "reset",
        How::Vanish => "vanished",
    };
    format!("{how} {place}")
}

fn fault_text(reply: &Reply, did: String) -> Option<(String, String)> {
    reply.fault.as_ref().map(|fault| (fault.rule.clone(), did))
}

/// An answer before its framing.
struct Draft {
    status: u16,
    content_type: Option<String>,
    body: Bytes,
    /// The ServerToAgent that an agent may find in it.
    message: Option<Bytes>,
    /// The body is so coded already.
    is_gzip: bool,
    /// The proof of a WebSocket handshake.
    accept_key: String,
}

impl Draft {
    fn new(reply: &Reply, action: &Action) -> Self {
        let mut draft = match &reply.content {
            Content::Message(good) => {
                let good = overlaid(good, action);
                let body = good.clone();
                Self::of(action.status.unwrap_or(200), PROTOBUF, body, Some(good))
            }
            Content::Upgrade(accept_key) => Self {
                content_type: None,
                accept_key: accept_key.clone(),
                ..Self::of(action.status.unwrap_or(101), "", early_frames(action), None)
            },
            Content::Refusal(status, text) => {
                let body = Bytes::from(format!("{text}\n"));
                Self::of(action.status.unwrap_or(*status), "text/plain", body, None)
            }
        };
        if action.redirect.is_some() && action.status.is_none() {
            draft.status = 307;
        }
        draft.set_body(action);
        if let Some(content_type) = &action.content_type {
            draft.content_type.clone_from(content_type);
        }
        draft
    }

    fn of(status: u16, content_type: &str, body: Bytes, message: Option<Bytes>) -> Self {
        let content_type = Some(content_type.to_owned());
        Self {
            status,
            content_type,
            body,
            message,
            is_gzip: false,
            accept_key: String::new(),
        }
    }

    fn set_body(&mut self, action: &Action) {
        let Some(body) = &action.body else {
            // A refusal of the server's own says why.
            let is_made_up = action.status.is_some() || action.redirect.is_some();
            if self.status == 204 || self.status == 304 {
                *self = Self {
                    content_type: None,
                    ..Self::of(self.status, "", Bytes::new(), None)
                };
            } else if is_made_up && !matches!(self.status, 101 | 200..=299) {
                let text = format!("{} by a fault rule\n", self.status);
                *self = Self::of(self.status, "text/plain", text.into(), None);
            }
            return;
        };
        let good = self.message.take().unwrap_or_default();
        let appended = |tail: &[u8]| Bytes::from([&good[..], tail].concat());
        self.body = match body {
            Body::Empty => Bytes::new(),
            Body::Html => {
                self.content_type = Some("text/html; charset=utf-8".into());
                PAGE.into()
            }
            Body::Garbage => Bytes::from_static(b"\xff\xff\xff this is no protobuf \x00\xff"),
            Body::Truncated => good.slice(..good.len().saturating_sub(1)),
            // A custom message whose capability is no UTF-8.
            Body::InvalidUtf8 => appended(&[0x5a, 0x04, 0x0a, 0x02, 0xff, 0xfe]),
            Body::UnknownFields => appended(&unknown_fields()),
            Body::Text(text) => text.clone().into(),
            Body::Base64(text) => from_base64(text).expect("checked when loaded").into(),
            Body::Hex(text) => from_hex(text).expect("checked when loaded").into(),
            Body::Size(size) => sized(&good, *size),
            Body::Zeros(size) if action.encoding == Some(Encoding::Gzip) => {
                self.is_gzip = true;
                gzip_zeros(*size)
            }
            Body::Zeros(size) => vec![0; *size as usize].into(),
            Body::ManyFields(size) => many_fields(*size),
            Body::Nested(depth) => appended(&nested(*depth)),
        };
        if matches!(body, Body::UnknownFields | Body::Size(_)) {
            self.message = Some(if self.body.len() > 1 << 20 {
                good
            } else {
                self.body.clone()
            });
        }
        if matches!(body, Body::Empty) {
            self.message = Some(Bytes::new());
        }
    }

    /// The body as it goes over the wire, chunks apart.
    fn coded(&self, action: &Action) -> Bytes {
        let body = if action.encoding == Some(Encoding::Gzip) && !self.is_gzip {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(&self.body).expect("a Vec takes all");
            gzip.finish().expect("a Vec takes all").into()
        } else {
            self.body.clone()
        };
        if !is_chunked(action) {
            return body;
        }
        let mut chunks = Vec::with_capacity(body.len() + 32);
        if !body.is_empty() {
            write!(chunks, "{:x}\r\n", body.len()).expect("a Vec takes all");
            chunks.extend_from_slice(&body);
            chunks.extend_from_slice(b"\r\n");
        }
        if action.endless.is_none() {
            chunks.extend_from_slice(b"0\r\n\r\n");
        }
        chunks.into()
    }

    fn head(
        &self,
        action: &Action,
        keeps_alive: bool,
        size: u64,
    ) -> (Vec<(String, String)>, String) {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| headers.push((name.to_owned(), value));
        if let Some(content_type) = &self.content_type {
            set("Content-Type", content_type.clone());
        }
        if action.encoding.is_some() {
            set("Content-Encoding", "gzip".into());
        }
        if is_chunked(action) {
            set("Transfer-Encoding", "chunked".into());
        } else if !matches!(self.status, 101 | 204 | 304) {
            set("Content-Length", size.to_string());
        }
        set("Date", httpdate::fmt_http_date(SystemTime::now()));
        if let Some(retry_after) = &action.retry_after {
            set("Retry-After", retry_after.value());
        }
        if let Some(location) = &action.redirect {
            set("Location", location.clone());
        }
        if self.status == 405 {
            set("Allow", "POST".into());
        }
        if self.status == 101 {
            set("Upgrade", "websocket".into());
            set("Connection", "Upgrade".into());
            set("Sec-WebSocket-Accept", self.accept_key.clone());
        } else if matches!(action.close, Some(Close::Announced)) || !keeps_alive {
            set("Connection", "close".into());
        }
        let is_given = |known: &str| {
            let mut given = action.headers.iter();
            given.any(|(name, _)| name.eq_ignore_ascii_case(known))
        };
        headers.retain(|(name, _)| !is_given(name));
        let given = action.headers.iter();
        headers.extend(given.filter_map(|(name, value)| Some((name.clone(), value.clone()?))));
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes all");
        }
        head.push_str("\r\n");
        (headers, head)
    }
}

/// What follows a 101 without waiting for the agent.
fn early_frames(action: &Action) -> Bytes {
    let frames = action.frames.iter().map(|spec| spec.frame().bytes());
    frames.collect::<Vec<_>>().concat().into()
}

/// A chunk of zeros.
fn chunk(size: usize) -> Bytes {
    [format!("{size:x}\r\n").as_bytes(), &vec![0; size], b"\r\n"]
        .concat()
        .into()
}

fn is_chunked(action: &Action) -> bool {
    action.chunked || action.endless.is_some()
}

/// The good answer with the parts that the rule sets.
fn overlaid(good: &Bytes, action: &Action) -> Bytes {
    let Some(parts) = &action.answer else {
        return good.clone();
    };
    let parts = codec::read("ServerToAgent", parts).expect("checked when loaded");
    normalised(&[&good[..], &parts].concat()).into()
}

/// Head and body at the pace and up to the point that the rule wants; `endless` makes what then
/// follows for ever.
pub(crate) fn deliver(
    head: Bytes,
    body: Bytes,
    action: &Action,
    endless: fn(usize) -> Bytes,
) -> Vec<Step> {
    let all = head.len() + body.len();
    let end = match action.cut.map(|cut| cut.after) {
        None => all,
        Some(CutAfter::Head) => head.len(),
        Some(CutAfter::Half) => head.len() + body.len() / 2,
        Some(CutAfter::Bytes(bytes)) => bytes.min(all),
    };
    let split = head.len();
    let (head, body) = (
        head.slice(..end.min(split)),
        body.slice(..end.saturating_sub(split)),
    );
    let mut steps = match (action.dribble, action.wait_between) {
        (Some(pace), _) => vec![Step::Dribble([&head[..], &body].concat().into(), pace)],
        (None, Some(span)) => vec![Step::Write(head), Step::Pause(span.0), Step::Write(body)],
        (None, None) if body.len() < 64 << 10 => {
            vec![Step::Write([&head[..], &body].concat().into())]
        }
        (None, None) => vec![Step::Write(head), Step::Write(body)],
    };
    if let Some(pace) = action.endless {
        steps.push(Step::Endless(endless(pace.bytes), pace.every.0));
    }
    if let Some(Cut { how, .. }) = action.cut {
        steps.push(how.how().map_or(Step::Stall, Step::End));
    }
    steps
}

/// How long an agent must be silent after this answer (HTTP-10); nothing where that is open to it.
fn silence(status: u16, action: &Action) -> Option<Duration> {
    if !matches!(status, 429 | 503) || action.cut.is_some() {
        return None;
    }
    let seconds = match action.retry_after.as_ref()? {
        RetryAfter::Text(text) => text.parse().ok()?,
        // The date has no fractions: up to a second less.
        RetryAfter::Date(seconds) => u64::try_from(*seconds - 1).ok()?,
    };
    // Agents cap what is absurd.
    (seconds <= 3600).then(|| Duration::from_secs(seconds))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
