//! Trust and identity of a TLS connection.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use rustls_native_certs::load_certs_from_paths;

use super::der::Fields;
use super::verify;

/// Where the certificates come from that may vouch for the server.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Roots {
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, else what the platform trusts.
    #[default]
    Default,
    /// One file of PEM certificates.
    File(PathBuf),
    /// All PEM files of a folder.
    Folder(PathBuf),
    /// PEM text.
    Memory(Arc<[u8]>),
}

/// The client's own certificate chain and key, both PEM. `key` may name the certificate's file.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    Memory {
        certificate: Arc<[u8]>,
        key: Arc<[u8]>,
    },
}

/// What the host wants. Plain data.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct TlsSettings {
    pub roots: Roots,
    pub identity: Option<Identity>,
    /// Takes any certificate of any server. Meant for test benches only.
    pub skip_verify: bool,
}

/// [`TlsSettings`] with the environment already read: what is read again at each connection.
#[derive(Clone, Debug)]
pub struct Trust {
    sources: Vec<Source>,
    identity: Option<Identity>,
    skip_verify: bool,
}

/// Why trust or identity can not be used; the text names file and fact, never a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(String);

/// The last configurations and what they were made of: a session can only be resumed under the same
/// one, and must not be under another, because resuming skips the verifier.
#[derive(Default)]
pub(crate) struct ConfigCache(Vec<(u64, Arc<ClientConfig>)>);

/// One with the client's certificate, and one without it for other servers.
const MOST_CONFIGS: usize = 2;

#[derive(Clone, Debug)]
enum Source {
    File { path: PathBuf, from: &'static str },
    Folder { path: PathBuf, from: &'static str },
    Memory(Arc<[u8]>),
}

const GIVEN: &str = "given";

/// Room for the endpoint, a proxy and one server more, of which each is given eight; the default keeps 256.
const MOST_SESSIONS: usize = 24;

/// Bundles in the places of the distributions; the first that exists is read.
const PLATFORM_FILES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",   // older RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // Alpine
    "/etc/pki/tls/cert.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];
const PLATFORM_FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

impl TlsSettings {
    /// Whether the host set nothing at all; anything else is an error on `http://`.
    pub fn is_default(&self) -> bool {
        *self == TlsSettings::default()
    }

    /// On the caller's thread at start: the only place that reads the environment. Reads the trust
    /// files too (some milliseconds) and fails when no certificate comes out of them, saying what
    /// was tried.
    pub fn at_start(&self) -> Result<Trust, TlsError> {
        let sources = match &self.roots {
            Roots::Default => default_sources(),
            Roots::File(path) => vec![Source::File {
                path: path.clone(),
                from: GIVEN,
            }],
            Roots::Folder(path) => vec![Source::Folder {
                path: path.clone(),
                from: GIVEN,
            }],
            Roots::Memory(pem) => vec![Source::Memory(pem.clone())],
        };
        let identity = self.identity.clone();
        let trust = Trust {
            sources,
            identity,
            skip_verify: self.skip_verify,
        };
        if !trust.skip_verify {
            trust.store(trust.roots()?)?;
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

impl Identity {
    /// For the setter: reads the pair, and refuses an encrypted key and a key of another
    /// certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        self.parse(&self.contents()?, &ring::default_provider())
            .map(|_| ())
    }

    /// PEM of certificate and key.
    fn contents(&self) -> Result<[Arc<[u8]>; 2], TlsError> {
        match self {
            Identity::Files { certificate, key } => Ok([read(certificate)?, read(key)?]),
            Identity::Memory { certificate, key } => Ok([certificate.clone(), key.clone()]),
        }
    }

    fn parse(
        &self,
        [certificate, key]: &[Arc<[u8]>; 2],
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let (of_certificate, of_key) = self.names();
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| TlsError(format!("{of_certificate} can not be read: {e}")))?;
        if chain.is_empty() {
            return Err(TlsError(format!("{of_certificate} holds no certificate")));
        }
        let key = private_key(key, &of_key)?;
        CertifiedKey::from_der(chain, key, provider).map_err(|e| match e {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError(format!("{of_key} does not belong to {of_certificate}"))
            }
            e => TlsError(format!("{of_certificate} can not be used: {e}")),
        })
    }

    fn names(&self) -> (String, String) {
        match self {
            Identity::Files { certificate, key } => (
                format!("the client certificate in {}", certificate.display()),
                format!("the key in {}", key.display()),
            ),
            Identity::Memory { .. } => ("the client certificate".into(), "its key".into()),
        }
    }
}

impl Trust {
    pub fn is_skip_verify(&self) -> bool {
        self.skip_verify
    }

    /// Reads everything again. The same configuration as before while its content is unchanged. `with_identity`:
    /// the peer is one that may see our certificate.
    pub(crate) fn config(
        &self,
        cache: &mut ConfigCache,
        with_identity: bool,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let identity = self.identity.as_ref().filter(|_| with_identity);
        let provider = Arc::new(ring::default_provider());
        let roots = if self.skip_verify {
            Vec::new()
        } else {
            self.roots()?
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
        provider: Arc<CryptoProvider>,
        roots: Vec<CertificateDer<'static>>,
        identity: Option<CertifiedKey>,
    ) -> Result<ClientConfig, TlsError> {
        let unusable = |e: &dyn fmt::Display| TlsError(format!("TLS can not be set up: {e}"));
        let verifier: Arc<dyn ServerCertVerifier> = if self.skip_verify {
            Arc::new(verify::Skipped(provider.clone()))
        } else {
            let own = roots
                .iter()
                .filter(|root| self.is_pinned(root))
                .cloned()
                .collect();
            let store = self.store(roots)?;
            let usual = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone())
                .build()
                .map_err(|e| unusable(&e))?;
            Arc::new(verify::Full { usual, own })
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(&e))?
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

    fn store(&self, roots: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        if store.is_empty() {
            return Err(self.nothing_trusted(&[]));
        }
        Ok(store)
    }

    /// Whether the host itself gave this self-signed certificate, and not the platform.
    fn is_pinned(&self, root: &CertificateDer<'_>) -> bool {
        let is_given = self.sources.iter().all(|source| match source {
            Source::File { from, .. } | Source::Folder { from, .. } => *from == GIVEN,
            Source::Memory(_) => true,
        });
        is_given && Fields::of(root).is_some_and(|fields| fields.is_self_issued())
    }

    /// All certificates of all sources; never none.
    fn roots(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for source in &self.sources {
            let result = match source {
                Source::File { path, .. } => load_certs_from_paths(Some(path), None),
                Source::Folder { path, .. } => load_certs_from_paths(None, Some(path)),
                Source::Memory(pem) => {
                    let all = CertificateDer::pem_slice_iter(pem);
                    found.extend(all.filter_map(Result::ok));
                    continue;
                }
            };
            found.extend(result.certs);
            errors.extend(result.errors.iter().map(ToString::to_string));
        }
        if found.is_empty() {
            Err(self.nothing_trusted(&errors))
        } else {
            Ok(found)
        }
    }

    fn nothing_trusted(&self, errors: &[String]) -> TlsError {
        let tried = self
            .sources
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let tried = if tried.is_empty() {
            let places = PLATFORM_FILES.iter().chain(&PLATFORM_FOLDERS).copied();
            format!(
                "SSL_CERT_FILE, SSL_CERT_DIR, {}",
                places.collect::<Vec<_>>().join(", ")
            )
        } else {
            tried.join(", ")
        };
        let why = errors
            .first()
            .map(|e| format!(" ({e})"))
            .unwrap_or_default();
        TlsError(format!(
            "no certificate to trust was found; tried {tried}{why}"
        ))
    }
}

/// Reads the environment. Paths only: what they hold is read by [`Trust::roots`].
fn default_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    if let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|v| !v.is_empty()) {
        sources.push(Source::File {
            path: path.into(),
            from: "SSL_CERT_FILE",
        });
    }
    if let Some(paths) = std::env::var_os("SSL_CERT_DIR") {
        for path in std::env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()) {
            sources.push(Source::Folder {
                path,
                from: "SSL_CERT_DIR",
            });
        }
    }
    if sources.is_empty() {
        let file = PLATFORM_FILES.iter().map(Path::new).find(|p| p.is_file());
        let folder = PLATFORM_FOLDERS.iter().map(Path::new).find(|p| p.is_dir());
        match (file, folder) {
            (Some(path), _) => sources.push(Source::File {
                path: path.into(),
                from: "the platform",
            }),
            (None, Some(path)) => sources.push(Source::Folder {
                path: path.into(),
                from: "the platform",
            }),
            (None, None) => {}
        }
    }
    sources
}

fn read(path: &Path) -> Result<Arc<[u8]>, TlsError> {
    std::fs::read(path)
        .map(Arc::from)
        .map_err(|e| TlsError(format!("{} can not be read: {e}", path.display())))
}

fn private_key(pem: &[u8], of_key: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    if is_encrypted(pem) {
        return Err(TlsError(format!(
            "{of_key} is encrypted; give one without a passphrase"
        )));
    }
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| TlsError(format!("{of_key} is not a PEM private key")))
}

fn is_encrypted(pem: &[u8]) -> bool {
    let has = |needle: &[u8]| pem.windows(needle.len()).any(|window| window == needle);
    has(b"ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Files { certificate, key } => f
                .debug_struct("Files")
                .field("certificate", certificate)
                .field("key", key)
                .finish(),
            Identity::Memory { .. } => f.write_str("Memory"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { path, from } => write!(f, "the file {} ({from})", path.display()),
            Source::Folder { path, from } => write!(f, "the folder {} ({from})", path.display()),
            Source::Memory(_) => f.write_str("the text given"),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
