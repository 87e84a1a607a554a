//! The URL of the server, taken apart once and refused with a reason.

use std::ffi::OsStr;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use percent_encoding::percent_decode_str;

/// What the URL says about the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    Http,
    Https,
    Ws,
    Wss,
    HttpUnix,
    WsUnix,
}

/// Where requests go, exactly as the host gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    text: String,
    scheme: Scheme,
    host: String,
    port: u16,
    path_start: usize,
    socket: Option<Arc<Path>>,
}

/// The kernel's room for a socket's path, without the NUL at its end.
const MOST_SOCKET_PATH: usize = 107;

/// Why a URL is refused. Its text never holds user info.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndpointError {
    /// Not a URL at all.
    Syntax,
    /// Another scheme than those of [`Scheme`].
    Scheme(String),
    NoHost,
    /// `user:password@` has no place here: set a header instead.
    UserInfo,
    Port,
    /// What is wrong with the path of a unix socket.
    Socket(&'static str),
}

impl Scheme {
    pub fn is_tls(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Wss)
    }

    pub fn is_unix(self) -> bool {
        matches!(self, Scheme::HttpUnix | Scheme::WsUnix)
    }

    pub fn is_websocket(self) -> bool {
        matches!(self, Scheme::Ws | Scheme::Wss | Scheme::WsUnix)
    }

    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Ws => "ws",
            Scheme::Wss => "wss",
            Scheme::HttpUnix => "http+unix",
            Scheme::WsUnix => "ws+unix",
        }
    }

    fn parse(text: &str) -> Option<Scheme> {
        Some(match text.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "http+unix" => Scheme::HttpUnix,
            "ws+unix" => Scheme::WsUnix,
            _ => return None,
        })
    }
}

impl Endpoint {
    /// No default path is added; `http://host` asks for `/`, as HTTP has it.
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::Syntax)?;
        let scheme = Scheme::parse(scheme).ok_or_else(|| EndpointError::Scheme(excerpt(scheme)))?;
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if path.contains('#') || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(EndpointError::Syntax);
        }
        let socket = if scheme.is_unix() {
            Some(socket_path(authority)?)
        } else {
            None
        };
        let (host, port) = match socket {
            // What the Host header says.
            Some(_) => ("localhost".to_owned(), 80),
            None => host_and_port(authority, if scheme.is_tls() { 443 } else { 80 })?,
        };
        let endpoint = Endpoint {
            text: text.to_owned(),
            scheme,
            host,
            port,
            path_start: text.len() - path.len(),
            socket,
        };
        match endpoint.uri() {
            Some(_) => Ok(endpoint),
            None => Err(EndpointError::Syntax),
        }
    }

    /// By the rules for URIs, or nothing.
    fn uri(&self) -> Option<Uri> {
        match self.socket {
            Some(_) => format!("http://{}{}", self.host, self.path_and_query())
                .parse()
                .ok(),
            None => self.text.parse().ok(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address, without the brackets of IPv6 and perhaps with its zone, `fe80::1%eth0`. For unix sockets `localhost`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// As given, or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path of the unix socket that the URL names.
    pub fn socket(&self) -> Option<&Arc<Path>> {
        self.socket.as_ref()
    }

    /// The server in an error text.
    pub(crate) fn place(&self) -> String {
        match &self.socket {
            Some(path) => format!("the socket {}", path.display()),
            None => place(&self.host, self.port),
        }
    }

    /// As given; empty when the URL ends with the host.
    pub fn path_and_query(&self) -> &str {
        &self.text[self.path_start..]
    }
}

/// `%2Frun%2Fopamp.sock`: a whole path in the place of the host.
fn socket_path(authority: &str) -> Result<Arc<Path>, EndpointError> {
    let wrong = |why| Err(EndpointError::Socket(why));
    if authority.is_empty() {
        return Err(EndpointError::NoHost);
    }
    let is_digit = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_hexdigit());
    let mut escapes = authority.split('%').skip(1).map(str::bytes);
    if escapes.any(|mut rest| !is_digit(rest.next()) || !is_digit(rest.next())) {
        return wrong("has a % without two hexadecimal digits");
    }
    let path: Vec<u8> = percent_decode_str(authority).collect();
    if path[0] != b'/' {
        return wrong("is not absolute (%2F stands for /)");
    }
    if path.contains(&0) {
        return wrong("has a NUL");
    }
    if path.len() > MOST_SOCKET_PATH {
        return wrong("is longer than 107 bytes");
    }
    Ok(Path::new(OsStr::from_bytes(&path)).into())
}

/// Host and port as a URL writes them.
pub(super) fn place(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `host[:port]`, or `usual_port` where there is none.
pub(super) fn host_and_port(
    authority: &str,
    usual_port: u16,
) -> Result<(String, u16), EndpointError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(EndpointError::Syntax)?;
            let Some(host) = address(host) else {
                return Err(EndpointError::Syntax);
            };
            match port {
                "" => (host, None),
                _ => (
                    host,
                    Some(port.strip_prefix(':').ok_or(EndpointError::Syntax)?),
                ),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (authority.to_owned(), None),
        },
    };
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    let port = match port {
        None => usual_port,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|&p| p != 0)
            .ok_or(EndpointError::Port)?,
        Some(_) => return Err(EndpointError::Port),
    };
    Ok((host, port))
}

/// An IPv6 address; `%25eth0` behind it (RFC 6874) names the interface, and so does the `%eth0` of the usual tools.
fn address(text: &str) -> Option<String> {
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse::<Ipv6Addr>().ok().map(|_| text.to_owned());
    };
    let zone = zone.strip_prefix("25").unwrap_or(zone);
    let is_zone = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_good =
        !zone.is_empty() && zone.bytes().all(is_zone) && address.parse::<Ipv6Addr>().is_ok();
    is_good.then(|| format!("{address}%{zone}"))
}

/// The interface is this machine's affair: nobody else is told it.
pub(super) fn without_zone(host: &str) -> &str {
    host.split('%').next().unwrap_or(host)
}

fn excerpt(scheme: &str) -> String {
    scheme
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .take(16)
        .collect()
}

impl EndpointError {
    /// In words, of what the URL was meant to be.
    pub fn of(&self, what: &str) -> String {
        match self {
            EndpointError::Syntax => format!("{what} is not a URL"),
            EndpointError::Scheme(scheme) => format!(
                "{what}'s scheme is {scheme:?}, not http, https, ws, wss, http+unix or ws+unix"
            ),
            EndpointError::NoHost => format!("{what} has no host"),
            EndpointError::UserInfo => format!("{what} has user info; send a header instead"),
            EndpointError::Port => format!("{what}'s port is not 1 to 65535"),
            EndpointError::Socket(why) => format!("the path of {what}'s socket {why}"),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of("the endpoint"))
    }
}

impl std::error::Error for EndpointError {}
