#!/usr/bin/env python3
"""One table: this library beside a bare program that moves the same bytes, in one run. `make bench` calls it.

usage: bench/run.py [ROW...]      rows: heartbeat tls idle header offers size memory start big cycles websocket (no row: all, about 5 minutes)

Figures of one machine mean little alone; the ratios carry over. Each line says what was measured, the bound it is held against,
and whether it holds. Lines that need strace say so where there is none.
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build/bench"
SO = ROOT / "target/release/libopamp.so"
FLAGS = ["-std=c99", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
sys.path += [str(ROOT / "tests/conformance"), str(ROOT / "tests")]
from devserver import Devserver  # noqa: E402
from loopback import forget_proxies  # noqa: E402

STRACE = shutil.which("strace")
ROWS = []


def build(*names):
    """Programs of this folder, by their names; a host is one of the library."""
    BUILD.mkdir(parents=True, exist_ok=True)
    library = ["-I", ROOT / "include", "-L", SO.parent, "-lopamp", "-Wl,-rpath,$ORIGIN/../../target/release"]
    for name in names:
        more = library if name.endswith("host") else []
        command = [os.environ.get("CC", "cc"), *FLAGS, "-o", BUILD / name, ROOT / f"bench/{name}.c", *more, "-lpthread"]
        subprocess.run([str(word) for word in command], check=True)


def row(what, measured, bound, holds):
    ROWS.append((what, measured, bound, holds))
    print(f"{'ok  ' if holds else 'OVER'}  {what:<60} {measured:<46} {bound}", flush=True)


class Peer:
    """A bare server of this folder; the first line that it prints begins with its port. `dump` is what it leaves of a message."""

    def __init__(self, program, scheme, arguments, dump, cpu=None):
        self.dump = dump
        command = [BUILD / program, *map(str, arguments), dump]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pinned(cpu))
        self.port, *self.more = self.figures()
        self.url = f"{scheme}://127.0.0.1:{self.port}/v1/opamp"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def figures(self):
        """The next line that it prints."""
        return [int(word) for word in self.process.stdout.readline().split()]


def bare_server(mode, work, cpu=None):
    """bench/server.c in one of its modes."""
    return Peer("server", "http", [mode], work / f"{mode}.request", cpu)


def pinned(cpu):
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def run(program, *arguments, cpu=None, **environment):
    done = subprocess.run([BUILD / program, *map(str, arguments)], stdout=subprocess.PIPE, text=True, timeout=600, check=True,
                          preexec_fn=pinned(cpu), env={**os.environ, **environment})
    return [int(word) for word in done.stdout.split()]


def traced(arguments, seconds, settle, **environment):
    """System calls of a host, attached to after it settled: {name: count}."""
    process = subprocess.Popen([str(word) for word in arguments], stdout=subprocess.DEVNULL, stdin=subprocess.PIPE,
                               env={**os.environ, **environment})
    try:
        time.sleep(settle)
        with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
            tracer = subprocess.Popen([STRACE, "-f", "-qq", "-o", log.name, "-p", str(process.pid)],
                                      stderr=subprocess.PIPE, text=True)
            time.sleep(seconds)
            has_ended = tracer.poll() is not None
            tracer.terminate()
            _, complaint = tracer.communicate()
            # Nothing seen is a figure only where somebody looked.
            if has_ended or process.poll() is not None:
                sys.exit(f"strace saw nothing: {complaint.strip() or 'the traced program ended'}")
            return counted(log.read())
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def counted(log):
    """Calls that began while traced (strace pads short process ids). The first line of each thread is the wait that attaching interrupted and began again."""
    counts, seen = {}, set()
    for line in log.splitlines():
        began = re.match(r"(\d+) +(\w+)\(", line)
        thread = line.split(" ", 1)[0]
        is_first = thread not in seen
        seen.add(thread)
        if began and not is_first and began.group(2) != "restart_syscall":
            counts[began.group(2)] = counts.get(began.group(2), 0) + 1
    return counts


def heartbeat(work):
    with bare_server("beat", work) as server:
        results, bare = {"thread": [], "poll": []}, []
        # In turns: after each pause the caches are what others on the machine left of them.
        for _ in range(5):
            for delivery, figures in results.items():
                beats, cpu = run("host", "beat", delivery, server.url, 80)
                figures.append(cpu / beats / 1000)
            (cpu,) = run("bare", "beat", server.port, server.dump, 80)
            bare.append(cpu / 80 / 1000)
        bare = statistics.median(bare)
        for delivery, figures in results.items():
            cpu = statistics.median(figures)
            row(f"heartbeat, http, {delivery}: CPU beside a bare loop",
                f"{cpu:.1f} us / {bare:.1f} us = {cpu / bare:.2f}", "1.4", cpu / bare <= 1.4)
        if STRACE:
            for delivery in results:
                calls_of_beats(f"heartbeat, http, {delivery}: system calls", server.url, delivery)
        else:
            print("skipped: system calls of a heartbeat (no strace)")


def calls_of_beats(what, url, delivery, **environment):
    calls = traced([BUILD / "host", "beat", delivery, url, 400], 4, 2.5, **environment)
    # The main thread of the host sleeps in one call of its own.
    calls.pop("clock_nanosleep", None)
    beats = calls.get("sendto", 0) + calls.get("sendmsg", 0) + calls.get("write", 0) * ("sendto" not in calls and "sendmsg" not in calls)
    per_beat = sum(calls.values()) / max(beats, 1)
    names = ", ".join(f"{name} {count / max(beats, 1):.1f}" for name, count in sorted(calls.items()))
    row(what, f"{per_beat:.1f} ({names})", "5", beats > 40 and per_beat <= 5.05)


def tls(work):
    if not STRACE:
        return print("skipped: system calls of a heartbeat over TLS (no strace)")
    with Devserver(tls=work / "tls") as server:
        calls_of_beats("heartbeat, https, thread: system calls", server.endpoint, "thread", BENCH_CA=server.ready["tls"]["ca"])


def idle(work):
    if not STRACE:
        return print("skipped: an idle agent (no strace)")
    examples = ROOT / "build/examples"
    with bare_server("beat", work) as server:
        poll = traced([examples / "agent", "--endpoint", server.url, "--interval-ms", "3600000"], 60, 3)
        row("60 s idle, the example agent, POLL: system calls", str(poll or 0), "0", not poll)
    with bare_server("beat", work) as server:
        thread = traced([BUILD / "host", "idle", "thread", server.url, 90], 60, 3)
        thread.pop("clock_nanosleep", None)
        row("60 s idle, THREAD: system calls", str(thread or 0), "0", not thread)


def header(work):
    with bare_server("beat", work) as server:
        run("host", "beat", "thread", server.url, 10)
        head = server.dump.read_bytes().split(b"\r\n\r\n")[0] + b"\r\n\r\n"
        row("request headers of a heartbeat", f"{len(head)} bytes", "240", len(head) <= 240)


def offers(work):
    count = 20000
    with bare_server("offers", work, cpu=0) as server:
        figures = {}
        for delivery in ("thread", "poll"):
            runs = [run("host", "offers", delivery, server.url, count, cpu=0) for _ in range(3)]
            figures[delivery] = statistics.median(cpu / seen for seen, cpu in runs) / 1000
        bare = statistics.median(run("bare", "offers", server.port, server.dump, count, cpu=0)[0] for _ in range(3)) / count / 1000
        handed = statistics.median(run("bare", "handoffs", server.port, server.dump, count, cpu=0)[0] for _ in range(3)) / count / 1000
        for delivery, bound in (("thread", 3.5), ("poll", 3.8)):
            ratio = figures[delivery] / bare
            row(f"offer to APPLIED, one CPU, {delivery}: CPU beside a bare loop",
                f"{figures[delivery]:.1f} us / {bare:.1f} us = {ratio:.2f}",
                f"{bound} (bare with two hand-offs: {handed / bare:.2f})", ratio <= bound)
        if not STRACE:
            return print("skipped: system calls of an offer (no strace)")
        for delivery, bound in (("thread", 9), ("poll", 11)):
            calls = traced([BUILD / "host", "offers", delivery, server.url, 100000000], 3, 1)
            seen = max(calls.get("sendto", 0), calls.get("sendmsg", 0), 1)
            names = ", ".join(f"{name} {number / seen:.1f}" for name, number in sorted(calls.items()))
            per_offer = sum(calls.values()) / seen
            row(f"offer to APPLIED, {delivery}: system calls", f"{per_offer:.1f} ({names})", str(bound), 0 < per_offer <= bound + 0.05)


def size(work):
    stripped = work / "libopamp.so"
    shutil.copy(SO, stripped)
    subprocess.run(["strip", stripped], check=True)
    mib = stripped.stat().st_size / 2**20
    row("libopamp.so, stripped", f"{mib:.2f} MiB", "2.00", mib <= 2)


def memory(work):
    subprocess.run(["sync"], check=True)
    with bare_server("beat", work) as server:
        without, with_agent = [], []
        for _ in range(3):
            without += run("host", "none", "poll", server.url, 0)
            with_agent += run("host", "memory", "poll", server.url, 0)
        more = statistics.median(with_agent) - statistics.median(without)
        row("one connected agent, POLL: private dirty memory", f"{more:.0f} KiB more", "300", more <= 300)


def start(work):
    request = work / "first.request"
    request.write_bytes(b"POST /v1/opamp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200\r\n\r\n" + bytes(200))
    with bare_server("first", work) as server:
        begun = run("host", "start", "poll", server.url, 21)
        # The monotonic time of each connection's first request.
        ours = [server.figures()[0] - at for at in begun][1:]
        bare = []
        for _ in range(20):
            (at,) = run("bare", "start", server.port, request, 0)
            bare.append(server.figures()[0] - at)
        more = (statistics.median(ours) - statistics.median(bare)) / 1e6
        row("start to first request at the server, beside a bare socket",
            f"{statistics.median(ours) / 1e6:.2f} ms - {statistics.median(bare) / 1e6:.2f} ms = {more:.2f} ms", "2 ms", more <= 2)


def big(work):
    with bare_server("big", work) as server:
        (answer_bytes,) = server.more
        decoding, copying, body, before, peak, after = run("host", "big", "thread", server.url, 0)
        ratio = (peak - before) * 1024 / answer_bytes
        row("1,000 files of 64 KiB: peak memory",
            f"{(peak - before) / 1024:.1f} MiB / {answer_bytes / 2**20:.1f} MiB = {ratio:.2f}", "1.2", ratio <= 1.2)
        row("the same, afterwards", f"{(after - before) / 1024:.1f} MiB more", "all given back (1 MiB)", after - before <= 1024)
        row("the same: CPU from the last byte to the callback", f"{decoding / 1e6:.2f} ms / one memcpy {copying / 1e6:.2f} ms", "1 memcpy", decoding < copying)


def cycles(work):
    with bare_server("beat", work) as server:
        figures = run("host", "cycles", "poll", server.url, 10000)
        kib, descriptors, threads, kib_after, descriptors_after, threads_after = figures
        row("10,000 starts and stops: memory, descriptors, threads",
            f"{kib_after - kib:+d} KiB, {descriptors_after - descriptors:+d}, {threads_after - threads:+d}",
            "unchanged (64 KiB)", kib_after - kib <= 64 and descriptors == descriptors_after and threads == threads_after)


def websocket(work):
    from websocket import Rows
    Rows(sys.modules[__name__]).all(work)


def main():
    forget_proxies()
    every = [heartbeat, tls, idle, header, offers, size, memory, start, big, cycles, websocket]
    names = sys.argv[1:]
    unknown = set(names) - {measure.__name__ for measure in every}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")
    build("server", "bare", "host")
    print(f"      {'what':<60} {'measured':<46} at most")
    with tempfile.TemporaryDirectory(prefix="opamp-bench-") as folder:
        for measure in every:
            if not names or measure.__name__ in names:
                measure(pathlib.Path(folder))
    print(f"bench: {sum(holds for *_, holds in ROWS)} of {len(ROWS)} figures within their bounds")


if __name__ == "__main__":
    main()
