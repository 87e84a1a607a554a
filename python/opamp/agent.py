"""A running connection to the server, and the delivery of what happens on it."""
from __future__ import annotations

import os

from . import _checks, _fork, _library, _log
from ._state import Told
from .callbacks import OpAMPCallbacks
from .client import OpAMPClient

try:  # with the package, so that start() finds it loaded
    from . import _builders, _run  # pyright: ignore[reportUnusedImport]  # noqa: F401
except ImportError:  # a Python without ctypes: there is no library then
    pass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Any

    from ._events import Event
    from ._handle import Handle
    from ._run import Run
    from ._sends import Done, Sends
    from .transport.exceptions import OpAMPException

#: How long the end of the process may take, in seconds.
EXIT_S = 1.0


class OpAMPAgent:
    """Keeps a client in touch with its server. All parameters are keywords.

    `interval`: seconds from the last message to the next one when there is no news (at least 0.01,
    at most a day; the server may ask for another). `callbacks`: hears what happens; None where
    events are iterated over. `initial_backoff`: the first retry comes within these seconds, later
    ones back off. `max_retries`: how often a message of `send` is tried again before its callback
    comes; what it reports is kept and goes out once the server is back. `heartbeat_max_retries` is
    taken for compatibility: heartbeats never pile up.
    `restart_after_fork`: a child forked while the agent runs starts it too, as another agent, with
    a uid of its own; otherwise the child has none until it calls `start`, and says so once in the
    log. `name`: stands in the agent's log lines, which have the instance uid otherwise, and in the
    names of the library's threads; at most 64 bytes.

    Raises ValueError for a negative number, TypeError for what is none.
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
        restart_after_fork: bool = False,
        name: str = "",
    ) -> None:
        self._interval_ms = max(10, _checks.milliseconds("interval", interval))
        self._backoff_ms = _checks.milliseconds("initial_backoff", initial_backoff)
        self._tries = 1 + _checks.count("max_retries", max_retries)
        self._heartbeat_tries = 1 + _checks.count("heartbeat_max_retries", heartbeat_max_retries)
        self._callbacks, self._client = OpAMPCallbacks() if callbacks is None else callbacks, client
        self._name = _checks.label("name", name)
        self._restart_after_fork, self._process = restart_after_fork, os.getpid()
        self._handle: Handle | None = None
        self._run: Run | None = None
        self._made_sends: Sends | None = None

    def start(self, *, thread: bool = True) -> None:
        """Starts in the background, also again after `stop`. Never fails because of the network or
        the endpoint: that is told by `on_connect_failed` and in the log. With `thread=False`
        nothing is called by itself: call `dispatch`, or iterate over `events`.

        A started agent lives until `stop`, even when nothing refers to it; at a normal end of the
        process it says goodbye, within a second. Where the library is missing (`opamp.available`)
        one warning is logged and nothing starts. Raises RuntimeError when it runs already, or where
        no thread can be had, TypeError for a client that is a mock or anything else.
        """
        self._check_process()
        if self._run is not None:
            raise RuntimeError("the agent is already started")
        if not _is_a_client(self._client):
            raise TypeError(f"client must be an OpAMPClient, not {type(self._client).__name__}")
        if _library.library() is None:
            _log.warn_once("agent", f"no OpAMP agent runs: {_library.reason()}")
            return
        from ._builders import Overridden
        from ._events import Event
        from ._run import Run

        state = self._client.__opamp_state__
        builders = Overridden(self._client, OpAMPClient, self._interval_ms / 1000,
                              self._heartbeat_tries)
        refused = self._begin()
        run = self._run = Run(state, None if refused else self._handle, self._sends, builders,
                              self._tell, self._on_over)
        _fork.watch(self, self._at_exit, self._in_child)
        if refused is not None:
            _log.logger("agent").error("the agent can not start: %s", refused)
            run.keep(Event("connect_failed", error=refused))
        elif self._handle is not None:
            state.running = run
            self._sends.begin(self._handle)
            run.report_due()
        if thread:
            try:
                run.spawn()
            except RuntimeError:
                run.stop(None)
                raise

    def _begin(self) -> OpAMPException | None:
        """Starts the library's agent; what refused it otherwise."""
        from . import _handle as h, _told
        from .transport.exceptions import OpAMPException

        lib, state = _library.required(), self._client.__opamp_state__
        try:
            if self._handle is None:
                self._handle = self._made(_told.opened(state))
            # Its end was told, but its thread may be on its way out yet.
            lib.agent_stop(self._handle.pointer, -1)
            h.call(lib.agent_set_log_events, self._handle.pointer, _log.library_level())
            _told.call_with_authorities(state, lib.agent_start, self._handle.pointer)
        except h.Refused as error:
            return error.why
        except OpAMPException as error:
            return error
        return None

    def _made(self, client: Handle) -> Handle:
        import ctypes

        from . import _handle as h

        lib, out = _library.required(), ctypes.c_void_p()
        h.call(lib.client_set_option, client.pointer, _library.FIRST_RETRY_MAX_MS, self._backoff_ms)
        base_ms = min(_checks.DAY_S * 1000, max(1, 2 * self._backoff_ms))
        h.call(lib.client_set_option, client.pointer, _library.BACKOFF_BASE_MS, base_ms)
        h.call(lib.agent_new, client.pointer, None, None, None, ctypes.byref(out))
        handle = h.Handle(out.value or 0, lib.agent_free)
        h.call(lib.agent_set_name, handle.pointer, self._name)
        h.call(lib.agent_set_delivery, handle.pointer, _library.DELIVERY_POLL)
        h.call(lib.agent_set_heartbeat_interval, handle.pointer, self._interval_ms)
        return handle

    @property
    def _sends(self) -> Sends:
        if self._made_sends is None:
            from ._sends import Sends

            known = _is_a_client(self._client)
            self._made_sends = Sends(self._client.__opamp_state__ if known else Told())
        return self._made_sends

    def send(self, payload: Any, max_retries: int | None = None,
             callback: Callable[[], Any] | None = None) -> None:
        """Reports what a message of the client's builders says: its bytes, or the message itself.
        Does not block.

        `callback()` comes once, when the server has confirmed it or `max_retries` further tries
        failed (None: the agent's number). What was sent before `start`, or faster than it can
        leave, waits as one message of the newest parts. Raises ValueError for what is no
        AgentToServer, TypeError for what is neither bytes nor a message, and for a callback that
        can not be called.
        """
        self._check_process()
        encoded = _checks.encoded("payload", payload)
        tries = self._tries
        if max_retries is not None:
            tries = 1 + _checks.count("max_retries", max_retries)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        done = None if callback is None else _without_argument(callback)
        try:
            self._sends.send(encoded, tries, done)
        except ValueError as error:
            raise ValueError(f"payload: {error}") from None

    def stop(self, timeout: float | None = None) -> None:
        """Says goodbye to the server, ends, and waits for it at most `timeout` seconds. Repeatable,
        and safe before `start`.

        No callback begins after this call. One that runs is waited for, 2 s without a `timeout`;
        inside a callback this only asks for the end. Raises ValueError for a negative time.
        """
        self._end(timeout, True)

    def detach(self, timeout: float | None = None) -> None:
        """Ends as `stop` does, but does not tell the server that the agent is gone: another process
        goes on under the same instance uid, as after an exec or a reload, whichever of the two
        connects or leaves first. What is pending is still reported."""
        self._end(timeout, False)

    def _end(self, timeout: float | None, goodbye: bool) -> None:
        self._check_process()
        if timeout is not None:
            timeout = _checks.milliseconds("timeout", timeout) / 1000
        if self._run is not None:
            self._run.stop(timeout, goodbye)

    @property
    def __opamp_parties__(self) -> tuple[OpAMPClient, OpAMPCallbacks]:
        """Who reports and who hears, for this package alone."""
        return self._client, self._callbacks

    def _tell(self, event: Event) -> None:
        callbacks, client = self._callbacks, self._client
        # Which of an event's attributes are there goes with its kind.
        told: Any = event
        if event.kind == "connected":
            callbacks.on_connect(self, client)
        elif event.kind == "connect_failed":
            callbacks.on_connect_failed(self, client, told.error)
        elif event.kind == "server_error":
            callbacks.on_error(self, client, told.error_response)
        elif event.kind == "message":
            callbacks.on_message(self, client, told.message)

    def _on_over(self, run: Run) -> None:
        """The run is over, by `stop` or because the library's agent ended."""
        if self._run is run:
            self._run = None
            _fork.forget(self)
        state = self._client.__opamp_state__
        if state.running is run:
            state.running = None

    def _at_exit(self) -> None:
        """The process ends: a goodbye within a second, with the interpreter free for a transport of
        the host's."""
        if self._run is not None:
            self._run.stop(EXIT_S)

    def _check_process(self) -> None:
        """In a forked child nothing of the parent's is used, whether the agent ran or not."""
        if self._process != os.getpid():
            self._in_child()

    def _in_child(self) -> None:
        """The agent stays with the parent."""
        run, self._process = self._run, os.getpid()
        self._run = self._handle = self._made_sends = None
        if run is None or run.is_stopping:
            return
        if self._restart_after_fork:
            self.start(thread=run.has_thread)
        else:
            _log.warn_once("agent", "this process was forked from one with an OpAMP agent; "
                                    "it has none of its own until start() is called")

    def fileno(self) -> int:
        """A descriptor that is readable while something waits for `dispatch`, for select, epoll or
        an event loop; after `start(thread=False)`. It stays the same; never read or close it.
        Raises RuntimeError when the agent does not run so."""
        return self._own_loop().descriptor()

    def dispatch(self, timeout: float = 0) -> int:
        """Calls the callbacks on this thread for what waits, and waits up to `timeout` seconds for
        the first; after `start(thread=False)`. Returns how many events there were, those without a
        callback included; 0 when the agent does not run. Raises RuntimeError when the agent
        delivers on its own thread."""
        run = self._run
        wait_ms = _checks.milliseconds("timeout", timeout)
        return 0 if run is None else self._own_loop().dispatch(wait_ms)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, in the running asyncio loop, until the agent has stopped; starts the agent
        if it does not run. No callback is called. Where several tasks iterate, they take turns.
        Raises RuntimeError when the agent delivers on its own thread."""
        import asyncio

        if self._run is None:
            self.start(thread=False)
        run = self._run
        if run is None:
            return
        self._own_loop()
        for kept in run.kept():
            yield kept
        loop = asyncio.get_running_loop()
        # One task waits for the next event, the others for their turn.
        turn = run.turns.setdefault(loop, asyncio.Lock())
        while not run.is_over and run.handle is not None:
            async with turn:
                came, event = run.take(0)
                if not came:
                    await self._readable(loop, run)
            if event is not None:
                yield event
            for kept in run.kept():
                yield kept

    async def _readable(self, loop: Any, run: Run) -> None:
        import asyncio

        readable, descriptor = loop.create_future(), run.descriptor()

        def wake() -> None:
            if not readable.done():
                readable.set_result(None)

        def on_end() -> None:
            loop.call_soon_threadsafe(wake)

        loop.add_reader(descriptor, wake)
        run.on_end.append(on_end)
        try:
            wait_ms = run.report_due()
            if not run.is_over:
                await asyncio.wait({readable}, timeout=None if wait_ms < 0 else wait_ms / 1000)
        finally:
            run.on_end.remove(on_end)
            loop.remove_reader(descriptor)

    def snapshot(self) -> dict[str, Any]:
        """How the agent is doing now, running or not: `state`, `failures`, `messages_sent`, .. as
        the library tells them, times in milliseconds. {} before the first start."""
        import json

        from . import _handle as h

        self._check_process()
        if self._handle is None:
            return {}
        lib = _library.required()
        taken = h.made(lib.agent_snapshot, lib.snapshot_free, self._handle.pointer)
        return dict(json.loads(lib.snapshot_json(taken.pointer)))

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until the server has confirmed all that was set before, at most `timeout` seconds.
        False: it has not, or it refused a part. Raises RuntimeError when the agent does not run."""
        wait_ms = -1 if timeout is None else _checks.milliseconds("timeout", timeout)
        status = _library.required().agent_flush(self._running().pointer, wait_ms, None)
        return bool(status == _library.OK)

    def poll_now(self) -> None:
        """Sends a message now instead of at the next interval. Raises RuntimeError when the agent
        does not run."""
        _library.required().agent_poll_now(self._running().pointer)

    def _running(self) -> Handle:
        self._check_process()
        if self._run is None or self._run.handle is None:
            raise RuntimeError("the agent does not run")
        return self._run.handle

    def _own_loop(self) -> Run:
        self._check_process()
        if self._run is None:
            raise RuntimeError("the agent does not run")
        if self._run.has_thread:
            raise RuntimeError("the agent delivers on its own thread; "
                               "start(thread=False) leaves that to you")
        return self._run

    def __enter__(self) -> OpAMPAgent:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is_a_client(client: object) -> bool:
    """Of its type, as a mock's class is what the mock says: ctypes would look for a pointer in a
    mock without an end."""
    return issubclass(type(client), OpAMPClient)


def _without_argument(callback: Callable[[], Any]) -> Done:
    def done(_: OpAMPException | None) -> None:
        callback()

    return done
