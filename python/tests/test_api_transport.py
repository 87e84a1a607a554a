"""Transports of the host's own: served on a thread of their own, with the library's retries, and uninstrumented."""
import os
import queue
import threading
import unittest
from unittest import mock

from kit import PATIENCE_S, Devserver, Recorder, client_of, log_lines, opened, running

from opamp import OpAMPCallbacks, _library, messages
from opamp.exceptions import OpAMPException
from opamp.proto import opamp_pb2
from opamp.transport.base import HttpTransport, base_headers

try:
    import requests
except ImportError:
    requests = None
try:
    from opentelemetry import context
except ImportError:
    context = None


class Told(HttpTransport):
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, answer=lambda **_: opamp_pb2.ServerToAgent()):
        self.asked, self.answer = [], answer

    def send(self, **asked):
        self.asked.append(asked)
        return self.answer(**asked)


class Served(unittest.TestCase):
    def test_it_gets_the_arguments_of_its_interface_whatever_the_scheme(self):
        transport, callbacks = Told(), Recorder()
        client = client_of("url", transport=transport, headers={"X-Key": "v"}, tls_certificate=False, tls_client_certificate="c.pem", tls_client_key="k.pem")
        with running(client, callbacks):
            callbacks.next("message")
        asked = transport.asked[0]
        self.assertEqual((asked["url"], asked["tls_certificate"], asked["tls_client_certificate"], asked["tls_client_key"]), ("url", False, "c.pem", "k.pem"))
        self.assertEqual((asked["headers"]["Content-Type"], asked["headers"]["X-Key"]), (base_headers["Content-Type"], "v"))
        self.assertTrue(0 < asked["timeout_millis"] <= 10_000)
        first = messages.message_class("AgentToServer").FromString(asked["data"])
        self.assertEqual((first.instance_uid, first.sequence_num), (client.instance_uid, 0))
        last = messages.message_class("AgentToServer").FromString(transport.asked[-1]["data"])
        self.assertTrue(last.HasField("agent_disconnect"))

    def test_it_is_told_nothing_of_expired_authorities(self):
        """Its interface has no room for them."""
        callbacks = Recorder()
        with log_lines() as lines, running(client_of("url", transport=Told(), tls_accept_expired_ca=True), callbacks):
            callbacks.next("message")
        self.assertIn("tls_accept_expired_ca is ignored", "\n".join(lines))

    def test_with_and_without_an_agent_the_server_sees_the_same(self):
        """[HTTP-04] [SYNC-12] One instance uid, one row of numbers, the same headers, and none that asks for gzip."""
        transport, callbacks = Told(), Recorder()
        client = client_of("url", transport=transport, headers={"X-Key": "v", "user-agent": "mine/1"})
        plain = Told()
        client_of("url", transport=plain).send(client.build_heartbeat_message())
        self.assertRegex(plain.asked[0]["headers"]["User-Agent"], "^libopamp/[0-9.]+$")
        for _ in range(2):
            client.send(client.build_heartbeat_message())
        for _ in range(2):
            with running(client, callbacks):
                callbacks.next("message")
            client.send(client.build_heartbeat_message())
        sent = [messages.message_class("AgentToServer").FromString(asked["data"]) for asked in transport.asked]
        self.assertEqual([message.sequence_num for message in sent], list(range(len(sent))))
        self.assertEqual({message.instance_uid for message in sent}, {client.instance_uid})
        seen = {frozenset((name.lower(), value) for name, value in asked["headers"].items()) for asked in transport.asked}
        self.assertEqual(len(seen), 1, seen)
        seen = dict(seen.pop())
        self.assertEqual(seen.pop("opamp-instance-uid").replace("-", ""), client.instance_uid.hex())
        self.assertEqual(seen, {"content-type": base_headers["Content-Type"], "x-key": "v", "user-agent": "mine/1"})

    def test_a_message_that_reached_nobody_uses_no_number_up(self):
        """[SYNC-12]"""
        def answer(**_):
            if len(transport.asked) in (1, 4):
                raise ConnectionRefusedError("nobody")
            return opamp_pb2.ServerToAgent()

        transport, callbacks = Told(answer), Recorder()
        client = client_of("url", transport=transport)
        for _ in range(3):
            try:
                client.send(client.build_heartbeat_message())
            except ConnectionRefusedError:
                pass
        with running(client, callbacks):
            callbacks.next("connect_failed")
            callbacks.next("message")
        numbers = [messages.message_class("AgentToServer").FromString(asked["data"]).sequence_num for asked in transport.asked]
        self.assertEqual(numbers[:5], [0, 0, 1, 2, 2])

    def test_it_is_called_on_one_thread_that_runs_no_callback_and_a_slow_one_delays_none(self):
        is_inside, release, threads = threading.Event(), threading.Event(), []

        def answer(**_):
            threads.append(threading.get_ident())
            if len(threads) == 2:
                is_inside.set()
                release.wait(PATIENCE_S)
            return opamp_pb2.ServerToAgent()

        class During(Recorder):
            def on_message(self, agent, client, message):
                is_inside.wait(PATIENCE_S)
                super().on_message(agent, client, message)

        callbacks = During()
        with running(client_of("url", transport=Told(answer)), callbacks, interval=0.05):
            callbacks.next("message")
            self.assertFalse(release.is_set())
            release.set()
            callbacks.next("message")
        self.assertEqual(len(set(threads)), 1)
        self.assertFalse(set(threads) & callbacks.threads)

    def test_one_that_never_returns_delays_no_callback(self):
        """Its time is over without it, and that is told."""
        release = threading.Event()

        def answer(**_):
            release.wait(PATIENCE_S)
            return opamp_pb2.ServerToAgent()

        client, callbacks = client_of("url", transport=Told(answer)), Recorder()
        _library.required().client_set_option(
            opened(client).pointer, _library.EXCHANGE_TIMEOUT_MS, 200, None)
        with running(client, callbacks):
            self.assertEqual(callbacks.next("connect_failed")[1].kind, "timeout")
            self.assertFalse(release.is_set())
            release.set()
            callbacks.next("connect")

    def test_a_callback_that_blocks_does_not_stop_it(self):
        leave, enough = threading.Event(), threading.Semaphore(0)

        class Blocking(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                leave.wait(PATIENCE_S)

        def answer(**_):
            enough.release()
            return opamp_pb2.ServerToAgent()

        with running(client_of("url", transport=Told(answer)), Blocking(), interval=0.05):
            for _ in range(4):
                self.assertTrue(enough.acquire(timeout=PATIENCE_S))
            leave.set()

    def test_what_it_raises_is_a_failed_try_and_a_response_in_it_is_heeded(self):
        """[HTTP-10] An exception of requests or httpx has the answer's status and headers."""
        class Response:
            status_code, headers = 503, {"Retry-After": "7"}

        def answer(**_):
            try:
                error = KeyError("inside")
                error.response = Response
                raise error
            except KeyError as inside:
                raise OpAMPException("outside") from inside

        callbacks = Recorder()
        with running(client_of("url", transport=Told(answer)), callbacks):
            error = callbacks.next("connect_failed")[1]
        self.assertEqual(error.http_status, 503)
        self.assertGreaterEqual(error.retry_in, 7)
        callbacks = Recorder()
        with running(client_of("url", transport=Told(lambda **_: 1 / 0)), callbacks):
            self.assertRegex(str(callbacks.next("connect_failed")[1]), "ZeroDivisionError")

    def test_whatever_it_raises_or_returns_the_next_request_is_served(self):
        """[LOG-01] Nobody is above its thread, and nobody else serves the next try."""
        class Untellable(Exception):
            def __str__(self):
                raise KeyError("of a text")

        class Unreadable(Exception):
            response = type("Response", (), {"status_code": 503, "headers": 5})

        def raising(error):
            def answer(**_):
                raise error
            return answer

        for answer in (raising(KeyboardInterrupt()), raising(SystemExit(3)), raising(GeneratorExit()), raising(Untellable()), raising(Unreadable()),
                       lambda **_: None, lambda **_: "text", lambda **_: 5, lambda **_: b"\xff", lambda: None):
            with self.subTest(answer):
                answers, callbacks = [answer], Recorder()
                transport = Told(lambda **asked: (answers.pop() if answers else lambda **_: opamp_pb2.ServerToAgent())(**asked))
                with running(client_of("url", transport=transport), callbacks):
                    self.assertIsInstance(callbacks.next("connect_failed", "connect")[1], OpAMPException)
                    callbacks.next("connect")

    def test_an_exchange_that_the_end_overtakes_says_so(self):
        """[LIFE-03] Its time is not over: there is nothing to wait for any more."""
        leave, ends = threading.Event(), queue.Queue()

        class Stopping(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                agent.stop()
                try:
                    ends.put(client.send(client.build_heartbeat_message()))
                except OpAMPException as error:
                    ends.put(error)

        transport = Told(lambda **_: (len(transport.asked) == 1 or leave.wait(PATIENCE_S)) and opamp_pb2.ServerToAgent())
        with running(client_of("url", transport=transport), Stopping()):
            end = ends.get(timeout=PATIENCE_S)
            leave.set()
        self.assertEqual(repr(end), "OpAMPException('the agent stopped')")

    def test_what_it_raises_in_a_direct_call_reaches_the_caller_as_it_is(self):
        with self.assertRaisesRegex(ValueError, "^of the transport$"):
            client_of("url", transport=mock.Mock(**{"send.side_effect": ValueError("of the transport")})).send(b"")

    def test_without_an_agent_the_client_calls_it_directly(self):
        transport = Told()
        client = client_of("url", transport=transport)
        for number in range(2):
            client.send(client.build_heartbeat_message())
            sent = messages.message_class("AgentToServer").FromString(transport.asked[number]["data"])
            self.assertEqual((sent.sequence_num, sent.instance_uid, sent.capabilities), (number, client.instance_uid, 0x3007))

    def test_an_offer_that_it_brings_is_delivered(self):
        offer = messages.message_class("ServerToAgent")(remote_config={"config": {"config_map": {"a": {"body": b"1"}}}, "config_hash": b"h"})
        callbacks = Recorder()
        with running(client_of("url", transport=Told(lambda **_: offer)), callbacks):
            self.assertEqual(callbacks.offer().config.config_map["a"].body, b"1")

    @unittest.skipIf(context is None, "needs opentelemetry-api")
    def test_its_own_traffic_is_not_instrumented(self):
        seen = []

        def answer(**_):
            seen.append(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY))
            return opamp_pb2.ServerToAgent()

        callbacks = Recorder()
        client = client_of("url", transport=Told(answer))
        client.send(client.build_heartbeat_message())
        with running(client, callbacks):
            callbacks.next("message")
        self.assertEqual(set(seen), {True})
        self.assertIsNone(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY))


@unittest.skipIf(requests is None, "needs requests")
class OverRequests(unittest.TestCase):
    def test_it_reaches_the_server_with_tls_settings_a_session_and_the_answers_status(self):
        """[TLS-04]"""
        import tempfile

        from opamp.transport.requests import RequestsTransport

        session = requests.Session()
        session.headers["X-Session"] = "mine"
        session.trust_env = False
        transport = RequestsTransport(session)
        self.assertIs(transport.session, session)
        with tempfile.TemporaryDirectory() as folder, Devserver(tls=folder, client_auth=True) as server:
            server.offer({"a": b"1"})
            callbacks = Recorder()
            client = client_of(server.endpoint, transport=transport, tls_certificate=f"{folder}/ca.pem",
                               tls_client_certificate=f"{folder}/client.pem", tls_client_key=f"{folder}/client.key")
            with running(client, callbacks) as agent:
                self.assertEqual(callbacks.offer().config.config_map["a"].body, b"1")
                server.faults({"rules": [{"do": {"status": 500}}]})
                agent.poll_now()
                self.assertEqual(callbacks.next("connect_failed")[1].http_status, 500)
            head = {name.lower(): value for name, value in server.timeline(kind="received")[0]["http"]["headers"]}
            self.assertEqual(head["x-session"], "mine")

    def test_a_connection_refused_is_an_OpAMPException_that_reached_nobody(self):
        from opamp.transport.requests import RequestsTransport

        os.environ.setdefault("NO_PROXY", "127.0.0.1")
        client = client_of("http://127.0.0.1:9/", transport=RequestsTransport())
        with self.assertRaises(OpAMPException):
            client.send(b"")
        callbacks = Recorder()
        with running(client, callbacks) as agent:
            callbacks.next("connect_failed")
            # While the next try is under way it has the number.
            while (snapshot := agent.snapshot())["state"] != "waiting":
                callbacks.next("connect_failed")
            self.assertEqual(snapshot["sequence_num"], 0)


if __name__ == "__main__":
    unittest.main()
