//! As much of the grammar of RFC 9112 as the table needs, written without a look at ours.

/// The head that a response begins with.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) is_1_1: bool,
    /// Without their line breaks: the status line and those of the fields, no empty one.
    pub(crate) lines: Vec<Vec<u8>>,
}

/// Every head of a response up to the one that counts, and what is behind it. Heads that do not end
/// are none.
pub(crate) struct Parts {
    pub(crate) heads: Vec<Head>,
    pub(crate) rest: Vec<u8>,
}

/// Of the fields that decide where a body ends and what becomes of the connection, odd ones are
/// for nobody to guess at.
const STRICT: [&str; 4] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
];

impl Head {
    pub(crate) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Its status says that there is no body (RFC 9112, 6.3, rule 1).
    pub(crate) fn is_bare(&self) -> bool {
        self.status < 200 || matches!(self.status, 204 | 304)
    }

    /// The elements of a list, from all lines of this name that are proper fields.
    pub(crate) fn list(&self, name: &str) -> Vec<Vec<u8>> {
        let fields = self.lines[1..].iter().filter_map(|line| field(line));
        let values = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        let elements = values.flat_map(|(_, value)| value.split(|&byte| byte == b','));
        let elements = elements.map(|element| element.trim_ascii().to_ascii_lowercase());
        elements.filter(|element| !element.is_empty()).collect()
    }

    pub(crate) fn length(&self) -> usize {
        self.lines.iter().map(|line| line.len() + 2).sum::<usize>() + 2
    }
}

impl Parts {
    pub(crate) fn of(bytes: &[u8]) -> Parts {
        let (mut heads, mut rest) = (Vec::new(), bytes);
        while let Some((head, behind)) = head(rest) {
            let is_interim = head.is_interim();
            heads.push(head);
            rest = behind;
            if !is_interim {
                break;
            }
        }
        Parts {
            heads,
            rest: rest.to_vec(),
        }
    }

    /// The head that counts.
    pub(crate) fn last(&self) -> Option<&Head> {
        self.heads.last().filter(|head| !head.is_interim())
    }

    /// Of all that comes before the head that counts.
    pub(crate) fn interim_length(&self) -> usize {
        let interim = self.heads.iter().filter(|head| head.is_interim());
        interim.map(Head::length).sum()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for head in &self.heads {
            for line in &head.lines {
                all.extend_from_slice(line);
                all.extend_from_slice(b"\r\n");
            }
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(&self.rest);
        all
    }

    /// With each line behind a status line as `change` has it, `None` for none; `None` when it
    /// changes nothing.
    pub(crate) fn with_lines(
        mut self,
        change: impl Fn(&Head, &[u8]) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut is_changed = false;
        for head in &mut self.heads {
            let lines = head.lines[1..].iter();
            let lines = lines.filter_map(|line| change(head, line));
            let lines: Vec<_> = [head.lines[0].clone()].into_iter().chain(lines).collect();
            is_changed |= lines != head.lines;
            head.lines = lines;
        }
        is_changed.then(|| self.bytes())
    }

    /// A body in chunks, cut into its parts, where there is one.
    pub(crate) fn chunks(&self) -> Option<Chunks> {
        let head = self.last().filter(|head| head.is_1_1 && !head.is_bare())?;
        let is_chunked = head.list("transfer-encoding") == [b"chunked"];
        is_chunked.then(|| Chunks::of(&self.rest))
    }
}

fn head(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let (mut lines, mut rest) = (Vec::new(), bytes);
    loop {
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        match (line, lines.is_empty()) {
            ([], true) => {}
            ([], false) => break,
            _ => lines.push(line.to_vec()),
        }
    }
    let status = lines[0].strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let head = Head {
        status: std::str::from_utf8(status).ok()?.parse().ok()?,
        is_1_1: lines[0][7] == b'1',
        lines,
    };
    Some((head, rest))
}

/// A body in chunks, as whoever ends lines at CRLF alone cuts it.
#[derive(Default)]
pub(crate) struct Chunks {
    /// Each line with a size, and its data; the last one's is what is left at the end.
    pub(crate) sizes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) trailers: Vec<Vec<u8>>,
    /// Behind the last line that is whole: of a line, or behind the end.
    pub(crate) rest: Vec<u8>,
    /// The chunk of size zero has come.
    pub(crate) is_last: bool,
    /// So has the empty line behind it.
    pub(crate) is_over: bool,
}

impl Chunks {
    fn of(body: &[u8]) -> Chunks {
        let (mut chunks, mut rest) = (Chunks::default(), body);
        while let Some((line, behind)) = line(rest) {
            if chunks.is_last {
                rest = behind;
                if line.is_empty() {
                    chunks.is_over = true;
                    break;
                }
                chunks.trailers.push(line.to_vec());
                continue;
            }
            let size = size_in(line).and_then(|size| usize::try_from(size).ok());
            let end = size
                .and_then(|size| size.checked_add(2))
                .filter(|&n| n <= behind.len());
            let Some(size) = size.filter(|&size| size == 0 || end.is_some()) else {
                chunks.sizes.push((line.to_vec(), behind.to_vec()));
                return chunks;
            };
            chunks.is_last = size == 0;
            let end = if size == 0 { 0 } else { size + 2 };
            chunks.sizes.push((line.to_vec(), behind[..end].to_vec()));
            rest = &behind[end..];
        }
        chunks.rest = rest.to_vec();
        chunks
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for (line, data) in &self.sizes {
            all.extend_from_slice(&[line, &b"\r\n"[..], data].concat());
        }
        for line in &self.trailers {
            all.extend_from_slice(&[line, &b"\r\n"[..]].concat());
        }
        if self.is_over {
            all.extend_from_slice(b"\r\n");
        }
        all.extend_from_slice(&self.rest);
        all
    }
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

/// Digits, and what stands behind them.
pub(crate) fn digits(line: &[u8]) -> (&[u8], &[u8]) {
    let count = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    line.split_at(count)
}

/// What the size is, for readers that bear what is odd around it.
fn size_in(line: &[u8]) -> Option<u64> {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"+").unwrap_or(line);
    u64::from_str_radix(std::str::from_utf8(digits(line).0).ok()?, 16).ok()
}

/// RFC 9112, 5.2: more of the field line before.
pub(crate) fn is_fold(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t')) && line.iter().all(|&byte| is_text(byte))
}

/// RFC 9112, 5: a name, a colon at once, a value without control characters.
pub(crate) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && value.iter().all(|&byte| is_text(byte))).then_some((name, value))
}

pub(crate) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| is_of_token(byte))
}

fn is_of_token(byte: u8) -> bool {
    (0x21..0x7f).contains(&byte) && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

pub(crate) fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

/// Whether this line, however odd, is or was to be a field that frames the response.
pub(crate) fn is_strict(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let end = line.iter().position(|&byte| byte == b':');
    let word = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let name = &line[..end.unwrap_or(word)];
    let name: Vec<u8> = name
        .iter()
        .copied()
        .filter(|&byte| is_of_token(byte))
        .collect();
    let name = name.to_ascii_lowercase();
    name.starts_with(b"sec-websocket-") || STRICT.iter().any(|known| known.as_bytes() == name)
}
