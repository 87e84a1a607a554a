"""Protobuf's wire format: the fields of an encoded message, and numbers."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    # What is decoded, and slices of it.
    Bytes = Union[bytes, memoryview]

_ONE_BYTE = [bytes([value]) for value in range(128)]


class DecodeError(ValueError):
    """The bytes are no protobuf message of that kind."""


def varint(view: Bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
        shift += 7
    raise DecodeError("a number without an end")


def fields_of(view: Bytes) -> list[tuple[int, int | Bytes, int, int]]:
    """Number, value, begin and end of each field at the top level. Raises DecodeError."""
    at, end = 0, len(view)
    fields: list[tuple[int, int | Bytes, int, int]] = []
    while at < end:
        begin = at
        key = view[at]
        at += 1
        if key > 127:
            key, at = varint(view, begin)
        if key & 7 == 2:
            size = view[at] if at < end else 128
            at += 1
            if size > 127:
                size, at = varint(view, at - 1)
        elif key & 7 == 0:
            number, at = varint(view, at)
            fields.append((key >> 3, number, begin, at))
            continue
        elif key & 7 in (1, 5):
            size = 8 if key & 7 == 1 else 4
        else:
            raise DecodeError("an unknown kind of field")
        value_at, at = at, at + size
        if at > end:
            raise DecodeError("a field longer than the message")
        fields.append((key >> 3, view[value_at:at], begin, at))
    return fields


def encoded_number(value: int) -> bytes:
    """A varint; a negative one takes ten bytes."""
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def pair(view: Bytes) -> tuple[Bytes, Bytes]:
    """The fields 1 and 2 of a message that has no others, both with a length: an entry of a map, or
    a file. Raises DecodeError."""
    end = len(view)
    # As everybody writes it: the one, then the other.
    if end > 3 and view[0] == 10:
        size, first = view[1], 2
        if size > 127:
            size, first = varint(view, 1)
        second = first + size
        if second + 1 < end and view[second] == 18:
            length, at = view[second + 1], second + 2
            if length > 127:
                length, at = varint(view, second + 1)
            if at + length == end:
                return view[first:second], view[at:]
    found: dict[int, Bytes] = {1: b"", 2: b""}
    for number, value, _, _ in fields_of(view):
        if number in found:
            if isinstance(value, int):
                raise DecodeError("a number where bytes belong")
            found[number] = value
    return found[1], found[2]
