"""An agent whose server is behind a unix socket."""
import tempfile
from pathlib import Path
from urllib.parse import quote

from binding import Client
from relays import UnixRelay
from stage import NEVER
from wire import WireStage


class UnixSockets(WireStage):
    scheme = "http+unix"

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "opamp agent.sock")
        self.endpoint = f"{self.scheme}://{quote(self.path, safe='')}/v1/opamp"

    def heads(self):
        """What stands before the messages, oldest first."""
        return self.requests()

    def test_an_agent_lives_behind_a_socket_as_on_tcp(self):
        """[PROXY-03] configuration, verdict, kept connection and disconnect; the host named is localhost"""
        with UnixRelay(self.path, ("127.0.0.1", self.server.port)) as relay:
            self.server.offer({"a.yaml": b"a: 1"})
            client = self.client()
            client.set_endpoint(self.endpoint)
            agent = self.started(client)
            agent.apply(agent.wait("message"))
            agent.flush()
            self.assertEqual(self.path, agent.snapshot()["peer"])
            agent.stop()
            self.assertEqual(1, relay.count)
            self.assertEqual(["localhost"], self.header(self.heads()[0], "Host"))
            self.assertIn("agent_disconnect", self.last_message())

    def test_a_socket_that_comes_later_is_found(self):
        """[PROXY-03] [LOG-01] while nobody listens each try fails with the socket's name, then it recovers by itself"""
        client = self.client()
        client.set_endpoint(self.endpoint)
        agent = self.agent(client, NEVER).start()
        error = self.failing(agent)
        self.assertEqual("connect", error["kind"])
        self.assertIn(self.path, error["text"])
        with UnixRelay(self.path, ("127.0.0.1", self.server.port)):
            agent.wait("connected")
            agent.stop()

    def test_a_path_that_can_not_be_is_refused(self):
        """[PROXY-03] [HTTP-17]"""
        client = self.client()
        for endpoint, fact in [
            ("http+unix:///v1/opamp", "host"),
            ("http+unix://run%2Fopamp.sock/v1/opamp", "absolute"),
            ("http+unix://%2Frun%00/v1/opamp", "NUL"),
            ("http+unix://%2Frun%zz/v1/opamp", "hexadecimal"),
            (f"http+unix://%2F{'x' * 107}/v1/opamp", "107"),
        ]:
            with self.subTest(endpoint):
                for call in (Client, client.set_endpoint):
                    self.assertIn(fact, self.refused("E_INVALID_ARG", call, endpoint)["text"])
