"""The names of anyvalue.proto."""
from __future__ import annotations

from ._classes import lookup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> Any:
    return lookup("anyvalue_pb2", name)
