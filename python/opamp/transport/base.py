"""The interface of a transport of the host's own."""
from __future__ import annotations

import abc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

base_headers = {"Content-Type": "application/x-protobuf"}


class HttpTransport(abc.ABC):
    """Carries exchanges over an HTTP stack of the host's own: `OpAMPClient(transport=..)`.

    An agent calls it on a thread of its own, one call at a time, with instrumentation suppressed
    where OpenTelemetry is installed.
    """

    @abc.abstractmethod
    def send(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        data: bytes,
        timeout_millis: int,
        tls_certificate: str | bool,
        tls_client_certificate: str | None = None,
        tls_client_key: str | None = None,
    ) -> Any:
        """Posts `data` and returns the decoded answer, a ServerToAgent
        (`opamp.messages.decode_message`, or a real protobuf message).

        Whatever it raises is a failed try. Where the exception, or its cause, has a `response` with
        `status_code` and `headers` (as those of requests and httpx have), the status and its
        Retry-After are heeded.
        """
