"""What the host hears, in which order, on which thread; what a callback may do."""
import queue
import threading
import unittest
from unittest import mock

from kit import PATIENCE_S, Devserver, Recorder, client_of, log_lines, opened, python, running

from opamp import MessageData, OpAMPAgent, OpAMPCallbacks, OpAMPClient, _events, _run
from opamp.exceptions import OpAMPException
from opamp.proto import opamp_pb2


class WhatIsHeard(unittest.TestCase):
    def test_each_answer_brings_connect_then_message_on_one_thread(self):
        """[LOG-06] An empty answer, too."""
        with Devserver() as server:
            callbacks = Recorder()
            with running(client_of(server.endpoint), callbacks) as agent:
                heard = []
                for _ in range(3):
                    heard += [callbacks.next(), callbacks.next()]
                    agent.poll_now()
        self.assertEqual([name for name, _ in heard], ["connect", "message"] * 3)
        self.assertEqual({message.remote_config for name, message in heard if name == "message"}, {None})
        self.assertEqual(len(callbacks.threads), 1)
        self.assertNotIn(threading.get_ident(), callbacks.threads)

    def test_a_host_that_is_slower_than_its_server_hears_of_messages_all_the_same(self):
        """[LOG-06] [LIFE-09] Its on_connect lasts until further answers wait; the offer was among the first."""
        class Slow(Recorder):
            is_slow = True

            def on_connect(self, agent, client):
                if self.is_slow:
                    server.wait("messages>=%d" % (agent.snapshot()["messages_sent"] + 2))
                super().on_connect(agent, client)

        with Devserver() as server:
            server.offer({"a": b"1"})
            callbacks = Slow()
            with running(client_of(server.endpoint), callbacks, interval=0.05):
                self.assertEqual(callbacks.offer().config.config_map["a"].body, b"1")
                callbacks.next("message")
                callbacks.is_slow = False
                for _ in range(2):
                    callbacks.next("connect")

    def test_an_error_response_comes_to_on_error_as_the_server_sent_it_and_not_to_on_message(self):
        """[RCV-01]"""
        error = {"type": "Unavailable", "error_message": "two\nlines", "retry_info": {"retry_after_nanoseconds": 3_600_000_000_000}}
        with Devserver() as server:
            server.next({"error_response": error}, alone=True)
            callbacks = Recorder()
            with running(client_of(server.endpoint), callbacks):
                name, response = callbacks.next("error", "message")
                self.assertEqual(name, "error")
                self.assertEqual(response.type, opamp_pb2.ServerErrorResponseType_Unavailable)
                self.assertEqual(response.error_message, "two\nlines")
                self.assertEqual(response.retry_info.retry_after_nanoseconds, 3_600_000_000_000)
                self.assertEqual(response.WhichOneof("Details"), "retry_info")

    def test_an_error_response_without_its_message_is_made_of_type_text_and_wait(self):
        """As where the queue had no room for the message."""
        taken = _events.Taken.__new__(_events.Taken)
        taken.kind, taken.error = _events.SERVER_ERROR, OpAMPException("UNAVAILABLE: later")
        taken.error.server_type, taken.error.server_message, taken.error.retry_in = 2, "later", 1.5
        response = taken.event(None, 0).error_response
        self.assertEqual((response.type, response.error_message), (opamp_pb2.ServerErrorResponseType_Unavailable, "later"))
        self.assertEqual(response.retry_info.retry_after_nanoseconds, 1_500_000_000)

    def test_an_exception_tells_its_reason_by_name(self):
        callbacks = Recorder()
        with log_lines(), running(client_of("127.0.0.1:4320"), callbacks):
            error = callbacks.next("connect_failed")[1]
        self.assertEqual((error.kind, error.reason), ("argument", "url_scheme"))
        self.assertIn("did you mean http://127.0.0.1:4320?", str(error))

    def test_a_capability_that_is_not_there_is_left_out_and_named(self):
        with log_lines() as lines:
            client = client_of("http://127.0.0.1:9/", capabilities=1 | 2 | 8 | 1 << 40)
            opened(client)
        self.assertIn("ACCEPTS_PACKAGES", " ".join(lines))
        self.assertIn("0x10000000000", " ".join(lines))

    def test_a_failed_try_comes_with_what_is_known_of_it(self):
        """[LOG-01]"""
        callbacks = Recorder()
        with running(client_of("http://127.0.0.1:9/v1/opamp"), callbacks):
            error = callbacks.next("connect_failed")[1]
        self.assertIsInstance(error, OpAMPException)
        self.assertEqual((error.kind, error.http_status), ("connect", 0))
        self.assertGreaterEqual(error.retry_in, 0)

    def test_a_bad_endpoint_file_or_description_is_a_failed_try_and_a_log_line(self):
        for more in ({"endpoint": "url"}, {"endpoint": None}, {"headers": {"X-Key": "a\nb"}}, {"endpoint": "https://127.0.0.1:9/", "tls_certificate": "/nowhere.pem"},
                     {"agent_identifying_attributes": {}}):
            with self.subTest(more), log_lines() as lines:
                callbacks = Recorder()
                with running(client_of(**{"endpoint": "http://127.0.0.1:9/", **more}), callbacks):
                    self.assertIsInstance(callbacks.next("connect_failed")[1], OpAMPException)
                self.assertIn("can not start", "\n".join(lines))

    def test_an_autospec_hears_everything_with_the_arguments_of_the_interface(self):
        with Devserver() as server:
            callbacks, heard = mock.create_autospec(OpAMPCallbacks), threading.Event()
            callbacks.on_message.side_effect = lambda *_: heard.set()
            client = client_of(server.endpoint)
            with running(client, callbacks) as agent:
                self.assertTrue(heard.wait(PATIENCE_S))
        callbacks.on_connect.assert_called_with(agent, client)
        callbacks.on_message.assert_called_with(agent, client, MessageData(remote_config=None))


class WhatACallbackMayDo(unittest.TestCase):
    def test_one_that_raises_is_logged_with_its_traceback_and_swallowed(self):
        """[LOG-02] Whatever it raises: nobody is above the thread that calls it."""
        class Failing(Recorder):
            def on_connect(self, agent, client):
                super().on_connect(agent, client)
                raise SystemExit("of a callback")

            def on_message(self, agent, client, message):
                super().on_message(agent, client, message)
                raise KeyError("of a callback")

        with Devserver() as server, log_lines() as lines:
            callbacks = Failing()
            with running(client_of(server.endpoint), callbacks) as agent:
                callbacks.next("message")
                agent.poll_now()
                callbacks.next("message")
        text = "\n".join(lines)
        for part in ("Traceback", "SystemExit: of a callback", "KeyError: 'of a callback'", "in on_message"):
            self.assertIn(part, text)

    def test_one_that_blocks_stops_only_later_callbacks(self):
        """[LIFE-09] Heartbeats go on; `send` of agent and client answers in other threads; a stop does not wait for ever."""
        inside, leave = threading.Event(), threading.Event()

        class Blocking(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                inside.set()
                leave.wait(PATIENCE_S)

        with Devserver() as server:
            client = client_of(server.endpoint)
            with running(client, Blocking(), interval=0.1) as agent:
                self.assertTrue(inside.wait(PATIENCE_S))
                server.wait("heartbeats>=3")
                self.assertEqual(client.send(client.build_heartbeat_message()).instance_uid, client.instance_uid)
                agent.send(client.build_heartbeat_message())
                agent.stop(timeout=1)
            server.wait("disconnected")
            leave.set()
            self.assertEqual([problem for problem in server.problems() if problem["row"] == "SYNC-01"], [])

    def test_one_that_was_left_behind_by_a_stop_disturbs_no_later_run(self):
        """[LIFE-05]"""
        inside, leave, left = threading.Event(), threading.Event(), threading.Event()

        class Blocking(Recorder):
            def on_message(self, agent, client, message):
                if not inside.is_set():
                    inside.set()
                    leave.wait(PATIENCE_S)
                    left.set()
                super().on_message(agent, client, message)

        with Devserver() as server:
            callbacks = Blocking()
            with running(client_of(server.endpoint), callbacks, interval=0.1) as agent:
                self.assertTrue(inside.wait(PATIENCE_S))
                agent.stop(timeout=0.5)
                leave.set()
                self.assertTrue(left.wait(PATIENCE_S))
                while True:
                    try:
                        agent.start()
                        break
                    except RuntimeError:  # the stop was cut short
                        agent.stop()
                callbacks.heard.queue.clear()
                for _ in range(3):
                    callbacks.next("message")

    def test_it_may_send_through_the_client_and_the_agent_and_stop(self):
        answers, ended, stopped = [], threading.Event(), threading.Event()

        class Sending(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                if answers:
                    return
                answers.append(client.send(client.build_heartbeat_message()))
                answers.append(client.send(client.build_full_state_message()))
                agent.send(client.build_heartbeat_message(), callback=ended.set)
                threading.Thread(target=lambda: (ended.wait(PATIENCE_S), agent.stop(), stopped.set())).start()

        with Devserver() as server:
            client = client_of(server.endpoint)
            with running(client, Sending(), interval=0.1):
                self.assertTrue(stopped.wait(PATIENCE_S))
            self.assertEqual([answer.instance_uid for answer in answers], [client.instance_uid] * 2)
            server.wait("disconnected")
            self.assertEqual(server.problems(), [])

    def test_a_stop_inside_it_is_a_request(self):
        """[LIFE-03]"""
        class Stopping(Recorder):
            def on_message(self, agent, client, message):
                agent.stop()
                super().on_message(agent, client, message)

        with Devserver() as server:
            callbacks = Stopping()
            with running(client_of(server.endpoint), callbacks):
                callbacks.next("message")
                server.wait("disconnected")


class Sends(unittest.TestCase):
    def test_times_and_numbers_beyond_all_bounds_are_as_long_as_can_be(self):
        for much in (float("inf"), 1e300, 10**30):
            with Devserver() as server:
                client = client_of(server.endpoint, timeout_millis=much, headers=None)
                with running(client, interval=much, max_retries=much, heartbeat_max_retries=much, initial_backoff=much) as agent:
                    self.assertTrue(agent.flush(much))
                    agent.send(client.build_heartbeat_message(), max_retries=much)
                    agent.stop(much)

    def test_a_callback_comes_once_for_each_of_more_sends_than_may_wait(self):
        """[LIFE-09] 64 ends wait in the library; what comes then is held, and leaves when there is room."""
        inside, leave, ends = threading.Event(), threading.Event(), []

        class Blocking(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                inside.set()
                leave.wait(PATIENCE_S)

        with Devserver() as server:
            client, last = client_of(server.endpoint), threading.Event()
            with running(client, Blocking()) as agent:
                self.assertTrue(inside.wait(PATIENCE_S))
                for n in range(100):
                    client.update_effective_config({"a": f"version {n}"}, "text/plain")
                    agent.send(client.build_full_state_message(), callback=lambda n=n: (ends.append(n), n == 99 and last.set()))
                leave.set()
                self.assertTrue(last.wait(PATIENCE_S))
                self.assertEqual(sorted(ends), list(range(100)))
                server.wait('match={"message":{"effective_config":{"config_map":{"config_map":{"a":{"body":"version 99"}}}}}}')

    def test_an_exchange_has_an_answer_also_where_a_newer_one_took_the_place_of_its_own(self):
        """[LIFE-09] The newer one is taken after the end of the message is told."""
        waits, is_held, go_on, answers = threading.Event(), threading.Event(), threading.Event(), queue.Queue()
        take, report_done = _run.Run.take, _run.Run._on_send_done

        def held_take(run, timeout_ms):
            if waits.is_set() and not is_held.is_set():
                is_held.set()
                go_on.wait(PATIENCE_S)
            return take(run, timeout_ms)

        def slow_report_done(run, taken):
            report_done(run, taken)
            thread.join(0.5)  # who does not wait for the answer is gone then

        with Devserver() as server, mock.patch.multiple(_run.Run, take=held_take, _on_send_done=slow_report_done):
            client, callbacks = client_of(server.endpoint), Recorder()
            thread = threading.Thread(target=lambda: answers.put(client.send(client.build_heartbeat_message())))
            with running(client, callbacks) as agent:
                callbacks.next("message")
                waits.set()
                agent.poll_now()
                self.assertTrue(is_held.wait(PATIENCE_S))
                thread.start()
                server.wait("messages>=3")
                agent.poll_now()
                server.wait("messages>=4")
                self.assertTrue(agent.flush(PATIENCE_S))
                go_on.set()
                self.assertEqual(answers.get(timeout=PATIENCE_S).instance_uid, client.instance_uid)
                thread.join(PATIENCE_S)

    def test_without_an_agent_the_client_exchanges_by_itself(self):
        with Devserver() as server:
            client = client_of(server.endpoint)
            for _ in range(2):
                self.assertEqual(client.send(client.build_full_state_message()).instance_uid, client.instance_uid)
            self.assertEqual([entry["sequence_number"] for entry in server.timeline(kind="received")], [0, 1])
            server.faults({"rules": [{"do": {"status": 500}}]})
            with self.assertRaises(OpAMPException) as caught:
                client.send(client.build_heartbeat_message())
            self.assertEqual(caught.exception.http_status, 500)

    def test_what_can_not_be_sent_is_refused_with_the_name_of_the_argument(self):
        client = client_of("http://127.0.0.1:9/")
        agent = OpAMPAgent(callbacks=None, client=client)
        for call, kind, name in ((lambda: agent.send(b"\xff"), ValueError, "payload"), (lambda: agent.send("text"), TypeError, "payload"),
                                 (lambda: agent.send(b"", max_retries=-1), ValueError, "max_retries"),
                                 (lambda: agent.send(b"", max_retries="1"), TypeError, "max_retries"),
                                 (lambda: agent.send(b"", callback=1), TypeError, "callback"),
                                 (lambda: agent.stop("1"), TypeError, "timeout"), (lambda: agent.stop(-1), ValueError, "timeout"),
                                 (lambda: client.send(b"\xff"), ValueError, "data"), (lambda: client.send("text"), TypeError, "data"),
                                 (lambda: client.send(None), TypeError, "data"),
                                 (lambda: OpAMPAgent(callbacks=None, client=client, interval=-1), ValueError, "interval"),
                                 (lambda: OpAMPAgent(callbacks=None, client=client, interval=None), TypeError, "interval"),
                                 (lambda: OpAMPAgent(callbacks=None, client=client, interval=float("nan")), ValueError, "interval"),
                                 (lambda: OpAMPAgent(callbacks=None, client=client, max_retries=None), TypeError, "max_retries"),
                                 (lambda: client_of("url", timeout_millis=0), ValueError, "timeout_millis"),
                                 (lambda: client_of("url", timeout_millis=None), TypeError, "timeout_millis"),
                                 (lambda: client_of("url", headers={1: ""}), TypeError, "headers"),
                                 (lambda: client_of("url", tls_certificate=1), TypeError, "tls_certificate"),
                                 (lambda: client_of("url", tls_client_key=1), TypeError, "tls_client_key"),
                                 (lambda: client_of("url", tls_accept_expired_ca=1), TypeError, "tls_accept_expired_ca"),
                                 (lambda: client_of("url", capabilities="1"), TypeError, "capabilities"),
                                 (lambda: client_of("url", capabilities=-1), ValueError, "capabilities"),
                                 (lambda: client_of("url", capabilities=2), ValueError, "OpAMP capabilities must include ReportsStatus")):
            with self.assertRaisesRegex(kind, name):
                call()
        for wrong in (None, object(), mock.create_autospec(OpAMPClient), mock.MagicMock()):
            with self.assertRaisesRegex(TypeError, "client must be an OpAMPClient"):
                OpAMPAgent(callbacks=None, client=wrong).start()
        # A variable that is not set is such an endpoint.
        for endpoint in ("url", None, b"http://127.0.0.1:9/", ""):
            with self.assertRaises(OpAMPException):
                client_of(endpoint).send(b"")


class Logging(unittest.TestCase):
    def test_under_the_old_import_path_the_loggers_have_the_old_names_and_the_modules_are_ours(self):
        script = """
import logging, opamp
opamp.install_as()
lines = []
handler = logging.Handler()
handler.emit = lambda record: lines.append(record.name)
logging.getLogger("opentelemetry._opamp.agent").addHandler(handler)
from opentelemetry._opamp import OpAMPAgent, OpAMPCallbacks, OpAMPClient, MessageData
from opentelemetry._opamp.agent import OpAMPAgent as again
from opentelemetry._opamp.callbacks import MessageData as data
from opentelemetry._opamp.transport.requests import RequestsTransport
from opentelemetry._opamp.transport.exceptions import OpAMPException
from opentelemetry._opamp.proto import opamp_pb2, anyvalue_pb2
from opentelemetry._opamp import messages, exceptions
import opentelemetry._opamp as old
assert old is opamp and OpAMPAgent is again is opamp.OpAMPAgent and data is MessageData is opamp.MessageData
assert opamp_pb2.RemoteConfigStatuses_APPLIED == 1
with OpAMPAgent(callbacks=None, client=OpAMPClient(endpoint="url", agent_identifying_attributes={"a": "b"})):
    pass
assert lines == ["opentelemetry._opamp.agent"], lines
opamp.install_as()
print("good")
"""
        self.assertEqual(python(script), "good\n")


if __name__ == "__main__":
    unittest.main()
