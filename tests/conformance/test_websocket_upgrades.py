"""The upgrade: what it carries, what becomes of a refusal, and how often it is tried."""
from websocket import OverWebSocket
from wire import LAG_MS, TlsStage

# A 101 that is none.
BAD_101 = ("ws-17-wrong-accept-key", "ws-17-no-accept-key", "ws-17-extension")
# As shipped.
SHIPPED = {"FIRST_RETRY_MAX_MS": 5000, "BACKOFF_BASE_MS": 2000, "BACKOFF_MAX_MS": 300_000}


class Heads(OverWebSocket):
    def test_it_is_a_get_with_all_headers(self):
        """[WS-14] [WS-17] [HTTP-03] The host's own, the User-Agent, the uid, to the endpoint as given."""
        client = self.client()
        client.set_header("X-Token", "first")
        client.set_endpoint(self.server.endpoint + "?a=b%20c")
        agent = self.started(client)
        (upgrade,) = self.upgrades()
        self.assertEqual(("GET", "/v1/opamp?a=b%20c", "1.1"),
                         tuple(upgrade["http"][key] for key in ("method", "path", "version")))
        self.assertEqual(["first"], self.header(upgrade, "X-Token"))
        self.assertIn("libopamp/", self.header(upgrade, "User-Agent")[0])
        self.assertEqual([self.messages()[0]["instance_uid"]], self.header(upgrade, "OpAMP-Instance-UID"))
        # A fresh token goes with the next connection.
        client.set_header("X-Token", "second")
        since = self.now()
        agent.reconnect()
        self.wait("messages>=2", since)
        self.assertEqual(["second"], self.header(self.upgrades(since)[0], "X-Token"))

    def test_a_legal_answer_is_taken(self):
        """[WS-17] Connection may list more than Upgrade; a message may come in the packet of the 101."""
        for name in ("ws-17-keep-alive-upgrade", "ws-17-early-message"):
            with self.subTest(name):
                since = self.now()
                rule = self.fault_file(name)
                agent = self.started()
                self.server.wait(f"fault={rule}")
                self.assertEqual(1, len(self.upgrades(since)))
                self.assertNotIn("connect_failed", [e.kind for e in self.told(agent)])
                agent.stop()

    def test_an_answer_that_is_no_upgrade_is_told(self):
        """[WS-17] [LOG-01]"""
        for name in BAD_101:
            with self.subTest(name):
                self.fault_file(name)
                agent = self.agent().start()
                self.assertEqual("protocol", self.failure(agent)["kind"])
                agent.flush()
                agent.stop()
        self.fault_file("ws-17-200")
        agent = self.agent(options={"BACKOFF_MAX_MS": 40}, interval_ms=200).start()
        self.assertEqual(200, self.failure(agent)["status"])
        agent.flush()

    def test_one_without_a_location_is_told(self):
        """[WS-17] A 3xx that leads nowhere."""
        self.fault_file("ws-17-redirect-without-location")
        agent = self.agent(interval_ms=100).start()
        self.assertEqual(302, self.failure(agent)["status"])
        agent.flush()

    def test_no_answer_has_its_bounds(self):
        """[HTTP-18] [LOG-01] Nothing, half a head, and a 101 with silence behind it."""
        bounds = {"FIRST_BYTE_TIMEOUT_MS": 150, "EXCHANGE_TIMEOUT_MS": 400, "PING_INTERVAL_MS": 200,
                  "PONG_TIMEOUT_MS": 200}
        for name in ("ws-17-no-answer", "ws-17-half-a-head", "ws-17-silence"):
            with self.subTest(name):
                self.fault_file(name)
                agent = self.agent(options=bounds).start()
                self.assertEqual("timeout", self.failure(agent)["kind"])
                agent.flush()
                agent.stop()


class Refusals(OverWebSocket):
    def test_retry_after_is_honoured(self):
        """[WS-12] [HTTP-10] In seconds and as a date, and no setter breaks it."""
        for name, least in (("ws-12-503", 2000), ("ws-12-429-date", 2000)):
            with self.subTest(name):
                self.fault_file(name)
                since = self.now()
                agent = self.agent().start()
                error = self.failure(agent)
                self.assertIn(error["status"], (429, 503))
                agent.client.set_effective_config({"a": b"1"})
                agent.poll_now()
                agent.flush()
                (gap,) = self.gaps(self.upgrades(since))
                self.assertGreaterEqual(gap, least - LAG_MS)
                agent.stop()

    def test_without_a_time_there_is_a_floor(self):
        """[WS-12] [HTTP-10]"""
        self.fault_file("ws-12-503-absent")
        agent = self.agent(options={"RETRY_AFTER_MIN_MS": 500}).start()
        self.failure(agent)
        agent.flush()
        (gap,) = self.gaps(self.upgrades())
        self.assertGreaterEqual(gap, 500 - LAG_MS)

    def test_a_refused_token_waits_for_another(self):
        """[WS-12] [HTTP-11] Or for the next interval."""
        for name, status in (("ws-12-401", 401), ("ws-12-403", 403)):
            with self.subTest(name):
                self.fault_file(name)
                agent = self.agent().start()
                self.assertEqual(status, self.failure(agent)["status"])
                agent.client.set_header("Authorization", "Bearer fresh")
                agent.flush()
                self.assertEqual(["Bearer fresh"], self.header(self.upgrades()[-1], "Authorization"))
                agent.stop()

    def test_what_is_not_there_waits_for_the_next_interval(self):
        """[HTTP-11] [WS-12]"""
        self.fault_file("ws-12-404")
        agent = self.agent(interval_ms=500).start()
        self.assertEqual(404, self.failure(agent)["status"])
        agent.client.set_header("Authorization", "Bearer fresh")
        agent.flush()
        (gap,) = self.gaps(self.upgrades())
        self.assertGreaterEqual(gap, 450 - LAG_MS)

    def test_a_broken_server_is_tried_again(self):
        """[WS-12] [HTTP-12]"""
        self.fault_file("ws-12-500")
        agent = self.agent().start()
        self.assertEqual(500, self.failure(agent)["status"])
        agent.flush()


class Storms(OverWebSocket):
    """As shipped, and so judged by the server too."""

    def setUp(self):
        super().setUp()
        self.pardoned = ()

    def connections_in(self, seconds, name, **more):
        self.fault_file(name)
        agent = self.agent(options=SHIPPED, **more).start()
        with self.assertRaises(AssertionError):
            self.server.wait("upgrades>=13", f"{seconds}s")
        agent.stop()
        return len(self.upgrades())

    def test_a_server_that_closes_after_the_upgrade(self):
        """[WS-10] The first try again comes within 5 s, spread; later ones back off."""
        self.assertTrue(2 <= self.connections_in(20, "ws-10-close-after-upgrade") <= 6)

    def test_a_server_that_resets_after_the_upgrade(self):
        """[WS-10]"""
        self.assertTrue(2 <= self.connections_in(20, "ws-10-reset-after-upgrade") <= 6)

    def test_a_server_that_answers_once_and_closes(self):
        """[WS-10] An answer alone does not reset the backoff; the session was not stable."""
        self.assertTrue(2 <= self.connections_in(20, "ws-10-answer-once-and-close") <= 6)


class AnswersOnce(OverWebSocket):
    def test_each_loss_backs_off_further_until_a_session_was_stable(self):
        """[WS-10]"""
        options = {"FIRST_RETRY_MAX_MS": 100, "BACKOFF_BASE_MS": 200, "BACKOFF_MAX_MS": 60_000,
                   "STABLE_CONNECTION_MS": 300}
        for name in ("ws-10-answer-once-and-end", "ws-10-close-frame-after-upgrade"):
            with self.subTest(name):
                self.fault_file(name)
                since = self.now()
                agent = self.agent(options=options).start()
                self.server.wait("upgrades>=6", "30s", since=since)
                gaps = self.gaps(self.upgrades(since))
                # Half of 200, 400, 800, 1600 ms is fixed.
                for gap, least in zip(gaps[1:], (100, 200, 400, 800)):
                    self.assertGreaterEqual(gap, least - LAG_MS)
                self.assertGreaterEqual(sum(gaps[1:]), 1500 - LAG_MS)
                # when a session lasts
                self.server.delete("faults")
                def is_stable():
                    shown = agent.snapshot()
                    return shown["state"] == "connected" and shown["state_age_ms"] > 400
                self.until(is_stable, 60)
                self.exchange(agent)
                agent.drain()
                self.server.post("connections", {"how": "drop"})
                # then the next loss is the first of its row again
                self.assertLessEqual(self.failure(agent)["retry_in_ms"], 100)
                agent.stop()


class TlsHeads(OverWebSocket, TlsStage):
    def test_it_all_goes_over_tls(self):
        """[WS-01] [WS-09] [WS-14] wss from the upgrade to the end."""
        agent = self.started()
        self.server.offer({"main": bytes(200_000)})
        offer = agent.wait("message")
        agent.apply(offer)
        agent.flush()
        since = self.now()
        agent.stop()
        self.server.wait("closed", since=since)
        entries = self.server.timeline(limit=100_000)
        self.assertEqual({"tcp", "https", "wss"}, {e["transport"] for e in entries if "transport" in e})
        self.assertEqual(["wss"], [e["transport"] for e in entries if e["kind"] == "upgrade"])
        self.assertEqual(1000, self.frames("close", "received", since)[0]["code"])

    def test_a_server_that_resets_after_tls_is_told(self):
        """[WS-10] [LOG-01]"""
        self.fault({"accept": "reset_after_tls"}, on="connection", times=3)
        agent = self.agent().start()
        for _ in range(3):
            self.assertEqual("io", self.failure(agent)["kind"])
        agent.flush()
