//! What a setter checks before it changes anything, and the reasons it gives.

use std::{fs, io, path::Path};

use super::{
    error::{Code, Error, Kind, Result},
    reason::Reason,
    text,
};
use crate::{
    proto,
    protocol::{ConfigState, RemoteConfigStatus, StatusError},
    transport::{
        Endpoint, EndpointError, Headers, Proxy, ProxyFault, explain,
        headers::{self, HeaderError},
        tls::{Identity, Roots, TlsSettings},
    },
};

pub(crate) fn endpoint(text: &str) -> Result<Endpoint> {
    Endpoint::parse(text).map_err(|why| url_error(text, &why, "endpoint"))
}

/// Scheme, host and port alone.
pub(crate) fn origin(text: &str) -> Result<Endpoint> {
    let origin = Endpoint::parse(text).map_err(|why| url_error(text, &why, "origin"))?;
    let is_bare = matches!(origin.path_and_query(), "" | "/") && origin.socket().is_none();
    match is_bare {
        true => Ok(origin),
        false => {
            let text = "origin must be scheme, host and port only";
            Err(Error::argument(text).because(Reason::UrlPath))
        }
    }
}

fn url_error(given: &str, why: &EndpointError, what: &str) -> Error {
    let reason = match why {
        EndpointError::Syntax => Reason::UrlSyntax,
        EndpointError::NoScheme | EndpointError::Scheme(_) => Reason::UrlScheme,
        EndpointError::NoHost
        | EndpointError::NoBrackets
        | EndpointError::NoAddress
        | EndpointError::ForeignHost(_) => Reason::UrlHost,
        EndpointError::Character(..) => Reason::UrlCharacter,
        EndpointError::Fragment => Reason::UrlFragment,
        EndpointError::UserInfo => Reason::UrlUserInfo,
        EndpointError::Port => Reason::UrlPort,
        EndpointError::Socket(_) => Reason::UrlSocket,
    };
    Error::argument(explain(given, why, what)).because(reason)
}

pub(crate) fn proxy(url: &str) -> Result<Proxy> {
    Proxy::parse(url).map_err(|why| {
        let reason = match why.fault {
            ProxyFault::Scheme => Reason::UrlScheme,
            ProxyFault::Login => Reason::UrlUserInfo,
            ProxyFault::Character => Reason::UrlCharacter,
            ProxyFault::Path => Reason::UrlPath,
            ProxyFault::Host => Reason::UrlHost,
            ProxyFault::Port => Reason::UrlPort,
        };
        Error::argument(why.text).because(reason)
    })
}

pub(crate) fn set_header(headers: &mut Headers, name: &str, value: Option<&str>) -> Result<()> {
    match value {
        Some(value) => headers.set(name, value).map_err(header_error),
        None => {
            headers::check(name, "").map_err(header_error)?;
            headers.remove(name);
            Ok(())
        }
    }
}

pub(crate) fn user_agent_prefix(prefix: &str) -> Result<()> {
    headers::check_prefix(prefix).map_err(header_error)
}

fn header_error(why: HeaderError) -> Error {
    let reason = match why {
        HeaderError::Name => Reason::HeaderName,
        HeaderError::Reserved(_) => Reason::HeaderReserved,
        HeaderError::Value(_) => Reason::HeaderValue,
    };
    Error::argument(why.to_string()).because(reason)
}

pub(crate) fn uid(uid: &[u8]) -> Result<[u8; 16]> {
    let length = uid.len();
    let uid: [u8; 16] = uid.try_into().map_err(|_| {
        let text = format!("instance uid is {length} bytes long, must be 16");
        Error::argument(text).because(Reason::OutOfRange)
    })?;
    match uid == [0; 16] {
        true => {
            Err(Error::argument("instance uid must not be all zeros").because(Reason::OutOfRange))
        }
        false => Ok(uid),
    }
}

pub(crate) fn no_attribute() -> Error {
    Error::argument("agent description needs at least one attribute").because(Reason::NoDescription)
}

/// The application's own stack carries out exchanges, which WebSocket has not.
pub(crate) fn transport_fits(endpoint: &Endpoint, is_host_transport: bool) -> Result<()> {
    if is_host_transport && endpoint.scheme().is_websocket() {
        let text = "the application's own transport carries HTTP only, not WebSocket";
        return Err(Error::new(Code::Unsupported, Kind::Argument, text)
            .because(Reason::UnsupportedTransport));
    }
    Ok(())
}

/// The scheme alone decides about TLS, so settings that would have no effect are a mistake.
pub(crate) fn tls_fits(
    tls: &TlsSettings,
    endpoint: &Endpoint,
    (proxy, origins): (Option<&Proxy>, &[Endpoint]),
) -> Result<()> {
    let is_used = endpoint.scheme().is_tls()
        || proxy.is_some_and(Proxy::is_tls)
        || origins.iter().any(|origin| origin.scheme().is_tls());
    if is_used || tls.is_default() {
        return Ok(());
    }
    let scheme = endpoint.scheme().name();
    Err(
        Error::argument(format!("TLS settings do not fit a {scheme}:// endpoint"))
            .because(Reason::TlsUnused),
    )
}

/// Why these roots or that identity could not be used: the first of their files that is to blame.
pub(crate) fn tls_error(
    why: &dyn std::fmt::Display,
    roots: &Roots,
    identity: Option<&Identity>,
) -> Error {
    let mut paths: Vec<&Path> = Vec::new();
    match roots {
        Roots::File(path) | Roots::Folder(path) => paths.push(path),
        Roots::Default | Roots::Memory(_) => {}
    }
    if let Some(Identity::Files { certificate, key }) = identity {
        paths.extend([certificate.as_path(), key.as_path()]);
    }
    let is_given = *roots != Roots::Default || identity.is_some();
    let otherwise = if is_given {
        Reason::BadPem
    } else {
        Reason::NoTrust
    };
    let reason = paths.iter().find_map(|path| file_reason(path));
    Error::new(Code::InvalidArg, Kind::Tls, why.to_string()).because(reason.unwrap_or(otherwise))
}

/// Looked at once more, after it failed: what of it is the file's own fault.
fn file_reason(path: &Path) -> Option<Reason> {
    let looked = fs::metadata(path).and_then(|found| match found.is_file() {
        true => fs::File::open(path).map(drop),
        false if found.is_dir() => fs::read_dir(path).map(drop),
        // A FIFO would wait for its writer.
        false => Err(io::ErrorKind::InvalidInput.into()),
    });
    match looked.err()?.kind() {
        io::ErrorKind::NotFound => Some(Reason::FileNotFound),
        _ => Some(Reason::FileUnreadable),
    }
}

/// The text may be anything: a verdict on a known hash leaves whatever explains it.
pub(crate) fn status(hash: &[u8], state: i32, error: &[u8]) -> Result<RemoteConfigStatus> {
    let state = match proto::RemoteConfigStatuses::try_from(state) {
        Ok(proto::RemoteConfigStatuses::Applied) => ConfigState::Applied,
        Ok(proto::RemoteConfigStatuses::Applying) => ConfigState::Applying,
        Ok(proto::RemoteConfigStatuses::Failed) => ConfigState::Failed,
        Ok(proto::RemoteConfigStatuses::Unset) if hash.is_empty() => ConfigState::Unset,
        Ok(proto::RemoteConfigStatuses::Unset) => {
            let text = "state UNSET (0) goes with no hash: it says that no offer is known";
            return Err(Error::argument(text).because(Reason::UnknownHash));
        }
        Err(_) => {
            let text = format!(
                "state is {state}, must be UNSET (0), APPLIED (1), APPLYING (2) or FAILED (3)"
            );
            return Err(Error::argument(text).because(Reason::UnknownValue));
        }
    };
    RemoteConfigStatus::new(hash, state, text::free(error)).map_err(|why| {
        let reason = match why {
            StatusError::NoHash => Reason::Empty,
            StatusError::ErrorWithoutFailure => Reason::TextWithoutFailed,
        };
        Error::argument(why.to_string()).because(reason)
    })
}
