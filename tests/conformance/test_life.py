"""Stop and start, quiet, freezes, what is left behind."""
import ctypes
import os
import threading
import unittest
import uuid

from binding import LIB
from callbacks import CallbackAgent
from child import Child, Shim
from stage import NEVER, Stage, attributes_of, files


class Goodbye(Stage):
    def goodbyes(self, since=0):
        return [m for m in self.messages(since) if "agent_disconnect" in m["_parts"]]

    def test_stop_says_goodbye_once_and_last_with_what_was_pending(self):
        """[LIFE-01]"""
        client = self.client(options={"CHANGE_BURST": 1, "CHANGE_INTERVAL_MS": 3_600_000})
        agent = self.started(client, interval_ms=NEVER)
        client.set_effective_config({"a": b"last words"})
        agent.stop()
        (goodbye,) = self.goodbyes()
        self.assertEqual(self.last_message(), goodbye)
        self.assertEqual({"a": ("", b"last words")}, files(goodbye))
        # Stopping again says nothing, and the server sees the connection end.
        agent.stop()
        agent.free()
        self.wait("closed>=1")
        self.assertEqual(goodbye, self.last_message())

    def test_each_run_says_goodbye_once(self):
        """[LIFE-01] Per stop on HTTP."""
        agent = self.started()
        agent.stop()
        agent.start()
        agent.wait("connected")
        agent.stop()
        self.assertEqual([1, 3], [m["sequence_num"] for m in self.goodbyes()])

    def test_an_exchange_in_flight_is_awaited_first(self):
        """[LIFE-01] [HTTP-06] Never two requests at a time."""
        agent = self.started()
        self.server.faults({"rules": [{"do": {"wait": "300ms"}}]})
        since = self.now()
        agent.poll_now()
        self.wait("messages>=1", since)
        agent.stop()
        entries = [e["kind"] for e in self.server.timeline(since=since) if e["kind"] in ("received", "sent")]
        self.assertEqual(["received", "sent", "received", "sent"], entries)
        self.assertEqual(["agent_disconnect"], self.last_message()["_parts"])

    def test_beyond_the_grace_it_is_cut_without_a_goodbye(self):
        """[LIFE-01] [LIFE-02]"""
        agent = self.started(options={"STOP_GRACE_MS": 200})
        self.server.faults({"rules": [{"do": {"silent": True}}]})
        since = self.now()
        agent.poll_now()
        self.wait("messages>=1", since)
        # A wait shorter than the grace leaves the handle good for another.
        self.refused("E_TIMEOUT", agent.stop, 1)
        agent.stop(1000)
        self.wait("closed>=1", since)
        self.assertEqual([], self.goodbyes())

    def test_a_stop_does_not_pass_a_closed_gate(self):
        """[LIFE-01] Not through a Retry-After, an UNAVAILABLE, or a backoff."""
        slow = {"FIRST_RETRY_MAX_MS": 60_000, "RETRY_AFTER_MIN_MS": 60_000}
        for do in ({"status": 503, "retry_after": 60}, {"status": 500}, {"answer": {
                "error_response": {"type": "Unavailable"}}}):
            with self.subTest(do):
                agent = self.started(options=slow)
                self.server.faults({"rules": [{"do": do}]})
                agent.poll_now()
                agent.wait("connect_failed", "server_error")
                agent.stop(1000)
        self.assertEqual([], self.goodbyes())

    def test_a_server_that_never_answered_hears_no_goodbye(self):
        """[LIFE-01]"""
        self.server.faults({"rules": [{"times": "always", "do": {"silent": True}}]})
        agent = self.agent(options={"STOP_GRACE_MS": 100}).start()
        self.wait("messages>=1")
        agent.stop()
        agent.free()
        # Nor does one that only refused; no gate is closed after a 413.
        self.server.faults({"rules": [{"times": "always", "do": {"status": 413}}]})
        agent = self.agent().start()
        self.assertEqual(413, agent.wait("connect_failed").error["status"])
        agent.stop()
        self.assertEqual([], self.goodbyes())
    def test_after_a_413_the_server_is_there_for_a_goodbye(self):
        """[LIFE-01] [LOG-04] No gate is closed, and nothing of what is held back comes with it."""
        agent = self.started()
        self.server.faults({"rules": [{"do": {"status": 413}}]})
        agent.client.set_effective_config({"a": b"too large"})
        self.assertEqual(413, agent.wait("connect_failed").error["status"])
        self.assertEqual("waiting", agent.snapshot()["state"])
        agent.stop()
        (goodbye,) = self.goodbyes()
        self.assertEqual(["agent_disconnect"], goodbye["_parts"])


class Detach(Stage):
    """Another process goes on under the same instance uid; the server is never told that the agent is gone."""

    # Two processes under one uid are one to the server: their numbers cross, and so do their connections.
    pardoned = ("SYNC-12", "WS-13")
    # The new process.
    successor = """
        import uuid
        mine = client()
        uid = uuid.UUID(sys.argv[2]).bytes
        call(LIB.client_set_instance_uid, mine.handle, uid, len(uid))
        mine.set_effective_config({"a": b"of the new process"})
        agent = Agent(mine, NEVER).start()
        agent.wait("connected")
        agent.flush()
        say(is_connected=True)
        hear()
        agent.stop()
        agent.free()
        """

    def old(self):
        """With a change that its rate limit holds back."""
        agent = self.started(options={"CHANGE_BURST": 1, "CHANGE_INTERVAL_MS": 3_600_000})
        agent.client.set_effective_config({"a": b"last words"})
        return agent

    def shown(self, agent):
        (shown,) = (each for each in self.server.get("agents")["agents"] if each["uid"] == str(uuid.UUID(bytes=agent.client.uid)))
        return shown

    def assert_nobody_is_gone(self, agent):
        reported = [m for m in self.messages() if "effective_config" in m["_parts"] and files(m) == {"a": ("", b"last words")}]
        self.assertEqual(1, len(reported))
        self.assertEqual([], [m for m in self.messages() if "agent_disconnect" in m["_parts"]])
        closes = [e["code"] for e in self.server.timeline(kind="close") if e["way"] == "received"]
        self.assertEqual([1001] if self.transport == "ws" else [], closes)
        self.assertTrue(self.shown(agent)["connected"])

    def test_new_process_connects_before_the_old_leaves(self):
        """[LIFE-16] [LIFE-01] [WS-09] [WS-15]"""
        agent = self.old()
        child = Child(self, self.successor, self.server.endpoint, str(uuid.UUID(bytes=agent.client.uid)))
        self.assertTrue(child.line()["is_connected"])
        agent.detach()
        agent.free()
        self.wait("closed>=1")
        self.assert_nobody_is_gone(agent)
        child.tell()
        self.assertEqual(0, child.wait()[0])
        # Its stop is an end.
        self.assertEqual("AgentDisconnect", self.shown(agent)["gone"]["why"])

    def test_old_process_leaves_before_the_new_connects(self):
        """[LIFE-16] [LIFE-01] [WS-09] [WS-15]"""
        agent = self.old()
        agent.detach()
        # What follows is no stop that makes up for it.
        agent.stop()
        agent.free()
        self.wait("closed>=1")
        child = Child(self, self.successor, self.server.endpoint, str(uuid.UUID(bytes=agent.client.uid)))
        self.assertTrue(child.line()["is_connected"])
        self.assert_nobody_is_gone(agent)
        child.tell()
        self.assertEqual(0, child.wait()[0])


class DetachOverWebSocket(Detach):
    transport = "ws"


class Calls(Stage):
    # A run that was stopped before its first answer says no goodbye, and the next one reports everything.
    pardoned = ("SYNC-02",)

    def test_after_stop_no_callback_runs(self):
        """[LIFE-02] on_stopped has returned before stop answers, and is the last."""
        agent = CallbackAgent(self.client(options={"DELIVER_EVERY_RESPONSE": 1}), 10)
        agent.start()
        agent.wait_call("on_message", 5)
        agent.stop()
        calls = list(agent.calls)
        self.assertEqual(("on_stopped", 0), (calls[-1][0], agent.running))
        self.assertEqual(1, len(agent.of("on_stopped")))
        # Calls that could wake something do not.
        self.refused("E_STATE", agent.poll_now)
        agent.client.set_effective_config({"a": b"1"})
        agent.stop()
        agent.free()
        self.assertEqual(calls, agent.calls)
        self.assertEqual(1, agent.user_freed)

    def test_stop_and_setters_may_be_called_in_a_callback(self):
        """[LIFE-02] A stop there is a request."""
        outcomes = {}

        def in_callback(_):
            client = agent.client
            client.set_effective_config({"a": b"from a callback"})
            client.set_description({"service.name": "from a callback"})
            client.set_header("X-From", "callback")
            agent.set_interval(60_000)
            agent.poll_now()
            agent.snapshot()
            outcomes["request"] = LIB.agent_request_stop(agent.handle)
            outcomes["stop"] = [LIB.agent_stop(agent.handle, timeout) for timeout in (0, 1000, -1)]
            outcomes["start"] = LIB.agent_start(agent.handle, None)

        agent = CallbackAgent(self.client(), NEVER, hooks={"on_connect": in_callback})
        agent.start()
        agent.wait_call("on_stopped")
        agent.stop()
        self.assertEqual({"request": 0, "stop": [LIB.constant("E_TIMEOUT")] * 3, "start": LIB.constant("E_STATE")},
                         outcomes)
        self.assertEqual({"a": ("", b"from a callback")}, files(self.wait("part=effective_config")))
        agent.free()

    def test_free_in_a_callback_is_carried_out_when_it_returned(self):
        """[LIFE-02] And waits for nobody then: the grace of a minute is not used up."""
        client = self.client(options={"STOP_GRACE_MS": 60_000})
        seen = []

        def in_callback(_):
            LIB.agent_free(agent.handle)
            seen.append(agent.user_freed)

        agent = CallbackAgent(client, NEVER, hooks={"on_connect": in_callback})
        agent.start()
        agent.wait_freed()
        self.assertEqual(([0], 1), (seen, agent.user_freed))
        self.wait("disconnected")
        # The client is free for another agent.
        self.started(client)

    def test_calls_from_many_threads_in_any_order(self):
        """[LIFE-02] Each has a clear result, whatever the others do."""
        allowed = {LIB.constant(name) for name in ("OK", "E_STATE", "E_TIMEOUT")}
        client = self.client()
        agent = self.agent(client, 10)
        bad = []

        def storm(seed):
            calls = [lambda: LIB.agent_start(agent.handle, None), lambda: LIB.agent_stop(agent.handle, 5),
                     lambda: LIB.agent_poll_now(agent.handle), lambda: LIB.agent_request_stop(agent.handle),
                     lambda: LIB.agent_stop(agent.handle, 2000),
                     lambda: LIB.agent_set_heartbeat_interval(agent.handle, 10 + seed, None),
                     lambda: LIB.agent_flush(agent.handle, 5, None), lambda: LIB.agent_reconnect(agent.handle),
                     lambda: LIB.agent_report_full_state(agent.handle),
                     lambda: client.set_effective_config({"a": str(seed).encode()}) or 0]
            for step in range(60):
                result = calls[(step * 7 + seed * 3) % len(calls)]()
                if result not in allowed:
                    bad.append(result)

        threads = [threading.Thread(target=storm, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual([], bad)
        self.assertFalse(any(thread.is_alive() for thread in threads))
        agent.stop()
        agent.start()
        agent.flush()

    def test_start_twice_is_an_error_without_effect(self):
        """[LIFE-09]"""
        agent = self.started()
        self.refused("E_STATE", agent.start)
        self.exchange(agent)
        self.assertEqual([0, 1], [m["sequence_num"] for m in self.messages()])


class Arguments(Stage):
    def test_every_argument_is_copied(self):
        """[LIFE-10] What the caller does with its memory afterwards changes nothing."""
        kept = []

        def text(value):
            buffer = ctypes.create_string_buffer(value)
            kept.append(buffer)
            return buffer

        def spoil():
            for buffer in kept:
                ctypes.memset(buffer, ord("!"), ctypes.sizeof(buffer))

        handle, out = ctypes.c_void_p(), ctypes.c_void_p()
        self.assertEqual(0, LIB.client_new(ctypes.cast(text(self.server.endpoint.encode()), ctypes.c_char_p),
                                           ctypes.byref(handle), None))
        self.addCleanup(LIB.client_unref, handle)

        def c(value):
            return ctypes.cast(text(value), ctypes.c_char_p)

        uid = text(bytes(range(1, 17)))
        self.assertEqual(0, LIB.client_set_instance_uid(handle, uid, 16, None))
        self.assertEqual(0, LIB.client_set_header(handle, c(b"X-Kept"), c(b"value"), None))
        self.assertEqual(0, LIB.client_set_user_agent_prefix(handle, c(b"host/1"), None))
        self.assertEqual(0, LIB.client_set_capabilities(handle, 1 | 2 | 4 | 4096 | 8192, None))
        attributes = ctypes.c_void_p()
        LIB.attributes_new(ctypes.byref(attributes))
        LIB.attributes_set_string(attributes, c(b"name"), c(b"value"), None)
        LIB.attributes_set_bytes(attributes, c(b"bytes"), text(b"\x01\x02"), 2, None)
        self.assertEqual(0, LIB.client_set_description(handle, attributes, None, None))
        LIB.attributes_set_string(attributes, c(b"name"), c(b"changed afterwards"), None)
        LIB.attributes_free(attributes)
        config = ctypes.c_void_p()
        LIB.config_map_new(ctypes.byref(config))
        LIB.config_map_add(config, c(b"file"), 4, c(b"text/plain"), text(b"body"), 4, None)
        LIB.client_set_effective_config(handle, config, None)
        self.assertEqual(LIB.constant("E_STATE"), LIB.config_map_add(config, b"late", 4, None, b"", 0, None))
        LIB.config_map_unref(config)
        self.assertEqual(0, LIB.client_set_remote_config_status(handle, text(b"hash"), 4, 3, c(b"why"), 3, None))
        spoil()
        self.assertEqual(0, LIB.agent_new(handle, None, None, None, ctypes.byref(out), None))
        self.addCleanup(LIB.agent_free, out)
        LIB.agent_set_delivery(out, 1, None)
        self.assertEqual(0, LIB.agent_start(out, None))
        sent = text(b"\x1a\x0a\x12\x08\x0a\x01k\x12\x03\x0a\x01v")
        ticket = ctypes.c_uint64()
        self.assertEqual(0, LIB.agent_send(out, sent, len(sent) - 1, 0, ctypes.byref(ticket), None))
        spoil()
        self.assertEqual(0, LIB.agent_flush(out, 5000, None))
        message = self.messages()[0]
        self.assertEqual("01020304-0506-0708-090a-0b0c0d0e0f10", message["instance_uid"])
        headers = dict(message["_http"]["headers"])
        self.assertEqual("value", {k.lower(): v for k, v in headers.items()}["x-kept"])
        self.assertTrue({k.lower(): v for k, v in headers.items()}["user-agent"].startswith("host/1 "))
        told = message["agent_description"]
        late = self.wait_for(agent_description={"non_identifying_attributes": [{"key": "k"}]})
        self.assertEqual({"k": "v"}, attributes_of(late["agent_description"]["non_identifying_attributes"]))
        if "identifying_attributes" in told:
            self.assertEqual({"name": "value", "bytes": b"\x01\x02"}, attributes_of(told["identifying_attributes"]))
        self.assertEqual({"file": ("text/plain", b"body")}, files(message))
        self.assertEqual((b"hash".hex(), "why"), (message["remote_config_status"]["last_remote_config_hash"],
                                                  message["remote_config_status"]["error_message"]))


def switches(name):
    """Voluntary context switches of our threads of that name: each is a wait, so each but the last was woken."""
    total, count = 0, 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as status:
            lines = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
        if lines["Name"].startswith(name):
            total, count = total + int(lines["voluntary_ctxt_switches"]), count + 1
    assert count, f"no thread {name}"
    return total


class Quiet(Stage):
    def beats(self, agent, interval_ms, count):
        """Waits of the worker for so many heartbeats of that interval."""
        agent.set_interval(interval_ms)
        since = self.wait("heartbeats>=1", self.now())["_index"]
        before = switches("opamp-worker")
        self.wait(f"heartbeats>={count}", since + 1, timeout="20s")
        return switches("opamp-worker") - before

    def test_nothing_wakes_an_idle_agent_between_heartbeats(self):
        """[LIFE-04] However long the interval, a heartbeat costs as many waits, and the events thread none."""
        agent = CallbackAgent(self.client(), 20)
        self.addCleanup(agent.free)
        agent.start()
        agent.wait_call("on_connect")
        per_beat = self.beats(agent, 20, 50) / 50
        idle = switches("opamp-events")
        since = self.now()
        slow = self.beats(agent, 2000, 2) / 2
        # One wait for the time, a few for the answer; a tick of 200 ms would be ten more.
        self.assertLessEqual(slow, per_beat + 3)
        self.assertLessEqual(slow, 6)
        self.assertEqual(idle, switches("opamp-events"))
        self.assertLessEqual(len(self.messages(since)), 5)


FREEZABLE = """
agent = Agent(client(), int(sys.argv[2])).start()
agent.wait("connected")
agent.flush()
say(ready=True)
hear()
agent.drain()
say(kinds=[event.kind for event in agent.events], connections=agent.snapshot()["connections"])
"""


class Frozen(Stage):
    # One for each WebSocket connection, one for all over HTTP.
    kinds = ["connected"]

    def frozen(self, interval_ms):
        shim = Shim(self)
        child = Child(self, FREEZABLE, self.server.endpoint, str(interval_ms), env=shim.env)
        child.line()
        return shim, child

    def nothing_comes(self, since, milliseconds):
        with self.assertRaises(AssertionError):
            self.server.wait("messages>=1", since=since, timeout=f"{milliseconds}ms")

    def check_calm(self, since, interval_ms):
        """After the first message the next ones keep the interval."""
        last = self.wait("messages>=4", since)
        times = [m["_at_ms"] for m in self.messages(since)][:4]
        for early, late in zip(times, times[1:]):
            self.assertGreaterEqual(late - early, interval_ms * 0.8)
        return last

    def test_a_process_that_was_frozen_for_hours_polls_within_a_second(self):
        """[LIFE-12] No burst, and no event for the connection that died meanwhile."""
        shim, child = self.frozen(400)
        child.freeze()
        shim.pass_hours(3)
        since = self.now()
        self.server.post("connections", {"how": "reset"})
        self.nothing_comes(since, 800)
        since = self.now()
        child.thaw()
        self.server.wait("messages>=1", since=since, timeout="1s")
        self.check_calm(since, 400)
        child.tell()
        self.assertEqual(self.kinds, child.line()["kinds"])

    def test_an_exchange_that_a_freeze_ended_is_repeated_in_silence(self):
        """[LIFE-12]"""
        shim, child = self.frozen(400)
        self.server.faults({"rules": [{"do": {"silent": True}}]})
        since = self.now()
        lost = self.wait("messages>=1", since)
        child.freeze()
        shim.pass_hours(3)
        self.server.post("connections", {"how": "reset"})
        since = self.now()
        child.thaw()
        again = self.wait("messages>=1", since, timeout="1s")
        self.assertEqual(lost["sequence_num"] + 1, again["sequence_num"])
        self.check_calm(since, 400)
        child.tell()
        self.assertEqual(self.kinds, child.line()["kinds"])

    def test_after_a_suspend_the_rest_of_the_wait_is_the_most(self):
        """[LIFE-12] The clock that counts the sleep jumps, the wait of the kernel goes on."""
        shim, child = self.frozen(700)
        since = self.wait("messages>=1", self.now())["_index"] + 1
        shim.suspend_hours(5)
        self.server.post("connections", {"how": "close"})
        self.server.wait("messages>=1", since=since, timeout="1s")
        self.check_calm(since, 700)
        child.tell()
        told = child.line()
        self.assertEqual(self.kinds, told["kinds"])
        self.assertGreaterEqual(told["connections"], 2)


class Flush(Stage):
    def test_flush_is_ok_once_all_is_confirmed(self):
        """[LIFE-12] Not before the answer has come."""
        client = self.client()
        agent = self.started(client)
        self.server.faults({"rules": [{"name": "slow", "do": {"wait": "300ms"}}]})
        client.set_effective_config({"a": b"1"})
        self.refused("E_TIMEOUT", agent.flush, 50)
        agent.flush()
        kinds = [e["kind"] for e in self.server.timeline(since=self.wait("part=effective_config")["_index"])]
        self.assertEqual(["received", "sent"], [kind for kind in kinds if kind not in ("ping", "pong")])
        self.assertEqual(0, agent.snapshot()["pending"])
        # Nothing to confirm is confirmed.
        agent.flush(100)

    def test_flush_times_out_while_the_server_is_away(self):
        """[LIFE-12]"""
        client = self.client()
        agent = self.started(client)
        self.server.post("listen", {"listening": False})
        client.set_effective_config({"a": b"1"})
        self.refused("E_TIMEOUT", agent.flush, 100)
        self.server.post("listen", {"listening": True})
        agent.flush()

    def test_flush_says_at_once_that_a_part_is_held_back(self):
        """[LIFE-12] And is good again when the part changed."""
        client = self.client()
        agent = self.started(client)
        self.server.next({"error_response": {"type": "BadRequest", "error_message": "no"}})
        client.set_effective_config({"a": b"1"})
        self.refused("E_STATE", agent.flush, 60_000)
        self.refused("E_STATE", agent.flush, 60_000)
        client.set_effective_config({"a": b"2"})
        agent.flush()
        agent.stop()
        self.refused("E_STATE", agent.flush)


class Remains(Stage):
    def test_runs_leave_no_thread_no_descriptor_and_no_memory(self):
        """[LIFE-07] Loading, running, stopping, unloading, with a server and without one."""
        self.server.offer({"a": b"1", "b": ("text/plain", bytes(5000))})
        child = Child(self, """
            import _ctypes
            libc = ctypes.CDLL(None)
            class Info(ctypes.Structure):
                _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd",
                            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]
            libc.mallinfo2.restype = Info

            def used():
                gc.collect()
                info = libc.mallinfo2()
                return info.uordblks + info.hblkhd

            bare = threads(), descriptors()
            import binding
            from binding import *
            from stage import ALL, NEVER, QUICK
            def run(number):
                target = endpoint if number % 3 else "http://127.0.0.1:1/"
                with Client(target, capabilities=ALL, options={**QUICK, "STOP_GRACE_MS": 0}) as client:
                    agent = Agent(client, NEVER).start()
                    fd = ctypes.c_int32()
                    LIB.agent_poll_fd(agent.handle, ctypes.byref(fd))
                    if number % 3 == 0:
                        agent.wait("connect_failed")
                    else:
                        offer = agent.wait("message")
                        client.set_effective_config(offer.files)
                        agent.apply(offer, "FAILED", "why")
                        agent.flush()
                    agent.snapshot()
                    if number % 2:
                        agent.stop()
                    agent.free()
            def runs(count):
                for number in range(count):
                    run(number)
            runs(50)
            # The allocator itself keeps more for a while; what leaks grows with every batch.
            grown = []
            while len(grown) < 12 and min(grown, default=9999) >= 60 * 16:
                before = used()
                runs(60)
                grown.append(used() - before)
            after = threads(), descriptors()
            handle = binding.LIB.dll._handle
            _ctypes.dlclose(handle)
            say(grown=grown, threads=[len(bare[0]), len(after[0]), len(threads())],
                descriptors=[sorted(bare[1]), sorted(after[1]), sorted(descriptors())])
            """, self.server.endpoint, with_agents=False,
                      env={"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"})
        told = child.line(60)
        self.assertEqual([1, 1, 1], told["threads"])
        bare, *others = told["descriptors"]
        self.assertEqual([bare] * 2, others)
        # 16 bytes, the smallest allocation, left behind by each run would be seen.
        self.assertLess(min(told["grown"]), 60 * 16, told)
        self.assertEqual(0, child.wait()[0])

    def test_a_lookup_under_way_is_left_alone_and_ends_by_itself(self):
        """[LIFE-07] [LIFE-03] [GUEST-02]"""
        shim = Shim(self)
        shim.hold_lookups(True)
        child = Child(self, """
            agent = Agent(client(), NEVER).start()
            hear()
            blocked = {}
            for task, name in threads().items():
                with open(f"/proc/self/task/{task}/status") as status:
                    blocked[name] = next(line.split()[1] for line in status if line.startswith("SigBlk"))
            began = time.monotonic()
            agent.stop(2000)
            took = time.monotonic() - began
            agent.free()
            say(blocked=blocked, took=took, left=sorted(threads().values()))
            hear()
            while len(threads()) > 1:
                os.sched_yield()
            say(left=sorted(threads().values()))
            """, self.server.endpoint.replace("127.0.0.1", "localhost"), env=shim.env)
        self.until(shim.lookups)
        child.tell()
        told = child.line()
        self.assertIn("opamp-dns", told["left"])
        self.assertEqual(1, len([name for name in told["left"] if name.startswith("opamp")]))
        self.assertLess(told["took"], 1.0)
        for name, mask in told["blocked"].items():
            if name.startswith("opamp"):
                self.assert_all_blocked(mask)
        shim.hold_lookups(False)
        child.tell()
        self.assertEqual(1, len(child.line()["left"]))

    def assert_all_blocked(self, mask):
        # All but SIGKILL, SIGSTOP and the two that glibc keeps for itself.
        free = {9, 19, 32, 33}
        missing = {n for n in range(1, 65) if not int(mask, 16) >> (n - 1) & 1}
        self.assertLessEqual(missing, free)


if __name__ == "__main__":
    unittest.main()
