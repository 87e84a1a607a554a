"""Numbers of the schema by their names, for the modules of this package."""
from __future__ import annotations

from ._schema import ENUMS, MESSAGES


def fields(message: str) -> dict[str, int]:
    """The fields of a message."""
    return {row[0]: row[1] for row in MESSAGES[message][1]}


def values(enumeration: str) -> dict[str, int]:
    """The values of an enumeration, whose names go without the one of the enumeration."""
    return {name.partition("_")[2]: number for name, number in ENUMS[enumeration].items()}


CAPABILITIES = values("AgentCapabilities")
#: Of a remote config: UNSET, APPLIED, APPLYING, FAILED.
STATUSES = values("RemoteConfigStatuses")
#: Of AgentToServer.
FIELDS = fields("AgentToServer")


def capabilities(*names: str) -> int:
    """The bits of these capabilities."""
    return sum(CAPABILITIES[name] for name in names)
