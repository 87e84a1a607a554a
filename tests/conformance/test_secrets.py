"""What must never be told: the value of a header, a key, the body of a configuration."""
import base64
import ctypes
import json
import re
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote, unquote

from binding import LIB, Client, call
from relays import HttpProxy
from stage import NEVER, QUICK
from wire import TlsStage

LOG = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
TOKEN = "canary-token-4f1d"
COOKIE = "canary/cookie-77aa"
OFFERED = "canary-offered-body-90c3"
EFFECTIVE = "canary-effective-body-1b2e"
PASSWORD = "canary-password-5e5e"
# What stands for a peer's words that repeat a secret.
HIDDEN = "(not shown: it repeats a secret)"
# How a server may write what it was sent.
WAYS = {
    "as it is": str,
    "as JSON has it": lambda text: text.replace("/", "\\/"),
    "by numbers": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "for a URL": lambda text: quote(text, safe="").replace("-", "%2d"),
    "for a URL, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "for HTML": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "in capitals": str.upper,
    "with blanks": " ".join,
    "in lines": lambda text: "\r\n".join(text[i:i + 4] for i in range(0, len(text), 4)),
    "with what nobody sees": "\u200b".join,
    "turned round": lambda text: "\u202e" + "\u2066".join(text),
    "as base64": lambda text: base64.b64encode(text.encode()).decode(),
    "a part": lambda text: text[7:14],
}


class Ear:
    """Every log line of the process while it is open, at every level."""

    def __enter__(self):
        self.lines, self.lock = [], threading.Lock()
        self.callback = LOG(self.hear)
        assert LIB.set_log_callback(LIB.constant("LOG_DEBUG"), ctypes.cast(self.callback, ctypes.c_void_p), None) == 0
        return self

    def hear(self, level, line, _):
        with self.lock:
            self.lines.append((level, line.decode()))

    def __exit__(self, *_):
        assert LIB.set_log_callback(0, None, None) == 0


class Secrets(TlsStage):
    pardoned = ("SYNC-01", "SYNC-02", "HTTP-10")

    def setUp(self):
        super().setUp()
        self.ear = Ear().__enter__()
        self.addCleanup(self.ear.__exit__)
        self.said = []
        key = Path(self.files["key"]).read_text()
        # any line of the key's text but its frame
        self.key_lines = [line for line in key.splitlines() if line and not line.startswith("-----")]
        self.canaries = [TOKEN, COOKIE, OFFERED, EFFECTIVE, PASSWORD, *self.key_lines]

    def agent_with_secrets(self, **more):
        client = self.client(cert=(self.files["cert"], self.files["key"]), **more)
        client.set_header("Authorization", f"Bearer {TOKEN}")
        client.set_header("Cookie", f"session={COOKIE}")
        client.set_effective_config({"secret.yaml": EFFECTIVE.encode()})
        return self.agent(client, NEVER, LIB.constant("LOG_DEBUG"))

    def run_through(self, fault, *kinds, **more):
        """One failure of that sort, and the recovery from it."""
        self.server.offer({"secret.yaml": OFFERED.encode()})
        self.fault(fault)
        agent = self.agent_with_secrets(**more).start()
        for kind in kinds:
            self.said.append(agent.wait(kind).error["text"])
        agent.wait("message")
        self.note(agent)
        agent.stop()
        self.note(agent)

    def note(self, agent):
        self.said.append(json.dumps(agent.snapshot()))
        self.kinds(agent)
        for event in agent.events:
            self.said += [event.error["text"] if event.error else "", event.log[1] if event.log else ""]
            self.said += [event.redirect[1]] if event.redirect else []

    def assert_told(self, agent, fact):
        """The agent's one failure says that much; with all else it is kept for `assert_silent`."""
        error = self.failure(agent)
        self.assertIn(fact, error["text"])
        self.said.append(error["text"])
        self.note(agent)
        agent.stop()

    def assert_silent(self, least=1):
        lines = [line for _, line in self.ear.lines]
        self.assertGreaterEqual(len(lines), least)
        self.assertGreater(len(self.said), 0)
        for text in lines + self.said:
            for canary in self.canaries:
                self.assertNotIn(canary, text)
            self.assertNotIn("canary", bare(text))
            self.assertTrue(text.isprintable(), text)

    def test_when_all_goes_well(self):
        """[LOG-03]"""
        self.server.offer({"secret.yaml": OFFERED.encode()})
        agent = self.agent_with_secrets().start()
        offer = agent.wait("message")
        self.assertEqual(OFFERED.encode(), offer.files["secret.yaml"][1])
        agent.apply(offer)
        agent.flush()
        agent.client.set_header("Authorization", f"Bearer {TOKEN}-renewed")
        agent.reconnect()
        self.exchange(agent)
        self.note(agent)
        agent.stop()
        self.note(agent)
        # the server saw them all, so they were there to be told
        told = json.dumps(self.requests())
        for canary in (TOKEN, COOKIE, EFFECTIVE):
            self.assertIn(canary, told)
        self.assert_silent(least=3)

    def test_when_the_server_echoes_what_it_refuses(self):
        """[LOG-03] [LOG-10] What is told of it is dropped, for a secret stands in it; what else was found out stays."""
        echo = f"bad credentials\r\nAuthorization: Bearer {TOKEN}\r\nCookie: session={COOKIE}; {TOKEN}"
        for fault in (
            {"status": 400, "body": {"text": echo}, "content_type": "text/plain"},
            {"status": 500, "body": {"text": "<html>" + echo}, "content_type": "text/html"},
            {"status": 200, "body": {"text": echo}, "content_type": "text/html"},
            {"status": 500, "body": {"text": echo}, "encoding": "gzip"},
            {"status": 202, "body": {"text": echo}},
        ):
            with self.subTest(fault):
                self.fault(fault)
                self.assert_told(self.agent_with_secrets().start(), HIDDEN)
        self.assert_silent(least=5)

    def test_when_it_echoes_in_other_ways(self):
        """[LOG-03]"""
        for way, write in WAYS.items():
            for secret in (TOKEN, COOKIE):
                with self.subTest(way, secret=secret):
                    self.fault({"status": 403, "body": {"text": f"{{\"who\": \"{write(secret)}\"}}"}})
                    self.assert_told(self.agent_with_secrets().start(), f"HTTP 403 Forbidden: {HIDDEN}")
        self.assert_silent(least=len(WAYS))

    def test_an_excerpt_without_a_secret_is_told(self):
        """[LOG-03] [LOG-10] in one line, printable, and of at most 256 bytes"""
        page = "<html>\r\n<title>Bad\u202eGateway\u200b</title> Bearer of a session" + " x" * 2000
        self.fault({"status": 502, "body": {"text": page}, "content_type": "text/html"})
        agent = self.agent_with_secrets().start()
        text = self.failure(agent)["text"]
        begin = "HTTP 502 Bad Gateway: "
        self.assertTrue(text.startswith(begin + "<html> <title>BadGateway</title> Bearer of a session x x"), text)
        self.assertEqual(256, len(text) - len(begin))
        self.note(agent)
        agent.stop()
        self.assert_silent(least=1)

    def test_when_the_server_echoes_in_an_error_response(self):
        """[LOG-03] [LOG-10]"""
        for kind in ("BadRequest", "Unknown", "Unavailable"):
            with self.subTest(kind):
                self.assert_refused(kind, f"no such token: Bearer {TOKEN}, {COOKIE}", HIDDEN)
                self.assert_refused(kind, "no such\u202e \x1b[1mtoken\n", "no such [1mtoken")
        for way, write in WAYS.items():
            with self.subTest(way):
                self.assert_refused("Unknown", f"no {write(COOKIE)}", HIDDEN)
        self.assert_silent(least=3)

    def assert_refused(self, kind, message, told):
        self.fault({"answer": {"error_response": {"type": kind, "error_message": message}}})
        agent = self.agent_with_secrets().start()
        self.assertIn(told, agent.wait("server_error").error["text"])
        self.note(agent)
        agent.stop()
        self.note(agent)

    def test_when_the_answer_is_spoilt(self):
        """[LOG-03]"""
        for fault in (
            {"body": "truncated"},
            {"content_type": "text/html"},
            {"encoding": "false_gzip"},
            {"cut": {"after": "half", "how": "close"}},
            {"answer": {"instance_uid": "018f3c6e-7c00-7000-8000-00000000f0f0"}},
        ):
            with self.subTest(fault):
                self.run_through(fault, "connect_failed")
        self.assert_silent(least=5)

    def test_when_tls_fails(self):
        """[LOG-03]"""
        agent = self.agent_with_secrets()
        self.server.post("certificate", {"certificate": "self_signed"})
        agent.start()
        self.said.append(self.failing(agent)["text"])
        self.note(agent)
        agent.stop()
        self.assert_silent(least=1)

    def test_when_a_proxy_shows_what_it_got(self):
        """[LOG-03] [PROXY-01] its login, in both forms, and its own headers"""
        basic = base64.b64encode(f"agent:{PASSWORD}".encode()).decode()
        self.canaries.append(basic)
        pages = (f"no access: Basic {basic}", f"no {base64.b64encode(f'x:{PASSWORD}'.encode()).decode()}",
                 f"agent with {PASSWORD.upper()}", f"token {quote(COOKIE, safe='')}", f"token {TOKEN}", "no such agent")
        for page, status in ((page, 407 + 95 * (n % 2)) for n, page in enumerate(pages)):
            head = f"HTTP/1.1 {status} No\r\nContent-Length: {len(page)}\r\n\r\n"
            with HttpProxy({}, answer=(head + page).encode()) as proxy:
                for scheme in ("http", "https"):
                    client = Client(f"{scheme}://opamp.invalid/v1/opamp", options=QUICK)
                    self.addCleanup(client.unref)
                    client.set_header("Authorization", f"Bearer {TOKEN}")
                    client.set_proxy(f"agent:{PASSWORD}@{proxy.place}")
                    client.set_proxy_header("X-Proxy-Token", COOKIE)
                    agent = self.agent(client, NEVER, LIB.constant("LOG_DEBUG")).start()
                    error = self.failing(agent)
                    self.assertEqual(status, error["status"])
                    told = "no such agent" if page == pages[-1] else HIDDEN
                    self.assertEqual(scheme == "http", told in error["text"], error["text"])
                    self.said.append(error["text"])
                    self.note(agent)
                    agent.stop()
        self.assert_silent(least=6)

    def test_when_a_redirect_holds_a_secret(self):
        """[LOG-03] [HTTP-22]"""
        for location in (f"/{TOKEN}?token={TOKEN}", f"/v1/{quote(COOKIE, safe='')}", f"https://{TOKEN}.invalid/{PASSWORD}",
                         f"https://agent:{PASSWORD}@127.0.0.1/"):
            self.fault({"redirect": location}, on="upgrade" if self.transport == "ws" else "message")
            agent = self.agent_with_secrets().start()
            if location.startswith("/"):
                agent.wait("connected")
            else:
                self.said.append(self.failure(agent)["text"])
            self.note(agent)
            agent.stop()
        self.assert_silent(least=3)

    def test_when_a_call_is_refused(self):
        """[LOG-03]"""
        client = self.client()
        key, cert = Path(self.files["key"]).read_bytes(), Path(self.files["cert"]).read_bytes()
        other = Path(self.path("client2.key")).read_bytes()
        self.canaries += [line for line in other.decode().splitlines() if line and not line.startswith("-----")]

        def pair(certificate, secret):
            call(LIB.client_set_client_certificate_pem, client.handle, certificate, len(certificate), secret,
                 len(secret))
        refusals = [
            lambda: client.set_header("Authorization", f"Bearer {TOKEN}\r\nX-More: {COOKIE}"),
            lambda: client.set_header("Content-Type", TOKEN),
            lambda: client.set_header(f"bad name {TOKEN} ", COOKIE),
            lambda: Client(f"https://agent:{PASSWORD}@127.0.0.1/v1/opamp"),
            lambda: client.set_endpoint(f"https://{PASSWORD}@127.0.0.1/v1/opamp"),
            lambda: client.set_endpoint(f"{PASSWORD}@127.0.0.1"),
            lambda: client.set_endpoint(f"https://agent:{PASSWORD}"),
            lambda: client.set_proxy(f"ftp://agent:{PASSWORD}@127.0.0.1"),
            lambda: client.set_proxy(f"agent:{PASSWORD}@"),
            lambda: client.set_proxy(f"agent:{PASSWORD}@127.0.0.1:x"),
            lambda: client.set_proxy_header("X-Token", f"{TOKEN}\r\n"),
            lambda: client.allow_redirect_to(f"https://agent:{PASSWORD}@127.0.0.1"),
            lambda: pair(cert, other),
            lambda: pair(cert, key[:-60]),
            lambda: pair(key, cert),
            lambda: pair(cert, key.replace(b"KEY-----\n", b"KEY-----\nProc-Type: 4,ENCRYPTED\n\n", 1)),
            lambda: call(LIB.client_set_ca_pem, client.handle, key, len(key)),
            lambda: call(LIB.client_set_ca_file, client.handle, self.files["key"].encode()),
        ]
        for refusal in refusals:
            self.said.append(self.refused("E_INVALID_ARG", refusal)["text"])
        self.assertEqual(len(refusals), len([text for text in self.said if text]))
        self.assert_silent(least=0)

    def mutated_keys(self):
        """What people make of a key's file, and disks."""
        whole = Path(self.files["key"]).read_bytes()
        cert = Path(self.files["cert"]).read_bytes()
        lines = whole.splitlines(keepends=True)
        return {
            "the characters \\n for line breaks": whole.replace(b"\n", b"\\n"),
            "one line": whole.replace(b"\n", b" "),
            "no line breaks": whole.replace(b"\n", b""),
            "cut": whole[:-40],
            "without its first line": b"".join(lines[1:]),
            "two lines joined": lines[0].rstrip() + b"".join(lines[1:]),
            "another label": whole.replace(b"PRIVATE KEY", b"CERTIFICATE"),
            "a damaged label": whole.replace(b"KEY-----", b"KEY", 1),
            "UTF-16": whole.decode().encode("utf-16"),
            "DER": base64.b64decode(b"".join(lines[1:-1])),
            "behind a certificate": cert + whole.replace(b"\n", b"\\n"),
            "a foreign byte": whole[:60] + b"*" + whole[61:],
        }

    def assert_no_key(self, text):
        """No run of the key: as text, as numbers, as hex digits."""
        whole = Path(self.files["key"]).read_bytes()
        digits = "".join(self.key_lines)
        for known in (whole, base64.b64decode(digits)):
            numbers = re.findall(r"\d+", text)
            runs = {tuple(map(str, known[i:i + 4])) for i in range(len(known) - 3)}
            self.assertFalse(runs & set(zip(numbers, numbers[1:], numbers[2:], numbers[3:])), text)
            plain = re.sub(r"0x|[ :,]", "", text.lower())
            self.assertFalse([i for i in range(len(known) - 5) if known[i:i + 6].hex() in plain], text)
        self.assertFalse([i for i in range(len(digits) - 7) if digits[i:i + 8] in text], text)

    def test_when_a_file_is_not_what_it_should_be(self):
        """[LOG-03] At the setters, and when it is replaced while an agent runs."""
        client = self.client()
        cert, key = (Path(self.files[name]).read_bytes() for name in ("cert", "key"))
        with tempfile.TemporaryDirectory() as folder:
            given = Path(folder, "given.pem")
            pem = given.read_bytes
            setters = {
                "trusted file": lambda: call(LIB.client_set_ca_file, client.handle, str(given).encode()),
                "trusted text": lambda: call(LIB.client_set_ca_pem, client.handle, pem(), len(pem())),
                "trusted directory": lambda: call(LIB.client_set_ca_dir, client.handle, folder.encode()),
                "certificate": lambda: call(LIB.client_set_client_certificate_pem, client.handle, pem(), len(pem()), key,
                                            len(key)),
                "key": lambda: call(LIB.client_set_client_certificate_pem, client.handle, cert, len(cert), pem(), len(pem())),
                "files": lambda: call(LIB.client_set_client_certificate_files, client.handle, str(given).encode(),
                                      self.files["key"].encode()),
            }
            for name, content in self.mutated_keys().items():
                given.write_bytes(content)
                for setter, setting in setters.items():
                    with self.subTest(name, setter=setter):
                        self.said.append(self.refused("E_INVALID_ARG", setting)["text"])
            # when it is replaced under a running agent
            mine, trust = Path(folder, "mine.pem"), Path(folder, "ca.pem")
            mine.write_bytes(cert + key)
            trust.write_bytes(Path(self.files["ca"]).read_bytes())
            agent = self.agent(self.client(ca=str(trust), cert=(str(mine), str(mine))), NEVER, LIB.constant("LOG_DEBUG"))
            agent.start()
            agent.wait("connected")
            for name, content in self.mutated_keys().items():
                for path in (mine, trust):
                    with self.subTest(name, replaced=path.name):
                        whole = path.read_bytes()
                        path.write_bytes(content)
                        agent.reconnect()
                        agent.poll_now()
                        self.said.append(self.failing(agent)["text"])
                        path.write_bytes(whole)
                        agent.poll_now()
                        agent.wait("connected")
            self.note(agent)
            agent.stop()
        self.assert_silent(least=24)
        for text in self.said + [line for _, line in self.ear.lines]:
            self.assert_no_key(text)

    def test_in_one_exchange(self):
        """[LOG-03]"""
        client = self.client(cert=(self.files["cert"], self.files["key"]))
        client.set_header("Authorization", f"Bearer {TOKEN}")
        self.fault({"status": 401, "body": {"text": f"who is {TOKEN}?"}})
        out, error = ctypes.c_void_p(), ctypes.c_void_p()
        status = LIB.client_exchange(client.handle, b"", 0, 5000, ctypes.byref(out), ctypes.byref(error))
        self.assertEqual("E_FAILED", LIB.name_of("", status))
        self.said.append(LIB.error_text(error).decode())
        LIB.error_free(error)
        self.assertIn(f"HTTP 401 Unauthorized: {HIDDEN}", self.said[0])
        self.assert_silent(least=0)


def bare(text):
    """Letters, digits and a few signs, whatever else they stand among."""
    text = re.sub(r"\\u([0-9a-f]{4})|&#(\d+);", lambda m: chr(int(m[1], 16) if m[1] else int(m[2])), unquote(unquote(text)))
    return "".join(c for c in text.lower() if c.isalnum())
