"""Whom a client believes, and what it says where TLS settings mean nothing."""
import tempfile
import unittest
from pathlib import Path

from kit import Devserver, Recorder, client_of, log_lines, python, running

HOST = """
import sys
from opamp import OpAMPAgent, OpAMPClient
client = OpAMPClient(endpoint=sys.argv[1], agent_identifying_attributes={"service.name": "shop"}, timeout_millis=10000)
exchanged = client.send(client.build_full_state_message()).instance_uid == client.instance_uid
client = OpAMPClient(endpoint=sys.argv[1], agent_identifying_attributes={"service.name": "shop"}, timeout_millis=10000)
with OpAMPAgent(callbacks=None, client=client) as agent:
    print(exchanged, agent.flush(30))
"""


class Authorities(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.none = self.folder / "none"
        self.none.mkdir()
        (self.none / "empty.pem").touch()
        self.server = Devserver(tls=self.folder)
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)

    def host(self, **environment):
        """What a host says that has no authorities of the system's."""
        where = {"SSL_CERT_FILE": str(self.none / "empty.pem"), "SSL_CERT_DIR": str(self.none), "REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": ""}
        return python(HOST, self.server.endpoint, **{**where, **environment})

    def test_the_bundle_that_the_environment_names_for_python_counts_first(self):
        """[TLS-04]"""
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            self.assertEqual(self.host(**{name: str(self.folder / "ca.pem")}), "True True\n")

    def test_certifi_is_the_last_resort(self):
        """Where the system has no authorities at all; of an exchange without an agent, too."""
        (self.folder / "certifi.py").write_text(f"def where(): return {str(self.folder / 'ca.pem')!r}", encoding="utf-8")
        package = Path(__file__).resolve().parents[1]
        self.assertEqual(self.host(PYTHONPATH=f"{package}:{self.folder}"), "True True\n")

    def test_a_folder_or_nobody_at_all(self):
        authorities = self.folder / "authorities"
        authorities.mkdir()
        (authorities / "one.pem").write_bytes((self.folder / "ca.pem").read_bytes())
        for trust in (str(authorities), False):
            with running(client_of(self.server.endpoint, tls_certificate=trust)) as agent:
                self.assertTrue(agent.flush(30))

    def test_a_stranger_is_not_believed(self):
        """[TLS-01]"""
        callbacks = Recorder()
        with running(client_of(self.server.endpoint), callbacks):
            self.assertEqual(callbacks.next("connect_failed", "connect")[1].kind, "tls")


class WithoutTls(unittest.TestCase):
    def test_settings_are_ignored_with_one_warning(self):
        with Devserver() as server, log_lines() as lines:
            for _ in range(2):
                with running(client_of(server.endpoint, tls_certificate="/nowhere.pem", tls_client_certificate="/nowhere.pem")) as agent:
                    self.assertTrue(agent.flush(30))
        self.assertEqual(len([line for line in lines if "TLS settings are ignored" in line]), 1, lines)

    def test_another_content_type_is_ignored_with_a_warning(self):
        with Devserver() as server, log_lines() as lines:
            with running(client_of(server.endpoint, headers={"Content-Type": "text/plain"})) as agent:
                self.assertTrue(agent.flush(30))
            self.assertEqual(server.problems(), [])
        self.assertIn("Content-Type is the protocol's own", "\n".join(lines))


if __name__ == "__main__":
    unittest.main()
