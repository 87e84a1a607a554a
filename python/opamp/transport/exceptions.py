"""The failure of an exchange."""
from __future__ import annotations


class OpAMPException(Exception):
    """An exchange with the server failed.

    `kind` says where ("connect", "tls", "timeout", "http_status", "server", ..; "" where it is not
    known), `http_status` is that of the answer (0: there was none), `retry_in` when the agent tries
    again, in seconds (None: not known). `reason` says why and stays the same whatever the text says
    ("no_description", "capability_unsupported", "url_scheme", ..: OPAMP_REASON_* of opamp.h in
    lower case; "" or "none": kind and text say all); `capabilities` are those that it is about.
    `server_type` is the type of a server's ServerErrorResponse (0 UNKNOWN, 1 BAD_REQUEST, 2
    UNAVAILABLE; None: it is none), `server_message` its text, cut to 256 bytes.
    """

    kind: str = ""
    http_status: int = 0
    retry_in: float | None = None
    reason: str = ""
    capabilities: int = 0
    server_type: int | None = None
    server_message: str = ""
