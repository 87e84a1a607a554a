"""Protobuf messages without protobuf: views that decode when looked at, over a shared buffer."""
from __future__ import annotations

import struct

from ._wire import DecodeError, encoded_number, fields_of, pair
from .proto._schema import MESSAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._wire import Bytes

    # Name, number, kind; "" or "repeated" or "map" or the name of a oneof; the message or kind
    # inside.
    Field = tuple[str, int, str, str, str]
    Taker = Callable[["Message", "int | Bytes"], None]
    _List = list[Any]
    _Dict = dict[str, Any]
else:
    _List, _Dict = list, dict

_classes: dict[str, type[Message]] = {}
#: Entries of maps up to this size, in bytes, are copied out of the received buffer.
SMALL = 1024
# Stands for the values of a message that was not looked at yet.
_UNREAD: dict[str, Any] = {}
_EMPTY: dict[str, Any] = {"bytes": b"", "string": "", "double": 0.0, "bool": False}


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
    """One message of the schema. Attributes, HasField, FromString and so on are as protobuf's;
    `to_proto()` makes a real one."""

    __slots__ = ("_raw", "_set", "_present")
    _name = ""
    _fields: dict[str, Field] = {}
    _takers: dict[int, Taker] = {}
    _raw: Bytes | None
    _set: dict[str, Any]
    _present: bool

    def __init_subclass__(cls, rows: list[Field] | None = None) -> None:
        """`rows`: the fields, for the class of one message of the schema."""
        if rows is not None:
            cls._name, cls._fields = cls.__name__, {row[0]: row for row in rows}
            cls._takers = {row[1]: cls._taker(row) for row in rows}
            for row in rows:
                setattr(cls, row[0], cls._Attribute(row))

    def __init__(self, **values: Any) -> None:
        self._raw, self._set, self._present = None, {}, False
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
    def over(cls, view: Bytes) -> Any:
        """The message of bytes that are looked at only when a field is."""
        made = cls.__new__(cls)
        made._raw, made._set, made._present = view, _UNREAD, True
        return made

    def ParseFromString(self, data: bytes | memoryview) -> None:
        """Replaces everything. Raises DecodeError."""
        self._raw, self._set, self._present = self.FromString(data)._raw, _UNREAD, True

    def _read(self) -> dict[str, Any]:
        raw = self._raw
        if raw is not None:
            fields, takers = fields_of(raw), self._takers
            self._raw, self._set = None, {}
            for number, value, _, _ in fields:
                if number in takers:
                    takers[number](self, value)
        return self._set

    def _clear_siblings(self, oneof: str) -> None:
        for other in self._fields.values():
            if other[3] == oneof and oneof:
                self._set.pop(other[0], None)

    def _put(self, name: str, value: Any) -> None:
        _, _, kind, label, inside = self._field(name)
        values = self._read()
        self._present = True
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

    def HasField(self, name: str) -> bool:
        """Whether a message or a member of a oneof is there. Raises ValueError for a field that has
        no such state, or is not there at all."""
        field = self._fields.get(name)
        if (field is None or field[3] in ("map", "repeated")
                or (not field[3] and field[2] != "message")):
            raise ValueError(f"{self._name} has no field {name!r} that may be absent")
        value = self._read().get(name)
        return value is not None and (
            field[2] != "message" or bool(field[3]) or value._has_content())

    def _has_content(self) -> bool:
        return self._present or any(
            value._has_content() if isinstance(value, Message) else bool(value)
            for value in self._read().values())

    def WhichOneof(self, oneof: str) -> str | None:
        """The member of the oneof that is set."""
        return next((field[0] for field in self._fields.values()
                     if field[3] == oneof and field[0] in self._read()), None)

    def SetInParent(self) -> None:
        """Makes the message present though nothing is set in it."""
        self._present = True

    def ClearField(self, name: str) -> None:
        """Takes a field away."""
        self._read().pop(self._field(name)[0], None)

    def CopyFrom(self, other: Any) -> None:
        """Becomes a copy of another message of the kind, a view or a real one."""
        self.ParseFromString(other.SerializeToString())

    @property
    def files(self) -> dict[str, memoryview]:
        """Of an AgentRemoteConfig or EffectiveConfig: name to body, without a copy."""
        message: Any = self
        holder = message.config if "config" in self._fields else message.config_map
        return {name: memoryview(file._read().get("body", b""))
                for name, file in holder.config_map.items()}

    def SerializeToString(self) -> bytes:
        """The encoded message."""
        if self._raw is not None:
            whole: object = self._raw.obj if isinstance(self._raw, memoryview) else self._raw
            if isinstance(whole, bytes) and len(whole) == len(self._raw):
                return whole
            return bytes(self._raw)
        out: list[bytes | memoryview] = []
        self._write(out)
        return b"".join(out)

    @staticmethod
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
            out[at] = encoded_number(number << 3 | 2) + encoded_number(size)
            return len(out[at]) + size
        if kind in ("double", "fixed64"):
            packed = struct.pack("<d" if kind == "double" else "<Q", value)
            out.append(encoded_number(number << 3 | 1) + packed)
        else:
            out.append(encoded_number(number << 3) + encoded_number(int(value)))
        return len(out[-1])

    def _write(self, out: list[bytes | memoryview]) -> int:
        if self._raw is not None:
            out.append(self._raw)
            return len(self._raw)
        size, encode = 0, self._encode
        for name, number, kind, label, inside in self._fields.values():
            value = self._set.get(name)
            if value is None:
                continue
            if label == "map":
                for key, each in value.items():
                    entry: list[bytes | memoryview] = []
                    length = encode(entry, 1, "string", key)
                    length += encode(entry, 2, "message" if inside else "string", each)
                    head = encoded_number(number << 3 | 2) + encoded_number(length)
                    out.append(head)
                    out.extend(entry)
                    size += len(head) + length
            elif label == "repeated":
                size += sum(encode(out, number, kind, each) for each in value)
            elif kind == "message":
                if label or value._has_content():
                    size += encode(out, number, kind, value)
            elif label or value:
                size += encode(out, number, kind, value)
        return size

    def to_proto(self) -> Any:
        """The real protobuf message. Raises ImportError where protobuf is not installed."""
        from .proto._real import real

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
                if (value._has_content() if isinstance(value, Message) else bool(value))
                or self._is_of_a_oneof(name)}

    def _is_of_a_oneof(self, name: str) -> bool:
        return self._fields[name][3] not in ("", "map", "repeated")

    def __reduce__(self) -> tuple[Callable[[str, bytes], Any], tuple[str, bytes]]:
        """To be copied and pickled, as protobuf's can: the bytes, out of the received buffer."""
        return _of_bytes, (self._name, self.SerializeToString())

    __hash__ = None  # type: ignore[assignment]  # as protobuf's: it can change

    @staticmethod
    def _taker(field: Field) -> Taker:
        """Puts a received value of a field into its message."""
        name, _, kind, label, inside = field

        def take(message: Message, value: int | Bytes) -> None:
            former = message._set.get(name)
            if label:
                message._clear_siblings(label)
            if kind == "message" and former is not None:  # twice: the parts are merged
                value = memoryview(former.SerializeToString() + bytes(_view(value)))
            message._set[name] = _decoded(kind, value, inside)

        def take_repeated(message: Message, value: int | Bytes) -> None:
            if name not in message._set:
                message._set[name] = Repeated(kind, inside)
            message._set[name].append(_decoded(kind, value, inside))

        def take_entry(message: Message, value: int | Bytes) -> None:
            values = message._set.get(name)
            if values is None:
                values = message._set[name] = Map(inside)
            entry = _view(value)
            # A small one is faster to take apart as bytes, and leaves the garbage collector
            # nothing to look at.
            key, content = pair(entry if len(entry) > SMALL else bytes(entry))
            values[_text(key)] = message_class(inside).over(content) if inside else _text(content)

        def take_bytes(message: Message, value: int | Bytes) -> None:
            message._set[name] = _view(value)

        def take_text(message: Message, value: int | Bytes) -> None:
            message._set[name] = _text(_view(value))

        if not label and kind in ("bytes", "string"):
            return take_bytes if kind == "bytes" else take_text
        return {"map": take_entry, "repeated": take_repeated}.get(label, take)

    def __repr__(self) -> str:
        def shown_of(value: Any) -> str:
            is_binary = type(value).__name__ in ("bytes", "bytearray", "memoryview")
            return f"<{len(value)} bytes>" if is_binary else repr(value)

        shown = (f"{name}={shown_of(value)}" for name, value in self._read().items())
        return f"{self._name}({', '.join(shown)})"

    class _Attribute:
        """A field as an attribute of its message."""

        __slots__ = ("_name", "_kind", "_label", "_inside", "_is_bytes")

        def __init__(self, field: Field) -> None:
            self._name, _, self._kind, self._label, self._inside = field
            self._is_bytes = self._kind == "bytes" and self._label != "repeated"

        def __get__(self, message: Any, kind: Any = None) -> Any:
            if message is None:
                return self
            values = message._set if message._raw is None else message._read()
            value = values.get(self._name)
            if value is not None:
                return bytes(value) if self._is_bytes else value
            if self._label == "map":
                made: Any = Map(self._inside)
            elif self._label == "repeated":
                made = Repeated(self._kind, self._inside)
            elif self._kind == "message":
                made = message_class(self._inside)()
            else:
                return _EMPTY.get(self._kind, 0)
            # What is put into it later is put into the message, except that looking at a member
            # of a oneof sets nothing.
            if self._label in ("", "map", "repeated"):
                values[self._name] = made
            return made

        def __set__(self, message: Any, value: Any) -> None:
            if self._kind == "message" or self._label in ("map", "repeated"):
                raise AttributeError(f"Assignment not allowed to field {self._name!r} of "
                                     f"{message._name}; use CopyFrom")
            message._put(self._name, value)


class File(Message):
    """AgentConfigFile, of which an offer may have thousands."""

    __slots__ = ()

    def _read(self) -> dict[str, Any]:
        if self._raw is not None:
            body, content_type = pair(self._raw)
            self._raw, self._set = None, {"body": body, "content_type": _text(content_type)}
        return self._set


class Files(Message):
    """AgentConfigMap: `_take_entry` for each file, without a call for each step."""

    __slots__ = ()

    def _read(self) -> dict[str, Any]:
        if self._raw is not None:
            fields, files = fields_of(self._raw), Map("AgentConfigFile")
            kind = message_class("AgentConfigFile")
            make, known = kind.__new__, self._takers
            for number, value, _, _ in fields:
                if number in known:
                    entry = _view(value)
                    key, content = pair(entry if len(entry) > SMALL else bytes(entry))
                    file = files[_text(key)] = make(kind)
                    file._raw, file._set, file._present = content, _UNREAD, True
            self._raw, self._set = None, {"config_map": files} if files else {}
        return self._set


def _view(value: int | Bytes) -> Bytes:
    if isinstance(value, int):
        raise DecodeError("a number where bytes belong")
    return value


def _text(view: Bytes) -> str:
    try:
        return str(view, "utf-8")
    except UnicodeDecodeError:
        raise DecodeError("a text that is not UTF-8") from None


def _decoded(kind: str, value: int | Bytes, inside: str) -> Any:
    if kind == "message":
        return message_class(inside).over(_view(value))
    if kind == "string":
        return _text(_view(value))
    if kind == "bytes":
        return _view(value)
    if kind in ("double", "fixed64"):
        if len(_view(value)) != 8:
            raise DecodeError("a number of another size")
        return struct.unpack("<d" if kind == "double" else "<Q", _view(value))[0]
    if not isinstance(value, int):
        raise DecodeError("bytes where a number belongs")
    if kind == "bool":
        return bool(value)
    return value - 2**64 if kind in ("int64", "int32") and value >= 2**63 else value


def _checked(name: str, kind: str, value: Any) -> Any:
    wanted: Any = {"bytes": (bytes, bytearray, memoryview), "string": str,
                   "double": (int, float)}.get(kind, int)
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


def _of_bytes(name: str, data: bytes) -> Any:
    return message_class(name).FromString(data)


def message_class(name: str) -> type[Message]:
    """Our class of that message."""
    made = _classes.get(name)
    if made is None:
        rows = MESSAGES[name][1]
        base: Any = {"AgentConfigFile": File, "AgentConfigMap": Files}.get(name, Message)
        made = _classes[name] = type(name, (base,), {"__slots__": ()}, rows=rows)
    return made
