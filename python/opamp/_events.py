"""What the library tells, as Python values."""
from __future__ import annotations

import ctypes

from . import _handle as h, _library, _log, messages
from ._message import message_class
from .proto._names import capabilities, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._data import MessageData
    from .transport.exceptions import OpAMPException

# enum opamp_event_kind_code
CONNECTED, CONNECT_FAILED, SERVER_ERROR, MESSAGE, REQUEST, SEND_DONE = 1, 2, 3, 4, 5, 6
NEW_INSTANCE_UID, WARNING, LOG, STOPPED = 8, 9, 10, 11
NAMES = {CONNECTED: "connected", CONNECT_FAILED: "connect_failed",
         SERVER_ERROR: "server_error", MESSAGE: "message",
         NEW_INSTANCE_UID: "new_uid", WARNING: "warning", STOPPED: "stopped"}
# Parts of a message beside a configuration, each with the capabilities of which one must be
# declared for it to be handed on.
NEEDED = {
    "packages_available": capabilities("AcceptsPackages"),
    "connection_settings": capabilities(
        "ReportsOwnTraces", "ReportsOwnMetrics", "ReportsOwnLogs",
        "AcceptsOpAMPConnectionSettings", "AcceptsOtherConnectionSettings"),
    "command": capabilities("AcceptsRestartCommand"),
    "custom_message": capabilities(),
}
UNKNOWN = values("ServerErrorResponseType")["Unknown"]


class Event:
    """One thing that happened.

    `kind` is "connected", "connect_failed", "server_error", "message", "new_uid", "warning" or
    "stopped"; later releases may add more. `message` is the MessageData of a "message"; `error` the
    OpAMPException of "connect_failed", "server_error", "warning", and of a "stopped" that a bug
    caused; `error_response` the ServerErrorResponse of a "server_error"; `instance_uid` the 16
    bytes of a "new_uid".
    """

    __slots__ = ("kind", "message", "error", "error_response", "instance_uid")

    def __init__(self, kind: str, message: MessageData | None = None,
                 error: OpAMPException | None = None, error_response: Any = None,
                 instance_uid: bytes = b"") -> None:
        self.kind, self.message, self.error = kind, message, error
        self.error_response, self.instance_uid = error_response, instance_uid

    def __repr__(self) -> str:
        return f"<opamp.Event {self.kind}{f': {self.error}' if self.error else ''}>"


class Taken:
    """An opamp_event."""

    def __init__(self, event: h.Handle) -> None:
        self._lib, self._event = _library.required(), event
        self.kind: int = self._lib.event_kind(event.pointer)
        error = self._lib.event_error(event.pointer)
        self.error = h.exception_of(error) if error else None

    def request(self) -> h.Handle:
        borrowed = self._lib.event_request(self._event.pointer)
        return h.Handle(self._lib.request_ref(borrowed), self._lib.request_unref)

    def ticket(self) -> int:
        out = ctypes.c_uint64()
        self._lib.event_ticket(self._event.pointer, ctypes.byref(out))
        return out.value

    def write_log_line(self) -> None:
        level, line = ctypes.c_int32(), ctypes.c_char_p()
        self._lib.event_log(self._event.pointer, ctypes.byref(level), ctypes.byref(line))
        text = (line.value or b"").decode("utf-8", "replace")
        _log.logger("agent").log(_log.LEVELS[min(4, level.value)], "%s", text)

    def answer(self) -> Any:
        """The ServerToAgent as it came, a view; None where there is none."""
        borrowed = self._lib.event_message(self._event.pointer)
        if not borrowed:
            return None
        return messages.decode_message(h.bytes_of(self._lib.message_bytes, self._message(borrowed)))

    def event(self, answer: Any, declared: int) -> Event:
        """For the host; `answer` is what the method of that name gave."""
        event = Event(NAMES[self.kind], error=self.error)
        if self.kind == MESSAGE:
            event.message = self._handed_on(answer, declared)
        elif self.kind == SERVER_ERROR:
            event.error_response = (
                answer.error_response if answer is not None else self._error_response())
        elif self.kind == NEW_INSTANCE_UID:
            piece = h.Slice()
            self._lib.event_instance_uid(self._event.pointer, ctypes.byref(piece))
            event.instance_uid = bytes(h.view_of(self._event, piece))
        return event

    def _error_response(self) -> Any:
        """What is known of it without its message, for which there was no room."""
        if self.error is None:
            return message_class("ServerErrorResponse")()
        wait = self.error.retry_in
        return message_class("ServerErrorResponse")(
            type=self.error.server_type or UNKNOWN, error_message=self.error.server_message,
            retry_info=None if wait is None else {"retry_after_nanoseconds": int(wait * 1e9)})

    def _handed_on(self, answer: Any, declared: int) -> MessageData:
        """The parts that passed the library's filters."""
        from ._data import MessageData

        data = MessageData.from_server_message(answer)
        if not self._lib.message_remote_config(self._lib.event_message(self._event.pointer), None):
            data.remote_config = None
        for name, bits in NEEDED.items():
            if not declared & bits:
                setattr(data, name, None)
        return data

    def _message(self, borrowed: Any) -> h.Handle:
        return h.Handle(self._lib.message_ref(borrowed), self._lib.message_unref)
