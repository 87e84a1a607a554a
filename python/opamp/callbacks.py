"""What the host hears of its agent."""
from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent import OpAMPAgent
    from .client import OpAMPClient


@dataclasses.dataclass
class MessageData:
    """What an answer of the server asks the host to act on; a part that it did not bring is None.

    The parts are views with protobuf's attribute names, with or without protobuf; `to_proto()` makes the real message where protobuf
    is installed. They may be kept; they keep the received buffer alive.
    """

    #: AgentRemoteConfig: `config.config_map` (name to `body`, `content_type`), `config_hash`, and `files`, the bodies without a copy.
    remote_config: Any = None
    #: PackagesAvailable, where AcceptsPackages is declared.
    packages_available: Any = None
    #: ConnectionSettingsOffers, where a capability that takes them is declared.
    connection_settings: Any = None
    #: AgentIdentification; the library has taken the new uid over.
    agent_identification: Any = None
    #: ServerToAgentCommand, where AcceptsRestartCommand is declared.
    command: Any = None
    #: CustomMessage of a declared custom capability.
    custom_message: Any = None

    @classmethod
    def from_server_message(cls, message: Any) -> MessageData:
        """The parts of a ServerToAgent, a view or a real protobuf message; nothing is filtered."""
        return cls(**{field.name: getattr(message, field.name) for field in dataclasses.fields(cls) if message.HasField(field.name)})


class OpAMPCallbacks(abc.ABC):
    """Override what you want to hear; each method does nothing by default.

    Called one at a time, on one background thread (or inside `OpAMPAgent.dispatch`). An exception is logged and swallowed; a slow one
    delays later callbacks and nothing else. For each answer: `on_connect`, then `on_error` or `on_message`.
    """

    def on_connect(self, agent: OpAMPAgent, client: OpAMPClient) -> None:
        """An exchange succeeded."""

    def on_connect_failed(self, agent: OpAMPAgent, client: OpAMPClient, error: Exception) -> None:
        """A try failed; the agent goes on trying. `error` is an OpAMPException."""

    def on_error(self, agent: OpAMPAgent, client: OpAMPClient, error_response: Any) -> None:
        """The server answered with a ServerErrorResponse (`type`, `error_message`, `retry_info`); the agent deals with it."""

    def on_message(self, agent: OpAMPAgent, client: OpAMPClient, message: MessageData) -> None:
        """The server answered, perhaps with nothing to act on (`message.remote_config` is None then)."""
