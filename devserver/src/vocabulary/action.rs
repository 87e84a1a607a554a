//! What a fault rule does, key by key; keys combine.
//!
//! A new key is a field here (with its place in [`KEYS`], unless it is of messages alone) and its
//! effect: on answers over HTTP in `reply/answer.rs`, on frames in `reply/frames.rs`, on
//! connections in `serve/connection.rs`. The table in README.md has a row for it, which
//! `tests/readme.rs` demands; what it does is shown in `tests/faults.rs` or
//! `tests/websocket_faults.rs`.
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::vocabulary::codec;
use crate::vocabulary::cut::{Cut, How, Limit, Pace};
use crate::vocabulary::frame::{CloseSpec, FrameSpec, Opcode};
use crate::vocabulary::text::{Span, from_base64, from_hex};

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum On {
    #[default]
    Message,
    Connection,
    /// The request that makes a connection a WebSocket.
    Upgrade,
    /// A ping of the agent's.
    Ping,
    /// A Close frame of the agent's.
    Close,
}

/// The `do` of a rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Action {
    // Of a connection.
    pub(crate) accept: Option<Accept>,
    /// The certificate of the TLS handshake, by its name in the folder of --tls.
    pub(crate) certificate: Option<String>,
    /// Ends the way to the agent, or the way from it, at a byte; under TLS these are TLS's bytes.
    pub(crate) sending: Option<Limit>,
    pub(crate) reading: Option<Limit>,
    // Before the answer.
    pub(crate) wait_before_reading: Option<Span>,
    pub(crate) drop: Option<Drop>,
    pub(crate) wait: Option<Span>,
    /// Never answers, and keeps the connection.
    pub(crate) silent: bool,
    // What the answer says.
    pub(crate) status: Option<u16>,
    /// In place of the server's own of that name; null leaves that one out.
    pub(crate) headers: Vec<(String, Option<String>)>,
    pub(crate) retry_after: Option<RetryAfter>,
    /// Location of a redirect, 307 unless `status` says otherwise.
    pub(crate) redirect: Option<String>,
    /// Another content type; null leaves the header out.
    #[serde(deserialize_with = "given")]
    pub(crate) content_type: Option<Option<String>>,
    /// Parts of a ServerToAgent, over the ones that a good server would send.
    pub(crate) answer: Option<Json>,
    /// The present configuration, whether the agent has it or not.
    pub(crate) offer_again: bool,
    pub(crate) body: Option<Body>,
    pub(crate) encoding: Option<Encoding>,
    /// Declares that length, whatever the body has.
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    // How it is delivered.
    /// Between the head and the body.
    pub(crate) wait_between: Option<Span>,
    pub(crate) dribble: Option<Pace>,
    pub(crate) cut: Option<Cut>,
    /// A chunked body of zero bytes without an end, after the body.
    pub(crate) endless: Option<Pace>,
    pub(crate) close: Option<Close>,
    // Of WebSocket.
    /// Answers before it looks for a ping behind the message, and so before the pong.
    pub(crate) answer_first: bool,
    pub(crate) opcode: Option<Opcode>,
    pub(crate) reserved_bits: u8,
    pub(crate) masked: bool,
    /// In place of the 0 in front of the protobuf, as hexadecimal.
    pub(crate) header: Option<String>,
    /// In fragments of so many bytes.
    pub(crate) fragments: Option<usize>,
    pub(crate) pings_between: bool,
    /// The last fragment never comes.
    pub(crate) unfinished: bool,
    pub(crate) frames_before: Vec<FrameSpec>,
    pub(crate) frames: Vec<FrameSpec>,
    /// From here on not a byte leaves; what comes is still noted.
    pub(crate) mute: bool,
    /// From here on nothing is read.
    pub(crate) deaf: bool,
}

/// The most that a rule may make of anything at once: the server itself shall outlive its faults.
const MOST_BYTES: u64 = 1 << 30;
/// What a nested body takes for each level.
const LEVEL_BYTES: u64 = 4;
/// A Retry-After further away is no HTTP-date any more.
const MOST_SECONDS: u64 = 1_000_000_000;

/// The keys that have a meaning for each occasion; those of messages are what is in none of these.
const KEYS: [(On, &[&str]); 4] = [
    (
        On::Connection,
        &[
            "accept",
            "certificate",
            "sending",
            "reading",
            "wait",
            "dribble",
        ],
    ),
    (
        On::Upgrade,
        &[
            "wait",
            "drop",
            "silent",
            "status",
            "headers",
            "retry_after",
            "redirect",
            "content_type",
            "body",
            "content_length",
            "chunked",
            "wait_between",
            "dribble",
            "cut",
            "endless",
            "close",
            "frames",
            "mute",
            "deaf",
        ],
    ),
    (
        On::Ping,
        &[
            "wait",
            "silent",
            "body",
            "opcode",
            "reserved_bits",
            "masked",
            "content_length",
            "dribble",
            "cut",
            "close",
            "frames_before",
            "frames",
            "mute",
            "deaf",
        ],
    ),
    (On::Close, &["wait", "silent", "close", "mute", "deaf"]),
];

/// What becomes of a connection at once.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Accept {
    Close,
    Reset,
    /// Not a byte in return, no TLS handshake either.
    Silent,
    /// The host is gone: not a packet in return.
    Vanish,
    CloseAfterTls,
    ResetAfterTls,
    SilentAfterTls,
}

/// Where a request is dropped.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    /// With the head read and the body not.
    Unread,
    Unanswered,
    ResetUnread,
    ResetUnanswered,
    Vanish,
}

impl Drop {
    pub(crate) fn is_unread(self) -> bool {
        matches!(self, Self::Unread | Self::ResetUnread)
    }

    pub(crate) fn how(self) -> How {
        match self {
            Self::Unread | Self::Unanswered => How::Close,
            Self::ResetUnread | Self::ResetUnanswered => How::Reset,
            Self::Vanish => How::Vanish,
        }
    }
}

/// A body in place of the good one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Empty,
    /// A page as a proxy would send it, with its content type.
    Html,
    /// Bytes that are no protobuf.
    Garbage,
    /// The good answer without its last bytes.
    Truncated,
    /// The good answer with a string that is no UTF-8.
    InvalidUtf8,
    /// The good answer with fields, enumeration values and flag bits that nobody knows.
    UnknownFields,
    Text(String),
    Base64(String),
    Hex(String),
    /// The good answer, filled up to exactly that many bytes.
    Size(u64),
    /// That many zero bytes.
    Zeros(u64),
    /// That many bytes of empty two-byte fields.
    ManyFields(u64),
    /// A custom component map nested that deep.
    Nested(u32),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    Gzip,
    /// Says gzip and sends the body as it is.
    FalseGzip,
}

/// Closes a kept connection after a whole answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Close {
    /// With `Connection: close`, or a Close frame of code 1000.
    Announced,
    Silent,
    /// Without a word, by a reset.
    Reset,
    Vanish,
    /// With this Close frame.
    Frame(CloseSpec),
}

/// The value of a Retry-After header.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Json")]
pub(crate) enum RetryAfter {
    Text(String),
    /// An HTTP-date that many seconds from now.
    Date(i64),
}

impl TryFrom<Json> for RetryAfter {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        if let Json::Number(number) = &json {
            return Ok(Self::Text(number.to_string()));
        }
        let text = json
            .as_str()
            .ok_or("retry_after is a number of seconds or a text")?;
        let seconds = text
            .strip_suffix('s')
            .filter(|text| text.starts_with(['+', '-']));
        match seconds.and_then(|seconds| seconds.parse::<i64>().ok()) {
            Some(seconds) if seconds.unsigned_abs() > MOST_SECONDS => {
                Err(format!("{text} is more than {MOST_SECONDS} seconds away"))
            }
            Some(seconds) => Ok(Self::Date(seconds)),
            None => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl RetryAfter {
    pub(crate) fn value(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Date(seconds) => {
                let span = Duration::from_secs(seconds.unsigned_abs());
                let now = SystemTime::now();
                httpdate::fmt_http_date(if *seconds < 0 { now - span } else { now + span })
            }
        }
    }
}

impl Action {
    /// Whether it acts before the body is read.
    pub(crate) fn is_early(&self) -> bool {
        self.wait_before_reading.is_some() || self.drop.is_some_and(Drop::is_unread)
    }

    /// Whether an agent may rightly believe that its message did not arrive, or was not understood.
    pub(crate) fn is_spoiling(&self) -> bool {
        // Key by key: who adds one says here whether it spoils.
        let Self {
            wait_before_reading,
            drop,
            wait,
            silent,
            status,
            redirect,
            content_type,
            answer,
            body,
            encoding,
            content_length,
            wait_between,
            dribble,
            cut,
            endless,
            close,
            opcode,
            reserved_bits,
            masked,
            header,
            unfinished,
            mute,
            deaf,
            accept: _,
            certificate: _,
            sending: _,
            reading: _,
            headers: _,
            retry_after: _,
            offer_again: _,
            chunked: _,
            answer_first: _,
            fragments: _,
            pings_between: _,
            frames_before: _,
            frames: _,
        } = self;
        let is_late = [wait_before_reading, wait, wait_between];
        *silent
            || *masked
            || *unfinished
            || *mute
            || *deaf
            || *reserved_bits != 0
            || is_late.into_iter().any(Option::is_some)
            || drop.is_some()
            || status.is_some()
            || redirect.is_some()
            || content_type.is_some()
            || body.is_some()
            || content_length.is_some()
            || dribble.is_some()
            || cut.is_some()
            || endless.is_some()
            || opcode.is_some()
            || header.is_some()
            || *encoding == Some(Encoding::FalseGzip)
            || matches!(close, Some(Close::Vanish))
            || answer
                .as_ref()
                .is_some_and(|parts| parts.get("error_response").is_some())
    }

    /// Reads the `do` of a rule. What can not work is refused now and not when it is needed.
    pub(crate) fn read(json: &Json, on: On) -> Result<Self, String> {
        for key in json
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
        {
            let known = KEYS.iter().find(|(of, _)| *of == on);
            let fits = known.map_or(!is_of_connection(key), |(_, keys)| keys.contains(&key));
            if !fits {
                let on = format!("{on:?}").to_lowercase();
                return Err(format!("{key:?} is no key for \"on\": {on:?}"));
            }
        }
        let action = Self::deserialize(json).map_err(|error| error.to_string())?;
        action.check().map(|()| action)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(answer) = &self.answer {
            codec::read("ServerToAgent", answer)?;
        }
        if let Some(header) = &self.header {
            from_hex(header)?;
        }
        if self.fragments == Some(0) {
            return Err("fragments have at least one byte".into());
        }
        if self.reserved_bits > 7 {
            return Err(format!(
                "reserved_bits are 4, 2 and 1, not {}",
                self.reserved_bits
            ));
        }
        if self.made_bytes() > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes at once"));
        }
        self.frames_before
            .iter()
            .chain(&self.frames)
            .try_for_each(FrameSpec::check)?;
        if let Some(Close::Frame(close)) = &self.close {
            close.check()?;
        }
        match &self.body {
            Some(Body::Base64(text)) => from_base64(text).map(drop),
            Some(Body::Hex(text)) => from_hex(text).map(drop),
            _ => Ok(()),
        }
    }
}

impl Action {
    /// What it makes of nothing, the largest of it.
    fn made_bytes(&self) -> u64 {
        let body = match self.body {
            Some(Body::Size(size) | Body::Zeros(size) | Body::ManyFields(size)) => size,
            Some(Body::Nested(depth)) => u64::from(depth) * LEVEL_BYTES,
            _ => 0,
        };
        let frames = self.frames_before.iter().chain(&self.frames);
        let frames = frames.map(FrameSpec::size).max().unwrap_or(0);
        let endless = self.endless.map_or(0, |pace| pace.bytes);
        body.max(frames.max(endless) as u64)
    }
}

fn is_of_connection(key: &str) -> bool {
    matches!(key, "accept" | "certificate" | "sending" | "reading")
}

/// Tells a null from an absent key.
fn given<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(source).map(Some)
}
