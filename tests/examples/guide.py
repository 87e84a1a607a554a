"""The programs of docs/c.md, compiled and run as they stand there, by run.py."""
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/conformance"))
from devserver import Devserver  # noqa: E402

GUIDE = (ROOT / "docs/c.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "target/release"
CC = os.environ.get("CC", "cc")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
# What is no program would have to say so: every block of C in the guide begins with its name.
BLOCKS = re.findall(r"^```c\n(.*?)^```$", GUIDE, re.M | re.S)
PROGRAMS = {re.match(r"/\* (\w+)\.c\b", block).group(1): block for block in BLOCKS}


class GuideTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="opamp-guide-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name)
        self.server = Devserver().__enter__()
        self.addCleanup(self.server.__exit__)

    def built(self, name):
        program = self.work / name
        (self.work / f"{name}.c").write_text(PROGRAMS[name], encoding="utf-8")
        subprocess.run([CC, *WARNINGS, "-I", ROOT / "include", f"{program}.c", "-o", program,
                        f"-L{LIBRARY}", "-lopamp", f"-Wl,-rpath,{LIBRARY}", "-ldl"], check=True)
        return program

    def start(self, name, *arguments):
        command = [self.built(name), self.server.endpoint, *arguments]
        process = subprocess.Popen(command, cwd=self.work, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        """By the end of its input; what it printed."""
        said, _ = process.communicate(timeout=20)
        self.assertEqual(0, process.returncode)
        return said

    def applies(self, name, *arguments):
        """Given an offer that its first response brings."""
        self.server.offer({"agent.yaml": b"a: 1"})
        process = self.start(name, *arguments)
        self.server.wait("status=APPLIED:offered")
        return process

    def goodbyes(self):
        messages = [entry.get("message", {}) for entry in self.server.timeline()]
        return sum("agent_disconnect" in message for message in messages)

    def test_every_program_is_run(self):
        tested = {name[len("test_"):] for name in dir(self) if name.startswith("test_")}
        self.assertEqual(set(), set(PROGRAMS) - tested)
        self.assertGreater(len(PROGRAMS), 7)

    def test_thread(self):
        self.end(self.applies("thread"))
        self.server.wait("disconnected")

    def test_poll(self):
        self.assertEqual("1 offers\n", self.end(self.applies("poll")))
        self.server.wait("disconnected")

    def test_events(self):
        self.assertEqual("a: 1\n", self.end(self.applies("events")))
        self.server.wait("disconnected")

    def test_keep(self):
        self.end(self.applies("keep"))
        first = self.server.wait("disconnected")["entry"]
        since = self.server.get("timeline")["next"]
        process = self.start("keep")
        second = self.server.wait("full", since=since)["entry"]
        self.assertEqual(first["agent"], second["agent"])
        self.assertIn("remote_config_status", second["message"])
        self.end(process)
        sent = self.server.timeline(kind="sent", since=since)
        self.assertEqual([], [it for it in sent if "remote_config" in json.dumps(it)])

    def test_daemon(self):
        process = self.start("daemon")
        child = int(self.end(process))
        try:
            self.server.wait("full")
        finally:
            os.kill(child, signal.SIGTERM)
        self.server.wait("disconnected")

    def test_reload(self):
        process = self.start("reload")
        first = self.server.wait("full")["entry"]
        since = self.server.get("timeline")["next"]
        process.send_signal(signal.SIGHUP)
        second = self.server.wait("full", since=since)["entry"]
        self.assertEqual(first["agent"], second["agent"])
        self.assertEqual(0, self.goodbyes())
        process.send_signal(signal.SIGTERM)
        self.server.wait("disconnected")
        self.assertEqual(1, self.goodbyes())
        self.end(process)

    def test_supervise(self):
        process = self.applies("supervise", "sleep", "60")
        self.assertEqual(b"a: 1", (self.work / "config").read_bytes())
        self.end(process)
        since = self.server.offer({"agent.yaml": b"a: 2"})["since"]
        failed = self.start("supervise", "false")
        self.server.wait("status=FAILED:offered", since=since)
        self.end(failed)

    def test_load(self):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(LIBRARY)}
        said = subprocess.run([self.built("load")], env=environment, check=True,
                              capture_output=True, text=True).stdout
        self.assertRegex(said, r"^header 0x[0-9a-f]+, library \d+\.\d+\.\d+\n$")

    def test_transport(self):
        process = self.start("transport", str(self.server.port))
        self.server.wait("full")
        self.end(process)
        self.server.wait("disconnected")

    @unittest.skipIf(importlib.util.find_spec("cffi") is None, "no cffi")
    def test_the_block_of_cffi(self):
        block = re.search(r"^```python\n(.*?)^```$", GUIDE, re.M | re.S).group(1)
        files = [LIBRARY / "libopamp.so", ROOT / "include/opamp.ffi.h"]
        done = subprocess.run([sys.executable, "-c", block, *files], check=True,
                              capture_output=True, text=True)
        self.assertIn("ftp", done.stdout)
