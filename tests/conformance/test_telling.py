"""What the host is told: events, log lines, snapshots."""
import os
import unittest

from binding import LIB, call
from child import Child
from protobuf import delimited
from stage import Stage, files, snapshot_number, uid_text


class Failures(Stage):
    def test_each_failed_attempt_is_one_event(self):
        """[LOG-01] With its kind, HTTP status, a text, and when the next try comes."""
        agent = self.started(interval_ms=200)
        cases = [({"status": 500}, "http_status", 500), ({"status": 404, "body": {"text": "no agents here"}},
                 "http_status", 404), ({"body": "html"}, "decode", 200), ({"drop": "unanswered"}, "io", 0),
                 ({"body": "garbage"}, "decode", None)]
        for do, kind, status in cases:
            with self.subTest(do):
                agent.drain()
                agent.events.clear()
                attempts = agent.snapshot()["attempts"]
                self.server.faults({"rules": [{"times": 3, "do": do}]})
                agent.wait("connected", timeout=5)
                failed = [e.error for e in agent.events if e.kind == "connect_failed"]
                # An exchange that dies on a kept connection is repeated once in silence.
                self.assertEqual(2 if "drop" in do else 3, self.failures(agent), failed)
                for error in failed:
                    self.assertEqual(kind, error["kind"])
                    if status is not None:
                        self.assertEqual(status, error["status"])
                    self.assertTrue(error["text"])
                    self.assertLess(error["retry_in_ms"], 1000)
                self.assertGreaterEqual(agent.snapshot()["attempts"] - attempts, 4)
                if "body" in do and "text" in do["body"]:
                    self.assertIn("no agents here", failed[0]["text"])

    def test_the_next_try_comes_when_it_was_said_to(self):
        """[LOG-01]"""
        agent = self.started(options={"FIRST_RETRY_MAX_MS": 1500})
        self.server.faults({"rules": [{"do": {"status": 500}}]})
        since = self.now()
        agent.poll_now()
        error = agent.wait("connect_failed").error
        agent.wait("connected")
        failed, again = self.messages(since)
        gap = again["_at_ms"] - failed["_at_ms"]
        self.assertTrue(error["retry_in_ms"] - 5 <= gap <= error["retry_in_ms"] + 500, (error, gap))

    def failures(self, agent):
        """Events, and those that they replaced because we were slow to take them."""
        return sum(e.missed + 1 for e in agent.events if e.kind == "connect_failed")

    def test_refused_connections_are_one_event_each(self):
        """[LOG-01] [LOG-04]"""
        self.server.post("listen", {"listening": False})
        agent = self.agent().start()
        while self.failures(agent) < 5:
            event = agent.wait("connect_failed")
            self.assertEqual(("connect", 0), (event.error["kind"], event.error["status"]))
        agent.stop()
        self.assertEqual({"connect_failed", "stopped"}, {e.kind for e in self.told(agent)})
        self.assertEqual(agent.snapshot()["attempts"], self.failures(agent))

    def test_a_waiting_event_counts_those_that_it_replaced(self):
        """[LOG-01] A host that does not look loses none of the count."""
        self.server.post("listen", {"listening": False})
        agent = self.agent().start()
        self.until(lambda: agent.snapshot()["failures"] >= 10)
        event = agent.wait("connect_failed")
        self.assertGreaterEqual(event.missed + 1, 10)


class Reports(Stage):
    def done(self, agent, ticket):
        while (event := agent.wait("report_done")).ticket != ticket:
            pass
        return event.error

    def test_a_message_of_the_host_ends_once(self):
        """Its parts become the client's state; confirmed, or given up after so many tries and why."""
        agent = self.started(options={"BACKOFF_BASE_MS": 2000, "BACKOFF_MAX_MS": 2000})
        part = delimited(1, delimited(1, delimited(1, b"a") + delimited(2, delimited(1, b"1"))))
        self.assertIsNone(self.done(agent, agent.send(delimited(6, part), 1)))
        self.assertEqual({"a": ("", b"1")}, files(self.wait("part=effective_config")))
        self.server.faults({"rules": [{"times": 3, "do": {"status": 500}}]})
        error = self.done(agent, agent.send(b"", 2))
        self.assertEqual(("http_status", 500), (error["kind"], error["status"]))
        # The failure that ended it is told behind its end.
        def failures():
            return sum(e.missed + 1 for e in self.told(agent) if e.kind == "connect_failed")
        self.until(lambda: failures() >= 2)
        self.assertEqual(2, failures())
        # One that is not bounded gets through.
        self.assertIsNone(self.done(agent, agent.send(b"")))
        agent.send(b"")
        agent.drain()
        tickets = [e.ticket for e in agent.events if e.kind == "report_done"]
        self.assertEqual(sorted(set(tickets)), sorted(tickets))

    def test_a_stop_ends_what_waits(self):
        """The completion comes before the end."""
        self.server.faults({"rules": [{"times": "always", "do": {"silent": True}}]})
        agent = self.agent(options={"STOP_GRACE_MS": 50}).start()
        ticket = agent.send(b"")
        agent.stop()
        self.assertEqual("E_STATE", self.done(agent, ticket)["code"])
        self.assertEqual("stopped", agent.next_event().kind)


class Connected(Stage):
    def test_connected_comes_with_the_first_answer_after_start_or_a_failure(self):
        """[LOG-06] And on_message only with something to act on, after it."""
        agent = self.started()
        for _ in range(3):
            self.exchange(agent)
        self.assertEqual(1, self.count(agent, "connected"))
        self.assertEqual(0, self.count(agent, "message"))
        self.server.faults({"rules": [{"do": {"status": 500}}]})
        self.server.offer({"main": b"x"})
        agent.poll_now()
        agent.wait("message")
        self.assertEqual(["connect_failed", "connected", "message"],
                         [e.kind for e in agent.events if e.kind != "report_done"][-3:])
        self.exchange(agent)
        self.assertEqual(2, self.count(agent, "connected"))

    def test_the_first_answer_may_bring_an_offer(self):
        """[LOG-06]"""
        self.server.offer({"main": b"x"})
        agent = self.agent().start()
        agent.wait("message")
        self.assertEqual(["connected", "message"], [e.kind for e in agent.events])

    def test_an_error_comes_in_place_of_the_message(self):
        """[LOG-06] [RCV-01]"""
        agent = self.started()
        offer = {"config": {"config_map": {"main": {"body": "x"}}}, "config_hash": "01"}
        self.server.next({"error_response": {"type": "BadRequest", "error_message": "no"}, "remote_config": offer})
        self.exchange_refused(agent)
        self.assertEqual((1, 0), (self.count(agent, "server_error"), self.count(agent, "message")))

    def test_one_switch_tells_of_every_answer(self):
        """[LOG-06] [LOG-07] Also an empty one."""
        agent = self.agent(options={"DELIVER_EVERY_RESPONSE": 1}).start()
        for number in range(1, 5):
            agent.wait("message")
            self.assertEqual(["connected", "message"] * number, [e.kind for e in agent.events])
            if number == 2:
                self.server.faults({"rules": [{"do": {"body": "empty"}}]})
            agent.poll_now()
        third = [e for e in agent.events if e.kind == "message"][2]
        self.assertEqual((b"", 0, 0), (third.raw, third.parts, third.server_capabilities))

    def test_flags_and_capabilities_can_be_read(self):
        """[LOG-07] After the library acted on them."""
        client = self.client()
        client.set_effective_config({"a": b"1"})
        agent = self.started(client)
        self.server.post("capabilities", {"capabilities": ["AcceptsStatus", "OffersRemoteConfig",
                                                           "AcceptsEffectiveConfig"]})
        offer = {"config": {"config_map": {"main": {"body": "x"}}}, "config_hash": "01"}
        self.server.next({"flags": ["ReportFullState", "ReportAvailableComponents"], "remote_config": offer})
        since = self.now()
        agent.poll_now()
        message = agent.wait("message")
        flag = LIB.constant
        self.assertEqual(flag("MESSAGE_FLAG_REPORT_FULL_STATE") | flag("MESSAGE_FLAG_REPORT_AVAILABLE_COMPONENTS"),
                         message.flags)
        self.assertEqual(flag("SERVER_CAPABILITY_ACCEPTS_STATUS") | flag("SERVER_CAPABILITY_OFFERS_REMOTE_CONFIG")
                         | flag("SERVER_CAPABILITY_ACCEPTS_EFFECTIVE_CONFIG"), message.server_capabilities)
        self.assertEqual(7, agent.snapshot()["server_capabilities"])
        self.wait("full", since)

    def count(self, agent, kind):
        return len([e for e in self.told(agent) if e.kind == kind])

    def exchange_refused(self, agent):
        ticket = agent.send(b"", 1)
        while agent.wait("report_done").ticket != ticket:
            pass


def thread_names():
    return [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]


class Lines(Stage):
    def lines(self, agent):
        return [e.log for e in self.told(agent) if e.kind == "log"]

    def test_lines_come_with_changes_of_state_and_ever_more_rarely(self):
        """[LOG-02] First failure, then the 2nd, 4th, 8th, then the recovery; nothing for heartbeats."""
        self.server.post("listen", {"listening": False})
        agent = self.agent(interval_ms=20, log_level=LIB.constant("LOG_INFO")).start()
        for _ in range(20):
            agent.wait("connect_failed")
        self.server.post("listen", {"listening": True})
        agent.wait("connected")
        self.wait("heartbeats>=20")
        failures = sum(e.missed + 1 for e in agent.events if e.kind == "connect_failed")
        agent.stop()
        lines = self.lines(agent)
        warned = [line for level, line in lines if level == LIB.constant("LOG_WARN")]
        numbers = [int(line.split("attempt failed (")[1].split()[0]) for line in warned]
        expected = [1 << n for n in range(20) if 1 << n <= failures + 1]
        self.assertEqual(expected[:len(numbers)], numbers)
        self.assertIn(16, numbers)
        self.assertEqual(1, len([line for _, line in lines if " failed attempts" in line]), lines)
        self.assertLessEqual(len(lines), 13)

    def test_info_lines_tell_the_story(self):
        """[LOG-09] Exactly these, also where each answer is an event; each names its agent."""
        client = self.client(options={"DELIVER_EVERY_RESPONSE": 1})
        agent = self.agent(client, log_level=LIB.constant("LOG_DEBUG"))
        call(LIB.agent_set_name, agent.handle, b"shop")
        agent.start()
        agent.wait("connected")
        agent.flush()
        self.assertIn("opamp-shop", thread_names())
        hash_ = self.server.offer({"main": b"x"})["hash"]
        agent.poll_now()
        while not (offer := agent.wait("message")).hash:
            pass
        agent.apply(offer)
        agent.flush()
        self.server.next({"connection_settings": {"hash_text": "h", "opamp": {"heartbeat_interval_seconds": 3600}}})
        agent.poll_now()
        self.until(lambda: agent.snapshot()["interval_ms"] == 3_600_000 and agent.snapshot()["pending"] == 0)
        uid = "0192c0de-0000-7000-8000-000000000001"
        self.server.next({"agent_identification": {"new_instance_uid": uid}})
        client.set_effective_config({"main": b"x"})
        agent.wait("new_uid")
        agent.flush()
        agent.stop()
        lines = self.lines(agent)
        self.assertTrue(all(line.startswith("[shop] ") for _, line in lines), lines)
        self.assertEqual([], [line for level, line in lines if level < LIB.constant("LOG_INFO")])
        told = [line.removeprefix("[shop] ") for level, line in lines if level == LIB.constant("LOG_INFO")]
        self.assertRegex(told[0], r"^started: libopamp [0-9.]+, \w+://127.0.0.1:\d+/\S* over \w+, instance uid \S+, capabilities 0x")
        self.assertEqual([
            f"connected to 127.0.0.1:{self.server.port}",
            f"remote configuration offered: 1 files, hash {hash_}",
            f"remote configuration APPLIED: hash {hash_}",
            f"server confirmed remote configuration APPLIED: hash {hash_}",
            "heartbeat interval set by the server: 3600.0 s",
            f"new instance uid assigned by the server: {uid}",
            "stopped",
        ], told[1:])
        # Successful exchanges are for who looks closely.
        self.assertGreater(len([line for level, line in lines if "message received" in line]), 3)

    def test_goodbyes_answer_is_no_connection(self):
        """[LOG-06] [LOG-09] Nothing is told during a stop, also where each answer is an event."""
        agent = self.agent(self.client(options={"DELIVER_EVERY_RESPONSE": 1})).start()
        agent.wait("connected")
        agent.flush()
        self.told(agent)
        agent.events.clear()
        agent.stop()
        agent.wait("stopped")
        self.assertEqual(["stopped"], [event.kind for event in agent.events])

    def test_changed_reason_is_told_with_its_url(self):
        """[LOG-09] A line at WARN for each new reason, at the third failure as well."""
        agent = self.started(log_level=LIB.constant("LOG_WARN"))
        do = [{"status": 500}, {"status": 500}, {"status": 502}, {"status": 502}, {"status": 502}]
        self.server.faults({"rules": [{"on": self.request, "do": each} for each in do]})
        self.lose(agent)
        agent.wait("connected")
        agent.stop()
        lines = [line for _, line in self.lines(agent)]
        self.assertEqual(["500", "500", "502", "502"], [word for line in lines for word in ("500", "502") if word in line], lines)
        self.assertTrue(all(f"://127.0.0.1:{self.server.port}/" in line for line in lines), lines)

    request = "message"

    def lose(self, agent):
        agent.poll_now()

    def test_levels_choose_what_comes(self):
        """[LOG-02]"""
        counts = {}
        for level in ("OFF", "ERROR", "WARN", "INFO", "DEBUG"):
            agent = self.started(log_level=LIB.constant("LOG_" + level))
            self.server.faults({"rules": [{"times": 3, "do": {"status": 500}}]})
            agent.poll_now()
            agent.wait("connected")
            agent.stop()
            lines = self.lines(agent)
            counts[level] = len(lines)
            self.assertTrue(all(number <= LIB.constant("LOG_" + level) for number, _ in lines), lines)
        self.assertEqual((0, 0), (counts["OFF"], counts["ERROR"]))
        self.assertTrue(0 < counts["WARN"] < counts["INFO"] < counts["DEBUG"], counts)

    def test_nothing_is_printed_and_the_callback_is_heard(self):
        """[LOG-02] Silent by default."""
        child = Child(self, """
            LINE = ctypes.CFUNCTYPE(None, ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
            lines = []
            def run():
                agent = Agent(client(), NEVER).start()
                agent.wait("connect_failed")
                agent.stop()
                agent.free()
            run()
            callback = LINE(lambda level, line, user: lines.append((level, line.decode(), user)))
            LIB.set_log_callback(4, ctypes.cast(callback, ctypes.c_void_p), 42)
            run()
            LIB.set_log_callback(0, None, None)
            heard = len(lines)
            run()
            say(heard=heard, after=len(lines), users=list({user for _, _, user in lines}))
            """, "http://127.0.0.1:1/v1/opamp")
        told = child.line()
        code, out, error = child.wait()
        self.assertEqual((0, "", ""), (code, out, error))
        self.assertGreaterEqual(told["heard"], 2)
        self.assertEqual((told["heard"], [42]), (told["after"], told["users"]))


class Snapshots(Stage):
    def test_a_snapshot_tells_where_the_agent_stands(self):
        """[LOG-04]"""
        client = self.client(options={"FIRST_RETRY_MAX_MS": 5000, "STOP_GRACE_MS": 100})
        agent = self.agent(client, 60_000)
        self.assertEqual("stopped", agent.snapshot()["state"])
        agent.start()
        agent.wait("connected")
        agent.flush()
        for _ in range(3):
            self.exchange(agent)
        good = agent.snapshot()
        self.assertEqual(("connected", self.transport, uid_text(client.uid)),
                         (good["state"], good["transport"], good["instance_uid"]))
        self.assertEqual((4, 4, 4 if self.transport == "http" else 1, 0),
                         (good["messages_sent"], good["messages_received"], good["attempts"], good["failures"]))
        self.assertEqual((4, 127, 60_000), (good["sequence_num"], good["server_capabilities"], good["interval_ms"]))
        self.assertEqual((0, 0, 0), (good["pending"], good["held_back"], good["pending_offer"]))
        sizes = [entry["size"] for entry in self.server.timeline(kind="received")]
        self.assertGreater(good["bytes_sent"], sum(sizes))
        self.assertGreater(good["bytes_received"], 0)
        self.assertEqual("heartbeat", good["next_reason"])
        self.assertTrue(50_000 < good["next_ms"] <= 66_000, good)
        self.assertLess(good["last_success_age_ms"], 10_000)
        self.assertNotIn("last_error", good)
        self.assertIn(f":{self.server.port}", good["peer"])
        # when the server goes away and the host changes something
        self.server.post("listen", {"listening": False})
        client.set_effective_config({"a": b"1"})
        agent.wait("connect_failed")
        self.until(lambda: agent.snapshot()["pending"])
        bad = agent.snapshot()
        self.assertEqual(("waiting", "backoff", 1), (bad["state"], bad["next_reason"], bad["failures"]))
        self.assertEqual(LIB.constant("PART_EFFECTIVE_CONFIG"), bad["pending"])
        self.assertLessEqual(bad["next_ms"], 5000)
        self.assertIn("connect", bad["last_error"])
        self.assertIn(bad["last_error_kind"], ("connect", "io"))
        self.assertTrue(self.server.endpoint.startswith(bad["last_error_context"]), bad)
        self.assertLess(bad["last_error_age_ms"], 5000)
        self.assertLess(bad["state_age_ms"], 5000)

    def test_a_snapshot_shows_what_is_held_back(self):
        """[LOG-04] By number as in the JSON text."""
        agent = self.started()
        self.server.next({"error_response": {"type": "BadRequest", "error_message": "no"}})
        agent.client.set_effective_config({"a": b"1"})
        agent.wait("server_error")
        shown = agent.snapshot()
        self.assertEqual((LIB.constant("PART_EFFECTIVE_CONFIG"), 0), (shown["held_back"], shown["pending"]))
        self.assertEqual(shown["held_back"], snapshot_number(agent, "HELD_BACK"))
        self.assertEqual(shown["sequence_num"], snapshot_number(agent, "SEQUENCE_NUM"))
        self.assertEqual(LIB.constant("AGENT_CONNECTED"), snapshot_number(agent, "STATE"))
        self.assertEqual(LIB.constant("TRANSPORT_" + {"http": "HTTP", "ws": "WEBSOCKET"}[self.transport]),
                         snapshot_number(agent, "TRANSPORT"))
        self.assertEqual("no", shown["last_error"])

    def test_events_that_wait_are_counted(self):
        """[LOG-04]"""
        agent = self.agent().start()
        self.wait("messages>=1")
        self.assertEqual(1, self.until(lambda: snapshot_number(agent, "EVENTS_WAITING")))
        agent.wait("connected")
        self.assertEqual(0, snapshot_number(agent, "EVENTS_WAITING"))


if __name__ == "__main__":
    unittest.main()
