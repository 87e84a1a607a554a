"""What a forked child does with the agents of its parent: they stay there, and the child says so
once; one with `restart_after_fork` is started anew.

A fork by `os.fork` is heard of at once, by a hook. Clients and agents know their process, too, and
look when they are used: a fork in C may run no hooks.
"""
from __future__ import annotations

import os

from . import _threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What each agent does at the end of the process, and what in a child.
_watched: dict[int, tuple[Callable[[], None], Callable[[], None]]] = {}
_hooks = {"registered": False}


def watch(agent: object, at_exit: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Keeps a started agent alive, to be stopped at exit and left behind by a fork: the two are
    methods of it."""
    _watched[id(agent)] = at_exit, in_child
    if not _hooks["registered"]:
        _hooks["registered"] = True
        import atexit
        # The hooks of these two must come before ours: then their locks are good again in the
        # child.
        import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import threading

        atexit.register(_at_exit)
        if not _threads.has_daemons():
            # Threads that are no daemons are waited for before that.
            getattr(threading, "_register_atexit")(_at_exit)
        os.register_at_fork(after_in_child=_in_child)


def forget(agent: object) -> None:
    _watched.pop(id(agent), None)


def _at_exit() -> None:
    for at_exit, _ in list(_watched.values()):
        at_exit()


def _in_child() -> None:
    watched = list(_watched.values())
    _watched.clear()
    for _, in_child in watched:
        in_child()
