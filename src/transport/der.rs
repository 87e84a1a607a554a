//! As much of a certificate as is needed beside the verifier: names and dates.

/// The fields of interest, still encoded.
pub(crate) struct Fields<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    validity: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(certificate: &'a [u8]) -> Option<Fields<'a>> {
        let (_, outer, _) = element(certificate)?;
        let (_, mut rest, _) = element(outer)?;
        if rest.first() == Some(&VERSION) {
            rest = element(rest)?.2;
        }
        let (_, _, rest) = element(rest)?; // serial number
        let (_, _, rest) = element(rest)?; // signature algorithm
        let (_, issuer, rest) = element(rest)?;
        let (_, validity, rest) = element(rest)?;
        let (_, subject, _) = element(rest)?;
        Some(Fields {
            issuer,
            subject,
            validity,
        })
    }

    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// First and last second of validity, in seconds since 1970.
    pub(crate) fn validity(&self) -> Option<(u64, u64)> {
        let (tag, first, rest) = element(self.validity)?;
        let from = seconds(tag, first)?;
        let (tag, last, _) = element(rest)?;
        Some((from, seconds(tag, last)?))
    }
}

const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (
            digits
                .iter()
                .fold(0, |sum, &digit| sum << 8 | usize::from(digit)),
            rest,
        )
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`; what lies before 1970 is 1970.
fn seconds(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let field = |at: usize| -> Option<i64> { rest.get(at..at + 2)?.parse().ok() };
    let (month, day) = (field(0)?, field(2)?);
    let within = field(4)? * 3600 + field(6)? * 60 + field(8)?;
    Some(u64::try_from(days(year, month, day) * 86_400 + within).unwrap_or(0))
}

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_seconds() {
        assert_eq!(seconds(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(seconds(UTC_TIME, b"941106084937Z"), Some(784_111_777));
        assert_eq!(
            seconds(GENERALIZED_TIME, b"20240229235959Z"),
            Some(1_709_251_199)
        );
        assert_eq!(
            seconds(GENERALIZED_TIME, b"20500101000000Z"),
            Some(2_524_608_000)
        );
        assert_eq!(seconds(GENERALIZED_TIME, b"19500101000000Z"), Some(0));
        for bad in [
            &b""[..],
            b"Z",
            b"2402",
            b"aabbccddeeffZ",
            b"\xff\xffZ",
            b"700101000000",
        ] {
            assert_eq!(seconds(UTC_TIME, bad), None);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_fields() {
        for bad in [
            &b""[..],
            b"\x30",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x02\x30\x00",
        ] {
            assert!(Fields::of(bad).is_none());
        }
    }
}
