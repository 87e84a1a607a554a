"""What a distribution does today, with only the import changed: a configurator that keeps no reference, never stops, and collects garbage.
Over http, https with an authority of its own and a client certificate, ws and wss; the development server and opamp-go's."""
import contextlib
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from kit import PACKAGE, PATIENCE_S, ROOT, Devserver

# For this import alone: two folders of tests have a module `child`.
sys.path.insert(0, str(ROOT / "tests/interop"))
import goserver  # noqa: E402

sys.path.pop(0)
del sys.modules["child"]

# The old usage, as distributions have it; `opamp` stands where `opentelemetry._opamp` stood.
CONFIGURATOR = """
import gc, logging, os, sys
from opamp.agent import OpAMPAgent
from opamp.callbacks import MessageData, OpAMPCallbacks
from opamp.client import OpAMPClient
from opamp.exceptions import OpAMPRemoteConfigDecodeException, OpAMPRemoteConfigParseException
from opamp.proto import opamp_pb2

logger = logging.getLogger(__name__)

class MyCallbacks(OpAMPCallbacks):
    def on_message(self, agent: OpAMPAgent, client: OpAMPClient, message: MessageData) -> None:
        if not message.remote_config:
            return
        status, error, applied = opamp_pb2.RemoteConfigStatuses_APPLIED, "", {}
        for name, file in message.remote_config.config.config_map.items():
            assert file.body and file.content_type == "application/json", name
        try:
            for name, config in client.decode_remote_config(message.remote_config):
                applied[name] = config
        except (OpAMPRemoteConfigParseException, OpAMPRemoteConfigDecodeException) as exc:
            status, error = opamp_pb2.RemoteConfigStatuses_FAILED, str(exc)
        status_message = client.update_remote_config_status(
            remote_config_hash=message.remote_config.config_hash, status=status, error_message=error)
        if status_message is not None:
            agent.send(payload=client.build_remote_config_status_response_message(status_message))
            client.update_effective_config(applied, "application/json")
            agent.send(payload=client.build_full_state_message())

def configure():
    endpoint = os.environ.get("OTEL_PYTHON_OPAMP_ENDPOINT")
    tls = dict(zip(("tls_certificate", "tls_client_certificate", "tls_client_key"), sys.argv[1:]))
    client = OpAMPClient(endpoint=endpoint, agent_identifying_attributes={"service.name": "shop"}, timeout_millis=10000, **tls)
    agent = OpAMPAgent(interval=0.2, callbacks=MyCallbacks(), client=client)
    agent.start()

configure()
gc.collect()
sys.stdin.read()
"""


@contextlib.contextmanager
def host(endpoint, trust=None):
    """The configurator in a process of its own, which ends by itself in the end, in good order."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "OTEL_PYTHON_OPAMP_ENDPOINT": endpoint, "PYTHONWARNINGS": "error"}
    files = [f"{trust}/ca.pem", f"{trust}/client.pem", f"{trust}/client.key"] if trust else []
    process = subprocess.Popen([sys.executable, "-c", CONFIGURATOR, *files], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    try:
        yield
    finally:
        _, errors = process.communicate(timeout=PATIENCE_S)
    if process.returncode or errors:
        raise AssertionError(f"status {process.returncode}: {errors.decode()}")


class OverEachScheme:
    """Beside a TestCase whose `usage` lives through it."""

    def test_over_http(self):
        """[LIFE-01] [SYNC-01] [SYNC-12]"""
        self.usage("http")

    def test_over_https_with_own_authority_and_client_certificate(self):
        """[TLS-04] [LIFE-01]"""
        self.usage("https")

    def test_over_ws(self):
        """[WS-01] [LIFE-01]"""
        self.usage("ws")

    def test_over_wss_with_own_authority_and_client_certificate(self):
        """[WS-01] [TLS-04]"""
        self.usage("wss")


class AgainstTheDevelopmentServer(OverEachScheme, unittest.TestCase):
    def usage(self, scheme):
        with contextlib.ExitStack() as stack:
            trust = stack.enter_context(tempfile.TemporaryDirectory()) if scheme in ("https", "wss") else None
            server = stack.enter_context(Devserver(tls=trust, client_auth=bool(trust)))
            server.offer({"a.json": ("application/json", b'{"a": 1}')})
            with host(server.endpoints["ws" if scheme.startswith("ws") else "http"], trust):
                server.wait("status=APPLIED:offered", timeout=f"{PATIENCE_S}s")
                server.wait("effective=offered", timeout=f"{PATIENCE_S}s")
                server.wait("heartbeats>=3", timeout=f"{PATIENCE_S}s")
            server.wait("disconnected")
            received = server.timeline(kind="received")
            self.assertEqual([entry["sequence_number"] for entry in received], list(range(len(received))))
            self.assertEqual(["agent_disconnect" in entry["message"] for entry in received], [False] * (len(received) - 1) + [True])
            self.assertEqual({entry["transport"] for entry in received}, {scheme})
            self.assertEqual(server.problems(), [])


class AgainstTheServerOfOpampGo(OverEachScheme, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if goserver.lacking():
            raise unittest.SkipTest(goserver.lacking())

    def usage(self, scheme):
        with tempfile.TemporaryDirectory() as folder:
            trust = None
            if scheme in ("https", "wss"):
                trust = Path(folder)
                with Devserver(tls=folder):  # makes the certificates
                    pass
            server = goserver.GoServer(Path(folder), trust)
            try:
                with host(server.endpoint(scheme), trust):
                    server.wait_message(lambda message: message.number >= 1, timeout=PATIENCE_S)
                    digest, message = goserver.offer({"a.json": b"1"})
                    listed = message["remote_config"]["config"]["config_map"]
                    listed["a.json"]["content_type"] = "application/json"
                    server.do(*(("push",) if scheme.startswith("ws") else ("offer",)), message=message)
                    server.wait_message(lambda message: message.verdict == (digest, "APPLIED", ""), timeout=PATIENCE_S)
                    server.wait_message(lambda message: message.effective == {"a.json": b"1"}, timeout=PATIENCE_S)
                server.wait_message(lambda message: message.is_disconnect, timeout=PATIENCE_S)
                messages = server.messages()
                self.assertEqual([message.number for message in messages], list(range(len(messages))))
                self.assertEqual([message.is_disconnect for message in messages], [False] * (len(messages) - 1) + [True])
            finally:
                server.close()


if __name__ == "__main__":
    unittest.main()
