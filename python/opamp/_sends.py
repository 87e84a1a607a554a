"""Messages that the host made itself: their tickets, and what waits while the library takes
none."""
from __future__ import annotations

import ctypes

from . import _handle as h, _library, _log, _threads
from ._wire import fields_of
from .proto._names import FIELDS
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._state import Told

    #: Hears once how a message ended: None when it was confirmed.
    Done = Callable[["OpAMPException | None"], Any]

#: Completions that are kept while messages wait.
WAITING = 64
# The library sets uid, number and capabilities itself, and says goodbye only when it stops.
OURS = {FIELDS[name] for name in (
    "instance_uid", "sequence_num", "capabilities", "agent_disconnect")}
EFFECTIVE_CONFIG = FIELDS["effective_config"]
# What this release of the library does not report.
NOT_REPORTED = {FIELDS[name]: name for name in (
    "health", "package_statuses", "connection_settings_request", "custom_capabilities",
    "custom_message", "available_components", "connection_settings_status")}


def is_reported(number: int) -> bool:
    """Whether the library reports that field; what it does not is told once."""
    if number in NOT_REPORTED:
        _log.warn_once("agent", f"this release does not report {NOT_REPORTED[number]}")
    return number not in NOT_REPORTED


def parts_of(data: bytes) -> dict[int, bytes]:
    """The encoded parts of an AgentToServer by field number, without those that the library sets
    itself. Raises ValueError."""
    parts: dict[int, bytes] = {}
    view = memoryview(data)
    for number, _, begin, end in fields_of(view):
        if number not in OURS:
            parts[number] = parts.get(number, b"") + bytes(view[begin:end])
    return parts


class Sends:
    """Hands messages to the library while an agent runs. What it can not take now (none runs yet,
    or 64 ends wait to be taken) becomes one message of the newest parts, so that nothing is lost
    and no more than one of each waits."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = _threads.new_lock()
        self._agent: h.Handle | None = None
        self._open: dict[int, Done] = {}
        self._held: dict[int, bytes] | None = None
        self._held_tries = 0
        self._held_done: list[Done] = []

    def begin(self, agent: h.Handle) -> None:
        """The agent runs: what waited leaves."""
        self._agent = agent
        self.release()

    def end(self) -> list[Done]:
        """The agent runs no more. What had not ended."""
        with self._lock:
            self._agent = None
            left = list(self._open.values())
            self._open.clear()
        return left

    def send(self, data: bytes, tries: int, done: Done | None) -> None:
        """Raises ValueError for what is no AgentToServer. Calls `done` itself when the library
        refuses the message."""
        dones = [] if done is None else [done]
        self._send(self._news(data), tries, dones)

    def _news(self, data: bytes) -> bytes:
        """The message without what is not reported, and without a configuration that the library
        has got already: a whole state that was built after an update would bring it a second time,
        however large it is."""
        news = data
        for number, value, begin, end in reversed(fields_of(memoryview(data))):
            if not is_reported(number):
                pass
            elif number == EFFECTIVE_CONFIG and isinstance(value, memoryview):
                told = self._told.told_config
                if (told is None or len(value) != len(told)
                        or not data.startswith(told, end - len(told))):
                    self._told.told_config = None
                    continue
            else:
                continue
            news = news[:begin] + news[end:]
        return news

    def forget(self, number: int) -> None:
        """A newer value of that field went another way."""
        with self._lock:
            if self._held is not None:
                self._held.pop(number, None)

    def done(self, ticket: int) -> Done | None:
        """Who hears of this ticket's end."""
        with self._lock:
            return self._open.pop(ticket, None)

    def release(self) -> None:
        """Sends what waits, if the library takes it now."""
        if self._held is not None:
            self._send(b"", 0, [])

    def _send(self, data: bytes, tries: int, done: list[Done]) -> None:
        # Held over the call: the end of the ticket may be taken before this returns.
        with self._lock:
            if self._held is not None:
                data = b"".join({**self._held, **parts_of(data)}.values())
                tries, done = max(self._held_tries, tries), self._held_done + done
            self._held, self._held_done = None, []
            why = self._hand_over(data, tries, done)
        if why is not None:
            _log.logger("agent").info("a message is not sent: %s", why)
            for each in done:
                try:
                    each(why)
                except Exception:
                    _log.logger("agent").exception("a callback failed")

    def _hand_over(self, data: bytes, tries: int, done: list[Done]) -> OpAMPException | None:
        """To the library, or, where it takes none now, to what is held; what refused it
        otherwise."""
        ticket = ctypes.c_uint64()
        if self._agent is not None:
            try:
                h.call(_library.required().agent_send, self._agent.pointer, data, len(data),
                       tries, ctypes.byref(ticket))
            except h.Refused as error:
                if error.status not in (_library.E_AGAIN, _library.E_STATE):
                    return error.why
            else:
                if done:
                    self._open[ticket.value] = _all(done)
                return None
        self._hold(parts_of(data), tries, done)
        return None

    def _hold(self, parts: dict[int, bytes], tries: int, done: list[Done]) -> None:
        self._held, self._held_tries, self._held_done = parts, tries, done[-WAITING:]
        if len(done) > WAITING:
            _log.warn_once("agent", f"more than {WAITING} callbacks of messages wait; "
                                    "the oldest are dropped, their parts are not")


def _all(done: list[Done]) -> Done:
    if len(done) == 1:
        return done[0]

    def each(why: OpAMPException | None) -> None:
        for one in done:
            one(why)

    return each
