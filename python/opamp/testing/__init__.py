"""To test what your callbacks do: a development server, and a transport that needs neither a server
nor the library.

    def test_an_offer_is_applied(opamp_devserver):
        opamp_devserver.offer({"a.json": b"{}"})
        with OpAMPAgent(callbacks=MyCallbacks(), client=OpAMPClient(
                endpoint=opamp_devserver.endpoint, agent_identifying_attributes={"service.name":
                "shop"})):
            opamp_devserver.wait("status=APPLIED:offered")

With pytest, `opamp_devserver` and `opamp_transport` are fixtures; elsewhere `Devserver` is a
context manager and `FakeTransport` a class.
"""
from __future__ import annotations

from ._devserver import Devserver, DevserverNotFound
from ._transport import FakeTransport, Request, answer

__all__ = ["Devserver", "DevserverNotFound", "FakeTransport", "Request", "answer"]
