"""How long a stop takes, whatever the agent is doing; and what a start does not wait for."""
import time

from binding import LIB, Client
from child import Child, Shim
from stage import NEVER
from wire import TlsStage, WireStage

# Nothing of what the agent does ends by itself while a test runs.
PATIENT = {name: 60_000 for name in ("RESOLVE_TIMEOUT_MS", "CONNECT_TIMEOUT_MS", "TLS_TIMEOUT_MS",
                                     "FIRST_BYTE_TIMEOUT_MS", "EXCHANGE_TIMEOUT_MS")}
GRACE = 200
# What the library promises beyond the grace: the best of several stops keeps it
# on a busy machine too, each of them ROOM.
PROMISED, ROOM, TIMES = 50, 1500, 5


class Stops:
    def stop_ms(self, agent):
        before = time.monotonic()
        agent.stop(10_000)
        return (time.monotonic() - before) * 1000

    def assert_stops(self, begun, grace=0):
        """`begun` answers an agent in the middle of what holds it up."""
        took = []
        for _ in range(TIMES):
            agent = begun()
            took.append(self.stop_ms(agent))
            self.assertIn("stopped", self.kinds(agent))
        self.assertLess(max(took), grace + ROOM, took)
        self.assertLessEqual(min(took), grace + PROMISED, took)
        if grace:
            # the server is given its time
            self.assertGreaterEqual(min(took), grace - 5, took)
        return took

    def agent_of(self, **options):
        return self.agent(self.client(options={**PATIENT, "STOP_GRACE_MS": GRACE, **options}))

    def goodbyes(self):
        return [entry for entry in self.requests() if "agent_disconnect" in entry["parts"]]


class StopBounds(Stops, WireStage):
    pardoned = ("HTTP-10",)

    def test_while_connecting_to_a_black_hole(self):
        """[LIFE-03]"""
        self.hang()

        def begun():
            agent = self.agent_of().start()
            self.until(lambda: agent.snapshot()["attempts"] == 1)
            return agent
        self.assert_stops(begun)

    def test_while_an_answer_does_not_come(self):
        """[LIFE-03] [LIFE-01]"""
        def begun():
            agent = self.agent_of().start()
            agent.wait("connected")
            self.fault({"silent": True})
            since = self.now()
            agent.poll_now()
            self.server.wait("requests>=1", since=since)
            return agent
        # the exchange is awaited until the end of the grace, then cut without a goodbye
        self.assert_stops(begun, GRACE)
        self.assertEqual([], self.goodbyes())

    def test_while_an_answer_does_not_end(self):
        """[LIFE-03]"""
        for do in ({"endless": {"bytes": 16, "every": "5ms"}}, {"cut": {"after": "head", "how": "stall"}},
                   {"dribble": {"bytes": 1, "every": "50ms"}}):
            with self.subTest(do):
                def begun():
                    agent = self.agent_of().start()
                    agent.wait("connected")
                    self.fault(do)
                    since = self.now()
                    agent.poll_now()
                    self.server.wait("answers>=1", since=since)
                    return agent
                self.assert_stops(begun, GRACE)

    def test_while_a_message_is_not_read(self):
        """[LIFE-03]"""
        def begun():
            agent = self.agent_of().start()
            agent.wait("connected")
            agent.flush()
            self.fault({"wait_before_reading": "60s"})
            agent.client.set_effective_config({"large": bytes(16 << 20)})
            self.until(lambda: agent.snapshot()["attempts"] == 2)
            return agent
        self.assert_stops(begun, GRACE)

    def test_an_answer_within_the_grace_is_awaited(self):
        """[LIFE-03] [LIFE-01]"""
        agent = self.agent_of(STOP_GRACE_MS=20_000).start()
        agent.wait("connected")
        self.fault({"wait": "300ms"})
        since = self.now()
        agent.client.set_effective_config({"a": b"1"})
        self.server.wait("requests>=1", since=since)
        self.stop_ms(agent)
        # then it is followed by the goodbye, and nothing is said twice
        self.assertEqual([["effective_config"], ["agent_disconnect"]],
                         [entry["parts"] for entry in self.requests(since=since)])

    def test_while_a_failure_is_waited_out(self):
        """[LIFE-03]"""
        self.server.post("listen", {"listening": False})

        def begun():
            agent = self.agent_of(FIRST_RETRY_MAX_MS=80_000_000).start()
            agent.wait("connect_failed")
            return agent
        self.assert_stops(begun)

    def test_while_the_server_asked_to_wait(self):
        """[LIFE-03] [LIFE-01]"""
        self.fault({"status": 503, "retry_after": 3600}, times="always")

        def begun():
            agent = self.agent_of().start()
            agent.wait("connect_failed")
            return agent
        self.assert_stops(begun)
        self.assertEqual([], self.goodbyes())

    def test_while_idle(self):
        """[LIFE-03]"""
        def begun():
            return self.started(self.client(options={**PATIENT, "STOP_GRACE_MS": 20_000}))
        # a live connection takes a goodbye, which a good server answers at once
        self.assert_stops(begun)
        self.assertEqual(TIMES, len(self.goodbyes()))

    def test_a_short_wait_does_not_hurt(self):
        """[LIFE-03]"""
        agent = self.agent_of(STOP_GRACE_MS=500).start()
        agent.wait("connected")
        self.fault({"silent": True})
        since = self.now()
        agent.poll_now()
        self.server.wait("requests>=1", since=since)
        # the caller's patience only bounds the caller
        self.refused("E_TIMEOUT", agent.stop, 0)
        self.refused("E_TIMEOUT", agent.stop, 20)
        agent.stop(10_000)
        agent.stop(0)

    def test_free_is_as_quick(self):
        """[LIFE-03]"""
        self.hang()
        took = []
        for _ in range(TIMES):
            agent = self.agent_of().start()
            self.until(lambda: agent.snapshot()["attempts"] == 1)
            before = time.monotonic()
            agent.free()
            took.append((time.monotonic() - before) * 1000)
        self.assertLess(max(took), ROOM, took)
        self.assertLessEqual(min(took), PROMISED, took)


class TlsStopBounds(Stops, TlsStage):
    def test_while_a_server_is_silent_in_the_handshake(self):
        """[LIFE-03]"""
        self.fault({"accept": "silent"}, times="always", on="connection")

        def begun():
            since = self.now()
            agent = self.agent_of().start()
            self.server.wait("connections>=1", since=since)
            return agent
        self.assert_stops(begun)

    def test_while_a_server_is_silent_after_it(self):
        """[LIFE-03]"""
        self.fault({"accept": "silent_after_tls"}, times="always", on="connection")

        def begun():
            since = self.now()
            agent = self.agent_of().start()
            self.server.wait("secured>=1", since=since)
            return agent
        took = [self.stop_ms(begun()) for _ in range(TIMES)]
        self.assertLess(max(took), GRACE + ROOM, took)
        self.assertLessEqual(min(took), GRACE + PROMISED, took)


class LookUps(WireStage):
    def test_while_a_name_is_looked_up(self):
        """[LIFE-03]"""
        # given a host whose look-ups do not return
        shim = Shim(self)
        shim.hold_lookups(True)
        child = Child(self, """
            for turn in range(5):
                agent = Agent(client(endpoint="http://opamp.invalid:4320/v1/opamp",
                                     options={"RESOLVE_TIMEOUT_MS": 60_000, "EXCHANGE_TIMEOUT_MS": 60_000}), NEVER)
                before = time.monotonic()
                agent.start()
                started = time.monotonic()
                say(started_ms=(started - before) * 1000)
                hear()
                before = time.monotonic()
                agent.stop(10_000)
                say(stopped_ms=(time.monotonic() - before) * 1000)
                agent.free()
            """, env=shim.env)
        started, stopped = [], []
        for turn in range(TIMES):
            started.append(child.line()["started_ms"])
            end = time.monotonic() + 10
            while shim.lookups() <= turn:
                self.assertLess(time.monotonic(), end, "no look-up was begun")
            child.tell()
            stopped.append(child.line()["stopped_ms"])
        # then a stop does not wait for one
        self.assertLess(max(stopped), ROOM, stopped)
        self.assertLessEqual(min(stopped), PROMISED, stopped)
        self.assertLess(max(started), ROOM, started)
        shim.hold_lookups(False)
        self.assertEqual(0, child.wait()[0])


class Starts(WireStage):
    def start_ms(self, agent):
        before = time.monotonic()
        agent.start()
        return (time.monotonic() - before) * 1000

    def test_at_once_whatever_the_network_does(self):
        """[LIFE-09]"""
        for is_hanging in (False, True):
            self.server.post("listen", {"listening": False, "hang": is_hanging})
            for scheme in ("http", "https"):
                with self.subTest(scheme, is_hanging=is_hanging):
                    took = []
                    for _ in range(TIMES):
                        client = self.client(options=PATIENT)
                        client.set_endpoint(self.server.endpoint.replace("http", scheme))
                        agent = self.agent(client)
                        took.append(self.start_ms(agent))
                        agent.free()
                    self.assertLess(max(took), ROOM, took)

    def test_a_server_that_comes_up_later_is_joined(self):
        """[LIFE-09]"""
        self.server.post("listen", {"listening": False})
        agent = self.agent().start()
        agent.wait("connect_failed")
        agent.wait("connect_failed")
        self.server.post("listen", {"listening": True})
        agent.wait("connected")
        self.assertEqual([0], [entry["sequence_number"] for entry in self.requests()])

    def test_twice_is_an_error_without_effect(self):
        """[LIFE-09]"""
        agent = self.started()
        error = self.refused("E_STATE", agent.start)
        self.assertTrue(error["text"])
        # neither does a second agent start on that client
        other = self.agent(agent.client)
        self.refused("E_STATE", other.start)
        # then the first one runs as before, on the connection that it had
        self.assertEqual([], self.exchange(agent)["_parts"])
        self.assertEqual(2, len(self.requests()))
        self.assertEqual(1, len(self.connections()))
        # and after its end either may
        agent.stop()
        other.start()
        other.wait("connected")

    def test_what_it_refuses_has_nothing_to_do_with_the_network(self):
        """[LIFE-09]"""
        bare = Client(self.server.endpoint, description=False)
        self.addCleanup(bare.unref)
        agent = self.agent(bare, NEVER)
        self.assertIn("description", self.refused("E_INVALID_ARG", agent.start)["text"])
        self.assertEqual(0, LIB.agent_stop(agent.handle, 0))
        bare.set_description({"service.name": "late"})
        agent.start()
        agent.wait("connected")
