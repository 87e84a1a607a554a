#!/usr/bin/env python3
"""The reconnect book: hostile servers over real sockets, each with bounds checked by the server's own count.

usage: tests/reconnect/run.py [PATTERN ...]      each pattern selects rows by a part of their name, such as "over ws"

All rows run side by side, each with an example agent of its own; some in a network of their own, which is skipped with one line
where that can not be made (with CI=true that is a failure). Needs `make examples devserver`.
"""
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interop"), str(HERE.parent)]
sys.dont_write_bytecode = True
import closing  # noqa: E402
import namespace  # noqa: E402
from child import Agent, option  # noqa: E402
from hostile import Server  # noqa: E402
from loopback import forget_proxies  # noqa: E402
from rows import BOOK, SECURE  # noqa: E402
from stage import SCHEMES, make_authority  # noqa: E402

STOP_BOUND = 3.5


class Run:
    """One row over one transport."""

    def __init__(self, row, scheme, work, trust, tls):
        self.row, self.name = row, f"{row.name} over {scheme}"
        self.times = {}
        self.names = namespace.Names() if row.has_own_network else None
        self.server = Server(row.manners, scheme, None if row.is_proxy else tls, row.address)
        self.deaf = row.deaf and namespace.Deaf(row.deaf, self.server.port)
        self.server.beside = Server(row.manners, "http")
        if not row.is_up:
            self.server.close()
        self.begin = time.monotonic()
        way = [*row.arguments, *(["--ca", trust / "ca.pem"] if scheme in SECURE else [])]
        endpoint = self.server.endpoint(row.host)
        if row.is_proxy:
            endpoint = f"{scheme}://127.0.0.1:{self.server.beside.port}/v1/opamp"
            way += ["--proxy", f"127.0.0.1:{self.server.port}"]
        numbers = [part for name, value in row.options.items() for part in option(name, value)]
        work.mkdir()
        self.agent = Agent(work, endpoint, *way, *numbers, interval_ms=row.interval_ms)

    def pass_time(self, seconds):
        """What the row is about is how much happens in this time."""
        threading.Event().wait(seconds)

    def heartbeats(self):
        return [message for _, message in self.server.messages if message.is_heartbeat]

    def until(self, condition, what, timeout=30):
        if not self.server.wait(condition, timeout):
            raise AssertionError(f"{what} did not come within {timeout} s")

    def judge(self):
        """What was counted, a line each; a failed one begins with FAILED."""
        if self.row.play is not None:
            self.row.play(self)
        else:
            self.pass_time(self.row.span)
        found = [bound(self) for bound in self.row.bounds]
        if self.agent.process.poll() is not None:
            found.append((f"the agent ended with {self.agent.process.returncode}", False))
        else:
            status, seconds = self.agent.stop()
            found.append((f"stopped with {status} in {seconds:.1f} s", status == 0 and seconds < STOP_BOUND))
        found += [(f"in the server: {fault}", False) for fault in self.server.faults]
        return [("" if is_good else "FAILED: ") + text for text, is_good in found]

    def close(self):
        self.agent.close()
        self.server.close()
        self.server.beside.close()


def play(row, scheme, work, trust, tls):
    """(name, lines)"""
    run = Run(row, scheme, work, trust, tls)
    try:
        return run.name, run.judge()
    except Exception:
        return run.name, ["FAILED: " + traceback.format_exc(), run.agent.tail()]
    finally:
        run.close()


def play_inside(row, scheme):
    """The same from a process in a network of its own."""
    name = f"{row.name} over {scheme}"
    done = subprocess.run([*namespace.ENTER, sys.executable, __file__, "--inside", name], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=180)
    return name, done.stdout.splitlines() if done.returncode == 0 else ["FAILED: " + done.stdout + done.stderr]


def inside(name):
    """Plays one row here, and says its lines."""
    row, scheme = next((row, scheme) for row in BOOK for scheme in row.schemes if f"{row.name} over {scheme}" == name)
    folder = namespace.settle()
    print("\n".join(play(row, scheme, folder / "work", None, None)[1]))
    shutil.rmtree(folder)


def told(row, name, lines):
    """Its lines, and what failed."""
    bad = [line for line in lines if line.startswith("FAILED")]
    print(f"{'FAILED' if bad else 'ok'}: {name} {row.rows}")
    print("\n".join(f"    {line}" for line in lines), flush=True)
    return ["\n".join([f"FAILED: {name} {row.rows}"] + [f"    {line}" for line in bad])] if bad else []


def main(patterns):
    forget_proxies()
    if patterns[:1] == ["--inside"]:
        return inside(patterns[1])
    chosen = [(row, scheme) for row in BOOK for scheme in row.schemes if scheme in SCHEMES]
    chosen = [c for c in chosen if not patterns or any(pattern in f"{c[0].name} over {c[1]}" for pattern in patterns)]
    if not chosen:
        sys.exit("no such row")
    skipped = [c for c in chosen if c[0].has_own_network] if namespace.lacking() else []
    for row, scheme in skipped:
        print(f"skipped: {row.name} over {scheme} ({namespace.lacking()})")
    chosen = [c for c in chosen if c not in skipped]
    with tempfile.TemporaryDirectory(prefix="opamp-reconnect-") as folder, ThreadPoolExecutor(len(chosen) or 1) as pool:
        work = pathlib.Path(folder).resolve()
        trust = make_authority(work / "trust")
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(trust / "server.pem", trust / "server.key")
        done = [pool.submit(play_inside, row, scheme) if row.has_own_network else pool.submit(play, row, scheme, work / str(i), trust, tls)
                for i, (row, scheme) in enumerate(chosen)]
        failed = [text for (row, _), future in zip(chosen, done) for text in told(row, *future.result())]
    closing.say(failed)
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or (skipped and os.environ.get("CI") == "true") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
