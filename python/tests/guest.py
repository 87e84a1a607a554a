"""Hosts for the tests of a good guest: processes of their own that fork, exit and are managed by others."""
import json
import os
import subprocess
import sys
from pathlib import Path

from kit import PACKAGE, PATIENCE_S, ROOT

PRELUDE = """
import json, logging, os, sys, threading, time
from opamp import OpAMPAgent, OpAMPCallbacks, OpAMPClient
logging.basicConfig(level=logging.WARNING, format="%(message)s")
options = json.loads(os.environ["GUEST_OPTIONS"])

def client_of():
    return OpAMPClient(agent_identifying_attributes={"service.name": "guest"}, timeout_millis=20000, **options)

def agent_of(client=None, **more):
    return OpAMPAgent(interval=0.02, callbacks=OpAMPCallbacks(), client=client or client_of(), **more)

def ended(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
"""
# The packages of guest-hosts.txt, where they were installed.
HOSTS = Path(os.environ.get("OPAMP_GUEST_HOSTS") or ROOT / "build/guest-hosts")


def environment(server, **more):
    options = {"endpoint": server.endpoint, **server.tls_options}
    return {**os.environ, "PYTHONPATH": str(PACKAGE), "GUEST_OPTIONS": json.dumps(options), **more}


def run(server, script, *arguments, status=0, python=sys.executable):
    """Runs a host to its end; what it wrote to its two outputs."""
    done = subprocess.run([python, "-c", PRELUDE + script, *arguments], env=environment(server), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120)
    if done.returncode != status:
        raise AssertionError(f"status {done.returncode}, not {status}\n{done.stdout}\n{done.stderr}")
    return done.stdout, done.stderr


class Host:
    """A host that runs until the test ends it; `with` makes sure that it does, with all that it started."""

    def __init__(self, server, *command, cwd=None, **more):
        self.process = subprocess.Popen([str(word) for word in command], env=environment(server, **more), cwd=cwd, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.communicate()

    def end(self, signal):
        """Its status and what it wrote to standard error."""
        self.process.send_signal(signal)
        said = self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode, said


def sessions(server):
    """What the server saw of each agent: {uid: (numbers without a gap?, how many goodbyes, is the last one the last message?, connections)}"""
    seen = {}
    for entry in server.timeline(kind="received", limit=100_000):
        seen.setdefault(entry["agent"], []).append(entry)
    told = {}
    for uid, entries in seen.items():
        numbers = [entry["sequence_number"] for entry in entries]
        goodbyes = ["agent_disconnect" in entry["message"] for entry in entries]
        told[uid] = (numbers == list(range(len(numbers))), sum(goodbyes), goodbyes[-1], len({entry["connection"] for entry in entries}))
    return told


#: Of an agent that was never disturbed and then stopped.
WHOLE = (True, 1, True, 1)
