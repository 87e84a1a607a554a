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

/// The head that `bytes` begin with; `None` while it is not whole; `Err` says why it can not become one.
pub(crate) fn read<'h, 'b>(
    bytes: &'b [u8],
    slots: &'h mut Slots<'b>,
) -> Result<Option<RawHead<'h, 'b>>, String> {
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        slots,
    );
    let httparse::Status::Complete(len) = parsed.map_err(|e| e.to_string())? else {
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

    /// Whether its end is told in two ways (RFC 9112, 6.1): whoever stands between us may have gone by the other one.
    fn is_ambiguous(&self) -> bool {
        let has = |name| self.all(name).next().is_some();
        has("transfer-encoding") && (self.is_http_1_0 || has("content-length"))
    }

    /// Any other coding was not asked for, and may hide where the body ends.
    fn is_chunked(&self) -> Result<bool, String> {
        let mut codings = self
            .all("transfer-encoding")
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        match (codings.next(), codings.next()) {
            (None, _) => Ok(false),
            (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(true),
            _ => Err("the transfer encoding is not chunked alone".to_owned()),
        }
    }

    /// Several lengths must be one: who believes another one than the next hop reads another's answer.
    fn content_length(&self) -> Result<Option<u64>, String> {
        let mut length = None;
        let values = self.all("content-length");
        for value in values.flat_map(|value| value.split(|&b| b == b',')) {
            let one = decimal(value.trim_ascii()).ok_or("the content length is no number")?;
            if length.is_some_and(|other| other != one) {
                return Err("two content lengths".to_owned());
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
        for coding in ["gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked"] {
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
