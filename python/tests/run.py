#!/usr/bin/env python3
"""Runs the tests of the package `opamp` with target/release/libopamp.so and the development server.

usage: python/tests/run.py [NAME...]      a name as unittest takes it, e.g. test_agent.Offers: with this interpreter alone

Without a name: all of them with this interpreter; those that meet other packages once more in build/python-tools; and the quick ones with each further Python (3.9 and newer) under ~/.pyenv/versions. A test counts as skipped when no run ran it.
OPAMP_LIBRARY and OPAMP_DEVSERVER name others. The last line says `N passed, N failed, N skipped`.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
os.environ.setdefault("OPAMP_LIBRARY", str(ROOT / "target/release/libopamp.so"))
os.environ.setdefault("OPAMP_DEVSERVER", str(ROOT / "target/tools/opamp-devserver"))
for folder in (HERE, HERE.parent, ROOT / "tests", ROOT / "tests/conformance"):
    sys.path.insert(0, str(folder))

import closing  # noqa: E402
import tools  # noqa: E402
from loopback import forget_proxies  # noqa: E402

MEETING = ["test_api_callbacks.Logging", "test_api_loop", "test_api_messages", "test_api_transport"]
QUICK = ["test_agent", "test_api_callbacks", "test_api_loop", "test_api_messages", "test_api_transport", "test_api_ways"]
# A result is written here for the process that runs them all.
RESULTS = "OPAMP_TEST_RESULTS"


class Result(unittest.TextTestResult):
    """Keeps what became of each test."""

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.ends = {}

    def addSuccess(self, test):
        super().addSuccess(test)
        self.ends[test.id()] = "passed"

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.ends[test.id()] = "failed"

    def addError(self, test, err):
        super().addError(test, err)
        self.ends[test.id()] = "failed"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.ends[test.id()] = "skipped"

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.ends[test.id()] = "failed"


def run_here(names):
    """What became of each test."""
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE))
    ends = unittest.TextTestRunner(sys.stdout, verbosity=2, resultclass=Result).run(suite).ends
    if RESULTS in os.environ:
        Path(os.environ[RESULTS]).write_text(json.dumps(ends), encoding="utf-8")
    return ends


def run_there(label, python, names):
    """The same in a process of its own: (label, output, ends). One that dies has failed."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results")
        done = subprocess.run([str(python), str(HERE / "run.py"), *names], env={**os.environ, RESULTS: str(results)}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        ends = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {f"the run with {label}": "failed"}
    return label, done.stdout, ends


def further_interpreters():
    """One of each minor version that is not this one's."""
    found = {}
    for python in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3")):
        minor = int(re.match(r"3\.(\d+)", python.parents[1].name).group(1))
        if minor >= 9 and minor != sys.version_info[1]:
            found[minor] = python
    return [(f"Python 3.{minor}", python, QUICK) for minor, python in sorted(found.items())]


def run_all():
    runs = [(f"this Python, {path.stem}", sys.executable, [path.stem]) for path in sorted(HERE.glob("test_*.py"))]
    if not tools.lacking():
        runs.append(("other packages", tools.PYTHON, MEETING))
    else:
        print(f"skipped: Python tests that meet other packages and type checkers, no {' and '.join(tools.lacking())} "
              "(python/tests/tools.py makes it)")
    ends, failures = {}, []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for label, output, its_ends in pool.map(lambda run: run_there(*run), runs + further_interpreters()):
            print(f"== {label}\n{output}", flush=True)
            if "failed" in its_ends.values():
                failures += [f"FAILED: with {label}: {text[8:]}" for text in closing.of_process("a test", output)]
            for test, end in its_ends.items():
                ends[test] = end if end == "failed" or ends.get(test, "skipped") == "skipped" else ends[test]
    # What the further interpreters say is long; a name that stands before it is lost in a log that is cut.
    closing.say(failures)
    return ends


def main(names):
    forget_proxies()
    ends = list((run_here(names) if names else run_all()).values())
    counts = [ends.count(end) for end in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*counts))
    return int(bool(counts[1] or not ends))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
