//! The wire format of protobuf, as far as it is written by hand.
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

/// Key and length of a field whose content follows.
pub(super) fn put_head(field: u32, length: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

/// Zero is the default and takes no room.
pub(super) fn number_len(value: u64) -> usize {
    if value == 0 {
        0
    } else {
        1 + encoded_len_varint(value)
    }
}

/// As zero below, the empty string is the default.
pub(super) fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        encode_key(field, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// Zero is the default and not written.
pub(super) fn put_number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(value, out);
    }
}

/// With the one byte of the key: all our fields have numbers below 16.
pub(super) fn delimited_len(content: usize) -> usize {
    1 + encoded_len_varint(content as u64) + content
}
