//! The usual variables: http_proxy, https_proxy, all_proxy, and no_proxy with its exceptions.

use std::net::IpAddr;

use super::{Proxy, ProxyError};
use crate::transport::endpoint::{Endpoint, without_zone};
use crate::transport::variables::variable;

/// The variables as they were once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// For http and ws.
    plain: Option<Result<Proxy, ProxyError>>,
    /// For https and wss.
    tls: Option<Result<Proxy, ProxyError>>,
    exceptions: Vec<Exception>,
}

/// A server that is reached without a proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Exception {
    hosts: Hosts,
    /// `None`: any.
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Hosts {
    All,
    /// This name and all names under it.
    Domain(String),
    /// Addresses that have these first bits.
    Network(IpAddr, u32),
}

impl Environment {
    /// Beside a setenv of the host this may crash, so it is done at start, on the host's own
    /// thread, only.
    pub fn read() -> Environment {
        // What is not UTF-8 is no URL either, and said to be none.
        Environment::from(|name| Some(variable(name)?.to_string_lossy().into_owned()))
    }

    /// `HTTP_PROXY` in capitals is not looked at: a web server's child has it from a request's
    /// `Proxy` header.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Environment {
        let first = |names: &[&str]| {
            let mut set = names
                .iter()
                .filter_map(|&name| Some((name.to_owned(), variable(name)?)));
            set.find(|(_, value)| !value.trim().is_empty())
        };
        let proxy = |names: &[&str]| {
            let (name, value) = first(names)?;
            let proxy = Proxy::parse(&usual(value.trim()));
            Some(proxy.map_err(|why| {
                let text = format!("environment variable {name}: {}", why.text);
                ProxyError { text, ..why }
            }))
        };
        let exceptions = first(&["no_proxy", "NO_PROXY"])
            .map(|(_, value)| value)
            .unwrap_or_default();
        Environment {
            plain: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            tls: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            exceptions: exceptions
                .split([',', ' ', '\t'])
                .filter_map(Exception::parse)
                .collect(),
        }
    }

    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        let all = [&self.plain, &self.tls].into_iter().flatten();
        all.filter_map(|proxy| proxy.as_ref().ok())
    }

    pub(super) fn of(&self, endpoint: &Endpoint) -> Result<Option<&Proxy>, ProxyError> {
        let proxy = match endpoint.scheme().is_tls() {
            true => &self.tls,
            false => &self.plain,
        };
        match proxy {
            Some(proxy) if !self.excepts(endpoint) => {
                proxy.as_ref().map(Some).map_err(Clone::clone)
            }
            _ => Ok(None),
        }
    }

    fn excepts(&self, endpoint: &Endpoint) -> bool {
        let host = without_zone(endpoint.host())
            .trim_end_matches('.')
            .to_ascii_lowercase();
        self.exceptions
            .iter()
            .any(|e| e.port.is_none_or(|port| port == endpoint.port()) && e.hosts.has(&host))
    }
}

impl Exception {
    /// `*`, `example.com`, `.example.com`, `*.example.com`, an address, `10.0.0.0/8`, `[::1]`; each
    /// with `:port` or without. What is none of these excepts nothing.
    fn parse(text: &str) -> Option<Exception> {
        let text = text.trim().to_ascii_lowercase();
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                (host, port.strip_prefix(':'))
            }
            // More than one colon is an IPv6 address without brackets.
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text.as_str(), None),
            },
        };
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        let hosts = Hosts::parse(host)?;
        Some(Exception { hosts, port })
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Hosts> {
        if text == "*" {
            return Some(Hosts::All);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(all);
            return (bits <= all).then_some(Hosts::Network(address, bits));
        }
        let domain = text.strip_prefix('*').unwrap_or(text).trim_matches('.');
        (!domain.is_empty() && bits.is_none()).then(|| Hosts::Domain(domain.to_owned()))
    }

    fn has(&self, host: &str) -> bool {
        match (self, host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Network(network, bits), Ok(address)) => {
                network.is_ipv4() == address.is_ipv4()
                    && (number(*network) ^ number(address))
                        .checked_shr(128 - bits)
                        .unwrap_or(0)
                        == 0
            }
            (Hosts::Domain(domain), Err(_)) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            _ => false,
        }
    }
}

/// Desktops write `socks` where they mean version 5.
fn usual(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("socks") => format!("socks5://{rest}"),
        _ => url.to_owned(),
    }
}

/// An address as the first bits of a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Environment {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Environment::from(move |name| {
            let found = variables.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone())
        })
    }

    /// Who carries requests to this URL.
    fn way(environment: &Environment, url: &str) -> String {
        let endpoint = Endpoint::parse(url).unwrap();
        match environment.of(&endpoint) {
            Ok(Some(proxy)) => format!("{}:{}", proxy.host, proxy.port),
            Ok(None) => "direct".to_owned(),
            Err(e) => e.to_string(),
        }
    }

    /// [PROXY-02]
    #[test]
    fn each_scheme_has_its_variable() {
        let both = with(&[("http_proxy", "plain:1"), ("HTTPS_PROXY", "http://tls:2")]);
        assert_eq!(way(&both, "http://a/"), "plain:1");
        assert_eq!(way(&both, "ws://a/"), "plain:1");
        assert_eq!(way(&both, "https://a/"), "tls:2");
        assert_eq!(way(&both, "wss://a/"), "tls:2");
        let small = with(&[("https_proxy", "small"), ("HTTPS_PROXY", "large")]);
        assert_eq!(way(&small, "https://a/"), "small:80");
        let all = with(&[("ALL_PROXY", "socks5://all"), ("http_proxy", " ")]);
        assert_eq!(way(&all, "http://a/"), "all:1080");
        assert_eq!(way(&all, "https://a/"), "all:1080");
        assert_eq!(
            way(&with(&[("HTTP_PROXY", "evil:1")]), "http://a/"),
            "direct"
        );
        assert_eq!(way(&with(&[]), "https://a/"), "direct");
        // GNOME's.
        let socks = with(&[("all_proxy", "socks://127.0.0.1:9050/")]);
        assert_eq!(way(&socks, "https://a/"), "127.0.0.1:9050");
        assert!(Proxy::parse("socks://127.0.0.1:9050/").is_err());
        let wrong = with(&[("https_proxy", "ftp://me:secret@x"), ("http_proxy", "fine")]);
        assert_eq!(way(&wrong, "http://a/"), "fine:80");
        let text = way(&wrong, "https://a/");
        assert!(text.starts_with("environment variable https_proxy: "));
        assert!(!text.contains("secret"));
        let other = way(&with(&[("all_proxy", "http://\u{fffd}/")]), "https://a/");
        assert!(
            other.starts_with("environment variable all_proxy: "),
            "{other}"
        );
    }

    /// [PROXY-02]
    #[test]
    fn exceptions_are_names_addresses_networks_and_ports() {
        let direct = |exceptions: &str, url: &str| {
            let environment = with(&[("http_proxy", "p"), ("no_proxy", exceptions)]);
            way(&environment, url) == "direct"
        };
        for (exceptions, url) in [
            ("*", "http://anything.example/"),
            ("a.example", "http://a.example/"),
            ("a.example", "http://b.A.Example./"),
            (".a.example", "http://a.example/"),
            ("*.a.example", "http://x.y.a.example/"),
            ("A.EXAMPLE.", "http://a.example/"),
            ("x, a.example:8080 ,y", "http://a.example:8080/"),
            ("a.example:80", "http://a.example/"),
            ("127.0.0.1", "http://127.0.0.1:9/"),
            ("10.0.0.0/8", "http://10.200.3.4/"),
            ("192.168.1.64/26", "http://192.168.1.127/"),
            ("0.0.0.0/0", "http://1.2.3.4/"),
            ("::1", "http://[::1]/"),
            ("[::1]:81", "http://[::1]:81/"),
            ("fd00::/8", "http://[fdab::1]/"),
            ("::/0", "http://[fdab::1]/"),
            ("fe80::/10", "http://[fe80::1%25eth0]/"),
        ] {
            assert!(
                direct(exceptions, url),
                "{exceptions} does not except {url}"
            );
        }
        for (exceptions, url) in [
            ("", "http://a.example/"),
            ("a.example", "http://ba.example/"),
            ("a.example", "http://a.example.org/"),
            ("a.example:81", "http://a.example/"),
            ("a.example:x", "http://a.example/"),
            ("0.0.1", "http://127.0.0.1/"),
            ("127.0.0.1", "http://localhost/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/33", "http://10.0.0.1/"),
            ("10.0.0.0/8", "http://[::a00:1]/"),
            ("192.168.1.64/26", "http://192.168.1.128/"),
            ("::1", "http://[::2]/"),
            (".", "http://a.example/"),
            ("a.*", "http://a.example/"),
        ] {
            assert!(!direct(exceptions, url), "{exceptions} excepts {url}");
        }
    }
}
