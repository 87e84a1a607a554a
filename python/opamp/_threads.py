"""Threads and locks of the system's own. Under gevent and eventlet the usual names stand for green
ones, which would stop every other green thread of the process in a blocking call, and can not be
woken from a thread of the system."""
from __future__ import annotations

import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _original(name: str) -> Any:
    """That name of `_thread`, as it was before anything was patched."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original("_thread", name)
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None:
        return getattr(eventlet.original("_thread"), name)
    import _thread

    return getattr(_thread, name)


def new_lock() -> Any:
    """A lock that is held only for moments."""
    return _original("allocate_lock")()


def ident() -> int:
    """Names the calling thread."""
    return int(_original("get_ident")())


def has_daemons() -> bool:
    """Whether this interpreter may have daemon threads: an isolated sub-interpreter may not (Python
    3.12)."""
    import _thread

    return bool(getattr(_thread, "daemon_threads_allowed", lambda: True)())


def spawn(function: Callable[[], None], name: str) -> None:
    """Runs a function on a daemon thread, where there may be any."""
    if "gevent.monkey" in sys.modules or "eventlet.patcher" in sys.modules:
        _original("start_new_thread")(function, ())
    else:
        threading.Thread(target=function, name=name, daemon=has_daemons()).start()


class Gate:
    """Opened once; any number of threads may wait for it."""

    def __init__(self) -> None:
        self.is_open = False
        self._lock = new_lock()
        self._lock.acquire()

    def open(self) -> None:
        if not self.is_open:
            self.is_open = True
            self._release()

    def wait(self, timeout: float) -> bool:
        """Whether it opened within so many seconds."""
        if not self.is_open and self._lock.acquire(True, max(0.0, timeout)):
            self._release()
        return self.is_open

    def _release(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # two opened it at once


class Slot:
    """Hands items from one thread to another; one waits, and the newest takes the place of an older
    one."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._lock = new_lock()
        self._lock.acquire()

    def put(self, item: Any) -> None:
        self._items[:] = [item]
        try:
            self._lock.release()
        except RuntimeError:
            pass  # nobody has taken the older one yet

    def take(self) -> Any:
        while True:
            try:
                return self._items.pop()
            except IndexError:
                self._lock.acquire()
