#!/usr/bin/env python3
"""Runs the conformance tests side by side and closes with `N passed, N failed, N skipped`.

usage: tests/conformance/run.py [-j JOBS] [PATTERN ...]      each pattern selects tests by a part of their id
"""
import argparse
import os
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
import closing  # noqa: E402
from loopback import forget_proxies  # noqa: E402


def ids(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from ids(test)
        else:
            yield test.id()


def run_class(name, tests):
    """One class of tests in a process of its own; its output and how many passed, failed and were skipped."""
    child = subprocess.run([sys.executable, __file__, "--child", *tests], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE, timeout=600)
    last = child.stdout.rstrip().rsplit("\n", 1)[-1].split()
    if child.returncode not in (0, 1) or len(last) != 4 or last[0] != "counted":
        return name, child.stdout + f"\n{name} ended with {child.returncode}", (0, len(tests), 0)
    return name, child.stdout.rstrip().rsplit("\n", 1)[0], tuple(int(n) for n in last[1:])


def child(tests):
    result = unittest.TextTestRunner(sys.stdout, verbosity=2, buffer=True).run(
        unittest.defaultTestLoader.loadTestsFromNames(tests))
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    print("counted", max(result.testsRun - failed - skipped, 0), failed, skipped, flush=True)
    # A test may leave an agent behind on purpose.
    os._exit(1 if failed else 0)


def main():
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-j", type=int, default=4)
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    forget_proxies()
    found = list(ids(unittest.defaultTestLoader.discover(str(HERE), "test_*.py")))
    if errors := unittest.defaultTestLoader.errors:
        closing.say([closing.failure("a module that cannot be loaded", error) for error in errors])
        sys.exit(1)
    chosen = [t for t in found if not options.patterns or any(p in t for p in options.patterns)]
    classes = {}
    for test in chosen:
        classes.setdefault(test.rsplit(".", 1)[0], []).append(test)
    totals, failed = [0, 0, 0], []
    with ThreadPoolExecutor(options.j) as pool:
        for name, output, counts in pool.map(lambda item: run_class(*item), classes.items()):
            print(f"== {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped", flush=True)
            if counts[1] or counts[2] or options.patterns:
                print(output, flush=True)
            totals = [a + b for a, b in zip(totals, counts)]
            if counts[1]:
                failed += closing.of_process(name, output)
    closing.say(failed)
    print("{} passed, {} failed, {} skipped".format(*totals))
    is_strict = os.environ.get("CI") == "true"
    sys.exit(1 if totals[1] or not totals[0] or (is_strict and totals[2]) else 0)


if __name__ == "__main__":
    main()
