"""A running connection to the server, and the delivery of what happens on it."""
from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from . import _fork, _library, _log, messages
from .callbacks import MessageData, OpAMPCallbacks
from .transport.exceptions import OpAMPException

if TYPE_CHECKING:
    from .client import OpAMPClient

CONNECTED, CONNECT_FAILED, SERVER_ERROR, MESSAGE, REQUEST, REPORT_DONE, NEW_UID, WARNING, LOG, STOPPED = 1, 2, 3, 4, 5, 6, 8, 9, 10, 11
# What is told with nothing but its error.
NAMES = {CONNECTED: "connected", CONNECT_FAILED: "connect_failed", NEW_UID: "new_uid", WARNING: "warning", STOPPED: "stopped"}
PENDING = 64
EXIT_MS = 1000
# The bits under which parts of a message beyond a configuration are handed on.
NEEDED = {"packages_available": 8, "connection_settings": 0x1E0 | 512, "command": 1024, "custom_message": 0}


class Event:
    """One thing that happened: `kind` ("connected", "message", ..), and what it brought."""

    def __init__(self, kind: str, message: MessageData | None = None, error: OpAMPException | None = None,
                 error_response: Any = None, ticket: int = 0) -> None:
        self.kind, self.message, self.error, self.error_response, self.ticket = kind, message, error, error_response, ticket

    def __repr__(self) -> str:
        return f"<opamp.Event {self.kind}{f': {self.error}' if self.error else ''}>"


class OpAMPAgent:
    """All keyword-only. `interval`: seconds between two messages when there is no news, counted from the last one.
    `initial_backoff`: the first retry comes within these seconds. `max_retries`: tries beyond the first after which `send` calls back;
    what was to be reported is kept and goes on being tried. Raises ValueError and TypeError for numbers that can not be right.
    """

    def __init__(
        self,
        *,
        interval: float = 30,
        callbacks: OpAMPCallbacks | None,
        max_retries: int = 10,
        heartbeat_max_retries: int = 1,
        initial_backoff: float = 1.0,
        client: OpAMPClient,
    ) -> None:
        if not interval >= 0:
            raise ValueError("interval must not be negative")
        if not initial_backoff >= 0:
            raise ValueError("initial_backoff must not be negative")
        self._interval_ms = min(86_400_000, max(10, int(interval * 1000)))
        self._callbacks, self._client = callbacks or OpAMPCallbacks(), client
        self._max_retries, self._heartbeat_tries = max_retries, heartbeat_max_retries + 1
        self._backoff_ms = min(86_400_000, int(initial_backoff * 1000))
        self._handle: Any = None
        self._running = self._stopping = False
        self._thread: Any = None
        self._drainer = 0
        self._done: Any = None
        self._requests: Any = None
        self._waiting: dict[int, Callable[[], Any]] = {}
        self._held: list[tuple[bytes, int | None, Any]] = []
        self._deferred: list[Event] = []
        self._last_answer: Any = None
        self._merged: bytes | None = None
        self._next_merge: float | None = None

    def start(self, *, thread: bool = True) -> None:
        """Starts in the background; never fails because of the network. `thread=False`: nothing is called back by itself, the host calls
        `dispatch` or iterates over `events`. Starts again after `stop`. Raises RuntimeError when it runs already."""
        import threading

        if self._running:
            raise RuntimeError("the agent is already started")
        if _library.library() is None:
            _log.warn_once("agent", f"no OpAMP agent runs: {_library.reason()}")
            return
        self._running, self._stopping, self._done = True, False, threading.Event()
        refused = self._begin()
        _fork.watch(self)
        if refused is not None:
            _log.logger("agent").error("the agent can not start: %s", refused)
            self._handle = None
            self._deferred.append(Event("connect_failed", error=refused))
        if thread:
            _new_thread(self._drain, "opamp-events")

    def _begin(self) -> OpAMPException | None:
        """Starts the library's agent; what refused it otherwise."""
        import ctypes

        from . import _handle as h
        from .client import BACKOFF_BASE, FIRST_RETRY

        lib = _library.required()
        try:
            client = self._client._open()
            if self._handle is None:
                h.call(lib.client_set_option, client.pointer, FIRST_RETRY, self._backoff_ms)
                h.call(lib.client_set_option, client.pointer, BACKOFF_BASE, max(1, 2 * self._backoff_ms))
                out = ctypes.c_void_p()
                h.call(lib.agent_new, client.pointer, None, None, None, ctypes.byref(out))
                self._handle = h.Handle(out.value or 0, lib.agent_free)
                h.check(lib.agent_set_delivery(self._handle.pointer, _library.DELIVERY_POLL))
                h.check(lib.agent_set_interval(self._handle.pointer, self._interval_ms))
            h.check(lib.agent_set_log_events(self._handle.pointer, _log.library_level()))
            try:
                h.call(lib.agent_start, self._handle.pointer)
            except h.Refused as error:
                if "trust store" not in str(error) and "certificate" not in str(error) or not self._trust_certifi(lib, client):
                    raise
                h.call(lib.agent_start, self._handle.pointer)
        except h.Refused as error:
            return error.why
        except OpAMPException as error:
            return error
        self._client._agent = self
        self._after_start()
        return None

    def _trust_certifi(self, lib: Any, client: Any) -> bool:
        """The last resort where the system has no authorities."""
        import os

        if self._client._tls[0] is not True or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE"):
            return False
        try:
            import certifi  # pyright: ignore
        except ImportError:
            return False
        where: Any = certifi
        return lib.client_set_ca_file(client.pointer, os.fsencode(where.where()), None) == 0

    def _after_start(self) -> None:
        from .client import OpAMPClient

        kind = type(self._client)
        self._merged = self._next_merge = None
        if kind.build_full_state_message is not OpAMPClient.build_full_state_message:
            self._merge(self._client.build_full_state_message)
        if kind.build_heartbeat_message is not OpAMPClient.build_heartbeat_message:
            self._merge(self._client.build_heartbeat_message)
            self._next_merge = time.monotonic() + self._interval_ms / 1000
        held, self._held = self._held, []
        for payload, tries, callback in held:
            self._send(payload, tries, callback)

    def _merge(self, build: Callable[[], bytes]) -> None:
        """Reports what an overridden builder adds, when it is something else than last time."""
        from ._message import without

        try:
            built = build()
            news = without(without(without(bytes(built), 1), 2), 4)
            if news and news != self._merged:
                self._merged = news
                self._send(news, self._heartbeat_tries - 1, None)
        except Exception:
            _log.logger("agent").exception("building a message failed")

    def send(self, payload: Any, max_retries: int | None = None, callback: Callable[[], Any] | None = None) -> None:
        """Queues bytes made by the client's builders, or a message; `callback()` comes when they are confirmed or given up. Before
        `start` at most 64 wait. Does not block. Raises ValueError for what is no AgentToServer."""
        from ._message import message_class

        data = payload.SerializeToString() if hasattr(payload, "SerializeToString") else payload
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("payload must be bytes or a message")
        data = bytes(data)
        try:
            message_class("AgentToServer").FromString(data)
        except ValueError as error:
            raise ValueError(f"payload: {error}") from None
        self._send(data, max_retries, callback)

    def _send(self, data: bytes, max_retries: int | None, callback: Any) -> int:
        """Hands it to the library without the parts that this release does not report. The ticket; 0: it waits, or was refused."""
        import ctypes

        from . import _handle as h
        from ._message import message_class, without

        ticket = ctypes.c_uint64()
        tries = max(0, self._max_retries if max_retries is None else max_retries) + 1
        while self._running and self._handle is not None:
            try:
                h.call(_library.required().agent_send, self._handle.pointer, data, len(data), tries, ctypes.byref(ticket))
                if callback is not None:
                    self._waiting[ticket.value] = callback
                return ticket.value
            except h.Refused as error:
                field = message_class("AgentToServer")._fields.get(str(error).rsplit(" ", 1)[-1])
                if error.status == _library.E_UNSUPPORTED and field:
                    _log.warn_once("agent", str(error))
                    data = without(data, field[1])
                    continue
                if error.status in (_library.E_AGAIN, _library.E_STATE):
                    break
                _log.logger("agent").info("a message is not sent: %s", error)
                if callback is not None:
                    self._deferred.append(Event("report_done", error=error.why))
                    self._call(callback)
                return 0
        self._held.append((data, max_retries, callback))
        if len(self._held) > PENDING:
            del self._held[0]
            _log.logger("agent").warning("more than %d messages wait; the oldest is dropped", PENDING)
        return 0

    def _exchange(self, data: bytes) -> Any:
        """`OpAMPClient.send` while the agent runs. Inside a callback the events that arrive meanwhile are kept for later."""
        import threading

        from .exceptions import OpAMPTimeoutError

        done = threading.Event()
        limit = time.monotonic() + 60
        self._last_answer = None
        self._send(data, 0, done.set)
        if threading.get_ident() == self._drainer:
            while not done.is_set() and time.monotonic() < limit:
                event = self._take(int((limit - time.monotonic()) * 1000) + 1, nested=True)
                if event is not None:
                    self._deferred.append(event)
        else:
            done.wait(60)
        if not done.is_set():
            raise OpAMPTimeoutError("no answer within 60 s")
        answer = self._last_answer
        if answer is None:
            raise OpAMPException("the exchange failed")
        return answer

    def stop(self, timeout: float | None = None) -> None:
        """Says goodbye to the server and ends; `timeout` (seconds) bounds the wait. Repeatable, and safe before `start`. In a callback
        it is a request. Waits for a running callback at most 2 s."""
        import threading

        if not self._running:
            return
        self._stopping = True
        limit = 2.0 if timeout is None else timeout
        if self._handle is not None:
            if threading.get_ident() == self._drainer:
                _library.required().agent_request_stop(self._handle.pointer)
                return
            _library.required().agent_stop(self._handle.pointer, -1 if timeout is None else max(0, int(timeout * 1000)))
        if self._drainer:
            self._done.wait(limit)
        elif self._handle is not None:
            while self._running and self._take(0) is not None:
                pass
        self._ended()

    def _ended(self) -> None:
        if not self._running:
            return
        self._running = False
        if self._client._agent is self:
            self._client._agent = None
        _fork.forget(self)
        waiting, self._waiting = self._waiting, {}
        for callback in waiting.values():
            self._call(callback)
        if self._requests is not None:
            self._requests.put(None)
            self._requests = None

    def _at_exit(self) -> None:
        """Ends within a second, with the interpreter free for callbacks of the host's transport."""
        self._stopping = True
        if self._handle is not None and self._running:
            _library.required().agent_stop(self._handle.pointer, EXIT_MS)

    def _in_child(self) -> None:
        """The agent stays with the parent."""
        self._running, self._handle, self._drainer = False, None, 0
        self._client._handle = self._client._agent = None
        _log.warn_once("agent", "this process was forked from one with an OpAMP agent; it has none of its own until start() is called")

    # Delivery.

    def _drain(self) -> None:
        import threading

        self._drainer = threading.get_ident()
        try:
            while self._running:
                for event in self._ready():
                    self._deliver(event)
                if self._handle is None:
                    break
                wait = -1 if self._next_merge is None else max(0, int((self._next_merge - time.monotonic()) * 1000))
                event = self._take(wait)
                if event is not None:
                    self._deliver(event)
                if self._next_merge is not None and time.monotonic() >= self._next_merge and not self._stopping:
                    self._next_merge = time.monotonic() + self._interval_ms / 1000
                    self._merge(self._client.build_heartbeat_message)
        finally:
            self._drainer = 0
            self._done.set()

    def _ready(self) -> list[Event]:
        ready, self._deferred = self._deferred, []
        return ready

    def _take(self, timeout_ms: int, nested: bool = False) -> Event | None:
        """The next event that the host hears of; others are dealt with here."""
        import ctypes

        from . import _handle as h

        lib, handle = _library.required(), self._handle
        out = ctypes.c_void_p()
        status = lib.agent_next_event(handle.pointer, timeout_ms, ctypes.byref(out))
        if status == _library.E_TIMEOUT:
            return None
        if status:
            if not nested:
                self._ended()
            return None
        taken = h.Handle(out.value or 0, lib.event_free)
        kind = lib.event_kind(taken.pointer)
        error = lib.event_error(taken.pointer)
        why = h.exception_of(error) if error else None
        if kind == REQUEST:
            request = h.Handle(lib.request_ref(lib.event_request(taken.pointer)), lib.request_unref)
            self._serve(request)
        elif kind == LOG:
            level, line = ctypes.c_int32(), ctypes.c_char_p()
            lib.event_log(taken.pointer, ctypes.byref(level), ctypes.byref(line))
            _log.logger("agent").log(_log.LEVELS[min(4, level.value)], "%s", (line.value or b"").decode("utf-8", "replace"))
        elif kind == WARNING:
            _log.logger("agent").warning("%s", why)
        elif kind == REPORT_DONE:
            ticket = ctypes.c_uint64()
            lib.event_ticket(taken.pointer, ctypes.byref(ticket))
            callback = self._waiting.pop(ticket.value, None)
            if callback is not None:
                self._call(callback)
            if self._held and not self._stopping:
                self._send(*self._held.pop(0))
        elif kind == STOPPED:
            self._ended()
        if kind == SERVER_ERROR and why is not None:
            return Event("server_error", error=why, error_response=self._error_response(why))
        if kind == MESSAGE:
            return Event("message", message=self._message(lib, lib.event_message(taken.pointer)))
        if kind in NAMES:
            return Event(NAMES[kind], error=why)
        return Event("") if kind in (REQUEST, LOG, REPORT_DONE) else None

    def _message(self, lib: Any, borrowed: Any) -> MessageData:
        """The parts that passed the library's filters, as views on its buffer."""
        from . import _handle as h

        owner = h.Handle(lib.message_ref(borrowed), lib.message_unref)
        self._last_answer = answer = messages.decode_message(h.bytes_of(lib.message_bytes, owner))
        data = MessageData.from_server_message(answer)
        if not lib.message_remote_config(owner.pointer, None):
            data.remote_config = None
        for name, bits in NEEDED.items():
            if not self._client._capabilities & bits:
                setattr(data, name, None)
        return data

    def _error_response(self, why: OpAMPException) -> Any:
        from ._message import message_class

        name, _, text = str(why).partition(": ")
        kinds = {"BAD_REQUEST": 1, "UNAVAILABLE": 2}
        made = message_class("ServerErrorResponse")(type=kinds.get(name, 0), error_message=text)
        if why.retry_in is not None:
            made._put("retry_info", {"retry_after_nanoseconds": int(why.retry_in * 1e9)})
        self._last_answer = message_class("ServerToAgent")(error_response=made)
        return made

    def _serve(self, request: Any) -> None:
        """On a thread of its own, so that a slow transport delays no callback."""
        if self._requests is None:
            import queue

            self._requests = queue.SimpleQueue()
            waiting = self._requests
            client = self._client

            def serve() -> None:
                from . import _exchange

                while True:
                    taken = waiting.get()
                    if taken is None:
                        return
                    _exchange.serve(client, taken)

            _new_thread(serve, "opamp-transport")
        self._requests.put(request)

    def _deliver(self, event: Event) -> None:
        if self._stopping:
            return
        callbacks, client = self._callbacks, self._client
        if event.kind == "connected":
            self._call(callbacks.on_connect, self, client)
        elif event.kind == "connect_failed":
            self._call(callbacks.on_connect_failed, self, client, event.error)
        elif event.kind == "server_error":
            self._call(callbacks.on_error, self, client, event.error_response)
        elif event.kind == "message":
            self._call(callbacks.on_message, self, client, event.message)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:
            _log.logger("agent").exception("a callback failed")

    # Beyond the old API.

    def fileno(self) -> int:
        """A descriptor that is readable while something waits for `dispatch`; for `start(thread=False)`. Never close it."""
        import ctypes

        from . import _handle as h

        out = ctypes.c_int32()
        h.check(_library.required().agent_poll_fd(self._started().pointer, ctypes.byref(out)))
        return out.value

    def dispatch(self, timeout: float = 0) -> int:
        """Calls the callbacks for what waits, waiting up to `timeout` seconds for the first. Returns how many events there were."""
        served, wait = 0, int(timeout * 1000)
        for event in self._ready():
            self._deliver(event)
            served += 1
        while self._running and self._handle is not None:
            event = self._take(wait)
            if event is None:
                break
            self._deliver(event)
            served, wait = served + 1, 0
        return served

    async def events(self) -> AsyncIterator[Event]:
        """What happens, in the running asyncio loop, until the agent has stopped; starts the agent if it does not run."""
        if not self._running:
            self.start(thread=False)
        import asyncio

        loop = asyncio.get_running_loop()
        while self._running:
            for event in self._ready():
                yield event
            if self._handle is None:
                return
            event = self._take(0)
            if event is None:
                await self._readable(loop)
            elif event.kind:
                yield event

    async def _readable(self, loop: Any) -> None:
        if not self._running:
            return
        future, descriptor = loop.create_future(), self.fileno()
        loop.add_reader(descriptor, lambda: future.done() or future.set_result(None))
        try:
            await future
        finally:
            loop.remove_reader(descriptor)

    def snapshot(self) -> dict[str, Any]:
        """How the agent is doing now: the fields of the library's snapshot, times in milliseconds. {} where none was started."""
        import json

        from . import _handle as h

        if self._handle is None:
            return {}
        lib = _library.required()
        taken = h.made(lib.agent_snapshot, lib.snapshot_free, self._handle.pointer)
        return dict(json.loads(lib.snapshot_json(taken.pointer)))

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until the server has confirmed all that was set before; False: not within `timeout` seconds, or it refused a part."""
        status = _library.required().agent_flush(self._started().pointer, -1 if timeout is None else int(timeout * 1000))
        return status == _library.OK

    def poll_now(self) -> None:
        """Sends a message now instead of at the next interval."""
        _library.required().agent_poll_now(self._started().pointer)

    def _started(self) -> Any:
        if self._handle is None:
            raise RuntimeError("the agent is not started")
        return self._handle

    def __enter__(self) -> OpAMPAgent:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _new_thread(function: Callable[[], None], name: str) -> None:
    """A daemon thread of the system's own: under gevent or eventlet a patched one would stop every other in a blocking call."""
    gevent: Any = sys.modules.get("gevent.monkey")
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if gevent is not None:
        gevent.get_original("_thread", "start_new_thread")(function, ())
    elif eventlet is not None:
        eventlet.original("_thread").start_new_thread(function, ())
    else:
        import threading

        threading.Thread(target=function, name=name, daemon=True).start()
