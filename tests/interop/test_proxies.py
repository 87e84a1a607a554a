"""The example agent through squid and dante, each with a login, to the server package of opamp-go."""
import signal
import sys

import goserver
from child import option
from daemons import Dante, Squid
from goserver import GoServer, offer
from stage import only, per_scheme

SOON = option("FIRST_RETRY_MAX_MS", 200) + option("BACKOFF_BASE_MS", 200) + option("BACKOFF_MAX_MS", 400)
USER, PASSWORD, ENCODED = "agent", "s3 cret/%", "s3%20cret%2F%25"
FILES = {"main.yaml": b"a: 1\n"}


class ProxyTests:
    def setUp(self):
        lacking = Squid.lacking() or Dante.lacking() or goserver.lacking()
        if lacking:
            self.skipTest(lacking)
        super().setUp()
        self.server = GoServer(self.work, self.trust if self.is_secure else None)
        self.addCleanup(self.server.close)

    def proxy(self, kind):
        daemon = kind(self.work, login=(USER, PASSWORD))
        self.addCleanup(daemon.close)
        return daemon

    def url(self, daemon, password=ENCODED):
        return f"{'http' if isinstance(daemon, Squid) else 'socks5'}://{USER}:{password}@127.0.0.1:{daemon.port}"

    def agent_through(self, url, *arguments):
        return self.agent(self.server.endpoint(self.scheme), "--proxy", url, "--log", "debug", *arguments)

    def carries(self, kind):
        """A session from the first report to the goodbye; what the proxy says that it carried."""
        daemon = self.proxy(kind)
        agent = self.agent_through(self.url(daemon))
        self.server.wait_message(lambda m: m.is_full)
        digest, message = offer(FILES)
        self.server.do("push" if self.is_socket else "offer", message=message)
        self.server.wait_message(lambda m: m.verdict == (digest, "APPLIED", ""))
        self.assertEqual(FILES, agent.live())
        status, _ = agent.stop()
        self.assertEqual(0, status, agent.tail())
        self.server.wait_message(lambda m: m.is_disconnect)
        self.assertEqual([False] * len(self.server.messages()), [m.line["gap"] for m in self.server.messages()])
        self.assert_is_discreet(agent)
        daemon.close()
        return daemon.carried()

    def assert_is_discreet(self, agent):
        """[LOG-03] No password in any event or log line."""
        for secret in (PASSWORD, ENCODED):
            self.assertNotIn(secret, agent.errors() + str(agent.said()))

    def test_squid_carries_a_session(self):
        """[PROXY-01]"""
        carried = self.carries(Squid)
        method = "POST" if self.scheme == "http" else "CONNECT"
        lines = [line.split() for line in carried if self.server.address in line]
        self.assertEqual({(method, USER)}, {(line[5], line[7]) for line in lines}, carried)
        if self.scheme == "http":
            self.assertIn("squid", self.server.wait("connecting")["headers"]["Via"][0])
        else:
            self.assertEqual(1, len(lines), carried)

    def test_dante_carries_a_session(self):
        """[PROXY-01]"""
        carried = self.carries(Dante)
        self.assertIn(f"username%{USER}", " ".join(carried))

    def test_a_407_of_squid_is_told_as_such(self):
        """[PROXY-01]"""
        agent = self.agent_through(self.url(self.proxy(Squid), "wrong"))
        failed = agent.wait("connect_failed")
        self.assertEqual(("proxy", 407), (failed["kind"], failed.get("http_status")), failed)
        self.assertEqual([], self.server.said("connecting"))
        self.assert_is_discreet(agent)

    def test_a_login_that_dante_refuses_is_told(self):
        """[PROXY-01]"""
        agent = self.agent_through(self.url(self.proxy(Dante), "wrong"))
        failed = agent.wait("connect_failed")
        self.assertEqual("proxy", failed["kind"], failed)
        self.assertEqual([], self.server.said("connecting"))

    def test_a_proxy_that_was_away_is_used_again(self):
        """[HTTP-12] [WS-10]"""
        # given a session through squid
        daemon = self.proxy(Squid)
        agent = self.agent_through(self.url(daemon), *SOON)
        self.server.wait_message(lambda m: m.is_full)
        # when squid goes, without the 503 that it says while it ends
        daemon.close(signal.SIGKILL)
        agent.wait(lambda e: e["event"] == "connect_failed" and f"the proxy 127.0.0.1:{daemon.port}" in e["text"])
        # and comes again
        seen = self.server.messages()[-1].number
        daemon.start()
        # then the session goes on
        self.server.wait_message(lambda m: m.number > seen + 3, timeout=30)

    @only("http", "https")
    def test_the_environment_names_the_proxy_and_its_exceptions(self):
        """[PROXY-02]"""
        daemon = self.proxy(Squid)
        variable = {f"{self.scheme}_proxy": self.url(daemon)}
        through = self.agent(self.server.endpoint(self.scheme), env=variable)
        self.server.wait_message(lambda m: m.uid == through.wait("starting")["uid"])
        through.close()
        # Its directory keeps the instance uid.
        since = len(self.server.said())
        around = self.agent(self.server.endpoint(self.scheme), env={**variable, "no_proxy": f"example.com, {self.server.address}"})
        self.server.wait_message(lambda m: m.uid == around.wait("starting")["uid"], since)
        around.close()
        daemon.close()
        connections = {line.split()[5] for line in daemon.carried() if self.server.address in line}
        self.assertEqual({"POST" if self.scheme == "http" else "CONNECT"}, connections)
        headers = self.server.said("connecting")[-1]["headers"]
        self.assertNotIn("Via", headers)


per_scheme(sys.modules[__name__], ProxyTests)
