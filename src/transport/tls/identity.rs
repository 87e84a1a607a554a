//! The client's own certificate and its key.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::TlsError;
use super::der::{Fields, PublicKey, element};
use super::file;
use super::names;
use super::pem::{self, Block, Kind};

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

impl Identity {
    /// For the setter: reads the pair, and refuses an encrypted key and a key of another
    /// certificate.
    pub fn check(&self) -> Result<(), TlsError> {
        self.parse(&self.contents()?, &ring::default_provider())
            .map(|_| ())
    }

    /// PEM of certificate and key.
    pub(super) fn contents(&self) -> Result<[Arc<[u8]>; 2], TlsError> {
        let [of_certificate, of_key] = self.names();
        let read = |path, of: &str| match file::read(path) {
            Ok(content) => Ok(Arc::from(content)),
            Err(why) => Err(TlsError(format!("{of} {why}"))),
        };
        match self {
            Identity::Files { certificate, key } => {
                Ok([read(certificate, &of_certificate)?, read(key, &of_key)?])
            }
            Identity::Memory { certificate, key } => Ok([certificate.clone(), key.clone()]),
        }
    }

    pub(super) fn parse(
        &self,
        [certificate, key]: &[Arc<[u8]>; 2],
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let [of_certificate, of_key] = self.names();
        let chain = chain(certificate, &of_certificate)?;
        let key = private_key(key, &of_key)?;
        let kind = names::private_key(&key);
        let Ok(key) = provider.key_provider.load_private_key(key) else {
            let why = match kind {
                (kind, true) => format!("{kind}, damaged"),
                (kind, false) => format!("{kind}; supported are {}", names::SUPPORTED_KEYS),
            };
            return Err(TlsError(format!("{of_key} cannot be used: {why}")));
        };
        // By the key alone: our own certificate may be of any version, and is the server's to
        // judge.
        let own = key.public_key();
        let own = own.as_ref().and_then(|info| element(info.as_ref()));
        let own = own.and_then(|(_, info, _)| PublicKey::of(info));
        let shown = chain.first().and_then(|first| Fields::of(first));
        match (own, shown) {
            (Some(own), Some(shown)) if own.bits == shown.key.bits => {
                Ok(CertifiedKey::new(chain, key))
            }
            _ => Err(TlsError(format!(
                "{of_key} does not match {of_certificate}"
            ))),
        }
    }

    fn names(&self) -> [String; 2] {
        match self {
            Identity::Files { certificate, key } => [
                format!("the client certificate in {}", certificate.display()),
                format!("the private key in {}", key.display()),
            ],
            Identity::Memory { .. } => ["the client certificate".into(), "the private key".into()],
        }
    }
}

fn chain(pem: &[u8], of: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blocks = whole_blocks(pem, of)?;
    let chain: Vec<CertificateDer<'static>> = blocks
        .into_iter()
        .filter(Block::is_certificate)
        .map(|block| block.certificate().to_vec().into())
        .collect();
    match chain.is_empty() {
        true => Err(TlsError(format!(
            "{of} contains no certificate: {}",
            pem::contents(pem)
        ))),
        false => Ok(chain),
    }
}

fn private_key(pem: &[u8], of: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    for block in whole_blocks(pem, of)? {
        match block.kind {
            Kind::EncryptedKey => {
                return Err(TlsError(format!(
                    "{of} is encrypted; a key without a passphrase is required"
                )));
            }
            Kind::Key => {
                let key = PrivateKeyDer::from_pem_slice(block.text);
                return key.map_err(|_| TlsError(format!("{of} is not a PEM private key")));
            }
            _ => {}
        }
    }
    Err(TlsError(format!(
        "{of} contains no private key: {}",
        pem::contents(pem)
    )))
}

/// All of the file, or where it is damaged.
fn whole_blocks<'a>(pem: &'a [u8], of: &str) -> Result<Vec<Block<'a>>, TlsError> {
    let blocks = pem::blocks(pem);
    match pem::first_damage(&blocks) {
        Some(where_and_what) => Err(TlsError(format!("{of} cannot be read: {where_and_what}"))),
        None => Ok(blocks),
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
