//! Bodies that a good server would not send.
use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A varint and a text under unknown numbers, unknown flag bits, a command of an unknown type.
pub(crate) fn unknown_fields() -> Vec<u8> {
    let number = |field: u64, wire_type: u64| varint(field << 3 | wire_type);
    let flags = [number(6, 0), varint(1 << 40)].concat();
    let command = vec![0x4a, 0x02, 0x08, 0x4d];
    let text = [number(1001, 2), varint(5), b"hello".to_vec()].concat();
    [number(1000, 0), varint(42), text, flags, command].concat()
}

/// `good`, filled up to `size` bytes with an unknown field; shorter sizes leave it as it is.
pub(crate) fn sized(good: &[u8], size: u64) -> Bytes {
    let tag = varint(1000 << 3 | 2);
    // A filler can not have every size: one more field of two bytes then makes the difference.
    for extra in [&[][..], &[0x38, 0x7f]] {
        let start = [good, extra, &tag].concat();
        for length_size in 1..=5 {
            let Some(filler) = size.checked_sub((start.len() + length_size) as u64) else {
                continue;
            };
            let length = varint(filler);
            if length.len() == length_size {
                let mut bytes = [&start[..], &length].concat();
                bytes.resize(size as usize, b'.');
                return bytes.into();
            }
        }
    }
    Bytes::copy_from_slice(good)
}

/// Custom capabilities without a name, two bytes each.
pub(crate) fn many_fields(size: u64) -> Bytes {
    let mut bytes = [vec![0x52], varint(size & !1)].concat();
    let head = bytes.len();
    bytes.resize(head + (size & !1) as usize, 0);
    for tag in bytes[head..].iter_mut().step_by(2) {
        *tag = 0x0a;
    }
    bytes.into()
}

/// Groups within groups under an unknown number: the schema itself has nothing that nests here.
pub(crate) fn nested(depth: u32) -> Vec<u8> {
    let (open, close) = (varint(99 << 3 | 3), varint(99 << 3 | 4));
    [open.repeat(depth as usize), close.repeat(depth as usize)].concat()
}

pub(crate) fn gzip_zeros(size: u64) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = [0; 64 << 10];
    let mut left = size;
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        gzip.write_all(&zeros[..now as usize])
            .expect("a Vec takes all");
        left -= now;
    }
    gzip.finish().expect("a Vec takes all").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::wire::ServerToAgent;
    use prost::Message;

    #[test]
    fn a_filled_answer_has_exactly_its_size_and_decodes() {
        let good = ServerToAgent {
            capabilities: 127,
            ..Default::default()
        }
        .encode_to_vec();
        for size in [
            30, 126, 127, 128, 129, 130, 131, 132, 133, 134, 16_390, 16_391, 65_536,
        ] {
            let body = sized(&good, size);
            assert_eq!(body.len() as u64, size);
            assert_eq!(ServerToAgent::decode(body).unwrap().capabilities, 127);
        }
    }

    #[test]
    fn spoiled_bodies_are_what_they_say() {
        let decode = |bytes: &[u8]| ServerToAgent::decode(bytes);
        assert!(decode(&unknown_fields()).is_ok());
        assert!(decode(&nested(10)).is_ok());
        assert!(decode(&nested(10_000)).is_err());
        let many = decode(&many_fields(1000)).unwrap();
        assert_eq!(many.custom_capabilities.unwrap().capabilities.len(), 500);
        assert!(decode(&[0x5a, 0x04, 0x0a, 0x02, 0xff, 0xfe]).is_err());
    }
}
