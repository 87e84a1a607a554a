//! What a peer says, made fit for a text of ours: short, printable, and without a secret of the
//! host's.
//!
//! [`shown`] can be called anywhere, however deep. It puts the peer's words between two marks, and
//! where a text leaves the transport, [`Secrets::judged`] takes the marks out, and the words, too,
//! where they repeat what the peer may have heard from us. The marks are noncharacters, which
//! Unicode keeps for such inner use.

use crate::order::sorted;

use super::headers::Headers;
use super::proxy::Proxies;
use super::{Failure, Hop};

/// Of a peer's text in events and logs.
pub(crate) const MOST_SHOWN: usize = 256;
/// Stands for words that repeat a secret.
const HIDDEN: &str = "(not shown: it repeats a secret)";
const BEGIN: char = '\u{fdd0}';
const END: char = '\u{fdd1}';
/// So many characters of a secret in a row give it away; a shorter one is looked for as a whole
/// word.
const TELLING: usize = 6;
/// One character alone is no secret.
const SHORTEST: usize = 2;
/// What is divided, as a cookie is, has parts of no worth.
const SHORTEST_PART: usize = 3;
/// A text in a text in a text: JSON within HTML, say.
const MOST_DECODED: usize = 3;

/// The peer's words, printable and in one line, at most `most` bytes of them; nothing where nothing
/// is left.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut out = String::from(BEGIN);
    let full = most + BEGIN.len_utf8();
    let mut is_apart = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            is_apart = out.len() > BEGIN.len_utf8();
        } else if is_visible(c) {
            if out.len() + usize::from(is_apart) + c.len_utf8() > full {
                break;
            }
            if std::mem::take(&mut is_apart) {
                out.push(' ');
            }
            out.push(c);
        }
    }
    if out.len() == BEGIN.len_utf8() {
        return String::new();
    }
    out.push(END);
    out
}

/// What no text may repeat: the values of the host's headers, and the logins of its proxies.
#[derive(Clone, Copy, Debug)]
pub struct Secrets<'a> {
    headers: &'a Headers,
    proxies: &'a Proxies,
}

impl<'a> Secrets<'a> {
    pub fn new(headers: &'a Headers, proxies: &'a Proxies) -> Secrets<'a> {
        Secrets { headers, proxies }
    }

    /// The peer's words alone, as they may be shown.
    pub fn quoted(&self, text: &str) -> String {
        self.judged(&shown(text, MOST_SHOWN))
    }

    pub(crate) fn in_failure(&self, failure: Failure) -> Failure {
        Failure {
            text: self.judged(&failure.text).into(),
            ..failure
        }
    }

    /// Of a URL that repeats a secret only its origin is left.
    pub(crate) fn in_hop(&self, hop: Hop) -> Hop {
        let sought = self.sought();
        let shown = |url: String| {
            let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            match sought.are_in(&url[origin.len()..]) {
                true => origin,
                false => url,
            }
        };
        Hop {
            from: shown(hop.from),
            to: shown(hop.to),
            ..hop
        }
    }

    /// A text of ours, with what [`shown`] put into it.
    pub(crate) fn judged(&self, text: &str) -> String {
        let Some((ours, rest)) = text.split_once(BEGIN) else {
            return text.to_owned();
        };
        let sought = self.sought();
        let mut out = ours.to_owned();
        for part in rest.split(BEGIN) {
            let (theirs, ours) = part.split_once(END).unwrap_or((part, ""));
            let is_secret = sought.are_in(theirs);
            out.push_str(if is_secret { HIDDEN } else { theirs });
            out.push_str(ours);
        }
        out
    }

    fn sought(&self) -> Sought {
        let mut sought = Sought::default();
        for (name, value) in self.headers.iter().chain(self.proxies.headers.iter()) {
            let is_plain = ["accept", "content-", "user-agent"];
            if !is_plain.iter().any(|begin| name.starts_with(begin)) {
                sought.add_header(name, &String::from_utf8_lossy(value));
            }
        }
        self.proxies.each_login(&mut |user, password, packed| {
            sought.add_login(user, password);
            sought.add(packed, TELLING);
        });
        sought.runs = sorted(sought.runs, u128::cmp);
        sought
    }
}

/// What is looked for. Its size is that of the host's own secrets, whatever the peer says.
#[derive(Default)]
struct Sought {
    /// Each run of [`TELLING`] characters, in order.
    runs: Vec<u128>,
    /// Shorter secrets.
    words: Vec<String>,
}

impl Sought {
    /// `Bearer` and the like is no secret, nor is the name before a `=`, as in a cookie.
    fn add_header(&mut self, name: &str, value: &str) {
        const SCHEMES: [&str; 6] = ["basic", "bearer", "digest", "negotiate", "token", "apikey"];
        let value = value.trim();
        let (scheme, rest) = value.split_once([' ', '\t']).unwrap_or(("", value));
        let is_scheme = name.ends_with("authorization")
            || SCHEMES
                .iter()
                .any(|known| scheme.eq_ignore_ascii_case(known));
        let value = if is_scheme { rest.trim() } else { value };
        let login = String::from_utf8_lossy(&unpacked(value.bytes())).into_owned();
        if let Some((user, password)) = login.split_once(':').filter(|_| is_scheme) {
            self.add_login(user, password);
        }
        let parts = || value.split([';', ',']).map(|part| named(part.trim()));
        if parts().all(|(name, _)| name.is_empty()) {
            return self.add(value, SHORTEST);
        }
        for (_, part) in parts() {
            self.add(part.trim_matches('"'), SHORTEST_PART);
        }
    }

    /// A short user name is a word like any other.
    fn add_login(&mut self, user: &str, password: &str) {
        self.add(user, TELLING);
        self.add(password, SHORTEST);
    }

    fn add(&mut self, secret: &str, shortest: usize) {
        let length = secret.chars().filter(|c| is_dense(*c)).count();
        if length >= TELLING {
            let mut put = |run| self.runs.push(run);
            each_run(secret, &mut put);
            each_run(&decoded(secret), &mut put);
        } else if length >= shortest {
            self.words.push(secret.to_ascii_lowercase());
        }
    }

    /// Whether so much of one is in the text, in whatever way it is written, that it is given away.
    /// Takes time in proportion to the text.
    fn are_in(&self, text: &str) -> bool {
        let mut text = text.to_owned();
        for _ in 0..=MOST_DECODED {
            if self.has_run(&text) || self.has_word(&text) {
                return true;
            }
            let dense: String = text.chars().filter(|c| is_dense(*c)).collect();
            for packed in dense.split(|c: char| sixth_of_base64(c.into()).is_none()) {
                // Where it begins nobody knows: blanks are gone.
                let mut plain =
                    (0..4.min(packed.len())).map(|skipped| unpacked(packed.bytes().skip(skipped)));
                if plain.any(|plain| self.has_run(&String::from_utf8_lossy(&plain))) {
                    return true;
                }
            }
            let decoded = decoded(&text);
            if decoded == text {
                return false;
            }
            text = decoded;
        }
        false
    }

    fn has_run(&self, text: &str) -> bool {
        let mut is_any = false;
        each_run(text, &mut |run| {
            is_any |= self.runs.binary_search(&run).is_ok();
        });
        is_any
    }

    fn has_word(&self, text: &str) -> bool {
        let is_kept = |c: &char| c.is_whitespace() || is_visible(*c);
        let text: String = text.chars().filter(is_kept).collect();
        let text = text.to_ascii_lowercase();
        self.words.iter().any(|word| {
            text.match_indices(word.as_str()).any(|(begin, _)| {
                let before = text[..begin].chars().next_back();
                let behind = text[begin + word.len()..].chars().next();
                let mut beside = [before, behind].into_iter().flatten();
                !beside.any(char::is_alphanumeric)
            })
        })
    }
}

/// `name=value`; no name where it looks otherwise.
fn named(part: &str) -> (&str, &str) {
    let is_name = |name: &str| {
        let is_of_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.$".contains(&b);
        !name.is_empty() && name.bytes().all(is_of_name)
    };
    match part.split_once('=') {
        // What base64 ends with is no name's value.
        Some((name, value)) if is_name(name) && !value.trim_matches('=').is_empty() => {
            (name, value)
        }
        _ => ("", part),
    }
}

/// Each run of [`TELLING`] characters in any case, once without blanks and once of letters and
/// digits alone.
fn each_run(text: &str, found: &mut dyn FnMut(u128)) {
    const BITS: usize = 21;
    let mut runs = |is_counted: fn(char) -> bool| {
        let (mut run, mut length) = (0, 0);
        for c in text.chars().filter(|c| is_counted(*c)) {
            run =
                (run << BITS | u128::from(c.to_ascii_lowercase())) & ((1 << (TELLING * BITS)) - 1);
            length += 1;
            if length >= TELLING {
                found(run);
            }
        }
    };
    runs(is_dense);
    runs(|c| c.is_ascii_alphanumeric());
}

fn is_dense(c: char) -> bool {
    !c.is_whitespace() && is_visible(c)
}

/// Whether a reader sees it, and it moves nothing else: no control, no direction, no filler.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic();
    }
    let is_blank = matches!(c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}');
    // The language has a table of what is printable; what combines is so behind another character.
    let pair = String::from_iter(['a', c]);
    !is_blank && pair.escape_debug().nth(1) == Some(c)
}

/// One level of `%41`, `\x41`, `\u0041`, `\/`, `&#65;` and `&amp;` undone.
fn decoded(text: &str) -> String {
    const NAMED: [(&str, u8); 8] = [
        ("&amp;", b'&'),
        ("&lt;", b'<'),
        ("&gt;", b'>'),
        ("&quot;", b'"'),
        ("&apos;", b'\''),
        ("\\n", b' '),
        ("\\r", b' '),
        ("\\t", b' '),
    ];
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let named = || NAMED.iter().find(|(name, _)| rest.starts_with(name));
        let used = if let Some(used) = numbered(rest, &mut out) {
            used
        } else if let Some((name, byte)) = named() {
            out.push(*byte);
            name.len()
        } else {
            if c != '\\' {
                out.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
            }
            c.len_utf8()
        };
        rest = &rest[used..];
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A character by its number; how much of the text that takes.
fn numbered(text: &str, out: &mut Vec<u8>) -> Option<usize> {
    // How it begins, the most digits, their base, and whether it ends with a character of its own.
    const FORMS: [(&str, usize, u32, bool); 6] = [
        ("%", 2, 16, false),
        ("\\x", 2, 16, false),
        ("\\u{", 6, 16, true),
        ("\\u", 4, 16, false),
        ("&#x", 6, 16, true),
        ("&#", 7, 10, true),
    ];
    FORMS.iter().find_map(|&(begin, most, base, has_end)| {
        let digits = text.strip_prefix(begin)?;
        let is_digit = |b: &u8| char::from(*b).is_digit(base);
        let count = digits.bytes().take(most).take_while(is_digit).count();
        let code = u32::from_str_radix(&digits[..count], base).ok()?;
        let has_end = has_end && digits[count..].starts_with(['}', ';']);
        match u8::try_from(code) {
            // Several of these may make one character.
            Ok(byte) if most == 2 => out.push(byte),
            _ => {
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Some(begin.len() + count + usize::from(has_end))
    })
}

/// Base64 of both alphabets undone, as far as it goes.
fn unpacked(packed: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut kept, mut bits) = (0, 0);
    for sixth in packed.map_while(|byte| sixth_of_base64(byte.into())) {
        kept = (kept << 6 | sixth) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((kept >> bits) as u8);
        }
    }
    out
}

fn sixth_of_base64(c: u32) -> Option<u32> {
    let byte = u8::try_from(c).ok()?;
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests;
