"""What the host hears of its agent."""
from __future__ import annotations

import abc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._data import MessageData as MessageData
    from .agent import OpAMPAgent
    from .client import OpAMPClient


def __getattr__(name: str) -> Any:
    """`MessageData`, when first asked for: `dataclasses` takes a third of this package's import."""
    if name == "MessageData":
        from ._data import MessageData

        globals()[name] = MessageData
        return MessageData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class OpAMPCallbacks(abc.ABC):
    """Override what you want to hear; each method does nothing by default.

    Called one at a time, on one background thread (or inside `OpAMPAgent.dispatch`). An exception
    is logged and swallowed; a slow one delays later callbacks and nothing else. For each answer:
    `on_connect`, then `on_error` or `on_message`.
    """

    def on_connect(self, agent: OpAMPAgent, client: OpAMPClient) -> None:
        """An exchange succeeded."""

    def on_connect_failed(self, agent: OpAMPAgent, client: OpAMPClient, error: Exception) -> None:
        """A try failed; the agent goes on trying. `error` is an OpAMPException."""

    def on_error(self, agent: OpAMPAgent, client: OpAMPClient, error_response: Any) -> None:
        """The server answered with a ServerErrorResponse (`type`, `error_message`, `retry_info`);
        the agent deals with it."""

    def on_message(self, agent: OpAMPAgent, client: OpAMPClient, message: MessageData) -> None:
        """The server answered, perhaps with nothing to act on (`message.remote_config` is None
        then)."""
