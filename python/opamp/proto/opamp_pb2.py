"""The names of opamp.proto."""
from __future__ import annotations

from typing import Any

from ._classes import constants, lookup

globals().update(constants())


def __getattr__(name: str) -> Any:
    return lookup("opamp_pb2", name)
