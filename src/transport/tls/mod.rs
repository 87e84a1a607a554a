//! Trust and identity of a TLS connection.

pub(super) mod der;
mod file;
mod identity;
mod names;
mod pem;
mod roots;
mod verify;
mod words;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use rustls::client::{Resumption, danger::ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;

pub use identity::Identity;
pub use roots::Roots;
use roots::Source;
use verify::Verifier;
pub(crate) use words::describe;

/// What the host wants. Plain data.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    pub roots: Roots,
    pub identity: Option<Identity>,
    /// Takes any certificate of any server. Meant for test benches only.
    pub skip_verify: bool,
    /// Trusted certificates of authorities vouch for servers after their last day, too.
    pub accepts_expired: bool,
}

/// [`TlsSettings`] with the environment already read: what is read again at each connection.
#[derive(Clone, Debug)]
pub struct Trust {
    sources: Vec<Source>,
    identity: Option<Identity>,
    skip_verify: bool,
    accepts_expired: bool,
    skipped: Vec<String>,
}

/// Why trust or identity can not be used; the text names file and fact, never a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(String);

/// The last configurations and what they were made of: a session can only be resumed under the same
/// one, and must not be under another, because resuming skips the verifier.
#[derive(Default)]
pub(crate) struct ConfigCache(Vec<(u64, Arc<ClientConfig>)>);

#[derive(Debug)]
struct Clock;

/// One with the client's certificate, and one without it for other servers.
const MOST_CONFIGS: usize = 2;

/// Room for the endpoint, a proxy and one server more, of which each is given eight; the default
/// keeps 256.
const MOST_SESSIONS: usize = 24;

impl TlsSettings {
    /// Whether the host set nothing at all; anything else is an error on `http://`.
    pub fn is_default(&self) -> bool {
        *self == TlsSettings::default()
    }

    /// On the caller's thread at start: the only place that reads the environment. Reads the trust
    /// files too (some milliseconds) and fails when no certificate comes out of them, saying what
    /// was tried.
    pub fn at_start(&self) -> Result<Trust, TlsError> {
        let mut trust = Trust {
            sources: self.roots.sources(),
            identity: self.identity.clone(),
            skip_verify: self.skip_verify,
            accepts_expired: self.accepts_expired,
            skipped: Vec::new(),
        };
        if !trust.skip_verify {
            trust.skipped = roots::read(&trust.sources)?.skipped;
        }
        if let Some(identity) = &trust.identity {
            identity.check()?;
        }
        Ok(trust)
    }
}

impl Roots {
    /// For the setter: refuses PEM text, a file or a folder without any usable certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        if *self == Roots::Default {
            return Ok(());
        }
        TlsSettings {
            roots: self.clone(),
            ..TlsSettings::default()
        }
        .at_start()
        .map(|_| ())
    }
}

impl Trust {
    pub fn is_skip_verify(&self) -> bool {
        self.skip_verify
    }

    /// What of the system's certificates could not be read at the start, in words.
    pub fn skipped(&self) -> Option<String> {
        let (first, more) = self.skipped.split_first()?;
        let more = match more.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!(
            "trusted certificates are incomplete: {first}{more}"
        ))
    }

    /// Reads everything again. The same configuration as before while its content is unchanged.
    /// `with_identity`: the peer is one that may see our certificate.
    pub(crate) fn config(
        &self,
        cache: &mut ConfigCache,
        with_identity: bool,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let identity = self.identity.as_ref().filter(|_| with_identity);
        let provider = ring::default_provider();
        let roots = if self.skip_verify {
            Vec::new()
        } else {
            roots::read(&self.sources)?.certificates
        };
        let pair = identity.map(Identity::contents).transpose()?;
        let mut hasher = DefaultHasher::new();
        (&roots, &pair).hash(&mut hasher);
        let fingerprint = hasher.finish();
        if let Some((_, config)) = cache.0.iter().find(|(old, _)| *old == fingerprint) {
            return Ok(config.clone());
        }
        let key = match (identity, &pair) {
            (Some(identity), Some(pair)) => Some(identity.parse(pair, &provider)?),
            _ => None,
        };
        let config = Arc::new(self.build(provider, roots, key)?);
        cache.0.truncate(MOST_CONFIGS - 1);
        cache.0.insert(0, (fingerprint, config.clone()));
        Ok(config)
    }

    fn build(
        &self,
        provider: CryptoProvider,
        roots: Vec<CertificateDer<'static>>,
        identity: Option<CertifiedKey>,
    ) -> Result<ClientConfig, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        let verifier: Arc<dyn ServerCertVerifier> = if self.skip_verify {
            Arc::new(verify::Skipped)
        } else {
            Arc::new(Verifier::new(roots, algorithms, self.accepts_expired))
        };
        let builder = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError("cannot set up TLS".to_owned()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            Some(key) => {
                let single = rustls::sign::SingleCertAndKey::from(key);
                builder.with_client_cert_resolver(Arc::new(single))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(MOST_SESSIONS);
        Ok(config)
    }
}

/// Theirs panics where the time lies before 1970, as after a start without a clock's battery. Then
/// no certificate is valid yet.
impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Some(UnixTime::since_unix_epoch(since.unwrap_or_default()))
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
