"""What an answer of the server brings: `opamp.callbacks.MessageData`."""
from __future__ import annotations

import dataclasses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclasses.dataclass
class MessageData:
    """What an answer of the server asks the host to act on; a part that it did not bring is None.

    The parts are views with protobuf's attribute names, with or without protobuf; `to_proto()`
    makes the real message where protobuf is installed. They may be kept; they keep the received
    buffer alive.
    """

    #: AgentRemoteConfig: `config.config_map` (name to `body`, `content_type`), `config_hash`, and
    #: `files`, the bodies without a copy.
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
        return cls(**{name: getattr(message, name) for name in cls.__dataclass_fields__
                      if message.HasField(name)})


MessageData.__module__ = "opamp.callbacks"
