"""WebSocket messages: their header, their size, their frames, and what comes instead of them."""
from child import Child
from stage import BARE, fields
from websocket import OverWebSocket

# How a message is spoilt that the agent skips.
SKIPPED = ("ws-01-header-not-zero", "ws-01-no-header", "ws-01-over-long-header", "ws-01-endless-header",
           "ws-01-empty-frame", "ws-06-text")
# How a server breaks RFC 6455, and what the agent's Close says to it.
BROKEN = {"ws-06-masked": 1002, "ws-06-reserved-bits": 1002, "ws-06-bad-opcode": 1002, "ws-06-bad-control-opcode": 1002,
          "ws-06-oversized-ping": 1002, "ws-06-fragmented-ping": 1002, "ws-06-stray-continuation": 1002,
          "ws-06-message-within-a-message": 1002, "ws-06-close-of-one-byte": 1002, "ws-06-close-reserved-code": 1002,
          "ws-06-close-invalid-utf8": 1007}
TOO_LARGE = ("ws-04-one-byte-more", "ws-04-fragments", "ws-04-endless-fragments", "ws-04-declared-only")


class Messages(OverWebSocket):
    def test_each_is_one_binary_message_with_a_header_of_zero(self):
        """[WS-01] [WS-02] The server judges every message; the first one is the status report."""
        agent = self.started()
        agent.client.set_effective_config({"large": bytes(300_000)})
        agent.flush()
        agent.stop()
        for entry in self.requests():
            rows = {verdict["row"]: verdict["ok"] for verdict in entry["verdicts"]}
            self.assertTrue(rows["WS-01"], entry)
            # The header is one byte in front of the protobuf.
            self.assertEqual(entry["size"] + 1, sum(entry["frames"]))
        self.assertTrue({v["row"]: v["ok"] for v in self.requests()[0]["verdicts"]}["WS-02"])

    def test_large_ones_go_in_fragments(self):
        """[WS-06] Whole for the server, and no fragment over 64 KiB."""
        agent = self.started()
        since = self.now()
        agent.client.set_effective_config({"large": bytes(300_000)})
        agent.flush()
        entry = self.wait_entry(since, parts=["effective_config"])
        self.assertGreater(len(entry["frames"]), 4)
        self.assertLessEqual(max(entry["frames"]), 64 << 10)

    def test_an_empty_one_is_an_answer(self):
        """[WS-03] [SYNC-02]"""
        agent = self.started()
        rule = self.fault_file("ws-03-empty")
        agent.client.set_effective_config({"a": b"1"})
        agent.flush()
        self.server.wait(f"fault={rule}")
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual(["connected", "report_done"], self.kinds_so_far(agent))

    def test_what_is_none_is_told_once_and_skipped(self):
        """[WS-01] [WS-06] [WS-18] The next good one on the same connection is processed."""
        agent = self.started()
        for name in SKIPPED:
            with self.subTest(name):
                self.fault_file(name)
                agent.poll_now()
                self.assertEqual("decode", agent.wait("warning").error["kind"])
                self.server.offer({"main": name.encode()})
                self.assertEqual({"main": ("", name.encode())}, agent.wait("message").files)
                self.exchange(agent)
                self.assertEqual([], [e for e in self.told(agent) if e.kind in ("connect_failed", "warning")][1:])
                agent.events.clear()
        self.assertEqual(1, len(self.upgrades()))

    def test_several_bad_ones_do_not_hide_the_good_one(self):
        """[WS-18]"""
        agent = self.started()
        self.fault_file("ws-18-skipped-then-good")
        offer = {"config": {"config_map": {"main": {"body": "x"}}}, "config_hash": "01"}
        self.server.next({"remote_config": offer})
        agent.poll_now()
        self.assertEqual({"main": ("", b"x")}, agent.wait("message").files)
        self.assertEqual(3, sum(e.missed + 1 for e in self.told(agent) if e.kind == "warning"))
        self.assertEqual(1, len(self.upgrades()))

    def test_one_whose_last_fragment_never_came_is_dropped(self):
        """[WS-18] [SYNC-16] And what it should have confirmed is reported again."""
        agent = self.started()
        self.fault_file("ws-18-unfinished")
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        agent.flush()
        told = [m for m in self.messages(since) if "effective_config" in m["_parts"]]
        self.assertEqual(2, len(told))
        self.assertNotEqual(told[0]["_connection"], told[1]["_connection"])
        self.assertEqual(["connected", "connect_failed", "connected"], self.kinds_so_far(agent))

    def kinds_so_far(self, agent):
        return [event.kind for event in self.told(agent)]


class Frames(OverWebSocket):
    def test_fragments_and_pings_between_them(self):
        """[WS-06] [WS-07] The pings are answered, and the message is whole."""
        agent = self.started()
        rule = self.fault_file("ws-06-fragments")
        self.server.next({"remote_config": {"config": {"config_map": {"main": {"body": "x"}}}, "config_hash": "01"}})
        since = self.now()
        agent.poll_now()
        self.assertEqual({"main": ("", b"x")}, agent.wait("message").files)
        sizes = self.server.wait(f"fault={rule}", since=since)["entry"]["frames"]
        self.assertGreater(len(sizes), 10)
        self.exchange(agent)
        # Of pings in a row the last may have the only pong.
        pongs = [bytes.fromhex(pong["hex"]) for pong in self.frames("pong", "received", since)]
        self.assertEqual(b"between %d" % (len(sizes) - 1), pongs[-1])
        self.assertNotIn("connect_failed", [e.kind for e in self.told(agent)])

    def test_a_broken_protocol_is_closed_with_its_code_and_comes_back(self):
        """[WS-06] [WS-15] [LOG-01]"""
        for name, code in BROKEN.items():
            with self.subTest(name):
                agent = self.started()
                rule = self.fault_file(name)
                since = self.now()
                agent.client.set_effective_config({"a": name.encode()})
                error = self.failure(agent)
                self.assertEqual("protocol", error["kind"], error)
                self.server.wait(f"fault={rule}")
                agent.wait("connected")
                agent.flush()
                (close,) = self.frames("close", "received", since)
                self.assertEqual((code, "agent"), (close["code"], close["began"]))
                # It was told once, and the next connection is a good one.
                self.assertEqual(1, sum(e.missed + 1 for e in self.told(agent) if e.kind == "connect_failed"))
                self.assertEqual(1, len(self.upgrades(since)))
                agent.stop()


class Sizes(OverWebSocket):
    def test_one_of_exactly_the_limit_is_taken(self):
        """[WS-04]"""
        agent = self.started(options={"MESSAGE_LIMIT_BYTES": 100_000})
        rule = self.fault_file("ws-04-exactly-the-limit")
        self.exchange(agent)
        self.server.wait(f"fault={rule}")
        self.assertEqual(1, len(self.upgrades()))

    def test_a_larger_one_is_closed_with_1009_and_comes_back(self):
        """[WS-04] [LOG-01] In one frame, in fragments, in fragments without an end, and as a mere declaration."""
        for name in TOO_LARGE:
            with self.subTest(name):
                agent = self.started(options={"MESSAGE_LIMIT_BYTES": 100_000})
                self.fault_file(name)
                since = self.now()
                agent.client.set_effective_config({"a": name.encode()})
                self.assertEqual("size", self.failure(agent)["kind"])
                self.assertEqual(1009, self.server.wait("closes", since=since)["entry"]["code"])
                agent.flush()
                agent.stop()

    def test_it_is_never_held_in_memory(self):
        """[WS-04] A gigabyte in one frame."""
        child = Child(self, """
            agent = started(options={"MESSAGE_LIMIT_BYTES": 1 << 20})
            before = status_kib("VmRSS")
            reset_peak()
            say(ready=True)
            hear()
            agent.poll_now()
            event = agent.wait("connect_failed", timeout=30)
            say(grown=status_kib("VmHWM") - before, kind=event.error["kind"])
            hear()
            agent.stop()
            """, self.server.endpoint)
        child.line()
        self.server.faults({"rules": [{"do": {"content_length": 1 << 30, "body": {"zeros": 64 << 20}}}]})
        child.tell()
        told = child.line(30)
        self.assertEqual("size", told["kind"])
        self.assertLess(told["grown"], 8 << 10)
        child.tell()
        child.wait()

    def test_a_message_over_the_limit_is_not_sent(self):
        """[WS-05] [HTTP-08] It is told, heartbeats go on, and nothing spins."""
        agent = self.started(options={"MESSAGE_LIMIT_BYTES": 10_000}, interval_ms=50)
        agent.client.set_effective_config({"large": bytes(20_000)})
        self.assertEqual("size", agent.wait("warning").error["kind"])
        since = self.now()
        self.wait("heartbeats>=5", since)
        self.assertNotIn("effective_config", [part for m in self.messages() for part in m["_parts"]])
        self.assertEqual(1, len(self.upgrades()))
        # A smaller one goes out.
        agent.client.set_effective_config({"small": b"1"})
        agent.flush()
        self.assertEqual(1, sum(e.missed + 1 for e in self.told(agent) if e.kind == "warning"))
