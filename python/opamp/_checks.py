"""What an argument may be: whatever is wrong with one is a TypeError or a ValueError that names it."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DAY_S = 86_400


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


def uid(name: str, given: Any) -> bytes:
    """The 16 bytes that name an agent."""
    if not isinstance(given, bytes):
        raise TypeError(f"{name} must be bytes, not {type(given).__name__}")
    if len(given) != 16 or not any(given):
        raise ValueError(f"{name} must be 16 bytes, not all of them zero")
    return given


def encoded(name: str, message: Any) -> bytes:
    """The bytes of a message, which may be a message or its bytes."""
    data: Any = message.SerializeToString() if hasattr(message, "SerializeToString") else message
    try:
        return data if isinstance(data, bytes) else bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"{name} must be bytes or a message, not {type(message).__name__}") from None


def headers(name: str, given: Mapping[Any, Any] | None) -> dict[str, str]:
    """Names and values as text; a header whose value is None is not sent, as requests has it."""
    return {_text(name, key, (str, bytes)): _text(name, value, (str, bytes, int, float)) for key, value in dict(given or {}).items()
            if value is not None}


def _text(name: str, given: Any, kinds: tuple[type, ...]) -> str:
    if not isinstance(given, kinds):
        raise TypeError(f"{name} must map text to text, not {type(given).__name__}")
    return given.decode("latin-1") if isinstance(given, bytes) else str(given)


def path(name: str, given: Any) -> Any:
    """A path as `os` takes them, or None."""
    if given is not None and not isinstance(given, (str, bytes)) and not hasattr(given, "__fspath__"):
        raise TypeError(f"{name} must be a path, not {type(given).__name__}")
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
