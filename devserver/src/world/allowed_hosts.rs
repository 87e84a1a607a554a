//! Which `Host` a request may name, and which `Origin`. A web page can reach loopback, and what is
//! offered here may run commands on an agent; one whose name is made to resolve to this machine
//! (DNS rebinding) even is of the same origin. The browser's `Host` and `Origin` tell such a page
//! from everything else.
use std::net::IpAddr;

use crate::vocabulary::head::Head;

#[derive(Debug)]
pub(crate) struct AllowedHosts {
    listening: IpAddr,
    /// As `--allow-host` gave them.
    names: Vec<String>,
}

impl AllowedHosts {
    pub(crate) fn new(listening: IpAddr, names: Vec<String>) -> Self {
        Self { listening, names }
    }

    /// Why a request is not served.
    pub(crate) fn refusal(&self, head: &Head) -> Option<String> {
        let host = head.header("host");
        if let Some(name) = host.map(name_of).filter(|name| !self.has(name)) {
            return Some(format!(
                "Host {name:?} is neither the listening address nor a loopback name; \
                 start the server with --allow-host NAME to accept it"
            ));
        }
        let origin = head.header("origin")?;
        let of_page = origin.split_once("://").map(|(_, host)| host);
        (of_page != host).then(|| format!("Origin {origin:?} is not that of the Host"))
    }

    fn has(&self, name: &str) -> bool {
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse::<IpAddr>() {
            // No name server decides where an address leads.
            let is_any = self.listening.is_unspecified();
            return address.is_loopback() || is_any || address == self.listening;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_loopback = name == "localhost" || name.ends_with(".localhost");
        is_loopback
            || self
                .names
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(&name))
    }
}

/// The value without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
