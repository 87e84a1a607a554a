#!/usr/bin/env python3
"""The programs of examples-c, built as a user builds them: their parts alone, then each against the development server.

usage: tests/examples/run.py [NAME...]        (unittest names, such as AgentTest.test_stops_in_the_middle_of_a_command)
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/conformance"), str(ROOT / "tests")]
sys.dont_write_bytecode = True
import closing  # noqa: E402
from devserver import Devserver  # noqa: E402
from guide import GuideTest  # noqa: E402, F401 (found among the tests of this module)
from loopback import forget_proxies  # noqa: E402

PROGRAMS = ROOT / "build/examples"
CC = os.environ.get("CC", "cc")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
STOP_BOUND = 3.0


class PartsTest(unittest.TestCase):
    """What a user copies, with nothing of the library."""

    def run_c(self, name, *sources):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, name)
            subprocess.run([CC, *WARNINGS, "-g", "-o", program, ROOT / f"tests/examples/{name}.c", *[ROOT / source for source in sources]],
                           check=True)
            work = os.path.join(folder, "work")
            os.mkdir(work)
            subprocess.run([program, work], check=True, timeout=120)

    def test_config_dir(self):
        self.run_c("config_dir_test", *[f"examples-c/{part}.c" for part in ("config_dir", "config_manifest", "config_names", "whole_file")])

    def test_state_file(self):
        self.run_c("state_file_test", "examples-c/state_file.c", "examples-c/whole_file.c")

    def test_command(self):
        self.run_c("command_test", "examples-c/command.c")


class SourcesTest(unittest.TestCase):
    def test_no_call_reads_what_the_call_beside_it_sets(self):
        """Arguments of C are evaluated in any order: in `must(f(&error), error)` the second may be read first."""
        out_and_read = re.compile(r"&(\w+)\)\s*,\s*\1\b")
        files = [ROOT / name for name in subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "--", "*.c", "*.h", "*.cpp", "*.md", "*.txt",
             "src/ffi/*.rs"],
            cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()]
        self.assertGreater(len(files), 50)
        found = [f"{file.relative_to(ROOT)}: {hit.group()}" for file in files if file.exists()
                 for hit in out_and_read.finditer(file.read_text(encoding="utf-8"))]
        self.assertEqual([], found)


class Example:
    """A running example; its standard output is read line by line."""

    def __init__(self, name, *arguments, work):
        self.said = work / f"{name}.out"
        self.log = work / f"{name}.log"
        with open(self.said, "wb") as out, open(self.log, "wb") as err:
            self.process = subprocess.Popen([PROGRAMS / name, *map(str, arguments)], stdin=subprocess.PIPE, stdout=out, stderr=err)

    def text(self):
        return self.said.read_text(encoding="utf-8") + self.log.read_text(encoding="utf-8")

    def events(self):
        lines = self.said.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for(self, words, count=1, seconds=10):
        end = time.monotonic() + seconds
        while self.text().count(words) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{words!r} is not in: {self.text()}")
            os.sched_yield()

    def stop(self, number=signal.SIGTERM):
        """(exit status, seconds until the end)"""
        begin = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - begin

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()


class ServerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="opamp-examples-")
        self.addCleanup(folder.cleanup)
        self.work = pathlib.Path(folder.name).resolve()
        self.server = Devserver().__enter__()
        self.addCleanup(self.server.__exit__)

    def start(self, name, *arguments):
        example = Example(name, *arguments, work=self.work)
        self.addCleanup(example.close)
        return example

    def offer(self, files, wanted):
        """Offers files, waits for the verdict, answers what the server knows of it."""
        offered = self.server.offer(files)
        entry = self.server.wait(f"status={wanted}:{offered['hash']}", since=offered["since"])["entry"]
        return self.server.get(f"agents/{entry['agent']}")["offers"][-1]


class AgentTest(ServerTest):
    def agent(self, *arguments, folder=True):
        self.folder = self.work / "config"
        where = ["--config-dir", self.folder] if folder else []
        since = self.server.get("timeline")["next"]
        example = self.start("agent", "--endpoint", self.server.endpoint, "--interval-ms", "50", "--json", *where, *arguments)
        self.server.wait("part=agent_description", since=since)
        return example

    def states(self, agent):
        return [event["state"] for event in agent.events() if event["event"] == "remote_config_status"]

    def wait_for_instance_id(self, uid, since):
        """The library reports under an assigned uid at once, the example's new description follows."""
        while True:
            entry = self.server.wait("part=agent_description", agent=uid, since=since)["entry"]
            if f'"{uid}"' in json.dumps(entry["message"]["agent_description"]):
                return
            since = entry["index"] + 1

    def wait_for_file(self, path):
        end = time.monotonic() + 10
        while not path.exists():
            self.assertLess(time.monotonic(), end, f"no {path.name}: the command did not start")
            os.sched_yield()

    def script(self, name, text):
        path = self.work / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o700)
        return path

    def live(self):
        root = self.folder / "current"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def assert_stops(self, agent, number=signal.SIGTERM):
        status, seconds = agent.stop(number)
        self.assertEqual(status, 0, agent.text())
        self.assertLess(seconds, STOP_BOUND)

    def test_applies_and_reports_what_is_live(self):
        agent = self.agent()
        files = {"main.yaml": ("text/yaml", b"a: 1\n"), "conf.d/b.bin": b"\0\xff", "empty": b""}
        self.offer(files, "APPLIED")
        self.assertEqual(self.live(), {"main.yaml": b"a: 1\n", "conf.d/b.bin": b"\0\xff", "empty": b""})
        self.server.wait("effective=offered")
        self.offer({"other": b"2"}, "APPLIED")
        self.assertEqual(self.live(), {"other": b"2"})
        self.offer({}, "APPLIED")
        self.assertEqual(self.live(), {})
        self.offer({"": b"nameless"}, "APPLIED")
        self.assertEqual(self.live(), {"config": b"nameless"})
        self.assert_stops(agent)
        self.assertEqual(self.states(agent), ["APPLYING", "APPLIED"] * 4)
        self.assertEqual(agent.events()[-1]["event"], "stopped")
        self.server.wait("disconnected")

    def test_refuses_sets_that_can_not_be_trusted(self):
        self.agent()
        good = {"a": b"good"}
        self.offer(good, "APPLIED")
        bad = [({"/etc/passwd": b""}, "absolute"), ({"../x": b""}, '".."'), ({"a/./b": b""}, '"."'), ({"a//b": b""}, "empty path component"),
               ({"a\\b": b""}, "backslash"), ({"a\x01b": b""}, "control"), ({"a\0b": b""}, "NUL"), ({"x" * 256: b""}, "255"),
               ({"A": b"", "a": b""}, "case"), ({"a": b"", "a/b": b""}, "file and a directory"),
               ({f"f{i}": b"" for i in range(1001)}, "1001 files")]
        for files, reason in bad:
            with self.subTest(reason=reason):
                self.assertIn(reason, self.offer(files, "FAILED")["error_message"])
                self.assertEqual(self.live(), good)
        (self.folder / "current" / "link").symlink_to("/etc")
        self.assertIn("symbolic link", self.offer({"link/x": b""}, "FAILED")["error_message"])

    def test_a_failed_command_leaves_or_brings_back_the_old_set(self):
        validate = self.script("validate", 'test ! -e "$1/invalid" || { echo "line 3: unknown key" >&2; exit 1; }')
        on_change = self.script("on-change", 'test ! -e "$1/unloved" || { echo "reload refused" >&2; exit 2; }')
        self.agent("--validate", validate, "--on-change", on_change)
        good = {"a": b"1"}
        self.offer(good, "APPLIED")
        self.assertEqual(self.offer({"invalid": b""}, "FAILED")["error_message"], "validate: exited with status 1: line 3: unknown key")
        self.assertEqual(self.live(), good)
        self.assertEqual(self.offer({"unloved": b""}, "FAILED")["error_message"], "on-change: exited with status 2: reload refused")
        self.assertEqual(self.live(), good)
        self.offer({"a": b"2"}, "APPLIED")
        self.assertEqual(self.live(), {"a": b"2"})

    def test_starts_again_on_its_folder(self):
        agent = self.agent()
        self.offer({"a": b"1"}, "APPLIED")
        agent.process.kill()
        agent.process.wait()
        self.server.delete("config")
        since = self.server.get("timeline")["next"]
        self.agent()
        entry = self.server.wait("part=effective_config", since=since)["entry"]
        self.assertEqual(list(entry["message"]["effective_config"]["config_map"]["config_map"]), ["a"])

    def counting(self, name, and_then=""):
        """A command, and a function that tells how often it was run."""
        runs = self.work / f"{name}-runs"
        return self.script(name, f"echo run >>{runs}\n{and_then}"), lambda: len(runs.read_text(encoding="utf-8").splitlines()) if runs.exists() else 0

    def again(self, agent, *arguments, number=signal.SIGTERM):
        """Ends it and starts it again; answers the new one and what it reported in full."""
        self.assertEqual(agent.stop(number)[0], 0 if number == signal.SIGTERM else -number, agent.text())
        since = self.server.get("timeline")["next"]
        agent = self.agent(*arguments)
        return agent, self.server.wait("part=agent_description", since=since)["entry"]

    def test_three_restarts_are_one_agent_and_one_run(self):
        on_change, runs = self.counting("on-change")
        agent = self.agent("--on-change", on_change)
        offered = self.server.offer({"a": b"1"})
        self.server.wait(f"status=APPLIED:{offered['hash']}")
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            agent, entry = self.again(agent, "--on-change", on_change, number=number)
            status = entry["message"]["remote_config_status"]
            self.assertEqual(("APPLIED", offered["hash"]), (status["status"], agent.events()[0]["applied"]))
            self.server.wait("requests>=3", since=entry["index"])
        self.assertEqual(1, len(self.server.get("agents")["agents"]))
        self.assertEqual(1, runs())
        self.offer({"a": b"2"}, "APPLIED")
        self.assertEqual(2, runs())

    def test_what_failed_is_not_run_again_unless_asked_for(self):
        validate, runs = self.counting("validate", "echo 'line 3' >&2; exit 1")
        agent = self.agent("--validate", validate)
        failed = self.offer({"a": b"1"}, "FAILED")
        agent, entry = self.again(agent, "--validate", validate)
        status = entry["message"]["remote_config_status"]
        self.assertEqual(("FAILED", failed["error_message"]), (status["status"], status["error_message"]))
        self.assertEqual(1, runs())
        self.again(agent, "--validate", self.script("good", "exit 0"), "--option", "23=1")
        self.server.wait(f"status=APPLIED:{failed['hash']}")

    def test_the_live_configuration_is_not_run_again_after_one_that_failed(self):
        validate, runs = self.counting("validate", 'test ! -e "$1/bad"')
        agent = self.agent("--validate", validate)
        self.offer({"a": b"1"}, "APPLIED")
        self.offer({"bad": b""}, "FAILED")
        agent, _ = self.again(agent, "--validate", validate)
        self.offer({"a": b"1"}, "APPLIED")
        self.assertEqual(2, runs())

    def test_what_is_not_live_any_more_is_applied_again(self):
        agent = self.agent()
        offered = self.server.offer({"a": b"1"})
        self.server.wait(f"status=APPLIED:{offered['hash']}")
        (self.folder / "current").unlink()
        since = self.server.get("timeline")["next"]
        agent, _ = self.again(agent)
        self.server.wait(f"status=APPLIED:{offered['hash']}", since=since)
        self.assertEqual({"a": b"1"}, self.live())
        self.assertIn("is not the live one", agent.text())

    def test_a_torn_state_is_set_aside(self):
        agent = self.agent()
        self.assertEqual(0, agent.stop()[0])
        state = self.folder / "agent.state"
        torn = state.read_bytes()[:-9]
        state.write_bytes(torn)
        first = agent.events()[0]["uid"]
        agent = self.agent()
        self.assertNotEqual(first, agent.events()[0]["uid"])
        self.assertIn("damaged", agent.text())
        self.assertEqual(torn, (self.folder / "agent.state.aside-1").read_bytes())

    def test_takes_an_assigned_uid_over_a_restart(self):
        agent = self.agent()
        assigned = "018f3c6e-7c00-7000-8000-0000000000aa"
        since = self.server.get("timeline")["next"]
        self.server.next({"agent_identification": {"new_instance_uid": assigned.replace("-", "")}})
        self.wait_for_instance_id(assigned, since)
        agent, entry = self.again(agent)
        self.assertEqual(assigned, entry["agent"])
        self.assertIn(f'"{assigned}"', json.dumps(entry["message"]["agent_description"]))

    def test_goes_on_while_a_command_runs(self):
        go = self.work / "go"
        validate, runs = self.counting("validate", f"while [ ! -e {go} ]; do sleep 0.01; done")
        agent = self.agent("--validate", validate)
        # given an offer whose command does not end, and one behind it
        first = self.server.offer({"a": b"1"})
        self.server.wait(f"status=APPLYING:{first['hash']}")
        replaced = self.server.offer({"a": b"2"})
        agent.wait_for(f'"remote_config","hash":"{replaced["hash"]}"')
        last = self.server.offer({"a": b"3"})
        agent.wait_for(f'"remote_config","hash":"{last["hash"]}"')
        # then the agent still hears what the server says
        assigned = "018f3c6e-7c00-7000-8000-0000000000ab"
        self.server.next({"agent_identification": {"new_instance_uid": assigned.replace("-", "")}})
        self.wait_for_instance_id(assigned, last["since"])
        self.assertEqual(["APPLYING"], self.states(agent))
        # and the statuses come when the command has ended, of the newest offer too
        go.touch()
        self.server.wait(f"status=APPLIED:{last['hash']}")
        self.assert_stops(agent)
        self.assertEqual(["APPLYING", "APPLIED"] * 2, self.states(agent))
        self.assertEqual((2, {"a": b"3"}), (runs(), self.live()))

    def test_an_offer_that_comes_back_while_its_command_runs_is_applied_once(self):
        go = self.work / "go"
        validate, runs = self.counting("validate", f"while [ ! -e {go} ]; do sleep 0.01; done")
        agent = self.agent("--validate", validate)
        first = self.server.offer({"a": b"1"})
        self.server.wait(f"status=APPLYING:{first['hash']}")
        other = self.server.offer({"a": b"2"})
        agent.wait_for(f'"remote_config","hash":"{other["hash"]}"')
        self.server.next({"remote_config": {"config": {"config_map": {"a": {"body": "1"}}}, "config_hash": first["hash"]}})
        agent.wait_for(f'"remote_config","hash":"{first["hash"]}"', count=2)
        self.server.offer({"a": b"1"})
        go.touch()
        self.server.wait(f"status=APPLIED:{first['hash']}")
        self.offer({"a": b"3"}, "APPLIED")
        self.assertEqual((2, {"a": b"3"}), (runs(), self.live()))

    def test_a_stop_is_not_the_configurations_fault(self):
        started = self.work / "started"
        agent = self.agent("--on-change", self.script("on-change", f"touch {started}; exec sleep 60"))
        offered = self.server.offer({"a": b"1"})
        agent.wait_for("APPLYING")
        self.wait_for_file(started)
        since = self.server.get("timeline")["next"]
        agent, _ = self.again(agent)
        self.server.wait(f"status=APPLIED:{offered['hash']}", since=since)
        self.assertEqual([], [entry for entry in self.server.timeline(kind="received") if "FAILED" in json.dumps(entry)])

    def test_what_a_server_chose_is_shown_harmless_and_bounded(self):
        agent = self.agent("--option", "8=5000")
        name = "a\u202e\u009b\n\"" + "\u00e4" * 600
        self.offer({name: ("t" * 5000, b""), **{f"f{number}": b"" for number in range(1500)}}, "FAILED")
        line = next(line for line in agent.text().splitlines() if '"remote_config"' in line)
        self.assertIn('"a\\u202e\\u009b\\u000a\\"\u00e4', line)
        event = json.loads(line)
        self.assertLessEqual(len(event["files"][0]["name"].encode()), 256)
        self.assertEqual((256, 1000, 501), (len(event["files"][0]["content_type"]), len(event["files"]), event["more_files"]))

    def test_the_empty_name_comes_back(self):
        self.agent()
        files = {"": b"nameless", "config": b"named", "b": b"2"}
        since = self.server.offer(files)["since"]
        self.server.wait("effective=offered", since=since)
        self.assertEqual({"config-1": b"nameless", "config": b"named", "b": b"2"}, self.live())

    def test_closed_standard_streams_are_nobody_elses(self):
        folder = self.work / "config"
        agent = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", PROGRAMS / "agent", "--endpoint", self.server.endpoint,
                                  "--interval-ms", "50", "--json", "--log", "debug", "--config-dir", folder])
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        self.server.wait("full")
        self.offer({"a": b"1"}, "APPLIED")
        self.assertEqual(["/dev/null"] * 3, [os.readlink(f"/proc/{agent.pid}/fd/{stream}") for stream in range(3)])

    def test_a_folder_of_others_is_refused(self):
        folder = self.work / "shared"
        folder.mkdir()
        folder.chmod(0o777)
        done = subprocess.run([PROGRAMS / "agent", "--endpoint", self.server.endpoint, "--config-dir", folder],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        self.assertEqual(2, done.returncode)
        self.assertIn("is writable by other users (mode 777)", done.stderr)

    def test_acknowledges_without_a_folder(self):
        agent = self.agent(folder=False)
        self.offer({"a": b"1"}, "APPLIED")
        self.server.wait("effective=offered")
        self.assert_stops(agent, signal.SIGINT)

    def test_stops_in_the_middle_of_a_command(self):
        started = self.work / "started"
        agent = self.agent("--validate", self.script("validate", f"touch {started}; exec sleep 60"))
        offered = self.server.offer({"a": b"1"})
        self.server.wait(f"status=APPLYING:{offered['hash']}", since=offered["since"])
        self.wait_for_file(started)
        self.assert_stops(agent)
        self.assertEqual(self.live() if (self.folder / "current").exists() else {}, {})

    def test_stops_though_the_server_does_not_answer(self):
        agent = self.agent()
        since = self.server.faults({"rules": [{"name": "silent", "do": {"silent": True}}]})["since"]
        self.server.wait("requests>=1", since=since)
        self.assert_stops(agent)

    def test_stops_though_nobody_reads_its_output(self):
        reads, writes = os.pipe()
        self.addCleanup(os.close, reads)
        agent = subprocess.Popen([PROGRAMS / "agent", "--endpoint", self.server.endpoint, "--interval-ms", "50", "--json"],
                                 stdin=subprocess.DEVNULL, stdout=writes)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        os.close(writes)
        self.server.wait("full")
        # given one event that is more than a pipe holds
        offered = self.server.offer({f"{number:03}" * 60: b"" for number in range(1000)})
        self.server.wait("offered", since=offered["since"])
        begin = time.monotonic()
        agent.terminate()
        agent.wait(20)
        # a second of the system's clock for its alarm, and a moment to die
        self.assertLess(time.monotonic() - begin, STOP_BOUND + 1)

    def test_starts_not_where_it_can_not_write_or_another_is(self):
        agent = self.agent()
        (self.work / "file").touch()
        for folder, reason in [(self.folder, "in use"), (self.work / "file", "directory"), (self.work / "none" / "deep", "No such file")]:
            done = subprocess.run([PROGRAMS / "agent", "--endpoint", self.server.endpoint, "--config-dir", folder],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 2, folder)
            self.assertIn(reason, done.stderr)
        self.offer({"a": b"1"}, "APPLIED")
        self.assert_stops(agent)

    def test_a_folder_that_goes_away_and_comes_back(self):
        agent = self.agent()
        self.offer({"a": b"1"}, "APPLIED")
        self.folder.rename(self.work / "aside")
        self.assertIn("No such file", self.offer({"a": b"2"}, "FAILED")["error_message"])
        (self.work / "aside").rename(self.folder)
        self.assertEqual(self.live(), {"a": b"1"})
        self.offer({"a": b"3"}, "APPLIED")
        self.assertEqual(self.live(), {"a": b"3"})
        self.assert_stops(agent)

    def test_says_why_it_does_not_start(self):
        server = ["--endpoint", self.server.endpoint]
        secure = ["--endpoint", "https://127.0.0.1:1/"]
        for arguments, said in [(["--endpoint", "ftp://127.0.0.1/"], ["--endpoint: ", "ftp", "https"]),
                                (["--nonsense", "1"], ["option", "--nonsense"]), ([], ["--endpoint"]), ([*server, "--uid", "123"], ["--uid: ", "32"]),
                                ([*secure, "--ca", "/nonexistent"], ["--ca: ", "/nonexistent", "No such file"]),
                                ([*server, "--ca", "/dev/null"], ["--ca: ", "/dev/null"]),
                                ([*secure, "--cert", "/nonexistent"], ["--cert: ", "/nonexistent", "No such file"]),
                                ([*server, "--header", "a b: c"], ["--header: ", "header"]), ([*server, "--proxy", "ftp://127.0.0.1/"], ["--proxy: ", "socks5"]),
                                ([*server, "--option", "99=1"], ["--option: ", "99"]), ([*server, "--interval-ms", "soon"], ["--interval-ms: "])]:
            with self.subTest(arguments=arguments):
                done = subprocess.run([PROGRAMS / "agent", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 2, arguments)
                for words in said:
                    self.assertIn(words, done.stderr)
                self.assertNotIn("OPAMP_E_", done.stderr)

    def test_takes_uid_headers_and_name(self):
        uid = "018f3c6e-7c00-7000-8000-0000000000aa"
        agent = self.agent("--uid", uid, "--header", "Authorization: Bearer s3cret", "--service-name", "named", "--log", "debug")
        entry = self.server.wait("full", agent=uid)["entry"]
        self.assertIn("Bearer s3cret", json.dumps(entry["http"]))
        self.assertIn('"named"', json.dumps(entry["message"]["agent_description"]))
        self.assert_stops(agent)
        self.assertNotIn("s3cret", agent.text())


class ReadmeTest(ServerTest):
    @unittest.skipIf(shutil.which("curl") is None, "no curl")
    def test_the_block_of_the_c_page_works_as_written(self):
        """Given a server on other ports, what README says after starting one brings a configuration to the program."""
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        block = re.search(r"```sh\nmake devserver examples\ntarget/tools/opamp-devserver &.*\n((?:.*\n)*?)```", readme).group(1)
        api = self.server.api.rsplit(":", 1)[1].split("/")[0]
        block = block.replace("4320", str(self.server.port)).replace("4321", api)
        shell = subprocess.Popen(["bash", "-c", block], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        try:
            self.server.wait("status=APPLIED:offered", timeout="20s")
            self.assertEqual(shell.wait(20), 0)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            said = shell.communicate()[0].decode()
        self.assertIn("service.name", said, "what the last command shows")


class OtherExamplesTest(ServerTest):
    def test_each_says_which_call_failed_and_why(self):
        for name in ["minimal", "poll_loop", "own_transport"]:
            if not (PROGRAMS / name).exists():
                continue
            with self.subTest(name=name):
                done = subprocess.run([PROGRAMS / name, "ftp://127.0.0.1/"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, f"^{name}: client: .*ftp.*https")

    def test_minimal_ends_with_1_after_a_call_without_error_text(self):
        """Given an offer without a hash, whose status nobody can name."""
        self.server.offer({"a": b"1"}, hash_hex="")
        example = self.start("minimal", self.server.endpoint)
        self.server.wait("full")
        example.wait_for("remote config status: ")
        example.process.stdin.close()
        self.assertEqual(example.process.wait(10), 1, example.text())

    def test_minimal(self):
        self.server.offer({"a": b"1"})
        example = self.start("minimal", self.server.endpoint)
        self.server.wait("status=APPLIED:offered")
        example.process.stdin.write(b"\n")
        example.process.stdin.flush()
        self.assertEqual(example.process.wait(10), 0, example.text())
        self.assertIn("received a configuration of 1 files", example.text())
        self.server.wait("disconnected")

    def test_poll_loop(self):
        self.server.offer({"a": b"1"})
        example = self.start("poll_loop", self.server.endpoint)
        self.server.wait("status=APPLIED:offered")
        status, seconds = example.stop()
        self.assertEqual(status, 0, example.text())
        self.assertLess(seconds, STOP_BOUND)
        self.assertIn("file a: 1 bytes", example.text())

    def test_own_transport(self):
        if not (PROGRAMS / "own_transport").exists():
            self.skipTest("own_transport was not built: no libcurl headers")
        self.server.offer({"a": b"1"})
        example = self.start("own_transport", self.server.endpoint)
        entry = self.server.wait("status=APPLIED:offered")["entry"]
        status, seconds = example.stop()
        self.assertEqual(status, 0, example.text())
        self.assertLess(seconds, STOP_BOUND)
        self.assertIn("received a configuration of 1 files", example.text())
        self.server.wait("disconnected", agent=entry["agent"])


def main():
    forget_proxies()
    names = sys.argv[1:]
    loader = unittest.defaultTestLoader
    module = sys.modules[__name__]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(suite)
    closing.say([closing.failure(str(test), why) for test, why in result.failures + result.errors])
    # a subtest that fails is its test's failure, which counts once
    failed = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    for test, why in result.skipped:
        print(f"skipped: {test.id().split('.', 1)[1]} ({why})")
    print(f"examples: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
