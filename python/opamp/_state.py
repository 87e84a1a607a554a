"""What is known of a client, by all modules that work for it."""
from __future__ import annotations

import os
import time

from . import _library, _wire
from .proto._names import FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, Protocol

    from ._handle import Handle
    from .transport.base import HttpTransport

    class Running(Protocol):
        """A run of an agent, as its client sees it."""

        def exchange(self, data: bytes) -> Any: ...
        def forget(self, number: int) -> None: ...


SEQUENCE_NUM = FIELDS["sequence_num"]


def _uuid7() -> bytes:
    # A clock that was never set may stand before 1970.
    random = bytearray(max(0, int(time.time() * 1000)).to_bytes(6, "big") + os.urandom(10))
    random[6], random[8] = random[6] & 0x0F | 0x70, random[8] & 0x3F | 0x80
    return bytes(random)


class Numbers:
    """The sequence numbers of one instance uid over a transport of the application's: the library
    counts the messages of its agents, and does not know of those that are sent in between."""

    __slots__ = ("_sent_here", "_next_of_library")

    def __init__(self) -> None:
        self._sent_here = 0
        self._next_of_library = 0

    def take(self) -> int:
        """For a message that is sent without an agent."""
        self._sent_here += 1
        return self._next_of_library + self._sent_here - 1

    def give_back(self) -> None:
        """It reached nobody."""
        self._sent_here -= 1

    def adjusted(self, data: bytes) -> tuple[bytes, int]:
        """A message of the library's with the number that is next, and the number that it had."""
        number, begin, end = 0, 0, 0
        for field, value, start, stop in _wire.fields_of(memoryview(data)):
            if field == SEQUENCE_NUM and isinstance(value, int):
                number, begin, end = value, start, stop
        self._next_of_library = number + 1
        if self._sent_here:
            next_number = _wire.encoded_number(number + self._sent_here)
            data = data[:begin] + bytes([SEQUENCE_NUM << 3]) + next_number + data[end:]
        return data, number

    def is_unused(self, number: int) -> None:
        """The library's message of this number reached nobody; it will use it again."""
        self._next_of_library = number


class Told:
    """What the library was told."""

    __slots__ = ("told_config",)

    def __init__(self) -> None:
        #: The EffectiveConfig, encoded; None when that is not known.
        self.told_config: bytes | None = None


class State(Told):
    """One client: its settings, which `OpAMPClient` fills in and nobody changes, and what became
    of it since."""

    __slots__ = (
        "endpoint", "headers", "timeout_millis", "attributes", "description", "capabilities",
        "transport", "tls", "accepts_expired_ca", "proxy", "proxy_headers", "redirect_origins",
        "status", "config", "handle", "numbers", "running", "_uid", "_process")

    endpoint: str
    headers: dict[str, str]
    timeout_millis: int
    #: Identifying and other ones, as they were given, and the AgentDescription of both.
    attributes: tuple[dict[str, Any], dict[str, Any]]
    description: Any
    capabilities: int
    transport: HttpTransport | None
    #: What is trusted, certificate and key.
    tls: tuple[Any, Any, Any]
    accepts_expired_ca: bool
    proxy: str | Literal[False] | None
    proxy_headers: dict[str, str]
    redirect_origins: tuple[str, ...]

    def __init__(self, uid: bytes | None) -> None:
        super().__init__()
        #: The RemoteConfigStatus and the EffectiveConfig that are true now.
        self.status: Any = None
        self.config: Any = None
        #: The library's client, made when first needed.
        self.handle: Handle | None = None
        self.numbers = Numbers()
        #: Through which everything goes while an agent runs.
        self.running: Running | None = None
        self._uid, self._process = _uuid7() if uid is None else uid, os.getpid()

    def check_process(self) -> None:
        """In a forked child, what the library holds stays with the parent, and so does the name."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.handle = self.running = None
            self._uid, self.numbers = _uuid7(), Numbers()

    def is_open(self) -> bool:
        """Whether the library has a client in this process, which hears of news."""
        self.check_process()
        return self.handle is not None

    def uid(self) -> bytes:
        """The 16 bytes that name the agent now."""
        self.check_process()
        if self.handle is not None:
            import ctypes

            lib, out = _library.required(), ctypes.create_string_buffer(16)
            if lib.client_instance_uid(self.handle.pointer, out, 16) == _library.OK:
                self._uid = out.raw
        return self._uid

    def has_tls(self) -> bool:
        """Whether TLS may be spoken: with the server, with a proxy that was named here, or where a
        redirect may lead to."""
        urls = (self.endpoint, self.proxy or "", *self.redirect_origins)
        secure = any(url.lower().startswith(("https:", "wss:")) for url in urls)
        return self.transport is None and secure
