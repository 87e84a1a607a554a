//! What was wrong with a URL, with the URL beside it and what was probably meant.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::endpoint::{Endpoint, EndpointError};

/// Of a longer one only the beginning is shown, and nothing is suggested.
const MOST_SHOWN: usize = 200;

/// `given` was refused as `what`. Nothing is quoted where a password may stand, and no query.
pub fn explain(given: &str, why: &EndpointError, what: &str) -> String {
    if may_hold_password(given) {
        return match why {
            EndpointError::Character(..) | EndpointError::ForeignHost(_) => {
                format!("{what} has a character that no URL has")
            }
            EndpointError::Scheme(_) => EndpointError::Syntax.of(what),
            why => why.of(what),
        };
    }
    let text = why.of(&format!("{what} {:?}", shown(given)));
    match meant(given) {
        Some(meant) => format!("{text}; did you mean {}?", shown(&meant)),
        None => text,
    }
}

/// `user:password@host`, or its beginning: what stands behind the colon is no port and no address.
fn may_hold_password(given: &str) -> bool {
    let rest = given.split_once("://").map_or(given, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let unbracketed = match authority.starts_with('[') {
        true => authority.split_once(']').map_or("", |(_, port)| port),
        false => authority,
    };
    let behind = unbracketed.split_once(':').map_or("", |(_, behind)| behind);
    let is_address = behind.contains(':');
    let is_usual = |c: char| match is_address {
        true => c.is_ascii_hexdigit() || c == ':' || c.is_whitespace(),
        false => c.is_ascii_digit() || c.is_whitespace(),
    };
    given.contains('@') || !behind.chars().all(is_usual)
}

fn shown(url: &str) -> String {
    let url = match url.split_once('?') {
        Some((url, _)) => Cow::Owned(format!("{url}?..")),
        None => Cow::Borrowed(url),
    };
    match url.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}..", &url[..end]),
        None => url.into_owned(),
    }
}

/// The nearest URL that would be taken.
fn meant(given: &str) -> Option<String> {
    if given.len() > MOST_SHOWN {
        return None;
    }
    let is_seen = |c: &char| !c.is_whitespace() && !c.is_control();
    let mut url: String = given.chars().filter(is_seen).collect();
    for mend in [unchanged, without_fragment, with_scheme, with_brackets] {
        url = mend(&url);
        if Endpoint::parse(&url).is_ok() {
            return Some(url);
        }
    }
    None
}

fn unchanged(url: &str) -> String {
    url.to_owned()
}

fn without_fragment(url: &str) -> String {
    url.split('#').next().unwrap_or_default().to_owned()
}

/// `host:4320`, `//host`, `http:/host` and `HTTP//host`.
fn with_scheme(url: &str) -> String {
    if url.contains("://") {
        return url.to_owned();
    }
    let schemes = ["https", "http", "wss", "ws"];
    let named = |scheme: &'static str| {
        let rest = url.get(scheme.len()..)?;
        let is_it = url[..scheme.len()].eq_ignore_ascii_case(scheme);
        (is_it && rest.starts_with([':', '/'])).then_some((scheme, rest))
    };
    let found = schemes.into_iter().find_map(named);
    let (scheme, rest) = found.unwrap_or(("http", url));
    // `ws:4320` is a host with a port.
    let is_port = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    match rest.strip_prefix(':') {
        Some(port) if is_port(port) => format!("http://{url}"),
        _ => format!("{scheme}://{}", rest.trim_start_matches([':', '/'])),
    }
}

/// `http://::1:4320/`: the last number is the port where an address stands before it.
fn with_brackets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let is_address = |host: &str| host.parse::<Ipv6Addr>().is_ok();
    match host.rsplit_once(':') {
        Some((address, port)) if is_address(address) => {
            format!("{scheme}://[{address}]:{port}{path}")
        }
        _ => format!("{scheme}://[{host}]{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(given: &str) -> String {
        explain(given, &Endpoint::parse(given).unwrap_err(), "endpoint")
    }

    #[test]
    fn endpoint_error_quotes_and_suggests() {
        for (given, text) in [
            (
                "127.0.0.1:4320",
                "\"127.0.0.1:4320\" has no scheme, must begin with http://, https://, ws:// or wss://; did you mean http://127.0.0.1:4320?",
            ),
            (
                " http://127.0.0.1:4320",
                "\" http://127.0.0.1:4320\" begins with a blank; did you mean http://127.0.0.1:4320?",
            ),
            (
                "http://127.0.0.1:4320 ",
                "\"http://127.0.0.1:4320 \" has a blank behind 21 characters; did you mean http://127.0.0.1:4320?",
            ),
            (
                "http://127.0.0.1:4320/v1\n",
                "\"http://127.0.0.1:4320/v1\\n\" has a line break behind 24 characters; did you mean http://127.0.0.1:4320/v1?",
            ),
            (
                "http://h/v1#x",
                "\"http://h/v1#x\" has a fragment (#..), which is never sent; did you mean http://h/v1?",
            ),
            (
                "http://::1:4320/v1",
                "\"http://::1:4320/v1\" has more than one colon in its host; an IPv6 address needs [ ]; did you mean http://[::1]:4320/v1?",
            ),
            (
                "ws://fe80::1",
                "\"ws://fe80::1\" has more than one colon in its host; an IPv6 address needs [ ]; did you mean ws://[fe80::1]?",
            ),
            (
                "https:/h:4320",
                "\"https:/h:4320\" has no scheme, must begin with http://, https://, ws:// or wss://; did you mean https://h:4320?",
            ),
            (
                "http://b\u{fc}cher.example/",
                "\"http://b\u{fc}cher.example/\" has the character '\u{fc}' (U+00FC) in its host; use its xn-- form",
            ),
            (
                "http://h/\u{fc}",
                "\"http://h/\u{fc}\" has the character '\u{fc}' (U+00FC) behind 9 characters",
            ),
            (
                "http://h/\u{200b}",
                "\"http://h/\\u{200b}\" has the character '\\u{200b}' (U+200B) behind 9 characters",
            ),
            (
                "ftp://h/",
                "\"ftp://h/\" has scheme \"ftp\", must be http, https, ws, wss, http+unix or ws+unix",
            ),
            (
                "http://h:99999/?token=secret",
                "\"http://h:99999/?..\" port must be 1 to 65535",
            ),
        ] {
            assert_eq!(said(given), format!("endpoint {text}"));
        }
    }

    /// A password is not quoted, wherever it stands.
    #[test]
    fn user_info_is_never_quoted() {
        for given in [
            "http://me:pa55@h/",
            "me:pa55@h:4320",
            "me:pa\u{fc}55@h",
            "http:/me:pa55@h",
            "http://me:pa55 @h/",
            "http://me:pa/55@h/#",
            "pa55://me@h/",
            "https://me:pa55",
            "me:pa55",
            "http://me:pa55:80/",
            "http://[::1]:pa55/",
        ] {
            let text = said(given);
            for part in ["pa55", "\u{fc}", "me:", "55"] {
                assert!(!text.contains(part) || text.contains("65535"), "{text}");
            }
        }
    }
}
