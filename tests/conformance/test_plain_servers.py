"""Servers in a few lines of Python, for what the development server would not do: flood, or keep silent."""
import sys
import threading
import time
import unittest
from pathlib import Path

from binding import LIB, Agent, Client
from stage import ALL, NEVER, QUICK

sys.path.append(str(Path(__file__).resolve().parents[1] / "reconnect"))
from hostile import BINARY, CLOSE, Server  # noqa: E402
from protobuf import delimited  # noqa: E402
from words import REPORT_FULL_STATE, new_uid  # noqa: E402

WARN = 2
DESCRIPTION = 3
FLOOD_SECONDS = 3.5
# A burst of three, then after 1 and 2 s, and one for the machine's own time.
HEARD = 6


def offer(name):
    """A configuration without files."""
    return delimited(3, delimited(2, name))


def frame(opcode, payload):
    return bytes([0x80 | opcode, len(payload)]) + payload


# What a peer can make the host hear; of frames that bring nothing, text ones too, only so many are taken.
FLOODS = [frame(BINARY, b"\0\xff\xff"), frame(BINARY, b"\0" + delimited(1, b"\xee" * 16)),
          frame(BINARY, b"\0" + delimited(2, b"\x08\x01"))]
IN_TURN = [[frame(BINARY, b"\0" + offer(name)) for name in (b"one", b"two")],
           [frame(BINARY, b"\0" + new_uid(last)) for last in (7, 8)]]


class PlainServer(unittest.TestCase):
    def serve(self, manners):
        server = Server(manners, "ws")
        self.addCleanup(lambda: self.assertEqual([], server.faults))
        self.addCleanup(server.close)
        return server

    def agent(self, server, interval_ms=NEVER, **more):
        client = Client(server.endpoint(), capabilities=ALL, options=QUICK)
        self.addCleanup(client.unref)
        agent = Agent(client, interval_ms, **more)
        self.addCleanup(agent.free)
        return agent.start()


class Storms(PlainServer):
    def test_a_flood_becomes_a_few_lines_and_events(self):
        """[LOG-11] All kinds at once, as fast as the socket takes them; heartbeats go on, and what is asked takes effect."""
        over = threading.Event()

        def manners(peer):
            peer.message()
            peer.say()
            batch = b"".join((FLOODS + IN_TURN[0] + IN_TURN[1]) * 100)

            def flood():
                end = time.monotonic() + FLOOD_SECONDS
                try:
                    while time.monotonic() < end:
                        peer.send_all(batch)
                except OSError:
                    pass
                over.set()
            threading.Thread(target=flood, daemon=True).start()
            while True:
                peer.message()

        server = self.serve(manners)
        agent = self.agent(server, 1000, log_level=WARN)
        heard = {}
        while not over.is_set():
            event = agent.next_event(100)
            if event is None:
                continue
            heard.setdefault(event.kind, []).append(event)
        received = agent.snapshot()["messages_received"]
        self.assertGreater(received, 1000)
        for name in ("warning", "server_error", "new_uid", "message", "log"):
            self.assertIn(name, heard)
        for name, events in heard.items():
            # Three kinds of warnings and the errors bring a line each; two offers are new.
            most = {"log": HEARD * 4, "warning": HEARD * 3, "message": HEARD + 2}.get(name, HEARD)
            self.assertLessEqual(len(events), most, name)
        missed = sum(event.missed for event in heard["new_uid"])
        self.assertGreater(missed, 100)
        self.assertTrue(any("more like this were left out" in event.log[1] for event in heard["log"]))
        messages = [message for _, message in server.messages]
        self.assertGreaterEqual(len(messages), 3, "heartbeats went on")
        self.assertEqual(b"\1" * 15, messages[-1].fields[1][:15], "the new uid was in use at once")


class Quiet(PlainServer):
    """The server reads, pongs, and never answers, which is legal."""

    def seen(self, server, since):
        return [at - since for at, _ in server.messages if at >= since]

    def test_news_do_not_wait_and_are_confirmed(self):
        """[SYNC-02] [SYNC-27]"""
        def manners(peer):
            while True:
                peer.message()

        server = self.serve(manners)
        agent = self.agent(server)
        agent.wait("connected")
        agent.flush()
        ticket = agent.send(b"")
        self.assertEqual((ticket, None), ((done := agent.wait("report_done")).ticket, done.error))
        for change in range(4):
            since, count = time.monotonic(), len(server.messages)
            agent.client.set_effective_config({"a": str(change).encode()})
            self.assertTrue(server.wait(lambda: len(server.messages) > count, 10))
            self.assertLess(self.seen(server, since)[0], 0.5)

    def test_a_verdict_does_not_wait_for_an_answer_to_the_first(self):
        """[SYNC-27] Not even before the server is known to keep silent."""
        def manners(peer):
            peer.message()
            peer.say(offer(b"one"))
            while True:
                peer.message()

        server = self.serve(manners)
        agent = self.agent(server)
        offered = agent.wait("message")
        count = len(server.messages)
        agent.apply(offered, "APPLYING")
        self.assertTrue(server.wait(lambda: len(server.messages) > count, 10))
        since = time.monotonic()
        agent.apply(offered)
        self.assertTrue(server.wait(lambda: len(server.messages) > count + 1, 10))
        self.assertLess(self.seen(server, since)[0], 0.5)


class TooLarge(PlainServer):
    """A server, or a proxy before it, that takes messages up to a size."""

    def refusing(self, scheme, limit):
        def manners(peer):
            while True:
                message = peer.message()
                if message.size <= limit:
                    peer.say(REPORT_FULL_STATE if len(peer.server.messages) == 2 else b"")
                elif scheme == "http":
                    peer.respond(413)
                else:
                    peer.send_frame(CLOSE, (1009).to_bytes(2, "big"))
                    return peer.drain()

        server = Server(manners, scheme)
        self.addCleanup(lambda: self.assertEqual([], server.faults))
        self.addCleanup(server.close)
        return server

    def test_a_report_too_large_converges_and_stays_so_over_a_restart(self):
        """[HTTP-24] [HTTP-09] 413 and 1009: all, all but the largest part, then that alone.

        A server that asks does not get it.
        """
        for scheme in ("http", "ws"):
            with self.subTest(scheme):
                server = self.refusing(scheme, 32 << 10)
                client = Client(server.endpoint(), capabilities=ALL, options=QUICK)
                self.addCleanup(client.unref)
                client.set_effective_config({"large": bytes(1_500_000)})
                for is_restart in (False, True):
                    agent = Agent(client, 200)
                    self.addCleanup(agent.free)
                    before = len(server.messages)
                    agent.start()
                    if not is_restart:
                        warning = agent.wait("warning")
                        self.assertIn("effective configuration", warning.error["text"])
                    some = before + 5
                    self.assertTrue(server.wait(lambda at=some: len(server.messages) > at, 20))
                    messages = [message for _, message in server.messages][before:]
                    large = [at for at, message in enumerate(messages) if message.size > 1_000_000]
                    # A full report was asked for in the answer to the second message.
                    self.assertEqual(0 if is_restart else 2, len(large), large)
                    if not is_restart:
                        self.assertEqual(0, large[0])
                        self.assertIn(DESCRIPTION, messages[1].fields)
                        self.assertNotIn(DESCRIPTION, messages[large[1]].fields)
                    held_back = agent.snapshot()["held_back"]
                    self.assertEqual(LIB.constant("PART_EFFECTIVE_CONFIG"), held_back)
                    warnings = [event for event in agent.events if event.kind == "warning"]
                    self.assertEqual(0 if is_restart else 1, len(warnings))
                    agent.stop()
