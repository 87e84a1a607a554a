"""A host process of its own: a script that has the binding at hand and tells JSON lines."""
import json
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRELUDE = """
import ctypes, gc, json, os, signal, sys, threading, time
sys.path.insert(0, {here!r})

def say(**what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

def hear():
    return sys.stdin.readline().strip()

def status_kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))

def reset_peak():
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")

def threads():
    names = {{}}
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{{task}}/comm") as comm:
                names[int(task)] = comm.read().strip()
        except (FileNotFoundError, ProcessLookupError):
            pass
    return names

def descriptors():
    return {{int(name) for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{{name}}")}}

endpoint = sys.argv[1] if len(sys.argv) > 1 else None
"""
AGENTS = """
from binding import *
from stage import ALL, NEVER, QUICK

def client(options=None, capabilities=ALL, endpoint=endpoint, **more):
    return Client(endpoint, capabilities=capabilities, options={**QUICK, **(options or {})}, **more)

def started(interval_ms=NEVER, **more):
    agent = Agent(client(**more), interval_ms).start()
    agent.wait("connected")
    agent.flush()
    return agent
"""


class Child:
    """Started at once and killed at the end of the test; `env` is laid over ours."""

    def __init__(self, test, script, *arguments, with_agents=True, env=None, ends_by_itself=False):
        text = PRELUDE.format(here=str(HERE)) + (AGENTS if with_agents else "") + textwrap.dedent(script)
        self.test = test
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", text, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=HERE, env={**os.environ, **(env or {})}, start_new_session=True)
        self.pid = self.process.pid
        self.buffer = b""
        test.addCleanup(self.end)

    def line(self, timeout=15.0):
        """The next thing it says."""
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"the child said nothing within {timeout} s")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                code = self.process.wait(10)
                raise AssertionError(f"the child ended with {code}: {self.process.stderr.read().decode()}")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def tell(self, text=""):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, timeout=15.0):
        """Its exit status and what it wrote to standard output and standard error beyond its lines."""
        out, error = self.process.communicate(timeout=timeout)
        return self.process.returncode, (self.buffer + out).decode(), error.decode()

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)
        while stat_state(self.pid) != "T":
            os.sched_yield()

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def stat_state(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


class Shim:
    """Clocks that the test moves and a look-up that it holds, in a child started with `env` (see shim.c)."""

    def __init__(self, test):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        library, self.path = Path(folder.name) / "shim.so", Path(folder.name) / "page"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, HERE / "shim.c", "-ldl"],
                       check=True)
        self.path.write_bytes(bytes(4096))
        file = os.open(self.path, os.O_RDWR)
        self.page = mmap.mmap(file, 4096)
        os.close(file)
        test.addCleanup(self.page.close)
        self.env = {"LD_PRELOAD": str(library), "OPAMP_TEST_PAGE": str(self.path)}

    def put(self, at, value):
        self.page[8 * at:8 * at + 8] = struct.pack("q", value)

    def number(self, at):
        return struct.unpack("q", self.page[8 * at:8 * at + 8])[0]

    def pass_hours(self, hours):
        """All clocks go on: the process was frozen, or the time just passed."""
        self.put(0, self.number(0) + int(hours * 3600e9))

    def suspend_hours(self, hours):
        """Only the clock goes on that counts a machine's sleep."""
        self.put(1, self.number(1) + int(hours * 3600e9))

    def set_wall_clock(self, seconds):
        """So many seconds since 1970, or before."""
        self.put(4, int(seconds - time.time()))

    def hold_lookups(self, on):
        self.put(2, int(on))

    def lookups(self):
        """How many look-ups were begun."""
        return self.number(3)
