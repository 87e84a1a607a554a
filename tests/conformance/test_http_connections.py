"""What becomes of connections: kept, replaced, renewed, and never waited for without end."""
from stage import NEVER
from wire import LAG_MS, TlsStage, WireStage

QUICK_BOUNDS = {"CONNECT_TIMEOUT_MS": 150, "TLS_TIMEOUT_MS": 150, "FIRST_BYTE_TIMEOUT_MS": 150,
                "EXCHANGE_TIMEOUT_MS": 800}
# Here only the bound of the step itself can end it in time.
BY_THE_STEP = {**QUICK_BOUNDS, "EXCHANGE_TIMEOUT_MS": 60_000}


class Kept(WireStage):
    def test_one_connection_for_all(self):
        """[HTTP-14]"""
        agent = self.started()
        for _ in range(5):
            self.exchange(agent)
        agent.stop()
        self.assertEqual({1}, {entry["connection"] for entry in self.requests()})
        self.assertEqual(7, len(self.requests()))

    def test_kept_after_an_error_status(self):
        """[HTTP-14]"""
        for status in (500, 503, 404, 401, 413, 201):
            with self.subTest(status):
                self.server.delete("timeline")
                self.fault_file("http-14-kept-after-error", do={"status": status, "body": {"text": "x" * 5000}})
                agent = self.agent(self.client(options={"RETRY_AFTER_MIN_MS": 0}), interval_ms=50).start()
                self.assertEqual(status, self.failure(agent)["status"])
                agent.wait("connected")
                self.assertEqual(1, len(self.connections()))
                agent.stop()

    def test_replaced_in_silence_when_closed_while_idle(self):
        """[HTTP-14]"""
        agent = self.started()
        for how in ("close", "reset"):
            for _ in range(3):
                # given a kept connection that the server ends
                since = self.now()
                self.server.post("connections", {"how": how})
                self.server.wait("closed>=1", since=since)
                # when the agent speaks again
                self.exchange(agent)
        # then it does so on a new one, no number is lost and the host hears nothing
        entries = self.requests()
        self.assertEqual(list(range(7)), [entry["sequence_number"] for entry in entries])
        self.assertEqual(list(range(1, 8)), [entry["connection"] for entry in entries])
        self.assertEqual([], [kind for kind in self.kinds(agent) if kind not in ("connected", "report_done")])
        self.assertEqual(1, self.kinds(agent).count("connected"))

    def test_replaced_when_each_answer_is_the_last(self):
        """[HTTP-14]"""
        for name in ("http-14-announced-close", "http-14-idle-close", "http-14-idle-reset"):
            with self.subTest(name):
                self.server.delete("timeline")
                self.fault_file(name)
                agent = self.started()
                for number in range(1, 5):
                    self.server.wait(f"closed>={number}")
                    self.exchange(agent)
                self.assertEqual(list(range(5)), [entry["sequence_number"] for entry in self.requests()])
                self.assertNotIn("connect_failed", self.kinds(agent))
                agent.stop()

    def test_died_under_the_message(self):
        """[HTTP-14]"""
        # given a kept connection that ends after the second message, without a byte of an answer
        self.fault_file("http-14-unanswered-on-reuse")
        agent = self.started()
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        agent.flush()
        # then the message is made anew at once, with the next number, and the host hears nothing
        lost, again = self.requests(since=since)
        self.assertEqual([["effective_config"]] * 2, [lost["parts"], again["parts"]])
        self.assertEqual([1, 2], [lost["sequence_number"], again["sequence_number"]])
        self.assertNotEqual(lost["connection"], again["connection"])
        self.assertEqual(["connected"], self.kinds(agent))

    def test_only_once(self):
        """[HTTP-14]"""
        # given that the new connection ends the same way
        agent = self.started()
        self.fault({"drop": "unanswered"}, times=2)
        agent.poll_now()
        # then that is a failure like any other
        self.assertEqual("io", self.failure(agent)["kind"])
        agent.wait("connected")
        self.assertEqual(["connected", "connect_failed", "connected"], self.kinds(agent))


class Renewed(WireStage):
    pardoned = ("HTTP-05",)

    def test_after_its_age_between_two_exchanges(self):
        """[HTTP-23]"""
        # given a maximum age of 300 ms and an agent that speaks all the time
        agent = self.started(options={"CONNECTION_MAX_AGE_MS": 300}, interval_ms=20)
        self.server.wait("connections>=4")
        # then each connection lasts that long but for the jitter
        opened = self.connections()
        for gap in self.gaps(opened):
            self.assertGreaterEqual(gap, 0.9 * 300 - LAG_MS)
        # and the host hears nothing of it, no number is lost, and each carried many messages
        entries = self.requests()
        agent.stop()
        self.assertEqual(list(range(len(entries))), [entry["sequence_number"] for entry in entries])
        self.assertEqual(["connected", "stopped"], self.kinds(agent))
        self.assertGreater(sum(entry["connection"] == 2 for entry in entries), 2)

    def test_idle_ones_too(self):
        """[HTTP-23]"""
        agent = self.started(options={"CONNECTION_MAX_AGE_MS": 100}, interval_ms=200)
        self.server.wait("heartbeats>=3")
        entries = self.requests()
        self.assertEqual([1, 2, 3, 4], [entry["connection"] for entry in entries[:4]])
        self.assertNotIn("connect_failed", self.kinds(agent))

    def test_an_hour_by_default(self):
        """[HTTP-23]"""
        self.assertEqual(3_600_000, self.client().option("CONNECTION_MAX_AGE_MS"))


class Bounds(WireStage):
    """Whatever the server leaves out, the agent goes on."""

    def assert_timeout(self, name, step, least, options=QUICK_BOUNDS):
        """The first exchange meets its bound, is told, and is tried again."""
        self.fault_file(name)
        agent = self.agent(self.client(options=options)).start()
        error = self.failure(agent)
        self.assertEqual(("timeout", "E_TIMEOUT"), (error["kind"], error["code"]))
        self.assertIn(step, error["text"])
        self.assertLessEqual(error["retry_in_ms"], 20)
        agent.wait("connected")
        agent.flush()
        first, second = self.requests()
        self.assertGreaterEqual(second["at_ms"] - first["at_ms"], least)
        self.assertEqual([["agent_description"]] * 2, [first["parts"], second["parts"]])
        agent.stop()
        self.server.delete("timeline")

    def test_no_answer(self):
        """[HTTP-18]"""
        self.assert_timeout("http-18-silent", "did not begin to answer", 150 - LAG_MS, BY_THE_STEP)

    def test_headers_and_then_nothing(self):
        """[HTTP-18]"""
        self.assert_timeout("http-18-head-then-nothing", "", 800 - LAG_MS)

    def test_half_and_then_nothing(self):
        """[HTTP-18]"""
        self.assert_timeout("http-18-half-then-nothing", "", 800 - LAG_MS)

    def test_an_answer_without_an_end(self):
        """[HTTP-18]"""
        self.assert_timeout("http-18-endless", "", 800 - LAG_MS)

    def test_one_byte_at_a_time(self):
        """[HTTP-18]"""
        self.assert_timeout("http-18-slow-bytes", "", 800 - LAG_MS)

    def test_a_message_that_is_not_read(self):
        """[HTTP-18]"""
        # The server has not seen the number of what it did not read.
        self.pardoned = ("SYNC-12",)
        agent = self.started(options=QUICK_BOUNDS)
        self.fault({"wait_before_reading": "60s"})
        agent.client.set_effective_config({"large": bytes(16 << 20)})
        error = self.failure(agent)
        self.assertEqual("timeout", error["kind"])
        agent.wait("connected")
        agent.flush()

    def test_a_connection_that_is_never_made(self):
        """[HTTP-18]"""
        self.hang()
        agent = self.agent(self.client(options=BY_THE_STEP)).start()
        for _ in range(2):
            error = self.failure(agent)
            self.assertEqual("timeout", error["kind"])
            self.assertIn("no address answered", error["text"])

    def test_the_whole_bound_holds_for_a_connection_too(self):
        """[HTTP-18]"""
        self.hang()
        client = self.client(options={"CONNECT_TIMEOUT_MS": 60_000, "EXCHANGE_TIMEOUT_MS": 150})
        self.assertEqual("timeout", self.failure(self.agent(client).start())["kind"])

    def test_every_bound_is_finite_by_default(self):
        """[HTTP-18]"""
        bounds = {"RESOLVE_TIMEOUT_MS": 5000, "CONNECT_TIMEOUT_MS": 5000, "TLS_TIMEOUT_MS": 5000,
                  "FIRST_BYTE_TIMEOUT_MS": 10_000, "EXCHANGE_TIMEOUT_MS": 60_000}
        client = self.client()
        self.assertEqual(bounds, {name: client.option(name) for name in bounds})
        for name in bounds:
            self.refused("E_INVALID_ARG", client.set_option, name, 0)
            self.refused("E_INVALID_ARG", client.set_option, name, 2**64 - 1)


class TlsBounds(TlsStage):
    def test_a_handshake_without_an_answer(self):
        """[HTTP-18]"""
        self.fault_file("http-18-silent-connection")
        agent = self.agent(self.client(options=BY_THE_STEP), NEVER).start()
        error = self.failure(agent)
        self.assertEqual("timeout", error["kind"])
        self.assertIn("TLS", error["text"])
        agent.wait("connected")

    def test_a_handshake_and_then_nothing(self):
        """[HTTP-18]"""
        self.fault_file("http-18-silent-after-tls")
        agent = self.agent(self.client(options={**BY_THE_STEP, "TLS_TIMEOUT_MS": 60_000})).start()
        error = self.failure(agent)
        self.assertEqual("timeout", error["kind"])
        self.assertIn("did not begin to answer", error["text"])
        agent.wait("connected")
