#!/usr/bin/env python3
"""Runs the tests of the package `opamp` with target/release/libopamp.so and the development server.

usage: python/tests/run.py [NAME...]      a name as unittest takes it, e.g. test_agent.Offers

OPAMP_LIBRARY and OPAMP_DEVSERVER name others. The last line says `N passed, N failed, N skipped`.
"""
import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
os.environ.setdefault("OPAMP_LIBRARY", str(ROOT / "target/release/libopamp.so"))
os.environ.setdefault("OPAMP_DEVSERVER", str(ROOT / "target/tools/opamp-devserver"))
for folder in (HERE, HERE.parent, ROOT / "tests/conformance"):
    sys.path.insert(0, str(folder))

if __name__ == "__main__":
    loader = unittest.defaultTestLoader
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE))
    result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(bool(bad or not result.testsRun))
