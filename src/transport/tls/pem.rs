//! PEM as OpenSSL reads it, and in our own words what is wrong with it.
//!
//! The errors of other parsers repeat what they read, and that may be a key: nothing read here is
//! ever shown.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::der::{self, Fields, element, elements};

/// From a BEGIN line to its END.
pub(super) struct Block<'a> {
    pub(super) kind: Kind,
    /// The BEGIN line's number, from 1.
    pub(super) line: usize,
    /// All of it, with both lines.
    pub(super) text: &'a [u8],
    /// What a certificate's block holds.
    pub(super) der: Vec<u8>,
    pub(super) damage: Option<Damage>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Certificate,
    /// With OpenSSL's own notes about its trust behind it.
    TrustedCertificate,
    /// A private key of a form that can be read.
    Key,
    EncryptedKey,
    OtherKey,
    Request,
    RevocationList,
    PublicKey,
    Pkcs7,
    Parameters,
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Damage {
    LiteralNewline,
    OneLine,
    Begin,
    End,
    OtherEnd,
    Empty,
    Base64,
    Certificate,
    Authority,
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// All blocks, the damaged ones too. What stands between blocks is nobody's concern.
pub(super) fn blocks(pem: &[u8]) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    // Where the open block began, and its label.
    let mut open: Option<(usize, &[u8])> = None;
    let close = |found: &mut Vec<Block<'_>>, damage| {
        if let Some(block) = found.last_mut() {
            block.damage = block.damage.or(damage);
        }
    };
    for (number, start, line) in lines(pem) {
        let line = line.trim_ascii_end();
        if let Some(rest) = line.strip_prefix(BEGIN) {
            if open.take().is_some() {
                close(&mut found, Some(Damage::End));
            }
            let label = rest
                .strip_suffix(DASHES)
                .filter(|label| !has(label, DASHES));
            let kind = label.map_or(Kind::Other, Kind::of);
            found.push(Block {
                kind,
                line: number,
                text: &pem[start..start + line.len()],
                der: Vec::new(),
                damage: label.is_none().then(|| Damage::of_begin(rest)),
            });
            open = label.map(|label| (start, label));
        } else if let (Some((first, label)), Some(rest)) = (open, line.strip_prefix(END)) {
            open = None;
            if let Some(block) = found.last_mut() {
                block.text = &pem[first..start + line.len()];
            }
            let is_same = rest.strip_suffix(DASHES) == Some(label);
            close(&mut found, (!is_same).then_some(Damage::OtherEnd));
        }
    }
    if open.is_some() {
        close(&mut found, Some(Damage::End));
    }
    for block in &mut found {
        block.look_inside();
    }
    found
}

impl Block<'_> {
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.kind, Kind::Certificate | Kind::TrustedCertificate)
    }

    /// The certificate alone, without what stands behind it.
    pub(super) fn certificate(&self) -> &[u8] {
        let behind = element(&self.der).map_or(0, |(_, _, rest)| rest.len());
        &self.der[..self.der.len() - behind]
    }

    /// A CA certificate that the verifier's parser does not take is damage, too.
    pub(super) fn check_authority(&mut self) {
        let is_unusable = Fields::of(&self.der).is_some_and(|it| it.is_authority())
            && webpki::anchor_from_trusted_cert(&self.certificate().into()).is_err();
        if is_unusable {
            self.damage = self.damage.or(Some(Damage::Authority));
        }
    }

    /// Whether OpenSSL's notes, where there are any, let the certificate vouch for servers.
    pub(super) fn is_trusted_for_servers(&self) -> bool {
        let notes = element(&self.der).and_then(|(_, _, rest)| element(rest));
        let (_, notes, _) = match (self.kind, notes) {
            (Kind::TrustedCertificate, Some(notes)) => notes,
            _ => return true,
        };
        let says = |tag| {
            let uses = elements(notes).find(|(found, _)| *found == tag)?.1;
            Some(elements(uses).any(|(_, oid)| [der::SERVER_AUTH, der::ANY_PURPOSE].contains(&oid)))
        };
        says(der::SEQUENCE) != Some(false) && says(der::TAGGED) != Some(true)
    }

    /// The base64 digits, without the headers of old.
    fn digits(&self) -> Vec<u8> {
        let inner = lines(self.text)
            .map(|(_, _, line)| line)
            .filter(|line| !line.starts_with(DASHES) && !line.contains(&b':'));
        let all = inner.flatten().copied();
        all.filter(|byte| !byte.is_ascii_whitespace()).collect()
    }

    fn look_inside(&mut self) {
        if self.kind == Kind::Key && has(self.text, b"4,ENCRYPTED") {
            self.kind = Kind::EncryptedKey;
        }
        if self.damage.is_none() && (self.is_certificate() || self.kind == Kind::Key) {
            self.damage = self.decode().err();
        }
    }

    fn decode(&mut self) -> Result<(), Damage> {
        let digits = self.digits();
        if digits.is_empty() {
            return Err(Damage::Empty);
        }
        if self.kind == Kind::Key {
            // Theirs takes a time that does not depend on the key.
            let key = PrivateKeyDer::from_pem_slice(self.text);
            return key.map(|_| ()).map_err(|_| Damage::Base64);
        }
        self.der = STANDARD.decode(digits).map_err(|_| Damage::Base64)?;
        match Fields::of(&self.der) {
            Some(_) => Ok(()),
            None => Err(Damage::Certificate),
        }
    }
}

impl Kind {
    fn of(label: &[u8]) -> Kind {
        match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => Kind::Certificate,
            b"TRUSTED CERTIFICATE" => Kind::TrustedCertificate,
            b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" => Kind::Key,
            b"ENCRYPTED PRIVATE KEY" => Kind::EncryptedKey,
            b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => Kind::Request,
            b"X509 CRL" => Kind::RevocationList,
            b"PUBLIC KEY" | b"RSA PUBLIC KEY" => Kind::PublicKey,
            b"PKCS7" | b"CMS" | b"PKCS #7 SIGNED DATA" => Kind::Pkcs7,
            label if label.ends_with(b"PRIVATE KEY") => Kind::OtherKey,
            label if label.ends_with(b"PARAMETERS") => Kind::Parameters,
            _ => Kind::Other,
        }
    }
}

impl Damage {
    /// Of a BEGIN line that is no such line.
    fn of_begin(rest: &[u8]) -> Damage {
        if has(rest, b"\\n") {
            Damage::LiteralNewline
        } else if has(rest, END) {
            Damage::OneLine
        } else {
            Damage::Begin
        }
    }
}

/// Which entry is damaged, and how.
pub(super) fn first_damage(blocks: &[Block<'_>]) -> Option<String> {
    let mut all = blocks.iter().enumerate();
    all.find_map(|(i, block)| {
        let damage = block.damage?;
        Some(format!(
            "entry {} (line {}) is damaged: {damage}",
            i + 1,
            block.line
        ))
    })
}

/// What kind of thing somebody gave who was asked for PEM with something else in it.
pub(super) fn contents(given: &[u8]) -> &'static str {
    let has_nuls = given.iter().take(64).any(|&byte| byte == 0);
    if given.trim_ascii().is_empty() {
        return "it is empty";
    }
    if given.starts_with(b"\xff\xfe") || given.starts_with(b"\xfe\xff") || is_wide(given) {
        return "it is UTF-16 text, not ASCII";
    }
    if let Some(what) = binary(given) {
        return what;
    }
    match blocks(given).first() {
        Some(block) => block.kind.holds(),
        None if has_nuls || std::str::from_utf8(given).is_err() => "it is binary data, not PEM",
        None if has(given, b"-----BEGIN ") && has(given, b"\\n") => {
            "the two characters \\n stand where its line breaks belong"
        }
        None if has(given, b"-----BEGIN ") => {
            "its BEGIN line does not start at the line's beginning"
        }
        None => "it is text without a PEM block",
    }
}

/// PEM's first characters, each beside a NUL.
fn is_wide(given: &[u8]) -> bool {
    given.starts_with(b"-\0-\0") || given.starts_with(b"\0-\0-")
}

/// What is known by the first bytes of its DER.
fn binary(given: &[u8]) -> Option<&'static str> {
    let (der::SEQUENCE, content, _) = element(given)? else {
        return None;
    };
    let (tag, first, _) = element(content)?;
    Some(match tag {
        _ if Fields::of(given).is_some() => "it is a DER certificate, not PEM",
        der::OID if first.starts_with(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7]) => {
            "it is PKCS#7 in DER, not PEM"
        }
        der::INTEGER if first == [3] => "it is a PKCS#12 store, not PEM",
        der::INTEGER => "it is a key in DER, not PEM",
        _ => "it is DER, not PEM",
    })
}

impl Kind {
    fn holds(self) -> &'static str {
        match self {
            Kind::Certificate | Kind::TrustedCertificate => "it contains a certificate",
            Kind::Key => "it contains a private key",
            Kind::EncryptedKey => "it contains an encrypted private key",
            Kind::OtherKey => "it contains a private key of another format (PKCS#8 is required)",
            Kind::Request => "it contains a certificate request",
            Kind::RevocationList => "it contains a revocation list",
            Kind::PublicKey => "it contains a public key",
            Kind::Pkcs7 => "it contains PKCS#7 data",
            Kind::Parameters => "it contains parameters of a key",
            Kind::Other => "it contains another kind of PEM block",
        }
    }
}

/// Number, offset and text of each line; the lines of Windows and of old Macs are lines, too.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut at = match text.starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    };
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|byte| b"\r\n".contains(byte));
        let line = &rest[..end.unwrap_or(rest.len())];
        let (start, next) = (at, &rest[line.len()..]);
        at += line.len() + if next.starts_with(b"\r\n") { 2 } else { 1 };
        number += 1;
        Some((number, start, line))
    })
}

fn has(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::LiteralNewline => "the two characters \\n stand where its line breaks belong",
            Damage::OneLine => "it stands on one line",
            Damage::Begin => "its BEGIN line does not end in -----",
            Damage::End => "its END line is missing",
            Damage::OtherEnd => "its END line does not match its BEGIN line",
            Damage::Empty => "it is empty",
            Damage::Base64 => "it is not valid base64",
            Damage::Certificate => "it is not an X.509 certificate",
            Damage::Authority => "it is a CA certificate with invalid fields",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pem: &str) -> Vec<(Kind, usize, Option<Damage>)> {
        let all = blocks(pem.as_bytes());
        all.iter().map(|b| (b.kind, b.line, b.damage)).collect()
    }

    #[test]
    fn blocks_have_kind_line_and_damage() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(seen(key), [(Kind::Key, 1, None)]);
        assert_eq!(seen(&key.replace('\n', "\r\n")), [(Kind::Key, 1, None)]);
        assert_eq!(seen(&key.replace('\n', "\r")), [(Kind::Key, 1, None)]);
        assert_eq!(seen(&format!("\u{feff}{key}")), [(Kind::Key, 1, None)]);
        assert_eq!(seen(&format!("x\n\n{key}y")), [(Kind::Key, 3, None)]);
        let locked = key.replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA");
        assert_eq!(seen(&locked), [(Kind::EncryptedKey, 1, None)]);
        for (text, damage) in [
            (key.replace("\n", "\\n"), Damage::LiteralNewline),
            (key.replace("\n", " "), Damage::OneLine),
            (key.replace("KEY-----\nA", "KEY---\nA"), Damage::Begin),
            (key.replace("-----END", "-----ENT"), Damage::End),
            (key.replace("END PRIVATE", "END PUBLIC"), Damage::OtherEnd),
            (key.replace("AAAA\n", ""), Damage::Empty),
            (key.replace("AAAA", "A*AA"), Damage::Base64),
            (
                key.replace("PRIVATE KEY", "CERTIFICATE"),
                Damage::Certificate,
            ),
        ] {
            let all = seen(&format!("{text}\n{key}"));
            assert_eq!(all[0].2, Some(damage), "{text}");
            // What follows is found all the same.
            assert_eq!(
                all.last().map(|b| (b.0, b.2)),
                Some((Kind::Key, None)),
                "{text}"
            );
        }
    }

    #[test]
    fn contents_are_named() {
        let wide: Vec<u8> = "-----BEGIN".bytes().flat_map(|byte| [byte, 0]).collect();
        for (given, what) in [
            (&b" \n"[..], "empty"),
            (&wide, "UTF-16"),
            (b"\xff\xfea\0", "UTF-16"),
            (b"\x30\x03\x02\x01\x03", "PKCS#12"),
            (b"\x30\x03\x02\x01\x00", "a key in DER"),
            (
                b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
                "PKCS#7 in DER",
            ),
            (b"\x00\x01\x02", "binary"),
            (b"\xff\xff", "binary"),
            (b"hello", "text without"),
            (b"  -----BEGIN CERTIFICATE-----\n", "beginning"),
            (b"x=-----BEGIN CERTIFICATE-----\\nMII", "two characters \\n"),
            (b"-----BEGIN PKCS7-----\nMII", "PKCS#7 data"),
            (b"-----BEGIN SSH2-----\nMII", "another kind"),
        ] {
            assert!(
                contents(given).contains(what),
                "{what}: {}",
                contents(given)
            );
        }
    }
}
