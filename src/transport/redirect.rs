//! Where an answer of 3xx leads, and whether it is followed. Nothing here knows a socket.

use super::endpoint::{Endpoint, EndpointError, Scheme};
use super::quote::{MOST_SHOWN, shown};

/// What the host has decided beforehand.
#[derive(Clone, Debug, Default)]
pub struct Redirects {
    /// Longest chain within one try; 0: none is followed.
    pub limit: u32,
    /// Origins beside the endpoint's own; nothing but scheme, host and port of them counts.
    pub allowed: Vec<Endpoint>,
}

/// One redirect that is followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hop {
    pub from: String,
    pub to: String,
    pub status: u16,
    /// 1 for the first one of a try.
    pub number: u32,
}

/// What was sent: a message, or the request for a WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Post,
    Upgrade,
}

impl Sent {
    /// Whether an answer of this status sends the same request elsewhere. A 301, 302 or 303 would
    /// make a GET of a POST, which no OpAMP server can mean.
    pub(crate) fn is_redirected_by(self, status: u16) -> bool {
        match status {
            307 | 308 => true,
            301..=303 => self == Sent::Upgrade,
            _ => false,
        }
    }
}

impl Redirects {
    /// The next place on the way from `home` that has led to `at` by `hops` redirects; `Err` says
    /// why not.
    pub(crate) fn follow(
        &self,
        (home, at, hops): (&Endpoint, &Endpoint, u32),
        location: Option<&str>,
        sent: Sent,
    ) -> Result<Endpoint, String> {
        if self.limit == 0 {
            return Err("redirects are forbidden".to_owned());
        }
        if hops >= self.limit {
            return Err(format!("more than {} redirects", self.limit));
        }
        let to = target(at, location, sent)?;
        if to.scheme().is_websocket() != at.scheme().is_websocket() {
            return Err("from one transport to another".to_owned());
        }
        let is_tls = home.scheme().is_tls() || at.scheme().is_tls();
        if is_tls && !to.scheme().is_tls() {
            return Err("from TLS to plaintext".to_owned());
        }
        if to.has_origin_of(home) || self.allowed.iter().any(|origin| to.has_origin_of(origin)) {
            return Ok(to);
        }
        let place = shown(&to.place(), MOST_SHOWN);
        Err(format!("to {place}, which is not allowed"))
    }
}

/// Why a redirect by another status than 307 and 308 is not followed, and where it leads.
pub(crate) fn turned_down(at: &Endpoint, location: Option<&str>) -> String {
    match target(at, location, Sent::Post) {
        Ok(to) => {
            let place = shown(&to.place(), MOST_SHOWN);
            format!("to {place}; only 307 and 308 are followed")
        }
        Err(why) => why,
    }
}

fn target(at: &Endpoint, location: Option<&str>, sent: Sent) -> Result<Endpoint, String> {
    let location = location.map(str::trim).unwrap_or_default();
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() {
        return Err("without a location".to_owned());
    }
    let to = resolve(at, location);
    let to = match sent {
        Sent::Upgrade => as_websocket(to),
        Sent::Post => to,
    };
    Endpoint::parse(&to).map_err(|e| match e {
        EndpointError::UserInfo => "to a location with user info".to_owned(),
        _ => "to a location that is no URL of a server".to_owned(),
    })
}

/// RFC 3986, 5.2, for a location without a fragment.
fn resolve(at: &Endpoint, location: &str) -> String {
    let whole = at.as_str();
    let path_start = whole.len() - at.path_and_query().len();
    let (origin, path) = whole.split_at(path_start);
    let path = path.split('?').next().unwrap_or_default();
    if has_scheme(location) {
        return location.to_owned();
    }
    if location.starts_with("//") {
        let scheme = whole.split("//").next().unwrap_or_default();
        return format!("{scheme}{location}");
    }
    if location.starts_with('?') {
        return format!("{origin}{path}{location}");
    }
    let (target, query) = match location.split_once('?') {
        Some((target, query)) => (target, format!("?{query}")),
        None => (location, String::new()),
    };
    let target = match target.starts_with('/') {
        true => target.to_owned(),
        false => {
            let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            format!("{folder}{target}")
        }
    };
    format!("{origin}{}{query}", without_dots(&target))
}

fn has_scheme(location: &str) -> bool {
    let end = location.find(['/', '?', ':']);
    end.is_some_and(|end| end > 0 && location[end..].starts_with(':'))
}

/// `.` and `..` undone, RFC 3986, 5.2.4. The path begins with a slash.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    format!("/{}", kept.join("/"))
}

/// A gateway that knows HTTP only says http where it means ws.
fn as_websocket(location: String) -> String {
    let Some((scheme, rest)) = location.split_once("://") else {
        return location;
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" => format!("ws://{rest}"),
        "https" => format!("wss://{rest}"),
        _ => location,
    }
}

impl Endpoint {
    /// The same scheme, host and port. ws and wss are http and https here: the same server answers.
    pub(crate) fn has_origin_of(&self, other: &Endpoint) -> bool {
        let is_tls = |scheme: Scheme| scheme.is_tls();
        is_tls(self.scheme()) == is_tls(other.scheme())
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
            && self.socket() == other.socket()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Secrets;

    const HOME: &str = "https://a.example/v1/opamp?tenant=1";

    fn followed(from: &str, location: &str, sent: Sent) -> Result<String, String> {
        let from = Endpoint::parse(from).unwrap();
        let rules = Redirects {
            limit: 5,
            allowed: vec![Endpoint::parse("https://b.example:8443").unwrap()],
        };
        let place = (&from, &from, 0);
        let to = rules.follow(place, Some(location), sent);
        let (headers, proxies) = Default::default();
        let to = to.map_err(|why| Secrets::new(&headers, &proxies).judged(&why))?;
        Ok(to.as_str().to_owned())
    }

    /// [HTTP-13]
    #[test]
    fn a_location_is_resolved_as_a_reference() {
        for (location, to) in [
            ("/new", "https://a.example/new"),
            ("/new?x=/../y#part", "https://a.example/new?x=/../y"),
            ("new", "https://a.example/v1/new"),
            ("./new/", "https://a.example/v1/new/"),
            ("../new/./x/../y", "https://a.example/new/y"),
            ("../../../..", "https://a.example/"),
            ("?tenant=2", "https://a.example/v1/opamp?tenant=2"),
            ("//a.example:443/x", "https://a.example:443/x"),
            ("//b.example:8443/x", "https://b.example:8443/x"),
            ("HTTPS://A.example/x", "HTTPS://A.example/x"),
            ("https://b.example:8443", "https://b.example:8443"),
            (" /spaces ", "https://a.example/spaces"),
            ("a/b:c", "https://a.example/v1/a/b:c"),
        ] {
            assert_eq!(
                followed(HOME, location, Sent::Post),
                Ok(to.to_owned()),
                "{location}"
            );
        }
        let bare = followed("http://a.example", "x", Sent::Post);
        assert_eq!(bare, Ok("http://a.example/x".to_owned()));
        let socket = "http+unix://%2Frun%2Fa.sock/v1/x";
        let to = followed(socket, "../y", Sent::Post);
        assert_eq!(to, Ok("http+unix://%2Frun%2Fa.sock/y".to_owned()));
    }

    /// [HTTP-13] [HTTP-22]
    #[test]
    fn what_is_not_followed_says_why_without_the_path() {
        for (location, why) in [
            ("", "without a location"),
            ("#part", "without a location"),
            ("http://a.example/secret", "from TLS to plaintext"),
            ("http://b.example:8443/", "from TLS to plaintext"),
            (
                "https://c.example/secret",
                "to c.example:443, which is not allowed",
            ),
            (
                "https://a.example:444/secret",
                "to a.example:444, which is not allowed",
            ),
            (
                "https://b.example/secret",
                "to b.example:443, which is not allowed",
            ),
            (
                "https://me:secret@a.example/",
                "to a location with user info",
            ),
            ("wss://a.example/", "from one transport to another"),
            ("http+unix://%2Frun%2Fa/", "from TLS to plaintext"),
            (
                "ftp://a.example/",
                "to a location that is no URL of a server",
            ),
            ("mailto:secret", "to a location that is no URL of a server"),
            (
                "https:///secret",
                "to a location that is no URL of a server",
            ),
            ("/a b", "to a location that is no URL of a server"),
            ("/\u{7f}", "to a location that is no URL of a server"),
        ] {
            let told = followed(HOME, location, Sent::Post);
            assert_eq!(told, Err(why.to_owned()), "{location}");
        }
        let long = format!("https://{}/", "a".repeat(10_000));
        assert!(followed(HOME, &long, Sent::Post).unwrap_err().len() < 300);
        let out = followed("http://a.example/", "http+unix://%2Frun%2Fa/", Sent::Post);
        assert_eq!(
            out,
            Err("to the socket /run/a, which is not allowed".to_owned())
        );
    }

    /// [HTTP-22]
    #[test]
    fn a_chain_has_a_limit_and_can_be_forbidden() {
        let home = Endpoint::parse(HOME).unwrap();
        let mut rules = Redirects {
            limit: 2,
            ..Redirects::default()
        };
        let follow = |rules: &Redirects, hops| {
            let to = rules.follow((&home, &home, hops), Some("/x"), Sent::Post);
            to.map(|to| to.path_and_query().to_owned())
        };
        assert_eq!(follow(&rules, 1), Ok("/x".to_owned()));
        assert_eq!(follow(&rules, 2), Err("more than 2 redirects".to_owned()));
        rules.limit = 0;
        assert_eq!(follow(&rules, 0), Err("redirects are forbidden".to_owned()));
    }

    /// [HTTP-13] Neither a plain hop on the way nor one at its end undoes the TLS of the endpoint.
    #[test]
    fn tls_stays_tls_over_the_whole_chain() {
        let home = Endpoint::parse("http://a.example/").unwrap();
        let at = Endpoint::parse("https://b.example/").unwrap();
        let rules = Redirects {
            limit: 5,
            allowed: vec![at.clone()],
        };
        let back = rules.follow((&home, &at, 1), Some("http://a.example/"), Sent::Post);
        assert_eq!(back, Err("from TLS to plaintext".to_owned()));
    }

    /// [WS-12] [WS-17]
    #[test]
    fn the_upgrade_follows_http_and_ws_alike() {
        let home = "wss://a.example/v1/opamp";
        for location in [
            "wss://a.example/x",
            "https://a.example/x",
            "/x",
            "//a.example/x",
        ] {
            let to = followed(home, location, Sent::Upgrade);
            assert_eq!(to, Ok("wss://a.example/x".to_owned()), "{location}");
        }
        let plain = followed("ws://a.example/", "http://a.example/x", Sent::Upgrade);
        assert_eq!(plain, Ok("ws://a.example/x".to_owned()));
        let fallen = followed(home, "http://a.example/x", Sent::Upgrade);
        assert_eq!(fallen, Err("from TLS to plaintext".to_owned()));
        let statuses = |sent: Sent| {
            let all = (300..310).filter(move |&status| sent.is_redirected_by(status));
            all.collect::<Vec<_>>()
        };
        assert_eq!(statuses(Sent::Post), [307, 308]);
        assert_eq!(statuses(Sent::Upgrade), [301, 302, 303, 307, 308]);
    }
}
