"""Who the agent is, where its server is, and what is true of it now."""
# pyright: reportPrivateUsage=false
from __future__ import annotations

import os
import time

from . import _checks, _library, _log
from ._numbers import Numbers
from .transport.base import base_headers
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Literal

    from ._handle import Handle
    from .agent import OpAMPAgent
    from .transport.base import HttpTransport

#: ReportsStatus, AcceptsRemoteConfig, ReportsEffectiveConfig, ReportsRemoteConfig, ReportsHeartbeat.
DEFAULT_CAPABILITIES = 0x3007
# RemoteConfigStatuses_FAILED
FAILED = 3
# What the library gets for an endpoint where a transport of the host's is used.
STAND_IN = b"http://transport.invalid/v1/opamp"


def _uuid7() -> bytes:
    # A clock that was never set may stand before 1970.
    random = bytearray(max(0, int(time.time() * 1000)).to_bytes(6, "big") + os.urandom(10))
    random[6], random[8] = random[6] & 0x0F | 0x70, random[8] & 0x3F | 0x80
    return bytes(random)


class OpAMPClient:
    """All parameters are keywords.

    `endpoint`: a URL with http, https, ws, wss, http+unix or ws+unix; `user:password@` in it becomes an Authorization header.
    `timeout_millis`: milliseconds for look-up, connect, TLS and each wait for an answer's first byte, one by one (a whole exchange has 60 s).
    Attributes map names to None, bool, int, float, str, bytes, and sequences and mappings of these. `capabilities`: bits of
    `opamp_pb2.AgentCapabilities_*`. `transport`: carries the exchanges instead of the library, whatever the scheme.
    `tls_certificate`: True for the system's authorities, the path of a PEM file or a folder for those only, False for no verification.
    `tls_client_certificate`, `tls_client_key`: paths of PEM files; without a key it stands in the certificate's file.
    `tls_accept_expired_ca`: expired CA certificates that are trusted still vouch for servers.
    `proxy`: `[scheme://][user[:password]@]host[:port]` with http (the default), https, socks5 or socks5h (which looks the server's name
    up), whatever the environment says; None: as the usual variables say; False: none, and the variables are not read. User and password
    are percent-encoded, and in no log line or exception. `proxy_headers`: for http and https proxies alone; the server never sees them.
    `allow_redirects_to`: origins (`https://gateway.example:8443`) beside the endpoint's own that a redirect may lead to; they get neither
    `headers` nor the client certificate. A `transport` of your own takes no notice of these three, nor of `tls_accept_expired_ca`.

    `instance_uid`: the 16 bytes under which an earlier process was known, where this one goes on in its place; None: new ones.

    Nothing of the endpoint, the proxy, the origins or the files is checked here: what is wrong with them is told by `on_connect_failed`
    after the agent's `start()`, or raised by the first `send`. Raises ValueError for capabilities without ReportsStatus, a timeout that is
    not positive, and attributes that are none or have a NUL, TypeError for an argument of another type.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        timeout_millis: int = 1000,
        agent_identifying_attributes: Mapping[str, Any],
        agent_non_identifying_attributes: Mapping[str, Any] | None = None,
        capabilities: int = DEFAULT_CAPABILITIES,
        transport: HttpTransport | None = None,
        tls_certificate: str | bool = True,
        tls_client_certificate: str | None = None,
        tls_client_key: str | None = None,
        tls_accept_expired_ca: bool = False,
        proxy: str | Literal[False] | None = None,
        proxy_headers: Mapping[str, str] | None = None,
        allow_redirects_to: Iterable[str] = (),
        instance_uid: bytes | None = None,
    ) -> None:
        if not _checks.bits("capabilities", capabilities) & 1:
            raise ValueError("OpAMP capabilities must include ReportsStatus")
        if not _checks.not_negative("timeout_millis", timeout_millis):
            raise ValueError("timeout_millis must be positive")
        from . import messages

        _checks.attributes("agent_identifying_attributes", agent_identifying_attributes)
        _checks.attributes("agent_non_identifying_attributes", agent_non_identifying_attributes or {})
        self._description = messages.build_agent_description(agent_identifying_attributes, agent_non_identifying_attributes)
        self._attributes = (dict(agent_identifying_attributes), dict(agent_non_identifying_attributes or {}))
        self._endpoint, self._headers = _split_user(endpoint, _checks.headers("headers", headers))
        self._timeout_millis, self._capabilities, self._transport = timeout_millis, capabilities, transport
        self._tls = (_checks.trust("tls_certificate", tls_certificate), _checks.path("tls_client_certificate", tls_client_certificate),
                     _checks.path("tls_client_key", tls_client_key))
        self._accepts_expired_ca = _checks.switch("tls_accept_expired_ca", tls_accept_expired_ca)
        self._proxy, self._proxy_headers = _checks.proxy("proxy", proxy), _checks.headers("proxy_headers", proxy_headers)
        self._redirect_origins = _checks.texts("allow_redirects_to", allow_redirects_to)
        self._uid = _uuid7() if instance_uid is None else _checks.uid("instance_uid", instance_uid)
        self._process = os.getpid()
        self._numbers = Numbers()
        self._status: Any = None
        self._config: Any = None
        # The EffectiveConfig that the library was given last, encoded.
        self._told_config: bytes | None = None
        self._handle: Handle | None = None
        self._agent: OpAMPAgent | None = None

    @property
    def instance_uid(self) -> bytes:
        """The 16 bytes that name the agent; the server may assign others, and a forked child has others."""
        self._check_process()
        if self._handle is not None:
            import ctypes

            out = ctypes.create_string_buffer(16)
            if _library.required().client_instance_uid(self._handle.pointer, out, 16) == 0:
                self._uid = out.raw
        return self._uid

    def _built(self, kind: str, *parts: Any) -> bytes:
        """Bytes of a message of that kind. Its number is the library's affair: it is set as the bytes leave."""
        from . import messages

        head = (self.instance_uid, 0)
        if kind == "full_state":
            description, *rest = parts
            return messages.encode_message(messages.build_full_state_message(*head, description, self._capabilities, *rest))
        return messages.encode_message(getattr(messages, f"build_{kind}_message")(*head, self._capabilities, *parts))

    def build_heartbeat_message(self) -> bytes:
        """Bytes for `OpAMPAgent.send`; what an override adds is reported at start and at each interval."""
        return self._built("heartbeat")

    def build_agent_disconnect_message(self) -> bytes:
        """A goodbye; an agent says its own when it stops, and ignores this one."""
        return self._built("agent_disconnect")

    def build_remote_config_status_response_message(self, remote_config_status: Any) -> bytes:
        """Bytes for `OpAMPAgent.send` that report this status."""
        return self._built("remote_config_status_response", remote_config_status)

    def build_full_state_message(self) -> bytes:
        """Bytes for `OpAMPAgent.send` that report everything."""
        return self._built("full_state", self._description, self._status, self._config)

    def update_effective_config(self, effective_config: Mapping[str, Any], content_type: str) -> Any:
        """Keeps and reports the configuration in force, name to value; values are encoded as JSON for `application/json`, else they are
        text or bytes. One that can not be encoded is left out, and an error is logged. Returns the EffectiveConfig. Raises TypeError for
        names or a content type that are no text."""
        from . import messages

        self._config = messages.build_effective_config_message(effective_config, content_type)
        self._check_process()
        if self._handle is not None:
            self._push_config(self._handle)
        return self._config

    def update_remote_config_status(self, remote_config_hash: bytes, status: int, error_message: str | bytes = "") -> Any:
        """Keeps and reports the status of an offer: APPLIED, APPLYING or FAILED of `opamp_pb2.RemoteConfigStatuses_*`. Returns the
        RemoteConfigStatus, or None when nothing changed. The text goes with FAILED alone and is never refused: bytes that are no UTF-8
        and NUL become U+FFFD, and it is cut at 8 KiB with ` [cut]`. Before the first offer, UNSET with b"" says that there is none: a
        server that remembers one of an earlier run under this instance uid then offers again. Raises TypeError and ValueError for a
        hash that is no bytes or empty and for another status, before anything is kept."""
        from . import messages

        status = _checks.status("status", status)
        remote_config_hash = _checks.status_hash("remote_config_hash", remote_config_hash, status)
        error_message = _checks.free_text("error_message", error_message)
        if status != FAILED:
            error_message = ""
        new = messages.build_remote_config_status_message(remote_config_hash, status, error_message)
        if self._status == new:
            return None
        self._status = new
        self._check_process()
        if self._handle is not None:
            self._push_status(self._handle)
        return new

    def send(self, data: bytes) -> Any:
        """One exchange, here and now; returns the ServerToAgent. While an agent runs the message goes through it. Blocks, a minute at most.
        Raises OpAMPException and its kin when it fails, ValueError for bytes that are no AgentToServer, TypeError for what is neither bytes
        nor a message."""
        from . import _exchange

        return _exchange.send(self, _checks.encoded("data", data))

    @staticmethod
    def decode_remote_config(remote_config: Any) -> Iterator[tuple[str, Any]]:
        """As `opamp.messages.decode_remote_config`."""
        from . import messages

        return messages.decode_remote_config(remote_config)

    def _open(self) -> Handle:
        """The client of the library, made and filled when first needed. Raises OpAMPException."""
        import ctypes

        from . import _handle as h

        self._check_process()
        if self._handle is None:
            lib = _library.required()
            out = ctypes.c_void_p()
            try:
                endpoint = STAND_IN if self._transport is not None else _text_of(self._endpoint)
                h.call(lib.client_new, endpoint, ctypes.byref(out))
                handle = h.Handle(out.value or 0, lib.client_unref)
                self._fill(lib, handle)
            except h.Refused as error:
                raise error.why from None
            except ValueError as error:
                raise OpAMPException(str(error)) from error
            self._handle = handle
        return self._handle

    def _check_process(self) -> None:
        """In a forked child, what the library holds stays with the parent, and so does the name."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._handle = self._agent = None
            self._uid, self._numbers = _uuid7(), Numbers()

    def _fill(self, lib: Any, handle: Handle) -> None:
        from . import _handle as h

        h.call(lib.client_set_instance_uid, handle.pointer, self._uid, 16)
        for option in (_library.RESOLVE_TIMEOUT_MS, _library.CONNECT_TIMEOUT_MS, _library.PROXY_TIMEOUT_MS, _library.TLS_TIMEOUT_MS,
                       _library.FIRST_BYTE_TIMEOUT_MS):
            h.call(lib.client_set_option, handle.pointer, option, _checks.option_ms(self._timeout_millis))
        h.call(lib.client_set_option, handle.pointer, _library.DELIVER_EVERY_RESPONSE, 1)
        for name, value in self._headers.items():
            if name.lower() == "content-type":
                if value != base_headers["Content-Type"]:
                    _log.warn_once("client", "headers: Content-Type is the protocol's own; the given one is ignored")
                continue
            h.call(lib.client_set_header, handle.pointer, h.text(name, "a header's name"), h.text(value, f"the header {name}"))
        self._declare(lib, handle)
        identifying, other = (h.attributes(values) for values in self._attributes)
        h.call(lib.client_set_description, handle.pointer, identifying.pointer, other.pointer)
        if self._transport is not None:
            h.call(lib.client_use_custom_transport, handle.pointer, 1)
            if self._proxy is not None or self._proxy_headers or self._redirect_origins:
                _log.warn_once("client", "the settings of proxy and redirects are ignored: the given transport carries the exchanges")
            if self._accepts_expired_ca:
                _log.warn_once("client", "tls_accept_expired_ca is ignored: the given transport carries the exchanges")
        else:
            self._set_way(lib, handle)
            self._set_tls(lib, handle)
        if self._config is not None:
            self._push_config(handle)
        if self._status is not None:
            self._push_status(handle)

    def _declare(self, lib: Any, handle: Handle) -> None:
        """Declares what the library knows how to do; the rest is left out with a warning."""
        from . import _handle as h

        declared = self._capabilities
        while True:
            try:
                return h.call(lib.client_set_capabilities, handle.pointer, declared)
            except h.Refused as error:
                left_out = error.why.capabilities & declared & ~1
                if not left_out:
                    raise
                _log.warn_once("client", f"not declared: {error}")
                declared &= ~left_out

    def _set_way(self, lib: Any, handle: Handle) -> None:
        """The proxy, and where a redirect may lead to."""
        from . import _handle as h

        if self._proxy is False:
            h.call(lib.client_use_proxy_environment, handle.pointer, 0)
        elif self._proxy is not None:
            h.call(lib.client_set_proxy, handle.pointer, h.text(self._proxy, "proxy"))
        for name, value in self._proxy_headers.items():
            h.call(lib.client_set_proxy_header, handle.pointer, h.text(name, "a header's name"), h.text(value, f"the header {name}"))
        for origin in self._redirect_origins:
            h.call(lib.client_allow_redirect_to, handle.pointer, h.text(origin, "allow_redirects_to"))

    def _set_tls(self, lib: Any, handle: Handle) -> None:
        from . import _handle as h

        trust, certificate, key = self._tls
        if not self._has_tls():
            if trust is not True or certificate or self._accepts_expired_ca:
                _log.warn_once("client", "TLS settings are ignored for an endpoint without TLS")
            return
        h.call(lib.client_set_option, handle.pointer, _library.ACCEPT_EXPIRED_CA, int(self._accepts_expired_ca))
        if trust is True:
            trust = _bundle() or True
        if trust is False:
            h.call(lib.client_set_insecure_skip_verify, handle.pointer, 1)
        elif trust is not True:
            set_path = lib.client_set_ca_dir if os.path.isdir(trust) else lib.client_set_ca_file
            h.call(set_path, handle.pointer, os.fsencode(trust))
        if certificate:
            h.call(lib.client_set_client_certificate_files, handle.pointer, os.fsencode(certificate), os.fsencode(key) if key else None)

    def _call_with_authorities(self, function: Any, *arguments: Any) -> None:
        """Calls what needs authorities, once more where there were none but certifi has some. Raises Refused."""
        from . import _handle as h

        try:
            h.call(function, *arguments)
        except h.Refused as error:
            if error.status != _library.E_INVALID_ARG or error.why.kind != "tls" or not self._trust_certifi():
                raise
            h.call(function, *arguments)

    def _trust_certifi(self) -> bool:
        """The last resort, where the system has no authorities: those of the package certifi. False: there is no need, or no certifi."""
        if self._handle is None or self._tls[0] is not True or _bundle() or not self._has_tls():
            return False
        try:
            from importlib import import_module

            where: str = import_module("certifi").where()
        except ImportError:
            return False
        return bool(_library.required().client_set_ca_file(self._handle.pointer, os.fsencode(where), None) == _library.OK)

    def _has_tls(self) -> bool:
        """Whether TLS may be spoken: with the server, with a proxy that was named here, or where a redirect may lead to."""
        urls = (self._endpoint, self._proxy or "", *self._redirect_origins)
        return self._transport is None and any(url.lower().startswith(("https:", "wss:")) for url in urls)

    def _push_config(self, handle: Handle) -> None:
        from . import _handle as h

        lib, raw = _library.required(), self._config.SerializeToString()
        self._told_config = raw
        files = h.explained(lib.config_map_decode, lib.config_map_unref, *_map_in(raw))
        if self._agent is not None:
            self._agent._sends.forget(6)
        self._push("effective configuration", lib.client_set_effective_config, handle.pointer, files.pointer)

    def _push_status(self, handle: Handle) -> None:
        lib, status = _library.required(), self._status
        why = status.error_message.encode("utf-8", "replace")
        hash_ = status.last_remote_config_hash
        if self._agent is not None:
            self._agent._sends.forget(7)
        self._push("status", lib.client_set_remote_config_status, handle.pointer, hash_, len(hash_), status.status, why, len(why))

    def _push(self, what: str, function: Any, *arguments: Any) -> None:
        """A refused value is no reason to fail in a callback: an offer may have been replaced meanwhile."""
        from . import _handle as h

        try:
            h.call(function, *arguments)
        except h.Refused as error:
            if error.status != _library.E_CAPABILITY:
                _log.logger("client").info("the %s is not reported: %s", what, error)


def _text_of(endpoint: Any) -> bytes:
    """An endpoint of another type is a bad endpoint. Raises ValueError."""
    from . import _handle as h

    if not isinstance(endpoint, str):
        raise ValueError(f"the endpoint is no text but {type(endpoint).__name__}")
    return h.text(endpoint, "the endpoint")


def _split_user(endpoint: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Takes `user:password@` out of a URL and makes a header of it."""
    if not isinstance(endpoint, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # told when it is used
        return endpoint, headers
    scheme, mark, rest = endpoint.partition("://")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    user, at, host = rest[:end].rpartition("@")
    if not mark or not at:
        return endpoint, headers
    import base64
    from urllib.parse import unquote

    headers.setdefault("Authorization", "Basic " + base64.b64encode(unquote(user).encode()).decode())
    return f"{scheme}://{host}{rest[end:]}", headers


def _bundle() -> str | None:
    """The authorities that the environment names for Python's HTTP clients."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")


def _map_in(effective_config: bytes) -> tuple[int, int]:
    """Where the AgentConfigMap of an encoded EffectiveConfig lies, and its length; it is not copied."""
    import ctypes

    from ._wire import fields_of

    for number, value, _, end in fields_of(memoryview(effective_config)):
        if number == 1 and isinstance(value, memoryview):
            return (ctypes.cast(ctypes.c_char_p(effective_config), ctypes.c_void_p).value or 0) + end - len(value), len(value)
    return 0, 0
