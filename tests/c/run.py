#!/usr/bin/env python3
"""Compiles and runs the C tests: each program as C99 and as C++17, against the shared library and the archive, over http, https, ws and wss.

usage: tests/c/run.py                     everything: the header, all programs, under valgrind too when it is there, a planted panic
       tests/c/run.py [--lib-dir DIR] [--valgrind | --sanitizer address|thread --archive FILE] [--planted] [--quick] [NAME...]

Each program stands for one promise of opamp.h; its first comment says which. It gets the server by the environment:
OPAMP_TEST_ENDPOINT, OPAMP_TEST_CA (with TLS), OPAMP_TEST_API_PORT (the development server's control API). Every run has a server
of its own, on a free loopback port. One line per test, then `N passed, N failed, N skipped`. A program that ends with 77 was
skipped: its last line says why. With CI=true a skip fails. Under valgrind (shared library) and a sanitizer (an archive built with it)
the programs run in their first language. `--quick`: C99 with the shared library over http and ws only.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.append(str(HERE.parent))
import closing  # noqa: E402
import headers  # noqa: E402
from loopback import forget_proxies  # noqa: E402

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-g", "-O1"]
LANGUAGES = {"c99": ["cc", "-std=c99"], "c++11": ["c++", "-std=c++11", "-x", "c++"], "c++17": ["c++", "-std=c++17", "-x", "c++"]}
# What each kind of source is compiled as.
SPOKEN = {".c": ["c99", "c++17"], ".cpp": ["c++11", "c++17"]}
SUPPRESSIONS = HERE / "valgrind.supp"
# What needs no server, so runs once per language and library.
ALONE = re.compile(r"\[no server\]")
# What is promised for HTTP endpoints alone.
OVER_HTTP = re.compile(r"\[http only\]")
# What means nothing under valgrind or a sanitizer (it starts other programs, counts the process's own threads, ..).
NATIVE = re.compile(r"\[native\]")
# What needs a library built with the feature planted-panic.
PLANTED = re.compile(r"\[planted\]")
# What needs the library of its own kind.
SHARED = re.compile(r"\[shared only\]")
# What runs with a library of tests/c/preload before all others; valgrind and AddressSanitizer want to be the first themselves.
PRELOAD = re.compile(r"\[preload (\w+)\]")
TIMEOUT_S = int(os.environ.get("OPAMP_TEST_TIMEOUT_S", "240"))
FAILURES = []


def output(*command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, **more)


class Server:
    """The development server, with a memory and a port of its own."""

    def __init__(self, scheme):
        tls = scheme in ("https", "wss")
        self.folder = tempfile.TemporaryDirectory()
        binary = os.environ.get("OPAMP_DEVSERVER") or str(ROOT / "target/tools/opamp-devserver")
        command = [binary, "--port", "0", "--ready-json"] + (["--tls", self.folder.name] if tls else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ready = json.loads(self.process.stdout.readline())
        endpoint = f"{scheme}:{ready['endpoint'].split(':', 1)[1]}"
        self.env = {"OPAMP_TEST_ENDPOINT": endpoint, "OPAMP_TEST_API_PORT": re.search(r":(\d+)", ready["api"].split("//")[1]).group(1)}
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


def head(source):
    return source.read_text(encoding="utf-8").split("#include")[0]


def thread_runtime():
    """rustc's own: the compiler's lacks a symbol."""
    sysroot = output("rustc", "--print", "sysroot").stdout.strip()
    found = sorted(pathlib.Path(sysroot).glob("lib/rustlib/*/lib/librustc*_rt.tsan.a"))
    return ["-Wl,--whole-archive", str(found[0]), "-Wl,--no-whole-archive", "-lstdc++"]


class Runner:
    def __init__(self, options):
        self.options = options
        self.lib = pathlib.Path(options.lib_dir).resolve()
        self.build = pathlib.Path(tempfile.mkdtemp(prefix="opamp-c-"))
        self.archive = pathlib.Path(options.archive).resolve() if options.archive else self.lib / "libopamp.a"
        self.is_foreign = bool(options.valgrind or options.sanitizer)

    def compile(self, source, language, library):
        program = self.build / f"{source.stem}-{language}-{library}"
        translate = LANGUAGES[language] + WARNINGS + ["-I", str(ROOT / "include")]
        link = ["-lpthread", "-ldl"]
        if library == "so":
            link = [f"-L{self.lib}", "-lopamp", f"-Wl,-rpath,{self.lib}"] + link
        else:
            link = [str(self.archive), "-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]
        if self.options.sanitizer == "address":
            translate, link = translate + ["-fsanitize=address"], link + ["-fsanitize=address"]
        elif self.options.sanitizer == "thread":
            translate, link = translate + ["-fsanitize=thread"], thread_runtime() + link
        # Two steps: the sanitizer of the objects is not always that of the link.
        for command in (translate + ["-c", str(source), "-o", f"{program}.o"], [translate[0], f"{program}.o", "-o", str(program), *link]):
            done = output(*command)
            if done.returncode:
                return program, done.stderr
        return program, self.preload(source)

    def preload(self, source):
        """Builds what the program is to be run with, without a sanitizer: it is none of the program's own code."""
        for name in PRELOAD.findall(head(source)):
            library = self.build / f"{source.stem}-preload.so"
            command = ["cc", "-std=c99", *WARNINGS, "-fPIC", "-shared", "-o", str(library), str(HERE / f"preload/{name}.c"), "-ldl"]
            done = output(*command)
            if done.returncode:
                return done.stderr
        return None

    def execute(self, program, env):
        command = [str(program)]
        if self.options.valgrind:
            command = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite,indirect",
                       "--errors-for-leak-kinds=definite,indirect", "--child-silent-after-fork=yes", f"--suppressions={SUPPRESSIONS}"] + command
        env = {**os.environ, "OPAMP_TEST_LIBRARY": str(self.lib / "libopamp.so"), **env}
        if self.is_foreign:
            env["OPAMP_TEST_SLOW"] = "1"
            env["TSAN_OPTIONS"] = f"suppressions={HERE / 'tsan.supp'}"
        preloaded = self.build / f"{program.name.split('-')[0]}-preload.so"
        if preloaded.exists():
            env["LD_PRELOAD"] = str(preloaded)
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=env, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as late:
            said = late.stderr or b""
            return 1, f"not done after {TIMEOUT_S} s; {said.decode(errors='replace') if isinstance(said, bytes) else said}"
        return done.returncode, done.stdout + done.stderr

    def program(self, source, language, library, schemes):
        """Compiles once, runs over each scheme: [(name, status: "ok", "FAILED" or "skipped", text)]"""
        under = " valgrind" if self.options.valgrind else f" {self.options.sanitizer}" if self.options.sanitizer else ""
        names = [f"{source.stem} {language} {library} {scheme}{under}" for scheme in schemes]
        program, error = self.compile(source, language, library)
        if error:
            return [(name, "FAILED", error) for name in names]
        return [(name, *self.judge(program, scheme)) for name, scheme in zip(names, schemes)]

    def judge(self, program, scheme):
        if scheme == "alone":
            code, said = self.execute(program, {})
        else:
            with Server(scheme) as server:
                code, said = self.execute(program, server.env)
        if code == 77:
            return "skipped", said.strip().splitlines()[-1] if said.strip() else "no reason given"
        return ("ok", said) if code == 0 else ("FAILED", f"status {code}\n{said}")

    def plan(self):
        for source in sorted([*HERE.glob("*.c"), *HERE.glob("*.cpp")]):
            if self.options.names and source.stem not in self.options.names:
                continue
            words = head(source)
            if bool(PLANTED.search(words)) != self.options.planted:
                continue
            if self.is_foreign and NATIVE.search(words):
                continue
            if (self.options.valgrind or self.options.sanitizer == "address") and PRELOAD.search(words):
                continue
            is_short = self.options.quick or self.is_foreign
            languages = SPOKEN[source.suffix][:1] if is_short else SPOKEN[source.suffix]
            libraries = ["a"] if self.options.sanitizer else ["so"] if is_short or SHARED.search(words) else ["so", "a"]
            schemes = ["http", "ws"] if self.options.quick else self.options.schemes
            if OVER_HTTP.search(words):
                schemes = [scheme for scheme in schemes if scheme.startswith("http")]
            if ALONE.search(words):
                schemes = ["alone"]
            for language in languages:
                for library in libraries:
                    yield source, language, library, schemes


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lib-dir", default=str(ROOT / "target/release"), help="where libopamp.so and libopamp.a lie")
    parser.add_argument("--sanitizer", choices=["address", "thread"], help="run them with it")
    parser.add_argument("--archive", help="libopamp.a that was built with that sanitizer")
    parser.add_argument("--valgrind", action="store_true", help="run them under valgrind: C99, shared library")
    parser.add_argument("--planted", action="store_true", help="the programs for a library built with the feature planted-panic")
    parser.add_argument("--quick", action="store_true", help="C99, shared library, http and ws")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.set_defaults(schemes=["http", "https", "ws", "wss"])
    return parser.parse_args(words)


def report(results, counts):
    for name, status, text in results:
        line = f"{status}: {name}" + (f": {text.strip()}" if status != "ok" else "")
        print(line, flush=True)
        counts[status] += 1
        if status == "FAILED":
            FAILURES.append(line)


def run_all(options, counts):
    runner = Runner(options)
    try:
        with concurrent.futures.ThreadPoolExecutor(max(2, (os.cpu_count() or 2))) as pool:
            for results in pool.map(lambda test: runner.program(*test), runner.plan()):
                report(results, counts)
    finally:
        shutil.rmtree(runner.build, ignore_errors=True)


def run_planted(counts):
    """A test build of the library, in which the function that OPAMP_PLANTED_PANIC names panics; copied to where no other build
    writes meanwhile."""
    build = ["cargo", "rustc", "--locked", "-p", "libopamp", "--features", "planted-panic", "--lib", "--crate-type", "cdylib"]
    if shutil.which("cargo") is None:
        return report([("planted panics", "skipped", "no cargo")], counts)
    done = output(*build, env={**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target")})
    if done.returncode:
        return report([("planted panics", "FAILED", done.stderr)], counts)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "target/debug/libopamp.so", folder)
        (pathlib.Path(folder) / "libopamp.so.0").symlink_to("libopamp.so")
        run_all(arguments(["--planted", "--quick", "--lib-dir", folder]), counts)


def main():
    options = arguments()
    forget_proxies()
    if options.sanitizer:
        # Both transports and TLS, once each: everything takes several times as long.
        options.schemes = ["https", "ws"]
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    is_whole = not (options.names or options.planted or options.quick or options.valgrind or options.sanitizer)
    has_valgrind = shutil.which("valgrind") is not None
    if is_whole:
        report(headers.run(), counts)
    if has_valgrind or not options.valgrind:
        run_all(options, counts)
    if is_whole and has_valgrind:
        options.valgrind, options.schemes = True, ["http", "ws"]
        run_all(options, counts)
    if is_whole:
        run_planted(counts)
    if (is_whole or options.valgrind) and not has_valgrind:
        report([("C tests under valgrind", "skipped", "no valgrind")], counts)
    closing.say(FAILURES)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    is_bad = counts["FAILED"] or not counts["ok"] or (counts["skipped"] and os.environ.get("CI") == "true")
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
