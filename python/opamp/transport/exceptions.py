"""The failure of an exchange."""
from __future__ import annotations


class OpAMPException(Exception):
    """An exchange with the server failed.

    `kind` says where ("connect", "tls", "timeout", "http_status", "server", ..; "" where it is not known), `http_status` is that of
    the answer (0: there was none), `retry_in` when the agent tries again, in seconds (None: not known).
    """

    kind: str = ""
    http_status: int = 0
    retry_in: float | None = None
