//! The head of an answer, parsed where it lies.

use std::mem::MaybeUninit;

use super::answer::Head;

/// More header lines than this are refused.
const MOST_HEADERS: usize = 128;

/// Where [`read`] puts the header lines; on the caller's stack, because they borrow from the bytes.
pub(crate) type Slots<'b> = [MaybeUninit<httparse::Header<'b>>; MOST_HEADERS];

pub(crate) const fn slots<'b>() -> Slots<'b> {
    [const { MaybeUninit::uninit() }; MOST_HEADERS]
}

/// A whole head.
#[derive(Debug)]
pub(crate) struct RawHead<'h, 'b> {
    pub(crate) status: u16,
    /// Bytes that the head takes; the body begins behind them.
    pub(crate) len: usize,
    is_http_1_0: bool,
    headers: &'h [httparse::Header<'b>],
}

/// How the end of a body is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// It ends with the connection.
    Close,
}

/// Makes what is odd in the head that `bytes` begin with as RFC 9112, 5.2, wants it read: a folded
/// line is one line, and a stray byte in a value is a blank. In fields that decide where the answer
/// ends, and what becomes of the connection, nothing odd is borne; `Err` names the field.
pub(crate) fn tidy(bytes: &mut [u8]) -> Result<(), String> {
    let (mut start, mut before, mut has_begun) = (0, None, false);
    // Where a line begins that has no colon yet.
    let mut nameless = None;
    while let Some(length) = bytes[start..].iter().position(|&byte| byte == b'\n') {
        let end = start + length;
        let line = &mut bytes[start..end];
        let line_end = start + line.strip_suffix(b"\r").map_or(length, <[u8]>::len);
        match &bytes[start..line_end] {
            [] if has_begun => return Ok(()),
            // The parser passes over empty lines before the status line.
            [] => {}
            _ if !has_begun => {}
            [b' ' | b'\t', ..] if before.is_some() => {
                if let Some(Some(name)) = before {
                    return Err(format!("header field {name} is folded"));
                }
                let is_break = |&&byte: &&u8| byte == b'\r' || byte == b'\n';
                let breaks = bytes[..start].iter().rev().take_while(is_break).count();
                bytes[start - breaks..start].fill(b' ');
                // The fold may be in the middle of a name.
                if let Some(begin) = nameless.filter(|_| bytes[start..line_end].contains(&b':')) {
                    strict_name(&bytes[begin..line_end])?;
                    nameless = None;
                }
            }
            line => {
                before = Some(strict_name(line)?);
                nameless = (!line.contains(&b':')).then_some(start);
            }
        }
        if has_begun {
            let is_value = matches!(bytes[start], b' ' | b'\t');
            clean(&mut bytes[start..line_end], is_value);
        }
        has_begun |= line_end > start;
        start = end + 1;
    }
    Ok(())
}

/// What the line's field is called, if nothing odd is borne in it.
fn strict_name(line: &[u8]) -> Result<Option<&'static str>, String> {
    const STRICT: [&str; 4] = [
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Upgrade",
    ];
    const WEBSOCKET: &str = "Sec-WebSocket-";
    let colon = line.iter().position(|&byte| byte == b':');
    let name = match colon {
        Some(colon) => &line[..colon],
        None => {
            let mut words = line.split(u8::is_ascii_whitespace);
            words.find(|word| !word.is_empty()).unwrap_or_default()
        }
    };
    // With what is odd left out, as others may do.
    let is = |known: &str, is_start: bool| {
        let mut bytes = name.iter().filter(|&&byte| is_token(byte));
        let begins = known
            .bytes()
            .all(|byte| bytes.next().is_some_and(|b| b.eq_ignore_ascii_case(&byte)));
        begins && (is_start || bytes.next().is_none())
    };
    let known = STRICT.into_iter().find(|known| is(known, false));
    let Some(known) = known.or_else(|| is(WEBSOCKET, true).then_some(WEBSOCKET)) else {
        return Ok(None);
    };
    let is_odd = name.iter().any(|&byte| !is_token(byte));
    let wrong = match colon {
        None => "has no colon",
        Some(_) if name.last().is_some_and(u8::is_ascii_whitespace) => {
            "has whitespace before the colon"
        }
        Some(_) if is_odd => "has an invalid character in its name",
        Some(colon) if !line[colon..].iter().all(|&b| is_text(b)) => {
            "has an invalid character in its value"
        }
        Some(_) => return Ok(Some(known)),
    };
    Err(format!("header field {known} {wrong}"))
}

/// Nothing that the parser refuses: lines without a name it leaves out, control characters it does
/// not bear.
fn clean(line: &mut [u8], is_value: bool) {
    let mut with = if is_value { b' ' } else { 0x7f };
    for byte in line {
        match byte {
            b':' => with = b' ',
            byte if !is_text(*byte) => *byte = with,
            _ => {}
        }
    }
}

/// The head that `bytes` begin with, once they are [tidy]; `None` while it is not whole; `Err` says
/// why it cannot become one.
pub(crate) fn read<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut Slots<'b>,
) -> Result<Option<RawHead<'h, 'b>>, String> {
    parse(bytes, slots, true)
}

/// The same, where nothing odd is in it, as in nearly all of them: then it need not be tidied.
pub(crate) fn read_plain<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut Slots<'b>,
) -> Option<Option<RawHead<'h, 'b>>> {
    parse(bytes, slots, false).ok()
}

/// In one place for both: the parser is large.
#[inline(never)]
fn parse<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut Slots<'b>,
    is_lenient: bool,
) -> Result<Option<RawHead<'h, 'b>>, String> {
    let mut response = httparse::Response::new(&mut []);
    let mut config = httparse::ParserConfig::default();
    config.allow_spaces_after_header_name_in_responses(is_lenient);
    config.ignore_invalid_headers_in_responses(is_lenient);
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, slots);
    let httparse::Status::Complete(len) = parsed.map_err(unreadable)? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    if status < 100 {
        return Err(format!("the status is {status:03}"));
    }
    Ok(Some(RawHead {
        status,
        len,
        is_http_1_0: response.version == Some(0),
        headers: response.headers,
    }))
}

fn unreadable(error: httparse::Error) -> String {
    let what = match error {
        httparse::Error::TooManyHeaders => "it has too many header fields",
        httparse::Error::Version => "it has an invalid HTTP version",
        httparse::Error::Status => "it has an invalid status line",
        httparse::Error::NewLine => "it has an invalid line break",
        _ => "it has an invalid header field",
    };
    what.to_owned()
}

impl<'b> RawHead<'_, 'b> {
    /// An answer before the answer. (101 is one of its own: nobody asked for another protocol.)
    pub(crate) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// The first header of this name, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&'b str> {
        let value = self.all(name).next()?;
        std::str::from_utf8(value).ok()
    }

    /// Whether a header of this name lists `token`, in any case.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the connection stays open after the answer.
    pub(crate) fn is_kept(&self) -> bool {
        let is_kept = !self.is_http_1_0 || self.lists("connection", "keep-alive");
        is_kept && !self.lists("connection", "close") && self.status != 101 && !self.is_ambiguous()
    }

    /// By RFC 9112, 6.3, for the answer to a POST.
    pub(crate) fn framing(&self) -> Result<Framing, String> {
        let length = self.content_length()?;
        if self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if !self.is_http_1_0 && self.is_chunked()? {
            return Ok(Framing::Chunked);
        }
        Ok(length.map_or(Framing::Close, Framing::Length))
    }

    /// What decides over the answer.
    pub(crate) fn judged(&self, framing: Framing) -> Head<'b> {
        Head {
            status: self.status,
            content_type: self.header("content-type"),
            content_encoding: self.header("content-encoding"),
            content_length: match framing {
                Framing::Length(length) => Some(length),
                _ => None,
            },
            retry_after: self.header("retry-after"),
        }
    }

    /// Whether its end is told in two ways (RFC 9112, 6.1): whoever stands between us may have gone
    /// by the other one.
    fn is_ambiguous(&self) -> bool {
        let has = |name| self.all(name).next().is_some();
        has("transfer-encoding") && (self.is_http_1_0 || has("content-length"))
    }

    /// Any other coding was not asked for, and may hide where the body ends. Identity is none, but
    /// beside chunked some take it for one.
    fn is_chunked(&self) -> Result<bool, String> {
        let mut codings = self
            .all("transfer-encoding")
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty());
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(one), None) if one.eq_ignore_ascii_case(b"identity") => Ok(false),
            (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(true),
            _ => Err("Transfer-Encoding must be chunked alone".to_owned()),
        }
    }

    /// Several lengths must be one: who believes another one than the next hop reads another's
    /// answer.
    fn content_length(&self) -> Result<Option<u64>, String> {
        let mut length = None;
        let values = self.all("content-length");
        for value in values.flat_map(|value| value.split(|&b| b == b',')) {
            let one = decimal(value.trim_ascii()).ok_or("Content-Length is not a number")?;
            if length.is_some_and(|other| other != one) {
                return Err("Content-Length has two values".to_owned());
            }
            length = Some(one);
        }
        Ok(length)
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }
}

/// A character of a field's name (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A character of a field's value, blanks included.
pub(crate) fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// Digits only: no sign, no space.
fn decimal(text: &[u8]) -> Option<u64> {
    let with = |number: u64, &digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    match text {
        [] => None,
        digits => digits.iter().try_fold(0, with),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(lines: &str) -> Result<Framing, String> {
        let text = format!("HTTP/1.{lines}\r\n\r\n");
        read(text.as_bytes(), &mut slots())
            .unwrap()
            .unwrap()
            .framing()
    }

    fn is_kept(lines: &str) -> bool {
        let text = format!("HTTP/1.{lines}\r\n\r\n");
        read(text.as_bytes(), &mut slots())
            .unwrap()
            .unwrap()
            .is_kept()
    }

    #[test]
    fn the_end_of_a_body_is_found_as_http_has_it() {
        for (lines, expected) in [
            ("1 200 OK\r\nContent-Length: 12", Framing::Length(12)),
            (
                "1 200 OK\r\ncontent-length: 007, 7\r\nContent-Length: 7",
                Framing::Length(7),
            ),
            ("1 200 OK\r\nTransfer-Encoding: , Chunked", Framing::Chunked),
            (
                "1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5",
                Framing::Length(5),
            ),
            (
                "1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
                Framing::Chunked,
            ),
            (
                "0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
                Framing::Length(5),
            ),
            ("1 200 OK", Framing::Close),
            ("1 204 No\r\nContent-Length: 5", Framing::Length(0)),
            (
                "1 304 Same\r\nTransfer-Encoding: chunked",
                Framing::Length(0),
            ),
            ("1 101 Other", Framing::Length(0)),
        ] {
            assert_eq!(framing(lines), Ok(expected), "{lines}");
        }
        for value in [
            "",
            "+1",
            "-1",
            "1 2",
            "1,2",
            "1,",
            "0x1",
            "99999999999999999999",
        ] {
            assert!(
                framing(&format!("1 200 OK\r\nContent-Length: {value}")).is_err(),
                "{value:?}"
            );
        }
    }

    #[test]
    fn a_coding_that_was_not_asked_for_is_none_that_can_be_read() {
        for coding in [
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "chunked, identity",
            "identity, chunked",
            "identity, identity",
        ] {
            let lines = format!("1 200 OK\r\nTransfer-Encoding: {coding}\r\nContent-Length: 5");
            assert!(framing(&lines).is_err(), "{coding}");
        }
        let twice = "1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x";
        assert!(framing(twice).is_err());
    }

    #[test]
    fn a_connection_is_kept_as_http_has_it() {
        assert!(is_kept("1 200 OK"));
        assert!(!is_kept("1 200 OK\r\nConnection: x, Close"));
        assert!(!is_kept("0 200 OK"));
        assert!(is_kept("0 200 OK\r\nConnection: Keep-Alive"));
        assert!(!is_kept("1 101 Other"));
        assert!(is_kept("1 200 OK\r\nTransfer-Encoding: chunked"));
        let both = "Transfer-Encoding: chunked\r\nContent-Length: 5";
        assert!(!is_kept(&format!("1 200 OK\r\n{both}")));
        let ahead = "Connection: keep-alive\r\nTransfer-Encoding: chunked";
        assert!(!is_kept(&format!("0 200 OK\r\n{ahead}")));
    }

    #[test]
    fn a_head_is_whole_not_yet_whole_or_none() {
        let text = b"HTTP/1.1 200 OK\r\nRetry-After: 7\r\n\r\nbody";
        for end in 0..text.len() - 4 {
            assert!(read(&text[..end], &mut slots()).unwrap().is_none(), "{end}");
        }
        let mut space = slots();
        let head = read(text, &mut space).unwrap().unwrap();
        assert_eq!((head.status, head.len), (200, text.len() - 4));
        assert_eq!(head.header("RETRY-after"), Some("7"));
        for none in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.1 099 No\r\n\r\n",
        ] {
            assert!(read(none.as_bytes(), &mut slots()).is_err(), "{none}");
        }
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MOST_HEADERS + 1)
        );
        assert!(read(many.as_bytes(), &mut slots()).is_err());
    }
}
