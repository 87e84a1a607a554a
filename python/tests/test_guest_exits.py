"""A guest in a process that ends: under traffic, without a stop, a thousand times; in sub-interpreters; and after a freeze."""
import concurrent.futures
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from guest import Host, PRELUDE, WHOLE, environment, sessions

from opamp.testing import Devserver

# CI runs the thousand.
INTERPRETERS = int(os.environ.get("OPAMP_TEST_INTERPRETERS") or (1000 if os.environ.get("CI") == "true" else 100))
MOST_S = 2.0

# Each ends in another way, and at another moment of its agent's life: before it is connected, between two messages, in one.
ENDING = """
import random
number = int(sys.argv[1])
agent = agent_of()
agent.start()
if number % 3:
    agent.flush(20)
time.sleep(random.Random(number).random() / 20)
os.write(1, b"ending at %f" % time.monotonic())
if number % 5 == 1:
    sys.exit(3)
if number % 5 == 2:
    raise KeyError("on purpose")
if number % 5 == 3:
    os._exit(4)
if number % 5 == 4:
    del agent
"""
STATUS = {1: 3, 2: 1, 3: 4}


class Exits(unittest.TestCase):
    def test_interpreters_that_end_under_traffic_without_a_stop_neither_crash_nor_hang(self):
        """[GUEST-06] [LIFE-01] However they end. The goodbye of a normal end is the last message."""
        def ended(number):
            command = [sys.executable, "-S", "-c", PRELUDE + ENDING, str(number)]
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            took = time.monotonic() - float(done.stdout.rpartition(" ")[2] or "nan")
            return number, done.returncode, took, done.stderr

        with Devserver() as server, concurrent.futures.ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
            env = environment(server)
            for number, status, took, said in pool.map(ended, range(INTERPRETERS)):
                self.assertEqual(status, STATUS.get(number % 5, 0), (number, said))
                self.assertLess(took, MOST_S, (number, said))
                self.assertIn("KeyError" if number % 5 == 2 else "", said)
                self.assertEqual(bool(said), number % 5 == 2, said)
            self.assertEqual(server.problems(), [])

    def test_a_signal_ends_it_at_once(self):
        """[GUEST-06] SIGTERM at its default, SIGINT as Python has it, and one that a handler turns into an end."""
        # Whoever runs the tests in the background has SIGINT ignored.
        script = PRELUDE + "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nif sys.argv[1] == 'handled':\n    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nagent_of().start()\ntime.sleep(60)"
        for how, number, status, goodbyes in (("default", signal.SIGTERM, -15, 0), ("default", signal.SIGINT, -2, 1), ("handled", signal.SIGTERM, 5, 1)):
            with self.subTest(how, number=number), Devserver() as server, Host(server, sys.executable, "-c", script, how) as host:
                server.wait("heartbeats>=3", timeout=30)
                begin = time.monotonic()
                self.assertEqual(host.end(number)[0], status)
                self.assertLess(time.monotonic() - begin, MOST_S)
                if goodbyes:
                    server.wait("disconnected")
                [(_, said, _, _)] = sessions(server).values()
                self.assertEqual(said, goodbyes)


class Freezes(unittest.TestCase):
    def test_a_process_that_was_stopped_goes_on_without_a_burst(self):
        """[LIFE-12] What was flushed before is known; afterwards its messages keep the interval."""
        script = PRELUDE + """
agent = OpAMPAgent(interval=1, callbacks=OpAMPCallbacks(), client=client_of())
agent.start()
agent._client.update_effective_config({"a": "flushed"}, "text/plain")
assert agent.flush(20)
os.kill(os.getpid(), 19)
time.sleep(60)
"""
        with Devserver() as server, Host(server, sys.executable, "-c", script) as host:
            server.wait("part=effective_config", timeout=30)
            os.waitid(os.P_PID, host.process.pid, os.WSTOPPED | os.WNOWAIT)
            since = server.call("GET", "")["next"]
            with self.assertRaises(AssertionError):
                server.wait("messages>=1", since=since, timeout=2.5)  # several intervals
            host.process.send_signal(signal.SIGCONT)
            server.wait("messages>=1", since=since, timeout=3)
            server.wait("messages>=4", since=since, timeout=10)
            times = [entry["at_ms"] for entry in server.timeline(kind="received", since=since)]
            # Those that were due meanwhile would come at once; a busy machine may delay one by a part of an interval.
            self.assertGreater(min(late - early for early, late in zip(times, times[1:])), 500)
            self.assertEqual(server.problems(), [])


# 3.13 has the first isolated ones into which ctypes can be loaded; they may have no daemon threads.
INSIDE = """
import sys, threading
sys.path.insert(0, %r)
import opamp
heard = threading.Event()
class Callbacks(opamp.OpAMPCallbacks):
    def on_connect(self, agent, client):
        heard.set()
agent = opamp.OpAMPAgent(interval=0.02, callbacks=Callbacks(), client=opamp.OpAMPClient(
    endpoint=%r, timeout_millis=20000, agent_identifying_attributes={"service.name": "inside"}))
agent.start()
assert agent.flush(20)
assert heard.wait(20)
if %d:
    agent.stop()
"""
OUTSIDE = """
import sys
try:
    import _interpreters as interpreters
    isolated = "isolated"
except ImportError:
    import _xxsubinterpreters as interpreters
    isolated = False
for number in range(6):
    one = interpreters.create(isolated) if isolated else interpreters.create(isolated=False)
    failed = interpreters.run_string(one, sys.argv[1 + number % 2])
    assert failed is None, failed
    interpreters.destroy(one)
"""


def interpreter(minor):
    """A Python of that version that is here."""
    found = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
    return found[-1] if found else sys.executable if sys.version_info[:2] == (3, minor) else None


class SubInterpreters(unittest.TestCase):
    maxDiff = None

    def test_they_have_agents_of_their_own_and_end_with_them(self):
        """[GUEST-06] Isolated ones, too; with a stop and without."""
        pythons = [python for python in (interpreter(minor) for minor in (12, 13, 14)) if python]
        if not pythons:
            self.skipTest("no Python 3.12 or newer")
        for python in pythons:
            with self.subTest(python=python), Devserver() as server:
                package = str(Path(__file__).resolve().parents[1])
                inside = [INSIDE % (package, server.endpoint, stops) for stops in (1, 0)]
                done = subprocess.run([python, "-c", OUTSIDE, *inside], env=environment(server), capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.assertEqual(list(sessions(server).values()), [WHOLE] * 6)


if __name__ == "__main__":
    unittest.main()
