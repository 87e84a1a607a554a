"""Whom a client believes, and what it says where TLS settings mean nothing."""
import re
import shutil
import tempfile
import traceback
import unittest
from pathlib import Path

from kit import Devserver, Recorder, client_of, log_lines, python, running
from openssl import CA, Shower, Workshop

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


@unittest.skipUnless(shutil.which("openssl"), "openssl's command line is not here")
class ExpiredAuthorities(unittest.TestCase):
    def test_they_vouch_where_they_are_accepted(self):
        """[TLS-03]"""
        with tempfile.TemporaryDirectory() as folder:
            shop = Workshop(folder)
            shop.certificate("ca", extensions=CA)
            shop.run("x509", "-req", "-in", "ca.csr", "-signkey", "ca.key", "-days", "-1", "-extfile", "ca.ext", "-out", "ca.pem")
            leaf = shop.certificate("leaf", issuer="ca")
            for accepts, heard in ((False, []), (True, [b"POST"])):
                callbacks = Recorder()
                with self.subTest(accepts), Shower(leaf, shop.path("leaf.key")) as server:
                    with running(client_of(server.endpoint, tls_certificate=shop.path("ca.pem"), tls_accept_expired_ca=accepts), callbacks):
                        error = callbacks.next("connect_failed")[1]
                    self.assertEqual("expired on" in str(error), not accepts, error)
                    self.assertEqual(server.heard[:1], heard)


class Keys(unittest.TestCase):
    """A file that should hold a certificate holds a key: nobody may read it in a log."""

    def test_no_text_of_python_shows_a_key(self):
        """[LOG-03]"""
        with tempfile.TemporaryDirectory() as folder, Devserver(tls=folder, client_auth=True) as server, log_lines() as lines:
            given, key = Path(folder, "given.pem"), Path(folder, "client.key").read_bytes()
            said = []
            for content in (key.replace(b"\n", b"\\n"), key.replace(b"\n", b" "), key[:-40], key.replace(b"PRIVATE KEY", b"CERTIFICATE")):
                given.write_bytes(content)
                for files in ((given, None, None), (None, given, None), (None, Path(folder, "client.pem"), given)):
                    trust, certificate, secret = (path and str(path) for path in files)
                    callbacks = Recorder()
                    client = client_of(server.endpoint, tls_certificate=trust or str(Path(folder, "ca.pem")),
                                       tls_client_certificate=certificate, tls_client_key=secret)
                    said.append(repr(client))
                    with running(client, callbacks) as agent:
                        failed = callbacks.next("connect_failed", "connect")[1]
                        said += [repr(failed), str(failed), repr(agent), repr(agent.snapshot())]
                    try:
                        client.send(client.build_full_state_message())
                    except Exception as error:  # noqa: BLE001 (whatever it is: its text is what counts)
                        said += [str(error), repr(error), "".join(traceback.format_exception(error))]
        told = "\n".join([*said, *lines])
        self.assertIn("given.pem", told)
        inner = "".join(line for line in key.decode().splitlines() if not line.startswith("-----"))
        self.assertEqual([], [inner[i:i + 8] for i in range(len(inner) - 7) if inner[i:i + 8] in told])
        numbers = re.findall(r"\d+", told)
        runs = {tuple(map(str, key[i:i + 4])) for i in range(len(key) - 3)}
        self.assertEqual(set(), runs & set(zip(numbers, numbers[1:], numbers[2:], numbers[3:])))


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
