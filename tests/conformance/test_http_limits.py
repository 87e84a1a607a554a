"""Messages that are too large, either way."""
import os

from binding import LIB
from protobuf import delimited
from stage import snapshot_number
from wire import WireStage

MIB = 1 << 20
SMALL = 4096
PARTS = {name: LIB.constant("PART_" + name) for name in ("DESCRIPTION", "EFFECTIVE_CONFIG", "REMOTE_CONFIG_STATUS")}


def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def reset_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")


class Answers(WireStage):
    def limited(self, limit, **more):
        return self.agent(self.client(options={"MESSAGE_LIMIT_BYTES": limit, **more}))

    def assert_refused(self, agent, limit, status=200):
        """The answer was a size error, was not acted on, and its message is told again."""
        error = self.failure(agent)
        self.assertEqual(("size", "E_TOO_LARGE", status), (error["kind"], error["code"], error["status"]))
        self.assertIn(str(limit), error["text"])
        agent.wait("connected")
        agent.flush()
        first, second = self.requests()[:2]
        self.assertEqual([["agent_description"]] * 2, [first["parts"], second["parts"]])
        self.assertNotIn("message", self.kinds(agent))

    def test_sixty_four_mebibytes_unless_set(self):
        """[HTTP-07] [HTTP-20]"""
        client = self.client()
        self.assertEqual(64 * MIB, client.option("MESSAGE_LIMIT_BYTES"))
        self.fault_file("http-07-oversize-chunked")
        self.assert_refused(self.agent(client).start(), 64 * MIB)

    def test_a_bomb_costs_no_more_than_the_limit(self):
        """[HTTP-07]"""
        # given a compressed answer of 256 MiB
        limit = 8 * MIB
        agent = self.limited(limit)
        self.fault_file("http-07-gzip-bomb", do={"body": {"zeros": 256 * MIB}, "encoding": "gzip"})
        reset_peak()
        before = peak_kib()
        # when it comes
        self.assert_refused(agent.start(), limit)
        # then the process never held more than the limit, and what anything costs
        self.assertLess(peak_kib() - before, (limit >> 10) + 6 * 1024)

    def test_exactly_the_limit_is_accepted(self):
        """[HTTP-20]"""
        for name in ("http-20-exactly-the-limit", "http-20-exactly-the-limit-gzip"):
            for chunked in (False, True):
                with self.subTest(name, chunked=chunked):
                    do = {"body": {"size": MIB}, "chunked": chunked}
                    if name.endswith("gzip"):
                        do["encoding"] = "gzip"
                    self.fault_file(name, do=do)
                    agent = self.limited(MIB).start()
                    agent.wait("connected")
                    agent.flush()
                    self.assertEqual(1, len(self.requests(agent=self.uid_of(agent))))
                    self.assertNotIn("connect_failed", self.kinds(agent))
                    agent.stop()

    def uid_of(self, agent):
        return agent.snapshot()["instance_uid"]

    def test_one_byte_more_is_not(self):
        """[HTTP-07] [HTTP-20]"""
        for name in ("http-20-one-byte-more", "http-20-one-byte-more-chunked"):
            with self.subTest(name):
                self.server.delete("timeline")
                self.fault_file(name)
                agent = self.limited(MIB).start()
                self.assert_refused(agent, MIB)
                agent.stop()

    def test_a_declared_size_is_refused_before_the_body(self):
        """[HTTP-20]"""
        # given a terabyte that is announced and never comes
        self.fault_file("http-20-declared-only")
        agent = self.limited(MIB, FIRST_BYTE_TIMEOUT_MS=60_000).start()
        # then nobody waits for it
        self.assert_refused(agent, MIB)

    def test_a_flood_is_refused_as_soon_as_it_passes_the_limit(self):
        """[HTTP-07] [HTTP-20]"""
        reset_peak()
        before = peak_kib()
        self.fault_file("http-20-endless-flood")
        self.assert_refused(self.limited(MIB).start(), MIB)
        self.assertLess(peak_kib() - before, 6 * 1024)

    def test_status_and_retry_after_of_a_too_large_answer_count(self):
        """[HTTP-20]"""
        # given a 503 that wants two seconds and has a body over the limit
        self.fault_file("http-20-error-status")
        agent = self.limited(MIB).start()
        # then it is a 503, and the two seconds are kept
        error = self.failure(agent)
        self.assertEqual(("http_status", 503), (error["kind"], error["status"]))
        first, second = self.wait_requests(2)
        sent = self.answers()[0]
        self.assertGreaterEqual(second["at_ms"] - sent["at_ms"], 2000)

    def test_an_endless_error_body_is_not_read(self):
        """[HTTP-20]"""
        reset_peak()
        before = peak_kib()
        for status in (500, 404):
            with self.subTest(status):
                self.fault({"status": status, "endless": {"bytes": 65536, "every": "0ms"}})
                agent = self.limited(MIB).start()
                self.assertEqual(status, self.failure(agent)["status"])
                agent.stop()
        self.assertLess(peak_kib() - before, 6 * 1024)


class Reports(WireStage):
    def test_a_report_over_the_limit_stays_here(self):
        """[HTTP-08]"""
        # given an agent with a small limit that polls
        agent = self.started(self.client(options={"MESSAGE_LIMIT_BYTES": SMALL}), interval_ms=50)
        # when its host reports more than that
        since = self.now()
        agent.client.set_effective_config({"large": os.urandom(2 * SMALL)})
        warning = agent.wait("warning").error
        # then the host is told, polls go on at their pace, and nothing else is sent
        self.assertEqual("size", warning["kind"])
        self.assertIn(str(SMALL), warning["text"])
        self.assertEqual(PARTS["EFFECTIVE_CONFIG"], snapshot_number(agent, "HELD_BACK"))
        self.refused("E_STATE", agent.flush)
        entries = self.wait_requests(10, since)
        self.assertEqual([True] * 10, [entry["heartbeat"] for entry in entries])
        self.assert_pace(entries, 50)
        # and one that fits goes out
        agent.client.set_effective_config({"small": b"fits"})
        agent.flush()
        self.wait_for(effective_config={"config_map": {"config_map": {"small": {"body": "fits"}}}})
        self.assertEqual(0, snapshot_number(agent, "HELD_BACK"))
        self.assertEqual(1, self.kinds(agent).count("warning"))
        self.assertNotIn("connect_failed", self.kinds(agent))

    def test_a_message_of_the_host_over_the_limit_is_refused(self):
        """[HTTP-08]"""
        agent = self.started(self.client(options={"MESSAGE_LIMIT_BYTES": SMALL}), interval_ms=50)
        self.refused("E_TOO_LARGE", agent.send, bytes(SMALL + 1))
        agent.flush()

    def test_a_first_report_over_the_limit_does_not_hold_up_the_rest(self):
        """[HTTP-08]"""
        client = self.client(options={"MESSAGE_LIMIT_BYTES": SMALL})
        client.set_effective_config({"large": os.urandom(2 * SMALL)})
        agent = self.agent(client, interval_ms=50).start()
        self.assertEqual("size", agent.wait("warning").error["kind"])
        agent.wait("connected")
        self.server.wait("heartbeats>=2")
        self.assertEqual(["agent_description"], self.requests()[0]["parts"])

    def test_a_message_of_the_host_over_the_limit_ends_as_such(self):
        """[HTTP-08] It fits by itself, and no more once uid and number stand in it."""
        agent = self.started(self.client(options={"MESSAGE_LIMIT_BYTES": SMALL}))
        long = delimited(1, b"service.name") + delimited(2, delimited(1, b"x" * (SMALL - 30)))
        ticket = agent.send(delimited(3, delimited(1, long)))
        self.assertEqual("size", agent.wait("warning").error["kind"])
        done = next(event for event in agent.events + [agent.wait("report_done")] if event.ticket == ticket)
        self.assertIsNotNone(done.error)
        self.assertEqual([], [entry["parts"] for entry in self.requests()[1:] if entry["parts"]])


class Refusals(WireStage):
    """The server refused what a message carried; it is not told again until it changes."""

    def refuse(self, name):
        """An agent whose change was refused, and the index after it."""
        agent = self.started(interval_ms=60)
        self.fault_file(name, match={"part": "effective_config"})
        agent.client.set_effective_config({"a": b"1"})
        self.server.wait(f"fault={name.removeprefix('http-09-')}")
        return agent, self.now()

    def assert_held_back(self, agent, since):
        # polls go on and leave it out
        self.server.wait("heartbeats>=4", since=since)
        self.assertEqual([[]] * 4, [entry["parts"] for entry in self.requests(since=since)[:4]])
        self.assertEqual(PARTS["EFFECTIVE_CONFIG"], snapshot_number(agent, "HELD_BACK"))
        self.refused("E_STATE", agent.flush)
        # other news go alone
        agent.client.set_description({"service.name": "conformance", "other": 1})
        self.assertEqual(["agent_description"], self.wait("part=agent_description", since)["_parts"])
        # the same value again is no change
        agent.client.set_effective_config({"a": b"1"})
        since = self.now()
        self.server.wait("heartbeats>=2", since=since)
        self.assertEqual([[]] * 2, [entry["parts"] for entry in self.requests(since=since)[:2]])
        # a new value goes out
        agent.client.set_effective_config({"a": b"2"})
        self.wait("part=effective_config", since)
        agent.flush()
        self.assertEqual(0, snapshot_number(agent, "HELD_BACK"))

    def test_after_413(self):
        """[HTTP-09]"""
        agent, since = self.refuse("http-09-too-large")
        self.assertEqual(413, agent.wait("connect_failed").error["status"])
        self.assert_held_back(agent, since)

    def test_after_bad_request(self):
        """[HTTP-09]"""
        agent, since = self.refuse("http-09-bad-request")
        error = agent.wait("server_error").error
        self.assertEqual("server", error["kind"])
        self.assertIn("BAD_REQUEST", error["text"])
        self.assertIn("not understood", error["text"])
        self.assert_held_back(agent, since)

    def test_after_unknown(self):
        """[HTTP-09]"""
        agent, since = self.refuse("http-09-unknown")
        self.assertIn("UNKNOWN", agent.wait("server_error").error["text"])
        self.assert_held_back(agent, since)

    def test_a_full_report_brings_it_again(self):
        """[HTTP-09]"""
        for by_host in (True, False):
            with self.subTest(by_host=by_host):
                agent, since = self.refuse("http-09-bad-request")
                agent.wait("server_error")
                if by_host:
                    self.pardoned = ("SYNC-02",)
                    agent.report_full_state()
                else:
                    self.server.next({"flags": ["ReportFullState"]})
                full = self.wait("part=effective_config", since)
                self.assertEqual(["agent_description", "effective_config"], sorted(full["_parts"]))
                agent.flush()
                agent.stop()
