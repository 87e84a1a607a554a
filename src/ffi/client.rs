//! `opamp_client`: who the agent is, where the server is, and what is true of the agent now.

use std::{ffi::c_char, path::PathBuf, ptr, sync::Arc};

use super::{
    attributes::{self, opamp_attributes},
    calls,
    config_map::opamp_config_map,
    convert,
    error::opamp_error,
    guard,
    guard::{Handle, Life},
    message::{self, opamp_message},
    status::{Outcome, Refusal, opamp_status},
};
use crate::{
    agent::{Client, Identity, Roots},
    proto,
};

/// Who the agent is, where the server is, how to get there, and what is true of the agent now. Reference counted; it has
/// no thread and no socket. Connection settings are fixed while an agent runs on it, headers excepted; what is true of
/// the agent may be set at any time, from any thread and any callback. One agent at a time runs on a client.
pub struct opamp_client {
    life: Life,
    pub(super) client: Arc<Client>,
}

impl Handle for opamp_client {
    fn life(&self) -> &Life {
        &self.life
    }
}

unsafe fn call(
    row: &calls::Call,
    client: *const opamp_client,
    err: *mut *mut opamp_error,
    body: impl FnOnce(&Client) -> Outcome,
) -> opamp_status {
    guard::call(row, client, err, |client| body(&client.client))
}

/// Makes a client for a server: `http://host[:port][/path][?query]`, `https://..`, `ws://..` or `wss://..`, used as given,
/// nothing added; or one behind a unix socket, `http+unix://%2Frun%2Fopamp.sock/path` or `ws+unix://..`: the socket's
/// absolute path, of at most 107 bytes and percent-encoded, stands in the place of the host (requests then name the host
/// `localhost`, and go through no proxy). The scheme alone selects the transport: HTTP polls, WebSocket keeps one
/// connection on which the server speaks when it likes; nothing else that a host calls or hears is different.
/// endpoint: copied. out: the new client, one reference, yours to opamp_client_unref. err: may be NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL, a scheme of another world, no host, user
/// info in it, a bad path of a socket), OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_new(
    endpoint: *const c_char,
    out: *mut *mut opamp_client,
    err: *mut *mut opamp_error,
) -> opamp_status {
    guard::open(&calls::CLIENT_NEW, err, || {
        convert::wanted(out)?;
        let client = Client::new(convert::text(endpoint, "the endpoint")?)?;
        let handle = Arc::new(opamp_client {
            life: Life::new(),
            client,
        });
        convert::put(out, Arc::into_raw(handle).cast_mut());
        Ok(())
    })
}

/// Adds a reference and answers the same client; NULL: NULL.
///
/// Threads: any. Callbacks: yes. Blocks: no. In a forked child: NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_ref(client: *mut opamp_client) -> *mut opamp_client {
    guard::read(&calls::CLIENT_REF, client, ptr::null_mut(), |_| {
        Arc::increment_strong_count(client.cast_const());
        client
    })
}

/// Gives a reference back; the last one frees the client. An agent holds one of its own, so the order of frees does not
/// matter.
///
/// Threads: any. Callbacks: yes. Blocks: no. NULL or in a forked child: nothing. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_unref(client: *mut opamp_client) {
    guard::release(&calls::CLIENT_UNREF, client, |client| {
        drop(Arc::from_raw(client))
    });
}

/// Sets another server, as in opamp_client_new. endpoint: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_new, and OPAMP_E_STATE while an agent
/// runs; nothing changes then. TLS settings on a http endpoint are refused here or by their setter, whichever comes
/// second. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_endpoint(
    client: *mut opamp_client,
    endpoint: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_ENDPOINT, client, err, |client| {
        Ok(client.set_endpoint(convert::text(endpoint, "the endpoint")?)?)
    })
}

/// Sets the instance uid: 16 bytes, not all zero, usually a UUID. Without it the library makes a version 7 one. uid:
/// copied. A host that wants to be the same agent after a restart keeps the uid itself (see opamp_client_instance_uid and
/// on_new_uid) and sets it here.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG, OPAMP_E_STATE while an agent
/// runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_instance_uid(
    client: *mut opamp_client,
    uid: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_INSTANCE_UID, client, err, |client| {
        Ok(client.set_instance_uid(convert::bytes(uid, len, "the uid")?)?)
    })
}

/// Writes the present instance uid to `uid`, which has room for `len` = 16 bytes. The server may have assigned another
/// one since (on_new_uid).
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for NULL or another length. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_instance_uid(
    client: *const opamp_client,
    uid: *mut u8,
    len: usize,
) -> opamp_status {
    call(
        &calls::CLIENT_INSTANCE_UID,
        client,
        ptr::null_mut(),
        |client| {
            convert::wanted(uid)?;
            if len != 16 {
                return Err(Refusal::argument("an instance uid has 16 bytes"));
            }
            uid.cast::<[u8; 16]>()
                .write_unaligned(client.instance_uid());
            Ok(())
        },
    )
}

/// Asks the server (1) or no longer (0) to assign an instance uid; until it has, the present one counts as temporary.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_STATE for 0 while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_request_instance_uid(
    client: *mut opamp_client,
    on: i32,
) -> opamp_status {
    call(
        &calls::CLIENT_REQUEST_INSTANCE_UID,
        client,
        ptr::null_mut(),
        |client| Ok(client.request_instance_uid(on != 0)?),
    )
}

/// Sets a header of every request, or with a NULL value takes it away. Used from the next request on, so a fresh token
/// may be set while an agent runs; after a 401 or 403 it is tried at once. Over WebSocket only a new connection has a
/// request: opamp_agent_reconnect makes one. A `User-Agent` replaces the library's own.
/// name, value: copied; the value is in no log line or error text.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (not legal in HTTP, or a header that the library
/// itself must set). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_header(
    client: *mut opamp_client,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_HEADER, client, err, |client| {
        let name = convert::text(name, "the header's name")?;
        Ok(client.set_header(name, convert::text_or_none(value, "the header's value")?)?)
    })
}

/// Sets what stands before the library's own name in `User-Agent`, as "my-agent/1.2"; NULL: nothing. prefix: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG, OPAMP_E_STATE while an agent
/// runs. Since: 0.1.
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
        |client| Ok(client.set_user_agent_prefix(convert::text_or_none(prefix, "the prefix")?)?),
    )
}

/// Chooses the host's own HTTP stack (1) or the library's (0, the default): each exchange then comes as an opamp_request.
/// WebSocket has no exchanges, so it is for HTTP endpoints alone.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_UNSUPPORTED (a WebSocket endpoint),
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_use_host_transport(
    client: *mut opamp_client,
    on: i32,
) -> opamp_status {
    call(
        &calls::CLIENT_USE_HOST_TRANSPORT,
        client,
        ptr::null_mut(),
        |client| Ok(client.use_host_transport(on != 0)?),
    )
}

/// Reaches the server through a proxy, whatever the environment says: `[scheme://][user[:password]@]host[:port]`, the
/// scheme one of http (also without one), https, socks5 (names are looked up here) and socks5h (by the proxy); ports 80,
/// 443 and 1080 where none is given. User and password are percent-decoded and in no log line or error text. An http or
/// https proxy passes on the requests of a http:// endpoint itself; for all others it is asked to CONNECT. TLS with an
/// https proxy uses this client's own authorities and client certificate, which may then be set for a http:// endpoint,
/// too. The host's own transport takes no notice of it. NULL: no proxy of the host's own, so that the environment decides (opamp_client_use_proxy_environment). url: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no host, another scheme, a path, a
/// login that the proxy's protocol can not say; or, on a http:// endpoint, TLS settings that would then have no effect),
/// OPAMP_E_STATE while an agent runs; nothing changes then. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_proxy(
    client: *mut opamp_client,
    url: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_PROXY, client, err, |client| {
        Ok(client.set_proxy(convert::text_or_none(url, "the proxy")?)?)
    })
}

/// Sets a header for http and https proxies alone, or with a NULL value takes it away: sent with CONNECT and with each
/// request that the proxy passes on itself, never to the server through an opened way. A `Proxy-Authorization` replaces the
/// login in the proxy's URL. name, value: copied; the value is in no log line or error text.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (as opamp_client_set_header),
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_proxy_header(
    client: *mut opamp_client,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_PROXY_HEADER, client, err, |client| {
        let name = convert::text(name, "the header's name")?;
        Ok(client.set_proxy_header(name, convert::text_or_none(value, "the header's value")?)?)
    })
}

/// Whether, without opamp_client_set_proxy, the environment names the proxy (1, the default) or nobody does (0). It is
/// read by opamp_agent_start (and opamp_client_exchange), on the caller's thread: http_proxy for http and ws, https_proxy
/// or HTTPS_PROXY for https and wss, else all_proxy or ALL_PROXY; not where no_proxy or NO_PROXY excepts the server with
/// `*`, a name (and all under it), an address, a network such as 10.0.0.0/8, each with `:port` or without. Loopback is
/// excepted only there. A variable that names no usable proxy makes the start fail.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_use_proxy_environment(
    client: *mut opamp_client,
    on: i32,
) -> opamp_status {
    call(
        &calls::CLIENT_USE_PROXY_ENVIRONMENT,
        client,
        ptr::null_mut(),
        |client| Ok(client.use_proxy_environment(on != 0)?),
    )
}

/// Lets a redirect lead to this scheme, host and port as well (`https://gateway.example:8443`); NULL: from now on again to
/// none but the endpoint's own. A 307 or 308 sends the message there; 301, 302 and 303 are followed only by a WebSocket's
/// request. Another origin than the endpoint's gets neither the headers of opamp_client_set_header nor the client
/// certificate; nothing is ever followed from TLS to plaintext; OPAMP_OPTION_REDIRECT_LIMIT bounds the chain, 0 follows
/// none. The host is told of each (on_redirect); one that is not followed is a failed try, and the endpoint stays the place
/// where the next one begins. ws and wss count as http and https. origin: copied.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no URL, or more than scheme, host
/// and port; NULL where TLS settings would then have no effect), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_allow_redirect_to(
    client: *mut opamp_client,
    origin: *const c_char,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_ALLOW_REDIRECT_TO, client, err, |client| {
        Ok(client.allow_redirect_to(convert::text_or_none(origin, "the origin")?)?)
    })
}

/// Trusts the certificates in a PEM file, and no others. The three opamp_client_set_ca_* replace each other; NULL: back
/// to the system's. The file is read here to check it, at start, and again at each new connection. path: copied; any bytes.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: for reading the file. Errors: OPAMP_E_INVALID_ARG (a http
/// endpoint, or no certificate there), OPAMP_E_STATE while an agent runs. Since: 0.1.
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

/// Trusts the certificates in the PEM files of a folder, and no others. Otherwise as opamp_client_set_ca_file.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_set_ca_file. Since: 0.1.
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

/// Trusts the certificates in a PEM text, and no others. pem: copied; (NULL, 0): back to the system's. Otherwise as
/// opamp_client_set_ca_file.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: as opamp_client_set_ca_file, and
/// OPAMP_E_INVALID_ARG for a text without a certificate. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_ca_pem(
    client: *mut opamp_client,
    pem: *const u8,
    len: usize,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CA_PEM, client, err, |client| {
        let roots = match convert::bytes(pem, len, "the certificates")? {
            [] => Roots::Default,
            pem => Roots::Memory(pem.into()),
        };
        Ok(client.set_roots(roots)?)
    })
}

/// Shows the server a client certificate: a PEM file with its chain, and one with its key (NULL: the same file). Read here
/// to check them, at start, and again at each new connection, so a rotated pair is used. A NULL certificate: none. Paths: copied; any bytes.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: for reading the files. Errors: OPAMP_E_INVALID_ARG (a http
/// endpoint, a key without a certificate, unreadable files, an encrypted key, or not a pair), OPAMP_E_STATE while an
/// agent runs. Since: 0.1.
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

fn identity_files(paths: (Option<PathBuf>, Option<PathBuf>)) -> Outcome<Option<Identity>> {
    match paths {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Refusal::argument("a key without a certificate")),
        (Some(certificate), key) => {
            let key = key.unwrap_or_else(|| certificate.clone());
            Ok(Some(Identity::Files { certificate, key }))
        }
    }
}

/// Shows the server a client certificate from PEM texts. Both are copied; an empty key means that it stands in the
/// certificate's text; both empty: none.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (http endpoint, no certificate or
/// key in the texts, or not a pair), OPAMP_E_STATE while an agent runs. Since: 0.1.
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
            let certificate = convert::bytes(certificate, certificate_len, "the certificate")?;
            let key = convert::bytes(key, key_len, "the key")?;
            let identity = match (certificate, key) {
                ([], []) => None,
                ([], _) => return Err(Refusal::argument("a key without a certificate")),
                (certificate, key) => Some(Identity::Memory {
                    certificate: certificate.into(),
                    key: if key.is_empty() { certificate } else { key }.into(),
                }),
            };
            Ok(client.set_client_certificate(identity)?)
        },
    )
}

/// Believes any certificate (1): whoever sits on the way can read and change everything. For trials only. Default: 0.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG on a http endpoint,
/// OPAMP_E_STATE while an agent runs. Since: 0.1.
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

/// Declares what the agent does: bits of `enum opamp_capability`. Nothing that gives the server power is declared unless
/// it is asked for here. While an agent runs the change is reported, and starts or stops what it governs.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (an undefined bit, no
/// OPAMP_CAPABILITY_REPORTS_STATUS, or while running a capability without the callback it needs), OPAMP_E_UNSUPPORTED (not
/// in this release); nothing changes then. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_capabilities(
    client: *mut opamp_client,
    capabilities: u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_CAPABILITIES, client, err, |client| {
        Ok(client.set_capabilities(capabilities)?)
    })
}

/// What is declared now: bits of `enum opamp_capability`.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: the common ones. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_capabilities(
    client: *const opamp_client,
    out: *mut u64,
) -> opamp_status {
    call(
        &calls::CLIENT_CAPABILITIES,
        client,
        ptr::null_mut(),
        |client| {
            convert::put(out, client.capabilities());
            Ok(())
        },
    )
}

/// Sets what describes the agent; needed before start. Identifying attributes are those that tell it from others
/// (`service.name`, `service.instance.id`, ..). Both are copied and stay yours; each may be NULL, but not both empty.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_description(
    client: *mut opamp_client,
    identifying: *const opamp_attributes,
    non_identifying: *const opamp_attributes,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_DESCRIPTION,
        client,
        ptr::null_mut(),
        |client| {
            Ok(client.set_description(proto::AgentDescription {
                identifying_attributes: attributes::pairs(identifying.as_ref())?,
                non_identifying_attributes: attributes::pairs(non_identifying.as_ref())?,
            })?)
        },
    )
}

/// Sets the configuration that is in force, as it is reported to the server. The map is shared without a copy and frozen
/// by this call; your reference stays yours. The map of an offer may be given as it came.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG for a NULL map, OPAMP_E_CAPABILITY (kept, goes out
/// once OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG is declared). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_effective_config(
    client: *mut opamp_client,
    config: *const opamp_config_map,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_EFFECTIVE_CONFIG,
        client,
        ptr::null_mut(),
        |client| Ok(client.set_effective_config(convert::object(config, "the map")?.freeze()?)?),
    )
}

/// Gives the verdict on an offered configuration, named by its hash: one of `enum opamp_remote_config_state`. An offer is
/// applied only when the host says so here: APPLYING when it takes time, then APPLIED or FAILED with the reason. hash,
/// error_message: copied; the message goes with FAILED only, NULL: none. Before the first offer a verdict from the host's
/// own storage may be set.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no hash, OPAMP_REMOTE_CONFIG_UNSET or an unknown state, a message without
/// FAILED, or a hash that is neither the last offer's nor the last reported one), OPAMP_E_CAPABILITY (kept, goes out once
/// OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG is declared). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_remote_config_status(
    client: *mut opamp_client,
    hash: *const u8,
    hash_len: usize,
    state: i32,
    error_message: *const c_char,
) -> opamp_status {
    call(
        &calls::CLIENT_SET_REMOTE_CONFIG_STATUS,
        client,
        ptr::null_mut(),
        |client| {
            let hash = convert::bytes(hash, hash_len, "the hash")?;
            let message = convert::text_or_none(error_message, "the message")?;
            Ok(client.set_remote_config_status(hash, state, message)?)
        },
    )
}

/// Sets one of the numbers of `enum opamp_option`; their defaults and ranges stand in the table at the top.
///
/// Threads: any. Callbacks: yes, but see errors. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such option, or
/// out of its range), OPAMP_E_STATE while an agent runs. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_set_option(
    client: *mut opamp_client,
    option: i32,
    value: u64,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_SET_OPTION, client, err, |client| {
        Ok(client.set_option(option, value)?)
    })
}

/// The present value of one of `enum opamp_option`.
///
/// Threads: any. Callbacks: yes. Blocks: no. Errors: OPAMP_E_INVALID_ARG (no such option). Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_option(
    client: *const opamp_client,
    option: i32,
    out: *mut u64,
) -> opamp_status {
    call(&calls::CLIENT_OPTION, client, ptr::null_mut(), |client| {
        convert::put(out, client.option(option)?);
        Ok(())
    })
}

/// One exchange, here and now, on a connection of its own: sends an encoded AgentToServer (its uid, number and
/// capabilities are replaced by the client's) and answers what the server said. agent_to_server: copied. out: the answer,
/// yours to opamp_message_unref; NULL: not wanted. timeout_ms: -1 for no bound but the client's own. Over WebSocket a message
/// has no answer of its own, and a connection made for one message would show the server an agent that comes and goes: run
/// an agent there, or give the client an HTTP endpoint.
///
/// Threads: any. Callbacks: not while an agent runs on the client, see errors. Blocks: until the answer or the bound.
/// Errors: OPAMP_E_INVALID_ARG (undecodable, a time below -1, trust files), OPAMP_E_STATE (an agent runs, or the client
/// uses the host's transport), OPAMP_E_UNSUPPORTED (a WebSocket endpoint), OPAMP_E_TIMEOUT, OPAMP_E_FAILED (err tells what went wrong on the way), OPAMP_E_TOO_LARGE,
/// OPAMP_E_RESOURCE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn opamp_client_exchange(
    client: *mut opamp_client,
    agent_to_server: *const u8,
    len: usize,
    timeout_ms: i64,
    out: *mut *mut opamp_message,
    err: *mut *mut opamp_error,
) -> opamp_status {
    call(&calls::CLIENT_EXCHANGE, client, err, |client| {
        let bytes = convert::bytes(agent_to_server, len, "the message")?;
        let answer = client.exchange(bytes, convert::timeout(timeout_ms)?)?;
        if !out.is_null() {
            out.write(message::give(answer));
        }
        Ok(())
    })
}
