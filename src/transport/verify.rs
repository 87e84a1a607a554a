//! Whether a server is who it should be, and in plain words why not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, InvalidMessage, OtherError,
    SignatureScheme,
};

/// Adds to the usual verification that a self-signed certificate is called that.
#[derive(Debug)]
pub(crate) struct Full(pub(crate) Arc<dyn ServerCertVerifier>);

/// Takes every certificate, but still wants its key to have been used in the handshake.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) Arc<CryptoProvider>);

#[derive(Debug)]
struct SelfSigned;

impl ServerCertVerifier for Full {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            Err(Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if is_self_issued(end_entity) => {
                let reason = CertificateError::Other(OtherError(Arc::new(SelfSigned)));
                Err(Error::InvalidCertificate(reason))
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Skipped {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The fact behind a TLS error, in words for somebody who can change the set-up.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => certificate(reason),
        Error::AlertReceived(alert) => format!("the server refused: {}", alert_text(*alert)),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what the server sends is not TLS".to_owned()
        }
        Error::PeerIncompatible(reason) => {
            format!("the server offers nothing that fits: {reason:?}")
        }
        Error::NoCertificatesPresented => "the server showed no certificate".to_owned(),
        other => other.to_string(),
    }
}

fn certificate(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired on {}", date(*not_after))
        }
        CertificateError::NotValidYet => "the server's certificate is not yet valid".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the server's certificate is not yet valid: not before {}",
                date(*not_before)
            )
        }
        CertificateError::UnknownIssuer => {
            "the server's certificate has an unknown issuer: no trusted root vouches for it"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "the server's certificate has an unknown issuer: the trusted root of that name has \
             another key"
                .to_owned()
        }
        CertificateError::NotValidForName => {
            "the server's certificate is for another host".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the server's certificate is for another host: wanted {}, found {}",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::InvalidPurpose => {
            "the server's certificate has the wrong usage: not for server authentication".to_owned()
        }
        CertificateError::InvalidPurposeContext { presented, .. } => {
            let found = presented
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            format!(
                "the server's certificate has the wrong usage: wanted server authentication, \
                 found {}",
                found.join(", ")
            )
        }
        CertificateError::Other(OtherError(e)) if e.is::<SelfSigned>() => {
            "the server's certificate is self-signed".to_owned()
        }
        other => format!("the server's certificate is invalid: {other}"),
    }
}

/// rustls shows names as `DnsName("a.example")`; the name alone says enough.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name".to_owned();
    }
    let bare = presented.iter().take(4).map(|name| {
        name.split_once('(')
            .map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'))
    });
    let bare = bare
        .map(|name| name.trim_matches('"').to_owned())
        .collect::<Vec<_>>();
    match presented.len() - bare.len() {
        0 => bare.join(", "),
        more => format!("{} and {more} more", bare.join(", ")),
    }
}

fn alert_text(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it wants a client certificate".to_owned(),
        AlertDescription::UnknownCA => "it does not know who issued our certificate".to_owned(),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown => "it does not take our certificate".to_owned(),
        AlertDescription::CertificateExpired => "our certificate has expired".to_owned(),
        AlertDescription::CertificateRevoked => "our certificate is revoked".to_owned(),
        AlertDescription::HandshakeFailure => {
            "handshake failure (no common ground, or no client certificate)".to_owned()
        }
        AlertDescription::ProtocolVersion => "no common TLS version".to_owned(),
        AlertDescription::UnrecognisedName => "it does not know the host name".to_owned(),
        other => format!("alert {other:?}"),
    }
}

fn date(time: UnixTime) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed")
    }
}

impl std::error::Error for SelfSigned {}

/// Whether issuer and subject of a certificate are the same name.
fn is_self_issued(certificate: &[u8]) -> bool {
    let names = || {
        let (outer, _) = element(certificate)?;
        let (mut rest, _) = element(outer)?;
        if rest.first() == Some(&0xa0) {
            rest = element(rest)?.1; // version
        }
        let rest = element(rest)?.1; // serial number
        let rest = element(rest)?.1; // signature algorithm
        let (issuer, rest) = element(rest)?;
        let rest = element(rest)?.1; // validity
        let (subject, _) = element(rest)?;
        Some((issuer, subject))
    };
    names().is_some_and(|(issuer, subject)| issuer == subject)
}

/// Content of the first DER element, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.get(1..)?.split_first()?;
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
    rest.split_at_checked(length)
}
