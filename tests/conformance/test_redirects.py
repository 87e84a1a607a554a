"""Agents whose server sends them elsewhere."""
import json
import time

from devserver import Devserver
from stage import NEVER
from wire import TlsStage, WireStage


class RedirectStage(WireStage):
    def moved(self, location, times=1, status=307):
        self.fault({"redirect": location, "status": status}, times)

    def told_all(self, agent):
        self.kinds(agent)
        return agent.events


class Redirects(RedirectStage):
    def paths(self):
        return [request["http"]["path"] for request in self.requests()]

    def test_the_message_goes_where_the_server_says(self):
        """[HTTP-13] [HTTP-22] with its method, body and headers; the host is told, and the endpoint stays"""
        for status in (307, 308):
            self.server.delete("timeline")
            self.moved("/elsewhere?x=1", status=status)
            client = self.client()
            client.set_header("Authorization", "Bearer token")
            agent = self.started(client)
            self.exchange(agent)
            agent.stop()
            hop, = [event.redirect for event in agent.events if event.redirect]
            base = self.server.endpoint.removesuffix("/v1/opamp")
            self.assertEqual((self.server.endpoint, f"{base}/elsewhere?x=1", status), hop)
            first, moved, again = self.requests()[:3]
            self.assertEqual(["/v1/opamp", "/elsewhere?x=1", "/v1/opamp"], self.paths()[:3])
            self.assertEqual("POST", moved["http"]["method"])
            self.assertEqual(["Bearer token"], self.header(moved, "Authorization"))
            self.assertEqual(first["message"], moved["message"])
            self.assertEqual(first["message"]["sequence_num"] + 1, again["message"]["sequence_num"])
            self.assertNotIn("connect_failed", self.kinds(agent))
            self.assertEqual(1, agent.snapshot()["connections"])

    def test_a_loop_is_one_failed_try_of_a_bounded_chain(self):
        """[HTTP-13] [HTTP-22] [LOG-01] not retried before the next poll, which begins at the endpoint"""
        self.fault_file("http-13-redirect-loop")
        agent = self.agent(interval_ms=1000, options={"REDIRECT_LIMIT": 3}).start()
        error = self.failure(agent)
        self.assertEqual(("http_status", 308), (error["kind"], error["status"]))
        self.assertIn("more than 3 redirects", error["text"])
        self.assertGreaterEqual(error["retry_in_ms"], 800)
        self.assertEqual(["/v1/opamp"] + ["/moved"] * 3, self.paths())
        self.assertEqual(3, len([event for event in self.told(agent) if event.kind == "redirect"]))
        self.server.delete("faults")
        agent.wait("connected")
        self.assertEqual("/v1/opamp", self.paths()[4])
        agent.stop()

    def test_another_origin_is_followed_only_where_the_host_allowed_it(self):
        """[HTTP-13] [HTTP-22] and without the host's headers"""
        with Devserver() as other:
            location = f"http://127.0.0.1:{other.port}/there"
            for allowed in (False, True):
                self.moved(location, times=2)
                client = self.client()
                client.set_header("Authorization", "Bearer token")
                if allowed:
                    client.allow_redirect_to(f"http://127.0.0.1:{other.port}")
                agent = self.agent(client).start()
                if not allowed:
                    error = self.failure(agent)
                    self.assertIn(f"to 127.0.0.1:{other.port}, which is not allowed", error["text"])
                    self.assertEqual([], other.timeline(kind="received"))
                    agent.stop()
                    self.server.delete("faults")
                    continue
                agent.wait("connected")
                agent.stop()
                entry = other.timeline(kind="received")[0]
                self.assertEqual([], self.header(entry, "Authorization"))
                self.assertEqual("/there", entry["http"]["path"])

    def test_what_a_location_holds_stays_out_of_the_log(self):
        """[LOG-03] [HTTP-22] path and query of a redirect may hold a token: the event has them, the log has not"""
        self.moved("/canary-path?token=canary-query")
        agent = self.started(log_level=4)
        agent.stop()
        told = [event.log[1] for event in self.told_all(agent) if event.log]
        self.assertTrue(any("redirected from" in line for line in told), told)
        for text in told + [json.dumps(agent.snapshot())]:
            self.assertNotIn("canary", text)


class RedirectFloods(RedirectStage):
    # the hops of a try are one message and bear one number
    pardoned = ("SYNC-12",)

    def test_hops_that_nobody_took_are_counted_not_collected(self):
        """[HTTP-22] only those of the newest try wait"""
        self.moved("/moved", times="always")
        agent = self.agent(interval_ms=50, options={"REDIRECT_LIMIT": 2}).start()
        self.wait("requests>=12")
        agent.stop()
        waiting = [event for event in self.told_all(agent) if event.redirect]
        self.assertLessEqual(len(waiting), 2)
        self.assertGreaterEqual(waiting[0].missed, 4)

    def test_a_loop_without_end_is_told_ever_more_rarely(self):
        """[LOG-11] each try meets it; events and lines of three, then of one after 1, 2, 4 .. s"""
        self.moved("/moved", times="always", status=308)
        retries = {"BACKOFF_BASE_MS": 10, "BACKOFF_MAX_MS": 10, "FIRST_RETRY_MAX_MS": 10}
        begin = time.monotonic()
        agent = self.agent(interval_ms=50, log_level=4, options={"REDIRECT_LIMIT": 1, **retries})
        agent.start()
        while agent.snapshot()["attempts"] < 20:
            agent.next_event(100)
        agent.stop()
        told = self.told_all(agent)
        lines = [event.log[1] for event in told if event.log]
        lines = [line for line in lines if "redirected from" in line]
        span = time.monotonic() - begin
        most = 3 + sum(span >= 2 ** number - 1 for number in range(1, 30))
        self.assertIn(len([event for event in told if event.redirect]), range(1, most + 1))
        self.assertIn(len(lines), range(3, most + 1))


class TlsRedirects(TlsStage):
    def test_nothing_leads_from_tls_to_plaintext(self):
        """[HTTP-13] [TLS-01] not even where the host allowed the origin"""
        with Devserver() as plain:
            self.fault({"redirect": f"http://127.0.0.1:{plain.port}/"}, 1)
            client = self.client()
            client.allow_redirect_to(f"http://127.0.0.1:{plain.port}")
            agent = self.agent(client, NEVER).start()
            self.assertIn("from TLS to plaintext", self.failure(agent)["text"])
            agent.stop()
            self.assertEqual([], plain.timeline(kind="received"))
