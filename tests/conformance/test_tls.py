"""Whom an agent believes, and what it shows."""
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from binding import LIB, Client, call
from child import Child, Shim
from devserver import Devserver
from stage import NEVER
from wire import TlsStage, WireStage

NOBODY_LOOKS = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}


def secured(url):
    return url.replace("://", "s://")


def set_ca_pem(client, pem):
    call(LIB.client_set_ca_pem, client.handle, pem, len(pem))


def set_ca_dir(client, path):
    call(LIB.client_set_ca_dir, client.handle, path.encode())


def set_pair_pem(client, certificate, key):
    call(LIB.client_set_client_certificate_pem, client.handle, certificate, len(certificate), key, len(key))


def set_pair_files(client, certificate, key):
    call(LIB.client_set_client_certificate_files, client.handle, certificate.encode(), key and key.encode())


def set_skip_verify(client, on=1):
    call(LIB.client_set_insecure_skip_verify, client.handle, on)


class SchemeOverHttp(WireStage):
    def test_tls_settings_on_plain_http_are_refused(self):
        """[TLS-01]"""
        with tempfile.TemporaryDirectory() as folder:
            make_authority(Path(folder))
            ca, cert, key = (f"{folder}/{name}" for name in ("ca.pem", "client.pem", "client.key"))
            pem = Path(ca).read_bytes()
            settings = {
                "a file": lambda client: call(LIB.client_set_ca_file, client.handle, ca.encode()),
                "a text": lambda client: set_ca_pem(client, pem),
                "a folder": lambda client: set_ca_dir(client, folder),
                "a pair": lambda client: set_pair_files(client, cert, key),
                "a pair as text": lambda client: set_pair_pem(client, Path(cert).read_bytes(), Path(key).read_bytes()),
                "no verification": set_skip_verify,
            }
            for name, setting in settings.items():
                with self.subTest(name):
                    # when set on a http endpoint
                    plain = self.client()
                    error = self.refused("E_INVALID_ARG", setting, plain)
                    self.assertIn(f"{self.transport}://", error["text"])
                    # or when a http endpoint follows
                    client = self.client()
                    client.set_endpoint(secured(self.server.endpoint))
                    setting(client)
                    error = self.refused("E_INVALID_ARG", client.set_endpoint, self.server.endpoint)
                    self.assertEqual("argument", error["kind"])
                    self.assertIn(f"{self.transport}://", error["text"])
                    # then nothing has changed: the plain one works
                    agent = self.started(plain)
                    agent.stop()

    def test_https_never_speaks_in_the_clear(self):
        """[TLS-01]"""
        # given a server without TLS
        client = self.client()
        client.set_endpoint(secured(self.server.endpoint))
        set_skip_verify(client)
        # when an agent expects some
        agent = self.agent(client).start()
        for _ in range(2):
            error = self.failing(agent)
            self.assertIn(error["kind"], ("tls", "io"))
        # then not a message is shown to it
        self.assertEqual([], [entry for entry in self.requests() if "message" in entry])
        self.assertEqual(0, agent.snapshot()["messages_received"])


class SchemeOverTls(TlsStage):
    def test_http_never_becomes_tls(self):
        """[TLS-01]"""
        # The server's own word on it.
        self.pardoned = ("TLS-01",)
        client = Client(self.server.endpoint.replace("s://", "://"))
        self.addCleanup(client.unref)
        agent = self.agent(client).start()
        self.assertEqual(400, self.failure(agent)["status"])


class Verification(TlsStage):
    """What a server may show, and is refused for."""

    def assert_refused(self, name, *facts):
        self.fault_file(f"tls-02-{name.replace('_', '-')}")
        agent = self.agent().start()
        error = self.failing(agent)
        # the step, the server, the fact
        self.assertEqual("tls", error["kind"])
        for fact in (f"TLS with 127.0.0.1:{self.server.port}", *facts):
            self.assertIn(fact, error["text"])
        # not a byte of OpAMP came to the server, and no number was used
        agent.wait("connect_failed")
        self.assertEqual([], self.requests())
        # and it is joined when it shows a good one
        self.server.delete("faults")
        agent.wait("connected")
        self.assertEqual(0, self.wait_requests(1)[0]["sequence_number"])

    def test_self_signed(self):
        """[TLS-02]"""
        self.assert_refused("self_signed", "self-signed")

    def test_unknown_issuer(self):
        """[TLS-02]"""
        self.assert_refused("unknown_issuer", "unknown issuer")

    def test_wrong_host(self):
        """[TLS-02]"""
        self.assert_refused("wrong_host", "another host", "127.0.0.1", "elsewhere.example")

    def test_expired(self):
        """[TLS-02]"""
        self.assert_refused("expired", "expired on", "GMT")

    def test_not_yet_valid(self):
        """[TLS-02]"""
        self.assert_refused("not_yet_valid", "not valid before", "GMT")

    def test_wrong_usage(self):
        """[TLS-02]"""
        self.assert_refused("wrong_usage", "wrong usage")

    def test_a_connection_that_ends_after_the_handshake(self):
        """[TLS-02] A failure of the way, and told as one."""
        self.fault_file("tls-02-close-after-handshake")
        agent = self.agent().start()
        self.assertEqual("io", agent.wait("connect_failed").error["kind"])
        agent.wait("connected")


class Roots(TlsStage):
    def assert_joins(self, client):
        agent = self.started(client)
        agent.stop()

    def bare(self):
        return self.client(ca=None)

    def test_from_a_file_a_folder_or_memory(self):
        """[TLS-03]"""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.files["ca"], f"{folder}/mine.pem")
            by_text, by_folder = self.bare(), self.bare()
            set_ca_pem(by_text, Path(self.files["ca"]).read_bytes())
            set_ca_dir(by_folder, folder)
            for client in (self.client(), by_text, by_folder):
                self.assert_joins(client)

    def test_a_self_signed_certificate_that_the_host_gave(self):
        """[TLS-03] It is trusted as what it is: that server's, and nobody else's."""
        self.server.post("certificate", {"certificate": "self_signed"})
        agent = self.started(self.client(ca=self.path("self_signed.pem")))
        self.server.post("certificate", {"certificate": "server"})
        agent.reconnect()
        agent.poll_now()
        self.assertIn("unknown issuer", self.failing(agent)["text"])

    def test_what_the_host_gave_is_all(self):
        """[TLS-03]"""
        # given an environment that would do, and a host that wants another authority
        with mock.patch.dict(os.environ, {"SSL_CERT_FILE": self.files["ca"]}):
            agent = self.agent(self.client(ca=self.path("unknown_ca.pem"))).start()
            self.assertIn("unknown issuer", self.failing(agent)["text"])

    def test_from_the_environment(self):
        """[TLS-03]"""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(self.files["ca"], f"{folder}/mine.pem")
            for changes in ({"SSL_CERT_FILE": self.files["ca"]}, {"SSL_CERT_DIR": folder},
                            {"SSL_CERT_DIR": f"/nowhere:{folder}"}):
                with self.subTest(changes), mock.patch.dict(os.environ, {**NOBODY_LOOKS, **changes}):
                    self.assert_joins(self.bare())

    def test_the_environment_is_read_at_start(self):
        """[TLS-03]"""
        with mock.patch.dict(os.environ, NOBODY_LOOKS):
            client = self.bare()
            with mock.patch.dict(os.environ, {"SSL_CERT_FILE": self.files["ca"]}):
                agent = self.agent(client).start()
            agent.wait("connected")

    def test_the_platforms_else(self):
        """[TLS-03]"""
        with mock.patch.dict(os.environ, NOBODY_LOOKS):
            agent = self.agent(self.bare())
            if Path("/etc/ssl/certs/ca-certificates.crt").exists():
                agent.start()
                self.assertIn("unknown issuer", self.failing(agent)["text"])
            else:
                self.assertIn("/etc/ssl", self.refused("E_INVALID_ARG", agent.start)["text"])

    def test_nothing_to_trust_is_an_error_at_start(self):
        """[TLS-03]"""
        with tempfile.TemporaryDirectory() as folder:
            Path(f"{folder}/empty.pem").touch()
            for changes in ({"SSL_CERT_FILE": f"{folder}/empty.pem"}, {"SSL_CERT_FILE": "/nowhere.pem"},
                            {"SSL_CERT_DIR": folder}):
                with self.subTest(changes), mock.patch.dict(os.environ, {**NOBODY_LOOKS, **changes}):
                    agent = self.agent(self.bare())
                    error = self.refused("E_INVALID_ARG", agent.start)
                    # it says what was tried, and who named it
                    self.assertEqual("tls", error["kind"])
                    for word in next(iter(changes.items())):
                        self.assertIn(word, error["text"])
                    # and the agent can be started when it is mended
                    with mock.patch.dict(os.environ, {"SSL_CERT_FILE": self.files["ca"]}):
                        agent.start()
                    agent.wait("connected")

    def test_a_damaged_entry_that_nobody_named_is_one_warning(self):
        """[TLS-03] In a directory of the environment's, as in the system's bundle; a named file is refused."""
        with tempfile.TemporaryDirectory() as folder:
            good = Path(self.files["ca"]).read_text()
            bundle = f"{folder}/bundle.pem"
            Path(bundle).write_text(good + 2 * good.replace("M", "*", 1))
            place = f"the file {bundle}: entry 2 (line {len(good.splitlines()) + 1}) is damaged: it is not valid base64"
            with mock.patch.dict(os.environ, {**NOBODY_LOOKS, "SSL_CERT_DIR": folder}):
                agent = self.started(self.bare(), log_level=LIB.constant("LOG_WARN"))
            agent.stop()
            agent.wait("stopped")
            lines = [event.log[1] for event in agent.events if event.log]
            self.assertEqual(1, len([line for line in lines if f"trusted certificates are incomplete: {place}" in line]), lines)
            with mock.patch.dict(os.environ, {**NOBODY_LOOKS, "SSL_CERT_FILE": bundle}):
                text = self.refused("E_INVALID_ARG", self.agent(self.bare()).start)["text"]
            self.assertIn("entry 2 (line", text)

    def test_a_fifo_in_the_place_of_a_file_stalls_nothing(self):
        """[TLS-04] [LIFE-03]"""
        with tempfile.TemporaryDirectory() as folder:
            ca = f"{folder}/ca.pem"
            shutil.copy(self.files["ca"], ca)
            agent = self.started(self.client(ca=ca))
            os.unlink(ca)
            os.mkfifo(ca)
            agent.reconnect()
            agent.poll_now()
            self.assertIn("is a FIFO, not a regular file", self.failing(agent)["text"])
            os.unlink(ca)
            shutil.copy(self.files["ca"], ca)
            agent.wait("connected")
            agent.stop()

    def test_a_setter_refuses_what_holds_no_certificate(self):
        """[TLS-03]"""
        with tempfile.TemporaryDirectory() as folder:
            client = self.client()
            for refused in (
                lambda: call(LIB.client_set_ca_file, client.handle, b"/nowhere.pem"),
                lambda: call(LIB.client_set_ca_file, client.handle, self.path("server.key").encode()),
                lambda: set_ca_dir(client, folder),
                lambda: set_ca_pem(client, b"no certificate"),
                lambda: set_ca_pem(client, Path(self.path("server.key")).read_bytes()),
            ):
                error = self.refused("E_INVALID_ARG", refused)
                self.assertTrue(error["text"])
            # and the former ones stay
            self.assert_joins(client)


class Pairs(TlsStage):
    """The agent's own certificate."""

    client_auth = True

    def shown(self, since=0):
        """The fingerprints that the server saw, one for each connection."""
        return [entry["tls"]["client_certificate_sha256"] for entry in self.server.timeline(since=since, limit=100_000)
                if entry.get("event") == "secured"]

    def test_from_files_or_memory(self):
        """[TLS-04]"""
        cert, key = (Path(self.files[name]).read_bytes() for name in ("cert", "key"))
        with tempfile.TemporaryDirectory() as folder:
            both = f"{folder}/both.pem"
            Path(both).write_bytes(key + cert)
            by_text, by_one_text, by_one_file = self.client(), self.client(), self.client()
            set_pair_pem(by_text, cert, key)
            set_pair_pem(by_one_text, cert + key, b"")
            set_pair_files(by_one_file, both, None)
            by_files = self.client(cert=(self.files["cert"], self.files["key"]))
            for client in (by_files, by_text, by_one_text, by_one_file):
                agent = self.started(client)
                agent.stop()
        self.assertEqual(4, len(self.shown()))
        self.assertEqual(1, len(set(self.shown())))
        self.assertIsNotNone(self.shown()[0])

    def test_without_one_the_server_refuses(self):
        """[TLS-04]"""
        for pair in (None, ("unknown_client.pem", "unknown_client.key")):
            cert = pair and tuple(self.path(name) for name in pair)
            agent = self.agent(self.client(cert=cert)).start()
            error = self.failing(agent)
            self.assertEqual("tls", error["kind"])
            self.assertIn("certificate", error["text"])
            self.assertEqual([], self.requests())
            agent.stop()

    def test_what_is_no_pair_is_refused(self):
        """[TLS-04]"""
        client = self.client()
        cert, key = self.files["cert"], self.files["key"]
        with tempfile.TemporaryDirectory() as folder:
            locked = f"{folder}/locked.key"
            # As an encrypted one calls itself; its content does not matter before the passphrase.
            Path(locked).write_text(Path(key).read_text().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))
            for certificate, secret, fact in (
                (cert, self.path("client2.key"), "does not match"),
                (cert, locked, "encrypted"),
                (cert, "/nowhere.key", "/nowhere.key"),
                ("/nowhere.pem", key, "/nowhere.pem"),
                (cert, cert, "key"),
                (key, key, "certificate"),
                (cert, None, "key"),
            ):
                with self.subTest(certificate=certificate, key=secret):
                    error = self.refused("E_INVALID_ARG", set_pair_files, client, certificate, secret)
                    self.assertIn(fact, error["text"])
                    if "nowhere" in f"{certificate}{secret}":
                        continue
                    texts = [name and Path(name).read_bytes() or b"" for name in (certificate, secret)]
                    error = self.refused("E_INVALID_ARG", set_pair_pem, client, *texts)
                    self.assertIn(fact, error["text"])
        # and nothing was kept
        agent = self.agent(client).start()
        self.assertEqual("tls", self.failing(agent)["kind"])

    def test_renewed_files_are_used_without_a_restart(self):
        """[TLS-04]"""
        with tempfile.TemporaryDirectory() as folder:
            mine = tuple(f"{folder}/{name}" for name in ("mine.pem", "mine.key"))
            ca = f"{folder}/ca.pem"
            for source, target in zip((self.files["cert"], self.files["key"], self.files["ca"]), (*mine, ca)):
                shutil.copy(source, target)
            agent = self.started(self.client(ca=ca, cert=mine))
            # when the pair is renewed on disk and a connection is made
            for source, target in zip((self.path("client2.pem"), self.path("client2.key")), mine):
                shutil.copy(source, target)
            agent.reconnect()
            self.exchange(agent)
            before, after = self.shown()
            self.assertNotEqual(before, after)
            # and when the trusted authority is another one
            shutil.copy(self.path("unknown_ca.pem"), ca)
            agent.reconnect()
            agent.poll_now()
            self.assertIn("unknown issuer", self.failing(agent)["text"])
            # and when that is mended
            shutil.copy(self.files["ca"], ca)
            agent.wait("connected")


class Sides(TlsStage):
    def test_two_agents_believe_what_they_were_told(self):
        """[TLS-05]"""
        # given, in one process, one that trusts this server, one that does not, one that trusts anybody
        good, bad, any_ = self.client(), self.client(ca=self.path("unknown_ca.pem")), self.client(ca=None)
        set_skip_verify(any_)
        for order in ((good, bad, any_), (any_, bad, good)):
            agents = [self.agent(client, NEVER).start() for client in order]
            # then each goes its way, at the same time
            for client, agent in zip(order, agents):
                if client is bad:
                    self.assertIn("unknown issuer", agent.wait("connect_failed").error["text"])
                else:
                    agent.wait("connected")
                    agent.reconnect()
                    self.exchange(agent)
                    self.assertEqual("connected", agent.snapshot()["state"])
            for agent in agents:
                agent.stop()
        # and with a bad certificate only the careless one is joined
        self.server.post("certificate", {"certificate": "self_signed"})
        agents = [self.agent(client, NEVER).start() for client in (any_, good)]
        agents[0].wait("connected")
        self.assertIn("self-signed", agents[1].wait("connect_failed").error["text"])

    def test_a_session_is_not_resumed_without_a_look(self):
        """[TLS-05]"""
        agent = self.started()
        self.server.post("certificate", {"certificate": "wrong_host"})
        agent.reconnect()
        agent.poll_now()
        self.assertIn("another host", self.failing(agent)["text"])


class SkipVerify(TlsStage):
    def test_one_flag_and_a_line_at_each_start(self):
        """[TLS-06]"""
        self.server.post("certificate", {"certificate": "self_signed"})
        client = self.client(ca=None)
        set_skip_verify(client)
        agent = self.agent(client, log_level=LIB.constant("LOG_WARN"))
        for _ in range(2):
            agent.start()
            line = agent.wait("log").log
            self.assertEqual(LIB.constant("LOG_WARN"), line[0])
            self.assertIn("verification is disabled", line[1])
            agent.wait("connected")
            agent.stop()
            agent.wait("stopped")
        # and it can be taken back
        set_skip_verify(client, 0)
        set_ca_pem(client, Path(self.files["ca"]).read_bytes())
        agent.start()
        self.assertIn("self-signed", self.failing(agent)["text"])

    def test_silent_where_it_is_off(self):
        """[TLS-06]"""
        agent = self.started(log_level=LIB.constant("LOG_DEBUG"))
        self.assertNotIn("verification", " ".join(event.log[1] for event in agent.events if event.log))

    def test_no_server_can_turn_it_on(self):
        """[TLS-06]"""
        # given a server that offers just that, with all that an agent may declare today
        agent = self.started()
        settings = {"hash_text": "c", "opamp": {"tls": {"insecure_skip_verify": True}}}
        self.server.next({"connection_settings": settings}, times=3)
        for _ in range(3):
            self.exchange(agent)
        # when it shows a bad certificate
        self.server.post("certificate", {"certificate": "self_signed"})
        agent.reconnect()
        agent.poll_now()
        # then that is refused as before
        self.assertIn("self-signed", self.failing(agent)["text"])


WITHOUT_CLOCK = """
agent = Agent(client(ca=sys.argv[2]), 200).start()
say(failed=[agent.wait("connect_failed").error["text"] for _ in range(3)])
hear()
agent.wait("connected")
agent.flush()
say(state=agent.snapshot()["state"])
"""


class WallClock(TlsStage):
    def test_a_clock_before_1970_ends_no_agent(self):
        """[TLS-02] As after a start without a battery: nothing is valid yet, until the clock is set."""
        for seconds in (-86_400 * 365, 0):
            with self.subTest(seconds):
                shim = Shim(self)
                shim.set_wall_clock(seconds)
                child = Child(self, WITHOUT_CLOCK, self.server.endpoint, self.files["ca"], env=shim.env)
                for text in child.line()["failed"]:
                    self.assertIn("server certificate is not valid before", text)
                    self.assertIn("the clock says Thu, 01 Jan 1970 00:0", text)
                shim.put(4, 0)
                child.tell()
                self.assertIn(child.line()["state"], ("connected", "waiting"))


def make_authority(folder):
    """ca.pem, client.pem and client.key, from a server that ends again."""
    with Devserver(tls=folder):
        pass
