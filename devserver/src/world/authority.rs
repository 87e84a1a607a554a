//! An authority for tests, what it issues, and certificates that no agent may accept.
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

/// A chain and its key, in DER.
pub(crate) struct Pair {
    pub(crate) name: &'static str,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// What was made: the authority's certificate and what a server may show.
pub(crate) struct Authority {
    pub(crate) certificate: Vec<u8>,
    pub(crate) servers: Vec<Pair>,
}

/// How a server certificate differs from a good one.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Expired,
    NotYetValid,
    WrongHost,
    WrongUsage,
}

/// Makes everything anew and writes it into `folder` as PEM, keys for the owner only.
pub(crate) fn make(folder: &Path, host: IpAddr) -> io::Result<Authority> {
    fs::create_dir_all(folder)?;
    make_all(folder, host).map_err(io::Error::other)
}

fn make_all(folder: &Path, host: IpAddr) -> Result<Authority, String> {
    let (authority, certificate, pem) = issuer("opamp-devserver test authority")?;
    let (stranger, _, stranger_pem) = issuer("an authority that nobody trusts")?;
    write(folder, "ca.pem", &pem, false)?;
    write(folder, "unknown_ca.pem", &stranger_pem, false)?;
    let mut servers = Vec::new();
    for (name, flaw) in [
        ("server", Flaw::None),
        ("expired", Flaw::Expired),
        ("not_yet_valid", Flaw::NotYetValid),
        ("wrong_host", Flaw::WrongHost),
        ("wrong_usage", Flaw::WrongUsage),
    ] {
        servers.push(issue(folder, name, server(host, flaw)?, Some(&authority))?);
    }
    servers.push(issue(
        folder,
        "self_signed",
        server(host, Flaw::None)?,
        None,
    )?);
    servers.push(issue(
        folder,
        "unknown_issuer",
        server(host, Flaw::None)?,
        Some(&stranger),
    )?);
    issue(folder, "client", client("agent")?, Some(&authority))?;
    issue(
        folder,
        "client2",
        client("agent, renewed")?,
        Some(&authority),
    )?;
    issue(
        folder,
        "unknown_client",
        client("a stranger")?,
        Some(&stranger),
    )?;
    Ok(Authority {
        certificate,
        servers,
    })
}

fn text(error: rcgen::Error) -> String {
    error.to_string()
}

fn issuer(name: &str) -> Result<(Issuer<'static, KeyPair>, Vec<u8>, String), String> {
    let mut params = CertificateParams::new(Vec::new()).map_err(text)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    let key = KeyPair::generate().map_err(text)?;
    let certificate = params.self_signed(&key).map_err(text)?;
    let (der, pem) = (certificate.der().to_vec(), certificate.pem());
    Ok((Issuer::new(params, key), der, pem))
}

fn server(host: IpAddr, flaw: Flaw) -> Result<CertificateParams, String> {
    let names = match flaw {
        Flaw::WrongHost => vec!["elsewhere.example".to_owned()],
        _ => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
    };
    let mut params = CertificateParams::new(names).map_err(text)?;
    let own = SanType::IpAddress(host);
    if flaw != Flaw::WrongHost && !params.subject_alt_names.contains(&own) {
        params.subject_alt_names.push(own);
    }
    params
        .distinguished_name
        .push(DnType::CommonName, "opamp-devserver");
    params.extended_key_usages = vec![match flaw {
        Flaw::WrongUsage => ExtendedKeyUsagePurpose::ClientAuth,
        _ => ExtendedKeyUsagePurpose::ServerAuth,
    }];
    let (from, to) = match flaw {
        Flaw::Expired => (2020, 2021),
        Flaw::NotYetValid => (2110, 2111),
        _ => (2020, 2110),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    Ok(params)
}

fn client(name: &str) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new(Vec::new()).map_err(text)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2110, 1, 1);
    Ok(params)
}

fn issue(
    folder: &Path,
    name: &'static str,
    params: CertificateParams,
    issuer: Option<&Issuer<'_, KeyPair>>,
) -> Result<Pair, String> {
    let key = KeyPair::generate().map_err(text)?;
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.map_err(text)?;
    write(folder, &format!("{name}.pem"), &certificate.pem(), false)?;
    write(folder, &format!("{name}.key"), &key.serialize_pem(), true)?;
    Ok(Pair {
        name,
        certificate: certificate.der().to_vec(),
        key: key.serialize_der(),
    })
}

fn write(folder: &Path, name: &str, pem: &str, is_secret: bool) -> Result<(), String> {
    let path = folder.join(name);
    let mode = if is_secret { 0o600 } else { 0o644 };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&path);
    let written = file.and_then(|mut file| file.write_all(pem.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}
