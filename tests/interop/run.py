#!/usr/bin/env python3
"""The example agent against servers and proxies that nobody here wrote; closes with `N passed, N failed, N skipped`.

usage: tests/interop/run.py [-j JOBS] [PATTERN ...]      each pattern selects tests by a part of their id

What is not installed is skipped with one line; with CI=true that is a failure. Needs `make examples devserver`.
"""
import argparse
import io
import os
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
sys.dont_write_bytecode = True
import closing  # noqa: E402
import goserver  # noqa: E402
import mockserver  # noqa: E402
from loopback import forget_proxies  # noqa: E402


def tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


def run(suite):
    """(output, result) of one class; its tests run one after the other."""
    output = io.StringIO()
    result = unittest.TextTestRunner(output, verbosity=2).run(suite)
    return output.getvalue(), result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-j", type=int, default=3)
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    forget_proxies()
    classes = {}
    for test in tests(unittest.defaultTestLoader.discover(str(HERE), "test_*.py")):
        if not options.patterns or any(pattern in test.id() for pattern in options.patterns):
            classes.setdefault(type(test), unittest.TestSuite()).addTest(test)
    passed, failed, skipped, failures = 0, 0, [], []
    with ThreadPoolExecutor(options.j) as pool:
        # what is built or installed, once and before the first test waits for it
        for ready in [pool.submit(goserver.lacking), pool.submit(mockserver.lacking)]:
            ready.result()
        for output, result in pool.map(run, classes.values()):
            print(output, flush=True)
            bad = len(result.failures) + len(result.errors)
            passed += max(result.testsRun - bad - len(result.skipped), 0)
            failed += bad
            failures += closing.of_process("interop", output) if bad else []
            skipped += [why for _, why in result.skipped]
    for why in sorted(set(skipped)):
        print(f"skipped: {skipped.count(why)} tests of interop ({why})")
    closing.say(failures)
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    is_strict = os.environ.get("CI") == "true"
    return 1 if failed or not passed or (is_strict and skipped) else 0


if __name__ == "__main__":
    sys.exit(main())
