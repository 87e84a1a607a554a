//! Where our HTTP and ureq differ, who is right, and by which section.

use std::fmt;

use crate::grammar::{Chunks, Head, Parts, digits, field, is_fold, is_strict, is_text, is_token};

/// Who is right. There is no row where ureq alone is: then ours is mended.
#[derive(Clone, Copy)]
pub(crate) enum Right {
    Ours,
    /// The section leaves it to the reader.
    Both,
}

/// What a response is to be taken for.
pub(crate) enum Reading {
    /// The same without what the row is about, so that ureq reads it as ours reads the original.
    As(Vec<u8>),
    Refused,
}

pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) right: Right,
    pub(crate) by: &'static str,
    /// `None` where the response has no such thing.
    pub(crate) read: fn(&[u8]) -> Option<Reading>,
}

/// In this order, each applied to what the rows before it have made of a response.
pub(crate) const TABLE: [Row; 16] = [
    Row {
        what: "ours makes one line of a folded line, ureq refuses it",
        right: Right::Ours,
        by: "RFC 9112, 5.2: a user agent MUST replace each obs-fold with SP",
        read: unfolded,
    },
    Row {
        what: "ours takes a control character in a value for a blank, ureq refuses it",
        right: Right::Both,
        by: "RFC 9110, 5.5: reject the message or replace CR, LF, NUL with SP",
        read: without_controls,
    },
    Row {
        what: "ours passes over blanks before a colon, ureq refuses them",
        right: Right::Both,
        by: "RFC 9112, 5.1: a proxy MUST remove them from a response; nothing for a user agent",
        read: without_blanks,
    },
    Row {
        what: "ours passes over a line that is no field, ureq refuses it",
        right: Right::Both,
        by: "RFC 9110, 2.4 (recovering is allowed); RFC 9112, 2.2 (for the first line)",
        read: without_strays,
    },
    Row {
        what: "ours refuses a head, or interim ones together, of more than 64 KiB, ureq does not",
        right: Right::Both,
        by: "RFC 9110, 5.4: a recipient sets its bounds on fields",
        read: large_heads,
    },
    Row {
        what: "ours passes over fields of an interim response, ureq refuses some",
        right: Right::Ours,
        by: "RFC 9110, 15.2 and RFC 9112, 6.3, rule 1: it ends with its head, whatever they say",
        read: bare_interim,
    },
    Row {
        what: "ours refuses a transfer coding that is not chunked alone, ureq reads through it",
        right: Right::Ours,
        by: "RFC 9112, 6.1 and 7: what was not asked for (TE) cannot be decoded; chunked once",
        read: other_coding,
    },
    Row {
        what: "ours refuses a line with a size that has a control character, ureq does not",
        right: Right::Ours,
        by: "RFC 9112, 7.1 and 2.2: only start-line and fields may end with a bare LF",
        read: control_in_size,
    },
    Row {
        what: "ours refuses a sign or a blank before a size, ureq does not",
        right: Right::Ours,
        by: "RFC 9112, 7.1: chunk-size = 1*HEXDIG",
        read: size_without_digit,
    },
    Row {
        what: "ours passes over a long chunk extension, ureq refuses it",
        right: Right::Ours,
        by: "RFC 9112, 7.1.1: a recipient MUST ignore unrecognized chunk extensions",
        read: without_extensions,
    },
    Row {
        what: "ours reads a size with many zeroes before it, ureq refuses it",
        right: Right::Ours,
        by: "RFC 9112, 7.1: chunk-size = 1*HEXDIG, of any number",
        read: without_zeroes,
    },
    Row {
        what: "ours refuses a bare LF in a trailer, ureq reads on behind it",
        right: Right::Ours,
        by: "RFC 9112, 2.2: a reader MAY end the line there, and would find another end",
        read: broken_trailer,
    },
    Row {
        what: "ours refuses a trailer that is no field, ureq passes over it",
        right: Right::Both,
        by: "RFC 9112, 7.1.2: trailer-section = *( field-line CRLF ); RFC 9110, 2.4",
        read: stray_trailer,
    },
    Row {
        what: "ours refuses a line between chunks of more than 4 KiB, ureq does not",
        right: Right::Both,
        by: "RFC 9112, 7.1.2 and RFC 9110, 5.4: a recipient sets its bounds on fields",
        read: long_trailer,
    },
    Row {
        what: "ours refuses trailers of more than 64 KiB, ureq has no bound",
        right: Right::Both,
        by: "RFC 9112, 7.1.2 and RFC 9110, 5.4: a recipient sets its bounds on fields",
        read: long_trailers,
    },
    Row {
        what: "ours takes a body that ends within its trailers, ureq refuses it",
        right: Right::Ours,
        by: "RFC 9112, 8: incomplete if the zero-sized chunk has not been received",
        read: without_cut_trailer,
    },
];

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Right::Ours => "ours is right",
            Right::Both => "both are allowed",
        })
    }
}

fn unfolded(bytes: &[u8]) -> Option<Reading> {
    let mut parts = Parts::of(bytes);
    let mut is_changed = false;
    for head in &mut parts.heads {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in head.lines.drain(..) {
            let is_folded = matches!(line.first(), Some(b' ' | b'\t'));
            // The status line is no field, and what cannot be guessed at stays as it is.
            match lines.get_mut(1..).and_then(<[_]>::last_mut) {
                Some(last) if is_folded && !is_strict(last) => {
                    last.push(b' ');
                    last.extend_from_slice(&line);
                    is_changed = true;
                }
                _ => lines.push(line),
            }
        }
        head.lines = lines;
    }
    is_changed.then(|| Reading::As(parts.bytes()))
}

fn changed(bytes: &[u8], change: impl Fn(&Head, &[u8]) -> Option<Vec<u8>>) -> Option<Reading> {
    let change = |head: &Head, line: &[u8]| match is_strict(line) && field(line).is_none() {
        true => Some(line.to_vec()),
        false => change(head, line),
    };
    Parts::of(bytes).with_lines(change).map(Reading::As)
}

fn without_controls(bytes: &[u8]) -> Option<Reading> {
    changed(bytes, |_, line| {
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let plain = |&byte: &u8| if is_text(byte) { byte } else { b' ' };
        Some(
            name.iter()
                .copied()
                .chain(value.iter().map(plain))
                .collect(),
        )
    })
}

fn without_blanks(bytes: &[u8]) -> Option<Reading> {
    changed(bytes, |_, line| {
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(0));
        let bare = name.trim_ascii_end();
        Some(match is_token(bare) {
            true => [bare, value].concat(),
            false => line.to_vec(),
        })
    })
}

fn without_strays(bytes: &[u8]) -> Option<Reading> {
    changed(bytes, |_, line| field(line).map(|_| line.to_vec()))
}

fn large_heads(bytes: &[u8]) -> Option<Reading> {
    const MOST: usize = 64 * 1024;
    let parts = Parts::of(bytes);
    let is_large = parts.heads.iter().any(|head| head.length() > MOST);
    refused(is_large || parts.interim_length() > MOST)
}

fn bare_interim(bytes: &[u8]) -> Option<Reading> {
    changed(bytes, |head, line| {
        (!head.is_interim()).then(|| line.to_vec())
    })
}

fn other_coding(bytes: &[u8]) -> Option<Reading> {
    let parts = Parts::of(bytes);
    let head = parts.last().filter(|head| head.is_1_1 && !head.is_bare())?;
    let codings = head.list("transfer-encoding");
    let is_known = match &codings[..] {
        [] => true,
        [one] => one == b"chunked" || one == b"identity",
        _ => false,
    };
    refused(!is_known)
}

fn chunks(bytes: &[u8]) -> Option<(Parts, Chunks)> {
    let parts = Parts::of(bytes);
    // Of any other body ours tells the status, however it ends.
    let chunks = parts
        .chunks()
        .filter(|_| parts.last().is_some_and(|head| head.status == 200));
    chunks.map(|chunks| (parts, chunks))
}

fn control_in_size(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    let mut lines = chunks.sizes.iter().map(|(line, _)| line);
    refused(lines.any(|line| !line.iter().all(|&byte| is_text(byte))))
}

fn size_without_digit(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    let mut lines = chunks.sizes.iter().map(|(line, _)| line);
    refused(lines.any(|line| matches!(line.first(), Some(b'+' | b' ' | b'\t'))))
}

/// With each line that has a size as `change` has it.
fn with_sizes(bytes: &[u8], change: fn(&[u8]) -> Vec<u8>) -> Option<Reading> {
    let (mut parts, mut chunks) = chunks(bytes)?;
    for (line, _) in &mut chunks.sizes {
        *line = change(line);
    }
    let body = chunks.bytes();
    let is_changed = body != parts.rest;
    parts.rest = body;
    is_changed.then(|| Reading::As(parts.bytes()))
}

fn without_extensions(bytes: &[u8]) -> Option<Reading> {
    with_sizes(bytes, |line| {
        let (size, rest) = digits(line);
        let is_extended = !size.is_empty() && rest.trim_ascii_start().starts_with(b";");
        let is_borne = is_extended && line.len() < 4096;
        (if is_borne { size } else { line }).to_vec()
    })
}

fn without_zeroes(bytes: &[u8]) -> Option<Reading> {
    with_sizes(bytes, |line| {
        let (size, rest) = digits(line);
        let zeroes = size.iter().take_while(|&&digit| digit == b'0').count();
        let zeroes = zeroes.min(size.len().saturating_sub(1));
        [&size[zeroes..], rest].concat()
    })
}

fn broken_trailer(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    refused(chunks.trailers.iter().any(|line| line.contains(&b'\n')))
}

fn stray_trailer(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    let mut lines = chunks.trailers.iter().enumerate();
    refused(lines.any(|(number, line)| field(line).is_none() && !(number > 0 && is_fold(line))))
}

fn long_trailer(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    refused(chunks.trailers.iter().any(|line| line.len() > 4096))
}

fn long_trailers(bytes: &[u8]) -> Option<Reading> {
    let (_, chunks) = chunks(bytes)?;
    let length: usize = chunks.trailers.iter().map(|line| line.len() + 2).sum();
    refused(length > 64 * 1024)
}

/// Up to the last line that is whole.
fn without_cut_trailer(bytes: &[u8]) -> Option<Reading> {
    let (mut parts, mut chunks) = chunks(bytes)?;
    let is_cut = chunks.is_last && !chunks.is_over && !chunks.rest.is_empty();
    chunks.rest.clear();
    parts.rest = chunks.bytes();
    is_cut.then(|| Reading::As(parts.bytes()))
}

fn refused(is_refused: bool) -> Option<Reading> {
    is_refused.then_some(Reading::Refused)
}
