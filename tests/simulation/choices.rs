//! Every choice of the world comes from a byte string. When it is used up, each answer is the calm one: nothing goes wrong.

pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Below `count`; 0 when spent.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        let (byte, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        u32::from(*byte) * count / 256
    }

    /// Below 2^16; 0 when spent.
    pub(crate) fn wide(&mut self) -> u32 {
        self.below(256) << 8 | self.below(256)
    }

    /// One of these; the first when spent.
    pub(crate) fn of<T: Copy, const N: usize>(&mut self, these: [T; N]) -> T {
        these[self.below(N as u32) as usize]
    }
}

/// How long the world is wild.
const LENGTH: usize = 800;

/// The byte string of a seed (after SplitMix64).
pub(crate) fn bytes_of(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 0xE703_7ED1_A0B4_28DB;
    let mut bytes = vec![0; LENGTH];
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word.copy_from_slice(&(x ^ (x >> 31)).to_le_bytes());
    }
    bytes
}
