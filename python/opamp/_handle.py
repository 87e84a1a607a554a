"""Calls into the library: handles that free themselves, errors as exceptions, borrowed buffers as
memoryviews."""
from __future__ import annotations

import ctypes

from . import _library
from .exceptions import OpAMPTimeoutError
from .transport.exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Slice(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Handle:
    """A pointer that is given back when the last user of it is gone."""

    __slots__ = ("pointer", "_free")

    def __init__(self, pointer: int, free: Any) -> None:
        self.pointer = pointer
        self._free = free

    def __del__(self) -> None:
        self._free(self.pointer)


def view_of(owner: Handle, piece: Slice) -> memoryview:
    """The borrowed bytes, without a copy; the handle lives as long as any view of them."""
    size = int(piece.len)
    if not size:
        return memoryview(b"")
    array: Any = (ctypes.c_ubyte * size).from_address(piece.data or 0)
    array.owner = owner
    return memoryview(array).cast("B").toreadonly()


def exception_of(error: int) -> OpAMPException:
    """A borrowed opamp_error."""
    lib = _library.required()
    kind = lib.error_kind_name(lib.error_kind(error)).decode()
    made = (OpAMPTimeoutError if kind == "timeout" else OpAMPException)(
        lib.error_text(error).decode("utf-8", "replace"))
    made.kind, made.http_status = kind, lib.error_http_status(error)
    made.reason = lib.error_reason_name(lib.error_reason(error)).decode()
    made.capabilities = lib.error_capabilities(error)
    of_server = ctypes.c_int32()
    if lib.error_server_type(error, ctypes.byref(of_server)) == _library.OK:
        made.server_type = of_server.value
        made.server_message = lib.error_server_message(error).decode("utf-8", "replace")
    wait = ctypes.c_uint64()
    if lib.error_retry_in_ms(error, ctypes.byref(wait)) == _library.OK:
        made.retry_in = wait.value / 1000
    return made


def bytes_of(function: Any, owner: Handle) -> memoryview:
    """What a function of an object and a slice lends."""
    piece = Slice()
    function(owner.pointer, ctypes.byref(piece))
    return view_of(owner, piece)


class Refused(Exception):
    """A call answered something else than OK."""

    def __init__(self, status: int, why: OpAMPException) -> None:
        super().__init__(str(why))
        self.status, self.why = status, why


def check(status: int) -> None:
    if status:
        name = _library.required().status_name(status).decode()
        raise Refused(status, OpAMPException(name))


def call(function: Any, *arguments: Any) -> None:
    """Calls a function whose last parameter is the error. Raises Refused."""
    error = ctypes.c_void_p()
    status = function(*arguments, ctypes.byref(error))
    if error.value:
        why = exception_of(error.value)
        _library.required().error_free(error)
        raise Refused(status, why)
    check(status)


def made(function: Any, free: Any, *arguments: Any) -> Handle:
    """What a function without an error puts into its last parameter. Raises Refused."""
    out = ctypes.c_void_p()
    check(function(*arguments, ctypes.byref(out)))
    return Handle(out.value or 0, free)


def explained(function: Any, free: Any, *arguments: Any) -> Handle:
    """What a function with an error puts into the parameter before it. Raises Refused."""
    out = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(out))
    return Handle(out.value or 0, free)


def attributes(values: dict[str, Any]) -> Handle:
    """A filled opamp_attributes."""
    lib = _library.required()
    handle = made(lib.attributes_new, lib.attributes_free)
    for key, value in values.items():
        encoded = text(key, "an attribute's key")
        _put("attributes_set_", handle, (encoded,), value, f"the attribute {key!r}")
    return handle


def _put(prefix: str, handle: Handle, key: tuple[bytes, ...], value: Any, what: str) -> None:
    lib = _library.required()

    def put(kind: str, *more: Any) -> None:
        call(getattr(lib, prefix + kind), handle.pointer, *key, *more)

    if value is None:
        put("empty")
    elif isinstance(value, bool):
        put("bool", int(value))
    elif isinstance(value, int):
        put("int", value)
    elif isinstance(value, float):
        put("double", value)
    elif isinstance(value, str):
        put("string", text(value, what))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        body = bytes(value)  # pyright: ignore[reportUnknownArgumentType]
        put("bytes", body, len(body))
    elif hasattr(value, "items"):
        inner = attributes(dict(value))
        put("map", inner.pointer)
    else:
        array = made(lib.array_new, lib.array_free)
        for each in value:
            _put("array_add_", array, (), each, what)
        put("array", array.pointer)


def text(value: str, what: str) -> bytes:
    """UTF-8 for a NUL-terminated parameter. Raises ValueError for a NUL inside."""
    if "\0" in value:
        raise ValueError(f"{what} has a NUL character")
    return value.encode("utf-8", "replace")
