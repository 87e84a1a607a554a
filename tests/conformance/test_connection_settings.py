"""What this release takes of an offer of connection settings: the interval."""
import unittest

from stage import BARE, Stage, fields


class Interval(Stage):
    # The host asks for messages between two polls.
    pardoned = ("HTTP-05",)

    def settings(self, seconds, hash_, **opamp):
        return {"connection_settings": {"hash_text": hash_, "opamp": {"heartbeat_interval_seconds": seconds, **opamp}}}

    def test_an_offered_interval_counts_at_once_and_needs_no_new_connection(self):
        """[CONN-06] [CONN-12] ReportsHeartbeat alone is enough."""
        agent = self.started(capabilities=("REPORTS_STATUS", "REPORTS_HEARTBEAT"))
        self.server.next(self.settings(1, "i1"), alone=False)
        since = self.now()
        self.exchange(agent)
        self.assertEqual(1000, agent.snapshot()["interval_ms"])
        first, second = self.wait("heartbeats>=2", since), self.wait("heartbeats>=3", since)
        self.assertTrue(850 <= second["_at_ms"] - first["_at_ms"] <= 1600)
        self.assertEqual(1, agent.snapshot()["connections"])
        self.assertEqual(1, len({m["_connection"] for m in self.messages()}))
        self.assertEqual([], [e for e in self.told(agent) if e.kind not in ("connected", "report_done")])

    def test_without_heartbeats_declared_it_is_ignored(self):
        """[CONN-12]"""
        agent = self.started(capabilities=("REPORTS_STATUS",), interval_ms=77_000)
        self.server.next(self.settings(1, "i1"), alone=False)
        self.exchange(agent)
        self.assertEqual(77_000, agent.snapshot()["interval_ms"])

    def test_huge_and_tiny_values_are_clamped(self):
        """[CONN-06]"""
        agent = self.started(options={"SERVER_INTERVAL_MIN_MS": 5_000, "SERVER_INTERVAL_MAX_MS": 3_600_000})
        for number, (seconds, expected) in enumerate(((1, 5_000), (2**63, 3_600_000), (60, 60_000),
                                                      (2**64 - 1, 3_600_000))):
            self.server.next(self.settings(seconds, f"i{number}"), alone=False)
            self.exchange(agent)
            self.assertEqual(expected, agent.snapshot()["interval_ms"], seconds)

    def test_a_zero_keeps_the_interval(self):
        """[CONN-06] Alone and beside other changes, for polling can not be turned off."""
        agent = self.started(interval_ms=50_000)
        self.server.next(self.settings(40, "i0"), alone=False)
        self.exchange(agent)
        for number, more in enumerate(({}, {"destination_endpoint": "http://127.0.0.1:1/"})):
            self.server.next(self.settings(0, f"i{number + 1}", **more), alone=False)
            self.exchange(agent)
            self.assertEqual(40_000, agent.snapshot()["interval_ms"])
        # The host has the last word.
        agent.set_interval(30_000)
        self.exchange(agent)
        self.assertEqual(30_000, agent.snapshot()["interval_ms"])

    def test_of_other_settings_only_the_interval_is_taken(self):
        """[CONN-12] The rest is ignored, and not answered, without AcceptsOpAMPConnectionSettings."""
        agent = self.started()
        offer = self.settings(30, "all", destination_endpoint="http://127.0.0.1:1/other",
                              headers={"headers": [{"key": "X-Token", "value": "t"}]},
                              certificate={"cert": "c", "private_key": "k", "ca_cert": "c"})
        self.server.next(offer, alone=False)
        self.exchange(agent)
        for _ in range(3):
            message = self.exchange(agent)
            self.assertEqual(BARE, fields(message))
            self.assertNotIn("x-token", {name.lower() for name, _ in message["_http"]["headers"]})
        self.assertEqual(30_000, agent.snapshot()["interval_ms"])
        self.assertEqual(1, agent.snapshot()["connections"])
        self.assertEqual([], [e for e in self.told(agent) if e.kind not in ("connected", "report_done")])


if __name__ == "__main__":
    unittest.main()
