#!/usr/bin/env python3
"""The example agent against servers and proxies that nobody here wrote; closes with `N passed, N failed, N skipped`.

usage: tests/interop/run.py [PATTERN ...]      each pattern selects tests by a part of their id

What is not installed is skipped with one line; with CI=true that is a failure. Needs `make examples devserver`.
"""
import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


def tests(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests(test)
        else:
            yield test


def main(patterns):
    found = unittest.defaultTestLoader.discover(str(HERE), "test_*.py")
    chosen = [t for t in tests(found) if not patterns or any(pattern in t.id() for pattern in patterns)]
    result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(unittest.TestSuite(chosen))
    failed = len(result.failures) + len(result.errors)
    for why in sorted({why for _, why in result.skipped}):
        print(f"skipped: {sum(reason == why for _, reason in result.skipped)} tests of interop ({why})")
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped")
    is_strict = os.environ.get("CI") == "true"
    return 1 if failed or not result.testsRun or (is_strict and result.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
