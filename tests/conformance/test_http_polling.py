"""When an agent that has nothing to report speaks."""
from stage import NEVER, snapshot_number
from wire import LAG_MS, WireStage

# A tenth earlier or later, so that a fleet spreads.
JITTER = 0.1


def earliest(interval_ms):
    return interval_ms * (1 - JITTER) - LAG_MS


class Polling(WireStage):
    # Intervals are judged here, with the room that a busy machine needs.
    pardoned = ("HTTP-05",)

    def test_polls_come_whatever_is_declared(self):
        """[HTTP-05]"""
        for declared in [("REPORTS_STATUS",), ("REPORTS_STATUS", "REPORTS_HEARTBEAT")]:
            with self.subTest(declared):
                # given an agent with an interval of its host
                since = self.now()
                agent = self.started(capabilities=declared, interval_ms=300)
                # then bare messages come at that pace
                entries = self.wait_requests(4, since)
                agent.stop()
                self.assertEqual([True] * 3, [entry["heartbeat"] for entry in entries[1:]])
                for gap in self.gaps(entries):
                    self.assertGreaterEqual(gap, earliest(300))

    def test_every_thirty_seconds_unless_told_otherwise(self):
        """[HTTP-05]"""
        agent = self.started(interval_ms=None)
        self.assertEqual(30_000, snapshot_number(agent, "INTERVAL_MS"))
        next_try = agent.snapshot()
        self.assertEqual("heartbeat", next_try["next_reason"])
        self.assertLessEqual(next_try["next_ms"], 30_000 * (1 + JITTER))
        self.assertGreaterEqual(next_try["next_ms"] + next_try["last_success_age_ms"], 30_000 * (1 - JITTER) - 5000)
        self.stays_silent(self.now(), "500ms")

    def test_the_servers_interval_has_the_last_word(self):
        """[HTTP-05]"""
        for own in (NEVER, 50):
            with self.subTest(own):
                # given a server that wants a message every second
                self.fault_file("http-05-server-interval")
                since = self.now()
                agent = self.started(interval_ms=own)
                # then that pace holds, against a slower and a faster one of the host
                self.server.wait("heartbeats>=2", since=since)
                self.assertEqual(1000, snapshot_number(agent, "INTERVAL_MS"))
                entries = self.requests(since=since)
                agent.stop()
                for gap in self.gaps(entries[1:] if own == 50 else entries):
                    self.assertGreaterEqual(gap, earliest(1000))
                    self.assertLess(gap, 5000)

    def test_the_interval_counts_from_the_last_message(self):
        """[HTTP-05]"""
        # given a poll whose answer takes a while, so that a change leaves long after it
        interval = 1000
        agent = self.started(interval_ms=interval)
        since = self.now()
        self.fault({"wait": f"{interval - 300}ms"})
        self.server.wait("heartbeat", since=since)
        agent.client.set_description({"service.name": "conformance", "changed": True})
        # then the next poll counts from the change
        poll, change, next_poll = self.wait_requests(3, since)
        self.assertEqual(["agent_description"], change["parts"])
        self.assertTrue(next_poll["heartbeat"])
        self.assertGreaterEqual(next_poll["at_ms"] - change["at_ms"], earliest(interval))

    def test_the_interval_does_not_count_from_the_answer(self):
        """[HTTP-05]"""
        interval = 1200
        agent = self.agent(interval_ms=interval)
        self.fault({"wait": f"{interval - 100}ms"})
        agent.start()
        first, second = self.wait_requests(2)
        self.assertGreaterEqual(second["at_ms"] - first["at_ms"], earliest(interval))
        self.assertLess(second["at_ms"] - first["at_ms"], interval * (1 + JITTER) + 700)


class Changes(WireStage):
    pardoned = ("HTTP-05",)

    def test_a_new_interval_counts_from_the_last_message(self):
        """[HTTP-21]"""
        # given an agent that was told to poll hardly ever
        since = self.now()
        agent = self.started()
        self.stays_silent(self.now(), "1200ms")
        # when its host wants every 1.5 s
        agent.set_interval(1500)
        # then that counts from the last message, not from the call
        first, second = self.wait_requests(2, since)
        self.assertGreaterEqual(second["at_ms"] - first["at_ms"], earliest(1500))
        self.assertLess(second["at_ms"] - first["at_ms"], 2600)
        # and what is already due goes at once
        self.stays_silent(self.now(), "200ms")
        since = self.now()
        agent.set_interval(100)
        self.server.wait("heartbeats>=3", since=since)

    def test_a_longer_interval_holds_at_once(self):
        """[HTTP-21]"""
        agent = self.started(interval_ms=100)
        self.server.wait("heartbeats>=2")
        agent.set_interval(NEVER)
        agent.flush()
        self.assertEqual(NEVER, agent.snapshot()["interval_ms"])
        self.stays_silent(self.now(), "400ms")

    def test_the_host_overrides_an_earlier_interval_of_the_server(self):
        """[HTTP-21]"""
        self.fault_file("http-05-server-interval")
        agent = self.started()
        self.assertEqual(1000, snapshot_number(agent, "INTERVAL_MS"))
        since = self.now()
        agent.set_interval(100)
        for gap in self.gaps(self.wait_requests(4, since)):
            self.assertLess(gap, 900)

    def test_too_short_is_refused_and_too_long_is_clamped(self):
        """[HTTP-21]"""
        agent = self.started()
        for refused in (0, 1, 9):
            self.refused("E_INVALID_ARG", agent.set_interval, refused)
            agent.flush()
            self.assertEqual(NEVER, agent.snapshot()["interval_ms"])
        for most in (86_400_001, 2**63, 2**64 - 1):
            agent.set_interval(most)
            agent.flush()
            self.assertEqual(86_400_000, snapshot_number(agent, "INTERVAL_MS"))
        since = self.now()
        agent.set_interval(10)
        self.assert_pace(self.wait_requests(40, since), 10)
