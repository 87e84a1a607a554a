//! What a certificate that was given as trust may vouch for, and how the files are read.

use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opamp::transport::tls::{Roots, TlsSettings};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::kit::{LONG, Rig, secure};
use crate::tls::{Authority, Folder, Pair, https, leaf_params, refusal, serve};

/// A certificate that signs itself, and others whether it may or not.
fn signer(change: impl FnOnce(&mut CertificateParams)) -> (Pair, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = leaf_params(&["a.example"]);
    params.distinguished_name.push(DnType::CommonName, "signer");
    change(&mut params);
    let pair = Pair {
        certificate: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    (pair, Issuer::new(params, key))
}

fn leaf_of(issuer: &Issuer<'_, KeyPair>, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = leaf_params(&["127.0.0.1"]);
    change(&mut params);
    Pair {
        certificate: params.signed_by(&key, issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.extended_key_usages.clear();
}

fn trusting(pem: &str) -> TlsSettings {
    TlsSettings {
        roots: Roots::Memory(pem.as_bytes().into()),
        ..TlsSettings::default()
    }
}

fn is_taken(pair: &Pair, tls: &TlsSettings) {
    let (server, _) = serve(pair.server(None), 1);
    let mut rig = Rig::with(secure(&https(&server, "127.0.0.1"), tls));
    assert_eq!(rig.post(b"x").unwrap().body, &b"a"[..]);
    server.join();
}

fn is_refused(pair: &Pair, tls: &TlsSettings, fact: &str) {
    let failure = refusal(pair, tls);
    assert!(failure.text.contains(fact), "wanted {fact}: {failure}");
}

/// [TLS-03]
#[test]
fn only_an_authority_vouches_for_others() {
    let no_authority = "the trusted certificate of that name is not a CA certificate";
    let long_ago = |p: &mut CertificateParams| p.not_after = date_time_ymd(2020, 2, 3);
    let (leaf, issuer) = signer(|_| {});
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&leaf.certificate),
        no_authority,
    );
    let (old, issuer) = signer(long_ago);
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&old.certificate),
        no_authority,
    );
    let (explicit, issuer) = signer(|p| p.is_ca = IsCa::ExplicitNoCa);
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&explicit.certificate),
        no_authority,
    );
    let (no_signing, issuer) = signer(|p| {
        authority(p);
        p.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&no_signing.certificate),
        no_authority,
    );
    let (clients_only, issuer) = signer(|p| {
        authority(p);
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let fact = "that name is not for server authentication";
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&clients_only.certificate),
        fact,
    );
    let (good, issuer) = signer(|p| {
        authority(p);
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    is_taken(&leaf_of(&issuer, |_| {}), &trusting(&good.certificate));
}

/// [TLS-03]
#[test]
fn a_pin_is_one_certificate_with_its_name_dates_and_usage() {
    let (_, issuer) = signer(authority);
    let pin = leaf_of(&issuer, |_| {});
    is_taken(&pin, &trusting(&pin.certificate));
    // Another one of the same issuer.
    is_refused(
        &leaf_of(&issuer, |_| {}),
        &trusting(&pin.certificate),
        "unknown issuer",
    );
    let mut other = leaf_of(&issuer, |p| {
        *p = leaf_params(&["b.example"]);
    });
    is_refused(&other, &trusting(&other.certificate), "for another host");
    other = leaf_of(&issuer, |p| p.not_after = date_time_ymd(2020, 2, 3));
    is_refused(
        &other,
        &trusting(&other.certificate),
        "expired on Mon, 03 Feb 2020",
    );
    let late = TlsSettings {
        accepts_expired: true,
        ..trusting(&other.certificate)
    };
    is_refused(&other, &late, "expired on Mon, 03 Feb 2020");
    other = leaf_of(&issuer, |p| p.not_before = date_time_ymd(2093, 5, 6));
    is_refused(
        &other,
        &trusting(&other.certificate),
        "not valid before Wed, 06 May",
    );
    other = leaf_of(&issuer, |p| {
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    is_refused(&other, &trusting(&other.certificate), "wrong usage");
}

/// [TLS-03]
#[test]
fn an_expired_authority_is_left_out_unless_it_is_wanted() {
    let named = |name: &'static str, change: fn(&mut CertificateParams)| {
        signer(move |p| {
            authority(p);
            p.distinguished_name.push(DnType::CommonName, name);
            change(p);
        })
    };
    let (old, of_old) = named("old", |p| p.not_after = date_time_ymd(2020, 2, 3));
    let (early, of_early) = named("early", |p| p.not_before = date_time_ymd(2093, 5, 6));
    let (good, of_good) = named("good", |_| {});
    let all = [&*old.certificate, &early.certificate, &good.certificate].concat();
    let mut tls = trusting(&all);
    is_taken(&leaf_of(&of_good, |_| {}), &tls);
    let (from_old, from_early) = (leaf_of(&of_old, |_| {}), leaf_of(&of_early, |_| {}));
    let expired = "trusted CA certificate of its issuer expired on Mon, 03 Feb 2020";
    is_refused(&from_old, &tls, expired);
    is_refused(
        &from_early,
        &tls,
        "issuer is not valid before Wed, 06 May 2093",
    );
    tls.accepts_expired = true;
    is_taken(&from_old, &tls);
    is_refused(&from_early, &tls, "not valid before");
    // None is left: neither start nor setter knows whether the clock is right.
    let tls = trusting(&old.certificate);
    tls.roots.check().unwrap();
    let stranger = Authority::new().leaf(&["127.0.0.1"], |_| {});
    let none = "none of 1 trusted CA certificates is valid now, the last one until Mon, 03 Feb";
    is_refused(&stranger, &tls, none);
}

/// [TLS-03]
#[test]
fn a_root_bounds_the_length_of_its_chains() {
    for (most, is_enough) in [(0, false), (1, true)] {
        let (root, of_root) = signer(|p| {
            authority(p);
            p.is_ca = IsCa::Ca(BasicConstraints::Constrained(most));
        });
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "between");
        authority(&mut params);
        let between = params.signed_by(&key, &of_root).unwrap().pem();
        let mut leaf = leaf_of(&Issuer::new(params, key), |_| {});
        leaf.certificate += &between;
        match is_enough {
            true => is_taken(&leaf, &trusting(&root.certificate)),
            false => {
                let fact = "more CA certificates above it than one of them allows";
                is_refused(&leaf, &trusting(&root.certificate), fact);
            }
        }
    }
}

/// What stands in a block, encoded.
fn der(pem: &str) -> Vec<u8> {
    let inner: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(inner).unwrap()
}

fn labelled(label: &str, der: &[u8]) -> String {
    let inner = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{inner}\n-----END {label}-----\n")
}

/// [TLS-03]
#[test]
fn other_labels_and_a_byte_order_mark_are_read_as_openssl_does() {
    let authority = Authority::new();
    let pem = String::from_utf8(authority.pem().to_vec()).unwrap();
    let leaf = authority.leaf(&["127.0.0.1"], |_| {});
    let certificate = der(&pem);
    for text in [
        format!("\u{feff}{pem}"),
        pem.replace('\n', "\r\n"),
        format!("Subject: a b\n\n{pem}more\n"),
        labelled("X509 CERTIFICATE", &certificate),
        labelled("TRUSTED CERTIFICATE", &certificate),
    ] {
        is_taken(&leaf, &trusting(&text));
    }
    // As `openssl x509 -addtrust` and `-addreject` write it: SEQUENCE { SEQUENCE OF OID, [0]
    // SEQUENCE OF OID }.
    let purpose = |last: u8| [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 3, last];
    let notes = |tag: u8, last: u8| [&[0x30, 12, tag, 10][..], &purpose(last)].concat();
    let with = |notes: Vec<u8>| {
        trusting(&labelled(
            "TRUSTED CERTIFICATE",
            &[&certificate[..], &notes].concat(),
        ))
    };
    is_taken(&leaf, &with(notes(0x30, 1)));
    is_taken(&leaf, &with(notes(0xa0, 2)));
    for notes in [notes(0x30, 2), notes(0xa0, 1)] {
        let text = with(notes).roots.check().unwrap_err().to_string();
        assert!(
            text.contains("not trusted for server authentication"),
            "{text}"
        );
    }
}

/// [TLS-03]
#[test]
fn a_damaged_entry_is_refused_with_its_place() {
    let folder = Folder::new("damaged");
    let good = String::from_utf8(Authority::new().pem().to_vec()).unwrap();
    let lines = good.lines().count();
    let begin = "-----BEGIN CERTIFICATE-----";
    for (damaged, why) in [
        (good.replacen('M', "*", 1), "it is not valid base64"),
        (
            good.replacen("-----END", "----END", 1),
            "its END line is missing",
        ),
        (
            good.replacen(begin, &begin[..24], 1),
            "its BEGIN line does not end in -----",
        ),
        (
            good.replacen(" CERTIFICATE", " X509 CRL", 1),
            "its END line does not match",
        ),
        (good.replace('\n', "\\n") + "\n", "the two characters \\n"),
    ] {
        let text = format!("{good}{damaged}{good}");
        let place = format!("entry 2 (line {}) is damaged: {why}", lines + 1);
        fs::write(folder.0.join("ca.pem"), &text).unwrap();
        for roots in [
            Roots::Memory(text.as_bytes().into()),
            Roots::File(folder.0.join("ca.pem")),
            Roots::Folder(folder.0.clone()),
        ] {
            let told = roots.check().unwrap_err().to_string();
            assert!(told.contains(&place), "wanted {place}: {told}");
        }
    }
}

/// [TLS-03] Nobody waits for the writer of a FIFO.
#[test]
fn only_regular_files_are_read() {
    let folder = Folder::new("odd-files");
    let fifo = folder.0.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let socket = folder.0.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let (tell, told) = mpsc::channel();
    let at = folder.0.clone();
    std::thread::spawn(move || {
        let check = |path| Roots::File(path).check().unwrap_err().to_string();
        let texts = [
            check(fifo),
            check("/dev/zero".into()),
            check(at.clone()),
            check(socket),
        ];
        // In a folder they are passed over.
        fs::write(at.join("ca.pem"), Authority::new().pem()).unwrap();
        tell.send((texts, Roots::Folder(at).check())).unwrap();
    });
    let (texts, folder) = told.recv_timeout(LONG).unwrap();
    for (text, what) in texts
        .iter()
        .zip(["a FIFO", "a device", "a directory", "cannot be read"])
    {
        assert!(text.contains(what), "{text}");
    }
    folder.unwrap();
}
