"""Messages that the host made itself: their tickets, and what waits while the library takes none."""
from __future__ import annotations

import ctypes

from . import _handle as h, _library, _log, _threads
from ._message import fields_of
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    #: Hears once how a message ended: None when it was confirmed.
    Done = Callable[["OpAMPException | None"], Any]

#: Completions that are kept while messages wait.
WAITING = 64
# Fields of AgentToServer: the library sets uid, number and capabilities itself, and says goodbye only when it stops.
OURS = {1, 2, 4, 9}
# What this release of the library does not report.
NOT_REPORTED = {5: "health", 8: "package_statuses", 11: "connection_settings_request", 12: "custom_capabilities", 13: "custom_message",
                14: "available_components", 15: "connection_settings_status"}


def parts_of(data: bytes | memoryview) -> dict[int, bytes]:
    """The encoded parts of an AgentToServer by field number, without those that are not the host's to say. Raises ValueError."""
    parts: dict[int, bytes] = {}
    view = memoryview(data)
    for number, _, begin, end in fields_of(view):
        if number in NOT_REPORTED:
            _log.warn_once("agent", f"this release does not report {NOT_REPORTED[number]}")
        elif number not in OURS:
            parts[number] = parts.get(number, b"") + bytes(view[begin:end])
    return parts


class Sends:
    """Hands messages to the library while an agent runs. What it can not take now (none runs yet, or 64 ends wait to be taken) becomes
    one message of the newest parts, so that nothing is lost and no more than one of each waits."""

    def __init__(self) -> None:
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

    def send(self, data: bytes | memoryview, tries: int, done: Done | None) -> None:
        """Raises ValueError for what is no AgentToServer. Calls `done` itself when the library refuses the message."""
        self._send(parts_of(data), tries, [] if done is None else [done])

    def done(self, ticket: int) -> Done | None:
        """Who hears of this ticket's end."""
        with self._lock:
            return self._open.pop(ticket, None)

    def release(self) -> None:
        """Sends what waits, if the library takes it now."""
        if self._held is not None:
            self._send({}, 0, [])

    def _send(self, parts: dict[int, bytes], tries: int, done: list[Done]) -> None:
        ticket = ctypes.c_uint64()
        # Held over the call: the end of the ticket may be taken before this returns.
        with self._lock:
            if self._held is not None:
                parts, tries, done = {**self._held, **parts}, max(self._held_tries, tries), self._held_done + done
            self._held, self._held_done = None, []
            why: OpAMPException | None = None
            is_taken = False
            if self._agent is not None:
                data = b"".join(parts.values())
                try:
                    h.call(_library.required().agent_send, self._agent.pointer, data, len(data), tries, ctypes.byref(ticket))
                    is_taken = True
                except h.Refused as error:
                    why = None if error.status in (_library.E_AGAIN, _library.E_STATE) else error.why
            if is_taken and done:
                self._open[ticket.value] = _all(done)
            elif not is_taken and why is None:
                self._hold(parts, tries, done)
        if why is not None:
            _log.logger("agent").info("a message is not sent: %s", why)
            for each in done:
                try:
                    each(why)
                except Exception:
                    _log.logger("agent").exception("a callback failed")

    def _hold(self, parts: dict[int, bytes], tries: int, done: list[Done]) -> None:
        self._held, self._held_tries, self._held_done = parts, tries, done[-WAITING:]
        if len(done) > WAITING:
            _log.warn_once("agent", f"more than {WAITING} callbacks of messages wait; the oldest are dropped, their parts are not")


def _all(done: list[Done]) -> Done:
    if len(done) == 1:
        return done[0]

    def each(why: OpAMPException | None) -> None:
        for one in done:
            one(why)

    return each
