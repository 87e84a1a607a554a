"""Sequence numbers over a transport of the application's."""
from __future__ import annotations

# The field of AgentToServer.
SEQUENCE_NUM = 2


class Numbers:
    """The sequence numbers of one instance uid over a transport of the application's: the library counts the messages of its agents, and
    does not know of those that are sent in between."""

    def __init__(self) -> None:
        self._sent_here = 0
        self._next_of_library = 0

    def take(self) -> int:
        """For a message that is sent without an agent."""
        self._sent_here += 1
        return self._next_of_library + self._sent_here - 1

    def give_back(self) -> None:
        """It reached nobody."""
        self._sent_here -= 1

    def adjusted(self, data: bytes) -> tuple[bytes, int]:
        """A message of the library's with the number that is next, and the number that it had."""
        from . import _wire

        number, begin, end = 0, 0, 0
        for field, value, start, stop in _wire.fields_of(memoryview(data)):
            if field == SEQUENCE_NUM and isinstance(value, int):
                number, begin, end = value, start, stop
        self._next_of_library = number + 1
        if self._sent_here:
            field_bytes = bytes([SEQUENCE_NUM << 3]) + _wire.encoded_number(number + self._sent_here)
            data = data[:begin] + field_bytes + data[end:]
        return data, number

    def is_unused(self, number: int) -> None:
        """The library's message of this number reached nobody; it will use it again."""
        self._next_of_library = number
