//! Makes gzip (RFC 1952) of a request's body.

use miniz_oxide::deflate::{CompressionLevel, compress_to_vec};

use super::gunzip::crc32;

/// Deflate, no flags, no time, no extra effort, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// `None` where it would not be smaller.
pub(super) fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let packed = compress_to_vec(plain, CompressionLevel::DefaultLevel as u8);
    let mut all = HEAD.to_vec();
    all.extend_from_slice(&packed);
    all.extend_from_slice(&crc32(0, plain).to_le_bytes());
    // Modulo 2^32, as the format has it.
    all.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    (all.len() < plain.len()).then_some(all)
}
