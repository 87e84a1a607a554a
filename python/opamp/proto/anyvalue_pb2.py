"""The names of anyvalue.proto."""
from __future__ import annotations

from typing import Any

from ._classes import lookup


def __getattr__(name: str) -> Any:
    return lookup("anyvalue_pb2", name)
