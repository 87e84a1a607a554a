"""The rows of WebSocket: this library beside a bare blocking loop that moves the same frames. bench/run.py imports it."""
import os
import statistics
import subprocess

RUNS = 5
OFFERS = 20000
PUSHES = 1500
AGENTS = 200
BIG = 32 << 20
HEAP = {"MALLOC_ARENA_MAX": "1"}


class Rows:
    """What bench/run.py has: where programs lie, how one is run, traced and pinned, and where a figure goes."""

    def __init__(self, bench):
        self.bench = bench

    def all(self, work):
        self.bench.build("ws_server", "ws_bare", "ws_host")
        self.offers(work)
        self.pushes(work)
        self.calls(work)
        self.idle(work)
        self.large(work)
        self.many(work)

    def server(self, mode, count, work, cpu=None):
        return self.bench.Peer("ws_server", "ws", [mode, count], work / f"ws-{mode}.verdict", cpu)

    def offers(self, work):
        """Both sides on one CPU."""
        bench = self.bench
        with self.server("offers", 0, work, cpu=0) as server:
            host = {delivery: statistics.median(bench.run("ws_host", "offers", delivery, server.url, OFFERS, cpu=0)[0] for _ in range(RUNS))
                    for delivery in ("thread", "poll")}
            bare = statistics.median(bench.run("ws_bare", "offers", server.port, server.dump, OFFERS, cpu=0)[0] for _ in range(RUNS))
        for delivery, cpu in host.items():
            bench.row(f"offer to APPLIED, ws, one CPU, {delivery}: CPU beside a bare loop",
                      f"{cpu / OFFERS / 1000:.1f} us / {bare / OFFERS / 1000:.1f} us = {cpu / bare:.2f}", "3.0", cpu / bare <= 3)

    def pushes(self, work):
        bench = self.bench
        with self.server("offers", 0, work) as server:
            bench.run("ws_host", "offers", "thread", server.url, 10)
            dump = server.dump.read_bytes()
        verdict = work / "verdict"
        verdict.write_bytes(dump)

        def one(program, *arguments):
            with self.server("push", PUSHES, work) as server:
                words = [server.port if word is None else word for word in arguments] if program == "ws_bare" else arguments
                words = [server.url if word == "URL" else word for word in words]
                (callback,) = bench.run(program, *words)
                return callback, server.figures()[0]

        figures = {"bare": [], "handoffs": [], "thread": [], "poll": []}
        # Side by side in time, so that a loaded moment meets all of them.
        for _ in range(RUNS):
            figures["bare"].append(one("ws_bare", "push", None, verdict, PUSHES))
            figures["handoffs"].append(one("ws_bare", "handoffs", None, verdict, PUSHES))
            for delivery in ("thread", "poll"):
                figures[delivery].append(one("ws_host", "push", delivery, "URL", PUSHES))
        medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in figures.items()}
        for at, what, bounds in ((0, "push to callback", (2.0, 2.3)), (1, "push to APPLIED at the server", (1.6, 1.9))):
            for delivery, bound in zip(("thread", "poll"), bounds):
                ours, bare = medians[delivery][at], medians["bare"][at]
                how = "POLL with the descriptor" if delivery == "poll" else "THREAD"
                handed = medians["handoffs"][at] / bare
                bench.row(f"{what}, ws, {how}", f"{ours / 1000:.1f} us / {bare / 1000:.1f} us = {ours / bare:.2f}",
                          f"{bound} (bare with two hand-offs: {handed:.2f})", ours / bare <= bound)

    def calls(self, work):
        bench = self.bench
        if not bench.STRACE:
            return print("skipped: system calls of an offer over ws (no strace)")
        with self.server("offers", 0, work) as server:
            for delivery, bound in (("thread", 8), ("poll", 10)):
                calls = bench.traced([bench.BUILD / "ws_host", "offers", delivery, server.url, 100000000], 3, 1)
                seen = max(calls.get("sendto", 0), 1)
                names = ", ".join(f"{name} {number / seen:.1f}" for name, number in sorted(calls.items()))
                per_offer = sum(calls.values()) / seen
                bench.row(f"offer to APPLIED, ws, {delivery}: system calls", f"{per_offer:.1f} ({names})", str(bound), 0 < per_offer <= bound + 0.05)

    def idle(self, work):
        bench = self.bench
        if not bench.STRACE:
            return print("skipped: an idle agent over ws (no strace)")
        with self.server("answer", 0, work) as server:
            calls = bench.traced([bench.BUILD / "ws_host", "idle", "thread", server.url, 1], 24, 3)
            calls.pop("pause", None)
            bench.row("24 s between two pings, ws, THREAD: system calls", str(calls or 0), "0", not calls)

    def large(self, work):
        bench = self.bench
        for mode, how in (("big", "one frame"), ("fragments", "frames of 64 KiB")):
            with self.server(mode, BIG, work) as server:
                before, peak, after = bench.run("ws_host", "big", "thread", server.url, 1)
                ratio = (peak - before) * 1024 / BIG
                bench.row(f"32 MiB in {how}, ws: peak memory", f"{(peak - before) / 1024:.1f} MiB = {ratio:.2f} times", "1.1", ratio <= 1.1)
                bench.row("the same, afterwards", f"{(after - before) / 1024:.1f} MiB more", "all given back (1 MiB)", after - before <= 1024)

    def many(self, work):
        bench = self.bench
        for scheme, bound, bound_connection in (("ws", 40, 8), ("wss", 56, 12)):
            tls = {"tls": work / "ws-tls"} if scheme == "wss" else {}
            with bench.Devserver(**tls) as server:
                url = f"{scheme}:{server.endpoint.split(':', 1)[1]}"
                ca = {"BENCH_CA": server.ready["tls"]["ca"]} if tls else {}
                private = self.agents(url, {**ca})[0]
                _, connected, alone = self.agents(url, {**ca, **HEAP}, server)
            bench.row(f"{AGENTS} agents, {scheme}: private dirty memory of each", f"{private / AGENTS:.1f} KiB", str(bound), private / AGENTS <= bound)
            more = (connected - alone) / AGENTS
            bench.row(f"{AGENTS} agents, {scheme}: heap of a connection", f"{more:.1f} KiB", str(bound_connection), more <= bound_connection)

    def agents(self, url, environment, server=None):
        """Private KiB of all, heap KiB in use; with a server to end also the heap afterwards."""
        command = [self.bench.BUILD / "ws_host", "many", "poll", url, str(AGENTS)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as host:
            figures = [int(word) for word in host.stdout.readline().split()]
            if server is not None:
                server.__exit__(None, None, None)
                host.stdin.write("\n")
                host.stdin.flush()
                figures.append(int(host.stdout.readline()))
            host.kill()
        return figures
