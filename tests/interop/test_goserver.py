"""The example agent against the server package of opamp-go."""
import sys
import time
import unittest
import uuid

import goserver
from child import option
from goserver import REPORT_FULL_STATE, GoServer, b64, offer
from stage import per_scheme

NEVER_MS = 3_600_000
NO_JITTER = option("RETRY_AFTER_JITTER_MS", 0)
SOON = option("FIRST_RETRY_MAX_MS", 200) + option("BACKOFF_BASE_MS", 200) + option("BACKOFF_MAX_MS", 400)
FILES = {"main.yaml": b"a: 1\n", "conf.d/raw": bytes(range(256)), "empty": b""}


class GoServerTests:
    def setUp(self):
        if goserver.lacking():
            self.skipTest(goserver.lacking())
        super().setUp()
        self.server = self.serve()

    def serve(self, address=None):
        server = GoServer(self.work, self.trust if self.is_secure else None, address)
        self.addCleanup(server.close)
        return server

    def joined(self, *arguments, **more):
        """(a running agent, its first message)"""
        agent = self.agent(self.server.endpoint(self.scheme), *arguments, **more)
        return agent, self.server.wait_message(lambda m: m.is_full)

    def give(self, message):
        """Brings a ServerToAgent to the agent: by itself over a WebSocket, else as part of the next answer."""
        if not self.is_socket:
            return self.server.do("offer" if "remote_config" in message else "next", message=message)
        self.assertEqual(1, self.server.do("push", message=message)["sockets"])

    def offer(self, files):
        """Offers files; the message that says they are applied."""
        since = self.server.now()
        digest, message = offer(files)
        self.give(message)
        return self.server.wait_message(lambda m: m.verdict == (digest, "APPLIED", ""), since)

    def assert_numbered(self):
        """This server saw every number once, and never had to ask for what it missed."""
        self.assertEqual([], [m.line for m in self.server.messages() if m.line["gap"]])
        self.assertEqual([], self.server.said("read_error"))
        numbers = [m.number for m in self.server.messages()]
        self.assertEqual(list(range(len(numbers))), numbers)

    def test_the_first_report_is_complete(self):
        """[SYNC-01] [HTTP-02] [WS-14] [WS-02]"""
        # when an agent starts
        agent, first = self.joined("--service-name", "interop", "--header", "X-Own: yes")
        # then its first message has everything that it declares
        self.assertEqual(0, first.number)
        self.assertEqual(1 | 2 | 4 | 0x1000 | 0x2000, first.capabilities)
        self.assertEqual("interop", first.attribute("service.name"))
        self.assertEqual({}, first.effective)
        # and the request around it names the agent
        request = self.server.wait("connecting")
        self.assertEqual("ws" if self.is_socket else "http", request["transport"])
        self.assertEqual([str(uuid.UUID(first.uid))], request["headers"]["Opamp-Instance-Uid"])
        self.assertEqual(["yes"], request["headers"]["X-Own"])
        if self.is_secure:
            self.assertEqual(["CN=agent"], request["client_certificates"])
        self.assertEqual(first.uid, agent.wait("starting")["uid"])
        agent.wait("connected")
        self.assert_numbered()

    def test_an_offer_is_applied_and_acknowledged(self):
        """[RCV-03] [SYNC-18]"""
        agent, _ = self.joined()
        # when files are offered
        applied = self.offer(FILES)
        # then they are live, and the server knows
        self.assertEqual(FILES, agent.live())
        effective = [m.effective for m in self.server.messages() if m.effective is not None]
        self.assertEqual(FILES, effective[-1])
        # and once more with others
        digest = self.offer({"other": b"2"}).verdict[0]
        self.assertEqual({"other": b"2"}, agent.live())
        agent.wait(lambda e: (e.get("hash"), e.get("state")) == (digest, "APPLIED"))
        states = [e["state"] for e in agent.said("remote_config_status")]
        self.assertEqual(["APPLYING", "APPLIED"] * 2, states)
        self.assertEqual(applied.uid, self.server.messages()[-1].uid)
        self.assert_numbered()

    def test_an_offer_that_can_not_be_applied_is_refused(self):
        agent, _ = self.joined()
        self.offer(FILES)
        # when the next one names a file outside the folder
        since = self.server.now()
        digest, message = offer({"../out": b""})
        self.give(message)
        # then the server is told why, and the old one stays
        refused = self.server.wait_message(lambda m: m.verdict is not None and m.verdict[:2] == (digest, "FAILED"), since)
        self.assertIn("..", refused.verdict[2])
        self.assertEqual(FILES, agent.live())

    def test_the_full_state_comes_when_asked(self):
        """[SYNC-04]"""
        _, first = self.joined()
        applied = self.offer(FILES)
        # given an agent with nothing to say
        since = self.server.now()
        # when the server asks
        self.give({"flags": REPORT_FULL_STATE})
        # then all of it comes, as one message
        full = self.server.wait_message(lambda m: m.is_full, since)
        self.assertEqual(FILES, full.effective)
        self.assertEqual(applied.verdict, full.verdict)
        self.assertEqual(first.fields["agent_description"], full.fields["agent_description"])
        after = self.server.now()
        self.server.wait_message(lambda m: m.number > full.number, after, timeout=20)
        self.assertEqual([full.number], [m.number for m in self.server.messages(since) if m.is_full])
        self.assert_numbered()

    def test_a_new_instance_uid_is_taken(self):
        """[SYNC-10] [HTTP-02]"""
        agent, first = self.joined()
        assigned = uuid.UUID("018f3c6e-7c00-7000-8000-0000000000aa")
        self.assertNotEqual(assigned.hex, first.uid)
        # when the server assigns one
        since = self.server.now()
        self.give({"agent_identification": {"new_instance_uid": b64(assigned.bytes)}})
        # then the agent is told, and everything that follows is under it
        self.assertEqual(assigned.hex, agent.wait("new_uid")["uid"])
        self.server.wait_message(lambda m: m.uid == assigned.hex, since)
        self.offer({"a": b"1"})
        if not self.is_socket:
            self.assertEqual([str(assigned)], self.server.said("connecting")[-1]["headers"]["Opamp-Instance-Uid"])
        uids = [m.uid for m in self.server.messages()]
        self.assertEqual(sorted(uids, key=lambda uid: uid == assigned.hex), uids, "the old one came back")
        self.assert_numbered()

    def test_the_servers_heartbeat_interval_holds(self):
        """[HTTP-05] [WS-08] [CONN-06]"""
        # given an agent that says nothing by itself
        self.server.do("next", message={"connection_settings": {"opamp": {"heartbeat_interval_seconds": 1}, "hash": b64(b"1")}})
        self.joined(interval_ms=NEVER_MS)
        # when the first answer told it to speak every second
        beats = [self.server.wait_message(lambda m, n=n: m.number == n, timeout=20) for n in (1, 2, 3)]
        # then it does, with nothing but the heartbeat itself
        for beat in beats:
            self.assertEqual({"instance_uid", "sequence_num", "capabilities"}, set(beat.fields))
        # (two intervals, less what a line may be read late)
        self.assertTrue(1 < beats[-1].line["at"] - beats[0].line["at"] < 10, beats)

    def test_the_disconnect_comes_once_and_last(self):
        """[LIFE-01] [WS-09] [WS-15]"""
        agent, _ = self.joined()
        self.offer(FILES)
        # when the agent is told to end
        status, seconds = agent.stop()
        # then it does, cleanly
        self.assertEqual(0, status, agent.tail())
        self.assertLess(seconds, 2.5)
        self.assertEqual("stopped", agent.said()[-1]["event"])
        # and the server saw one disconnect, as the last message
        self.server.wait_message(lambda m: m.is_disconnect)
        last = self.server.messages()[-1]
        self.server.wait(lambda e: e["event"] == "closed" and e["connection"] == last.connection)
        self.assertEqual([last.number], [m.number for m in self.server.messages() if m.is_disconnect])
        self.assertEqual(last.number, len(self.server.messages()) - 1)
        self.assert_numbered()

    def test_a_server_without_memory_gets_the_whole_state_again(self):
        """[SYNC-07] [WS-10] [HTTP-12]"""
        agent, first = self.joined(*SOON)
        applied = self.offer(FILES)
        # when the server is gone at once, and another one takes its place
        address = self.server.address
        self.server.close()
        self.server = self.serve(address)
        # then the agent finds it, and tells all of it
        full = self.server.wait_message(lambda m: m.is_full, timeout=30)
        self.assertEqual(FILES, full.effective)
        self.assertEqual((first.uid, applied.verdict), (full.uid, full.verdict))
        # and nothing is asked or told twice
        self.server.wait_message(lambda m: m.number > full.number, timeout=20)
        self.assertEqual(1, len([m for m in self.server.messages() if m.is_full]))
        # and it works as before
        self.offer({"other": b"2"})
        self.assertEqual({"other": b"2"}, agent.live())

    def test_a_refusal_with_retry_after_is_waited_out(self):
        """[HTTP-10] [WS-12]"""
        # given a server that has no time for two seconds
        self.server.do("refuse", status=503, headers={"Retry-After": "2"}, times=1)
        begin = time.monotonic()
        agent = self.agent(self.server.endpoint(self.scheme), *NO_JITTER)
        failed = agent.wait("connect_failed")
        self.assertEqual(503, failed["http_status"])
        # then the agent waits as long, and joins
        self.server.wait_message(lambda m: m.is_full, timeout=20)
        self.assertGreaterEqual(self.server.said("connecting")[1]["at"] - begin, 1.9)

    def test_a_dropped_connection_is_replaced(self):
        """[HTTP-14] [WS-10]"""
        agent, first = self.joined(*SOON)
        applied = self.offer(FILES)
        # when the server drops the connection without a word
        since = self.server.now()
        if self.is_socket:
            self.assertEqual(1, self.server.do("drop")["sockets"])
        else:
            self.server.do("refuse", status=500, headers={"Connection": "close"}, times=1)
        # then the agent comes back, as the one it was, and an offer reaches it
        again = self.server.wait_message(lambda m: m.connection > applied.connection, since, timeout=30)
        self.assertEqual(first.uid, again.uid)
        self.offer({"other": b"2"})
        self.assertEqual({"other": b"2"}, agent.live())


per_scheme(sys.modules[__name__], GoServerTests)
