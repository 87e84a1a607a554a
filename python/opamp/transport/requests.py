"""A transport over the `requests` package, for hosts that want its sessions, adapters or hooks."""
from __future__ import annotations

from .base import HttpTransport, base_headers
from .exceptions import OpAMPException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class RequestsTransport(HttpTransport):
    """Posts with a `requests.Session`: the given one, or one of its own. Raises ImportError where
    requests is not installed."""

    def __init__(self, session: Any = None) -> None:
        if session is None:
            from importlib import import_module

            session = import_module("requests").Session()
        self.session: Any = session

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
        """As `HttpTransport.send`. Raises OpAMPException, with the cause, for every failure."""
        from ..messages import decode_message

        pair = ((tls_client_certificate, tls_client_key) if tls_client_key
                else tls_client_certificate)
        try:
            response = self.session.post(
                url, headers={**base_headers, **headers}, data=data,
                timeout=timeout_millis / 1000, verify=tls_certificate, cert=pair)
            response.raise_for_status()
            return decode_message(response.content)
        except Exception as error:
            raise OpAMPException(str(error)) from error
