//! Room to read into.

static ZEROES: [u8; 4096] = [0; 4096];

/// Lengthens `bytes` to `length` with zeroes: `Vec::resize` where the library is built for size
/// sets byte after byte, five instructions each.
pub(crate) fn lengthen(bytes: &mut Vec<u8>, length: usize) {
    bytes.reserve(length.saturating_sub(bytes.len()));
    while bytes.len() < length {
        let more = (length - bytes.len()).min(ZEROES.len());
        bytes.extend_from_slice(&ZEROES[..more]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_asked_and_keeps_what_was_there() {
        let mut bytes = Vec::with_capacity(10_000);
        bytes.extend_from_slice(b"ab");
        lengthen(&mut bytes, 9_001);
        assert_eq!((bytes.len(), bytes.capacity()), (9_001, 10_000));
        assert_eq!(&bytes[..3], b"ab\0");
        lengthen(&mut bytes, 5);
        assert_eq!(bytes.len(), 9_001);
    }
}
