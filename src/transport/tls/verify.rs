//! Whether a server is who it should be.

use std::cell::Cell;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::der::Fields;
use super::names;
use super::words::{self, Shown, told};

/// Believes what the trusted certificates say of a server, as OpenSSL would: those of authorities
/// vouch for others, within their dates; every other one is a pin, which stands for itself alone.
/// So does a self-signed one of an authority that a server shows as its own, the common set-up of
/// a first trial.
#[derive(Debug)]
pub(crate) struct Verifier {
    authorities: Vec<Authority>,
    /// Of the authorities, in their order.
    anchors: Vec<TrustAnchor<'static>>,
    pins: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
    accepts_expired: bool,
}

#[derive(Debug)]
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    first: u64,
    pub(super) last: u64,
    path_length: Option<u64>,
}

/// Takes every certificate. Who sits on the way could make one for each key, so that neither its
/// form nor its key matter.
#[derive(Debug)]
pub(crate) struct Skipped;

impl Verifier {
    pub(crate) fn new(
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
        accepts_expired: bool,
    ) -> Verifier {
        let mut verifier = Verifier {
            authorities: Vec::new(),
            anchors: Vec::new(),
            pins: Vec::new(),
            algorithms,
            accepts_expired,
        };
        for certificate in trusted {
            match Authority::of(&certificate) {
                Some((authority, anchor)) => {
                    verifier.authorities.push(authority);
                    verifier.anchors.push(anchor);
                }
                None => verifier.pins.push(certificate),
            }
        }
        verifier
    }

    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let Some(shown) = Shown::of(certificate, others) else {
            return Err(CertificateError::BadEncoding.into());
        };
        let refused = |e| self.refusal(e, &shown, now);
        let parsed = EndEntityCert::try_from(certificate).map_err(refused)?;
        if self.is_trusted_itself(certificate, &shown.end) {
            check_own(&shown, now)?;
        } else {
            self.check_chain(&parsed, others, now, &shown)?;
        }
        parsed
            .verify_is_valid_for_subject_name(name)
            .map_err(refused)?;
        match names::rsa_bits(&shown.end.key) {
            Some(bits) if !names::RSA_BITS.contains(&bits) => {
                Err(told(words::weak("server certificate", bits)))
            }
            _ => Ok(()),
        }
    }

    fn is_trusted_itself(&self, certificate: &CertificateDer<'_>, fields: &Fields<'_>) -> bool {
        let is_authority = || {
            self.authorities
                .iter()
                .any(|it| it.certificate == *certificate)
        };
        self.pins.contains(certificate) || fields.is_self_issued() && is_authority()
    }

    fn check_chain(
        &self,
        parsed: &EndEntityCert<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
        shown: &Shown<'_>,
    ) -> Result<(), Error> {
        // Of a path that is right but for the dates of its root.
        let untimely = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            let mut anchors = self.anchors.iter();
            let at = anchors.position(|anchor| std::ptr::eq(anchor, path.anchor()));
            let Some(authority) = at.and_then(|at| self.authorities.get(at)) else {
                return Err(webpki::Error::UnknownIssuer);
            };
            if !self.is_in_time(authority, now) {
                untimely.set(at);
                return Err(webpki::Error::UnknownIssuer);
            }
            // The verifier itself does not look at their key usage.
            let is_authority = |it: &webpki::Cert<'_>| {
                Fields::of(&it.der()).is_some_and(|fields| fields.is_authority())
            };
            if !path.intermediate_certificates().all(is_authority) {
                return Err(webpki::Error::EndEntityUsedAsCa);
            }
            let between = path.intermediate_certificates();
            let between = between.filter(|it| it.issuer() != it.subject()).count();
            match authority.path_length {
                Some(most) if between as u64 > most => {
                    Err(webpki::Error::PathLenConstraintViolated)
                }
                _ => Ok(()),
            }
        };
        let verdict = parsed.verify_for_usage(
            self.algorithms.all,
            &self.anchors,
            others,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&judge),
        );
        let Err(error) = verdict else {
            return Ok(());
        };
        match untimely.get().and_then(|at| self.authorities.get(at)) {
            Some(authority) => Err(told(authority.untimely(now))),
            None => Err(self.refusal(error, shown, now)),
        }
    }

    fn is_in_time(&self, authority: &Authority, now: UnixTime) -> bool {
        authority.first <= now.as_secs()
            && (self.accepts_expired || now.as_secs() <= authority.last)
    }

    fn refusal(&self, error: webpki::Error, shown: &Shown<'_>, now: UnixTime) -> Error {
        let of_issuer = |subject: &[u8]| shown.issuers().any(|issuer| issuer == subject);
        match error {
            webpki::Error::UnknownIssuer | webpki::Error::CaUsedAsEndEntity
                if shown.end.is_self_issued() =>
            {
                told("server certificate is self-signed".to_owned())
            }
            webpki::Error::UnknownIssuer => {
                let pins = self.pins.iter().filter_map(|pin| Fields::of(pin));
                let mut pins = pins.filter(|pin| of_issuer(pin.subject));
                if let Some(pin) = pins.next() {
                    return told(words::no_authority(&pin));
                }
                let are_over = self.authorities.iter().all(|it| !self.is_in_time(it, now));
                let latest = self.authorities.iter().map(|it| it.last).max();
                match latest.filter(|_| are_over) {
                    Some(latest) => told(words::all_over(self.authorities.len(), latest)),
                    None => CertificateError::UnknownIssuer.into(),
                }
            }
            webpki::Error::InvalidSignatureForPublicKey => {
                let trusted = self.authorities.iter();
                let trusted = trusted.filter_map(|it| Fields::of(&it.certificate));
                let mut trusted = trusted.filter(|it| of_issuer(it.subject));
                told(words::bad_signature(shown, trusted.next()))
            }
            other => words::refusal(other, shown),
        }
    }
}

impl Authority {
    fn of(certificate: &CertificateDer<'static>) -> Option<(Authority, TrustAnchor<'static>)> {
        let fields = Fields::of(certificate)?;
        if !(fields.is_authority() && fields.is_for_servers()) {
            return None;
        }
        let anchor = webpki::anchor_from_trusted_cert(certificate)
            .ok()?
            .to_owned();
        let (first, last) = fields.validity()?;
        let path_length = fields.path_length();
        let certificate = certificate.clone();
        Some((
            Authority {
                certificate,
                first,
                last,
                path_length,
            },
            anchor,
        ))
    }

    fn untimely(&self, now: UnixTime) -> String {
        match now.as_secs() < self.first {
            true => format!(
                "the trusted CA certificate of its issuer is not valid before {}{}",
                words::date(self.first),
                words::clock(now)
            ),
            false => format!(
                "the trusted CA certificate of its issuer expired on {}",
                words::date(self.last)
            ),
        }
    }
}

/// Dates and usage of a certificate that is itself trusted.
fn check_own(shown: &Shown<'_>, now: UnixTime) -> Result<(), Error> {
    let Some((first, last)) = shown.end.validity() else {
        return Err(CertificateError::BadEncoding.into());
    };
    let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    if now.as_secs() < first {
        let not_before = at(first);
        return Err(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        }
        .into());
    }
    if now.as_secs() > last {
        let not_after = at(last);
        return Err(CertificateError::ExpiredContext {
            time: now,
            not_after,
        }
        .into());
    }
    match shown.end.is_for_servers() {
        true => Ok(()),
        false => Err(told(words::wrong_usage(shown))),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, server_name, now)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
            .map_err(|e| words::handshake_signature(e, cert))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
            .map_err(|e| words::handshake_signature(e, cert))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
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
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as S;
        vec![
            S::ECDSA_NISTP256_SHA256,
            S::ECDSA_NISTP384_SHA384,
            S::ECDSA_NISTP521_SHA512,
            S::ED25519,
            S::ED448,
            S::RSA_PSS_SHA256,
            S::RSA_PSS_SHA384,
            S::RSA_PSS_SHA512,
            // Keys that are restricted to RSASSA-PSS.
            S::Unknown(0x0809),
            S::Unknown(0x080a),
            S::Unknown(0x080b),
            S::RSA_PKCS1_SHA256,
            S::RSA_PKCS1_SHA384,
            S::RSA_PKCS1_SHA512,
            S::ECDSA_SHA1_Legacy,
            S::RSA_PKCS1_SHA1,
        ]
    }
}
