#!/usr/bin/env python3
"""Compiles and runs the C tests: each program as C99 and as C++17, against the shared library and the archive, over http and https.

usage: tests/c/run.py [--lib-dir DIR] [--library so|a] [--cflags FLAGS] [--ldflags FLAGS] [--valgrind] [--quick] [NAME...]

Each program stands for one promise of opamp.h; its first comment says which. It gets the server by the environment:
OPAMP_TEST_ENDPOINT, OPAMP_TEST_CA (https), OPAMP_TEST_API_PORT (the development server's control API). Every run has a server
of its own, on a free loopback port. One line per test, then `N passed, N failed, N skipped`. A program that ends with 77 was
skipped: its last line says why. With CI=true a skip fails. `--quick`: C99 with the shared library over http only.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import headers

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-g", "-O1"]
LANGUAGES = {"c99": ["cc", "-std=c99"], "c++11": ["c++", "-std=c++11", "-x", "c++"], "c++17": ["c++", "-std=c++17", "-x", "c++"]}
# What each kind of source is compiled as.
SPOKEN = {".c": ["c99", "c++17"], ".cpp": ["c++11", "c++17"]}
SUPPRESSIONS = HERE / "valgrind.supp"
# What needs no server, so runs once per language and library.
ALONE = re.compile(r"\[no server\]")
# What means nothing under valgrind or a sanitizer (it starts other programs, counts the process's own threads, ..).
NATIVE = re.compile(r"\[native\]")
# What needs the library of its own kind.
SHARED = re.compile(r"\[shared only\]")
TIMEOUT_S = 240


def output(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, **more)


class Server:
    """The development server, with a memory and a port of its own."""

    def __init__(self, tls):
        self.folder = tempfile.TemporaryDirectory()
        binary = os.environ.get("OPAMP_DEVSERVER") or str(ROOT / "target/tools/opamp-devserver")
        command = [binary, "--port", "0", "--ready-json"] + (["--tls", self.folder.name] if tls else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ready = json.loads(self.process.stdout.readline())
        self.env = {"OPAMP_TEST_ENDPOINT": ready["endpoint"], "OPAMP_TEST_API_PORT": re.search(r":(\d+)", ready["api"].split("//")[1]).group(1)}
        if tls:
            self.env["OPAMP_TEST_CA"] = str(certificate_authority(ready, pathlib.Path(self.folder.name)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()
        self.folder.cleanup()


def certificate_authority(ready, folder):
    told = ready.get("tls")
    if isinstance(told, dict) and told.get("ca"):
        return told["ca"]
    return folder / "ca.pem"


class Runner:
    def __init__(self, options):
        self.options = options
        self.lib = pathlib.Path(options.lib_dir).resolve()
        self.build = pathlib.Path(tempfile.mkdtemp(prefix="opamp-c-"))
        self.cflags = shlex.split(options.cflags)
        self.ldflags = shlex.split(options.ldflags)

    def compile(self, source, language, library):
        program = self.build / f"{source.stem}-{language}-{library}"
        command = LANGUAGES[language] + WARNINGS + self.cflags + ["-I", str(ROOT / "include"), str(source), "-x", "none", "-o", str(program)]
        if library == "so":
            command += [f"-L{self.lib}", "-lopamp", f"-Wl,-rpath,{self.lib}"]
        else:
            command += [str(self.lib / "libopamp.a"), "-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
        done = output(*command, "-lpthread", "-ldl", *self.ldflags)
        return program, done.stderr if done.returncode else None

    def execute(self, program, env):
        command = [str(program)]
        if self.options.valgrind:
            command = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect",
                       "--errors-for-leak-kinds=definite,indirect", "--child-silent-after-fork=yes", f"--suppressions={SUPPRESSIONS}"] + command
        env = {**os.environ, "OPAMP_TEST_LIBRARY": str(self.lib / "libopamp.so"), **env}
        if self.options.valgrind:
            env["OPAMP_TEST_SLOW"] = "1"
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=env, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as late:
            said = late.stderr or b""
            return 1, f"not done after {TIMEOUT_S} s; {said.decode(errors='replace') if isinstance(said, bytes) else said}"
        return done.returncode, done.stdout + done.stderr

    def program(self, source, language, library, schemes):
        """Compiles once, runs over each scheme: [(name, status: "ok", "FAILED" or "skipped", text)]"""
        names = [f"{source.stem} {language} {library} {scheme}" for scheme in schemes]
        program, error = self.compile(source, language, library)
        if error:
            return [(name, "FAILED", error) for name in names]
        return [(name, *self.judge(program, scheme)) for name, scheme in zip(names, schemes)]

    def judge(self, program, scheme):
        if scheme == "alone":
            code, said = self.execute(program, {})
        else:
            with Server(scheme == "https") as server:
                code, said = self.execute(program, server.env)
        if code == 77:
            return "skipped", said.strip().splitlines()[-1] if said.strip() else "no reason given"
        return ("ok", said) if code == 0 else ("FAILED", f"status {code}\n{said}")

    def plan(self):
        for source in sorted([*HERE.glob("*.c"), *HERE.glob("*.cpp")]):
            if self.options.names and source.stem not in self.options.names:
                continue
            head = source.read_text(encoding="utf-8").split("#include")[0]
            is_foreign = self.options.valgrind or self.options.cflags
            if is_foreign and NATIVE.search(head):
                continue
            languages = SPOKEN[source.suffix][:1] if self.options.quick or self.options.valgrind else SPOKEN[source.suffix]
            libraries = ["so"] if self.options.quick or self.options.valgrind else [self.options.library or "so", self.options.library or "a"]
            if SHARED.search(head):
                libraries = [library for library in libraries if library == "so"]
            schemes = ["alone"] if ALONE.search(head) else ["http"] if self.options.quick else ["http", "https"]
            for language in languages:
                for library in dict.fromkeys(libraries):
                    yield source, language, library, schemes


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lib-dir", default=str(ROOT / "target/release"), help="where libopamp.so and libopamp.a lie")
    parser.add_argument("--library", choices=["so", "a"], help="with this kind of library only")
    parser.add_argument("--cflags", default="", help="more for the compiler, as -fsanitize=address")
    parser.add_argument("--ldflags", default="", help="more for the linker")
    parser.add_argument("--valgrind", action="store_true", help="run them under valgrind: C99, shared library")
    parser.add_argument("--quick", action="store_true", help="C99, shared library, http")
    parser.add_argument("names", nargs="*", metavar="NAME")
    return parser.parse_args()


def report(results, counts):
    for name, status, text in results:
        print(f"{status}: {name}" + (f": {text.strip()}" if status != "ok" else ""), flush=True)
        counts[status] += 1


def main():
    options = arguments()
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    if options.valgrind and shutil.which("valgrind") is None:
        print("skipped: C tests under valgrind (no valgrind)")
        return 1 if os.environ.get("CI") == "true" else 0
    runner = Runner(options)
    tests = list(runner.plan())
    if not options.names and not options.valgrind and not options.cflags:
        report(headers.run(), counts)
    try:
        with concurrent.futures.ThreadPoolExecutor(max(2, (os.cpu_count() or 2))) as pool:
            for results in pool.map(lambda test: runner.program(*test), tests):
                report(results, counts)
    finally:
        shutil.rmtree(runner.build, ignore_errors=True)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    is_bad = counts["FAILED"] or not counts["ok"] or (counts["skipped"] and os.environ.get("CI") == "true")
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
