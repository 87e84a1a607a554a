//! Whatever stands in a file that should hold a certificate or a key: no text repeats a key.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opamp::transport::tls::{Identity, Roots, TlsSettings};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::kit::{Rig, secure};
use crate::tls::{Authority, Folder, Pair};

/// Numbers that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A key with everything that may not be seen of it.
struct Secret {
    pem: String,
    der: Vec<u8>,
    digits: String,
}

impl Secret {
    fn of(pem: &str) -> Secret {
        let inner = pem.lines().filter(|line| !line.starts_with("-----"));
        let digits: String = inner.collect();
        Secret {
            pem: pem.to_owned(),
            der: STANDARD.decode(&digits).unwrap(),
            digits,
        }
    }

    /// A block of that label which holds nothing but chance.
    fn labelled(label: &str, chance: &mut Chance) -> Secret {
        let digits = STANDARD.encode(chance.bytes(300));
        let lines: Vec<String> = digits
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        let (inner, label) = (lines.join("\n"), format!("{label}-----"));
        Secret::of(&format!("-----BEGIN {label}\n{inner}\n-----END {label}\n"))
    }

    /// Where a text shows a run of the key: as it is, as numbers, as hex digits.
    fn in_text(&self, text: &str) -> Option<String> {
        let windows = self.digits.as_bytes().windows(8);
        for run in windows.map(|run| std::str::from_utf8(run).unwrap()) {
            if text.contains(run) {
                return Some(format!("text {run}"));
            }
        }
        let numbers: Vec<u8> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let raw = self.pem.as_bytes();
        let holds = |run: &[u8]| [&self.der[..], raw].iter().any(|all| is_in(run, all));
        if let Some(run) = numbers.windows(4).find(|run| holds(run)) {
            return Some(format!("numbers {run:?}"));
        }
        let lower = text
            .to_lowercase()
            .replace("0x", "")
            .replace([' ', ':', ','], "");
        for run in lower.split(|c: char| !c.is_ascii_hexdigit()) {
            let shifted = [run, run.get(1..).unwrap_or("")];
            for bytes in shifted.map(unhexed) {
                if bytes.windows(6).any(holds) {
                    return Some(format!("hex {run}"));
                }
            }
        }
        None
    }
}

fn is_in(run: &[u8], all: &[u8]) -> bool {
    all.windows(run.len()).any(|window| window == run)
}

fn unhexed(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// What people do to such files, and what disks do.
fn mutated(pem: &str, chance: &mut Chance) -> Vec<u8> {
    let mut bytes = pem.as_bytes().to_vec();
    for _ in 0..=chance.below(3) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let at = chance.below(bytes.len());
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let line = chance.below(lines.len());
        match chance.below(18) {
            0 => bytes = text.replace('\n', "\\n").into_bytes(),
            1 => bytes = text.replace('\n', " ").into_bytes(),
            2 => bytes = text.replace('\n', "\r").into_bytes(),
            3 => bytes = text.replace('\n', "").into_bytes(),
            4 => bytes = text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            5 => bytes = [b"\xef\xbb\xbf", &bytes[..]].concat(),
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(..at)),
            8 if !bytes.is_empty() => drop(bytes.remove(at)),
            9 => bytes.insert(
                at,
                [b'-', b':', b'*', b'\\', b'\n', 0, 0xff][chance.below(7)],
            ),
            10 if !lines.is_empty() => {
                lines.remove(line);
                bytes = lines.join("\n").into_bytes();
            }
            11 if !lines.is_empty() => {
                lines.insert(line, lines[line].clone());
                bytes = lines.join("\n").into_bytes();
            }
            12 if lines.len() > line + 1 => {
                let next = lines.remove(line + 1);
                lines[line] += &next;
                bytes = lines.join("\n").into_bytes();
            }
            13 => bytes = format!("  {}", text.replace('\n', "\n  ")).into_bytes(),
            14 => {
                let labels = [
                    "CERTIFICATE",
                    "TRUSTED CERTIFICATE",
                    "X509 CERTIFICATE",
                    "PKCS7",
                ];
                let label = labels[chance.below(labels.len())];
                bytes = text.replace("PRIVATE KEY", label).into_bytes();
            }
            15 => bytes = text.replacen("KEY-----", "KEY", 1).into_bytes(),
            16 => {
                let digits: String = text.lines().filter(|l| !l.contains('-')).collect();
                bytes = STANDARD.decode(digits).unwrap_or(bytes);
            }
            17 => bytes = format!("key='{text}'").into_bytes(),
            _ => {}
        }
    }
    bytes
}

/// The texts of everything that reads such a file as a certificate, as trust and as a key.
fn texts(bytes: &[u8], good: &Pair, folder: &Folder) -> Vec<String> {
    let memory: Arc<[u8]> = bytes.into();
    let (certificate, key) = (good.certificate.as_bytes(), good.key.as_bytes());
    let path = folder.0.join("given.pem");
    fs::write(&path, bytes).unwrap();
    let whole = folder.0.join("whole.pem");
    let in_memory = |certificate: &[u8], key: &[u8]| Identity::Memory {
        certificate: certificate.into(),
        key: key.into(),
    };
    let in_files = |certificate, key| Identity::Files { certificate, key };
    let roots = [
        Roots::Memory(memory.clone()),
        Roots::File(path.clone()),
        Roots::Folder(folder.0.clone()),
    ];
    let identities = [
        in_memory(bytes, key),
        in_memory(certificate, bytes),
        in_memory(bytes, bytes),
        in_files(path.clone(), whole.clone()),
        in_files(whole, path.clone()),
        in_files(path.clone(), path),
    ];
    let mut said = Vec::new();
    for roots in roots {
        said.extend(roots.check().err().map(|e| format!("{e} {e:?}")));
        let settings = TlsSettings {
            roots,
            ..TlsSettings::default()
        };
        said.push(format!("{settings:?} {:?}", settings.at_start()));
    }
    for identity in identities {
        said.extend(identity.check().err().map(|e| format!("{e} {e:?}")));
        said.push(format!("{identity:?}"));
    }
    said
}

fn secrets(chance: &mut Chance, pair: &Pair) -> Vec<Secret> {
    let labels = [
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
    ];
    let mut all: Vec<Secret> = labels
        .iter()
        .map(|label| Secret::labelled(label, chance))
        .collect();
    all.push(Secret::of(&pair.key));
    all
}

/// [LOG-03]
#[test]
fn no_text_about_a_mutated_key_file_shows_the_key() {
    let mut chance = Chance(0x5eed);
    let folder = Folder::new("mutated");
    let pair = Authority::new().leaf(&["x"], |_| {});
    fs::write(
        folder.0.join("whole.pem"),
        pair.certificate.clone() + &pair.key,
    )
    .unwrap();
    let secrets = secrets(&mut chance, &pair);
    let mut refused = 0;
    for round in 0..150 {
        let secret = &secrets[round % secrets.len()];
        let beside = ["", &pair.certificate][chance.below(2)];
        let bytes = mutated(&(secret.pem.clone() + beside), &mut chance);
        for text in texts(&bytes, &pair, &folder) {
            refused += usize::from(text.contains("damaged") || text.contains("contains"));
            let shown = secret.in_text(&text);
            assert_eq!(shown, None, "round {round}: {text}");
        }
    }
    assert!(refused > 500, "{refused}");
}

/// [LOG-03] [TLS-04]
#[test]
fn no_failure_after_a_file_was_replaced_shows_the_key() {
    let mut chance = Chance(0xf11e);
    let folder = Folder::new("replaced");
    let pair = Authority::new().leaf(&["x"], |_| {});
    let path = folder.0.join("all.pem");
    let whole = pair.certificate.clone() + &pair.key;
    fs::write(&path, &whole).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let closer = std::thread::spawn({
        let is_over = is_over.clone();
        move || {
            while !is_over.load(Ordering::SeqCst) {
                drop(listener.accept());
            }
        }
    });
    let mut rig = Rig::with(secure(
        &url,
        &TlsSettings {
            roots: Roots::File(path.clone()),
            identity: Some(Identity::Files {
                certificate: path.clone(),
                key: path.clone(),
            }),
            ..TlsSettings::default()
        },
    ));
    let secret = Secret::of(&pair.key);
    for round in 0..60 {
        fs::write(&path, mutated(&whole, &mut chance)).unwrap();
        let text = format!("{:?}", rig.fail());
        assert_eq!(secret.in_text(&text), None, "round {round}: {text}");
    }
    is_over.store(true, Ordering::SeqCst);
    let _ = rig.post(b"x");
    closer.join().unwrap();
}

/// The detector itself: it finds what the parser of the TLS library would have said.
#[test]
fn a_shown_key_is_found_in_each_form() {
    let secret = Secret::labelled("PRIVATE KEY", &mut Chance(1));
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>();
    let literal = secret.pem.replace('\n', "\\n");
    let theirs = CertificateDer::pem_slice_iter(literal.as_bytes());
    let theirs: Vec<String> = theirs.map(|e| e.unwrap_err().to_string()).collect();
    for text in [
        theirs.join(" "),
        format!("{:?}", &secret.der[20..40]),
        hex(&secret.der[3..20]).join(""),
        hex(&secret.der[3..20]).join(":"),
        secret.digits[9..21].to_owned(),
    ] {
        assert!(secret.in_text(&text).is_some(), "{text}");
    }
    assert_eq!(
        secret.in_text("entry 1 (line 2) of 127.0.0.1:65535 is 2048"),
        None
    );
}
