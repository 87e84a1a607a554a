//! The proxy between us and the server: whose word decides about it, and how it is asked to open
//! the way.

mod connect;
mod environment;
mod socks;

use std::fmt;

use percent_encoding::percent_decode_str;

use super::endpoint::{Endpoint, EndpointError, host_and_port, place};
use super::headers::Headers;
use super::stream::Stream;
use super::vigil::{Cut, Step, Vigil};
use super::{FailKind, Failure, Limits, ReachedServer};

pub use environment::Environment;

/// One proxy, as its URL names it. Its `Debug` and its texts never show the login.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<Login>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Http,
    Https,
    /// `socks5`: names are looked up here; `socks5h`: by the proxy.
    Socks {
        looks_up: bool,
    },
}

#[derive(Clone, PartialEq, Eq)]
struct Login {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Why a proxy's URL is refused. Its text never holds the login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyError {
    pub fault: ProxyFault,
    pub text: String,
}

/// Which part of the URL it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyFault {
    Scheme,
    Login,
    Character,
    /// There is more than scheme, login, host and port.
    Path,
    Host,
    Port,
}

/// Which proxy, if any, and what it is told beside the way.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub choice: Choice,
    /// Sent to http and https proxies only: with CONNECT, and with each request that they pass on
    /// themselves.
    pub headers: Headers,
}

#[derive(Clone, Debug, Default)]
pub enum Choice {
    #[default]
    Direct,
    /// The host's own.
    Given(Proxy),
    /// The usual variables, as they were at start.
    Environment(Environment),
}

/// Longest name or password that SOCKS has room for.
const MOST_SOCKS_WORD: usize = 255;
const AUTHORIZATION: &str = "proxy-authorization";
const ONLY: &str = "URL must be scheme, user info, host and port only";

fn wrong(fault: ProxyFault, why: &str) -> ProxyError {
    let text = format!("proxy {why}");
    ProxyError { fault, text }
}

impl Proxy {
    /// `[scheme://][user[:password]@]host[:port][/]`; no scheme means http.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" => (Kind::Socks { looks_up: false }, 1080),
            "socks5h" => (Kind::Socks { looks_up: true }, 1080),
            _ => {
                let why = "scheme must be http, https, socks5 or socks5h";
                return Err(wrong(ProxyFault::Scheme, why));
            }
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(Login::parse(login, kind)?), authority),
            None => (None, rest),
        };
        // A percent sign stands before the zone of an IPv6 address only.
        let is_address = authority.starts_with('[');
        let fault_of = |b: u8| match b {
            b'/' | b'?' | b'#' => Some(ProxyFault::Path),
            b'\\' => Some(ProxyFault::Character),
            b'%' if !is_address => Some(ProxyFault::Character),
            _ => (!b.is_ascii_graphic()).then_some(ProxyFault::Character),
        };
        if let Some(fault) = authority.bytes().find_map(fault_of) {
            return Err(wrong(fault, ONLY));
        }
        let (host, port) = host_and_port(authority, usual_port).map_err(|e| match e {
            EndpointError::NoHost => wrong(ProxyFault::Host, "has no host"),
            EndpointError::Port => wrong(ProxyFault::Port, "port must be 1 to 65535"),
            _ => wrong(ProxyFault::Host, ONLY),
        })?;
        Ok(Proxy {
            kind,
            host,
            port,
            login,
        })
    }

    pub fn is_tls(&self) -> bool {
        self.kind == Kind::Https
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the server's name is looked up here and not by the proxy.
    pub(crate) fn wants_address(&self) -> bool {
        self.kind == Kind::Socks { looks_up: false }
    }

    /// Whether requests of this endpoint are passed on by the proxy itself, each with the whole
    /// URL. Over plain HTTP that is what proxies expect: many allow CONNECT to port 443 only.
    pub(crate) fn passes_on(&self, endpoint: &Endpoint) -> bool {
        matches!(self.kind, Kind::Http | Kind::Https) && endpoint.scheme() == super::Scheme::Http
    }

    /// What an http or https proxy is told: the host's own headers, and the login unless they bring
    /// one.
    pub(crate) fn headers(&self, own: &Headers) -> Headers {
        let mut all = own.clone();
        let has_own = own.iter().any(|(name, _)| name == AUTHORIZATION);
        if let Some(login) = self.login.as_ref().filter(|_| !has_own) {
            // Base64 has no character that a header can not have.
            let _ = all.set(AUTHORIZATION, &connect::basic(login));
        }
        all
    }

    /// Asks the proxy to open the way to `host` and `port`, within its own bound.
    pub(crate) fn open(
        &self,
        stream: &mut Stream,
        (host, port): (&str, u16),
        headers: &Headers,
        vigil: &mut Vigil,
        limits: &Limits,
    ) -> Result<(), Failure> {
        vigil.enter(Step::Proxy, Some(limits.proxy));
        let result = match self.kind {
            Kind::Http | Kind::Https => {
                let request = connect::request((host, port), &self.headers(headers));
                connect::open(stream, &request, vigil)
            }
            Kind::Socks { .. } => socks::open(stream, (host, port), self.login.as_ref(), vigil),
        };
        result.map_err(|refusal| self.failure(refusal))
    }

    fn failure(&self, refusal: Refusal) -> Failure {
        let kind = match &refusal {
            Refusal::Cut(Cut::GivenUp) => FailKind::GivenUp,
            Refusal::Cut(Cut::Timeout(_)) => FailKind::Timeout,
            _ => FailKind::Proxy,
        };
        let text = match &refusal {
            Refusal::Cut(Cut::GivenUp) => "given up".to_owned(),
            Refusal::Cut(Cut::Timeout(step)) => format!("timeout with {self}: {}", step.overdue()),
            Refusal::Cut(Cut::Closed(_)) => format!("{self} closed the connection"),
            Refusal::Cut(Cut::Tls(why)) => format!("{self}: TLS: {why}"),
            Refusal::Cut(Cut::Io(e)) => format!("{self}: {e}"),
            Refusal::Status { text, .. } => format!("{self} answered {text}"),
            Refusal::Said(text) => format!("{self} {text}"),
        };
        let failure = Failure::new(kind, ReachedServer::No, text);
        match refusal {
            Refusal::Status {
                status,
                retry_after,
                ..
            } => Failure {
                status: Some(status),
                retry_after,
                ..failure
            },
            _ => failure,
        }
    }
}

/// Why a proxy did not open the way.
enum Refusal {
    Cut(Cut),
    /// An answer to CONNECT.
    Status {
        status: u16,
        retry_after: Option<std::time::Duration>,
        text: String,
    },
    /// What else it did, with the proxy as the subject of the sentence.
    Said(String),
}

impl From<Cut> for Refusal {
    fn from(cut: Cut) -> Refusal {
        Refusal::Cut(cut)
    }
}

impl Login {
    fn parse(text: &str, kind: Kind) -> Result<Login, ProxyError> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let [user, password] =
            [user, password].map(|word| percent_decode_str(word).collect::<Vec<u8>>());
        let wrong = |why| Err(wrong(ProxyFault::Login, why));
        match kind {
            Kind::Socks { .. } if user.is_empty() || user.len() > MOST_SOCKS_WORD => {
                wrong("user name must be 1 to 255 bytes")
            }
            Kind::Socks { .. } if password.len() > MOST_SOCKS_WORD => {
                wrong("password must be at most 255 bytes")
            }
            Kind::Http | Kind::Https if user.contains(&b':') => {
                wrong("user name must not contain a colon (HTTP Basic)")
            }
            _ => Ok(Login { user, password }),
        }
    }
}

impl Proxies {
    /// User, password, and both as HTTP has them, of each proxy there is.
    pub(crate) fn each_login(&self, found: &mut dyn FnMut(&str, &str, &str)) {
        let mut look = |proxy: &Proxy| {
            if let Some(login) = &proxy.login {
                let [user, password] =
                    [&login.user, &login.password].map(|word| String::from_utf8_lossy(word));
                let basic = connect::basic(login);
                let packed = basic.trim_start_matches("Basic ");
                found(&user, &password, packed);
            }
        };
        match &self.choice {
            Choice::Direct => {}
            Choice::Given(proxy) => look(proxy),
            Choice::Environment(environment) => environment.proxies().for_each(look),
        }
    }

    /// The proxy for this endpoint; `Err`: the environment names one that can not be used.
    pub fn of(&self, endpoint: &Endpoint) -> Result<Option<&Proxy>, ProxyError> {
        if endpoint.socket().is_some() {
            return Ok(None);
        }
        match &self.choice {
            Choice::Direct => Ok(None),
            Choice::Given(proxy) => Ok(Some(proxy)),
            Choice::Environment(environment) => environment.of(endpoint),
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", place(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, place(&self.host, self.port))
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ProxyError {}
