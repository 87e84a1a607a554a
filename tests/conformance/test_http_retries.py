"""What comes after a failure, and when."""
import email.utils
import time

from binding import Client
from stage import NEVER
from wire import LAG_MS, WireStage

SOON = {"RETRY_AFTER_MIN_MS": 0, "RETRY_AFTER_JITTER_MS": 0, "FIRST_RETRY_MAX_MS": 20, "BACKOFF_BASE_MS": 20,
        "BACKOFF_MAX_MS": 40}


class RetryAfter(WireStage):
    """429 and 503: the server says when."""

    def put_off(self, name, options=None, **changes):
        """An agent that would speak all the time meets that fault; the error it tells."""
        rule = self.fault_file(name, **changes)
        agent = self.agent(self.client(options={**SOON, **(options or {})}), interval_ms=20).start()
        error = self.failure(agent)
        self.assertEqual("http_status", error["kind"])
        self.assertEqual(429 if "429" in rule or "overflow" in rule else 503, error["status"])
        # whatever the host does meanwhile
        agent.poll_now()
        agent.report_full_state()
        agent.client.set_description({"service.name": "conformance", "changed": True})
        agent.client.set_effective_config({"a": b"1"})
        agent.client.set_header("Authorization", "Bearer fresh")
        agent.set_interval(10)
        return agent, error

    def wait_ms(self):
        """From the answer that put it off to the next request, by the server's clock."""
        first, second = self.wait_requests(2, timeout="20s")
        self.assertEqual(["agent_description", "effective_config"], sorted(second["parts"]))
        return second["at_ms"] - self.answers()[0]["at_ms"]

    def test_seconds(self):
        """[HTTP-10]"""
        for name in ("http-10-retry-after-seconds", "http-10-retry-after-429"):
            with self.subTest(name):
                agent, error = self.put_off(name)
                self.assertLessEqual(error["retry_in_ms"], 2000)
                self.assertEqual("retry_after", agent.snapshot()["next_reason"])
                self.assertGreaterEqual(self.wait_ms(), 2000)
                agent.stop()
                self.server.delete("timeline")

    def test_a_date(self):
        """[HTTP-10]"""
        agent, error = self.put_off("http-10-retry-after-date")
        sent = dict(self.answers()[0]["http"]["headers"])
        asked = email.utils.parsedate_to_datetime(sent.get("Retry-After") or sent["retry-after"]).timestamp()
        self.wait_requests(2, timeout="20s")
        self.assertGreaterEqual(time.time(), asked)

    def test_what_makes_no_sense_is_absent(self):
        """[HTTP-10]"""
        for kind in ("past", "negative", "garbage", "absent"):
            with self.subTest(kind):
                # then the floor for a server that names no time holds
                agent, error = self.put_off(f"http-10-retry-after-{kind}", {"RETRY_AFTER_MIN_MS": 700})
                self.assertLessEqual(error["retry_in_ms"], 700)
                self.assertGreaterEqual(error["retry_in_ms"], 600)
                self.assertGreaterEqual(self.wait_ms(), 699)
                agent.stop()
                self.server.delete("timeline")

    def test_an_absurd_value_is_capped(self):
        """[HTTP-10]"""
        # The server believes that it is still to be left alone.
        self.pardoned = ("HTTP-10",)
        for kind in ("absurd", "overflow"):
            with self.subTest(kind):
                agent, error = self.put_off(f"http-10-retry-after-{kind}", {"RETRY_AFTER_MAX_MS": 600})
                self.assertLessEqual(error["retry_in_ms"], 600)
                self.assertGreaterEqual(self.wait_ms(), 599)
                agent.stop()
                self.server.delete("timeline")

    def test_the_backoff_grows_where_no_time_is_named(self):
        """[HTTP-10]"""
        self.fault({"status": 503}, times=4)
        options = {**SOON, "BACKOFF_BASE_MS": 400, "BACKOFF_MAX_MS": 1600}
        agent = self.agent(self.client(options=options), interval_ms=20).start()
        agent.wait("connected")
        tries = self.requests()
        self.assertEqual([200, 400], [least for least, gap in zip((200, 400), self.gaps(tries)[1:]) if gap >= least])

    def test_half_a_minute_and_a_spread_by_default(self):
        """[HTTP-10]"""
        def error_of(name):
            self.fault_file(name)
            client = Client(self.server.endpoint)
            self.addCleanup(client.unref)
            agent = self.agent(client, interval_ms=20).start()
            error = self.failure(agent)
            agent.stop()
            return error["retry_in_ms"]
        # one without a time, one of two seconds, one of 30 years
        self.assertTrue(29_000 <= error_of("http-10-retry-after-absent") <= 60_000)
        named = [error_of("http-10-retry-after-seconds") for _ in range(5)]
        self.assertTrue(all(1000 <= wait <= 32_000 for wait in named), named)
        self.assertGreater(len(set(named)), 1)
        self.assertGreater(max(named), 2000)
        self.assertTrue(3_599_000 <= error_of("http-10-retry-after-absurd") <= 3_630_000)

    def test_stop_does_not_break_it(self):
        """[HTTP-10] [LIFE-01]"""
        agent = self.started(options=SOON, interval_ms=20)
        self.fault({"status": 503, "retry_after": 60})
        agent.wait("connect_failed")
        agent.stop()
        self.assertNotIn("agent_disconnect", [part for entry in self.requests() for part in entry["parts"]])
        # what a restart keeps too
        agent.start()
        self.stays_silent(self.requests()[-1]["index"] + 1, "300ms")
        self.assertEqual("retry_after", agent.snapshot()["next_reason"])


class NextPoll(WireStage):
    """Answers that would only be repeated."""

    pardoned = ("HTTP-05",)
    INTERVAL = 800

    def refused_once(self, name, interval_ms=INTERVAL):
        agent = self.agent(self.client(options=SOON), interval_ms)
        self.fault_file(name)
        return agent.start(), self.failure(agent)

    def assert_next_poll(self, agent):
        """The host's changes do not hasten it; it repeats what was not confirmed."""
        agent.client.set_effective_config({"a": b"1"})
        agent.poll_now()
        first, second = self.wait_requests(2)
        self.assertGreaterEqual(second["at_ms"] - first["at_ms"], self.INTERVAL * 0.9 - LAG_MS)
        self.assertEqual(["agent_description", "effective_config"], sorted(second["parts"]))

    def test_client_errors_wait_for_the_next_poll(self):
        """[HTTP-11]"""
        for status in (400, 401, 403, 404):
            with self.subTest(status):
                agent, error = self.refused_once(f"http-11-{status}")
                self.assertEqual(("http_status", status), (error["kind"], error["status"]))
                self.assertIn(str(status), error["text"])
                self.assertIn(f"why {status}", error["text"])
                self.assert_next_poll(agent)
                agent.stop()
                self.server.delete("timeline")

    def test_other_client_errors_too(self):
        """[HTTP-11]"""
        for status in (402, 405, 406, 410, 415, 418, 422, 426, 451, 499):
            with self.subTest(status):
                self.fault({"status": status, "body": {"text": "x" * 100_000}})
                agent = self.agent(self.client(options=SOON), NEVER).start()
                error = self.failure(agent)
                self.assertEqual(status, error["status"])
                self.assertLess(len(error["text"]), 400)
                self.assertGreater(error["retry_in_ms"], 0.8 * NEVER)
                agent.stop()

    def test_new_headers_are_tried_at_once(self):
        """[HTTP-11]"""
        for status in (401, 403):
            with self.subTest(status):
                # given an agent that is refused and polls hardly ever
                agent, _ = self.refused_once(f"http-11-{status}", NEVER)
                # when its host has a fresh token
                agent.client.set_header("Authorization", f"Bearer {status}")
                # then it is tried at once
                agent.wait("connected")
                self.assertEqual([[], [f"Bearer {status}"]],
                                 [self.header(entry, "authorization") for entry in self.requests()])
                agent.stop()
                self.server.delete("timeline")

    def test_headers_that_came_during_the_refused_request_are_tried_at_once(self):
        """[HTTP-11]"""
        agent = self.agent(self.client(options=SOON), NEVER)
        self.fault({"wait": "500ms", "status": 401})
        agent.start()
        self.wait_requests(1)
        agent.client.set_header("Authorization", "Bearer fresh")
        agent.wait("connected")
        self.assertEqual([[], ["Bearer fresh"]], [self.header(entry, "authorization") for entry in self.requests()])

    def test_the_next_poll_comes_by_the_interval_that_the_host_sets_meanwhile(self):
        """[HTTP-11] [HTTP-21]"""
        agent, _ = self.refused_once("http-11-404", NEVER)
        agent.set_interval(20)
        agent.wait("connected")

    def test_new_headers_change_nothing_elsewhere(self):
        """[HTTP-11]"""
        agent, _ = self.refused_once("http-11-404", NEVER)
        agent.client.set_header("Authorization", "Bearer fresh")
        self.stays_silent(self.requests()[-1]["index"] + 1)

    def test_unexpected_success_confirms_nothing(self):
        """[HTTP-19]"""
        for status in (201, 202, 203, 206):
            with self.subTest(status):
                agent, error = self.refused_once(f"http-19-{status}")
                self.assertEqual(status, error["status"])
                self.assertIn("unexpected", error["text"])
                self.assertNotIn("connected", self.kinds(agent))
                self.assert_next_poll(agent)
                agent.stop()
                self.server.delete("timeline")

    def test_two_hundred_and_two_hundred_four_confirm(self):
        """[HTTP-19] [HTTP-01]"""
        for name in ("http-19-204", "http-19-empty-200"):
            with self.subTest(name):
                self.fault_file(name)
                agent = self.started()
                self.assertEqual([], self.exchange(agent)["_parts"])
                self.assertNotIn("connect_failed", self.kinds(agent))
                agent.stop()


class Backoff(WireStage):
    """Failures of the way, and of the server itself."""

    # A first try within 50 ms, then tops of 300 and 600 ms.
    GROWING = {"FIRST_RETRY_MAX_MS": 50, "BACKOFF_BASE_MS": 300, "BACKOFF_MAX_MS": 100_000}

    def assert_grows(self, name, kind, status=0, tries=None, **more):
        """Three failures, each told, each with a longer wait; then all is said once more and well."""
        rule = self.fault_file(name)
        agent = self.agent(self.client(options=self.GROWING), **more).start()
        errors = self.failures(agent, 3)
        agent.wait("connected")
        agent.flush()
        self.server.wait(f"fault={rule}")
        for number, error in errors.items():
            self.assertIn(error["kind"], kind.split())
            self.assertEqual(status, error["status"])
            least, most = [(0, 50), (150, 300), (300, 600)][number]
            self.assertLessEqual(error["retry_in_ms"], most)
            self.assertGreaterEqual(error["retry_in_ms"], least - 100)
        gaps = self.gaps((tries or self.requests)())
        self.assertEqual(3, len(gaps))
        self.assertGreaterEqual(gaps[1], 150)
        self.assertGreaterEqual(gaps[2], 300)
        self.assertEqual(["agent_description"], self.requests()[-1]["parts"])
        # a decoded answer ends the row: the next failure counts as the first
        self.fault({"status": 500})
        agent.poll_now()
        self.assertLessEqual(self.failure(agent)["retry_in_ms"], 50)
        agent.wait("connected")

    def test_408(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-408", "http_status", 408)

    def test_500(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-500", "http_status", 500)

    def test_502(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-502", "http_status", 502)

    def test_504(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-504", "http_status", 504)

    def test_garbage_is_no_success(self):
        """[HTTP-12] [HTTP-16]"""
        self.assert_grows("http-12-garbage-200", "decode", 200)

    def test_closed_as_soon_as_accepted(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-accept-and-close", "io connect", tries=self.connections)

    def test_reset_as_soon_as_accepted(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-accept-and-reset", "io connect", tries=self.connections)

    def test_closed_after_the_message(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-dropped", "io")

    def test_reset_after_the_message(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-reset", "io")

    def test_closed_before_the_message_is_read(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-unread", "io")

    def test_cut_in_the_head_of_the_answer(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-cut-head", "io")

    def test_cut_in_the_body_of_the_answer(self):
        """[HTTP-12]"""
        self.assert_grows("http-12-half-an-answer", "io")

    def test_a_server_that_is_away(self):
        """[HTTP-12]"""
        self.server.post("listen", {"listening": False})
        agent = self.agent(self.client(options=self.GROWING)).start()
        bounds = [(0, 50), (50, 300), (200, 600)]
        for number, error in self.failures(agent, len(bounds)).items():
            self.assertEqual("connect", error["kind"])
            least, most = bounds[number]
            self.assertTrue(least <= error["retry_in_ms"] <= most, (number, error))
        # what did not reach the server has used no number
        self.server.post("listen", {"listening": True})
        agent.wait("connected")
        self.assertEqual(0, self.requests()[0]["sequence_number"])

    def test_for_ever_and_never_beyond_the_top(self):
        """[HTTP-12]"""
        # given a server that fails again and again
        self.fault({"status": 500}, times=30)
        options = {"FIRST_RETRY_MAX_MS": 10, "BACKOFF_BASE_MS": 20, "BACKOFF_MAX_MS": 60}
        agent = self.agent(self.client(options=options)).start()
        # then the agent is there when it has come round
        agent.wait("connected", timeout=20)
        for gap in self.gaps(self.requests())[5:]:
            self.assertGreaterEqual(gap, 30)

    def test_the_shipped_figures(self):
        """[HTTP-12]"""
        self.server.post("listen", {"listening": False})
        waits = []
        for _ in range(6):
            client = Client(self.server.endpoint)
            self.addCleanup(client.unref)
            agent = self.agent(client).start()
            waits.append(self.failing(agent)["retry_in_ms"])
            agent.stop()
        self.assertLessEqual(max(waits), 5000)
        self.assertGreater(max(waits) - min(waits), 50, "no spread")
        figures = {"FIRST_RETRY_MAX_MS": 5000, "BACKOFF_BASE_MS": 2000, "BACKOFF_MAX_MS": 300_000,
                   "RETRY_AFTER_MIN_MS": 30_000, "RETRY_AFTER_JITTER_MS": 30_000, "RETRY_AFTER_MAX_MS": 3_600_000}
        self.assertEqual(figures, {name: client.option(name) for name in figures})
