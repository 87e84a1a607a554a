"""Messages that are wrong, foreign, or for somebody with other capabilities."""
import unittest

from child import Child
from protobuf import delimited
from stage import BARE, Stage, fields, uid_text

FOREIGN = "00000000-0000-7000-8000-00000000ffff"
NOT_FOR_US = {
    "own_telemetry": {"connection_settings": {"hash_text": "t", "own_metrics": {"destination_endpoint": "http://x/"},
                                              "own_traces": {"destination_endpoint": "http://x/"},
                                              "own_logs": {"destination_endpoint": "http://x/"}}},
    "others": {"connection_settings": {"hash_text": "o", "other_connections": {
        "kafka": {"destination_endpoint": "127.0.0.1:1"}}}},
    "packages": {"packages_available": {"all_packages_hash": "01", "packages": {"p": {
        "type": "Addon", "version": "1", "hash": "02", "file": {"download_url": "http://x/", "content_hash": "03"}}}}},
    "custom": {"custom_capabilities": {"capabilities": ["io.x"]},
               "custom_message": {"capability": "io.x", "type": "ping", "data": "hello"}},
    "restart": {"command": {"type": "Restart"}},
}


class Errors(Stage):
    pardoned = ("RCV-01",)

    def test_a_refused_message_is_told_and_held_back(self):
        """[RCV-01] UNKNOWN and BAD_REQUEST; heartbeats go on, other fields of such a message are ignored."""
        for kind, name in (("Unknown", "UNKNOWN"), ("BadRequest", "BAD_REQUEST")):
            with self.subTest(kind):
                client = self.client()
                agent = self.started(client)
                offer = {"config": {"config_map": {"main": {"body": "x"}}}, "config_hash": "01"}
                self.server.next({"error_response": {"type": kind, "error_message": "no such thing"},
                                  "remote_config": offer})
                client.set_effective_config({"a": b"1"})
                error = agent.wait("server_error").error
                self.assertIn(name, error["text"])
                self.assertIn("no such thing", error["text"])
                self.assertEqual("server", error["kind"])
                self.refused("E_STATE", agent.flush)
                self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])
                # the next messages go without it, until it changes
                self.assertEqual(BARE, fields(self.polled(agent)))
                self.assertEqual(BARE, fields(self.polled(agent)))
                self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])
                client.set_effective_config({"a": b"2"})
                agent.flush()
                self.assertEqual(["effective_config"], self.last_message()["_parts"])
                agent.stop()

    def test_unavailable_is_waited_for(self):
        """[RCV-01] For the time it names, or for a floor; setters do not break it, and nothing is lost."""
        client = self.client(options={"RETRY_AFTER_MIN_MS": 600})
        agent = self.started(client)
        for number, info in enumerate(({"retry_info": {"retry_after_nanoseconds": 500_000_000}}, {})):
            self.server.next({"error_response": {"type": "Unavailable", "error_message": "later", **info}})
            since = self.now()
            client.set_effective_config({"a": str(number).encode()})
            error = agent.wait("server_error").error
            self.assertIn("UNAVAILABLE", error["text"])
            self.assertGreater(error["retry_in_ms"], 300)
            client.set_description({"service.name": f"changed {number}"})
            agent.poll_now()
            agent.flush()
            # Over WebSocket there is a goodbye between the two.
            first, second = [m for m in self.messages(since) if "agent_disconnect" not in m["_parts"]]
            self.assertEqual(["agent_description", "effective_config"], sorted(second["_parts"]))
            self.assertGreaterEqual(second["_at_ms"] - first["_at_ms"], 495)

    def test_unavailable_without_a_time_is_half_a_minute_at_least(self):
        """[RCV-01] As shipped; nothing that the host does sends meanwhile."""
        agent = self.started(options={"RETRY_AFTER_MIN_MS": 30_000, "RETRY_AFTER_JITTER_MS": 30_000})
        self.server.next({"error_response": {"type": "Unavailable"}})
        agent.poll_now()
        error = agent.wait("server_error").error
        self.assertTrue(30_000 <= error["retry_in_ms"] <= 60_000, error)
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        agent.poll_now()
        agent.report_full_state()
        self.refused("E_TIMEOUT", agent.flush, 300)
        self.assertEqual("retry_after", agent.snapshot()["next_reason"])
        self.assertEqual([], [m for m in self.messages(since) if "agent_disconnect" not in m["_parts"]])


class Filters(Stage):
    def test_what_no_capability_covers_is_not_delivered(self):
        """[RCV-05] [RCV-13] Nor answered, and it does not hinder the rest of its message."""
        agent = self.started()
        for name, answer in NOT_FOR_US.items():
            with self.subTest(name):
                self.server.next(answer, alone=False)
                self.assertEqual(BARE, fields(self.exchange(agent)))
                self.assertEqual(BARE, fields(self.exchange(agent)))
        self.assertEqual([], [e for e in self.told(agent) if e.kind == "message"])
        self.assertEqual([], [e for e in agent.events if e.kind in ("warning", "connect_failed", "server_error")])

    def test_a_restart_command_without_the_capability_hides_nothing(self):
        """[RCV-13] [RCV-06] Also one of an unknown type."""
        agent = self.started()
        for number, command in enumerate(({"type": "Restart"}, {"type": 77})):
            self.server.offer({"main": str(number).encode()})
            self.server.next({"command": command}, alone=False)
            agent.poll_now()
            offer = agent.wait("message")
            self.assertEqual({"main": ("", str(number).encode())}, offer.files)
            agent.apply(offer)
            agent.flush()

    def test_a_message_of_all_that_is_foreign_changes_nothing(self):
        """[RCV-05] [RCV-13] Only the offer that the agent takes is delivered."""
        agent = self.started()
        everything = {}
        for answer in NOT_FOR_US.values():
            everything.update(answer)
        self.server.offer({"main": b"x"})
        self.server.next(everything, alone=False)
        agent.poll_now()
        self.assertEqual(1, agent.wait("message").parts)

    def test_unknown_fields_values_and_flags_do_no_harm(self):
        """[RCV-06]"""
        client = self.client()
        agent = self.started(client)
        self.server.faults("rcv-06-unknown-fields.json")
        self.server.offer({"main": b"x"})
        agent.poll_now()
        offer = agent.wait("message")
        self.assertEqual({"main": ("", b"x")}, offer.files)
        agent.apply(offer)
        agent.flush()
        self.exchange(agent)
        self.assertEqual([], [e for e in agent.events if e.kind in ("warning", "connect_failed", "server_error")])
        # An error of an unknown type is UNKNOWN.
        self.server.next({"error_response": {"type": 99, "error_message": "?"}})
        agent.poll_now()
        self.assertIn("UNKNOWN", agent.wait("server_error").error["text"])

    def test_a_message_without_a_uid_is_for_this_agent(self):
        """[RCV-12]"""
        agent = self.started()
        file = delimited(1, delimited(1, b"main") + delimited(2, delimited(1, b"x")))
        raw = delimited(3, delimited(1, file) + delimited(2, b"h1"))
        self.server.post("next", {"raw_hex": raw.hex()})
        agent.poll_now()
        offer = agent.wait("message")
        self.assertEqual(({"main": ("", b"x")}, b"h1", raw), (offer.files, offer.hash, offer.raw))


class Foreign(Stage):
    # What the agent rightly did not hear asked for the full state.
    pardoned = ("SYNC-04",)

    def test_a_message_for_another_agent_is_not_processed(self):
        """[RCV-09] It confirms nothing, delivers nothing, and is told and logged."""
        client = self.client()
        agent = self.started(client, log_level=2)
        self.server.offer({"main": b"x"})
        self.server.next({"instance_uid": FOREIGN, "flags": ["ReportFullState"]}, alone=False)
        since = self.now()
        client.set_effective_config({"a": b"1"})
        error = agent.wait(self.useless).error
        self.assertEqual("protocol", error["kind"])
        self.assertIn("another instance uid", error["text"])
        self.refused_to_confirm(agent, since)
        lines = [e.log[1] for e in self.told(agent) if e.kind == "log"]
        self.assertTrue(any("another instance uid" in line for line in lines), lines)

    def refused_to_confirm(self, agent, since):
        agent.flush()
        self.assertEqual([["effective_config"]] * 2, [m["_parts"] for m in self.messages(since)][:2])

    def test_the_former_uid_is_accepted_until_the_new_one_was_used(self):
        """[RCV-09]"""
        client = self.client()
        agent = self.started(client)
        former, new = uid_text(client.uid), bytes(range(0x40, 0x50))
        # Answers to the former uid are good as long as the new one never came ..
        self.server.next({"agent_identification": {"new_instance_uid": uid_text(new)}})
        self.server.next({"instance_uid": former}, times=3, alone=True)
        agent.poll_now()
        agent.wait("new_uid")
        while len(self.messages()) < 5:
            self.exchange(agent)
        self.assertEqual([], [e for e in agent.events if e.kind == "connect_failed"])
        # .. and foreign afterwards.
        self.exchange(agent)
        self.server.next({"instance_uid": former}, alone=True)
        agent.poll_now()
        self.assertIn("another instance uid", agent.wait(self.useless).error["text"])


class Malformed(Stage):
    def test_broken_messages_are_told_and_the_agent_goes_on(self):
        """[RCV-10] [LOG-01]"""
        client = self.client(options={"FIELD_LIMIT": 1000})
        agent = self.started(client)
        for body, kind in (("garbage", "decode"), ("truncated", "decode"), ("invalid_utf8", "decode"),
                           ({"nested": 200}, "decode"), ({"many_fields": 4000}, "size"),
                           ({"hex": "ffffffffffffffffffff01"}, "decode"), ({"hex": "5affffffff0f"}, "decode")):
            with self.subTest(body):
                self.server.faults({"rules": [{"do": {"body": body}}]})
                agent.poll_now()
                error = agent.wait(self.useless).error
                self.assertEqual(kind, error["kind"], error)
                self.recovered(agent)
        self.exchange(agent)

    def test_deep_nesting_does_not_end_the_process(self):
        """[RCV-10]"""
        agent = self.started()
        self.server.faults({"rules": [{"do": {"body": {"nested": 1_000_000}}}]})
        agent.poll_now()
        self.assertIn(agent.wait(self.useless).error["kind"], ("decode", "size"))
        self.recovered(agent)

    def test_a_body_of_many_fields_costs_little_memory(self):
        """[RCV-10] Peak memory is at most twice the body and 32 MiB."""
        size = 32 << 20
        told = self.peak({"body": {"many_fields": size}}, self.useless)
        self.assertEqual("size", told["kind"])
        self.assertLess(told["grown"] << 10, 2 * size + (32 << 20))

    def test_a_large_body_costs_little_memory(self):
        """[RCV-10] One that is taken, with fields just below their limit and one large file."""
        empty = delimited(3, delimited(1, b"".join(delimited(1, delimited(1, b"%d" % n)) for n in range(9_000))))
        self.server.offer({"large": bytes(24 << 20)})
        told = self.peak({"body": {"size": 40 << 20}}, "message")
        self.assertLess(told["grown"] << 10, 2 * (40 << 20) + (32 << 20))
        self.server.delete("config")
        told = self.peak({"body": {"hex": empty.hex()}}, "message")
        self.assertLess(told["grown"] << 10, 2 * len(empty) + (32 << 20))

    def peak(self, do, kind):
        """What the answer that is spoiled so adds to the memory of a process, in KiB, and the kind of its error."""
        child = Child(self, """
            agent = started()
            before = status_kib("VmRSS")
            reset_peak()
            say(ready=True)
            hear()
            agent.poll_now()
            event = agent.wait(sys.argv[2], timeout=30)
            say(grown=status_kib("VmHWM") - before, kind=event.error and event.error["kind"])
            """, self.server.endpoint, kind)
        child.line()
        self.server.faults({"rules": [{"do": do}]})
        child.tell()
        return child.line(30)


if __name__ == "__main__":
    unittest.main()
