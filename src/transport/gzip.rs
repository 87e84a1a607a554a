//! Makes gzip (RFC 1952) of a request's body.

use miniz_oxide::deflate::CompressionLevel;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

use super::gunzip::crc32;
use super::vigil::{Cut, Vigil};

/// Deflate, no flags, no time, no extra effort, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Packed at a time: some milliseconds.
const PIECE: usize = 64 * 1024;

/// `None` where it would not be smaller. Large bodies take a second, which can be cut as a wait
/// can.
pub(super) fn gzip(plain: &[u8], vigil: &mut Vigil) -> Result<Option<Vec<u8>>, Cut> {
    let flags = create_comp_flags_from_zip_params(CompressionLevel::DefaultLevel as i32, 0, 0);
    let mut packer = Box::new(CompressorOxide::new(flags));
    let (mut all, mut sum) = (HEAD.to_vec(), 0);
    let mut put = |piece: &[u8], flush| {
        compress_to_output(&mut packer, piece, flush, |packed| {
            all.extend_from_slice(packed);
            true
        });
    };
    for piece in plain.chunks(PIECE) {
        vigil.look()?;
        put(piece, TDEFLFlush::None);
        sum = crc32(sum, piece);
    }
    put(&[], TDEFLFlush::Finish);
    all.extend_from_slice(&sum.to_le_bytes());
    // Modulo 2^32, as the format has it.
    all.extend_from_slice(&(plain.len() as u32).to_le_bytes());
    Ok((all.len() < plain.len()).then_some(all))
}
