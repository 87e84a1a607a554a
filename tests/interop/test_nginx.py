"""The example agent through nginx, to the server package of opamp-go."""
import math
import sys
import time
from urllib.parse import quote

import goserver
from child import option
from daemons import Nginx
from goserver import GoServer, offer
from stage import only, per_scheme

SOON = option("FIRST_RETRY_MAX_MS", 200) + option("BACKOFF_BASE_MS", 200) + option("BACKOFF_MAX_MS", 400)
NO_JITTER = option("RETRY_AFTER_JITTER_MS", 0)
FILES = {"main.yaml": b"a: 1\n"}


class NginxTests:
    def setUp(self):
        lacking = Nginx.lacking() or goserver.lacking()
        if lacking:
            self.skipTest(lacking)
        super().setUp()
        self.server = GoServer(self.work)
        self.addCleanup(lambda: self.server.close())

    def front(self, **settings):
        nginx = Nginx(self.work, **{"upstream": self.server.address, "trust": self.trust if self.is_secure else None, **settings})
        self.addCleanup(nginx.close)
        self.endpoint = f"{self.scheme}://127.0.0.1:{nginx.port}/v1/opamp"
        return nginx

    def offer(self, files, agent):
        """Offers files; returns once the server knows that they are applied."""
        since = self.server.now()
        digest, message = offer(files)
        self.server.do("push" if self.is_socket else "offer", message=message)
        self.server.wait_message(lambda m: m.verdict == (digest, "APPLIED", ""), since)
        self.assertEqual(files, agent.live())

    def test_carries_a_session_from_the_first_report_to_the_goodbye(self):
        """[HTTP-01] [WS-01] [LIFE-01]"""
        self.front(wants_certificate=self.is_secure)
        self.carry_a_session()
        if self.is_secure:
            self.assertEqual(["CN=agent"], self.server.wait("connecting")["headers"]["X-Client-Name"])

    @only("http", "ws")
    def test_carries_a_session_over_a_unix_socket(self):
        """[PROXY-03]"""
        nginx = self.front()
        self.endpoint = f"{self.scheme}+unix://{quote(str(nginx.socket), safe='')}/v1/opamp"
        self.carry_a_session()
        self.assertIn("unix:", nginx.file("access.log").read_text())

    def test_follows_its_redirect(self):
        """[HTTP-13] [WS-17]"""
        nginx = self.front()
        self.endpoint = f"{self.scheme}://127.0.0.1:{nginx.port}/moved"
        self.carry_a_session()
        self.assertIn(" /moved HTTP/1.1\" 308", nginx.file("access.log").read_text())

    def carry_a_session(self):
        agent = self.agent(self.endpoint)
        self.server.wait_message(lambda m: m.is_full)
        self.offer(FILES, agent)
        status, _ = agent.stop()
        self.assertEqual(0, status, agent.tail())
        self.server.wait_message(lambda m: m.is_disconnect)
        messages = self.server.messages()
        self.assertEqual(list(range(len(messages))), [m.number for m in messages])
        self.assertEqual([messages[-1].number], [m.number for m in messages if m.is_disconnect])

    @only("https", "wss")
    def test_a_missing_client_certificate_is_told(self):
        """[HTTP-11]"""
        # given nginx that wants a certificate, and an agent without one
        self.front(wants_certificate=True)
        agent = self.agent(self.endpoint, shows_certificate=False)
        # then its 400 is told with a part of its page, and no request gets through
        failed = agent.wait("connect_failed")
        self.assertEqual(400, failed["http_status"])
        self.assertIn("SSL", failed["text"])
        self.assertEqual([], self.server.said("connecting"))

    @only("http", "https")
    def test_its_413_holds_back_what_was_too_large(self):
        """[HTTP-09]"""
        # given nginx that takes 2 KiB, and an agent that has to report more
        self.front(limit="2k")
        agent = self.agent(self.endpoint)
        self.server.wait_message(lambda m: m.is_full)
        begin = time.monotonic()
        digest, message = offer({"large": b"x" * 4096})
        self.server.do("offer", message=message)
        # then its 413 is told, and the agent is heard as before
        agent.wait(lambda e: e.get("http_status") == 413)
        seen = self.server.messages()[-1].number
        self.server.wait_message(lambda m: m.number > seen + 20)
        # and what was refused comes again only because this server, which misses a number, asks for it: the burst of SYNC-04,
        # then after 1, 2, 4 seconds
        refused = [e for e in agent.said() if e.get("http_status") == 413]
        self.assertLessEqual(len(refused), 4 + int(math.log2(time.monotonic() - begin + 1)))
        # and something smaller is reported again
        self.server.do("offer", message=offer(FILES)[1])
        self.server.wait_message(lambda m: m.effective == FILES)
        self.assertEqual(FILES, agent.live())

    def test_its_502_is_told_and_ends_with_the_server(self):
        """[HTTP-12] [WS-10]"""
        # given nginx without a server behind it
        address = self.server.address
        self.server.close()
        self.front(upstream=address)
        agent = self.agent(self.endpoint, *SOON)
        failed = agent.wait("connect_failed")
        self.assertEqual(502, failed["http_status"])
        # when the server comes
        self.server = GoServer(self.work, address=address)
        # then the agent joins it
        self.server.wait_message(lambda m: m.is_full)
        self.offer(FILES, agent)

    def test_its_503_is_waited_out(self):
        """[HTTP-10] [WS-12]"""
        # given nginx in maintenance
        nginx = self.front(location="add_header Retry-After 2 always; return 503;")
        begin = time.monotonic()
        agent = self.agent(self.endpoint, *NO_JITTER)
        failed = agent.wait("connect_failed")
        self.assertEqual(503, failed["http_status"])
        # when that is over
        nginx.reload(location=None)
        # then the agent comes as soon as it may, and no sooner
        self.server.wait_message(lambda m: m.is_full, timeout=20)
        self.assertGreaterEqual(self.server.wait("connecting")["at"] - begin, 1.9)

    def test_a_reload_under_traffic_is_not_felt(self):
        """[HTTP-14] [WS-10]"""
        # given an agent that speaks all the time
        nginx = self.front()
        agent = self.agent(self.endpoint, *SOON)
        self.server.wait_message(lambda m: m.is_full)
        self.offer(FILES, agent)
        # when nginx is reloaded, again and again
        for _ in range(5):
            seen = self.server.messages()[-1].number
            nginx.reload()
            self.server.wait_message(lambda m, seen=seen: m.number > seen + 10)
        # then nothing was lost, and over HTTP nothing even had to be told
        self.offer({"other": b"2"}, agent)
        if not self.is_socket:
            self.assertEqual([], agent.said("connect_failed"))


per_scheme(sys.modules[__name__], NginxTests)
