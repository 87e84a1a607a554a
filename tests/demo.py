#!/usr/bin/env python3
"""`make demo`: the development server and the example agent, told as a story.

A server offers a configuration of several files, then a broken one, then a good one. Every line quotes what the server's API,
the agent or the files on disk say; the exit status is 0 only if each step was seen on both sides.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/conformance"))
from devserver import Devserver  # noqa: E402
from loopback import forget_proxies  # noqa: E402

AGENT = ROOT / "build/examples/agent"
FIRST = {
    "collector.json": b'{ "receivers": ["otlp"], "exporters": ["file"] }\n',
    "conf.d/limits.json": b'{ "memory_mib": 512 }\n',
    "notes.txt": b"first configuration\n",
}
BROKEN = {**FIRST, "conf.d/limits.json": b'{ "memory_mib": 1024, }\n'}
SECOND = {"collector.json": b'{ "receivers": ["otlp", "hostmetrics"], "exporters": ["file"] }\n', "notes.txt": b"second configuration\n"}

# What the agent runs on a candidate folder before it goes live.
VALIDATE = """\
import json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.json")):
    try:
        json.loads(path.read_text())
    except ValueError as error:
        sys.exit(f"{path.name}: {error}")
"""


def say(who, what):
    print(f"{who:>9} | {what}", flush=True)


def must(condition, what):
    if not condition:
        raise AssertionError(what)


class Agent:
    """The example agent, and what it said."""

    def __init__(self, server, folder, work):
        (work / "validate.py").write_text(VALIDATE, encoding="utf-8")
        command = [AGENT, "--endpoint", server.endpoint, "--interval-ms", "200", "--service-name", "demo", "--config-dir", folder,
                   "--validate", f"{sys.executable} {work / 'validate.py'}", "--on-change", "test -d", "--json"]
        self.said = work / "agent.jsonl"
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out)

    def events(self):
        return [json.loads(line) for line in self.said.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]

    def states_of(self, hash_hex):
        return [event["state"] for event in self.events() if event["event"] == "remote_config_status" and event["hash"] == hash_hex]

    def stop(self):
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        return status, time.monotonic() - begin


def live_files(folder):
    root = folder / "current"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def meets(server):
    uid = server.wait("full")["entry"]["agent"]
    known = server.get(f"agents/{uid}")
    say("server", f"agent {uid} has reported in full, over {known['transport']}")
    return uid


def offer(server, agent, uid, files, wanted):
    """Offers files and waits for the verdict that is wanted; answers what the server then knows of the offer, and since when."""
    offered = server.offer(files)
    say("server", f"offers {len(files)} files with hash {offered['hash'][:12]}: {', '.join(sorted(files))}")
    server.wait(f"status={wanted}:{offered['hash']}", agent=uid, since=offered["since"])
    states = [entry["message"]["remote_config_status"]["status"] for entry in server.timeline(agent=uid, since=offered["since"])
              if entry["kind"] == "received" and "remote_config_status" in entry["parts"]]
    known = server.get(f"agents/{uid}")["offers"][-1]
    must(known["hash"] == offered["hash"] and known["status"] == wanted, known)
    must(agent.states_of(offered["hash"]) == ["APPLYING", wanted], agent.states_of(offered["hash"]))
    say("agent", f"said {' then '.join(agent.states_of(offered['hash']))}")
    why = f": {known['error_message']}" if known["error_message"] else ""
    say("server", f"has {known['status']} for {known['hash'][:12]} after {known['offer_to_verdict_ms']:.0f} ms{why}")
    must(states[-1:] == [wanted], states)
    return known, offered["since"]


def tells_effective(server, uid, since):
    server.wait("effective=offered", agent=uid, since=since)
    say("server", "was told an effective configuration with the same files")


def is_on_disk(folder, files):
    live = live_files(folder)
    must(live == files, f"on disk: {live}")
    link = os.readlink(folder / "current")
    say("disk", f"current -> {link}: " + ", ".join(f"{name} ({len(body)} bytes)" for name, body in live.items()))


def story(server, work):
    folder = work / "config"
    agent = Agent(server, folder, work)
    try:
        uid = meets(server)
        must(agent.events()[0] == {"event": "starting", "uid": uid.replace("-", "")}, agent.events())

        _, since = offer(server, agent, uid, FIRST, "APPLIED")
        is_on_disk(folder, FIRST)
        tells_effective(server, uid, since)

        failed, _ = offer(server, agent, uid, BROKEN, "FAILED")
        must("limits.json" in failed["error_message"], failed)
        is_on_disk(folder, FIRST)

        _, since = offer(server, agent, uid, SECOND, "APPLIED")
        is_on_disk(folder, SECOND)
        tells_effective(server, uid, since)

        status, seconds = agent.stop()
        must(status == 0 and seconds < 3, f"status {status} after {seconds:.1f} s")
        say("agent", f"ended with {status}, {seconds * 1000:.0f} ms after SIGTERM; its last word: {agent.events()[-1]['event']}")
        server.wait("disconnected", agent=uid)
        gone = server.get(f"agents/{uid}")["gone"]
        must(gone is not None, "the server does not know that it went")
        say("server", f"knows that it went: {gone['why']}")
        must(server.problems() == [], server.problems())
        say("server", f"finds nothing wrong in {len(server.timeline(kind='received'))} messages")
    finally:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()


def main():
    begin = time.monotonic()
    forget_proxies()
    with tempfile.TemporaryDirectory(prefix="opamp-demo-") as folder, Devserver() as server:
        say("server", f"is ready at {server.endpoint}")
        try:
            story(server, pathlib.Path(folder).resolve())
        except (AssertionError, OSError) as why:
            print(f"demo: FAILED: {why}")
            return 1
    print(f"demo: every step was seen on both sides, in {time.monotonic() - begin:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
