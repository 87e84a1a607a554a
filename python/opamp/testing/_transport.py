"""A transport that answers what the test says, and keeps what it was asked."""
from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._message import message_class
from ..callbacks import MessageData
from ..transport.base import HttpTransport
from ._devserver import File

if TYPE_CHECKING:
    from ..agent import OpAMPAgent


class Request(NamedTuple):
    """What a transport was asked to send: the decoded AgentToServer, and its way."""

    message: Any
    url: str
    headers: dict[str, str]


def answer(files: Mapping[str, File] | None = None, *, config_hash: bytes = b"offered",
           **parts: Any) -> Any:
    """A ServerToAgent: with a configuration of these files, and whatever other field is given
    (`error_response={"type": 1}`)."""
    if files is not None:
        made: dict[str, dict[str, Any]] = {}
        for name, file in files.items():
            content_type, body = file if isinstance(file, tuple) else ("", file)
            octets = body.encode() if isinstance(body, str) else body
            made[name] = {"content_type": content_type, "body": octets}
        parts["remote_config"] = {"config": {"config_map": made}, "config_hash": config_hash}
    return message_class("ServerToAgent")(**parts)


class FakeTransport(HttpTransport):
    """For `OpAMPClient(transport=..)`: answers with what it was given, one per request and in order
    (an exception is raised), then with empty answers. An agent that was started runs on it as on
    any other; `exchange` needs no library and no `start`."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        #: What was asked, oldest first.
        self.requests: list[Request] = []
        self._changed = threading.Condition()

    def answer(self, *answers: Any) -> None:
        """More answers, behind those that wait."""
        with self._changed:
            self._answers.extend(answers)

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
        """As `HttpTransport.send`."""
        message = message_class("AgentToServer").FromString(data)
        with self._changed:
            self.requests.append(Request(message, url, dict(headers)))
            given = (self._answers.pop(0) if self._answers
                     else answer(instance_uid=message.instance_uid))
            self._changed.notify_all()
        if isinstance(given, BaseException):
            raise given
        return given

    def wait(self, requests: int = 1, timeout: float = 10) -> list[Any]:
        """Waits at most `timeout` seconds until there were so many requests; all messages. Raises
        AssertionError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= requests, timeout):
                came = len(self.requests)
                raise AssertionError(f"{came} requests within {timeout} s, not {requests}")
            return [request.message for request in self.requests]

    def exchange(self, agent: OpAMPAgent) -> None:
        """One report of an agent that was not started, its answer, and the callbacks for it, on
        this thread. What a callback raises is the test's to see."""
        client, callbacks = agent.__opamp_parties__
        try:
            got = client.send(client.build_full_state_message())
        except Exception as error:
            callbacks.on_connect_failed(agent, client, error)
            return
        callbacks.on_connect(agent, client)
        if got.HasField("error_response"):
            callbacks.on_error(agent, client, got.error_response)
        else:
            callbacks.on_message(agent, client, MessageData.from_server_message(got))
