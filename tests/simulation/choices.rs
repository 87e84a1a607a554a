//! Every choice of the world comes from a byte string. When it is used up, each answer is the calm one: nothing goes wrong.

pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Choices<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn is_spent(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Below `count`; 0 when spent.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        u32::from(byte) * count / 256
    }

    /// Below 2^16; 0 when spent.
    pub(crate) fn wide(&mut self) -> u32 {
        self.below(256) << 8 | self.below(256)
    }
}

/// How long the world is wild.
pub(crate) const LENGTH: usize = 800;

/// The byte string of a seed.
pub(crate) fn bytes_of(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 0xE703_7ED1_A0B4_28DB;
    let mut bytes = Vec::with_capacity(LENGTH);
    while bytes.len() < LENGTH {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bytes.extend((x ^ (x >> 31)).to_le_bytes());
    }
    bytes
}
