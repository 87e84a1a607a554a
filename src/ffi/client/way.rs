//! The way to the server: headers, the host's own stack, proxies, redirects, TLS.

use std::{ffi::c_char, path::PathBuf};

use super::{
    super::{
        calls, convert,
        error::opamp_error,
        status::{Outcome, Refusal, opamp_status},
    },
    call, opamp_client,
};
use crate::agent::{Identity, Reason, Roots, shown};

/// # Safety
/// As `convert::text`.
unsafe fn header_value<'a>(name: &str, value: *const c_char) -> Outcome<Option<&'a str>> {
    // SAFETY: the caller's promise.
    unsafe { convert::text_or_none(value, &format!("value of the header {:?}", shown(name))) }
}

/// Sets a header of every request, or with a NULL value takes it away. Used from the next request
/// on, so a fresh token may be set while an agent runs; after a 401 or 403 it is tried at once.
/// Over WebSocket only a new connection has a request: opamp_agent_reconnect makes one. A
/// `User-Agent` replaces the library's own. name, value: copied; the value is in no log line or
/// error text.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not legal in HTTP, or a
/// header that the library itself must set). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_header(
    client: *mut opamp_client,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_HEADER, client, err, |client| {
        let name = convert::text(name, "header name")?;
        Ok(client.set_header(name, header_value(name, value)?)?)
    })
}

/// Sets what stands before the library's own name in `User-Agent`, as "my-agent/1.2"; NULL:
/// nothing. prefix: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG,
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_user_agent_prefix(
    client: *mut opamp_client,
    prefix: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_USER_AGENT_PREFIX,
        client,
        err,
        |client| Ok(client.set_user_agent_prefix(convert::text_or_none(prefix, "prefix")?)?),
    )
}

/// Chooses the host's own HTTP stack (1) or the library's (0, the default): each exchange then
/// comes as an opamp_request. WebSocket has no exchanges, so it is for HTTP endpoints alone.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_UNSUPPORTED (a
/// WebSocket endpoint), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_use_custom_transport(
    client: *mut opamp_client,
    on: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_USE_HOST_TRANSPORT, client, err, |client| {
        Ok(client.use_custom_transport(on != 0)?)
    })
}

/// Reaches the server through a proxy, whatever the environment says:
/// `[scheme://][user[:password]@]host[:port]`, the scheme one of http (also without one), https,
/// socks5 (names are looked up here) and socks5h (by the proxy); ports 80, 443 and 1080 where none
/// is given. User and password are percent-decoded and in no log line or error text. An http or
/// https proxy passes on the requests of a http:// endpoint itself; for all others it is asked to
/// CONNECT. TLS with an https proxy uses this client's own authorities and client certificate,
/// which may then be set for a http:// endpoint, too. The host's own transport takes no notice of
/// it. NULL: no proxy of the host's own, so that the environment decides
/// (opamp_client_use_proxy_environment). url: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no host,
/// another scheme, a path, a login that the proxy's protocol can not say; or, on a http://
/// endpoint, TLS settings that would then have no effect), OPAMP_E_STATE while an agent runs;
/// nothing changes then. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_proxy(
    client: *mut opamp_client,
    url: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_PROXY, client, err, |client| {
        Ok(client.set_proxy(convert::text_or_none(url, "proxy")?)?)
    })
}

/// Sets a header for http and https proxies alone, or with a NULL value takes it away: sent with
/// CONNECT and with each request that the proxy passes on itself, never to the server through an
/// opened way. A `Proxy-Authorization` replaces the login in the proxy's URL. name, value: copied;
/// the value is in no log line or error text.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (as
/// opamp_client_set_header), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_proxy_header(
    client: *mut opamp_client,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_PROXY_HEADER, client, err, |client| {
        let name = convert::text(name, "header name")?;
        Ok(client.set_proxy_header(name, header_value(name, value)?)?)
    })
}

/// Whether, without opamp_client_set_proxy, the environment names the proxy (1, the default) or
/// nobody does (0). It is read by opamp_agent_start (and opamp_client_exchange), on the caller's
/// thread: http_proxy for http and ws, https_proxy or HTTPS_PROXY for https and wss, else all_proxy
/// or ALL_PROXY; not where no_proxy or NO_PROXY excepts the server with `*`, a name (and all under
/// it), an address, a network such as 10.0.0.0/8, each with `:port` or without. Loopback is
/// excepted only there. `socks://` is SOCKS5 here. A variable that names no usable proxy makes the
/// start fail, with its name. A program with more rights than its caller (set-user-id,
/// set-group-id, file capabilities) reads none of them, nor SSL_CERT_FILE and SSL_CERT_DIR.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_STATE while an agent
/// runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_use_proxy_environment(
    client: *mut opamp_client,
    on: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_USE_PROXY_ENVIRONMENT,
        client,
        err,
        |client| Ok(client.use_proxy_environment(on != 0)?),
    )
}

/// Lets a redirect lead to this scheme, host and port as well (`https://gateway.example:8443`);
/// NULL: from now on again to none but the endpoint's own. A 307 or 308 sends the message there;
/// 301, 302 and 303 are followed only by a WebSocket's request. Another origin than the endpoint's
/// gets neither the headers of opamp_client_set_header nor the client certificate, nor does the
/// endpoint's own server when the chain comes back to it, except at the very path and query of the
/// endpoint; nothing is ever followed from TLS to plaintext; OPAMP_OPTION_REDIRECT_LIMIT bounds the
/// chain, 0 follows none. The host is told of each (on_redirect); one that is not followed is a
/// failed try, repeated with the backoff, and the endpoint stays the place where the next one
/// begins. ws and wss count as http and https. origin: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL,
/// or more than scheme, host and port; NULL where TLS settings would then have no effect),
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_allow_redirect_to(
    client: *mut opamp_client,
    origin: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_ALLOW_REDIRECT_TO, client, err, |client| {
        Ok(client.allow_redirect_to(convert::text_or_none(origin, "origin")?)?)
    })
}

/// Trusts the certificates in a PEM file, and no others. The three opamp_client_set_ca_* replace
/// each other; NULL: back to the system's. The file is read here to check it, at start, and again
/// at each new connection. A CA certificate vouches for servers within its dates
/// (OPAMP_OPTION_ACCEPT_EXPIRED_CA); any other certificate is a pin: accepted only from the server
/// itself, with its name and dates. Revocation is not checked. path: copied; any bytes; a regular
/// file.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: for reading the file. Errors:
/// OPAMP_E_INVALID_ARG (a http endpoint, no certificate there, or a damaged one), OPAMP_E_STATE
/// while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_ca_file(
    client: *mut opamp_client,
    path: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CA_FILE, client, err, |client| {
        Ok(client.set_roots(convert::path_or_none(path).map_or(Roots::Default, Roots::File))?)
    })
}

/// Trusts the certificates in the PEM files of a folder, and no others. Otherwise as
/// opamp_client_set_ca_file.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: for reading the files. Errors: as
/// opamp_client_set_ca_file. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_ca_dir(
    client: *mut opamp_client,
    path: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CA_DIR, client, err, |client| {
        Ok(client.set_roots(convert::path_or_none(path).map_or(Roots::Default, Roots::Folder))?)
    })
}

/// Trusts the certificates in a PEM text, and no others. pem: copied; (NULL, 0): back to the
/// system's. Otherwise as opamp_client_set_ca_file.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_set_ca_file,
/// and OPAMP_E_INVALID_ARG for a text without a certificate. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_ca_pem(
    client: *mut opamp_client,
    pem: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CA_PEM, client, err, |client| {
        let roots = match convert::bytes(pem, len, "certificates")? {
            [] => Roots::Default,
            pem => Roots::Memory(pem.into()),
        };
        Ok(client.set_roots(roots)?)
    })
}

/// Shows the server a client certificate: a PEM file with its chain, and one with its key (NULL:
/// the same file). Read here to check them, at start, and again at each new connection, so a
/// rotated pair is used. A NULL certificate: none. Paths: copied; any bytes.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: for reading the files. Errors:
/// OPAMP_E_INVALID_ARG (a http endpoint, a key without a certificate, unreadable files, an
/// encrypted key, or not a pair), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_client_certificate_files(
    client: *mut opamp_client,
    certificate_path: *const c_char,
    key_path: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_CLIENT_CERTIFICATE_FILES,
        client,
        err,
        |client| {
            let paths = (
                convert::path_or_none(certificate_path),
                convert::path_or_none(key_path),
            );
            Ok(client.set_client_certificate(identity_files(paths)?)?)
        },
    )
}

fn lone_key() -> Refusal {
    Refusal::argument("a private key without a client certificate").because(Reason::NullPointer)
}

fn identity_files(paths: (Option<PathBuf>, Option<PathBuf>)) -> Outcome<Option<Identity>> {
    match paths {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(lone_key()),
        (Some(certificate), key) => {
            let key = key.unwrap_or_else(|| certificate.clone());
            Ok(Some(Identity::Files { certificate, key }))
        }
    }
}

/// Shows the server a client certificate from PEM texts. Both are copied; an empty key means that
/// it stands in the certificate's text; both empty: none.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (http
/// endpoint, no certificate or key in the texts, or not a pair), OPAMP_E_STATE while an agent runs.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_client_certificate_pem(
    client: *mut opamp_client,
    certificate: *const u8,
    certificate_len: usize,
    key: *const u8,
    key_len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_CLIENT_CERTIFICATE_PEM,
        client,
        err,
        |client| {
            let certificate = convert::bytes(certificate, certificate_len, "certificate")?;
            let key = convert::bytes(key, key_len, "key")?;
            let identity = match (certificate, key) {
                ([], []) => None,
                ([], _) => return Err(lone_key()),
                (certificate, key) => Some(Identity::Memory {
                    certificate: certificate.into(),
                    key: if key.is_empty() { certificate } else { key }.into(),
                }),
            };
            Ok(client.set_client_certificate(identity)?)
        },
    )
}

/// Disables certificate verification (1): any certificate of any kind is accepted, so whoever sits
/// on the way can read and change everything. For trials only. Default: 0.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG on a http
/// endpoint, OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_insecure_skip_verify(
    client: *mut opamp_client,
    on: i32,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_INSECURE_SKIP_VERIFY,
        client,
        err,
        |client| Ok(client.set_insecure_skip_verify(on != 0)?),
    )
}
