"""The kit for tests of callbacks, as docs/python-testing.md shows it (tests/wheel runs that page itself, with pytest)."""
import os
import select
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from opamp import OpAMPAgent, OpAMPCallbacks, OpAMPClient
from opamp.testing import Devserver, DevserverNotFound, FakeTransport, answer
from opamp.testing._devserver import binary

PACKAGE = Path(__file__).resolve().parents[1]


def client_of(endpoint="url", **more):
    return OpAMPClient(endpoint=endpoint, agent_identifying_attributes={"service.name": "shop"}, **more)


class Telling(OpAMPCallbacks):
    """Keeps the name of each call, and what an offer held."""

    def __init__(self):
        self.calls, self.files = [], None
        self.failed = threading.Event()

    def on_connect(self, agent, client):
        self.calls.append("connect")

    def on_connect_failed(self, agent, client, error):
        self.calls.append(f"failed: {error}")
        self.failed.set()

    def on_error(self, agent, client, error_response):
        self.calls.append(f"error: {error_response.error_message}")

    def on_message(self, agent, client, message):
        self.calls.append("message")
        if message.remote_config:
            self.files = {name: bytes(body) for name, body in message.remote_config.files.items()}
            client.update_remote_config_status(message.remote_config.config_hash, 1)


class Server(unittest.TestCase):
    def test_an_offer_its_verdict_and_what_was_said_are_seen(self):
        with Devserver() as server:
            offered = server.offer({"a": "text", "b": ("application/json", b"{}")}, config_hash=b"\x01\x02")
            callbacks = Telling()
            with OpAMPAgent(callbacks=callbacks, client=client_of(server.endpoint)):
                server.wait(f"status=APPLIED:{offered}")
            server.wait("disconnected")
            self.assertEqual((offered, callbacks.files), ("0102", {"a": b"text", "b": b"{}"}))
            self.assertIn("agent_disconnect", server.messages()[-1])
            self.assertEqual((len(server.agents()), server.problems()), (1, []))

    def test_the_next_answer_and_faults_are_the_tests_to_choose(self):
        with Devserver() as server:
            server.faults({"do": {"status": 500}})
            server.next({"error_response": {"type": "BadRequest", "error_message": "no"}})
            callbacks = Telling()
            with OpAMPAgent(callbacks=callbacks, initial_backoff=0.01, client=client_of(server.endpoint)):
                server.wait("answers>=2")
                self.assertTrue(callbacks.failed.wait(20))
            self.assertTrue(callbacks.calls[0].startswith("failed: "), callbacks.calls)

    def test_what_does_not_come_is_an_assertion_error_that_says_so(self):
        with Devserver() as server, self.assertRaisesRegex(AssertionError, "messages>=1"):
            server.wait("messages>=1", timeout=0.01)

    def test_it_ends_with_the_process_that_started_it(self):
        script = "import os; from opamp.testing import Devserver; s = Devserver().start(); print(s._process.pid, flush=True); os._exit(0)"
        done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(PACKAGE)}, stdout=subprocess.PIPE, timeout=60)
        try:
            ended = os.pidfd_open(int(done.stdout))
        except ProcessLookupError:
            return
        self.assertTrue(select.select([ended], [], [], 20)[0])
        os.close(ended)


class Binary(unittest.TestCase):
    def found(self, **env):
        with mock.patch.dict(os.environ, env), mock.patch("opamp.testing._devserver._of_wheel", return_value=None):
            return binary()

    def test_what_the_environment_names_comes_first_then_the_path(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "opamp-devserver"
            program.write_text("#!/bin/sh\n")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
            self.assertEqual(self.found(OPAMP_DEVSERVER=sys.executable, PATH=folder), sys.executable)
            self.assertEqual(self.found(OPAMP_DEVSERVER="", PATH=folder), str(program))

    def test_where_there_is_none_the_error_says_what_to_install(self):
        with self.assertRaisesRegex(DevserverNotFound, r"libopamp\[testing\]"):
            self.found(OPAMP_DEVSERVER="", PATH="/nowhere")
        with self.assertRaisesRegex(DevserverNotFound, "/nowhere/x"):
            self.found(OPAMP_DEVSERVER="/nowhere/x")


class Transport(unittest.TestCase):
    def test_a_running_agent_gets_the_answers_in_order_and_its_requests_are_kept(self):
        transport = FakeTransport(OSError("lost"), answer({"a": b"1"}))
        callbacks = Telling()
        with OpAMPAgent(callbacks=callbacks, initial_backoff=0.01, client=client_of(transport=transport)):
            messages = transport.wait(requests=3)
        self.assertEqual(messages[2].remote_config_status.last_remote_config_hash, b"offered")
        self.assertEqual(callbacks.files, {"a": b"1"})
        self.assertEqual(transport.requests[0].url, "url")

    def test_an_exchange_needs_no_library(self):
        script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_testing; test_testing.without_a_library()"
        env = {**os.environ, "OPAMP_LIBRARY": "/nowhere/libopamp.so", "PYTHONPATH": str(PACKAGE)}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "['failed: lost', 'connect', 'message', 'connect', 'error: no'] {'a': b'1'}\n"), done.stderr)

    def test_what_a_callback_raises_in_an_exchange_reaches_the_test(self):
        class Broken(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                raise KeyError("mine")

        with self.assertRaises(KeyError):
            FakeTransport().exchange(OpAMPAgent(callbacks=Broken(), client=client_of(transport=FakeTransport())))


def without_a_library():
    callbacks = Telling()
    transport = FakeTransport(OSError("lost"), answer({"a": b"1"}), answer(error_response={"error_message": "no"}))
    agent = OpAMPAgent(callbacks=callbacks, client=client_of(transport=transport))
    for _ in range(3):
        transport.exchange(agent)
    print(callbacks.calls, callbacks.files)


if __name__ == "__main__":
    unittest.main()
