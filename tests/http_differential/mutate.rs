//! Responses made of the canned ones, the same with each run.

/// Longer canned ones prove a bound, and are not changed.
const LONGEST: usize = 1024;
const MOST_CHANGES: usize = 2;

/// What decides something in a response.
const WORDS: [&[u8]; 34] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r\n\t",
    b" ",
    b"\t",
    b":",
    b";",
    b";x",
    b";name=\"value\"",
    b",",
    b"0",
    b"+",
    b"-",
    b"0x",
    b"a",
    b"\0",
    b"\x01",
    b"\x7f",
    b"\xe4",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"X-Odd: value\r\n",
    b"X-Odd : value\r\n",
    b"no field\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.0 ",
    b"18446744073709551616",
];

pub(crate) struct Changes<'a> {
    parents: Vec<(&'a str, &'a [u8])>,
    state: u64,
}

impl<'a> Changes<'a> {
    /// Each is a name and a response.
    pub(crate) fn new(parents: Vec<(&'a str, &'a [u8])>, seed: u64) -> Changes<'a> {
        let mut parents = parents;
        parents.retain(|(_, bytes)| bytes.len() <= LONGEST);
        Changes {
            parents,
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// With the name of what it was made of.
    pub(crate) fn next_response(&mut self) -> (&'a str, Vec<u8>) {
        let (name, bytes) = self.parent();
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(MOST_CHANGES) {
            self.change(&mut bytes);
        }
        (name, bytes)
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(8)).min(bytes.len());
        match self.below(9) {
            0 if at < end => bytes[at] ^= 1 << self.below(8),
            1 if at < end => bytes[at] = self.below(256) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            // Early ends are of interest late in a response.
            4 => bytes.truncate(at.max(self.below(bytes.len() + 1))),
            5 => {
                let (_, other) = self.parent();
                let from = self.below(other.len() + 1);
                let until = (from + 1 + self.below(48)).min(other.len());
                bytes.splice(at..at, other[from..until].iter().copied());
            }
            6 => self.line_break(bytes),
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }

    /// At the end of one line another one, or something in front of it.
    fn line_break(&mut self, bytes: &mut Vec<u8>) {
        const ENDS: [&[u8]; 6] = [
            b"\n",
            b"\r",
            b" \r\n",
            b"\r\n ",
            b";x\r\n",
            b"\r\nX-Odd: y\r\n",
        ];
        let lines = bytes
            .windows(2)
            .enumerate()
            .filter(|(_, pair)| pair == b"\r\n");
        let places = lines.map(|(at, _)| at).collect::<Vec<_>>();
        if let Some(&at) = places.get(self.below(places.len())) {
            let with = ENDS[self.below(ENDS.len())];
            bytes.splice(at..at + 2, with.iter().copied());
        }
    }

    fn parent(&mut self) -> (&'a str, &'a [u8]) {
        let number = self.below(self.parents.len());
        self.parents[number]
    }

    fn below(&mut self, n: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 32) as usize % n.max(1)
    }
}
