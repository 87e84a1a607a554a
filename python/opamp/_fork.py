"""What a forked child does with the agents of its parent: it has none, and says so once."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_agents: dict[int, Any] = {}
_state = {"registered": False}


def watch(agent: Any) -> None:
    """Keeps a started agent alive, to be stopped at exit and left behind by a fork."""
    _agents[id(agent)] = agent
    if not _state["registered"]:
        _state["registered"] = True
        import atexit

        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_in_child)


def forget(agent: Any) -> None:
    _agents.pop(id(agent), None)


def _at_exit() -> None:
    for agent in list(_agents.values()):
        agent._at_exit()


def _in_child() -> None:
    agents = list(_agents.values())
    _agents.clear()
    for agent in agents:
        agent._in_child()
