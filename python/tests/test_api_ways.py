"""The way to the server: proxies, redirects to other origins, unix sockets. Each over HTTP and WebSocket."""
import logging
import os
import ssl
import tempfile
import traceback
import unittest
from unittest import mock

from kit import PATIENCE_S, Devserver, Recorder, client_of, log_lines, opened, running
from relays import HttpProxy, SocksProxy, UnixRelay

from opamp.exceptions import OpAMPException

LOGIN, LOGIN_IN_URL = "agent:canary-p@ss", "agent:canary-p%40ss"
# Reserved to be nobody's: only the proxy knows where it is.
HOST = "opamp.invalid"
PATIENCE = f"{PATIENCE_S}s"


def heads(server):
    """The headers of each message that came: {lower-case name: value}."""
    return [{name.lower(): value for name, value in entry["http"]["headers"]} for entry in server.timeline(kind="received") if entry.get("http")]


class Ways(unittest.TestCase):
    def setUp(self):
        variables = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")]
        patched = mock.patch.dict(os.environ)
        patched.start()
        self.addCleanup(patched.stop)
        for name in variables:
            del os.environ[name]

    def opened(self, context):
        opened = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return opened

    def server(self, scheme, **more):
        return self.opened(Devserver(transport="ws" if scheme.startswith("ws") else "http", **more))

    def endpoint(self, server, scheme):
        return f"{scheme}://{HOST}:{server.port}/v1/opamp"

    def routes(self, server):
        return {f"{host}:{server.port}": ("127.0.0.1", server.port) for host in (HOST, "127.0.0.1")}

    def lives(self, server, client):
        """A whole life: an offer, its verdict, the goodbye."""
        server.offer({"a": b"1"})
        callbacks = Recorder()
        with running(client, callbacks):
            offer = callbacks.offer()
            client.update_remote_config_status(offer.config_hash, 1)
            server.wait("status=APPLIED:offered", timeout=PATIENCE)
        server.wait("disconnected", timeout=PATIENCE)


class Proxies(Ways):
    def test_it_is_reached_with_login_and_headers_of_its_own(self):
        """[PROXY-01] Over HTTP it passes requests on, for WebSocket it is asked to CONNECT; the server sees neither login nor headers."""
        for scheme, method in (("http", "POST"), ("ws", "CONNECT")):
            with self.subTest(scheme):
                server = self.server(scheme)
                proxy = self.opened(HttpProxy(self.routes(server), login=LOGIN))
                self.lives(server, client_of(self.endpoint(server, scheme), proxy=f"http://{LOGIN_IN_URL}@{proxy.place}",
                                             proxy_headers={"X-Tenant": "canary-tenant"}, headers={"X-Key": "v"}))
                self.assertEqual({(asked, headers["x-tenant"]) for asked, _, headers in proxy.asked}, {(method, "canary-tenant")})
                if scheme == "http":
                    self.assertEqual({(head["x-key"], "proxy-authorization" in head) for head in heads(server)}, {("v", False)})

    def test_a_socks_proxy_looks_the_name_up(self):
        """[PROXY-04]"""
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                server = self.server(scheme)
                proxy = self.opened(SocksProxy(self.routes(server), login=LOGIN))
                self.lives(server, client_of(self.endpoint(server, scheme), proxy=f"socks5h://{LOGIN_IN_URL}@{proxy.place}"))
                self.assertEqual(set(proxy.asked), {(3, HOST, server.port)})

    def test_a_proxy_with_TLS_is_believed_by_the_settings_of_the_client(self):
        """[PROXY-01] [TLS-04] They count though the endpoint has no TLS."""
        folder = self.opened(tempfile.TemporaryDirectory())
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                server = self.server(scheme)
                with Devserver(tls=folder):  # makes the certificates
                    pass
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
                proxy = self.opened(HttpProxy(self.routes(server), context=context))
                self.lives(server, client_of(self.endpoint(server, scheme), proxy=f"https://{proxy.place}", tls_certificate=f"{folder}/ca.pem"))

    def test_the_environment_counts_only_where_nothing_else_is_said(self):
        """[PROXY-02]"""
        server = self.server("http")
        proxy, other = (self.opened(HttpProxy(self.routes(server))) for _ in range(2))
        os.environ["http_proxy"] = proxy.place
        for given, counts in (({}, (1, 0)), ({"proxy": other.place}, (1, 1)), ({"proxy": False}, (1, 1))):
            with self.subTest(given):
                with running(client_of(server.endpoint, **given)) as agent:
                    self.assertTrue(agent.flush(PATIENCE_S))
                self.assertEqual((proxy.count, other.count), counts)

    def test_one_exchange_of_the_client_goes_through_it_too(self):
        server = self.server("http")
        proxy = self.opened(HttpProxy(self.routes(server), login=LOGIN))
        client = client_of(self.endpoint(server, "http"), proxy=f"{LOGIN_IN_URL}@{proxy.place}")
        self.assertEqual(client.send(client.build_full_state_message()).instance_uid, client.instance_uid)

    def test_a_password_is_nowhere_to_be_read(self):
        """[LOG-03] Whether the proxy refuses it, is not there, or its URL or header can not be."""
        server = self.server("http")
        proxy = self.opened(HttpProxy(self.routes(server), login=LOGIN))
        for scheme in ("http", "ws"):
            for more in ({"proxy": f"http://agent:canary-wrong@{proxy.place}"}, {"proxy": "http://agent:canary-p%40ss@127.0.0.1:9"},
                         {"proxy": "gopher://agent:canary@127.0.0.1:9"}, {"proxy": "http://agent:canary@127.0.0.1:9/path"},
                         {"proxy": "http://agent:canary\0@127.0.0.1:9"}, {"proxy": "socks5://agent:%00canary@127.0.0.1:9"},
                         {"proxy": "http://127.0.0.1:9", "proxy_headers": {"X-Key": "canary\n"}}):
                with self.subTest(scheme=scheme, more=more), log_lines(level=logging.DEBUG) as lines:
                    callbacks, client = Recorder(), client_of(self.endpoint(server, scheme), **more)
                    with running(client, callbacks) as agent:
                        error = callbacks.next("connect_failed")[1]
                        self.assertIsInstance(error, OpAMPException)
                        seen = [str(error), "".join(traceback.format_exception(type(error), error, error.__traceback__)), repr(client),
                                repr(agent), str(agent.snapshot()), *lines]
                    self.assertNotIn("canary", "\n".join(seen))

    def test_a_407_says_that_it_was_the_proxy(self):
        """[PROXY-01] [LOG-01]"""
        server = self.server("http")
        proxy = self.opened(HttpProxy(self.routes(server), login=LOGIN))
        callbacks = Recorder()
        with running(client_of(self.endpoint(server, "http"), proxy=proxy.place), callbacks):
            error = callbacks.next("connect_failed")[1]
        self.assertEqual((error.kind, error.http_status), ("proxy", 407))

    def test_what_is_no_proxy_is_refused_with_the_name_of_the_argument(self):
        for name, wrong in (("proxy", True), ("proxy", b"http://proxy"), ("proxy_headers", {1: "x"}), ("proxy_headers", {"x": ()}),
                            ("allow_redirects_to", "https://one"), ("allow_redirects_to", [b"https://one"])):
            with self.subTest(name, wrong=wrong), self.assertRaisesRegex(TypeError, name):
                client_of("url", **{name: wrong})

    def test_a_transport_of_the_hosts_own_takes_no_notice_and_one_warning_says_so(self):
        with log_lines() as lines:
            for _ in range(2):
                opened(client_of("url", transport=mock.Mock(), proxy="http://127.0.0.1:9"))
        self.assertEqual(len([line for line in lines if "given transport carries" in line]), 1, lines)


class Redirects(Ways):
    def redirected(self, scheme, is_allowed):
        """A server, and the client of one that sends everybody there."""
        here, there = self.server(scheme), self.server(scheme)
        elsewhere = {"redirect": f"http://127.0.0.1:{there.port}/v1/opamp", "status": 307}
        here.faults({"rules": [{"on": "upgrade" if scheme == "ws" else "message", "times": "always", "do": elsewhere}]})
        origins = {"allow_redirects_to": [f"{scheme}://gateway.invalid", f"{scheme}://127.0.0.1:{there.port}"]} if is_allowed else {}
        return there, client_of(here.endpoint, headers={"Authorization": "canary"}, **origins)

    def test_another_origin_is_asked_where_it_is_allowed_and_does_not_get_the_headers(self):
        """[HTTP-13]"""
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                there, client = self.redirected(scheme, is_allowed=True)
                self.lives(there, client)
                self.assertNotIn("canary", str(there.timeline()))

    def test_without_leave_it_is_a_failed_try(self):
        """[HTTP-13]"""
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                there, client = self.redirected(scheme, is_allowed=False)
                callbacks = Recorder()
                with running(client, callbacks):
                    error = callbacks.next("connect_failed")[1]
                self.assertEqual((error.kind, error.http_status), ("http_status", 307))
                self.assertEqual(there.timeline(kind="received"), [])

    def test_what_is_no_origin_is_a_failed_try_and_a_log_line(self):
        for origin in ("gateway", "https://gateway/path", "https://canary:pass@gateway", ""):
            with self.subTest(origin), log_lines() as lines:
                callbacks = Recorder()
                with running(client_of("http://127.0.0.1:9/", allow_redirects_to=[origin]), callbacks):
                    self.assertIsInstance(callbacks.next("connect_failed")[1], OpAMPException)
                self.assertIn("can not start", "\n".join(lines))
                self.assertNotIn("canary", "\n".join(lines))


class UnixSockets(Ways):
    def test_an_agent_lives_behind_one(self):
        """[PROXY-03] No proxy is between."""
        os.environ["http_proxy"] = "127.0.0.1:9"
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                server, folder = self.server(scheme), self.opened(tempfile.TemporaryDirectory())
                relay = self.opened(UnixRelay(f"{folder}/s", ("127.0.0.1", server.port)))
                place = f"{folder}/s".replace("/", "%2F")
                self.lives(server, client_of(f"{scheme}+unix://{place}/v1/opamp"))
                self.assertGreaterEqual(relay.count, 1)


if __name__ == "__main__":
    unittest.main()
