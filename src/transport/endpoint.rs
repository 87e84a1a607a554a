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
    /// Nothing before a `://`.
    NoScheme,
    /// Another scheme than those of [`Scheme`].
    Scheme(String),
    NoHost,
    /// `::1` in the place of `[::1]`.
    NoBrackets,
    /// Between brackets, and no address.
    NoAddress,
    /// A name that DNS has no letters for.
    ForeignHost(char),
    /// One that no URL has, and how many stand before it.
    Character(char, usize),
    /// What stands behind a `#` is never sent.
    Fragment,
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
        let scheme_end = text.find("://");
        let rest = scheme_end.map_or(text, |end| &text[end + 3..]);
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        // First: of a text with a password no character is named.
        if scheme_end.is_some() && authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        check_characters(text, authority)?;
        let scheme = &text[..scheme_end.ok_or(EndpointError::NoScheme)?];
        let scheme = Scheme::parse(scheme).ok_or_else(|| EndpointError::Scheme(excerpt(scheme)))?;
        if path.contains('#') {
            return Err(EndpointError::Fragment);
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

    /// For the log: a query may hold a token.
    pub(crate) fn without_query(&self) -> &str {
        self.text.split('?').next().unwrap_or_default()
    }

    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Name or address, without the brackets of IPv6 and perhaps with its zone, `fe80::1%eth0`. For
    /// unix sockets `localhost`.
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

/// Printable ASCII; what else there is has its own name in the host.
fn check_characters(text: &str, authority: &str) -> Result<(), EndpointError> {
    let is_odd = |c: &char| !c.is_ascii_graphic();
    match authority.chars().find(is_odd) {
        Some(odd) if odd.is_alphanumeric() => return Err(EndpointError::ForeignHost(odd)),
        _ => {}
    }
    match text.chars().enumerate().find(|(_, c)| is_odd(c)) {
        Some((before, odd)) => Err(EndpointError::Character(odd, before)),
        None => Ok(()),
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
            let (host, port) = rest.split_once(']').ok_or(EndpointError::NoAddress)?;
            let Some(host) = address(host) else {
                return Err(EndpointError::NoAddress);
            };
            match port {
                "" => (host, None),
                _ => (
                    host,
                    Some(port.strip_prefix(':').ok_or(EndpointError::Syntax)?),
                ),
            }
        }
        None if authority.matches(':').count() > 1 => return Err(EndpointError::NoBrackets),
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

/// An IPv6 address; `%25eth0` behind it (RFC 6874) names the interface, and so does the `%eth0` of
/// the usual tools.
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

/// A character in words, so that one that cannot be seen is.
fn named(odd: char) -> String {
    match odd {
        ' ' => "a blank".into(),
        '\n' | '\r' => "a line break".into(),
        '\t' => "a tab".into(),
        _ => format!("the character {odd:?} (U+{:04X})", u32::from(odd)),
    }
}

impl EndpointError {
    /// In words, of what the URL was meant to be.
    pub fn of(&self, what: &str) -> String {
        match self {
            EndpointError::Syntax => format!("{what} is not a valid URL"),
            EndpointError::NoScheme => {
                format!("{what} has no scheme, must begin with http://, https://, ws:// or wss://")
            }
            EndpointError::Scheme(scheme) => format!(
                "{what} has scheme {scheme:?}, must be http, https, ws, wss, http+unix or ws+unix"
            ),
            EndpointError::NoHost => format!("{what} has no host"),
            EndpointError::NoBrackets => {
                format!("{what} has more than one colon in its host; an IPv6 address needs [ ]")
            }
            EndpointError::NoAddress => format!("{what} has no IPv6 address between [ and ]"),
            EndpointError::ForeignHost(odd) => {
                format!("{what} has {} in its host; use its xn-- form", named(*odd))
            }
            EndpointError::Character(odd, 0) => format!("{what} begins with {}", named(*odd)),
            EndpointError::Character(odd, before) => {
                format!("{what} has {} behind {before} characters", named(*odd))
            }
            EndpointError::Fragment => format!("{what} has a fragment (#..), which is never sent"),
            EndpointError::UserInfo => {
                format!("{what} must not contain user info; set a header instead")
            }
            EndpointError::Port => format!("{what} port must be 1 to 65535"),
            EndpointError::Socket(why) => format!("{what} socket path {why}"),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of("the endpoint"))
    }
}

impl std::error::Error for EndpointError {}
