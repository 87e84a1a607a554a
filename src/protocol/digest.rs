//! Tells one value from another.

/// After FNV-1a, over words of any length. It only tells a repetition from news.
pub(super) fn digest<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut digest = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |word: u64| digest = (digest ^ word).wrapping_mul(0x0100_0000_01B3);
    for bytes in words {
        add(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            add(u64::from_le_bytes(word));
        }
    }
    digest
}
