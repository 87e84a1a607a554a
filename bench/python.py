#!/usr/bin/env python3
"""One table: the Python package beside OpenTelemetry's own client, same interpreter, same server, same run. `make bench-python` calls it.

usage: bench/python.py [ROW...]     rows: import start exchange idle files big (no row: all, about 2 minutes)

Each package has an environment of its own in build/bench; the other client comes from PyPI (its version is below). Figures of one machine
mean little alone; the relation carries over. `ok`: ours is ahead, and within its own bound where there is one.
"""
import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import threading
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/conformance"))
from devserver import Devserver  # noqa: E402

BUILD = ROOT / "build/bench"
OTHER = "opentelemetry-opamp-client==0.5b0"
HOST = ROOT / "bench/python_host.py"
RUNS = 15
IDLE_S = 12
UID_HEADER = "OpAMP-Instance-UID"
ROWS = []


def environment(name, *packages):
    """The python of an environment with these packages."""
    folder = BUILD / name
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=bool(packages))
        if packages:
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def environ(more):
    """Byte code is kept, in a folder of the build."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(BUILD / "pycache"), **more}


class Host:
    """bench/python_host.py, and its answers."""

    def __init__(self, package, endpoint, interval=30.0):
        python, name, env = package
        self.process = subprocess.Popen([python, HOST, name, endpoint, str(interval)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=environ(env))

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Arrival:
    """Says when the first byte of a request came."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "http://127.0.0.1:%d/v1/opamp" % self.listener.getsockname()[1]
        self.came = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        connection.recv(1)
        self.came = time.monotonic_ns()
        select.select([connection], [], [], 0.05)
        connection.close()
        self.listener.close()


def row(what, unit, ours, other, bound=None):
    holds = ours < other if bound is None else ours <= bound and ours <= other
    ROWS.append(holds)
    kept = "" if bound is None else f"at most {bound:g}"
    print(f"{'ok  ' if holds else 'OVER'}  {what:<48} {ours:>10.1f} {other:>10.1f}  {unit:<14} {kept}", flush=True)


def each(packages, measure):
    """What a measure says of ours and of the other, medians of its runs taken in turn."""
    taken = [[measure(package) for package in packages] for _ in range(RUNS)]
    return [statistics.median(pair[i] for pair in taken) for i in (0, 1)]


def bench_import(packages):
    def measure(package):
        with Host(package, "http://127.0.0.1:9/") as host:
            return host.ask("import")

    taken = [[measure(package) for package in packages] for _ in range(RUNS)]
    for name, what, unit, scale, bound in (("import_ms", "import", "ms", 1, 40), ("import_cpu_ms", "import, CPU", "ms", 1, None),
                                           ("import_kib", "memory added by the import", "MiB", 1024, 4)):
        ours, other = (statistics.median(pair[i][name] for pair in taken) / scale for i in (0, 1))
        row(what, unit, ours, other, bound)


def bench_start(packages):
    def measure(package):
        arrival = Arrival()
        with Host(package, arrival.endpoint) as host:
            started = host.ask("started")
            arrival.thread.join(20)
        return (arrival.came - started) / 1e6

    row("start() to the first byte at the server", "ms", *each(packages, measure))


def bench_exchange(packages):
    cpu, sizes = [], []
    for package in packages:
        with Devserver() as server, Host(package, server.endpoint, 0.01) as host:
            cpu.append(host.ask("exchange") * 1e6)
            beats = [entry for entry in server.timeline(kind="received", limit=100_000) if entry.get("heartbeat")]
            sizes.append(statistics.median(entry["size"] + entry["http"]["head_size"] - uid_header(entry) for entry in beats))
    row("CPU of a heartbeat with its callbacks", "us", *cpu)
    row(f"bytes of a heartbeat but for {UID_HEADER}", "bytes", *sizes)


def uid_header(entry):
    """The specification asks for it, and the other client leaves it out: 58 bytes of ours."""
    return sum(len(name) + len(value) + 4 for name, value in entry["http"]["headers"] if name.lower() == UID_HEADER.lower())


def bench_idle(packages):
    wakes, threads, added = [], [], []
    for package in packages:
        with Devserver() as server, Host(package, server.endpoint, 300) as host:
            server.wait("messages>=1")
            time.sleep(1)
            before = host.ask("wakes")
            time.sleep(IDLE_S)
            # One is the command's own.
            wakes.append(max(0, host.ask("wakes") - before - 1) * 60 / IDLE_S)
            threads.append(host.ask("threads"))
            added.append(host.ask("added") / 1024)
    row("wake-ups a minute between heartbeats", "", *wakes, bound=0)
    row("threads beside the host's own, at most as many", "", *threads, bound=threads[1])
    row("memory added by a running agent", "MiB", *added)


def offered(packages, what, files):
    cpu, wall, peak = [], [], []
    for package in packages:
        with Devserver() as server, Host(package, server.endpoint, 300) as host:
            server.wait("messages>=1")
            times, used = [], []
            for turn in range(5):
                time.sleep(0.3)
                since = server.offer({name: (kind, body(turn)) for name, (kind, body) in files.items()})["since"]
                host.ask("poll")
                server.wait("status=APPLIED:offered", since=since, timeout="60s")
                done = server.wait("effective=offered" if len(files) == 1 else "part=effective_config", since=since, timeout="60s")["entry"]
                sent = server.wait("offered", since=since)["entry"]
                times.append(done["at_ms"] - sent["at_ms"])
                used.append(host.ask("cpu") * 1000)
            wall.append(statistics.median(times))
            cpu.append(statistics.median(used))
            peak.append(host.ask("peak") / 1024)
    row(f"{what}: offered to reported", "ms", *wall)
    row(f"{what}: CPU", "ms", *cpu)
    row(f"{what}: memory added, at the peak", "MiB", *peak)


def bench_files(packages):
    files = {f"conf.d/{n:04}.json": ("application/json", lambda turn, n=n: json.dumps({"n": n, "turn": turn, "text": "x" * 50}).encode())
             for n in range(1000)}
    offered(packages, "1,000 files", files)


def bench_big(packages):
    offered(packages, "a file of 32 MiB", {"blob": ("text/plain", lambda turn: bytes([97 + turn]) * (32 << 20))})


def main(names):
    known = {name[6:]: value for name, value in globals().items() if name.startswith("bench_")}
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    library = os.environ.get("OPAMP_LIBRARY") or str(ROOT / "target/release/libopamp.so")
    packages = [(environment("ours"), "opamp", {"OPAMP_LIBRARY": library, "PYTHONPATH": str(ROOT / "python")}),
                (environment("other", OTHER), "opentelemetry._opamp", {})]
    # Compiled once, as an installation is.
    subprocess.run([packages[0][0], "-m", "compileall", "-q", ROOT / "python/opamp"], env=environ({}), check=True)
    print(f"      {'Python ' + sys.version.split()[0]:<48} {'ours':>10} {'other':>10}")
    for name, bench in known.items():
        if not names or name in names:
            bench(packages)
    return 0 if all(ROWS) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
