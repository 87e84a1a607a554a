#!/usr/bin/env python3
"""Everything that proves something; `make test` calls it. After the build, two rows of steps run side by side: what mostly computes,
and what mostly waits for sockets and processes.

usage: tests/run.py [STEP...]        (no step: all; `tests/run.py --list` names them)

A step is a command. Its output goes to build/test-logs/STEP.log; here appear its closing line, and the end of the log when it
fails; what failed in each step is named once more at the very end. A step that lacks an optional tool says so in a line that begins with "skipped:"; with CI=true such a line is a failure.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import closing
from loopback import forget_proxies

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOGS = ROOT / "build" / "test-logs"
PYTHON = [sys.executable]
CARGO_TEST = ["cargo", "test", "--locked"]

# name, command, and the shape of the lines that close it
BUILD = ("build", ["make", "--no-print-directory", "examples", "devserver"], r"^skipped:")
COMPUTING = [
    # The simulation has a step of its own: without optimisation it is slow.
    ("rust", ["env", "OPAMP_SIM_SEEDS=200"] + CARGO_TEST + ["-p", "libopamp", "--no-fail-fast"], r"^test result:"),
    ("simulation", CARGO_TEST + ["--profile", "sim", "-p", "libopamp", "--features", "planted-bugs", "--test", "simulation", "--test", "fleet", "--", "--nocapture"],
     r"^test result:|seeds"),
    ("devserver", CARGO_TEST + ["-p", "opamp-devserver", "--no-fail-fast"], r"^test result:"),
    ("header", ["include/renew.sh", "--check"], None),
    ("library", PYTHON + ["tests/library/run.py"], None),
    ("licences", PYTHON + ["tests/licences/third_party.py", "--check"], None),
    ("install", PYTHON + ["tests/install/run.py"], None),
]
WAITING = [
    ("c", PYTHON + ["tests/c/run.py"], None),
    ("guest", PYTHON + ["tests/guest/run.py"], None),
    ("conformance", PYTHON + ["tests/conformance/run.py"], None),
    ("python", PYTHON + ["python/tests/run.py"], None),
    ("examples", PYTHON + ["tests/examples/run.py"], None),
    ("interop", PYTHON + ["tests/interop/run.py"], None),
    ("reconnect", PYTHON + ["tests/reconnect/run.py"], None),
]
STEPS = [BUILD] + COMPUTING + WAITING
# Compilers leave the processors to the tests that talk over sockets meanwhile.
PATIENTLY = ["nice", "-n", "10"]


def run(name, command):
    """(exit status, log text)"""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}.log"
    with open(log, "wb") as out:
        status = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode
    return status, log.read_text(encoding="utf-8", errors="replace")


def summed(lines):
    """cargo says one line per test program: their sum, and every one that is not good."""
    counts = [re.search(r"(\d+) passed; (\d+) failed; (\d+) ignored", line) for line in lines]
    total = [sum(int(count.group(i)) for count in counts if count) for i in (1, 2, 3)]
    bad = [line for line in lines if "test result: ok" not in line]
    return [f"test result of {len(lines)} programs: {total[0]} passed; {total[1]} failed; {total[2]} ignored"] + bad


def closing_lines(text, shape):
    lines = [line for line in text.splitlines() if line.strip()]
    if shape is None:
        return lines[-1:]
    found = [line for line in lines if re.search(shape, line)]
    return summed(found) if shape == r"^test result:" and found else found


class Verdict:
    """What came of the steps so far; they run on two threads."""

    def __init__(self):
        self.failed, self.skipped, self.names = [], [], []
        self.lock = threading.Lock()

    def run(self, name, command, shape, before=()):
        begin = time.monotonic()
        status, text = run(name, [*before, *command])
        took = time.monotonic() - begin
        skips = sorted({line for line in text.splitlines() if line.startswith("skipped:")})
        lines = skips + [line for line in closing_lines(text, shape) if line not in skips]
        with self.lock:
            print(f"== {name}: {' '.join(command)}")
            self.skipped += skips
            if status != 0:
                self.failed.append(name)
                self.names += [f"{name}: {line}" for line in closing.named_in(text)]
                print("\n".join(text.splitlines()[-60:]))
                print(f"FAILED: {name}, status {status}; all of it is in build/test-logs/{name}.log")
            print("\n".join(f"   {line}" for line in lines + [f"{took:.1f} s"]), flush=True)
        return status == 0

    def run_all(self, steps, before):
        for step in steps:
            self.run(*step, before)


def main(names):
    if names == ["--list"]:
        print("\n".join(name for name, _, _ in STEPS))
        return 0
    unknown = set(names) - {name for name, _, _ in STEPS}
    if unknown:
        sys.exit(f"no such step: {', '.join(sorted(unknown))}")
    if shutil.which("make") is None:
        sys.exit("missing on this machine: make")

    def chosen(steps):
        return [step for step in steps if not names or step[0] in names]

    forget_proxies()
    verdict = Verdict()
    if all(verdict.run(*step) for step in chosen([BUILD])):
        rows = [threading.Thread(target=verdict.run_all, args=(chosen(steps), before))
                for steps, before in ((COMPUTING, PATIENTLY), (WAITING, ()))]
        for row in rows:
            row.start()
        for row in rows:
            row.join()
    failed, skipped = verdict.failed, verdict.skipped
    if skipped and os.environ.get("CI") == "true":
        failed.append(f"{len(skipped)} skipped, which CI=true does not allow")
    print("\n".join(verdict.names), end="\n" if verdict.names else "")
    print(f"tests: {'FAILED: ' + ', '.join(failed) if failed else 'all good'}, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
