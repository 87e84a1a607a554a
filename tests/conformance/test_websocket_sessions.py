"""A WebSocket connection in use: heartbeats, silence, goodbyes, losses."""
from stage import BARE, NEVER, fields, files, uid_text
from websocket import OverWebSocket

# A silent peer is given up within a test.
SHARP = {"PING_INTERVAL_MS": 300, "PONG_TIMEOUT_MS": 300}


class Heartbeats(OverWebSocket):
    def test_they_leave_after_each_interval(self):
        """[WS-08] [SYNC-15] The server measures each of them."""
        self.started(interval_ms=400)
        self.server.post("interval", {"interval": "400ms"})
        self.wait("heartbeats>=5")
        beats = [e for e in self.requests() if e["heartbeat"]]
        judged = [v["ok"] for beat in beats for v in beat["verdicts"] if v["row"] == "WS-08"]
        self.assertGreaterEqual(len(judged), 3)
        self.assert_pace(beats, 360)
        self.assertEqual({1}, {beat["connection"] for beat in beats})

    def test_zero_turns_them_off_and_on_again(self):
        """[WS-08] [HTTP-21]"""
        agent = self.started(interval_ms=30)
        self.wait("heartbeats>=3")
        agent.set_interval(0)
        self.exchange(agent)
        self.stays_silent(self.now())
        agent.set_interval(30)
        self.wait("heartbeats>=2", self.now())

    def test_a_servers_interval_takes_effect_at_once(self):
        """[WS-08]"""
        agent = self.started(options={"SERVER_INTERVAL_MIN_MS": 1000})
        since = self.now()
        self.server.push({"connection_settings": {"hash_text": "i", "opamp": {"heartbeat_interval_seconds": 1}}})
        beat = self.wait("heartbeats>=2", since)
        self.assertLess(beat["_at_ms"], 60_000)
        self.assertEqual(1000, agent.snapshot()["interval_ms"])

    def test_without_the_capability_there_are_none(self):
        """[WS-08] [SYNC-13]"""
        self.started(capabilities=("REPORTS_STATUS",), interval_ms=20)
        self.stays_silent(self.now())


class Pings(OverWebSocket):
    def test_a_ping_is_answered_with_its_payload(self):
        """[WS-07] Also between two messages, also a long one and an empty one."""
        self.started()
        for payload in (b"", b"x", bytes(range(125))):
            since = self.now()
            self.server.post("ping", {"hex": payload.hex()})
            self.assertEqual(payload.hex(), self.server.wait("pongs", since=since)["entry"]["hex"])

    def test_a_peer_that_vanished_is_noticed_and_replaced(self):
        """[WS-07] [LOG-01] Without a FIN, while nothing is said."""
        agent = self.started(options=SHARP)
        since = self.now()
        self.server.post("connections", {"how": "vanish"})
        error = self.failure(agent)
        self.assertIn(error["kind"], ("timeout", "io"), error)
        agent.wait("connected")
        self.assertEqual(1, len(self.upgrades(since)))

    def test_a_peer_that_vanished_under_a_message(self):
        """[WS-07] [WS-16] [SYNC-12] What it carried is said again."""
        agent = self.started(options=SHARP)
        self.fault_file("ws-07-vanished", match={"part": "effective_config"})
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        agent.flush(10_000)
        told = [m for m in self.messages(since) if "effective_config" in m["_parts"]]
        self.assertEqual([{"a": ("", b"1")}] * 2, [files(m) for m in told])
        self.assertLess(told[0]["sequence_num"], told[1]["sequence_num"])

    def test_a_peer_that_says_nothing_is_given_up(self):
        """[WS-07] It hears, but answers neither message nor ping."""
        self.fault_file("ws-07-mute")
        agent = self.agent(options=SHARP).start()
        self.assertEqual("timeout", self.failure(agent)["kind"])
        agent.flush()
        self.assertEqual([True, True], [m["_full"] for m in self.messages() if m["_parts"]])

    def test_a_line_that_is_dead_one_way(self):
        """[WS-07] What the agent says arrives, nothing comes back."""
        rule = self.fault_file("ws-07-stalled")
        agent = self.agent(options=SHARP, interval_ms=50).start()
        self.server.wait(f"fault={rule}")
        self.failure(agent)
        agent.wait("connected")
        agent.flush()
        self.assertGreaterEqual(len(self.upgrades()), 2)

    def test_a_peer_that_reads_nothing_is_given_up(self):
        """[WS-07] [WS-16] Its window is full, and stays so."""
        agent = self.started(options=SHARP)
        self.fault({"deaf": True})
        agent.client.set_effective_config({"large": bytes(16 << 20)})
        self.assertIn(self.failure(agent)["kind"], ("timeout", "io"))
        agent.flush(10_000)

    def test_a_peer_that_only_ignores_pings_is_kept(self):
        """[WS-07] [SYNC-02] It speaks, so it lives; what no pong confirmed is said again on the next connection."""
        self.fault_file("ws-07-no-pong")
        # News wait a second for their pong, so the interval of pings is above that.
        agent = self.agent(options={"PING_INTERVAL_MS": 1500, "PONG_TIMEOUT_MS": 300}, interval_ms=100).start()
        self.wait("heartbeats>=10")
        self.assertEqual(1, len(self.upgrades()))
        since = self.now()
        self.server.post("connections", {"how": "reset"})
        first = self.wait("messages", since)
        self.assertTrue(first["_full"])
        agent.stop()


class Goodbyes(OverWebSocket):
    def goodbyes(self, since=0):
        return [m for m in self.messages(since) if "agent_disconnect" in m["_parts"]]

    def shown(self, since):
        """The way out, as the server saw it."""
        kinds = []
        for entry in self.server.timeline(since=since, limit=100_000):
            if entry["kind"] == "received" and "agent_disconnect" in entry["parts"]:
                kinds.append("goodbye")
            elif entry["kind"] == "close":
                kinds.append(f"{entry['way']} {entry['code']}")
            elif entry.get("event") == "closed":
                kinds.append(f"closed by {entry['by']}")
        return kinds

    def test_stop_is_goodbye_close_and_the_end(self):
        """[WS-09] [WS-15] [LIFE-01]"""
        agent = self.started()
        since = self.now()
        agent.stop()
        self.server.wait("closed", since=since)
        self.assertEqual(["goodbye", "received 1000", "sent 1000", "closed by agent"], self.shown(since))

    def test_the_wait_for_the_servers_close_is_bounded(self):
        """[WS-09] [LIFE-03]"""
        agent = self.started(options={"CLOSE_TIMEOUT_MS": 200, "STOP_GRACE_MS": 30_000})
        self.fault_file("ws-09-no-close")
        since = self.now()
        agent.stop()
        self.server.wait("closed", since=since)
        self.assertEqual(["goodbye", "received 1000", "closed by agent"], self.shown(since))

    def test_a_reconnect_of_the_host_is_the_same_way_out(self):
        """[WS-15] [WS-13] [WS-02] The new connection comes after the end of the old one, and says what is new."""
        agent = self.started()
        since = self.now()
        agent.reconnect()
        self.server.wait("messages>=2", since=since)
        self.assertEqual(["goodbye", "received 1000", "sent 1000", "closed by agent"], self.shown(since))
        order = [e.get("event") for e in self.server.timeline(since=since) if e["kind"] == "connection"]
        self.assertEqual(["closed", "opened"], order)
        self.assertEqual(BARE, fields(self.last_message()))
        self.assertNotIn("connect_failed", [e.kind for e in self.told(agent)])

    def test_unavailable_is_goodbye_a_wait_and_all_that_was_not_confirmed(self):
        """[WS-11] [WS-15] [RCV-01]"""
        agent = self.started()
        self.server.next({"error_response": {"type": "Unavailable", "error_message": "later",
                                             "retry_info": {"retry_after_nanoseconds": 400_000_000}}})
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        self.assertIn("UNAVAILABLE", agent.wait("server_error").error["text"])
        agent.flush()
        refused, goodbye, again = self.messages(since)
        self.assertEqual([["effective_config"], ["agent_disconnect"]], [refused["_parts"], goodbye["_parts"]])
        self.assertEqual(files(refused), files(again))
        self.assertGreaterEqual(again["_at_ms"] - refused["_at_ms"], 395)
        self.assertEqual(["goodbye", "received 1000", "sent 1000", "closed by agent"], self.shown(since))
        self.assertNotIn("connect_failed", [e.kind for e in self.told(agent)])

    def test_the_servers_close_is_answered_and_is_a_loss(self):
        """[WS-10] [LOG-01] With its code and reason in the text."""
        agent = self.started()
        since = self.now()
        self.server.post("connections", {"how": "close", "code": 1012, "reason": "restart"})
        error = self.failure(agent)
        self.assertIn("1012", error["text"])
        self.assertIn("restart", error["text"])
        agent.wait("connected")
        self.server.wait("closed", since=since)
        self.assertEqual(["sent 1012", "received 1012", "closed by agent"], self.shown(since))
        self.assertEqual([], self.goodbyes(since))

    def test_a_stop_does_not_pass_a_closed_gate(self):
        """[LIFE-01] [WS-11] [WS-12] Not through a Retry-After, an UNAVAILABLE, or a backoff."""
        slow = {"FIRST_RETRY_MAX_MS": 60_000, "RETRY_AFTER_MIN_MS": 60_000}
        for do in ({"status": 503, "retry_after": 60}, {"status": 500}):
            agent = self.agent(options=slow)
            self.fault(do, on="upgrade")
            agent.start()
            self.failure(agent)
            agent.stop(1000)
        agent = self.started(options=slow)
        self.server.next({"error_response": {"type": "Unavailable"}})
        agent.poll_now()
        agent.wait("server_error")
        since = self.now()
        agent.stop(1000)
        # The one that UNAVAILABLE itself demands was said before or is said now, and not another.
        self.assertLessEqual(len(self.goodbyes()), 1)
        self.assertEqual([], self.upgrades(since))


class Losses(OverWebSocket):
    def test_what_was_confirmed_is_left_out_after_a_loss(self):
        """[WS-02] [SYNC-02] [SYNC-12] However it was lost."""
        agent = self.started()
        for number, how in enumerate(("close", "drop", "reset"), 1):
            since = self.now()
            self.server.post("connections", {"how": how})
            self.failure(agent)
            first = self.wait("messages", since)
            self.assertEqual((BARE, number), (fields(first), first["sequence_num"]))
        self.assertEqual(4, len(self.upgrades()))

    def test_what_was_not_confirmed_comes_again(self):
        """[WS-16] [SYNC-12] [SYNC-16] The connection ends while a message is read, or before it is answered."""
        cases = ("ws-16-reset-while-reading", "ws-16-closed-while-reading", "ws-16-unanswered", "ws-16-half-a-frame")
        for name in cases:
            with self.subTest(name):
                self.fault_file(name)
                client = self.client()
                client.set_effective_config({"a": bytes(2000)})
                since = self.now()
                agent = self.agent(client).start()
                self.failure(agent)
                agent.flush()
                last = [m for m in self.messages(since) if "effective_config" in m["_parts"]][-1]
                self.assertTrue(last["_full"])
                self.assertEqual(uid_text(client.uid), last["instance_uid"])
                agent.stop()

    def test_an_answer_before_the_pong_confirms_with_the_next(self):
        """[SYNC-02] An early drop costs one report more, and a late one none."""
        self.fault_file("sync-02-answer-before-pong")
        agent = self.agent().start()
        self.wait("messages")
        self.polled(agent)
        agent.flush()
        since = self.now()
        self.server.post("connections", {"how": "reset"})
        self.assertEqual(BARE, fields(self.wait("messages", since)))
        agent.stop()

    def test_many_changes_while_the_server_is_away_are_one_message(self):
        """[SYNC-06] [SYNC-12]"""
        client = self.client(options={"CONNECT_TIMEOUT_MS": 200})
        agent = self.started(client)
        self.server.post("listen", {"listening": False, "connections": "reset"})
        agent.wait("connect_failed")
        for number in range(1000):
            client.set_effective_config({"a": str(number).encode()})
        attempts = agent.snapshot()["attempts"]
        self.until(lambda: agent.snapshot()["attempts"] >= attempts + 2)
        since = self.now()
        self.server.post("listen", {"listening": True})
        agent.flush()
        told = self.messages(since)
        self.assertEqual([(1, ["effective_config"])], [(m["sequence_num"], m["_parts"]) for m in told])
        self.assertEqual({"a": ("", b"999")}, files(told[0]))

    def test_never_two_connections(self):
        """[WS-13] The server sees each end before the next upgrade, whatever ended it."""
        agent = self.started(interval_ms=NEVER)
        for how in ("close", "reset", "drop"):
            self.server.post("connections", {"how": how})
            agent.wait("connected")
            agent.reconnect()
            agent.wait("connected")
            self.exchange(agent)
        for upgrade in self.upgrades()[1:]:
            before = [e for e in self.server.timeline(limit=100_000) if e["index"] < upgrade["index"]]
            opened = {e["connection"] for e in before if e["kind"] == "upgrade"}
            closed = {e["connection"] for e in before if e.get("event") == "closed"}
            # The server may note the end a moment late.
            self.assertLessEqual(len(opened - closed), 1)


class Uids(OverWebSocket):
    def test_a_new_uid_is_in_all_that_follows(self):
        """[SYNC-10] [WS-14] In the messages at once, on the upgrade from the next connection on."""
        client = self.client()
        agent = self.started(client)
        new = bytes(range(0x20, 0x30))
        self.server.push({"agent_identification": {"new_instance_uid": uid_text(new)}})
        self.assertEqual(new, agent.wait("new_uid").uid)
        self.exchange(agent)
        self.assertEqual(uid_text(new), self.last_message()["instance_uid"])
        since = self.now()
        agent.reconnect()
        self.wait("messages>=2", since)
        (upgrade,) = self.upgrades(since)
        self.assertEqual([uid_text(new)], self.header(upgrade, "OpAMP-Instance-UID"))
