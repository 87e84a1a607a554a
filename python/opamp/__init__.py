"""An OpAMP agent in this process: takes configurations from a server, applies what your callbacks
apply, reports what became of it.

    agent = opamp.OpAMPAgent(callbacks=MyCallbacks(), client=opamp.OpAMPClient(
        endpoint="https://server/v1/opamp", agent_identifying_attributes={"service.name": "shop"}))
    agent.start()

Names, keywords and defaults are those of OpenTelemetry Python's `opentelemetry._opamp`. The work is
done by libopamp.so, on a thread of its own that never holds the interpreter; callbacks come on one
daemon thread.
"""
from __future__ import annotations

from ._alias import install_as
from .agent import OpAMPAgent
from .callbacks import OpAMPCallbacks
from .client import OpAMPClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._events import Event as Event
    from .callbacks import MessageData as MessageData
    from .version import __version__ as __version__

    #: Whether libopamp.so was found and loaded; without it `OpAMPAgent.start` warns once and does
    #: nothing.
    available: bool
    #: Why not; None where it is available.
    unavailable_reason: str | None

__all__ = ["Event", "MessageData", "OpAMPAgent", "OpAMPCallbacks", "OpAMPClient", "available",
           "install_as", "unavailable_reason"]


def __getattr__(name: str) -> Any:
    if name == "MessageData":
        from .callbacks import MessageData

        return MessageData
    if name == "Event":
        from ._events import Event

        return Event
    if name == "__version__":
        from .version import __version__

        return __version__
    if name in ("available", "unavailable_reason"):
        from . import _library

        return _library.library() is not None if name == "available" else _library.reason()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
