"""The names of opamp.proto."""
from __future__ import annotations

from ._classes import constants, lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

globals().update(constants())


def __getattr__(name: str) -> Any:
    return lookup("opamp_pb2", name)
