"""A good guest in the host's process."""
import ctypes
import os
import select
import threading
import unittest

from binding import LIB
from callbacks import CallbackAgent
from child import Child
from stage import NEVER, Stage, files


class Loading(Stage):
    def test_loading_does_nothing(self):
        """[GUEST-01] No thread, no descriptor, no signal handler, no environment variable read, nothing printed."""
        child = Child(self, """
            def signals():
                with open("/proc/self/status") as status:
                    return {line.split()[0]: line.split()[1] for line in status if line.startswith("Sig")}

            libc = ctypes.CDLL(None)
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
            environ = ctypes.c_void_p.in_dll(libc, "environ")
            path = os.environ.get("OPAMP_LIBRARY") or endpoint
            before = threads(), descriptors(), signals()
            # Reading the environment is a crash from here on.
            good, trap = environ.value, libc.mmap(None, 4096, 0, 0x22, -1, 0)
            environ.value = trap
            library = ctypes.CDLL(path)
            environ.value = good
            after = threads(), descriptors(), signals()
            # The trap is one: a child that reads falls into it.
            child = os.fork()
            if child == 0:
                environ.value = trap
                libc.getenv(b"HOME")
                os._exit(0)
            ended = os.waitpid(child, 0)[1]
            say(same=before == after, before=[str(x) for x in before], after=[str(x) for x in after],
                trapped=os.WIFSIGNALED(ended) and os.WTERMSIG(ended))
            """, LIB.path, with_agents=False)
        told = child.line()
        self.assertEqual(11, told["trapped"])
        self.assertTrue(told["same"], told)
        self.assertEqual((0, "", ""), child.wait())

    def test_making_and_starting_an_agent_installs_no_handler(self):
        """[GUEST-01] [GUEST-02] The host's signals stay as they are."""
        child = Child(self, """
            def signals():
                # Without 32 and 33, which glibc takes for itself when the first thread is made.
                with open("/proc/self/status") as status:
                    return [int(line.split()[1], 16) & ~(3 << 31) for line in status
                            if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
            before = signals()
            agent = started()
            during = signals()
            agent.free()
            say(same=before == during == signals())
            """, self.server.endpoint)
        self.assertTrue(child.line()["same"])


class Threads(Stage):
    # Requests for full state get lost on the way.
    pardoned = ("SYNC-04",)

    def test_threads_have_names_and_every_signal_blocked_and_descriptors_close_on_exec(self):
        """[GUEST-02]"""
        child = Child(self, """
            from callbacks import CallbackAgent
            own = descriptors()
            agent = CallbackAgent(client(), NEVER)
            agent.start()
            agent.wait_call("on_connect")
            blocked = {}
            for task, name in threads().items():
                with open(f"/proc/self/task/{task}/status") as status:
                    mask = next(line.split()[1] for line in status if line.startswith("SigBlk"))
                if task != os.getpid():
                    blocked[name] = mask
            other = Agent(client(), NEVER).start()
            fd = ctypes.c_int32()
            LIB.agent_poll_fd(other.handle, ctypes.byref(fd))
            other.wait("connected")
            flags = {}
            for number in descriptors() - own:
                with open(f"/proc/self/fdinfo/{number}") as info:
                    flags[number] = next(line.split()[1] for line in info if line.startswith("flags"))
            say(blocked=blocked, flags=flags)
            """, self.server.endpoint)
        told = child.line()
        self.assertEqual({"opamp-worker", "opamp-events"}, set(told["blocked"]))
        for name, mask in told["blocked"].items():
            missing = {n for n in range(1, 65) if not int(mask, 16) >> (n - 1) & 1}
            # SIGKILL and SIGSTOP can not be; 32 and 33 are glibc's own.
            self.assertLessEqual(missing, {9, 19, 32, 33}, name)
        # Two sockets, two wake descriptors, one that is polled.
        self.assertGreaterEqual(len(told["flags"]), 5)
        for number, flags in told["flags"].items():
            self.assertTrue(int(flags, 8) & os.O_CLOEXEC, number)

    def test_no_broken_pipe_signal_reaches_the_host(self):
        """[GUEST-02] Whatever the peer does to its end, with the signal at its default."""
        self.server.faults({"rules": [
            {"match": {"every": 3}, "times": "always", "do": {"drop": "reset_unread"}},
            {"match": {"every": 4}, "times": "always", "do": {"drop": "unread"}},
            {"match": {"every": 5}, "times": "always", "do": {"close": "reset"}},
            {"match": {"every": 7}, "times": "always", "do": {"drop": "reset_unanswered"}},
            {"on": "connection", "match": {"every": 4}, "times": "always", "do": {"accept": "reset"}}]})
        child = Child(self, """
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            own = client(options={"CHANGE_BURST": 1000})
            body = bytes(2 << 20)
            agent = Agent(own, 10).start()
            failures = 0
            for number in range(60):
                own.set_effective_config({"a": body + str(number).encode()})
                agent.poll_now()
                if number % 4 == 0:
                    agent.wait("connected", "connect_failed", timeout=30)
            while agent.snapshot()["attempts"] < 100:
                agent.next_event(50)
            say(failed=sum(e.missed + 1 for e in agent.events if e.kind == "connect_failed"))
            hear()
            """, self.server.endpoint)
        self.assertGreater(child.line(60)["failed"], 5)
        child.tell()
        self.assertEqual(0, child.wait()[0])


class Callbacks(Stage):
    def test_a_stuck_callback_stops_nothing_and_the_newest_of_each_kind_waits(self):
        """[GUEST-04] Heartbeats go on, calls of other threads return, and callbacks come one at a time."""
        entered, release = threading.Event(), threading.Event()

        def stuck(_):
            entered.set()
            release.wait(30)

        client = self.client()
        agent = CallbackAgent(client, 20, hooks={"on_connect": stuck})
        self.addCleanup(agent.free)
        self.addCleanup(release.set)
        agent.start()
        self.assertTrue(entered.wait(10))
        since = self.now()
        self.wait("heartbeats>=20", since)
        for number in range(30):
            since = self.server.offer({"main": str(number).encode()})["since"]
            self.wait("offered", since)
            self.wait("messages>=1", since)
        # No lock is held: every call from elsewhere returns.
        client.set_effective_config({"a": b"meanwhile"})
        client.set_header("X-Meanwhile", "1")
        agent.set_interval(10)
        agent.flush()
        self.assertLessEqual(agent.snapshot()["events_waiting"], 12)
        self.assertEqual({"a": ("", b"meanwhile")}, files(self.wait("part=effective_config")))
        self.assertEqual(["on_connect"], [name for name, _, _ in agent.calls])
        release.set()
        _, offered = agent.wait_call("on_message")
        self.assertEqual({"main": ("", b"29")}, offered)
        agent.stop()
        self.assertEqual(1, len(agent.of("on_message")))
        self.assertEqual(1, agent.most_at_once)
        self.assertEqual(1, len({thread for _, thread, _ in agent.calls}))
        self.assertNotIn(threading.get_native_id(), {thread for _, thread, _ in agent.calls})

    def test_callbacks_are_serial_under_load(self):
        """[GUEST-04]"""
        agent = CallbackAgent(self.client(options={"DELIVER_EVERY_RESPONSE": 1}), 10)
        self.addCleanup(agent.free)
        agent.start()
        callers = [threading.Thread(target=lambda: [agent.poll_now() for _ in range(200)]) for _ in range(4)]
        for caller in callers:
            caller.start()
        agent.wait_call("on_message", 50)
        for caller in callers:
            caller.join(30)
        agent.stop()
        self.assertEqual(1, agent.most_at_once)


class Poll(Stage):
    def descriptor(self, agent):
        fd = ctypes.c_int32(-1)
        self.assertEqual(0, LIB.agent_poll_fd(agent.handle, ctypes.byref(fd)))
        return fd.value

    def is_readable(self, fd, seconds=0.0):
        return bool(select.select([fd], [], [], seconds)[0])

    def test_callbacks_run_in_dispatch_only(self):
        """[GUEST-05] On the thread that calls it."""
        agent = CallbackAgent(self.client(options={"DELIVER_EVERY_RESPONSE": 1}), 10, delivery="POLL", log_level=4)
        self.addCleanup(agent.free)
        agent.start()
        self.wait("heartbeats>=10")
        self.assertEqual([], agent.calls)
        self.assertGreater(agent.dispatch(), 0)
        agent.stop()
        seen = len(agent.calls)
        self.assertNotIn("on_stopped", [name for name, _, _ in agent.calls])
        while "on_stopped" not in [name for name, _, _ in agent.calls]:
            agent.dispatch(1000)
        self.assertEqual({threading.get_native_id()}, {thread for _, thread, _ in agent.calls})
        self.assertGreater(len(agent.calls), seen)
        self.assertEqual("on_stopped", agent.calls[-1][0])
        self.refused("E_STATE", agent.dispatch)
        names = os.listdir("/proc/self/task")
        self.assertNotIn("opamp-events", [open(f"/proc/self/task/{t}/comm").read().strip() for t in names])

    def test_the_descriptor_is_readable_exactly_while_something_waits(self):
        """[GUEST-05]"""
        agent = self.agent().start()
        fd = self.descriptor(agent)
        for _ in range(3):
            self.assertTrue(self.is_readable(fd, 10))
            # It is level-like: looking changes nothing.
            self.assertTrue(self.is_readable(fd))
            agent.drain()
            self.assertFalse(self.is_readable(fd))
            self.server.faults({"rules": [{"do": {"status": 500}}]})
            agent.poll_now()
        agent.wait("connected")
        agent.drain()
        # Heartbeats that tell nothing raise nothing.
        agent.set_interval(10)
        since = self.now()
        self.wait("heartbeats>=10", since)
        self.assertFalse(self.is_readable(fd))
        self.assertEqual(fd, self.descriptor(agent))
        # one of two events taken: something still waits
        self.server.offer({"main": b"x"})
        self.server.faults({"rules": [{"do": {"status": 500}}]})
        agent.poll_now()
        self.until(lambda: agent.snapshot()["events_waiting"] >= 3)
        for left in (2, 1, 0):
            agent.next_event()
            self.assertEqual(left > 0, self.is_readable(fd))
        agent.stop()
        self.assertTrue(self.is_readable(fd))
        self.assertEqual("stopped", agent.next_event().kind)
        self.assertFalse(self.is_readable(fd))
        # and through a restart
        agent.start()
        self.assertTrue(self.is_readable(fd, 10))
        self.assertEqual(fd, self.descriptor(agent))

    def test_thread_delivery_has_no_descriptor_and_no_dispatch(self):
        """[GUEST-05]"""
        agent = CallbackAgent(self.client(), NEVER)
        self.addCleanup(agent.free)
        fd = ctypes.c_int32(-1)
        self.assertEqual(LIB.constant("E_STATE"), LIB.agent_poll_fd(agent.handle, ctypes.byref(fd)))
        self.refused("E_STATE", agent.dispatch)
        self.refused("E_STATE", agent.next_event)


if __name__ == "__main__":
    unittest.main()
