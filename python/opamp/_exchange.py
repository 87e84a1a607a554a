"""Exchanges that Python carries out: `OpAMPClient.send`, and a transport of the host's own."""
from __future__ import annotations

import ctypes

from . import _checks, _handle as h, _library, _told, messages
from ._message import message_class
from .exceptions import OpAMPTimeoutError
from .transport.base import base_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._state import State
    from .transport.base import HttpTransport


class Suppressed:
    """Around own traffic, which is not instrumented where OpenTelemetry is installed."""

    def __enter__(self) -> None:
        try:
            from importlib import import_module

            self._context: Any = import_module("opentelemetry.context")
        except ImportError:
            self._context = None
            return
        key = getattr(self._context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
        self._token: Any = self._context.attach(self._context.set_value(key, True))

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._context.detach(self._token)


def by_transport(state: State, transport: HttpTransport, headers: dict[str, str], data: bytes,
                 timeout_millis: int) -> Any:
    """One call of the application's own transport."""
    trust, certificate, key = state.tls
    with Suppressed():
        return transport.send(
            url=state.endpoint, headers=headers, data=data, timeout_millis=timeout_millis,
            tls_certificate=trust, tls_client_certificate=certificate, tls_client_key=key)


def numbered(state: State, data: bytes) -> bytes:
    """An AgentToServer with the client's uid, next number and capabilities. Raises ValueError."""
    message = message_class("AgentToServer").FromString(data)
    message.instance_uid, message.capabilities = state.uid(), state.capabilities
    message.sequence_num = state.numbers.take()
    return bytes(message.SerializeToString())


def own_headers(state: State) -> dict[str, str]:
    """What the library puts into a request of an agent's."""
    from .version import __version__

    uid = state.uid().hex()
    uid = "-".join((uid[:8], uid[8:12], uid[12:16], uid[16:20], uid[20:]))
    given = {name: value for name, value in state.headers.items()
             if name.lower() != "content-type"}
    own = {"User-Agent": f"libopamp/{__version__}", **base_headers, "OpAMP-Instance-UID": uid}
    names = {name.lower() for name in given}
    return {**{name: value for name, value in own.items() if name.lower() not in names}, **given}


def send_by(state: State, transport: HttpTransport, data: bytes) -> Any:
    """One exchange without an agent."""
    try:
        return by_transport(state, transport, own_headers(state), data, state.timeout_millis)
    except BaseException as error:
        if not is_reached(causes(error)):
            state.numbers.give_back()
        raise


def send(state: State, data: bytes) -> Any:
    """What `OpAMPClient.send` promises."""
    state.check_process()
    running, transport = state.running, state.transport
    try:
        if running is not None:
            return running.exchange(data)
        if transport is not None:
            data = numbered(state, data)
    except ValueError as error:
        raise ValueError(f"data: {error}") from None
    if transport is not None:
        return send_by(state, transport, data)
    lib, handle = _library.required(), _told.opened(state)
    out = ctypes.c_void_p()
    try:
        _told.call_with_authorities(state, lib.client_exchange, handle.pointer, data, len(data),
                                    -1, ctypes.byref(out))
    except h.Refused as error:
        if error.status == _library.E_TIMEOUT:
            raise OpAMPTimeoutError(str(error.why)) from None
        if error.status == _library.E_INVALID_ARG and error.why.kind in ("", "argument"):
            raise ValueError(f"data: {error.why}") from None
        raise error.why from None
    message = h.Handle(out.value or 0, lib.message_unref)
    return messages.decode_message(h.bytes_of(lib.message_bytes, message))


def serve(state: State, request: h.Handle) -> None:
    """Carries out one opamp_request and ends it."""
    lib, transport = _library.required(), state.transport
    if transport is None:
        return
    wait = ctypes.c_uint64()
    lib.request_timeout_ms(request.pointer, ctypes.byref(wait))
    headers: dict[str, str] = {}
    as_given = {name.lower(): name for name in [*base_headers, *state.headers]}
    name, value = h.Slice(), h.Slice()
    while lib.request_header_at(request.pointer, len(headers), ctypes.byref(name),
                                ctypes.byref(value)) == _library.OK:
        its_name = bytes(h.view_of(request, name)).decode()
        its_value = bytes(h.view_of(request, value)).decode("latin-1")
        headers[as_given.get(its_name.lower(), its_name)] = its_value
    number = None
    try:
        limit = max(1, min(int(state.timeout_millis), wait.value))
        body, number = state.numbers.adjusted(bytes(h.bytes_of(lib.request_body, request)))
        answer = by_transport(state, transport, headers, body, limit)
        encoded = _checks.encoded("the transport's answer", answer)
    except BaseException as error:  # nobody is above this thread, and later requests need it
        try:
            if not _fail(lib, request, error) and number is not None:
                state.numbers.is_unused(number)
        except Exception:  # an exception that can not be told
            lib.request_fail(request.pointer, 1, type(error).__name__.encode())
        return
    _complete(lib, request, 200, {"Content-Type": "application/x-protobuf"}, encoded)


def _complete(lib: Any, request: Any, status: int, headers: dict[str, str], body: bytes) -> None:
    texts = [text.encode("latin-1", "replace") for pair in headers.items() for text in pair]
    array = (ctypes.c_char_p * len(texts))(*texts)
    lib.request_complete(request.pointer, status, array, len(headers), body, len(body), None)


def causes(error: BaseException) -> list[Any]:
    """The exception and what it was raised from."""
    chain: list[Any] = [error]
    while len(chain) < 8 and (chain[-1].__cause__ or chain[-1].__context__):
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    return chain


def is_reached(chain: list[Any]) -> bool:
    """Whether the server may have got the message."""
    names = {type(each).__name__ for each in chain}
    return not names & {"NewConnectionError", "ConnectionRefusedError", "gaierror",
                        "NameResolutionError", "ConnectTimeout"}


def _fail(lib: Any, request: Any, error: BaseException) -> bool:
    """An answer with a bad status is told with its Retry-After; else: not reached where that is
    sure. Returns whether it may have been."""
    chain = causes(error)
    for each in chain:
        response = getattr(each, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int) and 300 <= status <= 999:
            after = {k: str(v) for k, v in dict(getattr(response, "headers", {})).items()
                     if str(k).lower() == "retry-after"}
            _complete(lib, request, status, after, b"")
            return True
    may_be = is_reached(chain)
    why = f"{type(error).__name__}: {error}".replace("\0", "").encode("utf-8", "replace")
    lib.request_fail(request.pointer, int(may_be), why)
    return may_be
