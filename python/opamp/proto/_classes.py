"""What `opamp_pb2` and `anyvalue_pb2` hold, made when first asked for."""
from __future__ import annotations

from .._message import message_class
from ._real import real
from ._schema import ENUMS, MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

class Enumeration:
    """An enumeration as protobuf's modules have them: `Name`, `Value`, `keys`, `values`, `items`,
    and its values as attributes."""

    def __init__(self, name: str, numbers: dict[str, int]) -> None:
        self._name, self._numbers = name, numbers

    def Name(self, number: int) -> str:
        """The first name of a value. Raises ValueError for one without."""
        for name, value in self._numbers.items():
            if value == number:
                return name
        raise ValueError(f"Enum {self._name} has no name defined for value {number!r}")

    def Value(self, name: str) -> int:
        """The value of a name. Raises ValueError for one that is not there."""
        if name not in self._numbers:
            raise ValueError(f"Enum {self._name} has no value defined for name {name!r}")
        return self._numbers[name]

    def keys(self) -> list[str]:
        return list(self._numbers)

    def values(self) -> list[int]:
        return list(self._numbers.values())

    def items(self) -> list[tuple[str, int]]:
        return list(self._numbers.items())

    def __getattr__(self, name: str) -> int:
        if name in self.__dict__.get("_numbers", ()):
            return self._numbers[name]
        raise AttributeError(f"Enum {self.__dict__.get('_name')} has no value with name {name!r}")


_enumerations = {
    name: Enumeration(name, dict(sorted(numbers.items(), key=lambda pair: pair[1])))
    for name, numbers in ENUMS.items()}


def lookup(module: str, name: str) -> Any:
    """An attribute of one of the two modules. Without protobuf a message class is our own, which
    has the same attributes."""
    if module == "opamp_pb2" and name in _enumerations:
        return _enumerations[name]
    if name in MESSAGES and MESSAGES[name][0] == module:
        try:
            return real(name)
        except ImportError:
            return message_class(name)
    raise AttributeError(f"module 'opamp.proto.{module}' has no attribute {name!r}")


def constants() -> dict[str, int]:
    """All enumeration values by name."""
    return {name: value for values in ENUMS.values() for name, value in values.items()}
