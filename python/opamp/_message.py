"""Protobuf messages without protobuf: views that decode when looked at, over a buffer that they share."""
from __future__ import annotations

import struct

from .proto._schema import MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # Name, number, kind; "" or "repeated" or "map" or the name of a oneof; the message or kind inside.
    Field = tuple[str, int, str, str, str]
    _List = list[Any]
    _Dict = dict[str, Any]
else:
    _List, _Dict = list, dict

_classes: dict[str, type[Message]] = {}
_EMPTY: dict[str, Any] = {"bytes": b"", "string": "", "double": 0.0, "bool": False}


class DecodeError(ValueError):
    """The bytes are no protobuf message of that kind."""


def varint(view: memoryview, at: int) -> tuple[int, int]:
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


def fields_of(view: memoryview) -> list[tuple[int, int | memoryview, int, int]]:
    """Number, value, begin and end of each field at the top level. Raises DecodeError."""
    at, end = 0, len(view)
    fields: list[tuple[int, int | memoryview, int, int]] = []
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


def _number(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Repeated(_List):
    """A repeated field."""

    def __init__(self, kind: str, inside: str) -> None:
        super().__init__()
        self._kind, self._inside = kind, inside

    def add(self, **values: Any) -> Any:
        """Appends a new message and returns it."""
        self.append(message_class(self._inside)(**values))
        return self[-1]


class Map(_Dict):
    """A map field; the entry of a missing key is made when asked for, as protobuf does."""

    def __init__(self, inside: str) -> None:
        super().__init__()
        self._inside = inside

    def __missing__(self, key: str) -> Any:
        value = self[key] = message_class(self._inside)() if self._inside else ""
        return value


class Message:
    """One message of the schema. Attributes, HasField, FromString and so on are as protobuf's; `to_proto()` makes a real one."""

    __slots__ = ("_raw", "_set", "_present")
    _name = ""
    _fields: dict[str, Field] = {}
    _numbers: dict[int, Field] = {}
    _raw: memoryview | None
    _set: dict[str, Any]
    _present: bool

    def __init__(self, **values: Any) -> None:
        _set_raw(self, None)
        _set_values(self, {})
        _set_present(self, False)
        for name, value in values.items():
            self._put(name, value)

    @classmethod
    def FromString(cls, data: bytes | memoryview) -> Any:
        """The message of these bytes, which are not copied. Raises DecodeError."""
        view = memoryview(data)
        if view.format != "B" or not view.readonly:
            view = view.cast("B").toreadonly()
        fields_of(view)
        return cls.over(view)

    @classmethod
    def over(cls, view: memoryview) -> Any:
        """The message of bytes that are looked at only when a field is."""
        made = cls.__new__(cls)
        _set_raw(made, view)
        _set_values(made, {})
        _set_present(made, True)
        return made

    def ParseFromString(self, data: bytes | memoryview) -> None:
        """Replaces everything. Raises DecodeError."""
        other = self.FromString(data)
        _set_raw(self, other._raw)
        _set_present(self, True)
        _set_values(self, {})

    def _read(self) -> dict[str, Any]:
        raw = self._raw
        if raw is not None:
            fields = fields_of(raw)
            _set_raw(self, None)
            numbers = self._numbers
            for number, value, _, _ in fields:
                if number in numbers:
                    self._take(numbers[number], value)
        return self._set

    def _take(self, field: Field, value: int | memoryview) -> None:
        name, _, kind, label, inside = field
        values = self._set
        if not label:
            if kind == "message" and name in values:  # twice: the parts are merged
                value = memoryview(values[name].SerializeToString() + bytes(_view(value)))
            values[name] = _decoded(kind, value, inside)
        elif label == "map":
            if name not in values:
                values[name] = Map(inside)
            key, content = memoryview(b""), memoryview(b"")
            for number, each, _, _ in fields_of(_view(value)):
                if number == 1:
                    key = _view(each)
                elif number == 2:
                    content = _view(each)
            values[name][_decoded("string", key, "")] = _decoded("message" if inside else "string", content, inside)
        elif label == "repeated":
            if name not in values:
                values[name] = Repeated(kind, inside)
            values[name].append(_decoded(kind, value, inside))
        else:
            former = values.get(name)
            self._clear_siblings(label)
            if kind == "message" and former is not None:
                value = memoryview(former.SerializeToString() + bytes(_view(value)))
            values[name] = _decoded(kind, value, inside)

    def _clear_siblings(self, oneof: str) -> None:
        for other in self._fields.values():
            if other[3] == oneof and oneof:
                self._set.pop(other[0], None)

    def _put(self, name: str, value: Any) -> None:
        _, _, kind, label, inside = self._field(name)
        values = self._read()
        _set_present(self, True)
        if label == "map":
            values[name] = Map(inside)
            for key, each in value.items():
                values[name][key] = _own(inside, each) if inside else each
        elif label == "repeated":
            values[name] = Repeated(kind, inside)
            values[name].extend(_own(inside, each) if inside else each for each in value)
        elif value is not None:
            self._clear_siblings(label)
            values[name] = _own(inside, value) if inside else _checked(name, kind, value)

    def _field(self, name: str) -> Field:
        if name not in self._fields:
            raise AttributeError(f"{self._name} has no field {name!r}")
        return self._fields[name]

    def __getattr__(self, name: str) -> Any:
        _, _, kind, label, inside = self._field(name)
        values = self._read()
        if name in values:
            value = values[name]
            return bytes(value) if kind == "bytes" and not label == "repeated" else value
        if label == "map":
            made: Any = Map(inside)
        elif label == "repeated":
            made = Repeated(kind, inside)
        elif kind == "message":
            made = message_class(inside)()
        else:
            return _EMPTY.get(kind, 0)
        if not label or label in ("map", "repeated"):
            values[name] = made
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        if self._field(name)[2] == "message" or self._field(name)[3] in ("map", "repeated"):
            raise AttributeError(f"Assignment not allowed to field {name!r} of {self._name}; use CopyFrom")
        self._put(name, value)

    def HasField(self, name: str) -> bool:
        """Whether a message or a member of a oneof is there. Raises ValueError for a field that has no such state, or is not there at all."""
        field = self._fields.get(name)
        if field is None or field[3] in ("map", "repeated") or (not field[3] and field[2] != "message"):
            raise ValueError(f"{self._name} has no field {name!r} that may be absent")
        value = self._read().get(name)
        return value is not None and (field[2] != "message" or bool(field[3]) or value._has_content())

    def _has_content(self) -> bool:
        return self._present or any(v._has_content() if isinstance(v, Message) else bool(v) for v in self._read().values())

    def WhichOneof(self, oneof: str) -> str | None:
        """The member of the oneof that is set."""
        return next((f[0] for f in self._fields.values() if f[3] == oneof and f[0] in self._read()), None)

    def SetInParent(self) -> None:
        """Makes the message present though nothing is set in it."""
        _set_present(self, True)

    def ClearField(self, name: str) -> None:
        """Takes a field away."""
        self._read().pop(self._field(name)[0], None)

    def CopyFrom(self, other: Any) -> None:
        """Becomes a copy of another message of the kind, a view or a real one."""
        self.ParseFromString(other.SerializeToString())

    @property
    def files(self) -> dict[str, memoryview]:
        """Of an AgentRemoteConfig or EffectiveConfig: name to body, without a copy."""
        holder = self.config if "config" in self._fields else self.config_map
        return {name: memoryview(file._read().get("body", b"")) for name, file in holder.config_map.items()}

    def SerializeToString(self) -> bytes:
        """The encoded message."""
        if self._raw is not None:
            return bytes(self._raw)
        out: list[bytes | memoryview] = []
        self._write(out)
        return b"".join(out)

    def _write(self, out: list[bytes | memoryview]) -> int:
        if self._raw is not None:
            out.append(self._raw)
            return len(self._raw)
        size = 0
        for name, number, kind, label, inside in self._fields.values():
            value = self._set.get(name)
            if value is None:
                continue
            if label == "map":
                for key, each in value.items():
                    entry: list[bytes | memoryview] = []
                    length = _encode(entry, 1, "string", key)
                    length += _encode(entry, 2, "message" if inside else "string", each)
                    head = _number(number << 3 | 2) + _number(length)
                    out.append(head)
                    out.extend(entry)
                    size += len(head) + length
            elif label == "repeated":
                size += sum(_encode(out, number, kind, each) for each in value)
            elif kind == "message":
                if label or value._has_content():
                    size += _encode(out, number, kind, value)
            elif label or value:
                size += _encode(out, number, kind, value)
        return size

    def to_proto(self) -> Any:
        """The real protobuf message. Raises ImportError where protobuf is not installed."""
        from .proto._classes import real

        return real(self._name).FromString(self.SerializeToString())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Message):
            return self._same_as(other)
        serialized: Any = getattr(other, "SerializeToString", None)
        try:
            return serialized is not None and self._same_as(self.FromString(serialized()))
        except DecodeError:
            return False

    def _same_as(self, other: Message) -> bool:
        return self._name == other._name and self._content() == other._content()

    def _content(self) -> dict[str, Any]:
        """What is set and is not the default."""
        return {name: value for name, value in self._read().items()
                if (value._has_content() if isinstance(value, Message) else bool(value)) or self._is_of_a_oneof(name)}

    def _is_of_a_oneof(self, name: str) -> bool:
        return self._fields[name][3] not in ("", "map", "repeated")

    __hash__ = None  # type: ignore[assignment]  # as protobuf's: it can change

    def __repr__(self) -> str:
        def shown_of(value: Any) -> str:
            return f"<{len(value)} bytes>" if type(value).__name__ in ("bytes", "bytearray", "memoryview") else repr(value)

        shown = (f"{name}={shown_of(value)}" for name, value in self._read().items())
        return f"{self._name}({', '.join(shown)})"


# Around our own __setattr__, which is for fields.
_set_raw = Message.__dict__["_raw"].__set__
_set_values = Message.__dict__["_set"].__set__
_set_present = Message.__dict__["_present"].__set__


def _view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise DecodeError("a number where bytes belong")
    return value


def _decoded(kind: str, value: int | memoryview, inside: str) -> Any:
    if kind == "message":
        return message_class(inside).over(_view(value))
    if kind == "string":
        try:
            return str(_view(value), "utf-8")
        except UnicodeDecodeError:
            raise DecodeError("a text that is not UTF-8") from None
    if kind == "bytes":
        return _view(value)
    if kind in ("double", "fixed64"):
        if len(_view(value)) != 8:
            raise DecodeError("a number of another size")
        return struct.unpack("<d" if kind == "double" else "<Q", _view(value))[0]
    if not isinstance(value, int):
        raise DecodeError("bytes where a number belongs")
    return bool(value) if kind == "bool" else value - 2**64 if kind in ("int64", "int32") and value >= 2**63 else value


def _encode(out: list[bytes | memoryview], number: int, kind: str, value: Any) -> int:
    if kind in ("message", "string", "bytes"):
        at = len(out)
        out.append(b"")
        if kind == "message":
            size = int(value._write(out))
        else:
            body: Any = value.encode("utf-8", "replace") if kind == "string" else value
            out.append(body)
            size = len(body)
        out[at] = _number(number << 3 | 2) + _number(size)
        return len(out[at]) + size
    if kind in ("double", "fixed64"):
        out.append(_number(number << 3 | 1) + struct.pack("<d" if kind == "double" else "<Q", value))
    else:
        out.append(_number(number << 3) + _number(int(value)))
    return len(out[-1])


def _checked(name: str, kind: str, value: Any) -> Any:
    wanted: Any = {"bytes": (bytes, bytearray, memoryview), "string": str, "double": (int, float)}.get(kind, int)
    if not isinstance(value, wanted):
        raise TypeError(f"{name} takes {kind}, not {type(value).__name__}")
    return value


def _own(inside: str, value: Any) -> Message:
    """A message of ours, from one of ours, a real one, or a mapping of its fields."""
    if isinstance(value, dict):
        made = message_class(inside)(**value)
        made.SetInParent()
        return made
    if isinstance(value, Message):
        value.SetInParent()
        return value
    copied: Message = message_class(inside).FromString(value.SerializeToString())
    return copied


def message_class(name: str) -> type[Message]:
    """Our class of that message."""
    made = _classes.get(name)
    if made is None:
        rows = MESSAGES[name][1]
        made = _classes[name] = type(name, (Message,), {
            "__slots__": (), "_name": name, "_fields": {row[0]: row for row in rows}, "_numbers": {row[1]: row for row in rows}})
    return made
