//! Where trusted certificates are read from.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use crate::order::sorted;

use super::super::variables::variable;
use super::TlsError;
use super::file;
use super::pem;

/// Where the certificates come from that may vouch for the server.
#[derive(Clone, Default, PartialEq, Eq)]
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

#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf, From),
    Folder(PathBuf, From),
    Memory(Arc<[u8]>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum From {
    Application,
    Variable(&'static str),
    System,
}

/// What came out of all sources.
#[derive(Default)]
pub(super) struct Found {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// Entries and files that were passed over, in words.
    pub(super) skipped: Vec<String>,
}

/// Bundles in the places of the distributions; the first that exists is read.
const SYSTEM_FILES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",   // older RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/ssl/cert.pem",                  // Alpine
    "/etc/pki/tls/cert.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

impl Roots {
    /// Reads the environment where the host named nothing. Paths only: what they hold is read
    /// later.
    pub(super) fn sources(&self) -> Vec<Source> {
        match self {
            Roots::Default => default_sources(),
            Roots::File(path) => vec![Source::File(path.clone(), From::Application)],
            Roots::Folder(path) => vec![Source::Folder(path.clone(), From::Application)],
            Roots::Memory(pem) => vec![Source::Memory(pem.clone())],
        }
    }
}

/// All certificates of all sources, each once; never none.
pub(super) fn read(sources: &[Source]) -> Result<Found, TlsError> {
    let mut found = Found::default();
    let mut tried = Vec::new();
    for source in sources {
        let before = found.certificates.len();
        let why = source.read_into(&mut found)?;
        if found.certificates.len() == before {
            tried.push(format!("{source}: {why}"));
        }
    }
    if found.certificates.is_empty() {
        if tried.is_empty() {
            let places = SYSTEM_FILES.iter().chain(&SYSTEM_FOLDERS).copied();
            let places = places.collect::<Vec<_>>().join(", ");
            tried.push(format!("SSL_CERT_FILE, SSL_CERT_DIR, {places}"));
        }
        let tried = tried.join("; ");
        return Err(TlsError(format!(
            "no trusted certificates found; tried {tried}"
        )));
    }
    found.certificates = sorted(found.certificates, |one, other| one.cmp(other));
    found.certificates.dedup();
    Ok(found)
}

impl Source {
    /// Says in words what is there, for the case that it is no certificate.
    fn read_into(&self, found: &mut Found) -> Result<String, TlsError> {
        match self {
            Source::Memory(pem) => self.take(pem, found, &self.to_string()),
            Source::File(path, _) => match file::read(path) {
                Ok(pem) => self.take(&pem, found, &self.to_string()),
                Err(why) => Ok(why),
            },
            Source::Folder(path, _) => self.read_folder(path, found),
        }
    }

    fn read_folder(&self, path: &Path, found: &mut Found) -> Result<String, TlsError> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())),
            Err(e) => return Ok(format!("cannot be read: {e}")),
        };
        let entries = sorted(entries.collect::<Vec<PathBuf>>(), PathBuf::cmp);
        // `openssl rehash` makes links: the same file under several names.
        let mut seen = Vec::new();
        for path in entries {
            // A folder holds other things, too, and links that lead nowhere.
            let file = match fs::metadata(&path) {
                Ok(is) if is.is_file() => (is.dev(), is.ino()),
                _ => continue,
            };
            if seen.contains(&file) {
                continue;
            }
            seen.push(file);
            let name = format!("the file {}", path.display());
            match file::read(&path) {
                Ok(pem) => {
                    self.take(&pem, found, &name)?;
                }
                Err(why) => self.pass_over(found, format!("{name} {why}"))?,
            }
        }
        Ok("it contains no file with a certificate".to_owned())
    }

    fn take(&self, pem: &[u8], found: &mut Found, name: &str) -> Result<String, TlsError> {
        let mut blocks = pem::blocks(pem);
        for block in &mut blocks {
            block.check_authority();
        }
        if let Some(damage) = pem::first_damage(&blocks) {
            self.pass_over(found, format!("{name}: {damage}"))?;
        }
        let whole = blocks.iter().filter(|block| block.damage.is_none());
        let mut why = pem::contents(pem);
        for block in whole.filter(|block| block.is_certificate()) {
            match block.is_trusted_for_servers() {
                true => found.certificates.push(block.certificate().to_vec().into()),
                false => why = "its certificates are not trusted for server authentication",
            }
        }
        Ok(why.to_owned())
    }

    /// What somebody named is not shortened in silence; the system's own is used as far as it goes.
    fn pass_over(&self, found: &mut Found, why: String) -> Result<(), TlsError> {
        let is_refused = match self {
            Source::Memory(_) => true,
            Source::File(_, from) => *from != From::System,
            Source::Folder(_, from) => *from == From::Application,
        };
        if is_refused {
            return Err(TlsError(why));
        }
        found.skipped.push(why);
        Ok(())
    }
}

fn default_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    if let Some(path) = variable("SSL_CERT_FILE").filter(|v| !v.is_empty()) {
        sources.push(Source::File(path.into(), From::Variable("SSL_CERT_FILE")));
    }
    if let Some(paths) = variable("SSL_CERT_DIR") {
        for path in std::env::split_paths(&paths).filter(|p| !p.as_os_str().is_empty()) {
            sources.push(Source::Folder(path, From::Variable("SSL_CERT_DIR")));
        }
    }
    if sources.is_empty() {
        let file = SYSTEM_FILES.iter().map(Path::new).find(|p| p.is_file());
        let folder = SYSTEM_FOLDERS.iter().map(Path::new).find(|p| p.is_dir());
        sources.extend(match (file, folder) {
            (Some(path), _) => Some(Source::File(path.into(), From::System)),
            (None, Some(path)) => Some(Source::Folder(path.into(), From::System)),
            (None, None) => None,
        });
    }
    sources
}

/// Without the PEM text: a key may have been given by mistake.
impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Roots::Default => f.write_str("Default"),
            Roots::File(path) => write!(f, "File({})", path.display()),
            Roots::Folder(path) => write!(f, "Folder({})", path.display()),
            Roots::Memory(_) => f.write_str("Memory"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path, from) => write!(f, "the file {} ({from})", path.display()),
            Source::Folder(path, from) => write!(f, "the directory {} ({from})", path.display()),
            Source::Memory(_) => f.write_str("the given PEM data"),
        }
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            From::Application => "configured",
            From::Variable(name) => name,
            From::System => "system default",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [TLS-03]
    #[test]
    fn only_the_systems_own_is_used_as_far_as_it_goes() {
        let name = format!("opamp-roots-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("bundle.pem");
        let good = include_str!("testdata/root.pem");
        let damaged = good.replacen('M', "*", 1);
        fs::write(&path, format!("{good}{damaged}{damaged}")).unwrap();
        let file = |from| read(&[Source::File(path.clone(), from)]);
        let directory = |from| read(&[Source::Folder(folder.clone(), from)]);
        let place = format!("entry 2 (line {}) is damaged", good.lines().count() + 1);
        for found in [
            file(From::System),
            directory(From::System),
            directory(From::Variable("SSL_CERT_DIR")),
        ] {
            let found = found.unwrap();
            assert_eq!(found.certificates.len(), 1);
            // One text for the whole file.
            assert_eq!(found.skipped.len(), 1);
            assert!(found.skipped[0].contains(&place), "{:?}", found.skipped);
        }
        for found in [
            file(From::Application),
            file(From::Variable("SSL_CERT_FILE")),
            directory(From::Application),
        ] {
            let text = found.err().unwrap().to_string();
            assert!(text.contains(&place), "{text}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
