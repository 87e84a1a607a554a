"""What a forked child does with the agents of its parent: they stay there, and the child says so once; one with `restart_after_fork` is
started anew.

A fork by `os.fork` is heard of at once, by a hook. Clients and agents know their process, too, and look when they are used: a fork in C may
run no hooks.
"""
# pyright: reportPrivateUsage=false
from __future__ import annotations

import os

from . import _threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .agent import OpAMPAgent

_agents: dict[int, OpAMPAgent] = {}
_state = {"registered": False}


def watch(agent: OpAMPAgent) -> None:
    """Keeps a started agent alive, to be stopped at exit and left behind by a fork."""
    _agents[id(agent)] = agent
    if not _state["registered"]:
        _state["registered"] = True
        import atexit
        # The hooks of these two must come before ours: then their locks are good again in the child.
        import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import threading

        atexit.register(_at_exit)
        if not _threads.has_daemons():
            # Threads that are no daemons are waited for before that.
            getattr(threading, "_register_atexit")(_at_exit)
        os.register_at_fork(after_in_child=_in_child)


def forget(agent: OpAMPAgent) -> None:
    _agents.pop(id(agent), None)


def _at_exit() -> None:
    for agent in list(_agents.values()):
        agent._at_exit()


def _in_child() -> None:
    agents = list(_agents.values())
    _agents.clear()
    for agent in agents:
        agent._in_child()
