"""One run of an agent, from its start to its end: takes what the library tells, and hands it on.

One thread takes events and calls the host's callbacks, in turn. Where a callback may not hold up
the taking (a transport of the host's is served through events; somebody waits for the end of a
message while a callback runs) a second one takes from then on.
"""
from __future__ import annotations

import ctypes
import time

from . import _exchange, _handle as h, _library, _log, _threads
from ._events import LOG, NAMES, SEND_DONE, REQUEST, STOPPED, WARNING, Event, Taken
from ._message import message_class
from .exceptions import OpAMPTimeoutError
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._builders import Overridden
    from ._sends import Done, Sends
    from ._state import State

#: What one `dispatch` serves at most, so that it ends under a flood, and the ends of messages that
#: wait for a busy callback.
MANY = 64
# How often who waits for the end of a message looks whether a callback holds it up, in seconds.
LOOK_S = 0.2
#: How long a stop without a timeout waits for a callback that runs, in seconds.
CALLBACK_S = 2.0


class Run:
    """`handle`: the library's agent; None where it could not start, which is told as an event and
    stays so until `stop`. `tell` calls the callback of an event, `on_over` hears of the end."""

    def __init__(self, state: State, handle: h.Handle | None, sends: Sends, builders: Overridden,
                 tell: Callable[[Event], None], on_over: Callable[[Run], None]) -> None:
        self.handle = handle
        self.is_over = self.is_stopping = self.has_thread = False
        self.drained = _threads.Gate()
        # Who waits for the descriptor, which says nothing once STOPPED was taken by another thread.
        self.on_end: list[Callable[[], None]] = []
        # A lock of asyncio's for each loop in which events are iterated over.
        self.turns: dict[Any, Any] = {}
        self._state, self._sends, self._builders = state, sends, builders
        self._tell, self._on_over = tell, on_over
        self._lock = _threads.new_lock()
        self._caller = _threads.ident()
        self._is_calling = self._is_split = False
        self._kept: dict[tuple[str, bool], Event] = {}
        self._ends: list[tuple[Done, OpAMPException | None]] = []
        self._something_waits = _threads.Slot()
        self._requests: _threads.Slot | None = None
        # Who waits for the answer of a message.
        self._awaited: list[Ended] = []

    # The threads.

    def spawn(self) -> None:
        """Delivers on a thread of its own from now on. Raises RuntimeError where none can be
        had."""
        # Not first on that thread: a child forked in the middle of an import has half a module for
        # ever.
        import json  # noqa: F401  # pyright: ignore[reportUnusedImport]

        from . import _data  # noqa: F401  # pyright: ignore[reportUnusedImport]

        self.has_thread = True
        self._caller = 0
        try:
            if self._state.transport is not None and self.handle is not None:
                self._split()
            _threads.spawn(self._call_on, "opamp-events")
        except RuntimeError:
            self.has_thread = False  # the end can only be taken by who asks for it
            raise

    def _call_on(self) -> None:
        self._caller = _threads.ident()
        try:
            while not self.is_over:
                self.deliver_kept()
                if self.handle is None:
                    return
                if self._is_split:
                    self._something_waits.take()
                else:
                    self._take_one()
        finally:
            self.deliver_kept()
            self.drained.open()

    def _take_one(self) -> None:
        try:
            _, event = self.take(-1 if self.is_stopping else self.report_due())
            if event is not None:
                self.deliver(event)
        except Exception:  # a bug of ours, which must not end the delivery
            _log.logger("agent").exception("an event was lost")

    def _split(self) -> None:
        """From now on events are taken on another thread than the one that calls. Raises
        RuntimeError where none can be had."""
        with self._lock:
            if not self._is_split:
                _threads.spawn(self._take_on, "opamp-taker")
                self._is_split = True

    def _take_on(self) -> None:
        while not self.is_over:
            self._take_one()
        self._something_waits.put(None)

    def is_caller(self) -> bool:
        """Whether this is the thread that runs callbacks."""
        return self._caller == _threads.ident()

    def descriptor(self) -> int:
        """Readable while something waits to be taken. Raises RuntimeError for an agent that could
        not start."""
        out = ctypes.c_int32()
        if self.handle is None:
            raise RuntimeError("the agent could not start")
        h.check(_library.required().agent_poll_fd(self.handle.pointer, ctypes.byref(out)))
        return out.value

    # What comes.

    def take(self, timeout_ms: int) -> tuple[bool, Event | None]:
        """Whether something came in that time, and what of it is for the host; the rest is dealt
        with here."""
        handle = self.handle
        if handle is None or self.is_over:
            return False, None
        out = ctypes.c_void_p()
        lib = _library.required()
        status = lib.agent_next_event(handle.pointer, timeout_ms, ctypes.byref(out))
        if status == _library.E_TIMEOUT:
            return False, None
        if status:
            self.end()
            return False, None
        taken = Taken(h.Handle(out.value or 0, lib.event_free))
        if taken.kind == REQUEST:
            self._serve(taken.request())
        elif taken.kind == LOG:
            taken.write_log_line()
        elif taken.kind == SEND_DONE:
            self._on_send_done(taken)
        elif taken.kind in NAMES:
            return True, self._noted(taken)
        return True, None

    def _noted(self, taken: Taken) -> Event:
        answer = taken.answer()
        if answer is not None:
            for each in list(self._awaited):
                each.hear(answer)
        if taken.kind == WARNING:
            _log.logger("agent").warning("%s", taken.error)
        event = taken.event(answer, self._state.capabilities)
        if taken.kind == STOPPED:
            if taken.error is not None:
                _log.logger("agent").error("the agent ended: %s", taken.error)
            self.end()
        return event

    def _on_send_done(self, taken: Taken) -> None:
        done = self._sends.done(taken.ticket())
        if done is not None:
            self._end_of(done, taken.error)
        self._sends.release()

    def _end_of(self, done: Done, why: OpAMPException | None) -> None:
        if isinstance(done, Ended):
            done(why)
        elif self.is_caller() and not self._is_calling:
            self._call(done, why)
        else:
            self._ends.append((done, why))
            del self._ends[:-MANY]
            self._something_waits.put(None)

    def _serve(self, request: h.Handle) -> None:
        """On a thread of its own, so that a slow transport delays no callback."""
        if self._requests is None:
            requests, state = _threads.Slot(), self._state

            def serve() -> None:
                while True:
                    taken = requests.take()
                    if taken is None:
                        return
                    _exchange.serve(state, taken)

            try:
                _threads.spawn(serve, "opamp-transport")
            except RuntimeError as error:
                _library.required().request_fail(request.pointer, 0, str(error).encode())
                return
            self._requests = requests
        self._requests.put(request)

    def report_due(self) -> int:
        """Reports what the client's own builders add, if it is time; in how many milliseconds it
        will be (-1: never)."""
        if not self.is_stopping:
            self._builders.report_due(self._sends)
        return self._builders.wait_ms()

    # What is called.

    def deliver(self, event: Event) -> None:
        """Calls the callback of an event, or leaves it to the thread that does, where the newest of
        a kind waits."""
        if self.is_caller():
            self._call_for(event)
        else:
            self.keep(event)
            self._something_waits.put(None)

    def keep(self, event: Event) -> None:
        """Keeps an event for later, the newest of a kind, as the library's queue does."""
        kind = event.kind, bool(event.message and event.message.remote_config)
        with self._lock:
            self._kept.pop(kind, None)
            self._kept[kind] = event

    def kept(self) -> list[Event]:
        """The events that were kept."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        return kept

    def deliver_kept(self) -> int:
        """Calls what was kept for the calling thread. How many events there were."""
        events = self.kept()
        for event in events:
            self._call_for(event)
        while self._ends:
            self._call(*self._ends.pop(0))
        return len(events)

    def _call_for(self, event: Event) -> None:
        if not self.is_stopping:
            self._call(self._tell, event)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._is_calling = True
        try:
            function(*arguments)
        except BaseException as error:
            _log.logger("agent").exception("a callback failed")
            # On a thread of our own nobody is above us.
            if not self.has_thread and not isinstance(error, Exception):
                raise
        finally:
            self._is_calling = False

    def dispatch(self, timeout_ms: int) -> int:
        """Delivers what waits on the calling thread. How many events there were."""
        self._caller = _threads.ident()
        served = self.deliver_kept()
        while served < MANY and not self.is_over:
            came, event = self.take(0 if served else timeout_ms)
            if not came:
                break
            if event is not None:
                self._call_for(event)
            served += 1
        self.report_due()
        return served

    def forget(self, number: int) -> None:
        """A newer value of that field of AgentToServer went another way than through `exchange`."""
        self._sends.forget(number)

    def exchange(self, data: bytes) -> Any:
        """One message and its answer, through the running agent. Raises OpAMPException and its kin,
        ValueError."""
        ended = Ended()
        self._awaited.append(ended)
        try:
            self._await(data, ended)
        finally:
            self._awaited.remove(ended)
        if not ended.is_done:
            if self.is_over:
                raise OpAMPException("the agent stopped")
            raise OpAMPTimeoutError("no answer within the time of an exchange")
        if ended.why is not None and (ended.why.kind != "server" or ended.answer is None):
            raise ended.why
        return message_class("ServerToAgent")() if ended.answer is None else ended.answer

    def _await(self, data: bytes, ended: Ended) -> None:
        limit = time.monotonic() + self._exchange_s()
        self._sends.send(data, 1, ended)
        while not ended.gate.is_open and not self.is_over and time.monotonic() < limit:
            if self.is_caller() and not self.has_thread:
                _, event = self.take(int((limit - time.monotonic()) * 1000) + 1)
                if event is not None:
                    self.keep(event)
            else:
                if self._is_calling:
                    self._split()
                ended.gate.wait(min(LOOK_S, limit - time.monotonic()))

    def _exchange_s(self) -> float:
        out = ctypes.c_uint64()
        client = self._state.handle
        if client is not None:
            _library.required().client_option(
                client.pointer, _library.EXCHANGE_TIMEOUT_MS, ctypes.byref(out))
        return out.value / 1000

    # The end.

    def stop(self, timeout: float | None, goodbye: bool = True) -> None:
        """Asks for the end, and waits for it where this is not the thread that it waits for."""
        self.is_stopping = True
        lib, handle = _library.required(), self.handle
        limit = time.monotonic() + (CALLBACK_S if timeout is None else timeout)
        if not self.has_thread:
            self._stop_here(timeout, goodbye)
            return
        if handle is not None:
            wait_ms = -1 if timeout is None else int(timeout * 1000)
            end = lib.agent_stop if goodbye else lib.agent_detach
            # The thread that takes the last event is not to wait for it.
            is_over = end(handle.pointer, 0 if self.is_caller() else wait_ms) == _library.OK
            if self.is_caller() or not is_over:
                return
        self.drained.wait(CALLBACK_S if timeout is None else limit - time.monotonic())
        self.end()

    def _stop_here(self, timeout: float | None, goodbye: bool) -> None:
        """Without a thread of ours the requests of the goodbye are taken here."""
        if self.handle is None:
            self.end()
            return
        lib = _library.required()
        (lib.agent_stop if goodbye else lib.agent_detach)(self.handle.pointer, 0)
        limit = time.monotonic() + (86_400 if timeout is None else timeout)
        while not self.is_over and time.monotonic() < limit:
            self.take(int((limit - time.monotonic()) * 1000) + 1)

    def end(self) -> None:
        """Nothing comes any more; whoever waits for the end of a message is told."""
        with self._lock:
            if self.is_over:
                return
            self.is_over = True
        for done in self._sends.end():
            self._end_of(done, OpAMPException("the agent stopped"))
        self._something_waits.put(None)
        if self._requests is not None:
            self._requests.put(None)
        for wake in list(self.on_end):
            try:
                wake()
            except RuntimeError:
                pass  # its loop was closed, and nobody waits there any more
        self._on_over(self)


class Ended:
    """How a message ended that a thread waits for, and the answer. A newer answer may take the
    place of its own, and come after its end."""

    def __init__(self) -> None:
        self.gate = _threads.Gate()
        self.is_done = False
        self.why: OpAMPException | None = None
        self.answer: Any = None

    def __call__(self, why: OpAMPException | None) -> None:
        self.why, self.is_done = why, True
        self._look()

    def hear(self, answer: Any) -> None:
        self.answer = answer
        self._look()

    def _look(self) -> None:
        if self.is_done and (self.why is not None or self.answer is not None):
            self.gate.open()
