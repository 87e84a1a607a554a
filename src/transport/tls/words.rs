//! The facts behind TLS errors, in words for somebody who can change the set-up. What a peer's
//! bytes are shown as is bounded, and no parser's own text is.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};
use webpki::Error as Fault;

use super::super::quote::{MOST_SHOWN, shown};
use super::der::{Fields, PublicKey};
use super::names;

/// What a server showed, with what is sent along.
pub(super) struct Shown<'a> {
    pub(super) end: Fields<'a>,
    others: Vec<Fields<'a>>,
}

/// An error whose text is ours already.
#[derive(Debug)]
struct Told(String);

pub(super) fn told(text: String) -> Error {
    CertificateError::Other(OtherError(Arc::new(Told(text)))).into()
}

impl<'a> Shown<'a> {
    pub(super) fn of(
        certificate: &'a CertificateDer<'_>,
        others: &'a [CertificateDer<'_>],
    ) -> Option<Shown<'a>> {
        let end = Fields::of(certificate)?;
        let others = others.iter().filter_map(|it| Fields::of(it)).collect();
        Some(Shown { end, others })
    }

    pub(super) fn issuers(&self) -> impl Iterator<Item = &'a [u8]> {
        self.all().map(|(_, fields)| fields.issuer)
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, Fields<'a>)> {
        let others = self.others.iter().map(|&fields| (SENT_CA, fields));
        std::iter::once((SERVER, self.end)).chain(others)
    }

    /// Which of the certificates it is.
    fn name_of(&self, is_it: impl Fn(&Fields<'_>) -> bool) -> &'static str {
        let found = self.all().find(|(_, fields)| is_it(fields));
        found.map_or(SENT_CA, |(name, _)| name)
    }
}

const SERVER: &str = "server certificate";
const SENT_CA: &str = "a CA certificate sent by the server";

/// A certificate that the verifier refused.
pub(super) fn refusal(fault: Fault, shown: &Shown<'_>) -> Error {
    let text = match fault {
        Fault::CertExpired { time, not_after } => {
            let is_it = |it: &Fields<'_>| it.validity().is_some_and(|v| v.1 == not_after.as_secs());
            match shown.name_of(is_it) {
                SERVER => return CertificateError::ExpiredContext { time, not_after }.into(),
                name => format!("{name} expired on {}", date(not_after.as_secs())),
            }
        }
        Fault::CertNotValidYet { time, not_before } => {
            let is_it =
                |it: &Fields<'_>| it.validity().is_some_and(|v| v.0 == not_before.as_secs());
            match shown.name_of(is_it) {
                SERVER => return CertificateError::NotValidYetContext { time, not_before }.into(),
                name => {
                    let first = date(not_before.as_secs());
                    format!("{name} is not valid before {first}{}", clock(time))
                }
            }
        }
        Fault::CertNotValidForName(context) => {
            return CertificateError::NotValidForNameContext {
                expected: context.expected,
                presented: context.presented,
            }
            .into();
        }
        Fault::RequiredEkuNotFoundContext(_) | Fault::EmptyEkuExtension => wrong_usage(shown),
        Fault::UnsupportedSignatureAlgorithmContext(context) => {
            let id = &*context.signature_algorithm_id;
            let name = shown.name_of(|it| it.signature == id);
            let algorithm = names::algorithm(id);
            format!("{name} is signed with {algorithm}, which is not supported")
        }
        Fault::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
            let id = &*context.signature_algorithm_id;
            let name = shown.name_of(|it| it.signature == id);
            let key = context.public_key_algorithm_id;
            let key = names::public_key(&PublicKey {
                algorithm: &key,
                bits: &[],
            });
            let algorithm = names::algorithm(id);
            format!("{name} is signed with {algorithm} by {key}, which is not supported")
        }
        Fault::UnsupportedCriticalExtension => unsupported_extension(shown),
        Fault::UnsupportedCertVersion => {
            let name = shown.name_of(|it| it.version != 3);
            let version = shown.all().map(|(_, it)| it.version).find(|it| *it != 3);
            let version = version.unwrap_or(1);
            format!("{name} has X.509 version {version}, must be 3")
        }
        fault => plain(&fault).to_owned(),
    };
    told(text)
}

fn plain(fault: &Fault) -> &'static str {
    match fault {
        Fault::CaUsedAsEndEntity => {
            "server certificate is a CA certificate; it must be trusted itself, or be none"
        }
        Fault::EndEntityUsedAsCa => {
            "server certificate was issued by a certificate that is not a CA certificate"
        }
        Fault::NameConstraintViolation
        | Fault::MalformedNameConstraint
        | Fault::InvalidNetworkMaskConstraint => {
            "server certificate violates the name constraints of its CA"
        }
        Fault::PathLenConstraintViolated => {
            "server certificate has more CA certificates above it than one of them allows"
        }
        Fault::SignatureAlgorithmMismatch => {
            "server certificate names two different signature algorithms"
        }
        Fault::InvalidCertValidity => "server certificate ends to be valid before it begins to",
        Fault::CertDistrusted => "server certificate has a key that is known to be compromised",
        Fault::MaximumPathDepthExceeded
        | Fault::MaximumPathBuildCallsExceeded
        | Fault::MaximumSignatureChecksExceeded
        | Fault::MaximumNameConstraintComparisonsExceeded => {
            "server certificate has too many CA certificates to be verified"
        }
        Fault::MalformedDnsIdentifier => "server certificate contains an invalid name",
        _ => "server certificate is malformed",
    }
}

pub(super) fn wrong_usage(shown: &Shown<'_>) -> String {
    let (name, fields) = match shown.all().find(|(_, it)| !it.is_for_servers()) {
        Some(found) => found,
        None => (SERVER, shown.end),
    };
    let found = fields.purposes();
    let found: Vec<String> = found.iter().take(8).map(|it| names::oid(it)).collect();
    let found = match found.is_empty() {
        true => "none".to_owned(),
        false => cut(&found.join(", ")),
    };
    format!("{name} has the wrong usage: expected server authentication, found {found}")
}

fn unsupported_extension(shown: &Shown<'_>) -> String {
    /// Those that the verifier knows: 2.5.29 and one of these.
    const KNOWN: [u8; 6] = [15, 17, 19, 30, 31, 37];
    let is_known = |oid: &[u8]| matches!(oid, [0x55, 0x1d, last] if KNOWN.contains(last));
    let found = shown.all().find_map(|(name, fields)| {
        let mut all = fields.extensions();
        let unknown = all.find(|it| it.is_critical && !is_known(it.oid))?;
        Some((name, unknown.oid))
    });
    match found {
        Some((name, oid)) => {
            let oid = names::oid(oid);
            format!("{name} has the critical extension {oid}, which is not supported")
        }
        None => format!("{SERVER} has a critical extension that is not supported"),
    }
}

/// A signature that does not fit: a key that cannot be used is told as the same, and is the
/// likelier cause.
pub(super) fn bad_signature(shown: &Shown<'_>, trusted: Option<Fields<'_>>) -> String {
    let is_weak = |key| names::rsa_bits(key).filter(|bits| !names::RSA_BITS.contains(bits));
    if let Some(bits) = trusted.as_ref().and_then(|it| is_weak(&it.key)) {
        return weak("the trusted CA certificate of its issuer", bits);
    }
    if let Some(bits) = shown.others.iter().find_map(|it| is_weak(&it.key)) {
        return weak(SENT_CA, bits);
    }
    match trusted {
        Some(_) => format!(
            "{SERVER} has an unknown issuer: the trusted CA certificate of that name has a \
             different key"
        ),
        None => format!("{SERVER} has a signature that is not its issuer's"),
    }
}

pub(super) fn weak(whose: &str, bits: usize) -> String {
    let (least, most) = names::RSA_BITS.into_inner();
    format!("{whose} has an RSA key of {bits} bits, must be {least} to {most}")
}

pub(super) fn no_authority(pin: &Fields<'_>) -> String {
    let why = match pin.is_authority() {
        true => "is not for server authentication",
        false => "is not a CA certificate",
    };
    format!(
        "{SERVER} has an unknown issuer: the trusted certificate of that name {why}, and trusted \
         only as a server's own"
    )
}

pub(super) fn all_over(count: usize, latest: u64) -> String {
    let latest = date(latest);
    format!(
        "{SERVER} has an unknown issuer: none of {count} trusted CA certificates is valid now, the \
         last one until {latest}"
    )
}

/// After a date that lies ahead: often it is the clock that is wrong.
pub(super) fn clock(now: UnixTime) -> String {
    format!("; the clock says {}", date(now.as_secs()))
}

pub(super) fn date(seconds: u64) -> String {
    // The last second that can be written.
    let seconds = seconds.min(253_402_300_799);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The handshake's signature, which is made with the certificate's key.
pub(super) fn handshake_signature(error: Error, certificate: &CertificateDer<'_>) -> Error {
    let key = Fields::of(certificate).map(|fields| names::public_key(&fields.key));
    let key = key.unwrap_or_default();
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            told("server does not have the key of its certificate".to_owned())
        }
        Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => told(format!(
            "server certificate has {key}, which is not supported"
        )),
        error => error,
    }
}

pub(crate) fn describe(error: &Error) -> String {
    let text = match error {
        Error::InvalidCertificate(reason) => return certificate(reason),
        Error::AlertReceived(alert) => {
            return format!("rejected by the server: {}", alert_text(*alert));
        }
        Error::PeerIncompatible(reason) => {
            return format!(
                "no TLS parameters in common with the server: {}",
                missing(reason)
            );
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "server did not respond with TLS"
        }
        Error::NoCertificatesPresented => "server sent no certificate",
        Error::InvalidMessage(_) => "server sent a malformed TLS message",
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "server sent a TLS message out of order"
        }
        Error::PeerMisbehaved(_) => "server violated the TLS protocol",
        Error::DecryptError => "server sent a TLS record that cannot be decrypted",
        Error::PeerSentOversizedRecord => "server sent an oversized TLS record",
        Error::FailedToGetRandomBytes => "the system gives no random bytes",
        Error::FailedToGetCurrentTime => "the system gives no time",
        _ => "TLS failed",
    };
    text.to_owned()
}

fn certificate(reason: &CertificateError) -> String {
    let text = match reason {
        CertificateError::ExpiredContext { not_after, .. } => {
            return format!("{SERVER} expired on {}", date(not_after.as_secs()));
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let first = date(not_before.as_secs());
            return format!("{SERVER} is not valid before {first}{}", clock(*time));
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => return wrong_name(expected, presented),
        CertificateError::Other(OtherError(e)) => match e.downcast_ref::<Told>() {
            Some(Told(text)) => return text.clone(),
            None => "cannot be verified",
        },
        CertificateError::UnknownIssuer => {
            "has an unknown issuer: not signed by a trusted CA certificate"
        }
        CertificateError::BadEncoding => "is malformed",
        _ => "is invalid",
    };
    format!("{SERVER} {text}")
}

fn wrong_name(expected: &ServerName<'_>, presented: &[String]) -> String {
    let expected = expected.to_str();
    let text = format!("{SERVER} is for another host: expected {expected}, found ");
    if presented.is_empty() {
        return text + "no subject alternative names";
    }
    // Told as `DnsName("a.example")`; the name alone says enough.
    let bare = |name: &String| {
        let bare = name
            .split_once('(')
            .map_or(&**name, |(_, rest)| rest.trim_end_matches(')'));
        bare.trim_matches('"').to_owned()
    };
    let names: Vec<String> = presented.iter().take(4).map(bare).collect();
    let text = text + &cut(&names.join(", "));
    match presented.len() - names.len() {
        _ if presented
            .iter()
            .any(|name| name.starts_with("DnsName") && bare(name) == expected) =>
        {
            text + ", which stands there as a DNS name and must be an IP address"
        }
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

fn missing(reason: &PeerIncompatible) -> &'static str {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "it supports neither TLS 1.2 nor TLS 1.3"
        }
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite",
        PeerIncompatible::NoKxGroupsInCommon => "no key exchange group",
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "no signature scheme for the client certificate"
        }
        _ => "it requires or lacks a feature of TLS",
    }
}

fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::CertificateRequired => "client certificate required",
        AlertDescription::UnknownCA => "client certificate has an unknown issuer",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => "client certificate not accepted",
        AlertDescription::CertificateExpired => "client certificate has expired",
        AlertDescription::CertificateRevoked => "client certificate has been revoked",
        AlertDescription::HandshakeFailure => {
            "handshake failure (no parameters in common, or no client certificate)"
        }
        AlertDescription::ProtocolVersion => "no TLS version in common",
        AlertDescription::UnrecognisedName => "server name not recognised",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::InternalError => "internal error",
        AlertDescription::DecodeError => "it could not decode a message",
        AlertDescription::DecryptError => "it could not verify a signature",
        AlertDescription::IllegalParameter => "illegal parameter",
        AlertDescription::InsufficientSecurity => "parameters too weak",
        AlertDescription::NoApplicationProtocol => "no application protocol in common",
        other => return format!("TLS alert {}", u8::from(other)),
    };
    text.to_owned()
}

fn cut(text: &str) -> String {
    shown(text, MOST_SHOWN)
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Told {}
