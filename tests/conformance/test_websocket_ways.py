"""WebSocket through proxies, unix sockets and redirects."""
import test_proxies
from test_unix_sockets import UnixSockets
from websocket import OverWebSocket
from wire import TlsStage, WireStage


class Proxies(OverWebSocket, test_proxies.Behind, WireStage):
    scheme = "ws"

    def test_a_life_through_each_kind_of_proxy(self):
        """[PROXY-01] [CONN-09] an http proxy is asked to CONNECT"""
        for kind in ("http", "socks5h"):
            with self.subTest(kind):
                proxy = self.proxy(kind, login=test_proxies.LOGIN)
                self.lives(self.behind("opamp.invalid", f"{kind}://{test_proxies.LOGIN_IN_URL}@{proxy.place}"))
                place = ("CONNECT", f"opamp.invalid:{self.server.port}") if kind == "http" else (3, "opamp.invalid")
                self.assertEqual([place], [asked[:2] for asked in proxy.asked])

    def test_a_407_is_a_407(self):
        """[PROXY-01] [LOG-01]"""
        proxy = self.proxy("http", login=test_proxies.LOGIN)
        agent = self.agent(self.behind("opamp.invalid", proxy.place)).start()
        error = self.failure(agent)
        self.assertEqual(("proxy", 407), (error["kind"], error["status"]))
        agent.stop()

    def test_a_silent_proxy_meets_its_bound(self):
        """[PROXY-01] [HTTP-18] and a stop does not wait for it"""
        proxy = self.proxy("http")
        proxy.serve = lambda peer: peer.recv(1 << 20) and peer.recv(1)
        agent = self.agent(self.behind("opamp.invalid", proxy.place, options={"PROXY_TIMEOUT_MS": 100})).start()
        error = self.failure(agent)
        self.assertEqual("timeout", error["kind"])
        self.assertIn(f"the proxy {proxy.place}", error["text"])
        agent.stop(1000)


class ProxiesOverTls(OverWebSocket, test_proxies.OverHttps):
    scheme = "wss"
    test_connect_headers_are_for_the_proxy_alone = None
    test_tls_settings_on_a_http_endpoint_need_a_https_proxy = None


class Unix(OverWebSocket, UnixSockets):
    scheme = "ws+unix"
    test_a_path_that_can_not_be_is_refused = None

    def heads(self):
        return self.upgrades()


class Redirects(OverWebSocket):
    def test_the_upgrade_goes_where_the_server_says(self):
        """[WS-12] [WS-17] [HTTP-22] http and ws locations alike; the host is told, and the endpoint stays"""
        for status, location in [(301, "/moved"), (302, f"http://127.0.0.1:{self.server.port}/moved"), (308, "//127.0.0.1:%d/moved" % self.server.port)]:
            with self.subTest(status):
                self.fault({"redirect": location, "status": status}, on="upgrade")
                since = self.now()
                agent = self.started()
                agent.reconnect()
                agent.wait("connected")
                agent.stop()
                hop, = [event.redirect for event in agent.events if event.redirect]
                self.assertEqual((f"ws://127.0.0.1:{self.server.port}/moved", status), hop[1:])
                paths = [entry["http"]["path"] for entry in self.upgrades(since)]
                self.assertEqual(["/v1/opamp", "/moved", "/v1/opamp"], paths)
                self.assertNotIn("connect_failed", self.kinds(agent))

    def test_a_loop_is_one_failed_try_of_a_bounded_chain(self):
        """[WS-17] [HTTP-22] [LOG-01]"""
        self.fault({"redirect": "/moved", "status": 303}, "always", on="upgrade")
        agent = self.agent(options={"REDIRECT_LIMIT": 2}).start()
        error = self.failure(agent)
        self.assertEqual(("http_status", 303), (error["kind"], error["status"]))
        self.assertIn("more than 2 redirects", error["text"])
        self.assertEqual(["/v1/opamp", "/moved", "/moved"], [entry["http"]["path"] for entry in self.upgrades()][:3])
        agent.stop()

    def test_a_3xx_without_a_location_is_reported(self):
        """[WS-17]"""
        self.fault({"status": 302}, on="upgrade")
        agent = self.agent().start()
        error = self.failure(agent)
        self.assertEqual(302, error["status"])
        self.assertIn("without a location", error["text"])
        agent.stop()
