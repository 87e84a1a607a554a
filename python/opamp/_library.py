"""Finds and loads libopamp.so, and knows the prototypes of what this package calls.

Looked for once, when first needed: the file that OPAMP_LIBRARY names, else `libopamp.so` beside
this package. Where neither is there, everything can be imported and built, but no agent runs;
`reason()` says why.
"""
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from typing import Any

# name without "opamp_": result, parameters. i int32, I int64, u uint32, U uint64, z size_t, d
# double, s char *, p pointer, v nothing.
PROTOTYPES = {
    "status_name": "si",
    "error_kind_name": "si", "error_reason_name": "si",
    "client_new": "ispp", "client_unref": "vp", "client_set_instance_uid": "ippzp",
    "client_instance_uid": "ippz", "client_set_header": "ipssp",
    "client_use_custom_transport": "ipip", "client_set_ca_file": "ipsp",
    "client_set_ca_dir": "ipsp", "client_set_client_certificate_files": "ipssp",
    "client_set_insecure_skip_verify": "ipip", "client_set_capabilities": "ipUp",
    "client_set_description": "ipppp", "client_set_proxy": "ipsp",
    "client_set_proxy_header": "ipssp", "client_use_proxy_environment": "ipip",
    "client_allow_redirect_to": "ipsp", "client_set_effective_config": "ippp",
    "client_set_remote_config_status": "ippziszp", "client_set_option": "ipiUp",
    "client_option": "ipip", "client_exchange": "ippzIpp",
    "attributes_new": "ip", "attributes_free": "vp", "attributes_set_string": "ipssp",
    "attributes_set_bool": "ipsip", "attributes_set_int": "ipsIp",
    "attributes_set_double": "ipsdp", "attributes_set_bytes": "ipspzp",
    "attributes_set_empty": "ipsp", "attributes_set_array": "ipspp",
    "attributes_set_map": "ipspp",
    "array_new": "ip", "array_free": "vp", "array_add_string": "ipsp", "array_add_bool": "ipip",
    "array_add_int": "ipIp", "array_add_double": "ipdp", "array_add_bytes": "ippzp",
    "array_add_empty": "ipp", "array_add_array": "ippp", "array_add_map": "ippp",
    "config_map_decode": "ipzpp", "config_map_unref": "vp",
    "error_kind": "ip", "error_reason": "ip", "error_capabilities": "Up",
    "error_server_type": "ipp", "error_server_message": "sp", "error_http_status": "ip",
    "error_text": "sp", "error_retry_in_ms": "ipp", "error_free": "vp",
    "agent_new": "ipppppp", "agent_free": "vp", "agent_set_delivery": "ipip",
    "agent_set_log_events": "ipip", "agent_set_name": "ipsp",
    "agent_set_heartbeat_interval": "ipUp", "agent_start": "ipp", "agent_stop": "ipI",
    "agent_detach": "ipI", "agent_poll_now": "ip", "agent_flush": "ipIp",
    "agent_send": "ippzupp", "agent_poll_fd": "ipp", "agent_next_event": "ipIp",
    "agent_snapshot": "ipp",
    "event_kind": "ip", "event_message": "pp", "event_error": "pp", "event_request": "pp",
    "event_ticket": "ipp", "event_instance_uid": "ipp", "event_log": "ippp", "event_free": "vp",
    "message_remote_config": "ppp", "message_bytes": "vpp", "message_ref": "pp",
    "message_unref": "vp",
    "request_header_at": "ipzpp", "request_body": "vpp", "request_timeout_ms": "ipp",
    "request_complete": "ipipzpzp", "request_fail": "ipis", "request_ref": "pp",
    "request_unref": "vp",
    "snapshot_json": "sp", "snapshot_free": "vp",
}

# From include/opamp.h: status codes, options, and the one way of delivery.
OK, E_INVALID_ARG, E_STATE, E_TIMEOUT, E_AGAIN, E_CAPABILITY = 0, -1, -2, -3, -7, -10
RESOLVE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, TLS_TIMEOUT_MS = 1, 2, 3
FIRST_BYTE_TIMEOUT_MS, EXCHANGE_TIMEOUT_MS, PROXY_TIMEOUT_MS = 4, 5, 28
FIRST_RETRY_MAX_MS, BACKOFF_BASE_MS, DELIVER_EVERY_RESPONSE, ACCEPT_EXPIRED_CA = 16, 17, 22, 49
DELIVERY_POLL = 1


class Library:
    """The functions as attributes without their prefix; prototypes are set when first used."""

    def __init__(self, dll: ctypes.CDLL, path: str) -> None:
        import ctypes as c

        self._dll = dll
        self.path = path
        self._types: dict[str, Any] = {
            "i": c.c_int32, "I": c.c_int64, "u": c.c_uint32, "U": c.c_uint64,
            "z": c.c_size_t, "d": c.c_double, "s": c.c_char_p, "p": c.c_void_p, "v": None,
        }

    def __getattr__(self, name: str) -> Any:
        if name not in PROTOTYPES:
            raise AttributeError(name)
        function = getattr(self._dll, "opamp_" + name)
        result, *parameters = (self._types[letter] for letter in PROTOTYPES[name])
        function.restype, function.argtypes = result, parameters
        self.__dict__[name] = function
        return function


_loaded: Library | None = None
_reason: str | None = None


def candidates() -> list[str]:
    """Where the library may be: what OPAMP_LIBRARY names alone, or the file of the wheel."""
    named = os.environ.get("OPAMP_LIBRARY")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libopamp.so")
    return [named] if named else [beside]


def _load() -> None:
    global _loaded, _reason
    [path] = candidates()
    if not sys.platform.startswith("linux"):
        _reason = f"libopamp runs on Linux; this is {sys.platform}"
        return
    if os.path.dirname(path) and not os.path.exists(path):
        _reason = ("this installation brings no libopamp.so (no wheel for this platform), "
                   "and OPAMP_LIBRARY names none")
        if os.environ.get("OPAMP_LIBRARY"):
            _reason = f"OPAMP_LIBRARY names {path}, which is not there"
        return
    try:
        import ctypes

        dll = ctypes.CDLL(path)
        dll.opamp_agent_next_event  # an older or another library has no such function
    except (ImportError, OSError, AttributeError) as error:
        _reason = f"{path} can not be loaded: {error}"
        return
    _loaded, _reason = Library(dll, path), None


def library() -> Library | None:
    """The library, or None where there is none."""
    if _loaded is None and _reason is None:
        _load()
    return _loaded


def required() -> Library:
    """The library. Raises OpAMPException with the reason where there is none."""
    loaded = library()
    if loaded is None:
        from .transport.exceptions import OpAMPException

        raise OpAMPException(f"libopamp is not available: {_reason}")
    return loaded


def reason() -> str | None:
    """Why there is no library; None where there is one."""
    library()
    return _reason
