"""What an argument may be: whatever is wrong with one is a TypeError or a ValueError that names
it."""
from __future__ import annotations

from .proto._names import STATUSES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DAY_S = 86_400
#: As the library cuts a text, in bytes.
MOST_TEXT = 8192
CUT = " [cut]"


def not_negative(name: str, number: Any) -> Any:
    """The number. Raises ValueError (also for NaN), TypeError."""
    try:
        is_negative = not number >= 0
    except TypeError:
        raise TypeError(f"{name} must be a number, not {type(number).__name__}") from None
    if is_negative:
        raise ValueError(f"{name} must not be negative")
    return number


def milliseconds(name: str, seconds: Any) -> int:
    """At most a day."""
    return int(min(not_negative(name, seconds), DAY_S) * 1000)


def count(name: str, number: Any) -> int:
    """At most as many as the library counts."""
    return int(min(not_negative(name, number), 2**31))


def option_ms(milliseconds: Any) -> int:
    """What an option of the library takes: 1 to a day."""
    return max(1, int(min(milliseconds, DAY_S * 1000)))


def bits(name: str, number: Any) -> int:
    """A set of flags of 64 bits."""
    if not isinstance(number, int):
        raise TypeError(f"{name} must be an int, not {type(number).__name__}")
    if not 0 <= number < 2**64:
        raise ValueError(f"{name} must have 64 bits at most")
    return number


def label(name: str, given: Any) -> bytes:
    """A short text for log lines."""
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a str, not {type(given).__name__}")
    encoded = given.encode()
    if len(encoded) > 64:
        raise ValueError(f"{name} is {len(encoded)} bytes long, must be at most 64")
    if not given.isprintable():
        raise ValueError(f"{name} must be printable")
    return encoded


def uid(name: str, given: Any) -> bytes:
    """The 16 bytes that name an agent."""
    if not isinstance(given, bytes):
        raise TypeError(f"{name} must be bytes, not {type(given).__name__}")
    if len(given) != 16 or not any(given):
        raise ValueError(f"{name} must be 16 bytes, not all of them zero")
    return given


def content(name: str, given: Any) -> bytes:
    """Bytes that are not empty."""
    if not isinstance(given, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be bytes, not {type(given).__name__}")
    if not len(given):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(f"{name} is empty")
    return bytes(given)  # pyright: ignore[reportUnknownArgumentType]


def status(name: str, given: Any) -> int:
    """A status of an offer that can be reported."""
    if not isinstance(given, int):
        raise TypeError(f"{name} must be an int, not {type(given).__name__}")
    if given not in STATUSES.values():
        *known, last = (f"{each} ({number})" for each, number in
                        sorted(STATUSES.items(), key=lambda pair: pair[1]))
        raise ValueError(f"{name} is {given}, must be {', '.join(known)} or {last}")
    return int(given)


def status_hash(name: str, given: Any, status: int) -> bytes:
    """The hash that goes with a status: UNSET is about no offer."""
    if status != STATUSES["UNSET"]:
        return content(name, given)
    if not isinstance(given, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be bytes, not {type(given).__name__}")
    if len(given):  # pyright: ignore[reportUnknownArgumentType]
        raise ValueError(f"{name} must be empty with UNSET")
    return b""


def free_text(name: str, given: Any) -> str:
    """A text for people, as the library sends it: mended and cut, never refused for what it
    says."""
    if isinstance(given, (bytes, bytearray, memoryview)):
        # What is cut away anyway is not decoded.
        begin = bytes(given[:4 * MOST_TEXT])  # pyright: ignore[reportUnknownArgumentType]
        given = begin.decode("utf-8", "replace")
    if not isinstance(given, str):
        raise TypeError(f"{name} must be text or bytes, not {type(given).__name__}")
    mended = given[:MOST_TEXT + 1].replace("\0", "\ufffd")
    body = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in mended).encode()
    if len(body) <= MOST_TEXT:
        return body.decode()
    return body[:MOST_TEXT - len(CUT)].decode("utf-8", "ignore") + CUT


def attributes(name: str, given: Any) -> None:
    """A NUL in a key or a text would be where the library's text ends."""
    for key, value in given.items():
        if isinstance(key, str) and "\0" in key:
            raise ValueError(f"{name}: the key {key!r} has a NUL character")
        _without_nul(f"{name}: the value of {key!r}", value)


def _without_nul(what: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{what} has a NUL character")
    elif depth < 32 and hasattr(value, "items"):
        attributes(what, value)
    elif depth < 32 and isinstance(value, (list, tuple)):
        for each in value:  # pyright: ignore[reportUnknownVariableType]
            _without_nul(what, each, depth + 1)


def encoded(name: str, message: Any) -> bytes:
    """The bytes of a message, which may be a message or its bytes."""
    data: Any = message.SerializeToString() if hasattr(message, "SerializeToString") else message
    try:
        return data if isinstance(data, bytes) else bytes(memoryview(data))
    except TypeError:
        kind = type(message).__name__
        raise TypeError(f"{name} must be bytes or a message, not {kind}") from None


def headers(name: str, given: Mapping[Any, Any] | None) -> dict[str, str]:
    """Names and values as text; a header whose value is None is not sent, as requests has it."""
    return {_text(name, key, (str, bytes)): _text(name, value, (str, bytes, int, float))
            for key, value in dict(given or {}).items() if value is not None}


def _text(name: str, given: Any, kinds: tuple[type, ...]) -> str:
    if not isinstance(given, kinds):
        raise TypeError(f"{name} must map text to text, not {type(given).__name__}")
    return given.decode("latin-1") if isinstance(given, bytes) else str(given)


def path(name: str, given: Any) -> Any:
    """A path as `os` takes them, or None."""
    is_path = given is None or isinstance(given, (str, bytes)) or hasattr(given, "__fspath__")
    if not is_path:
        raise TypeError(f"{name} must be a path, not {type(given).__name__}")
    return given


def switch(name: str, given: Any) -> bool:
    """On or off."""
    if not isinstance(given, bool):
        raise TypeError(f"{name} must be a bool, not {type(given).__name__}")
    return given


def trust(name: str, given: Any) -> Any:
    """True, False or a path; None is True, as requests has it."""
    return given if isinstance(given, bool) else path(name, given) or True


def proxy(name: str, given: Any) -> Any:
    """The URL is in no exception: it may hold a password."""
    if given is not None and given is not False and not isinstance(given, str):
        raise TypeError(f"{name} must be a URL, None or False, not {type(given).__name__}")
    return given


def texts(name: str, given: Any) -> tuple[str, ...]:
    """Several texts; a single one is a mistake that would be taken letter by letter."""
    several = () if isinstance(given, (str, bytes)) else tuple(given)
    if isinstance(given, (str, bytes)) or not all(isinstance(each, str) for each in several):
        raise TypeError(f"{name} must be several texts")
    return several
