"""What a forked child does with the agents of its parent: they stay there, and the child says so once; one with `restart_after_fork` is
started anew. (A client knows its process itself: in another one it has a name of its own.)

A fork by `os.fork` is heard of at once, by a hook; one in C that runs no hooks when an agent or a client is next used.
"""
# pyright: reportPrivateUsage=false
from __future__ import annotations

import os

from . import _threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .agent import OpAMPAgent

_agents: dict[int, OpAMPAgent] = {}
# The process that started them; 0: none was ever started.
_process = 0


def watch(agent: OpAMPAgent) -> None:
    """Keeps a started agent alive, to be stopped at exit and left behind by a fork."""
    global _process
    _agents[id(agent)] = agent
    if not _process:
        import atexit
        # The hooks of these two must come before ours: then their locks are good again in the child.
        import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import threading

        atexit.register(_at_exit)
        if not _threads.has_daemons():
            # Threads that are no daemons are waited for before that.
            getattr(threading, "_register_atexit")(_at_exit)
        os.register_at_fork(after_in_child=_in_child)
        _process = os.getpid()


def forget(agent: OpAMPAgent) -> None:
    _agents.pop(id(agent), None)


def check() -> None:
    """To be called before anything of an agent's is used."""
    if _process and os.getpid() != _process:
        _in_child()


def _at_exit() -> None:
    check()
    for agent in list(_agents.values()):
        agent._at_exit()


def _in_child() -> None:
    global _process
    _process = os.getpid()
    agents = list(_agents.values())
    _agents.clear()
    for agent in agents:
        agent._in_child()
