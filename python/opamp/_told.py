"""Tells the library what is true of a client: its settings when first needed, then what is news."""
from __future__ import annotations

import ctypes
import os

from . import _checks, _handle as h, _library, _log
from ._wire import fields_of
from .proto._names import CAPABILITIES, FIELDS, fields
from .transport.base import base_headers
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._handle import Handle
    from ._state import State

# What the library gets for an endpoint where a transport of the application's is used.
STAND_IN = b"http://transport.invalid/v1/opamp"
CONFIG_MAP = fields("EffectiveConfig")["config_map"]


def opened(state: State) -> Handle:
    """The client of the library, made and filled when first needed. Raises OpAMPException."""
    state.check_process()
    if state.handle is None:
        lib = _library.required()
        out = ctypes.c_void_p()
        try:
            endpoint = STAND_IN if state.transport is not None else _text_of(state.endpoint)
            h.call(lib.client_new, endpoint, ctypes.byref(out))
            handle = h.Handle(out.value or 0, lib.client_unref)
            _fill(state, lib, handle)
        except h.Refused as error:
            raise error.why from None
        except ValueError as error:
            raise OpAMPException(str(error)) from error
        state.handle = handle
    return state.handle


def _fill(state: State, lib: Any, handle: Handle) -> None:
    h.call(lib.client_set_instance_uid, handle.pointer, state.uid(), 16)
    for option in (_library.RESOLVE_TIMEOUT_MS, _library.CONNECT_TIMEOUT_MS,
                   _library.PROXY_TIMEOUT_MS, _library.TLS_TIMEOUT_MS,
                   _library.FIRST_BYTE_TIMEOUT_MS):
        timeout_ms = _checks.option_ms(state.timeout_millis)
        h.call(lib.client_set_option, handle.pointer, option, timeout_ms)
    h.call(lib.client_set_option, handle.pointer, _library.DELIVER_EVERY_RESPONSE, 1)
    for name, value in state.headers.items():
        if name.lower() != "content-type":
            _put_header(lib.client_set_header, handle, name, value)
        elif value != base_headers["Content-Type"]:
            _log.warn_once("client", "headers: Content-Type is the protocol's own; "
                                     "the given one is ignored")
    _declare(state, lib, handle)
    identifying, other = (h.attributes(values) for values in state.attributes)
    h.call(lib.client_set_description, handle.pointer, identifying.pointer, other.pointer)
    if state.transport is not None:
        _use_transport(state, lib, handle)
    else:
        _set_way(state, lib, handle)
        _set_tls(state, lib, handle)
    if state.config is not None:
        _report_config(state, handle)
    if state.status is not None:
        _report_status(state, handle)


def _put_header(function: Any, handle: Handle, name: str, value: str) -> None:
    h.call(function, handle.pointer,
           h.text(name, "a header's name"), h.text(value, f"the header {name}"))


def _declare(state: State, lib: Any, handle: Handle) -> None:
    """Declares what the library knows how to do; the rest is left out with a warning."""
    declared = state.capabilities
    while True:
        try:
            return h.call(lib.client_set_capabilities, handle.pointer, declared)
        except h.Refused as error:
            left_out = error.why.capabilities & declared & ~CAPABILITIES["ReportsStatus"]
            if not left_out:
                raise
            _log.warn_once("client", f"not declared: {error}")
            declared &= ~left_out


def _use_transport(state: State, lib: Any, handle: Handle) -> None:
    h.call(lib.client_use_custom_transport, handle.pointer, 1)
    if state.proxy is not None or state.proxy_headers or state.redirect_origins:
        _log.warn_once("client", "the settings of proxy and redirects are ignored: "
                                 "the given transport carries the exchanges")
    if state.accepts_expired_ca:
        _log.warn_once("client", "tls_accept_expired_ca is ignored: "
                                 "the given transport carries the exchanges")


def _set_way(state: State, lib: Any, handle: Handle) -> None:
    """The proxy, and where a redirect may lead to."""
    if state.proxy is False:
        h.call(lib.client_use_proxy_environment, handle.pointer, 0)
    elif state.proxy is not None:
        h.call(lib.client_set_proxy, handle.pointer, h.text(state.proxy, "proxy"))
    for name, value in state.proxy_headers.items():
        _put_header(lib.client_set_proxy_header, handle, name, value)
    for origin in state.redirect_origins:
        h.call(lib.client_allow_redirect_to, handle.pointer, h.text(origin, "allow_redirects_to"))


def _set_tls(state: State, lib: Any, handle: Handle) -> None:
    trust, certificate, key = state.tls
    if not state.has_tls():
        if trust is not True or certificate or state.accepts_expired_ca:
            _log.warn_once("client", "TLS settings are ignored for an endpoint without TLS")
        return
    accepts = int(state.accepts_expired_ca)
    h.call(lib.client_set_option, handle.pointer, _library.ACCEPT_EXPIRED_CA, accepts)
    if trust is True:
        trust = _bundle() or True
    if trust is False:
        h.call(lib.client_set_insecure_skip_verify, handle.pointer, 1)
    elif trust is not True:
        set_path = lib.client_set_ca_dir if os.path.isdir(trust) else lib.client_set_ca_file
        h.call(set_path, handle.pointer, os.fsencode(trust))
    if certificate:
        h.call(lib.client_set_client_certificate_files, handle.pointer,
               os.fsencode(certificate), os.fsencode(key) if key else None)


def _text_of(endpoint: Any) -> bytes:
    """An endpoint of another type is a bad endpoint. Raises ValueError."""
    if not isinstance(endpoint, str):
        raise ValueError(f"the endpoint is no text but {type(endpoint).__name__}")
    return h.text(endpoint, "the endpoint")


def _bundle() -> str | None:
    """The authorities that the environment names for Python's HTTP clients."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def call_with_authorities(state: State, function: Any, *arguments: Any) -> None:
    """Calls what needs authorities, once more where there were none but certifi has some. Raises
    Refused."""
    try:
        h.call(function, *arguments)
    except h.Refused as error:
        is_tls = error.status == _library.E_INVALID_ARG and error.why.kind == "tls"
        if not is_tls or not _trust_certifi(state):
            raise
        h.call(function, *arguments)


def _trust_certifi(state: State) -> bool:
    """The last resort, where the system has no authorities: those of the package certifi. False:
    there is no need, or no certifi."""
    if state.handle is None or state.tls[0] is not True or _bundle() or not state.has_tls():
        return False
    try:
        from importlib import import_module

        where: str = import_module("certifi").where()
    except ImportError:
        return False
    path = os.fsencode(where)
    status = _library.required().client_set_ca_file(state.handle.pointer, path, None)
    return bool(status == _library.OK)


def report_config(state: State) -> None:
    """The configuration in force is another one."""
    if state.handle is not None:
        _report_config(state, state.handle)


def report_status(state: State) -> None:
    """The status of an offer is another one."""
    if state.handle is not None:
        _report_status(state, state.handle)


def _report_config(state: State, handle: Handle) -> None:
    lib, raw = _library.required(), state.config.SerializeToString()
    state.told_config = raw
    files = h.explained(lib.config_map_decode, lib.config_map_unref, *_map_in(raw))
    if state.running is not None:
        state.running.forget(FIELDS["effective_config"])
    _report("effective configuration",
            lib.client_set_effective_config, handle.pointer, files.pointer)


def _report_status(state: State, handle: Handle) -> None:
    lib, status = _library.required(), state.status
    why = status.error_message.encode("utf-8", "replace")
    hash_ = status.last_remote_config_hash
    if state.running is not None:
        state.running.forget(FIELDS["remote_config_status"])
    _report("status", lib.client_set_remote_config_status, handle.pointer,
            hash_, len(hash_), status.status, why, len(why))


def _report(what: str, function: Any, *arguments: Any) -> None:
    """A refused value is no reason to fail in a callback: an offer may have been replaced
    meanwhile."""
    try:
        h.call(function, *arguments)
    except h.Refused as error:
        if error.status != _library.E_CAPABILITY:
            _log.logger("client").info("the %s is not reported: %s", what, error)


def _map_in(effective_config: bytes) -> tuple[int, int]:
    """Where the AgentConfigMap of an encoded EffectiveConfig lies, and its length; it is not
    copied."""
    for number, value, _, end in fields_of(memoryview(effective_config)):
        if number == CONFIG_MAP and isinstance(value, memoryview):
            begin = ctypes.cast(ctypes.c_char_p(effective_config), ctypes.c_void_p).value or 0
            return begin + end - len(value), len(value)
    return 0, 0
