"""Messages that a client's class builds in its own way: what they add to the library's is reported
at start and at each interval."""
from __future__ import annotations

import time

from . import _log
from ._sends import Sends, is_reported, parts_of

BUILDERS = ("build_full_state_message", "build_heartbeat_message")


class Overridden:
    """The builders of a client that are not its `base`'s own."""

    def __init__(self, client: object, base: type, interval_s: float, tries: int) -> None:
        builders = {name: getattr(client, name) for name in BUILDERS}
        self._builders = [build for name, build in builders.items()
                          if getattr(build, "__func__", None) is not getattr(base, name)]
        self._interval_s, self._tries = interval_s, tries
        self._said: dict[int, bytes] = {}
        self._next = time.monotonic()

    def wait_ms(self) -> int:
        """How long until the next look; -1: there is nothing to look at."""
        return max(0, int((self._next - time.monotonic()) * 1000) + 1) if self._builders else -1

    def report_due(self, sends: Sends) -> None:
        """Builds at each interval, and sends what is news. A builder that fails is logged."""
        now = time.monotonic()
        if not self._builders or now < self._next:
            return
        self._next = now + self._interval_s
        news: dict[int, bytes] = {}
        for build in self._builders:
            try:
                news.update(parts_of(build()))
            except Exception:
                _log.logger("agent").exception("building a message failed")
        news = {number: part for number, part in news.items()
                if self._said.get(number) != part and is_reported(number)}
        if news:
            self._said.update(news)
            sends.send(b"".join(news.values()), self._tries, None)
