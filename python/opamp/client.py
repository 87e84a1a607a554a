"""Who the agent is, where its server is, and what is true of it now."""
from __future__ import annotations

from . import _checks
from ._state import State
from .proto._names import CAPABILITIES, STATUSES, capabilities as capabilities_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Literal

    from .transport.base import HttpTransport

DEFAULT_CAPABILITIES = capabilities_of(
    "ReportsStatus", "AcceptsRemoteConfig", "ReportsEffectiveConfig", "ReportsRemoteConfig",
    "ReportsHeartbeat")


class OpAMPClient:
    """All parameters are keywords.

    `endpoint`: a URL with http, https, ws, wss, http+unix or ws+unix; `user:password@` in it
    becomes an Authorization header.
    `timeout_millis`: milliseconds for look-up, connect, TLS and each wait for an answer's first
    byte, one by one (a whole exchange has 60 s). Attributes map names to None, bool, int, float,
    str, bytes, and sequences and mappings of these. `capabilities`: bits of
    `opamp_pb2.AgentCapabilities_*`. `transport`: carries the exchanges instead of the library,
    whatever the scheme.
    `tls_certificate`: True for the system's authorities, the path of a PEM file or a folder for
    those only, False for no verification.
    `tls_client_certificate`, `tls_client_key`: paths of PEM files; without a key it stands in the
    certificate's file.
    `tls_accept_expired_ca`: expired CA certificates that are trusted still vouch for servers.
    `proxy`: `[scheme://][user[:password]@]host[:port]` with http (the default), https, socks5 or
    socks5h (which looks the server's name up), whatever the environment says; None: as the usual
    variables say; False: none, and the variables are not read. User and password are
    percent-encoded, and in no log line or exception. `proxy_headers`: for http and https proxies
    alone; the server never sees them.
    `allow_redirects_to`: origins (`https://gateway.example:8443`) beside the endpoint's own that a
    redirect may lead to; they get neither `headers` nor the client certificate. A `transport` of
    your own takes no notice of these three, nor of `tls_accept_expired_ca`.

    `instance_uid`: the 16 bytes under which an earlier process was known, where this one goes on in
    its place; None: new ones.

    Nothing of the endpoint, the proxy, the origins or the files is checked here: what is wrong with
    them is told by `on_connect_failed` after the agent's `start()`, or raised by the first `send`.
    Raises ValueError for capabilities without ReportsStatus, a timeout that is not positive, and
    attributes that are none or have a NUL, TypeError for an argument of another type.
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
        if not _checks.bits("capabilities", capabilities) & CAPABILITIES["ReportsStatus"]:
            raise ValueError("OpAMP capabilities must include ReportsStatus")
        if not _checks.not_negative("timeout_millis", timeout_millis):
            raise ValueError("timeout_millis must be positive")
        from . import messages

        named, others = agent_identifying_attributes, agent_non_identifying_attributes or {}
        _checks.attributes("agent_identifying_attributes", named)
        _checks.attributes("agent_non_identifying_attributes", others)
        description = messages.build_agent_description(named, others)
        endpoint, all_headers = _split_user(endpoint, _checks.headers("headers", headers))
        tls = (_checks.trust("tls_certificate", tls_certificate),
               _checks.path("tls_client_certificate", tls_client_certificate),
               _checks.path("tls_client_key", tls_client_key))
        accepts_expired_ca = _checks.switch("tls_accept_expired_ca", tls_accept_expired_ca)
        proxy = _checks.proxy("proxy", proxy)
        its_headers = _checks.headers("proxy_headers", proxy_headers)
        origins = _checks.texts("allow_redirects_to", allow_redirects_to)
        uid = None if instance_uid is None else _checks.uid("instance_uid", instance_uid)
        # Of this package alone; a subclass has all other names for itself.
        state = self.__opamp_state__ = State(uid)
        state.endpoint, state.headers, state.timeout_millis = endpoint, all_headers, timeout_millis
        state.attributes, state.description = (dict(named), dict(others)), description
        state.capabilities, state.transport, state.tls = capabilities, transport, tls
        state.accepts_expired_ca = accepts_expired_ca
        state.proxy, state.proxy_headers, state.redirect_origins = proxy, its_headers, origins

    @property
    def instance_uid(self) -> bytes:
        """The 16 bytes that name the agent; the server may assign others, and a forked child has
        others."""
        return self.__opamp_state__.uid()

    def _built(self, kind: str, *parts: Any) -> bytes:
        """Bytes of a message of that kind. Its number is the library's affair: it is set as the
        bytes leave."""
        from . import messages

        head, declared = (self.instance_uid, 0), self.__opamp_state__.capabilities
        if kind == "full_state":
            description, *rest = parts
            return messages.encode_message(
                messages.build_full_state_message(*head, description, declared, *rest))
        build = getattr(messages, f"build_{kind}_message")
        return messages.encode_message(build(*head, declared, *parts))

    def build_heartbeat_message(self) -> bytes:
        """Bytes for `OpAMPAgent.send`; what an override adds is reported at start and at each
        interval."""
        return self._built("heartbeat")

    def build_agent_disconnect_message(self) -> bytes:
        """A goodbye; an agent says its own when it stops, and ignores this one."""
        return self._built("agent_disconnect")

    def build_remote_config_status_response_message(self, remote_config_status: Any) -> bytes:
        """Bytes for `OpAMPAgent.send` that report this status."""
        return self._built("remote_config_status_response", remote_config_status)

    def build_full_state_message(self) -> bytes:
        """Bytes for `OpAMPAgent.send` that report everything."""
        state = self.__opamp_state__
        return self._built("full_state", state.description, state.status, state.config)

    def update_effective_config(self, effective_config: Mapping[str, Any],
                                content_type: str) -> Any:
        """Keeps and reports the configuration in force, name to value; values are encoded as JSON
        for `application/json`, else they are text or bytes. One that can not be encoded is left
        out, and an error is logged. Returns the EffectiveConfig. Raises TypeError for names or a
        content type that are no text."""
        from . import messages

        state = self.__opamp_state__
        state.config = messages.build_effective_config_message(effective_config, content_type)
        if state.is_open():
            from . import _told

            _told.report_config(state)
        return state.config

    def update_remote_config_status(self, remote_config_hash: bytes, status: int,
                                    error_message: str | bytes = "") -> Any:
        """Keeps and reports the status of an offer: APPLIED, APPLYING or FAILED of
        `opamp_pb2.RemoteConfigStatuses_*`. Returns the RemoteConfigStatus, or None when nothing
        changed. The text goes with FAILED alone and is never refused: bytes that are no UTF-8 and
        NUL become U+FFFD, and it is cut at 8 KiB with ` [cut]`. Before the first offer, UNSET with
        b"" says that there is none: a server that remembers one of an earlier run under this
        instance uid then offers again. Raises TypeError and ValueError for a hash that is no bytes
        or empty and for another status, before anything is kept."""
        from . import messages

        status = _checks.status("status", status)
        remote_config_hash = _checks.status_hash("remote_config_hash", remote_config_hash, status)
        error_message = _checks.free_text("error_message", error_message)
        if status != STATUSES["FAILED"]:
            error_message = ""
        new = messages.build_remote_config_status_message(remote_config_hash, status, error_message)
        state = self.__opamp_state__
        if state.status == new:
            return None
        state.status = new
        if state.is_open():
            from . import _told

            _told.report_status(state)
        return new

    def send(self, data: bytes) -> Any:
        """One exchange, here and now; returns the ServerToAgent. While an agent runs the message
        goes through it. Blocks, a minute at most. Raises OpAMPException and its kin when it fails,
        ValueError for bytes that are no AgentToServer, TypeError for what is neither bytes nor a
        message."""
        from . import _exchange

        return _exchange.send(self.__opamp_state__, _checks.encoded("data", data))

    @staticmethod
    def decode_remote_config(remote_config: Any) -> Iterator[tuple[str, Any]]:
        """As `opamp.messages.decode_remote_config`."""
        from . import messages

        return messages.decode_remote_config(remote_config)


def _split_user(endpoint: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Takes `user:password@` out of a URL and makes a header of it."""
    # Of another type: told when it is used.
    if not isinstance(endpoint, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        return endpoint, headers
    scheme, mark, rest = endpoint.partition("://")
    end = min((rest.find(c) for c in "/?#" if c in rest), default=len(rest))
    user, at, host = rest[:end].rpartition("@")
    if not mark or not at:
        return endpoint, headers
    import base64
    from urllib.parse import unquote

    login = base64.b64encode(unquote(user).encode()).decode()
    headers.setdefault("Authorization", "Basic " + login)
    return f"{scheme}://{host}{rest[end:]}", headers
