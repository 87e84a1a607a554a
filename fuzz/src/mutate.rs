//! Inputs from inputs.

/// Longest input.
pub(crate) const MOST: usize = 16 * 1024;

/// Chances, as a seed decides them.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.draw() >> 32) as usize % n.max(1)
    }
}

/// What decides something in one of the formats.
const WORDS: [&str; 40] = [
    "\r\n",
    "\r\n\r\n",
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "200",
    "204",
    "307",
    "415",
    "100",
    "101",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Content-Encoding: gzip\r\n",
    "Location: ",
    "Retry-After: ",
    "Upgrade: websocket\r\n",
    "Sec-WebSocket-Accept: @\r\n",
    "Content-Type: application/x-protobuf\r\n",
    "0\r\n\r\n",
    "http://",
    "https://",
    "ws+unix://",
    "socks5h://",
    "@",
    "[::1]",
    "*.",
    "/8",
    "%2F",
    "\\u0041",
    "Sun, 06 Nov 2094 08:49:37 GMT",
    "\u{1f}\u{8b}\u{8}",
    "18446744073709551616",
    "65536",
    "-1",
    "\u{0}",
    "\u{7f}",
    "\u{202e}",
    "canary-token-4f1d",
    "\u{fffd}",
];

pub(crate) fn changed(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..=dice.below(5) {
        change(&mut input, corpus, dice);
    }
    input.truncate(MOST);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let span = dice.below(8.max(input.len() / 4));
    let end = (at + span).min(input.len());
    match dice.below(10) {
        0 | 1 if at < input.len() => input[at] ^= 1 << dice.below(8),
        2 if at < input.len() => input[at] = dice.draw() as u8,
        3 if at < input.len() => {
            const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b' '];
            input[at] = EDGES[dice.below(8)];
        }
        4 => drop(input.drain(at..end)),
        5 => {
            let copy = input[at..end].to_vec();
            let to = dice.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        6 => {
            let number = dice.draw() >> dice.below(64);
            let bytes = match dice.below(3) {
                0 => number.to_string().into_bytes(),
                1 => number.to_be_bytes()[8 - [1, 2, 4, 8][dice.below(4)]..].to_vec(),
                _ => number.to_le_bytes()[..[1, 2, 4, 8][dice.below(4)]].to_vec(),
            };
            let end = (at + dice.below(2) * bytes.len()).min(input.len());
            input.splice(at..end, bytes);
        }
        7 => {
            let other = &corpus[dice.below(corpus.len())];
            let from = dice.below(other.len() + 1);
            let until = (from + 1 + dice.below(64)).min(other.len());
            input.splice(at..at, other[from..until].iter().copied());
        }
        8 => {
            let word = WORDS[dice.below(WORDS.len())];
            input.splice(at..at, word.bytes());
        }
        _ => {
            let bytes: Vec<u8> = (0..=dice.below(4)).map(|_| dice.draw() as u8).collect();
            input.splice(at..at, bytes);
        }
    }
}
