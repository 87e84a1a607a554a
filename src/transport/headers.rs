//! The host's own request headers, checked when they are set.

use std::fmt;

/// Headers that the library sets itself or that frame the message; a host's would break it.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "opamp-instance-uid",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Why a header is refused. Never holds the value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Empty, or with a byte that no header name has.
    Name,
    /// The library sets this one itself.
    Reserved(String),
    /// A control character in the value of this header.
    Value(String),
}

/// An ordered set of headers, one value per name, which is kept in lower case. Its `Debug` shows
/// names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a header or replaces the one of the same name (in any case).
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        let (name, value) = parse(name, value)?;
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(old) => old.1 = value,
            None => self.0.push((name, value)),
        }
        Ok(())
    }

    /// Takes a header away; `false` when there was none.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.0.len() < before
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_bytes()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a host may set this header; what a setter asks before it keeps anything.
pub fn check(name: &str, value: &str) -> Result<(), HeaderError> {
    parse(name, value).map(|_| ())
}

/// Whether this text may stand before the library's `User-Agent`.
pub fn check_prefix(prefix: &str) -> Result<(), HeaderError> {
    check("user-agent", prefix)
}

fn parse(name: &str, value: &str) -> Result<(String, String), HeaderError> {
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return Err(HeaderError::Name);
    }
    let name = name.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) {
        return Err(HeaderError::Reserved(name));
    }
    if value.bytes().all(is_of_value) {
        Ok((name, value.to_owned()))
    } else {
        Err(HeaderError::Value(name))
    }
}

/// A token of RFC 9110, 5.6.2. By hand: the table of all names that the http crate brings along
/// weighs 14 KiB.
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What every server takes; a line break among them would be another header.
fn is_of_value(byte: u8) -> bool {
    byte == b'\t' || matches!(byte, b' '..=b'~')
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(n, _)| n.as_str()))
            .finish()
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Name => f.write_str("not a header name"),
            HeaderError::Reserved(name) => {
                write!(f, "the header {name} is set by the library itself")
            }
            HeaderError::Value(name) => {
                write!(
                    f,
                    "the value of the header {name} has a control or non-ASCII character"
                )
            }
        }
    }
}

impl std::error::Error for HeaderError {}
