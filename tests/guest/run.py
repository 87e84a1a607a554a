#!/usr/bin/env python3
"""How the library behaves in a host that forks, exits, closes descriptors, runs out of them, and sends signals: C programs in the kit of
tests/c, each against the shared library.

usage: tests/guest/run.py [--lib-dir DIR] [NAME...]

A program's first comment names its rows and says `[http]`, `[https]` or `[no server]`. One line per test, then `N passed, N failed,
N skipped`. A program that ends with 77 was skipped: its last line says why.
"""
import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-g", "-O1"]
TIMEOUT_S = 240
sys.path.insert(0, str(ROOT / "tests/c"))
import run as c_tests  # noqa: E402
import closing  # noqa: E402
from loopback import forget_proxies  # noqa: E402


def compiled(source, lib, folder):
    program = folder / source.stem
    libraries = [f"-L{lib}", "-lopamp", f"-Wl,-rpath,{lib}", "-lpthread", "-ldl"]
    done = c_tests.output("cc", *FLAGS, "-I", str(ROOT / "include"), "-I", str(ROOT / "tests/c"), str(source), "-o", str(program), *libraries)
    return program, done.stderr if done.returncode else None


def executed(program, lib, env):
    """A session of its own: what it leaves behind on a time-out is ended with it."""
    env = {**os.environ, "OPAMP_TEST_LIBRARY": str(lib / "libopamp.so"), **env}
    process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env=env, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        return 1, f"not done after {TIMEOUT_S} s; {process.communicate()[0]}"
    return process.returncode, said


def judged(source, scheme, lib, folder):
    program, error = compiled(source, lib, folder)
    if error:
        return "FAILED", error
    if scheme == "no server":
        code, said = executed(program, lib, {})
    else:
        with c_tests.Server(scheme) as server:
            code, said = executed(program, lib, server.env)
    if code == 77:
        return "skipped", said.strip().rsplit("\n", 1)[-1]
    return ("ok", "") if code == 0 else ("FAILED", f"status {code}\n{said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--lib-dir", type=pathlib.Path, default=ROOT / "target/release", help="where libopamp.so lies")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    forget_proxies()
    lib, names = options.lib_dir.resolve(), options.names
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="opamp-guest-"))
    tests, failures = [], []
    for source in sorted(HERE.glob("*.c")):
        head = source.read_text(encoding="utf-8").split("*/")[0]
        schemes = [scheme for scheme in ("http", "https", "no server") if f"[{scheme}]" in head]
        assert schemes, f"{source.name}: no scheme"
        tests += [(source, schemes[0])] if not names or source.stem in names else []
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (source, scheme), (status, text) in zip(tests, pool.map(lambda test: judged(*test, lib, folder), tests)):
                line = f"skipped: {source.stem}: {text}" if status == "skipped" else f"{status}: {source.stem} over {scheme}: {text}".rstrip(": ")
                print(line, flush=True)
                counts[status] += 1
                failures += [line] if status == "FAILED" else []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    closing.say(failures)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return bool(counts["FAILED"] or not counts["ok"])


if __name__ == "__main__":
    sys.exit(main())
