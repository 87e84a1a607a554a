"""What is reported, when it is left out, and when it comes again."""
import unittest

from binding import LIB
from child import Child, Shim
from stage import ALL, BARE, Stage, attributes_of, fields, files, uid_text

NAMES = ["AcceptsRemoteConfig", "ReportsEffectiveConfig", "ReportsHeartbeat", "ReportsRemoteConfig", "ReportsStatus"]


class Report(Stage):
    # Number and configuration of what follows two messages that were lost.
    successors = [(2, b"new")]

    def test_first_message_is_the_whole_state(self):
        """[SYNC-01] [SYNC-12]"""
        client = self.client()
        client.set_description({"service.name": "gateway"}, {"os.type": "linux"})
        client.set_effective_config({"main.yaml": ("text/yaml", b"a: 1\n"), "": b"\x00\xff"})
        client.set_status(b"stored", "FAILED", "no space left")
        self.started(client)
        first, *others = self.messages()
        self.assertEqual([], others)
        self.assertEqual(0, first["sequence_num"])
        self.assertEqual(uid_text(client.uid), first["instance_uid"])
        self.assertEqual(NAMES, sorted(first["capabilities"]))
        description = first["agent_description"]
        self.assertEqual({"service.name": "gateway"}, attributes_of(description["identifying_attributes"]))
        self.assertEqual({"os.type": "linux"}, attributes_of(description["non_identifying_attributes"]))
        self.assertEqual({"main.yaml": ("text/yaml", b"a: 1\n"), "": ("", b"\x00\xff")}, files(first))
        self.assertEqual({"last_remote_config_hash": b"stored".hex(), "status": "FAILED",
                          "error_message": "no space left"}, first["remote_config_status"])

    def test_confirmed_parts_are_left_out_and_a_change_is_sent_whole(self):
        """[SYNC-02] [SYNC-03] [SYNC-12]"""
        client = self.client()
        client.set_description({"service.name": "gateway", "service.version": "1"}, {"os.type": "linux"})
        client.set_effective_config({"a": b"1", "b": b"2", "c": b"3"})
        agent = self.started(client)
        # when one of three files changes
        client.set_effective_config({"a": b"1", "b": b"two", "c": b"3"})
        agent.flush()
        # then all three go, and nothing that is confirmed
        message = self.last_message()
        self.assertEqual(BARE | {"effective_config"}, fields(message))
        self.assertEqual({"a": ("", b"1"), "b": ("", b"two"), "c": ("", b"3")}, files(message))
        # and so with one of three attributes
        client.set_description({"service.name": "gateway", "service.version": "2"}, {"os.type": "linux"})
        agent.flush()
        message = self.last_message()
        self.assertEqual(BARE | {"agent_description"}, fields(message))
        description = message["agent_description"]
        self.assertEqual({"service.name": "gateway", "service.version": "2"},
                         attributes_of(description["identifying_attributes"]))
        self.assertEqual({"os.type": "linux"}, attributes_of(description["non_identifying_attributes"]))
        self.assertEqual([0, 1, 2], [m["sequence_num"] for m in self.messages()])

    def test_only_an_answer_without_error_confirms(self):
        """[SYNC-02] An exchange that was lost confirms nothing, and neither does an UNAVAILABLE."""
        client = self.client()
        agent = self.started(client)
        since = self.now()
        self.server.faults({"rules": [{"name": "lost", "do": {"drop": "reset_unanswered"}}]})
        client.set_effective_config({"a": b"1"})
        agent.flush()
        lost, again = [m for m in self.messages(since) if "effective_config" in m["_parts"]]
        self.assertEqual(files(lost), files(again))
        self.assertEqual(lost["sequence_num"] + 1, again["sequence_num"])
        # given a server that answers only that it is not available
        since = self.now()
        self.server.next({"error_response": {"type": "Unavailable",
                                             "retry_info": {"retry_after_nanoseconds": 1_000_000}}})
        client.set_effective_config({"a": b"2"})
        agent.flush()
        # Over WebSocket there is a goodbye between the two.
        told = [m for m in self.messages(since) if m["_parts"] != ["agent_disconnect"]]
        self.assertEqual([{"a": ("", b"2")}] * 2, [files(m) for m in told])
        # and what was confirmed at last is left out
        self.assertEqual(BARE, fields(self.exchange(agent)))

    def test_heartbeats_say_nothing_else(self):
        """[SYNC-15] [SYNC-08]"""
        client = self.client()
        client.set_effective_config({"a": b"1"})
        self.started(client, interval_ms=20)
        self.wait("heartbeats>=10")
        first, *beats = self.messages()
        self.assertEqual(list(range(1, len(beats) + 1)), [m["sequence_num"] for m in beats])
        for beat in beats:
            self.assertEqual(BARE, fields(beat))
            self.assertEqual(NAMES, sorted(beat["capabilities"]))
            self.assertEqual(uid_text(client.uid), beat["instance_uid"])

    def test_equal_values_send_nothing(self):
        """[SYNC-05] Host side: what equals the present value is no news."""
        client = self.client()
        client.set_effective_config({"a": ("text/plain", b"1")})
        agent = self.started(client)
        offer = self.offered(agent)
        agent.apply(offer)
        agent.flush()
        count = len(self.messages())
        for _ in range(50):
            client.set_description({"service.name": "conformance"})
            client.set_effective_config({"a": ("text/plain", b"1")})
            client.set_capabilities(*ALL)
            agent.apply(offer)
        self.assertEqual(0, agent.snapshot()["pending"])
        # then the next message is the one asked for, and bare
        self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual(count + 1, len(self.messages()))

    def test_answers_alone_lead_to_no_message(self):
        """[SYNC-05] Server side: messages that change nothing are not answered."""
        client = self.client()
        agent = self.started(client)
        offer = self.offered(agent)
        agent.apply(offer)
        agent.flush()
        count = len(self.messages())
        # given answers full of things that are known, not for this agent, or nothing to it
        self.server.next({"agent_identification": {"new_instance_uid": uid_text(client.uid)}})
        self.server.faults({"rules": [
            {"do": {"offer_again": True}}, {"do": {"body": "unknown_fields"}},
            {"do": {"answer": {"custom_message": {"capability": "x", "type": "y", "data": "z"}}}},
            {"do": {"answer": {"connection_settings": {"hash_text": "h", "own_metrics":
                                                       {"destination_endpoint": "http://127.0.0.1:1/"}}}}},
            {"do": {"body": "empty"}}]})
        for _ in range(6):
            heard = agent.snapshot()["messages_received"]
            agent.poll_now()
            self.until(lambda: agent.snapshot()["messages_received"] > heard)
            self.assertEqual(BARE, fields(self.last_message()))
        # then each of the six messages was asked for by the host
        self.assertEqual(count + 6, len(self.messages()))

    def test_many_changes_while_the_server_is_away_are_one_message(self):
        """[SYNC-06] [SYNC-12] Only the newest goes, under the next number, and nothing piles up."""
        client = self.client(options={"CONNECT_TIMEOUT_MS": 200})
        agent = self.started(client)
        self.server.post("listen", {"listening": False, "connections": "close"})
        # Over a new connection: on the kept one a message might still get half way.
        LIB.agent_reconnect(agent.handle)
        agent.wait("connect_failed")
        body = bytes(4096)
        rss_before = resident()
        for number in range(10_000):
            client.set_effective_config({"a": body + str(number).encode()})
        grown = resident() - rss_before
        # A try that began before the last change may still carry the one before it.
        attempts = agent.snapshot()["attempts"]
        self.until(lambda: agent.snapshot()["attempts"] >= attempts + 2)
        since = self.now()
        self.server.post("listen", {"listening": True})
        agent.flush()
        told = self.messages(since)
        self.assertEqual([(1, ["effective_config"])], [(m["sequence_num"], m["_parts"]) for m in told])
        self.assertEqual({"a": ("", body + b"9999")}, files(told[0]))
        # 40 MB went in
        self.assertLess(grown, 4 << 20)

    def test_a_retry_says_what_is_true_then(self):
        """[SYNC-12] A message that may have arrived uses its number up, and its successor is a new one."""
        client = self.client()
        client.set_effective_config({"a": b"old"})
        self.server.faults({"rules": [{"do": {"drop": "unanswered"}}, {"do": {"wait": "600ms", "drop": "unanswered"}}]})
        agent = self.agent(client).start()
        self.wait("messages>=2")
        client.set_effective_config({"a": b"new"})
        agent.flush()
        told = [(m["sequence_num"], files(m)["a"][1]) for m in self.messages()]
        self.assertEqual([(0, b"old"), (1, b"old"), *self.successors], told)

    def test_a_try_that_never_left_uses_no_number(self):
        """[SYNC-12] [LOG-04] Nor is it a message sent."""
        self.server.post("listen", {"listening": False})
        agent = self.agent().start()
        for _ in range(3):
            agent.wait("connect_failed")
        snapshot = agent.snapshot()
        self.assertEqual((0, 0, 0), tuple(snapshot[name] for name in ("sequence_num", "messages_sent", "bytes_sent")))
        self.server.post("listen", {"listening": True})
        self.wait("messages>=1")
        self.assertEqual([0], [m["sequence_num"] for m in self.messages()])

    def offered(self, agent):
        self.server.offer({"main": b"x"})
        agent.poll_now()
        return agent.wait("message")


class FullState(Stage):
    # The server knows neither a request of the host for full state, nor the budget for its own.
    pardoned = ("SYNC-02", "SYNC-04")

    def full(self, since):
        return [m for m in self.messages(since) if m["_full"]]

    def test_full_state_comes_once_and_at_once(self):
        """[SYNC-04]"""
        client = self.client()
        client.set_effective_config({"a": b"1"})
        client.set_status(b"stored", "APPLIED")
        agent = self.started(client)
        since = self.now()
        self.server.next({"flags": ["ReportFullState"]})
        self.exchange(agent)
        self.wait("full", since)
        agent.flush()
        self.assertEqual(BARE, fields(self.exchange(agent)))
        asked, full, after = self.messages(since)
        self.assertEqual(BARE, fields(asked))
        self.assertEqual(BARE | {"agent_description", "effective_config", "remote_config_status"}, fields(full))
        # "At once" is far from the interval of an hour.
        self.assertLess(full["_at_ms"] - asked["_at_ms"], 1000)

    def test_the_host_asks_for_full_state(self):
        """[SYNC-04] One message for one request of the host."""
        client = self.client()
        client.set_effective_config({"a": b"1"})
        agent = self.started(client)
        agent.report_full_state()
        agent.flush()
        self.assertEqual([True, True], [m["_full"] for m in self.messages()])

    def test_a_server_that_always_asks_is_slowed_down(self):
        """[SYNC-04] Three at once, then at least a second and then two; one warning."""
        self.server.faults("sync-04-always-full.json")
        agent = self.agent().start()
        # The first report was not asked for.
        self.wait("full>=6")
        self.server.delete("faults")
        times = [m["_at_ms"] for m in self.full(0)]
        gaps = [late - early for early, late in zip(times, times[1:])]
        self.assertLess(sum(gaps[:3]), 900)
        self.assertGreaterEqual(gaps[3], 990)
        self.assertGreaterEqual(gaps[4], 1990)
        agent.wait("connected")
        self.exchange(agent)
        warnings = [e for e in self.told(agent) if e.kind == "warning"]
        self.assertEqual(1, len(warnings), agent.events)
        self.assertEqual(0, warnings[0].missed)

    def test_after_a_calm_minute_full_state_comes_at_once_again(self):
        """[SYNC-04]"""
        shim = Shim(self)
        child = Child(self, """
            agent = started()
            for word in iter(hear, ""):
                agent.poll_now()
            """, self.server.endpoint, env=shim.env)
        self.wait("messages>=1")
        self.server.faults({"rules": [{"times": 5, "do": {"answer": {"flags": ["ReportFullState"]}}}]})
        child.tell("go")
        # The first report and five that were asked for, the last two after one and two seconds.
        self.assertGreater(self.span(0, 6), 2900)
        # when a minute passes in which nothing is asked for
        shim.pass_hours(2 / 60)
        since = self.now()
        self.server.faults({"rules": [{"times": 3, "do": {"answer": {"flags": ["ReportFullState"]}}}]})
        child.tell("go")
        self.assertLess(self.span(since, 3), 900)

    def span(self, since, count):
        self.wait(f"full>={count}", since)
        times = [m["_at_ms"] for m in self.full(since)][:count]
        return times[-1] - times[0]

    def test_a_server_that_lost_its_memory_knows_all_again(self):
        """[SYNC-07]"""
        client = self.client(description={"service.name": "gateway", "deep": {"x": [1, 2.5, b"\xff"]}})
        client.set_effective_config({"a": b"1", "b": b"\x00\xff"})
        agent = self.started(client)
        self.server.offer({"main": b"x"})
        agent.poll_now()
        agent.apply(agent.wait("message"))
        agent.flush()
        (before,) = self.server.agents()
        self.server.delete("agents")
        since = self.now()
        # One exchange in which the server asks, one that answers.
        self.exchange(agent)
        self.wait("messages>=2", since)
        (after,) = self.server.agents()
        for view in (before, after):
            del view["reported"]["sequence_num"]
        self.assertEqual(before["reported"], after["reported"])
        self.assertIn("remote_config_status", after["reported"])


def resident():
    """Bytes of memory that this process has in RAM."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


if __name__ == "__main__":
    unittest.main()
