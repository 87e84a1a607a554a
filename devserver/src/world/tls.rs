//! The TLS side of a connection, with whatever certificate a test wants to see refused.
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring::default_provider};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{Error, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::vocabulary::text::hex;
use crate::world::authority::{self, Authority, Pair};

/// One acceptor for each certificate that a server may show.
pub(crate) struct Tls {
    acceptors: BTreeMap<&'static str, TlsAcceptor>,
    /// Where the files are, for the flags that an agent needs.
    pub(crate) files: Json,
}

impl Tls {
    /// Makes the certificates in `folder`. With `client_auth` agents must show one.
    pub(crate) fn new(folder: &Path, host: IpAddr, client_auth: bool) -> io::Result<Self> {
        let made = authority::make(folder, host)?;
        let provider = Arc::new(default_provider());
        let mut acceptors = BTreeMap::new();
        for pair in &made.servers {
            let config = config(&provider, &made, pair, client_auth).map_err(io::Error::other)?;
            acceptors.insert(pair.name, TlsAcceptor::from(Arc::new(config)));
        }
        let folder = folder.canonicalize()?;
        let path = |name: &str| folder.join(name).display().to_string();
        let files = json!({
            "ca": path("ca.pem"),
            "cert": path("client.pem"),
            "key": path("client.key"),
            "folder": folder.display().to_string(),
            "certificates": acceptors.keys().collect::<Vec<_>>(),
        });
        Ok(Self { acceptors, files })
    }

    /// Whether there is a server certificate of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.acceptors.contains_key(name)
    }

    /// The server's side of a handshake, and the facts of it.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &str,
    ) -> io::Result<(TlsStream<S>, Json)> {
        let acceptor = self.acceptors.get(name);
        let acceptor = acceptor.ok_or_else(|| io::Error::other("no such certificate"))?;
        let stream = acceptor.accept(stream).await?;
        let session = stream.get_ref().1;
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let facts = json!({
            "certificate": name,
            "version": session.protocol_version().map(|version| format!("{version:?}")),
            "cipher_suite": session.negotiated_cipher_suite().map(|s| format!("{:?}", s.suite())),
            "handshake": session.handshake_kind().map(|kind| format!("{kind:?}")),
            "server_name": session.server_name(),
            "client_certificate_sha256": shown.map(|der| hex(digest(&SHA256, der).as_ref())),
        });
        Ok((stream, facts))
    }
}

/// Whether the server ended this handshake, and not the agent.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    let cause = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    cause.is_some_and(|cause| !matches!(cause, Error::AlertReceived(_)))
}

fn config(
    provider: &Arc<CryptoProvider>,
    made: &Authority,
    pair: &Pair,
    client_auth: bool,
) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?;
    let builder = if client_auth {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.certificate.clone()))?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let verifier = verifier
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(pair.key.clone());
    let key = key.map_err(|error| Error::General(error.to_owned()))?;
    builder.with_single_cert(vec![CertificateDer::from(pair.certificate.clone())], key)
}
