"""The names of anyvalue.proto."""
from __future__ import annotations

from typing import Any

from ._classes import constants, lookup

_ = constants


def __getattr__(name: str) -> Any:
    return lookup("anyvalue_pb2", name)
