"""A process that says JSON lines on its standard output, read as they come; the example agent is one."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

from loopback import QUIET_PORTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
AGENT = ROOT / "build/examples/agent"


def quiet_port():
    """One that nobody is given while its server is away."""
    for port in random.sample(QUIET_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError as error:
                refusal = error
    raise refusal


def option(name, value):
    """Arguments for the example agent: a number of the library, by its name in the header."""
    header = (ROOT / "include/opamp.h").read_text(encoding="utf-8")
    number = re.search(rf"\bOPAMP_OPTION_{name} = (\d+)", header)
    return ["--option", f"{number.group(1)}={value}"]


class Child:
    """Started at once; what it says to standard error goes to `log`."""

    def __init__(self, command, log, **more):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as err:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=err, **more)
        self.lines = []
        self.has_ended = False
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            said["at"] = time.monotonic()
            with self.news:
                self.lines.append(said)
                self.news.notify_all()
        with self.news:
            self.has_ended = True
            self.news.notify_all()

    def now(self):
        """How much was said so far: from there on things are news."""
        with self.news:
            return len(self.lines)

    def said(self, name=None, since=0):
        with self.news:
            return [line for line in self.lines[since:] if name in (None, line["event"])]

    def wait(self, condition, since=0, timeout=15.0):
        """The first line of that event's name, or that fulfils the condition."""
        fulfils = condition if callable(condition) else lambda line: line["event"] == condition
        end = time.monotonic() + timeout
        with self.news:
            while True:
                for line in self.lines[since:]:
                    if fulfils(line):
                        return line
                left = end - time.monotonic()
                if left <= 0 or self.has_ended:
                    why = "it ended" if self.has_ended else f"not within {timeout} s"
                    raise AssertionError(f"{condition} did not come: {why}\n{self.tail()}")
                self.news.wait(left)

    def tail(self):
        """What it said last, for the text of a failure."""
        lines = [json.dumps(line) for line in self.lines[-12:]]
        return "\n".join(line if len(line) < 400 else line[:400] + " ..." for line in lines) + "\n" + self.errors()[-2000:]

    def errors(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tell(self, command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def stop(self, number=signal.SIGTERM, timeout=20):
        """(exit status, seconds until the end)"""
        begin = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout)
        seconds = time.monotonic() - begin
        self.reader.join(timeout)
        return status, seconds

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stdin.close()
        self.process.stdout.close()


def without_proxies():
    """The environment, but for what would lead an agent elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class Agent(Child):
    """The example agent, its configurations below `work`; None leaves it at the interval of the library."""

    def __init__(self, work, endpoint, *arguments, interval_ms=50, env=(), **more):
        self.folder = work / "config"
        command = [AGENT, "--json", "--endpoint", endpoint, "--config-dir", self.folder, *arguments]
        command += [] if interval_ms is None else ["--interval-ms", interval_ms]
        super().__init__(command, work / "agent.log", env={**without_proxies(), **dict(env)}, **more)

    def live(self):
        """{name: bytes} of the configuration that is live on the disk."""
        root = self.folder / "current"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
