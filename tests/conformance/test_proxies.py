"""Agents whose server is behind a proxy: http, https and SOCKS5, given by the host or by the environment."""
import os
import ssl
from unittest import mock

from binding import LIB, OpampError, call
from relays import HttpProxy, SocksProxy
from stage import NEVER
from wire import TlsStage, WireStage

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOGIN = "agent:canary-p@ss"
LOGIN_IN_URL = "agent:canary-p%40ss"


class Behind:
    """What the tests over http and over https share: the server is known by a name that only the proxies know."""

    def setUp(self):
        super().setUp()
        names = [name for variable in VARIABLES for name in (variable, variable.upper()) if name in os.environ]
        self.environment = mock.patch.dict(os.environ)
        self.environment.start()
        self.addCleanup(self.environment.stop)
        for name in names:
            del os.environ[name]
        self.routes = {f"{host}:{self.server.port}": ("127.0.0.1", self.server.port)
                       for host in ("opamp.invalid", "localhost", "127.0.0.1")}

    def proxy(self, kind, **more):
        if kind.startswith("socks"):
            proxy = SocksProxy(self.routes, **more)
        else:
            proxy = HttpProxy(self.routes, context=self.proxy_tls() if kind == "https" else None, **more)
        proxy.__enter__()
        self.addCleanup(proxy.__exit__)
        return proxy

    def behind(self, host, proxy=None, **more):
        """A client of the server under that name."""
        client = self.client(**more)
        if proxy:
            client.set_proxy(proxy)
        client.set_endpoint(f"{self.scheme}://{host}:{self.server.port}/v1/opamp")
        return client

    def lives(self, client):
        """A whole life: offer, verdict, disconnect."""
        since = self.now()
        self.server.offer({"a.yaml": b"a: 1"})
        agent = self.started(client)
        agent.apply(agent.wait("message"))
        agent.flush()
        agent.stop()
        self.assertIn("agent_disconnect", self.messages(since)[-1])
        self.assertNotIn("connect_failed", self.kinds(agent))
        return agent


class OverHttp(Behind, WireStage):
    scheme = "http"

    def test_a_life_through_each_kind_of_proxy(self):
        """[PROXY-01] [CONN-09] [PROXY-04] the scheme may be left out; an http proxy sees whole URLs"""
        for kind, host in [("", "opamp.invalid"), ("http://", "opamp.invalid"), ("socks5://", "127.0.0.1"), ("socks5h://", "opamp.invalid")]:
            with self.subTest(kind):
                proxy = self.proxy(kind.removesuffix("://") or "http", login=LOGIN)
                self.lives(self.behind(host, f"{kind}{LOGIN_IN_URL}@{proxy.place}"))
                if kind.startswith("socks"):
                    self.assertEqual({(1 if host[0] == "1" else 3, host, self.server.port)}, set(proxy.asked))
                else:
                    url = f"http://opamp.invalid:{self.server.port}/v1/opamp"
                    self.assertEqual({("POST", url)}, {(method, target) for method, target, _ in proxy.asked})
                    self.assertEqual(1, proxy.count)

    def test_a_407_is_a_407(self):
        """[PROXY-01] [LOG-01] [LOG-03] with the wrong login, and none of it is told; the next try is the next poll"""
        for kind, status in [("http", 407), ("socks5h", 0)]:
            with self.subTest(kind):
                proxy = self.proxy(kind, login=LOGIN)
                agent = self.agent(self.behind("opamp.invalid", f"{kind}://agent:canary-wrong@{proxy.place}"), log_level=4).start()
                error = self.failing(agent)
                self.assertEqual(("proxy", status), (error["kind"], error["status"]))
                agent.stop()
                self.kinds(agent)
                told = [error["text"], str(agent.snapshot())] + [event.log[1] for event in agent.events if event.log]
                for text in told:
                    self.assertNotIn("canary", text)

    def test_a_503_that_a_proxy_made_counts_like_the_servers(self):
        """[HTTP-10] nothing is sent before its Retry-After is over, then all goes on"""
        proxy = self.proxy("http", answer=b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        agent = self.agent(self.behind("opamp.invalid", proxy.place)).start()
        error = self.failure(agent)
        self.assertEqual(503, error["status"])
        self.assertGreaterEqual(error["retry_in_ms"], 900)
        agent.poll_now()
        asked = len(proxy.asked)
        proxy.answer = None
        agent.wait("connected")
        self.assertEqual(asked + 1, len(proxy.asked))
        agent.stop()

    def test_the_environment_names_the_proxy_where_the_host_does_not(self):
        """[PROXY-02] [GUEST-01] read at start: neither before nor after; in capitals only where that is safe"""
        proxy = self.proxy("http")
        client = self.behind("opamp.invalid")
        os.environ["http_proxy"] = proxy.place
        agent = self.started(client)
        os.environ["http_proxy"] = "127.0.0.1:1"
        agent.reconnect()
        self.exchange(agent)
        agent.stop()
        self.assertEqual(2, proxy.count)

        asked = len(proxy.asked)
        os.environ["http_proxy"] = ""
        os.environ["HTTP_PROXY"] = proxy.place
        self.lives(self.behind("127.0.0.1"))
        self.assertEqual(asked, len(proxy.asked))
        os.environ["ALL_PROXY"] = proxy.place
        self.lives(self.behind("127.0.0.1"))
        self.assertLess(asked, len(proxy.asked))

    def test_no_proxy_and_one_switch_lead_past_the_environment(self):
        """[PROXY-02] the host's own proxy counts more than both"""
        proxy = self.proxy("http")
        os.environ["http_proxy"] = "127.0.0.1:1"
        for exception in ("127.0.0.1", "127.0.0.0/8", f"127.0.0.1:{self.server.port}", "*"):
            os.environ["no_proxy"] = exception
            self.lives(self.behind("127.0.0.1"))
        os.environ["no_proxy"] = "other.example,127.0.0.1:1"
        client = self.behind("127.0.0.1")
        agent = self.agent(client).start()
        self.assertIn("the proxy 127.0.0.1:1", self.failing(agent)["text"])
        agent.stop()
        client.use_proxy_environment(False)
        self.lives(client)
        os.environ["no_proxy"] = "*"
        self.assertEqual([], proxy.asked)
        self.lives(self.behind("opamp.invalid", proxy.place))
        self.assertNotEqual([], proxy.asked)

    def test_a_variable_that_names_no_proxy_fails_the_start(self):
        """[PROXY-02] [PROXY-04] [LOG-03] instead of going past a proxy that was meant"""
        for value in ("http://", "ftp://user:canary@127.0.0.1", "user:canary@127.0.0.1:x"):
            os.environ["http_proxy"] = value
            agent = self.agent(self.behind("127.0.0.1"))
            error = self.refused("E_INVALID_ARG", agent.start)
            self.assertEqual("proxy", error["kind"])
            self.assertIn("http_proxy", error["text"])
            self.assertNotIn("canary", error["text"])
            agent.client.use_proxy_environment(False)
            self.lives(agent.client)

    def test_proxies_are_fixed_while_an_agent_runs(self):
        """[LIFE-05]"""
        client = self.client()
        agent = self.started(client)
        self.refused("E_STATE", client.set_proxy, "127.0.0.1:1")
        self.refused("E_STATE", client.set_proxy_header, "X-A", "b")
        with self.assertRaises(OpampError):
            client.use_proxy_environment(False)
        agent.stop()

    def test_a_silent_proxy_meets_its_bound(self):
        """[PROXY-01] [HTTP-18] and a stop does not wait for it"""
        proxy = self.proxy("socks5h")
        proxy.serve = lambda peer: peer.recv(1 << 20) and peer.recv(1)
        client = self.behind("opamp.invalid", f"socks5h://{proxy.place}", options={"PROXY_TIMEOUT_MS": 100})
        agent = self.agent(client).start()
        error = self.failure(agent)
        self.assertEqual("timeout", error["kind"])
        self.assertIn(f"the proxy {proxy.place}", error["text"])
        agent.stop(1000)


class OverHttps(Behind, TlsStage):
    scheme = "https"
    client_auth = True

    def proxy_tls(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.files["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        return context

    def behind(self, host, proxy=None, **more):
        return super().behind(host, proxy, cert=(self.path("client.pem"), self.path("client.key")), **more)

    def test_a_life_through_each_kind_of_proxy(self):
        """[PROXY-01] [PROXY-04] [CONN-09] [TLS-02] the server's certificate is still verified, the proxy's, too"""
        for kind in ("http", "https", "socks5", "socks5h"):
            with self.subTest(kind):
                proxy = self.proxy(kind, login=LOGIN if kind != "https" else None)
                login = f"{LOGIN_IN_URL}@" if kind != "https" else ""
                self.lives(self.behind("localhost", f"{kind}://{login}{proxy.place}"))
                if kind.startswith("http"):
                    self.assertEqual({("CONNECT", f"localhost:{self.server.port}")}, {(m, t) for m, t, _ in proxy.asked})

    def test_connect_headers_are_for_the_proxy_alone(self):
        """[PROXY-01] [CONN-09] and the host's headers for the server alone"""
        proxy = self.proxy("http")
        client = self.behind("localhost", proxy.place)
        client.set_proxy_header("X-For-Proxy", "yes")
        client.set_proxy_header("X-Not", "any more")
        client.set_proxy_header("X-Not", None)
        client.set_header("X-For-Server", "yes")
        self.lives(client)
        headers = proxy.asked[0][2]
        self.assertEqual("yes", headers.get("x-for-proxy"))
        self.assertFalse({"x-for-server", "x-not", "opamp-instance-uid"} & set(headers))
        request = self.requests()[0]
        self.assertEqual(["yes"], self.header(request, "X-For-Server"))
        self.assertEqual([], self.header(request, "X-For-Proxy"))

    def test_a_refused_connect_surfaces_as_itself(self):
        """[PROXY-01] [HTTP-10] its status, and its Retry-After like a server's"""
        for status, wait in [(407, None), (403, None), (503, 7)]:
            with self.subTest(status):
                retry = f"Retry-After: {wait}\r\n" if wait else ""
                proxy = self.proxy("http", answer=f"HTTP/1.1 {status} No\r\n{retry}Content-Length: 0\r\n\r\n".encode())
                agent = self.agent(self.behind("localhost", proxy.place), NEVER).start()
                error = self.failure(agent)
                self.assertEqual(("proxy", status), (error["kind"], error["status"]))
                if wait:
                    self.assertGreaterEqual(error["retry_in_ms"], wait * 1000 - 1000)
                agent.stop()

    def test_a_https_proxy_is_verified(self):
        """[PROXY-04] [TLS-02] by the connection's own authorities"""
        proxy = self.proxy("https")
        proxy.context.load_cert_chain(self.path("expired.pem"), self.path("expired.key"))
        agent = self.agent(self.behind("localhost", f"https://{proxy.place}")).start()
        error = self.failing(agent)
        self.assertEqual("tls", error["kind"])
        self.assertIn(f"TLS with the proxy {proxy.place}", error["text"])
        self.assertIn("expired on", error["text"])
        self.assertEqual([], proxy.asked)
        agent.stop()

    def test_tls_settings_on_a_http_endpoint_need_a_https_proxy(self):
        """[TLS-01] [PROXY-04]"""
        client = self.client(ca=None)
        client.set_endpoint(f"http://127.0.0.1:{self.server.port}/v1/opamp")
        for proxy in (None, "http://127.0.0.1:1", "socks5://127.0.0.1:1"):
            client.set_proxy(proxy)
            self.refused("E_INVALID_ARG", self.set_ca, client)
        client.set_proxy("https://127.0.0.1:1")
        self.set_ca(client)
        self.refused("E_INVALID_ARG", client.set_proxy, None)

    def set_ca(self, client):
        call(LIB.client_set_ca_file, client.handle, self.files["ca"].encode())
