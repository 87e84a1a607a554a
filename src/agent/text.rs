//! Text of the application: free text is mended and never refused, names are quoted.

use std::borrow::Cow;

/// A longer one is cut, so that no explanation is too large to be sent.
const MOST_FREE: usize = 8 << 10;
const CUT: &str = " [cut]";
/// Of a name in an error text.
const MOST_SHOWN: usize = 64;

/// What leaves of a free text: bytes that are no UTF-8, and NUL, become U+FFFD; the rest is cut.
pub(crate) fn free(bytes: &[u8]) -> String {
    // What is left out anyway is not looked at: somebody may have given a whole log.
    let begin = &bytes[..bytes.len().min(MOST_FREE + 1)];
    let text = match String::from_utf8_lossy(begin) {
        Cow::Borrowed(text) => text.replace('\0', "\u{fffd}"),
        Cow::Owned(text) => text.replace('\0', "\u{fffd}"),
    };
    if bytes.len() <= MOST_FREE && text.len() <= MOST_FREE {
        return text;
    }
    let mut end = MOST_FREE - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned() + CUT
}

/// The beginning of a name, to be quoted.
pub(crate) fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(MOST_SHOWN).map(|(end, _)| end);
    &name[..end.unwrap_or(name.len())]
}

#[cfg(test)]
mod tests {
    use super::free;

    #[test]
    fn free_text_is_mended() {
        assert_eq!(free(b""), "");
        assert_eq!(free("plain \u{fc}".as_bytes()), "plain \u{fc}");
        assert_eq!(
            free(b"Latin-1 \xfc and \0"),
            "Latin-1 \u{fffd} and \u{fffd}"
        );
        assert_eq!(free(b"cut inside \xe2\x82"), "cut inside \u{fffd}");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let just = "x".repeat(8 << 10);
        assert_eq!(free(just.as_bytes()), just);
        for unit in ["x", "\u{fc}", "\u{20ac}", "\u{1f600}"] {
            for shift in 0..4 {
                let long = "y".repeat(shift) + &unit.repeat(70_000 / unit.len());
                let text = free(long.as_bytes());
                let kept = text.strip_suffix(" [cut]").unwrap();
                assert!(long.starts_with(kept), "{unit} {shift}");
                assert!(text.len() <= 8 << 10 && text.len() + unit.len() > 8 << 10);
            }
        }
        // Each bad byte becomes three.
        assert!(free(&[0xff; 4096]).len() <= 8 << 10);
    }
}
