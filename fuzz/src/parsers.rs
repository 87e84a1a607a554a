//! What needs no connection.

use std::io::Read;
use std::time::Duration;

use opamp::transport::proxy::{Choice, Environment};
use opamp::transport::{Endpoint, Headers, Proxies, Proxy, Secrets, fuzzing};

/// The walk through a certificate.
pub(crate) fn certificates(input: &[u8]) {
    fuzzing::certificate(input);
}

/// What ours reads as gzip to its end, flate2 reads the same.
pub(crate) fn gunzip(input: &[u8]) {
    const LIMIT: u64 = 1 << 20;
    // A sum of the head alone is looked at by flate2 and not by us: it proves nothing of the body.
    let has_head_sum = |head: &[u8]| head[..3] == [0x1f, 0x8b, 8] && head[3] & 2 != 0;
    if input.windows(4).any(has_head_sum) {
        return;
    }
    let Ok(ours) = fuzzing::gunzip(input, LIMIT) else {
        return;
    };
    let mut theirs = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(input);
    if let Err(why) = decoder.take(LIMIT).read_to_end(&mut theirs) {
        panic!("read as gzip, though it is none: {why}");
    }
    assert!(ours == theirs, "other bytes than flate2's");
}

/// A peer's words beside our secrets.
pub(crate) fn quotes(input: &[u8]) {
    const SECRET: &str = "canary-token-4f1d";
    let mut headers = Headers::default();
    headers
        .set("Authorization", &format!("Bearer {SECRET}"))
        .unwrap();
    let proxies = Proxies::default();
    let told = Secrets::new(&headers, &proxies).quoted(&String::from_utf8_lossy(input));
    check_words(&told);
    assert!(told.len() <= 256, "{} bytes", told.len());
    let bare = |text: &str| {
        text.to_ascii_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "")
    };
    let (text, secret) = (bare(&told), bare(SECRET));
    let mut parts = secret.as_bytes().windows(6).map(String::from_utf8_lossy);
    assert!(
        !parts.any(|part| text.contains(&*part)),
        "a secret is shown: {told}"
    );
}

/// One line without what a terminal would obey.
pub(crate) fn check_words(text: &str) {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}'
                | '\u{2060}'..='\u{206f}' | '\u{fdd0}'..='\u{fdef}')
    };
    assert!(!text.contains(is_odd), "{text:?}");
}

/// Lines: a URL, a proxy, exceptions, a wait.
pub(crate) fn urls(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, proxy, exceptions, wait) = (line(), line(), line(), line());
    let endpoint = Endpoint::parse(url);
    if let Ok(endpoint) = &endpoint {
        assert_eq!(Endpoint::parse(endpoint.as_str()).as_ref(), Ok(endpoint));
        assert!(!endpoint.host().is_empty() || endpoint.socket().is_some());
        assert!(endpoint.port() > 0);
    }
    let _ = Proxy::parse(proxy);
    let environment = Environment::from(|name| match name {
        "all_proxy" => Some(proxy.to_owned()),
        "no_proxy" => Some(exceptions.to_owned()),
        _ => None,
    });
    let proxies = Proxies {
        choice: Choice::Environment(environment),
        ..Proxies::default()
    };
    let known = Endpoint::parse("https://a.example:444/").unwrap();
    for endpoint in endpoint.iter().chain([&known]) {
        let _ = proxies.of(endpoint).map_err(|why| why.to_string());
    }
    if let Some(wait) = fuzzing::retry_after(wait) {
        assert!(!wait.is_zero() && wait <= Duration::from_secs(101 * 365 * 86_400));
    }
    let _ = Headers::default().set(url, proxy);
}
