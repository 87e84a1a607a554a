//! Whether a server is who it should be, and in plain words why not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, InvalidMessage, OtherError,
    SignatureScheme,
};

use super::der::Fields;
use super::quote::{MOST_SHOWN, shown};

/// Adds to the usual verification that a self-signed certificate is called that, and is taken when
/// it is one of those that the host trusts: the common set-up of a first trial, where the verifier
/// would refuse it for being an authority's.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) usual: Arc<WebPkiServerVerifier>,
    /// Given by the host and self-signed.
    pub(crate) own: Vec<CertificateDer<'static>>,
}

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
        let verdict = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let Err(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::Other(_),
        )) = verdict
        else {
            return verdict;
        };
        match Fields::of(end_entity).filter(Fields::is_self_issued) {
            Some(fields) if self.own.iter().any(|own| own == end_entity) => {
                check_dates(&fields, now)?;
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            Some(_) => {
                let reason = CertificateError::Other(OtherError(Arc::new(SelfSigned)));
                Err(Error::InvalidCertificate(reason))
            }
            None => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
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

fn check_dates(fields: &Fields<'_>, time: UnixTime) -> Result<(), Error> {
    let Some((first, last)) = fields.validity() else {
        return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
    };
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let reason = if time.as_secs() < first {
        CertificateError::NotValidYetContext {
            time,
            not_before: at(first),
        }
    } else if time.as_secs() > last {
        CertificateError::ExpiredContext {
            time,
            not_after: at(last),
        }
    } else {
        return Ok(());
    };
    Err(Error::InvalidCertificate(reason))
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
                shown(&found.join(", "), MOST_SHOWN)
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
    let told = shown(&bare.join(", "), MOST_SHOWN);
    match presented.len() - bare.len() {
        0 => told,
        more => format!("{told} and {more} more"),
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
