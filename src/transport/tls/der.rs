//! As much of certificates and keys as is needed beside the verifier.

/// The fields of a certificate that are of interest, still encoded.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// 1 to 3.
    pub(crate) version: u8,
    pub(crate) issuer: &'a [u8],
    pub(crate) subject: &'a [u8],
    /// The identifier of the algorithm it is signed with.
    pub(crate) signature: &'a [u8],
    pub(crate) key: PublicKey<'a>,
    validity: &'a [u8],
    extensions: &'a [u8],
}

/// A SubjectPublicKeyInfo, taken apart.
#[derive(Clone, Copy)]
pub(crate) struct PublicKey<'a> {
    /// The algorithm's identifier: its OID, and what belongs to it.
    pub(crate) algorithm: &'a [u8],
    pub(crate) bits: &'a [u8],
}

pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) is_critical: bool,
    pub(crate) value: &'a [u8],
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// The first context-specific element, constructed; the next ones follow it.
pub(crate) const TAGGED: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(crate) const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0];
/// keyCertSign, bit 5 of a key usage.
const CERTIFICATE_SIGNING: u8 = 0x80 >> 5;

impl<'a> Fields<'a> {
    pub(crate) fn of(certificate: &'a [u8]) -> Option<Fields<'a>> {
        let (SEQUENCE, outer, _) = element(certificate)? else {
            return None;
        };
        let (SEQUENCE, mut rest, _) = element(outer)? else {
            return None;
        };
        let mut version = 1;
        if rest.first() == Some(&TAGGED) {
            let (_, number, behind) = element(rest)?;
            version = element(number)?.1.first()?.checked_add(1)?;
            rest = behind;
        }
        let mut next = |wanted: u8| {
            let (tag, content, behind) = element(rest)?;
            rest = behind;
            (tag == wanted).then_some(content)
        };
        next(INTEGER)?; // serial number
        let signature = next(SEQUENCE)?;
        let issuer = next(SEQUENCE)?;
        let validity = next(SEQUENCE)?;
        let subject = next(SEQUENCE)?;
        let key = PublicKey::of(next(SEQUENCE)?)?;
        let extensions = elements(rest).find(|(tag, _)| *tag == TAGGED | 3);
        let extensions = extensions.and_then(|(_, all)| Some(element(all)?.1));
        Some(Fields {
            version,
            issuer,
            subject,
            signature,
            key,
            validity,
            extensions: extensions.unwrap_or_default(),
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

    pub(crate) fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        elements(self.extensions).filter_map(|(_, parts)| {
            let mut extension = Extension {
                oid: &[],
                is_critical: false,
                value: &[],
            };
            for (tag, content) in elements(parts) {
                match tag {
                    OID => extension.oid = content,
                    BOOLEAN => extension.is_critical = content != [0],
                    OCTET_STRING => extension.value = content,
                    _ => return None,
                }
            }
            Some(extension)
        })
    }

    /// What an extension holds within its outermost element.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        let found = self.extensions().find(|extension| extension.oid == oid)?;
        Some(element(found.value)?.1)
    }

    /// May it sign certificates? As OpenSSL's `X509_check_ca` decides, without Netscape's own
    /// types.
    pub(crate) fn is_authority(&self) -> bool {
        let usage = self.extension(KEY_USAGE);
        if usage.is_some_and(|bits| bits.get(1).is_none_or(|b| b & CERTIFICATE_SIGNING == 0)) {
            return false;
        }
        match self.extension(BASIC_CONSTRAINTS) {
            Some(constraints) => elements(constraints).any(|e| e.0 == BOOLEAN && e.1 != [0]),
            None => usage.is_some() || self.version == 1 && self.is_self_issued(),
        }
    }

    /// How many more certificates of authorities may follow this one.
    pub(crate) fn path_length(&self) -> Option<u64> {
        let constraints = self.extension(BASIC_CONSTRAINTS)?;
        let length = elements(constraints).find(|(tag, _)| *tag == INTEGER)?.1;
        let digits = length.iter().take(8);
        Some(digits.fold(0, |sum, &digit| sum << 8 | u64::from(digit)))
    }

    /// The extended key usages; none at all where any is allowed.
    pub(crate) fn purposes(&self) -> Vec<&'a [u8]> {
        let all = self.extension(EXTENDED_KEY_USAGE).unwrap_or_default();
        elements(all).map(|(_, oid)| oid).collect()
    }

    pub(crate) fn is_for_servers(&self) -> bool {
        self.extension(EXTENDED_KEY_USAGE).is_none() || self.purposes().contains(&SERVER_AUTH)
    }
}

impl<'a> PublicKey<'a> {
    /// From the content of a SubjectPublicKeyInfo.
    pub(crate) fn of(info: &'a [u8]) -> Option<PublicKey<'a>> {
        let (SEQUENCE, algorithm, rest) = element(info)? else {
            return None;
        };
        let (BIT_STRING, bits, _) = element(rest)? else {
            return None;
        };
        let bits = bits.get(1..)?;
        Some(PublicKey { algorithm, bits })
    }
}

/// Tag and content of the first element, and what follows it.
pub(crate) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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

/// Elements that stand one behind the other, as far as they can be told apart.
pub(crate) fn elements(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(der)?;
        der = rest;
        Some((tag, content))
    })
}

/// The significant bits of a whole number.
pub(crate) fn bit_length(number: &[u8]) -> usize {
    let digits = number.iter().skip_while(|&&digit| digit == 0);
    let digits: Vec<u8> = digits.copied().collect();
    match digits.first() {
        Some(first) => digits.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
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
    let field = |at: usize, most: i64| -> Option<i64> {
        let number = rest.get(at..at + 2)?.parse().ok()?;
        (0..=most).contains(&number).then_some(number)
    };
    let (month, day) = (field(0, 12)?, field(2, 31)?);
    let within = field(4, 23)? * 3600 + field(6, 59)? * 60 + field(8, 59)?;
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
