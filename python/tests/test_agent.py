"""The package over real sockets, against the development server."""
import asyncio
import os
import queue
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from unittest import mock

from kit import PACKAGE, PATIENCE_S, Devserver, client_of, log_lines

from opamp import OpAMPAgent, OpAMPCallbacks, _threads
from opamp.proto import opamp_pb2
from opamp.transport.base import HttpTransport


class Applying(OpAMPCallbacks):
    """Applies what is offered, and says so."""

    def __init__(self):
        self.seen = queue.Queue()

    def on_message(self, agent, client, message):
        if not message.remote_config:
            return
        files = message.remote_config.config.config_map
        self.seen.put({name: (file.content_type, bytes(file.body)) for name, file in files.items()})
        status = client.update_remote_config_status(
            remote_config_hash=message.remote_config.config_hash,
            status=opamp_pb2.RemoteConfigStatuses_APPLIED, error_message="")
        agent.send(payload=client.build_remote_config_status_response_message(status))


class Offers(unittest.TestCase):
    def test_an_offer_reaches_on_message_byte_for_byte_and_its_verdict_the_server(self):
        """[SYNC-18] [RCV-03]"""
        with Devserver() as server:
            server.offer({"a.json": ("application/json", b'{"a":1}'), "": b"\x00\xff"})
            callbacks = Applying()
            agent = OpAMPAgent(interval=30, callbacks=callbacks, client=client_of(server.endpoint))
            agent.start()
            files = callbacks.seen.get(timeout=PATIENCE_S)
            server.wait("status=APPLIED:offered")
            agent.stop()
            server.wait("disconnected")
            self.assertEqual(files, {"a.json": ("application/json", b'{"a":1}'), "": ("", b"\x00\xff")})
            self.assertEqual(server.problems(), [])

    def test_events_come_by_async_iteration(self):
        async def kinds(endpoint):
            agent = OpAMPAgent(callbacks=None, client=client_of(endpoint))
            seen = []
            async for event in agent.events():
                seen.append(event.kind)
                if event.kind == "message":
                    agent.stop()
                    return seen

        with Devserver() as server:
            server.offer({"a": b"1"})
            self.assertEqual(asyncio.run(asyncio.wait_for(kinds(server.endpoint), PATIENCE_S)), ["connected", "message"])


class Failures(unittest.TestCase):
    def test_a_server_that_is_not_there_is_told_to_on_connect_failed(self):
        """[LOG-01]"""
        told = queue.Queue()

        class Callbacks(OpAMPCallbacks):
            def on_connect_failed(self, agent, client, error):
                told.put(error)

        agent = OpAMPAgent(callbacks=Callbacks(), client=client_of("http://127.0.0.1:9/v1/opamp"))
        agent.start()
        try:
            self.assertIsInstance(told.get(timeout=PATIENCE_S), Exception)
        finally:
            agent.stop()

    def test_without_a_library_all_imports_and_start_does_nothing(self):
        script = ("import opamp; a = opamp.OpAMPAgent(callbacks=None, client=opamp.OpAMPClient("
                  "endpoint='http://127.0.0.1:9/', agent_identifying_attributes={'a': 'b'})); a.start(); a.stop();"
                  "print(opamp.available, opamp.unavailable_reason)")
        env = {**os.environ, "OPAMP_LIBRARY": "/nowhere/libopamp.so", "PYTHONPATH": str(PACKAGE)}
        done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), "False OPAMP_LIBRARY names /nowhere/libopamp.so, which is not there")


class Threads(unittest.TestCase):
    def test_where_none_can_be_had_start_says_so_and_leaves_nothing_behind(self):
        """[LIFE-10]"""
        with Devserver() as server:
            for more, allowed in (({}, 0), ({"transport": mock.Mock()}, 0), ({"transport": mock.Mock()}, 1)):
                with self.subTest(more=more, allowed=allowed):
                    spawn, left = _threads.spawn, [None] * allowed

                    def scarce(function, name):
                        if not left:
                            raise RuntimeError("can't start new thread")
                        left.pop()
                        spawn(function, name)

                    agent = OpAMPAgent(callbacks=None, client=client_of(server.endpoint, **more))
                    with mock.patch.object(_threads, "spawn", scarce), self.assertRaisesRegex(RuntimeError, "new thread"):
                        agent.start()
                    self.assertEqual(agent.snapshot()["state"], "stopped")
                    agent.start()
                    agent.stop()


class Detach(unittest.TestCase):
    def test_ends_without_goodbye_for_its_successor(self):
        """[LIFE-16]"""
        for thread in (True, False):
            for scheme in ("http", "ws"):
                with self.subTest(thread=thread, scheme=scheme), Devserver() as server:
                    endpoint = server.endpoint.replace("http", scheme)
                    first = client_of(endpoint)
                    second = client_of(endpoint, instance_uid=first.instance_uid)
                    self.assertEqual(second.instance_uid, first.instance_uid)
                    old, new = (OpAMPAgent(callbacks=None, client=client) for client in (first, second))
                    old.start(thread=thread)
                    server.wait("messages>=1")
                    new.start()
                    server.wait("messages>=2")
                    old.detach(5)
                    self.assertRaises(RuntimeError, old.poll_now)
                    server.wait("closed>=1")
                    new.stop()
                    server.wait("disconnected")
                    gone = [entry for entry in server.timeline() if "agent_disconnect" in entry.get("parts", ())]
                    self.assertEqual(len(gone), 1)


class Name(unittest.TestCase):
    def test_name_stands_in_log_lines_and_threads(self):
        """[LOG-09]"""
        with Devserver() as server, log_lines() as lines:
            agent = OpAMPAgent(callbacks=None, client=client_of(server.endpoint), name="shop")
            agent.start()
            server.wait("messages>=1")
            threads = [Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in os.listdir("/proc/self/task")]
            self.assertIn("opamp-shop", threads)
            agent.stop()
            told = [line for line in lines if line.startswith("[shop] ")]
            self.assertTrue(any("started: libopamp" in line for line in told), lines)
            self.assertTrue(any("stopped" in line for line in told), lines)
        for bad, error in (("a" * 65, ValueError), ("a\n", ValueError), (1, TypeError)):
            self.assertRaises(error, OpAMPAgent, callbacks=None, client=client_of("http://127.0.0.1:1"), name=bad)


class Import(unittest.TestCase):
    def test_it_loads_nothing_heavy_and_starts_nothing(self):
        """The import of a distribution is every start of every program that it instruments."""
        script = ("import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); import opamp, threading;"
                  "print(sorted((set(sys.modules) - before) & {*sys.argv[2:]}),"
                  "threading.active_count())")
        heavy = "asyncio dataclasses email http inspect json logging queue re requests socket ssl typing urllib google opentelemetry".split()
        done = subprocess.run([sys.executable, "-I", "-S", "-c", script, str(PACKAGE), *heavy], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "[] 1\n", done.stderr)


class OwnTransport(unittest.TestCase):
    def test_it_is_used_whatever_the_endpoint_says(self):
        urls, answered = [], threading.Event()

        class Transport(HttpTransport):
            def send(self, *, url, **_):
                urls.append(url)
                return opamp_pb2.ServerToAgent()

        class Callbacks(OpAMPCallbacks):
            def on_message(self, agent, client, message):
                answered.set()

        agent = OpAMPAgent(callbacks=Callbacks(), client=client_of("url", transport=Transport()))
        agent.start()
        try:
            self.assertTrue(answered.wait(PATIENCE_S))
            self.assertEqual(urls[0], "url")
        finally:
            agent.stop()


if __name__ == "__main__":
    unittest.main()
