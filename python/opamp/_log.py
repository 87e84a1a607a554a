"""Logging under `opamp`, or under the name that `install_as` gave. `logging` is imported when there
is something to say."""
from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

_prefix = "opamp"
_said: set[str] = set()
# Levels of the library, by number: error, warning, info, debug.
LEVELS = (0, 40, 30, 20, 10)


def logger(name: str) -> logging.Logger:
    """The logger of one of our modules."""
    import logging

    return logging.getLogger(f"{_prefix}.{name}")


def log_under(name: str) -> None:
    """Logs under another name than `opamp` from now on."""
    global _prefix
    _prefix = name


def warn_once(name: str, text: str) -> None:
    """A warning that is worth one line in a process."""
    if text not in _said:
        _said.add(text)
        logger(name).warning("%s", text)


def library_level() -> int:
    """What the library is asked to tell, by the level of the agent's logger: 0 (nothing) to 4
    (debug)."""
    if "logging" not in sys.modules:
        return 2  # as an unconfigured logging would say
    log = logger("agent")
    return max((level for level in range(1, 5) if log.isEnabledFor(LEVELS[level])), default=0)
