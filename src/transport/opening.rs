//! What the head of each request to one target begins with.

use super::endpoint::without_zone;
use super::proxy::Proxies;
use super::{Endpoint, Headers};

#[derive(Debug)]
pub(crate) struct Opening {
    /// The first line, with the path as it was given; the whole URL where a proxy passes the
    /// request on.
    pub(crate) line: String,
    pub(crate) host: String,
    /// For the proxy that passes the request on; `None`: there is none.
    pub(crate) to_proxy: Option<Headers>,
}

impl Opening {
    pub(crate) fn new(endpoint: &Endpoint, proxies: &Proxies) -> Opening {
        let host = authority(endpoint);
        let path = endpoint.path_and_query();
        let slash = if path.starts_with('/') { "" } else { "/" };
        // One that can not be used fails the connect.
        let proxy = proxies.of(endpoint).ok().flatten();
        let proxy = proxy.filter(|proxy| proxy.passes_on(endpoint));
        let before = match proxy {
            Some(_) => format!("http://{host}"),
            None => String::new(),
        };
        Opening {
            line: format!("POST {before}{slash}{path} HTTP/1.1\r\n"),
            host,
            to_proxy: proxy.map(|proxy| proxy.headers(&proxies.headers)),
        }
    }
}

/// For the header `Host`.
pub(crate) fn authority(endpoint: &Endpoint) -> String {
    let (host, port) = (without_zone(endpoint.host()), endpoint.port());
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    match (endpoint.scheme().is_tls(), port) {
        (true, 443) | (false, 80) => host,
        _ => format!("{host}:{port}"),
    }
}
