//! Algorithms, purposes and extensions by the names that people know.

use rustls::pki_types::PrivateKeyDer;

use super::der::{self, PublicKey, bit_length, element, elements};

/// What `ring` can sign with.
pub(super) const SUPPORTED_KEYS: &str = "RSA of 2048 to 4096 bits with an exponent of 65537 or \
     more, EC P-256 and P-384, Ed25519";

/// RSA keys of other lengths are refused in certificates.
pub(super) const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";

const NAMES: [(&str, &str); 37] = [
    (RSA, "RSA"),
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
    ("1.2.840.113549.1.1.11", "SHA-256 with RSA"),
    ("1.2.840.113549.1.1.12", "SHA-384 with RSA"),
    ("1.2.840.113549.1.1.13", "SHA-512 with RSA"),
    ("1.2.840.113549.1.1.14", "SHA-224 with RSA"),
    (EC, "EC"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.3.6.1.5.5.7.3.1", "server authentication"),
    ("1.3.6.1.5.5.7.3.2", "client authentication"),
    ("1.3.6.1.5.5.7.3.3", "code signing"),
    ("1.3.6.1.5.5.7.3.4", "e-mail protection"),
    ("1.3.6.1.5.5.7.3.8", "time stamping"),
    ("1.3.6.1.5.5.7.3.9", "OCSP signing"),
    ("2.5.29.37.0", "any purpose (2.5.29.37.0)"),
    ("2.5.29.32", "certificate policies (2.5.29.32)"),
    ("2.5.29.33", "policy mappings (2.5.29.33)"),
    ("2.5.29.36", "policy constraints (2.5.29.36)"),
    ("2.5.29.54", "inhibit any policy (2.5.29.54)"),
    ("1.3.6.1.5.5.7.1.24", "TLS feature (1.3.6.1.5.5.7.1.24)"),
];

/// The name of an OID, else its numbers.
pub(super) fn oid(encoded: &[u8]) -> String {
    let numbers = dotted(encoded);
    match known(&numbers) {
        Some(name) => name.to_owned(),
        None => numbers,
    }
}

/// Of the content of an AlgorithmIdentifier, as "ECDSA with SHA-512".
pub(super) fn algorithm(identifier: &[u8]) -> String {
    oid(first_oid(identifier))
}

/// As "an RSA key of 1024 bits".
pub(super) fn public_key(key: &PublicKey<'_>) -> String {
    let parameters = element(key.algorithm).map_or(&[][..], |(_, _, rest)| rest);
    match rsa_bits(key) {
        Some(bits) => format!("an RSA key of {bits} bits"),
        None if dotted(first_oid(key.algorithm)) == EC => {
            format!("an EC key on the curve {}", oid(first_oid(parameters)))
        }
        None => format!("a key for {}", algorithm(key.algorithm)),
    }
}

/// The length of a key that is one for RSA.
pub(super) fn rsa_bits(key: &PublicKey<'_>) -> Option<usize> {
    if dotted(first_oid(key.algorithm)) != RSA {
        return None;
    }
    let (_, modulus, _) = element(element(key.bits)?.1)?;
    Some(bit_length(modulus))
}

/// What kind of key it is, and whether one of that kind can be used when it is whole. What is not
/// known is not shown: these bytes may be anything.
pub(super) fn private_key(key: &PrivateKeyDer<'_>) -> (String, bool) {
    let curve = |found: Option<&[u8]>| match found.and_then(|found| known(&dotted(found))) {
        Some(name) => (
            format!("EC key on the curve {name}"),
            ["P-256", "P-384"].contains(&name),
        ),
        None => ("EC key on an unknown curve".to_owned(), false),
    };
    let unknown = || ("key of an unknown kind".to_owned(), false);
    match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()).unwrap_or_else(unknown),
        PrivateKeyDer::Sec1(key) => {
            let parts = element(key.secret_sec1_der()).map_or(&[][..], |(_, parts, _)| parts);
            let tagged = elements(parts).find(|(tag, _)| *tag == der::TAGGED);
            curve(tagged.map(|(_, content)| first_oid(content)))
        }
        PrivateKeyDer::Pkcs8(key) => {
            let parts = element(key.secret_pkcs8_der()).map_or(&[][..], |(_, parts, _)| parts);
            let of = |wanted| {
                elements(parts)
                    .find(|(tag, _)| *tag == wanted)
                    .map(|(_, it)| it)
            };
            let identifier = of(der::SEQUENCE).unwrap_or_default();
            let parameters = element(identifier).map_or(&[][..], |(_, _, rest)| rest);
            match &*dotted(first_oid(identifier)) {
                RSA => of(der::OCTET_STRING).and_then(rsa).unwrap_or_else(unknown),
                EC => curve(Some(first_oid(parameters))),
                other => known(other).map_or_else(unknown, |name| {
                    (format!("key for {name}"), name == "Ed25519")
                }),
            }
        }
        _ => unknown(),
    }
}

/// Of an RSAPrivateKey.
fn rsa(der: &[u8]) -> Option<(String, bool)> {
    let mut numbers = elements(element(der)?.1).skip(1);
    let bits = bit_length(numbers.next()?.1);
    let exponent = numbers.next()?.1;
    let text = format!("RSA key of {bits} bits");
    match bit_length(exponent) {
        ..17 => {
            let value = exponent
                .iter()
                .fold(0, |sum, &digit| sum << 8 | u64::from(digit));
            Some((format!("{text} with the exponent {value}"), false))
        }
        _ => Some((text, (2048..=4096).contains(&bits))),
    }
}

fn known(numbers: &str) -> Option<&'static str> {
    let found = NAMES.iter().find(|(oid, _)| *oid == numbers);
    found.map(|(_, name)| *name)
}

fn first_oid(der: &[u8]) -> &[u8] {
    match element(der) {
        Some((der::OID, content, _)) => content,
        _ => &[],
    }
}

/// As "1.2.840.113549"; a peer's long ones not to their end.
fn dotted(oid: &[u8]) -> String {
    const MOST: usize = 24;
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for &byte in oid.iter().take(MOST) {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            match numbers.is_empty() {
                true => numbers.extend([(number / 40).min(2), number - 40 * (number / 40).min(2)]),
                false => numbers.push(number),
            }
            number = 0;
        }
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let rest = if oid.len() > MOST { ".." } else { "" };
    numbers.join(".") + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_have_names_or_numbers() {
        assert_eq!(oid(der::SERVER_AUTH), "server authentication");
        assert_eq!(oid(der::KEY_USAGE), "2.5.29.15");
        assert_eq!(
            oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5]),
            "SHA-1 with RSA"
        );
        assert_eq!(oid(&[0x2b, 0x81, 0x04, 0x00, 0x23]), "P-521");
        assert!(oid(&[0x7f; 9_000]).len() < 120);
        assert!(oid(&[0xff; 9_000]).len() < 120);
        assert_eq!(oid(&[]), "");
    }
}
